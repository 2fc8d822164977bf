"""Why NetworkPolicies allow a path, or do not allow it: the policy and the rule that decide, or that nearly do.

Each function here ends with a fault: a cause, the object, and the facts of the path and of the rule. The sentences
are in checker/model/catalogue/en/network-policies.yaml.

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
    PathEnd,
    PathSide,
    PolicyPath,
    Rule,
    cluster_dns,
    covers,
    directions,
    end_of,
    in_block,
    rules_of,
)
from checker.diagnosis.selectors import selector_words, selects, wished
from checker.model.fault import Fault
from checker.model.spelling import nearest, nearest_labels
from checker.model.state import Object, State
from checker.model.verdict import Failed, Unknown, fail

_DNS = 53  # the port of a rule that lets Pods ask the DNS, and is about nothing else

# -- facts -----------------------------------------------------------------------------------------------------------


def _elsewhere(side: PathSide, namespace: str) -> str:
    """A namespace, or "" where it is the lab's own, which needs no mention."""
    return "" if namespace == side.path.state.namespace else namespace


def _end(path: PolicyPath, end: PathEnd, fact: str) -> dict[str, Any]:
    """One end of a path as two facts, named after `fact`: its name, and its namespace where that is not the lab's
    own.
    """
    namespace = "" if end.namespace in (path.state.namespace, NOWHERE) else end.namespace
    return {fact: end.name, f"{fact}_namespace": namespace}


def _path(path: PolicyPath) -> dict[str, Any]:
    """A path as facts: source, target, port, protocol."""
    ends = {**_end(path, path.source, "source"), **_end(path, path.target, "target")}
    return {**ends, "port": path.port, "protocol": path.protocol}


def _selected(side: PathSide) -> dict[str, Any]:
    """The end of a path that a policy has to select, as facts; and the direction, as the fields of a NetworkPolicy
    name it.

    elsewhere: the namespace of this end, where it is not the lab's own.
    """
    opposite = _opposite(side.direction)
    return {
        **_end(side.path, side.end, "selected"),
        "direction": side.direction,
        "opposite": opposite,
        "type": TYPE[side.direction],
        "elsewhere": _elsewhere(side, side.end.namespace),
    }


def _policy(side: PathSide, policy: Object) -> dict[str, Any]:
    """The facts of a side, for a fault whose object is a policy.

    elsewhere: the policy's namespace, where it is not the lab's own.
    """
    return {**_path(side.path), **_selected(side), "elsewhere": _elsewhere(side, policy.namespace)}


def _rule(side: PathSide, rule: Rule) -> dict[str, Any]:
    """The facts of a side and of one rule.

    rule: its number; None where the policy has only one rule for this direction.

    field: the rule's list of peers, `from` or `to`. ports: as _ports gives them.
    """
    several = len(rules_of(rule.policy, side.direction)) > 1
    return {
        **_policy(side, rule.policy),
        **_end(side.path, side.other, "peer"),
        "rule": rule.number if several else None,
        "field": PEERS[side.direction],
        "ports": _ports(rule),
    }


def _ports(rule: Rule) -> list[str]:
    """The ports of a rule, as kubectl writes ports: `8080/TCP`, `http/TCP`, `8000-8080/TCP`.

    Empty where it allows all of them.
    """
    found = []
    for port in rule.ports:
        number = str(port.get("port", "1-65535")) + (f"-{port['endPort']}" if "endPort" in port else "")
        found.append(f"{number}/{port.get('protocol', 'TCP')}")
    return found


def _item(item: dict[str, Any]) -> str:
    """One item of `from` or `to`, with the fields' own names: `{podSelector: role=guest}`, `{ipBlock: 10.0.0.0/8}`.

    An empty selector is written `{}`, as in a manifest.
    """
    fields = []
    if "ipBlock" in item:
        block = item["ipBlock"]
        fields.append(f"ipBlock: {block['cidr']}")
        fields += [f"except: {', '.join(block['except'])}"] if block.get("except") else []
    for name in ("namespaceSelector", "podSelector"):
        fields += [f"{name}: {selector_words(item[name]) or '{}'}"] if name in item else []
    return f"{{{', '.join(fields)}}}"


