"""The lessons as a learner of a class gets them: with the learner's own namespaces."""

from __future__ import annotations

import ast
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checker.classroom import joined
from checker.classroom.access import ClassAccess
from checker.classroom.build import further_suffixes, labs_of_a_class
from checker.classroom.lessons import ROLES, InClass
from checker.ui import study
from checker.ui.lesson_files import lesson

FURTHER = {suffix: f"autumn-ada-{suffix}" for suffix in further_suffixes(labs_of_a_class())}
ADA = InClass(home="autumn-ada", further=FURTHER)


def cells(page: str, here: InClass) -> list[tuple[str, str]]:
    """The kind and the text of each cell."""
    return [(one["cell_type"], "".join(one["source"])) for one in json.loads(lesson(page, here))["cells"]]


def code(page: str, here: InClass) -> str:
    return "\n".join(text for kind, text in cells(page, here) if kind == "code")


@pytest.mark.parametrize("page", study.pages())
def test_a_lesson_in_a_class_names_only_namespaces_of_the_learner(page: str) -> None:
    if page.startswith("01"):  # it is about the learner's own container engine
        assert lesson(page, ADA) == lesson(page, InClass())
        return
    text = "\n".join(text for _, text in cells(page, ADA))
    assert not re.search(r"(?<![\w-])learn-[a-z]+", text)
    assert not re.search(r"[.`]learn(?![\w-])|-n learn(?![\w-])", text)
    assert not re.search("^!.*kubectl (?:create|delete) namespace", code(page, ADA), re.MULTILINE)
    assert set(re.findall(r"autumn-ada[\w-]*", text)) <= {ADA.home, *FURTHER.values()}
    own = FURTHER["policies"] if page.startswith("14") else ADA.home
    first = f"!kubeclass clear --yes --namespace {own}\n!kubectl config set-context --current --namespace {own}"
    assert code(page, ADA).count(first) == code(page, InClass()).count("!kubeclass clear --yes\n")


@pytest.mark.parametrize("page", study.pages())
def test_the_answer_of_a_prediction_is_still_one_of_the_choices(page: str) -> None:
    for kind, text in cells(page, ADA):
        if kind == "code" and text.startswith("predict("):
            call = ast.parse(text).body[0]
            assert isinstance(call, ast.Expr) and isinstance(call.value, ast.Call)
            given = [ast.literal_eval(one) for one in call.value.args]
            named = {one.arg: ast.literal_eval(one.value) for one in call.value.keywords}
            choices = given[1] if len(given) > 1 else named.get("choices", [])
            assert not choices or named["answer"] in choices


def test_a_namespace_is_not_created_but_said_to_be_there_and_is_emptied_instead_of_deleted() -> None:
    text = code("08-dns.ipynb", ADA)
    assert "# In a class, this namespace is there already: autumn-ada-data\n" in text
    assert "!kubectl delete all --all -n autumn-ada-data --timeout=90s" in text
    assert "getent hosts shop shop.autumn-ada shop.autumn-ada.svc" in text
    assert ADA.text("08", "!kubectl create namespace mine", is_code=True) == "!kubectl create namespace mine"
    deletes = "!kubectl delete namespace learn-elsewhere mine --timeout=9s"
    assert "kubectl delete namespace" in ADA.text("08", deletes, is_code=True)


def test_the_word_learn_stays_in_sentences() -> None:
    for text in ("You learn more in lesson 08.", "To learn-by-doing is best.", "kubeclass_learn.py", "relearn.learned"):
        assert ADA.text("08", text, is_code=False) == text


def test_each_role_is_one_that_a_class_has() -> None:
    assert {role for roles in ROLES.values() for role in roles.values()} <= FURTHER.keys()


def test_in_a_class_with_fewer_namespaces_the_others_keep_their_names() -> None:
    older = InClass(home="autumn-ada", further={"data": "autumn-ada-data"})
    text = code("09-namespaces.ipynb", older)
    assert "!kubectl create namespace learn-red\n" in text and "delete namespace learn-red learn-yellow" in text
    assert "set-context --current --namespace autumn-ada\n" in code("14-policies.ipynb", older)


def test_the_copies_have_the_learners_namespaces_while_a_class_is_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KUBECLASS_HOME", "KUBECLASS_WORK"):
        monkeypatch.setenv(name, str(tmp_path / name))

    def copy() -> str:
        study.learners_folder(str(tmp_path / "folder"))
        return (tmp_path / "folder" / "08-dns.ipynb").read_text()

    assert "-n learn-elsewhere" in copy()
    joined.take_in(
        ClassAccess(
            name="autumn",
            learner="ada",
            namespace="autumn-ada",
            namespaces=FURTHER,
            expires=datetime.now(UTC) + timedelta(hours=1),
            server="https://cluster.example",
            token="t",
        )
    )
    assert "-n autumn-ada-data" in copy() and "learn-elsewhere" not in copy()
    joined.leave()
    assert "-n learn-elsewhere" in copy()
