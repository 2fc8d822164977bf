"""The chain of a name: the cluster's DNS answers → the namespace exists → the Service exists → it has ready Pods.

Source: https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Any, NoReturn

from checker.diagnosis.pod_names import explain_pod_name
from checker.diagnosis.walking import walk
from checker.model.fault import Fault, Ref
from checker.model.spelling import is_address, nearest
from checker.model.state import Object, State
from checker.model.verdict import Unknown, fail, unknown

# A name that every cluster has: where it does not resolve, the cluster's DNS is down.
CONTROL = "kubernetes.default"
# The observation (checker/collect/collect.py) that says whether the cluster's DNS knows CONTROL.
DNS_CONTROL = "dns-control"
# What programs say when they cannot look up a name.
NO_NAME = re.compile(r"name resolution|not known|no such host|resol|getaddrinfo|lookup|NXDOMAIN|find address", re.I)
# What programs say when they cannot reach a server that they need; and a host at the beginning of a variable's value.
_UNREACHED = re.compile(
    r"not known|no such host|resol|refused|timed out|timeout|unreachable|getaddrinfo|cannot connect|could not connect|"
    r"not answer",
    re.I,
)
_OWN_ERROR = re.compile(r"statuscode: 5\d\d")
_NAMES_A_HOST = re.compile(r"HOST|URL|URI|ADDR|SERVER|SERVICE|ENDPOINT", re.I)
_HOST = re.compile(
    r"(?:[a-z]+://)?(?:[^@/]*@)?([a-z](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)?(?:\.svc(?:\.cluster\.local)?)?)(?::\d+)?(?:/.*)?$"
)
_following: ContextVar[frozenset[str]] = ContextVar("names being followed", default=frozenset())


def service_named(host: str, namespace: str) -> tuple[str, str]:
    """The Service that a name means inside a namespace, as (name, namespace).

    host: such as `redis`, `redis.data` or `redis.data.svc.cluster.local`.
    """
    labels = host.rstrip(".").removesuffix(".svc.cluster.local").removesuffix(".svc").split(".")
    return labels[0], labels[1] if len(labels) > 1 else namespace


def outside_policy(spec: dict[str, Any]) -> str:
    """The dnsPolicy of a Pod's spec, where with it the Pod does not ask the cluster's DNS; empty where it does."""
    policy = str(spec.get("dnsPolicy", "ClusterFirst"))
    outside = policy in ("Default", "None") or (spec.get("hostNetwork") and policy == "ClusterFirst")
    return policy if outside else ""


def explain_outside_dns(state: State, pod: Object, service: Object, facts: dict[str, Any]) -> None:
    """Raise Failed where a Pod cannot resolve the name of a Service, because it does not ask the cluster's DNS.

    facts: the container, the host that it asks for, and its complaint (`quote`).
    """
    policy = outside_policy(pod.spec)
    servers = (pod.spec.get("dnsConfig") or {}).get("nameservers") or []
    if not policy or (policy == "None" and set(servers) & _addresses_of_dns(state)):
        return
    network = "hostNetwork" if pod.spec.get("hostNetwork") else ""
    given: dict[str, Any] = {"policy": policy, "host_network": network, "nameservers": servers}
    fail("dns-policy-outside", pod, form="service-not-resolved", service=service.name, **given, **facts)


def _addresses_of_dns(state: State) -> set[str]:
    """The addresses of the cluster's DNS, where its Service can be seen."""
    found = [service for service in state.seen("Service") if service.namespace == "kube-system"]
    return {str(service.spec.get("clusterIP")) for service in found if "dns" in service.name}


def explain_name(
    state: State,
    host: str,
    client: Object,
    lookups: dict[str, Any] | None = None,
    variable: str = "",
    container: str = "",
) -> NoReturn:
    """Raise Failed (or Unknown) with the reason why a DNS name does not resolve.

    asked_in: the object whose Pods asked for it.
    lookups: the names that were asked for there, and their answers. CONTROL is one of them where its answer is known.
    variable, container: the variable that holds the name, and its container, where that is known.
    """
    control = (lookups or {}).get(CONTROL)
    if control and control["error"]:
        spec = client.spec.get("template", client.raw).get("spec", {})
        policy = outside_policy(spec)
        if policy:
            fail(
                "dns-policy-outside",
                client,
                form="no-name",
                host=host,
                control=CONTROL,
                policy=policy,
                host_network="hostNetwork" if spec.get("hostNetwork") else "",
                resource=client.kind.lower(),
            )
        unknown("dns-down", client, form="in-pod", host=host, control=CONTROL, error=control["error"])
    explain_pod_name(state, host, client, variable, container)
    name, namespace = service_named(host, client.namespace)
    facts: dict[str, Any] = {
        "host": host,
        "service": name,
        "service_namespace": namespace,
        "variable": variable,
        "container": container,
    }
    if state.namespace_exists(namespace) is False:
        known = [n.name for n in state.everywhere("Namespace")]
        fail("name-namespace-unknown", client, **facts, near=nearest(namespace, known))
    service = state.find("Service", name, namespace)
    if not service:
        here = sorted(s.name for s in state.all("Service", namespace))
        elsewhere = sorted({s.namespace for s in state.everywhere("Service") if s.name == name})
        near = "" if elsewhere else nearest(name, here, cutoff=0.6)
        fail("name-unknown", client, **facts, services=here, elsewhere=elsewhere, near=near)
    if service.spec.get("type") == "ExternalName":
        target = service.spec.get("externalName", "")
        if is_address(target):
            fail("external-name-is-address", service, target=target, **facts)
        if target.rstrip(".").endswith(".svc.cluster.local"):
            explain_name(state, target, client)
        fail("name-unknown", client, form="external-name", **facts, target=target)
    walk(state, service)
    fail("name-not-yet", client, in_progress=True, **facts)


def follow_dependency(state: State, pod: Object, container: dict[str, Any], log: str) -> None:
    """Raise the fault of a server that a failing container needs: a host that its variables name.

    Either the container's own words name that host and say that it was not reached. Or the container answers a probe
    with a status from 500 on. The kubelet keeps no words of that answer, so every variable whose purpose is to name a
    host counts. Returns where the servers that it needs work. Raises Failed with the root otherwise.
    """
    unreached, refuses = _UNREACHED.search(log), _OWN_ERROR.search(log)
    for variable, value in state.env(pod, container).items():
        found = _HOST.match(value)
        host = found.group(1) if found else ""
        if host in ("", "localhost") or not (
            (unreached and host in log) or (refuses and _NAMES_A_HOST.search(variable))
        ):
            continue
        name, namespace = service_named(host, pod.namespace)
        key = f"{namespace}/{name}"
        if key in _following.get() or namespace in state.unlisted:
            continue
        service = state.find("Service", name, namespace)
        token = _following.set(_following.get() | {key})
        try:
            if service:
                walk(state, service)
            else:
                explain_name(state, host, pod, variable=variable, container=container["name"])
        except Unknown:
            continue
        finally:
            _following.reset(token)


def explain_dns_down(state: State, log: str) -> Fault | None:
    """The fault of the cluster's DNS: a container cannot resolve a name, and the observer cannot resolve CONTROL."""
    control = (state.observations.get(DNS_CONTROL) or {}).get(CONTROL) or {}
    if not NO_NAME.search(log) or not control.get("error"):
        return None
    return Fault(
        "dns-down",
        Ref("Deployment", "coredns", "kube-system"),
        {"control": CONTROL, "error": control["error"]},
        form="for-observer",
    )
