"""Observations: what a task wants seen beyond the API server's objects.

A task names its observations: `@task("every-replica-answers", observe=Http("guestbook", "/hostname", times=40))`. Each is
a small value that says what to ask, given the objects (`question`), who asks it (`asked_by`), and how the answer reads.
Asking is the collector's work; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

from checker.state import Object, State
from checker.verdict import Failed, unknown


@dataclass(frozen=True)
class Answer:
    """What came back for one request. `error` is empty, or one word: refused, timeout, no-such-host, reset."""

    status: int
    text: str
    host: str = ""  # the Pod that says that it answered
    version: str = ""
    error: str = ""

    @property
    def ok(self) -> bool:
        return self.status == 200

    @property
    def words(self) -> str:
        """The answer in a few words."""
        return self.error or (f"status {self.status}" if not self.ok else self.text[:80])


class Answers(list[Answer]):
    """The answers to a number of requests; the questions that tasks ask of them."""

    @property
    def hosts(self) -> set[str]:
        """The Pods that answered well."""
        return {answer.host or answer.text for answer in self if answer.ok}

    @property
    def bad(self) -> list[Answer]:
        return [answer for answer in self if not answer.ok]


@dataclass(frozen=True)
class Observation:
    """Base of all observations. Values are compared by what they ask, so that two tasks with the same one share it."""

    asked_by: ClassVar[Literal["observer", "outside", "engine"]]

    @property
    def key(self) -> str:
        """A name for what is asked, the same in every namespace."""
        arguments = ", ".join(f"{name}={value!r}" for name, value in sorted(asdict(self).items()))
        return f"{type(self).__name__}({arguments})"

    def question(self, state: State) -> dict[str, Any] | None:
        """What to ask, given the objects; None while there is nothing to ask (the Service is not there yet)."""
        raise NotImplementedError

    def read(self, seen: Any) -> Any:
        """The answer as a task gets it."""
        raise NotImplementedError


def answers(seen: list[dict[str, Any]]) -> Answers:
    """Counted answers, as the observer sends them, one by one again."""
    return Answers(
        Answer(**{name: value for name, value in entry.items() if name != "count"})
        for entry in seen
        for _ in range(entry.get("count", 1))
    )


def service_address(state: State, name: str) -> str | None:
    """`host:port` of a Service by its DNS name and its first TCP port, or None where there is no such Service."""
    service = state.find("Service", name)
    ports = [p["port"] for p in service.spec.get("ports") or [] if p.get("protocol", "TCP") == "TCP"] if service else []
    return f"{name}.{state.namespace}.svc.cluster.local:{ports[0]}" if ports else None


@dataclass(frozen=True)
class Http(Observation):
    """Requests to a Service from inside the cluster, each over a connection of its own. Read as Answers.

    times: how many; with per_pod, how many for each ready Pod that the Service selects (of n Pods that share requests
    evenly, one is missed by 20 n of them once in some tens of millions of times).
    """

    service: str
    path: str = "/"
    times: int = 1
    per_pod: bool = False
    asked_by = "observer"

    def question(self, state: State) -> dict[str, Any] | None:
        address = service_address(state, self.service)
        return (address and {"do": "http", "url": f"http://{address}{self.path}", "times": self.times}) or None

    def read(self, seen: Any) -> Answers:
        return answers(seen)


@dataclass(frozen=True)
class PodHttp(Observation):
    """One request to every ready Pod of a Service at the Pod's own IP, from the control plane's node. Read as {Pod name: Answer}."""

    service: str
    path: str = "/"
    asked_by = "observer"

    def question(self, state: State) -> dict[str, Any] | None:
        from checker.chains.service import pods_behind, target_ports

        service = state.find("Service", self.service)
        urls = {}
        for pod in pods_behind(state, service) if service else []:
            ports = list(target_ports(service, pod).values()) if service else []
            if pod.is_ready and ports:
                urls[pod.name] = f"http://{pod.status['podIP']}:{ports[0]}{self.path}"
        return {"do": "each", "urls": urls} if urls else None

    def read(self, seen: Any) -> dict[str, Answer]:
        return {name: answers([entry])[0] for name, entry in seen.items()}


@dataclass(frozen=True)
class NodePorts(Observation):
    """One request to every node port of the namespace's Services, on every node, from outside the cluster.

    Read as {Service name: {node name: Answer}}.
    """

    path: str = "/"
    asked_by = "outside"

    def question(self, state: State) -> dict[str, Any] | None:
        ports = {
            service.name: port["nodePort"]
            for service in state.all("Service")
            for port in (service.spec.get("ports") or [])[:1]
            if port.get("nodePort")
        }
        addresses = {node.name: node_address(node) for node in state.all("Node")}
        return {"addresses": addresses, "ports": ports, "path": self.path} if ports else None

    def read(self, seen: Any) -> dict[str, dict[str, Answer]]:
        return {name: {node: answers([entry])[0] for node, entry in nodes.items()} for name, nodes in seen.items()}


def node_address(node: Object) -> str:
    """A node's InternalIP."""
    return next((a["address"] for a in node.status.get("addresses") or [] if a["type"] == "InternalIP"), node.name)


@dataclass(frozen=True)
class Scaling:
    """A Deployment's number of replicas was raised: when (seconds since 1970), from how many, to how many."""

    at: float
    before: int
    after: int


