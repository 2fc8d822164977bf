"""Why NetworkPolicies leave a path open, or close it: the policy and the rule that decide, or that nearly do.

Sources: https://kubernetes.io/docs/concepts/services-networking/network-policies/ and
https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
"""

from __future__ import annotations

from typing import Any, NoReturn

from checker.diagnosis.network_policy import (
    NOWHERE,
    PEERS,
    TYPE,
    Direction,
    End,
    Path,
    Rule,
    Side,
    cluster_dns,
    covers,
    directions,
    end_of,
    in_block,
    rules_of,
)
from checker.diagnosis.selectors import selector_words, selects, wished
from checker.model.fault import Fault
from checker.model.spelling import nearest, nearest_labels, pairs
from checker.model.state import Object, State
from checker.model.verdict import Failed, fail

_WAY: dict[Direction, str] = {"egress": "out of", "ingress": "into"}


# -- why a path is open that should not be ---------------------------------------------------------------------------


def explain_open(path: Path, direction: Direction) -> NoReturn:
    """Raise Failed with the reason why nothing closes a path in this direction: no policy is about it, or one allows it."""
    side = path.side(direction)
    if side.policies:
        _explain_allowed(side)
    _explain_not_isolated(side)


def _begin(words: str) -> str:
    """Words as a sentence begins with them."""
    return words[:1].upper() + words[1:]


def _words(path: Path, namespace: str) -> str:
    """`from Pod a to port 80 of Pod b`."""
    return f"from {path.source.seen_from(namespace)} to port {path.port} of {path.target.seen_from(namespace)}"


def _evidence(side: Side, policy: Object | None = None) -> dict[str, Any]:
    where = "" if side.end.namespace == side.path.state.namespace else f" -n {side.end.namespace}"
    if policy:
        own = "" if policy.namespace == side.path.state.namespace else f" -n {policy.namespace}"
        return {"object": policy.ref, "look": f"kubectl describe networkpolicy {policy.name}{own}"}
    return {"object": side.end.ref or f"Namespace/{side.end.namespace}", "look": f"kubectl get networkpolicies{where}"}


def _explain_allowed(side: Side) -> NoReturn:
    """Isolated, but a rule lets it through: the widest rule is the reason."""
    here = side.path.state.namespace
    rule = min(side.allowing, key=lambda rule: (bool(rule.peers), bool(rule.ports)))
    evidence = {
        "expected": f"nothing lets connections through {_words(side.path, here)}", "observed": f"{rule.words} does",
        **_evidence(side, rule.policy),
    }  # fmt: skip
    many = "from anybody" if side.direction == "ingress" else "to anybody"
    if not rule.peers and not rule.ports:
        fail(
            "policy-allows-all",
            f"{rule.words} has an empty {side.direction} rule: it lets everything {_WAY[side.direction]} {side.end.seen_from(here)}, "
            "whatever the other policies say.", **evidence,
        )  # fmt: skip
    if not rule.peers:
        fail(
            "policy-allows-too-much", f"{rule.words} lets connections {many} through, at {_ports_words(rule)}: "
            f"{_words(side.path, here)} too.", **evidence,
        )  # fmt: skip
    item = next(item for item in rule.peers if side.item_matches(rule.policy, item))
    others = [other for other in rule.peers if other is not item]
    pods = [i for i in rule.peers if "podSelector" in i and "namespaceSelector" not in i]
    spaces = [i for i in rule.peers if "namespaceSelector" in i and "podSelector" not in i]
    if others and pods and spaces and not side.item_matches(rule.policy, {**spaces[0], **pods[0]}):
        fail(
            "policy-peers-or",
            f"{rule.words} has {len(rule.peers)} separate items under `{PEERS[side.direction]}`: {'; or '.join(_item_words(i) for i in rule.peers)}. "
            f"Each of them is enough, so {side.other.seen_from(here)} is let through.",
            **evidence,
        )  # fmt: skip
    fail(
        "policy-allows-too-much",
        f"{rule.words} lets connections {PEERS[side.direction]} {_item_words(item)} through, at {_ports_words(rule)}. "
        f"That includes the path {_words(side.path, here)}.", **evidence,
    )  # fmt: skip


