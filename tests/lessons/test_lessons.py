"""Every lesson runs as it is committed, each output compared (nbval, strict), and then with its lab solved, for full marks.

Their order is shuffled (tests/conftest.py), and nobody clears up between them: a lesson works after any other, and again.
The notebooks are copied first, so that a learner's files in lessons/work/ stay as they are. KUBECLASS_RECORD=1 writes the
outputs into the notebooks.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from base64 import b64decode
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from checker.labs import Needs, all_labs, load_lab
from cluster import current, paths
from tests.nodes import ON_THE_SECOND_CLUSTER

LESSONS = paths.COURSE / "lessons"
NOTEBOOKS = sorted(path.name for path in LESSONS.glob("[0-9][0-9]-*.ipynb"))
WITH_LAB = [
    name
    for name in NOTEBOOKS
    if f"lab({name[:2]!r})".replace("'", '"') in (LESSONS / name).read_text().replace('\\"', '"')
]
CELL_TIMEOUT = 180  # seconds
RECORD = bool(os.environ.get("KUBECLASS_RECORD"))
# All of them work in the namespace `learn`, as a learner does: one after the other.
PLACE = (pytest.mark.cluster, pytest.mark.xdist_group("lessons"))


@pytest.fixture
def lessons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the lessons, and the environment that `kubeclass study` gives to notebooks."""
    from cluster.study import environment

    copy = tmp_path / "lessons"
    shutil.copytree(LESSONS, copy, ignore=shutil.ignore_patterns("work"))
    (copy / "work").mkdir()
    own = {"KUBECLASS_WORK": str(copy / "work"), "KUBECLASS_PROGRESS": str(tmp_path / "progress.json")}
    patient = {"KUBECLASS_WAIT": "90"}  # other tests keep the machine busy
    monkeypatch.setenv("KUBECLASS_SEED", "lesson")  # what is another one for each learner is the same here
    for name, value in {**environment(current()), **own, **patient}.items():
        monkeypatch.setenv(name, value)
    return copy


def marks_of(name: str) -> tuple[pytest.MarkDecorator, ...]:
    """What a lesson's test needs: PLACE; and policies enforced, the engine for itself, or the second cluster, where its lab needs that."""
    needs = load_lab(name[:2]).text.needs if name in WITH_LAB else Needs()
    policies = (pytest.mark.policies,) if needs.policies else ()
    alone = (pytest.mark.alone("engine"),) if needs.engine else ()
    return (*(ON_THE_SECOND_CLUSTER if needs.nodes else PLACE), *policies, *alone)


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks_of(name)) for name in NOTEBOOKS])
def test_lesson_gives_its_outputs_and_its_lab_full_marks(name: str, lessons: Path) -> None:
    if RECORD:
        record(name, lessons)
    more = solve_at_the_end(lessons / name) if name in WITH_LAB else 0
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", name, "--nbval-sanitize-with", "sanitize.cfg",
         "--nbval-cell-timeout", str(CELL_TIMEOUT), "-p", "no:cacheprovider", "-p", "no:xdist", "-q", "--rootdir", "."],
        cwd=lessons, capture_output=True, text=True, timeout=900, check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed.group(1)) == len(code_cells(name)) + more


def solve_at_the_end(path: Path) -> int:
    """Have a notebook solve its lab after its own check, and check again; returns the number of cells that were added."""
    number = path.name[:2]
    notebook = nbformat.read(path, as_version=4)
    check = next(i for i, cell in enumerate(notebook.cells) if cell.source == f'lab("{number}").check()')
    marks = f"""
        result = lab("{number}").check(60)
        assert result.passed and result.score == result.max_score > 0, repr(result)
    """
    added = [
        nbformat.v4.new_code_cell(source, metadata={"tags": ["nbval-ignore-output"]})
        for source in (f"!kubeclass solve {number}", textwrap.dedent(marks))
    ]
    notebook.cells[check + 1 : check + 1] = added
    nbformat.write(notebook, path)
    return len(added)


def record(name: str, lessons: Path) -> None:
    """Run a notebook and keep its outputs: in the repository, and in the copy, which is then run again and compared."""
    notebook = nbformat.read(lessons / name, as_version=4)
    NotebookClient(
        notebook, timeout=CELL_TIMEOUT, kernel_name="python3", resources={"metadata": {"path": str(lessons)}}
    ).execute()
    for cell in notebook.cells:
        cell.metadata = {"tags": cell.metadata["tags"]} if "tags" in cell.metadata else {}
    notebook.metadata.pop("widgets", None)  # where there is no kernel, the panel's text says more than its state
    text = nbformat.writes(notebook).replace(current().name, "kubeclass").replace(str(Path.home()), "/home/you")
    for path in (LESSONS / name, lessons / name):
        path.write_text(text + "\n")
    shutil.rmtree(lessons / "work")
    (lessons / "work").mkdir()


def code_cells(name: str) -> list[dict]:
    cells = json.loads((LESSONS / name).read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]


def test_every_lab_has_its_lesson() -> None:
    assert [name[:2] for name in WITH_LAB] == all_labs()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_few_outputs_are_not_compared_and_each_says_why(name: str) -> None:
    cells = code_cells(name)
    ignored = [cell for cell in cells if "nbval-ignore-output" in cell["metadata"].get("tags", [])]
    assert len(ignored) <= len(cells) / 10
    for cell in ignored:
        assert "# Output not compared by the tests: " in "".join(cell["source"])
    for tag in ("nbval-skip", "raises-exception"):
        assert not [cell for cell in cells if tag in cell["metadata"].get("tags", [])]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))


def test_exported_as_a_page_a_lesson_has_its_picture() -> None:
    page, _ = HTMLExporter().from_filename(str(LESSONS / "05-deployments.ipynb"))
    (picture,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', page)
    assert b64decode(picture).decode().count("Running 1/1") >= 3
