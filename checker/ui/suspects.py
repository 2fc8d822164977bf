"""What is kept back of a lab whose task is to find out, and what a learner's suspect uncovers.

The suspects that were named are kept with the progress (checker/ui/progress.py), by namespace and lab.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from checker.classroom.target import unless_home
from checker.diagnosis.explain import changed_instead, parsed
from checker.grading.labs import Lab, all_labs, load_lab
from checker.grading.suspects import CHOICES, suspected
from checker.model.catalogue import catalogue, problem, say
from checker.model.explanation import Explanation
from checker.model.state import State
from checker.model.verdict import Result
from checker.ui import progress


def choices() -> list[tuple[str, str]]:
    """What may be named as wrong: the word for a command, and what it means."""
    return [(choice, say(f"suspect-{choice}")) for choice in CHOICES]


def named(lab: Lab, result: Result, state: State, target: str, choice: str) -> tuple[bool, str]:
    """A learner names a suspect. Returns whether that is it, and the answer in a sentence.

    Whichever it is, the cause that was asked for is no longer kept back.
    target: the object, as `deploy/web`. Raises Problem for a lab that asks nobody to find out, an unknown kind or
    choice, and where nothing is kept back.
    """
    if not any(task.find_out for task in lab.spec.tasks):
        raise problem("nothing-to-find-out", lab=lab.number)
    if choice not in CHOICES:
        raise problem("no-such-choice", choice=choice, choices=CHOICES)
    kind, name = parsed(target)
    known = progress.suspects(lab.number, state.namespace)
    roots = list(dict.fromkeys(task.root for task in result.tasks if task.root))
    left = [root for root in roots if root not in known]
    if not left:
        raise problem("nothing-kept-back", lab=lab.number, elsewhere=state.namespace)
    instead = changed_instead(state, kind, name)
    objects = (f"{kind}/{name}", instead)
    root = suspected(left, objects, choice)
    progress.add_suspect(lab.number, state.namespace, root or left[0])
    if root:
        return True, say("suspect-right", object=instead, title=catalogue()[root.partition("@")[0]].title)
    there = [root for root in left if root.partition("@")[2] in objects]
    answer = "suspect-elsewhere" if there else "suspect-wrong"
    return False, say(answer, object=instead, choice=say(f"suspect-{choice}"))


def without_kept_back(found: Explanation) -> Explanation:
    """An explanation without the causes and remarks that the namespace's lab asks the learner to find out first."""
    if found.lab not in all_labs() or not any(task.find_out for task in load_lab(found.lab).spec.tasks):
        return found
    known = progress.suspects(found.lab, found.namespace)
    shown = tuple(finding for finding in found.findings if finding.root in known)
    return replace(found, findings=shown, remarks=(), kept_back=len(found.findings) - len(shown))


def kept_back(found: Explanation) -> str:
    """How many causes are not told, and how to read them, in a sentence; empty where all are told."""
    elsewhere = unless_home(found.namespace)
    return (
        say("explain-kept-back", number=found.kept_back, lab=found.lab, elsewhere=elsewhere) if found.kept_back else ""
    )


def is_kept_back(root: str, known: Collection[str]) -> bool:
    """Whether the cause of a verdict with this root is kept back. known: the roots that were named."""
    return bool(root) and root not in known
