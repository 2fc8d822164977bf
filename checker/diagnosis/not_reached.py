"""Why a container does not reach an address: its complaint, joined to the object that the address means.

The complaint alone proves nothing: it may be over, or the other side may be outside the cluster. So each fault here
rests on an object too: a Service that does not exist, that has no such port, whose Pods a policy closes.

Sources: https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/ and
https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from checker.diagnosis.addresses import Address, addresses_in, configured_addresses, configured_settings, usual_port
from checker.diagnosis.answers import requests_in
from checker.diagnosis.complaints import Complaint, complaints, complaints_that_last
from checker.diagnosis.dns import explain_name, explain_outside_dns, outside_policy, service_named
from checker.diagnosis.fallback import explain_fallback
from checker.diagnosis.host_aliases import explain_host_alias
from checker.diagnosis.network_policy import NOWHERE, PathEnd, PolicyPath, cluster_dns, end_of
from checker.diagnosis.network_policy_reasons import explain_closed
from checker.diagnosis.no_space import LAST, explain_no_space
from checker.diagnosis.pod_addresses import is_a_pods, pod_with
from checker.diagnosis.pod_names import explain_pod_name, pod_of_slip
from checker.diagnosis.refused_writes import asks_for_password, explain_refused_write
from checker.diagnosis.security_context import explain_lasting_refusal
from checker.diagnosis.server_errors import explain_server_error
from checker.diagnosis.service import declared_ports, pods_behind, target_ports, walk_alias
from checker.diagnosis.shared_volumes import explain_shared_file
from checker.diagnosis.traffic_policy import explain_local_traffic
from checker.diagnosis.variables import (
    UNRESOLVED,
    explain_encoded_twice,
    explain_link_missing,
    explain_older_than_source,
    explain_variable,
    has_secret_host,
    hidden_source,
    quoted_hosts,
    secret_variables,
)
from checker.diagnosis.walking import walk
from checker.model.fault import Failed, Fault, Unknown, fail, unknown
from checker.model.spelling import is_address
from checker.model.state import Object, State

# A container that was restarted is well when it has run this number of times as long as before, and for these seconds.
_TIMES_AS_LONG, _WELL_FOR = 2, 20
LOCAL = ("localhost", "127.0.0.1", "::1", "0.0.0.0")
_HOST_ONLY = re.compile(r"HOST|ADDR|SERVER", re.I)
_MORE_THAN_HOST = re.compile(r"URL|URI|DSN|ENDPOINT|SERVERS|HOSTS|BROKER", re.I)
_OWN_PORT = re.compile(r"(?<![\w.-])(localhost|127\.0\.0\.1|\[::1\]|::1):(\d{2,5})(?!\d)")
_HTTPS_OF_HTTP = re.compile(
    r"wrong version|http response to https|does not look like a tls|record layer|packet length|violation", re.I
)
# A line of a connection that was tried: to the address of a name, or by a system call that wants one.
_IS_RESOLVED = re.compile(
    r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?::(?!53\b)\d+|(?![\d:]))|errno[ =:]*110|connection timed out|etimedout|"
    r"connect(?:ion)? to \S+ port \d+",
    re.I,
)
_NONE_GIVEN = re.compile(r"noauth", re.I)
_READ_ONLY = re.compile(r"read-only file system|\berofs\b", re.I)
_OF_DNS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}:53\b|\blookup \S+ on\b|resolving timed out", re.I)
# Why a certificate is refused, by form of the cause: it is over, or it is for another name.
_CERTIFICATE = {
    "expired": re.compile(r"expired", re.I),
    "other-name": re.compile(r"mismatch|is valid for|not valid for|altname|doesn't match|no subject alternative", re.I),
}


@dataclass(frozen=True)
class Attempt:
    """One address that a container does not reach, and its complaint."""

    state: State
    pod: Object
    spec: dict[str, Any]
    address: Address
    complaint: Complaint
    is_sure: bool = True  # the complaint names the address, or the container has no other
    alias: str = ""  # the Service of type ExternalName whose name leads to the Service that is looked at

    @property
    def facts(self) -> dict[str, Any]:
        """What every sentence about an address may use."""
        address = self.address
        return {
            "container": self.spec["name"],
            "host": address.host,
            "variable": address.variable,
            "file": address.file,
            "in_command": "" if address.variable or address.file else "command",
            "quote": self.complaint.line,
        }


NOT_ASKED_ABOUT = "server-elsewhere"  # of `cannot-list`: the server that answers with an error is elsewhere
OUT_OF_SIGHT = "pod-of-address"  # of `cannot-list`: a Pod of another namespace may have the address


def walk_complaints(state: State, pod: Object) -> None:
    """What a container that runs complains of at the moment. Raises Failed with the object that explains it."""
    for status in pod.container_statuses:
        spec = next((c for c in pod.lasting_containers if c["name"] == status["name"]), None)
        if spec and "running" in (status.get("state") or {}):
            log, ages = state.log_if_read(pod.name, spec["name"]) or "", state.ages_of_lines(pod.name, spec["name"])
            if _is_of_a_run_before(state, status, ages):
                continue
            explain_shared_file(pod, spec, _last_of(log))
            full = explain_no_space(pod, spec, "\n".join(log.rstrip().splitlines()[-LAST:]))
            found = full or explain_complaints(state, pod, spec, complaints_that_last(log, ages))
            if found:
                raise Failed(found)
            explain_link_missing(state, pod, spec, log)
            own = _explain_own_errors(state, pod, spec, log)
            if own:
                raise Failed(own)


_OWN_ERROR, _OFTEN = (500, 502, 503, 504), 2


def _explain_own_errors(state: State, pod: Object, spec: dict[str, Any], log: str) -> Fault | None:
    """The fault of what a server is configured with, where it answers requests with an error of its own.

    Its log need not say which host it does not reach. So each host of its variables is looked at.
    """
    answers: dict[str, list[int]] = {}
    for path, status in requests_in(log):
        answers.setdefault(path, []).append(status)
    path = next(
        (p for p, those in answers.items() if [s in _OWN_ERROR for s in those[-_OFTEN:]] == [True] * _OFTEN), ""
    )
    if not path:
        return None
    words = f" {path}", str(answers[path][-1])
    line = next(line for line in reversed(log.splitlines()) if all(word in line for word in words))
    complaint = Complaint("timeout", line.strip()[:300])
    for address in configured_addresses(state, pod, spec):
        try:
            if address.variable and address.host not in LOCAL:
                _explain(Attempt(state, pod, spec, address, complaint, is_sure=False))
        except Failed as end:
            facts = {"container": spec["name"], "pod": pod.name, "path": path, "status": answers[path][-1]}
            return end.fault.within("answers-with-errors", **facts)
        except Unknown:
            continue
    return None


def _last_of(log: str) -> str:
    """The last line of a log: a file that was missing further up may be there now."""
    return "\n".join(log.rstrip().splitlines()[-1:])


def _is_of_a_run_before(state: State, status: dict[str, Any], ages: list[float | None]) -> bool:
    """Whether a log is that of a container's run before, and the container is well for longer than that run was.

    ages: of the lines, in seconds.
    """
    known, running = [age for age in ages if age is not None], (status.get("state") or {}).get("running") or {}
    ended = (status.get("lastState") or {}).get("terminated") or {}
    if not known or not status.get("ready") or not running.get("startedAt") or not ended.get("startedAt"):
        return False
    runs = state.age(running["startedAt"])
    before = state.age(ended["startedAt"]) - state.age(ended["finishedAt"])
    return min(known) > runs > max(_TIMES_AS_LONG * before, _WELL_FOR)


def explain_log(state: State, pod: Object, spec: dict[str, Any], log: str) -> Fault | None:
    """The fault that explains the complaints in the log of a container."""
    try:
        return explain_complaints(state, pod, spec, complaints(log))
    except Unknown:
        return None


def explain_complaints(state: State, pod: Object, spec: dict[str, Any], found: list[Complaint]) -> Fault | None:
    """The fault of the object that a container's complaints are about; None where no object explains them.

    Raises Unknown where the object may be one that this user may not list.
    """
    out_of_sight: Unknown | None = None
    for complaint in found:
        refused = explain_lasting_refusal(pod, spec, complaint.line) if complaint.kind == "denied" else None
        if refused:
            return refused
        try:
            meant = list(_meant(state, pod, spec, complaint))
            for address in meant:
                is_sure = len(meant) == 1 or _is_in(address.host, complaint.line)
                _explain(Attempt(state, pod, spec, address, complaint, is_sure))
            if complaint.kind in ("name", "refused", "timeout", "credentials"):
                explain_older_than_source(state, pod, spec, complaint.line)
        except Failed as end:
            fault = end.fault
            hidden = hidden_source(state, pod, spec, str(fault.facts.get("variable") or ""))
            if hidden:
                fault = fault.within("env-hides", variable=fault.facts["variable"], source=hidden)
            if complaint.line in fault.words().message:
                return fault
            return fault.within("container-says", container=spec["name"], pod=pod.name, quote=complaint.line)
        except Unknown as end:
            if end.fault.form in (OUT_OF_SIGHT, NOT_ASKED_ABOUT):
                out_of_sight = out_of_sight or end
    if out_of_sight:
        raise out_of_sight
    return None


_SHELL_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)\}?")


def explain_wait(state: State, pod: Object, spec: dict[str, Any]) -> Fault | None:
    """The fault of what a container waits for without a word: an address in its command that it cannot reach.

    Such a command asks again and again, and ends when it gets an answer.
    """
    env = state.env(pod, spec)
    text = " ".join([*(spec.get("command") or []), *(spec.get("args") or [])])
    text = _SHELL_VARIABLE.sub(lambda found: env.get(found[1], found[0]), text)
    for address in addresses_in(text):
        try:
            if address.host not in LOCAL:
                _explain(Attempt(state, pod, spec, address, Complaint("timeout", "")))
        except Failed as end:
            return end.fault.but(form="waits") if end.fault.cause == "service-port-unknown" else end.fault
        except Unknown:
            continue
    return None


def _meant(state: State, pod: Object, spec: dict[str, Any], complaint: Complaint) -> Iterator[Address]:
    """The addresses that a complaint may be about: those that it names, or else all that are configured."""
    if complaint.kind == "denied" and not _READ_ONLY.search(complaint.line):
        return
    line = complaint.line
    addresses = configured_addresses(state, pod, spec)
    own = [("localhost" if host == "localhost" else "127.0.0.1", int(port)) for host, port in _OWN_PORT.findall(line)]
    itself = [Address(host, port) for host, port in own]
    for one in [*itself, *addresses_in(line)]:
        if is_address(one.host) and not one.scheme and one not in itself:
            continue  # what a name has led to: the name tells more
        if not any(address.host == one.host and address.port in (None, one.port) for address in addresses):
            addresses.append(Address(one.host, one.port, file="log"))
    settings = [one for one in configured_settings(state, pod, spec) if one.host not in {a.host for a in addresses}]
    addresses += [one for one in settings if _is_in(one.host, line)] or (settings if len(settings) == 1 else [])
    explain_variable(state, pod, spec, line, credentials=complaint.kind == "credentials")
    if complaint.kind == "name":
        explain_encoded_twice(state, pod, spec, line)
    named = [address for address in addresses if _is_in(address.host, line)]
    state.all("Service", pod.namespace)  # raises Unknown
    for service in state.seen("Service"):
        address = service.spec.get("clusterIP")
        if (
            address not in (None, "", "None")
            and address in line
            and re.search(rf"(?<![\d.]){re.escape(address)}(?![\d.])", line)
        ):
            host = service.name if service.namespace == pod.namespace else f"{service.name}.{service.namespace}"
            named.append(next((t for t in addresses if t.host == host), Address(host)))
    with_port = [address for address in named if address.port and f":{address.port}" in line]
    unknown_names = [] if named or complaint.kind != "name" else _names_in(state, pod, spec, line)
    yield from dict.fromkeys(with_port or named or unknown_names or addresses)


def _is_in(host: str, line: str) -> bool:
    """Whether a line names a host, and not only a longer name with it."""
    return bool(re.search(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", line))


def _names_in(state: State, pod: Object, spec: dict[str, Any], line: str) -> list[Address]:
    """The names that a complaint about a name quotes, and that no variable, command or file holds.

    Such a name may stand in the image, or in a Secret. Where a variable comes from a Secret, words count that may be a
    name.
    """
    hosts = UNRESOLVED.findall(line)
    if not hosts and has_secret_host(state, pod, spec):
        hosts = quoted_hosts(line)
    return [Address(host, file="log") for host in hosts]


def _explain(attempt: Attempt) -> None:
    """Raise Failed with what explains one complaint about one address. Returns where nothing does."""
    state, pod, host = attempt.state, attempt.pod, attempt.address.host
    if attempt.complaint.kind == "answer":
        _explain_answer(attempt)
        return
    if host in LOCAL:
        _explain_local(attempt)
        return
    explain_host_alias(state, pod, host, attempt.facts)
    if is_address(host):
        _explain_address(attempt)
        return
    is_outside = _is_outside(state, pod, host)
    if is_outside and pod.is_ready and not _is_in(host, attempt.complaint.line):
        return  # a program that works need not mean this host, and nothing shows whether the host answers
    if _may_be_unresolved(attempt):
        _explain_dns_closed(attempt)
    if is_outside:
        _explain_way_out(attempt, host)
        return
    explain_pod_name(state, host, pod, attempt.address.variable, attempt.spec["name"])
    name, namespace = service_named(host, pod.namespace)
    if namespace in state.unlisted:
        return
    service = state.find("Service", name, namespace)
    if service and attempt.complaint.kind == "name":
        facts = {"container": attempt.spec["name"], "host": host, "quote": attempt.complaint.line}
        explain_outside_dns(state, pod, service, facts)
    if not service:
        if attempt.complaint.kind in ("name", "refused", "timeout") and not _is_pod_name(state, host, pod):
            explain_name(state, host, pod, variable=attempt.address.variable, container=attempt.spec["name"])
        return
    _check_all(attempt, service)


def _explain_answer(attempt: Attempt) -> None:
    """A Service's Pods answer with an error of their own: what they need themselves."""
    host = attempt.address.host
    name, namespace = service_named(host, attempt.pod.namespace)
    is_outside = host.removesuffix(".svc.cluster.local").removesuffix(".svc").count(".") > 1
    if host in LOCAL or is_address(host) or is_outside or not attempt.is_sure:
        return
    if not all(attempt.state.can_see(kind, namespace) for kind in ("Service", "Pod")):
        unknown("cannot-list", attempt.pod, form=NOT_ASKED_ABOUT, elsewhere=namespace, **attempt.facts)
    service = attempt.state.find("Service", name, namespace)
    if service:
        explain_server_error(attempt.state, attempt.pod, service)


