"""Verdicts: what a check of one task says, and the result of a whole lab."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from checker.model.catalogue import Catalogue
from checker.model.fault import Failed, Fault, NotPassed, Outcome, Unknown, fail, unknown

__all__ = ["Failed", "NotPassed", "Result", "Unknown", "Verdict", "fail", "unknown"]


@dataclass(frozen=True)
class Verdict:
    """What is known of one task. The fields from `cause` on are empty for a passed one.

    root: what the learner is to find out, as `cause@Kind/name`; empty where nothing is to be found out.
    """

    id: str
    title: str
    points: int
    verdict: Outcome
    cause: str = ""
    message: str = ""
    expected: str = ""
    observed: str = ""
    object: str = ""
    look: str = ""
    in_progress: bool = field(default=False, compare=False)
    fault: Fault | None = field(default=None, compare=False)
    root: str = ""

    @classmethod
    def of(cls, id: str, title: str, points: int, fault: Fault, causes: Catalogue | None = None) -> Verdict:
        """The verdict of a task that ended with a fault, in the words of a lab's catalogue."""
        words = fault.words(causes)
        return cls(
            id,
            title,
            points,
            verdict=fault.outcome,
            cause=fault.cause,
            message=words.message,
            expected=words.expected,
            observed=words.observed,
            object=str(fault.object),
            look=words.look,
            in_progress=fault.in_progress,
            fault=fault,
        )

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