def _item_words(item: dict[str, Any]) -> str:
    """One item of `from` or `to` in words."""
    if "ipBlock" in item:
        block = item["ipBlock"]
        return f"the addresses {block['cidr']}" + (
            f" except {', '.join(block['except'])}" if block.get("except") else ""
        )
    pods = selector_words(item.get("podSelector"))
    words = f"Pods with {pods}" if pods else "all Pods"
    if "namespaceSelector" not in item:
        return f"{words} of the policy's own namespace"
    spaces = selector_words(item["namespaceSelector"])
    return f"{words} of {f'namespaces with {spaces}' if spaces else 'all namespaces'}"


def _ports_words(rule: Rule) -> str:
    if not rule.ports:
        return "every port"
    words = []
    for port in rule.ports:
        number = str(port.get("port", "every port")) + (f"-{port['endPort']}" if "endPort" in port else "")
        words.append(f"{port.get('protocol', 'TCP')} {number}")
    return ", ".join(words)


def _explain_not_isolated(side: Side) -> NoReturn:
    here, state, end = side.path.state.namespace, side.path.state, side.end
    way = _WAY[side.direction]
    evidence: dict[str, Any] = {
        "expected": f"a policy that is about the way {way} {end.seen_from(here)}", "observed": "none",
    }  # fmt: skip
    own = [p for p in state.all("NetworkPolicy", end.namespace) if not p.is_terminating]
    selecting = [p for p in own if covers(p, end)]
    for policy in selecting:  # all of them are about the other direction only, or they would isolate it
        if policy.spec.get(side.direction):
            _explain_type_missing(side, policy)
    _explain_selects_nothing(side, [p for p in own if side.direction in directions(p)], evidence)
    _explain_other_namespace(
        side, [p for p in state.in_lab("NetworkPolicy") if side.direction in directions(p)], evidence
    )
    if selecting:
        names = ", ".join(p.name for p in selecting)
        fail(
            "policy-one-direction",
            f"{'The policies that select' if len(selecting) > 1 else 'The only policy that selects'} {end.seen_from(here)} ({names}) "
            f"{'are' if len(selecting) > 1 else 'is'} about {TYPE[_opposite(side.direction)]} only. "
            f"The way {way} it is open.",
            **evidence | {"observed": f"policies for {TYPE[_opposite(side.direction)]} only"} | _evidence(side, selecting[0]),
        )  # fmt: skip
    others = ", ".join(p.name for p in own) or "none"
    fail(
        "pod-not-isolated",
        f"No NetworkPolicy is about the way {way} {end.seen_from(here)}, so it is open {'for' if side.direction == 'ingress' else 'to'} everybody: "
        f"{'for' if side.direction == 'ingress' else 'to'} {side.other.seen_from(here)} too.",
        **evidence | {"observed": f"policies of namespace {end.namespace}: {others}"} | _evidence(side),
    )  # fmt: skip


def _opposite(direction: Direction) -> Direction:
    return "ingress" if direction == "egress" else "egress"


def _explain_type_missing(side: Side, policy: Object) -> NoReturn:
    kind = TYPE[side.direction]
    types = ", ".join(policy.spec.get("policyTypes") or []) or "none"
    fail(
        "policy-type-missing",
        f"NetworkPolicy {policy.name} has {side.direction} rules, but its policyTypes are {types}: those rules count for nothing.",
        expected=f"{kind} among its policyTypes", observed=types, **_evidence(side, policy),
    )  # fmt: skip