def _check_all(attempt: Attempt, service: Object) -> None:
    for check in _CHECKS:
        check(attempt, service)


def _is_outside(state: State, pod: Object, host: str) -> bool:
    """Whether a name is none of the cluster's: it has several parts, and the second one is nothing that is known."""
    labels = host.rstrip(".").removesuffix(".svc.cluster.local").removesuffix(".svc").split(".")
    if len(labels) < 2 or host.rstrip(".").endswith((".svc", ".cluster.local")):
        return False
    here = {s.name for s in state.all("Service", pod.namespace)} | {
        str(p.spec.get("subdomain")) for p in state.all("Pod", pod.namespace)
    }
    if (
        labels[1] in here
        or state.namespace_exists(labels[1])
        or pod_of_slip(state, labels[0], labels[1], pod.namespace)
    ):
        return False
    return len(labels) > 2 or labels[0] not in {s.name for s in state.everywhere("Service")}


def _is_pod_name(state: State, host: str, pod: Object) -> bool:
    """Whether a name is the name of a Pod behind a Service.

    The Service is headless, or the Pods have its name as their subdomain. Then CoreDNS gives them names, too.
    """
    labels = host.split(".")
    service = state.find("Service", labels[1], pod.namespace) if len(labels) > 1 else None
    if not service:
        return False
    subdomains = {one.spec.get("subdomain") for one in state.all("Pod", pod.namespace)}
    return service.spec.get("clusterIP") == "None" or service.name in subdomains


