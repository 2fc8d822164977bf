"""Judging lab 08: what names lead to, asked in the learner's own Pods; and whether the apps behind them work."""

from dataclasses import dataclass
from typing import Any

from checker.sdk import (
    DnsInside,
    HiddenValue,
    Lookup,
    Object,
    PlainState,
    PodsInside,
    State,
    ask_in_pod,
    counted,
    fail,
    is_address,
    pods_of,
    require_selects_by_template,
    running_pods,
    task,
    unknown,
)

VARIABLE = "REDIS_HOST"


@dataclass(frozen=True)
class RedisTold(PodsInside[dict[str, Any]]):
    """In a running Pod of a Deployment: what its app was told about Redis, where that leads, and what the app says to /entries.

    Read as {"told": {"value", "addresses", "error"}, "names": {name: {"addresses", "error"}}, "entries": [answer]}.
    """

    deployment: str

    def question(self, state: PlainState) -> dict[str, Any] | None:
        deployment = state.find("Deployment", self.deployment)
        pod = asked_pod(state, deployment) if deployment else None
        if not pod or isinstance(told_by_template(state, pod), HiddenValue):
            return None  # what is in a Secret stays where it is
        questions = {
            "told": {"do": "told", "variable": VARIABLE},
            "names": {"do": "dns", "names": ["kubernetes.default"]},
            "entries": {"do": "http", "url": "http://127.0.0.1:8080/entries"},
        }
        return self.ask({"": ask_in_pod(pod, questions) | {"container": app_of(state, pod)["name"]}})


GUESTBOOK, ARCHIVE = RedisTold("guestbook"), RedisTold("archive")
HEADLESS = DnsInside("guestbook", ("guestbook-pods",))


def asked_pod(state: PlainState, deployment: Object) -> Object | None:
    """The oldest running Pod of the newest revision that has Pods: where what it was told has changed since it started, it shows there."""
    newest = [pod.owner_uids for pod in pods_of(state, deployment)][:1]
    pods = [pod for pod in running_pods(state, deployment) if pod.owner_uids in newest]
    return min(pods, key=lambda pod: pod.created, default=None)


def app_of(state: PlainState, pod: Object) -> dict[str, Any]:
    """The container of a Pod in which the app listens on port 8080."""
    apps = [c for c in pod.containers if c["image"].rpartition("/")[2].partition(":")[0] == "guestbook"]
    return next((c for c in apps if (state.env(pod, c).get("PORT") or "8080") == "8080"), pod.containers[0])


def told_by_template(state: PlainState, pod: Object) -> str:
    """What a Pod's app is told about Redis by what its Pod template refers to now; empty where nothing is said of it."""
    return state.env(pod, app_of(state, pod)).get(VARIABLE, "")


def sources(container: dict[str, Any]) -> set[str]:
    """What REDIS_HOST of a container may come from: value, configMapKeyRef, secretRef and so on."""
    variables, whole = container.get("env") or [], container.get("envFrom") or []
    own = [variable for variable in variables if variable["name"] == VARIABLE][-1:]
    if any("$(" in variable.get("value", "") for variable in own):
        own = [*variables, *whole]
    return {key for given in own or whole for key in {**given, **(given.get("valueFrom") or {})}}


