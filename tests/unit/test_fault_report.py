"""`kubeclass report`: what it gathers, and that no password is in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from checker import recording
from checker.grading.grade import judge
from checker.grading.labs import load_lab
from checker.marking import fault_report
from checker.marking.receipt import check, read
from checker.ui.cli import app
from cluster.language import problem


class Judged:
    """A session of lab 07 as it was recorded, with a password in an annotation."""

    def __init__(self, lab: str, namespace: str) -> None:
        self.lab = load_lab(lab)
        state, _ = recording.load(self.lab.folder / "recorded" / "solution.json")
        state.objects["Service"][0].metadata["annotations"] = {"note": f"http://me:hidden@proxy:1/ {Path.home()}/x"}
        self.state, self.cluster = state, None

    def require_started(self) -> None: ...

    def checked(self, wait: float) -> tuple[object, object]:
        return judge(self.lab, self.state), self.state


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault_report.doctor, "doctor", list)
    monkeypatch.setattr(fault_report, "_cluster", lambda: {"ready": True})
    monkeypatch.setattr(fault_report, "Session", Judged)
    monkeypatch.setattr(fault_report, "Api", lambda cluster: None)
    monkeypatch.setattr("checker.marking.hand_in.kubernetes_of", lambda api: "v1.37.2")


@pytest.mark.usefixtures("machine")
def test_a_report_says_what_is_in_it_and_holds_no_password(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    ran = CliRunner().invoke(app, ["report", "07", "--out", str(file)])
    assert ran.exit_code == 0, ran.output
    assert "the objects of the lab's namespace" in ran.output and "Read the file before you send it." in ran.output
    text = file.read_text()
    assert "hidden" not in text and str(Path.home()) + "/" not in text
    assert set(json.loads(text)) == {"version", "machine", "cluster", "lab"}


@pytest.mark.usefixtures("machine")
def test_the_lab_in_a_report_is_a_receipt_that_can_be_judged_again(tmp_path: Path) -> None:
    part = fault_report.gathered("07")["lab"]
    (tmp_path / "receipt.json").write_text(json.dumps(part))
    receipt, content = read(tmp_path / "receipt.json")
    check(receipt, content, None)
    assert receipt.lab == "07" and receipt.score == receipt.max_score


@pytest.mark.usefixtures("machine")
def test_a_part_that_cannot_be_had_takes_no_other_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def away() -> dict[str, object]:
        raise problem("kubectl-late", command="kubectl get nodes", seconds=60)

    monkeypatch.setattr(fault_report, "_cluster", away)
    ran = CliRunner().invoke(app, ["report", "--out", str(tmp_path / "r.json")])
    assert ran.exit_code == 0 and "nothing of this part: cluster" in ran.output
    assert set(json.loads((tmp_path / "r.json").read_text())) == {"version", "machine", "cluster"}
