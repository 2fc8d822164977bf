"""A guestbook that is sick is restarted, by its liveness probe."""

import re
from typing import Any

from checker.sdk import (
    KUBELET_EVENTS_DELAY,
    Answer,
    Object,
    Restart,
    State,
    Timeline,
    counted,
    counted_seconds,
    describe_probe,
    describe_probe_timing,
    fail,
    fail_if_probe_cannot_run,
    least_seconds_to_fail,
    seconds_to_notice,
    task,
)

from .common import (
    ASKED,
    TRAFFIC,
    fail_if_restarted_in_vain,
    guestbook,
    killed,
    last_sick,
    main_container,
    probe_then,
    require_probe,
    same_probe,
    sees,
    told,
    unknown_if_events_gone,
)

SICK_WITHIN = 15  # seconds in which a sick guestbook is to be noticed
SAYS_SICK = re.compile(r"\b500\b|\bsick\b")  # what a probe gets from a sick guestbook


def newest_pods(state: State, deployment: Object) -> list[Object]:
    """The Pods that are asked the same as the newest template says, and are there to stay."""
    owners = same_probe(state, deployment, "livenessProbe") & same_probe(state, deployment, "readinessProbe")
    return [pod for pod in state.pods_of(deployment) if pod.owner_uids & owners]


def sick_before(timeline: Timeline, restart: Restart) -> float | None:
    """Seconds from when the guestbook was first seen sick, while this Pod was there, until the restart; None where it was not."""
    sick = last_sick(timeline, restart.at, within=min(120, restart.at - timeline.first_ready(restart.uid)))
    return restart.at - sick[0] if sick else None


def healed_by_probe(state: State, timeline: Timeline, restart: Restart, probe: dict[str, Any]) -> bool:
    """Whether it was the liveness probe of a sick guestbook that brought about this restart.

    The kubelet's events may be late, lost or gone: then a probe that sees sickness, and had the time to fail as often as it may.
    """
    asks = sees(probe, "healthz")
    if killed(state, restart) and (
        SAYS_SICK.search(told(state, restart, "Unhealthy", "Liveness probe failed")) or (asks and "exec" in probe)
    ):
        return True
    lasted = sick_before(timeline, restart)
    return asks and lasted is not None and lasted >= least_seconds_to_fail(probe_then(state, restart, probe))


@task("sick-restarted", observe=(TRAFFIC, ASKED))
def sick_one_is_restarted(state: State, timeline: Timeline, asked: dict[str, Answer]) -> None:
    deployment = state.require("Deployment", "guestbook")
    probe = require_probe(deployment, "livenessProbe")
    deployment = guestbook(state, asked)
    evidence = {"object": deployment.ref, "look": "kubectl get pods"}
    fail_if_restarted_in_vain(state, timeline, deployment)
    if seconds_to_notice(probe) > SICK_WITHIN:
        fail(
            "probe-too-slow", f"The liveness probe of Deployment guestbook ({describe_probe(probe)}) notices a sickness after up to {counted_seconds(seconds_to_notice(probe))}: "
            f"{describe_probe_timing({**probe, 'initialDelaySeconds': 0})}.",
            expected=f"at most {SICK_WITHIN} seconds", observed=counted_seconds(seconds_to_notice(probe)),
            **{**evidence, "look": "kubectl describe deployment guestbook"},
        )  # fmt: skip
    owners = same_probe(state, deployment, "livenessProbe")
    restarts = timeline.restarts(owners)
    if any(healed_by_probe(state, timeline, restart, probe) for restart in restarts):
        return
    for pod in newest_pods(state, deployment):
        fail_if_probe_cannot_run(state, pod, main_container(deployment), "liveness")
    fail_if_sick_unnoticed(timeline, asked, probe)
    fail_if_replaced_by_hand(timeline, owners, evidence)
    timeline.require_watched(state)
    if restarts := [restart for restart in restarts if restart.had_been_ready]:
        fail_if_not_by_probe(state, timeline, restarts[-1], probe)
        fail(
            "restarted-otherwise", f"A container of Pod {restarts[-1].pod} was restarted, but it had not said at /healthz that it was sick.",
            expected="a restart by the liveness probe", observed="a restart without any sickness", object=f"Pod/{restarts[-1].pod}",
            look=f"kubectl describe pod {restarts[-1].pod}", pending=state.now.timestamp() - restarts[-1].at < KUBELET_EVENTS_DELAY,
        )  # fmt: skip
    fail(
        "never-provoked", f"Deployment guestbook has a liveness probe ({describe_probe(probe)}), and no Pod has been sick since it was added.",
        expected="a Pod that was sick, and restarted", observed="none was sick", **evidence,
    )  # fmt: skip


