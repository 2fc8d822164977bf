"""Judging receipts again with today's graders, without a cluster, and finding each verdict that differs, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from checker.classroom.needs import fitted_to_class
from checker.grading.labs import load_lab
from checker.marking import keys
from checker.marking.keys import Key
from checker.marking.receipt import NOT_JUDGED, TAMPERED, Receipt, TaskOfReceipt, check, read
from checker.marking.versions import versions_of
from checker.model.catalogue import problem
from checker.model.state import LAB
from checker.recording.unread import NotRecorded
from cluster import Problem

JUDGING = ("course", "checker", "lab", "state", "language")  # the versions that a verdict on a State may rest on
WORDS = ("title", "message", "expected", "observed", "object", "look")
CLOCKS = timedelta(minutes=5)  # by which a receipt may be ahead of this machine's clock


@dataclass(frozen=True)
class Difference:
    """One task whose verdict differs.

    what: `verdict`, `cause`, `points`, `words`, `task-new` or `task-gone`; the first of these that applies.
    before, after: for people; of a verdict with its cause.
    """

    task: str
    what: str
    before: str
    after: str


@dataclass(frozen=True)
class Regraded:
    """One file of a folder, judged again.

    receipt: None where the file is none. trouble: why it proves nothing, or could not be judged again.
    changed: the versions that are other ones today, by name: (then, now). score: as of today; None if not judged.
    from_the_future: whether its time is ahead of this machine's clock.
    """

    file: Path
    receipt: Receipt | None = None
    trouble: Problem | None = None
    differences: tuple[Difference, ...] = ()
    changed: tuple[tuple[str, str, str], ...] = ()
    score: int | None = None
    from_the_future: bool = False

    @property
    def exit_code(self) -> int:
        """0: as it was; 1: something differs, or was tampered with; 2: it could not be judged again."""
        return self.trouble.exit_code if self.trouble else 1 if self.differences else 0


def regrade(folder: Path, lab: str = "", key_file: Path | None = None) -> list[Regraded]:
    """Judge the receipts of a folder, and of those in it. lab: the only one that is expected; empty for any.

    key_file: another key than the one that this machine has of the class.
    Raises Problem where there is no receipt, or the key cannot be read.
    """
    wanted = load_lab(lab).number if lab else ""
    if not folder.is_dir():
        raise problem("regrade-no-folder", folder=folder)
    files = sorted(file for file in folder.rglob("*.json") if file.is_file() and not file.name.startswith("."))
    if not files:
        raise problem("regrade-no-receipts", folder=folder)
    known = _Keys(keys.read(key_file) if key_file else None)
    return list(_without_twins([_regraded(file, wanted, known) for file in files]))


class _Keys:
    """The keys of classes, each read once. one: the key of every class, where one was named."""

    def __init__(self, one: Key | None) -> None:
        self._one = one
        self._known: dict[str, Key | None] = {}

    def of(self, name: str) -> Key | None:
        if name and name not in self._known and not self._one:
            self._known[name] = keys.known_key(name)
        return self._one or self._known.get(name)


def _regraded(file: Path, wanted: str, known: _Keys) -> Regraded:
    receipt = None
    try:
        receipt, content = read(file)
        check(receipt, content, known.of(receipt.class_name) if receipt.by == "teacher" else None)
        return _judged(file, receipt, wanted)
    except Problem as error:
        return Regraded(file, receipt, error)


def _judged(file: Path, receipt: Receipt, wanted: str) -> Regraded:
    """Raises Problem where a receipt cannot be judged again."""
    if wanted and receipt.lab != wanted:
        raise problem("receipt-other-lab", lab=receipt.lab, wanted=wanted, exit_code=NOT_JUDGED)
    try:
        lab = load_lab(receipt.lab)
    except Problem:
        raise problem("receipt-no-lab", lab=receipt.lab, exit_code=NOT_JUDGED) from None
    if receipt.class_name:
        lab = fitted_to_class(lab)
    if receipt.state is None:
        raise problem("receipt-no-state", exit_code=NOT_JUDGED)
    if (started := _lab_in(receipt.state)) and started != receipt.lab:
        raise problem("receipt-state-of-other-lab", lab=receipt.lab, found=started, exit_code=NOT_JUDGED)
    try:
        result = receipt.judged(lab)
    except NotRecorded as error:
        raise problem("receipt-lacks-field", why=str(error).partition(":")[0], exit_code=NOT_JUDGED) from None
    except (Exception, RecursionError) as error:
        raise problem("receipt-state-malformed", why=type(error).__name__, exit_code=NOT_JUDGED) from None
    today = [msgspec.convert(task.to_json(), TaskOfReceipt) for task in result.tasks]
    now = versions_of(lab, receipt.versions.get("kubernetes", ""))
    return Regraded(
        file,
        receipt,
        differences=tuple(differences(receipt.tasks, today)),
        changed=tuple(
            (name, then, now[name]) for name in JUDGING if (then := receipt.versions.get(name, "")) != now[name]
        ),
        score=result.score,
        from_the_future=receipt.time > datetime.now(UTC) + CLOCKS,
    )


def _lab_in(state: dict[str, Any]) -> str:
    """The lab that `start` set up in a State's namespace; empty where the State does not say."""
    try:
        for namespace in state["objects"].get("Namespace", []):
            if namespace["metadata"]["name"] == state["namespace"]:
                return str((namespace["metadata"].get("labels") or {}).get(LAB, ""))
    except (KeyError, TypeError, AttributeError):
        pass
    return ""


def differences(before: Iterable[TaskOfReceipt], after: Iterable[TaskOfReceipt]) -> Iterator[Difference]:
    """What differs between two lists of verdicts, task by task."""
    then, now = {task.id: task for task in before}, {task.id: task for task in after}
    for id in dict.fromkeys([*then, *now]):
        old, new = then.get(id), now.get(id)
        if not old or not new:
            yield Difference(id, "task-gone" if old else "task-new", _named(old), _named(new))
        elif old.verdict != new.verdict:
            yield Difference(id, "verdict", _named(old), _named(new))
        elif old.cause != new.cause:
            yield Difference(id, "cause", old.cause, new.cause)
        elif old.points != new.points:
            yield Difference(id, "points", str(old.points), str(new.points))
        else:
            word = next((word for word in WORDS if getattr(old, word) != getattr(new, word)), "")
            if word:
                yield Difference(id, "words", getattr(old, word), getattr(new, word))


def _named(task: TaskOfReceipt | None) -> str:
    return f"{task.verdict} ({task.cause})" if task and task.cause else task.verdict if task else ""


def _without_twins(found: list[Regraded]) -> Iterator[Regraded]:
    """The same, but two receipts of one learner and one lab, by the same one, are told at the second."""
    first: dict[tuple[str, str, str, str], Path] = {}
    for one in found:
        if one.receipt and not one.trouble:
            receipt = one.receipt
            key = (receipt.by, receipt.class_name, receipt.learner, receipt.lab)
            if receipt.learner and first.setdefault(key, one.file) != one.file:
                again = problem("receipt-twice", learner=receipt.learner, other=first[key], exit_code=TAMPERED)
                yield Regraded(one.file, receipt, again)
                continue
        yield one


def exit_code(found: Iterable[Regraded]) -> int:
    """0: all as they were; 1: something differs, or was tampered with; 2: something could not be judged again."""
    codes = {one.exit_code for one in found}
    return 1 if 1 in codes else 2 if 2 in codes else 0
