"""A result as text: the same words in a terminal, in a notebook without a front end, and in a log."""

from __future__ import annotations

import textwrap
from collections.abc import Collection
from dataclasses import dataclass

from checker.classroom.target import unless_home
from checker.grading.labs import Lab
from checker.model.catalogue import catalogue, say
from checker.model.verdict import Result, Verdict
from checker.ui.suspects import is_kept_back

SYMBOL = {"passed": "✔", "failed": "✘", "unknown": "?"}
ANSI = {"passed": "32", "failed": "31", "unknown": "33"}  # green, red, yellow
TO_DO = "·"  # the symbol of a task that was not checked yet
WAITING = "…"  # the symbol of a verdict that may change by itself


@dataclass(frozen=True)
class Report(Result):
    """A result that, shown in a notebook, reads as the report does.

    why, known: see text_report. debrief: what follows where everything has passed.
    """

    why: bool = False
    known: Collection[str] = ()
    debrief: str = ""

    def __repr__(self) -> str:
        report = text_report(self, why=self.why, known=self.known)
        return f"{report}\n{self.debrief}" if self.passed and self.debrief else report


def same_roots(result: Result) -> dict[str, Verdict]:
    """For each task that fails for a root that an earlier task named, that earlier verdict.

    Two verdicts have the same root where their cause, their object and its namespace are equal, and so are the facts
    that the catalogue names for the cause (`same_root_by`).
    """
    causes = catalogue()
    first: dict[tuple[str, ...], Verdict] = {}
    repeated = {}
    for verdict in result.tasks:
        if verdict.verdict != "passed":
            fault = verdict.fault
            namespace = (fault.object.namespace if fault else "") or result.namespace
            facts = fault.root(causes) if fault else ()
            root = first.setdefault((verdict.cause, verdict.object, namespace, *facts), verdict)
            if root is not verdict:
                repeated[verdict.id] = root
    return repeated


def text_report(
    result: Result, colour: bool = False, live: bool = False, why: bool = False, known: Collection[str] = ()
) -> str:
    """The whole result.

    A failed task shows what was observed. Its cause is shown where `why` asks for it. A task that could not be checked,
    and one that waits for a change in progress, always show their reason.

    colour: with ANSI colours; the words say everything without them.
    live: another report follows. So a verdict that may change by itself reads as waiting.
    known: the roots for which the learner has named a suspect. Other roots that the lab asks to find out are kept back.
    """

    def styled(text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if colour else text

    title = styled(say("report-title", lab=result.lab, title=result.title), "1")
    score = say("report-score", score=result.score, max_score=result.max_score, namespace=result.namespace)
    lines = [f"{title}  {score}"]
    repeated = same_roots(result)
    for verdict in result.tasks:
        earned = verdict.points if verdict.verdict == "passed" else 0
        waiting = live and verdict.in_progress
        word = word_with_symbol(
            WAITING if waiting else SYMBOL[verdict.verdict], "waiting" if waiting else verdict.verdict
        )
        code = ANSI["unknown"] if waiting else ANSI[verdict.verdict]
        lines.append(f"  {styled(word, code)}  {verdict.title}  {earned}/{verdict.points}")
        if is_kept_back(verdict.root, known):
            lines += _wrapped([say("report-find-out")])
        elif why and verdict.id in repeated:
            lines.append(f"      {say('report-same-root', title=repeated[verdict.id].title)}")
        elif why or verdict.verdict == "unknown" or verdict.in_progress:
            lines += _explained(verdict)
        elif verdict.observed:
            lines += _wrapped([say("report-observed", observed=verdict.observed.rstrip("."))])
    if result.waited >= 1:
        lines.append(f"  {say('report-waited', seconds=f'{result.waited:.0f}')}")
    unexplained = [task for task in result.tasks if task.verdict == "failed" and not task.in_progress]
    elsewhere = unless_home(result.namespace)
    if unexplained and not why:
        lines.append(say("report-why", lab=result.lab, task=unexplained[0].id, elsewhere=elsewhere))
    if any(is_kept_back(task.root, known) for task in result.tasks):
        lines.append(say("report-suspect", lab=result.lab, elsewhere=elsewhere))
    return "\n".join(lines)


def debrief(lab: Lab) -> list[tuple[str, str]]:
    """What is told when a lab has passed, as (what it is, words); empty where the lab has no debrief."""
    known = lab.spec.debrief
    if not known:
        return []
    return [
        (say("debrief-shown"), known.shown),
        *((say("debrief-others"), other) for other in known.others.values()),
        (say("debrief-mistake"), known.mistake),
        (say("debrief-further"), known.further),
    ]


def text_debrief(lab: Lab) -> str:
    """The debrief as text."""
    lines = [line for label, words in debrief(lab) for line in [label, *_wrapped([words])]]
    return "\n".join(dict.fromkeys(lines))


def word_with_symbol(symbol: str, word: str) -> str:
    """A symbol and a verdict's word in the chosen language, as wide as each of the others.

    word: its id behind `word-`.
    """
    width = max(len(say(f"word-{one}")) for one in ("passed", "failed", "unknown", "waiting", "to-do"))
    return f"{symbol} {say(f'word-{word}'):{width}}"


def _explained(verdict: Verdict) -> list[str]:
    """The evidence of a verdict, its cause and where to look; nothing for a passed one."""
    if verdict.verdict == "passed":
        return []
    cause = catalogue().get(verdict.cause)
    lines = [verdict.message or (cause.title if cause else verdict.cause)]
    if verdict.expected or verdict.observed:
        observed = (verdict.observed or "-").rstrip(".")
        lines.append(say("expected-observed", expected=verdict.expected or "-", observed=observed))
    if verdict.look:
        lines.append(say("look", command=verdict.look))
    if cause:
        lines.append(say("meaning", meaning=cause.meaning, lesson=cause.lesson))
    return _wrapped(lines)


def _wrapped(lines: list[str]) -> list[str]:
    return [
        wrapped
        for line in lines
        for wrapped in textwrap.wrap(line, 110, initial_indent=" " * 6, subsequent_indent=" " * 8)
    ]
