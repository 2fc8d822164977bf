"""What NetworkPolicies allow: judged from the objects alone.

Why a path is open or closed is in network_policy_reasons.py.

A path goes from a source to a target. It is open where the source's policies allow it (egress) and the target's
policies allow it (ingress). A Pod that no policy selects for a direction is not isolated for it: all its connections in
that direction are allowed. An isolated Pod has only the connections that some policy allows. Policies add up: none
forbids what another allows.

What is found here is what the policies say. Whether the network plugin enforces them is another question (see
checker/grading/matrix.py).

Sources: https://kubernetes.io/docs/concepts/services-networking/network-policies/ and
https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address, ip_network
from typing import Any, Literal

from checker.diagnosis.owners import workload_of
from checker.diagnosis.selectors import selects
from checker.diagnosis.walking import remembered
from checker.model.fault import Phrase, Ref
from checker.model.state import Object, State

Direction = Literal["egress", "ingress"]
PEERS: dict[Direction, str] = {"egress": "to", "ingress": "from"}
TYPE: dict[Direction, str] = {"egress": "Egress", "ingress": "Ingress"}
NAME_LABEL = "kubernetes.io/metadata.name"  # label that the API server gives to every namespace


# -- the two ends of a path ------------------------------------------------------------------------------------------


NOWHERE = "outside the cluster"  # the namespace of an end that is no Pod


@dataclass(frozen=True)
class PathEnd:
    """One end of a path. address: "" where it is not known; then no ipBlock but 0.0.0.0/0 is taken to match it.

    name: `Kind name`; "" for a client outside the cluster; a Phrase for a Pod that does not exist.
    on_host: the Pod uses its node's network and has no address of its own, so no selector of Pods matches it.
    ref: `Kind/name`, for a verdict.
    """

    name: str | Phrase
    namespace: str
    labels: dict[str, str]
    namespace_labels: dict[str, str]
    address: str = ""
    ports: dict[tuple[str, str], int] = field(default_factory=dict)  # (name, protocol): number
    on_host: bool = False
    ref: str = ""

    @property
    def about(self) -> Ref:
        """The object that a fault of this end is about: the workload, or the namespace where no object is known."""
        if not self.ref:
            return Ref("Namespace", self.namespace)
        kind, _, name = self.ref.partition("/")
        return Ref(kind, name, self.namespace)


def end_of(state: State, pod: Object) -> PathEnd:
    """A Pod as one end of a path. Its name is that of its workload, where it has one: policies mean them all alike."""
    owner = workload_of(state, pod) or pod
    containers = [*pod.containers, *(pod.spec.get("initContainers") or [])]
    ports = {
        (port["name"], port.get("protocol", "TCP")): port["containerPort"]
        for container in containers
        for port in container.get("ports") or []
        if port.get("name")
    }
    return PathEnd(
        name=f"{owner.kind} {owner.name}",
        namespace=pod.namespace,
        labels=pod.labels,
        namespace_labels=namespace_labels(state, pod.namespace),
        address=pod.status.get("podIP", ""),
        ports=ports,
        on_host=bool(pod.spec.get("hostNetwork")),
        ref=owner.ref,
    )


def namespace_labels(state: State, name: str) -> dict[str, str]:
    """A namespace's labels. The one that every namespace has is known also where the namespace could not be listed."""
    found = next((o for o in state.objects.get("Namespace", []) if o.name == name), None)
    return {NAME_LABEL: name, **(found.labels if found else {})}


def cluster_dns(state: State) -> PathEnd:
    """The cluster's DNS server, with the name and the labels that kubeadm gives to it. Its Pods are in no State.

    Source: https://kubernetes.io/docs/tasks/administer-cluster/dns-custom-nameservers/
    """
    ports = {("dns", "UDP"): 53, ("dns-tcp", "TCP"): 53}
    return PathEnd(
        name="Deployment coredns",
        namespace="kube-system",
        labels={"k8s-app": "kube-dns"},
        namespace_labels=namespace_labels(state, "kube-system"),
        ports=ports,
    )


def observer(state: State) -> PathEnd:
    """The course's own observer."""
    return PathEnd("Deployment observer", "kubeclass", {"app": "observer"}, namespace_labels(state, "kubeclass"))


def outside() -> PathEnd:
    """A client that connects to a port of a node. Which address a Pod sees of it depends on the network plugin."""
    return PathEnd("", NOWHERE, {}, {}, on_host=True)


# -- the evaluation --------------------------------------------------------------------------------------------------


def directions(policy: Object) -> set[Direction]:
    """The directions for which a policy isolates: `policyTypes`, or, without it, Ingress always and Egress where it
    has such rules.
    """
    types = policy.spec.get("policyTypes") or ["Ingress", *(["Egress"] if policy.spec.get("egress") else [])]
    return {direction for direction, name in TYPE.items() if name in types}


