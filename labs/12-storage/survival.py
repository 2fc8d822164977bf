"""An entry is older than Redis' Pod. The evidence: the counters of Redis, or the observer's timeline."""

from typing import Any

from checker.sdk import NotObserved, Object, Ref, State, Timeline, Traffic, fail, task, unknown

from .redis import REDIS, claim_of_redis, require_saving

NOTHING = "No entries yet."  # the guestbook's answer where there is no entry
START = 10  # seconds: Redis starts at most this long after its container
ENTRIES = Traffic("guestbook", "/entries")


@task("survives", observe=(REDIS, ENTRIES))
def entry_outlives_the_pod(state: State, answers: dict[str, Any], timeline: Timeline) -> None:
    pod, redis, _claim = claim_of_redis(state, answers)
    require_saving(pod, redis)
    earlier = seen_earlier(timeline, pod)
    guestbook = Ref("Deployment", "guestbook", state.namespace)
    if not redis["items"]:
        fail("no-entry-written", guestbook, form="guestbook", pod=pod.name, lost=earlier[-1] if earlier else None)
    first, answer = redis["items"][0], answers["app"]
    if answer["status"] != 200 or answer["text"].splitlines()[:1] != [first]:
        text = answer["text"][:200]
        fail("name-resolves-elsewhere", guestbook, form="other-entries", in_progress=True, entry=first, text=text)
    fresh = was_empty(timeline, pod, first)
    began_empty = redis.get("loaded") == 0 and redis["appendonly"] != "yes"
    if not began_empty and (
        (older_by_count(state, pod, redis) and not fresh) or older_by_timeline(timeline, pod, first)
    ):
        return
    restarts = sum(status.get("restartCount", 0) for status in pod.status.get("containerStatuses") or [])
    facts = {"entries": redis["length"], "written": redis["written"] if redis["countable"] else None}
    if redis["countable"] and redis["written"] >= redis["length"]:
        fail("survival-not-shown", pod, form="since-start", **facts)
    if began_empty:
        fail("survival-not-shown", pod, form="started-empty", **facts)
    if fresh or (not isinstance(timeline, NotObserved) and added(timeline, pod) > timeline.since):
        fail("survival-not-shown", pod, form="since-pod", restarts=restarts or None, **facts)
    if restarts:
        unknown("not-observed", pod, form="entry-age-after-restart", **facts)
    unknown("not-observed", pod, form="entry-age-not-countable", **facts)


def older_by_count(state: State, pod: Object, redis: dict[str, Any]) -> bool:
    """Whether Redis has more entries than commands that added entries since it started, and it started with its Pod."""
    statuses = pod.status.get("containerStatuses") or []
    began_with_it = all(
        not status.get("restartCount") and state.age(status["state"]["running"]["startedAt"]) - redis["uptime"] < START
        for status in statuses
    )
    return bool(redis["countable"] and began_with_it and redis["length"] > redis["written"])


def added(timeline: Timeline, pod: Object) -> float:
    """When the observer first saw a Pod (seconds since the epoch), 0 where it did not.

    Of several Pods with this name, as a StatefulSet creates them, the last counts.
    """
    return max((seen["added"] for seen in timeline.pods() if seen["name"] == pod.name), default=0.0)


def seen_earlier(timeline: Timeline, pod: Object) -> list[str]:
    """The first entries that the guestbook showed before a Pod was created, in the order of time."""
    if isinstance(timeline, NotObserved):
        return []
    return [text for at, text in timeline.texts() if at < added(timeline, pod) and text != NOTHING]


def was_empty(timeline: Timeline, pod: Object, first: str) -> bool:
    """Whether the guestbook showed no entries after this Pod was ready, and never showed this first entry before."""
    if isinstance(timeline, NotObserved) or first in seen_earlier(timeline, pod):
        return False
    ready = timeline.first_ready(pod.uid)
    shown = [run for runs in timeline.first_lines().values() for run in runs]
    return bool(ready) and any(run.text == NOTHING and run.last > ready for run in shown)


def older_by_timeline(timeline: Timeline, pod: Object, first: str) -> bool:
    """Whether the guestbook showed this entry as the last before this Pod was created, and no other after that.

    "No entries yet." shortly before that does not count: it can be the answer of an earlier Redis that is terminating.
    """
    if isinstance(timeline, NotObserved):
        return False
    made = added(timeline, pod)
    return bool(
        made > timeline.since
        and seen_earlier(timeline, pod)[-1:] == [first]
        and all(text == first for at, text in timeline.texts() if at >= made)
    )
