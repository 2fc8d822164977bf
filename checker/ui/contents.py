"""How JupyterLab keeps the course's widgets in a notebook: `kubeclass study` gives it this contents manager.

A widget is live only as long as its kernel runs. Without the kernel, JupyterLab shows `model not found` for it. So the
file holds the widget's last text instead, which every reader of notebooks shows (nbconvert, GitHub, an editor). The
output's metadata keep which widget it was. JupyterLab gets the widget back as long as its kernel runs.

JupyterLab sends the widgets' states with each save (the setting saveState of @jupyter-widgets/jupyterlab-manager). The
last text is taken from there.
https://jupyter-server.readthedocs.io/en/stable/developers/contents.html

The output of the picture's cell is also beside the lesson (layout.py). Until the cell has run, a sentence is there. The
file does not hold this sentence.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado.web import HTTPError

from checker.model.catalogue import say
from checker.ui.base_widget import KERNEL, VIEW, kernel_name
from checker.ui.layout import picture_cell

STATES = "application/vnd.jupyter.widget-state+json"
OF_THE_COURSE = "kubeclass"  # in an output's metadata: the data of the widget that was shown
TO_COME = "kubeclass-to-come"  # in an output's metadata: it is the sentence in the place of the picture


class CourseContents(AsyncLargeFileManager):
    """JupyterLab's own contents manager, which also does what is said above."""

    async def get(self, path: str, content: bool = True, *args: Any, **options: Any) -> dict[str, Any]:
        """The model of a file. In a notebook, the widgets of kernels that run are widgets again."""
        model = await self._read(path, content, *args, **options)
        if content and model["type"] == "notebook":
            widgets_back(model["content"], self._kernels())
            announce_picture(model["content"])
        return model

    async def save(self, model: dict[str, Any], path: str = "") -> dict[str, Any]:
        """Save a file. In a notebook, the texts of the course's widgets take their place."""
        if model.get("type") == "notebook" and model.get("content"):
            forget_announcement(model["content"])
            before = {}
            with suppress(HTTPError):  # there is no such file yet, or it cannot be read
                before = (await self._read(path, type="notebook"))["content"]
            texts_for_widgets(model["content"], before)
        saved: dict[str, Any] = await super().save(model, path)  # type: ignore[no-untyped-call]
        return saved

    async def _read(self, path: str, *args: Any, **options: Any) -> dict[str, Any]:
        """The model of a file, as it is on the disk."""
        model: dict[str, Any] = await super().get(path, *args, **options)  # type: ignore[no-untyped-call]
        return model

    def _kernels(self) -> set[str]:
        """The kernels that run here, named as in base_widget.kernel_name."""
        server: Any = self.parent  # JupyterLab's server, which made this
        kernels = server.kernel_manager
        processes = {one: kernels.get_kernel(one).provisioner for one in kernels.list_kernel_ids()}
        return {kernel_name(one, getattr(process, "pid", None)) for one, process in processes.items()}


def texts_for_widgets(notebook: dict[str, Any], before: dict[str, Any]) -> None:
    """Put the last text in the place of each of the course's widgets.

    before: the notebook as it was saved last. A widget that has ended since then keeps the text that it has there.
    """
    states = _states(notebook)
    known = {}
    for output in _outputs(before):
        if widget := (output.get("metadata") or {}).get(OF_THE_COURSE):
            known[widget["model_id"]] = output["data"].get("text/html", "")
    for output in _outputs(notebook):
        widget = output["data"].get(VIEW) or {}
        if not isinstance(widget, dict) or KERNEL not in widget:
            continue
        del output["data"][VIEW]
        output.setdefault("metadata", {})[OF_THE_COURSE] = widget
        view = states.get(widget["model_id"], {}).get("state", {}).get("view", {})
        last = view.get("text") or "".join(output["data"].get("text/plain", ""))
        kept = "" if view else known.get(widget["model_id"], "")
        output["data"]["text/html"] = kept or _as_html(last)
    _forget_states(notebook)


def widgets_back(notebook: dict[str, Any], kernels: Collection[str]) -> None:
    """Put the course's widgets of these kernels back in the place of their texts."""
    for output in _outputs(notebook):
        widget = (output.get("metadata") or {}).get(OF_THE_COURSE)
        if widget and widget[KERNEL] in kernels:
            output["data"][VIEW] = widget


def announce_picture(notebook: dict[str, Any]) -> None:
    """Put a sentence in the place of the picture of a lesson, where its cell has no output yet."""
    cells = notebook.get("cells", ())
    number = picture_cell(cells)
    if number is None or cells[number].get("outputs"):
        return
    sentence = say("picture-to-come")
    data = {"text/plain": sentence, "text/html": f"<p><em>{html.escape(sentence)}</em></p>"}
    cells[number]["outputs"] = [{"output_type": "display_data", "metadata": {TO_COME: True}, "data": data}]


def forget_announcement(notebook: dict[str, Any]) -> None:
    """Take the sentence of announce_picture out of a notebook."""
    for cell in notebook.get("cells", ()):
        if outputs := cell.get("outputs"):
            cell["outputs"] = [one for one in outputs if TO_COME not in (one.get("metadata") or {})]


def _states(notebook: dict[str, Any]) -> dict[str, Any]:
    """The states of widgets that JupyterLab has sent, by the widget's id."""
    widgets = (notebook.get("metadata") or {}).get("widgets") or {}
    found: dict[str, Any] = (widgets.get(STATES) or {}).get("state") or {}
    return found


def _as_html(text: str) -> str:
    return f"<p><strong>{html.escape(say('widget-ended'))}</strong></p>\n<pre>{html.escape(text)}</pre>"


def _outputs(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All outputs that have data."""
    for cell in notebook.get("cells", ()):
        yield from (output for output in cell.get("outputs", ()) if isinstance(output.get("data"), dict))


def _forget_states(notebook: dict[str, Any]) -> None:
    """Take the states of the course's widgets out of a notebook. Those of a learner's own widgets stay."""
    metadata = notebook.get("metadata") or {}
    if not any(VIEW in output["data"] for output in _outputs(notebook)):
        metadata.pop("widgets", None)
    for model, state in _states(notebook).copy().items():
        if str(state.get("state", {}).get("_anywidget_id")).startswith("checker."):
            del metadata["widgets"][STATES]["state"][model]
