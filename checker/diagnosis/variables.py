"""The values of a container's variables: what the kubelet made of them, and what a program cannot use.

Sources: https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/ and
https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
"""

from __future__ import annotations

import base64
import re
from typing import Any

from checker.diagnosis.addresses import NAMES_A_HOST
from checker.diagnosis.configuration import environment_references, source_of_variable
from checker.model.fault import Ref
from checker.model.spelling import nearest
from checker.model.state import WHITE_SPACE, Object, Redacted, State, parse_time
from checker.model.verdict import fail

_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
_QUOTED = re.compile(r"(?:\bat |\bhost (?:name )?|[\"'(<]|lookup |resolve |ENOTFOUND |to )([a-z][a-z0-9.-]*[a-z0-9])")
_NO_URL = re.compile(r"unknown url type|unsupported protocol|no scheme|missing protocol|no host|invalid ?ur[il]", re.I)
_IS_URL = re.compile(r"URL|URI|ENDPOINT", re.I)
_IN_ARGUMENT = re.compile(r"(?<!\$)\$\(([A-Z_][A-Z0-9_]*)\)")
_OF_SHELL = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
# How the C library, Go, Java, Node.js and common clients quote a name that does not resolve.
UNRESOLVED = re.compile(
    r"(?:ENOTFOUND |EAI_AGAIN |lookup |bad address ['\"]|can't find |UnknownHostException: |host not found: |"
    r"(?:resolve|translate) host ?(?:name)?:? ?['\"]?)([a-z0-9][a-z0-9.-]*[a-z0-9])(?=[\s:;,'\"]|$)"
)
_SERVICE_LINK = re.compile(r"tcp://(\d+\.\d+\.\d+\.\d+):(\d+)")


def explain_variable(state: State, pod: Object, spec: dict[str, Any], log: str, credentials: bool = False) -> None:
    """Raise Failed where the value of a variable explains why a container does not reach an address.

    log: the container's complaint, which need not hold the value. credentials: whether the complaint is about a name or
    a password.
    """
    for variable, value in state.env(pod, spec).items():
        if isinstance(value, Redacted) and (_SECRET if credentials else NAMES_A_HOST).search(variable):
            _explain_blank_secret(state, pod, spec, variable, log, credentials)
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
        if relevant and len(value) > 2 and value[0] == value[-1] and value[0] in "\"'":
            source = source_of_variable(state, pod, spec, variable)
            kind, name = (source.kind, source.name) if source else ("", "")
            facts = {"container": spec["name"], "variable": variable, "written": value}
            fail("variable-has-quotes", pod, **facts, source_kind=kind, source=name, quote=log)
        if _NO_URL.search(log) and _IS_URL.search(variable) and not re.match(r"[a-z][a-z0-9+.-]*://[^/]", value):
            facts = {"container": spec["name"], "variable": variable, "written": value, "quote": log}
            fail("variable-is-no-url", pod, **facts)
    for text in _arguments(spec):
        for found in _IN_ARGUMENT.finditer(text):
            _explain_argument(state, pod, spec, text, found[1])


def explain_not_replaced(state: State, pod: Object, spec: dict[str, Any], log: str) -> None:
    """Raise Failed where a program was given a $(NAME) that the kubelet did not replace, and names it in its log."""
    _explain_shell_variable(state, pod, spec, log)
    for wanted in dict.fromkeys(_REFERENCE.findall(log)):
        for variable, value in state.env(pod, spec).items():
            if f"$({wanted})" in value:
                _explain_reference(pod, spec, variable, value, wanted)
        for text in _arguments(spec):
            if wanted in _IN_ARGUMENT.findall(text):
                _explain_argument(state, pod, spec, text, wanted)


def _explain_shell_variable(state: State, pod: Object, spec: dict[str, Any], log: str) -> None:
    """Raise Failed where a program was given a variable as a shell writes it, and says so."""
    given = [("", text) for text in _arguments(spec)] + list(state.env(pod, spec).items())
    for variable, text in given:
        found = None if isinstance(text, Redacted) else _OF_SHELL.fullmatch(text)
        line = next((line.strip() for line in log.splitlines() if found and found[0] in line), "")
        if found and line:
            facts = {"container": spec["name"], "variable": variable, "written": text, "wanted": found[1] or found[2]}
            fail("variable-not-replaced", pod, form="shell", quote=line[:300], **facts)


