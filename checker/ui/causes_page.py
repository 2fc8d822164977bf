"""The catalogue of causes as a page: docs/causes.md. `make docs` (`python -m checker.ui.causes_page`) writes it anew.

The evidence in it is what the checker said of a cause on a real cluster, taken from the recordings of the labs' cases
and of those of `kubeclass explain`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from checker.model.catalogue import Cause, catalogue
from cluster import paths

PAGE = paths.COURSE / "docs" / "causes.md"
_HEAD = """# Causes

Every cause that a check or `kubeclass explain` can name. The evidence is an example: \
what was said of that cause on a real cluster
in one of the tests' cases, where names are made the same from run to run. \
A cause is listed under the lesson that covers it.

This page is made by `make docs` from `checker/model/catalogue/en/` and the recordings: change those, never the page.
"""


def recordings() -> list[Path]:
    """Every recording of a case, those of `kubeclass explain` first: there the objects are told apart best."""
    explained = sorted((paths.COURSE / "tests" / "explain" / "recorded").glob("*.json"))
    return [*explained, *sorted((paths.COURSE / "labs").glob("[0-9][0-9]-*/recorded/*.json"))]


def examples() -> dict[str, str]:
    """For each cause that a recording names, the message that it was first told with."""
    found: dict[str, str] = {}
    for path in recordings():
        data = json.loads(path.read_text())
        told = data["explanation"]["findings"] if "explanation" in data else data["tasks"]
        for one in told:
            if one.get("cause") and one.get("message"):
                found.setdefault(one["cause"], one["message"])
    return found


def page() -> str:
    """The whole page as Markdown."""
    known = examples()
    lines = [_HEAD]
    for lesson in sorted({cause.lesson for cause in catalogue().values()}):
        notebook = next((paths.COURSE / "lessons").glob(f"{lesson}-*.ipynb"), None)
        title = f"Lesson {lesson}"
        lines.append(f"\n## {f'[{title}](../lessons/{notebook.name})' if notebook else title}\n")
        lines += ["| Cause | What it means | Evidence | Where to look |", "|---|---|---|---|"]
        lines += [_row(cause, known.get(cause.id, "")) for cause in catalogue().values() if cause.lesson == lesson]
    return "\n".join(lines) + "\n"


def _row(cause: Cause, example: str) -> str:
    cells = (f"{cause.title}<br>`{cause.id}`", cause.meaning, example, f"`{cause.where_to_look}`")
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    """Text for one cell of a table: on one line, and without what Markdown would read as its own."""
    plain = re.sub(r"\s+", " ", text.strip()).replace("|", "\\|")
    return plain if "<br>`" in plain else plain.replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE} holds {len(catalogue())} causes.\n")
