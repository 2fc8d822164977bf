"""Why a Pod has no node: the scheduler's filters, in its own order of sense.

Source: https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, NoReturn

from checker.diagnosis.component_words import words_of
from checker.diagnosis.node import fail_if_all_closed
from checker.diagnosis.resources import explain_many_cpus
from checker.diagnosis.storage import explain_claims, explain_volume_nodes
from checker.diagnosis.taints import untolerated
from checker.model.durations import TIME_FOR_POD_CONTROLLER
from checker.model.fault import Fault, Ref
from checker.model.quantity import quantity
from checker.model.spelling import nearest_labels, pairs
from checker.model.state import Object, State
from checker.model.verdict import fail


def explain_unscheduled(state: State, pod: Object) -> NoReturn:
    """Raise Failed with the first filter that leaves no node, for a Pod that has none."""
    explain_claims(state, pod)
    condition = pod.condition("PodScheduled")
    evidence: dict[str, Any] = {"object": pod.ref, "look": f"kubectl describe pod {pod.name}"}
    if condition.get("reason") != "Unschedulable":
        reason = condition.get("reason", "the scheduler has not looked at it yet")
        fail("pod-not-scheduled-yet", f"Pod {pod.name} has no node yet: {reason}.", pending=True, **evidence)
    message = condition.get("message", "").split(" preemption:", 1)[0].rstrip(".")
    nodes = state.everywhere("Node")

    selector = pod.spec.get("nodeSelector") or {}
    fitting = [node for node in nodes if selector.items() <= node.labels.items()]
    if selector and not fitting:
        near = nearest_labels(selector, (node.labels for node in nodes))
        own = {k: v for k, v in (near or {}).items() if k in selector or v in selector.values()}
        fail(
            "pod-unschedulable-selector",
            f"Pod {pod.name} wants a node with {pairs(selector)}, and no node has that."
            + (f" The nearest is a node with {pairs(own)}." if own else ""),
            expected=f"a node with {pairs(selector)}", observed=message, **evidence,
        )  # fmt: skip

    tolerated = [node for node in fitting if not untolerated(node, pod.spec.get("tolerations") or [])]
    explain_volume_nodes(state, pod, tolerated)
    if fitting and not tolerated:
        tolerations = pod.spec.get("tolerations") or []
        keeping = {node.name: [t["key"] for t in untolerated(node, tolerations)] for node in fitting}
        fail_if_all_closed(state, pod, fitting, keeping)
        taints = sorted({_words(t) for node in fitting for t in untolerated(node, pod.spec.get("tolerations") or [])})
        fail(
            "pod-unschedulable-taint",
            f"Every node that Pod {pod.name} could go to has a taint that it does not tolerate: {', '.join(taints)}.",
            expected="a toleration, or a node without the taint", observed=message, **evidence,
        )  # fmt: skip

    short = [name for name in ("cpu", "memory", "ephemeral-storage") if f"Insufficient {name}" in message]
    if "cpu" in short:
        explain_many_cpus(pod, max((_allocatable(node, "cpu") for node in tolerated), default=Decimal(0)))
    if short:
        asked = [f"{_show(name, pod.requested(name))} {name}" for name in short]
        largest = [f"{_show(name, max((_allocatable(node, name) for node in tolerated), default=Decimal(0)))} {name}"
                   for name in short]  # fmt: skip
        fail(
            "pod-unschedulable-resources",
            f"Pod {pod.name} requests {' and '.join(asked)}, and no node has that much free. "
            f"The largest node offers {' and '.join(largest)} in all.",
            expected=f"a node with {' and '.join(asked)} free", observed=message, **evidence,
        )  # fmt: skip
    if "PersistentVolumeClaim" in message or "persistentvolumeclaim" in message:
        fail(
            "pod-unschedulable-volume", f"Pod {pod.name} waits for its volume: {message}", observed=message, **evidence
        )
    fail("pod-unschedulable", f"No node can take Pod {pod.name}: {message}", observed=message, **evidence)


def _words(taint: dict[str, Any]) -> str:
    return f"{taint['key']}{'=' + taint['value'] if taint.get('value') else ''}:{taint['effect']}"


def _allocatable(node: Object, resource: str) -> Decimal:
    return quantity((node.status.get("allocatable") or {}).get(resource, 0))


def _show(resource: str, amount: Decimal) -> str:
    return f"{amount.normalize():f}" if resource == "cpu" else f"{amount / 1024**3:.1f} Gi"


def refine_not_scheduled_yet(state: State, pod: Object, fault: Fault) -> Fault | None:
    """Source: https://kubernetes.io/docs/concepts/scheduling-eviction/pod-scheduling-readiness/"""
    if state.age(pod.created) <= TIME_FOR_POD_CONTROLLER:
        return None
    gates = [gate["name"] for gate in pod.spec.get("schedulingGates") or []]
    if gates:
        return Fault("pod-scheduling-gated", Ref.of(pod), {"gates": gates})
    scheduler = pod.spec.get("schedulerName", "default-scheduler")
    if scheduler != "default-scheduler" and not pod.condition("PodScheduled"):
        return Fault("scheduler-missing", Ref.of(pod), {"scheduler": scheduler})
    return None


def _selector(term: dict[str, Any]) -> str:
    """A node selector term as kubectl writes set-based selectors: `disktype in (ssd,nvme),!spot`.

    Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#set-based-requirement
    """

    def written(expression: dict[str, Any]) -> str:
        key, values = expression["key"], ",".join(expression.get("values") or [])
        known: dict[str, str] = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
            "Gt": f"{key}>{values}",
            "Lt": f"{key}<{values}",
        }
        return known.get(expression["operator"], f"{key} {expression['operator']} ({values})")

    return ",".join(map(written, [*(term.get("matchExpressions") or []), *(term.get("matchFields") or [])]))


def refine_unschedulable(state: State, pod: Object, fault: Fault) -> Fault | None:
    """Source: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/ and the scheduler's own messages."""
    message = words_of(fault)
    device = re.search(r"Insufficient ([\w.-]+/[\w.-]+)", message)
    if device:
        return Fault("pod-unschedulable-device", Ref.of(pod), {"device": device[1], "message": message})
    if "free ports" in message:
        ports = [p["hostPort"] for c in pod.containers for p in c.get("ports") or [] if p.get("hostPort")]
        return Fault("host-port-taken", Ref.of(pod), {"ports": ports, "message": message}, form="host-port")
    if "topology spread" in message:
        rules = pod.spec.get("topologySpreadConstraints") or []
        keys = [rule["topologyKey"] for rule in rules if rule.get("whenUnsatisfiable") != "ScheduleAnyway"]
        return Fault("pod-unschedulable-spread", Ref.of(pod), {"keys": keys, "message": message})
    if "anti-affinity" in message:
        return Fault("pod-unschedulable-pod-affinity", Ref.of(pod), {"message": message}, form="anti-affinity")
    if "pod affinity" in message:
        return Fault("pod-unschedulable-pod-affinity", Ref.of(pod), {"message": message}, form="affinity")
    node_affinity = (pod.spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = (node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms")
    if required and "affinity/selector" in message:
        terms = [_selector(term) for term in required]
        return Fault("pod-unschedulable-affinity", Ref.of(pod), {"terms": terms, "message": message})
    return None
