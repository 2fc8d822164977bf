"""A matrix of paths: which Pods reach which others at which port, tried with real packets from the Pods themselves.

A deny is proven before an allow. That a connection does not come about proves nothing by itself: the other end may be
broken or gone. A path counts as closed when it was tried in vain, its other end listens, and a policy closes it at the
end that is asked for (see checker/diagnosis/network_policy.py). Whether the network plugin enforces policies at all is
seen at a wall: a Pod to which a policy allows no connections (cluster/observer/manifest.yaml). Where it answers,
nothing can be concluded from what is open.
"""

from typing import NoReturn

from checker.sdk import (
    TIME_TO_LISTEN,
    Direction,
    PathEnd,
    PlainState,
    PolicyPath,
    Ref,
    Unknown,
    explain_path_closed,
    explain_path_open,
    fail,
    path_end_of,
    pods_of,
    require_working,
    unknown,
)

from .ways import Tried, Way, deployment_of, pod_of

# A way that must be closed, and at which end: where it begins (egress) or where it ends (ingress).
Closed = tuple[Way, Direction]


def end_of(state: PlainState, name: str) -> PathEnd:
    """The Pod that speaks for a Deployment, as one end of a path. Raises Failed if none runs."""
    pod = pod_of(state, name)
    if not pod:
        require_working(state, deployment_of(state, name))
        fail("pod-starting", deployment_of(state, name), form="no-running-pod", in_progress=True)
    return path_end_of(state, pod)


def path_of(state: PlainState, way: Way) -> PolicyPath:
    """A way as the policies see it. Raises Failed where one of its ends has no Pod that runs."""
    return PolicyPath(state, end_of(state, way.source), end_of(state, way.target), way.port)


def require_matrix(
    state: PlainState, tried: Tried, wall: str, closed: tuple[Closed, ...], open: tuple[Way, ...]
) -> None:
    """Some ways are closed by policies, and others are open. Raises Failed with the first that is not so, and why.

    Raises Unknown, with what the policies say, where the network plugin does not enforce them.
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
        policies = Ref("NetworkPolicy", "", state.namespace)
        unknown("policy-not-yet-enforced", policies, in_progress=True, **way.facts(state))


def require_open(state: PlainState, tried: Tried, way: Way) -> None:
    """A way is open. Raises Failed or Unknown otherwise."""
    word = tried.word(state, way)
    require_allowed(state, way)
    if word == "open":
        return
    if tried.silent(state, way):
        _tell_silent(state, way)
    target = deployment_of(state, way.target)
    fail("path-not-answering", target, in_progress=True, answer=word, **way.facts(state))


def _tell_silent(state: PlainState, way: Way) -> NoReturn:
    target = deployment_of(state, way.target)
    new = state.changed_within(TIME_TO_LISTEN, *pods_of(state, target))
    fail("nothing-listens", target, in_progress=new, **way.facts(state))


def _tell_not_enforced(state: PlainState, closed: tuple[Closed, ...], open: tuple[Way, ...]) -> NoReturn:
    """Raise Unknown, with what the policies say: which paths they allow or close as the task asks, and which not."""
    wanted = [*((way, direction, False) for way, direction in closed), *((way, None, True) for way in open)]
    paths: dict[tuple[bool, bool], list[str]] = {}
    for way, direction, must_be_open in wanted:
        path = path_of(state, way)
        is_open = path.side(direction).is_open if direction else path.is_open
        paths.setdefault((is_open, must_be_open), []).append(way.notation(state))
    right_closed, right_open = paths.get((False, False), []), paths.get((True, True), [])
    unknown(
        "policies-not-enforced",
        deployment_of(
            state, wanted[0][0].target
        ),  # another one for each task, so that a report shows the paths of each
        closed=right_closed,
        open=right_open,
        wrongly_open=paths.get((True, False), []),
        wrongly_closed=paths.get((False, True), []),
        right=len(right_closed) + len(right_open),
        paths=len(wanted),
    )
