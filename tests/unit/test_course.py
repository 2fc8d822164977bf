"""A course by another author: its folder, the commands that use it, and what `kubeclass ci` says of it."""

from __future__ import annotations

import json
import os
import shutil
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from checker.authoring.cases import not_as_expected
from checker.authoring.check import check_lab
from checker.authoring.ci import Outcome, junit, lessons_of
from checker.authoring.new import EXAMPLE, new_course
from checker.authoring.notebooks import difference, has_lab, solve, wrong_with
from checker.grading.labs import Case, all_labs, load_lab
from checker.model.verdict import Result, Verdict
from checker.ui import overview, study
from checker.ui.cli import app
from cluster import Problem, paths


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = new_course(tmp_path / "my-course")
    monkeypatch.setenv("KUBECLASS_COURSE", str(folder))
    monkeypatch.delenv("KUBECLASS_LABS", raising=False)
    study.pages.cache_clear()
    yield folder
    study.pages.cache_clear()


def test_a_new_course_is_complete(course: Path) -> None:
    assert all_labs() == ["01"]
    assert check_lab(load_lab("01")) == []
    (lesson,) = lessons_of([])
    assert lesson.name == f"01-{EXAMPLE}.ipynb" and has_lab(lesson)
    assert "TITLE" not in lesson.read_text() + (course / "README.md").read_text()
    steps = yaml.safe_load((course / ".github" / "workflows" / "course.yml").read_text())["jobs"]["prove"]["steps"]
    assert {"run": "kubeclass --course . ci --junit report.xml"} in steps


def test_a_course_has_its_own_places(course: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KUBECLASS_FOLDER", "KUBECLASS_PROGRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KUBECLASS_HOME", str(tmp_path / "home"))
    assert study.pages() == [f"01-{EXAMPLE}.ipynb"]
    assert paths.folder() == Path.home() / "kubeclass-my-course"
    assert paths.progress() == tmp_path / "home" / "progress-my-course.json"
    assert paths.clone_around(course / "lessons") == course
    paths.choose_folder(tmp_path / "elsewhere")
    assert paths.folder() == tmp_path / "elsewhere"
    monkeypatch.delenv("KUBECLASS_COURSE")
    assert paths.folder() != tmp_path / "elsewhere"


def test_the_overview_shows_what_a_course_has(course: Path) -> None:
    assert " 00 " not in repr(overview.course()) and "<td>00</td>" not in overview.course()._repr_html_()
    assert "First service" in repr(overview.course())
    (course / "lessons" / "00-hello.ipynb").write_text('{"cells": [], "metadata": {}}')
    shutil.rmtree(course / "labs")
    study.pages.cache_clear()
    assert " 00 " in repr(overview.course()) and "<td>00</td>" in overview.course()._repr_html_()


def test_the_option_names_a_course_for_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECLASS_COURSE", "")  # so that what the option sets is put back
    new_course(tmp_path / "mine")
    ran = CliRunner().invoke(app, ["--course", str(tmp_path / "mine"), "lab", "check", "01"])
    assert (ran.exit_code, ran.output) == (0, "Lab 01 is complete.\n")
    with pytest.raises(Problem, match="is no course"):
        CliRunner().invoke(app, ["--course", str(tmp_path), "lab", "check", "01"], catch_exceptions=False)


@pytest.mark.parametrize("name", ["My Course", "kurs_1", "ä"])
def test_the_name_of_a_course_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Problem, match="is not the name of a course"):
        new_course(tmp_path / name)


