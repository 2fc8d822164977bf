"""Why a Pod does not start on its node, or was ended there.

Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from typing import Any

from checker.diagnosis.component_words import in_one_line
from checker.model.durations import TIME_FOR_HOOK, TIME_FOR_MOUNT_RETRY, TIME_FOR_POD_START
from checker.model.fault import Fault, Ref
from checker.model.state import Object, State

_REJECTIONS = (
    "NodeAffinity",
    "NodePorts",
    "NodeName",
    "NodeUnschedulable",
    "UnexpectedAdmissionError",
    "Taint",
    "TopologyAffinityError",
    "PodOSNotSupported",
    "PodOSSelectorNodeLabelDoesNotMatch",
    "AppArmor",
)
_CANNOT_START = (
    "FailedMount",
    "FailedAttachVolume",
    "FailedMapVolume",
    "FailedCreatePodSandBox",
    "FailedCreatePodContainer",
    "FailedPodSandBoxStatus",
    "NetworkNotReady",
    "FailedPrepareDynamicResources",
)


def refine_evicted(state: State, pod: Object, fault: Fault) -> Fault | None:
    """Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ (phase Failed, and its reasons)"""
    reason, message = pod.status.get("reason", ""), pod.status.get("message", "")
    if reason == "DeadlineExceeded":
        seconds = pod.spec.get("activeDeadlineSeconds")
        return Fault("pod-deadline-exceeded", Ref.of(pod), {"seconds": seconds, "reason": reason, "message": message})
    if reason in _REJECTIONS or reason.startswith("OutOf"):
        node = pod.spec.get("nodeName", "")
        return Fault("pod-rejected-by-node", Ref.of(pod), {"node": node, "reason": reason, "message": message})
    return None


def refine_starting(state: State, pod: Object, fault: Fault) -> Fault | None:
    """A Pod that has a node and does not start: its postStart hook fails, or events tell what fails again and again."""
    hook = explain_post_start_hook(state, pod)
    if hook:
        return hook
    if any("running" in (status.get("state") or {}) for status in pod.container_statuses):
        return None  # the volumes are mounted and the sandbox is there: what the events tell of is over
    if _is_retried(fault):
        return None
    troubles = [e for e in state.events(pod) if e.get("reason") in _CANNOT_START and not _may_be_over(state, pod, e)]
    if troubles and state.age(pod.created) > TIME_FOR_POD_START:
        message = in_one_line(troubles[0].get("message", ""), 300)
        return Fault("pod-stuck-starting", Ref.of(pod), {"reason": troubles[0]["reason"], "message": message})
    return None


def _may_be_over(state: State, pod: Object, event: dict[str, Any]) -> bool:
    """Whether a mount failed only once so far, and the Pod is young: the kubelet tries again.

    A kubelet that has only just been given a Pod may not yet be allowed to read its claims.
    """
    once = event.get("reason") == "FailedMount" and event.get("count") == 1
    return bool(once and state.age(pod.created) < TIME_FOR_MOUNT_RETRY)


def _is_retried(fault: Fault) -> bool:
    """Whether the chain knows that the kubelet's next try will succeed: what was missing (a ConfigMap) exists now."""
    return "message" in fault.facts


def explain_post_start_hook(state: State, pod: Object) -> Fault | None:
    """The fault of a container whose postStart hook fails; None where no hook does.

    Source: https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/
    """
    failed = state.events(pod, "FailedPostStartHook")
    hooks = [c for c in pod.containers if (c.get("lifecycle") or {}).get("postStart")]
    # The event may come late, or be gone. But nothing else kills a container without a liveness probe and with enough
    # memory.
    killed = [c for c in hooks if not c.get("livenessProbe") and _killed(pod, c["name"])]
    if not hooks or not (failed or killed):
        return _explain_hook_without_end(state, pod, hooks)
    command = ((hooks[0]["lifecycle"]["postStart"].get("exec")) or {}).get("command") or []
    message = in_one_line(failed[0].get("message", ""), 250) if failed else ""
    return Fault(
        "post-start-hook-fails",
        Ref.of(pod),
        {"container": hooks[0]["name"], "command": " ".join(command), "message": message},
    )


def _explain_hook_without_end(state: State, pod: Object, hooks: list[dict[str, Any]]) -> Fault | None:
    """The fault of a container that the kubelet does not call started, as its postStart hook goes on.

    The kubelet's event says that it has started the container. The container's status does not say so yet.
    """
    waiting = {
        status["name"]
        for status in pod.status.get("containerStatuses") or []
        if ((status.get("state") or {}).get("waiting") or {}).get("reason") in ("ContainerCreating", "PodInitializing")
    }
    started = state.events(pod, "Started")
    for hook in hooks:
        if hook["name"] not in waiting or not started or not started[0].get("lastTimestamp"):
            continue
        seconds = round(state.age(started[0]["lastTimestamp"]))
        if seconds > TIME_FOR_HOOK and len(pod.containers) == 1:
            command = ((hook["lifecycle"]["postStart"].get("exec")) or {}).get("command") or []
            facts = {"container": hook["name"], "command": " ".join(command), "seconds": seconds, "message": ""}
            return Fault("post-start-hook-fails", Ref.of(pod), facts, form="hangs")
    return None


def _killed(pod: Object, name: str) -> bool:
    """Whether a container's last run was ended by a signal."""
    status: dict[str, Any] = next((s for s in pod.status.get("containerStatuses") or [] if s["name"] == name), {})
    ends = [((status.get(when) or {}).get("terminated") or {}).get("exitCode") for when in ("state", "lastState")]
    return 137 in ends or 143 in ends
