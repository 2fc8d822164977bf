"""What a program asks for and cannot reach: names, Services and ports, told by its variables, its command and its last words.

Source: https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
"""

from __future__ import annotations

import re
from typing import Any

from checker.diagnosis.containers import last_line
from checker.diagnosis.dns import NO_NAME, explain_name, outside_dns, service_named
from checker.diagnosis.walking import walk
from checker.model.state import Object, State
from checker.model.verdict import Failed, NotPassed

_NO_ANSWER = re.compile(r"refused|timed out|timeout|unreachable|cannot connect|could not connect|not answer", re.I)
_ADDRESS = re.compile(r"^(?:[a-z+]+://)?(?:[^@/]*@)?([a-z](?:[a-z0-9.-]*[a-z0-9])?):(\d{1,5})(?:/.*)?$")
# Words by which a program asks for a host, and the host behind them: `nslookup db`, `nc -z db 5432`, `getaddrinfo('db'`.
_ASKS = re.compile(
    r"(?:nslookup|getent\s+(?:hosts|ahosts)|dig|host|ping|nc|ncat|curl|wget|telnet|pg_isready|redis-cli|mysqladmin|mysql|psql|"
    r"getaddrinfo|gethostbyname|create_connection|urlopen)"
    r"""(?:\s+-{1,2}[\w-]+(?:[ =]\d+)?)*[\s(='"]+(?:[a-z]+://)?([a-z](?:[a-z0-9.-]*[a-z0-9])?)"""
)
_TOKEN = re.compile(r"[a-z](?:[a-z0-9.-]*[a-z0-9])?")
_NAMES_A_HOST = re.compile(r"HOST|URL|URI|ADDR|SERVER|SERVICE|ENDPOINT", re.I)


def explain_unreached(state: State, pod: Object, spec: dict[str, Any], said: str) -> NotPassed | None:
    """Whom a container needs and cannot reach: a Service that it names, in its variables or its command, and that does not work.

    Its own words must say that somebody was not reached; only of an init container that waits without a word is it taken for granted.
    """
    command = " ".join([*(spec.get("command") or []), *(spec.get("args") or [])])
    waits = spec in (pod.spec.get("initContainers") or []) and spec.get("restartPolicy") != "Always"
    complains = bool(NO_NAME.search(said) or _NO_ANSWER.search(said) or "statuscode: 5" in said)
    if not complains and not (waits and _ASKS.search(command)):
        return None
    env = state.env(pod, spec)
    asked = [found for found in _ASKS.findall(command) if found != "localhost"]
    hosts = [m.group(1) for v, value in env.items() if (m := _ADDRESS.match(value) or re.fullmatch(r"([a-z][a-z0-9.-]*)", value))
             and (_NAMES_A_HOST.search(v) or m.group(1) in said)]  # fmt: skip
    services = {s.name: s for s in state.all("Service", pod.namespace)}
    # A Service's own address, as Go programs tell it: dial tcp 10.96.3.4:5432: connect: connection refused.
    by_address = [s.name for s in services.values() if s.spec.get("clusterIP") not in (None, "", "None")
                  and re.search(rf"\b{re.escape(s.spec['clusterIP'])}\b", said)]  # fmt: skip
    named = [token for token in _TOKEN.findall(command) if token in services]
    for host in dict.fromkeys([*by_address, *hosts, *asked, *named]):
        name, namespace = service_named(host, pod.namespace)
        if namespace in state.unlisted:
            continue
        service = state.find("Service", name, namespace)
        try:
            if service:
                walk(state, service)
            elif host in said or (waits and host in asked):
                explain_name(state, host, pod)
        except NotPassed as root:
            if root.word == "failed":  # also where that one is only on its way: then so is this one
                return root
    return None


def explain_wrong_address(state: State, pod: Object, spec: dict[str, Any], said: str) -> NotPassed | None:
    """A Service that is well, and is not found by the container's DNS settings, or is asked on a port that it does not have.

    Source: https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-s-dns-policy
    """
    for variable, value in state.env(pod, spec).items():
        found = _ADDRESS.match(value) or re.fullmatch(r"([a-z](?:[a-z0-9.-]*[a-z0-9])?)()", value)
        if not found:
            continue
        host, port = found[1], found[2] or _sibling_port(state, pod, spec, variable)
        name, namespace = service_named(host, pod.namespace)
        if host not in said or namespace in state.unlisted or "Service" in state.unlisted:
            continue
        service = state.find("Service", name, namespace)
        if not service:
            continue
        ports = [p["port"] for p in service.spec.get("ports") or []]
        outside = outside_dns(pod.spec)
        if outside and NO_NAME.search(said):
            return Failed(
                "dns-policy-outside",
                f"Container {spec['name']} of Pod {pod.name} does not find {host}, though Service {service.name} is there: with "
                f"{outside} the Pod does not ask the cluster's DNS.",
                expected="names asked of the cluster's DNS", observed=f"dnsPolicy {pod.spec.get('dnsPolicy', 'ClusterFirst')}; {last_line(said)}", object=pod.ref,
                look=f"kubectl exec {pod.name} -c {spec['name']} -- cat /etc/resolv.conf",
            )  # fmt: skip
        if port and ports and int(port) not in ports and _NO_ANSWER.search(said):
            return Failed(
                "service-port-unknown",
                f"Container {spec['name']} of Pod {pod.name} asks Service {service.name} on port {port} ({variable}), and that Service takes "
                f"requests on port {', '.join(map(str, ports))}.",
                expected=f"a port of Service {service.name}", observed=f"{variable} leads to port {port}", object=pod.ref,
                look=f"kubectl get service {service.name} -n {namespace}",
            )  # fmt: skip
    return None


def _sibling_port(state: State, pod: Object, spec: dict[str, Any], variable: str) -> str:
    """The port that goes with a variable such as DB_HOST: DB_PORT, where there is one."""
    sibling = re.sub(r"HOST(NAME)?$|ADDR(ESS)?$", "PORT", variable)
    value = state.env(pod, spec).get(sibling, "") if sibling != variable else ""
    return value if value.isdigit() else ""
