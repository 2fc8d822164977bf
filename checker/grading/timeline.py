"""The timeline: what the observer saw happen since its stream of requests began, told by moments and by intervals.

A task gets it from `Traffic` (checker/grading/observations.py). All times are in seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Any

from checker.model.durations import (
    TIME_FOR_ENDPOINT_REMOVAL,
    TIME_FOR_IMAGE_TAKEOVER,
    TIME_FOR_OBSERVER_TO_BEGIN,
    TIME_FOR_ONE_STEP,
    TIME_FOR_REPLACEMENT_POD,
)
from checker.model.fault import Ref
from checker.model.image_name import ImageName
from checker.model.state import Object, State
from checker.model.verdict import fail, unknown


@dataclass(frozen=True)
class Scaling:
    """A Deployment's number of replicas was changed: when (seconds since 1970), from how many, to how many."""

    at: float
    before: int
    after: int


@dataclass(frozen=True)
class Replacement:
    """A Pod that was deleted although its ReplicaSet needed it, and the Pod that was created in its place."""

    pod: str
    deleted: float
    successor: str
    ready: float


@dataclass(frozen=True)
class Restart:
    """A container was restarted in its Pod.

    at: when the new one ran. uid, owner: the uids of the Pod and of its controller.

    had_been_ready: whether the Pod was ready at any time before. Otherwise its container may never have run (the
    runtime failed).
    """

    pod: str
    uid: str
    owner: str
    at: float
    had_been_ready: bool


@dataclass(frozen=True)
class NotReadyInterval:
    """A time in which a Pod was not ready, after it had been ready. end: None while it is not ready again.

    restarted: whether one of its containers was restarted in that time.
    """

    pod: str
    uid: str
    owner: str
    begin: float
    end: float | None
    restarted: bool


@dataclass(frozen=True)
class Rollout:
    """A Deployment's rollout of another image, in seconds since 1970.

    begin: when the first new Pod was asked for, or when the old ReplicaSet was scaled down for it. end: when the last
    Pod that this rollout removed was deleted, or when the next rollout began.
    """

    begin: float
    end: float


@dataclass(frozen=True)
class Outage:
    """A time in which requests were lost and no Pod of a Deployment was ready: in seconds since 1970.

    old_were_gone: whether the next Pod was created only after all earlier ones were deleted, as with the strategy
    Recreate.
    """

    begin: float
    end: float
    old_were_gone: bool


@dataclass(frozen=True)
class Interval:
    """A time in which a node was cordoned, or not ready: in seconds since 1970. end: inf while it lasts."""

    node: str
    begin: float
    end: float = inf


@dataclass(frozen=True)
class Drain:
    """A node was cordoned while Pods of a Deployment were on it.

    begin, last_deleted: when the first and the last of these Pods began to terminate (when the node was cordoned, where
    none did). end: when the last of them was deleted and their replacements were ready. pods: the names of all of them.
    staying: the names of those that did not terminate while the node was cordoned.
    """

    node: str
    begin: float
    last_deleted: float
    end: float
    pods: frozenset[str]
    staying: frozenset[str]


@dataclass(frozen=True)
class FirstLineInterval:
    """The first line of a Pod's answers, and when it was received first and last, in seconds since 1970."""

    first: float
    last: float
    text: str