def _explain_address(attempt: Attempt) -> None:
    """An IP address that a container was told: of a Service, of a Pod, or of nobody any more."""
    state, address = attempt.state, attempt.address
    for service in state.everywhere("Service"):
        if address.host in (service.spec.get("clusterIP"), *(service.spec.get("clusterIPs") or [])):
            _check_all(attempt, service)
            return
    if attempt.complaint.kind not in ("refused", "timeout"):
        return
    other = pod_with(state, address.host)
    if other:
        if other.uid != attempt.pod.uid:
            walk(state, other)
            _check_way(attempt, other)
    elif not is_a_pods(state, address.host):
        _explain_way_out(attempt, address.host, address.host)
    else:
        if state.rights_end("Pod"):
            unknown("cannot-list", attempt.pod, form=OUT_OF_SIGHT, **attempt.facts)
        fail("address-of-nobody", attempt.pod, port=address.port, **attempt.facts)


def _explain_way_out(attempt: Attempt, name: str, address: str = "", port: int | None = None) -> None:
    """Raise Failed where the policies of a Pod let it connect to nobody outside the cluster at the port that it asks.

    name: what is asked. address: empty where it is not known. Then no rule of the Pod's policies may name addresses.
    """
    state, port = attempt.state, port or attempt.address.port
    if attempt.complaint.kind not in ("refused", "timeout") or not port or "NetworkPolicy" in state.unlisted:
        return
    if not attempt.is_sure:
        return
    target = PathEnd(name, NOWHERE, {}, {}, address=address, on_host=True)
    path = PolicyPath(state, end_of(state, attempt.pod), target, port)
    if not address and any("ipBlock" in item for rule in path.out.rules for item in rule.peers):
        return
    if not path.out.is_open:
        explain_closed(path)


