"""Why a container does not reach an address: its complaint, joined to the object that the address means.

The complaint alone proves nothing: it may be over, or the other side may be outside the cluster. So each fault here
rests on an object too: a Service that does not exist, that has no such port, whose Pods a policy closes.

Sources: https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/ and
https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from checker.diagnosis.complaints import Complaint, complaints, complaints_that_last
from checker.diagnosis.dns import explain_name, outside_policy, service_named
from checker.diagnosis.host_aliases import explain_host_alias
from checker.diagnosis.network_policy import PolicyPath, cluster_dns, end_of
from checker.diagnosis.network_policy_reasons import explain_closed
from checker.diagnosis.pod_names import explain_pod_name
from checker.diagnosis.service import pods_behind, target_ports
from checker.diagnosis.told import Told, addresses_in, told_by
from checker.diagnosis.traffic_policy import explain_local_traffic
from checker.diagnosis.variables import (
    explain_older_than_source,
    explain_variable,
    hidden_source,
    secret_variables,
)
from checker.diagnosis.walking import walk
from checker.model.fault import Failed, Fault, Unknown, fail
from checker.model.spelling import is_address
from checker.model.state import Object, State

LOCAL = ("localhost", "127.0.0.1", "::1", "0.0.0.0")
_HTTPS_OF_HTTP = re.compile(
    r"wrong version|http response to https|does not look like a tls|record layer|packet length|violation", re.I
)


@dataclass(frozen=True)
class Asked:
    """One address that a container asks, and how it complains."""

    state: State
    pod: Object
    spec: dict[str, Any]
    told: Told
    complaint: Complaint

    @property
    def facts(self) -> dict[str, Any]:
        """What every sentence about an address may use."""
        told = self.told
        return {
            "container": self.spec["name"],
            "host": told.host,
            "variable": told.variable,
            "file": told.file,
            "in_command": "" if told.variable or told.file else "command",
            "said": self.complaint.line,
        }


def walk_complaints(state: State, pod: Object) -> None:
    """What a container that runs complains of at the moment. Raises Failed with the object that explains it."""
    for status in pod.container_statuses:
        spec = next((c for c in pod.lasting_containers if c["name"] == status["name"]), None)
        if spec and "running" in (status.get("state") or {}):
            log = state.log_if_read(pod.name, spec["name"]) or ""
            found = explain_complaints(state, pod, spec, complaints_that_last(log))
            if found:
                raise Failed(found)


def explain_said(state: State, pod: Object, spec: dict[str, Any], said: str) -> Fault | None:
    """The fault that explains what a container says that is not well."""
    return explain_complaints(state, pod, spec, complaints(said))


def explain_complaints(state: State, pod: Object, spec: dict[str, Any], found: list[Complaint]) -> Fault | None:
    """The fault of the object that a container's complaints are about; None where no object explains them."""
    for complaint in found:
        try:
            for told in _meant(state, pod, spec, complaint):
                _explain(Asked(state, pod, spec, told, complaint))
            if complaint.kind in ("name", "refused", "timeout", "credentials"):
                explain_older_than_source(state, pod, spec, complaint.line)
        except Failed as end:
            fault = end.fault
            hidden = hidden_source(state, pod, spec, str(fault.facts.get("variable") or ""))
            if hidden:
                fault = fault.within("env-hides", variable=fault.facts["variable"], source=hidden)
            if complaint.line in fault.words().message:
                return fault
            return fault.within("container-says", container=spec["name"], pod=pod.name, said=complaint.line)
        except Unknown:
            continue
    return None


def _meant(state: State, pod: Object, spec: dict[str, Any], complaint: Complaint) -> Iterator[Told]:
    """The addresses that a complaint may be about: those that it names, or else all that the container was told."""
    if complaint.kind == "denied":
        return
    line = complaint.line
    all_told = told_by(state, pod, spec)
    for one in addresses_in(line):
        if not any(told.host == one.host and told.port in (None, one.port) for told in all_told):
            all_told.append(Told(one.host, one.port, file="log"))
    explain_variable(state, pod, spec, line)
    named = [told for told in all_told if re.search(rf"(?<![\w.-]){re.escape(told.host)}(?![\w-])", line)]
    for service in state.all("Service", pod.namespace):
        address = service.spec.get("clusterIP")
        if (
            address not in (None, "", "None")
            and address in line
            and re.search(rf"(?<![\d.]){re.escape(address)}(?![\d.])", line)
        ):
            named.append(next((t for t in all_told if t.host == service.name), Told(service.name)))
    with_port = [told for told in named if told.port and f":{told.port}" in line]
    yield from dict.fromkeys(with_port or named or all_told)


