"""Observations: what a task wants seen beyond the API server's objects.

A task names its observations: `@task("every-replica-answers", observe=Http("guestbook", "/hostname", times=40))`.
Each is a small value that says what to ask, given the objects (`question`), who asks it (`observed_by`), and how the
answer reads. Asking is the collector's work; nothing here does I/O.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Generic, Literal, TypedDict, TypeVar

from checker.diagnosis import pods_of
from checker.diagnosis.service import pods_behind
from checker.grading.shapes import AnswerShape, Counted, Lookups, TimelineShape, conforms
from checker.grading.timeline import Timeline
from checker.model.answers import Answer, Answers, answers
from checker.model.fault import Phrase, Reason, is_late
from checker.model.kinds import KINDS
from checker.model.state import Object, State
from checker.model.verdict import unknown

Read = TypeVar("Read")
UNREADABLE = Phrase("why-answer-unreadable")


@dataclass(frozen=True)
class Observation(ABC, Generic[Read]):
    """Base of all observations; `Read` is the type of what a task gets: Http is an Observation[Answers].

    Values are compared by what they ask, so that two tasks with the same one share it.
    """

    observed_by: ClassVar[Literal["observer", "outside", "inside", "engine", "api"]]
    # What an answer may look like (checker/grading/shapes.py): one of these, or anything where there are none.
    shapes: ClassVar[tuple[Any, ...]] = ()

    @property
    def key(self) -> str:
        """A name for what is asked, the same in every namespace."""
        arguments = ", ".join(f"{name}={value!r}" for name, value in sorted(asdict(self).items()))
        return f"{type(self).__name__}({arguments})"

    @abstractmethod
    def question(self, state: State) -> dict[str, Any] | None:
        """What to ask, given the objects; None while there is nothing to ask (the Service is not there yet)."""

    def readable(self, seen: Any) -> Any:
        """The answer, if it has one of the shapes. Where it has not, {"error": why} stands in its place."""
        return seen if conforms(seen, self.shapes) else {"error": UNREADABLE}

    @abstractmethod
    def read(self, seen: Any) -> Read:
        """The answer as a task gets it."""


def service_address(state: State, name: str) -> str | None:
    """`host:port` of a Service by its DNS name and its first TCP port, or None where there is no such Service.

    The name ends in a dot: it is whole, so that no search path is tried
    (https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/).
    """
    service = state.find("Service", name)
    ports = [p["port"] for p in service.spec.get("ports") or [] if p.get("protocol", "TCP") == "TCP"] if service else []
    return f"{name}.{state.namespace}.svc.cluster.local.:{ports[0]}" if ports else None


@dataclass(frozen=True)
class Http(Observation[Answers]):
    """Requests to a Service from inside the cluster, each over a connection of its own. Read as Answers.

    times: how many; with per_pod, how many for each ready Pod that the Service selects (of n Pods that share requests
    evenly, one is missed by 20 n of them once in some tens of millions of times).
    """

    service: str
    path: str = "/"
    times: int = 1
    per_pod: bool = False
    observed_by = "observer"
    shapes = (Counted,)

    def question(self, state: State) -> dict[str, Any] | None:
        service, address = state.find("Service", self.service), service_address(state, self.service)
        if not service or not address:
            return None
        shares = sum(pod.is_ready for pod in pods_behind(state, service)) if self.per_pod else 1
        return {"do": "http", "url": f"http://{address}{self.path}", "times": self.times * max(1, shares)}

    def read(self, seen: Any) -> Answers:
        return answers(seen)


@dataclass(frozen=True)
class NodePorts(Observation[dict[str, dict[str, Answer]]]):
    """One request to every port that the namespace's Services open on the nodes, on every node, from outside the
    cluster.

    Read as {Service name, or "name:1" and so on for its further ports: {node name: Answer}}.
    """

    path: str = "/"
    observed_by = "outside"
    shapes = (dict[str, dict[str, AnswerShape]],)

    def question(self, state: State) -> dict[str, Any] | None:
        ports = {
            f"{service.name}:{number}" if number else service.name: port
            for service in state.all("Service")
            for number, port in enumerate(ports_on_nodes(state, service))
        }
        addresses = {node.name: node_address(node) for node in state.all("Node")}
        return {"addresses": addresses, "ports": ports, "path": self.path} if ports else None

    def read(self, seen: Any) -> dict[str, dict[str, Answer]]:
        return {name: {node: answers([entry])[0] for node, entry in nodes.items()} for name, nodes in seen.items()}


def ports_on_nodes(state: State, service: Object) -> list[int]:
    """The TCP ports that lead from the nodes' own addresses to a Service: node ports, and its own where an external
    IP is a node's.
    """
    tcp = [port for port in service.spec.get("ports") or [] if port.get("protocol", "TCP") == "TCP"]
    outside = set(service.spec.get("externalIPs") or [])
    of_nodes = outside and outside & {node_address(node) for node in state.all("Node")}
    return [port["nodePort"] for port in tcp if port.get("nodePort")] + [port["port"] for port in tcp if of_nodes]


def node_address(node: Object) -> str:
    """A node's InternalIP."""
    return next((a["address"] for a in node.status.get("addresses") or [] if a["type"] == "InternalIP"), node.name)


