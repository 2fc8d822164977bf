"""Redis keeps its data on a claim: by the objects, and by what it says of itself."""

from dataclasses import dataclass
from typing import Any

from checker.sdk import (
    Object,
    PlainState,
    PodsInside,
    State,
    ask_in_pod,
    fail,
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

PROGRAM, TOO_LATE = program(__file__, "ask_storage"), "no answer within"
AT_LEAST = "200Mi"


@dataclass(frozen=True)
class Asked(PodsInside[dict[str, Any]]):
    """Base of what is asked inside one Pod. Read as it is, {"error": why} too: most of what is wrong is seen without it."""

    def read(self, seen: dict[str, dict[str, Any]]) -> dict[str, Any]:
        return seen[""]


def require_answers(asked: dict[str, Any]) -> None:
    """The Pod could be asked. Raises Unknown otherwise."""
    if "error" in asked:
        unknown(
            "pod-not-askable",
            asked["error"],
            look="kubectl exec POD -- python3 --version",
            pending=TOO_LATE in asked["error"],
        )


@dataclass(frozen=True)
class RedisAsked(Asked):
    """In a running Pod of the guestbook: what the Redis behind Service redis says of itself, and what the app says to /entries."""

    def question(self, state: PlainState) -> dict[str, Any] | None:
        guestbook, address = state.find("Deployment", "guestbook"), service_address(state, "redis")
        pods = running_pods(state, guestbook) if guestbook else []
        if not pods or not address:
            return None
        return self.ask({"": ask_in_pod(pods[0], {
            "redis": {"do": "redis", "at": address, "key": "entries"},
            "app": {"do": "app", "url": "http://127.0.0.1:8080/entries"},
        }) | {"program": PROGRAM}})  # fmt: skip


REDIS = RedisAsked()


def redis_pod(state: State) -> Object:
    """The one Pod behind Service redis."""
    service = state.require("Service", "redis")
    state.require_working(service)
    pods = state.ready_pods(service)
    workload = workload_of(state, pods[0])
    if workload:
        state.require_working(workload)
    if len(pods) > 1:
        names = ", ".join(sorted(pod.name for pod in pods))
        fail(
            "two-writers", f"Service redis leads to {len(pods)} Pods of Redis ({names}), and they do not know of each other.",
            expected="one Pod of Redis", observed=names, object=service.ref, look="kubectl get pods --show-labels",
        )  # fmt: skip
    return pods[0]


def answered(state: State, asked: dict[str, Any], pod: Object) -> dict[str, Any]:
    """What Redis says of itself."""
    guestbook = state.require("Deployment", "guestbook")
    state.require_working(guestbook)
    require_answers(asked)
    redis = asked["redis"]
    if "error" in redis:
        fail(
            "redis-not-answering", f"Pod {pod.name} is ready, but Redis in it gives no answer that can be used: {redis['error']}",
            expected="an answer from Redis", observed=redis["error"], object=pod.ref, look=f"kubectl logs {pod.name}", pending=True,
        )  # fmt: skip
    return redis


def claim_of_redis(state: State, asked: dict[str, Any]) -> tuple[Object, dict[str, Any], Object]:
    """Redis' Pod, what it says of itself, and the claim that holds what it writes."""
    pod = redis_pod(state)
    redis = answered(state, asked, pod)
    container = next((c for c in pod.containers if "redis" in c["image"] or "valkey" in c["image"]), pod.containers[0])
    claim = require_data_lasts(state, pod, container, redis["dir"])
    if claim is None:
        fail(
            "claim-not-mounted", f"Redis in Pod {pod.name} writes into {redis['dir']}, which is on a volume that is no claim.",
            expected=f"a claim mounted at {redis['dir']}", observed="another kind of volume", object=pod.ref,
        )  # fmt: skip
    if quantity(storage_size(claim)) < quantity(AT_LEAST):
        fail(
            "claim-too-small", f"Claim {claim.name} asks for {storage_size(claim)}.", expected=f"at least {AT_LEAST}", observed=storage_size(claim),
            object=claim.ref,
        )  # fmt: skip
    return pod, redis, claim


def require_saving(pod: Object, redis: dict[str, Any]) -> None:
    if not redis["save"] and redis["appendonly"] != "yes":
        fail(
            "redis-saves-nothing",
            f"Redis in Pod {pod.name} never writes its memory down: its settings are save \"\" and appendonly no. The volume stays as it is.",
            expected="a Redis that saves", observed='save "", appendonly no', object=pod.ref, look=f"kubectl describe pod {pod.name}",
        )  # fmt: skip


@task("on-a-claim", observe=REDIS)
def redis_writes_on_a_claim(state: State, asked: dict[str, Any]) -> None:
    claim_of_redis(state, asked)