def _explain(asked: Asked) -> None:
    """Raise Failed with what explains one complaint about one address. Returns where nothing does."""
    state, pod, host = asked.state, asked.pod, asked.told.host
    if host in LOCAL:
        _explain_local(asked)
        return
    explain_host_alias(state, pod, host, asked.facts)
    if is_address(host):
        return
    if asked.complaint.kind == "name" and not outside_policy(pod.spec):
        _explain_dns_closed(asked)
    if _is_outside(state, pod, host):
        return
    explain_pod_name(state, host, pod, asked.told.variable, asked.spec["name"])
    name, namespace = service_named(host, pod.namespace)
    if namespace in state.unlisted:
        return
    service = state.find("Service", name, namespace)
    if not service:
        if asked.complaint.kind in ("name", "refused", "timeout") and not _is_pod_name(state, host, pod):
            explain_name(state, host, pod, variable=asked.told.variable, container=asked.spec["name"])
        return
    for check in _CHECKS:
        check(asked, service)


def _is_outside(state: State, pod: Object, host: str) -> bool:
    """Whether a name is none of the cluster's: it has several parts, and the second one is nothing that is known."""
    labels = host.rstrip(".").removesuffix(".svc.cluster.local").removesuffix(".svc").split(".")
    if len(labels) < 2 or host.rstrip(".").endswith((".svc", ".cluster.local")):
        return False
    here = {s.name for s in state.all("Service", pod.namespace)} | {
        str(p.spec.get("subdomain")) for p in state.all("Pod", pod.namespace)
    }
    if labels[1] in here or state.namespace_exists(labels[1]):
        return False
    return len(labels) > 2 or labels[0] not in {s.name for s in state.everywhere("Service")}


def _is_pod_name(state: State, host: str, pod: Object) -> bool:
    """Whether a name resolves as the name of a Pod behind a headless Service."""
    labels = host.split(".")
    service = state.find("Service", labels[1], pod.namespace) if len(labels) > 1 else None
    return bool(service and service.spec.get("clusterIP") == "None")


# -- one link each ---------------------------------------------------------------------------------------------------


def _explain_local(asked: Asked) -> None:
    """localhost is the Pod itself: one of its own containers must listen there."""
    port, pod = asked.told.port, asked.pod
    if asked.complaint.kind not in ("refused", "timeout") or not (asked.told.variable or port):
        return
    declared = {p["containerPort"] for c in pod.lasting_containers for p in c.get("ports") or []}
    if (port and port in declared) or len(pod.lasting_containers) > 1:
        return
    services = [
        s.name
        for s in asked.state.all("Service", pod.namespace)
        if port and port in {p["port"] for p in s.spec.get("ports") or []}
    ]
    fail("localhost-is-the-pod", pod, port=port, services=services, **asked.facts)


def _explain_dns_closed(asked: Asked) -> None:
    """The policies of a Pod that does not resolve a name do not let it ask the cluster's DNS."""
    if "NetworkPolicy" in asked.state.unlisted:
        return
    path = PolicyPath(asked.state, end_of(asked.state, asked.pod), cluster_dns(asked.state), 53, "UDP")
    if not path.out.is_open:
        explain_closed(path)


def _check_external_name(asked: Asked, service: Object) -> None:
    target = str(service.spec.get("externalName", "")).rstrip(".")
    if service.spec.get("type") != "ExternalName":
        return
    if is_address(target):
        fail("external-name-is-address", service, target=target, **asked.facts)
    if asked.complaint.kind == "name" or target.endswith(".svc.cluster.local"):
        explain_name(asked.state, asked.told.host, asked.pod)


