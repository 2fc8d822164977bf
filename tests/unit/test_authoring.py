"""`kubeclass lab new` and `kubeclass lab check`: a new lab is nearly complete, what is missing or wrong is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from checker.authoring.check import check_lab
from checker.authoring.new import new_lab
from checker.grading.labs import all_labs, load_lab
from cluster import Problem


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBECLASS_LABS", str(tmp_path))
    return new_lab("42", "answers")


def change(file: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).write_text((folder / file).read_text().replace(old, new)) and None


def add(file: str, text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(text)

    return write


CASE = "title: A\nmake: 'true'\n"
WRONG = {
    "an import": (
        change("tasks.py", "from checker.sdk", "from checker.grading.labs"),
        "a lab imports from checker.sdk only",
    ),
    "a cause": (
        change("tasks.py", '"service-answers-wrong", service, form="this-lab"', '"no-such-cause", service'),
        "there is no cause no-such-cause",
    ),
    "a form": (change("causes.yaml", "this-lab:", "another:"), "has no form this-lab"),
    "a fact": (
        change("causes.yaml", "answers from {others}", "answers from {hosts}"),
        "use the fact hosts, which the call does not pass",
    ),
    "a key of causes.yaml": (change("causes.yaml", "  forms:", "  formz:"), "unknown key formz"),
    "a cause without a meaning": (
        add("causes.yaml", "my-cause: {title: T, lesson: '07', look: kubectl get pods, message: M.}\n"),
        "cause my-cause: meaning is missing",
    ),
    "a cause that nothing names": (
        add("causes.yaml", "my-cause: {title: T, meaning: M., lesson: '07', look: kubectl get pods, message: M.}\n"),
        "no code of the lab names cause my-cause",
    ),
    "a task": (change("tasks.py", '@task("answers"', '@task("answer"'), "do not name the same tasks"),
    "the label of the set-up": (
        change("setup/guestbook.yaml", '"42"', '"07"'),
        'Deployment guestbook needs the label kubeclass.dev/lab: "42"',
    ),
    "a namespace in the set-up": (
        change("setup/guestbook.yaml", "  name: guestbook\n", "  name: guestbook\n  namespace: learn\n"),
        "names a namespace",
    ),
    "a manifest": (change("setup/guestbook.yaml", "kind:", "kind: ["), "this is not valid YAML"),
    "a task of a case": (change("mistakes/selector-typo.yaml", "answers:", "answer:"), "there is no task answer"),
    "a cause of a case": (
        change("mistakes/selector-typo.yaml", "service-selects-nothing", "nothing"),
        "there is no cause nothing",
    ),
    "a key of a case": (add("mistakes/b.yaml", CASE + "failz: {}\n"), "b.yaml:3: failz: unknown key"),
    "a mistake that fails nothing": (add("mistakes/b.yaml", CASE), "it fails nothing"),
    "an accepted answer that fails": (
        add("accepted/b.yaml", CASE + "fails: {answers: object-missing}\n"),
        "an accepted answer fails nothing",
    ),
    "a debrief of an unknown case": (
        change(
            "lab.yaml",
            "minutes:",
            "debrief: {shown: a, others: {imperative: b, other: c}, mistake: d, further: e}\nminutes:",
        ),
        "debrief.others names other, and accepted/ has no such case",
    ),
    "a long module": (add("long.py", "A = 1\n" * 300), "300 lines; split it by task"),
    "a module that is not Python": (add("tasks.py", "def"), "this is not Python"),
    "a finished lab": (
        change("lab.yaml", "draft: true", "draft: false"),
        "no recording of imperative, selector-typo, setup, solution",
    ),
}


def test_a_new_lab_lacks_only_cases(folder: Path) -> None:
    assert check_lab(load_lab("42")) == [
        f"{folder / 'accepted'}: 1 of at least 2 cases",
        f"{folder / 'mistakes'}: 1 of at least 6 cases",
        f"{folder / 'lab.yaml'}: debrief is missing; it is what a learner reads when the lab has passed",
    ]


@pytest.mark.parametrize("spoil, why", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(folder: Path, spoil: Callable[[Path], None], why: str) -> None:
    spoil(folder)
    assert why in "\n".join(check_lab(load_lab("42")))


def test_a_new_lab_overwrites_nothing(folder: Path) -> None:
    with pytest.raises(Problem, match="There is a lab 42 already"):
        new_lab("42", "other")
    for number, name in (("4", "a"), ("43", "A b")):
        with pytest.raises(Problem):
            new_lab(number, name)


@pytest.mark.parametrize("number", all_labs())
def test_every_lab_of_the_course_is_complete(number: str) -> None:
    assert check_lab(load_lab(number)) == []
