"""The archive takes long to start, and is not restarted while it does."""

from math import inf

from checker.sdk import (
    Failed,
    HiddenValue,
    State,
    Timeline,
    counted,
    counted_seconds,
    describe_probe,
    describe_probe_timing,
    fail,
    least_seconds_to_fail,
    seconds_to_fail_from_start,
    seconds_to_notice,
    task,
    unknown,
)

from .common import TRAFFIC, main_container, sees

START, WORST_START = 12, 30  # seconds: how long the archive takes to start, and takes on a bad day
DEAD_WITHIN = 10  # seconds in which an archive that runs and is sick is to be noticed
# What an archive that is ended too soon may look like as long as the kubelet's events have not come, on a busy machine.
OF_A_RESTART = (
    "container-ends",
    "container-crashes",
    "container-start-error",
    "liveness-probe-fails",
    "probe-times-out",
)


def seconds(number: str) -> float:
    """A number as the guestbook reads it; one that it cannot read ends it, and is no short start."""
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
    evidence = {"object": deployment.ref, "look": "kubectl describe deployment archive"}
    if not liveness:
        fail(
            "probe-deleted", "Deployment archive began with a liveness probe, and has none now. It is not ended any more, and not restarted when it is sick either.",
            expected="a liveness probe", observed="none", **evidence,
        )  # fmt: skip
    takes = state.env(deployment, container).get("STARTUP_SECONDS", "0")
    if not isinstance(takes, HiddenValue) and seconds(takes or "0") < START:
        fail(
            "slow-start-removed", f"Deployment archive was told to start within {takes or 0} s (STARTUP_SECONDS).",
            expected=f"an archive that takes {START} s to start", observed=f"{takes or 0} s", **evidence,
        )  # fmt: skip
    too_soon = not startup and seconds_to_fail_from_start(liveness) < START
    try:
        state.require_working(deployment)
    except Failed as fault:
        if not too_soon or not (fault.pending or fault.cause in OF_A_RESTART):
            raise
    if too_soon:  # and the Pod is too new to show it, or the kubelet's events have not come yet
        fail(
            "no-startup-budget", f"Deployment archive takes {takes or START} s to start, and its liveness probe ends it after "
            f"{counted_seconds(seconds_to_fail_from_start(liveness))} ({describe_probe_timing(liveness)}).",
            expected="an archive that has started before it is judged", observed=counted_seconds(seconds_to_fail_from_start(liveness)),
            pending=True, **evidence,
        )  # fmt: skip
    if not startup:
        wait = liveness.get("initialDelaySeconds", 0)
        waits = f"Its liveness probe asks nothing in the first {wait} s after every start, however soon the archive is there." if wait else (
            f"Its liveness probe is as patient with a start as with a sickness: {counted_seconds(seconds_to_notice(liveness))}.")  # fmt: skip
        fail(
            "no-startup-probe", f"Deployment archive has no startup probe. {waits}",
            expected="a startup probe", observed="none", **evidence,
        )  # fmt: skip
    surely = startup.get("initialDelaySeconds", 0) + least_seconds_to_fail(startup)
    if surely < WORST_START:
        fail(
            "startup-budget-too-short", f"The startup probe of Deployment archive gives it at most {counted_seconds(seconds_to_fail_from_start(startup))} ({describe_probe_timing(startup)}), "
            f"and as little as {counted_seconds(surely)} if the first question comes right away. Today that was enough.",
            expected=f"at least {WORST_START} seconds, whenever the first question comes", observed=counted_seconds(surely), **evidence,
        )  # fmt: skip
    if seconds_to_notice(liveness) > DEAD_WITHIN:
        fail(
            "probe-too-slow", f"The liveness probe of Deployment archive notices a sickness after up to {counted_seconds(seconds_to_notice(liveness))}: "
            f"{describe_probe_timing({**liveness, 'initialDelaySeconds': 0})}.",
            expected=f"at most {DEAD_WITHIN} seconds", observed=counted_seconds(seconds_to_notice(liveness)), **evidence,
        )  # fmt: skip
    delay = liveness.get("initialDelaySeconds", 0)
    if seconds_to_fail_from_start(liveness) - START > DEAD_WITHIN:
        fail(
            "probe-too-slow", f"Deployment archive runs {START} s after its start, and its liveness probe does not ask in the first {counted_seconds(delay)}: "
            f"it notices a sickness after up to {counted_seconds(seconds_to_fail_from_start(liveness))} ({describe_probe_timing(liveness)}).",
            expected=f"at most {DEAD_WITHIN} seconds, as soon as the archive runs", observed=counted_seconds(seconds_to_fail_from_start(liveness) - START), **evidence,
        )  # fmt: skip
    if not sees(liveness, "healthz"):
        fail(
            "probe-sees-nothing", f"The liveness probe of Deployment archive ({describe_probe(liveness)}) asks for something that goes well also while it is sick.",
            expected="a probe that fails when /healthz says sick", observed=describe_probe(liveness), **evidence,
        )  # fmt: skip
    for pod in state.pods_of(deployment):
        restarted = [restart for restart in timeline.restarts(pod.owner_uids) if restart.uid == pod.uid]
        ready = timeline.first_ready(pod.uid)
        took = ready - pod.created.timestamp()
        if ready and took < START - 1:
            fail(
                "probe-sees-nothing" if "exec" in startup else "slow-start-removed",
                f"Pod {pod.name} was taken for started {max(0, took):.0f} s after it was made. Its startup probe: {describe_probe(startup)}.",
                expected=f"an archive that takes {START} s to start", observed=f"{max(0, took):.0f} s", object=pod.ref,
                look=f"kubectl describe pod {pod.name}",
            )  # fmt: skip
        if restarted and ready and restarted[0].at < ready:
            fail(
                "startup-budget-too-short", f"Pod {pod.name} was restarted before it was ready for the first time.",
                expected="no restart during a start", observed=counted(len(restarted), "restart"), object=pod.ref,
                look=f"kubectl describe pod {pod.name}",
            )  # fmt: skip
    if isinstance(takes, HiddenValue):
        unknown(
            "not-observed", "How long Deployment archive takes to start is not written down where the checker may read it: STARTUP_SECONDS comes from "
            "a Secret, or the kubelet puts it in.",
            expected=f"an archive that takes {START} s to start", observed="STARTUP_SECONDS from elsewhere", **evidence,
        )  # fmt: skip
