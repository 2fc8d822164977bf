"""The chain of a HorizontalPodAutoscaler: its target exists → it can be scaled → the metrics are there.

Source: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
"""

from __future__ import annotations

import re
from typing import Any

from checker.diagnosis.walking import walk
from checker.model.spelling import nearest
from checker.model.state import Object, State
from checker.model.verdict import fail

# failed to get cpu utilization: missing request for cpu in container app of Pod web-abc
_MISSING_REQUEST = re.compile(r"missing request for (\S+?)(?: in container (\S+))?(?: of Pod|\s*$)")

# failed to get cpu utilization: container app not present in metrics for pod learn/web-abc, or, without such a
# container in the Pod's spec: container app is not present in pod learn/web-abc
_NO_CONTAINER = re.compile(r"container (\S+) (?:is )?not present in ")


def walk_autoscaler(state: State, scaler: Object) -> None:
    """Walk the chain of a HorizontalPodAutoscaler (see the module's text). Raises Failed with the first broken link."""
    target = scaler.spec.get("scaleTargetRef") or {}
    kind, name = target.get("kind", ""), target.get("name", "")
    known = sorted(o.name for o in state.all(kind, scaler.namespace)) if kind in state.objects else []
    if kind in ("Deployment", "StatefulSet", "ReplicaSet") and name not in known:
        near = nearest(name, known, cutoff=0.6)
        fail("autoscaler-target-missing", scaler, target_kind=kind, target=name, near=near, known=known)
    found = state.find(kind, name, scaler.namespace) if kind in state.objects else None
    others = [
        other.name
        for other in state.all("HorizontalPodAutoscaler", scaler.namespace)
        if other.uid != scaler.uid and _target(other) == _target(scaler)
    ]
    if others:
        scalers = sorted([scaler.name, *others])
        message = (
            scaler.condition("ScalingActive").get("message", "") if _is_false(scaler.condition("ScalingActive")) else ""
        )
        fail("autoscalers-share-target", scaler, scalers=scalers, target_kind=kind, target=name, quote=message)
    if found:
        walk(state, found)
    able, active = scaler.condition("AbleToScale"), scaler.condition("ScalingActive")
    if _is_false(able):
        reason, message = able.get("reason", ""), able.get("message", "")
        fail("autoscaler-target-missing", scaler, form="condition", reason=reason, quote=message)
    if _is_false(active):
        reason, message = active.get("reason", ""), active.get("message", "")
        lacking = _MISSING_REQUEST.search(message)
        if lacking:
            facts = {"resource": lacking[1], "container": lacking[2], "target_kind": kind, "target": name}
            fail("autoscaler-without-request", scaler, quote=message, **facts)
        _explain_container(state, scaler, found, message)
        fail("autoscaler-without-metrics", scaler, reason=reason, quote=message)


def _explain_container(state: State, scaler: Object, target: Object | None, message: str) -> None:
    """Raise Failed where the autoscaler measures a container that its target's Pods do not have.

    Source: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#container-resource-metrics
    """
    spec = ((target.spec.get("template") or {}).get("spec") or {}) if target else {}
    names = [one["name"] for one in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]]
    measured = [
        metric["containerResource"]["container"]
        for metric in scaler.spec.get("metrics") or []
        if metric.get("containerResource")
    ]
    lacking = _NO_CONTAINER.search(message)
    wrong = next((name for name in measured if names and name not in names), "")
    if target and wrong and (not lacking or lacking[1] == wrong):
        facts = {"container": wrong, "containers": names, "near": nearest(wrong, names)}
        kind, name = target.kind, target.name
        fail("autoscaler-container-unknown", scaler, target_kind=kind, target=name, quote=message, **facts)


def _target(scaler: Object) -> tuple[str, str]:
    target = scaler.spec.get("scaleTargetRef") or {}
    return target.get("kind", ""), target.get("name", "")


def _is_false(condition: dict[str, Any]) -> bool:
    """Whether a condition is False, and not because scaling was disabled (by 0 replicas)."""
    return condition.get("status") == "False" and condition.get("reason") != "ScalingDisabled"
