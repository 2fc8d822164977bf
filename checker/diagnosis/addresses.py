"""The addresses that a container is configured with: in a variable, in its command, in a ConfigMap, in a probe.

Source: https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from checker.diagnosis.configuration import volume_references
from checker.model.spelling import is_address
from checker.model.state import Object, State, expanded

_NAME = r"[a-z](?:[a-z0-9.-]*[a-z0-9])?"
NAMES_A_HOST = re.compile(r"HOST|URL|URI|ADDR|SERVER|SERVICE|ENDPOINT|BROKER|DSN|UPSTREAM|BACKEND|DATABASE", re.I)
_IP = r"\d{1,3}(?:\.\d{1,3}){3}"
_URL = re.compile(rf"\b([a-z][a-z0-9+.-]*)://(?:[^@/\s'\"]*@)?({_NAME}|{_IP})(?::(\d{{1,5}}))?(?![\w{{$])")
_HOST_PORT = re.compile(rf"(?<![\w./@$-])({_NAME}|{_IP}):(\d{{2,5}})(?![\w.:])")
_PAIR = re.compile(rf"[\"']({_NAME}|{_IP})[\"']\s*,\s*(\d{{2,5}})\b")
_ASKS = re.compile(
    # in code, a word without quotation marks is a variable
    r"\b(?:(?:getaddrinfo|gethostbyname|create_connection)\s*\([\s(]*(?=['\"])|"
    r"(?:nslookup|getent\s+(?:hosts|ahosts)|dig|ping|nc|ncat|curl|wget|telnet)(?=[\s=]))"
    rf"""(?:\s+-{{1,2}}[\w-]+(?:[ =]\d+)?)*[\s(='"]+({_NAME}|{_IP})(?![\w-])(?:[\s'",]+(\d{{2,5}})\b)?(?!:?//)"""
)
_OPTION = re.compile(rf"(?:\s|^)(?:-h|--host(?:name)?)[ =]({_NAME})(?:\s+(?:-p|--port)[ =](\d{{2,5}}))?")
# `host: redis` of a file of settings, in YAML, JSON, TOML or as a property; and the port that stands near it.
_SETTING = re.compile(
    r"(?:\b|_)(?:host|hostname|addr)[\"']?\s*[:=]\s*"
    rf"[\"']?({_NAME})[\"']?(?=\s*(?:[,}};#]|$))",
    re.I | re.M,
)
_SETTING_PORT = re.compile(r"(?:\b|_)port[\"']?\s*[:=]\s*[\"']?(\d{2,5})\b", re.I)
_NEAR = 80  # characters behind a host in which its port is looked for
# A variable where a script has a host: `"http://" + os.environ["DEPOT"]`, `http://${DEPOT}/`, `nc -z $DEPOT 80`.
_READ = r"(?:\$\{?|os\.environ(?:\.get\(|\[)['\"]|os\.getenv\(['\"]|process\.env\.|ENV\[['\"])(\w+)"
_USES_AS_HOST = re.compile(
    rf"(?:[a-z]://(?:['\"]\s*[+.]\s*|\$?\{{)?|"
    r"\b(?:nslookup|getent\s+hosts|nc|ncat|telnet|redis-cli\s+-h)(?:\s+-{1,2}[\w-]+(?:[ =]\d+)?)*\s+['\"]?|"
    rf"(?:getaddrinfo|gethostbyname|create_connection)\s*\([\s(]*){_READ}"
)
_FULL_NAME = (".svc", ".svc.cluster.local")  # how a name ends that can only be a Service's, or a Pod's
_USUAL_PORT = {"http": 80, "https": 443, "redis": 6379, "postgres": 5432, "postgresql": 5432, "mysql": 3306}
_NO_HOST = {"http", "https", "true", "false", "none", "null"}
LONGEST_FILE = 20_000  # characters of a ConfigMap's value that are read


@dataclass(frozen=True)
class Address:
    """One address. port: None where it is not given. scheme: of a URL.

    variable: the name of the variable that holds it. file: the file that holds it, as `ConfigMap/name:key`.
    Neither where it is in the command.
    """

    host: str
    port: int | None = None
    scheme: str = ""
    variable: str = ""
    file: str = ""


def configured_addresses(state: State, pod: Object, spec: dict[str, Any]) -> list[Address]:
    """All addresses that a container is configured with, those of its variables first."""
    found: list[Address] = []
    env = state.env(pod, spec)
    used = _used_as_hosts(state, pod, spec)
    for variable, value in env.items():
        found += _in_variable(variable, value, env, variable in used)
    for text in [*(spec.get("command") or []), *(spec.get("args") or [])]:
        found += addresses_in(expanded(text, env))  # the kubelet replaces $(NAME) there, too
    for file, text in files_of(state, pod, spec):
        found += [Address(one.host, one.port, one.scheme, file=file) for one in addresses_in(text)]
    return list(dict.fromkeys(found))


def configured_settings(state: State, pod: Object, spec: dict[str, Any]) -> list[Address]:
    """The hosts in the settings of a container's files, such as `host: redis`. Such a word need not be a host."""
    found = []
    for file, text in files_of(state, pod, spec):
        for one in _SETTING.finditer(text[:LONGEST_FILE]):
            port = _SETTING_PORT.search(text[one.end() : one.end() + _NEAR])
            found.append(Address(one[1], _port(port[1] if port else None), file=file))
    return [one for one in dict.fromkeys(found) if one.host.lower() not in _NO_HOST]


def _used_as_hosts(state: State, pod: Object, spec: dict[str, Any]) -> set[str]:
    """The variables that a container's command, or a script that it has as a file, uses in the place of a host."""
    texts = [*(spec.get("command") or []), *(spec.get("args") or []), *(t for _, t in files_of(state, pod, spec))]
    return {name for text in texts for name in _USES_AS_HOST.findall(text[:LONGEST_FILE])}


def hosts_of_used_variables(state: State, pod: Object, spec: dict[str, Any]) -> list[str]:
    """The names in the variables that a container's command, or a script of it, uses in the place of a host."""
    used = _used_as_hosts(state, pod, spec)
    hosts = [one.host for one in configured_addresses(state, pod, spec) if one.variable in used]
    return [host for host in hosts if host != "localhost" and not is_address(host)]


def _in_variable(variable: str, value: str, env: dict[str, str], is_used: bool) -> Iterator[Address]:
    """The addresses in the value of a variable. is_used: whether a script has the variable in the place of a host."""
    for part in re.split(r"[,;\s]+", value.strip()):
        url = _URL.match(part)
        pair = re.fullmatch(rf"({_NAME}|{_IP})(?::(\d{{1,5}}))?(?:/.*)?", part)
        if url:
            yield Address(url[2], _port(url[3], url[1]), url[1], variable)
        elif pair and pair[1] not in _NO_HOST and (pair[2] or _may_be_host(variable, pair[1], is_used)):
            sibling = env.get(re.sub(r"HOST(NAME)?$|ADDR(ESS)?$|SERVER$", "PORT", variable), "")
            yield Address(pair[1], _port(pair[2] or (sibling if sibling.isdigit() else "")), "", variable)


def _may_be_host(variable: str, value: str, is_used: bool) -> bool:
    return is_used or value.endswith(_FULL_NAME) or bool(NAMES_A_HOST.search(variable))


def usual_port(address: Address) -> int | None:
    """The port that clients take by default, by the variable's name: 6379 of REDIS_HOST; None where none is known."""
    words = re.split(r"[^a-z]+", address.variable.lower())
    return next((_USUAL_PORT[word] for word in words if word in _USUAL_PORT and not word.startswith("http")), None)


def addresses_in(text: str) -> list[Address]:
    """The addresses in a command, a script or a file."""
    text = text[:LONGEST_FILE]
    found = [Address(one[2], _port(one[3], one[1]), one[1]) for one in _URL.finditer(text)]
    for pattern in (_PAIR, _HOST_PORT, _ASKS, _OPTION):
        found += [Address(one[1], _port(one[2])) for one in pattern.finditer(text) if one[1] not in _NO_HOST]
    return list(dict.fromkeys(found))


def _port(digits: str | None, scheme: str = "") -> int | None:
    return int(digits) if digits else _USUAL_PORT.get(scheme)


def files_of(state: State, pod: Object, spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The files that a container has from ConfigMaps: (`ConfigMap/name:key`, text)."""
    if "ConfigMap" in state.unlisted:
        return
    mounted = {mount["name"] for mount in spec.get("volumeMounts") or []}
    for volume in pod.spec.get("volumes") or []:
        if volume["name"] not in mounted:
            continue
        for reference in volume_references(volume):
            source = state.find("ConfigMap", reference.name, pod.namespace) if reference.kind == "ConfigMap" else None
            for key, text in ((source.raw.get("data") or {}) if source else {}).items():
                if reference.key in (None, key):
                    yield f"ConfigMap/{reference.name}:{key}", text
