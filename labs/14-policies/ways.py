"""Ways from one Deployment's Pods to another's: what is tried, from where, and what came of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from checker.sdk import (
    Answer,
    Object,
    Observation,
    PlainState,
    PodsInside,
    answers_from_pod,
    ask_in_pod,
    read_answers,
    require_object,
    running_pods,
    unknown,
)

WALL = "wall.kubeclass.svc.cluster.local.:8080"


@dataclass(frozen=True)
class Enforcement(Observation[str]):
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
        return f"{describe_deployment(state, self.source)} → {describe_deployment(state, self.target)}:{self.port}"


def _place(state: PlainState, name: str) -> tuple[str, str]:
    """A Deployment's name and namespace."""
    deployment, _, suffix = name.partition(".")
    return deployment, f"{state.namespace}-{suffix}" if suffix else state.namespace


def describe_deployment(state: PlainState, name: str) -> str:
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


@dataclass(frozen=True)
class Matrix(PodsInside[Tried]):
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