class Timeline:
    """What the observer saw since its stream of requests began (see cluster/observer/server.py).

    All times in seconds since 1970.
    """

    def __init__(self, seen: dict[str, Any]) -> None:
        self.since: float = seen["since"]
        self.until: float = seen["until"]
        self.sent: int = seen["sent"]
        self._seen = seen

    def require_watched(self, state: State) -> None:
        """The observer's record covers the time since the lab's start.

        Raises Unknown where it does not: then something may have happened that was not recorded.
        """
        if state.started and self.since - state.started.timestamp() > TIME_FOR_OBSERVER_TO_BEGIN:
            unknown("not-observed", Ref("Deployment", "guestbook", state.namespace), form="observer-restarted")

    def hosts_between(self, begin: float, end: float) -> set[str]:
        """The Pods that answered in that time."""
        return {
            host
            for host, intervals in self._seen["hosts"].items()
            for first, last, _count, _version in intervals
            if first <= end and last >= begin
        }

    def first_answer(self, host: str, since: float) -> float:
        """When a Pod answered first, not counting what it answered before that time; inf where it did not."""
        begins = [
            max(first, since) for first, last, _count, _version in self._seen["hosts"].get(host, []) if last >= since
        ]
        return min(begins, default=inf)

    def all_answer(self, deployment: Object, wanted: int, since: float) -> float:
        """The first moment from `since` on at which this many Pods of a Deployment were ready, not terminating, and
        had answered.

        inf where there was none.
        """
        intervals = [
            (
                min(self.first_answer(name, pod["ready"]) for name in (pod["name"], hostname(deployment))),
                pod["deleted"] or inf,
            )
            for pod in self.pods_of(deployment.name)
            if pod["ready"]
        ]
        moments = sorted({since, *(begin for begin, _ in intervals if begin > since)})
        return next((at for at in moments if sum(begin <= at < end for begin, end in intervals) >= wanted), inf)

    def fail_for_other_backends(
        self, deployment: Object, begin: float, end: float, *, replicas: int | None = None, version: str = ""
    ) -> None:
        """Raise Failed if anything but a Pod of this Deployment answered in that time.

        The time is that of a scaling to this number of replicas, or of a rollout of this version.
        """
        own = {hostname(deployment), *(pod["name"] for pod in self.pods_of(deployment.name))}
        other_backends = self.hosts_between(begin, end) - own
        gone = [pod["name"] for pod in self.pods() if pod["name"] in other_backends and pod["gone"]]
        if other_backends:
            fail(
                "service-answers-wrong",
                deployment,
                form="in-stream-deleted" if gone else "in-stream",
                hosts=sorted(other_backends),
                deleted=gone[0] if gone else "",
                replicas=replicas,
                version=version,
            )

    def lost_between(self, begin: float, end: float) -> dict[str, int]:
        """Requests without a good answer in that time, counted by what went wrong."""
        lost: dict[str, int] = {}
        for first, error, count, last in self._seen["lost"]:  # one of these for each second and error
            if first <= end and last >= begin:
                lost[error] = lost.get(error, 0) + count
        return lost

    def texts(self) -> list[tuple[float, str]]:
        """Each change of the answers' first line: when, and the new line, oldest first."""
        return [(at, text) for at, text in self._seen["texts"]]

    def first_lines(self) -> dict[str, list[FirstLineInterval]]:
        """The first lines of each Pod's answers, by its name: one entry for each change, oldest first."""
        return {host: [FirstLineInterval(*run) for run in runs] for host, runs in self._seen["said"].items()}

    def versions(self, hosts: Container[str] | None = None) -> dict[str, tuple[float, float]]:
        """When each version of the app answered first and last; with `hosts`, from these Pods."""
        found: dict[str, tuple[float, float]] = {}
        for host, intervals in self._seen["hosts"].items():
            for first, last, _count, version in intervals if hosts is None or host in hosts else []:
                begin, end = found.get(version, (first, last))
                found[version] = (min(begin, first), max(end, last))
        return found

    def pods(self) -> list[dict[str, Any]]:
        """Every Pod that was seen, as the observer notes it: name, owner, added, ready, deleted, changes."""
        return list(self._seen["pods"].values())

    def restarts(self, owners: Container[str] | None = None) -> list[Restart]:
        """Every restart of a container that the observer saw, oldest first; with `owners`, of the Pods of these
        controllers (by uid).
        """
        found = []
        for uid, pod in self._pods_of(owners):
            had_been_ready = False
            for (_, ready, before), (at, _, after) in pairwise(pod["changes"]):
                had_been_ready = had_been_ready or ready
                found += [Restart(pod["name"], uid, pod["owner"], at, had_been_ready)] * max(0, int(after - before))
        return sorted(found, key=lambda restart: restart.at)

    def absences(self, owners: Container[str] | None = None) -> list[NotReadyInterval]:
        """Every time that a Pod was not ready after it had been ready, oldest first. Terminating Pods do not count."""
        found = []
        for uid, pod in self._pods_of(owners):
            begin: float | None = None
            restarts, previous, was_ready = 0, 0, False
            for at, ready, count in pod["changes"]:
                if pod["deleted"] and at >= pod["deleted"]:
                    break
                if was_ready and not ready and begin is None:
                    begin, restarts = at, previous
                if ready and begin is not None:
                    found.append(NotReadyInterval(pod["name"], uid, pod["owner"], begin, at, count > restarts))
                    begin = None
                was_ready, previous = was_ready or ready, count
            if begin is not None and not pod["deleted"]:
                found.append(NotReadyInterval(pod["name"], uid, pod["owner"], begin, None, previous > restarts))
        return sorted(found, key=lambda absence: absence.begin)

    def ready_throughout(self, begin: float, end: float, owners: Container[str] | None = None) -> set[str]:
        """The names of the Pods that were ready all the time from `begin` to `end`."""
        found = set()
        for _, pod in self._pods_of(owners):
            at_begin = [ready for at, ready, _ in pod["changes"] if at <= begin][-1:]
            meanwhile = [ready for at, ready, _ in pod["changes"] if begin < at <= end]
            if at_begin and all([*at_begin, *meanwhile]) and not (pod["deleted"] and pod["deleted"] <= end):
                found.add(pod["name"])
        return found

    def first_ready(self, uid: str) -> float:
        """When a Pod was ready for the first time; 0 where that was not seen."""
        return float(self._seen["pods"].get(uid, {}).get("ready") or 0)

    def times_lost(self, error: str) -> list[float]:
        """When requests failed in this way, the first of each second, oldest first."""
        return sorted(first for first, what, *_ in self._seen["lost"] if what == error)

    def _pods_of(self, owners: Container[str] | None) -> list[tuple[str, dict[str, Any]]]:
        """Uid and notes of the Pods that were seen; with `owners`, of those of these controllers."""
        return [(uid, pod) for uid, pod in self._seen["pods"].items() if owners is None or pod["owner"] in owners]

    def scalings(self, deployment: Object) -> list[Scaling]:
        """Every time that the replicas of this Deployment were raised, oldest first.

        An earlier Deployment of that name does not count.
        """
        return [change for change in self.replica_changes(deployment) if change.after > change.before]

    def replica_changes(self, deployment: Object) -> list[Scaling]:
        """Every time that the replicas of this Deployment were raised or lowered, oldest first.

        An earlier Deployment of that name does not count.
        """
        changes = self._seen["replicas"].get(deployment.uid, {}).get("changes", [])
        return [Scaling(at, before, after) for (_, before), (at, after) in pairwise(changes) if after != before]

    def _sets_of(self, deployment: str) -> dict[str, dict[str, Any]]:
        """The ReplicaSets of a Deployment that were seen, by uid, as the observer notes them."""
        return {
            uid: owner
            for uid, owner in self._seen["replicas"].items()
            if owner["kind"] == "ReplicaSet" and owner["name"].rpartition("-")[0] == deployment
        }

    def has_run(self, deployment: Object, image: str) -> bool:
        """Whether the observer saw this Deployment with this image. An earlier Deployment of that name does not
        count.
        """
        return any(
            image in _images(owner) and owner["changes"][0][0] >= deployment.created.timestamp()
            for owner in self._sets_of(deployment.name).values()
        )

    def pods_rolled_out(self, deployment: str, image: str, since: float) -> list[dict[str, Any]]:
        """The Pods of a Deployment with this image that were created from that time on.

        Those of the second before count too: the observer learns of Pods and of ReplicaSets by two watches.
        """
        sets = {uid for uid, owner in self._sets_of(deployment).items() if image in _images(owner)}
        return [pod for _, pod in self._pods_of(sets) if pod["added"] >= since - 1]

    def last_rollout(self, deployment: str, image: str, since: str = "") -> Rollout | None:
        """The last rollout of an image; with `since`, the last one that replaced that image.

        None where the observer saw none.
        """
        sets = self._sets_of(deployment)
        begins = _begins(sets)

        def of(name: str) -> set[str]:
            return {uid for uid, owner in sets.items() if name in _images(owner)}

        def last_until(uid: str, at: float) -> float:
            """The last moment up to `at` at which Pods of a ReplicaSet were asked for."""
            if _replicas_at(sets[uid]["changes"], at):
                return at
            return max(
                (when for before, when, after in _steps(sets[uid]) if when < at and before and not after), default=-inf
            )

        def follows(uid: str, at: float) -> bool:
            """Whether this ReplicaSet replaced the image `since` when it began.

            Of several ReplicaSets with Pods, the one that began last had the Deployment's template before.
            """
            others = {other: last_until(other, at) for other in sets if other != uid}
            latest = max(others.values(), default=-inf)
            if latest <= at - TIME_FOR_IMAGE_TAKEOVER or latest not in {others.get(other) for other in of(since)}:
                return False
            replaced = [other for other in others.keys() - of(image) if others[other] > latest - TIME_FOR_ONE_STEP]
            newest = max(replaced, key=lambda other: max((when for when in begins[other] if when < at), default=-inf))
            return newest in of(since)

        candidates = [at for uid in of(image) for at in begins[uid] if not since or follows(uid, at)]
        return self._rollout(sets, of(image), max(candidates)) if candidates else None

    def rollback(self, deployment: str, image: str, from_image: str, since: float) -> Rollout | None:
        """The rollback from `from_image`, rolled out at `since`, to `image`.

        Other images may have been rolled out between them.

        None where it reused a ReplicaSet that still had Pods: then no new Pod was asked for while Pods of
        `from_image` existed.
        """
        sets = self._sets_of(deployment)
        left = max((pod["gone"] or inf for pod in self.pods_rolled_out(deployment, from_image, since)), default=since)
        later = sorted((at, uid) for uid, times in _begins(sets).items() for at in times if at > since)
        if not later or later[0][0] > left + TIME_FOR_ENDPOINT_REMOVAL:
            return None
        back = next(((at, uid) for at, uid in later if image in _images(sets[uid])), None)
        return self._rollout(sets, {back[1]}, back[0]) if back else None

    def _rollout(self, sets: dict[str, dict[str, Any]], new: set[str], made: float) -> Rollout:
        """The rollout that began at `made`, when Pods of the ReplicaSets `new` were first asked for.

        sets: all of the Deployment's.
        """

        def wanted(uids: Iterable[str], at: float) -> float:
            return sum(next((n for when, n in reversed(sets[uid]["changes"]) if when <= at), 0.0) for uid in uids)

        # Recreate deletes all old Pods first, and a rollout without surge deletes one of them first: then the rollout
        # began with that. A reduction before the previous rollout began belongs to the previous rollout.
        earlier = max((at for times in _begins(sets).values() for at in times if at < made), default=-inf)
        last = [[step for step in _steps(sets[uid]) if step[1] <= made][-1:] for uid in sets if uid not in new]
        reduced = [
            at
            for steps in last
            for before, at, after in steps
            if after < before and at > max(earlier, made - TIME_FOR_IMAGE_TAKEOVER) and (after or not wanted(sets, at))
        ]
        begin = min([made, *reduced])
        following = min((at for times in _begins(sets).values() for at in times if at > made), default=inf)
        # It was decided as soon as Pods of only one side were asked for: of the new image, or (after a rollback) of
        # the others.
        sides = new, set(sets) - new
        changes = sorted(at for owner in sets.values() for at, _ in owner["changes"] if made <= at < following)
        decided = next((at for at in changes if not all(wanted(side, at) for side in sides)), inf)
        # A terminating Pod may answer until its grace period ends, and the effect shows only then.
        # Pods of a ReplicaSet that stays, and that began to terminate later, were deleted for another reason.
        terminating = [
            pod
            for uid in sets
            for _, pod in self._pods_of({uid})
            if begin <= pod["deleted"] < following and (pod["deleted"] <= decided or not wanted({uid}, decided))
        ]
        last_gone = max((pod["gone"] or inf for pod in terminating), default=begin)
        return Rollout(begin, min(last_gone + TIME_FOR_ENDPOINT_REMOVAL, following))

    def outage(self, deployment: str, begin: float, end: float) -> Outage | None:
        """The first time from `begin` to `end` in which no Pod of a Deployment was ready and requests were lost.

        A Pod counts as ready from the first time that it was, until it begins to terminate. None where some Pod was
        ready whenever requests were lost.
        """
        pods = self.pods_of(deployment)
        for gap_begin, gap_end in self._without_ready(pods, begin, end):
            if not self.lost_between(gap_begin, gap_end + TIME_FOR_ENDPOINT_REMOVAL):
                continue
            ended = [_ended(pod) for pod in pods if pod["ready"] and pod["ready"] < gap_begin]
            later = [pod["added"] for pod in pods if pod["ready"] >= gap_end]
            return Outage(gap_begin, gap_end, max(ended, default=inf) <= min(later, default=-inf) + 0.5)
        return None

    @staticmethod
    def _without_ready(pods: list[dict[str, Any]], begin: float, end: float) -> Iterator[tuple[float, float]]:
        """The times from `begin` to `end` in which none of these Pods was ready, oldest first."""
        last = begin
        for ready, deleted in sorted((pod["ready"], pod["deleted"] or inf) for pod in pods if pod["ready"]):
            if begin <= last < min(ready, end):
                yield last, ready
            last = max(last, deleted)

    def sets_made_ready(self, sets: list[Object], begin: float, end: float) -> list[Object]:
        """Those of these ReplicaSets of which a Pod became ready for the first time from `begin` to `end`."""
        owners = {pod["owner"] for pod in self.pods() if begin <= pod["ready"] <= end}
        return [rs for rs in sets if rs.uid in owners]

    def replacements(self, deployment: str) -> list[Replacement]:
        """Every Pod of the Deployment that had been ready and was deleted although its ReplicaSet needed it, with its
        successor, oldest first.

        A Pod that is deleted because its ReplicaSet was scaled down does not count. Then there are more Pods than the
        ReplicaSet asks for when the Pod is deleted. The observer learns the two numbers by two watches, so the number
        asked for is the smallest in the following second.
        """
        found = []
        for uid, owner in self._sets_of(deployment).items():
            pods = [pod for _, pod in self._pods_of({uid})]
            for pod in pods:
                gone = pod["deleted"]
                if not gone or not 0 < pod["ready"] <= gone:  # it may become ready while it terminates
                    continue
                alive = sum(p["added"] < gone and (not p["deleted"] or p["deleted"] >= gone) for p in pods)
                successors = [
                    p for p in pods if gone - 1 <= p["added"] <= gone + 30 and p is not pod and p["ready"] > gone
                ]
                if alive <= _smallest(owner["changes"], gone, gone + 1) and successors:
                    successor = min(successors, key=lambda p: p["ready"])
                    found.append(Replacement(pod["name"], gone, successor["name"], successor["ready"]))
        return sorted(found, key=lambda replacement: replacement.deleted)

    # -- nodes -------------------------------------------------------------------------------------------------------

    def cordoned(self) -> list[Interval]:
        """The times in which a node was cordoned, oldest first."""
        return self._intervals(lambda ready, takes: not takes)

    def not_ready(self) -> list[Interval]:
        """The times in which a node was not ready, oldest first."""
        return self._intervals(lambda ready, takes: not ready)

    def _intervals(self, counts: Callable[[bool, bool], bool]) -> list[Interval]:
        found = []
        for node, changes in self._seen.get("nodes", {}).items():
            begin = None
            for at, ready, takes in changes:
                if counts(ready, takes) and begin is None:
                    begin = at
                elif not counts(ready, takes) and begin is not None:
                    found.append(Interval(node, begin, at))
                    begin = None
            if begin is not None:
                found.append(Interval(node, begin))
        return sorted(found, key=lambda interval: interval.begin)

    def pods_of(self, deployment: str) -> list[dict[str, Any]]:
        """Every Pod of a Deployment that the observer saw, of all its revisions, as the observer notes it."""
        return [pod for _, pod in self._pods_of(self._sets_of(deployment))]

    def pods_on(self, node: str, moment: float, deployment: str) -> list[dict[str, Any]]:
        """The Pods of a Deployment that were on a node at a moment and were not terminating."""
        return [
            pod
            for pod in self.pods_of(deployment)
            if pod["node"] == node and pod["added"] <= moment and (not pod["deleted"] or pod["deleted"] > moment)
        ]

    def drains(self, deployment: str) -> list[Drain]:
        """Every time that a node with Pods of the Deployment on it was cordoned, oldest first."""
        found = []
        for interval in self.cordoned():
            pods = self.pods_on(interval.node, interval.begin, deployment)
            if pods:
                went = [pod for pod in pods if pod["deleted"] and pod["deleted"] <= interval.end]
                begin = min((pod["deleted"] for pod in went), default=interval.begin)
                last_deleted = max((pod["deleted"] for pod in went), default=interval.begin)
                came = [
                    p["ready"]
                    for p in self.pods_of(deployment)
                    if begin <= p["added"] <= last_deleted + TIME_FOR_REPLACEMENT_POD
                ]
                end = max([last_deleted, *(pod["gone"] or inf for pod in went), *came])
                names, gone = (frozenset(pod["name"] for pod in some) for some in (pods, went))
                found.append(Drain(interval.node, begin, last_deleted, end, names, names - gone))
        return found


