"""A prediction in a notebook: the learner says what a cell will show before it runs, and compares.

Where there is no front end (nbval, nbconvert, a plain terminal) the same object prints one line, always the same.
What a front end shows is predict.js and predict.css; what it is told and asks for is widget.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

from checker.model.catalogue import say, texts
from checker.ui import progress
from checker.ui.predict.questions import lesson_of


class Prediction:
    """What `predict(…)` returns: shown as a widget by a front end that has them, and as text by one that has not."""

    def __init__(self, question: str, choices: Sequence[str], answer: str | float, because: str) -> None:
        """As `predict`."""
        self.question, self.choices, self.because = question, list(choices), because
        self.answer = _written(answer)
        if self.choices and self.answer not in self.choices:
            raise ValueError(f"the answer {answer!r} is none of the choices")
        if not self.choices and isinstance(answer, str):
            raise ValueError(f"without choices the answer is a number, not {answer!r}")
        self.lesson = lesson_of(question)
        self.next_cell_ran = False  # the answer can be shown from then on
        self.problem = ""  # why the last prediction could not be kept, in a sentence
        kept = progress.predictions(self.lesson).get(question, {})
        self.predicted = str(kept.get("predicted", ""))
        self.revealed = bool(self.predicted and kept.get("revealed"))
        self._widget: Any = None  # one for all the places where this prediction is shown

    def choose(self, predicted: str) -> None:
        """Keep what the learner predicts: one of the choices, or a number. It cannot be changed after the answer.

        Anything else changes nothing.
        """
        if self.revealed:
            return
        if not self.choices:
            try:
                predicted = _written(float(predicted))
            except ValueError:
                return
        elif predicted not in self.choices:
            return
        self.predicted = predicted
        self._keep()

    def reveal(self) -> None:
        """Show what came. Without a prediction, and before the next cell has run, this changes nothing."""
        if self.may_reveal:
            self.revealed = True
            self._keep()

    @property
    def may_reveal(self) -> bool:
        """Whether there is a prediction, the next cell has run, and the answer is not yet shown."""
        return bool(self.predicted) and self.next_cell_ran and not self.revealed

    def _keep(self) -> None:
        self.problem = progress.keep_prediction(self.lesson, self.question, self.predicted, self.revealed)

    # -- shown -------------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        """One line, which does not depend on what the learner predicted."""
        return say("predict-line", question=self.question, choices=" / ".join(self.choices))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        plain = {"text/plain": repr(self)}
        try:
            from checker.ui.predict.widget import PredictionWidget
        except ImportError:
            return plain
        if not self._widget:
            self._widget = PredictionWidget(self)
            when_the_next_cell_ran(self._widget.next_cell_ran)
        return {**self._widget.shown(), **plain}

    def view(self) -> dict[str, Any]:
        """All that a front end shows, as plain data. The answer is in it only after the learner has asked for it."""
        came = {}
        if self.revealed:
            right = self.predicted == self.answer
            came = {
                "came": say("predict-came", answer=self.answer),
                "verdict": say("predict-right") if right else say("predict-other"),
                "because": self.because,
            }
        waiting = self.predicted and not self.next_cell_ran and not self.revealed
        you_predicted = say("predict-you", predicted=self.predicted) if self.predicted else ""
        return {
            "text": "\n".join(filter(None, (repr(self), you_predicted, *came.values()))),
            "label": say("predict-label", question=self.question),
            "question": self.question,
            "choices": self.choices,
            "predicted": self.predicted,
            "you_predicted": you_predicted,
            "what_next": say("predict-run-next") if waiting else "",
            "problem": self.problem,
            "choose": say("predict-change") if self.predicted else say("predict-choose"),
            "may_reveal": self.may_reveal,
            "revealed": self.revealed,
            **came,
            "texts": texts("predict-", "widget-"),
        }


def _written(value: str | float) -> str:
    """A choice as it is, and a number without a needless `.0`. Raises ValueError for a number that is not finite."""
    if isinstance(value, str):
        return value
    if not isfinite(value):
        raise ValueError(value)
    return str(int(value)) if value == int(value) else str(value)


def when_the_next_cell_ran(notify: Callable[[], None]) -> None:
    """Call `notify` once, after the cell that runs now has ended and another one has run. Without IPython: never."""
    try:
        from IPython import get_ipython
    except ImportError:
        return
    shell = get_ipython()
    if shell is None:
        return
    ended = 0  # cells that have ended; the first one is the cell that runs now

    def ran(result: Any) -> None:
        nonlocal ended
        if not result.info.store_history:
            return  # code that a front end runs for itself is no cell
        ended += 1
        if ended > 1:
            shell.events.unregister("post_run_cell", ran)
            notify()

    shell.events.register("post_run_cell", ran)


def predict(question: str, choices: Sequence[str] = (), *, answer: str | float, because: str = "") -> Prediction:
    """Ask what the next cell will show.

    choices: what can be predicted. Without them, a number is asked for. answer: one of the choices, or the number.
    because: a sentence that explains the answer. It is shown with it.

    Raises ValueError for an answer that is no choice, and for one that is no number where there are no choices.
    """
    return Prediction(question, choices, answer, because)
