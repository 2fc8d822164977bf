"""Judging lab 05: the number of Pods and who answers for the Service, a replaced Pod, and a scaling that loses nothing.

The first comes from the objects, and everything else from the timeline.
"""

from math import inf
from typing import Any

from checker.sdk import (
    ImageName,
    NotPassed,
    Object,
    Redacted,
    Replacement,
    Scaling,
    State,
    Timeline,
    Traffic,
    fail,
    task,
    unknown,
)

TRAFFIC = Traffic("guestbook", "/hostname")
SLOW = 4  # seconds that the app takes to start: STARTUP_SECONDS in files/guestbook.yaml
REPLICAS = 5  # as many as the Deployment is scaled to
SETTLE = 2.0  # seconds after the last replica's first answer in which a loss still counts
SKEW = 1.0  # seconds by which the observer may see one kind of object later than another one
PATIENCE = 30.0  # seconds within which every ready Pod has long been sent a request


def guestbook(state: State) -> Object:
    """The Deployment, working, with the app in it."""
    deployment = state.require("Deployment", "guestbook")
    state.require_working(deployment)
    state.require_image(deployment, "guestbook:v1")
    fail_if_made_fast(state, deployment)
    return deployment


def fail_if_made_fast(state: State, deployment: Object, replicaset: Object | None = None) -> None:
    """Raise Failed where the app starts faster than in the manifest that the learner was given.

    replicaset: one of the Deployment's, whose Pods became ready while it was scaled. Without it, the Deployment's Pod
    template counts.
    """
    template = replicaset or deployment
    for container in app_containers(template):
        value = state.env(template, container).get("STARTUP_SECONDS", "")
        if isinstance(value, Redacted):
            unknown("not-observed", deployment, form="start-not-readable", start=SLOW)
        if not is_slow(value):
            form = "while-scaled" if replicaset else ""
            fail("slow-start-removed", deployment, form=form, value=value, start=SLOW)


def app_containers(template: Object) -> list[dict[str, Any]]:
    """The containers of a Pod template that run the app: a sidecar may run another program of the same image.

    If no command shows that it starts the app, these are all containers of the image.
    """
    of_image = [c for c in template.containers if ImageName.parse(c["image"]).without_path == "guestbook:v1"]
    return [c for c in of_image if starts_app(c)] or of_image


def starts_app(container: dict[str, Any]) -> bool:
    """Whether a container starts the app: the command of its image does, and so does a command that names app.py."""
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    return not words or any("app.py" in word for word in words)


def is_slow(seconds: str) -> bool:
    """Whether a value of STARTUP_SECONDS is a number, and no smaller than in the learner's manifest."""
    try:
        return float(seconds) >= SLOW
    except ValueError:
        return False


@task("three-replicas")
def three_replicas_run(state: State) -> None:
    deployment = guestbook(state)
    require_replicas(state, deployment, 3)
    state.fail_for_other_backends(working_service(state), deployment, set())


def working_service(state: State) -> Object:
    service = state.require("Service", "guestbook")
    state.require_working(service)
    return service


def require_replicas(state: State, deployment: Object, wanted: int) -> None:
    ready = state.ready_pods(deployment)
    if len(ready) < wanted:
        replicas = deployment.spec.get("replicas", 1)
        fail("too-few-replicas", deployment, replicas=replicas, ready=len(ready), wanted=wanted)


@task("one-replaced", observe=TRAFFIC)
def a_lost_pod_is_replaced(state: State, timeline: Timeline) -> None:
    deployment = guestbook(state)
    changed = None
    for lost in timeline.replacements("guestbook"):
        changed = changed_meanwhile(timeline, deployment, lost)
        if changed is None:
            return
    timeline.require_watched(state)
    if changed:
        facts = {"before": changed.before, "after": changed.after}
        fail("pod-never-replaced", deployment, form="scaled-meanwhile", **facts)
    fail("pod-never-replaced", deployment, **watched(timeline))