def _check_way(attempt: Attempt, other: Object) -> None:
    """The policies allow connections from this Pod to another one, at the port that it asks."""
    if attempt.address.port and "NetworkPolicy" not in attempt.state.unlisted:
        ends = end_of(attempt.state, attempt.pod), end_of(attempt.state, other)
        path = PolicyPath(attempt.state, *ends, attempt.address.port)
        if not path.is_open:
            explain_closed(path)


# -- one link each ---------------------------------------------------------------------------------------------------


def _explain_local(attempt: Attempt) -> None:
    """localhost is the Pod itself: one of its own containers must listen there."""
    port, pod = attempt.address.port, attempt.pod
    if attempt.complaint.kind not in ("refused", "timeout") or not (attempt.address.variable or port):
        return
    explain_fallback(attempt.state, pod, attempt.spec, attempt.complaint.line)
    only_logged = attempt.address.file == "log" and is_address(attempt.address.host)
    declared = {p["containerPort"] for c in pod.lasting_containers for p in c.get("ports") or []}
    if (port and port in declared) or len(pod.lasting_containers) > 1:
        return
    services = [
        s.name
        for s in attempt.state.all("Service", pod.namespace)
        if port and port in {p["port"] for p in s.spec.get("ports") or []}
    ]
    others = [
        s
        for s in attempt.state.all("Service", pod.namespace)
        if s.name in services and not (s.spec.get("selector") or {"": ""}).items() <= pod.labels.items()
    ]
    if others or not only_logged:
        fail("localhost-is-the-pod", pod, port=port, services=services, **attempt.facts)


