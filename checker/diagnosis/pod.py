"""The chain of a Pod: scheduled → image there → configuration there → started → keeps running → ready.

Sources: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ and
https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from checker.diagnosis.configuration import explain_environment, explain_hidden_file, explain_sources
from checker.diagnosis.containers import container_spec, last_line, look_at_log
from checker.diagnosis.dns import follow_dependency
from checker.diagnosis.images import IMAGE_REASONS, explain_image
from checker.diagnosis.mounts import explain_volumes
from checker.diagnosis.node import fail_if_node_lost
from checker.diagnosis.probes import (
    EVENTS_FOLLOW,
    describe_probe,
    ended_by_probe,
    explain_restarts,
    fail_if_void,
    failing_now,
    got,
    may_be_a_probe,
    time_to_settle,
)
from checker.diagnosis.probes import patience as patience_of
from checker.diagnosis.resources import (
    explain_tiny_memory,
    given_by_default,
    limit_of,
    memory_limit_words,
    throttling_note,
)
from checker.diagnosis.scheduling import explain_unscheduled
from checker.model.durations import (
    TIME_FOR_INIT_CONTAINER,
    TIME_FOR_POD_CONTROLLER,
    TIME_TO_LISTEN,
    TIME_TO_RECOVER,
    TIME_TO_SETTLE,
    TIME_TO_SETTLE_AFTER_RESTART,
)
from checker.model.fault import Fault, Ref
from checker.model.spelling import counted
from checker.model.state import Object, State
from checker.model.verdict import Failed, fail


def walk_pod(state: State, pod: Object) -> None:
    """Return when the Pod runs and is ready (or has done its work). Raises Failed with the first broken link."""
    fail_if_node_lost(state, pod)
    if pod.is_terminating:
        fail("object-being-deleted", f"Pod {pod.name} is being deleted.", object=pod.ref, pending=True)
    if not pod.spec.get("nodeName"):
        explain_unscheduled(state, pod)
    if pod.status.get("phase") == "Succeeded":
        return
    if pod.status.get("phase") == "Failed" and pod.status.get("reason"):
        fail(
            "pod-evicted",
            f"Pod {pod.name} was ended by the cluster: {pod.status['reason']}. {pod.status.get('message', '')}".strip(),
            expected="Pod is Running", observed=pod.status["reason"], object=pod.ref,
        )  # fmt: skip
    explain_tiny_memory(state, pod)
    for status in pod.status.get("initContainerStatuses") or []:
        if not status.get("ready"):
            _walk_init_container(state, pod, status)
    statuses = pod.status.get("containerStatuses") or []
    if not statuses:
        _explain_mounts(state, pod)
        fail(
            "pod-starting",
            f"Pod {pod.name} is on node {pod.spec['nodeName']} and starting.",
            object=pod.ref,
            pending=True,
        )
    for status in statuses:
        _walk_container(state, pod, status)
    for status in statuses:
        _walk_readiness(state, pod, status)
    if pod.condition("Ready").get("status") != "True":
        reason = pod.condition("Ready").get("reason", "no reason given")
        fail(
            "pod-not-ready", f"Pod {pod.name} is not ready: {reason}.",
            expected="condition Ready is True", observed=reason, object=pod.ref, pending=True,
        )  # fmt: skip


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
        explain_exit(state, pod, status, previous, pending=True)
    if previous and not status.get("ready") and previous.get("reason") == "OOMKilled":
        # It is on its way to the same end: what it has not come to yet is no fault of its own.
        explain_exit(state, pod, status, previous, running_for < TIME_TO_LISTEN)
    starting = status.get("started") is False and spec.get("startupProbe")
    recovering = not status.get("ready") and running_for < TIME_TO_RECOVER
    if previous and (starting or recovering or running_for < time_to_settle(spec, TIME_TO_SETTLE_AFTER_RESTART)):
        which = ended_by_probe(state, pod, spec, previous)
        if which:
            explain_restarts(state, pod, status, spec, which, pending=True)


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
        fail(
            "init-container-runs",
            f"Init container {status['name']} of Pod {pod.name} has been running for {seconds:.0f} s, and the others wait until it ends.",
            expected="an init container that ends", observed=f"running for {seconds:.0f} s", object=pod.ref,
            look=f"kubectl logs {pod.name} -c {status['name']}", pending=seconds < TIME_FOR_INIT_CONTAINER, seconds=seconds,
        )  # fmt: skip


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
    fail(
        "pod-starting", f"Container {status['name']} of Pod {pod.name} is not running yet: {reason or 'waiting'}.",
        expected="container is running", observed=reason or "waiting", object=pod.ref, pending=True,
    )  # fmt: skip


# -- configuration ---------------------------------------------------------------------------------------------------


def _explain_mounts(state: State, pod: Object) -> None:
    """What keeps a Pod in ContainerCreating: what a volume is taken from is not there, or cannot be mounted."""
    explain_sources(state, pod)
    explain_volumes(state, pod)


# -- ends ------------------------------------------------------------------------------------------------------------


def _explain_start_error(
    state: State, pod: Object, status: dict[str, Any], message: str, pending: bool = False
) -> NoReturn:
    # A busy machine's runtime may fail to hold a container still while it is made. The kubelet tries again, and that goes well.
    pending = pending or "unable to freeze" in message
    spec = container_spec(pod, status["name"])
    if "OOM-killed" in message:  # the container runtime's word for a limit in which not even the first process fits
        _explain_oom(state, pod, status, "killed before it began", pending)
    evidence: dict[str, Any] = {"object": pod.ref, "look": f"kubectl describe pod {pod.name}", "pending": pending}
    explain_hidden_file(state, pod, spec, message, {"pending": pending})
    if "exec: " not in message and "executable file not found" not in message:
        telling = message.rsplit("runc create failed: ", 1)[-1][-300:]
        fail(
            "container-start-error", f"The node could not start container {status['name']} of Pod {pod.name}: {telling}",
            expected="container is running", observed=telling, **evidence,
        )  # fmt: skip
    command = " ".join([*(spec.get("command") or []), *(spec.get("args") or [])]) or "the image's own command"
    telling = re.sub(r'^"[^"]*": ', "", message.rsplit("exec: ", 1)[-1].strip())[:200]
    fail(
        "command-not-runnable",
        f"Container {status['name']} of Pod {pod.name} could not start its command ({command}): {telling}",
        expected="a command that the image has", observed=telling, **evidence,
    )  # fmt: skip


def _explain_oom(state: State, pod: Object, status: dict[str, Any], when: str, pending: bool) -> NoReturn:
    name = status["name"]
    written = limit_of(container_spec(pod, name), "memory")
    limit = memory_limit_words(written) if written else "the node's memory"
    source = given_by_default(state, pod, name, "memory")
    fail(
        "container-oom-killed",
        f"Container {name} of Pod {pod.name} was killed because it used more memory than its limit of {limit}"
        + (f", which LimitRange {source} gives to containers that name none." if source else "."),
        expected=f"at most {written or limit} of memory", observed=when,
        object=pod.ref, look=f"kubectl describe pod {pod.name}", pending=pending,
    )  # fmt: skip


def explain_exit(
    state: State, pod: Object, status: dict[str, Any], ended: dict[str, Any], pending: bool = False
) -> NoReturn:
    name, code, reason = status["name"], ended.get("exitCode"), ended.get("reason", "")
    spec = container_spec(pod, name)
    restarts = counted(status.get("restartCount", 0), "restart")
    said = last_line(state.logs.get(f"{pod.name}/{name}", ""))
    evidence: dict[str, Any] = {
        "object": pod.ref,
        "look": look_at_log(pod, name) if said else f"kubectl describe pod {pod.name}",
        "pending": pending,
    }
    if reason in ("StartError", "ContainerCannotRun"):
        _explain_start_error(state, pod, status, ended.get("message", ""), pending)
    limit = limit_of(spec, "memory")
    # Some runtimes miss the kernel's word now and then, and report code 137 with no reason. Nothing but the kernel, over
    # the limit, and the kubelet, for a failed probe, kills a container's first process.
    if reason == "OOMKilled" or (code == 137 and limit and not state.events(pod, "Killing")):
        _explain_oom(state, pod, status, f"exit code {code}, {restarts}", pending)
    which = ended_by_probe(state, pod, spec, ended)
    if which:
        explain_restarts(state, pod, status, spec, which, pending=pending)
    evidence["pending"] = pending = pending or may_be_a_probe(state, spec, ended)
    explain_hidden_file(state, pod, spec, said, evidence)
    follow_dependency(state, pod, spec, said)
    spoke = f" Its last words: {said}" if said else ""
    if code == 0:
        fail(
            "container-ends",
            f"Container {name} of Pod {pod.name} ends by itself (exit code 0), and is started again each time.{spoke}",
            expected="a process that keeps running", observed=f"exit code 0, {restarts}", **evidence,
        )  # fmt: skip
    if "address already in use" in said.lower() and len(pod.status.get("containerStatuses") or []) > 1:
        others = [c["name"] for c in pod.containers if c["name"] != name]
        fail(
            "port-clash-in-pod",
            f"Container {name} of Pod {pod.name} cannot have its port: the containers of a Pod share one network, and another one "
            f"listens there already ({', '.join(others)}).{spoke}",
            expected="a port of its own for each container", observed=said, **evidence,
        )  # fmt: skip
    meaning = {126: " (the command cannot be executed)", 127: " (the shell did not find the command)",
               137: " (killed)", 143: " (ended by SIGTERM)"}.get(code or -1, "")  # fmt: skip
    fail(
        "container-crashes",
        f"Container {name} of Pod {pod.name} exits with code {code}{meaning}.{spoke}",
        expected="a process that keeps running",
        observed=f"exit code {code}, {restarts}" + (f"; last log line: {said}" if said else ""),
        **evidence,
    )


# -- readiness -------------------------------------------------------------------------------------------------------


def _walk_readiness(state: State, pod: Object, status: dict[str, Any]) -> None:
    running = (status.get("state") or {}).get("running")
    if not running:
        return  # a container that has done its work
    spec = container_spec(pod, status["name"])
    running_for = state.age(running["startedAt"])
    if status.get("ready"):
        if not spec.get("readinessProbe") and running_for < TIME_TO_SETTLE:
            fail(
                "pod-starting", f"Container {status['name']} of Pod {pod.name} started less than {TIME_TO_SETTLE} s ago.",
                expected="a process that keeps running", observed=f"running for {running_for:.0f} s",
                object=pod.ref, pending=True,
            )  # fmt: skip
        return
    which = "startup" if status.get("started") is False and spec.get("startupProbe") else "readiness"
    probe = spec.get(f"{which}Probe")
    if not probe:
        fail(
            "pod-starting", f"Container {status['name']} of Pod {pod.name} has only just started.",
            observed="not ready", object=pod.ref, pending=True,
        )  # fmt: skip
    if which == "startup" and running_for > patience_of(probe) + TIME_TO_SETTLE:
        # Its time is over: the kubelet is about to end it, or has done so before.
        explain_restarts(state, pod, status, spec, which)
    _explain_probe(state, pod, spec, which, probe, running_for)


def _explain_probe(
    state: State, pod: Object, spec: dict[str, Any], which: str, probe: dict[str, Any], running_for: float
) -> NoReturn:
    words = describe_probe(probe)
    patience = (
        probe.get("initialDelaySeconds", 0) + probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3) + 2
    )
    look = f"kubectl describe pod {pod.name}"
    fail_if_void(state, pod, spec, which)
    failures = [e["message"] for e in state.events(pod, "Unhealthy") if which.capitalize() in e.get("message", "")]
    answer = got(failures[0]) if failures else "no answer seen yet"
    if not failures or "refused" in answer:
        patience = max(patience, TIME_TO_LISTEN if failures else EVENTS_FOLLOW)
    if spec.get("livenessProbe"):
        # A container that is on the way to be restarted is not ready either, and that is the root.
        patience = max(patience, patience_of(spec["livenessProbe"]) + TIME_TO_SETTLE_AFTER_RESTART)
    follow_dependency(state, pod, spec, answer)
    raise Failed(
        f"{which}-probe-fails",
        f"Container {spec['name']} of Pod {pod.name} runs, but its {which} probe ({words}) does not succeed: {answer}"
        + throttling_note(spec, answer),
        expected=f"{words} succeeds", observed=answer, object=pod.ref, look=look, pending=running_for < patience,
    )  # fmt: skip


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
