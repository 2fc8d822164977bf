"""A section of a lesson as a page to show to all: its text, its code and the outputs of one run.

nbconvert makes the HTML. JupyterLab stands on it, as on Tornado. Pictures come from the lesson's folder.
Source: https://nbconvert.readthedocs.io/en/stable/nbconvert_library.html
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from checker.model.catalogue import say
from checker.ui.base_widget import VIEW
from checker.ui.study import page_of
from cluster import paths
from cluster.language import language

Cell = dict[str, Any]
# A line that begins a section, and a line that begins or ends a block of code, where `##` is a comment.
_HEADING, _FENCE = re.compile(r"## +(.*\S)"), re.compile(r"\s*(```|~~~)")
# A link to another file of the course: the page serves none.
_BESIDE = re.compile(r'<a href="(?!https?:)[^"]*">(.*?)</a>', re.DOTALL)
FIGURES = r"/figures/([a-z0-9-]+\.svg)"  # the path of a picture


def sections(notebook: dict[str, Any]) -> dict[str, list[Cell]]:
    """The cells of each section of a notebook, by the section's heading. A Markdown cell may be cut into several."""
    found: dict[str, list[Cell]] = {}
    now: list[Cell] = []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "markdown":
            now.append(cell)
            continue
        for heading, text in _cut("".join(cell["source"])):
            if heading:
                now = found.setdefault(heading, [])
            if text.strip():
                now.append({**cell, "source": text})
    return found


def _cut(text: str) -> Iterator[tuple[str, str]]:
    """A Markdown text in parts: the heading that a part begins with, if any, and its text with the heading."""
    heading, lines, is_code = "", [], False  # type: ignore[var-annotated]
    for line in text.splitlines(keepends=True):
        is_code ^= bool(_FENCE.match(line))
        if (begins := _HEADING.fullmatch(line.rstrip("\n"))) and not is_code:
            yield heading, "".join(lines)
            heading, lines = begins[1], []
        lines.append(line)
    yield heading, "".join(lines)


def lesson_sections(lesson: str) -> dict[str, list[Cell]]:
    """The sections of a lesson, by heading; empty where there is no such lesson. lesson: its number."""
    page = page_of(lesson)
    return sections(json.loads((paths.lessons() / page).read_text())) if page else {}


def html_of(lesson: str, heading: str) -> str:
    """The page that shows a section; "" where there is none."""
    cells = lesson_sections(lesson).get(heading)
    if not cells:
        return ""
    title = escape(say("watch-lesson", lesson=lesson, section=heading))
    return (
        f'<!doctype html>\n<html lang="{escape(language())}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{title}</title>\n<link rel="stylesheet" href="page.css">\n</head>\n<body class="lesson">\n<main>\n'
        f"<p>{escape(say('watch-lesson', lesson=lesson, section=''))}</p>\n{_body(cells)}\n</main>\n</body>\n</html>\n"
    )


def _body(cells: list[Cell]) -> str:
    from nbconvert import HTMLExporter
    from nbformat.v4 import reads_json

    shown = {"cells": [_shown(cell) for cell in cells], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    notebook = reads_json(json.dumps(shown))  # type: ignore[no-untyped-call]
    exporter: Any = HTMLExporter(  # type: ignore[no-untyped-call]
        template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True
    )
    exporter.exclude_anchor_links = True
    body: str = exporter.from_notebook_node(notebook)[0]
    # Long lines scroll, by keyboard too.
    return _BESIDE.sub(r"\1", body).replace("<pre>", '<pre tabindex="0">')


def _shown(cell: Cell) -> Cell:
    """A cell as it is for all to see. Of a prediction: only the question. Of a wait: its first line. No widgets."""
    cell = copy.deepcopy(cell)
    for output in cell.get("outputs", []):
        output.get("data", {}).pop(VIEW, None)
    if ((cell.get("metadata") or {}).get("jupyter") or {}).get("source_hidden"):
        if not (asked := ["> " + "".join(one.get("data", {}).get("text/plain", "")) for one in cell["outputs"]]):
            return {**cell, "source": "".join(cell["source"]).partition("\n")[0]}
        return {"cell_type": "markdown", "id": cell["id"], "metadata": {}, "source": "\n\n".join(asked)}
    return cell


def figure(name: str) -> bytes | None:
    """A picture of the lessons; None where there is none. name: of the file, without a folder."""
    file: Path = paths.lessons() / "figures" / name
    return file.read_bytes() if file.is_file() else None