def _may_be_unresolved(attempt: Attempt) -> bool:
    """Whether a container that complains of a name may not have got an address for it from the cluster's DNS.

    Where the container only waits, and says no more, the query to the DNS is the first thing that it waits for.
    """
    pod, host, complaint = attempt.pod, attempt.address.host, attempt.complaint
    in_file = any(host in (alias.get("hostnames") or []) for alias in pod.spec.get("hostAliases") or [])
    if in_file or outside_policy(pod.spec):
        return False
    waits = complaint.kind == "timeout" and not _IS_RESOLVED.search(complaint.line)
    return complaint.kind == "name" or waits or bool(_OF_DNS.search(complaint.line))


def _explain_dns_closed(attempt: Attempt) -> None:
    """The policies of a Pod that does not resolve a name do not let it ask the cluster's DNS."""
    if "NetworkPolicy" in attempt.state.unlisted:
        return
    path = PolicyPath(attempt.state, end_of(attempt.state, attempt.pod), cluster_dns(attempt.state), 53, "UDP")
    if path.out.is_open or any("ipBlock" in item for rule in path.out.rules for item in rule.peers):
        return  # a rule that names addresses may mean those of the DNS
    try:
        explain_closed(path)
    except Failed as end:
        fault = end.fault
        if fault.cause == "dns-egress-missing":
            fault = fault.but(facts={**fault.facts, "host": attempt.address.host})
        raise Failed(fault) from None


