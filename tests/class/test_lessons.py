"""Lessons that create namespaces, in a class: with the learner's own namespaces, and only the learner's rights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from checker.authoring.notebooks import CELL_TIMEOUT
from checker.classroom.target import target
from checker.ui import study

from .conftest import Classroom, command

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("class")]


def run(page: str, folder: Path) -> list[Any]:
    """The cells of a learner's copy, run to the end."""
    notebook = nbformat.read(folder / page, as_version=4)
    where = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=CELL_TIMEOUT, allow_errors=True, resources=where).execute()
    return list(notebook.cells)


def said(cell: Any) -> str:
    return "".join(one.get("text", "") + "".join(one.get("traceback", [])) for one in cell.get("outputs", []))


@pytest.mark.parametrize("page", ["08-dns.ipynb", "09-namespaces.ipynb", "14-policies.ipynb"])
def test_only_what_an_administrator_may_do_fails(
    page: str, classroom: Classroom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = classroom.learner_home("carl")
    monkeypatch.setenv("KUBECLASS_HOME", str(home))
    monkeypatch.delenv("KUBECLASS_CLUSTER")
    for name in ("WORK", "PROGRESS", "FOLDER"):
        monkeypatch.delenv(f"KUBECLASS_{name}", raising=False)
    monkeypatch.setenv("KUBECLASS_WAIT", "90")  # other tests keep the machine busy
    folder = study.learners_folder(str(tmp_path / "folder"))
    for name, value in study.environment(target()).items():
        monkeypatch.setenv(name, value)
    try:
        cells = run(page, folder)
        failed = {
            number: said(cell)
            for number, cell in enumerate(cells)
            if any(one["output_type"] == "error" for one in cell.get("outputs", []))
        }
        others = {number: (cells[number].source, text) for number, text in failed.items() if "orbidden" not in text}
        assert not others, others
        last = next(cell for cell in reversed(cells) if cell.cell_type == "code")
        assert ".check()" in last.source and "points" in said(last) + str(last.outputs)
    finally:
        command("clear", "--yes", home=home, group=())
