"""Hand-ins on a real cluster: learners with their own tokens, and the teacher, who collects and judges again."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from checker.marking.receipt import canonical

from .conftest import NAME, Classroom, command

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("class")]
LAB = "07"


@pytest.fixture(scope="module")
def at_work(classroom: Classroom) -> Iterator[Classroom]:
    """ada has solved the lab, bob has begun it, and carl has not."""
    try:
        for learner, words in (("ada", "start"), ("bob", "start"), ("ada", "solve")):
            done = command(words, LAB, home=classroom.learner_home(learner), group=())
            assert done.returncode == 0, done.stderr
        yield classroom
    finally:
        for learner in ("ada", "bob"):
            command("clear", "--yes", home=classroom.learner_home(learner), group=())


@pytest.fixture(scope="module")
def receipts(at_work: Classroom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what the teacher has collected."""
    folder = tmp_path_factory.mktemp("receipts")
    done = at_work.run("collect", NAME, LAB, "--out", str(folder), "--wait", "60", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    statuses = {one["learner"]: one["status"] for one in found["learners"]}
    assert statuses == {"ada": "written", "bob": "written", "carl": "not-begun"}
    scores = {one["learner"]: (one["score"], one["max_score"]) for one in found["learners"] if one["file"]}
    assert scores["ada"] == (7, 7) and scores["bob"][0] < 7
    return folder


def regraded(classroom: Classroom, folder: Path, exit_code: int, *more: str) -> dict[str, Any]:
    """What `class regrade` says of each file, by the file's name."""
    done = classroom.run("regrade", str(folder), "--json", *more)
    assert done.returncode == exit_code, done.stdout + done.stderr
    return {Path(one["file"]).name: one for one in json.loads(done.stdout)["receipts"]}


def changed(file: Path, to: Path, change: Any) -> None:
    """A copy of a receipt with a change."""
    content = json.loads(file.read_text())
    change(content)
    to.mkdir(exist_ok=True)
    (to / file.name).write_text(json.dumps(content))


def test_a_learner_hands_in_what_the_check_has_said(at_work: Classroom, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    home = at_work.learner_home("ada")
    done = command("hand-in", LAB, "--out", str(file), "--wait", "60", home=home, group=())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7" in done.stdout and stat.S_IMODE(file.stat().st_mode) == 0o600
    content = json.loads(file.read_text())
    assert (content["by"], content["class"], content["learner"], content["score"]) == ("learner", NAME, "ada", 7)
    assert "signature" not in content
    token = at_work.access["ada"].token
    assert token and token not in file.read_text()
    found = regraded(at_work, tmp_path, 0)["mine.json"]
    assert (found["score_today"], found["differences"], found["proven"]) == (7, [], False)


def test_the_teacher_judges_again_what_was_collected(at_work: Classroom, receipts: Path) -> None:
    found = regraded(at_work, receipts, 0, "--lab", LAB)
    assert set(found) == {"07-ada.json", "07-bob.json"}
    for one in found.values():
        assert one["proven"] and one["differences"] == [] and one["score_today"] == one["score"]
        assert one["changed"] == {} and not one["from_the_future"]


@pytest.mark.parametrize("part", ["score", "verdict", "state", "learner", "signature"])
@pytest.mark.parametrize("knows_the_format", [False, True])
def test_a_receipt_that_was_tampered_with_is_told(
    at_work: Classroom, receipts: Path, tmp_path: Path, part: str, knows_the_format: bool
) -> None:
    """knows_the_format: whether the digest, which needs no key, is made anew."""

    def change(content: dict[str, Any]) -> None:
        if part == "score":
            content["score"] = 7
        elif part == "verdict":
            next(task for task in content["tasks"] if task["verdict"] != "passed")["verdict"] = "passed"
        elif part == "state":
            content["state"]["objects"]["Service"] = []
        elif part == "learner":
            content["learner"] = "carl"
        else:
            content["signature"]["hmac"] = "0" * 64
        if knows_the_format:
            signed = {name: value for name, value in content.items() if name not in ("digest", "signature")}
            content["digest"] = f"sha256:{hashlib.sha256(canonical(signed)).hexdigest()}"

    changed(receipts / "07-bob.json", tmp_path / "out", change)
    found = regraded(at_work, tmp_path / "out", 1)["07-bob.json"]
    assert found["trouble"] == "receipt-tampered" and not found["proven"] and found["score_today"] is None
    told = at_work.run("regrade", str(tmp_path / "out"))
    assert told.returncode == 1 and "✘" in told.stdout and found["why"] in told.stdout


def test_a_learners_own_file_is_no_teachers_receipt(at_work: Classroom, receipts: Path, tmp_path: Path) -> None:
    """It proves nothing. With the words `by: teacher` in it, it is told, because its digest is another one."""
    home = at_work.learner_home("bob")
    folder = tmp_path / "bob"
    done = command("hand-in", LAB, "--out", str(folder / "bob.json"), home=home, group=())
    assert done.returncode in (1, 2), done.stderr  # as of `check`
    assert not regraded(at_work, folder, 0)["bob.json"]["proven"]
    content = json.loads((folder / "bob.json").read_text()) | {"by": "teacher"}
    (folder / "bob.json").write_text(json.dumps(content))
    assert regraded(at_work, folder, 1)["bob.json"]["trouble"] == "receipt-tampered"


def test_another_teachers_machine_has_not_the_key(at_work: Classroom, receipts: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    done = command("regrade", str(receipts), "--json", home=tmp_path / "home")
    assert done.returncode == 2, done.stdout + done.stderr
    assert {one["trouble"] for one in json.loads(done.stdout)["receipts"]} == {"receipt-no-key"}


def test_a_learner_cannot_collect(at_work: Classroom, tmp_path: Path) -> None:
    config = at_work.home.parent / "ada.kubeconfig"
    where = ("--context", NAME, "--kubeconfig", str(config))
    done = command("collect", NAME, LAB, "--out", str(tmp_path / "out"), *where, home=at_work.learner_home("ada"))
    assert done.returncode == 3, done.stdout + done.stderr
    assert "forbidden" in done.stderr or "right" in done.stderr
    assert not (tmp_path / "out").exists()