@dataclass(frozen=True)
class Replacement:
    """A Pod that was deleted while its ReplicaSet wanted it, and the Pod that was made in its place."""

    pod: str
    deleted: float
    successor: str
    ready: float


class Timeline:
    """What the observer saw since its stream of requests began (see observer/server.py). All times in seconds since 1970."""

    def __init__(self, seen: dict[str, Any]) -> None:
        self.since: float = seen["since"]
        self.until: float = seen["until"]
        self.sent: int = seen["sent"]
        self._seen = seen

    def hosts_between(self, begin: float, end: float) -> set[str]:
        """The Pods that answered in that time."""
        return {
            host
            for host, intervals in self._seen["hosts"].items()
            for first, last, _count, _version in intervals
            if first <= end and last >= begin
        }

    def first_answer(self, host: str, since: float) -> float:
        """When a Pod answered first, not counting what it answered before that time."""
        begins = [
            max(first, since) for first, last, _count, _version in self._seen["hosts"].get(host, []) if last >= since
        ]
        return min(begins, default=self.until)

    def lost_between(self, begin: float, end: float) -> dict[str, int]:
        """Requests without a good answer in that time, counted by what went wrong."""
        lost: dict[str, int] = {}
        for second, error, count in self._seen["lost"]:
            # A loss is noted with its whole second: it counts where any part of that second is within the time.
            if begin - 1 < second <= end:
                lost[error] = lost.get(error, 0) + count
        return lost

    def scalings(self, deployment: str) -> list[Scaling]:
        """Every time that the Deployment's replicas were raised, oldest first."""
        found = []
        for owner in self._seen["replicas"].values():
            if owner["kind"] == "Deployment" and owner["name"] == deployment:
                changes = owner["changes"]
                found += [
                    Scaling(at, before, after) for (_, before), (at, after) in pairwise(changes) if after > before
                ]
        return sorted(found, key=lambda scaling: scaling.at)

    def replacements(self, deployment: str) -> list[Replacement]:
        """Every Pod of the Deployment that went away although it was wanted, with its successor, oldest first.

        A Pod that goes because its ReplicaSet was made smaller is not one: there the number of live Pods is over the
        number asked for when it goes. The two facts reach the observer by two watches, so the number asked for is
        the smallest in the second that follows.
        """
        found = []
        for uid, owner in self._seen["replicas"].items():
            if owner["kind"] != "ReplicaSet" or owner["name"].rpartition("-")[0] != deployment:
                continue
            pods = [pod for pod in self._seen["pods"].values() if pod["owner"] == uid]
            for pod in pods:
                gone = pod["deleted"]
                if not gone or not pod["ready"]:
                    continue
                alive = sum(p["added"] < gone and (not p["deleted"] or p["deleted"] >= gone) for p in pods)
                successors = [
                    p for p in pods if gone - 1 <= p["added"] <= gone + 30 and p is not pod and p["ready"] > gone
                ]
                if alive <= _smallest(owner["changes"], gone, gone + 1) and successors:
                    successor = min(successors, key=lambda p: p["ready"])
                    found.append(Replacement(pod["name"], gone, successor["name"], successor["ready"]))
        return sorted(found, key=lambda replacement: replacement.deleted)


def _smallest(changes: list[list[float]], begin: float, end: float) -> float:
    """The smallest number of replicas asked for in that time."""
    before = [replicas for at, replicas in changes if at <= begin][-1:]
    during = [replicas for at, replicas in changes if begin < at <= end]
    return min([*before, *during], default=0)


@dataclass(frozen=True)
class Traffic(Observation):
    """A gentle stream of requests to a Service, from the lab's start on. Read as a Timeline."""

    service: str
    path: str = "/"
    asked_by = "observer"

    def question(self, state: State) -> dict[str, Any] | None:
        address = service_address(state, self.service)
        if not address:
            return None
        return {"do": "timeline", "url": f"http://{address}{self.path}", "namespace": state.namespace}

    def read(self, seen: Any) -> Timeline:
        return Timeline(seen)


class Unseen:
    """Stands in for an observation that could not be made: a task that comes to use it ends as unknown (or, where what
    the observation needs was not there, as failed with the reason for that)."""

    def __init__(self, observation: Observation, why: str) -> None:
        self._observation, self._why = observation, why

    def _raise(self) -> Any:
        cause = {"outside": "outside-unreachable", "engine": "engine-unreachable"}.get(
            self._observation.asked_by, "observer-unreachable"
        )
        unknown(cause if self._why else "not-observed", self._why or f"{self._observation.key} was not observed.",
                look="kubeclass status")  # fmt: skip

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


def seen(state: State, observation: Observation) -> Any:
    """What a State holds of an observation, as a task gets it."""
    if observation.key not in state.observations:
        return Unseen(observation, "")
    data = state.observations[observation.key]
    if isinstance(data, dict) and set(data) == {"error"}:
        return Unseen(observation, data["error"])
    return observation.read(data)


Observe = Observation | tuple[Observation, ...]
TaskFunction = Callable[..., None]

__all__ = [
    "Answer", "Answers", "Failed", "Http", "NodePorts", "Observation", "Observe", "PodHttp", "Replacement", "Scaling",
    "TaskFunction", "Timeline", "Traffic", "Unseen", "answers", "seen",
]  # fmt: skip
