"""A Problem as text, in the chosen language. The machine's side (cluster/) writes its own sentences in English."""

from __future__ import annotations

from checker.model.catalogue import say
from cluster.problem import Problem


def text_of(problem: Problem) -> str:
    """What is wrong, what was kept, and the next step. Where the chosen language cannot be read, that is in English."""
    try:
        kept = say("problem-kept", kept=problem.kept) if problem.kept else ""
        following = say("problem-next", next_step=problem.next_step)
    except Problem:
        return str(problem)
    return "\n  ".join(filter(None, (problem.what, kept, following)))
