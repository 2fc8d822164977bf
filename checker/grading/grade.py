"""Judging: the tasks of a lab over one State. No I/O, and a fault of a task's function is never a learner's zero."""

from __future__ import annotations

import traceback

from checker.grading.lab_state import LabState
from checker.grading.labs import Lab
from checker.grading.observations import seen
from checker.model.causes import look_at
from checker.model.state import State
from checker.model.verdict import NotPassed, Result, Verdict


def judge(lab: Lab, state: State) -> Result:
    """A verdict for every task of the lab."""
    given = LabState.of(state)
    verdicts = []
    for text in lab.text.tasks:
        code = lab.code[text.id]
        try:
            code.function(given, *(seen(state, observation) for observation in code.observe))
        except NotPassed as end:
            verdicts.append(Verdict(
                text.id, text.title, text.points, end.word, end.cause, end.message, end.expected, end.observed,
                end.object, end.look or look_at(end.cause, end.object).replace("LAB", lab.number), end.pending,
            ))  # fmt: skip
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            verdicts.append(Verdict(
                text.id, text.title, text.points, "unknown", "checker-crashed",
                f"The check of this task failed itself: {type(error).__name__}: {error} ({where.filename}:{where.lineno}). "
                "This is a fault of the course, not of your work; please report it.",
                look=f"kubeclass --debug check {lab.number}",
            ))  # fmt: skip
        else:
            verdicts.append(Verdict(text.id, text.title, text.points, "passed"))
    return Result(lab.number, lab.text.title, state.namespace, tuple(verdicts))
