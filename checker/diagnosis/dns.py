"""The chain of a name: the cluster's DNS answers → the namespace exists → the Service exists → something ready is behind it.

Source: https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Any, NoReturn

from checker.diagnosis.walking import walk
from checker.model.fault import Fault, Ref
from checker.model.spelling import nearest
from checker.model.state import Object, State
from checker.model.verdict import Unknown, fail, unknown

# A name that every cluster has: when not even this one leads anywhere, DNS itself is down.
CONTROL = "kubernetes.default"
# The observation (checker/collect/collect.py) that says whether the cluster's DNS knows CONTROL.
DNS_CONTROL = "dns-control"
# What programs say when they cannot look up a name.
NO_NAME = re.compile(r"name resolution|not known|no such host|resol|getaddrinfo|lookup|NXDOMAIN|find address", re.I)
# What programs say when somebody whom they need cannot be reached, and a host at the beginning of a variable's value.
_UNREACHED = re.compile(
    r"not known|no such host|resol|refused|timed out|timeout|unreachable|getaddrinfo|cannot connect|could not connect|not answer", re.I
)  # fmt: skip
_OWN_ERROR = re.compile(r"statuscode: 5\d\d")
_NAMES_A_HOST = re.compile(r"HOST|URL|URI|ADDR|SERVER|SERVICE|ENDPOINT", re.I)
_HOST = re.compile(
    r"(?:[a-z]+://)?(?:[^@/]*@)?([a-z](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)?(?:\.svc(?:\.cluster\.local)?)?)(?::\d+)?(?:/.*)?$"
)
_following: ContextVar[frozenset[str]] = ContextVar("names being followed", default=frozenset())


def service_named(host: str, namespace: str) -> tuple[str, str]:
    """The Service that a name means inside a namespace, as (name, namespace): `redis`, `redis.data`, `redis.data.svc.cluster.local`."""
    labels = host.rstrip(".").removesuffix(".svc.cluster.local").removesuffix(".svc").split(".")
    return labels[0], labels[1] if len(labels) > 1 else namespace


def outside_dns(spec: dict[str, Any]) -> str:
    """The dnsPolicy of a Pod's spec, where with it the Pod does not ask the cluster's DNS, and the network of the node where it has that."""
    policy = spec.get("dnsPolicy", "ClusterFirst")
    if policy in ("Default", "None") or (spec.get("hostNetwork") and policy == "ClusterFirst"):
        return f"dnsPolicy {policy}" + (", and the network of its node" if spec.get("hostNetwork") else "")
    return ""


def explain_name(
    state: State, host: str, asked_in: Object, lookups: dict[str, Any] | None = None, told_by: str = ""
) -> NoReturn:
    """Raise Failed (or Unknown) with the reason why a name leads nowhere.

    asked_in: the object whose Pods asked for it. lookups: what names were asked for there, CONTROL among them where it is known.
    told_by: the variable that holds the name, in words, where it is known.
    """
    says = f"{host}, the name in {told_by}," if told_by else host
    evidence: dict[str, Any] = {"object": asked_in.ref, "expected": f"{host} leads to a Service"}
    control = (lookups or {}).get(CONTROL)
    if control and control["error"]:
        outside = outside_dns(asked_in.spec.get("template", asked_in.raw).get("spec", {}))
        if outside:
            fail(
                "dns-policy-outside", f"A Pod of {asked_in.ref} finds neither {host} nor even {CONTROL}: with {outside} it does not ask "
                "the cluster's DNS.", expected="names asked of the cluster's DNS", observed=outside, object=asked_in.ref,
                look=f"kubectl exec {asked_in.ref.lower()} -- cat /etc/resolv.conf",
            )  # fmt: skip
        unknown(
            "dns-down", f"In a Pod of {asked_in.ref} no name leads anywhere, not even {CONTROL}: the cluster's DNS does not answer.",
            observed=control["error"], look="kubectl get pods -n kube-system -l k8s-app=kube-dns", **evidence,
        )  # fmt: skip
    name, namespace = service_named(host, asked_in.namespace)
    known = [n.name for n in state.everywhere("Namespace")]
    if namespace not in known:
        similar = nearest(namespace, known)
        fail(
            "name-namespace-unknown", f"{says} means Service {name} of namespace {namespace}, and there is no such namespace."
            + (f" There is one called {similar}: is it meant?" if similar else ""),
            observed=f"no namespace {namespace}", look="kubectl get namespaces", **evidence,
        )  # fmt: skip
    service = state.find("Service", name, namespace)
    if not service:
        here = [s.name for s in state.all("Service", namespace)]
        elsewhere = sorted({s.namespace for s in state.everywhere("Service") if s.name == name})
        similar = nearest(name, here, cutoff=0.6)
        hint = (
            f" One is in namespace {', '.join(elsewhere)}."
            if elsewhere
            else f" There is one called {similar}: is it meant?"
            if similar
            else ""
        )
        fail(
            "name-unknown", f"{says} means Service {name} of namespace {namespace}, and there is no such Service.{hint}",
            observed=f"Services of namespace {namespace}: {', '.join(sorted(here)) or 'none'}",
            look=f"kubectl get services -n {namespace}", **evidence,
        )  # fmt: skip
    if service.spec.get("type") == "ExternalName":
        target = service.spec.get("externalName", "")
        if target.rstrip(".").endswith(".svc.cluster.local"):
            explain_name(state, target, asked_in)
        fail(
            "name-unknown", f"{says} is another name for {target}, which leads nowhere.", observed=f"externalName {target}",
            look=f"kubectl get service {name} -n {namespace}", **evidence,
        )  # fmt: skip
    walk(state, service)
    fail(
        "name-not-yet", f"{says} means Service {name} of namespace {namespace}, which is there, but the name led nowhere a moment ago.",
        observed="no such host", look=f"kubectl get service {name} -n {namespace}", pending=True, **evidence,
    )  # fmt: skip


def follow_dependency(state: State, pod: Object, container: dict[str, Any], said: str) -> None:
    """Where a container that is not well needs somebody else (a host in its variables), look there.

    Either its own words name that host and say that it was not reached; or it answers a probe with an error of its own (a
    status from 500 on, of which the kubelet keeps no words), and then every variable that is there to name a host counts.
    Returns where what it needs is well. Raises Failed with the root otherwise.
    """
    says_so, refuses = _UNREACHED.search(said), _OWN_ERROR.search(said)
    for variable, value in state.env(pod, container).items():
        found = _HOST.match(value)
        host = found.group(1) if found else ""
        if not host or not ((says_so and host in said) or (refuses and _NAMES_A_HOST.search(variable))):
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
                explain_name(state, host, pod, told_by=f"{variable} of container {container['name']}")
        except Unknown:
            continue
        finally:
            _following.reset(token)


def explain_dns_down(state: State, said: str) -> Fault | None:
    """The fault of the cluster's DNS, where a container cannot resolve a name and the observer cannot resolve CONTROL either."""
    control = (state.observations.get(DNS_CONTROL) or {}).get(CONTROL) or {}
    if not NO_NAME.search(said) or not control.get("error"):
        return None
    return Fault(
        "dns-down",
        Ref("Deployment", "coredns", "kube-system"),
        {"control": CONTROL, "error": control["error"]},
        form="for-observer",
    )
