"""Verdicts: what a check of one task says, and the exceptions that a task ends with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

Word = Literal["passed", "failed", "unknown"]


class NotPassed(Exception):
    """A task that did not pass: why, and how the checker knows.

    cause: an id of the catalogue (checker/model/causes.py).
    message: the evidence in one or two sentences; never the fix.
    object: `Kind/name` that the cause sits in. look: a command that shows the same evidence.
    pending: the cluster is still on its way; a look a moment later may say otherwise.
    namespace: where the cause sits; empty while nobody has told (see checker/diagnosis).
    """

    word: Word
    namespace = ""

    def __init__(
        self,
        cause: str,
        message: str = "",
        *,
        expected: str = "",
        observed: str = "",
        object: str = "",
        look: str = "",
        pending: bool = False,
    ) -> None:
        super().__init__(message or cause)
        self.cause, self.message, self.expected, self.observed = cause, message, expected, observed
        self.object, self.look, self.pending = object, look, pending


class Failed(NotPassed):
    """The work is not right yet."""

    word = "failed"


class Unknown(NotPassed):
    """It could not be seen whether the work is right."""

    word = "unknown"


def fail(cause: str, message: str = "", **evidence: Any) -> NoReturn:
    """End a task as failed, for this cause. Evidence: expected, observed, object, look (see NotPassed)."""
    raise Failed(cause, message, **evidence)


def unknown(cause: str, message: str = "", **evidence: Any) -> NoReturn:
    """End a task as unknown: it could not be checked, for this cause."""
    raise Unknown(cause, message, **evidence)


@dataclass(frozen=True)
class Verdict:
    """What is known of one task. The fields from `cause` on are empty for a passed one."""

    id: str
    title: str
    points: int
    verdict: Word
    cause: str = ""
    message: str = ""
    expected: str = ""
    observed: str = ""
    object: str = ""
    look: str = ""
    pending: bool = field(default=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The contract of `check --json` for one task."""
        known: dict[str, Any] = {"id": self.id, "title": self.title, "points": self.points, "verdict": self.verdict}
        if self.verdict != "passed":
            known |= {
                name: getattr(self, name) for name in ("cause", "message", "expected", "observed", "object", "look")
            }
        return known


@dataclass(frozen=True)
class Result:
    """The verdicts of one lab in one namespace. `waited` is in seconds: how long a change in progress was given."""

    lab: str
    title: str
    namespace: str
    tasks: tuple[Verdict, ...]
    waited: float = 0.0

    @property
    def score(self) -> int:
        return sum(task.points for task in self.tasks if task.verdict == "passed")

    @property
    def max_score(self) -> int:
        return sum(task.points for task in self.tasks)

    @property
    def passed(self) -> bool:
        return all(task.verdict == "passed" for task in self.tasks)

    @property
    def exit_code(self) -> int:
        """0 all passed; 1 something failed; 2 nothing failed, but something could not be checked."""
        words = {task.verdict for task in self.tasks}
        return 1 if "failed" in words else 2 if "unknown" in words else 0

    def to_json(self) -> dict[str, Any]:
        """The contract of `check --json`."""
        return {
            "lab": self.lab,
            "namespace": self.namespace,
            "score": self.score,
            "max_score": self.max_score,
            "passed": self.passed,
            "waited": round(self.waited, 1),
            "tasks": [task.to_json() for task in self.tasks],
        }
