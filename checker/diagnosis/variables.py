"""The values of a container's variables: what the kubelet made of them, and what a program cannot use.

Sources: https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/ and
https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
"""

from __future__ import annotations

import re
from typing import Any

from checker.diagnosis.addresses import NAMES_A_HOST
from checker.diagnosis.configuration import environment_references, source_of_variable
from checker.model.spelling import nearest
from checker.model.state import Object, Redacted, State, parse_time
from checker.model.verdict import fail

_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
_QUOTED = re.compile(r"(?:\bat |\bhost (?:name )?|[\"'(<]|lookup |resolve |ENOTFOUND |to )([a-z][a-z0-9.-]*[a-z0-9])")
_SERVICE_LINK = re.compile(r"tcp://(\d+\.\d+\.\d+\.\d+):(\d+)")


def explain_variable(state: State, pod: Object, spec: dict[str, Any], log: str) -> None:
    """Raise Failed where the value of a variable explains why a container does not reach an address.

    log: the container's complaint, which need not hold the value.
    """
    for variable, value in state.env(pod, spec).items():
        if not value or isinstance(value, Redacted):
            continue
        host = re.sub(r"^[a-z+]+://", "", value).split(":")[0]
        relevant = bool(NAMES_A_HOST.search(variable)) or host.strip() in log or value in log
        reference = _REFERENCE.search(value)
        if reference and relevant:
            _explain_reference(pod, spec, variable, value, reference[1])
        if relevant and value != value.strip() and " " not in value.strip():
            source = source_of_variable(state, pod, spec, variable)
            kind, name = (source.kind, source.name) if source else ("", "")
            facts = {"container": spec["name"], "variable": variable, "written": repr(value)}
            fail("variable-has-white-space", pod, **facts, source_kind=kind, source=name, quote=log)


def _explain_reference(pod: Object, spec: dict[str, Any], variable: str, value: str, wanted: str) -> None:
    names = [one["name"] for one in spec.get("env") or []]
    if f"$$({wanted})" in next((str(e.get("value", "")) for e in spec.get("env") or [] if e["name"] == variable), ""):
        return
    later = wanted in names and variable in names and names.index(wanted) > names.index(variable)
    known = [name for name in names if name != variable]
    facts = {"container": spec["name"], "variable": variable, "written": value, "wanted": wanted, "variables": known}
    form = "later" if later else "itself" if wanted == variable else "config" if variable not in names else ""
    fail("variable-not-replaced", pod, form=form, **facts, near=nearest(wanted, known, cutoff=0.6))


def explain_service_link(state: State, pod: Object, spec: dict[str, Any], log: str) -> None:
    """Raise Failed where a container chokes on a variable that the kubelet made from a Service's name.

    Of Service redis every container gets REDIS_PORT=tcp://ADDRESS:PORT, unless it sets that variable itself.

    Source: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    """
    for address, port in _SERVICE_LINK.findall(log):
        for service in state.all("Service", pod.namespace):
            if service.spec.get("clusterIP") != address:
                continue
            variable = service.name.upper().replace("-", "_") + "_PORT"
            if variable in state.env(pod, spec):
                continue
            facts = {"container": spec["name"], "variable": variable, "value": f"tcp://{address}:{port}"}
            line = next(line.strip() for line in log.splitlines() if address in line)
            fail("variable-of-service", pod, service=service.name, quote=line[:300], **facts)


def hidden_source(state: State, pod: Object, spec: dict[str, Any], variable: str) -> str:
    """`ConfigMap name`, whose value under envFrom does not count, as the list env has the variable too; or empty."""
    if not any(one["name"] == variable for one in spec.get("env") or []):
        return ""
    source = source_of_variable(state, pod, {**spec, "env": []}, variable)
    return f"{source.kind} {source.name}" if source and source.kind else ""


_SECRET = re.compile(r"PASS|SECRET|TOKEN|USER|AUTH|CREDENTIAL", re.I)