def _names(policies: list[Object]) -> list[str]:
    return [policy.name for policy in policies]


def _opposite(direction: Direction) -> Direction:
    return "ingress" if direction == "egress" else "egress"


# -- why a path is open that should not be ---------------------------------------------------------------------------


def explain_open(path: PolicyPath, direction: Direction) -> NoReturn:
    """Raise Failed with the reason why the policies allow a path in this direction: none isolates the Pod, or one has
    a rule for it.
    """
    side = path.side(direction)
    if side.policies:
        _explain_allowed(side)
    _explain_not_isolated(side)


def _explain_allowed(side: PathSide) -> NoReturn:
    """The Pod is isolated, and a rule allows the path. The rule that allows the most is the reason."""
    rule = min(side.allowing, key=lambda rule: (bool(rule.peers), bool(rule.ports)))
    facts = _rule(side, rule)
    if not rule.peers and not rule.ports:
        fail("policy-allows-all", rule.policy, **facts)
    if not rule.peers:
        fail("policy-allows-too-much", rule.policy, form="any-peer", **facts)
    item = next(item for item in rule.peers if side.item_matches(rule.policy, item))
    others = [other for other in rule.peers if other is not item]
    pods = [i for i in rule.peers if "podSelector" in i and "namespaceSelector" not in i]
    spaces = [i for i in rule.peers if "namespaceSelector" in i and "podSelector" not in i]
    if others and pods and spaces and not side.item_matches(rule.policy, {**spaces[0], **pods[0]}):
        fail("policy-peers-or", rule.policy, items=[_item(i) for i in rule.peers], **facts)
    fail("policy-allows-too-much", rule.policy, item=_item(item), **facts)


def _explain_not_isolated(side: PathSide) -> NoReturn:
    state, end = side.path.state, side.end
    own = [p for p in state.all("NetworkPolicy", end.namespace) if not p.is_terminating]
    selecting = [p for p in own if covers(p, end)]
    for policy in selecting:  # all of them are for the other direction only, or they would isolate it
        if policy.spec.get(side.direction):
            _explain_type_missing(side, policy)
    _explain_selects_nothing(side, [p for p in own if side.direction in directions(p)])
    _explain_other_namespace(side, [p for p in state.in_lab("NetworkPolicy") if side.direction in directions(p)])
    if selecting:
        fail("policy-one-direction", selecting[0], policies=_names(selecting), **_selected(side))
    facts = {**_path(side.path), **_selected(side)}
    fail("pod-not-isolated", end.about, policies=_names(own), home=end.namespace, **facts)


def _explain_type_missing(side: PathSide, policy: Object) -> NoReturn:
    fail("policy-type-missing", policy, types=policy.spec.get("policyTypes") or [], **_policy(side, policy))


def _explain_selects_nothing(side: PathSide, policies: list[Object]) -> None:
    """Raise Failed where one of these policies of the end's own namespace selects no Pod, and the end's labels are
    nearly what it asks for.
    """
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
        labels = _alike(wished(selector), side.end.labels)
        fail(
            "policy-selects-nothing",
            policy,
            selector=selector_words(selector),
            labels=labels,
            **_policy(side, policy),
        )


def _is_nearest(wanted: dict[str, str], labels: dict[str, str], all_labels: list[dict[str, str]]) -> bool:
    """Whether no other labels are nearer to the wanted ones than these."""
    best = nearest_labels(wanted, [labels, *all_labels])
    return best == labels


def _alike(wanted: dict[str, str], labels: dict[str, str]) -> dict[str, str]:
    """Of some labels, those that share a key or a value with the wanted ones; all of them where none does."""
    return {k: v for k, v in labels.items() if k in wanted or v in wanted.values()} or labels


