"""A Redis that answers, and refuses to write: a replica, a full one, or one that could not save.

The client's complaint is joined to the Pods behind the Service: to the role that their Redis tells in its log, and to
the options with which it was started.

Sources: https://redis.io/docs/latest/operate/oss_and_stack/management/replication/#read-only-replica,
https://redis.io/docs/latest/develop/reference/eviction/ and
https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/
"""

from __future__ import annotations

import re
from typing import Any

from checker.diagnosis.addresses import files_of
from checker.diagnosis.owners import workload_of
from checker.diagnosis.security_context import explain_lasting_refusal
from checker.model.fault import Failed, fail
from checker.model.state import Object, State

READ_ONLY = re.compile(r"read.?only (?:replica|slave)", re.I)
FULL = re.compile(r"OOM command not allowed", re.I)
# Each line of Redis's own log begins with its process and its role: M for a primary, S for a replica.
_ROLE = re.compile(r"^\d+:([MS]) \d", re.M)
_OF_REPLICAS = re.compile(r"replicaof|slaveof", re.I)  # the option of Redis
_CHOOSES = re.compile(r"\b(?:case|if)\b|&&|\|\|")  # in a shell's script
NOT_SAVED = re.compile(r"MISCONF", re.I)
# What a server says in its own log about a file that it could not save.
_NOT_WRITTEN = re.compile(
    r"read-only file system|permission denied|no space left|failed opening|can't open|error saving", re.I
)


def explain_refused_write(
    state: State, pod: Object, service: Object, servers: list[Object], facts: dict[str, Any], is_sure: bool = True
) -> None:
    """Raise Failed with why the Redis behind a Service refuses what a container writes.

    pod: of the container. servers: the Pods that the Service sends to. facts: of the attempt; `quote` is its complaint.
    is_sure: whether the complaint can only be about this Service.
    """
    line, ready = str(facts["quote"]), [server for server in servers if server.is_ready]
    about: dict[str, Any] = {**facts, "service": service.name, "service_namespace": service.namespace, "pod": pod.name}
    if READ_ONLY.search(line):
        roles = {server.name: _is_replica(state, server) for server in ready}
        replicas = [server for server in ready if roles[server.name] is not False]
        others = [server for server in ready if roles[server.name] is False]
        named = {"replicas": _makers(state, replicas), "primaries": _makers(state, others)}
        form = "unclear" if not replicas else "" if others else "replicas-only"
        if None in roles.values():
            form = "by-script"
        elif set(named["replicas"]) & set(named["primaries"]):
            form, named = "same-workload", {"replicas": _names(replicas), "primaries": _names(others)}
        if replicas or (ready and is_sure):
            fail("writes-to-replica", service, form=form, **about, **named)
    elif FULL.search(line) and ready:
        full = [(server, limit) for server in ready if (limit := _option(state, server, "maxmemory"))]
        if full:
            server, limit = full[0]
            policy = _option(state, server, "maxmemory-policy") or "noeviction"
            fail("redis-is-full", server, limit=limit, policy=policy, client=pod.name, **about)
    elif NOT_SAVED.search(line) and ready:
        server = ready[0]
        said = _said(state, server, _NOT_WRITTEN)
        folder = _option(state, server, "dir")
        if not (said or is_sure):
            return
        for spec in server.lasting_containers:
            found = explain_lasting_refusal(server, spec, said)
            if found:
                raise Failed(found)
        fail("redis-cannot-save", server, client=pod.name, said=said, folder=folder, **about)


def _is_replica(state: State, server: Object) -> bool | None:
    """Whether the Redis in a Pod is a replica: by its own log, and where no log shows its role, by its options.

    None where a script chooses: one script can start the Pods of one StatefulSet in different roles.
    """
    for spec in server.lasting_containers:
        if roles := _ROLE.findall(state.log_if_read(server.name, spec["name"]) or ""):
            return bool(roles[-1] == "S")
        words = " ".join([*(spec.get("command") or []), *(spec.get("args") or [])])
        if _OF_REPLICAS.search(words) and _CHOOSES.search(words):
            return None
    return bool(_option(state, server, _OF_REPLICAS.pattern))


def _option(state: State, server: Object, name: str) -> str:
    """The value of an option of Redis, from the command, the arguments or a mounted file of a Pod; empty for none."""
    pattern = re.compile(rf"(?:^|[\s\"'])(?:--)?(?:{name})[ \t\"',]+([^\s\"',]+)", re.I | re.M)
    for spec in server.lasting_containers:
        words = "\n".join([*(spec.get("command") or []), *(spec.get("args") or [])])
        given = re.sub(r"\n(?!--)", " ", words)  # an option, and its value in the next argument
        for text in [given, *(text for _, text in files_of(state, server, spec))]:
            found = pattern.search(text)
            if found and found[1] not in ("no", "0"):  # `replicaof no one`, and no bound
                return found[1]
    return ""


def asks_for_password(state: State, server: Object) -> bool:
    """Whether the Redis of a Pod is started with a password, by its command or by a file."""
    return bool(_option(state, server, "requirepass"))


def _said(state: State, server: Object, words: re.Pattern[str]) -> str:
    """The last line of a Pod's logs that has one of some words; empty where none has it."""
    for spec in server.lasting_containers:
        lines = (state.log_if_read(server.name, spec["name"]) or "").splitlines()
        found = next((line.strip()[:300] for line in reversed(lines) if words.search(line)), "")
        if found:
            return found
    return ""


def _makers(state: State, pods: list[Object]) -> list[str]:
    """The workloads of some Pods, each once, as `Deployment web`."""
    makers = [workload_of(state, pod) or pod for pod in pods]
    return sorted({f"{maker.kind} {maker.name}" for maker in makers})


def _names(pods: list[Object]) -> list[str]:
    """The names of some Pods, as `Pod web-1`."""
    return sorted(f"Pod {pod.name}" for pod in pods)
