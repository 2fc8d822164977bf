"""A guestbook that is busy gets no requests for a while, and is not restarted."""

import re
from typing import Any

from checker.sdk import KUBELET_EVENTS_DELAY, Answer, NotReadyInterval, State, Timeline, describe_probe, fail, task

from .common import (
    ASKED,
    TRAFFIC,
    fail_if_restarted_in_vain,
    guestbook,
    lasted,
    require_probe,
    same_probe,
    sees,
    told,
    unknown_if_events_gone,
)

BUSY_FOR = 8.0  # seconds that a Pod must be out of rotation so that the observer's stream can tell (see its GAP)
TO_LEAVE = 4.0  # seconds after a Pod stopped being ready in which it may still be sent requests
SAYS_BUSY = re.compile(r"\b503\b|\bbusy\b")


@task("busy-spared", observe=(TRAFFIC, ASKED))
def busy_one_is_spared(state: State, timeline: Timeline, asked: dict[str, Answer]) -> None:
    deployment = state.require("Deployment", "guestbook")
    probe = require_probe(deployment, "readinessProbe")
    deployment = guestbook(state, asked)
    fail_if_restarted_in_vain(state, timeline, deployment)
    owners = same_probe(state, deployment, "readinessProbe")
    seen = [absence for absence in timeline.absences(owners) if not absence.restarted]
    everybody = {rs.uid for rs in state.owned("ReplicaSet", deployment)}
    back = [a for a in seen if a.end and timeline.ready_throughout(a.begin, a.end, everybody) - {a.pod}]
    spared = [a for a in back if lasted(a) >= BUSY_FOR]
    unasked = [a for a in spared if a.pod not in timeline.hosts_between(a.begin + TO_LEAVE, (a.end or a.begin) - 0.5)]
    if any(
        sees(probe, "readyz") or SAYS_BUSY.search(told(state, a, "Unhealthy", "Readiness probe failed"))
        for a in unasked
    ):
        return
    evidence = {
        "object": deployment.ref,
        "look": "kubectl get pods --watch",
        "expected": "a Pod that got no requests for ten seconds, and came back",
    }
    if spared and not unasked:
        fail(
            "never-out-of-rotation", f"Pod {spared[-1].pod} was not ready for {lasted(spared[-1]):.0f} s, and was sent requests all the same.",
            observed=f"answers from {spared[-1].pod} meanwhile",
            **{**evidence, "object": "Service/guestbook", "look": "kubectl get service guestbook -o yaml"},
        )  # fmt: skip
    fail_if_busy_now(seen, asked, probe, timeline)
    if unasked:
        last = unasked[-1]
        if "exec" in probe:
            unknown_if_events_gone(state, last.pod, last.begin)
        fail(
            "probe-sees-nothing", f"Pod {last.pod} was out of rotation for {lasted(last):.0f} s, and nothing tells that it was because it was busy. "
            f"Its readiness probe: {describe_probe(probe)}.",
            expected="a probe that fails when /readyz says busy", observed=describe_probe(probe), object=f"Pod/{last.pod}",
            look=f"kubectl describe pod {last.pod}", pending="exec" in probe and state.now.timestamp() - last.begin < KUBELET_EVENTS_DELAY,
        )  # fmt: skip
    if back:
        fail(
            "never-out-of-rotation", f"Pod {back[-1].pod} was out of rotation for {lasted(back[-1]):.0f} s, and is back. That is too short to be sure of.",
            observed=f"{lasted(back[-1]):.0f} s", **evidence,
        )  # fmt: skip
    timeline.require_watched(state)
    alone = [a for a in seen if a.end]
    fail(
        "never-provoked", f"Deployment guestbook has a readiness probe ({describe_probe(probe)}), and since it was added no Pod has been out of rotation while others answered."
        + (f" For {lasted(alone[-1]):.0f} s Pod {alone[-1].pod} was not ready, and no other was all that time." if alone else ""),
        observed="none was out of rotation while others answered", **evidence,
    )  # fmt: skip


def fail_if_busy_now(
    seen: list[NotReadyInterval], asked: dict[str, Answer], probe: dict[str, Any], timeline: Timeline
) -> None:
    busy = sorted(
        key.partition("/")[0]
        for key, a in asked.items()
        if key.endswith("/readyz") and a.status == 503 and a.text == "busy"
    )
    out = {absence.pod: absence for absence in seen if absence.end is None}
    for pod in busy:
        if pod in out:
            lasts = timeline.until - out[pod].begin
            fail(
                "still-out-of-rotation", f"Pod {pod} is out of rotation{f', for {lasts:.0f} s now' if lasts >= 1 else ''}: it says at /readyz that it is busy.",
                expected="a Pod that comes back", observed="still busy", object=f"Pod/{pod}", look="kubectl get pods",
            )  # fmt: skip
    if busy:
        blind = not sees(probe, "readyz")
        fail(
            "probe-sees-nothing" if blind else "probe-too-slow", f"Pod {busy[0]} says at /readyz that it is busy (status 503), and is ready. Its readiness probe: {describe_probe(probe)}.",
            expected="the readiness probe fails", observed="it goes well" if blind else "still ready", object=f"Pod/{busy[0]}",
            look=f"kubectl describe pod {busy[0]}", pending=not blind,
        )  # fmt: skip