def _explain_other_namespace(side: PathSide, policies: list[Object]) -> None:
    """Raise Failed where one of these policies would select the end, if it were in the end's namespace."""
    for policy in policies:
        if policy.namespace == side.end.namespace or not selects(policy.spec.get("podSelector"), side.end.labels):
            continue
        here = [
            p for p in side.path.state.all("Pod", policy.namespace) if selects(policy.spec.get("podSelector"), p.labels)
        ]
        if here and policy.spec.get("podSelector"):
            continue  # it has Pods of its own to select where it is
        selector = selector_words(policy.spec.get("podSelector"))
        fail(
            "policy-in-other-namespace",
            policy,
            selector=selector,
            home=side.end.namespace,
            **_policy(side, policy),
        )


# -- why a path is closed that should not be -------------------------------------------------------------------------


def explain_closed(path: PolicyPath) -> NoReturn:
    """Raise Failed with the reason why the policies do not allow a path: the end where it is closed, and the rule
    that nearly allows it.

    Call it only for a path that the policies close.
    """
    closed = _closed_sides(path)
    for side in closed:
        if side.other.namespace != NOWHERE:
            _explain_near_miss(side)
    for side in closed:
        if side.direction == "egress" and path.target == cluster_dns(path.state):
            _explain_dns(side)
    side = closed[0]
    policy = _nearest_policy(side)
    facts = {**_policy(side, policy), "policies": _names(side.policies)}
    opposite = path.side(_opposite(side.direction))
    if len(closed) == 1 and opposite.policies:
        allowing = opposite.allowing[0].policy.name
        fail("policy-one-direction", policy, form="one-end", allowing=allowing, **facts)
    rules = sum(len(rules_of(p, side.direction)) for p in side.policies)
    fail("path-not-allowed", policy, rules=rules, **facts)


def _closed_sides(path: PolicyPath) -> list[PathSide]:
    """The ends at which a path is closed. Beside a closed one, the other counts only if its policies were listed."""
    closed = [] if path.out.is_open else [path.out]
    try:
        return closed if path.into.is_open else [*closed, path.into]
    except Unknown:
        if closed:
            return closed
        raise


def _explain_near_miss(side: PathSide) -> None:
    """Raise Failed where a rule nearly allows the path, or would allow it if its policy selected this end."""
    state, end = side.path.state, side.end
    for rule in side.rules:
        is_for_dns = {port.get("port") for port in rule.ports} == {_DNS} != {side.path.port}
        if not side.port_matches(rule) and rule.peers and side.peer_matches(rule) and not is_for_dns:
            _explain_port(side, rule)
    for rule in side.rules:
        if side.port_matches(rule) and not side.peer_matches(rule):
            for item in rule.peers:
                _explain_item(side, rule, item)
    own = [p for p in state.all("NetworkPolicy", end.namespace) if not p.is_terminating]
    for policy in own:
        if covers(policy, end) and side.direction not in directions(policy) and policy.spec.get(side.direction):
            _explain_type_missing(side, policy)
    about = [
        policy
        for policy in state.in_lab("NetworkPolicy")
        if any(side.peer_matches(rule) and side.port_matches(rule) for rule in _as_if_here(policy, side))
    ]
    _explain_selects_nothing(side, [p for p in about if p.namespace == end.namespace])
    _explain_other_namespace(side, about)


def _as_if_here(policy: Object, side: PathSide) -> list[Rule]:
    """The rules of a policy as they would be in the namespace of this end."""
    moved = Object("NetworkPolicy", {**policy.raw, "metadata": {**policy.metadata, "namespace": side.end.namespace}})
    return rules_of(moved, side.direction) if side.direction in directions(policy) else []


def _explain_port(side: PathSide, rule: Rule) -> NoReturn:
    """The rule matches the other end, and allows other ports."""
    path, facts = side.path, _rule(side, rule)
    if path.target == cluster_dns(path.state):
        fail("dns-egress-missing", rule.policy, form="other-port", host="", **facts)
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
        fail("policy-service-port", rule.policy, service=service.name, service_port=port["port"], **facts)
    fail("policy-wrong-port", rule.policy, **facts)


