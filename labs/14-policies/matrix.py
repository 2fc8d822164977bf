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

from .connections import Attempts, Connection, deployment_of, pod_of

# A connection that must be closed, and at which end: where it begins (egress) or where it ends (ingress).
Closed = tuple[Connection, Direction]


def end_of(state: PlainState, name: str) -> PathEnd:
    """The Pod that speaks for a Deployment, as one end of a path. Raises Failed if none runs."""
    pod = pod_of(state, name)
    if not pod:
        require_working(state, deployment_of(state, name))
        fail("pod-starting", deployment_of(state, name), form="no-running-pod", in_progress=True)
    return path_end_of(state, pod)


def path_of(state: PlainState, connection: Connection) -> PolicyPath:
    """A connection as the policies see it. Raises Failed where one of its ends has no Pod that runs."""
    return PolicyPath(state, end_of(state, connection.source), end_of(state, connection.target), connection.port)


def require_matrix(
    state: PlainState, attempts: Attempts, wall: str, closed: tuple[Closed, ...], open: tuple[Connection, ...]
) -> None:
    """Policies close some connections, and others are open. Raises Failed with the first that is not so, and why.

    Raises Unknown, with what the policies say, where the network plugin does not enforce them.
    """
    for name in dict.fromkeys(
        name
        for connection in [*open, *(connection for connection, _ in closed)]
        for name in (connection.target, connection.source)
    ):
        require_working(state, deployment_of(state, name))
    if wall == "open":
        _raise_not_enforced(state, closed, open)
    for connection, direction in closed:
        try:
            require_closed(state, attempts, connection, direction)
        except Unknown:
            for other in open:  # what the policies themselves close is known, whatever else is not
                require_allowed(state, other)
            raise
    for connection in open:
        require_open(state, attempts, connection)


def require_allowed(state: PlainState, connection: Connection) -> None:
    """The policies let a connection through. Raises Failed otherwise."""
    path = path_of(state, connection)
    if not path.is_open:
        explain_path_closed(path)


def require_closed(state: PlainState, attempts: Attempts, connection: Connection, direction: Direction) -> None:
    """A connection is closed by policies, at the end where they are asked for. Raises Failed or Unknown otherwise."""
    path = path_of(state, connection)
    word = attempts.word(state, connection)
    if path.side(direction).is_open:
        explain_path_open(path, direction)
    if attempts.silent(state, connection):
        _raise_silent(state, connection)
    if word == "open":
        policies = Ref("NetworkPolicy", "", state.namespace)
        unknown("policy-not-yet-enforced", policies, in_progress=True, **connection.facts(state))


def require_open(state: PlainState, attempts: Attempts, connection: Connection) -> None:
    """A connection is open. Raises Failed or Unknown otherwise."""
    word = attempts.word(state, connection)
    require_allowed(state, connection)
    if word == "open":
        return
    if attempts.silent(state, connection):
        _raise_silent(state, connection)
    target = deployment_of(state, connection.target)
    fail("path-not-answering", target, in_progress=True, answer=word, **connection.facts(state))


def _raise_silent(state: PlainState, connection: Connection) -> NoReturn:
    target = deployment_of(state, connection.target)
    new = state.changed_within(TIME_TO_LISTEN, *pods_of(state, target))
    fail("nothing-listens", target, in_progress=new, **connection.facts(state))


def _raise_not_enforced(state: PlainState, closed: tuple[Closed, ...], open: tuple[Connection, ...]) -> NoReturn:
    """Raise Unknown, with what the policies say: which paths they allow or close as the task asks, and which not."""
    wanted = [
        *((connection, direction, False) for connection, direction in closed),
        *((connection, None, True) for connection in open),
    ]
    paths: dict[tuple[bool, bool], list[str]] = {}
    for connection, direction, must_be_open in wanted:
        path = path_of(state, connection)
        is_open = path.side(direction).is_open if direction else path.is_open
        paths.setdefault((is_open, must_be_open), []).append(connection.notation(state))
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
