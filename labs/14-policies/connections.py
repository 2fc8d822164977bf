"""Connections from one Deployment's Pods to another's: what is tried, from where, and what came of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from checker.sdk import (
    Answer,
    Counted,
    Lookups,
    Object,
    Observation,
    Phrase,
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
    """Whether policies are enforced: the answer to a connection to the wall, in one word (see Answer).

    `open` where they are not enforced.
    """

    observed_by = "observer"

    shapes = (dict[str, str],)

    def question(self, state: PlainState) -> dict[str, Any] | None:
        return {"do": "tcp", "to": [WALL]}

    def readable(self, seen: Any) -> Any:
        found = super().readable(seen)
        return found if WALL in found or "error" in found else {"error": Phrase("why-answer-unreadable")}

    def read(self, seen: Any) -> str:
        return str(seen[WALL])


@dataclass(frozen=True)
class Connection:
    """One path: from a Pod of one Deployment to a port of a Pod of another.

    `web.data` is Deployment web of the lab's further namespace `data`.
    """

    source: str
    target: str
    port: int

    def facts(self, state: PlainState) -> dict[str, Any]:
        """The path as facts: source, source_namespace ("" for the lab's own), target, target_namespace, port."""
        found: dict[str, Any] = {"port": self.port}
        for end, name in (("source", self.source), ("target", self.target)):
            deployment, namespace = _place(state, name)
            found[end] = f"Deployment {deployment}"
            found[f"{end}_namespace"] = "" if namespace == state.namespace else namespace
        return found

    def notation(self, state: PlainState) -> str:
        """The path in one line of a list: `web → learn-data/redis:6379`, without the lab's own namespace."""
        places = (_place(state, self.source), _place(state, self.target))
        source, target = (name if space == state.namespace else f"{space}/{name}" for name, space in places)
        return f"{source} → {target}:{self.port}"


def _place(state: PlainState, name: str) -> tuple[str, str]:
    """A Deployment's name and namespace."""
    deployment, _, suffix = name.partition(".")
    return deployment, f"{state.namespace}-{suffix}" if suffix else state.namespace


def deployment_of(state: PlainState, name: str) -> Object:
    """The Deployment that a Connection names. Raises Failed where it is missing."""
    return require_object(state, "Deployment", *_place(state, name))


def pod_of(state: PlainState, name: str) -> Object | None:
    """The Pod that is asked for a Deployment: a running one, a ready one first."""
    deployment = state.find("Deployment", *_place(state, name))
    pods = running_pods(state, deployment) if deployment else []
    return min(pods, key=lambda pod: (not pod.is_ready, pod.name), default=None)


@dataclass(frozen=True)
class ExtraQuestions:
    """What else is asked in the Pod of a Deployment: DNS queries for `names`, and one page.

    In `url`, {namespace} stands for the lab's namespace.
    """

    source: str
    names: tuple[str, ...] = ()
    url: str = ""


def address(state: PlainState, connection: Connection, tried: Iterable[str] | None = None) -> str:
    """`IP:port` of the target of a connection; empty where there is no Pod.

    tried: the addresses that were asked; then it is the one among them.
    """
    pod = pod_of(state, connection.target)
    pods = (
        [pod] if pod and tried is None else running_pods(state, deployment_of(state, connection.target)) if pod else []
    )
    ends = [f"{ip}:{connection.port}" for pod in pods if (ip := pod.status.get("podIP"))]
    return next((end for end in ends if tried is None or end in tried), "")


class Attempts:
    """What came of the attempts."""

    def __init__(self, seen: dict[str, Any]) -> None:
        self._seen = seen

    def _answer(self, source: str, question: str) -> Any:
        """What a Pod of a Deployment answers to a question. Raises Unknown where it could not be asked."""
        answers = answers_from_pod(self._seen.get(source, {}))
        if question not in answers:
            unknown("not-observed", form="no-pod", deployment=source.partition(".")[0], in_progress=True)
        found = answers[question]
        return answers_from_pod(found) if isinstance(found, dict) else found

    def word(self, state: PlainState, connection: Connection) -> str:
        """One word for one connection (see Answer). Raises Unknown where it could not be tried."""
        words = self._answer(connection.source, "tcp")
        word = words.get(address(state, connection, words))
        if not word:
            unknown("not-observed", form="path", in_progress=True, **connection.facts(state))
        return str(word)

    def lookups(self, source: str) -> dict[str, Any]:
        """Where names led, as explain_name takes them. Raises Unknown as `word`."""
        found: dict[str, Any] = self._answer(source, "names")
        return found

    def page(self, source: str) -> Answer:
        """The answer of the page. Raises Unknown as `word`."""
        return read_answers(self._answer(source, "page"))[0]

    def silent(self, state: PlainState, connection: Connection) -> bool:
        """Whether the Pod at the end of a connection was seen not to listen there, asked in that Pod itself."""
        words = self._seen.get(connection.target, {}).get("tcp", {})
        own = words.get(address(state, connection, words))
        return own not in (None, "open")


class MatrixShape(TypedDict):
    """The answers of one Pod to Matrix."""

    tcp: dict[str, str]
    names: NotRequired[Lookups]
    page: NotRequired[Counted]


@dataclass(frozen=True)
class Matrix(PodsInside[Attempts]):
    """These connections, tried side by side inside the Pods where they begin; and those Pods' own ports.

    Read as Attempts.
    """

    connections: tuple[Connection, ...]
    extra: tuple[ExtraQuestions, ...] = ()
    shapes = (MatrixShape,)

    @property
    def key(self) -> str:
        connections = [f"{connection.source}>{connection.target}:{connection.port}" for connection in self.connections]
        return f"Matrix({', '.join([*connections, *(f'{more.source}>{more.url}' for more in self.extra)])})"

    def question(self, state: PlainState) -> dict[str, Any] | None:
        asks = {}
        for name in sorted({connection.source for connection in self.connections}):
            pod = pod_of(state, name)
            if not pod:
                continue
            to = {
                address(state, connection)
                for connection in self.connections
                if name in (connection.source, connection.target)
            } - {""}
            questions: dict[str, Any] = {"tcp": {"do": "tcp", "to": sorted(to)}}
            for more in self.extra:
                if more.source == name:
                    url = more.url.replace("{namespace}", state.namespace)
                    questions |= {"names": {"do": "dns", "names": list(more.names)}, "page": {"do": "http", "url": url}}
            asks[name] = ask_in_pod(pod, questions)
        return self.ask(asks)

    def readable(self, seen: Any) -> Any:
        """As ever; and where a Pod was asked for names, its answer holds all of them."""
        found = super().readable(seen)
        for more in self.extra:
            answers = found.get(more.source)
            if isinstance(answers, dict) and not set(more.names) <= set(answers.get("names", more.names)):
                found[more.source] = {"error": Phrase("why-answer-unreadable")}
        return found

    def read(self, seen: Any) -> Attempts:
        return Attempts(seen)
