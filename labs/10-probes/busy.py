"""A guestbook that is busy gets no requests until it is free, and is not restarted."""

import re
from typing import Any

from checker.sdk import KUBELET_EVENTS_DELAY, Answer, NotReadyInterval, Ref, State, Timeline, describe_probe, fail, task

from .common import (
    ANSWERS,
    TRAFFIC,
    event_messages,
    fail_if_restarted_in_vain,
    guestbook,
    lasted,
    require_probe,
    same_probe,
    sees,
    unknown_if_events_gone,
)

BUSY_FOR = (
    8.0  # seconds that a Pod must be not ready, so that the observer can tell that it got no requests (see its GAP)
)
TO_LEAVE = 4.0  # seconds after a Pod became not ready in which it may still get requests
BUSY_ANSWER = re.compile(r"\b503\b|\bbusy\b")


@task("busy-spared", observe=(TRAFFIC, ANSWERS))
def busy_one_is_spared(state: State, timeline: Timeline, answers: dict[str, Answer]) -> None:
    deployment = state.require("Deployment", "guestbook")
    probe = require_probe(deployment, "readinessProbe")
    deployment = guestbook(state, answers)
    fail_if_restarted_in_vain(state, timeline, deployment)
    owners = same_probe(state, deployment, "readinessProbe")
    seen = [absence for absence in timeline.absences(owners) if not absence.restarted]
    everybody = {rs.uid for rs in state.owned("ReplicaSet", deployment)}
    back = [a for a in seen if a.end and timeline.ready_throughout(a.begin, a.end, everybody) - {a.pod}]
    spared = [a for a in back if lasted(a) >= BUSY_FOR]
    unasked = [a for a in spared if a.pod not in timeline.hosts_between(a.begin + TO_LEAVE, (a.end or a.begin) - 0.5)]
    if any(
        sees(probe, "readyz") or BUSY_ANSWER.search(event_messages(state, a, "Unhealthy", "Readiness probe failed"))
        for a in unasked
    ):
        return
    if spared and not unasked:
        service, longest = Ref("Service", "guestbook", state.namespace), max(spared, key=lasted)
        fail("never-out-of-rotation", service, form="requests", pod=longest.pod, seconds=round(lasted(longest)))
    fail_if_busy_now(state, timeline, seen, answers, probe)
    if unasked:
        last = max(unasked, key=lasted)
        if "exec" in probe:
            unknown_if_events_gone(state, last.pod, last.begin)
        fail(
            "probe-sees-nothing",
            Ref("Pod", last.pod, state.namespace),
            form="not-for-busy",
            in_progress="exec" in probe and state.now.timestamp() - last.begin < KUBELET_EVENTS_DELAY,
            seconds=round(lasted(last)),
            probe=describe_probe(probe),
        )
    alone = max((a for a in seen if a.end and a not in back), key=lasted, default=None)
    if back and not (alone and lasted(alone) >= BUSY_FOR):
        longest = max(back, key=lasted)
        fail("never-out-of-rotation", deployment, form="short", pod=longest.pod, seconds=round(lasted(longest)))
    timeline.require_watched(state)
    fail(
        "never-provoked",
        deployment,
        form="busy",
        condition="busy",
        probe=describe_probe(probe),
        pod=alone.pod if alone else None,
        seconds=round(lasted(alone)) if alone else None,
    )


def fail_if_busy_now(
    state: State, timeline: Timeline, seen: list[NotReadyInterval], answers: dict[str, Answer], probe: dict[str, Any]
) -> None:
    """Raises Failed where a Pod answers at the moment that it is busy."""
    busy = sorted(
        key.partition("/")[0]
        for key, a in answers.items()
        if key.endswith("/readyz") and a.status == 503 and a.text == "busy"
    )
    out = {absence.pod: absence for absence in seen if absence.end is None}
    for pod in busy:
        if pod in out:
            seconds = timeline.until - out[pod].begin
            fail(
                "still-out-of-rotation",
                Ref("Pod", pod, state.namespace),
                seconds=round(seconds) if seconds >= 1 else None,
            )
    if busy:
        ready = Ref("Pod", busy[0], state.namespace)
        if sees(probe, "readyz"):
            fail("probe-too-slow", ready, form="busy-ready", in_progress=True, probe=describe_probe(probe))
        fail("probe-sees-nothing", ready, form="busy-ready", probe=describe_probe(probe))