def test_a_folder_with_files_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("mine")
    with pytest.raises(Problem, match="with files in it"):
        new_course(tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes"]


def verdicts(**causes: str) -> Result:
    tasks = (Verdict(id, id, 1, "failed" if cause else "passed", cause=cause) for id, cause in causes.items())
    return Result("01", "One", "learn", tuple(tasks))


def test_a_case_that_comes_to_something_else_is_told() -> None:
    case = Case(title="", make="true", fails={"a": "wrong-name"})
    assert not_as_expected("mistakes", case, verdicts(a="wrong-name", b="")) == ""
    told = not_as_expected("mistakes", case, verdicts(a="wrong-kind", b=""))
    assert told.startswith("Expected to fail: a: wrong-name. Found: a: wrong-kind.")
    assert not_as_expected("accepted", Case(title="", make="true"), verdicts(a="", b="")) == ""
    assert not_as_expected("setup", case, verdicts(a="", b="x")) == "After the set-up alone, a passes already."
    assert not_as_expected("setup", case, verdicts(a="x", b="x")) == ""


def test_a_lesson_without_outputs_proves_nothing(course: Path) -> None:
    (lesson,) = lessons_of(["01"])
    notebook = json.loads(lesson.read_text())
    for cell in notebook["cells"]:
        cell["outputs"] = []
    lesson.write_text(json.dumps(notebook))
    assert difference(lesson, {}) == (
        f"{lesson.name} holds no outputs to compare with. Run all cells in JupyterLab, and save it."
    )


def test_a_lesson_that_puts_out_something_else_is_told_by_its_cell(course: Path) -> None:
    (lesson,) = lessons_of(["01"])
    output = {"output_type": "stream", "name": "stdout", "text": ["1\n"]}
    cell = {"cell_type": "code", "execution_count": 1, "id": "one", "metadata": {}, "outputs": [output]}
    notebook = json.loads(lesson.read_text())
    for printed, told in ("1", ""), ("2", f"FAILED {lesson.name}::Cell 0"):
        lesson.write_text(json.dumps({**notebook, "cells": [{**cell, "source": [f"print({printed})"]}]}))
        assert difference(lesson, dict(os.environ)).partition("\n")[0] == told


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ("oops", "is not a notebook that can be read"),
        ({"metadata": {}}, "is not a notebook that can be read"),
        ({"cells": [{"cell_type": "code", "source": 'lab("01")', "outputs": [{}]}]}, "no cell that holds only lab("),
        ({"cells": [{"cell_type": "code", "source": "lab()", "outputs": []}]}, "holds no outputs"),
    ],
)
def test_a_notebook_that_cannot_be_proven_is_told(course: Path, cells: object, told: str) -> None:
    (lesson,) = lessons_of(["01"])
    assert wrong_with(lesson) == ""
    lesson.write_text(cells if isinstance(cells, str) else json.dumps(cells))
    assert told in wrong_with(lesson)


def test_ci_makes_no_cluster_where_nothing_can_be_tried(
    course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lesson,) = lessons_of([])
    lesson.write_text("oops")
    (course / "labs" / f"01-{EXAMPLE}" / "tasks.py").write_text("def task(:\n")
    monkeypatch.setattr("cluster.up.up", lambda *args, **more: pytest.fail("A cluster is made."))
    monkeypatch.setattr("checker.authoring.notebooks.require_nbval", lambda: None)
    ran = CliRunner().invoke(app, ["ci", "--junit", str(tmp_path / "report.xml")])
    assert (ran.exit_code, ran.stdout) == (1, "2 tried, 2 not as they say.\n")
    suites = xml.parse(tmp_path / "report.xml").getroot()
    assert [case.get("name") for case in suites.iter("testcase")] == ["files", "files"]
    assert "tasks.py:1" in next(suites.iter("failure")).text


def test_ci_asks_first_whether_its_report_can_be_written(course: Path, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="cannot be written"):
        CliRunner().invoke(app, ["ci", "--junit", str(tmp_path / "none" / "report.xml")], catch_exceptions=False)


def test_a_solved_lesson_solves_before_its_check(course: Path) -> None:
    (lesson,) = lessons_of(["01"])
    solve(lesson)
    sources = ["".join(cell["source"]) for cell in json.loads(lesson.read_text())["cells"]]
    assert sources[-2] == "!kubeclass solve 01" and "result.passed" in sources[-1]


def test_outcomes_are_junit() -> None:
    outcomes = [
        Outcome("lab 01", "setup", 1.2),
        Outcome("lab 01", "typo", 2.0, "No.\x1b[31m\nMore."),
        Outcome("lesson 01", "solved", 3),
    ]
    suites = xml.fromstring(junit(outcomes))
    assert [(s.get("name"), s.get("tests"), s.get("failures")) for s in suites] == [
        ("lab 01", "2", "1"),
        ("lesson 01", "1", "0"),
    ]
    (failure,) = suites.iter("failure")
    assert (failure.get("message"), failure.text) == ("No.[31m", "No.[31m\nMore.")
