"""Judging lab 05: the number of Pods from the objects; what was lost and replaced, and how scaling went, from the timeline."""

from checker import Object, State, Timeline, Traffic, fail, task, unknown
from checker.judge.names import counted

TRAFFIC = Traffic("guestbook", "/hostname")
SETTLE = 2.0  # seconds after the last replica's first answer in which a loss still counts


def guestbook(state: State) -> Object:
    """The Deployment, working, with the app in it."""
    deployment = state.require("Deployment", "guestbook")
    state.require_working(deployment)
    state.require_image(deployment, "guestbook:v1")
    return deployment


@task("three-replicas")
def three_replicas_run(state: State) -> None:
    deployment = guestbook(state)
    require_replicas(state, deployment, 3)


def require_replicas(state: State, deployment: Object, wanted: int) -> None:
    ready = state.ready_pods(deployment)
    if len(ready) < wanted:
        fail(
            "too-few-replicas",
            f"Deployment guestbook asks for {counted(deployment.spec.get('replicas', 1), 'replica')}; ready: {len(ready)}.",
            expected=f"at least {wanted}",
            observed=str(len(ready)),
            object=deployment.ref,
        )


@task("one-replaced", observe=TRAFFIC)
def a_lost_pod_is_replaced(state: State, timeline: Timeline) -> None:
    deployment = guestbook(state)
    state.require_working(state.require("Service", "guestbook"))
    if not timeline.replacements("guestbook"):
        require_watched(state, timeline)
        fail(
            "pod-never-replaced",
            "No Pod of Deployment guestbook was seen being deleted and replaced since the lab was started.",
            expected="a running Pod deleted, and a new one ready in its place",
            observed="none, in " + duration(timeline),
            object=deployment.ref,
        )


@task("scaled-without-loss", observe=TRAFFIC)
def scaling_loses_no_request(state: State, timeline: Timeline) -> None:
    deployment = guestbook(state)
    service = state.require("Service", "guestbook")
    state.require_working(service)
    require_replicas(state, deployment, 5)
    scalings = [s for s in timeline.scalings("guestbook") if s.after >= 5 and s.before >= 1]
    served = [s for s in scalings if timeline.hosts_between(s.at - 5, s.at)]
    if not served:
        require_watched(state, timeline)
        fail(
            "never-scaled",
            "Deployment guestbook was not seen being scaled to five or more while it was answering requests.",
            expected="fewer replicas that answer, then at least 5",
            observed="a change while nothing answered" if scalings else "no such change, in " + duration(timeline),
            object=deployment.ref,
        )
    scaling = served[-1]
    answering = timeline.hosts_between(scaling.at, timeline.until)
    silent = {pod.name for pod in state.ready_pods(service)} - answering
    finished = max((timeline.first_answer(host, scaling.at) for host in answering), default=timeline.until)
    lost = timeline.lost_between(scaling.at, finished + SETTLE)
    if lost:
        fail(
            "requests-lost",
            f"{sum(lost.values())} requests to Service guestbook were lost while Deployment guestbook went from {scaling.before} "
            f"to {scaling.after} replicas ({', '.join(f'{count} {error}' for error, count in sorted(lost.items()))}).",
            expected="every request answered",
            observed=f"{sum(lost.values())} lost",
            object=deployment.ref,
            look="kubectl describe deployment guestbook",
        )
    if silent or timeline.until < finished + SETTLE:
        unknown(
            "not-observed",
            "The observer is still waiting for an answer from every new replica.",
            expected="answers from all",
            observed=f"none yet from {', '.join(sorted(silent))}" if silent else "all answer, for a moment only",
            object=deployment.ref,
            pending=True,
        )


def require_watched(state: State, timeline: Timeline) -> None:
    """What was not seen did not happen only if the observer was looking all the time."""
    missed = timeline.since - state.started.timestamp() if state.started else 0.0
    if missed > 60:
        unknown(
            "not-observed",
            f"The observer has been looking for {duration(timeline)} only: it was restarted after the lab was started. "
            "Do this step once more.",
            object="Deployment/guestbook",
        )


def duration(timeline: Timeline) -> str:
    seconds = timeline.until - timeline.since
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
