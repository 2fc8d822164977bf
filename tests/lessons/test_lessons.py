"""Every lesson runs as it is committed, each output compared (nbval, strict); and with its lab solved, for full marks.

Their order is shuffled (tests/conftest.py), and nothing is deleted between them: a lesson works after any other,
and again. The notebooks are copied first, with their outputs, so that the clone stays as it is. With --record
(make prove) a lesson whose code is not what its outputs came from is run first, and its outputs are kept.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from checker.authoring.notebooks import CELL_TIMEOUT, difference, empty, has_lab, solve
from checker.grading.labs import Needs, load_lab
from cluster import Problem, current, engine, paths
from cluster.kubectl import kubectl
from cluster.process import run
from tests.nodes import ON_THE_SECOND_CLUSTER
from tests.proof.digests import of_lesson
from tests.proof.subjects import LESSON
from tests.proof.subjects import lessons as notebooks

LESSONS = paths.COURSE / "lessons"
# What a recording keeps of a cell's metadata: nbval's tags, whether JupyterLab shows the source, and reasons.
OF_A_CELL = ("tags", "jupyter", LESSON)
# All of them work in the namespace `learn`, as a learner does: one after the other.
PLACE = (pytest.mark.cluster, pytest.mark.xdist_group("lessons"))


@pytest.fixture
def lessons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the lessons, and the environment that `kubeclass study` gives to notebooks."""
    from checker.ui.study import environment

    copy = tmp_path / "lessons"
    shutil.copytree(LESSONS, copy, ignore=shutil.ignore_patterns("work"))
    empty(copy / "work")
    own = {"KUBECLASS_WORK": str(copy / "work"), "KUBECLASS_PROGRESS": str(tmp_path / "progress.json")}
    patient = {"KUBECLASS_WAIT": "90"}  # other tests keep the machine busy
    monkeypatch.setenv("KUBECLASS_SEED", "lesson")  # what is another one for each learner is the same here
    for name, value in {**environment(current()), **own, **patient}.items():
        monkeypatch.setenv(name, value)
    return copy


def marks_of(name: str) -> tuple[pytest.MarkDecorator, ...]:
    """What a lesson's test needs: PLACE; and the engine for itself, or the second cluster, where its lab needs that."""
    needs = load_lab(name[:2]).spec.needs if has_lab(LESSONS / name) else Needs()
    alone = (pytest.mark.alone("engine"),) if needs.engine else ()
    return (*(ON_THE_SECOND_CLUSTER if needs.nodes else PLACE), *alone)


@pytest.mark.parametrize("name", [pytest.param(p.name, id=p.name, marks=marks_of(p.name)) for p in notebooks()])
def test_lesson(name: str, lessons: Path, pytestconfig: pytest.Config) -> None:
    """Its committed outputs come out again, and with its lab solved it ends in full marks."""
    anew = record(lessons / name) if pytestconfig.getoption("record") and is_stale(LESSONS / name) else ""
    compare(lessons / name)
    if has_lab(LESSONS / name):
        solve(lessons / name)
        compare(lessons / name)
    if anew:
        (LESSONS / name).write_text(anew)


def compare(path: Path) -> None:
    """Run a notebook's cells, and see that each puts out what it holds."""
    differs = difference(path, dict(os.environ))
    assert not differs, differs + restarts()


def restarts() -> str:
    """What the cluster knows of the Pods of `learn` whose containers were restarted: it may say why a table differs."""
    try:
        pods = json.loads(kubectl(current(), "get", "pods", "-n", "learn", "-o", "json"))["items"]
        lines = []
        for pod in pods:
            statuses = pod["status"].get("containerStatuses") or []
            if any(status["restartCount"] for status in statuses):
                name, node = pod["metadata"]["name"], pod["spec"]["nodeName"]
                about = ("-n", "learn", "--field-selector", f"involvedObject.name={name}")
                lines += [f"{name} on {node}: {json.dumps(statuses)}", kubectl(current(), "get", "events", *about)]
                lines += [run(engine.command(), "exec", node, "journalctl", "--no-pager", "-q", "-g", name)[-6000:]]
        return "\n".join(lines)
    except Problem as problem:
        return f"(What the cluster knows of restarts could not be asked: {problem})"


def record(path: Path) -> str:
    """Run a notebook and write its outputs into it, to be compared with those of a second run; returns the text."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=CELL_TIMEOUT, kernel_name="python3", resources=resources).execute()
    for cell in notebook.cells:
        cell.metadata = {key: kept for key, kept in cell.metadata.items() if key in OF_A_CELL}
    notebook.metadata[LESSON] = {**notebook.metadata.get(LESSON, {}), "made_from": of_lesson(notebook)}
    notebook.metadata.pop("widgets", None)  # where there is no kernel, the panel's text says more than its state
    text = as_a_learner_sees(nbformat.writes(notebook)).replace(str(Path.home()), "/home/you") + "\n"
    path.write_text(text)
    return text


def as_a_learner_sees(text: str) -> str:
    """Outputs with the name of a learner's cluster, not of the tests' cluster. A table's columns keep their places."""
    name, learners = current().name, "kubeclass"
    shorter = " " * (len(name) - len(learners))
    in_a_column = re.compile(rf"{re.escape(name)}([\w.-]*)(  +)")
    return in_a_column.sub(rf"{learners}\1\2{shorter}", text).replace(name, learners)


def is_stale(path: Path) -> bool:
    notebook = nbformat.read(path, as_version=4)
    return bool(notebook.metadata.get(LESSON, {}).get("made_from") != of_lesson(notebook))