def _arguments(spec: dict[str, Any]) -> list[str]:
    """The command and the arguments of a container; none of a shell, to which $(NAME) means a command."""
    words = [*(spec.get("command") or []), *(spec.get("args") or [])]
    return [] if any(re.fullmatch(r"(?:/\S*/)?(?:ba|da|a)?sh", word) for word in words[:2]) else words


def _explain_argument(state: State, pod: Object, spec: dict[str, Any], text: str, wanted: str) -> None:
    """Raise Failed where a container has no variable of the name that stands in an argument as $(NAME)."""
    env = state.env(pod, spec)
    if wanted not in env:
        facts = {"container": spec["name"], "variable": "", "written": text[:200], "wanted": wanted}
        near = nearest(wanted, env, cutoff=0.6)
        fail("variable-not-replaced", pod, form="argument", **facts, variables=sorted(env), near=near)


def _explain_blank_secret(
    state: State, pod: Object, spec: dict[str, Any], variable: str, log: str, credentials: bool
) -> None:
    """Raise Failed where a variable comes from a value of a Secret with white space around it.

    Where a server takes its password from the same value, both have the white space, and it explains nothing.
    """
    source = source_of_variable(state, pod, spec, variable)
    secret = state.find("Secret", source.name, pod.namespace) if source and source.kind == "Secret" else None
    if not source or not secret or source.key not in secret.annotations.get(WHITE_SPACE, "").split():
        return
    if credentials and _is_shared(state, pod, secret.name, str(source.key)):
        return
    facts = {"container": spec["name"], "variable": variable, "key": source.key, "quote": log}
    fail("variable-has-white-space", pod, form="secret", source_kind="Secret", source=secret.name, **facts)


def explain_encoded_twice(state: State, pod: Object, spec: dict[str, Any], log: str) -> None:
    """Raise Failed where a name that does not resolve is the name of a Service in base64, from a Secret."""
    services = {service.name for service in state.all("Service", pod.namespace)}
    words = {word: _decoded(word) for word in re.findall(r"[A-Za-z0-9+/]{4,}={0,2}", log)}
    for word, text in words.items():
        host = re.sub(r"^[a-z+]+://", "", text).split(":")[0].split(".")[0]
        for variable, value in state.env(pod, spec).items() if host in services and word not in services else ():
            source = source_of_variable(state, pod, spec, variable) if isinstance(value, Redacted) else None
            if source and source.kind == "Secret" and NAMES_A_HOST.search(variable):
                about = {
                    "container": spec["name"],
                    "pod": pod.name,
                    "variable": variable,
                    "key": source.key or variable,
                }
                secret = Ref("Secret", source.name, pod.namespace)
                fail("secret-base64-twice", secret, form="host", host=word, service=text, quote=log, **about)


def _decoded(word: str) -> str:
    """What a word holds in base64; empty where it holds no text."""
    try:
        return base64.b64decode(word, validate=True).decode("ascii").strip()
    except ValueError:
        return ""


def _is_shared(state: State, pod: Object, secret: str, key: str) -> bool:
    """Whether a container of another workload has a variable from this key of a Secret."""
    for other in state.all("Pod", pod.namespace):
        if other.uid == pod.uid or other.owner_uids & pod.owner_uids:
            continue
        for reference in (r for spec in other.containers for r in environment_references(spec)):
            if (reference.kind, reference.name) == ("Secret", secret) and reference.key in (None, key):
                return True
    return False


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


_LINK = re.compile(r"\b([A-Z][A-Z0-9_]*)_(?:SERVICE_HOST|SERVICE_PORT|PORT)\b")
_REPEATED = 2  # lines: what a program says once at its start may not matter to it