def secret_variables(state: State, pod: Object, spec: dict[str, Any]) -> list[str]:
    """A container's variables with a name or a password, each with its source: `PASSWORD (Secret db, key a)`."""
    found = []
    for name in state.env(pod, spec):
        source = source_of_variable(state, pod, spec, name) if _SECRET.search(name) else None
        if source and source.kind:
            found.append(f"{name} ({source.kind} {source.name}{', key ' + source.key if source.key else ''})")
        elif source:
            found.append(f"{name} (env)")
    return found


def changed_at(source: Object) -> str:
    """When the data of a ConfigMap or Secret was last written; empty where that is not known."""
    times = [e.get("time", "") for e in source.metadata.get("managedFields") or [] if not e.get("subresource")]
    return str(max(times, default=""))


def started_at(pod: Object, container: str) -> str:
    """When a container that runs was started; empty where it does not run."""
    status: dict[str, Any] = next((s for s in pod.container_statuses if s["name"] == container), {})
    return str(((status.get("state") or {}).get("running") or {}).get("startedAt") or "")


def sources_changed_since(state: State, pod: Object, spec: dict[str, Any]) -> list[Object]:
    """The ConfigMaps and Secrets of a container's variables that were changed after the container was started.

    Its variables have the values from before.
    """
    began = started_at(pod, spec["name"])
    found: dict[str, Object] = {}
    for reference in environment_references(spec) if began else []:
        if reference.kind in state.unlisted:
            continue
        source = state.find(reference.kind, reference.name, pod.namespace)
        changed = changed_at(source) if source else ""
        # Made before the container, and changed after it: an object that was made later is a restart's business.
        if source and changed and parse_time(changed) > parse_time(began) > source.created:
            found[source.ref] = source
    return list(found.values())


def explain_older_than_source(state: State, pod: Object, spec: dict[str, Any], log: str) -> None:
    """Raise Failed where a container does not reach an address that it had from a ConfigMap or Secret before a change.

    log: its complaint. Where this names a host, no variable may hold that host any more. Call it only where no object
    explains the complaint by the values of now.
    """
    env = state.env(pod, spec)
    hosts = [host for host in _QUOTED.findall(log) if not _is_word_of_error(host)]
    if any(host in value for host in hosts for value in env.values()):
        return
    for source in sources_changed_since(state, pod, spec):
        variable = _likeliest(hosts, _host_variables(state, pod, spec, source), env)
        if not variable:
            continue
        secret = source.kind == "Secret"
        fail(
            "environment-not-refreshed",
            pod,
            form="running",
            container=spec["name"],
            variable=variable,
            source_kind=source.kind,
            source=source.name,
            value="" if secret else env[variable],
            seconds=round(state.age(started_at(pod, spec["name"])) - state.age(changed_at(source))),
            old=next((host for host in hosts if nearest(host, [env[variable].split(":")[0]], 0.5)), ""),
            quote=log,
        )


def _is_word_of_error(host: str) -> bool:
    """Whether what looks like a host in a message is a word of the message itself."""
    return host in ("urlopen", "errno", "error", "name", "the", "server", "host", "connect", "connection")


def _host_variables(state: State, pod: Object, spec: dict[str, Any], source: Object) -> list[str]:
    """The variables of a container that come from an object and name a host."""
    found = []
    for name in state.env(pod, spec):
        origin = source_of_variable(state, pod, spec, name) if NAMES_A_HOST.search(name) else None
        if origin and (origin.kind, origin.name) == (source.kind, source.name):
            found.append(name)
    return found


def _likeliest(hosts: list[str], variables: list[str], env: dict[str, str]) -> str:
    """Of some variables the one whose value is most like a host that was named; the first where none is like it."""
    for host in hosts:
        near = nearest(host, [env[name].split(":")[0] for name in variables], cutoff=0.5)
        if near:
            return next(name for name in variables if env[name].split(":")[0] == near)
    return variables[0] if variables else ""
