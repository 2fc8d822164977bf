"""The catalogue of causes as a page: docs/causes.md. `make docs` (`python -m checker.ui.causes_page`) writes it anew.

The evidence in it is what the checker said of a cause on a real cluster, taken from the recordings of the labs' cases
and of those of `kubeclass explain`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from checker.grading.labs import Lab, all_labs, load_lab
from checker.model.catalogue import Cause, catalogue
from cluster import paths
from cluster.language import load

PAGE = paths.COURSE / "docs" / "causes.md"
_HEAD = """# Causes

Every cause that a check or `kubeclass explain` can name. The evidence is an example: \
the message of that cause on a real cluster
in one of the tests' cases, where names are made the same from run to run. \
A cause is listed under the lesson that covers it. *Section* is the section
of the lesson that teaches it. Causes that only one lab names
are listed under that lab, and so are the messages in its own words.

This page is made by `make docs` from `checker/model/catalogue/en/`, the labs' `causes.yaml` and the recordings: \
change those, never the page.
"""
_TABLE = ["| Cause | What it means | Evidence | Where to look | Section |", "|---|---|---|---|---|"]
_MESSAGES = """
Messages of this lab. A name in braces stands for a value, and a part in brackets is left out where its value is empty.

| Cause, form | Message | Where to look |
|---|---|---|"""


def recordings() -> list[Path]:
    """Every recording of a case, those of `kubeclass explain` first: there the objects are told apart best."""
    explained = sorted((paths.COURSE / "tests" / "explain" / "recorded").glob("*.json"))
    return [*explained, *sorted((paths.COURSE / "labs").glob("[0-9][0-9]-*/recorded/*.json"))]


def examples(of: Iterable[Path]) -> dict[str, str]:
    """For each cause that one of these recordings names, its first message."""
    found: dict[str, str] = {}
    for path in of:
        data = json.loads(path.read_text())
        for one in data["explanation"]["findings"] if "explanation" in data else data["tasks"]:
            if one.get("cause") and one.get("message"):
                found.setdefault(one["cause"], one["message"])
    return found


def page() -> str:
    """The whole page as Markdown."""
    known = examples(recordings())
    lines = [_HEAD]
    for lesson in sorted({cause.lesson for cause in catalogue().values()}):
        notebook = _notebook(lesson)
        title = f"Lesson {lesson}"
        lines.append(f"\n## {f'[{title}](../lessons/{notebook.name})' if notebook else title}\n")
        lines += _TABLE
        lines += [_row(cause, known.get(cause.id, "")) for cause in catalogue().values() if cause.lesson == lesson]
    for lab in map(load_lab, all_labs(drafts=True)):
        lines += _of_lab(lab)
    return "\n".join(lines) + "\n"


def _of_lab(lab: Lab) -> list[str]:
    """The section of a lab: the causes that only it names, then the messages in its own words. Empty without any."""
    file = lab.folder / "causes.yaml"
    entries: dict[str, dict[str, Any]] = (load(file.read_text()) or {}) if file.exists() else {}
    if not entries:
        return []
    known = examples(sorted((lab.folder / "recorded").glob("*.json")))
    own = [_row(lab.causes[id], known.get(id, "")) for id in entries if id not in catalogue()]
    messages = [
        _message_row(lab.causes[id], name)
        for id, entry in entries.items()
        for name in [*([""] if id in catalogue() and "message" in entry else []), *(entry.get("forms") or {})]
    ]
    title = f"\n## [Lab {lab.number}: {lab.spec.title}](../labs/{lab.folder.name}/causes.yaml)"
    return [title, *(["", *_TABLE, *own] if own else []), *([_MESSAGES, *messages] if messages else [])]


def _message_row(cause: Cause, form: str) -> str:
    """A row for one form of a cause; for an empty name, for the cause itself. Its sentences are templates."""
    words = cause.form(form)
    look = re.sub(r"\?[^{}]*}", "}", words.look)  # without the word that stands for an unknown name
    cells = (f"`{cause.id}`" + (f", {form}" if form else ""), words.message, f"`{look}`")
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _row(cause: Cause, example: str) -> str:
    cells = (f"{cause.title}<br>`{cause.id}`", cause.meaning, example, f"`{cause.where_to_look}`", _section(cause))
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _section(cause: Cause) -> str:
    """A link to the section of the lesson that covers a cause; empty if no section covers it.

    JupyterLab makes the anchor of a heading in the same way: a hyphen for each blank.
    """
    notebook = _notebook(cause.lesson)
    if not cause.section or not notebook:
        return ""
    return f"[{cause.section}](../lessons/{notebook.name}#{quote(cause.section.replace(' ', '-'))})"


def _notebook(lesson: str) -> Path | None:
    """The notebook of a lesson, by the lesson's number; None if there is no such lesson."""
    return next((paths.COURSE / "lessons").glob(f"{lesson}-*.ipynb"), None)


def _cell(text: str) -> str:
    """Text for one cell of a table: on one line, and without what Markdown would read as its own."""
    plain = re.sub(r"\s+", " ", text.strip()).replace("|", "\\|")
    return plain if "<br>`" in plain else plain.replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE} holds {len(catalogue())} causes.\n")