def _check_external_name(attempt: Attempt, service: Object) -> None:
    target = str(service.spec.get("externalName", "")).rstrip(".")
    if service.spec.get("type") != "ExternalName":
        return
    if is_address(target):
        fail("external-name-is-address", service, target=target, **attempt.facts)
    name, namespace = service_named(target, service.namespace)
    known = target.endswith(".svc.cluster.local") and namespace not in attempt.state.unlisted
    found = attempt.state.find("Service", name, namespace) if known else None
    if known and not found:
        walk_alias(attempt.state, service)  # the Service whose target does not exist is the root, and not its client
    if attempt.complaint.kind == "name" or (known and not found):
        explain_name(attempt.state, attempt.address.host, attempt.pod)
    if found and found.uid != service.uid and found.spec.get("type") != "ExternalName":
        _check_all(replace(attempt, alias=service.name), found)


def _check_circle(attempt: Attempt, service: Object) -> None:
    """A headless Service lists ready Pods only, and its Pods become ready only when it lists one."""
    explain_circle(attempt.state, attempt.pod, attempt.spec, service, attempt.complaint.line)


def explain_circle(state: State, pod: Object, spec: dict[str, Any], service: Object, line: str) -> None:
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
        "waits-for-its-own-service",
        service,
        container=container,
        pod=pod.name,
        pods=pods,
        quote=line,
        headless=headless,
    )


def _check_port(attempt: Attempt, service: Object) -> None:
    """The Service takes TCP requests on the port that the container asks."""
    ports = service.spec.get("ports") or []
    if attempt.complaint.kind not in ("refused", "timeout") or not ports:
        return
    if service.spec.get("clusterIP") == "None":
        _explain_headless_port(attempt, service)
        return
    tcp = sorted({p["port"] for p in ports if p.get("protocol", "TCP") == "TCP"})
    written = [f"{p['port']}/{p.get('protocol', 'TCP')}" for p in ports]
    port = attempt.address.port
    facts = {
        **attempt.facts,
        "service": service.name,
        "service_namespace": service.namespace,
        "port": port,
        "ports": tcp,
        "written": written,
        "alias": attempt.alias,
    }
    if not tcp or (port and port not in tcp and port in {p["port"] for p in ports}):
        fail("service-protocol-other", service, **facts)
    if port and port not in tcp:
        fail("service-port-unknown", attempt.pod, form="" if attempt.address.variable else "told", **facts)


def _explain_headless_port(attempt: Attempt, service: Object) -> None:
    """Raise Failed where a container asks a port of a headless Service that is another one in its Pods.

    Source: https://kubernetes.io/docs/concepts/services-networking/service/#headless-services
    """
    port, behind = attempt.address.port, [pod for pod in pods_behind(attempt.state, service) if pod.is_ready]
    numbers = {number for pod in behind for number in target_ports(service, pod).values()}
    known = numbers | {number for pod in behind for number in declared_ports(pod)}
    if port in {p["port"] for p in service.spec["ports"]} and numbers and port not in known:
        facts = {"service": service.name, "service_namespace": service.namespace, "ports": sorted(numbers)}
        fail("service-port-unknown", attempt.pod, form="headless", port=port, **facts, **attempt.facts)


