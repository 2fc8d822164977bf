"""A container that runs now, and has ended several times before."""

from __future__ import annotations

from typing import Any

from checker.diagnosis.complaints import complaint_of
from checker.diagnosis.containers import last_line, telling_end
from checker.diagnosis.pod import explain_exit
from checker.model.durations import (
    TIME_FOR_NODE_TO_COME_BACK,
    TIME_TO_FORGET_RESTARTS,
    TIME_TO_RECOVER_FROM_RESTARTS,
    TIME_TO_RECOVER_FROM_START,
)
from checker.model.state import Object, State
from checker.model.verdict import Failed, fail

# A running container that has ended at least this number of times is a fault, until TIME_TO_RECOVER_FROM_RESTARTS is
# over. One that has ended more often may also end at long intervals: it is a fault until it has run this number of
# times as long as it did on average.
OFTEN, OFTEN_AT_LONG_INTERVALS, TIMES_AS_LONG = 2, 3, 2
# A container that ended several times at the start of its Pod is well when it has run this number of times as long as
# that start took: what it waited for was not there yet. Where its last words say so, once as long is enough.
TIMES_THE_START = 3


def walk_restarts(state: State, pod: Object) -> None:
    """A container that runs now, and has ended several times before. Raises Failed with how it ended last."""
    for status in pod.container_statuses:
        ended = (status.get("lastState") or {}).get("terminated") or {}
        running = (status.get("state") or {}).get("running")
        if (
            not running
            or status.get("restartCount", 0) < OFTEN
            or not ended.get("finishedAt")
            or _is_over(state, pod, status, ended)
            or _lost_with_its_node(ended)
            or _node_came_back(state, pod, ended["finishedAt"])
        ):
            continue
        if ended.get("exitCode") == 0 and pod.spec.get("restartPolicy") == "OnFailure":
            continue
        try:
            explain_exit(state, pod, status, ended)
        except Failed as end:
            if end.fault.cause not in ("container-crashes", "container-ends"):
                raise
            log_line = last_line(state.log_if_read(pod.name, status["name"]) or "")
            fail(
                "container-restarts-often",
                pod,
                form="" if log_line else "without-output",
                container=status["name"],
                restarts=status["restartCount"],
                exit_code=ended.get("exitCode"),
                reason=ended.get("reason", ""),
                quote=log_line,
            )


def _is_over(state: State, pod: Object, status: dict[str, Any], ended: dict[str, Any]) -> bool:
    """Whether a container that has ended before is well now, by the time for which it has run since."""
    runs: float = state.age(ended["finishedAt"])
    restarts: int = status.get("restartCount", 0)
    began = pod.status.get("startTime") or pod.created
    before = state.age(began) - runs  # the time of all runs before, and between them
    if runs <= TIME_TO_RECOVER_FROM_RESTARTS:
        times = 1 if _ended_waiting(state, pod, status) else TIMES_THE_START
        return bool(status.get("ready")) and runs > max(times * before, TIME_TO_RECOVER_FROM_START)
    if restarts < OFTEN_AT_LONG_INTERVALS or runs > TIME_TO_FORGET_RESTARTS:
        return True
    return runs > TIMES_AS_LONG * before / restarts


def _ended_waiting(state: State, pod: Object, status: dict[str, Any]) -> bool:
    """Whether the last words of a container say that it did not reach another server: it may be there by now."""
    complaint = complaint_of(telling_end(state.log_if_read(pod.name, status["name"]) or ""))
    return complaint is not None and complaint.kind in ("name", "refused", "timeout")


def _lost_with_its_node(ended: dict[str, Any]) -> bool:
    """Whether it is not known how a container ended: its node went down with it, or was stopped.

    containerd reports this when it finds the container dead at its own start (unknownExitReason and unknownExitCode
    in its internal/cri/server/helpers.go), and the kubelet when it finds no trace of the container.
    """
    return ended.get("reason") in ("Unknown", "ContainerStatusUnknown")


def _node_came_back(state: State, pod: Object, ended: str) -> bool:
    """Whether a container ended while its node was starting again, when the things that it needs may have been
    missing.

    The sign is that the Pod's sandbox was created again:
    https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-has-network
    """
    made = pod.condition("PodReadyToStartContainers").get("lastTransitionTime")
    began = pod.status.get("startTime")
    if not made or not began:
        return False
    return (
        state.age(began) - state.age(made) > TIME_FOR_NODE_TO_COME_BACK
        and state.age(made) - state.age(ended) < TIME_FOR_NODE_TO_COME_BACK
    )
