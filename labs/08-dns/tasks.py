"""Judging lab 08: what names lead to, asked in the learner's own Pods; and whether the apps behind them work."""

import ipaddress
from dataclasses import dataclass
from typing import Any

from checker import DnsInside, Lookup, Object, PodsInside, State, fail, task
from checker.judge.observe import inside, running_pods


@dataclass(frozen=True)
class RedisAsked(PodsInside):
    """In a running Pod of a Deployment: where its own REDIS_HOST leads, and what the app says to /entries.

    Read as {"names": {name: Lookup}, "entries": [answer]}.
    """

    deployment: str

    def question(self, state: State) -> dict[str, Any] | None:
        deployment = state.find("Deployment", self.deployment)
        pods = running_pods(state, deployment) if deployment else []
        name = redis_host(state, pods[0]) if pods else ""
        if not name:
            return None
        return self.ask({"": inside(pods[0], {
            "names": {"do": "dns", "names": [name.partition(":")[0], "kubernetes.default"]},
            "entries": {"do": "http", "url": "http://127.0.0.1:8080/entries"},
        })})  # fmt: skip


GUESTBOOK, ARCHIVE = RedisAsked("guestbook"), RedisAsked("archive")
HEADLESS = DnsInside("guestbook", ("guestbook-pods",))


def redis_host(state: State, pod: Object) -> str:
    """What the app in a Pod was told about Redis; empty where it was told nothing."""
    return next((host for c in pod.containers if (host := state.env(pod, c).get("REDIS_HOST", ""))), "")


def require_redis_by_name(state: State, deployment: Object, asked: dict, service: Object) -> None:
    """The app of a Deployment keeps its entries behind this Service, and was told so by a name."""
    pods = running_pods(state, deployment)
    if not pods:
        state.require_working(deployment)
    host = redis_host(state, pods[0]).partition(":")[0]
    evidence = {"object": deployment.ref, "look": f"kubectl describe deployment {deployment.name}"}
    if not host:
        fail(
            "redis-not-configured", f"The Pods of Deployment {deployment.name} have no REDIS_HOST: they keep their entries in a file.",
            expected="REDIS_HOST with the name of a Service", observed="no REDIS_HOST", **evidence,
        )  # fmt: skip
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        fail(
            "redis-by-address", f"Deployment {deployment.name} was given the address {host}. It works until that changes.",
            expected="a name", observed=host, **evidence,
        )  # fmt: skip
    lookup = Lookup(**asked["names"][host])
    if lookup.error:
        state.explain_name(host, asked["names"], deployment)
    if service.spec.get("clusterIP") in lookup.addresses or (
        set(lookup.addresses) & {pod.status.get("podIP") for pod in state.pods_of(service)}
    ):
        state.require_working(service)
        state.require_working(deployment)
        answer = asked["entries"][0]
        if answer["status"] != 200:
            fail(
                "redis-not-answering", f"{host} leads to the right Service, but the app says: {answer['text'] or answer['error']}",
                expected="the entries", observed=answer["text"] or answer["error"], **evidence,
            )  # fmt: skip
        return
    meant = [s for s in state.everywhere("Service") if s.spec.get("clusterIP") in lookup.addresses]
    where = f"Service {meant[0].name} of namespace {meant[0].namespace}" if meant else ", ".join(lookup.addresses)
    fail(
        "name-leads-elsewhere",
        f"In a Pod of Deployment {deployment.name} the name {host} leads to {where}, not to Service {service.name} of namespace {service.namespace}.",
        expected=f"Service {service.name} of namespace {service.namespace}", observed=where, **evidence,
    )  # fmt: skip


@task("by-name", observe=GUESTBOOK)
def guestbook_finds_redis(state: State, asked: dict) -> None:
    service = state.require("Service", "redis")
    state.require_working(service)
    require_redis_by_name(state, state.require("Deployment", "guestbook"), asked, service)


@task("every-address", observe=HEADLESS)
def name_leads_to_every_pod(state: State, lookups: dict[str, Lookup]) -> None:
    deployment = state.require("Deployment", "guestbook")
    service = state.require("Service", "guestbook-pods")
    evidence = {"object": service.ref, "look": "kubectl get service guestbook-pods -o wide"}
    if service.spec.get("type") == "ExternalName":
        fail("service-is-an-alias", f"Service guestbook-pods is another name for {service.spec.get('externalName')}: it has no Pods of its own.",
             expected="the addresses of the Pods", observed="type ExternalName", **evidence)  # fmt: skip
    state.require_working(service)
    if service.spec.get("clusterIP") != "None":
        fail(
            "not-headless", f"The name guestbook-pods leads to one address, {service.spec.get('clusterIP')}, which stands in front of the Pods.",
            expected="the addresses of the Pods themselves", observed=f"clusterIP {service.spec.get('clusterIP')}", **evidence,
        )  # fmt: skip
    state.require_working(deployment)
    ready = state.ready_pods(deployment)
    if len(ready) < 2:
        fail("too-few-replicas", f"Deployment guestbook has {len(ready)} ready Pod.", expected="at least 2", observed=str(len(ready)),
             object=deployment.ref)  # fmt: skip
    lookup = lookups["guestbook-pods"]
    if lookup.error:
        state.explain_name("guestbook-pods", {"guestbook-pods": {"addresses": [], "error": lookup.error}}, deployment)
    addresses = {pod.status["podIP"] for pod in ready}
    if set(lookup.addresses) != addresses:
        fail(
            "name-leads-elsewhere", f"The name guestbook-pods leads to {', '.join(lookup.addresses)}; the ready Pods of Deployment guestbook have "
            f"{', '.join(sorted(addresses))}.",
            expected=", ".join(sorted(addresses)), observed=", ".join(lookup.addresses), pending=state.changed_within(40, *ready), **evidence,
        )  # fmt: skip


@task("across", observe=ARCHIVE)
def archive_uses_the_other_redis(state: State, asked: dict) -> None:
    archive = state.require("Deployment", "archive")
    theirs = state.find("Service", "redis", f"{state.namespace}-data")
    if not theirs:
        fail(
            "object-missing", f"Service redis of namespace {state.namespace}-data, which the lab began with, is gone.",
            expected=f"Service redis in namespace {state.namespace}-data", observed="none", object="Service/redis",
            look=f"kubectl get services -n {state.namespace}-data",
        )  # fmt: skip
    require_redis_by_name(state, archive, asked, theirs)
    state.require_image(archive, "guestbook:v1")
