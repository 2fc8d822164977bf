"""Everything that is not a draft is proven by a recording that is not stale; and what makes a recording stale."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from checker.environments import Environment
from checker.grading.labs import Case, Lab, all_labs, load_lab
from checker.model.verdict import Result, Verdict
from checker.ui.cli import started
from cluster import Problem, paths
from tests.labs.looks import without_evidence
from tests.proof import digests, table
from tests.proof import words as words_anew
from tests.proof.__main__ import blank_looks, chosen, outcomes, parser
from tests.proof.subjects import Subject, all_subjects

SUBJECTS = all_subjects()
GROUPS = sorted({subject.group for subject in SUBJECTS if not subject.draft})


@pytest.mark.parametrize("group", GROUPS)
def test_recordings_are_of_what_is_there_now(group: str) -> None:
    here = [subject for subject in SUBJECTS if subject.group == group]
    stale = [subject.name for subject in here if subject.is_stale]
    assert not stale, f"not recorded, or made from something else: {', '.join(stale)}. Record anew: {here[0].mend}"


def test_the_page_shows_what_the_data_hold() -> None:
    """Its table of mutants also says which labs have changed since: so a change of a lab's code changes the page."""
    assert table.PAGE.read_text() == table.page(table.read()), "docs/proof.md is not of today: make docs"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    (tmp_path / "07-services" / "setup").mkdir(parents=True)
    (tmp_path / "07-services" / "setup" / "app.yaml").write_text("kind: Pod # a comment\n")
    (tmp_path / "07-services" / "setup.py").write_text("a = 1  # a comment\n")
    known = load_lab("07")
    lab = Lab("07", tmp_path / "07-services", known.spec)
    vars(lab)["code"] = known.code
    return lab


CASE = Case(title="A typo", make="kubectl apply -f x\n# a comment\n")


@pytest.mark.parametrize(
    "change, matters",
    [
        (lambda lab: (lab.folder / "setup" / "app.yaml").write_text("kind:   Pod\n# another comment\n"), False),
        (lambda lab: (lab.folder / "setup" / "app.yaml").write_text("kind: Service\n"), True),
        (lambda lab: (lab.folder / "setup" / "more.yaml").write_text("kind: Pod\n"), True),
        (lambda lab: (lab.folder / "setup.py").write_text("a=1\n"), False),
        (lambda lab: (lab.folder / "setup.py").write_text('"""What it is."""\n\na = 1\n'), False),
        (lambda lab: (lab.folder / "setup.py").write_text("a = 2\n"), True),
        (lambda lab: vars(lab).update(observations=[]), True),
    ],
)
def test_what_makes_a_recording_stale(lab: Lab, change: Callable[[Lab], object], matters: bool) -> None:
    before = digests.of_case(lab, "mistakes", CASE)
    change(lab)
    assert (digests.of_case(lab, "mistakes", CASE) != before) is matters


@pytest.mark.parametrize(
    "changes, matters",
    [
        ({"title": "Another"}, False),
        ({"make": "kubectl apply -f x"}, False),
        ({"make": "kubectl apply -f y"}, True),
        ({"seed": "2"}, True),
    ],
)
def test_what_in_a_case_makes_its_recording_stale(lab: Lab, changes: dict[str, str], matters: bool) -> None:
    other = replace(CASE, **changes)
    assert (digests.of_case(lab, "mistakes", other) != digests.of_case(lab, "mistakes", CASE)) is matters


