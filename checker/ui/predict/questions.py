"""The predictions that the lessons ask for, read from the notebooks of the course."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from cluster import paths

CALL = "predict("  # how the source of such a cell begins


@cache
def questions() -> dict[str, list[str]]:
    """The questions of each lesson that asks for predictions, in order, by the lesson's number."""
    found = {path.name[:2]: list(_of_notebook(path)) for path in sorted(_lessons().glob("[0-9][0-9]-*.ipynb"))}
    return {lesson: asked for lesson, asked in found.items() if asked}


def lesson_of(question: str) -> str:
    """The number of the lesson that asks this; "" where none does, as in a notebook of the learner's own."""
    return next((lesson for lesson, asked in questions().items() if question in asked), "")


def _lessons() -> Path:
    return paths.lessons()


def _of_notebook(path: Path) -> Iterator[str]:
    for cell in json.loads(path.read_text(encoding="utf8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and source.startswith(CALL):
            call = ast.parse(source, mode="eval").body
            assert isinstance(call, ast.Call)
            yield ast.literal_eval(call.args[0])