def _check_circle(asked: Asked, service: Object) -> None:
    """A headless Service lists ready Pods only, and its Pods become ready only when it lists one."""
    explain_circle(asked.state, asked.pod, asked.spec, service, asked.complaint.line)


def explain_circle(state: State, pod: Object, spec: dict[str, Any], service: Object, said: str) -> None:
    """Raise Failed where a Pod that is not ready waits for the name of a Service that lists only ready Pods: its own.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/ (publishNotReadyAddresses)
    """
    behind = [other for other in pods_behind(state, service) if not other.is_terminating]
    if pod.is_ready or service.spec.get("publishNotReadyAddresses") or pod.uid not in {other.uid for other in behind}:
        return
    if any(other.is_ready for other in behind):
        return
    headless = "headless" if service.spec.get("clusterIP") == "None" else ""
    container, pods = spec.get("name"), len(behind)
    fail(
        "waits-for-its-own-service", service, container=container, pod=pod.name, pods=pods, said=said, headless=headless
    )


def _check_port(asked: Asked, service: Object) -> None:
    """The Service takes TCP requests on the port that the container asks."""
    ports = service.spec.get("ports") or []
    if asked.complaint.kind not in ("refused", "timeout") or not ports or service.spec.get("clusterIP") == "None":
        return
    tcp = sorted({p["port"] for p in ports if p.get("protocol", "TCP") == "TCP"})
    written = [f"{p['port']}/{p.get('protocol', 'TCP')}" for p in ports]
    port = asked.told.port
    facts = {
        **asked.facts,
        "service": service.name,
        "service_namespace": service.namespace,
        "port": port,
        "ports": tcp,
        "written": written,
    }
    if not tcp or (port and port not in tcp and port in {p["port"] for p in ports}):
        fail("service-protocol-other", service, **facts)
    if port and port not in tcp:
        fail("service-port-unknown", asked.pod, form="" if asked.told.variable else "told", **facts)


def _check_chain(asked: Asked, service: Object) -> None:
    walk(asked.state, service)


def _check_local_traffic(asked: Asked, service: Object) -> None:
    if asked.complaint.kind in ("refused", "timeout"):
        explain_local_traffic(asked.state, service, asked.pod, asked.facts)


def _check_policies(asked: Asked, service: Object) -> None:
    """The policies allow connections from this Pod to a ready Pod of the Service."""
    state, pod = asked.state, asked.pod
    if asked.complaint.kind not in ("refused", "timeout", "name") or "NetworkPolicy" in state.unlisted:
        return
    closed = []
    for other in pods_behind(state, service):
        numbers = target_ports(service, other)
        wanted = [numbers[asked.told.port]] if asked.told.port in numbers else list(numbers.values())
        for number in wanted if other.is_ready else []:
            path = PolicyPath(state, end_of(state, pod), end_of(state, other), number)
            if path.is_open:
                return
            closed.append(path)
    if closed:
        explain_closed(closed[0])


def _check_credentials(asked: Asked, service: Object) -> None:
    """The server refuses the client's name or password: where each of the two takes its own from."""
    if asked.complaint.kind != "credentials":
        return
    state, pod = asked.state, asked.pod
    mine = secret_variables(state, pod, asked.spec)
    servers = [other for other in pods_behind(state, service) if not other.is_terminating]
    theirs = secret_variables(state, servers[0], servers[0].containers[0]) if servers else []
    facts = {"mine": mine, "theirs": theirs, "service": service.name, "server": servers[0].name if theirs else ""}
    fail("credentials-refused", pod, **facts, **asked.facts)


def _check_scheme(asked: Asked, service: Object) -> None:
    """The container speaks TLS to a server that does not, or the other way round."""
    if asked.complaint.kind == "protocol":
        form = "" if _HTTPS_OF_HTTP.search(asked.complaint.line) else "http-of-https"
        fail("tls-mismatch", asked.pod, form=form, service=service.name, **asked.facts)


_CHECKS: tuple[Callable[[Asked, Object], None], ...] = (
    _check_external_name,
    _check_circle,
    _check_port,
    _check_chain,
    _check_local_traffic,
    _check_policies,
    _check_credentials,
    _check_scheme,
)
