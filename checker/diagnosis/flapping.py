"""Pods that are ready and not ready in turn: at the moment of a look they may be well.

Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions
"""

from __future__ import annotations

from checker.diagnosis.containers import container_spec
from checker.diagnosis.probes import describe_probe, failures, in_own_words, result_of
from checker.model.durations import TIME_OF_FLAPPING
from checker.model.state import Object, State
from checker.model.verdict import fail

FAILED_OFTEN = 4  # failures of a readiness probe, in this time, of a Pod that was ready before


def walk_flapping(state: State, pod: Object) -> None:
    """Raises Failed for a ready Pod whose readiness probe failed several times of late, long after its start."""
    since = pod.condition("Ready").get("lastTransitionTime")
    if not pod.is_ready or not since or state.age(since) > TIME_OF_FLAPPING:
        return
    for status in pod.status.get("containerStatuses") or []:
        running = (status.get("state") or {}).get("running")
        spec = container_spec(pod, status["name"])
        probe = spec.get("readinessProbe")
        # Ready again, so long after the container's start: it was ready before, or took this long to become so.
        if not running or not probe or state.age(running["startedAt"]) - state.age(since) < TIME_OF_FLAPPING:
            continue
        seen = [e for e in failures(state, pod, spec, "readiness") if e.get("lastTimestamp")]
        late = [e for e in seen if state.age(e["lastTimestamp"]) < TIME_OF_FLAPPING]
        count = sum(event.get("count") or 1 for event in late)
        if count >= FAILED_OFTEN:
            answer = result_of(late[0].get("message", ""))
            app_says = in_own_words(state, pod, spec["name"], answer)
            facts = {
                "container": spec["name"],
                "probe": describe_probe(probe),
                "answer": answer,
                "app_says": app_says,
            }
            fail("readiness-flaps", pod, failures=count, seconds=round(state.age(since)), **facts)
