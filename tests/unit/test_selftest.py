"""`kubeclass selftest`: what it tries, what it says, and that its cluster is deleted. No cluster is made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from checker.authoring import ci
from checker.grading.labs import Lab
from checker.marking import fault_report
from checker.ui.cli import app
from cluster import Cluster
from cluster.language import problem


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to clusters, in order."""
    done: list[str] = []
    monkeypatch.setenv("KUBECLASS_CLUSTER", "kubeclass-selftest")
    monkeypatch.setattr("cluster.engine.ensure", lambda: "docker")
    monkeypatch.setattr("cluster.nodes.nodes_of", lambda command, cluster: [])
    monkeypatch.setattr("cluster.up.stop_as_by_ctrl_c", lambda: None)
    monkeypatch.setattr("cluster.up.up", lambda cluster: done.append(f"up {cluster.name}"))
    monkeypatch.setattr("cluster.up.down", lambda cluster: done.append(f"down {cluster.name}"))
    monkeypatch.setattr(fault_report, "gathered", lambda: {"version": "1", "machine": []})

    def proven(lab: Lab, kinds: tuple[str, ...]) -> Iterator[ci.Outcome]:
        for kind in kinds:
            done.append(f"{lab.number} {kind}")
            yield ci.Outcome(f"lab {lab.number}", kind, 1.0)

    monkeypatch.setattr(ci, "prove_cases", proven)
    return done


def test_where_all_works_it_says_so_and_deletes_its_cluster(calls: list[str], tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    ran = CliRunner().invoke(app, ["selftest", "--out", str(file)])
    assert ran.exit_code == 0 and "The course works on this machine." in ran.output
    tried = [f"{lab} {kind}" for lab in ("01", "07", "14") for kind in ("setup", "solution")]
    assert calls == ["up kubeclass-selftest", *tried, "down kubeclass-selftest"]
    report = json.loads(file.read_text())
    assert set(report) == {"version", "machine", "selftest"}
    assert [one["why"] for one in report["selftest"]] == [""] * 6


def test_where_the_cluster_does_not_come_up_that_is_the_report(
    calls: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(cluster: Cluster) -> None:
        raise problem("nodes-not-ready", cluster=cluster.name, seconds=90)

    monkeypatch.setattr("cluster.up.up", fails)
    file = tmp_path / "report.json"
    ran = CliRunner().invoke(app, ["selftest", "--out", str(file)])
    assert ran.exit_code == 1 and f"1 step of 1 did not work. Send {file}" in ran.output
    assert calls == ["down kubeclass-selftest"]
    assert "not all ready" in json.loads(file.read_text())["selftest"][0]["why"]


def test_a_lab_that_does_not_work_is_named(calls: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def proven(lab: Lab, kinds: tuple[str, ...]) -> Iterator[ci.Outcome]:
        yield ci.Outcome(f"lab {lab.number}", "solution", 1.0, "no Pod answers" if lab.number == "07" else "")

    monkeypatch.setattr(ci, "prove_cases", proven)
    ran = CliRunner().invoke(app, ["selftest", "--out", str(tmp_path / "report.json")])
    assert ran.exit_code == 1
    assert "✘ lab 07: solution" in ran.output and "no Pod answers" in ran.output
    assert calls[-1] == "down kubeclass-selftest"
