"""A Redis that hangs is restarted, and the guestbook is not."""

from math import inf
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
    probe_failures,
    probe_result,
    seconds_to_notice,
    task,
)

from .common import (
    ANSWERS,
    TRAFFIC,
    asks_redis,
    fail_if_restarted_in_vain,
    killed,
    main_container,
    probe_then,
    require_probe,
    same_probe,
    seen_to_fail,
    unknown_if_events_gone,
)

TIME_TO_REPORT = 20.0  # seconds after which the kubelet has reported a probe that fails


@task("hung-restarted", observe=(TRAFFIC, ANSWERS))
def hung_redis_is_restarted(state: State, timeline: Timeline, answers: dict[str, Answer]) -> None:
    deployment = state.require("Deployment", "redis")
    state.require_image(deployment, "redis:8")
    liveness = require_probe(deployment, "livenessProbe")
    readiness = require_probe(deployment, "readinessProbe")
    container = main_container(deployment)
    state.require_working(deployment)
    for pod in state.pods_of(deployment):
        fail_if_probe_cannot_run(state, pod, container, "liveness")
    fail_if_hung_unnoticed(state, timeline, deployment, answers, liveness)
    for which, probe, handler in (("liveness", liveness, "exec"), ("readiness", readiness, "tcpSocket")):
        if handler not in probe and not (which == "readiness" and handler in (container.get("startupProbe") or {})):
            shown = describe_probe(probe)
            fail("probe-of-another-kind", deployment, which=which, handler=handler, probe=shown)
    restarts = timeline.restarts(same_probe(state, deployment, "livenessProbe"))
    front = state.find("Deployment", "guestbook")
    if front:
        fail_if_restarted_in_vain(state, timeline, front)
    asks = asks_redis(liveness)
    for restart in restarts:
        if restart is restarts[-1] and not killed(state, restart) and ended_by_itself(state, restart, container):
            continue  # the log is that of the last run
        hung = hung_before(timeline, restart, front)
        if killed(state, restart) and (asks or hung):
            return
        had_time = hung and hung >= least_seconds_to_fail(probe_then(state, restart, liveness))
        if asks and had_time and seen_to_fail(state, restart, liveness):
            return
    timeline.require_watched(state)
    if restarts := [restart for restart in restarts if restart.had_been_ready]:
        last = restarts[-1]
        settled = killed(state, last) or ended_by_itself(state, last, container)
        if not settled:
            unknown_if_events_gone(state, last.pod, last.at)
        restarted = Ref("Pod", last.pod, state.namespace)
        soon = not settled and state.now.timestamp() - last.at < KUBELET_EVENTS_DELAY
        if not asks:
            shown = describe_probe(liveness)
            fail("probe-sees-nothing", restarted, form="not-for-redis", in_progress=soon, probe=shown)
        fail("restarted-otherwise", restarted, form="redis", in_progress=soon)
    for pod in state.pods_of(deployment):
        results = [probe_result(event["message"]) for event in probe_failures(state, pod, container, "liveness")]
        if late := [result for result in results if "timed out" in result]:
            shown = describe_probe(liveness)
            fail("probe-too-slow", pod, form="redis-answers-again", probe=shown, answer=late[0])
    fail("never-provoked", deployment, form="hung", condition="hung", probe=describe_probe(liveness))


def hung_before(timeline: Timeline, restart: Restart, front: Object | None) -> float:
    """The most seconds for which Redis did not answer the guestbook before a restart, while its process still ran.

    0 where Redis did not hang.
    """
    down = min(
        [a.begin for a in timeline.absences() if a.uid == restart.uid and a.begin <= restart.at <= (a.end or inf)],
        default=restart.at,
    )
    if not front:
        return 0
    missed = [a for a in timeline.absences() if a.pod.startswith(f"{front.name}-") and not a.restarted]
    # A Redis that hangs answers no Pod. Where another Pod was ready, the one that was not may have been busy.
    if len(timeline.pods_of(front.name)) < 2 or any(
        name.startswith(f"{front.name}-") for name in timeline.ready_throughout(down - 1, down)
    ):
        return 0
    lasted = [down - a.begin for a in missed if down - 60 < a.begin < down - 2 and (a.end or inf) > down]
    readiness = main_container(front).get("readinessProbe") or {}
    return max(lasted) + seconds_to_notice(readiness) + readiness.get("timeoutSeconds", 1) if lasted else 0


def ended_by_itself(state: State, restart: Restart, container: dict[str, Any]) -> bool:
    """Whether the log of Redis shows that its process ended by a command, and not by a signal.

    Raises Unknown where the log was not read.
    """
    if not state.find("Pod", restart.pod):
        return False  # its log was deleted with it
    log = state.log(restart.pod, container["name"])
    return "requested shutdown" in log and "SIGTERM" not in log


def fail_if_hung_unnoticed(
    state: State, timeline: Timeline, deployment: Object, answers: dict[str, Answer], probe: dict[str, Any]
) -> None:
    """Raises Failed where Redis does not answer the guestbook at the moment, and its container is not restarted.

    A probe that has had the time to fail, and of which the kubelet tells no failure, does not see that Redis hangs.
    """
    silent = [
        key.partition("/")[0] for key, answer in answers.items() if key.endswith("/readyz") and redis_hangs(answer)
    ]
    pods = [pod for pod in state.pods_of(deployment) if pod.is_ready]
    if not silent or not pods:
        return
    facts = {"client": min(silent), "probe": describe_probe(probe)}
    since = min((a.begin for a in timeline.absences() if a.pod in silent and a.end is None), default=inf)
    had_time = timeline.until - since > seconds_to_notice(probe) + TIME_TO_REPORT
    failed = any(probe_failures(state, pod, main_container(deployment), "liveness") for pod in pods)
    if asks_redis(probe) and (failed or not had_time):
        fail("probe-too-slow", pods[0], form="redis-hangs", in_progress=True, **facts)
    # kube-proxy may not send requests to a new Redis yet.
    new = state.changed_within(20, *pods)
    fail("probe-sees-nothing", pods[0], form="redis-hangs", in_progress=new, **facts)


def redis_hangs(answer: Answer) -> bool:
    """Whether the guestbook's answer at /readyz says that Redis does not answer in time."""
    return answer.error == "timeout" or (answer.text.startswith("Redis at redis") and "timed out" in answer.text)
