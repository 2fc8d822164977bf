"""Judging lab 14: paths are tried with real packets, and a closed one counts only where a policy closes it.

A path from or to a Pod that does not exist cannot be tried. What the policies mean for new Pods, for other namespaces
and for addresses outside the cluster is read from the policies.
"""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network
from itertools import islice

from checker.sdk import (
    ANOTHER_VALUE,
    NAMESPACE_NAME_LABEL,
    OUTSIDE_CLUSTER,
    Direction,
    PathEnd,
    PathSide,
    Phrase,
    PlainState,
    PolicyPath,
    State,
    cluster_dns,
    explain_path_closed,
    explain_path_open,
    fail,
    in_ip_block,
    label_sets,
    namespace_labels,
    policy_rules,
    task,
)

from .connections import Attempts, Connection, Enforcement, ExtraQuestions, Matrix, deployment_of
from .matrix import Closed, end_of, path_of, require_matrix

TO_REDIS = Connection("guestbook", "redis", 6379)
TO_THE_PAGE = Connection("visitor.visitors", "guestbook", 8080)
DEFAULT_DENY: tuple[Closed, ...] = (
    (Connection("visitor.visitors", "reports", 8080), "ingress"),
    (Connection("reports", "visitor.visitors", 8080), "egress"),
)
TO_REDIS_TOO: tuple[Closed, ...] = (
    (Connection("visitor.visitors", "redis", 6379), "ingress"),
    (Connection("crawler.visitors", "redis", 6379), "ingress"),
    (Connection("reports", "redis", 6379), "ingress"),
)
TO_THE_GUESTBOOK: tuple[Closed, ...] = (
    (Connection("crawler.visitors", "guestbook", 8080), "ingress"),
    (Connection("reports", "guestbook", 8080), "ingress"),
    (Connection("visitor.visitors", "guestbook", 9090), "ingress"),
    (Connection("crawler.visitors", "guestbook", 9090), "ingress"),
)
OUT_OF_THE_GUESTBOOK: tuple[Closed, ...] = (
    (Connection("guestbook", "visitor.visitors", 8080), "egress"),
    (Connection("guestbook", "reports", 8080), "egress"),
)
CLOSED = (*DEFAULT_DENY, *TO_REDIS_TOO, *TO_THE_GUESTBOOK, *OUT_OF_THE_GUESTBOOK)
ENTRIES = ExtraQuestions("guestbook", ("redis", "kubernetes.default"), "http://127.0.0.1:8080/entries")
BY_ITS_SERVICE = ExtraQuestions("visitor.visitors", (), "http://guestbook.{namespace}.svc.cluster.local.:80/version")
MATRIX = Matrix((*(connection for connection, _ in CLOSED), TO_REDIS, TO_THE_PAGE), (ENTRIES, BY_ITS_SERVICE))
WALL = Enforcement()
VISITOR = {"role": "visitor"}
DIRECTIONS: tuple[Direction, ...] = ("ingress", "egress")
ELSEWHERE = "elsewhere"  # a namespace that does not exist
DNS_NAMESPACE, DNS_PORT = "kube-system", 53  # where the cluster's DNS answers
MOST_ADDRESSES = 4096  # of a block that are tried
OUTSIDE = "203.0.113.7"  # an address for documentation, not in use: https://www.rfc-editor.org/rfc/rfc5737


@task("default-deny", observe=(MATRIX, WALL))
def everything_is_closed(state: State, attempts: Attempts, wall: str) -> None:
    require_matrix(state, attempts, wall, closed=DEFAULT_DENY, open=())
    visitor = path_of(state, DEFAULT_DENY[0][0]).source
    new = pod_with(state, {}, state.namespace)
    require_shut(PolicyPath(state, visitor, new, 8080), "ingress")
    require_shut(PolicyPath(state, new, visitor, 8080), "egress")
    # Whatever its labels, some policy isolates a new Pod. What that policy allows is for its author to say.
    for labels in label_sets([p.spec.get("podSelector") for p in state.all("NetworkPolicy")]):
        new = pod_with(state, labels, state.namespace)
        both: dict[Direction, PolicyPath] = {
            "ingress": PolicyPath(state, visitor, new, 8080),
            "egress": PolicyPath(state, new, visitor, 8080),
        }
        for direction, path in both.items():
            if not path.side(direction).policies:
                explain_path_open(path, direction)


