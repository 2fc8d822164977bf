"""The panel of a lab in a notebook: the tasks, which tick off as the cluster changes, with why, hints, Check and Reset.

Where there is no front end (nbval, nbconvert, a plain terminal) the same object prints a deterministic text. What a front end
shows is panel.js and panel.css; what it is told and asks for is widget.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from checker.grading.labs import load_lab
from checker.live import Live
from checker.model.catalogue import catalogue
from checker.model.verdict import Result, Verdict
from checker.session import WAIT, Session
from checker.ui import progress
from checker.ui.report import SYMBOL, Report, same_roots, text_report
from checker.ui.study import page_of
from cluster.context import DEFAULT_NAMESPACE


class Panel:
    """What `lab("07")` returns: shown as a widget by a front end that has them, and as text by one that has not."""

    def __init__(self, name: str, namespace: str = DEFAULT_NAMESPACE) -> None:
        """Raises Problem for an unknown lab. The cluster may still be on its way."""
        self.lab = load_lab(name)
        self.namespace = namespace
        self.result: Result | None = None
        self.hints: dict[str, int] = {}  # task id: how many of its hints were asked for
        self._widget: Any = None  # one for all the places where this panel is shown
        self._told: Callable[[str], None] = lambda words: None
        self._live: Live | None = None

    @cached_property
    def _session(self) -> Session:
        """Raises Problem where there is no cluster (yet)."""
        return Session(self.lab, self.namespace)

    def check(self, wait: float = WAIT) -> Result:
        """Grade now. The result has passed, score, max_score and tasks. Raises Problem where there is no cluster (yet)."""
        result = self._session.check(wait)
        self._take(result, asked=True)
        return Report(**vars(result))

    def reset(self) -> None:
        """Delete what was made for this lab and set it up anew."""
        self._session.reset()
        self.result = None
        if self._live:
            self._live.again()

    def next_hint(self, task_id: str) -> None:
        """Uncover one more hint of a task, the gentlest first."""
        known = next(len(task.hints) for task in self.lab.text.tasks if task.id == task_id)
        self.hints[task_id] = min(self.hints.get(task_id, 0) + 1, known)

    # -- live --------------------------------------------------------------------------------------------------------

    def follow(self, told: Callable[[str], None]) -> Callable[[], None]:
        """From now on verdicts arrive by themselves, until what is returned is called.

        told: called after every new result with what is new in a sentence, from another thread.
        """
        self._told = told
        self._live = live = Live(self._session, self._take)
        live.start()
        return live.stop

    def seen(self) -> None:
        """Somebody has the panel before their eyes."""
        if self.namespace == DEFAULT_NAMESPACE:
            progress.seen(self.lab.number)

    def _take(self, result: Result, asked: bool = False) -> None:
        before, self.result = self.result, result
        unkept = progress.note(result, asked) if self.namespace == DEFAULT_NAMESPACE else ""
        self._told(f"{_news(before, result)} {unkept}".rstrip())

    # -- shown -------------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        if self.result:
            return text_report(self.result)
        tasks = "\n".join(f"  · to do    {task.title}  0/{task.points}" for task in self.lab.text.tasks)
        return f"Lab {self.lab.number}  {self.lab.text.title}\n{tasks}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        plain = {"text/plain": repr(self)}
        try:
            from checker.ui.panel.widget import LabPanel
        except ImportError:
            return plain
        self._widget = self._widget or LabPanel(self)
        return {**self._widget.shown(), **plain}

    def view(self) -> dict[str, Any]:
        """All that a front end shows, as plain data: the lab's words, and for each task its verdict and what stands behind it."""
        result = self.result
        verdicts = {verdict.id: verdict for verdict in result.tasks} if result else {}
        repeated = same_roots(result) if result else {}
        return {
            "number": self.lab.number, "title": self.lab.text.title, "goal": self.lab.text.goal, "namespace": self.namespace,
            "score": result.score if result else 0, "max_score": sum(task.points for task in self.lab.text.tasks),
            "tasks": [
                {
                    "id": task.id, "title": task.title, "text": task.text, "points": task.points,
                    **_shown(verdicts.get(task.id)), **_why(verdicts.get(task.id), repeated.get(task.id)),
                    "hints": task.hints[: self.hints.get(task.id, 0)], "more_hints": self.hints.get(task.id, 0) < len(task.hints),
                }
                for task in self.lab.tasks(self.namespace)
            ],
        }  # fmt: skip


def _shown(verdict: Verdict | None) -> dict[str, str]:
    """The symbol and the word of a task. What may be different a moment later is waiting: another verdict will come."""
    if not verdict:
        return {"symbol": "·", "word": "to do"}
    if verdict.in_progress:
        return {"symbol": "…", "word": "waiting"}
    return {"symbol": SYMBOL[verdict.verdict], "word": verdict.verdict}


def _why(verdict: Verdict | None, root: Verdict | None) -> dict[str, str]:
    """What stands behind a verdict that is not passed, under the names of the report's lines; `root`: the verdict that names it already."""
    if not verdict or verdict.verdict == "passed":
        return {}
    if root:
        return {"same_as": root.title}
    cause = catalogue().get(verdict.cause)
    known = {
        "message": verdict.message, "expected": verdict.expected, "observed": verdict.observed,
        "look": verdict.look,
    }  # fmt: skip
    if cause:
        known |= {"meaning": cause.meaning, "lesson": cause.lesson, "page": page_of(cause.lesson)}
    return {name: text for name, text in known.items() if text}


def _news(before: Result | None, now: Result) -> str:
    """What is new in a result, for somebody who hears it rather than sees it."""
    old = {task.id: _shown(task)["word"] for task in before.tasks} if before else {}
    changed = [
        f"{task.title}: {_shown(task)['word']}." for task in now.tasks if _shown(task)["word"] != old.get(task.id)
    ]
    return " ".join([*(changed if before else []), f"{now.score} of {now.max_score} points."])


def lab(name: str, namespace: str = DEFAULT_NAMESPACE) -> Panel:
    """The panel of a lab, by its number ("07")."""
    return Panel(name, namespace)