@pytest.mark.parametrize("name", ["guestbook", "observer"])
def test_a_declared_change_of_behaviour_makes_everything_stale(
    lab: Lab, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digests.of_case(lab, "setup", CASE)
    changed = digests.versions()
    changed["behaviour"][name] += 1
    monkeypatch.setattr(digests, "versions", lambda: changed)
    assert digests.of_case(lab, "setup", CASE) != before


def test_words_in_a_lesson_do_not_make_its_outputs_stale_and_code_does() -> None:
    def of(words: str, code: str) -> str:
        cells = [{"cell_type": "markdown", "source": words}, {"cell_type": "code", "source": [code]}]
        return digests.of_lesson({"cells": cells})

    assert of("a", "x") == of("b", "x") != of("a", "y")


def test_a_case_that_passes_now_and_then_is_shown(tmp_path: Path) -> None:
    case = Subject("lab 07", "typo", "tests/x.py::test[typo]", "1234", "")
    data = table.read() | {"groups": {}}
    for passed in (True, False, True):
        table.note(data, [case], {case.test: (passed, 2.0)}, "2026-01-01", 3)
    assert "| lab 07 | 1 | 1 | typo (2 of 3) | 2 | 2026-01-01 |" in table.page(data)
    assert table.failed_last(data) == set()
    table.note(data, [case], {case.test: (False, 2.0)}, "2026-01-01", 3)
    assert table.failed_last(data) == {("lab 07", "typo")}
    # It is another one now: what the old one did says nothing of it.
    table.note(data, [Subject("lab 07", "typo", case.test, "5678", "")], {case.test: (True, 2.0)}, "2026-01-01", 3)
    assert data["groups"]["lab 07"]["typo"]["outcomes"] == "+"
    table.without_strangers(data, [])
    table.write(data, tmp_path)
    assert json.loads((tmp_path / "proof.json").read_text())["groups"] == {}


def test_a_command_that_shows_nothing_is_listed(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuite><testcase classname="tests.labs.test_cases" name="test_case[07-mistakes-typo]" time="2">'
        '<properties><property name="blank-look" value="kubectl get pods"/></properties></testcase></testsuite>'
    )
    test = "tests/labs/test_cases.py::test_case[07-mistakes-typo]"
    assert blank_looks(report) == {test: ["kubectl get pods"]}
    case, data = Subject("lab 07", "typo", test, "1234", ""), table.read() | {"groups": {}}
    table.note(data, [case], outcomes(report), "2026-01-01", 3, blank_looks(report))
    assert "- lab 07, typo: `kubectl get pods`" in table.page(data)
    table.note(data, [case], outcomes(report), "2026-01-02", 3)
    assert "kubectl get pods" not in table.page(data)


class Place:
    """An environment in which one command shows something, one shows nothing, and one fails."""

    def run(self, lab: object, script: str, folder: object, timeout: float) -> str:
        if script == "kubectl get nothing":
            raise Problem("no such resource", "look again")
        if script == "kubectl get services 2>&1":
            return "No resources found in learn namespace."
        return "pod-1" if script == "kubectl get pods" else "\n"


def test_the_commands_of_a_verdict_are_run_once() -> None:
    looks = ["kubectl get pods", "kubectl diff -f FILE", "kubectl get pods --watch", "kubectl get nothing", "true"]
    tasks = [Verdict(str(n), "", 1, "failed", look=look) for n, look in enumerate(looks)]
    # kubectl says in its error output that there is none: that shows what is missing, and nothing else.
    tasks.append(Verdict("missing", "", 1, "failed", cause="object-missing", look="kubectl get services"))
    tasks.append(Verdict("other", "", 1, "failed", cause="wrong-kind", look="kubectl get jobs"))
    place: Environment = Place()  # type: ignore[assignment]
    found = without_evidence(load_lab("07"), Result("07", "", "learn", tuple(tasks)), place)
    assert found == ["kubectl get nothing", "true", "kubectl get jobs"]


def test_a_report_is_read_by_the_names_that_pytest_takes(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(
        "<testsuites><testsuite>"
        '<testcase classname="tests.labs.test_cases" name="test_case[02-setup-setup]@lab-02" time="2.5"/>'
        '<testcase classname="tests.labs.test_cases" name="test_case[07-mistakes-typo]" time="1"><failure/></testcase>'
        "</testsuite></testsuites>"
    )
    assert outcomes(tmp_path / "report.xml") == {
        "tests/labs/test_cases.py::test_case[02-setup-setup]": (True, 2.5),
        "tests/labs/test_cases.py::test_case[07-mistakes-typo]": (False, 1.0),
    }


def lesson_of(lab: Lab, **about: str) -> dict[str, Any]:
    """A lesson that was proven with the words of this lab."""
    said = started(lab, "learn").replace("\n", "\r\n") + "\r\n"
    start = {"source": ["!kubeclass start 07 --yes"], "outputs": [{"text": [said, "deployment rolled out\r\n"]}]}
    panel = {"source": ['lab("07")'], "outputs": [{"data": {"text/plain": [words_anew.to_do(lab)]}}]}
    cells = [{"cell_type": "code", **cell} for cell in (start, panel)]
    notebook: dict[str, Any] = {"cells": cells, "metadata": {"kubeclass": about}}
    about["made_from"] = digests.of_lesson(notebook, lambda number: lab.spec)
    return notebook


def reworded() -> tuple[Lab, Lab]:
    now = load_lab("07")
    first, *others = now.spec.tasks
    then = replace(now.spec, tasks=[replace(first, title="Another title", text="Another text."), *others])
    return Lab(now.number, now.folder, then), now


def test_new_words_of_a_lab_come_into_its_lesson() -> None:
    then, now = reworded()
    notebook = lesson_of(then)
    assert words_anew.with_words_of(notebook, then, now)
    wanted = lesson_of(now)
    assert notebook["metadata"] == wanted["metadata"]
    text = "".join(notebook["cells"][0]["outputs"][0]["text"])
    assert text == "".join(wanted["cells"][0]["outputs"][0]["text"]) and "Another text." not in text
    assert "".join(notebook["cells"][1]["outputs"][0]["data"]["text/plain"]) == words_anew.to_do(now)


def test_a_lesson_with_other_code_gets_no_new_words() -> None:
    then, now = reworded()
    notebook = lesson_of(then)
    notebook["cells"][0]["source"] = ["!kubeclass start 07"]
    before = json.dumps(notebook)
    assert not words_anew.with_words_of(notebook, then, now)
    silent = lesson_of(then)
    silent["cells"][1]["outputs"] = []
    assert not words_anew.with_words_of(silent, then, now)
    assert json.dumps(notebook) == before


def test_new_goals_of_labs_come_into_the_lesson_that_lists_them() -> None:
    now = {number: load_lab(number).spec for number in all_labs()}
    then = now | {"11": replace(now["11"], goal="What <it> was.")}
    rows = "".join(f"<tr><td>{spec.title}<br>{escape(spec.goal)}</td></tr>" for spec in then.values())
    shown = {"output_type": "execute_result", "data": {"text/html": [f"<table>{rows}</table>"]}}
    cell = {"cell_type": "code", "source": ["course()"], "metadata": {}, "outputs": [shown]}
    notebook: dict[str, Any] = {"cells": [cell], "metadata": {"kubeclass": {}}}
    about = notebook["metadata"]["kubeclass"]
    about["made_from"] = made_then = digests.of_lesson(notebook, then.__getitem__)
    other_minutes = then | {"12": replace(then["12"], minutes=then["12"].minutes + 1)}
    assert not words_anew.with_goals_of(notebook, other_minutes, now)
    assert about["made_from"] == made_then
    about["made_from"] = digests.of_lesson(notebook, other_minutes.__getitem__)
    assert not words_anew.with_goals_of(notebook, other_minutes, now)
    about["made_from"] = made_then
    assert words_anew.with_goals_of(notebook, then, now)
    html = "".join(shown["data"]["text/html"])
    assert escape(now["11"].goal) in html and "was." not in html
    assert about["made_from"] == digests.of_lesson(notebook)


def test_the_words_of_a_lab_at_a_commit_are_read_from_git() -> None:
    spec = words_anew.spec_of_then("HEAD", "07")
    assert spec and spec.title == load_lab("07").spec.title
    assert words_anew.spec_of_then("no-such-commit", "07") is None


def test_the_tests_that_need_a_cluster_can_be_collected() -> None:
    """`make test` does not run them, so nothing else tells where one imports what is no longer there."""
    words = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", "tests"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    ignored = ["--ignore=tests/unit"]
    done = subprocess.run([*words, *ignored], cwd=paths.COURSE, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("lesson", words_anew.lessons_with_lab(), ids=lambda path: path.stem)
def test_a_lesson_shows_the_words_of_its_lab_as_they_are_today(lesson: Path) -> None:
    """A merge takes a digest from one side and an output from the other; so the digest alone does not show this."""
    lab = load_lab(lesson.name[:2])
    outputs = [out for cell in json.loads(lesson.read_text())["cells"] for out in cell.get("outputs", [])]
    shown = "\n".join("".join(out.get("data", {}).get("text/plain", out.get("text", []))) for out in outputs)
    shown = shown.replace("\r\n", "\n")
    assert started(lab, "learn") in shown
    assert words_anew.to_do(lab) in shown


@pytest.mark.parametrize(
    "words",
    ["--lab 07 --case selector-typo other-spelling", "--lab 7 --case selector-typo --case other-spelling"],
)
def test_several_cases_may_be_named_in_either_way(words: str) -> None:
    found = chosen(parser().parse_args(words.split()), SUBJECTS)
    assert {(subject.group, subject.name) for subject in found} == {
        ("lab 07", "selector-typo"),
        ("lab 07", "other-spelling"),
    }


def test_several_labs_may_be_named_in_either_way() -> None:
    apart, together = (parser().parse_args(words.split()).lab for words in ("--lab 07 --lab 08", "--lab 07 08"))
    assert apart == together == ["07", "08"]
    assert "--case typo --case port" in parser().format_help()
