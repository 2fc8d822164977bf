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
from checker.diagnosis.selectors import selects
from checker.diagnosis.storage import explain_claims, explain_volume_nodes
from checker.diagnosis.taints import untolerated
from checker.model.durations import TIME_FOR_POD_CONTROLLER, TIME_FOR_PROVISIONER
from checker.model.fault import Fault, Ref
from checker.model.quantity import quantity
from checker.model.spelling import nearest, nearest_labels
from checker.model.state import Object, State
from checker.model.verdict import fail


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
    if short and any("Insufficient" not in reason for reason in _filters(message)):
        fail("pod-unschedulable-together", pod, filters=_filters(message), message=message)
    if short == ["cpu"]:
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
        # The claims have no fault by now. The scheduler tries again once it knows their volumes.
        waits = state.age(pod.created) < TIME_FOR_PROVISIONER
        fail("pod-unschedulable-volume", pod, in_progress=waits, message=message)
    fail("pod-unschedulable", pod, message=message)


def _as_kubectl_writes(taint: dict[str, Any]) -> str:
    """A taint as `key=value:effect`."""
    return f"{taint['key']}{'=' + taint['value'] if taint.get('value') else ''}:{taint['effect']}"


def _allocatable(node: Object, resource: str) -> Decimal:
    return quantity((node.status.get("allocatable") or {}).get(resource, 0))


def _show(resource: str, amount: Decimal) -> str:
    """A quantity as Kubernetes writes it: cores of CPU, or GiB of memory and storage."""
    return f"{amount.normalize():f}" if resource == "cpu" else f"{amount / 1024**3:.1f}Gi"


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


# What the scheduler says of nodes that are closed to most Pods, and of those that the Pod's manifest rules out by name.
_CLOSED = re.compile(r"untolerated taint|were unschedulable|were not ready|node affinity/selector", re.I)


def _filters(message: str) -> list[str]:
    """The reasons for which the scheduler ruled out nodes that the Pod might have: `2 node(s) didn't match …`."""
    reasons = re.split(r",(?! that)\s+", message.partition("available: ")[2].rstrip("."))
    return [reason for reason in reasons if re.match(r"\d+ ", reason) and not _CLOSED.search(reason)]


def _closed_domains(state: State, pod: Object) -> list[str]:
    """The nodes that a spread over nodes counts, where no Pod of its own is, and whose taints keep this Pod out.

    By default (nodeTaintsPolicy: Ignore) such a node counts as one with no Pods, so no other node may have more than
    maxSkew of them.

    Source: https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/#node-inclusion-policies
    """
    found: list[str] = []
    if ((pod.spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ):
        return found  # it may leave these nodes out
    for rule in pod.spec.get("topologySpreadConstraints") or []:
        by_node = rule["topologyKey"] == "kubernetes.io/hostname" and rule.get("whenUnsatisfiable") != "ScheduleAnyway"
        if not by_node or rule.get("nodeTaintsPolicy") == "Honor" or not state.can_see("Node"):
            continue
        alike = [one for one in state.all("Pod", pod.namespace) if selects(rule.get("labelSelector"), one.labels)]
        taken = {one.spec.get("nodeName") for one in alike}
        wanted = pod.spec.get("nodeSelector") or {}
        found += [
            node.name
            for node in state.everywhere("Node")
            if wanted.items() <= node.labels.items()
            and node.name not in taken
            and untolerated(node, pod.spec.get("tolerations") or [])
        ]
    return sorted(set(found))


def _nearest_keys(state: State, keys: list[str]) -> list[str]:
    """The keys of the nodes' labels that are spelled almost like some topology keys."""
    known = sorted({key for node in state.everywhere("Node") for key in node.labels})
    return sorted({near for key in keys if (near := nearest(key, known, cutoff=0.85))})


def refine_unschedulable(state: State, pod: Object, fault: Fault) -> Fault | None:
    """The exact cause of an unschedulable Pod, from the scheduler's message; None where the message names none.

    Source: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/ and the scheduler's own messages.
    """
    message = words_of(fault)
    filters = _filters(message)
    if len(filters) > 1:
        return Fault("pod-unschedulable-together", Ref.of(pod), {"filters": filters, "message": message})
    device = re.search(r"Insufficient ([\w.-]+/[\w.-]+)", message)
    if device:
        return Fault("pod-unschedulable-device", Ref.of(pod), {"device": device[1], "message": message})
    if "free ports" in message:
        ports = [p["hostPort"] for c in pod.containers for p in c.get("ports") or [] if p.get("hostPort")]
        return Fault("host-port-taken", Ref.of(pod), {"ports": ports, "message": message}, form="host-port")
    if "topology spread" in message:
        rules = pod.spec.get("topologySpreadConstraints") or []
        keys = [rule["topologyKey"] for rule in rules if rule.get("whenUnsatisfiable") != "ScheduleAnyway"]
        missing = [key for key in keys if not any(key in node.labels for node in state.everywhere("Node"))]
        if missing and "missing required label" in message:
            own = {"keys": missing, "near": _nearest_keys(state, missing), "message": message}
            return Fault("pod-unschedulable-spread", Ref.of(pod), own, form="no-label")
        facts: dict[str, Any] = {"keys": keys, "message": message}
        closed = _closed_domains(state, pod)
        form = "closed-domain" if closed else ""
        return Fault("pod-unschedulable-spread", Ref.of(pod), {**facts, "nodes": closed}, form=form)
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
