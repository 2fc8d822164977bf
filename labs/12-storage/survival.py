"""An entry is older than the Pod that holds it: by what Redis counts, or by the observer's timeline."""

from typing import Any

from checker.sdk import NotObserved, Object, State, Timeline, Traffic, fail, task, unknown

from .redis import REDIS, claim_of_redis, require_saving

NOTHING = "No entries yet."  # what the guestbook says where there are none
START = 10  # seconds that may lie between the start of a container and that of Redis in it
ENTRIES = Traffic("guestbook", "/entries")


@task("survives", observe=(REDIS, ENTRIES))
def entry_outlives_the_pod(state: State, asked: dict[str, Any], timeline: Timeline) -> None:
    pod, redis, _claim = claim_of_redis(state, asked)
    require_saving(pod, redis)
    evidence = {"object": pod.ref, "look": "kubectl get pods"}
    earlier = seen_earlier(timeline, pod)
    if not redis["items"]:
        lost = (
            f" “{earlier[-1]}” was there before Pod {pod.name} was made; it was lost with an earlier one."
            if earlier
            else ""
        )
        fail(
            "no-entry-written", f"The guestbook has no entry.{lost}", expected="at least one entry", observed="none",
            **{**evidence, "object": "Deployment/guestbook", "look": "kubectl logs deployment/guestbook"},
        )  # fmt: skip
    said = asked["app"]
    if said["status"] != 200 or said["text"].splitlines()[:1] != redis["items"][:1]:
        fail(
            "name-resolves-elsewhere",
            f"The Redis behind Service redis has other entries than the guestbook tells of: {said['text'][:200]}",
            expected=redis["items"][0], observed=said["text"][:200], object="Deployment/guestbook",
            look="kubectl describe deployment guestbook", pending=True,
        )  # fmt: skip
    fresh = was_empty(timeline, pod, redis["items"][0])
    began_empty = redis.get("loaded") == 0 and redis["appendonly"] != "yes"
    if not began_empty and (
        (older_by_count(state, pod, redis) and not fresh) or older_by_timeline(timeline, pod, redis["items"][0])
    ):
        return
    restarts = sum(status.get("restartCount", 0) for status in pod.status.get("containerStatuses") or [])
    told = f"entries: {redis['length']}" + (
        f"; commands that wrote some since Redis began: {redis['written']}" if redis["countable"] else ""
    )
    if redis["countable"] and redis["written"] >= redis["length"]:
        why = f"Every entry was written since Redis began to run in Pod {pod.name}."
    elif began_empty:
        why = f"Redis found no data on its volume when it began to run in Pod {pod.name}: what it has now was written since."
    elif fresh or (not isinstance(timeline, NotObserved) and added(timeline, pod) > timeline.since):
        what = "The entry was" if redis["length"] == 1 else "The entries were"
        why = f"{what} written while Pod {pod.name} was there already" + (
            "; its container was restarted, but the Pod was not replaced." if restarts else "."
        )
    else:
        unknown(
            "not-observed",
            f"Whether an entry is older than Pod {pod.name} cannot be told: "
            + ("its container was restarted since." if restarts else "what was written cannot be counted.")
            + " The next time that the Pod is replaced will show it.",
            expected="an entry that is older than the Pod", observed=told, **evidence,
        )  # fmt: skip
    fail("survival-not-shown", why, expected="an entry that is older than Redis' Pod", observed=told, **evidence)


def older_by_count(state: State, pod: Object, redis: dict[str, Any]) -> bool:
    """Redis has more entries than commands since it began that wrote some, and it began with its Pod."""
    statuses = pod.status.get("containerStatuses") or []
    began_with_it = all(
        not status.get("restartCount") and state.age(status["state"]["running"]["startedAt"]) - redis["uptime"] < START
        for status in statuses
    )
    return bool(redis["countable"] and began_with_it and redis["length"] > redis["written"])


def added(timeline: Timeline, pod: Object) -> float:
    """When the observer saw a Pod first, the last one of its name (a StatefulSet's have the same again); 0 where it did not."""
    return max((seen["added"] for seen in timeline.pods() if seen["name"] == pod.name), default=0.0)


def seen_earlier(timeline: Timeline, pod: Object) -> list[str]:
    """The first entries that the guestbook told of before a Pod was made, in the order of time."""
    if isinstance(timeline, NotObserved):
        return []
    return [text for at, text in timeline.texts() if at < added(timeline, pod) and text != NOTHING]


def was_empty(timeline: Timeline, pod: Object, first: str) -> bool:
    """The guestbook told of no entries when this Pod was ready already, and never before it of the one that is first now."""
    if isinstance(timeline, NotObserved) or first in seen_earlier(timeline, pod):
        return False
    ready = timeline.first_ready(pod.uid)
    said = [run for runs in timeline.said().values() for run in runs]
    return bool(ready) and any(run.text == NOTHING and run.last > ready for run in said)


def older_by_timeline(timeline: Timeline, pod: Object, first: str) -> bool:
    """The first entry is the last that was told of before this Pod was made, and all that was told of since.

    That there was none shortly before says nothing: an earlier Redis on its way out may answer once more.
    """
    if isinstance(timeline, NotObserved):
        return False
    made = added(timeline, pod)
    return bool(
        made > timeline.since
        and seen_earlier(timeline, pod)[-1:] == [first]
        and all(text == first for at, text in timeline.texts() if at >= made)
    )
