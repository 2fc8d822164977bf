"""Judging lab 08: what DNS names resolve to in the learner's own Pods, and whether the apps behind them work."""

from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from checker.sdk import (
    Counted,
    DnsInside,
    ImageName,
    Lookup,
    Lookups,
    Object,
    PlainState,
    PodsInside,
    Redacted,
    Ref,
    State,
    ask_in_pod,
    fail,
    is_address,
    pods_of,
    program,
    require_selects_by_template,
    running_pods,
    source_of_variable,
    task,
    unknown,
)

VARIABLE = "REDIS_HOST"
PROGRAM = program(__file__, "ask_app")


class Variable(TypedDict):
    """REDIS_HOST in a container, and what it resolves to. kind: of a value that does not leave the container."""

    value: str
    kind: NotRequired[str]
    addresses: list[str]
    error: str


class AppAnswers(TypedDict):
    """What programs/ask_app.py answers."""

    variable: Variable
    names: Lookups
    entries: Counted


@dataclass(frozen=True)
class RedisAddress(PodsInside[dict[str, Any]]):
    """In a running Pod of a Deployment: its app's REDIS_HOST, what that resolves to, and the app's answer to /entries.

    Read as programs/ask_app.py answers. A value that comes from a Secret does not leave the container.
    """

    deployment: str
    shapes = (AppAnswers,)

    def question(self, state: PlainState) -> dict[str, Any] | None:
        deployment = state.find("Deployment", self.deployment)
        pod = pod_to_ask(state, deployment) if deployment else None
        if not pod:
            return None
        hidden = isinstance(variable_in_template(state, pod), Redacted)
        question = {"variable": VARIABLE, "hidden": hidden, "names": ["kubernetes.default"]}
        program = {"program": PROGRAM, "container": app_of(state, pod)["name"]}
        return self.ask({"": ask_in_pod(pod, question) | program})

    def is_whole(self, answers: dict[str, Any]) -> bool:
        return "kubernetes.default" in answers["names"]


GUESTBOOK, ARCHIVE = RedisAddress("guestbook"), RedisAddress("archive")
HEADLESS = DnsInside("guestbook", ("guestbook-pods",))


def pod_to_ask(state: PlainState, deployment: Object) -> Object | None:
    """The oldest running Pod of the newest revision that has Pods: its values may have changed since it started."""
    newest = [pod.owner_uids for pod in pods_of(state, deployment)][:1]
    pods = [pod for pod in running_pods(state, deployment) if pod.owner_uids in newest]
    return min(pods, key=lambda pod: pod.created, default=None)


def app_of(state: PlainState, pod: Object) -> dict[str, Any]:
    """The container of a Pod, or of a Pod template, in which the app runs; of several, the one at the usual port."""
    apps = [c for c in pod.containers if ImageName.parse(c["image"]).base == "guestbook"] or pod.containers
    return next((c for c in apps if (state.env(pod, c).get("PORT") or "8080") == "8080"), apps[0])


def variable_in_template(state: PlainState, pod: Object) -> str:
    """The REDIS_HOST that a Pod's app would get if it started now; empty where it would get none."""
    return state.env(pod, app_of(state, pod)).get(VARIABLE, "")


def sources(container: dict[str, Any]) -> set[str]:
    """The fields from which a container's REDIS_HOST may come: value, configMapKeyRef, secretRef and so on."""
    variables, whole = container.get("env") or [], container.get("envFrom") or []
    own = [variable for variable in variables if variable["name"] == VARIABLE][-1:]
    if any("$(" in variable.get("value", "") for variable in own):
        own = [*variables, *whole]
    return {key for given in own or whole for key in {**given, **(given.get("valueFrom") or {})}}


