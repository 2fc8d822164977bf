"""The archive starts slowly, and its probes do not restart it during the start."""

from math import inf
from typing import Any

from checker.sdk import (
    Failed,
    Object,
    Redacted,
    State,
    Timeline,
    describe_probe,
    fail,
    least_seconds_to_fail,
    probe_timing,
    seconds_to_fail_from_start,
    seconds_to_notice,
    task,
    unknown,
)

from .common import TRAFFIC, main_container, sees

START, WORST_START = 12, 30  # seconds that the archive takes to start, usually and on a bad day
DEAD_WITHIN = 10  # seconds in which the liveness probe must fail when an archive that runs is sick
# Causes of an archive that is restarted too early, before the kubelet's events have come (on a busy machine).
OF_A_RESTART = (
    "container-ends",
    "container-crashes",
    "container-start-error",
    "liveness-probe-fails",
    "probe-times-out",
)


def seconds(number: str) -> float:
    """A number of seconds as the guestbook reads it; inf for a text that it cannot read, which ends its process."""
    try:
        return float(number)
    except ValueError:
        return inf


@task("slow-spared", observe=TRAFFIC)
def slow_starter_is_left_alone(state: State, timeline: Timeline) -> None:
    deployment = state.require("Deployment", "archive")
    state.require_image(deployment, "guestbook:v1")
    container = main_container(deployment)
    liveness, startup = container.get("livenessProbe"), container.get("startupProbe")
    if not liveness:
        fail("probe-deleted", deployment)
    takes = state.env(deployment, container).get("STARTUP_SECONDS", "")
    if not isinstance(takes, Redacted) and seconds(takes or "0") < START:
        fail("slow-start-removed", deployment, value=takes, start=START)
    too_soon = not startup and seconds_to_fail_from_start(liveness) < START
    try:
        state.require_working(deployment)
    except Failed as end:
        if not too_soon or not (end.fault.in_progress or end.fault.cause in OF_A_RESTART):
            raise
    if too_soon:  # and the Pod is too new to show it, or the kubelet's events have not come yet
        facts = probe_timing(liveness)
        fail("no-startup-budget", deployment, form="archive", in_progress=True, takes=takes or START, **facts)
    if not startup:
        if delay := liveness.get("initialDelaySeconds"):
            fail("no-startup-probe", deployment, form="delayed", delay=delay)
        fail("no-startup-probe", deployment, form="slow", seconds=round(seconds_to_notice(liveness)))
    least = startup.get("initialDelaySeconds", 0) + least_seconds_to_fail(startup)
    if least < WORST_START:
        facts = probe_timing(startup)
        fail(
            "startup-budget-too-short",
            deployment,
            form="worst-start",
            least=round(least),
            worst=WORST_START,
            **facts,
        )
    require_soon_noticed(deployment, liveness)
    fail_if_started_early(state, timeline, deployment, startup)
    if isinstance(takes, Redacted):
        unknown("not-observed", deployment, form="start-not-readable", start=START)


def require_soon_noticed(deployment: Object, liveness: dict[str, Any]) -> None:
    """Raises Failed where the liveness probe fails too late when the archive is sick, or does not check /healthz."""
    probe = describe_probe(liveness)
    if seconds_to_notice(liveness) > DEAD_WITHIN:
        facts = probe_timing({**liveness, "initialDelaySeconds": 0})
        fail("probe-too-slow", deployment, probe=probe, most=DEAD_WITHIN, **facts)
    late = seconds_to_fail_from_start(liveness) - START
    if late > DEAD_WITHIN:
        facts = probe_timing(liveness)
        fail("probe-too-slow", deployment, form="late-start", start=START, late=round(late), most=DEAD_WITHIN, **facts)
    if not sees(liveness, "healthz"):
        fail("probe-sees-nothing", deployment, form="archive-liveness", probe=probe)


def fail_if_started_early(state: State, timeline: Timeline, deployment: Object, startup: dict[str, Any]) -> None:
    """Raises Failed where a Pod was ready before the archive can have started, or was restarted before it was ready."""
    probe = describe_probe(startup)
    for pod in state.pods_of(deployment):
        restarted = [restart for restart in timeline.restarts(pod.owner_uids) if restart.uid == pod.uid]
        ready = timeline.first_ready(pod.uid)
        took = ready - pod.created.timestamp()
        if ready and took < START - 1:
            took = max(0, round(took))
            if "exec" in startup:
                fail("probe-sees-nothing", pod, form="archive-startup", took=took, probe=probe, start=START)
            fail("slow-start-removed", pod, form="ready-early", took=took, probe=probe, start=START)
        if restarted and ready and restarted[0].at < ready:
            fail("startup-budget-too-short", pod, form="restarted-early", restarts=len(restarted))
