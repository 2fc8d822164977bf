"""Why a Pod has no node: the scheduler's filters, in its own order of sense.

Source: https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, NoReturn

from checker.diagnosis.containers import describe
from checker.diagnosis.node import fail_if_all_closed
from checker.diagnosis.resources import explain_many_cpus
from checker.diagnosis.storage import explain_claims, explain_volume_nodes
from checker.diagnosis.taints import untolerated
from checker.model.durations import TIME_FOR_POD_CONTROLLER
from checker.model.quantity import quantity
from checker.model.spelling import nearest_labels
from checker.model.state import Object, State
from checker.model.verdict import Failed, NotPassed, fail


def explain_unscheduled(state: State, pod: Object) -> NoReturn:
    """Raise Failed with the first filter that leaves no node, for a Pod that has none."""
    explain_claims(state, pod)
    condition = pod.condition("PodScheduled")
    if condition.get("reason") != "Unschedulable":
        fail("pod-not-scheduled-yet", pod, in_progress=True, reason=condition.get("reason", ""))
    message = condition.get("message", "").split(" preemption:", 1)[0].rstrip(".")
    if "Node" in state.unlisted:  # what the scheduler says is known all the same
        fail("pod-unschedulable", pod, form="nodes-not-listed", message=message, why=state.unlisted["Node"])
    nodes = state.everywhere("Node")

    selector = pod.spec.get("nodeSelector") or {}
    fitting = [node for node in nodes if selector.items() <= node.labels.items()]
    if selector and not fitting:
        near = nearest_labels(selector, (node.labels for node in nodes))
        own = {k: v for k, v in (near or {}).items() if k in selector or v in selector.values()}
        fail("pod-unschedulable-selector", pod, selector=selector, near=own, message=message)

    tolerated = [node for node in fitting if not untolerated(node, pod.spec.get("tolerations") or [])]
    explain_volume_nodes(state, pod, tolerated)
    if fitting and not tolerated:
        tolerations = pod.spec.get("tolerations") or []
        keeping = {node.name: [t["key"] for t in untolerated(node, tolerations)] for node in fitting}
        fail_if_all_closed(state, pod, fitting, keeping)
        taints = sorted({_as_kubectl_writes(t) for node in fitting for t in untolerated(node, tolerations)})
        fail("pod-unschedulable-taint", pod, taints=taints, message=message)

    short = [name for name in ("cpu", "memory", "ephemeral-storage") if f"Insufficient {name}" in message]
    if "cpu" in short:
        explain_many_cpus(pod, max((_allocatable(node, "cpu") for node in tolerated), default=Decimal(0)))
    if short:
        largest = {name: max((_allocatable(node, name) for node in tolerated), default=Decimal(0)) for name in short}
        fail(
            "pod-unschedulable-resources",
            pod,
            requested=[f"{_show(name, pod.requested(name))} {name}" for name in short],
            largest=[f"{_show(name, amount)} {name}" for name, amount in largest.items()],
            message=message,
        )
    if "PersistentVolumeClaim" in message or "persistentvolumeclaim" in message:
        fail("pod-unschedulable-volume", pod, message=message)
    fail("pod-unschedulable", pod, message=message)


def _as_kubectl_writes(taint: dict[str, Any]) -> str:
    """A taint as `key=value:effect`."""
    return f"{taint['key']}{'=' + taint['value'] if taint.get('value') else ''}:{taint['effect']}"


def _allocatable(node: Object, resource: str) -> Decimal:
    return quantity((node.status.get("allocatable") or {}).get(resource, 0))


def _show(resource: str, amount: Decimal) -> str:
    """A quantity as Kubernetes writes it: cores of CPU, or GiB of memory and storage."""
    return f"{amount.normalize():f}" if resource == "cpu" else f"{amount / 1024**3:.1f}Gi"


def refine_not_scheduled_yet(state: State, pod: Object, fault: NotPassed) -> NotPassed | None:
    """Source: https://kubernetes.io/docs/concepts/scheduling-eviction/pod-scheduling-readiness/"""
    gates = [gate["name"] for gate in pod.spec.get("schedulingGates") or []]
    if gates and state.age(pod.created) > TIME_FOR_POD_CONTROLLER:
        return Failed(
            "pod-scheduling-gated",
            f"Pod {pod.name} is held back by a scheduling gate that nobody has taken away: {', '.join(gates)}.",
            expected="no scheduling gates", observed=", ".join(gates), object=pod.ref, look=describe(pod),
        )  # fmt: skip
    scheduler = pod.spec.get("schedulerName", "default-scheduler")
    if (
        scheduler != "default-scheduler"
        and not pod.condition("PodScheduled")
        and state.age(pod.created) > TIME_FOR_POD_CONTROLLER
    ):
        return Failed(
            "scheduler-missing",
            f"Pod {pod.name} waits for a scheduler called {scheduler}, and none of that name has looked at it.",
            expected=f"a scheduler {scheduler}", observed="no scheduler has looked at the Pod", object=pod.ref,
            look=f"kubectl get pod {pod.name} -o jsonpath={{.spec.schedulerName}}",
        )  # fmt: skip
    return None


