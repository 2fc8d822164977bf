"""Judging lab 06: the version that runs, how it was rolled out, and lost requests.

The version comes from the objects, and everything else from the timeline.
"""

from checker.sdk import Object, Rollout, State, Timeline, Traffic, fail, task, unknown

TRAFFIC = Traffic("guestbook", "/version")
BAD = "guestbook:v3"
HALT = 10.0  # seconds for which a rollout must stand still. The app needs six of them to start
JUST_BEFORE = 0.5  # seconds. The observer learns of Pods and of ReplicaSets by two watches
# Reasons of the kubelet's events on a Pod whose container does not start.
NOT_STARTED = ("Failed", "BackOff", "InspectFailed")


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
    if not has_run(state, timeline, deployment, BAD):
        timeline.require_watched(state)
        fail("never-released", deployment, image=BAD)
    rollout = require_rollout(state, timeline, deployment, "v3", "v2")
    if served and served[1] >= rollout.begin:
        seconds = round(served[1] - served[0])
        fail("bad-version-served", deployment, form="answered", version="v3", seconds=seconds)
    if ready := [pod["name"] for pod in timeline.pods_rolled_out("guestbook", BAD, rollout.begin) if pod["ready"]]:
        fail("bad-version-served", deployment, form="ready", image=BAD, pods=sorted(ready))
    require_halt(state, timeline, deployment, rollout)
    back = timeline.rollback("guestbook", "guestbook:v2", BAD, rollout.begin)
    if back:
        rollout = Rollout(rollout.begin, max(rollout.end, back.end))
        require_over(timeline, deployment, rollout, "v3")
    fail_if_lost(state, timeline, deployment, rollout)
    require_counted(timeline, deployment, rollout)


def require_counted(timeline: Timeline, deployment: Object, rollout: Rollout) -> None:
    """The labels seen-v2 and seen-v3 say how many Pods there were while the rollout of v3 stood still.

    These are the Pods that were not terminating just before the first Pod of v3 was deleted.
    Raises Failed otherwise.
    """
    bad = timeline.pods_rolled_out("guestbook", BAD, rollout.begin)
    moment = min((pod["deleted"] for pod in bad if pod["deleted"]), default=timeline.until) - JUST_BEFORE
    names = {pod["name"] for pod in bad}
    at_halt = [
        pod
        for pod in timeline.pods_of("guestbook")
        if pod["added"] <= moment and (not pod["deleted"] or pod["deleted"] > moment)
    ]
    for version, pods in (
        ("v2", [pod for pod in at_halt if pod["name"] not in names]),
        ("v3", [pod for pod in at_halt if pod["name"] in names]),
    ):
        label = f"seen-{version}"
        if label not in deployment.labels:
            fail("halt-not-noted", deployment, label=label, version=version)
        if deployment.labels[label] != str(len(pods)):
            fail("halt-miscounted", deployment, label=label, value=deployment.labels[label], version=version)


def require_halt(state: State, timeline: Timeline, deployment: Object, rollout: Rollout) -> None:
    """v3 ran, was not ready, and the rollout stood still for a while. Raises Failed otherwise.

    That no container of v3 ran is told by the observer, where no Pod of v3 got a node, or by the kubelet's events. A
    busy kubelet may lose events, so a missing event tells nothing.
    """
    pods = timeline.pods_rolled_out("guestbook", BAD, rollout.begin)
    duration = max(((pod["deleted"] or timeline.until) - pod["added"] for pod in pods), default=0.0)
    if duration < HALT:
        fail("never-released", deployment, form="undone-at-once", image=BAD, seconds=round(duration, 1), least=HALT)
    names = sorted(pod["name"] for pod in pods)
    if any(has_event(state, name, "Unhealthy", "Readiness probe failed") for name in names):
        return
    started = any(pod["node"] for pod in pods)
    if not started or any(has_event(state, name, reason) for name in names for reason in NOT_STARTED):
        fail("never-released", deployment, form="never-ran", image=BAD, pods=names)


def has_event(state: State, pod: str, reason: str, words: str = "") -> bool:
    """Whether there is an event on a Pod with this reason and these words. The Pod may be deleted by now."""
    return any(
        event.raw.get("involvedObject", {}).get("name") == pod
        and event.raw.get("reason") == reason
        and words in event.raw.get("message", "")
        for event in state.all("Event")
    )


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
    """Raises Failed if requests were lost during a rollout, with the root that the timeline shows.

    The Deployment may have been changed since, so its present strategy and its present Pod template do not tell the
    root. The timeline tells whether any Pod was available, and the ReplicaSets keep the Pod templates of that time.
    """
    lost = timeline.lost_between(rollout.begin, rollout.end)
    if not lost:
        return
    facts = {"lost": sum(lost.values()), "errors": lost}
    outage = timeline.outage("guestbook", rollout.begin, rollout.end)
    if outage:
        strategy = deployment.spec.get("strategy") or {}
        now = strategy.get("type", "RollingUpdate")
        if outage.old_were_gone:
            fail("strategy-recreate", deployment, form="" if now == "Recreate" else "then", strategy=now, **facts)
        allowed = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", "25%")
        replicas = deployment.spec.get("replicas", 1)
        most = int(allowed[:-1]) * replicas // 100 if isinstance(allowed, str) else allowed
        form = "" if now == "RollingUpdate" and most >= replicas else "then"
        fail("strategy-allows-outage", deployment, form=form, max_unavailable=allowed, replicas=replicas, **facts)
    for rs in timeline.sets_made_ready(state.owned("ReplicaSet", deployment), rollout.begin, rollout.end):
        bare = [c["name"] for c in rs.containers if not c.get("readinessProbe")]
        if bare:
            fail("no-readiness-probe", deployment, container=bare[0], replicaset=rs.name, **facts)
    fail("requests-lost", deployment, **facts)
