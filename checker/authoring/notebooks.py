"""Lessons run cell by cell, each output compared with the one that the notebook holds (nbval)."""

from __future__ import annotations

import json
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from checker.model.catalogue import problem, say
from cluster.process import DidNotEnd, finish

CELL_TIMEOUT = 400  # seconds: a lesson may have metrics-server built where its image cannot be pulled
NOTEBOOK_TIMEOUT = 1200  # seconds
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # nbval writes in colours, also into files
SANITIZE = "sanitize.cfg"  # beside the notebooks: what varies from run to run


def code_cells(path: Path) -> list[dict[str, Any]]:
    """A notebook's code cells, those without a word left out."""
    cells = json.loads(path.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]


def has_lab(path: Path) -> bool:
    """Whether a lesson ends in its lab."""
    return any(f'lab("{path.name[:2]}")' in "".join(cell["source"]) for cell in code_cells(path))


def has_outputs(path: Path) -> bool:
    """Whether there is an output to compare with."""
    return any(cell["outputs"] for cell in code_cells(path))


def wrong_with(path: Path) -> str:
    """Why a notebook cannot be proven; "" where it can."""
    try:
        if not has_outputs(path):
            return say("ci-no-outputs", file=path.name)
        is_whole = not has_lab(path) or any("".join(cell["source"]) == check_of(path) for cell in code_cells(path))
    except (ValueError, KeyError, TypeError):
        return say("ci-no-notebook", file=path.name)
    return "" if is_whole else say("ci-no-check", file=path.name, lab=path.name[:2], cell=check_of(path))


def check_of(path: Path) -> str:
    """The cell with which a lesson ends that has a lab."""
    return f'lab("{path.name[:2]}").check()'


def require_nbval() -> None:
    """Raises Problem where nbval is not installed."""
    if not find_spec("nbval"):
        raise problem("ci-no-nbval")


def difference(path: Path, env: dict[str, str]) -> str:
    """Run a notebook's cells. Returns which puts out something else than the notebook holds; "" where none does.

    env: the environment of the cells. No file of a run before is in the folder `work` beside the notebook.
    """
    empty(path.parent / "work")
    if not has_outputs(path):  # nbval would compare nothing, and pass
        return say("ci-no-outputs", file=path.name)
    sanitize = ["--nbval-sanitize-with", SANITIZE] if (path.parent / SANITIZE).exists() else []
    plain = ["-p", "no:cacheprovider", "-p", "no:xdist", "-q", "--rootdir", "."]
    timeout = ["--nbval-cell-timeout", str(CELL_TIMEOUT)]
    try:
        done = finish(
            *(sys.executable, "-m", "pytest", "--nbval", path.name, *sanitize, *timeout, *plain),
            cwd=str(path.parent),
            timeout=NOTEBOOK_TIMEOUT,
            env={name: value for name, value in env.items() if not name.startswith("PYTEST_")},
        )
    except DidNotEnd as late:
        return str(late)
    if done.returncode:
        told = _COLOUR.sub("", done.out[-6000:] + done.err[-2000:])
        cells = [line for line in told.splitlines() if line.startswith("FAILED ")]  # first: a report shows one line
        return "\n".join([*cells, told])
    passed, there = re.search(r"(\d+) passed", done.out), len(code_cells(path))
    ran = int(passed.group(1)) if passed else 0
    return "" if ran == there else say("ci-cells", ran=ran, cells=there)


def solve(path: Path) -> None:
    """Change a copy of a notebook: it solves its lab before its own check, which must then give full marks."""
    number, notebook = path.name[:2], json.loads(path.read_text())
    cells = notebook["cells"]
    check = next(i for i, cell in enumerate(cells) if "".join(cell["source"]) == check_of(path))
    marks = (
        f'result = lab("{number}").check(60)\n'
        "assert result.passed and result.score == result.max_score > 0, repr(result)"
    )
    cells[check : check + 1] = [_cell(f"!kubeclass solve {number}", "solve"), _cell(marks, "marks")]
    path.write_text(json.dumps(notebook))


def _cell(source: str, id: str) -> dict[str, Any]:
    """A code cell whose output is not compared."""
    metadata = {"tags": ["nbval-ignore-output"]}
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": id,
        "metadata": metadata,
        "outputs": [],
        "source": source,
    }


def empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