def _explain_selects_nothing(side: Side, policies: list[Object], evidence: dict[str, Any]) -> None:
    """Raise Failed where one of these policies of the end's own namespace selects no Pod, and the end's labels are nearly what it asks for."""
    for policy in policies:
        selector = policy.spec.get("podSelector") or {}
        pods = [p for p in side.path.state.all("Pod", side.end.namespace) if not p.is_terminating]
        if not wished(selector) or any(selects(selector, pod.labels) for pod in pods):
            continue
        near = nearest_labels(wished(selector), (pod.labels for pod in pods))
        if near is None or nearest_labels(wished(selector), [side.end.labels]) is None:
            continue
        if not _is_nearest(wished(selector), side.end.labels, [pod.labels for pod in pods]):
            continue
        alike = {k: v for k, v in side.end.labels.items() if k in wished(selector) or v in wished(selector).values()}
        fail(
            "policy-selects-nothing",
            f"NetworkPolicy {policy.name} selects no Pod: its podSelector is {selector_words(selector)}; "
            f"{side.end.name} has {pairs(alike or side.end.labels)}.",
            **evidence | {"expected": f"Pods with {selector_words(selector)}", "observed": f"Pods with {pairs(alike or side.end.labels)}"}
            | _evidence(side, policy),
        )  # fmt: skip


def _is_nearest(wanted: dict[str, str], labels: dict[str, str], everybody: list[dict[str, str]]) -> bool:
    """Whether no other labels are nearer to the wanted ones than these."""
    best = nearest_labels(wanted, [labels, *everybody])
    return best == labels


def _explain_other_namespace(side: Side, policies: list[Object], evidence: dict[str, Any]) -> None:
    """Raise Failed where one of these policies would select the end, if it were in the end's namespace."""
    for policy in policies:
        if policy.namespace == side.end.namespace or not selects(policy.spec.get("podSelector"), side.end.labels):
            continue
        here = [
            p for p in side.path.state.all("Pod", policy.namespace) if selects(policy.spec.get("podSelector"), p.labels)
        ]
        if here and policy.spec.get("podSelector"):
            continue  # it has Pods of its own to select where it is
        whom = selector_words(policy.spec.get("podSelector"))
        fail(
            "policy-in-other-namespace",
            f"NetworkPolicy {policy.name}, which selects {f'Pods with {whom}' if whom else 'all Pods'}, is in namespace {policy.namespace}. "
            f"A policy selects Pods of its own namespace only; {side.end.name} is in {side.end.namespace}.",
            **evidence | {"observed": f"one in namespace {policy.namespace}"} | _evidence(side, policy),
        )  # fmt: skip


# -- why a path is closed that should not be -------------------------------------------------------------------------


def explain_closed(path: Path) -> NoReturn:
    """Raise Failed with the reason why the policies let nothing through on a path: the end that closes it, and what is nearest to opening it.

    Call it only for a path that the policies close.
    """
    closed = [side for side in (path.out, path.into) if not side.is_open]
    for side in closed:
        if side.other.namespace != NOWHERE:
            _explain_near_miss(side)
    for side in closed:
        if side.direction == "egress" and path.target == cluster_dns(path.state):
            _explain_dns(side)
    side = closed[0]
    here = path.state.namespace
    names = ", ".join(p.name for p in side.policies)
    nobody = f"no policy about the way {_WAY[side.direction]} {side.end.seen_from(here)} ({names})"
    evidence: dict[str, Any] = {
        "expected": f"a rule that lets connections through {_words(path, here)}",
        **_evidence(side, _nearest_policy(side)),
    }
    opposite = path.side(_opposite(side.direction))
    if len(closed) == 1 and opposite.policies:
        by = opposite.allowing[0].policy
        fail(
            "policy-one-direction",
            f"The path {_words(path, here)} is open at one end only. NetworkPolicy {by.name} lets it through ({TYPE[opposite.direction]} of "
            f"{opposite.end.seen_from(here)}); {nobody} has a rule for it.",
            observed=f"allowed by {opposite.direction} rules only", **evidence,
        )  # fmt: skip
    fail(
        "path-not-allowed",
        f"Nothing is let through {_words(path, here)}: {nobody} has a rule for it.",
        observed=f"{sum(len(rules_of(p, side.direction)) for p in side.policies)} {side.direction} rules, none for this path", **evidence,
    )  # fmt: skip


