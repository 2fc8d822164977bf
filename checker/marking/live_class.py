"""A class as it is now: it is watched, and a learner's lab is judged again whenever something of it has changed.

Pairs of a learner and a lab wait in a queue. A few threads take them in turn, those first in which something has
changed. So what is observed (requests in the cluster, last log lines) is bounded, whatever thirty learners do at once.
Judging is that of `class report`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from checker.classroom.hand import Hand, hand_in
from checker.classroom.record import Record
from checker.collect.api import Api
from checker.collect.class_watch import ClassWatch, all_kinds
from checker.grading.labs import Lab
from checker.marking.class_objects import ClassObjects, Learner, is_begun, learners_of, state_at
from checker.marking.whole_class import LEARNERS_AT_A_TIME, Look, Seen, labs_named, look_at
from checker.model.catalogue import say
from checker.model.fault import Reason
from checker.model.state import State

REST = 0.3  # seconds from a change to the look: a change seldom comes alone
PAUSE, LONGEST_PAUSE = 1.0, 5.0  # seconds between the first two looks while a change is in progress, and later ones
AGAIN = 10.0  # seconds until a learner is looked at again who could not be looked at
# Seconds until a lab is looked at again in which nothing has changed: what is only observed may be another now. In a
# large class it takes longer, so that no more than a few are looked at a second.
REFRESH, REFRESH_EACH = 60.0, 0.5
TICK = 0.25  # seconds between two looks at the queue where nobody is told of a change
# Kinds in which controllers write, or which are not in a namespace: a change there is no work of the learner.
NOT_BY_LEARNERS = {"Namespace", "Node", "Event", "EndpointSlice", "ServiceAccount"}

Pair = tuple[str, str]  # a learner's id and a lab's number


@dataclass(frozen=True)
class Course:
    """How a learner's lab went since the watch began. Times are the API server's.

    since: since when the verdicts are as they are. watched: the watch has seen them become so; otherwise they may have
    been so before. moved: when the learner last changed an object; None where that was not seen.
    """

    since: datetime
    watched: bool
    moved: datetime | None = None


class LiveClass:
    """Begins with `start`, and ends with `stop`."""

    def __init__(
        self, api: Api, record: Record, changed: Callable[[], None], objects: ClassObjects | None = None
    ) -> None:
        """changed: called from other threads whenever `seen` and the rest may say something else. It returns at once.

        objects: instead of a watch, for tests. Raises Problem where a lab of the class cannot be loaded.
        """
        self.record, self.api, self._changed = record, api, changed
        self._labs = labs_named(record, ())
        self._watch: ClassWatch | None = None
        if objects is None:
            objects = self._watch = ClassWatch(api, record.name, self.take, all_kinds())
        self._objects: ClassObjects = objects
        self._learners: dict[str, Learner] = {}
        self._begun: dict[str, tuple[Lab, ...]] = {}  # the labs that each learner is in, by the learner's id
        self._looks: dict[Pair, Look] = {}
        self._courses: dict[Pair, Course] = {}
        self._moved: dict[str, datetime] = {}  # by the learner's id
        self._urgent: dict[Pair, float] = {}  # when it is due, on the monotonic clock
        self._later: dict[Pair, float] = {}
        self._pauses: dict[Pair, float] = {}
        self._at_work: set[Pair] = set()
        self._owners: dict[str, Learner] = {}  # by namespace
        self._stale, self._was_away = True, False
        self._ended = False
        self._ready = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, name=f"learner-{number}", daemon=True)
            for number in range(LEARNERS_AT_A_TIME)
        ]

    def start(self) -> None:
        """Begin to watch and to judge; returns at once."""
        if self._watch:
            self._watch.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End: the watch is gone when this returns, and no thread begins anything new."""
        with self._ready:
            self._ended = True
            self._ready.notify_all()
        if self._watch:
            self._watch.stop()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(REST)

    # -- what is known -----------------------------------------------------------------------------------------------

    @property
    def is_complete(self) -> bool:
        """Whether the class has been listed once."""
        return self._watch.is_complete if self._watch else True

    @property
    def away(self) -> Reason:
        """Why the cluster cannot be asked now; empty where it can. What is known stays as it was."""
        return self._watch.away if self._watch else ""

    @property
    def now(self) -> datetime:
        return self._objects.now

    def seen(self) -> Seen:
        """The class as it was last judged, as `whole_class.see` would return it."""
        with self._ready:
            if self._stale:
                self._take_roster()
            learners, begun, looks = dict(self._learners), dict(self._begun), dict(self._looks)
        labs = [lab for lab in self._labs if any(lab in labs for labs in begun.values())]
        all_looks = tuple(
            looks.get((one.id, lab.number), Look(one, lab)) if lab in begun.get(one.id, ()) else Look(one, lab)
            for lab in labs
            for one in learners.values()
        )
        now_in = {id: tuple(lab.number for lab in begun.get(id, ())) for id in learners}
        now = self.now
        skew = (datetime.now(UTC) - now).total_seconds()
        return Seen(now, skew, tuple(labs), tuple(learners.values()), all_looks, now_in)

    def courses(self) -> dict[Pair, Course]:
        """How each learner's lab went, by the learner's id and the lab's number."""
        with self._ready:
            return {pair: replace(known, moved=self._moved.get(pair[0])) for pair, known in self._courses.items()}

    def waiting(self) -> int:
        """How many learners' labs were begun and never judged yet."""
        with self._ready:
            return sum((id, lab.number) not in self._looks for id, labs in self._begun.items() for lab in labs)

    def look(self, learner: str, lab: str) -> Look | None:
        """What was last seen of a learner's lab; None where nothing was."""
        with self._ready:
            return self._looks.get((learner, lab))

    def learner(self, id: str) -> Learner | None:
        with self._ready:
            return self._learners.get(id)

    def state(self, learner: Learner, lab: Lab) -> State:
        """All objects of a learner's lab, as they are now, of every kind."""
        place = learner.place_of(lab)
        return state_at(self._objects, place, lab.namespaces(place).values(), all_kinds())

    def hands(self) -> list[Hand]:
        """The raised hands, the one that was raised first before the others."""
        with self._ready:
            homes = [learner.home for learner in self._learners.values()]
        found = [hand for home in homes if (hand := hand_in(home, self._objects.of("ConfigMap", home)))]
        return sorted(found, key=lambda hand: (hand.since, hand.home))

    # -- what changes ------------------------------------------------------------------------------------------------

    def take(self, kind: str, namespace: str, made: bool) -> None:
        """Something has changed: see ClassWatch."""
        with self._ready:
            if kind in ("", "Namespace"):
                self._stale = True
            elif owner := self._owners.get(namespace):
                if made and kind not in NOT_BY_LEARNERS:
                    self._moved[owner.id] = self.now
                if kind == "ConfigMap":
                    self._take_begun(owner)
                for lab in self._begun.get(owner.id, ()):
                    self._urgent.setdefault((owner.id, lab.number), time.monotonic() + REST)
            elif not namespace:  # of the whole cluster: it may concern everybody, and they take turns
                self._later |= dict.fromkeys(self._pairs(), time.monotonic())
            self._ready.notify_all()
        self._changed()

    def _pairs(self) -> list[Pair]:
        return [(id, lab.number) for id, labs in self._begun.items() for lab in labs]

    def _take_roster(self) -> None:
        """Who is in the class, and who is in which lab."""
        self._stale = False
        away = bool(self.away)
        if away or not self.is_complete:
            self._was_away = self._was_away or away
            return
        known = self._learners
        self._learners = {one.id: one for one in learners_of(self.record.name, self._objects.namespaces)}
        self._owners = {name: one for one in self._learners.values() for name in one.namespaces}
        for id, learner in known.items():
            if id not in self._learners or self._learners[id].uid != learner.uid:
                self._begun.pop(id, None)
                self._moved.pop(id, None)
                self._forget(id, ())
        for learner in self._learners.values():
            self._take_begun(learner)
        if self._was_away:  # what was asked meanwhile may have had no answer
            self._urgent |= dict.fromkeys(self._pairs(), time.monotonic())
            self._was_away = False

    def _take_begun(self, learner: Learner) -> None:
        """Which labs a learner is in. A lab that is new there is judged, and one that is left is forgotten."""
        labs = tuple(lab for lab in self._labs if is_begun(self._objects, learner, lab))
        before = self._begun.get(learner.id, ())
        self._begun[learner.id] = labs
        if labs != before:
            self._forget(learner.id, [lab.number for lab in labs])
            self._urgent |= {(learner.id, lab.number): time.monotonic() for lab in labs if lab not in before}

    def _forget(self, id: str, but: Collection[str]) -> None:
        """Forget what is known of a learner's labs, but for these."""
        for known in (self._looks, self._courses, self._urgent, self._later, self._pauses):
            for pair in [pair for pair in known if pair[0] == id and pair[1] not in but]:
                del known[pair]

    # -- judging -----------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._ready:
                while (pair := self._next()) is None and not self._ended:
                    self._ready.wait(TICK)
                if self._ended or pair is None:
                    return
                learner, lab = self._learners[pair[0]], next(x for x in self._begun[pair[0]] if x.number == pair[1])
                self._at_work.add(pair)
            large = self._watch.too_large(learner.namespaces) if self._watch else []
            if large:
                look = Look(learner, lab, why=say("watch-too-large", objects=large[:3]))
            else:
                look = look_at(self.api, self._objects, learner, lab)
            with self._ready:
                self._at_work.discard(pair)
                is_there = self._learners.get(pair[0]) == learner and lab in self._begun.get(pair[0], ())
                if is_there and not self.away:
                    self._keep(pair, look, is_final=bool(large))
                self._ready.notify_all()
            self._changed()

    def _next(self) -> Pair | None:
        """The next one to be judged, which is taken from the queue; None where none is due."""
        if self._stale:
            self._take_roster()
        if self.away:
            return None
        now = time.monotonic()
        for waiting in (self._urgent, self._later):
            due = [pair for pair, when in waiting.items() if when <= now and pair not in self._at_work]
            if due:
                pair = min(due, key=lambda one: waiting[one])
                self._urgent.pop(pair, None)
                self._later.pop(pair, None)
                return pair
        return None

    def _keep(self, pair: Pair, look: Look, is_final: bool) -> None:
        """is_final: another look at the same objects would say the same."""
        before, known = self._looks.get(pair), self._courses.get(pair)
        if look.why and not is_final and before and before.result:
            look = replace(before, why="")  # the last verdicts stay until there are others
            pause = AGAIN
        else:
            pause = self._pause_after(pair, look)
        if not known or (before and _verdicts(before) != _verdicts(look)):
            self._courses[pair] = Course(self.now, watched=bool(known))
        self._looks[pair] = look
        self._later[pair] = time.monotonic() + pause

    def _pause_after(self, pair: Pair, look: Look) -> float:
        """Seconds until this lab is looked at again where nothing changes."""
        if look.result and any(task.in_progress for task in look.result.tasks):
            self._pauses[pair] = min(self._pauses.get(pair, PAUSE / 1.5) * 1.5, LONGEST_PAUSE)
            return self._pauses[pair]
        self._pauses.pop(pair, None)
        return AGAIN if look.why else max(REFRESH, REFRESH_EACH * len(self._looks))


def _verdicts(look: Look) -> object:
    """What must differ for a lab to have moved on: the verdicts and their causes."""
    return look.result and [(task.id, task.verdict, task.cause) for task in look.result.tasks]
