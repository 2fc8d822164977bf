"""The panel of a lab in a notebook: tasks with symbol, word and points, messages, hints, Check and Reset.

Where there is no front end (nbval, nbconvert, a plain terminal) the same object prints a deterministic text.
"""

from __future__ import annotations

import html
from typing import Any

from checker import progress
from checker.causes import CATALOGUE
from checker.labs import hint, load_lab
from checker.report import SYMBOL, same_roots, text_report
from checker.session import WAIT, Session
from checker.verdict import Result
from cluster import Problem
from cluster.context import DEFAULT_NAMESPACE


class Panel:
    """What `lab("07")` returns: shown as widgets by a front end that has them, and as text by one that has not."""

    def __init__(self, name: str, namespace: str = DEFAULT_NAMESPACE) -> None:
        """Raises Problem for an unknown lab, and where there is no cluster."""
        self.lab = load_lab(name)
        self.namespace = namespace
        self._session = Session(self.lab, namespace)
        self.result: Result | None = None

    def check(self, wait: float = WAIT) -> Result:
        """Grade now. The result has passed, score, max_score and tasks."""
        self.result = self._session.check(wait)
        if self.namespace == DEFAULT_NAMESPACE:
            progress.note(self.result)
        return self.result

    def reset(self) -> None:
        """Delete what was made for this lab and set it up anew."""
        self._session.reset()
        self.result = None

    def __repr__(self) -> str:
        if self.result:
            return text_report(self.result)
        tasks = "\n".join(f"  · to do    {task.title}  0/{task.points}" for task in self.lab.text.tasks)
        return f"Lab {self.lab.number}  {self.lab.text.title}\n{tasks}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        plain = {"text/plain": repr(self)}
        try:
            view: dict[str, Any] = self._widgets()._repr_mimebundle_() or {}
        except ImportError:
            return plain
        return {**view, **plain}

    def _widgets(self) -> Any:
        import ipywidgets as widgets

        tasks = widgets.HTML(_tasks_html(self))
        said = widgets.HTML()
        level: dict[str, int] = {}
        check = widgets.Button(
            description="Check", icon="check", button_style="primary", tooltip="Grade from the cluster"
        )
        reset = widgets.Button(description="Reset", icon="undo", tooltip="Delete what you made here and begin anew")
        sure = widgets.Checkbox(description="Delete what I made", value=False, indent=False)
        choice = widgets.Dropdown(options=[(t.title, t.id) for t in self.lab.text.tasks], description="Hint for")
        ask = widgets.Button(description="Hint", icon="lightbulb-o", tooltip="The next hint for this task")

        def say(text: str) -> None:
            said.value = f'<p role="status">{html.escape(text)}</p>'

        def during(button: Any, words: str, action: Any) -> None:
            button.disabled = True
            say(words)
            try:
                say(action() or "")
            except Problem as problem:
                say(str(problem))
            finally:
                button.disabled = False
                tasks.value = _tasks_html(self)

        def on_check() -> str:
            result = self.check()
            return f"{result.score} of {result.max_score} points."

        def on_reset() -> str:
            if not sure.value:
                return "Reset deletes everything in the lab's namespace. Tick the box first if that is what you want."
            self.reset()
            sure.value = False
            return "The lab is as at its beginning."

        def on_hint() -> str:
            level[choice.value] = level.get(choice.value, 0) + 1
            text, more = hint(self.lab, choice.value, level[choice.value])
            return text + (" (There is another hint.)" if more else "")

        check.on_click(lambda button: during(button, "Looking at the cluster …", on_check))
        reset.on_click(lambda button: during(button, "Resetting …", on_reset))
        ask.on_click(lambda button: during(button, "", on_hint))
        return widgets.VBox([tasks, widgets.HBox([check, choice, ask]), widgets.HBox([reset, sure]), said])


def _tasks_html(panel: Panel) -> str:
    """The tasks as HTML, readable in light and dark themes: JupyterLab's own colours, and a word beside every symbol."""
    result = panel.result
    verdicts = {verdict.id: verdict for verdict in result.tasks} if result else {}
    repeated = same_roots(result) if result else {}
    score = (
        f"{result.score} of {result.max_score} points"
        if result
        else f"{sum(t.points for t in panel.lab.text.tasks)} points"
    )
    rows = [
        f"<h4>Lab {panel.lab.number}: {html.escape(panel.lab.text.title)} — {score}</h4><ul style='list-style:none;padding-left:0'>"
    ]
    for task in panel.lab.text.tasks:
        verdict = verdicts.get(task.id)
        symbol, word = (SYMBOL[verdict.verdict], verdict.verdict) if verdict else ("·", "to do")
        colour = {"passed": "success", "failed": "error", "unknown": "warn"}[verdict.verdict] if verdict else ""
        style = f"color:var(--jp-{colour}-color0, inherit)" if colour else ""
        rows.append(
            f"<li style='margin-bottom:.5em'><b style='{style}'>{symbol} {word}</b> <b>{html.escape(task.title)}</b> "
            f"({task.points} points)<br>{html.escape(task.text)}"
        )
        if verdict and task.id in repeated:
            rows.append(f"<br><i>The same root as “{html.escape(repeated[task.id].title)}”.</i>")
        elif verdict and verdict.verdict != "passed":
            cause = CATALOGUE.get(verdict.cause)
            look = verdict.look or (cause.look if cause else "")
            rows.append(f"<br>{html.escape(verdict.message)}<br>Look: <code>{html.escape(look)}</code>")
            if cause:
                rows.append(f"<br><small>{html.escape(cause.meaning)} (lesson {cause.lesson})</small>")
        rows.append("</li>")
    return "".join([*rows, "</ul>"])


def lab(name: str, namespace: str = DEFAULT_NAMESPACE) -> Panel:
    """The panel of a lab, by its number ("07")."""
    return Panel(name, namespace)
