"""The chain of a Pod: scheduled → image there → configuration there → started → keeps running → ready.

Sources: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ and
https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from checker.diagnosis.configuration import (
    explain_environment,
    explain_hidden_file,
    explain_missing_file,
    explain_sources,
    source_of_file,
)
from checker.diagnosis.containers import container_spec, previous_option, telling_end
from checker.diagnosis.dns import follow_dependency
from checker.diagnosis.images import IMAGE_REASONS, explain_image
from checker.diagnosis.locks import explain_lock
from checker.diagnosis.mounts import explain_volumes
from checker.diagnosis.node import fail_if_node_lost
from checker.diagnosis.probes import (
    describe_probe,
    ended_by_probe,
    explain_restarts,
    fail_if_other_host,
    fail_if_void,
    failing_now,
    in_own_words,
    is_only_about_the_start,
    may_be_a_probe,
    result_of,
    time_to_settle,
)
from checker.diagnosis.probes import patience as patience_of
from checker.diagnosis.resources import (
    MIB,
    amount,
    explain_tiny_memory,
    given_by_default,
    limit_of,
    low_cpu_limit,
)
from checker.diagnosis.scheduling import explain_unscheduled
from checker.diagnosis.shared_volumes import explain_shared_file
from checker.diagnosis.walking import remembered
from checker.model.durations import (
    LONG_DELAY,
    TIME_FOR_INIT_CONTAINER,
    TIME_FOR_KUBELET_EVENTS,
    TIME_FOR_LATE_EVENTS,
    TIME_FOR_POD_CONTROLLER,
    TIME_TO_LISTEN,
    TIME_TO_RECOVER,
    TIME_TO_SETTLE,
    TIME_TO_SETTLE_AFTER_RESTART,
)
from checker.model.fault import Fault, Phrase, Ref
from checker.model.quantity import quantity
from checker.model.state import Object, State
from checker.model.verdict import Failed, fail

# Commands that go on for ever: one that follows a file, one that sleeps without an end, and a loop without a condition.
_ENDLESS = re.compile(
    r"\btail\s[^;&|]*?(?<!\S)(?:-\w*[fF]\w*|--follow\S*)(?:\s[^;&|]*)?|\bsleep\s+inf(?:inity)?\b"
    r"|(?P<loop>\bwhile\s+(?:true|:)\s*;.*)",
    re.S,
)
_LEAVES = re.compile(r"\b(?:break|exit|exec)\b")
LINES_OF_END = 5  # of a log: those in which a program may say why it ends


@remembered
def walk_pod(state: State, pod: Object) -> None:
    """Return when the Pod runs and is ready (or has done its work). Raises Failed with the first broken link."""
    fail_if_node_lost(state, pod)
    if pod.is_terminating:
        fail("object-being-deleted", pod, in_progress=True)
    if not pod.spec.get("nodeName"):
        explain_unscheduled(state, pod)
    if pod.status.get("phase") == "Succeeded":
        return
    if pod.status.get("phase") == "Failed" and pod.status.get("reason"):
        fail("pod-evicted", pod, reason=pod.status["reason"], details=pod.status.get("message", "").strip())
    explain_tiny_memory(state, pod)
    for status in pod.status.get("initContainerStatuses") or []:
        if not status.get("ready"):
            _walk_init_container(state, pod, status)
    statuses = pod.status.get("containerStatuses") or []
    if not statuses:
        _explain_mounts(state, pod)
        fail("pod-starting", pod, form="on-node", in_progress=True, node=pod.spec["nodeName"])
    for status in statuses:
        _walk_container(state, pod, status)
    for status in statuses:
        _walk_readiness(state, pod, status)
    if pod.condition("Ready").get("status") != "True":
        fail("pod-not-ready", pod, in_progress=True, reason=pod.condition("Ready").get("reason", ""))


def _walk_container(state: State, pod: Object, status: dict[str, Any]) -> None:
    current = status.get("state") or {}
    if "waiting" in current:
        _explain_waiting(state, pod, status, current["waiting"])
    if "terminated" in current:
        ended = current["terminated"]
        if ended.get("exitCode") == 0 and pod.spec.get("restartPolicy", "Always") != "Always":
            return
        explain_exit(state, pod, status, ended)
    previous = (status.get("lastState") or {}).get("terminated")
    if "running" not in current:
        return
    spec = container_spec(pod, status["name"])
    if failing_now(state, pod, spec, current["running"]):
        explain_restarts(state, pod, status, spec, "liveness", pending=True)
    running_for = state.age(current["running"]["startedAt"])
    if previous and running_for < TIME_TO_SETTLE_AFTER_RESTART:
        explain_exit(state, pod, status, previous, in_progress=True)
    if previous and not status.get("ready") and previous.get("reason") == "OOMKilled":
        # It will be killed again. Until then, its readiness is no fault of its own.
        explain_exit(state, pod, status, previous, running_for < TIME_TO_LISTEN)
    starting = status.get("started") is False and spec.get("startupProbe")
    recovering = not status.get("ready") and running_for < TIME_TO_RECOVER
    if previous and (starting or recovering or running_for < time_to_settle(spec, TIME_TO_SETTLE_AFTER_RESTART)):
        which = ended_by_probe(state, pod, spec, previous)
        if which:
            explain_restarts(state, pod, status, spec, which, pending=True)


def endless_command(spec: dict[str, Any]) -> str:
    """The part of a container's command that does not end by itself; empty where none is known as such.

    A loop that can be left is not one: it may wait for something.
    """
    command = " ".join([*(spec.get("command") or []), *(spec.get("args") or [])])
    found = _ENDLESS.search(command)
    if not found or (found["loop"] and _LEAVES.search(command)):
        return ""
    return " ".join(found[0].split())[:80]


def _walk_init_container(state: State, pod: Object, status: dict[str, Any]) -> None:
    """Init containers run one after the other, before the others; one that does not end keeps all the rest waiting.

    Source: https://kubernetes.io/docs/concepts/workloads/pods/init-containers/
    """
    _walk_container(state, pod, status)
    spec = container_spec(pod, status["name"])
    running = (status.get("state") or {}).get("running")
    if running and spec.get("restartPolicy") == "Always":
        if not status.get("started"):
            _walk_readiness(state, pod, status)
        return
    if running:
        seconds = state.age(running["startedAt"])
        endless = endless_command(spec)
        fail(
            "init-container-runs",
            pod,
            form="never-ends" if endless else "",
            in_progress=seconds < TIME_FOR_INIT_CONTAINER,
            container=status["name"],
            seconds=int(seconds),
            endless=endless,
        )


def _explain_waiting(state: State, pod: Object, status: dict[str, Any], waiting: dict[str, Any]) -> NoReturn:
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in IMAGE_REASONS:
        explain_image(state, pod, status, waiting)
    if reason == "CreateContainerConfigError":
        explain_environment(state, pod, container_spec(pod, status["name"]), message)
    if reason == "CrashLoopBackOff":
        explain_exit(state, pod, status, (status.get("lastState") or {}).get("terminated") or {})
    if reason in ("RunContainerError", "CreateContainerError"):
        _explain_start_error(state, pod, status, message)
    _explain_mounts(state, pod)
    fail("pod-starting", pod, form="container-waits", in_progress=True, container=status["name"], reason=reason)


# -- configuration ---------------------------------------------------------------------------------------------------


def _explain_mounts(state: State, pod: Object) -> None:
    """What keeps a Pod in ContainerCreating: what a volume is taken from is not there, or cannot be mounted."""
    explain_sources(state, pod)
    explain_volumes(state, pod)


# -- ends ------------------------------------------------------------------------------------------------------------


def _explain_start_error(
    state: State, pod: Object, status: dict[str, Any], message: str, in_progress: bool = False
) -> NoReturn:
    # On a busy machine the runtime may fail to freeze a container while it creates it. The kubelet tries again, which
    # works.
    in_progress = in_progress or "unable to freeze" in message
    name = status["name"]
    spec = container_spec(pod, name)
    if "OOM-killed" in message:  # the container runtime's word for a limit in which not even the first process fits
        _explain_oom(state, pod, status, in_progress, form="before-start")
    explain_hidden_file(state, pod, spec, message, in_progress)
    if "exec: " not in message and "executable file not found" not in message:
        telling = message.rsplit("runc create failed: ", 1)[-1][-300:]
        fail("container-start-error", pod, in_progress=in_progress, container=name, message=telling)
    telling = re.sub(r'^"[^"]*": ', "", message.rsplit("exec: ", 1)[-1].strip())[:200]
    command = " ".join([*(spec.get("command") or []), *(spec.get("args") or [])])
    _explain_not_executable(state, pod, spec, telling, in_progress)
    first = next(iter([*(spec.get("command") or []), *(spec.get("args") or [])]), "")
    form = "one-word" if " " in first.strip() and f'"{first}"' in message else ""
    facts = {"container": name, "command": command, "message": telling, "word": first}
    fail("command-not-runnable", pod, form=form, in_progress=in_progress, **facts)


# What a container runtime writes into the log of a container whose command it could not execute.
_SHELL = re.compile(r"(?:/\S*/)?(?:ba|da|a)?sh")
_EXEC_FAILED = re.compile(r"^exec \S+: (no such file or directory|exec format error|permission denied)\s*$", re.M)


# What a shell says of a file that it could not execute. Source: execve(2), and exit status 126 of a shell.
_SHELL_REFUSED = re.compile(r"(?:^|[\s:'\"])(/[\w./-]*\w)['\"]?: (Permission denied)\s*$", re.M | re.I)


def _explain_not_executable(
    state: State, pod: Object, spec: dict[str, Any], message: str, in_progress: bool, path: str = ""
) -> None:
    """Raises Failed where the command is a file that is there, and cannot be executed: its mode, its first line.

    path: the file, where a shell was to execute it; by default the container's command.

    Source: https://man7.org/linux/man-pages/man2/execve.2.html (EACCES, ENOEXEC, ENOENT)
    """
    words = [*(spec.get("command") or []), *(spec.get("args") or [])]
    path = path or (words[0] if words else "")
    facts: dict[str, Any] = {"container": spec["name"], "path": path, "message": message}
    source = source_of_file(state, pod, spec, path) if path.startswith("/") else None
    if "permission denied" in message:
        kind, name = (source.kind, source.name) if source else ("", "")
        fail("command-not-permitted", pod, in_progress=in_progress, source_kind=kind, source=name, **facts)
    if "exec format error" in message:
        fail("command-wrong-format", pod, in_progress=in_progress, **facts)
    if re.search(r"no such file", message) and source and source.kind == "ConfigMap" and source.key is not None:
        found = state.find("ConfigMap", source.name, pod.namespace)
        first = ((found.raw.get("data") or {}).get(source.key, "") if found else "").split("\n")[0]
        if first.startswith("#!"):
            form = "line-end" if first.endswith("\r") else ""
            interpreter, name = first[2:].strip(), source.name
            fail(
                "interpreter-missing",
                pod,
                form=form,
                in_progress=in_progress,
                interpreter=interpreter,
                source=name,
                **facts,
            )


# A memory limit that is easily taken for another: without a unit, or with a decimal one.
_UNCLEAR_UNIT = re.compile(r"\d+[kMG]?")


def _explain_oom(
    state: State,
    pod: Object,
    status: dict[str, Any],
    in_progress: bool,
    form: str = "",
    code: int | None = None,
) -> NoReturn:
    """Raise Failed for a container that the kernel killed for its memory.

    form: before-start, where its command never ran.
    """
    name = status["name"]
    limit = limit_of(container_spec(pod, name), "memory") or ""
    size = quantity(limit) if _UNCLEAR_UNIT.fullmatch(limit) else None
    fail(
        "container-oom-killed",
        pod,
        form=form if limit else "no-limit",
        in_progress=in_progress,
        container=name,
        limit=limit,
        bytes=None if size is None else int(size),
        mebibytes=amount("memory", size) if size and size >= MIB else "",
        limit_range=given_by_default(state, pod, name, "memory"),
        code=code,
        restarts=status.get("restartCount", 0),
    )


def explain_exit(
    state: State, pod: Object, status: dict[str, Any], ended: dict[str, Any], in_progress: bool = False
) -> NoReturn:
    """Raise Failed with the reason why a container ended.

    status: its status. ended: how the run ended (`terminated`).
    """
    name, code, reason = status["name"], ended.get("exitCode"), ended.get("reason", "")
    spec = container_spec(pod, name)
    log = state.log_if_read(pod.name, name) or ""
    end_of_log = telling_end(log)
    if reason in ("StartError", "ContainerCannotRun"):
        _explain_start_error(state, pod, status, ended.get("message", ""), in_progress)
    limit = limit_of(spec, "memory")
    # Some runtimes sometimes miss the kernel's word, and report code 137 with no reason. Only two components kill a
    # container's first process: the kernel, at the memory limit, and the kubelet, after a failed probe.
    if reason == "OOMKilled" or (code == 137 and limit and not state.events(pod, "Killing")):
        _explain_oom(state, pod, status, in_progress, code=code)
    which = ended_by_probe(state, pod, spec, ended)
    if which:
        explain_restarts(state, pod, status, spec, which, pending=in_progress)
    in_progress = in_progress or may_be_a_probe(state, spec, ended)
    _explain_shell_words(pod, spec, end_of_log)
    unstarted = _EXEC_FAILED.search(log)
    if unstarted:
        _explain_not_executable(state, pod, spec, unstarted[1], in_progress)
    by_shell = _SHELL_REFUSED.search(end_of_log) if code == 126 else None
    if by_shell and source_of_file(state, pod, spec, by_shell[1]):
        _explain_not_executable(state, pod, spec, by_shell[2].lower(), in_progress, by_shell[1])
    explain_hidden_file(state, pod, spec, log, in_progress)
    explain_shared_file(pod, spec, log, in_progress)
    explain_missing_file(state, pod, spec, log, in_progress)
    explain_lock(state, pod, spec, "\n".join(log.rstrip().splitlines()[-LINES_OF_END:]), in_progress)
    follow_dependency(state, pod, spec, end_of_log)
    facts: dict[str, Any] = {
        "container": name,
        "quote": end_of_log,
        "previous": previous_option(pod, name),
        "restarts": status.get("restartCount", 0),
    }
    if code == 0:
        fail("container-ends", pod, form="with-log" if end_of_log else "silent", in_progress=in_progress, **facts)
    if "address already in use" in end_of_log.lower() and len(pod.status.get("containerStatuses") or []) > 1:
        others = [c["name"] for c in pod.containers if c["name"] != name]
        fail("port-clash-in-pod", pod, in_progress=in_progress, others=others, **facts)
    # Exit codes of a shell: https://www.gnu.org/software/bash/manual/html_node/Exit-Status.html
    of_shell = {126: "not-executable", 127: "command-not-found"}.get(code or 0, "")
    signal = {137: "SIGKILL", 143: "SIGTERM"}.get(code or 0, "")
    form = of_shell or ("with-log" if end_of_log else "silent")
    fail("container-crashes", pod, form=form, in_progress=in_progress, code=code, signal=signal, **facts)


def _explain_shell_words(pod: Object, spec: dict[str, Any], quote: str) -> None:
    """Raise Failed where a shell gets a command in several words after -c, of which it takes the first one only.

    Source: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/sh.html (command_name)
    """
    words = [*(spec.get("command") or []), *(spec.get("args") or [])]
    if len(words) < 4 or not _SHELL.fullmatch(words[0]) or words[1] != "-c":
        return
    script, rest = words[2], words[3:]
    if re.fullmatch(r"[\w./-]+", script):
        facts = {"container": spec["name"], "shell": words[0], "script": script, "words": " ".join(rest)[:200]}
        fail("shell-takes-one-word", pod, quote=quote, **facts)


# -- readiness -------------------------------------------------------------------------------------------------------


def _walk_readiness(state: State, pod: Object, status: dict[str, Any]) -> None:
    running = (status.get("state") or {}).get("running")
    if not running:
        return  # a container that has done its work
    spec = container_spec(pod, status["name"])
    running_for = state.age(running["startedAt"])
    if status.get("ready"):
        if not spec.get("readinessProbe") and running_for < TIME_TO_SETTLE:
            just = {"container": status["name"], "seconds": int(running_for)}
            fail("pod-starting", pod, form="just-started", in_progress=True, **just)
        return
    which = "startup" if status.get("started") is False and spec.get("startupProbe") else "readiness"
    probe = spec.get(f"{which}Probe")
    if not probe:
        fail("pod-starting", pod, form="not-ready-yet", in_progress=True, container=status["name"])
    if which == "startup" and running_for > patience_of(probe) + TIME_TO_SETTLE:
        # Its time is over: the kubelet is about to end it, or has done so before.
        explain_restarts(state, pod, status, spec, which)
    _explain_probe(state, pod, spec, which, probe, running)


def _explain_probe(
    state: State, pod: Object, spec: dict[str, Any], which: str, probe: dict[str, Any], running: dict[str, Any]
) -> NoReturn:
    running_for = state.age(running["startedAt"])
    delay = probe.get("initialDelaySeconds", 0)
    if running_for < delay and delay >= LONG_DELAY:
        facts = {"container": spec["name"], "which": which, "probe": describe_probe(probe)}
        fail("probe-asks-late", pod, delay=delay, seconds=round(running_for), **facts)
    patience = (
        probe.get("initialDelaySeconds", 0) + probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3) + 2
    )
    fail_if_void(state, pod, spec, which)
    failures = [e["message"] for e in state.events(pod, "Unhealthy") if which.capitalize() in e.get("message", "")]
    answer = result_of(failures[0]) if failures else ""
    if not failures or "refused" in answer:
        patience = max(patience, TIME_TO_LISTEN if failures else TIME_FOR_KUBELET_EVENTS)
    if "refused" in answer and is_only_about_the_start(state, pod, spec, which, running):
        patience = max(patience, TIME_FOR_LATE_EVENTS)
    if spec.get("livenessProbe"):
        # A container that is on the way to be restarted is not ready either, and that is the root.
        patience = max(patience, patience_of(spec["livenessProbe"]) + TIME_TO_SETTLE_AFTER_RESTART)
    fail_if_other_host(pod, spec, which, answer, pending=running_for < patience)
    follow_dependency(state, pod, spec, answer)
    raise Failed(
        f"{which}-probe-fails",
        pod,
        form="running",
        in_progress=running_for < patience,
        container=spec["name"],
        probe=describe_probe(probe),
        answer=answer or (Phrase("no-output") if failures else ""),
        app_says=in_own_words(state, pod, spec["name"], answer),
        cpu_limit=low_cpu_limit(spec, answer),
    )


def refine_not_ready(state: State, pod: Object, fault: Fault) -> Fault | None:
    """Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-readiness-gate"""
    ready = pod.condition("ContainersReady")
    if ready.get("status") != "True":
        return None
    gates = [gate["conditionType"] for gate in pod.spec.get("readinessGates") or []]
    closed = [gate for gate in gates if pod.condition(gate).get("status") != "True"]
    since = ready.get("lastTransitionTime")
    if not closed or (since and state.age(since) < TIME_FOR_POD_CONTROLLER):
        return None
    return Fault("readiness-gate-waits", Ref.of(pod), {"gates": closed})
