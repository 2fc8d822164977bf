"""The chain of a node: heard of → its kubelet says that it is ready → not under pressure → open for Pods.

And what a node that is lost means for its Pods: their status is the last word of a kubelet that says nothing any more.

Sources: https://kubernetes.io/docs/reference/node/node-status/ and https://kubernetes.io/docs/concepts/architecture/nodes/
"""

from __future__ import annotations

from checker.model.spelling import counted, nearest
from checker.model.state import Object, State
from checker.model.verdict import fail

PRESSURES = {"MemoryPressure": "memory", "DiskPressure": "disk space", "PIDPressure": "process ids"}
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
    condition = node.condition("Ready")
    look = f"kubectl describe node {node.name}"
    if not is_ready(node):
        heard = condition.get("status") != "Unknown" and bool(condition)
        said = f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": ")
        fail(
            "node-not-ready",
            f"Node {node.name} is not ready: " + (f"its kubelet says {said}." if heard else f"its kubelet has not been heard of {_since(state, condition)}."),
            expected="condition Ready is True", observed=f"Ready is {condition.get('status', 'not there')}", object=node.ref, look=look,
        )  # fmt: skip
    for kind, what in PRESSURES.items():
        if node.condition(kind).get("status") == "True":
            fail(
                "node-under-pressure", f"Node {node.name} is short of {what}: it takes no new Pods, and may end some of its own.",
                expected=f"condition {kind} is False", observed=node.condition(kind).get("message") or f"{kind} is True",
                object=node.ref, look=look,
            )  # fmt: skip
    if is_cordoned(node):
        fail(
            "node-cordoned", f"Node {node.name} is well, but closed: no new Pods are placed on it.",
            expected="a node that takes Pods", observed="spec.unschedulable: true", object=node.ref, look="kubectl get nodes",
        )  # fmt: skip


def _since(state: State, condition: dict[str, str]) -> str:
    at = condition.get("lastTransitionTime")
    return f"for {state.age(at):.0f} s and the time that it took to notice" if at else "yet"


def in_words(node: Object) -> str:
    """How a node is at the moment, in a word or two."""
    if not is_ready(node):
        return "not ready"
    short = [what for kind, what in PRESSURES.items() if node.condition(kind).get("status") == "True"]
    return f"short of {short[0]}" if short else "cordoned" if is_cordoned(node) else "ready"


def fail_if_node_lost(state: State, pod: Object) -> None:
    """Raises Failed where the node of a Pod is not heard of: what the Pod's status says is then the past.

    Such a Pod keeps its phase, and one that is to be deleted stays until its node is back, or its node object is deleted:
    https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#non-graceful-node-shutdown
    """
    nodes = {node.name: node for node in state.objects.get("Node", [])}
    name = pod.spec.get("nodeName", "")
    if not name or not nodes or (name in nodes and is_ready(nodes[name])):
        return
    node = nodes.get(name)
    condition = node.condition("Ready") if node else {}
    if node and condition.get("status") != "Unknown":
        return  # its kubelet still speaks, also of this Pod
    # A Pod that was put on a node by name, past the scheduler: nobody checked the name.
    if not node and not pod.is_terminating and not pod.status.get("conditions"):
        similar = nearest(name, nodes)
        fail(
            "node-name-unknown", f"Pod {pod.name} was put on node {name} by name, and there is no such node."
            + (f" There is one called {similar}." if similar else ""),
            expected=f"a node {name}", observed=f"nodes: {', '.join(sorted(nodes))}", object=pod.ref, look="kubectl get nodes",
        )  # fmt: skip
    how = f"which has not been heard of {_since(state, condition)}" if node else "which does not exist any more"
    rest = (
        "it is being deleted, and only its node could say that it has ended"
        if pod.is_terminating
        else f"that it is {pod.status.get('phase', 'Unknown')} is the last that was heard"
    )
    fail(
        "pod-on-lost-node", f"Pod {pod.name} is on node {name}, {how}; {rest}.",
        expected=f"node {name} is ready", observed=in_words(node) if node else "no such node", object=pod.ref, look="kubectl get nodes",
    )  # fmt: skip


def fail_if_all_closed(state: State, pod: Object, nodes: list[Object], taints: dict[str, list[str]]) -> None:
    """Raises Failed where a Pod has no node because each that is meant for it is closed for the moment.

    nodes: those that fit otherwise. taints: by node, the keys of those taints that this Pod does not tolerate.
    """
    meant = [node for node in nodes if all(key.startswith(OF_THE_MOMENT) for key in taints[node.name])]
    if not meant or any(not taints[node.name] for node in meant):
        return
    which = "the only node" if len(meant) == 1 else f"each of {counted(len(meant), 'node')}"
    how = ", ".join(f"{node.name} is {in_words(node)}" for node in sorted(meant, key=lambda node: node.name))
    fail(
        "all-nodes-unschedulable",
        f"Pod {pod.name} finds no node: {which} that is meant for it is closed at the moment ({how}).",
        expected="a node that takes Pods", observed=how, object=pod.ref, look="kubectl get nodes",
    )  # fmt: skip


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
            healthy, needed = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
            counted_pods = counted(status.get("expectedPods", 0), "Pod")
            fail(
                "budget-allows-none",
                f"PodDisruptionBudget {budget.name} lets no Pod go: of {counted_pods} it wants {needed} to stay, and {healthy} "
                f"{'is' if healthy == 1 else 'are'} healthy. So Pod {pod.name} stays on node {pod.spec.get('nodeName', '')}, however often it is drained.",
                expected="a budget that lets at least one go", observed=f"disruptionsAllowed: 0 ({needed} of {healthy} must stay)",
                object=budget.ref, look=f"kubectl get poddisruptionbudgets -n {budget.namespace}", pending=healthy < status.get("expectedPods", 0),
            )  # fmt: skip
