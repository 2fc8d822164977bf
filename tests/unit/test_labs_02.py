"""Lab 02 on altered recordings: what no case can produce at the right moment, or without disturbing others."""

from __future__ import annotations

from datetime import timedelta

import pytest

from checker import recording
from checker.grading.grade import judge
from checker.grading.labs import load_lab
from checker.model.state import Object
from checker.sdk import State

LAB = load_lab("02")


def recorded(case: str = "solution") -> State:
    return recording.load(LAB.folder / "recorded" / f"{case}.json")[0]


def verdicts(state: State) -> dict[str, str]:
    return {task.id: task.cause or task.verdict for task in judge(LAB, state).tasks}


def without(state: State, *pods: str) -> State:
    state.objects["Pod"] = [pod for pod in state.all("Pod") if pod.name not in pods]
    return state


def found(state: State, name: str) -> Object:
    pod = state.find("Pod", name)
    assert pod
    return pod


def test_a_taint_makes_the_lab_no_easier() -> None:
    state = recorded()
    heavy = found(state, "heavy").spec["nodeName"]
    tainted = next(n for n in state.everywhere("Node") if not n.spec.get("taints") and n.name != heavy)
    tainted.spec["taints"] = [{"key": "mine", "effect": "NoSchedule"}]
    assert verdicts(state) == {"survey": "too-few-workers", "on-every-worker": "too-few-workers", "reserved": "passed"}
    state.objects["Pod"] = []
    assert verdicts(state)["survey"] == "object-missing"


def test_the_pods_of_the_other_tasks_do_not_count() -> None:
    state = recorded()
    first, second = (pod.name for pod in state.all("Pod") if pod.name.startswith("on-"))
    state.now += timedelta(seconds=60)  # long after their start, however soon after that they were recorded
    assert verdicts(without(state, "heavy", "survey"))["on-every-worker"] == "passed"
    state = recorded()
    state.now += timedelta(seconds=60)
    assert verdicts(without(state, first))["on-every-worker"] == "node-without-pod"
    assert verdicts(without(state, second))["on-every-worker"] == "object-missing"


def test_what_keeps_the_pods_of_a_workload_away_is_named() -> None:
    state = without(recorded("daemon-set"), "everywhere-pod1", "everywhere-pod2", "everywhere-pod3")
    assert verdicts(state)["on-every-worker"] == "rollout-in-progress"
    state.objects["DaemonSet"] = []
    assert verdicts(state)["on-every-worker"] == "object-missing"
    state = recorded("other-image")
    found(state, "heavy").containers[0]["image"] = "guestbook:v1"
    assert verdicts(state) == {"survey": "passed", "on-every-worker": "wrong-image", "reserved": "passed"}


def test_a_pod_that_runs_until_it_fails_again_does_not_count() -> None:
    state = recorded()
    other = next(pod for pod in state.all("Pod") if pod.name.startswith("on-"))
    status = other.status["containerStatuses"][0]
    at = other.metadata["creationTimestamp"]
    status["lastState"] = {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": at, "finishedAt": at}}
    status["restartCount"], status["state"] = 3, {"running": {"startedAt": at}}
    assert other.is_ready
    assert verdicts(state)["on-every-worker"] == "container-crashes"
    state.now += timedelta(seconds=20)
    assert verdicts(state)["on-every-worker"] == "container-restarts-often"


def test_what_a_pod_requested_is_given_back_when_it_has_ended() -> None:
    state = recorded()
    found(state, "heavy").status["phase"] = "Succeeded"
    assert verdicts(state)["reserved"] == "container-ends"


@pytest.mark.parametrize(
    "spelling, verdict", [("2", "passed"), ("2000m", "passed"), ("2.0", "passed"), ("2k", "value-wrong")]
)
def test_every_spelling_of_the_same_quantity_is_right(spelling: str, verdict: str) -> None:
    state = recorded()
    assert {node.status["allocatable"]["cpu"] for node in state.everywhere("Node")} == {"2"}
    found(state, "survey").labels["cpu"] = spelling
    assert verdicts(state)["survey"] == verdict
