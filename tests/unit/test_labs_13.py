"""Lab 13 on recordings that were altered: what the archive does not remember, and Jobs that would have given up."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from checker import recording
from checker.grading.grade import judge
from checker.grading.labs import load_lab
from checker.sdk import State

LAB = load_lab("13")


def import_after(change: Callable[[State], Any], case: str) -> tuple[str, str, str]:
    """The verdict on the task imported, its cause and its message, after a change to a recorded State."""
    state, _ = recording.load(LAB.folder / "recorded" / f"{case}.json")
    change(state)
    task = next(task for task in judge(LAB, State.from_json(state.to_json())).tasks if task.id == "imported")
    return task.verdict, task.cause, task.message


def spec_of_import(state: State) -> Any:
    return next(job.raw["spec"] for job in state.all("Job") if job.name == "import")


def visited(times: int) -> Callable[[State], None]:
    """The archive's ledger with so many lines of another client in place of the lines of the Job's Pods."""

    def change(state: State) -> None:
        answer = next(value for key, value in state.observations.items() if key.startswith("Http"))[0]
        ledger = json.loads(answer["text"])
        ledger["box"] = [{"begin": 0.1, "who": "other-3", "from": "10.244.1.250", "box": 3, "what": "given"}] * times
        answer["text"] = json.dumps(ledger)

    return change


def test_what_the_archive_had_no_room_for_is_unknown() -> None:
    verdict, cause, message = import_after(visited(24), "solution")
    assert (verdict, cause) == ("unknown", "not-observed")
    assert "other-3" in message


def test_what_is_not_in_a_ledger_that_has_room_was_not_done() -> None:
    assert import_after(visited(23), "solution")[:2] == ("failed", "job-without-work")


@pytest.mark.parametrize(
    ("action", "cause"), [("FailJob", "job-never-retried"), ("FailIndex", "job-never-retried"), ("Ignore", "")]
)
def test_a_job_that_was_made_anew_by_hand_and_its_rule_for_being_sent_away(action: str, cause: str) -> None:
    rule = {"action": action, "onExitCodes": {"operator": "In", "values": [75]}}
    found = import_after(
        lambda state: spec_of_import(state).update(podFailurePolicy={"rules": [rule]}), "tried-again-by-hand"
    )
    assert found[1] == cause