def _explain_near_miss(side: Side) -> None:
    """Raise Failed where a rule nearly lets the path through, or would if its policy were about this end."""
    state, end = side.path.state, side.end
    for rule in side.rules:
        if not side.port_matches(rule) and rule.peers and side.peer_matches(rule):
            _explain_port(side, rule)
    for rule in side.rules:
        if side.port_matches(rule) and not side.peer_matches(rule):
            for item in rule.peers:
                _explain_item(side, rule, item)
    own = [p for p in state.all("NetworkPolicy", end.namespace) if not p.is_terminating]
    for policy in own:
        if covers(policy, end) and side.direction not in directions(policy) and policy.spec.get(side.direction):
            _explain_type_missing(side, policy)
    evidence: dict[str, Any] = {"expected": "", "observed": ""}
    about = [
        policy
        for policy in state.in_lab("NetworkPolicy")
        if any(side.peer_matches(rule) and side.port_matches(rule) for rule in _as_if_here(policy, side))
    ]
    _explain_selects_nothing(side, [p for p in about if p.namespace == end.namespace], evidence)
    expected = {"expected": f"a policy in namespace {end.namespace}"}
    _explain_other_namespace(side, about, evidence | expected)


def _as_if_here(policy: Object, side: Side) -> list[Rule]:
    """The rules of a policy as they would read in the namespace of this end."""
    moved = Object("NetworkPolicy", {**policy.raw, "metadata": {**policy.metadata, "namespace": side.end.namespace}})
    return rules_of(moved, side.direction) if side.direction in directions(policy) else []


def _explain_port(side: Side, rule: Rule) -> NoReturn:
    """The rule means the other end, and another port."""
    path, here = side.path, side.path.state.namespace
    asked = f"{path.protocol} {path.port}"
    evidence = {"expected": asked, "observed": _ports_words(rule), **_evidence(side, rule.policy)}
    if path.target == cluster_dns(path.state):
        fail(
            "dns-egress-missing", f"{rule.words} lets {path.source.seen_from(here)} ask the cluster's DNS by {_ports_words(rule)}. "
            f"Questions about names go to {asked}, and nothing lets those out.", **evidence,
        )  # fmt: skip
    numbers = {p.get("port") for p in rule.ports}
    services = [
        (service, port)
        for service in path.state.all("Service", path.target.namespace)
        if service.spec.get("selector") and service.spec["selector"].items() <= path.target.labels.items()
        for port in service.spec.get("ports") or []
        if port["port"] in numbers and port["port"] != path.port
    ]
    if services:
        service, port = services[0]
        fail(
            "policy-service-port",
            f"{rule.words} lets connections through at port {port['port']}, which is the port of Service {service.name}. "
            f"At its Pods, where policies are applied, they arrive at port {path.port}.", **evidence,
        )  # fmt: skip
    fail(
        "policy-wrong-port",
        f"{rule.words} lets connections through {'from' if side.direction == 'ingress' else 'to'} {side.other.seen_from(here)}, but at "
        f"{_ports_words(rule)}; {path.target.seen_from(here)} is asked at {asked}.", **evidence,
    )  # fmt: skip


def _explain_item(side: Side, rule: Rule, item: dict[str, Any]) -> None:
    """Raise Failed where one item of `from` or `to` nearly means the other end."""
    state, here, other, policy = side.path.state, side.path.state.namespace, side.other, rule.policy
    evidence = {"expected": f"it means {other.seen_from(here)}", **_evidence(side, policy)}
    if "ipBlock" in item:
        _explain_service_address(side, rule, item)
        return
    pods_match = selects(item.get("podSelector"), other.labels)
    if "namespaceSelector" not in item:
        if pods_match and other.namespace != policy.namespace and item.get("podSelector"):
            fail(
                "policy-own-namespace",
                f"{rule.words} speaks of {_item_words(item)}, which is {policy.namespace}. {_begin(other.name)} is in namespace {other.namespace}.",
                **evidence | {"observed": f"Pods of namespace {policy.namespace} only"},
            )  # fmt: skip
        if other.namespace == policy.namespace:
            _explain_peer_typo(side, rule, item, evidence)
        return
    spaces = [o for o in state.everywhere("Namespace") if not o.is_terminating]
    space_matches = selects(item["namespaceSelector"], other.namespace_labels)
    if not space_matches and pods_match and not any(selects(item["namespaceSelector"], o.labels) for o in spaces):
        asked, has = selector_words(item["namespaceSelector"]), pairs(other.namespace_labels)
        if other.namespace == "kube-system" and not nearest_labels(
            wished(item["namespaceSelector"]), [other.namespace_labels]
        ):
            return  # it speaks of some other namespace, not of the cluster's own
        fail(
            "namespace-label-missing",
            f"{rule.words} speaks of namespaces with {asked}, and there is none. Namespace {other.namespace} has the labels {has}.",
            **evidence | {"expected": f"a namespace with {asked}", "observed": has,
                          "look": "kubectl get namespaces --show-labels"},
        )  # fmt: skip
    if space_matches and not pods_match:
        _explain_peer_typo(side, rule, item, evidence)