def covers(policy: Object, end: PathEnd) -> bool:
    """Whether a policy selects this end, for any direction."""
    return policy.namespace == end.namespace and not end.on_host and selects(policy.spec.get("podSelector"), end.labels)


@dataclass(frozen=True)
class Rule:
    """One item under `ingress` or `egress` of a policy."""

    policy: Object
    direction: Direction
    number: int  # from 1 on
    raw: dict[str, Any]

    @property
    def peers(self) -> list[dict[str, Any]]:
        return self.raw.get(PEERS[self.direction]) or []

    @property
    def ports(self) -> list[dict[str, Any]]:
        return self.raw.get("ports") or []


def rules_of(policy: Object, direction: Direction) -> list[Rule]:
    return [Rule(policy, direction, n, raw or {}) for n, raw in enumerate(policy.spec.get(direction) or [], 1)]


@dataclass(frozen=True)
class PolicyPath:
    """From one end to another, at one port, as the policies of a State see it."""

    state: State = field(repr=False)
    source: PathEnd
    target: PathEnd
    port: int
    protocol: str = "TCP"

    @cached_property
    def out(self) -> PathSide:
        return PathSide(self, "egress", self.source, self.target)

    @cached_property
    def into(self) -> PathSide:
        return PathSide(self, "ingress", self.target, self.source)

    def side(self, direction: Direction) -> PathSide:
        return self.out if direction == "egress" else self.into

    @property
    def is_open(self) -> bool:
        """Whether the policies let a connection through. A Pod always reaches itself."""
        itself = bool(self.source.address) and self.source.address == self.target.address
        return itself or (self.out.is_open and self.into.is_open)


@dataclass(frozen=True)
class PathSide:
    """One end of a path with the policies that are about it there: `end` is selected, `other` is the peer."""

    path: PolicyPath
    direction: Direction
    end: PathEnd
    other: PathEnd

    @cached_property
    def policies(self) -> list[Object]:
        """The policies that select this end for this direction. Without any, it is open.

        No policy is about an end outside the cluster.
        """
        if self.end.namespace == NOWHERE:
            return []
        found = self.path.state.all("NetworkPolicy", self.end.namespace)
        return [p for p in found if covers(p, self.end) and self.direction in directions(p) and not p.is_terminating]

    @cached_property
    def rules(self) -> list[Rule]:
        return [rule for policy in self.policies for rule in rules_of(policy, self.direction)]

    @cached_property
    def allowing(self) -> list[Rule]:
        """The rules that let this path through."""
        return [rule for rule in self.rules if self.peer_matches(rule) and self.port_matches(rule)]

    @property
    def is_open(self) -> bool:
        return not self.policies or bool(self.allowing)

    def peer_matches(self, rule: Rule) -> bool:
        return not rule.peers or any(self.item_matches(rule.policy, item) for item in rule.peers)

    def item_matches(self, policy: Object, item: dict[str, Any]) -> bool:
        """Whether one item of `from` or `to` means the other end: every selector in it must match."""
        if "ipBlock" in item:
            return in_block(self.other.address, item["ipBlock"])
        return (
            not self.other.on_host
            and self._namespace_matches(policy, item)
            and selects(item.get("podSelector"), self.other.labels)
        )

    def _namespace_matches(self, policy: Object, item: dict[str, Any]) -> bool:
        if "namespaceSelector" in item:
            return selects(item["namespaceSelector"], self.other.namespace_labels)
        return self.other.namespace == policy.namespace

    def port_matches(self, rule: Rule) -> bool:
        return not rule.ports or any(self._one_port_matches(port) for port in rule.ports)

    def _one_port_matches(self, port: dict[str, Any]) -> bool:
        protocol, wanted, port_asked = port.get("protocol", "TCP"), port.get("port"), self.path.port
        if protocol != self.path.protocol:
            return False
        if wanted is None:
            return True
        if isinstance(wanted, str):
            return self.path.target.ports.get((wanted, protocol)) == port_asked
        return bool(wanted <= port_asked <= port.get("endPort", wanted))


def in_block(address: str, block: dict[str, Any]) -> bool:
    """Whether an address is in an ipBlock, and not among those that it leaves out."""
    cidr, excluded = block["cidr"], block.get("except") or []
    if not address:
        return bool(cidr == "0.0.0.0/0" and not excluded)
    return ip_address(address) in ip_network(cidr, False) and not any(
        ip_address(address) in ip_network(other, False) for other in excluded
    )


@remembered
def is_blocked_for_observer(state: State, pod: Object, port: int) -> bool:
    """Whether a Pod's policies do not allow connections from the course's own observer to a port.

    Then its failed connections prove nothing. (Some network plugins drop what no policy allows, others refuse it.)
    """
    if "NetworkPolicy" in state.unlisted:
        return False
    return not PolicyPath(state, observer(state), end_of(state, pod), port).into.is_open
