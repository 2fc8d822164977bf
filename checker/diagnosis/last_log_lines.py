"""What the last log lines of a container that is not well show of its surroundings, not of the container itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from checker.diagnosis.addresses import addresses_in
from checker.diagnosis.component_words import words_of
from checker.diagnosis.configuration import optional_and_missing
from checker.diagnosis.connections import explain_asked, explain_unreached, explain_wrong_address
from checker.diagnosis.containers import last_line, statuses_with_specs
from checker.diagnosis.dns import explain_dns_down
from checker.diagnosis.job import FAILED_TRIES
from checker.diagnosis.no_space import explain_no_space
from checker.diagnosis.not_reached import explain_circle, explain_log, explain_wait
from checker.diagnosis.pod_start import explain_post_start_hook
from checker.diagnosis.probes import answered_now
from checker.diagnosis.rbac import explain_forbidden, explain_no_token
from checker.diagnosis.security_context import explain_not_permitted
from checker.diagnosis.shared_volumes import explain_shared_file
from checker.diagnosis.variables import explain_not_replaced, explain_not_set, explain_service_link
from checker.model.fault import Fault, NotPassed
from checker.model.state import Object, State


def refine_optional(state: State, pod: Object, fault: Fault) -> Fault | None:
    """The fault of an optional reference to what does not exist, where a container waits for it or speaks of it."""
    if fault.object.kind != "Pod":
        return None
    for status, spec in statuses_with_specs(pod):
        if status.get("ready") and not status.get("restartCount"):
            continue
        command = [*(spec.get("command") or []), *(spec.get("args") or [])]
        text = " ".join([*command, state.log_if_read(pod.name, status["name"]) or "", words_of(fault)])
        paths = {m["name"]: m["mountPath"] for m in spec.get("volumeMounts") or []}
        for end in optional_and_missing(state, pod, spec):
            exact, facts = end.fault, end.fault.facts
            names = [facts.get("key"), facts.get("variable"), paths.get(facts.get("volume", ""))]
            if facts.get("near") or any(name and name in text for name in names):
                return exact.but(in_progress=fault.in_progress)
    return None


def refine_by_last_log_lines(state: State, pod: Object, fault: Fault) -> Fault | None:
    """The fault around a container that its last log lines name: its rights, DNS, Services, its security context."""
    if fault.object.kind != "Pod":
        return None
    hook = explain_post_start_hook(state, pod)
    if hook:
        return hook
    for spec, log in _log_lines(state, pod, fault):
        found = (
            explain_forbidden(state, pod, log)
            or explain_no_token(state, pod, log)
            or explain_not_permitted(pod, spec, log)
            or explain_no_space(pod, spec, log)
            or explain_dns_down(state, log)
            or _explain_variables(state, pod, spec, log)
            or explain_log(state, pod, spec, log)
            or _explain_probe_command(state, pod, spec, fault)
            or explain_unreached(state, pod, spec, log)
            or explain_wrong_address(state, pod, spec, log)
            or (explain_wait(state, pod, spec) if _waits(spec, fault) else None)
        )
        if found:
            exact = found.fault if isinstance(found, NotPassed) else found
            return exact.but(in_progress=exact.in_progress or fault.in_progress)
    return None


def _waits(spec: dict[str, Any], fault: Fault) -> bool:
    """Whether a fault is that this container, an init container, does not end."""
    return fault.cause == "init-container-runs" and fault.facts["container"] == spec["name"]


def refine_job(state: State, obj: Object, fault: Fault) -> Fault | None:
    """What the last log lines of a Job's failed Pod name; None where they name nothing around the Pod.

    obj: the Job, or its Pod.
    """
    last = fault.facts.get("last")
    pod = state.find("Pod", last.object.name, obj.namespace) if isinstance(last, Fault) else None
    exact = refine_by_last_log_lines(state, pod, last) if pod and isinstance(last, Fault) else None
    if exact is None:
        return None
    if fault.cause == "job-retrying":
        pending = fault.facts["failed"] < FAILED_TRIES
        return exact.within("job-makes-no-progress", job=fault.facts["job"]).but(in_progress=pending)
    return exact.within("job-has-failed", job=fault.object.name, reason=fault.facts["reason"])


def _explain_variables(state: State, pod: Object, spec: dict[str, Any], log: str) -> NotPassed | None:
    """The fault of a variable that is missing, or that the kubelet made and a container cannot use; None for none."""
    try:
        explain_service_link(state, pod, spec, log)
        explain_not_replaced(state, pod, spec, log)
        explain_not_set(state, pod, spec, log)
    except NotPassed as end:
        return end
    return None


def _explain_probe_command(state: State, pod: Object, spec: dict[str, Any], fault: Fault) -> NotPassed | Fault | None:
    """The fault of what an exec probe asks for: a file of a volume, or a Service.

    The Service may list only Pods which pass the probe. None where the probe shows neither.
    """
    which, said = fault.cause.partition("-")[0], words_of(fault)
    command = ((spec.get(f"{which}Probe") or {}).get("exec") or {}).get("command") or []
    if not command or fault.facts.get("container") not in (None, spec["name"]):
        return None
    asks = {**spec, "command": [" ".join(command)], "args": []}
    try:
        explain_shared_file(pod, spec, said)
        for address in addresses_in(" ".join(command)):
            service = state.find("Service", address.host.split(".")[0], pod.namespace)
            if service:
                explain_circle(state, pod, spec, service, last_line(said))
    except NotPassed as end:
        return end
    return explain_log(state, pod, asks, said) or explain_asked(state, pod, asks)


def _log_lines(state: State, pod: Object, fault: Fault) -> Iterator[tuple[dict[str, Any], str]]:
    """The containers of a Pod that are not well, each with its last words (its log, and what a probe got)."""
    for status, spec in statuses_with_specs(pod):
        log = state.log_if_read(pod.name, status["name"]) or ""
        if not status.get("ready") or status.get("restartCount"):
            got = [words_of(fault), answered_now(state, pod, status["name"])]
            # A probe that is refused tells nothing of other objects. A program that lets a probe wait may wait for one.
            own = [
                words for words in got if "probe" not in fault.cause or re.search("statuscode|timeout|deadline", words)
            ]
            yield spec, "\n".join([log, *own])
