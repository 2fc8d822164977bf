"""The chain of a node: its kubelet reports → the node is ready → not under pressure → not cordoned.

And what a lost node means for its Pods: their status is the last that the kubelet reported before it fell silent.

Sources: https://kubernetes.io/docs/reference/node/node-status/ and https://kubernetes.io/docs/concepts/architecture/nodes/
"""

from __future__ import annotations

from typing import NoReturn

from checker.model.durations import TIME_FOR_POD_START
from checker.model.spelling import nearest
from checker.model.state import Object, State
from checker.model.verdict import fail, unknown

PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")
# Taints that say how a node is at the moment, and not whom it is meant for:
# https://kubernetes.io/docs/reference/labels-annotations-taints/
OF_THE_MOMENT = "node.kubernetes.io/"


def is_ready(node: Object) -> bool:
    """Whether a node's kubelet says that it is well, and is still heard of."""
    return node.condition("Ready").get("status") == "True"


def is_cordoned(node: Object) -> bool:
    return bool(node.spec.get("unschedulable"))


def walk_node(state: State, node: Object) -> None:
    """Return when a node is well and takes Pods. Raises Failed with the first broken link."""
    if not is_ready(node):
        _explain_not_ready(state, node)
    for kind in PRESSURES:
        condition = node.condition(kind)
        if condition.get("status") == "True":
            fail("node-under-pressure", node, condition=kind, reason=condition.get("message", ""))
    if is_cordoned(node):
        fail("node-cordoned", node)


def _explain_not_ready(state: State, node: Object) -> NoReturn:
    """Raise Failed with what the kubelet reports, or with how long it has reported nothing."""
    condition = node.condition("Ready")
    status = condition.get("status", "")
    if status and status != "Unknown":
        reason, message = condition.get("reason", ""), condition.get("message", "")
        fail("node-not-ready", node, status=status, reason=reason, quote=message)
    seconds = _silent_for(state, condition)
    if seconds is None:
        fail("node-not-ready", node, form="never-reported", status=status)
    fail("node-not-ready", node, form="silent", status=status, seconds=seconds)


def _silent_for(state: State, condition: dict[str, str]) -> int | None:
    """Seconds since a node's condition Ready became Unknown; None where no time is known.

    The kubelet has been silent for longer.
    """
    at = condition.get("lastTransitionTime")
    return round(state.age(at)) if at else None


def status_of(node: Object) -> str:
    """The status of a node as `kubectl get nodes` writes it, or the condition by which it takes no new Pods."""
    if not is_ready(node):
        return "NotReady"
    pressures = [kind for kind in PRESSURES if node.condition(kind).get("status") == "True"]
    return pressures[0] if pressures else "SchedulingDisabled" if is_cordoned(node) else "Ready"


def fail_if_node_lost(state: State, pod: Object) -> None:
    """Raises Failed where the node of a Pod is not heard of: what the Pod's status says is then the past.

    Such a Pod keeps its phase. A terminating Pod stays until its node is back, or its node object is deleted:
    https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#non-graceful-node-shutdown
    """
    nodes = state.index("Node").by_name
    name = pod.spec.get("nodeName", "")
    if name and not state.can_see("Node") and _is_unheard_of(state, pod):
        unknown("cannot-list", pod, form="node-of-pod", node=name, why=state.unlisted.get("Node", ""))
    if not name or not nodes or (name in nodes and is_ready(nodes[name][-1])):
        return
    node = nodes[name][-1] if name in nodes else None
    condition = node.condition("Ready") if node else {}
    if node and condition.get("status") != "Unknown":
        return  # its kubelet still speaks, also of this Pod
    # A Pod that was put on a node by name, past the scheduler: nothing checks the name.
    if not node and not pod.is_terminating and not pod.status.get("conditions"):
        fail("node-name-unknown", pod, node=name, near=nearest(name, nodes), nodes=sorted(nodes))
    phase = pod.status.get("phase", "Unknown")
    if node:
        seconds = _silent_for(state, condition)
        form = "terminating" if pod.is_terminating else ""
        fail("pod-on-lost-node", pod, form=form, node=name, status=status_of(node), seconds=seconds, phase=phase)
    fail(
        "pod-on-lost-node", pod, form="no-node-terminating" if pod.is_terminating else "no-node", node=name, phase=phase
    )


def _is_unheard_of(state: State, pod: Object) -> bool:
    """Whether no kubelet has reported anything of a Pod that has a node, for longer than a kubelet takes."""
    pending = pod.status.get("phase", "Pending") == "Pending" and not pod.status.get("conditions")
    return pending and state.age(pod.created) > TIME_FOR_POD_START


def fail_if_all_closed(state: State, pod: Object, nodes: list[Object], taints: dict[str, list[str]]) -> None:
    """Raises Failed where a Pod has no node because each that is meant for it is closed for the moment.

    nodes: those that fit otherwise. taints: by node, the keys of those taints that this Pod does not tolerate.
    """
    meant = [node for node in nodes if all(key.startswith(OF_THE_MOMENT) for key in taints[node.name])]
    if not meant or any(not taints[node.name] for node in meant):
        return
    fail("all-nodes-unschedulable", pod, statuses={node.name: status_of(node) for node in meant})


def fail_if_budget_holds(state: State, pods: list[Object]) -> None:
    """Raises Failed where a PodDisruptionBudget lets none of these Pods go, so that no drain gets to its end.

    Source: https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-budgets
    """
    for pod in pods:
        for budget in state.objects.get("PodDisruptionBudget", []):
            selector = (budget.spec.get("selector") or {}).get("matchLabels") or {}
            if budget.namespace != pod.namespace or not selector or not selector.items() <= pod.labels.items():
                continue
            status = budget.status
            if budget.is_stale or status.get("disruptionsAllowed", 1) > 0:
                continue
            healthy, pods_of_budget = status.get("currentHealthy", 0), status.get("expectedPods", 0)
            fail(
                "budget-allows-none",
                budget,
                pods=pods_of_budget,
                needed=status.get("desiredHealthy", 0),
                healthy=healthy,
                pod=pod.name,
                node=pod.spec.get("nodeName", ""),
                in_progress=healthy < pods_of_budget,
            )
