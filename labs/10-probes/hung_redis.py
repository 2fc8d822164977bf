"""A Redis that hangs is restarted, and the guestbook is not."""

from math import inf
from typing import Any

from checker.sdk import (
    KUBELET_EVENTS_DELAY,
    Answer,
    Object,
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
    ASKED,
    TRAFFIC,
    asks_redis,
    fail_if_restarted_in_vain,
    killed,
    main_container,
    probe_then,
    require_probe,
    same_probe,
    unknown_if_events_gone,
)


@task("hung-restarted", observe=(TRAFFIC, ASKED))
def hung_redis_is_restarted(state: State, timeline: Timeline, asked: dict[str, Answer]) -> None:
    deployment = state.require("Deployment", "redis")
    state.require_image(deployment, "redis:8")
    liveness = require_probe(deployment, "livenessProbe")
    readiness = require_probe(deployment, "readinessProbe")
    container = main_container(deployment)
    state.require_working(deployment)
    for pod in state.pods_of(deployment):
        fail_if_probe_cannot_run(state, pod, container, "liveness")
    evidence = {"object": deployment.ref, "look": "kubectl describe deployment redis"}
    fail_if_hung_unnoticed(state, deployment, asked, liveness)
    for word, probe, kind, way in (
        ("liveness", liveness, "exec", "a command"),
        ("readiness", readiness, "tcpSocket", "a TCP connection"),
    ):
        if kind not in probe and not (word == "readiness" and kind in (container.get("startupProbe") or {})):
            fail(
                "probe-of-another-kind", f"The {word} probe of Deployment redis is: {describe_probe(probe)}.",
                expected=f"a {word} probe by {way}", observed=describe_probe(probe), **evidence,
            )  # fmt: skip
    restarts = timeline.restarts(same_probe(state, deployment, "livenessProbe"))
    front = state.find("Deployment", "guestbook")
    if front:
        fail_if_restarted_in_vain(state, timeline, front)
    asks = asks_redis(liveness)
    for restart in restarts:
        hung = hung_before(timeline, restart, front)
        if (killed(state, restart) and (asks or hung)) or (
            asks and hung and hung >= least_seconds_to_fail(probe_then(state, restart, liveness))
        ):
            return
    timeline.require_watched(state)
    if restarts := [restart for restart in restarts if restart.had_been_ready]:
        last = restarts[-1]
        settled = killed(state, last) or ended_by_itself(state, last, container)
        if not settled:
            unknown_if_events_gone(state, last.pod, last.at)
        evidence = {
            "expected": "a restart by the liveness probe, because Redis hung",
            "object": f"Pod/{last.pod}",
            "look": f"kubectl describe pod {last.pod}",
        }
        pending = not settled and state.now.timestamp() - last.at < KUBELET_EVENTS_DELAY
        if not asks:
            fail(
                "probe-sees-nothing", f"The container of Pod {last.pod} was restarted, and nothing tells that it was because Redis hung. Its liveness probe: {describe_probe(liveness)}.",
                observed="a restart for another reason", pending=pending, **evidence,
            )  # fmt: skip
        fail(
            "restarted-otherwise", f"The container of Pod {last.pod} was restarted, and the kubelet does not say that it was for its liveness probe.",
            observed="a restart for another reason", pending=pending, **evidence,
        )  # fmt: skip
    for pod in state.pods_of(deployment):
        words = [probe_result(event["message"]) for event in probe_failures(state, pod, container, "liveness")]
        if late := [answer for answer in words if "timed out" in answer]:
            fail(
                "probe-too-slow", f"The liveness probe of Pod {pod.name} ({describe_probe(liveness)}) failed, and Redis was well again before its container was "
                f"restarted: {late[0]}", expected="a Redis that hung, and was restarted", observed="no restart",
                object=pod.ref, look=f"kubectl describe pod {pod.name}",
            )  # fmt: skip
    fail(
        "never-provoked", f"Deployment redis has a liveness probe ({describe_probe(liveness)}), and its container has not been restarted since it was added.",
        expected="a Redis that hung, and was restarted", observed="no restart", object=deployment.ref, look="kubectl get pods",
    )  # fmt: skip


def hung_before(timeline: Timeline, restart: Restart, front: Object | None) -> float:
    """Seconds, at most, for which Redis gave the guestbook no answer while its process was still there: it hung, and did not end. 0: it did not."""
    down = min(
        [a.begin for a in timeline.absences() if a.uid == restart.uid and a.begin <= restart.at <= (a.end or inf)],
        default=restart.at,
    )
    if not front:
        return 0
    missed = [a for a in timeline.absences() if a.pod.startswith(f"{front.name}-") and not a.restarted]
    lasted = [down - a.begin for a in missed if down - 60 < a.begin < down - 2 and (a.end or inf) > down]
    readiness = main_container(front).get("readinessProbe") or {}
    return max(lasted) + seconds_to_notice(readiness) + readiness.get("timeoutSeconds", 1) if lasted else 0


def ended_by_itself(state: State, restart: Restart, container: dict[str, Any]) -> bool:
    """Whether Redis' last words show that nobody asked its process to end from outside."""
    said = state.logs.get(f"{restart.pod}/{container['name']}", "")
    return "requested shutdown" in said and "SIGTERM" not in said


def fail_if_hung_unnoticed(state: State, deployment: Object, asked: dict[str, Answer], probe: dict[str, Any]) -> None:
    """Redis gives the guestbook no answer, and its own probe finds nothing wrong with it."""
    silent = [
        key.partition("/")[0] for key, answer in asked.items()
        if key.endswith("/readyz") and (answer.error == "timeout" or (answer.text.startswith("Redis at redis") and "timed out" in answer.text))
    ]  # fmt: skip
    pods = [pod for pod in state.pods_of(deployment) if pod.is_ready]
    if not silent or not pods:
        return
    blind = not asks_redis(probe)
    fail(
        "probe-sees-nothing" if blind else "probe-too-slow", f"Redis gives the guestbook no answer (asked by Pod {sorted(silent)[0]} at /readyz), and Pod {pods[0].name} has not been restarted. "
        f"Its liveness probe: {describe_probe(probe)}.",
        expected="the liveness probe fails", observed="it goes well" if blind else "not restarted yet", object=pods[0].ref,
        # A new Redis: the nodes' proxies may not lead to it yet.
        look=f"kubectl describe pod {pods[0].name}", pending=not blind or state.changed_within(20, *pods),
    )  # fmt: skip
