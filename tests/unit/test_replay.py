"""Recorded States are judged as when they were recorded, and as their case says: same verdict, cause and words."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from checker import recording
from checker.authoring.cases import cases_of
from checker.grading.grade import judge
from checker.grading.labs import all_labs, load_lab

RECORDINGS = [
    pytest.param(number, path, id=f"{number}-{path.stem}")
    for number in all_labs()
    for path in sorted((load_lab(number).folder / "recorded").glob("*.json"))
]


@pytest.mark.parametrize("number, path", RECORDINGS)
def test_recording_is_judged_as_it_was(number: str, path: Path) -> None:
    state, tasks = recording.load(path)
    lab = load_lab(number)
    judged = judge(lab, state).tasks
    assert [task.to_json() for task in judged] == tasks
    case = {name: case for _, name, case in cases_of(lab)}[path.stem]
    if path.stem == "setup":
        assert [task.id for task in judged if task.verdict == "passed"] == []
    else:
        assert {task.id: task.cause for task in judged if task.verdict != "passed"} == {**case.fails, **case.unknown}


@pytest.mark.parametrize("number", all_labs())
def test_recordings_are_small_and_hold_no_secret_and_no_trace_of_one_machine(number: str) -> None:
    for path in (load_lab(number).folder / "recorded").glob("*.json"):
        text = path.read_text()
        assert len(text) < 150_000, path
        for secret in json.loads(text)["state"]["objects"].get("Secret", []):
            assert set(secret["data"].values()) <= {""}, path
        assert not re.search("kubeclass-(test|solo|gate)", text), path
        assert str(Path.home()) + "/" not in text, path


@pytest.mark.parametrize("number", all_labs())
def test_every_case_of_a_lab_is_recorded(number: str) -> None:
    lab = load_lab(number)
    cases = {"setup", "solution", *lab.cases("accepted"), *lab.cases("mistakes")}
    assert {path.stem for path in (lab.folder / "recorded").glob("*.json")} == cases


@pytest.mark.parametrize("number", all_labs())
def test_a_lab_is_proven_well_enough(number: str) -> None:
    lab = load_lab(number)
    accepted, mistakes = lab.cases("accepted"), lab.cases("mistakes")
    assert len(accepted) >= 2
    assert len(mistakes) >= 6
    tasks = {task.id for task in lab.spec.tasks}
    for name, case in mistakes.items():
        assert case.fails or case.unknown, f"{name} fails nothing"
        assert {*case.fails, *case.unknown} <= tasks, name
        assert {*case.fails.values(), *case.unknown.values()} <= set(lab.causes), name
    for name, case in accepted.items():
        assert not case.fails and not case.unknown, f"{name} is accepted, so it fails nothing"
    assert {task for case in mistakes.values() for task in case.fails} == tasks, "a task that no mistake fails"