def _explain_item(side: PathSide, rule: Rule, item: dict[str, Any]) -> None:
    """Raise Failed where one item of `from` or `to` nearly matches the other end."""
    state, other, policy = side.path.state, side.other, rule.policy
    if "ipBlock" in item:
        _explain_service_address(side, rule, item)
        return
    pods_match = selects(item.get("podSelector"), other.labels)
    if "namespaceSelector" not in item:
        if pods_match and other.namespace != policy.namespace and item.get("podSelector"):
            fail("policy-own-namespace", policy, item=_item(item), home=other.namespace, **_rule(side, rule))
        if other.namespace == policy.namespace:
            _explain_peer_typo(side, rule, item)
        return
    spaces = [o for o in state.seen("Namespace") if not o.is_terminating]
    space_matches = selects(item["namespaceSelector"], other.namespace_labels)
    known = not state.rights_end("Namespace")  # else a namespace that was not seen may have these labels
    if (
        known
        and not space_matches
        and pods_match
        and not any(selects(item["namespaceSelector"], o.labels) for o in spaces)
    ):
        selector, labels = selector_words(item["namespaceSelector"]), other.namespace_labels
        if other.namespace == "kube-system" and not nearest_labels(wished(item["namespaceSelector"]), [labels]):
            return  # it names another namespace, not the one of the cluster's own Pods
        fail(
            "namespace-label-missing",
            policy,
            selector=selector,
            labels=labels,
            home=other.namespace,
            **_rule(side, rule),
        )
    if space_matches and not pods_match:
        _explain_peer_typo(side, rule, item)


def _explain_service_address(side: PathSide, rule: Rule, item: dict[str, Any]) -> None:
    """Raise Failed where one item holds the address of a Service that selects the other end."""
    other = side.other
    for service in side.path.state.all("Service", other.namespace):
        selector, address = service.spec.get("selector"), service.spec.get("clusterIP") or "None"
        if address == "None" or not selector or not selector.items() <= other.labels.items():
            continue
        if in_block(address, item["ipBlock"]):
            cidr = item["ipBlock"]["cidr"]
            fail("policy-service-address", rule.policy, service=service.name, cidr=cidr, **_rule(side, rule))


def _explain_peer_typo(side: PathSide, rule: Rule, item: dict[str, Any]) -> None:
    """Raise Failed where no Pod has the labels of an item, and the labels of the other end are the most similar."""
    state, other, wanted = side.path.state, side.other, wished(item.get("podSelector"))
    known = [p.labels for p in state.all("Pod", other.namespace) if not p.is_terminating] or [other.labels]
    if not wanted or any(selects(item["podSelector"], labels) for labels in known):
        return
    if not any(nearest(value, other.labels.values(), 0.6) or key in other.labels for key, value in wanted.items()):
        return
    if not _is_nearest(wanted, other.labels, known):
        return
    fail(
        "policy-peer-matches-nothing",
        rule.policy,
        item=_item(item),
        selector=selector_words(item["podSelector"]),
        labels=_alike(wanted, other.labels),
        home=other.namespace,
        **_rule(side, rule),
    )


def _explain_dns(side: PathSide) -> NoReturn:
    policy = _nearest_policy(side)
    fail("dns-egress-missing", policy, host="", policies=_names(side.policies), **_policy(side, policy))


def _nearest_policy(side: PathSide) -> Object:
    """The policy in which a missing rule is looked for first: one that has rules for this direction, where there is
    one.
    """
    return next((p for p in side.policies if rules_of(p, side.direction)), side.policies[0])


def explain_blocked(state: State, source: PathEnd, pod: Object, port: int, story: Fault) -> None:
    """Raise Failed where a Pod's policies do not allow connections from `source`, which had no answer.

    story: the fault that tells the answers.

    Raises nothing where a rule names addresses, and that of the source is not known.
    """
    if "NetworkPolicy" in state.unlisted:
        return
    path = PolicyPath(state, source, end_of(state, pod), port)
    if path.into.is_open or (
        not source.address and any("ipBlock" in item for rule in path.into.rules for item in rule.peers)
    ):
        return
    try:
        explain_closed(path)
    except Failed as end:
        raise Failed(end.fault.within("kept-out", story=story)) from None
