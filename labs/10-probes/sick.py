"""A guestbook that is sick is restarted by its liveness probe."""

import re
from typing import Any

from checker.sdk import (
    KUBELET_EVENTS_DELAY,
    Answer,
    Object,
    Ref,
    Restart,
    State,
    Timeline,
    describe_probe,
    fail,
    fail_if_probe_cannot_run,
    least_seconds_to_fail,
    probe_timing,
    seconds_to_notice,
    task,
)

from .common import (
    ANSWERS,
    TRAFFIC,
    event_messages,
    fail_if_restarted_in_vain,
    guestbook,
    killed,
    last_sick,
    main_container,
    probe_then,
    require_probe,
    same_probe,
    seen_to_fail,
    sees,
    unknown_if_events_gone,
)

SICK_WITHIN = 15  # seconds in which the liveness probe of a sick guestbook must fail
SICK_ANSWER = re.compile(r"\b500\b|\bsick\b")  # what a probe gets from a sick guestbook


def newest_pods(state: State, deployment: Object) -> list[Object]:
    """The Pods of the Deployment whose probes have the same handlers as those of the newest template."""
    owners = same_probe(state, deployment, "livenessProbe") & same_probe(state, deployment, "readinessProbe")
    return [pod for pod in state.pods_of(deployment) if pod.owner_uids & owners]


def sick_before(timeline: Timeline, restart: Restart) -> float | None:
    """Seconds from the guestbook's first sick answer, while this Pod existed, until the restart; None without one."""
    sick = last_sick(timeline, restart.at, within=min(120, restart.at - timeline.first_ready(restart.uid)))
    return restart.at - sick[0] if sick else None


def healed_by_probe(state: State, timeline: Timeline, restart: Restart, probe: dict[str, Any]) -> bool:
    """Whether this container was restarted because its liveness probe failed while the guestbook was sick.

    The event of the restart may be late, lost or gone. Then a probe counts that checks /healthz and had the time to
    fail failureThreshold times. A command that may hide its failure must have been seen to fail.
    """
    asks = sees(probe, "healthz")
    if killed(state, restart) and (
        SICK_ANSWER.search(event_messages(state, restart, "Unhealthy", "Liveness probe failed"))
        or (asks and "exec" in probe)
    ):
        return True
    lasted = sick_before(timeline, restart)
    had_time = lasted is not None and lasted >= least_seconds_to_fail(probe_then(state, restart, probe))
    return asks and had_time and seen_to_fail(state, restart, probe)


@task("sick-restarted", observe=(TRAFFIC, ANSWERS))
def sick_one_is_restarted(state: State, timeline: Timeline, answers: dict[str, Answer]) -> None:
    deployment = state.require("Deployment", "guestbook")
    probe = require_probe(deployment, "livenessProbe")
    deployment = guestbook(state, answers)
    fail_if_restarted_in_vain(state, timeline, deployment)
    if seconds_to_notice(probe) > SICK_WITHIN:
        facts = probe_timing({**probe, "initialDelaySeconds": 0})
        fail("probe-too-slow", deployment, probe=describe_probe(probe), most=SICK_WITHIN, **facts)
    owners = same_probe(state, deployment, "livenessProbe")
    restarts = timeline.restarts(owners)
    if any(healed_by_probe(state, timeline, restart, probe) for restart in restarts):
        return
    for pod in newest_pods(state, deployment):
        fail_if_probe_cannot_run(state, pod, main_container(deployment), "liveness")
    fail_if_sick_unnoticed(state, timeline, answers, probe)
    fail_if_replaced_by_hand(timeline, owners, deployment)
    timeline.require_watched(state)
    if restarts := [restart for restart in restarts if restart.had_been_ready]:
        fail_if_not_by_probe(state, timeline, restarts[-1], probe)
        restarted = Ref("Pod", restarts[-1].pod, state.namespace)
        soon = state.now.timestamp() - restarts[-1].at < KUBELET_EVENTS_DELAY
        fail("restarted-otherwise", restarted, form="not-sick", in_progress=soon)
    fail("never-provoked", deployment, form="sick", condition="sick", probe=describe_probe(probe))


def fail_if_not_by_probe(state: State, timeline: Timeline, restart: Restart, probe: dict[str, Any]) -> None:
    """Raises Failed where a sick guestbook was restarted, and not by its liveness probe.

    Either the probe does not check /healthz, or it had no time to fail, or its command hid the failure.
    """
    probe, lasted = probe_then(state, restart, probe), sick_before(timeline, restart)
    if lasted is None:
        return
    if "exec" in probe:
        unknown_if_events_gone(state, restart.pod, restart.at)
    pod = Ref("Pod", restart.pod, state.namespace)
    soon = state.now.timestamp() - restart.at < KUBELET_EVENTS_DELAY
    facts = {"seconds": round(lasted), "probe": describe_probe(probe)}
    if not sees(probe, "healthz"):
        fail("probe-sees-nothing", pod, form="not-for-sick", in_progress=soon and "exec" in probe, **facts)
    least = least_seconds_to_fail(probe)
    if lasted >= least:
        fail("restarted-otherwise", pod, form="no-failure", in_progress=soon, **facts)
    fail(
        "restarted-otherwise",
        pod,
        form="too-early",
        in_progress=soon,
        least=round(least),
        threshold=probe.get("failureThreshold", 3),
        **facts,
    )


def fail_if_sick_unnoticed(state: State, timeline: Timeline, answers: dict[str, Answer], probe: dict[str, Any]) -> None:
    """Raises Failed where a Pod answers at the moment that it is sick."""
    sick = sorted(
        key.partition("/")[0] for key, answer in answers.items() if key.endswith("/healthz") and answer.status == 500
    )
    if not sick:
        return
    since = last_sick(timeline, timeline.until, within=3600)
    lasts = timeline.until - since[0] if since else 0.0
    pod = Ref("Pod", sick[0], state.namespace)
    facts = {"seconds": round(lasts) or None, "probe": describe_probe(probe)}
    if not sees(probe, "healthz"):
        fail("probe-sees-nothing", pod, form="sick", **facts)
    fail("probe-too-slow", pod, form="sick", in_progress=lasts < seconds_to_notice(probe) + 20, **facts)


def fail_if_replaced_by_hand(timeline: Timeline, owners: set[str], deployment: Object) -> None:
    """Raises Failed where a Pod was deleted while the guestbook was sick, or within a minute after that."""
    sick = last_sick(timeline, timeline.until, within=3600)
    if not sick:
        return
    gone = [
        pod["name"]
        for pod in timeline.pods()
        if pod["owner"] in owners
        and pod["deleted"]
        and pod["added"] < sick[0] + 1
        and sick[0] - 1 <= pod["deleted"] <= sick[1] + 60
    ]
    if gone:
        fail("restarted-by-hand", deployment, pods=sorted(gone))
