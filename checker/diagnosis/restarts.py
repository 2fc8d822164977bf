"""A container that runs at the moment, and has ended badly again and again."""

from __future__ import annotations

from typing import Any

from checker.diagnosis.containers import last_line
from checker.diagnosis.pod import explain_exit
from checker.model.spelling import counted
from checker.model.state import Object, State
from checker.model.verdict import Failed, fail

# A container that ended badly at least so often, and lately (seconds), is not well even while it runs.
OFTEN, LATELY = 2, 600
COMING_BACK = 120  # seconds after its node has come back in which a Pod may find things missing


def walk_restarts(state: State, pod: Object) -> None:
    """A container that runs at the moment, and has ended badly again and again."""
    for status in pod.container_statuses:
        ended = (status.get("lastState") or {}).get("terminated") or {}
        running = (status.get("state") or {}).get("running")
        if (
            not running
            or status.get("restartCount", 0) < OFTEN
            or not ended.get("finishedAt")
            or state.age(ended["finishedAt"]) > LATELY
            or _lost_with_its_node(ended)
            or _node_came_back(state, pod, ended["finishedAt"])
        ):
            continue
        if ended.get("exitCode") == 0 and pod.spec.get("restartPolicy") == "OnFailure":
            continue
        try:
            explain_exit(state, pod, status, ended)
        except Failed as fault:
            if fault.cause not in ("container-crashes", "container-ends"):
                raise
            said = last_line(state.logs.get(f"{pod.name}/{status['name']}", ""))
            fail(
                "container-restarts-often",
                f"Container {status['name']} of Pod {pod.name} runs at the moment, but has been started again "
                f"{counted(status['restartCount'], 'time')}; it ended last with exit code {ended.get('exitCode')} ({ended.get('reason', '')})."
                + (f" Its last words: {said}" if said else ""),
                expected="a process that keeps running", observed=f"{status['restartCount']} restarts, exit code {ended.get('exitCode')}",
                object=pod.ref, look=fault.look,
            )  # fmt: skip


def _lost_with_its_node(ended: dict[str, Any]) -> bool:
    """Whether nobody knows how a container ended: its node went down with it, or was stopped.

    containerd says so when it finds it dead at its own start (unknownExitReason and unknownExitCode in its
    internal/cri/server/helpers.go), the kubelet when it finds no trace of it.
    """
    return ended.get("reason") in ("Unknown", "ContainerStatusUnknown")


def _node_came_back(state: State, pod: Object, ended: str) -> bool:
    """Whether a container ended while its node was coming up again, when what it needs may not have been there yet.

    Told by the Pod's sandbox, which was made anew: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-has-network
    """
    made = pod.condition("PodReadyToStartContainers").get("lastTransitionTime")
    began = pod.status.get("startTime")
    if not made or not began:
        return False
    return state.age(began) - state.age(made) > COMING_BACK and state.age(made) - state.age(ended) < COMING_BACK
