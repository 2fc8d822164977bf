"""Judging lab 05: the number of Pods from the objects; what was lost and replaced, and how scaling went, from the timeline."""

from math import inf

from checker.sdk import NotPassed, Object, Scaling, State, Timeline, Traffic, counted, fail, task, unknown

TRAFFIC = Traffic("guestbook", "/hostname")
SETTLE = 2.0  # seconds after the last replica's first answer in which a loss still counts
PATIENCE = 30.0  # seconds within which every ready Pod has long been sent a request


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
        timeline.require_watched(state)
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
    state.fail_for_other_backends(service, deployment, set())
    scalings = [s for s in timeline.scalings(deployment) if 1 <= s.before < 5 <= s.after]
    served = [s for s in scalings if timeline.hosts_between(s.at - 5, s.at)]
    if not served:
        timeline.require_watched(state)
        fail(
            "never-scaled",
            "This Deployment guestbook was not seen being scaled from fewer than five replicas to five or more while it was answering requests.",
            expected="fewer replicas that answer, then at least 5",
            observed="a change while nothing answered"
            if scalings
            else "no such change, in " + duration(timeline, deployment.created.timestamp()),
            object=deployment.ref,
        )
    # Once without a loss is enough, whatever is tried afterwards; where there is none, the last one is told of.
    for scaling in served:
        try:
            return require_no_loss(state, timeline, deployment, service, scaling)
        except NotPassed:
            if scaling is served[-1]:
                raise


def require_no_loss(state: State, timeline: Timeline, deployment: Object, service: Object, scaling: Scaling) -> None:
    """Raises Failed if requests were lost on the way to these replicas, or others answered; Unknown while not all of them have answered."""
    finished = timeline.all_answer(deployment, min(scaling.after, deployment.spec["replicas"]), scaling.at)
    timeline.fail_for_other_backends(deployment, scaling.at, finished + SETTLE, replicas=int(scaling.after))
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
    if timeline.until < finished + SETTLE:
        silent = [pod for pod in state.ready_pods(deployment) if timeline.first_answer(pod.name, 0) == inf]
        if finished == inf:
            fail_if_left_out(timeline, service, silent)
        unknown(
            "not-observed",
            "The observer is still waiting for an answer from every new replica.",
            expected="answers from all",
            observed=f"none yet from {names(silent)}" if silent else "all answer, for a moment only",
            object=deployment.ref,
            pending=True,
        )


def fail_if_left_out(timeline: Timeline, service: Object, silent: list[Object]) -> None:
    """Raise Failed if some of these Pods, none of which has answered, have been ready for so long that they are sent nothing."""
    left_out = [pod for pod in silent if 0 < timeline.first_ready(pod.uid) < timeline.until - PATIENCE]
    if not left_out:
        return
    evidence = {"expected": "answers from all", "observed": f"none from {names(left_out)}", "object": service.ref}
    story = (
        f"{names(left_out)} did not answer one of the observer's requests, though ready for more than {PATIENCE:.0f} s"
    )
    if service.spec.get("sessionAffinity") == "ClientIP":
        fail("service-sticks-to-clients", f"{story}. Service guestbook has sessionAffinity ClientIP.", **evidence)
    fail("replica-gets-no-traffic", f"{story}.", **evidence)


def names(pods: list[Object]) -> str:
    return ", ".join(sorted(pod.name for pod in pods))


def duration(timeline: Timeline, since: float = 0) -> str:
    seconds = timeline.until - max(timeline.since, since)
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