def _check_chain(attempt: Attempt, service: Object) -> None:
    """The Service works. The observer is not asked about the Pods of another namespace."""
    try:
        walk(attempt.state, service)
    except Unknown:
        _check_policies(attempt, service)
        if service.namespace == attempt.pod.namespace:
            raise


def _check_local_traffic(attempt: Attempt, service: Object) -> None:
    if attempt.complaint.kind in ("refused", "timeout"):
        explain_local_traffic(attempt.state, service, attempt.pod, attempt.facts)


def _check_policies(attempt: Attempt, service: Object) -> None:
    """The policies allow connections from this Pod to a ready Pod of the Service."""
    state, pod = attempt.state, attempt.pod
    if attempt.complaint.kind not in ("refused", "timeout", "name") or "NetworkPolicy" in state.unlisted:
        return
    if not service.spec.get("selector"):
        _explain_way_to_slices(attempt, service)
    closed = []
    for other in pods_behind(state, service):
        numbers = target_ports(service, other)
        wanted = [numbers[attempt.address.port]] if attempt.address.port in numbers else list(numbers.values())
        for number in wanted if other.is_ready else []:
            path = PolicyPath(state, end_of(state, pod), end_of(state, other), number)
            if path.is_open:
                return
            _explain_undeclared(path, service, other)
            closed.append(path)
    if closed:
        explain_closed(closed[0])


def _explain_undeclared(path: PolicyPath, service: Object, pod: Object) -> None:
    """Raise Failed where a Service's target port is not among those that its Pod declares, to which the way is open."""
    declared = sorted(declared_ports(pod))
    open_ports = [port for port in declared if replace(path, port=port).is_open]
    if open_ports and path.port not in declared:
        fail("target-port-elsewhere", service, port=path.port, pod=pod.name, ports=declared)


def _explain_way_to_slices(attempt: Attempt, service: Object) -> None:
    """The policies allow connections to the addresses of a Service without a selector, such as Service kubernetes."""
    labels = {"kubernetes.io/service-name": service.name}
    for piece in attempt.state.selected("EndpointSlice", labels, service.namespace):
        addresses = [one for end in piece.raw.get("endpoints") or [] for one in end.get("addresses") or []]
        ports = [port["port"] for port in piece.raw.get("ports") or [] if port.get("port")]
        for address, port in product(filter(is_address, addresses), ports):
            if not pod_with(attempt.state, address):
                _explain_way_out(attempt, f"Service {service.name}", address, port)


def _check_usual_port(attempt: Attempt, service: Object) -> None:
    """A variable names no port, and the Service does not have the port that its clients take by default.

    Called where the Service works and no policy closes it. A port in the complaint is the port that was asked.
    """
    tcp = sorted({p["port"] for p in service.spec.get("ports") or [] if p.get("protocol", "TCP") == "TCP"})
    usual = None if attempt.address.port else usual_port(attempt.address)
    is_known = re.search(rf"{re.escape(service.name)}\S*:\d", attempt.complaint.line)
    if attempt.complaint.kind not in ("refused", "timeout") or not usual or not tcp or usual in tcp or is_known:
        return
    if service.spec.get("clusterIP") == "None":
        return
    facts = {"service": service.name, "service_namespace": service.namespace, "port": usual, "ports": tcp}
    fail("service-port-unknown", attempt.pod, form="usual", **attempt.facts, **facts)