def pod_with(state: PlainState, labels: dict[str, str], namespace: str) -> PathEnd:
    """A Pod that does not exist."""
    return PathEnd(Phrase("new-pod", {"labels": labels}), namespace, labels, namespace_labels(state, namespace))


def namespaces_but(state: State, *names: str) -> list[str]:
    """All namespaces but some: those that may be seen, those that a policy names, and one that is made later."""
    rules = [
        rule
        for policy in state.all("NetworkPolicy")
        for direction in DIRECTIONS
        for rule in policy_rules(policy, direction)
    ]
    spaces = label_sets(item.get("namespaceSelector") for rule in rules for item in rule.peers)
    named = {labels.get(NAMESPACE_NAME_LABEL, ANOTHER_VALUE) for labels in spaces} - {ANOTHER_VALUE}
    found = {ELSEWHERE, *(n.name for n in state.seen("Namespace")), *named}
    return sorted(found - set(names))


def meant(side: PathSide, namespaces: list[str], anybody: bool = False) -> Iterator[PathEnd]:
    """Pods that do not exist and that the rules at one end of a path may match: of these namespaces, with labels that
    the rules name. anybody: only with labels that no rule names, which match where a rule excludes others."""
    for item in (item for rule in side.rules for item in rule.peers if "ipBlock" not in item):
        for labels in label_sets([item.get("podSelector")]):
            if not anybody or set(labels.values()) <= {ANOTHER_VALUE}:
                yield from (pod_with(side.path.state, labels, namespace) for namespace in namespaces)
                if ELSEWHERE in namespaces:  # which may have labels, too, of values that no rule names
                    new = pod_with(side.path.state, labels, ELSEWHERE)
                    for own in label_sets([item.get("namespaceSelector")]):
                        if set(own.values()) <= {ANOTHER_VALUE}:
                            yield replace(new, namespace_labels={**own, NAMESPACE_NAME_LABEL: ELSEWHERE})


def addresses_meant(side: PathSide) -> Iterator[PathEnd]:
    """An address of each ipBlock of the rules at one end of a path, but not the address of the other end."""
    for block in (item["ipBlock"] for rule in side.rules for item in rule.peers if "ipBlock" in item):
        found = (str(address) for address in islice(ip_network(block["cidr"], False), MOST_ADDRESSES))
        address = next((one for one in found if in_ip_block(one, block) and one != side.other.address), "")
        if address:
            yield PathEnd(address, OUTSIDE_CLUSTER, {}, {}, address, on_host=True)


def made_later(state: State, name: str) -> PathEnd:
    """A new Pod of a Deployment: it has only the labels of the Pod template, and another address."""
    now = end_of(state, name)
    labels = deployment_of(state, name).spec["template"]["metadata"]["labels"]
    address = now.address and str(ip_address(int(ip_address(now.address)) ^ 0x80))
    return replace(now, name=Phrase("new-pod-of", {"owner": now.name}), labels=labels, address=address)


def require_shut(path: PolicyPath, direction: Direction) -> None:
    """The policies close a path at this end. Raises Failed otherwise."""
    if path.side(direction).is_open:
        explain_path_open(path, direction)


def require_lasting(state: State, connection: Connection, source: PathEnd, target: PathEnd) -> None:
    """A path that is open now is also open between new Pods. Raises Failed otherwise."""
    now, later = path_of(state, connection), PolicyPath(state, source, target, connection.port)
    if later.is_open or not now.is_open:
        return
    direction: Direction = "egress" if later.into.is_open else "ingress"
    rules, closing = now.side(direction).allowing, later.side(direction).policies
    policy = rules[0].policy if rules else closing[0]
    side = later.side(direction)
    facts = {
        **connection.facts(state),
        "source_labels": source.labels,
        "target_labels": target.labels,
        "selected": side.end.name,
        "selected_namespace": "" if side.end.namespace == state.namespace else side.end.namespace,
        "direction": direction,
        "policies": [one.name for one in closing],
    }
    fail("path-not-allowed", policy, form="new-pods", **facts)


