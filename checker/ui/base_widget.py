"""What the panel and the picture share: a widget that works as long as somebody looks at it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

HERE = Path(__file__).parent
VIEW = "application/vnd.jupyter.widget-view+json"
KERNEL = "kubeclass_kernel"  # in the data of that type: the kernel of the widget, see kernel_name
# Seconds. After this time without a message from a front end, the widget assumes that nobody is looking.
# The front end sends a message every 15 seconds. A kernel that runs a long cell receives it late.
SILENCE = 300.0


def module(path: Path) -> str:
    """The ES module of a widget: what all share (base_widget.js), and its own."""
    return (HERE / "base_widget.js").read_text() + path.read_text()


def style(path: Path) -> str:
    """The style sheet of a widget: what all share (base_widget.css), and its own."""
    return (HERE / "base_widget.css").read_text() + path.read_text()


class Viewers:
    """Has something at work as long as somebody looks."""

    def __init__(self, begin: Callable[[], Callable[[], None]]) -> None:
        """begin: starts it, and returns what ends it."""
        self._begin = begin
        self._end: Callable[[], None] | None = None
        self._silence: threading.Timer | None = None
        self._lock = threading.Lock()

    def here(self) -> None:
        """Somebody looks: begin, where it is not at work. Raises what `begin` raises."""
        with self._lock:
            if self._silence:
                self._silence.cancel()
            self._silence = threading.Timer(SILENCE, self.rest)
            self._silence.daemon = True
            self._silence.start()
            if not self._end:
                self._end = self._begin()

    def rest(self) -> None:
        """Nobody looks any more: end it. Twice is safe."""
        with self._lock:
            if self._silence:
                self._silence.cancel()
            if self._end:
                self._end()
                self._end = None


class CourseWidget(anywidget.AnyWidget):
    """view: all that is shown, as plain data. status: the last sentence, which a screen reader reads out.

    viewings: the number of messages in which the front end reported a viewer.
    The front end learns from it that the kernel is running.
    """

    view = traitlets.Dict().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    viewings = traitlets.Int(0).tag(sync=True)

    def __init__(self, begin: Callable[[], None] = lambda: None, **traits: Any) -> None:
        """begin: begins what is shown, if it does not run yet. It is called whenever the front end reports a viewer."""
        super().__init__(**traits)
        self._begin = begin
        self.on_msg(lambda widget, request, buffers: self.on_request(request))

    def on_request(self, request: dict[str, Any]) -> None:
        """Do what the front end asks for: `{"do": "here"}`, and what a subclass knows."""
        if request.get("do") == "here":
            self.viewings += 1
            self._begin()

    def shown(self) -> dict[str, Any]:
        """The MIME bundle by which a front end finds this widget."""
        bundle = self._repr_mimebundle_()
        data: dict[str, Any] = bundle[0] if isinstance(bundle, tuple) else bundle or {}
        if VIEW in data:
            data[VIEW] = {**data[VIEW], KERNEL: _this_kernel()}
        return data


def kernel_name(id: str, process: int | None) -> str:
    """What tells the process of a kernel from all others: a restart keeps the kernel's id, and changes the process."""
    return f"{id}:{process}"


def _this_kernel() -> str:
    """The kernel that this code runs in; "" where it runs in none."""
    try:
        from ipykernel.connect import get_connection_file

        id = Path(get_connection_file()).stem.removeprefix("kernel-")
    except (ImportError, RuntimeError):
        return ""
    return kernel_name(id, os.getpid())
