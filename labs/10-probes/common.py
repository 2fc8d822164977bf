"""What several tasks of lab 10 look at.

That is the probes, the guestbook's pages /healthz and /readyz, the timeline, and the kubelet's events.
"""

from dataclasses import dataclass
from typing import Any

from checker.sdk import (
    Answer,
    AnswerShape,
    Failed,
    ImageName,
    NotReadyInterval,
    Object,
    Observation,
    PlainState,
    Ref,
    Restart,
    State,
    Timeline,
    Traffic,
    describe_probe,
    fail,
    probe_handler,
    read_answers,
    running_pods,
    unknown,
)

EVENTS_LAST = 3000  # seconds after which the kubelet's events may be gone
SHELLS = ("sh", "bash", "dash")
SICK = "status 500"  # what the observer's stream notes of an answer from a sick guestbook
TRAFFIC = Traffic("guestbook", "/healthz")


@dataclass(frozen=True)
class GuestbookAnswers(Observation[dict[str, Answer]]):
    """What every running Pod of the guestbook answers at /healthz and /readyz. Read as {"pod/page": Answer}."""

    deployment: str
    observed_by = "observer"
    shapes = (dict[str, AnswerShape],)

    def question(self, state: PlainState) -> dict[str, Any] | None:
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


ANSWERS = GuestbookAnswers("guestbook")


def main_container(deployment: Object) -> dict[str, Any]:
    """The container with the image of the guestbook or of Redis; the first container where none has one."""
    named = [
        c
        for c in deployment.containers
        if ImageName.parse(c.get("image", "")).without_path.startswith(("guestbook:", "redis:"))
    ]
    return (named or deployment.containers)[0]


def same_probe(state: State, deployment: Object, which: str) -> set[str]:
    """The uids of the ReplicaSets whose container has the same handler in a probe (`which`) as the newest template.

    What happened to their Pods still counts after a change of something else.
    """
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


def event_messages(state: State, of: Restart | NotReadyInterval, reason: str, words: str) -> str:
    """The messages of the kubelet's events on a Pod with this reason and these words, one a line."""
    return "\n".join(event["message"] for event in events_of(state, of, reason, words))


def events_of(state: State, of: Restart | NotReadyInterval, reason: str, words: str) -> list[dict[str, Any]]:
    """The kubelet's events on a Pod with this reason and these words. Events may be gone by now."""
    pod = Object("Pod", {"metadata": {"name": of.pod, "uid": of.uid, "namespace": state.namespace}})
    return [event for event in state.events(pod, reason) if words in event.get("message", "")]


def killed(state: State, restart: Restart) -> bool:
    """Whether an event of the kubelet says that it ended this Pod's container because of its liveness probe."""
    return bool(event_messages(state, restart, "Killing", "failed liveness probe"))


def seen_to_fail(state: State, restart: Restart, probe: dict[str, Any]) -> bool:
    """Whether a liveness probe failed before this restart, if it had the time to fail.

    A command of the learner's own may hide that it failed: `redis-cli ping | cat`. Then the kubelet's events must tell
    of failureThreshold failures, or the events may be gone by now. One failure is too few: a command also fails where
    its container ends meanwhile.
    """
    command = (probe.get("exec") or {}).get("command") or []
    own_code = "-c" in command or any(word.rpartition("/")[2] in SHELLS for word in command)
    if not own_code or state.now.timestamp() - restart.at > EVENTS_LAST:
        return True
    failures = sum(event.get("count") or 1 for event in events_of(state, restart, "Unhealthy", "Liveness probe failed"))
    return failures >= probe_then(state, restart, probe).get("failureThreshold", 3)


def unknown_if_events_gone(state: State, pod: str, at: float) -> None:
    """Raises Unknown where the kubelet's events from that second (since 1970) on may be gone."""
    seconds = state.now.timestamp() - at
    if seconds > EVENTS_LAST:
        unknown("not-observed", Ref("Pod", pod, state.namespace), form="events-expired", minutes=round(seconds / 60))


def guestbook(state: State, answers: dict[str, Answer]) -> Object:
    """The Deployment, with Pods that run and a Service that sends requests to them.

    Raises Failed where something is wrong. A Pod that is sick or busy at the moment is no fault.
    """
    deployment = state.require("Deployment", "guestbook")
    try:
        state.require_working(deployment)
    except Failed as end:
        fault = end.fault
        pod = fault.object.name
        texts = {answers[key].text for key in (f"{pod}/healthz", f"{pod}/readyz") if key in answers}
        if fault.cause != "readiness-probe-fails" or not texts & {"sick", "busy"}:
            # The Pod answers that it is not busy any more: its next readiness probe succeeds.
            free = "ready" in texts and sees(main_container(deployment).get("readinessProbe") or {}, "readyz")
            raise Failed(fault.but(in_progress=fault.in_progress or free)) from end
    state.require_working(state.require("Service", "guestbook"))
    state.require_image(deployment, "guestbook:v1")
    return deployment


def require_probe(deployment: Object, which: str) -> dict[str, Any]:
    """A probe of the Deployment's container: `livenessProbe` or `readinessProbe`. Raises Failed where it has none."""
    container = main_container(deployment)
    probe = container.get(which)
    if probe:
        return probe
    if which == "livenessProbe":
        fail("no-liveness-probe", deployment, container=container["name"])
    fail("no-readiness-probe", deployment, container=container["name"])


def sees(probe: dict[str, Any], page: str) -> bool:
    """Whether the path or the command of a probe names a page of the guestbook, such as `healthz`."""
    target = str((probe.get("httpGet") or {}).get("path", "")) + " ".join(
        (probe.get("exec") or {}).get("command") or []
    )
    return page in target


def asks_redis(probe: dict[str, Any]) -> bool:
    """Whether a probe's command connects to Redis."""
    command = " ".join((probe.get("exec") or {}).get("command") or [])
    return any(word in command for word in ("redis-cli", "6379"))


def needs_others(probe: dict[str, Any]) -> bool:
    """Whether a probe needs Redis: it asks for the page /readyz or /entries, or connects to Redis."""
    target = str((probe.get("httpGet") or {}).get("path", "")) + " ".join(
        (probe.get("exec") or {}).get("command") or []
    )
    return any(word in target for word in ("readyz", "entries", "redis", "6379"))


def fail_if_restarted_in_vain(state: State, timeline: Timeline, deployment: Object) -> None:
    """Raises Failed where the liveness probe restarted a guestbook that had not answered that it is sick."""
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
        deployment,
        form="healthy-restarted",
        probe=describe_probe(probe),
        restarts=len(in_vain),
        pods=pods,
        pod=pods[0],
    )


def probe_then(state: State, restart: Restart, now: dict[str, Any]) -> dict[str, Any]:
    """The liveness probe that a container had when it was restarted. Its times may differ from those of `now`."""
    made_by = next((rs for rs in state.all("ReplicaSet") if rs.uid == restart.owner), None)
    return (main_container(made_by).get("livenessProbe") or now) if made_by else now


def lasted(absence: NotReadyInterval) -> float:
    """How many seconds a Pod was not ready."""
    return (absence.end or absence.begin) - absence.begin
