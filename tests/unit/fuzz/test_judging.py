"""States as learners and their programs can make them: annotations, logs, answers of Pods and of the observer."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checker.grading.grade import judge
from checker.grading.labs import all_labs, load_lab
from checker.model.state import State
from checker.model.verdict import Result
from checker.recording.unread import NotRecorded, watched
from checker.ui.report import text_report
from cluster import paths
from tests.unit.fuzz import examples
from tests.unit.fuzz.junk import Place, anything, changed, places, texts

LABS = all_labs(drafts=True)
ANNOTATED = (
    "Deployment",
    "Pod",
    "Service",
    "ConfigMap",
    "Job",
    "CronJob",
    "PersistentVolumeClaim",
    "ReplicaSet",
    "Ingress",
)


@cache
def recorded(number: str, case: str) -> dict[str, Any]:
    """The State of a recording, as JSON has it."""
    (file,) = (paths.COURSE / "labs").glob(f"{number}-*/recorded/{case}.json")
    state: dict[str, Any] = json.loads(file.read_text())["state"]
    return state


def judged(number: str, state: dict[str, Any]) -> Result | None:
    """The verdicts; None where the graders read what a recording does not hold."""
    try:
        return judge(load_lab(number), watched(State.from_json(json.loads(json.dumps(state)))))
    except NotRecorded:
        return None


def always_a_word(result: Result) -> None:
    crashed = [str(task.fault.facts) for task in result.tasks if task.fault and task.cause == "checker-crashed"]
    assert not crashed
    assert all(task.message.strip() for task in result.tasks if task.verdict != "passed")
    text_report(result, why=True).encode()  # half of a surrogate pair could not be printed


WHOLE = ("Http", "NodePorts", "Traffic", "LiveTraffic", "CapstoneAnswers", "GuestbookAnswers", "Enforcement")
INSIDE = (
    *("DnsInside", "RedisAddress", "CpuStatInside", "OnLocalhost", "Inside", "Compared", "RedisData", "BackupFiles"),
    *("Matrix", "RedisEntries"),
)


def observed(state: dict[str, Any]) -> list[Place]:
    """The places of what the observer, and the learner's Pods, have answered.

    Of what was asked in Pods, the first key is the checker's own. What the API server and the engine say is not there.
    """
    found: list[Place] = []
    for key, answer in state["observations"].items():
        name = key.partition("(")[0]
        ways = [("observations", key, *way) for way in places(answer)]
        found += [way for way in ways if name in WHOLE or (name in INSIDE and len(way) > 3)]
    return found


@pytest.mark.parametrize("case", ["setup", "solution"])
@pytest.mark.parametrize("number", [number for number in LABS if observed(recorded(number, "solution"))])
def test_answers(number: str, case: str) -> None:
    begun = recorded(number, case)
    was = judged(number, begun)
    assert was

    @settings(max_examples=examples(4))
    @given(changed(begun, observed(begun)) if observed(begun) else st.just(begun))
    def check(state: dict[str, Any]) -> None:
        result = judged(number, state)
        if result:
            always_a_word(result)
            passed = {task.id for task in result.tasks if task.verdict == "passed"}
            assert case == "solution" or passed <= {task.id for task in was.tasks if task.verdict == "passed"}

    check()


ANNOTATIONS = (
    *("kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision"),
    *("kubectl.kubernetes.io/restartedAt", "batch.kubernetes.io/cronjob-scheduled-timestamp"),
    "kubernetes.io/ingress.class",
)


def texts_of(state: dict[str, Any]) -> list[Place]:
    """The places of texts that a learner can write: annotations, logs, messages of events, values of ConfigMaps.

    Every object gets the annotations.
    """
    found: list[Place] = [("logs", key) for key in state["logs"]]
    for kind, objects in state["objects"].items():
        for index, one in enumerate(objects):
            at = ("objects", kind, index)
            if kind in ANNOTATED:
                one["metadata"].setdefault("annotations", {})
                found += [(*at, "metadata", "annotations", name) for name in ANNOTATIONS]
            if kind == "Event":
                found += [(*at, "message")]
            if kind == "ConfigMap":
                found += [(*at, "data", key) for key in one.get("data") or {}]
    return found


@pytest.mark.parametrize("number", [number for number in LABS if number != "01"])
def test_texts(number: str) -> None:
    state = json.loads(json.dumps(recorded(number, "solution")))
    ways = texts_of(state)

    @settings(max_examples=examples(4))
    @given(changed(state, ways, texts | anything.map(json.dumps)))
    def check(made: dict[str, Any]) -> None:
        if result := judged(number, made):
            always_a_word(result)

    check()
