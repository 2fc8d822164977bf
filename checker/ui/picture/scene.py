"""What is on a picture of a namespace: its nodes, the Pods on them, the Services and where they really send requests,
the policies, and what is broken. Pure: from a State to plain data; where things are drawn is drawing.py's business."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from checker.diagnosis import pods_of
from checker.diagnosis.owners import workload_of
from checker.diagnosis.selectors import selects
from checker.model.catalogue import say
from checker.model.explanation import Explanation
from checker.model.state import Object, Request, State
from checker.ui.suspects import kept_back

# The tones in which things are drawn; the words beside them say the same.
_TROUBLE = re.compile("BackOff|Err|OOMKilled|Evicted|Failed")  # in the word for a Pod: it will not go away by waiting
WELL, WAITING, BROKEN, GONE = "well", "waiting", "broken", "leaving"


@dataclass(frozen=True)
class Item:
    """Something that is drawn and can be asked about.

    id: the object's uid. lines: what stands in its box. details: names and values, as `kubectl describe` has them.
    command: shows the same in a terminal.
    fault: the title of the cause for which it does not work; empty where it does.
    """

    id: str
    kind: str
    name: str
    tone: str
    lines: tuple[str, ...]
    details: tuple[tuple[str, str], ...]
    command: str
    fault: str = ""


@dataclass(frozen=True)
class NodeItem(Item):
    """A node, and the Pods of the namespace that are on it."""

    pods: tuple[Item, ...] = ()
    is_control_plane: bool = False


@dataclass(frozen=True)
class ServiceItem(Item):
    """A Service. sends_to: the ids of the Pods whose addresses are in its endpoints, those that requests go to."""

    sends_to: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scene:
    """All of a picture.

    unplaced: the Pods that are on no node (yet). broken: what is broken, in words, the root first.
    """

    namespace: str
    nodes: tuple[NodeItem, ...] = ()
    unplaced: tuple[Item, ...] = ()
    services: tuple[ServiceItem, ...] = ()
    gates: dict[str, tuple[str, ...]] = field(default_factory=dict)  # id of a Pod: the policies that are about it
    broken: tuple[str, ...] = ()

    @property
    def pods(self) -> list[Item]:
        return [*(pod for node in self.nodes for pod in node.pods), *self.unplaced]


def scene(state: State, found: Explanation, kind: str = "", name: str = "") -> Scene:
    """The picture of the State's namespace.

    With a kind and a name, it is the picture of that object: its Pods, and the Services that lead to them.

    found: what is broken there. Kinds that could not be listed are not on the picture.
    """
    state = replace(state, unlisted={}, request=Request())
    faults = {c.object: finding.title for finding in found.findings for c in finding.consequences}
    faults |= {finding.seen_at or finding.object: finding.title for finding in found.findings}
    faults |= {finding.object: finding.title for finding in found.findings}
    pods = [pod for pod in state.all("Pod") if pod.status.get("phase") != "Succeeded"]
    services = state.all("Service")
    if kind:
        target = state.find(kind, name)
        pods = [pod for pod in pods_of(state, target) if pod in pods] if target and _has_pods(kind) else []
        services = [s for s in services if s is target or {p.uid for p in pods_of(state, s)} & {p.uid for p in pods}]
    shown = {pod.uid: _pod(state, pod, faults) for pod in pods}
    nodes = tuple(
        _node(node, tuple(shown[pod.uid] for pod in pods if pod.spec.get("nodeName") == node.name), faults)
        for node in sorted(state.all("Node", ""), key=lambda node: (not _is_control_plane(node), node.name))
    )
    gates = {
        pod.uid: tuple(p.name for p in state.all("NetworkPolicy") if selects(p.spec.get("podSelector"), pod.labels))
        for pod in pods
    }
    on_a_node = {pod.id for node in nodes for pod in node.pods}
    return Scene(
        state.namespace,
        nodes,
        tuple(pod for uid, pod in shown.items() if uid not in on_a_node),
        tuple(_service(state, service, pods, faults) for service in services),
        {uid: names for uid, names in gates.items() if names},
        (
            *(say("picture-broken", object=finding.object, title=finding.title) for finding in found.findings),
            *filter(None, [kept_back(found)]),
        ),
    )


def _has_pods(kind: str) -> bool:
    return kind in ("Pod", "Service", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob")


def _is_control_plane(node: Object) -> bool:
    return "node-role.kubernetes.io/control-plane" in node.labels


def _node(node: Object, pods: tuple[Item, ...], faults: dict[str, str]) -> NodeItem:
    ready = node.condition("Ready").get("status") == "True"
    words = "Ready" if ready else "NotReady"
    if node.spec.get("unschedulable"):
        words += ", SchedulingDisabled"
    details = _named(("node", node.name), ("status", words), ("pods", str(len(pods))))
    tone = BROKEN if not ready else WAITING if node.spec.get("unschedulable") else WELL
    return NodeItem(
        node.uid,
        "Node",
        node.name,
        tone,
        (node.name, words),
        details,
        f"kubectl describe node {node.name}",
        faults.get(node.ref, ""),
        pods,
        _is_control_plane(node),
    )


def pod_word(pod: Object) -> str:
    """How a Pod is, in the words of `kubectl get pods`."""
    if pod.is_terminating:
        return "Terminating"
    for status in pod.container_statuses:
        inner = status.get("state") or {}
        reason = (inner.get("waiting") or {}).get("reason") or (inner.get("terminated") or {}).get("reason")
        if reason and reason not in ("Completed", "PodInitializing"):
            return str(reason)
    return str(pod.status.get("reason") or pod.status.get("phase") or "Pending")


def _pod(state: State, pod: Object, faults: dict[str, str]) -> Item:
    word, statuses = pod_word(pod), pod.status.get("containerStatuses") or []
    ready = f"{sum(bool(s.get('ready')) for s in statuses)}/{len(pod.containers)}"
    restarts = sum(int(s.get("restartCount", 0)) for s in statuses)
    owner = workload_of(state, pod)
    fault = faults.get(pod.ref) or (
        faults.get(owner.ref, "") if owner and not pod.is_ready and not pod.is_terminating else ""
    )
    tone = (
        GONE if pod.is_terminating else WELL if pod.is_ready else BROKEN if fault or _TROUBLE.search(word) else WAITING
    )
    details = _named(
        ("pod", pod.name),
        ("status", word),
        ("ready", ready),
        ("restarts", str(restarts)),
        ("node", pod.spec.get("nodeName", "")),
        ("ip", pod.status.get("podIP", "")),
        ("owner", owner.ref if owner else pod.controller),
        ("images", ", ".join(pod.images)),
        ("labels", ", ".join(f"{key}={value}" for key, value in sorted(pod.labels.items()))),
    )
    description = say("picture-state", word=word, ready=ready, restarts=restarts or None)
    command = f"kubectl describe pod {pod.name}"
    return Item(pod.uid, "Pod", pod.name, tone, (_short(pod, owner), description), details, command, fault)


def _named(*details: tuple[str, str | None]) -> tuple[tuple[str, str], ...]:
    """Details with their names in the chosen language; an empty value is `none`.

    details: ids behind `picture-detail-`.
    """
    return tuple((say(f"picture-detail-{name}"), value or say("none")) for name, value in details)


def _short(pod: Object, owner: Object | None) -> str:
    """A Pod's name without what it has in common with the others of its workload."""
    if not owner or owner.kind == "StatefulSet":
        return pod.name
    return f"{owner.name} …{pod.name.rpartition('-')[2]}"


def _service(state: State, service: Object, pods: list[Object], faults: dict[str, str]) -> ServiceItem:
    addresses = state.endpoints(service)
    to = tuple(pod.uid for pod in pods if pod.status.get("podIP") in addresses)
    ports = ", ".join(
        f"{port.get('port')}→{port.get('targetPort', port.get('port'))}" for port in service.spec.get("ports") or []
    )
    kind = service.spec.get("type", "ClusterIP")
    fault = faults.get(service.ref, "")
    selector = service.spec.get("selector") or {}
    details = _named(
        ("service", service.name),
        ("type", kind),
        ("address", service.spec.get("clusterIP", "")),
        ("ports", ports),
        ("selector", ", ".join(f"{key}={value}" for key, value in selector.items())),
        ("endpoints", ", ".join(sorted(addresses))),
    )
    tone = BROKEN if fault else WELL if addresses or kind == "ExternalName" else WAITING
    command = f"kubectl describe service {service.name}"
    return ServiceItem(
        service.uid,
        "Service",
        service.name,
        tone,
        (service.name, f"{kind} {ports}".rstrip()),
        details,
        command,
        fault,
        to,
    )