def _explain_service_address(side: Side, rule: Rule, item: dict[str, Any]) -> None:
    """Raise Failed where one item of `to` is the address of a Service that leads to the other end."""
    other = side.other
    for service in side.path.state.all("Service", other.namespace):
        selector, address = service.spec.get("selector"), service.spec.get("clusterIP") or "None"
        if address == "None" or not selector or not selector.items() <= other.labels.items():
            continue
        if in_block(address, item["ipBlock"]):
            fail(
                "policy-service-address",
                f"{rule.words} speaks of {item['ipBlock']['cidr']}, where Service {service.name} has its address. Policies see "
                "a connection when it is on its way to one of the Pods behind that, which have addresses of their own.",
                expected=f"it means {other.seen_from(side.path.state.namespace)}", observed=f"{item['ipBlock']['cidr']}, the address of a Service",
                **_evidence(side, rule.policy),
            )  # fmt: skip


def _explain_peer_typo(side: Side, rule: Rule, item: dict[str, Any], evidence: dict[str, Any]) -> None:
    """Raise Failed where no Pod has the labels that an item asks for, and those of the other end are nearest to them."""
    state, other, wanted = side.path.state, side.other, wished(item.get("podSelector"))
    known = [p.labels for p in state.all("Pod", other.namespace) if not p.is_terminating] or [other.labels]
    if not wanted or any(selects(item["podSelector"], labels) for labels in known):
        return
    if not any(nearest(value, other.labels.values(), 0.6) or key in other.labels for key, value in wanted.items()):
        return
    if not _is_nearest(wanted, other.labels, known):
        return
    alike = {k: v for k, v in other.labels.items() if k in wanted or v in wanted.values()} or other.labels
    fail(
        "policy-peer-matches-nothing",
        f"{rule.words} speaks of {_item_words(item)}, and there is none. {_begin(other.seen_from(state.namespace))} has {pairs(alike)}.",
        **evidence | {"expected": f"Pods with {selector_words(item['podSelector'])}", "observed": f"Pods with {pairs(alike)}",
                      "look": f"kubectl get pods -n {other.namespace} --show-labels"},
    )  # fmt: skip


def _explain_dns(side: Side) -> NoReturn:
    here = side.path.state.namespace
    names = ", ".join(p.name for p in side.policies)
    fail(
        "dns-egress-missing",
        f"No policy about the way out of {side.end.seen_from(here)} ({names}) lets a question to the cluster's DNS through, "
        "so no name leads anywhere there.",
        expected=f"a way out to {side.path.protocol} {side.path.port} of the cluster's DNS", observed="no rule lets it through",
        **_evidence(side, _nearest_policy(side)),
    )  # fmt: skip


def _nearest_policy(side: Side) -> Object:
    """The policy in which a missing rule is looked for first: one that has rules for this direction, where there is one."""
    return next((p for p in side.policies if rules_of(p, side.direction)), side.policies[0])


def explain_blocked(state: State, source: End, pod: Object, port: int, story: Fault | str) -> None:
    """Raise Failed where a Pod's policies keep out whoever had no answer there. story: what came of asking, in a sentence.

    Not where a rule speaks of addresses, and that of the source is not known.
    """
    if "NetworkPolicy" in state.unlisted:
        return
    path = Path(state, source, end_of(state, pod), port)
    if path.into.is_open or (
        not source.address and any("ipBlock" in item for rule in path.into.rules for item in rule.peers)
    ):
        return
    try:
        explain_closed(path)
    except Failed as fault:
        fault.message = f"{story} {fault.message}"
        raise
