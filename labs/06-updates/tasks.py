"""Judging lab 06: what runs now from the objects; how it came to that, and what was lost on the way, from the timeline."""

from checker.sdk import Object, Rollout, State, Timeline, Traffic, counted, fail, task, unknown

TRAFFIC = Traffic("guestbook", "/version")


def guestbook_on(state: State, timeline: Timeline, version: str) -> Object:
    """The Deployment, all of it on this version, and alone behind its Service."""
    deployment = state.require("Deployment", "guestbook")
    state.require_working(deployment)
    state.require_image(deployment, f"guestbook:{version}")
    service = state.require("Service", "guestbook")
    state.require_working(service)
    state.fail_for_other_backends(service, deployment, set())
    heard = timeline.versions({pod.name for pod in state.ready_pods(deployment)})
    if others := ", ".join(sorted(heard.keys() - {version})):
        fail(
            "wrong-image", f"guestbook:{version} is in the Pods of Deployment guestbook, but it is {others} that answers in them.",
            expected=f"answers from {version}", observed=f"answers from {others}", object=deployment.ref,
        )  # fmt: skip
    return deployment


@task("updated", observe=TRAFFIC)
def update_lost_nothing(state: State, timeline: Timeline) -> None:
    deployment = guestbook_on(state, timeline, "v2")
    if not has_run(state, timeline, deployment, "guestbook:v1"):
        timeline.require_watched(state)
        fail(
            "no-earlier-revision", "This Deployment guestbook has never run v1: it was deleted and made anew, not updated.",
            expected="the Deployment that ran guestbook:v1", observed=f"made {state.age(deployment.created):.0f} s ago",
            object=deployment.ref, look="kubectl rollout history deployment guestbook",
        )  # fmt: skip
    rollout = require_rollout(state, timeline, deployment, "v2", "v1")
    fail_if_lost(state, timeline, deployment, rollout)


@task("rolled-back", observe=TRAFFIC)
def bad_release_was_rolled_back(state: State, timeline: Timeline) -> None:
    deployment = guestbook_on(state, timeline, "v2")
    served = timeline.versions().get("v3")
    if not has_run(state, timeline, deployment, "guestbook:v3"):
        timeline.require_watched(state)
        fail(
            "never-released", "This Deployment guestbook has not been seen with guestbook:v3 since the lab was started.",
            expected="v3 released, and rolled back", observed="v3 was never released", object=deployment.ref,
            look="kubectl rollout history deployment guestbook",
        )  # fmt: skip
    rollout = require_rollout(state, timeline, deployment, "v3", "v2")
    if served and served[1] >= rollout.begin:
        fail(
            "bad-version-served", "v3 answered requests. It says itself that it is not ready, and was sent requests all the same.",
            expected="no answer from v3", observed=f"answers from v3 for {served[1] - served[0]:.0f} s", object=deployment.ref,
            look="kubectl describe replicasets",
        )  # fmt: skip
    if ready := [
        pod["name"] for pod in timeline.pods_rolled_out("guestbook", "guestbook:v3", rollout.begin) if pod["ready"]
    ]:
        fail(
            "bad-version-served", f"{counted(len(ready), 'Pod')} of guestbook:v3 counted as ready ({', '.join(sorted(ready))}): what is ready is sent requests.",
            expected="no Pod of v3 ever ready", observed=f"{len(ready)} ready", object=deployment.ref,
            look="kubectl describe replicasets",
        )  # fmt: skip
    back = timeline.rollback("guestbook", "guestbook:v2", "guestbook:v3", rollout.begin)
    if back:
        rollout = Rollout(rollout.begin, max(rollout.end, back.end))
        require_over(timeline, deployment, rollout, "v3")
    fail_if_lost(state, timeline, deployment, rollout)


def has_run(state: State, timeline: Timeline, deployment: Object, image: str) -> bool:
    """Whether this Deployment ever ran an image. A Deployment keeps its ReplicaSets for revisionHistoryLimit revisions only."""
    return any(rs.runs(image) for rs in state.owned("ReplicaSet", deployment)) or timeline.has_run(deployment, image)


def require_rollout(state: State, timeline: Timeline, deployment: Object, version: str, since: str) -> Rollout:
    """The last time that the Deployment went from one version to the other, when it is over. Raises Failed if others were behind the Service meanwhile."""
    rollout = timeline.last_rollout("guestbook", f"guestbook:{version}", since=f"guestbook:{since}")
    if rollout is None:
        timeline.require_watched(state)
        if timeline.last_rollout("guestbook", f"guestbook:{version}"):
            fail(
                "released-out-of-order", f"{version} was released, but it was never {since} that ran before it.",
                expected=f"{since}, and then {version}", observed=f"{version} after something else", object=deployment.ref,
                look="kubectl rollout history deployment guestbook",
            )  # fmt: skip
        unknown(
            "not-observed", f"The observer has not seen how {version} was released.", object="Deployment/guestbook",
            look="kubectl rollout history deployment guestbook", pending=True,
        )  # fmt: skip
    require_over(timeline, deployment, rollout, version)
    return rollout


def require_over(timeline: Timeline, deployment: Object, rollout: Rollout, version: str) -> None:
    """Raises Failed if others than the Deployment's Pods were behind the Service meanwhile."""
    if timeline.until < rollout.end:
        unknown(
            "not-observed", "The last old Pod is on its way out, or went only a moment ago.", object="Deployment/guestbook", look="kubectl get pods",
            pending=True,
        )  # fmt: skip
    timeline.fail_for_other_backends(deployment, rollout.begin, rollout.end, version=version)


def fail_if_lost(state: State, timeline: Timeline, deployment: Object, rollout: Rollout) -> None:
    lost = timeline.lost_between(rollout.begin, rollout.end)
    if not lost:
        return
    words = ", ".join(f"{count} {error}" for error, count in sorted(lost.items()))
    requests = counted(sum(lost.values()), "request")
    strategy = deployment.spec.get("strategy") or {}
    evidence = {
        "expected": "every request answered", "observed": f"{sum(lost.values())} lost ({words})", "object": deployment.ref,
        "look": "kubectl describe deployment guestbook",
    }  # fmt: skip
    story = f"{requests} to Service guestbook {'was' if requests == '1 request' else 'were'} lost while its Pods were replaced ({words})"
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
