"""What the front end of a prediction is told (the view) and what it may ask for (the messages `{"do": …}`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from checker.ui.base_widget import CourseWidget, module, style

HERE = Path(__file__).parent


class Prediction(Protocol):
    """What the widget needs of a prediction (checker/ui/predict/__init__.py)."""

    next_cell_ran: bool

    def view(self) -> dict[str, Any]: ...
    def choose(self, predicted: str) -> None: ...
    def reveal(self) -> None: ...


class PredictionWidget(CourseWidget):
    """A question, the learner's prediction, and, when it is asked for, what came."""

    _esm = module(HERE / "predict.js")
    _css = style(HERE / "predict.css")

    def __init__(self, prediction: Prediction) -> None:
        super().__init__(view=prediction.view())
        self._prediction = prediction

    def on_request(self, request: dict[str, Any]) -> None:
        """Besides what every front end asks for: predict (with `predicted`), reveal."""
        super().on_request(request)
        if request.get("do") == "predict":
            self._prediction.choose(str(request["predicted"]))
        elif request.get("do") == "reveal":
            self._prediction.reveal()
        self.view = self._prediction.view()

    def next_cell_ran(self) -> None:
        self._prediction.next_cell_ran = True
        self.view = self._prediction.view()
