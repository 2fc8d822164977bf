"""The guestbook's entries are kept in the Redis of the handbook."""

from dataclasses import dataclass
from typing import Any

from checker.sdk import (
    Lookup,
    PlainState,
    PodsInside,
    State,
    answers_from_pod,
    ask_in_pod,
    fail,
    is_address,
    running_pods,
    seed_of,
    task,
    unknown,
)

from . import setup as capstone
from .capstone_app import app, require_port, secret_with, variable


@dataclass(frozen=True)
class RedisAsked(PodsInside[dict[str, Any]]):
    """In a running Pod of the capstone: what its REDIS_HOST resolves to, and the app's answer to /entries."""

    deployment: str

    def question(self, state: PlainState) -> dict[str, Any] | None:
        deployment = state.find("Deployment", self.deployment)
        pods = running_pods(state, deployment) if deployment else []
        host = variable(state, pods[0], "REDIS_HOST").partition(":")[0] if pods else ""
        if not host:
            return None
        listens = capstone.plan(seed_of(state)).listens if secret_with(state, pods[0], "PORT") else 8080
        port = variable(state, pods[0], "PORT") or listens
        questions = {
            "names": {"do": "dns", "names": [host, "kubernetes.default"]},
            "entries": {"do": "http", "url": f"http://127.0.0.1:{port}/entries"},
        }
        return self.ask({"": ask_in_pod(pods[0], questions) | {"container": app(pods[0])["name"]}})

    def read(self, seen: dict[str, dict[str, Any]]) -> dict[str, Any]:
        return seen[""]  # the task reads it after it found the Pods working (see `answered`)


REDIS = RedisAsked("guestbook")


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
    answers = answers_from_pod(seen)
    host = variable(state, pods[0], "REDIS_HOST").partition(":")[0]
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
