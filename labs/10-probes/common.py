"""What several tasks of lab 10 look at: the probes, what the guestbook says of itself, and what the timeline and the kubelet's events tell."""

from dataclasses import dataclass
from typing import Any

from checker.sdk import (
    Answer,
    Failed,
    NotReadyInterval,
    Object,
    Observation,
    PlainState,
    Restart,
    State,
    Timeline,
    Traffic,
    counted,
    describe_probe,
    fail,
    probe_handler,
    read_answers,
    running_pods,
    unknown,
)

EVENTS_LAST = 3000  # seconds after which the kubelet's events may be gone
SICK = "status 500"  # what the observer's stream notes of an answer from a sick guestbook
TRAFFIC = Traffic("guestbook", "/healthz")


@dataclass(frozen=True)
class Asked(Observation[dict[str, Answer]]):
    """What every running Pod of the guestbook says of itself at /healthz and /readyz. Read as {"pod/page": Answer}."""

    deployment: str
    asked_by = "observer"

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


ASKED = Asked("guestbook")


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


def probe_then(state: State, restart: Restart, now: dict[str, Any]) -> dict[str, Any]:
    """The liveness probe that a container had when it was restarted, which may have been more patient, or less, than now."""
    made_by = next((rs for rs in state.all("ReplicaSet") if rs.uid == restart.owner), None)
    return (main_container(made_by).get("livenessProbe") or now) if made_by else now


def lasted(absence: NotReadyInterval) -> float:
    return (absence.end or absence.begin) - absence.begin