@task("redis", observe=(MATRIX, WALL))
def only_the_guestbook_reaches_redis(state: State, attempts: Attempts, wall: str) -> None:
    require_matrix(state, attempts, wall, closed=TO_REDIS_TOO, open=(TO_REDIS,))
    path, new = path_of(state, TO_REDIS), made_later(state, "redis")
    visitors = path_of(state, TO_THE_PAGE).source.namespace
    others = namespaces_but(state, state.namespace, visitors)
    for target in (path.target, new):
        for other in (
            *(pod_with(state, {}, elsewhere) for elsewhere in others),
            *(pod_with(state, path.source.labels, elsewhere) for elsewhere in others),
            pod_with(state, path.source.labels, visitors),
            pod_with(state, {}, state.namespace),
            *meant(replace(path, target=target).into, [visitors, *others]),
            *meant(replace(path, target=target).into, [state.namespace], anybody=True),
            *addresses_meant(replace(path, target=target).into),
        ):
            require_shut(PolicyPath(state, other, target, 6379), "ingress")
    require_lasting(state, TO_REDIS, made_later(state, "guestbook"), new)


@task("visitors", observe=(MATRIX, WALL))
def visitors_reach_the_page_only(state: State, attempts: Attempts, wall: str) -> None:
    require_matrix(state, attempts, wall, closed=TO_THE_GUESTBOOK, open=(TO_THE_PAGE,))
    page, new = path_of(state, TO_THE_PAGE), made_later(state, "guestbook")
    visitors = page.source.namespace
    for target in (page.target, new):
        for other in (
            pod_with(state, {}, visitors),
            *(pod_with(state, VISITOR, elsewhere) for elsewhere in namespaces_but(state, visitors)),
            *meant(replace(page, target=target).into, namespaces_but(state, visitors, state.namespace)),
            *meant(replace(page, target=target).into, [visitors, state.namespace], anybody=True),
            *addresses_meant(replace(page, target=target).into),
        ):
            for port in (8080, 9090):
                require_shut(PolicyPath(state, other, target, port), "ingress")
    require_lasting(state, TO_THE_PAGE, replace(made_later(state, "visitor.visitors"), labels=VISITOR), new)
    service = state.require("Service", "guestbook")
    answer = attempts.page("visitor.visitors")
    if not answer.ok:
        state.require_working(service)
        fail("service-does-not-answer", service, form="page", answer=answer.words, in_progress=answer.never_arrived)


@task("egress", observe=(MATRIX, WALL))
def guestbook_goes_out_to_redis_only(state: State, attempts: Attempts, wall: str) -> None:
    require_matrix(state, attempts, wall, closed=OUT_OF_THE_GUESTBOOK, open=(TO_REDIS,))
    outside = PathEnd(OUTSIDE, OUTSIDE_CLUSTER, {}, {}, OUTSIDE, on_host=True)
    new, path = made_later(state, "guestbook"), path_of(state, TO_REDIS)
    others = namespaces_but(state, state.namespace, DNS_NAMESPACE)
    for source in (path.source, new):
        out = replace(path, source=source).out
        for target in (
            outside,
            pod_with(state, {}, state.namespace),
            *(pod_with(state, {}, elsewhere) for elsewhere in others),
            *(end for end in meant(out, others) if end.labels.get("k8s-app") != "kube-dns"),
            *meant(out, [state.namespace], anybody=True),
            *addresses_meant(out),
            pod_with(state, {}, DNS_NAMESPACE),
        ):
            for port in ports_out(PolicyPath(state, source, target, 443)):
                for protocol in ("TCP", "UDP"):
                    require_shut(PolicyPath(state, source, target, port, protocol), "egress")
    require_lasting(state, TO_REDIS, new, made_later(state, "redis"))
    guestbook = state.require("Deployment", "guestbook")
    lookups = attempts.lookups("guestbook")
    if lookups["redis"]["error"]:
        path = PolicyPath(state, end_of(state, "guestbook"), cluster_dns(state), 53, "UDP")
        if not path.is_open:
            explain_path_closed(path)
        state.explain_name("redis", lookups, guestbook)
    answer = attempts.page("guestbook")
    if not answer.ok:
        fail("redis-not-answering", guestbook, answer=answer.words, in_progress=True)


def ports_out(path: PolicyPath) -> list[int]:
    """The ports at which an egress path must be closed: its own, those that a rule names, and 53 but to the DNS."""
    ports = [port for rule in path.out.rules for port in rule.ports]
    found = {end for port in ports for end in (port.get("port"), port.get("endPort")) if isinstance(end, int)}
    single = {item["ipBlock"]["cidr"] for rule in path.out.rules for item in rule.peers if "ipBlock" in item}
    may_be_dns = path.target.namespace == DNS_NAMESPACE or f"{path.target.address}/32" in single
    return [path.port, *sorted((found - {DNS_PORT} if may_be_dns else found | {DNS_PORT}) - {path.port})]
