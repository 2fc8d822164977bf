"""Judging lab 14: paths are tried with real packets, and a closed one counts only where a policy closes it.

Whoever is not there cannot be tried. What would become of Pods that are made later, of other namespaces, and of addresses
outside the cluster is read from the policies.
"""

from checker import State, fail, task
from checker.judge.chains.policy import (
    NAME_LABEL,
    NOWHERE,
    Direction,
    End,
    Path,
    cluster_dns,
    end_of,
    explain_closed,
    explain_open,
    label_sets,
    namespace_labels,
)
from checker.judge.matrix import Also, Enforcement, Matrix, Tried, Way, path_of, pod_of, require_matrix
from checker.judge.names import pairs

TO_REDIS = Way("guestbook", "redis", 6379)
TO_THE_PAGE = Way("visitor.visitors", "guestbook", 8080)
DEFAULT_DENY = (
    (Way("visitor.visitors", "reports", 8080), "ingress"),
    (Way("reports", "visitor.visitors", 8080), "egress"),
)
TO_REDIS_TOO = (
    (Way("visitor.visitors", "redis", 6379), "ingress"),
    (Way("crawler.visitors", "redis", 6379), "ingress"),
    (Way("reports", "redis", 6379), "ingress"),
)
TO_THE_GUESTBOOK = (
    (Way("crawler.visitors", "guestbook", 8080), "ingress"),
    (Way("reports", "guestbook", 8080), "ingress"),
    (Way("visitor.visitors", "guestbook", 9090), "ingress"),
    (Way("crawler.visitors", "guestbook", 9090), "ingress"),
)
OUT_OF_THE_GUESTBOOK = (
    (Way("guestbook", "visitor.visitors", 8080), "egress"),
    (Way("guestbook", "reports", 8080), "egress"),
)
CLOSED = (*DEFAULT_DENY, *TO_REDIS_TOO, *TO_THE_GUESTBOOK, *OUT_OF_THE_GUESTBOOK)
ENTRIES = Also("guestbook", ("redis", "kubernetes.default"), "http://127.0.0.1:8080/entries")
BY_ITS_SERVICE = Also("visitor.visitors", (), "http://guestbook.{namespace}.svc.cluster.local.:80/version")
MATRIX = Matrix((*(way for way, _ in CLOSED), TO_REDIS, TO_THE_PAGE), (ENTRIES, BY_ITS_SERVICE))
WALL = Enforcement()
ELSEWHERE = "elsewhere"  # a namespace that nobody has made
OUTSIDE = "203.0.113.7"  # an address that is nobody's: https://www.rfc-editor.org/rfc/rfc5737


@task("default-deny", observe=(MATRIX, WALL))
def everything_is_closed(state: State, tried: Tried, wall: str) -> None:
    require_matrix(state, tried, wall, closed=DEFAULT_DENY, open=())
    visitor = path_of(state, DEFAULT_DENY[0][0]).source
    new = End("a new Pod without labels", state.namespace, {}, namespace_labels(state, state.namespace))
    require_shut(Path(state, visitor, new, 8080), "ingress")
    require_shut(Path(state, new, visitor, 8080), "egress")
    # Whatever its labels, some policy is about a new Pod: what that one lets through is its maker's to say.
    for labels in label_sets([p.spec.get("podSelector") for p in state.all("NetworkPolicy")]):
        new = End(f"a new Pod with {pairs(labels)}", state.namespace, labels, new.namespace_labels)
        for path, direction in (
            (Path(state, visitor, new, 8080), "ingress"),
            (Path(state, new, visitor, 8080), "egress"),
        ):
            if not path.side(direction).policies:
                explain_open(path, direction)


def require_shut(path: Path, direction: Direction) -> None:
    """The policies close a path at this end. Raises Failed otherwise."""
    if path.side(direction).is_open:
        explain_open(path, direction)


@task("redis", observe=(MATRIX, WALL))
def only_the_guestbook_reaches_redis(state: State, tried: Tried, wall: str) -> None:
    require_matrix(state, tried, wall, closed=TO_REDIS_TOO, open=(TO_REDIS,))
    path = path_of(state, TO_REDIS)
    elsewhere = {NAME_LABEL: ELSEWHERE}
    for other in (
        End("a Pod without labels", ELSEWHERE, {}, elsewhere),
        End(f"a Pod with {pairs(path.source.labels)}", ELSEWHERE, path.source.labels, elsewhere),
        End("a new Pod without labels", state.namespace, {}, namespace_labels(state, state.namespace)),
    ):
        require_shut(Path(state, other, path.target, 6379), "ingress")


@task("visitors", observe=(MATRIX, WALL))
def visitors_reach_the_page_only(state: State, tried: Tried, wall: str) -> None:
    require_matrix(state, tried, wall, closed=TO_THE_GUESTBOOK, open=(TO_THE_PAGE,))
    page = path_of(state, TO_THE_PAGE)
    other = End("a Pod without labels", page.source.namespace, {}, page.source.namespace_labels)
    require_shut(Path(state, other, page.target, 8080), "ingress")
    service = state.require("Service", "guestbook")
    answer = tried.page("visitor.visitors")
    if not answer.ok:
        state.require_working(service)
        fail(
            "service-does-not-answer", f"A visitor reaches the guestbook's Pod, but Service guestbook gives no good answer: {answer.words}.",
            expected="status 200", observed=answer.words, object=service.ref, look="kubectl describe service guestbook",
            pending=answer.never_arrived,
        )  # fmt: skip


@task("egress", observe=(MATRIX, WALL))
def guestbook_goes_out_to_redis_only(state: State, tried: Tried, wall: str) -> None:
    require_matrix(state, tried, wall, closed=OUT_OF_THE_GUESTBOOK, open=(TO_REDIS,))
    outside = End(f"the address {OUTSIDE}", NOWHERE, {}, {}, OUTSIDE, on_host=True)
    require_shut(Path(state, path_of(state, TO_REDIS).source, outside, 443), "egress")
    guestbook = state.require("Deployment", "guestbook")
    lookups = tried.lookups("guestbook")
    if lookups["redis"]["error"]:
        path = Path(state, end_of(state, pod_of(state, "guestbook")), cluster_dns(state), 53, "UDP")
        if not path.is_open:
            explain_closed(path)
        state.explain_name("redis", lookups, guestbook)
    answer = tried.page("guestbook")
    if not answer.ok:
        fail(
            "redis-not-answering", f"The guestbook reaches Redis and finds its name, but says of its entries: {answer.words}.",
            expected="the entries", observed=answer.words, object=guestbook.ref, look="kubectl logs deployment/guestbook -c guestbook",
            pending=True,
        )  # fmt: skip