_OPERATORS = {
    "In": "is",
    "NotIn": "is not",
    "Exists": "is there",
    "DoesNotExist": "is not there",
    "Gt": "is over",
    "Lt": "is under",
}


def _expressions(terms: list[dict[str, Any]]) -> str:
    """Node selector terms in words: any term, every expression of it."""

    def words(expression: dict[str, Any]) -> str:
        operator = _OPERATORS.get(expression["operator"], expression["operator"])
        return f"{expression['key']} {operator} {' or '.join(expression.get('values') or [])}".strip()

    return " or ".join(
        " and ".join(map(words, [*(term.get("matchExpressions") or []), *(term.get("matchFields") or [])]))
        for term in terms
    )


def refine_unschedulable(state: State, pod: Object, fault: NotPassed) -> NotPassed | None:
    """Source: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/ and the scheduler's own messages."""
    message = fault.facts["message"]
    evidence: dict[str, Any] = {"observed": message, "object": pod.ref, "look": describe(pod)}
    device = re.search(r"Insufficient ([\w.-]+/[\w.-]+)", message)
    if device:
        return Failed(
            "pod-unschedulable-device", f"Pod {pod.name} asks for {device[1]}, and no node has any left to offer.",
            expected=f"a node that offers {device[1]}", **evidence,
        )  # fmt: skip
    if "free ports" in message:
        ports = [str(p["hostPort"]) for c in pod.containers for p in c.get("ports") or [] if p.get("hostPort")]
        return Failed(
            "host-port-taken",
            f"Pod {pod.name} wants port {', '.join(ports)} of a node for itself, and another Pod has it on every node that it could go to.",
            expected=f"a node whose port {', '.join(ports)} is free", **evidence,
        )  # fmt: skip
    if "topology spread" in message:
        rules = pod.spec.get("topologySpreadConstraints") or []
        keys = ", ".join(rule["topologyKey"] for rule in rules if rule.get("whenUnsatisfiable") != "ScheduleAnyway")
        return Failed(
            "pod-unschedulable-spread", f"No node would keep Pod {pod.name} spread as it asks (over {keys}).",
            expected=f"a node on which the spread over {keys} is kept", **evidence,
        )  # fmt: skip
    if "anti-affinity" in message or "pod affinity" in message:
        which = "wants to be away from" if "anti-affinity" in message else "wants to be beside"
        return Failed(
            "pod-unschedulable-pod-affinity", f"Pod {pod.name} {which} certain other Pods, and no node is left on which it would be.",
            expected="a node on which its rules about other Pods hold", **evidence,
        )  # fmt: skip
    node_affinity = (pod.spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = (node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms")
    if required and "affinity/selector" in message:
        return Failed(
            "pod-unschedulable-affinity",
            f"Pod {pod.name} may go only to a node where {_expressions(required)}, and none that would take it is such a node.",
            expected=f"a node where {_expressions(required)}", **{**evidence, "look": "kubectl get nodes --show-labels"},
        )  # fmt: skip
    return None
