"""The chain of a HorizontalPodAutoscaler: its target exists → it can be scaled → there are metrics to go by.

Source: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
"""

from __future__ import annotations

from typing import Any

from checker.diagnosis.walking import walk
from checker.model.spelling import nearest
from checker.model.state import Object, State
from checker.model.verdict import fail


def walk_autoscaler(state: State, scaler: Object) -> None:
    """A HorizontalPodAutoscaler: its target exists → it can be scaled → there is something to go by.

    Source: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
    """
    target = scaler.spec.get("scaleTargetRef") or {}
    evidence: dict[str, Any] = {"object": scaler.ref, "look": f"kubectl describe hpa {scaler.name}"}
    kind, name = target.get("kind", ""), target.get("name", "")
    known = sorted(o.name for o in state.all(kind, scaler.namespace)) if kind in state.objects else []
    if kind in ("Deployment", "StatefulSet", "ReplicaSet") and name not in known:
        near = nearest(name, known, cutoff=0.6)
        fail(
            "autoscaler-target-missing", f"HorizontalPodAutoscaler {scaler.name} is to scale {kind} {name}, which does not exist."
            + (f" There is one called {near}." if near else ""),
            expected=f"{kind} {name}", observed=f"{kind} objects there: {', '.join(known) or 'none'}", **evidence,
        )  # fmt: skip
    found = state.find(kind, name, scaler.namespace) if kind in state.objects else None
    if found:
        walk(state, found)
    for condition, cause in (
        ("AbleToScale", "autoscaler-target-missing"),
        ("ScalingActive", "autoscaler-without-metrics"),
    ):
        told = scaler.condition(condition)
        if told.get("status") == "False" and told.get("reason") != "ScalingDisabled":
            fail(
                cause, f"HorizontalPodAutoscaler {scaler.name} cannot do its work: {told.get('reason')}. {told.get('message', '')}".strip(),
                expected=f"condition {condition} is True", observed=told.get("reason", ""), **evidence,
            )  # fmt: skip