def changed_meanwhile(timeline: Timeline, deployment: Object, lost: Replacement) -> Scaling | None:
    """The first change of the number of replicas between the deletion of a Pod and the time at which its successor was
    ready; None if there was none.

    The observer sees Pods and Deployments by two watches, so a change in the last moment does not count.
    """
    changes = timeline.replica_changes(deployment)
    return next((change for change in changes if lost.deleted < change.at < lost.ready - SKEW), None)


@task("scaled-without-loss", observe=TRAFFIC)
def scaling_loses_no_request(state: State, timeline: Timeline) -> None:
    deployment = guestbook(state)
    service = working_service(state)
    require_replicas(state, deployment, REPLICAS)
    state.fail_for_other_backends(service, deployment, set())
    scalings = [s for s in timeline.scalings(deployment) if 1 <= s.before < REPLICAS <= s.after]
    served = [s for s in scalings if timeline.hosts_between(s.at - 5, s.at)]
    if not served:
        timeline.require_watched(state)
        form = "unanswered" if scalings else ""
        since = deployment.created.timestamp()
        fail("never-scaled", deployment, form=form, wanted=REPLICAS, **watched(timeline, since))
    # One scaling without a loss is enough, whatever is tried afterwards. Without such a scaling, the last one is told.
    for scaling in served:
        try:
            return require_no_loss(state, timeline, deployment, service, scaling)
        except NotPassed:
            if scaling is served[-1]:
                raise


def require_no_loss(state: State, timeline: Timeline, deployment: Object, service: Object, scaling: Scaling) -> None:
    """Raises Failed if requests were lost while the Deployment was scaled, if other Pods answered, or if the new Pods
    started fast.

    Raises Unknown while not all replicas have answered.
    """
    finished = timeline.all_answer(deployment, min(scaling.after, deployment.spec["replicas"]), scaling.at)
    timeline.fail_for_other_backends(deployment, scaling.at, finished + SETTLE, replicas=int(scaling.after))
    # The Pod template may have been changed since: the ReplicaSets keep the one of that time.
    sets = timeline.sets_made_ready(state.owned("ReplicaSet", deployment), scaling.at, finished + SETTLE)
    lost = timeline.lost_between(scaling.at, finished + SETTLE)
    if lost:
        facts = {
            "service": service.name,
            "before": scaling.before,
            "after": scaling.after,
            "lost": sum(lost.values()),
            "errors": lost,
        }
        for rs in sets:
            bare = [c["name"] for c in app_containers(rs) if not c.get("readinessProbe")]
            if bare:
                fail("no-readiness-probe", deployment, container=bare[0], replicaset=rs.name, **facts)
        fail("requests-lost", deployment, **facts)
    for rs in sets:
        fail_if_made_fast(state, deployment, rs)
    if timeline.until < finished + SETTLE:
        silent = [pod for pod in state.ready_pods(deployment) if timeline.first_answer(pod.name, 0) == inf]
        if finished == inf:
            fail_if_left_out(timeline, service, silent)
        if silent:
            unknown("not-observed", deployment, form="no-answer-yet", in_progress=True, pods=names(silent))
        unknown("not-observed", deployment, form="last-answer-new", in_progress=True)


def fail_if_left_out(timeline: Timeline, service: Object, silent: list[Object]) -> None:
    """Raises Failed if some of these Pods, which have answered no request, have been ready for more than PATIENCE."""
    left_out = [pod for pod in silent if 0 < timeline.first_ready(pod.uid) < timeline.until - PATIENCE]
    if not left_out:
        return
    if service.spec.get("sessionAffinity") == "ClientIP":
        fail("service-sticks-to-clients", service, pods=names(left_out), seconds=round(PATIENCE))
    fail("replica-gets-no-traffic", service, pods=names(left_out), seconds=round(PATIENCE))


def names(pods: list[Object]) -> list[str]:
    return sorted(pod.name for pod in pods)


def watched(timeline: Timeline, since: float = 0) -> dict[str, int | None]:
    """How long the observer has watched since `since` (seconds since 1970): in minutes, or in seconds below 2 min."""
    seconds = timeline.until - max(timeline.since, since)
    long = seconds >= 120
    return {"minutes": round(seconds / 60) if long else None, "seconds": None if long else round(seconds)}
