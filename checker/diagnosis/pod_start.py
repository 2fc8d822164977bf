"""Why a Pod does not start on its node, or was ended there.

Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

import re
from typing import Any

from checker.diagnosis.containers import describe
from checker.model.durations import TIME_FOR_POD_START
from checker.model.state import Object, State
from checker.model.verdict import Failed, NotPassed

_REJECTIONS = ("NodeAffinity", "NodePorts", "NodeName", "NodeUnschedulable", "UnexpectedAdmissionError", "Taint",
               "TopologyAffinityError", "PodOSNotSupported", "PodOSSelectorNodeLabelDoesNotMatch", "AppArmor")  # fmt: skip
_CANNOT_START = ("FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox", "FailedCreatePodContainer",
                 "FailedPodSandBoxStatus", "NetworkNotReady", "FailedPrepareDynamicResources")  # fmt: skip


def refine_evicted(state: State, pod: Object, fault: NotPassed) -> NotPassed | None:
    """Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ (phase Failed, and its reasons)"""
    reason, message = pod.status.get("reason", ""), pod.status.get("message", "")
    evidence: dict[str, Any] = {
        "observed": f"{reason}: {message}".rstrip(": "),
        "object": pod.ref,
        "look": describe(pod),
    }
    if reason == "DeadlineExceeded":
        seconds = pod.spec.get("activeDeadlineSeconds")
        return Failed(
            "pod-deadline-exceeded", f"Pod {pod.name} was ended because it was given {seconds} s and was not done by then.",
            expected=f"done within {seconds} s", **evidence,
        )  # fmt: skip
    if reason in _REJECTIONS or reason.startswith("OutOf"):
        return Failed(
            "pod-rejected-by-node",
            f"Node {pod.spec.get('nodeName')} refuses Pod {pod.name}, which was put there without the scheduler: {message or reason}",
            expected="a node that takes the Pod", **evidence,
        )  # fmt: skip
    return None


def refine_starting(state: State, pod: Object, fault: NotPassed) -> NotPassed | None:
    """A Pod that has a node and does not get on: a hook fails; or its events say what fails over and over."""
    hook = explain_post_start_hook(state, pod, fault)
    if hook:
        return hook
    troubles = [e for e in state.events(pod) if e.get("reason") in _CANNOT_START]
    if troubles and state.age(pod.created) > TIME_FOR_POD_START:
        told = re.sub(r"\s+", " ", troubles[0].get("message", ""))[:300]
        return Failed(
            "pod-stuck-starting", f"Pod {pod.name} does not get on with starting: {troubles[0]['reason']}. {told}",
            expected="containers are started", observed=told, object=pod.ref, look=describe(pod),
        )  # fmt: skip
    return None


def explain_post_start_hook(state: State, pod: Object, fault: NotPassed) -> NotPassed | None:
    """Source: https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/"""
    failed = state.events(pod, "FailedPostStartHook")
    hooks = [c for c in pod.containers if (c.get("lifecycle") or {}).get("postStart")]
    # The event may come late, or be gone: but who else kills a container that has no liveness probe, and room enough?
    killed = [c for c in hooks if not c.get("livenessProbe") and _killed(pod, c["name"])]
    if not hooks or not (failed or killed):
        return None
    command = " ".join(((hooks[0]["lifecycle"]["postStart"].get("exec")) or {}).get("command") or []) or "its request"
    told = re.sub(r"\s+", " ", failed[0].get("message", ""))[:250] if failed else "the container was killed"
    return Failed(
        "post-start-hook-fails",
        f"Container {hooks[0]['name']} of Pod {pod.name} is ended again each time because its postStart hook ({command}) fails: {told}",
        expected="a postStart hook that succeeds", observed=told, object=pod.ref, look=describe(pod),
    )  # fmt: skip


def _killed(pod: Object, name: str) -> bool:
    """Whether a container's last run was ended by a signal."""
    status: dict[str, Any] = next((s for s in pod.status.get("containerStatuses") or [] if s["name"] == name), {})
    ends = [((status.get(when) or {}).get("terminated") or {}).get("exitCode") for when in ("state", "lastState")]
    return 137 in ends or 143 in ends
