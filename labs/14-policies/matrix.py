"""A matrix of paths: who reaches whom at which port, tried with real packets from the Pods themselves.

A deny is proven before an allow. That a connection does not come about proves nothing by itself: the other end may be
broken or gone. A path counts as closed when it was tried in vain, its other end listens, and a policy closes it at the end
that is asked for (see checker/diagnosis/network_policy.py). And whether anybody enforces policies at all is seen at a wall: a Pod that
nobody may reach (cluster/observer/manifest.yaml). Where it answers, nothing can be concluded from what is open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from checker.sdk import (
    TIME_TO_LISTEN,
    Answer,
    Direction,
    Object,
    Observation,
    PlainState,
    PodsInside,
    PolicyPath,
    Unknown,
    answers_from_pod,
    ask_in_pod,
    explain_path_closed,
    explain_path_open,
    fail,
    path_end_of,
    pods_of,
    read_answers,
    require_object,
    require_working,
    running_pods,
    unknown,
)

WALL = "wall.kubeclass.svc.cluster.local.:8080"


@dataclass(frozen=True)
class Enforcement(Observation):
    """Whether policies are enforced: what came of an attempt to reach the wall. Read as a word (see Answer), `open` where they are not."""

    asked_by = "observer"

    def question(self, state: PlainState) -> dict[str, Any] | None:
        return {"do": "tcp", "to": [WALL]}

    def read(self, seen: Any) -> str:
        return str(seen[WALL])


@dataclass(frozen=True)
class Way:
    """One path: from a Pod of one Deployment to a port of a Pod of another. `web.data` is Deployment web of the lab's further namespace `data`."""

    source: str
    target: str
    port: int

    def words(self, state: PlainState) -> str:
        return f"{_words(state, self.source)} → {_words(state, self.target)}:{self.port}"


def _place(state: PlainState, name: str) -> tuple[str, str]:
    """A Deployment's name and namespace."""
    deployment, _, suffix = name.partition(".")
    return deployment, f"{state.namespace}-{suffix}" if suffix else state.namespace


def _words(state: PlainState, name: str) -> str:
    deployment, namespace = _place(state, name)
    return deployment if namespace == state.namespace else f"{deployment} ({namespace})"


def deployment_of(state: PlainState, name: str) -> Object:
    """The Deployment that a Way names. Raises Failed where it is missing."""
    return require_object(state, "Deployment", *_place(state, name))


def pod_of(state: PlainState, name: str) -> Object | None:
    """The Pod that speaks for a Deployment: a running one, ready rather than not."""
    deployment = state.find("Deployment", *_place(state, name))
    pods = running_pods(state, deployment) if deployment else []
    return min(pods, key=lambda pod: (not pod.is_ready, pod.name), default=None)


@dataclass(frozen=True)
class Also:
    """What else is asked in the Pod of a Deployment: where names lead, and one page. In `url`, {namespace} stands for the lab's."""

    source: str
    names: tuple[str, ...] = ()
    url: str = ""


@dataclass(frozen=True)
class Matrix(PodsInside):
    """Every one of these ways, tried inside the Pods where they begin, all at once; those Pods' own ports too. Read as Tried."""

    ways: tuple[Way, ...]
    also: tuple[Also, ...] = ()

    @property
    def key(self) -> str:
        ways = [f"{way.source}>{way.target}:{way.port}" for way in self.ways]
        return f"Matrix({', '.join([*ways, *(f'{more.source}>{more.url}' for more in self.also)])})"

    def question(self, state: PlainState) -> dict[str, Any] | None:
        asks = {}
        for name in sorted({way.source for way in self.ways}):
            pod = pod_of(state, name)
            if not pod:
                continue
            to = {address(state, way) for way in self.ways if name in (way.source, way.target)} - {""}
            questions: dict[str, Any] = {"tcp": {"do": "tcp", "to": sorted(to)}}
            for more in self.also:
                if more.source == name:
                    url = more.url.replace("{namespace}", state.namespace)
                    questions |= {"names": {"do": "dns", "names": list(more.names)}, "page": {"do": "http", "url": url}}
            asks[name] = ask_in_pod(pod, questions)
        return self.ask(asks)

    def read(self, seen: Any) -> Tried:
        return Tried(seen)


def address(state: PlainState, way: Way, tried: Iterable[str] | None = None) -> str:
    """`IP:port` of the end of a way; empty where there is no Pod. tried: those that were asked; then it is the one among them."""
    pod = pod_of(state, way.target)
    pods = [pod] if pod and tried is None else running_pods(state, deployment_of(state, way.target)) if pod else []
    ends = [f"{ip}:{way.port}" for pod in pods if (ip := pod.status.get("podIP"))]
    return next((end for end in ends if tried is None or end in tried), "")


class Tried:
    """What came of the attempts."""

    def __init__(self, seen: dict[str, Any]) -> None:
        self._seen = seen

    def _asked(self, source: str, question: str) -> Any:
        """What a Pod of a Deployment said to a question. Raises Unknown where it could not be asked."""
        said = answers_from_pod(self._seen.get(source, {}))
        if question not in said:
            unknown("not-observed", f"No Pod of Deployment {source} was asked.", look="kubeclass check", pending=True)
        found = said[question]
        return answers_from_pod(found) if isinstance(found, dict) else found

    def word(self, state: PlainState, way: Way) -> str:
        """One word for one way (see Answer). Raises Unknown where it could not be tried."""
        asked = self._asked(way.source, "tcp")
        word = asked.get(address(state, way, asked))
        if not word:
            unknown("not-observed", f"The path {way.words(state)} was not tried.", look="kubeclass check", pending=True)
        return str(word)

    def lookups(self, source: str) -> dict[str, Any]:
        """Where names led, as explain_name takes them. Raises Unknown as `word`."""
        found: dict[str, Any] = self._asked(source, "names")
        return found

    def page(self, source: str) -> Answer:
        """The answer of the page. Raises Unknown as `word`."""
        return read_answers(self._asked(source, "page"))[0]

    def silent(self, state: PlainState, way: Way) -> bool:
        """Whether the Pod at the end of a way was seen not to listen there, asked in that Pod itself."""
        asked = self._seen.get(way.target, {}).get("tcp", {})
        own = asked.get(address(state, way, asked))
        return own not in (None, "open")


Closed = tuple[
    Way, Direction
]  # a way that must be closed, and at which end: where it begins (egress) or ends (ingress)


def path_of(state: PlainState, way: Way) -> PolicyPath:
    """A way as the policies see it. Raises Failed where one of its ends has no Pod that runs."""
    ends = []
    for name in (way.source, way.target):
        pod = pod_of(state, name)
        if not pod:
            require_working(state, deployment_of(state, name))
            fail("pod-starting", f"No Pod of Deployment {name} runs.", object=f"Deployment/{name}", pending=True)
        ends.append(path_end_of(state, pod))
    return PolicyPath(state, ends[0], ends[1], way.port)


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
        f"Nothing listens on port {way.port} of the Pods of Deployment {_words(state, way.target)}, not even for themselves: "
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
