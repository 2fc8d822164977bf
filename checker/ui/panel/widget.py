"""What the panel's front end is told (the traits) and what it may ask for (the messages `{"do": …}`)."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import traitlets

from checker.model.catalogue import say
from checker.model.verdict import Result
from checker.ui.base_widget import CourseWidget, Viewers, module, style
from cluster import Problem

HERE = Path(__file__).parent


class Panel(Protocol):
    """What the widget needs of a panel (checker/ui/panel/__init__.py)."""

    result: Result | None

    @property
    def has_hand(self) -> bool: ...
    def view(self) -> dict[str, Any]: ...
    def follow(self, notify: Callable[[str], None]) -> Callable[[], None]: ...
    def next_hint(self, task_id: str) -> None: ...
    def seen(self) -> None: ...
    def check(self) -> Result: ...
    def reset(self) -> None: ...
    def name_suspect(self, task_id: str, target: str, choice: str) -> str: ...
    def turn_hand(self) -> str: ...
    def look_at_hand(self) -> bool: ...


class LabPanel(CourseWidget):
    """busy: whether Check or Reset is at work."""

    _esm = module(HERE / "panel.js")
    _css = style(HERE / "panel.css")
    busy = traitlets.Bool(False).tag(sync=True)

    def __init__(self, panel: Panel) -> None:
        super().__init__(self._begin_to_follow, view=panel.view())
        self._panel = panel
        self.viewers = Viewers(lambda: panel.follow(self._show_news))

    def on_request(self, request: dict[str, Any]) -> None:
        """Besides what every front end asks for: check, reset, hand, hint (for a task), suspect (object, choice)."""
        super().on_request(request)
        if request.get("do") == "hint":
            self._panel.next_hint(request["task"])
            self.view = self._panel.view()
        elif request.get("do") == "check":
            self._work(say("panel-looking"), self._check)
        elif request.get("do") == "reset":
            self._work(say("panel-resetting"), self._reset)
        elif request.get("do") == "hand":
            self._work(say("panel-looking"), self._panel.turn_hand)
        elif request.get("do") == "suspect":
            named = (request["task"], request["object"], request["choice"])
            self._work(say("panel-looking"), lambda: self._panel.name_suspect(*named))

    def _begin_to_follow(self) -> None:
        if not self._panel.result and not self.status:
            self.status = say("panel-looking")
        self._panel.seen()
        try:
            self.viewers.here()
        except Problem as problem:
            self.status = str(problem)
        if self._panel.has_hand and not self.busy:
            threading.Thread(target=self._look_at_hand, name="hand", daemon=True).start()

    def _look_at_hand(self) -> None:
        """The teacher may have taken the hand down."""
        with suppress(Problem):  # the panel says already that the cluster does not answer
            if self._panel.look_at_hand():
                self.view = self._panel.view()

    def _show_news(self, words: str) -> None:
        self.view = self._panel.view()
        if not self.busy:
            self.status = words

    def _work(self, words: str, action: Callable[[], str]) -> None:
        """Do something that takes a while beside the kernel, which goes on running cells. One at a time."""
        if self.busy:
            return
        self.busy, self.status = True, words
        threading.Thread(target=self._at_work, args=(action,), name="panel", daemon=True).start()

    def _at_work(self, action: Callable[[], str]) -> None:
        try:
            words = action()
        except Problem as problem:
            words = str(problem)
        except Exception:  # a fault of the course: the buttons go on working
            words = say("panel-action-failed")
            traceback.print_exc()
        self.view = self._panel.view()
        self.busy, self.status = False, words

    def _check(self) -> str:
        result = self._panel.check()
        return say("panel-score", score=result.score, max_score=result.max_score)

    def _reset(self) -> str:
        self._panel.reset()
        return say("panel-was-reset")
