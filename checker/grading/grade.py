"""Grading: the tasks of a lab over one State. No I/O, and a fault of a task's function is never a learner's zero."""

from __future__ import annotations

import traceback
from dataclasses import replace

from checker.diagnosis.explain import root_of
from checker.grading.lab_state import LabState
from checker.grading.labs import Lab, TaskSpec
from checker.grading.observations import seen
from checker.model.fault import Fault, NotPassed
from checker.model.state import State
from checker.model.verdict import Result, Verdict


def judge(lab: Lab, state: State) -> Result:
    """A verdict for every task of the lab."""
    given = LabState.of(state)
    verdicts = tuple(_verdict(lab, text, given) for text in lab.spec.tasks)
    to_find_out = {text.id for text in lab.spec.tasks if text.find_out}
    roots = {verdict.id: _root(given, verdict) for verdict in verdicts} if to_find_out else {}
    kept_back = {root for id, root in roots.items() if id in to_find_out}
    verdicts = tuple(
        replace(verdict, root=roots[verdict.id]) if roots.get(verdict.id) in kept_back else verdict
        for verdict in verdicts
    )
    return Result(lab.number, lab.spec.title, state.namespace, verdicts)


def _root(state: LabState, verdict: Verdict) -> str:
    """What a task failed for, as a learner is to find it out; empty where it passed or may pass by itself."""
    settled = verdict.fault and verdict.verdict == "failed" and not verdict.in_progress
    return root_of(state, verdict.fault) if settled and verdict.fault else ""


def _verdict(lab: Lab, text: TaskSpec, state: LabState) -> Verdict:
    """The verdict of one task. An exception of its function, or in the words of its fault, makes it unknown."""
    code = lab.code[text.id]
    try:
        code.function(state, *(seen(state, observation) for observation in code.observe))
    except NotPassed as end:
        try:
            return Verdict.of(text.id, text.title, text.points, _of_lab(end.fault, lab), lab.causes)
        except Exception as error:
            return _crashed(lab, text, error)
    except Exception as error:
        return _crashed(lab, text, error)
    return Verdict(text.id, text.title, text.points, "passed")


def _crashed(lab: Lab, text: TaskSpec, error: Exception) -> Verdict:
    where = traceback.extract_tb(error.__traceback__)[-1]
    facts = {
        "error": f"{type(error).__name__}: {error}",
        "where": f"{where.filename}:{where.lineno}",
        "lab": lab.number,
    }
    fault = Fault("checker-crashed", facts=facts, form="task", outcome="unknown")
    return Verdict.of(text.id, text.title, text.points, fault, lab.causes)


def _of_lab(fault: Fault, lab: Lab) -> Fault:
    """A fault with the lab's number among its facts, for the commands that name it."""
    return fault.but(facts={"lab": lab.number, **fault.facts})
