"""Judging lab 06: the version that runs, how it was rolled out, and lost requests.

The version comes from the objects, and everything else from the timeline.
"""

from checker.sdk import Object, Rollout, State, Timeline, Traffic, fail, task, unknown

TRAFFIC = Traffic("guestbook", "/version")


def guestbook_on(state: State, timeline: Timeline, version: str) -> Object:
    """The Deployment, all of it on this version, and alone behind its Service."""
    deployment = state.require("Deployment", "guestbook")
    state.require_working(deployment)
    state.require_image(deployment, f"guestbook:{version}")
    service = state.require("Service", "guestbook")
    state.require_working(service)
    state.fail_for_other_backends(service, deployment, set())
    answering = timeline.versions({pod.name for pod in state.ready_pods(deployment)})
    if others := sorted(answering.keys() - {version}):
        image = f"guestbook:{version}"
        fail("wrong-image", deployment, form="answers", image=image, version=version, versions=others)
    return deployment


@task("updated", observe=TRAFFIC)
def update_lost_nothing(state: State, timeline: Timeline) -> None:
    deployment = guestbook_on(state, timeline, "v2")
    if not has_run(state, timeline, deployment, "guestbook:v1"):
        timeline.require_watched(state)
        seconds = round(state.age(deployment.created))
        fail("no-earlier-revision", deployment, image="guestbook:v1", seconds=seconds)
    rollout = require_rollout(state, timeline, deployment, "v2", "v1")
    fail_if_lost(state, timeline, deployment, rollout)


@task("rolled-back", observe=TRAFFIC)
def bad_release_was_rolled_back(state: State, timeline: Timeline) -> None:
    deployment = guestbook_on(state, timeline, "v2")
    served = timeline.versions().get("v3")
    if not has_run(state, timeline, deployment, "guestbook:v3"):
        timeline.require_watched(state)
        fail("never-released", deployment, image="guestbook:v3")
    rollout = require_rollout(state, timeline, deployment, "v3", "v2")
    if served and served[1] >= rollout.begin:
        seconds = round(served[1] - served[0])
        fail("bad-version-served", deployment, form="answered", version="v3", seconds=seconds)
    if ready := [
        pod["name"] for pod in timeline.pods_rolled_out("guestbook", "guestbook:v3", rollout.begin) if pod["ready"]
    ]:
        fail("bad-version-served", deployment, form="ready", image="guestbook:v3", pods=sorted(ready))
    back = timeline.rollback("guestbook", "guestbook:v2", "guestbook:v3", rollout.begin)
    if back:
        rollout = Rollout(rollout.begin, max(rollout.end, back.end))
        require_over(timeline, deployment, rollout, "v3")
    fail_if_lost(state, timeline, deployment, rollout)


def has_run(state: State, timeline: Timeline, deployment: Object, image: str) -> bool:
    """Whether this Deployment ever ran an image.

    A Deployment keeps its ReplicaSets for revisionHistoryLimit revisions only.
    """
    return any(rs.runs(image) for rs in state.owned("ReplicaSet", deployment)) or timeline.has_run(deployment, image)


def require_rollout(state: State, timeline: Timeline, deployment: Object, version: str, since: str) -> Rollout:
    """The last rollout of the Deployment from `since` to `version`, after its end.

    Raises Failed if other Pods answered during the rollout, or if it never began at `since`. Raises Unknown before its
    end, or where the observer has not seen it.
    """
    rollout = timeline.last_rollout("guestbook", f"guestbook:{version}", since=f"guestbook:{since}")
    if rollout is None:
        timeline.require_watched(state)
        if timeline.last_rollout("guestbook", f"guestbook:{version}"):
            fail("released-out-of-order", deployment, version=version, since=since)
        unknown("not-observed", deployment, form="rollout-not-seen", in_progress=True, version=version)
    require_over(timeline, deployment, rollout, version)
    return rollout


def require_over(timeline: Timeline, deployment: Object, rollout: Rollout, version: str) -> None:
    """Raises Failed if other Pods than the Deployment's answered during a rollout, and Unknown before its end."""
    if timeline.until < rollout.end:
        unknown("not-observed", deployment, form="old-pod-terminating", in_progress=True)
    timeline.fail_for_other_backends(deployment, rollout.begin, rollout.end, version=version)


def fail_if_lost(state: State, timeline: Timeline, deployment: Object, rollout: Rollout) -> None:
    lost = timeline.lost_between(rollout.begin, rollout.end)
    if not lost:
        return
    number = sum(lost.values())
    strategy = deployment.spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        fail("strategy-recreate", deployment, lost=number, errors=lost)
    allowed = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", "25%")
    replicas = deployment.spec.get("replicas", 1)
    if (int(allowed[:-1]) * replicas // 100 if isinstance(allowed, str) else allowed) >= replicas:
        facts = {"max_unavailable": allowed, "replicas": replicas}
        fail("strategy-allows-outage", deployment, lost=number, errors=lost, **facts)
    bare = [c["name"] for c in deployment.containers if not c.get("readinessProbe")]
    if bare:
        fail("no-readiness-probe", deployment, lost=number, errors=lost, container=bare[0])
    fail("requests-lost", deployment, lost=number, errors=lost)
