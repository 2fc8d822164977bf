"""How JupyterLab is arranged for a lesson when it is opened for the first time.

The picture of the cluster is beside the lesson, a terminal is below it. A workspace of its own for each lesson (https://jupyterlab.readthedocs.io/en/stable/user/workspaces.html):
what a learner changes there stays, and `kubeclass study --plain` is JupyterLab without it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from checker.ui.lesson_files import cells_of
from cluster import paths

TERMINAL = "kubeclass"  # the terminal's name: all lessons share it


def folder() -> Path:
    """Where workspaces are kept. `JUPYTERLAB_WORKSPACES_DIR`, else a folder of the course's own."""
    return Path(os.environ.get("JUPYTERLAB_WORKSPACES_DIR") or paths.home() / "workspaces")


def arrange(page: str, lessons: Path) -> str:
    """Create the workspace for a lesson where there is none yet or a damaged one. Returns the workspace's name.

    page: the name of the lesson's file. lessons: the folder that it is in.
    """
    from jupyterlab_server.workspaces_handler import (
        WorkspacesManager,
    )  # takes a second, which a lesson's number does not need

    name = Path(page).stem.replace(".", "-")  # the address of a workspace has no dots
    manager = WorkspacesManager(str(folder()))
    try:
        known = manager.load(name)["data"]
    except (ValueError, KeyError):
        known = None
    if not known:
        manager.save(
            name, json.dumps({"data": _arranged(page, _cell_of_the_picture(lessons / page)), "metadata": {"id": name}})
        )
    return name


def _arranged(page: str, cell: int | None) -> dict[str, Any]:
    """cell: the number of the cell that draws the picture."""
    lesson, terminal = f"notebook:{page}", f"terminal:{TERMINAL}"
    opened: dict[str, dict[str, dict[str, Any]]] = {
        lesson: {"data": {"path": page, "factory": "Notebook"}},
        terminal: {"data": {"name": TERMINAL}},
    }
    left = _split("vertical", [0.75, 0.25], _tab(lesson), _tab(terminal))
    dock = left
    if cell is not None:
        picture = f"cloned-outputs:{page}:{cell}"
        opened[picture] = {"data": {"path": page, "index": cell}}
        dock = _split("horizontal", [0.6, 0.4], left, _tab(picture))
    main = {"dock": dock, "current": lesson}
    return {"layout-restorer:data": {"main": main, "left": {"collapsed": True}}, **opened}


def _split(orientation: str, sizes: list[float], *children: dict[str, Any]) -> dict[str, Any]:
    return {"type": "split-area", "orientation": orientation, "sizes": sizes, "children": list(children)}


def _tab(widget: str) -> dict[str, Any]:
    return {"type": "tab-area", "currentIndex": 0, "widgets": [widget]}


def _cell_of_the_picture(notebook: Path) -> int | None:
    """The number of the cell that draws the picture, among all cells of a lesson; None where there is none.

    None, too, for a notebook that cannot be read: JupyterLab tells that when it opens the notebook.
    """
    try:
        return picture_cell(cells_of(notebook.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def picture_cell(cells: Sequence[dict[str, Any]]) -> int | None:
    """The number of the first cell that draws the picture, among all cells; None where there is none."""
    drawing = (
        number
        for number, cell in enumerate(cells)
        if cell.get("cell_type") == "code" and "picture(" in "".join(cell.get("source") or "")
    )
    return next(drawing, None)