def fail_if_not_by_probe(state: State, timeline: Timeline, restart: Restart, probe: dict[str, Any]) -> None:
    """A guestbook was sick and its container was restarted, and the liveness probe sees no sickness, or had no time to."""
    probe, lasted = probe_then(state, restart, probe), sick_before(timeline, restart)
    if lasted is None:
        return
    if "exec" in probe:
        unknown_if_events_gone(state, restart.pod, restart.at)
    blind = not sees(probe, "healthz")
    words = (
        f"and nothing tells that its liveness probe saw that: {describe_probe(probe)}" if blind
        else f"and its liveness probe ({describe_probe(probe)}) takes {counted_seconds(least_seconds_to_fail(probe))} at the least to fail {counted(probe.get('failureThreshold', 3), 'time')}"
    )  # fmt: skip
    fail(
        "probe-sees-nothing" if blind else "restarted-otherwise",
        f"The container of Pod {restart.pod} was restarted {lasted:.0f} s after the guestbook was first seen sick, {words}.",
        expected="a restart by the liveness probe", observed=f"a restart after {lasted:.0f} s", object=f"Pod/{restart.pod}",
        look=f"kubectl describe pod {restart.pod}",
        pending=("exec" in probe or not blind) and state.now.timestamp() - restart.at < KUBELET_EVENTS_DELAY,
    )  # fmt: skip


def fail_if_sick_unnoticed(timeline: Timeline, asked: dict[str, Answer], probe: dict[str, Any]) -> None:
    sick = sorted(
        key.partition("/")[0] for key, answer in asked.items() if key.endswith("/healthz") and answer.status == 500
    )
    if not sick:
        return
    since = last_sick(timeline, timeline.until, within=3600)
    lasts = timeline.until - since[0] if since else 0.0
    blind = not sees(probe, "healthz")
    fail(
        "probe-sees-nothing" if blind else "probe-too-slow",
        f"Pod {sick[0]} says at /healthz that it is sick (status 500){f', for {lasts:.0f} s now' if lasts else ''}, and has not been restarted. "
        f"Its liveness probe: {describe_probe(probe)}.",
        expected="the liveness probe fails", observed="it goes well" if blind else "not restarted yet", object=f"Pod/{sick[0]}",
        look=f"kubectl describe pod {sick[0]}", pending=not blind and lasts < seconds_to_notice(probe) + 20,
    )  # fmt: skip


def fail_if_replaced_by_hand(timeline: Timeline, owners: set[str], evidence: dict[str, Any]) -> None:
    """A Pod that was there when somebody was sick, and was deleted then or soon after."""
    sick = last_sick(timeline, timeline.until, within=3600)
    if not sick:
        return
    gone = [
        pod for pod in timeline.pods()
        if pod["owner"] in owners and pod["deleted"] and pod["added"] < sick[0] + 1 and sick[0] - 1 <= pod["deleted"] <= sick[1] + 60
    ]  # fmt: skip
    if gone:
        names = ", ".join(sorted(pod["name"] for pod in gone))
        fail(
            "restarted-by-hand", f"A Pod of the guestbook was sick, and then {'a Pod was' if len(gone) == 1 else 'Pods were'} deleted ({names}). No container was restarted by the liveness probe.",
            expected="a restart in the same Pod", observed="another Pod in its place", **evidence,
        )  # fmt: skip
