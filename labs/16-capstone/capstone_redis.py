"""The guestbook's entries are kept in the Redis of the handbook."""

from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from checker.sdk import (
    Counted,
    Lookup,
    Lookups,
    Object,
    PlainState,
    PodsInside,
    State,
    answers_from_pod,
    ask_in_pod,
    fail,
    is_address,
    program,
    running_pods,
    seed_of,
    task,
    unknown,
)

from . import setup as capstone
from .capstone_app import app, require_port, secret_with, variable

PROGRAM = program(__file__, "ask_guestbook")


class AskedShape(TypedDict):
    """Whether Redis was asked while the app answered, or why this was not seen."""

    asked: NotRequired[bool]
    error: NotRequired[str]


class EntriesShape(TypedDict):
    """What programs/ask_guestbook.py answers."""

    names: Lookups
    entries: Counted
    app: NotRequired[bool]
    redis: NotRequired[AskedShape]


@dataclass(frozen=True)
class RedisEntries(PodsInside[dict[str, Any]]):
    """In the running Pods of the capstone: what REDIS_HOST resolves to, the app's answer to /entries, and whether this
    answer came from Redis.

    Read as {Pod name: what programs/ask_guestbook.py answers, or {"error": why}}; the first Pod's has the key "".
    """

    deployment: str
    shapes = (EntriesShape,)

    def question(self, state: PlainState) -> dict[str, Any] | None:
        deployment = state.find("Deployment", self.deployment)
        asks: dict[str, dict[str, Any]] = {}
        for pod in running_pods(state, deployment) if deployment else []:
            host = variable(state, pod, "REDIS_HOST").partition(":")[0]
            program = ask_in_pod(pod, {"names": [*([host] if host else []), "kubernetes.default"]})
            asks[pod.name if asks else ""] = program | {"container": app(pod)["name"], "program": PROGRAM}
        return self.ask(asks)

    def is_whole(self, answers: dict[str, Any]) -> bool:
        return "redis" not in answers or bool({"asked", "error"} & set(answers["redis"]))

    def read(self, seen: dict[str, dict[str, Any]]) -> dict[str, Any]:
        return seen  # the task reads it after it found the Pods working (see `answered`)


REDIS = RedisEntries("guestbook")


@task("entries", observe=REDIS)
def entries_are_kept_in_redis(state: State, seen: dict[str, Any]) -> None:
    right = capstone.plan(seed_of(state))
    deployment = state.require("Deployment", "guestbook")
    pods = running_pods(state, deployment)
    if not pods:
        state.require_working(deployment)
    for pod in pods:
        host = variable(state, pod, "REDIS_HOST").partition(":")[0]
        secret = secret_with(state, pod, "REDIS_HOST")
        if secret:
            unknown("not-observed", deployment, form="host-from-secret", pod=pod.name, secret=secret)
        if not host:
            fail("redis-not-configured", deployment, form="pod", pod=pod.name)
        aliases = pod.spec.get("hostAliases") or []
        address = next((alias["ip"] for alias in aliases if host in (alias.get("hostnames") or [])), "")
        if address:
            fail("redis-by-address", deployment, form="host-alias", pod=pod.name, host=host, address=address)
        if is_address(host):
            fail("redis-by-address", deployment, form="pod", pod=pod.name, address=host)
    state.require_working(deployment)
    answers = answers_from_pod(seen[""])
    host = variable(state, pods[0], "REDIS_HOST").partition(":")[0]
    if host not in answers["names"]:  # REDIS_HOST was another one then
        unknown("not-observed", deployment, form="observation", observation=REDIS.key, in_progress=True)
    lookup = Lookup(**answers["names"][host])
    if lookup.error:
        state.explain_name(host, answers["names"], deployment)
    service = state.require("Service", right.store)
    theirs = {service.spec.get("clusterIP"), *(pod.status.get("podIP") for pod in state.pods_of(service))}
    if not theirs & set(lookup.addresses):
        services = [s.name for s in state.all("Service") if s.spec.get("clusterIP") in lookup.addresses]
        fail(
            "name-resolves-elsewhere",
            deployment,
            form="another-service" if services else "addresses",
            pod=pods[0].name,
            host=host,
            service=services[0] if services else "",
            addresses=lookup.addresses,
            store=right.store,
        )
    if host.partition(".")[0].lower() != right.store:
        fail("service-is-externalname", deployment, form="another-name", host=host, store=right.store)
    state.require_working(service)
    require_port(service, right.store_port)
    store = state.require("Deployment", right.store)
    redis = {pod.name for pod in state.pods_of(store)}
    ready = len(state.ready_pods(store))
    if ready > 1:
        fail("entries-scattered", store, ready=ready)
    others = sorted({pod.name for pod in state.pods_of(service)} - redis)
    if others:
        fail("name-resolves-elsewhere", service, form="other-pods", backends=others, deployment=store.name)
    answer = answers["entries"][0]
    if answer["status"] != 200:
        text, new = answer["text"] or answer["error"], state.changed_within(20, pods[0])
        fail("redis-not-answering", deployment, form="app-answer", host=host, answer=text, in_progress=new)
    for pod in pods:
        port = variable(state, pod, "REDIS_HOST").partition(":")[2] or "6379"
        if port != str(right.store_port):
            facts = {"store": right.store, "port": port, "wanted": right.store_port}
            fail("value-wrong", deployment, form="redis-port", pod=pod.name, **facts)
    for name, report in seen.items():
        require_from_redis(deployment, name or pods[0].name, host, answers_from_pod(report))


def require_from_redis(deployment: Object, pod: str, host: str, report: dict[str, Any]) -> None:
    """Raise Failed where the app in a Pod gave its entries without a request to Redis. report: of the Pod."""
    if "redis" not in report:  # a State that was recorded before Redis was watched
        return
    if "error" in report["redis"]:
        why = report["redis"]["error"]
        unknown("not-observed", deployment, form="redis-not-watched", in_progress=True, pod=pod, host=host, why=why)
    if not report["redis"]["asked"]:
        fail("redis-not-configured", deployment, form="not-asked", pod=pod, host=host)
