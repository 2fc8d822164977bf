"""What a program cannot reach: names, Services and ports, told by its variables, its command and its last words.

Source: https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
"""

from __future__ import annotations

import re
from typing import Any

from checker.diagnosis.addresses import hosts_of_used_variables
from checker.diagnosis.containers import last_line
from checker.diagnosis.dns import NO_NAME, explain_name, explain_outside_dns, service_named
from checker.diagnosis.walking import walk
from checker.model.fault import Failed, Fault, NotPassed, Ref
from checker.model.state import Object, State

_NO_ANSWER = re.compile(r"refused|timed out|timeout|unreachable|cannot connect|could not connect|not answer", re.I)
_ADDRESS = re.compile(r"^(?:[a-z+]+://)?(?:[^@/]*@)?([a-z](?:[a-z0-9.-]*[a-z0-9])?):(\d{1,5})(?:/.*)?$")
# Words with which a program asks for a host, and then the host: `nslookup db`, `nc -z db 5432`, `getaddrinfo('db'`. In
# code, a word without quotation marks is a variable.
_ASKS = re.compile(
    r"\b(?:(?:getaddrinfo|gethostbyname|create_connection|urlopen)(?=[\s(]*['\"])|"
    r"nslookup|getent\s+(?:hosts|ahosts)|dig|host|ping|nc|ncat|curl|wget|telnet|pg_isready|redis-cli|mysqladmin|mysql|psql)"
    # not the scheme of a URL whose host a variable holds: "http://" + host
    r"""(?:\s+-{1,2}[\w-]+(?:[ =]\d+)?)*[\s(='"]+(?:[a-z]+://)?([a-z](?:[a-z0-9.-]*[a-z0-9])?)(?![\w-])(?!:?//)"""
)
_TOKEN = re.compile(r"[a-z](?:[a-z0-9.-]*[a-z0-9])?")
_NAMES_A_HOST = re.compile(r"HOST|URL|URI|ADDR|SERVER|SERVICE|ENDPOINT", re.I)


def hosts_asked(spec: dict[str, Any]) -> list[str]:
    """The hosts that a container's command asks for by a known program: `nc -z db 5432`."""
    command = " ".join([*(spec.get("command") or []), *(spec.get("args") or [])])
    return [found for found in _ASKS.findall(command) if found != "localhost"]


def explain_unreached(state: State, pod: Object, spec: dict[str, Any], log: str) -> Fault | None:
    """The fault of a Service that a container names, in its variables or its command, and cannot reach.

    The container's own words must say that it did not reach something. An init container may wait without a word.
    """
    command = " ".join([*(spec.get("command") or []), *(spec.get("args") or [])])
    waits = spec in (pod.spec.get("initContainers") or []) and spec.get("restartPolicy") != "Always"
    complains = bool(NO_NAME.search(log) or _NO_ANSWER.search(log) or "statuscode: 5" in log)
    requested = [*hosts_asked(spec), *hosts_of_used_variables(state, pod, spec)]
    if not complains and not (waits and requested):
        return None
    env = state.env(pod, spec)
    hosts = [
        found.group(1)
        for variable, value in env.items()
        if (found := _ADDRESS.match(value) or re.fullmatch(r"([a-z][a-z0-9.-]*)", value))
        and (_NAMES_A_HOST.search(variable) or found.group(1) in log)
    ]
    services = {s.name: s for s in state.all("Service", pod.namespace)}
    # A Service's own address, as Go programs tell it: dial tcp 10.96.3.4:5432: connect: connection refused.
    by_address = [
        s.name
        for s in services.values()
        if s.spec.get("clusterIP") not in (None, "", "None")
        and re.search(rf"\b{re.escape(s.spec['clusterIP'])}\b", log)
    ]
    named = [token for token in _TOKEN.findall(command) if token in services]
    for host in dict.fromkeys([*by_address, *hosts, *requested, *named]):
        name, namespace = service_named(host, pod.namespace)
        if namespace in state.unlisted:
            continue
        service = state.find("Service", name, namespace)
        try:
            if service:
                walk(state, service)
            elif host in log or (waits and host in requested):
                explain_name(state, host, pod)
        except NotPassed as root:
            if root.fault.outcome == "failed":  # also where the Service is only in progress: then the container is, too
                return root.fault
    return None


def explain_asked(state: State, pod: Object, spec: dict[str, Any]) -> Fault | None:
    """The fault of a Service of this cluster that a command asks for, without a word; None where each of them works."""
    for host in dict.fromkeys([*hosts_asked(spec), *hosts_of_used_variables(state, pod, spec)]):
        name, namespace = service_named(host, pod.namespace)
        service = None if namespace in state.unlisted else state.find("Service", name, namespace)
        try:
            if service:
                walk(state, service)
            elif "." not in host and namespace not in state.unlisted:
                explain_name(state, host, pod)
        except NotPassed as end:
            if end.fault.outcome == "failed":
                return end.fault.within("probe-asks", container=spec["name"], pod=pod.name, host=host)
    return None


def explain_wrong_address(state: State, pod: Object, spec: dict[str, Any], log: str) -> Fault | None:
    """A Service that works, but that a container does not reach.

    Either the container's DNS settings do not find it, or the container asks on a port that the Service does not have.

    Source: https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-s-dns-policy
    """
    for variable, value in state.env(pod, spec).items():
        found = _ADDRESS.match(value) or re.fullmatch(r"([a-z](?:[a-z0-9.-]*[a-z0-9])?)()", value)
        if not found:
            continue
        host, port = found[1], found[2] or _sibling_port(state, pod, spec, variable)
        name, namespace = service_named(host, pod.namespace)
        if host not in log or namespace in state.unlisted or "Service" in state.unlisted:
            continue
        service = state.find("Service", name, namespace)
        if not service:
            continue
        ports = [p["port"] for p in service.spec.get("ports") or []]
        if NO_NAME.search(log):
            try:
                facts = {"container": spec["name"], "host": host, "quote": last_line(log)}
                explain_outside_dns(state, pod, service, facts)
            except Failed as end:
                return end.fault
        if port and ports and int(port) not in ports and _NO_ANSWER.search(log):
            return Fault(
                "service-port-unknown",
                Ref.of(pod),
                {
                    "container": spec["name"],
                    "service": service.name,
                    "service_namespace": namespace,
                    "port": int(port),
                    "ports": ports,
                    "variable": variable,
                    "alias": "",
                },
            )
    return None


def _sibling_port(state: State, pod: Object, spec: dict[str, Any], variable: str) -> str:
    """The port that goes with a variable such as DB_HOST: DB_PORT, where there is one."""
    sibling = re.sub(r"HOST(NAME)?$|ADDR(ESS)?$", "PORT", variable)
    value = state.env(pod, spec).get(sibling, "") if sibling != variable else ""
    return value if value.isdigit() else ""
