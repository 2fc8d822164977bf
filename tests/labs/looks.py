"""Whether the command that a verdict advises shows anything: each is run once, right after its case was judged."""

from __future__ import annotations

import re

from checker.environments import Environment
from checker.grading.labs import Lab
from checker.model.verdict import Result
from cluster import Problem

OPEN = re.compile(r"\b[A-Z]{2,}\b|--watch")  # a word that the learner must put in its place, or a command without end
SECONDS = 30
# Where nothing of a kind is there, kubectl says so in its error output: "No resources found in learn namespace."
OF_NOTHING = {"object-missing"}


def without_evidence(lab: Lab, result: Result, place: Environment) -> list[str]:
    """The Looks of a result that fail, or print nothing, in the place where the case was brought about.

    A Look with a word to be filled in (FILE, CONTAINER) is left out.
    """
    looks = {task.look: task.cause for task in result.tasks if task.verdict != "passed" and task.look}
    return [look for look, cause in looks.items() if not OPEN.search(look) and not _shows(lab, look, cause, place)]


def _shows(lab: Lab, look: str, cause: str, place: Environment) -> bool:
    script = f"{look} 2>&1" if cause in OF_NOTHING else look
    try:
        return bool(place.run(lab, script, lab.folder, timeout=SECONDS).strip())
    except Problem:
        return False
