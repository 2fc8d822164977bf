"""Judging lab 06: what runs now from the objects; how it came to that, and what was lost on the way, from the timeline."""

from checker import Object, Release, State, Timeline, Traffic, fail, task, unknown

TRAFFIC = Traffic("guestbook", "/version")


def guestbook_on(state: State, image: str) -> Object:
    """The Deployment, all of it on this image."""
    deployment = state.require("Deployment", "guestbook")
    state.require_working(deployment)
    state.require_image(deployment, image)
    state.require_working(state.require("Service", "guestbook"))
    return deployment


@task("updated", observe=TRAFFIC)
def update_lost_nothing(state: State, timeline: Timeline) -> None:
    deployment = guestbook_on(state, "guestbook:v2")
    if not [rs for rs in state.owned("ReplicaSet", deployment) if rs.runs("guestbook:v1")]:
        fail(
            "no-earlier-revision", "This Deployment guestbook has never run v1: it was deleted and made anew, not updated.",
            expected="the Deployment that ran guestbook:v1", observed=f"made {state.age(deployment.created):.0f} s ago",
            object=deployment.ref, look="kubectl rollout history deployment guestbook",
        )  # fmt: skip
    release = timeline.last_release("guestbook", "guestbook:v2", since="guestbook:v1")
    require_seen(state, timeline, release, "v2")
    fail_if_lost(state, timeline, deployment, release)


@task("rolled-back", observe=TRAFFIC)
def bad_release_was_rolled_back(state: State, timeline: Timeline) -> None:
    deployment = guestbook_on(state, "guestbook:v2")
    served = timeline.versions().get("v3")
    release = timeline.last_release("guestbook", "guestbook:v3")
    if release is None and not [rs for rs in state.owned("ReplicaSet", deployment) if rs.runs("guestbook:v3")]:
        require_watched(state, timeline)
        fail(
            "never-released", "No Pod of guestbook:v3 was seen since the lab was started.",
            expected="v3 released, and rolled back", observed="v3 was never released", object=deployment.ref,
            look="kubectl rollout history deployment guestbook",
        )  # fmt: skip
    require_seen(state, timeline, release, "v3")
    if served and served[1] >= release.begin:
        fail(
            "bad-version-served", "v3 answered requests. It says itself that it is not ready, and was sent requests all the same.",
            expected="no answer from v3", observed=f"answers from v3 for {served[1] - served[0]:.0f} s", object=deployment.ref,
            look="kubectl describe deployment guestbook",
        )  # fmt: skip
    fail_if_lost(state, timeline, deployment, release)


def require_seen(state: State, timeline: Timeline, release: Release | None, version: str) -> None:
    if release is None:
        require_watched(state, timeline)
        unknown(
            "not-observed", f"The observer has not seen how {version} was released.", object="Deployment/guestbook",
            look="kubectl rollout history deployment guestbook", pending=True,
        )  # fmt: skip
    if timeline.until < release.end:
        unknown(
            "not-observed", "The last old Pod is on its way out, or went only a moment ago.", object="Deployment/guestbook", look="kubectl get pods",
            pending=True,
        )  # fmt: skip


def require_watched(state: State, timeline: Timeline) -> None:
    """What was not seen did not happen only if the observer was looking all the time."""
    if state.started and timeline.since - state.started.timestamp() > 60:
        unknown(
            "not-observed", "The observer was restarted after the lab was started, and has not seen everything. Do this step once more.",
            object="Deployment/guestbook",
        )  # fmt: skip


def fail_if_lost(state: State, timeline: Timeline, deployment: Object, release: Release) -> None:
    lost = timeline.lost_between(release.begin, release.end)
    if not lost:
        return
    words = ", ".join(f"{count} {error}" for error, count in sorted(lost.items()))
    strategy = deployment.spec.get("strategy") or {}
    evidence = {
        "expected": "every request answered", "observed": f"{sum(lost.values())} lost ({words})", "object": deployment.ref,
        "look": "kubectl describe deployment guestbook",
    }  # fmt: skip
    story = f"{sum(lost.values())} requests to Service guestbook were lost while its Pods were replaced ({words})"
    if strategy.get("type") == "Recreate":
        fail("strategy-recreate", f"{story}. The strategy is Recreate.", **evidence)
    allowed = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", "25%")
    replicas = deployment.spec.get("replicas", 1)
    if (int(allowed[:-1]) * replicas // 100 if isinstance(allowed, str) else allowed) >= replicas:
        fail(
            "strategy-allows-outage",
            f"{story}. The strategy's maxUnavailable is {allowed}: all {replicas} replicas may be missing at once.", **evidence,
        )  # fmt: skip
    bare = [c["name"] for c in deployment.containers if not c.get("readinessProbe")]
    if bare:
        fail(
            "no-readiness-probe",
            f"{story}. Container {bare[0]} has no readiness probe: a new Pod counts as ready before it answers.",
            **evidence,
        )
    fail("requests-lost", f"{story}.", **evidence)