def answers_of(seen: dict[str, Any]) -> Any:
    """What was answered in Pods, by the key of the ask; the answers themselves where there was only one ask."""
    found: dict[str, Any] = {key: answered(answers) for key, answers in seen.items()}
    return found[""] if set(found) == {""} else found


@dataclass(frozen=True)
class PodsInside(Observation[Read]):
    """Base of what is asked inside the learner's own Pods, by exec (see checker/collect/exec.py).

    Read as {key of an ask: answers}. The shapes are those of one Pod's answers.
    """

    observed_by = "inside"

    def readable(self, seen: Any) -> Any:
        """The answers, with {"error": why} for each Pod whose answers have another shape."""
        if not isinstance(seen, dict):
            return {"error": UNREADABLE}
        return {
            key: one if _is_error(one) or self._can_read(one) else {"error": UNREADABLE} for key, one in seen.items()
        }

    def _can_read(self, answers: Any) -> bool:
        return conforms(answers, self.shapes or (dict[str, Any],)) and self.is_whole(answers)

    def is_whole(self, answers: dict[str, Any]) -> bool:
        """Whether one Pod's answers, which have one of the shapes, hold what the shape alone cannot require."""
        return True

    @staticmethod
    def ask(asks: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
        """What `question` returns for some asks (see `inside`), by a key each; the key "" means the only one."""
        return {"asks": asks} if asks else None

    def read(self, seen: Any) -> Read:
        read: Read = answers_of(seen)
        return read


@dataclass(frozen=True)
class Lookup:
    """What a name leads to: IPv4 addresses, or an error word (see Answer)."""

    addresses: list[str]
    error: str = ""


class DnsShape(TypedDict):
    """What asking.py answers to a question for names."""

    names: Lookups


@dataclass(frozen=True)
class DnsInside(PodsInside[dict[str, Lookup]]):
    """What names lead to, asked inside a running Pod of a Deployment. Read as {name: Lookup}."""

    deployment: str
    names: tuple[str, ...]
    shapes = (DnsShape,)

    def question(self, state: State) -> dict[str, Any] | None:
        deployment = state.find("Deployment", self.deployment)
        pods = running_pods(state, deployment) if deployment else []
        names = {"do": "dns", "names": list(self.names)}
        return self.ask({"": inside(pods[0], {"names": names})} if pods else {})

    def is_whole(self, answers: dict[str, Any]) -> bool:
        return set(self.names) <= set(answers["names"])

    def read(self, seen: Any) -> dict[str, Lookup]:
        return {name: Lookup(**lookup) for name, lookup in answers_of(seen)["names"].items()}


def running_pods(state: State, workload: Object) -> list[Object]:
    """The Pods of a workload in which something can be asked: all containers run, ready or not.

    The newest revision's first.
    """
    return [
        pod
        for pod in pods_of(state, workload)
        if pod.status.get("containerStatuses")
        and all("running" in (status.get("state") or {}) for status in pod.status["containerStatuses"])
    ]


def inside(pod: Object, questions: dict[str, Any]) -> dict[str, Any]:
    """What checker/collect/exec.py needs to ask something in a Pod's first container."""
    return {"namespace": pod.namespace, "pod": pod.name, "container": pod.containers[0]["name"], "questions": questions}


def answered(seen: dict[str, Any]) -> dict[str, Any]:
    """The answers from inside one Pod. Raises Unknown where it could not be asked."""
    if set(seen) == {"error"}:
        # A busy machine, or a container that ended after it was listed: another check may get an answer.
        unknown("pod-not-askable", in_progress=is_late(seen["error"]), why=seen["error"])
    return seen


@dataclass(frozen=True)
class Traffic(Observation[Timeline]):
    """A gentle stream of requests to a Service, from the lab's start on. Read as a Timeline."""

    service: str
    path: str = "/"
    observed_by = "observer"
    shapes = (TimelineShape,)

    def question(self, state: State) -> dict[str, Any] | None:
        address = service_address(state, self.service)
        if not address:
            return None
        return {"do": "timeline", "url": f"http://{address}{self.path}", "namespace": state.namespace}

    def read(self, seen: Any) -> Timeline:
        return Timeline(seen)


@dataclass(frozen=True)
class Creation(Observation[Object]):
    """Base of what the API server would create from a manifest. It is asked by a dry run, which changes nothing.

    Read as an Object: spec, labels and annotations with the API server's own defaults, and managedFields with every
    field of them. Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run
    """

    observed_by = "api"

    @staticmethod
    def of(kind: str, namespace: str, manifest: dict[str, Any]) -> dict[str, Any]:
        """What `question` returns for a manifest: its labels, annotations and spec, under a name of its own."""
        metadata = manifest.get("metadata") or {}
        kept = {name: metadata[name] for name in ("labels", "annotations") if metadata.get(name)}
        return {
            "kind": kind,
            "namespace": namespace,
            "manifest": {
                "apiVersion": KINDS[kind].group_version,
                "kind": kind,
                "metadata": {"generateName": "kubeclass-dry-run-", **kept},
                "spec": manifest.get("spec") or {},
            },
        }

    def read(self, seen: Any) -> Object:
        return Object(seen["kind"], seen)


# The cause of "unknown" where an observation could not be made, by who is asked.
_UNREACHABLE = {
    "observer": "observer-unreachable",
    "outside": "outside-unreachable",
    "inside": "pod-not-askable",
    "engine": "engine-unreachable",
    "api": "api-unreachable",
}


class NotObserved:
    """Stands in for an observation that could not be made.

    A task that uses it ends as unknown. (It ends as failed, with the reason, where it first finds that what the
    observation needs is missing.)
    """

    def __init__(self, observation: Observation[Any], why: Reason, refused: bool = False) -> None:
        """refused: whether the observer does not ask this for this user."""
        self._observation, self._why, self._refused = observation, why, refused

    def _raise(self) -> Any:
        cause = "observer-refused" if self._refused else _UNREACHABLE[self._observation.observed_by]
        if not self._why:
            unknown("not-observed", form="observation", observation=self._observation.key)
        unknown(cause, form="observation", in_progress=is_late(self._why), why=self._why)

    def __getattr__(self, name: str) -> Any:
        return self._raise()

    def __iter__(self) -> Iterator[Any]:
        self._raise()
        yield

    def __len__(self) -> int:
        self._raise()
        return 0

    def __getitem__(self, key: Any) -> Any:
        return self._raise()


def seen(state: State, observation: Observation[Any]) -> Any:
    """What a State holds of an observation, as a task gets it."""
    if observation.key not in state.observations:
        return NotObserved(observation, "")
    data = state.observations[observation.key]
    if not _is_error(data):
        data = observation.readable(data)
    if _is_error(data):
        return NotObserved(observation, data["error"], bool(data.get("refused")))
    return observation.read(data)


def _is_error(data: Any) -> bool:
    """Whether this says why there is no answer. The programs that ask write the word; the reason is the checker's."""
    return (
        isinstance(data, dict)
        and set(data) in ({"error"}, {"error", "refused"})
        and isinstance(data["error"], str | Phrase)
    )