def _check_credentials(attempt: Attempt, service: Object) -> None:
    """The server refuses the client's name or password: where each of the two takes its own from."""
    if attempt.complaint.kind != "credentials":
        return
    state, pod = attempt.state, attempt.pod
    mine = secret_variables(state, pod, attempt.spec)
    servers = [other for other in pods_behind(state, service) if not other.is_terminating]
    theirs = secret_variables(state, servers[0], servers[0].containers[0]) if servers else []
    facts: dict[str, Any] = {"mine": mine, "theirs": theirs, "service": service.name}
    facts["server"] = servers[0].name if theirs else ""
    facts["option"] = "requirepass" if any(asks_for_password(state, server) for server in servers) else ""
    facts["not_sent"] = "" if mine or not _NONE_GIVEN.search(attempt.complaint.line) else "password"
    fail("credentials-refused", pod, **facts, **attempt.facts)


def _check_writes(attempt: Attempt, service: Object) -> None:
    """The server answers, and refuses to write."""
    if attempt.complaint.kind == "write":
        servers = [other for other in pods_behind(attempt.state, service) if not other.is_terminating]
        explain_refused_write(attempt.state, attempt.pod, service, servers, attempt.facts, attempt.is_sure)


def _check_read_only(attempt: Attempt, service: Object) -> None:
    """A server tells its client that it cannot write, and its container may write to its volumes only."""
    if not _READ_ONLY.search(attempt.complaint.line):
        return
    for other in pods_behind(attempt.state, service):
        for spec in other.lasting_containers if other.uid != attempt.pod.uid else []:
            if (spec.get("securityContext") or {}).get("readOnlyRootFilesystem"):
                facts = {"client": attempt.pod.name, "client_container": attempt.spec["name"], "service": service.name}
                quote = attempt.complaint.line
                fail("file-system-read-only", other, form="server", container=spec["name"], quote=quote, **facts)


def _check_scheme(attempt: Attempt, service: Object) -> None:
    """The container speaks TLS to a server that does not, or the other way round."""
    if attempt.complaint.kind == "protocol":
        form = "" if _HTTPS_OF_HTTP.search(attempt.complaint.line) else "http-of-https"
        fail("tls-mismatch", attempt.pod, form=form, service=service.name, **attempt.facts)


def _check_certificate(attempt: Attempt, service: Object) -> None:
    """The container does not accept the certificate of the server."""
    if attempt.complaint.kind == "certificate":
        line = attempt.complaint.line
        form = next((form for form, words in _CERTIFICATE.items() if words.search(line)), "")
        facts = {"service": service.name, "service_namespace": service.namespace, "port": attempt.address.port}
        fail("certificate-refused", attempt.pod, form=form, **attempt.facts, **facts)


def _check_suffix(attempt: Attempt, service: Object) -> None:
    """The full name of a Service ends in `svc`, or in `svc` and the cluster's domain.

    Source: https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#namespaces-of-services
    """
    host = attempt.address.host.rstrip(".")
    suffix = host.removeprefix(f"{service.name}.{service.namespace}").lstrip(".")
    if attempt.complaint.kind == "name" and suffix != host and suffix not in ("", "svc", "svc.cluster.local"):
        facts = {"service": service.name, "service_namespace": service.namespace, "suffix": suffix}
        fail("name-unknown", attempt.pod, form="suffix", **attempt.facts, **facts)


def _check_value(attempt: Attempt, service: Object) -> None:
    """A variable for a host holds a name only. Called where the Service of that name works."""
    variable = attempt.address.variable
    if attempt.complaint.kind != "name" or not _HOST_ONLY.search(variable) or _MORE_THAN_HOST.search(variable):
        return
    value = attempt.state.env(attempt.pod, attempt.spec).get(variable, "")
    if re.search(r"[:/]", value) and value.strip() != attempt.address.host:
        fail("variable-not-a-name", attempt.pod, written=value, service=service.name, **attempt.facts)


_CHECKS: tuple[Callable[[Attempt, Object], None], ...] = (
    _check_external_name,
    _check_circle,
    _check_port,
    _check_chain,
    _check_local_traffic,
    _check_policies,
    _check_usual_port,
    _check_credentials,
    _check_writes,
    _check_read_only,
    _check_scheme,
    _check_certificate,
    _check_suffix,
    _check_value,
)
