"""The report of a class: learners × tasks, and how many learners failed for which cause, as plain data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from checker.classroom.roster import Learner as Enrolled
from checker.grading.labs import Lab
from checker.marking.whole_class import TELLING_CLOCKS, Look, Seen
from checker.model.catalogue import say
from checker.model.verdict import Verdict

NOT_BEGUN, WAITING = "not-begun", "waiting"  # words of a task beside `passed`, `failed` and `unknown`


@dataclass(frozen=True)
class Cell:
    """One learner and one task. word: a verdict, `waiting` (it may still change by itself) or `not-begun`."""

    task: str
    word: str
    points: int = 0
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Row:
    """One learner and one lab. why: it could not be seen. now_in: the labs in which the learner is now."""

    id: str
    name: str
    group: str
    begun: bool
    cells: tuple[Cell, ...]
    why: str = ""
    now_in: tuple[str, ...] = ()

    @property
    def score(self) -> int:
        return sum(cell.points for cell in self.cells)


@dataclass(frozen=True)
class CauseCount:
    """One cause in one lab. learners: how many have it. by_task: how many at each task, by its id.

    lesson, section: what covers it. section: a heading of the lesson; empty where none is known.
    """

    cause: str
    title: str
    lesson: str
    section: str
    learners: int
    by_task: dict[str, int]


@dataclass(frozen=True)
class OfLab:
    """One lab of a report. begun: how many learners are in it. causes: the most frequent first."""

    lab: Lab
    rows: tuple[Row, ...]
    causes: tuple[CauseCount, ...]

    @property
    def begun(self) -> int:
        return sum(row.begun for row in self.rows)

    @property
    def max_score(self) -> int:
        return sum(task.points for task in self.lab.spec.tasks)


@dataclass(frozen=True)
class ClassReport:
    """time: when the class was looked at, by the API server's clock. notes: sentences about what is unusual.

    hides_names: neither ids nor names are in it, nor what might hold them.
    """

    name: str
    time: datetime
    labs: tuple[OfLab, ...]
    learners: tuple[Enrolled, ...]
    notes: tuple[str, ...]
    hides_names: bool = False

    @property
    def unknown(self) -> int:
        """How many tasks could not be checked."""
        return sum(cell.word == "unknown" for lab in self.labs for row in lab.rows for cell in row.cells)


def report_of(name: str, seen: Seen, roster: Iterable[Enrolled] = (), hide_names: bool = False) -> ClassReport:
    """roster: names and groups, where the teacher names a roster; who is in one place only is told."""
    enrolled = {one.id: one for one in roster}
    ids = sorted({*enrolled, *(one.id for one in seen.learners)})
    shown = numbered(name, ids) if hide_names else {id: id for id in ids}

    def person(id: str) -> Enrolled:
        known = enrolled.get(id)
        return Enrolled(shown[id], *((known.name, known.group) if known and not hide_names else ()))

    learners = sorted((person(one.id) for one in seen.learners), key=lambda one: one.id)
    labs = tuple(
        _of_lab(lab, [_row(look, person(look.learner.id), seen) for look in seen.looks if look.lab == lab], hide_names)
        for lab in seen.labs
    )
    return ClassReport(
        name, seen.time, labs, tuple(learners), tuple(_notes(seen, enrolled, shown, hide_names)), hide_names
    )


def numbered(name: str, ids: list[str]) -> dict[str, str]:
    """Ids that say nothing of the learners. The same ids get the same numbers, in an order that no name tells."""
    width = max(2, len(str(len(ids))))
    order = sorted(ids, key=lambda id: hashlib.sha256(f"{name}/{id}".encode()).digest())
    return {id: f"learner-{number:0{width}}" for number, id in enumerate(order, 1)}


def _row(look: Look, person: Enrolled, seen: Seen) -> Row:
    if look.result:
        cells = tuple(_cell(verdict) for verdict in look.result.tasks)
    else:
        cells = tuple(Cell(task.id, "unknown" if look.why else NOT_BEGUN) for task in look.lab.spec.tasks)
    begun = bool(look.result or look.why)
    elsewhere = tuple(number for number in seen.now_in[look.learner.id] if number != look.lab.number)
    return Row(person.id, person.name, person.group, begun, cells, look.why, elsewhere)


def _cell(verdict: Verdict) -> Cell:
    word = WAITING if verdict.in_progress else verdict.verdict
    return Cell(verdict.id, word, verdict.points if verdict.verdict == "passed" else 0, verdict)


def is_kept_back(verdict: Verdict, hides_names: bool) -> bool:
    """Whether the learner is to find the cause out. A report without names is for all to see, so it keeps it back."""
    return hides_names and bool(verdict.root)


def _of_lab(lab: Lab, rows: list[Row], hide_names: bool) -> OfLab:
    rows = sorted(rows, key=lambda row: row.id)
    learners: dict[str, set[str]] = {}
    by_task: dict[str, dict[str, int]] = {}
    for row in rows:
        for cell in row.cells:
            if cell.verdict and cell.verdict.cause and not is_kept_back(cell.verdict, hide_names):
                learners.setdefault(cell.verdict.cause, set()).add(row.id)
                counts = by_task.setdefault(cell.verdict.cause, {})
                counts[cell.task] = counts.get(cell.task, 0) + 1
    order = sorted(learners, key=lambda cause: (-len(learners[cause]), cause))
    return OfLab(lab, tuple(rows), tuple(_count(lab, cause, len(learners[cause]), by_task[cause]) for cause in order))


def _count(lab: Lab, cause: str, learners: int, by_task: dict[str, int]) -> CauseCount:
    entry = lab.causes.get(cause)
    if not entry:
        return CauseCount(cause, cause, "", "", learners, by_task)
    return CauseCount(cause, entry.title, entry.lesson, entry.section, learners, by_task)


def _notes(seen: Seen, roster: dict[str, Enrolled], shown: dict[str, str], hide_names: bool) -> Iterable[str]:
    """What is unusual, in sentences. roster: empty where none was named."""
    there = {one.id for one in seen.learners}
    if gone := sorted({shown[look.learner.id] for look in seen.looks if look.removed}):
        yield say("marking-removed", learners=gone)
    for look in seen.looks:
        if look.why:
            yield say("marking-not-seen", learner=shown[look.learner.id], why="" if hide_names else look.why)
    if roster and (absent := sorted(shown[id] for id in roster if id not in there)):
        yield say("marking-not-in-class", learners=absent)
    if roster and (strange := sorted(shown[id] for id in there if id not in roster)):
        yield say("marking-not-in-roster", learners=strange)
    if abs(seen.skew) > TELLING_CLOCKS:
        sentence = "marking-clock-ahead" if seen.skew > 0 else "marking-clock-behind"
        yield say(sentence, seconds=round(abs(seen.skew)))


def time_text(moment: datetime) -> str:
    """RFC 3339, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