def hostname(deployment: Object) -> str:
    """The hostname that a Deployment's Pod template sets; "" where it sets none, and each Pod has its own name as
    hostname.
    """
    return str(deployment.spec["template"]["spec"].get("hostname", ""))


def _ended(pod: dict[str, Any]) -> float:
    """When the containers of a terminating Pod had ended: it was not ready any more, or it was deleted."""
    deleted = pod["deleted"] or inf
    ended: list[float] = [at for at, ready, _ in pod["changes"] if at >= deleted and not ready]
    return min([*ended, pod["gone"] or inf])


def _images(owner: dict[str, Any]) -> set[str]:
    """The images of a ReplicaSet's Pods, without a registry before their names."""
    return {ImageName.parse(image).without_path for image in owner["images"]}


def _begins(sets: dict[str, dict[str, Any]]) -> dict[str, list[float]]:
    """For each ReplicaSet, when it was scaled up from 0."""
    return {uid: [at for before, at, after in _steps(owner) if not before and after] for uid, owner in sets.items()}


def _steps(owner: dict[str, Any]) -> Iterator[tuple[float, float, float]]:
    """The changes of a replica count: (before, when, after), from 0 on."""
    before = 0.0
    for at, after in owner["changes"]:
        yield before, at, after
        before = after


def _replicas_at(changes: list[list[float]], moment: float) -> float:
    return next((replicas for at, replicas in reversed(changes) if at < moment), 0.0)


def _smallest(changes: list[list[float]], begin: float, end: float) -> float:
    """The smallest number of replicas asked for in that time."""
    before = [replicas for at, replicas in changes if at <= begin][-1:]
    during = [replicas for at, replicas in changes if begin < at <= end]
    return min([*before, *during], default=0)
