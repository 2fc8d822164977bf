"""What the last words of a container that is not well tell of its surroundings, rather than of the container itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from checker.diagnosis.component_words import words_of
from checker.diagnosis.connections import explain_unreached, explain_wrong_address
from checker.diagnosis.containers import statuses_with_specs
from checker.diagnosis.dns import explain_dns_down
from checker.diagnosis.pod_start import explain_post_start_hook
from checker.diagnosis.probes import answered_now
from checker.diagnosis.rbac import explain_forbidden, explain_no_token
from checker.diagnosis.security_context import explain_not_permitted
from checker.model.fault import Fault, NotPassed
from checker.model.state import Object, State


def refine_by_last_words(state: State, pod: Object, fault: Fault) -> Fault | None:
    """The fault around a container that its last words name: its rights, DNS, Services, its security context."""
    if fault.object.kind != "Pod":
        return None
    hook = explain_post_start_hook(state, pod)
    if hook:
        return hook
    for spec, said in _words(state, pod, fault):
        found = (
            explain_forbidden(state, pod, said)
            or explain_no_token(state, pod, said)
            or explain_not_permitted(pod, spec, said)
            or explain_dns_down(state, said)
            or explain_unreached(state, pod, spec, said)
            or explain_wrong_address(state, pod, spec, said)
        )
        if found:
            exact = found.fault if isinstance(found, NotPassed) else found
            return exact.but(in_progress=exact.in_progress or fault.in_progress)
    return None


def _words(state: State, pod: Object, fault: Fault) -> Iterator[tuple[dict[str, Any], str]]:
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
