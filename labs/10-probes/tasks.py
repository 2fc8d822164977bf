"""Judging lab 10: what the probes brought about, from the timeline; why they did not, from what they ask and what the apps say of themselves."""

import re
from dataclasses import dataclass
from math import inf
from typing import Any

from checker.sdk import (
    KUBELET_EVENTS_DELAY,
    Answer,
    Failed,
    HiddenValue,
    NotReadyInterval,
    Object,
    Observation,
    Restart,
    State,
    Timeline,
    Traffic,
    counted,
    counted_seconds,
    describe_probe,
    describe_probe_timing,
    fail,
    fail_if_probe_cannot_run,
    least_seconds_to_fail,
    probe_failures,
    probe_handler,
    probe_result,
    read_answers,
    running_pods,
    seconds_to_fail_from_start,
    seconds_to_notice,
    task,
    unknown,
)

SICK_WITHIN = 15  # seconds in which a sick guestbook is to be noticed
BUSY_FOR = 8.0  # seconds that a Pod must be out of rotation so that the observer's stream can tell (see its GAP)
TO_LEAVE = 4.0  # seconds after a Pod stopped being ready in which it may still be sent requests
START, WORST_START = 12, 30  # seconds: how long the archive takes to start, and takes on a bad day
DEAD_WITHIN = 10  # seconds in which an archive that runs and is sick is to be noticed
EVENTS_LAST = 3000  # seconds after which the kubelet's events may be gone
SAYS_SICK = re.compile(r"\b500\b|\bsick\b")  # what a probe gets from a sick guestbook
SAYS_BUSY = re.compile(r"\b503\b|\bbusy\b")
SICK = "status 500"  # what the observer's stream notes of an answer from a sick guestbook
# What an archive that is ended too soon may look like as long as the kubelet's events have not come, on a busy machine.
OF_A_RESTART = (
    "container-ends",
    "container-crashes",
    "container-start-error",
    "liveness-probe-fails",
    "probe-times-out",
)
TRAFFIC = Traffic("guestbook", "/healthz")


@dataclass(frozen=True)
class Asked(Observation):
    """What every running Pod of the guestbook says of itself at /healthz and /readyz. Read as {"pod/page": Answer}."""

    deployment: str
    asked_by = "observer"

    def question(self, state: State) -> dict[str, Any] | None:
        deployment = state.find("Deployment", self.deployment)
        pods = [pod for pod in running_pods(state, deployment) if pod.status.get("podIP")] if deployment else []
        urls = {
            f"{pod.name}/{page}": f"http://{pod.status['podIP']}:8080/{page}"
            for pod in pods
            for page in ("healthz", "readyz")
        }
        return {"do": "each", "urls": urls}

    def read(self, seen: Any) -> dict[str, Answer]:
        return {key: read_answers([entry])[0] for key, entry in seen.items()}


ASKED = Asked("guestbook")


# -- what was seen ---------------------------------------------------------------------------------------------------


def main_container(deployment: Object) -> dict[str, Any]:
    """The container that the lab is about: the one of the app's own image, or the first."""
    named = [
        c for c in deployment.containers if c.get("image", "").rpartition("/")[2].startswith(("guestbook:", "redis:"))
    ]
    return (named or deployment.containers)[0]


def same_probe(state: State, deployment: Object, which: str) -> set[str]:
    """The uids of the ReplicaSets whose container is asked the same as that of the newest template: what happened to their Pods
    counts also when something else was changed since."""
    wanted = probe_handler(main_container(deployment).get(which) or {})
    return {
        rs.uid
        for rs in state.owned("ReplicaSet", deployment)
        if probe_handler(main_container(rs).get(which) or {}) == wanted and not rs.is_terminating
    }


def last_sick(timeline: Timeline, until: float, within: float = 120) -> tuple[float, float] | None:
    """The first and the last second of the latest time before `until` in which the guestbook said that it is sick."""
    seconds = [second for second in timeline.times_lost(SICK) if until - within < second <= until]
    if not seconds:
        return None
    begin = seconds[-1]
    for second in reversed(seconds):
        if begin - second > 5:
            break
        begin = second
    return begin, seconds[-1]


def told(state: State, of: Restart | NotReadyInterval, reason: str, words: str) -> str:
    """What the kubelet says of a Pod's probes in its events with these words, which may be gone by now."""
    pod = Object("Pod", {"metadata": {"name": of.pod, "uid": of.uid, "namespace": state.namespace}})
    messages = [event.get("message", "") for event in state.events(pod, reason)]
    return "\n".join(message for message in messages if words in message)


def killed(state: State, restart: Restart) -> bool:
    """Whether the kubelet says that it ended this Pod's container because of its liveness probe."""
    return bool(told(state, restart, "Killing", "failed liveness probe"))


def unknown_if_events_gone(state: State, pod: str, at: float) -> None:
    minutes = (state.now.timestamp() - at) / 60
    if minutes * 60 > EVENTS_LAST:
        unknown(
            "not-observed", f"What happened to Pod {pod} was {minutes:.0f} minutes ago, and the kubelet's events, which would tell why, may be gone. "
            "Do this step once more.", object=f"Pod/{pod}",
        )  # fmt: skip


