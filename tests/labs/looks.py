"""Whether the command that a verdict advises shows anything: each is run once, right after its case was judged."""

from __future__ import annotations

import re

from checker.environments import Environment
from checker.grading.labs import Lab
from checker.model.verdict import Result
from cluster import Problem

OPEN = re.compile(r"\b[A-Z]{2,}\b|--watch")  # a word that the learner must put in its place, or a command without end
SECONDS = 30


def without_evidence(lab: Lab, result: Result, place: Environment) -> list[str]:
    """The Looks of a result that fail, or print nothing, in the place where the case was brought about.

    A Look with a word to be filled in (FILE, CONTAINER) is left out.
    """
    looks = dict.fromkeys(task.look for task in result.tasks if task.verdict != "passed" and task.look)
    return [look for look in looks if not OPEN.search(look) and not _shows(lab, look, place)]


def _shows(lab: Lab, look: str, place: Environment) -> bool:
    try:
        return bool(place.run(lab, look, lab.folder, timeout=SECONDS).strip())
    except Problem:
        return False
