"""The panel of a lab in a notebook: the tasks, which tick off as the cluster changes, with why, hints, Check and Reset.

Where there is no front end (nbval, nbconvert, a plain terminal) the same object prints a deterministic text.
What a front end shows is panel.js and panel.css; what it is told and asks for is widget.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

from checker.classroom import hand
from checker.classroom.needs import fitted, namespace_of
from checker.classroom.target import target
from checker.collect.api import Api
from checker.grading.labs import Lab, TaskSpec, load_lab
from checker.live import Live
from checker.model.catalogue import catalogue, say, texts
from checker.model.verdict import Result, Verdict
from checker.session import WAIT, Session
from checker.ui import progress, suspects
from checker.ui.report import (
    SYMBOL,
    TO_DO,
    WAITING,
    Report,
    debrief,
    same_roots,
    text_debrief,
    text_report,
    word_with_symbol,
)
from checker.ui.study import page_of


class Panel:
    """What `lab("07")` returns: shown as a widget by a front end that has them, and as text by one that has not."""

    def __init__(self, name: str, namespace: str = "") -> None:
        """namespace: by default, that of the cluster that is meant (classroom/target.py).

        Raises Problem for an unknown lab. The cluster may still be starting.
        """
        self._cluster = target()
        self.lab = fitted(load_lab(name), self._cluster)
        self.namespace = namespace_of(self.lab, self._cluster, namespace)
        self.result: Result | None = None
        self.hints: dict[str, int] = {}  # task id: how many of its hints were asked for
        self.answers: dict[str, str] = {}  # task id: what was said of the suspect that was named last
        self.hand_is_up = False  # in a class, as it was last seen
        self._widget: Any = None  # one for all the places where this panel is shown
        self._notify: Callable[[str], None] = lambda words: None
        self._live: Live | None = None

    @property
    def finds_out(self) -> bool:
        """Whether a task of the lab is to find out what is wrong."""
        return any(task.find_out for task in self.lab.spec.tasks)

    @cached_property
    def _session(self) -> Session:
        """Raises Problem where there is no cluster (yet)."""
        return Session(self.lab, self.namespace, cluster=self._cluster)

    def check(self, wait: float = WAIT, why: bool = False) -> Result:
        """Grade now. The result has passed, score, max_score and tasks.

        why: the result, where it is shown, also tells the causes of what failed.
        Raises Problem where there is no cluster (yet).
        """
        result = self._session.check(wait)
        self._take(result, by_learner=True)
        known = progress.suspects(self.lab.number, self.namespace)
        return Report(**vars(result), why=why, known=known, debrief=text_debrief(self.lab))

    def reset(self) -> None:
        """Delete what was made for this lab and set it up again."""
        self._session.reset()
        progress.forget_suspects(self.lab.number, self.namespace)
        self.answers.clear()
        self.result = None
        if self._live:
            self._live.again()

    def next_hint(self, task_id: str) -> None:
        """Uncover one more hint of a task, the gentlest first."""
        known = next(len(task.hints) for task in self.lab.spec.tasks if task.id == task_id)
        self.hints[task_id] = min(self.hints.get(task_id, 0) + 1, known)

    def name_suspect(self, task_id: str, target: str, choice: str) -> str:
        """The learner names what is wrong. Returns the answer in a sentence. Raises Problem as suspects.named does."""
        result, state = self._session.checked()
        _, answer = suspects.named(self.lab, result, state, target, choice)
        self.answers[task_id] = answer
        self._take(result)
        return answer

    # -- a raised hand, in a class ----------------------------------------------------------------------------------

    @property
    def has_hand(self) -> bool:
        """Whether there is a teacher who could see a raised hand."""
        return self._cluster.kind == "class"

    def turn_hand(self) -> str:
        """Raise the learner's hand, or take it down if it is up. Returns what is so now in a sentence. Raises Problem.

        The teacher may have taken it down meanwhile. So what counts is what the learner saw.
        """
        turn = hand.take_down if self.hand_is_up else hand.put_up
        turn(Api(self._cluster), self._cluster.namespace)
        self.hand_is_up = not self.hand_is_up
        return say("panel-hand-is-up" if self.hand_is_up else "panel-hand-is-down")

    def look_at_hand(self) -> bool:
        """See whether the hand is up. Returns whether that is news. Raises Problem."""
        before, self.hand_is_up = self.hand_is_up, hand.is_up(Api(self._cluster), self._cluster.namespace)
        return before != self.hand_is_up

    # -- live --------------------------------------------------------------------------------------------------------

    def follow(self, notify: Callable[[str], None]) -> Callable[[], None]:
        """From now on verdicts arrive by themselves, until what is returned is called.

        told: called after every new result with what is new in a sentence, from another thread.
        """
        self._notify = notify
        self._live = live = Live(self._session, self._take)
        live.start()
        return live.stop

    def seen(self) -> None:
        """Somebody has the panel before their eyes."""
        if self.namespace == self._cluster.namespace:
            progress.seen(self.lab.number)

    def _take(self, result: Result, by_learner: bool = False) -> None:
        before, self.result = self.result, result
        unkept = progress.note(result, by_learner) if self.namespace == self._cluster.namespace else ""
        self._notify(f"{_news(before, result)} {unkept}".rstrip())

    # -- shown -------------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        if self.result:
            return text_report(self.result, known=progress.suspects(self.lab.number, self.namespace))
        title = say("report-title", lab=self.lab.number, title=self.lab.spec.title)
        word = word_with_symbol(TO_DO, "to-do")
        return "\n".join([title, *(f"  {word}  {task.title}  0/{task.points}" for task in self.lab.spec.tasks)])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        plain = {"text/plain": repr(self)}
        try:
            from checker.ui.panel.widget import LabPanel
        except ImportError:
            return plain
        self._widget = self._widget or LabPanel(self)
        return {**self._widget.shown(), **plain}

    def view(self) -> dict[str, Any]:
        """All that a front end shows, as plain data: the lab's words, and for each task its verdict and its evidence.

        text: the same as text, for a notebook that is read without its kernel (checker/ui/contents.py).
        A task's `word` is the verdict as data; `shown` is the same in the chosen language. texts: see catalogue.texts.
        """
        known = progress.suspects(self.lab.number, self.namespace) if self.finds_out else set()
        own = self.lab.tasks(self.namespace, self._cluster.namespace)
        return {
            "text": repr(self),
            **lab_view(self.lab, own, self.result, self.namespace, known, self.hints, self.answers),
            "choices": suspects.choices() if self.finds_out else [],
            "hand": say("panel-hand-lower" if self.hand_is_up else "panel-hand-raise") if self.has_hand else "",
            "hand_is_up": self.hand_is_up,
        }


def lab_view(
    lab: Lab,
    tasks: Sequence[TaskSpec],
    result: Result | None,
    namespace: str,
    known: Collection[str],
    hints: Mapping[str, int],
    answers: Mapping[str, str],
) -> dict[str, Any]:
    """What a front end shows of a lab. tasks: in the words for this namespace. known: the roots that were named.

    hints: how many of each task's are uncovered. answers: what was said of the suspect that was named last.
    """
    verdicts = {verdict.id: verdict for verdict in result.tasks} if result else {}
    repeated = same_roots(result) if result else {}
    named = {"lab": lab.number, "title": lab.spec.title}
    points = {"score": result.score if result else 0, "max_score": sum(task.points for task in lab.spec.tasks)}
    return {
        "number": lab.number,
        "title": lab.spec.title,
        "goal": lab.spec.goal,
        "namespace": namespace,
        **points,
        "texts": texts("panel-", "widget-"),
        "debrief": debrief(lab) if result and result.passed else [],
        "choices": [],
        "hand": "",
        "hand_is_up": False,
        "label": say("panel-label", **named),
        "heading": say("panel-heading", **named, **points),
        "points_of": say("panel-points-of", **points),
        "reset_question": say("panel-reset-question", namespace=namespace),
        "tasks": [
            {
                "id": task.id,
                "title": task.title,
                "text": task.text,
                "points": task.points,
                "worth": say("panel-points", number=task.points),
                "why": say("panel-why", title=task.title),
                **_shown(verdicts.get(task.id)),
                "answer": answers.get(task.id, ""),
                **_why(verdicts.get(task.id), repeated.get(task.id), known),
                **_hints(task, hints.get(task.id, 0)),
            }
            for task in tasks
        ],
    }


def _shown(verdict: Verdict | None) -> dict[str, str]:
    """The symbol of a task, and its word as data and as text.

    A verdict that may change by itself is shown as waiting.
    """
    if not verdict:
        return {"symbol": TO_DO, "word": "to do", "shown": say("word-to-do")}
    word = "waiting" if verdict.in_progress else verdict.verdict
    return {"symbol": SYMBOL.get(word, WAITING), "word": word, "shown": say(f"word-{word}")}


def _hints(task: TaskSpec, uncovered: int) -> dict[str, Any]:
    """The hints of a task that were asked for, and the button for the next one. uncovered: how many they are."""
    another = "-another" if uncovered else ""
    return {
        "hints": task.hints[:uncovered],
        "more_hints": uncovered < len(task.hints),
        "hint": say(f"panel-hint{another}"),
        "hint_label": say(f"panel-hint{another}-label", title=task.title),
    }


def _why(verdict: Verdict | None, root: Verdict | None, known: Collection[str]) -> dict[str, str]:
    """The evidence of a verdict that is not passed.

    root: the earlier verdict that names the same root already. known: the roots that the learner has named.
    """
    if not verdict or verdict.verdict == "passed":
        return {}
    if suspects.is_kept_back(verdict.root, known):
        return {"find_out": say("report-find-out")}
    seen = {}
    if verdict.verdict == "failed" and verdict.observed and not verdict.in_progress:
        seen["seen"] = say("report-observed", observed=verdict.observed.rstrip("."))
    if root:
        return {**seen, "same_as": root.title, "same_root": say("report-same-root", title=root.title)}
    cause = catalogue().get(verdict.cause)
    known = {
        "message": verdict.message,
        "expected": verdict.expected,
        "observed": verdict.observed,
        "look": verdict.look,
    }
    if cause:
        known |= {
            "meaning": cause.meaning,
            "lesson": cause.lesson,
            "lesson_link": say("panel-lesson", lesson=cause.lesson, section=cause.section),
            "page": page_of(cause.lesson),
        }
    return {**seen, **{name: text for name, text in known.items() if text}}


def _news(before: Result | None, now: Result) -> str:
    """What is new in a result, in a sentence for a screen reader."""
    old = {task.id: _shown(task)["word"] for task in before.tasks} if before else {}
    changed = [
        say("panel-changed", title=task.title, word=_shown(task)["shown"])
        for task in now.tasks
        if before and _shown(task)["word"] != old.get(task.id)
    ]
    return " ".join([*changed, say("panel-score", score=now.score, max_score=now.max_score)])


def lab(name: str, namespace: str = "") -> Panel:
    """The panel of a lab, by its number ("07")."""
    return Panel(name, namespace)
