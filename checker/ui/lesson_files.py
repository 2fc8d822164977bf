"""The files of the course that a learner gets copies of, and what counts as a change of a copy."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from checker.classroom.lessons import InClass
from checker.grading.labs import load_lab
from cluster import Problem, paths
from cluster.process import finish

BESIDE_LESSONS = ("*.md", "*.svg", "figures/*", "guestbook/*")  # what the lessons refer to
# Metadata of a cell that JupyterLab changes when a cell is run or folded: that is no change by the learner.
OF_THE_VIEW = {"ExecuteTime", "collapsed", "execution", "jp-MarkdownHeadingCollapsed", "jupyter", "scrolled", "trusted"}
_LAB = re.compile(r'\blab\("(\d\d)"\)')
UNREADABLE = "unreadable"  # in place of the digest of a notebook that is not JSON


def course_files(pages: Iterable[str], here: InClass) -> dict[str, bytes]:
    """What is laid into a folder: names and contents. here: see `lesson`."""
    lessons = paths.lessons()
    found = {page: lesson(page, here) for page in pages}
    for path in sorted(path for pattern in BESIDE_LESSONS for path in lessons.glob(pattern)):
        if path.is_file() and not path.name.startswith("."):
            found[str(path.relative_to(lessons))] = path.read_bytes()
    return found


def lesson(page: str, here: InClass) -> bytes:
    """A lesson as a learner gets it, without outputs.

    here: how the class names images and namespaces. A lesson whose lab is in the learner's own container engine stays
    as it is.
    """
    data = json.loads((paths.lessons() / page).read_bytes())
    fit = InClass() if _is_of_the_engine(data) else here
    for cell in data["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
        source = "".join(cell["source"])
        if (fitted := fit.text(page[:2], source, cell["cell_type"] == "code")) != source:
            cell["source"] = fitted.splitlines(keepends=True)
    return (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode()


def _is_of_the_engine(notebook: dict[str, Any]) -> bool:
    """Whether the lesson's lab is in the learner's own container engine."""
    source = "".join(line for cell in notebook["cells"] for line in cell["source"])
    return any(load_lab(number).spec.needs.engine for number in _LAB.findall(source))


def is_changed_in_the_clone(page: str) -> bool:
    """Whether a lesson in the clone is another one than git has. False where git cannot say."""
    lessons = paths.lessons()
    try:
        shown = finish("git", "show", f"HEAD:./{page}", cwd=str(lessons), timeout=20)
    except Problem:  # there is no git
        return False
    return not shown.returncode and digest(page, shown.out.encode()) != digest_of(lessons / page)


def digest(name: str, content: bytes) -> str:
    """A digest of what a learner can change in a file: not of outputs, and not of empty cells, which JupyterLab adds.

    UNREADABLE for a notebook that is not one.
    """
    if name.endswith(".ipynb"):
        try:
            cells = [_meaning(cell) for cell in cells_of(content)]
        except (ValueError, TypeError):
            return UNREADABLE
        content = json.dumps([cell for cell in cells if cell[1]], sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def digest_of(path: Path) -> str:
    """The digest of a file, "" where there is none."""
    try:
        return digest(path.name, path.read_bytes())
    except FileNotFoundError:
        return ""


def _meaning(cell: dict[str, Any]) -> list[Any]:
    metadata = {key: value for key, value in dict(cell.get("metadata") or {}).items() if key not in OF_THE_VIEW}
    return [cell.get("cell_type"), "".join(cell.get("source") or ""), metadata, cell.get("attachments") or {}]


def cells_of(notebook: bytes) -> list[dict[str, Any]]:
    """The cells of a notebook. Raises ValueError where it is not one."""
    data = json.loads(notebook)
    cells = data.get("cells") if isinstance(data, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise ValueError
    return cells
