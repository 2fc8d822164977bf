"""The guestbook's entries are kept in the Redis of the handbook."""

from dataclasses import dataclass
from typing import Any

from checker.sdk import (
    Lookup,
    PlainState,
    PodsInside,
    State,
    answers_from_pod,
    are_no,
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
    """In a running Pod of the capstone: where its own REDIS_HOST leads, and what the app says to /entries."""

    deployment: str

    def question(self, state: PlainState) -> dict[str, Any] | None:
        deployment = state.find("Deployment", self.deployment)
        pods = running_pods(state, deployment) if deployment else []
        host = variable(state, pods[0], "REDIS_HOST").partition(":")[0] if pods else ""
        if not host:
            return None
        listens = capstone.plan(seed_of(state)).listens if secret_with(state, pods[0], "PORT") else 8080
        port = variable(state, pods[0], "PORT") or listens
        return self.ask({"": ask_in_pod(pods[0], {
            "names": {"do": "dns", "names": [host, "kubernetes.default"]},
            "entries": {"do": "http", "url": f"http://127.0.0.1:{port}/entries"},
        }) | {"container": app(pods[0])["name"]}})  # fmt: skip

    def read(self, seen: dict[str, dict[str, Any]]) -> dict[str, Any]:
        return seen[""]  # read only once the Pods are known to work (see `answered`): one that is down cannot be asked


REDIS = RedisAsked("guestbook")


@task("entries", observe=REDIS)
def entries_are_kept_in_redis(state: State, asked: dict[str, Any]) -> None:
    right = capstone.plan(seed_of(state))
    deployment = state.require("Deployment", "guestbook")
    pods = running_pods(state, deployment)
    if not pods:
        state.require_working(deployment)
    look = {"object": deployment.ref, "look": "kubectl set env deployment guestbook --list"}
    for pod in pods:
        host = variable(state, pod, "REDIS_HOST").partition(":")[0]
        secret = secret_with(state, pod, "REDIS_HOST")
        if secret:
            unknown(
                "not-observed", f"Pod {pod.name} is told where Redis is by Secret {secret}, and the checker looks into none. A name that "
                "everybody may read, in the Deployment or in a ConfigMap, can be followed.",
                expected="REDIS_HOST with the name of a Service", observed=f"Secret {secret}", **look,
            )  # fmt: skip
        if not host:
            fail(
                "redis-not-configured", f"Pod {pod.name} has no REDIS_HOST: it keeps its entries in a file of its own.",
                expected="REDIS_HOST with the name of a Service", observed="no REDIS_HOST", **look,
            )  # fmt: skip
        by_hand = next((a["ip"] for a in pod.spec.get("hostAliases") or [] if host in (a.get("hostnames") or [])), "")
        if by_hand or is_address(host):
            fail(
                "redis-by-address", f"Pod {pod.name} was given the address {by_hand or host}{' for that name' if by_hand else ''}. It works until that changes.",
                expected="a name", observed=by_hand or host, object=deployment.ref,
                look="kubectl get deployment guestbook -o yaml" if by_hand else look["look"],
            )  # fmt: skip
    state.require_working(deployment)
    asked = answers_from_pod(asked)
    host = variable(state, pods[0], "REDIS_HOST").partition(":")[0]
    lookup = Lookup(**asked["names"][host])
    if lookup.error:
        state.explain_name(host, asked["names"], deployment)
    service = state.require("Service", right.store)
    theirs = {service.spec.get("clusterIP"), *(pod.status.get("podIP") for pod in state.pods_of(service))}
    if not theirs & set(lookup.addresses):
        meant = [s.name for s in state.all("Service") if s.spec.get("clusterIP") in lookup.addresses]
        where = f"Service {meant[0]}" if meant else ", ".join(lookup.addresses)
        fail(
            "name-resolves-elsewhere", f"In Pod {pods[0].name} the name {host} leads to {where}, and the guestbook's Redis is behind Service {right.store}.",
            expected=f"Service {right.store}", observed=where, **look,
        )  # fmt: skip
    if host.partition(".")[0].lower() != right.store:
        fail(
            "service-is-externalname", f"The guestbook asks for {host}, and that is only another name for Service {right.store}.",
            expected=f"the name {right.store}", observed=host, **look,
        )  # fmt: skip
    state.require_working(service)
    require_port(service, right.store_port)
    store = state.require("Deployment", right.store)
    redis = {pod.name for pod in state.pods_of(store)}
    if len(state.ready_pods(store)) > 1:
        fail(
            "entries-scattered", f"Deployment {right.store} has {len(state.ready_pods(store))} Pods, and each Redis keeps what it happens to be given: "
            "whoever reads sees the entries of one of them.",
            expected="one Redis", observed=f"{len(state.ready_pods(store))} Pods", object=store.ref, look="kubectl get pods -o wide",
        )  # fmt: skip
    other_backends = {pod.name for pod in state.pods_of(service)} - redis
    if other_backends:
        fail(
            "name-resolves-elsewhere", f"Service {right.store} leads to {', '.join(sorted(other_backends))}, which {are_no(len(other_backends), 'Pod')} of Deployment {right.store}.",
            expected=f"Pods of Deployment {right.store}", observed=", ".join(sorted(other_backends)), object=service.ref,
            look=f"kubectl describe service {right.store}",
        )  # fmt: skip
    answer = asked["entries"][0]
    if answer["status"] != 200:
        fail(
            "redis-not-answering", f"{host} leads to the right Service, but the app says: {answer['text'] or answer['error']}",
            expected="the entries", observed=answer["text"] or answer["error"], pending=state.changed_within(20, pods[0]), **look,
        )  # fmt: skip