def require_redis_by_name(state: State, deployment: Object, asked: dict[str, Any], service: Object) -> None:
    """The app of a Deployment keeps its entries in the Redis of a Service's namespace, and was told so by a name."""
    pod = asked_pod(state, deployment)
    if not pod:
        state.require_working(deployment)
        unknown("not-observed", f"No Pod of Deployment {deployment.name} could be asked.", object=deployment.ref,
                look="kubectl get pods", pending=True)  # fmt: skip
    evidence = {"object": deployment.ref, "look": f"kubectl describe deployment {deployment.name}"}
    app = app_of(state, pod)
    now = told_by_template(state, pod)
    if isinstance(now, HiddenValue):
        unknown(
            "not-observed", f"What Deployment {deployment.name} was told about Redis comes from a Secret, and the checker looks into none.",
            expected=f"{VARIABLE} with the name of a Service", observed="a Secret", **evidence,
        )  # fmt: skip
    told = asked["told"]
    host = told["value"].partition(":")[0]
    if now != told["value"] and {"configMapRef", "configMapKeyRef"} & sources(app):
        fail(
            "environment-not-refreshed", f"{VARIABLE} is {told['value'] or 'not set'} for the app in Pod {pod.name}, as it was when "
            f"the container started; by the ConfigMap that it comes from, it would be {now or 'not set'} now.",
            expected=now or f"no {VARIABLE}", observed=told["value"] or f"no {VARIABLE}", object=deployment.ref,
            look=f"kubectl exec {pod.name} -c {app['name']} -- printenv {VARIABLE}",
        )  # fmt: skip
    if not host:
        fail(
            "redis-not-configured", f"Container {app['name']} of Deployment {deployment.name} has no {VARIABLE}: the app in it keeps its entries in a file.",
            expected=f"{VARIABLE} with the name of a Service", observed=f"no {VARIABLE} in container {app['name']}", **evidence,
        )  # fmt: skip
    by_hand = next((a["ip"] for a in pod.spec.get("hostAliases") or [] if host in (a.get("hostnames") or [])), "")
    if by_hand or is_address(host):
        given_as = f"the name {host} together with the address {by_hand}" if by_hand else f"the address {host}"
        fail(
            "redis-by-address", f"Deployment {deployment.name} was given {given_as}. It works only until that changes.",
            expected="a name", observed=by_hand or host, object=deployment.ref,
            look=f"kubectl get deployment {deployment.name} -o yaml" if by_hand else evidence["look"],
        )  # fmt: skip
    address = host.partition(".")[0].replace("-", ".")
    if address in told["addresses"]:
        fail(
            "redis-by-address", f"Deployment {deployment.name} was given {host}, which is the address {address} written as a name. "
            "It works only until that changes.", expected="a name", observed=address, **evidence,
        )  # fmt: skip
    if told["error"] == "no-name":
        fail(
            "name-unknown", f"Deployment {deployment.name} was told {host}, which is not a name that a Service can have.",
            expected=f"{host} leads to a Service", observed="not a name", **evidence,
        )  # fmt: skip
    if told["error"]:
        state.explain_name(host, asked["names"], deployment)
    meant = [s for s in state.everywhere("Service") if s.spec.get("clusterIP") in told["addresses"]]
    for other in meant:
        if other.namespace == state.namespace:
            state.require_working(other)
    behind = [pod for s in meant for pod in state.pods_of(s) if pod.is_ready]
    behind += [pod for pod in state.everywhere("Pod") if pod.is_ready and pod.status.get("podIP") in told["addresses"]]
    redis = state.pods_of(state.require("Deployment", "redis", service.namespace))
    if service in meant or (behind and {pod.uid for pod in behind} <= {pod.uid for pod in redis}):
        state.require_working(service)
        state.require_working(deployment)
        answer = asked["entries"][0]
        if answer["status"] != 200:
            fail(
                "redis-not-answering", f"{host} leads to the right Service, but the app says: {answer['text'] or answer['error']}",
                expected="the entries", observed=answer["text"] or answer["error"], **evidence,
            )  # fmt: skip
        return
    where = f"Service {meant[0].name} of namespace {meant[0].namespace}" if meant else ", ".join(told["addresses"])
    fail(
        "name-resolves-elsewhere",
        f"In a Pod of Deployment {deployment.name} the name {host} leads to {where}, not to Service {service.name} of namespace {service.namespace}.",
        expected=f"Service {service.name} of namespace {service.namespace}", observed=where, **evidence,
    )  # fmt: skip


@task("by-name", observe=GUESTBOOK)
def guestbook_finds_redis(state: State, asked: dict[str, Any]) -> None:
    service, redis = state.require("Service", "redis"), state.require("Deployment", "redis")
    state.require_working(service)
    state.fail_for_other_backends(service, redis, {pod.name for pod in state.ready_pods(service)})
    if service.spec.get("type") != "ExternalName":
        require_selects_by_template(service, redis)
    require_redis_by_name(state, state.require("Deployment", "guestbook"), asked, service)


@task("every-address", observe=HEADLESS)
def name_leads_to_every_pod(state: State, lookups: dict[str, Lookup]) -> None:
    deployment = state.require("Deployment", "guestbook")
    service = state.require("Service", "guestbook-pods")
    evidence = {"object": service.ref, "look": "kubectl get service guestbook-pods -o wide"}
    state.require_working(service)
    require_selects_by_template(service, deployment)
    if service.spec.get("clusterIP") != "None":
        fail(
            "not-headless", f"The name guestbook-pods leads to one address, {service.spec.get('clusterIP')}, which stands in front of the Pods.",
            expected="the addresses of the Pods themselves", observed=f"clusterIP {service.spec.get('clusterIP')}", **evidence,
        )  # fmt: skip
    if service.spec.get("publishNotReadyAddresses"):
        fail(
            "name-resolves-elsewhere", "The name guestbook-pods leads to Pods whether they are ready or not: Service guestbook-pods publishes all addresses.",
            expected="the addresses of the ready Pods", observed="publishNotReadyAddresses: true", **evidence,
        )  # fmt: skip
    state.require_working(deployment)
    ready = state.ready_pods(deployment)
    if len(ready) < 2:
        fail("too-few-replicas", f"Deployment guestbook has {counted(len(ready), 'ready Pod')}.", expected="at least 2", observed=str(len(ready)),
             object=deployment.ref, look="kubectl get deployment guestbook")  # fmt: skip
    lookup = lookups["guestbook-pods"]
    if lookup.error:
        state.explain_name("guestbook-pods", {"guestbook-pods": {"addresses": [], "error": lookup.error}}, deployment)
    addresses = {pod.status["podIP"] for pod in ready}
    if set(lookup.addresses) != addresses:
        fail(
            "name-resolves-elsewhere", f"The name guestbook-pods leads to {', '.join(lookup.addresses)}; the ready Pods of Deployment guestbook have "
            f"{', '.join(sorted(addresses))}.",
            expected=", ".join(sorted(addresses)), observed=", ".join(lookup.addresses), pending=state.changed_within(40, *ready), **evidence,
        )  # fmt: skip


@task("across", observe=ARCHIVE)
def archive_uses_the_other_redis(state: State, asked: dict[str, Any]) -> None:
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
