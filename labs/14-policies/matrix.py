"""A matrix of paths: who reaches whom at which port, tried with real packets from the Pods themselves.

A deny is proven before an allow. That a connection does not come about proves nothing by itself: the other end may be
broken or gone. A path counts as closed when it was tried in vain, its other end listens, and a policy closes it at the end
that is asked for (see checker/diagnosis/network_policy.py). And whether anybody enforces policies at all is seen at a wall: a Pod that
nobody may reach (cluster/observer/manifest.yaml). Where it answers, nothing can be concluded from what is open.
"""

from typing import NoReturn

from checker.sdk import (
    TIME_TO_LISTEN,
    Direction,
    PathEnd,
    PlainState,
    PolicyPath,
    Unknown,
    explain_path_closed,
    explain_path_open,
    fail,
    path_end_of,
    pods_of,
    require_working,
    unknown,
)

from .ways import Tried, Way, deployment_of, describe_deployment, pod_of

Closed = tuple[
    Way, Direction
]  # a way that must be closed, and at which end: where it begins (egress) or ends (ingress)


def end_of(state: PlainState, name: str) -> PathEnd:
    """The Pod that speaks for a Deployment, as one end of a path. Raises Failed if none runs."""
    pod = pod_of(state, name)
    if not pod:
        require_working(state, deployment_of(state, name))
        fail("pod-starting", f"No Pod of Deployment {name} runs.", object=f"Deployment/{name}", pending=True)
    return path_end_of(state, pod)


def path_of(state: PlainState, way: Way) -> PolicyPath:
    """A way as the policies see it. Raises Failed where one of its ends has no Pod that runs."""
    return PolicyPath(state, end_of(state, way.source), end_of(state, way.target), way.port)


def require_matrix(
    state: PlainState, tried: Tried, wall: str, closed: tuple[Closed, ...], open: tuple[Way, ...]
) -> None:
    """Some ways are closed by policies, and others are open. Raises Failed with the first that is not so, and why.

    Raises Unknown, with what the policies would do if they were enforced, where nobody enforces them.
    """
    for name in dict.fromkeys(
        name for way in [*open, *(way for way, _ in closed)] for name in (way.target, way.source)
    ):
        require_working(state, deployment_of(state, name))
    if wall == "open":
        _tell_not_enforced(state, closed, open)
    for way, direction in closed:
        try:
            require_closed(state, tried, way, direction)
        except Unknown:
            for other in open:  # what the policies themselves close is known, whatever else is not
                require_allowed(state, other)
            raise
    for way in open:
        require_open(state, tried, way)


def require_allowed(state: PlainState, way: Way) -> None:
    """The policies let a way through. Raises Failed otherwise."""
    path = path_of(state, way)
    if not path.is_open:
        explain_path_closed(path)


def require_closed(state: PlainState, tried: Tried, way: Way, direction: Direction) -> None:
    """A way is closed by policies, at the end where they are asked for. Raises Failed or Unknown otherwise."""
    path = path_of(state, way)
    word = tried.word(state, way)
    if path.side(direction).is_open:
        explain_path_open(path, direction)
    if tried.silent(state, way):
        _tell_silent(state, way)
    if word == "open":
        unknown(
            "policy-not-yet-enforced",
            f"By its policies the path {way.words(state)} is closed, and a moment ago it was still open.",
            expected="closed", observed=word, object="NetworkPolicy", look="kubectl get networkpolicies", pending=True,
        )  # fmt: skip


def require_open(state: PlainState, tried: Tried, way: Way) -> None:
    """A way is open. Raises Failed or Unknown otherwise."""
    word = tried.word(state, way)
    require_allowed(state, way)
    if word == "open":
        return
    if tried.silent(state, way):
        _tell_silent(state, way)
    fail(
        "path-not-answering", f"The policies let connections through on the path {way.words(state)}, but none came about: {word}.",
        expected="open", observed=word, object=deployment_of(state, way.target).ref, look="kubectl get pods -o wide", pending=True,
    )  # fmt: skip


def _tell_silent(state: PlainState, way: Way) -> NoReturn:
    target = deployment_of(state, way.target)
    fail(
        "nothing-listens",
        f"Nothing listens on port {way.port} of the Pods of Deployment {describe_deployment(state, way.target)}, not even for themselves: "
        f"that {way.words(state)} is closed proves no policy.",
        expected=f"something listens on port {way.port}", observed="nothing does", object=target.ref,
        pending=state.changed_within(TIME_TO_LISTEN, *pods_of(state, target)),
        look=f"kubectl logs deployment/{target.name} --all-containers -n {target.namespace}",
    )  # fmt: skip


def _tell_not_enforced(state: PlainState, closed: tuple[Closed, ...], open: tuple[Way, ...]) -> NoReturn:
    """The policies as they are written, for want of a network that keeps to them."""
    told, right = [], 0
    for way, direction in closed:
        is_open = path_of(state, way).side(direction).is_open
        right += not is_open
        told.append(f"{way.words(state)} {'open, and should be closed' if is_open else 'closed, as it should be'}")
    for way in open:
        is_open = path_of(state, way).is_open
        right += is_open
        told.append(f"{way.words(state)} {'open, as it should be' if is_open else 'closed, and should be open'}")
    unknown(
        "policies-not-enforced",
        "Nothing enforces policies in this cluster: Pod wall of namespace kubeclass, which a policy lets nobody reach, answers. "
        f"If your policies were enforced as they are written: {'; '.join(told)}.",
        expected="a network plugin that enforces policies", observed=f"by what is written, {right} of {len(told)} paths as asked",
        # Another one for each task, so that a report shows each one's own paths.
        object=deployment_of(state, [*(way for way, _ in closed), *open][0].target).ref, look="kubectl get daemonsets -n kube-system",
    )  # fmt: skip
