"""Judging: the tasks of a lab over one State. No I/O, and a fault of a task's function is never a learner's zero."""

from __future__ import annotations

import traceback

from checker.grading.lab_state import LabState
from checker.grading.labs import Lab
from checker.grading.observations import seen
from checker.model.fault import Fault, NotPassed
from checker.model.state import State
from checker.model.verdict import Result, Verdict


def judge(lab: Lab, state: State) -> Result:
    """A verdict for every task of the lab."""
    given = LabState.of(state)
    verdicts = []
    for text in lab.text.tasks:
        code = lab.code[text.id]
        try:
            code.function(given, *(seen(state, observation) for observation in code.observe))
        except NotPassed as end:
            verdicts.append(Verdict.of(text.id, text.title, text.points, _of_lab(end.fault, lab), lab.causes))
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            crash = Fault(
                "checker-crashed",
                facts={
                    "error": f"{type(error).__name__}: {error}",
                    "where": f"{where.filename}:{where.lineno}",
                    "lab": lab.number,
                },
                form="task",
                outcome="unknown",
            )
            verdicts.append(Verdict.of(text.id, text.title, text.points, crash, lab.causes))
        else:
            verdicts.append(Verdict(text.id, text.title, text.points, "passed"))
    return Result(lab.number, lab.text.title, state.namespace, tuple(verdicts))


def _of_lab(fault: Fault, lab: Lab) -> Fault:
    """A fault with the lab's number among its facts, for the commands that name it."""
    return fault.but(facts={"lab": lab.number, **fault.facts})