# -- the guestbook ---------------------------------------------------------------------------------------------------


def guestbook(state: State, asked: dict[str, Answer]) -> Object:
    """The Deployment, its Pods running, and requests led to them. That one of them is sick or busy at the moment is no fault."""
    deployment = state.require("Deployment", "guestbook")
    try:
        state.require_working(deployment)
    except Failed as fault:
        pod = fault.object.partition("/")[2]
        says = {asked[key].text for key in (f"{pod}/healthz", f"{pod}/readyz") if key in asked}
        if fault.cause != "readiness-probe-fails" or not says & {"sick", "busy"}:
            # It says that it is not busy any more: its probe will hear that the next time it asks.
            fault.pending |= "ready" in says and sees(main_container(deployment).get("readinessProbe") or {}, "readyz")
            raise
    state.require_working(state.require("Service", "guestbook"))
    state.require_image(deployment, "guestbook:v1")
    return deployment


def newest_pods(state: State, deployment: Object) -> list[Object]:
    """The Pods that are asked the same as the newest template says, and are there to stay."""
    owners = same_probe(state, deployment, "livenessProbe") & same_probe(state, deployment, "readinessProbe")
    return [pod for pod in state.pods_of(deployment) if pod.owner_uids & owners]


def require_probe(deployment: Object, which: str) -> dict[str, Any]:
    """A probe of the Deployment's container: `livenessProbe` or `readinessProbe`."""
    container = main_container(deployment)
    probe = container.get(which)
    if probe:
        return probe
    word = which.removesuffix("Probe")
    cause = {"liveness": "no-liveness-probe", "readiness": "no-readiness-probe"}[word]
    nobody = {
        "liveness": "nobody restarts it while its process runs",
        "readiness": "it gets requests as long as its process runs",
    }[word]
    fail(
        cause, f"Container {container['name']} of Deployment {deployment.name} has no {word} probe: {nobody}, whatever it answers.",
        expected=f"a {word} probe", observed="none", object=deployment.ref, look=f"kubectl describe deployment {deployment.name}",
    )  # fmt: skip


def sees(probe: dict[str, Any], page: str) -> bool:
    """Whether a probe asks, in whatever way, for a page on which the guestbook says how it is."""
    asked = str((probe.get("httpGet") or {}).get("path", "")) + " ".join((probe.get("exec") or {}).get("command") or [])
    return page in asked


def asks_redis(probe: dict[str, Any]) -> bool:
    """Whether a probe's command asks Redis itself."""
    command = " ".join((probe.get("exec") or {}).get("command") or [])
    return any(word in command for word in ("redis-cli", "6379"))


def needs_others(probe: dict[str, Any]) -> bool:
    """Whether a probe asks for something that takes Redis (the pages /readyz and /entries, or Redis itself)."""
    asked = str((probe.get("httpGet") or {}).get("path", "")) + " ".join((probe.get("exec") or {}).get("command") or [])
    return any(word in asked for word in ("readyz", "entries", "redis", "6379"))


def fail_if_restarted_in_vain(state: State, timeline: Timeline, deployment: Object) -> None:
    """Raises Failed where the liveness probe restarted a guestbook that had not said that it is sick."""
    probe = main_container(deployment).get("livenessProbe") or {}
    if not needs_others(probe):
        return
    in_vain = [
        r for r in timeline.restarts(same_probe(state, deployment, "livenessProbe")) if not last_sick(timeline, r.at)
    ]
    if not in_vain:
        return
    pods = sorted({restart.pod for restart in in_vain})
    fail(
        "dependency-in-liveness",
        f"The liveness probe of Deployment guestbook ({describe_probe(probe)}) restarted {', '.join(pods)}, and none of them had said at "
        "/healthz that it was sick. What the probe asks for goes wrong also when the guestbook is busy, and when Redis does not answer.",
        expected="restarts of what is sick, and of nothing else", observed=f"{counted(len(in_vain), 'restart')} of {counted(len(pods), 'Pod')} that were well",
        object=deployment.ref, look=f"kubectl describe pod {pods[0]}",
    )  # fmt: skip


def sick_before(timeline: Timeline, restart: Restart) -> float | None:
    """Seconds from when the guestbook was first seen sick, while this Pod was there, until the restart; None where it was not."""
    sick = last_sick(timeline, restart.at, within=min(120, restart.at - timeline.first_ready(restart.uid)))
    return restart.at - sick[0] if sick else None


def probe_then(state: State, restart: Restart, now: dict[str, Any]) -> dict[str, Any]:
    """The liveness probe that a container had when it was restarted, which may have been more patient, or less, than now."""
    made_by = next((rs for rs in state.all("ReplicaSet") if rs.uid == restart.owner), None)
    return (main_container(made_by).get("livenessProbe") or now) if made_by else now


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
    unasked = [a for a in spared if a.pod not in timeline.hosts_between(a.begin + TO_LEAVE, a.end - 0.5)]
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


def lasted(absence: NotReadyInterval) -> float:
    return (absence.end or absence.begin) - absence.begin


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


# -- Redis -----------------------------------------------------------------------------------------------------------


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


# -- the archive -----------------------------------------------------------------------------------------------------


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
