"""What the picture's front end is told: the view that drawing.py laid out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from checker.ui.base_widget import CourseWidget, Viewers, module, style
from cluster import Problem

HERE = Path(__file__).parent


class Picture(Protocol):
    """What the widget needs of a picture (checker/ui/picture/__init__.py)."""

    view: dict[str, Any]

    def follow(self, notify: Callable[[], None]) -> Callable[[], None]: ...


class LivePicture(CourseWidget):
    """A picture that follows the cluster as long as somebody looks."""

    _esm = module(HERE / "picture.js")
    _css = style(HERE / "picture.css")

    def __init__(self, picture: Picture) -> None:
        super().__init__(self._begin_to_follow, view=picture.view, status=picture.view["away"])
        self._picture = picture
        self.viewers = Viewers(lambda: picture.follow(self._show_change))

    def _begin_to_follow(self) -> None:
        try:
            self.viewers.here()
        except Problem as problem:
            self.status = str(problem)

    def _show_change(self) -> None:
        view = self._picture.view
        self.view = view
        self.status = view["away"] or "; ".join(view["broken"])
