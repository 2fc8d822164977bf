"""Redis keeps its data on a claim. The evidence: the objects, and the settings and counters that Redis reports."""

from dataclasses import dataclass
from typing import Any, TypedDict

from checker.sdk import (
    Count,
    Object,
    PlainState,
    PodsInside,
    State,
    ask_in_pod,
    fail,
    is_late,
    program,
    quantity,
    require_data_lasts,
    running_pods,
    service_address,
    storage_size,
    task,
    unknown,
    workload_of,
)

PROGRAM = program(__file__, "ask_storage")
AT_LEAST = "200Mi"


@dataclass(frozen=True)
class StorageAnswers(PodsInside[dict[str, Any]]):
    """Base of the observations inside one Pod. Read as they are; {"error": why} where the Pod could not be asked.

    An error is no reason to stop: most mistakes show in the objects already.
    """

    def read(self, seen: dict[str, dict[str, Any]]) -> dict[str, Any]:
        return seen[""]


def require_answers(answers: dict[str, Any]) -> None:
    """Return if the Pod could be asked. Raises Unknown otherwise."""
    if "error" in answers:
        why = answers["error"]
        unknown("pod-not-askable", in_progress=is_late(why), why=why)


class AppShape(TypedDict):
    """The app's answer."""

    status: Count
    text: str


class RedisShape(TypedDict):
    """What Redis reports (programs/ask_storage.py)."""

    appendonly: str
    countable: bool
    dir: str
    items: list[str]
    length: Count
    loaded: int  # -1 where Redis does not say
    save: str
    saving: str
    uptime: Count
    written: Count


class ErrorShape(TypedDict):
    """Why Redis reports nothing."""

    error: str


class WithRedis(TypedDict):
    """The answers where Redis reports."""

    redis: RedisShape
    app: AppShape


class WithoutRedis(TypedDict):
    """The answers where Redis does not report."""

    redis: ErrorShape
    app: AppShape


@dataclass(frozen=True)
class RedisData(StorageAnswers):
    """In a running Pod of the guestbook: the report of Redis behind Service redis, and the app's answer to /entries."""

    shapes = (WithRedis, WithoutRedis)

    def question(self, state: PlainState) -> dict[str, Any] | None:
        guestbook, address = state.find("Deployment", "guestbook"), service_address(state, "redis")
        pods = running_pods(state, guestbook) if guestbook else []
        if not pods or not address:
            return None
        questions = {
            "redis": {"do": "redis", "at": address, "key": "entries"},
            "app": {"do": "app", "url": "http://127.0.0.1:8080/entries"},
        }
        return self.ask({"": ask_in_pod(pods[0], questions) | {"program": PROGRAM}})


REDIS = RedisData()


def redis_pod(state: State) -> Object:
    """The Pod behind Service redis. Raises Failed where there are several."""
    service = state.require("Service", "redis")
    state.require_working(service)
    pods = state.ready_pods(service)
    workload = workload_of(state, pods[0])
    if workload:
        state.require_working(workload)
    if len(pods) > 1:
        fail("two-writers", service, pods=sorted(pod.name for pod in pods))
    return pods[0]


def answered(state: State, answers: dict[str, Any], pod: Object) -> dict[str, Any]:
    """What Redis reports. Raises Failed where it gives no usable answer, and Unknown where it could not be asked."""
    guestbook = state.require("Deployment", "guestbook")
    state.require_working(guestbook)
    require_answers(answers)
    redis = answers["redis"]
    if "error" in redis:
        fail("redis-not-answering", pod, form="pod-ready", in_progress=True, error=redis["error"])
    return redis


def claim_of_redis(state: State, answers: dict[str, Any]) -> tuple[Object, dict[str, Any], Object]:
    """Redis' Pod, what Redis reports, and the claim that holds its data. Raises Failed where no claim holds it."""
    pod = redis_pod(state)
    redis = answered(state, answers, pod)
    container = next((c for c in pod.containers if "redis" in c["image"] or "valkey" in c["image"]), pod.containers[0])
    claim = require_data_lasts(state, pod, container, redis["dir"])
    if claim is None:
        fail("claim-not-mounted", pod, form="other-volume", path=redis["dir"])
    return pod, redis, claim


def require_saving(pod: Object, redis: dict[str, Any]) -> None:
    """Return if Redis saves its data. Raises Failed where its settings turn both ways of saving off."""
    if not redis["save"] and redis["appendonly"] != "yes":
        fail("redis-saves-nothing", pod)


@task("on-a-claim", observe=REDIS)
def redis_writes_on_a_claim(state: State, answers: dict[str, Any]) -> None:
    _, _, claim = claim_of_redis(state, answers)
    if quantity(storage_size(claim)) < quantity(AT_LEAST):
        fail("claim-too-small", claim, size=storage_size(claim), least=AT_LEAST)
