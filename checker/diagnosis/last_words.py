"""What the last words of a container that is not well say about the place that it was put in, rather than about itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from checker.diagnosis.connections import explain_unreached, explain_wrong_address
from checker.diagnosis.containers import statuses_with_specs
from checker.diagnosis.dns import explain_dns_down
from checker.diagnosis.pod_start import explain_post_start_hook
from checker.diagnosis.probes import answered_now
from checker.diagnosis.rbac import explain_forbidden, explain_no_token
from checker.diagnosis.security_context import explain_not_permitted
from checker.model.state import Object, State
from checker.model.verdict import NotPassed


def refine_by_last_words(state: State, pod: Object, fault: NotPassed) -> NotPassed | None:
    """What the words of a container that is not well say about the place that it was put in, rather than about itself."""
    if fault.object.split("/")[0] != "Pod":
        return None
    hook = explain_post_start_hook(state, pod, fault)
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
            found.pending = found.pending or fault.pending
            return found
    return None


def _words(state: State, pod: Object, fault: NotPassed) -> Iterator[tuple[dict[str, Any], str]]:
    """The containers of a Pod that are not well, each with its last words (its log, and what a probe got)."""
    for status, spec in statuses_with_specs(pod):
        log = state.logs.get(f"{pod.name}/{status['name']}", "")
        if not status.get("ready") or status.get("restartCount"):
            got = [str(fault.facts.get("answer", fault.observed)), answered_now(state, pod, status["name"])]
            # That a probe is refused says nothing of others; a program that lets it wait may itself wait for somebody.
            own = [
                words for words in got if "probe" not in fault.cause or re.search("statuscode|timeout|deadline", words)
            ]
            yield spec, "\n".join([log, *own])