def explain_link_missing(state: State, pod: Object, spec: dict[str, Any], log: str) -> None:
    """Raise Failed where a container that runs says again and again that a variable of a Service is not set.

    The kubelet gives these variables to a container when it starts, of the Services that exist then.

    Source: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    """
    lines = [line.strip() for line in log.splitlines() if _NOT_SET.search(line) and _LINK.search(line)]
    began = started_at(pod, spec["name"])
    for found in _LINK.finditer(lines[-1]) if len(lines) >= _REPEATED and began else ():
        if found[0] in state.env(pod, spec):
            continue
        for service in state.all("Service", pod.namespace):
            is_off = pod.spec.get("enableServiceLinks") is False
            if service.name.upper().replace("-", "_") != found[1] or service.spec.get("clusterIP") in (
                None,
                "",
                "None",
            ):
                continue
            if is_off or service.created > parse_time(began):
                form = "links-off" if is_off else "younger-service"
                own = {"variable": found[0], "near": "", "service": service.name, "quote": lines[-1][:300]}
                fail("variable-not-set", pod, form=form, container=spec["name"], **own)


_NOT_SET = re.compile(r"not set|unset|required|must be set|missing|not defined|undefined|unbound|KeyError", re.I)
_NAME_OF_VARIABLE = re.compile(r"(?:KeyError: ['\"])([A-Z][A-Z0-9_]+)|\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)\b")


def explain_not_set(state: State, pod: Object, spec: dict[str, Any], log: str) -> None:
    """Raise Failed where a program wants a variable that its container does not have.

    It counts only where a variable of the container has a similar name, or a ConfigMap or a Secret of the namespace has
    a value of that name.
    """
    env = state.env(pod, spec)
    _explain_field_not_set(pod, spec, env, log)
    for line in reversed([line.strip() for line in log.splitlines() if _NOT_SET.search(line)]):
        for name in ["".join(found) for found in _NAME_OF_VARIABLE.findall(line)]:
            if name in env:
                continue
            near = nearest(name, env, cutoff=0.75)
            holders = [
                one
                for kind in ("ConfigMap", "Secret")
                for one in ([] if kind in state.unlisted else state.all(kind, pod.namespace))
                if name in (one.raw.get("data") or {})
            ]
            if near or holders:
                source_kind, source = (holders[0].kind, holders[0].name) if holders and not near else ("", "")
                own = {"variable": name, "near": near, "source_kind": source_kind, "source": source}
                fail("variable-not-set", pod, container=spec["name"], quote=line[:300], **own)


def _explain_field_not_set(pod: Object, spec: dict[str, Any], env: dict[str, str], log: str) -> None:
    """Raise Failed where a program names a variable that is empty, as the Pod lacks the label that it comes from.

    Source: https://kubernetes.io/docs/concepts/workloads/pods/downward-api/#available-fields
    """
    for entry in spec.get("env") or []:
        path = ((entry.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath", "")
        found = re.fullmatch(r"metadata\.(label|annotation)s\['(.+)'\]", path)
        line = next((one.strip() for one in log.splitlines() if re.search(rf"\b{re.escape(entry['name'])}\b", one)), "")
        if found and line and not env.get(entry["name"]):
            known = pod.labels if found[1] == "label" else pod.annotations
            if found[2] not in known:
                facts = {
                    "variable": entry["name"],
                    "field": found[1],
                    "key": found[2],
                    "near": nearest(found[2], known),
                }
                fail("variable-not-set", pod, form="field", container=spec["name"], quote=line[:300], **facts)


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
    hosts = quoted_hosts(log)
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


def quoted_hosts(line: str) -> list[str]:
    """What looks like a host in a program's message."""
    return [host for host in dict.fromkeys(_QUOTED.findall(line)) if not _is_word_of_error(host)]


def has_secret_host(state: State, pod: Object, spec: dict[str, Any]) -> bool:
    """Whether a variable of a container that names a host comes from a Secret."""
    for name, value in state.env(pod, spec).items():
        if isinstance(value, Redacted) and NAMES_A_HOST.search(name):
            source = source_of_variable(state, pod, spec, name)
            if source and source.kind == "Secret":
                return True
    return False


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
