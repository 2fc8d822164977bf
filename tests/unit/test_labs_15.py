"""Lab 15 on altered recordings: who changed the number of replicas."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from checker import recording
from checker.grading.grade import judge
from checker.grading.labs import load_lab, load_module

from .objects import obj

LAB = load_lab("15")
TASKS = load_module(LAB.folder, "tasks")


def scales_out(changes: list[tuple[float, int]], scaled: float, utilization: int) -> tuple[str, str]:
    """The verdict, and the form of its fault, on the solution with another history.

    changes: the replicas of the guestbook, each with its seconds before the check. scaled: seconds since the last
    change of the autoscaler. utilization: its last reading, in percent; the target is 50.
    """
    state, _ = recording.load(LAB.folder / "recorded" / "solution.json")
    now = state.now.timestamp()
    (scaler,) = state.all("HorizontalPodAutoscaler")
    guestbook = next(deployment for deployment in state.all("Deployment") if deployment.name == "guestbook")
    scaler.raw["metadata"]["creationTimestamp"] = at(now - 600)
    scaler.status["lastScaleTime"] = at(now - scaled)
    scaler.status["currentMetrics"][0]["resource"]["current"]["averageUtilization"] = utilization
    guestbook.spec["replicas"] = changes[-1][1]
    timeline = next(seen for seen in state.observations.values() if "replicas" in seen)
    timeline["replicas"][guestbook.uid]["changes"] = [[now - ago, replicas] for ago, replicas in [(700, 1), *changes]]
    verdict = next(task for task in judge(LAB, state).tasks if task.id == "scales-out")
    return verdict.verdict, verdict.fault.form if verdict.fault else ""


def at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    "changes, scaled, utilization, outcome",
    [
        ([(500, 2), (60, 4)], 60, 30, ("passed", "")),  # the autoscaler raised it
        ([(500, 2), (60, 4)], 500, 90, ("failed", "by-hand")),
        ([(500, 2), (60, 6), (57, 4)], 57, 5, ("unknown", "changed-since")),  # by hand, above the upper limit
        ([(500, 2), (60, 5), (58, 4)], 58, 90, ("passed", "")),  # the upper limit was corrected
        ([(500, 2), (400, 4), (60, 3)], 60, 45, ("passed", "")),  # fewer visitors, and still some
        ([(500, 2), (400, 4), (60, 2)], 60, 45, ("unknown", "changed-since")),  # the visitors have left
        ([(500, 2), (90, 4), (60, 3)], 60, 8, ("unknown", "changed-since")),
    ],
)
def test_who_added_the_replicas(
    changes: list[tuple[float, int]], scaled: float, utilization: int, outcome: tuple[str, str]
) -> None:
    assert scales_out(changes, scaled, utilization) == outcome


@pytest.mark.parametrize(
    "metrics, read, asked",
    [
        ([{"cpu": {"target": {"averageUtilization": 50}}}], [{"cpu": {"current": {"averageUtilization": 75}}}], 3.0),
        ([{"cpu": {"target": {"averageValue": "20m"}}}], [{"cpu": {"current": {"averageValue": "30m"}}}], 3.0),
        (
            [
                {"type": "Resource", "a": {"target": {"averageValue": 10}}},
                {"b": {"target": {"averageUtilization": 50}}},
            ],
            [{"type": ""}, {"b": {"current": {"averageUtilization": 100, "averageValue": "1"}}}],
            4.0,
        ),
        ([{"cpu": {"target": {"averageUtilization": 50}}}], None, 0.0),
        (None, None, 0.0),
    ],
)
def test_for_how_many_replicas_the_readings_ask(metrics: Any, read: Any, asked: float) -> None:
    scaler = obj("HorizontalPodAutoscaler", "guestbook", spec={"metrics": metrics}, status={"currentMetrics": read})
    assert TASKS.replicas_asked_for(scaler, obj("Deployment", "guestbook", spec={"replicas": 2})) == asked