def require_redis_by_name(state: State, deployment: Object, answers: dict[str, Any], service: Object) -> None:
    """Raise Failed where a Deployment's app does not keep its entries in the Redis of this Service, by a DNS name.

    answers: those of RedisAddress. service: a Service of the Redis that is meant.
    """
    pod = pod_to_ask(state, deployment)
    if not pod:
        state.require_working(deployment)
        unknown("not-observed", deployment, form="no-running-pod", in_progress=True)
    app = app_of(state, pod)
    now = variable_in_template(state, pod)
    if now != variable_in_template(state, deployment):
        state.require_working(deployment)  # its Pods still have an earlier template
    variable = answers["variable"]
    value = variable["value"]
    hidden = isinstance(now, Redacted) and not value and variable["kind"] != "none"
    host = f"${VARIABLE}" if hidden else value.partition(":")[0]
    if now != value and {"configMapRef", "configMapKeyRef"} & sources(app):
        fail(
            "environment-not-refreshed",
            deployment,
            form="redis-host",
            pod=pod.name,
            container=app["name"],
            variable=VARIABLE,
            value=value,
            current=str(now),
        )
    if not host:
        form = "unset" if now or isinstance(now, Redacted) else "no-variable"
        fail("redis-not-configured", deployment, form=form, pod=pod.name, container=app["name"], variable=VARIABLE)
    alias = next((a["ip"] for a in pod.spec.get("hostAliases") or [] if host in (a.get("hostnames") or [])), "")
    if alias:
        fail("redis-by-address", deployment, form="host-alias", variable=VARIABLE, host=host, address=alias)
    if hidden and variable["kind"] in ("address", "address-as-name"):
        fail("redis-by-address", deployment, form="hidden", variable=VARIABLE, **source_facts(state, pod, app))
    if is_address(host):
        fail("redis-by-address", deployment, form="address", variable=VARIABLE, address=host)
    address = host.partition(".")[0].replace("-", ".")
    if address in variable["addresses"]:
        fail("redis-by-address", deployment, form="address-as-name", variable=VARIABLE, host=host, address=address)
    if variable["error"] and hidden:
        if answers["names"]["kubernetes.default"]["error"]:
            state.explain_name("kubernetes.default", answers["names"], deployment)
        fail("name-unknown", deployment, form="hidden", variable=VARIABLE, **source_facts(state, pod, app))
    if variable["error"] == "no-name":
        fail("name-unknown", deployment, form="not-a-name", variable=VARIABLE, host=host)
    if variable["error"]:
        state.explain_name(host, answers["names"], deployment)
    require_leads_to(state, deployment, service, host, variable["addresses"])
    answer = answers["entries"][0]
    if answer["status"] != 200:
        text = answer["text"] or answer["error"]
        fail("redis-not-answering", deployment, form="entries", host=host, answer=text)


def source_facts(state: State, pod: Object, container: dict[str, Any]) -> dict[str, str]:
    """Where a hidden REDIS_HOST comes from: the name of the Secret, empty where it is no Secret."""
    source = source_of_variable(state, pod, container, VARIABLE)
    return {"secret": source.name if source and source.kind == "Secret" else ""}


def require_leads_to(state: State, deployment: Object, service: Object, host: str, addresses: list[str]) -> None:
    """Raise Failed where these addresses are not those of the Redis of a Service, or where that does not work."""
    meant = [s for s in state.everywhere("Service") if s.spec.get("clusterIP") in addresses]
    for other in meant:
        if other.namespace == state.namespace:
            state.require_working(other)
    behind = [pod for s in meant for pod in state.pods_of(s) if pod.is_ready]
    behind += [pod for pod in state.everywhere("Pod") if pod.is_ready and pod.status.get("podIP") in addresses]
    redis = state.pods_of(state.require("Deployment", "redis", service.namespace))
    if service in meant or (behind and {pod.uid for pod in behind} <= {pod.uid for pod in redis}):
        state.require_working(service)
        state.require_working(deployment)
        return
    facts = {"host": host, "service": service.name, "service_namespace": service.namespace}
    if meant:
        other = meant[0]
        facts |= {"other": other.name, "other_namespace": other.namespace}
        fail("name-resolves-elsewhere", deployment, form="other-service", **facts)
    fail("name-resolves-elsewhere", deployment, form="other-addresses", addresses=addresses, **facts)


@task("by-name", observe=GUESTBOOK)
def guestbook_finds_redis(state: State, answers: dict[str, Any]) -> None:
    service, redis = state.require("Service", "redis"), state.require("Deployment", "redis")
    state.require_working(service)
    state.fail_for_other_backends(service, redis, {pod.name for pod in state.ready_pods(service)})
    if service.spec.get("type") != "ExternalName":
        require_selects_by_template(service, redis)
    require_redis_by_name(state, state.require("Deployment", "guestbook"), answers, service)


@task("every-address", observe=HEADLESS)
def name_leads_to_every_pod(state: State, lookups: dict[str, Lookup]) -> None:
    deployment = state.require("Deployment", "guestbook")
    service = state.require("Service", "guestbook-pods")
    state.require_working(service)
    require_selects_by_template(service, deployment)
    if service.spec.get("clusterIP") != "None":
        fail("not-headless", service, address=service.spec.get("clusterIP"))
    ready = state.ready_pods(deployment)
    if len(ready) < 2:
        state.require_working(deployment)
        fail("too-few-replicas", deployment, form="ready-pods", ready=len(ready), least=2)
    lookup = lookups["guestbook-pods"]
    if lookup.error:
        state.explain_name("guestbook-pods", {"guestbook-pods": {"addresses": [], "error": lookup.error}}, deployment)
    addresses = {pod.status["podIP"] for pod in ready}
    if set(lookup.addresses) != addresses:
        fail(
            "name-resolves-elsewhere",
            service,
            form="other-pods",
            in_progress=state.changed_within(40, *ready),
            addresses=lookup.addresses,
            ready=sorted(addresses),
            deployment=deployment.name,
        )


@task("across", observe=ARCHIVE)
def archive_uses_the_other_redis(state: State, answers: dict[str, Any]) -> None:
    archive = state.require("Deployment", "archive")
    theirs = state.find("Service", "redis", f"{state.namespace}-data")
    if not theirs:
        fail("object-missing", Ref("Service", "redis", f"{state.namespace}-data"), form="of-setup")
    require_redis_by_name(state, archive, answers, theirs)
    state.require_image(archive, "guestbook:v1")
