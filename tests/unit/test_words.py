"""Templates of the catalogue, and the catalogue as data: what can be written, what is refused, and a second language."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from checker.model import catalogue as catalogue_module
from checker.model.catalogue import catalogue
from checker.model.fault import Fault, Ref
from checker.model.words import TemplateError, fill, slots
from cluster import Problem, paths

FILLED = {
    "a fact": ("Service {name} exists.", {"name": "web"}, "Service web exists."),
    "a list": ("Pods {pods}", {"pods": ["a", "b", "c"]}, "Pods a, b, c"),
    "a list with and": ("{pods&} are ready", {"pods": ["a", "b", "c"]}, "a, b and c are ready"),
    "a list of one with and": ("{pods&}", {"pods": ["a"]}, "a"),
    "a list with or": ("{pods/}", {"pods": ["a", "b"]}, "a or b"),
    "labels": ("{labels}", {"labels": {"b": "2", "a": "1"}}, "a=1,b=2"),
    "a number and its noun": ("{n:Pod} and {m:Pod}", {"n": 1, "m": 0}, "1 Pod and 0 Pods"),
    "a list counts as its length": ("{pods:Pod}", {"pods": ["a", "b"]}, "2 Pods"),
    "a plural of its own": ("{n:entry|entries}", {"n": 3}, "3 entries"),
    "only the word": ("{n} Pod {#n:is|are} ready", {"n": 1}, "1 Pod is ready"),
    "a default": ("Services: {services?none}", {"services": []}, "Services: none"),
    "an optional part": ("It is gone.[ Did you mean {near}?]", {"near": "web"}, "It is gone. Did you mean web?"),
    "an optional part without its fact": ("It is gone.[ Did you mean {near}?]", {"near": None}, "It is gone."),
    "zero is a fact": ("[{n} left]", {"n": 0}, "0 left"),
    "braces": ("kubectl get pods -o jsonpath={{.items[[0]].spec}}", {}, "kubectl get pods -o jsonpath={.items[0].spec}"),
}  # fmt: skip


@pytest.mark.parametrize("template, facts, text", FILLED.values(), ids=FILLED)
def test_a_template_is_filled(template: str, facts: dict[str, Any], text: str) -> None:
    assert fill(template, facts) == text


@pytest.mark.parametrize("template", ["{", "}", "{A}", "[a", "a]", "[a [b] c]", "{name:}", "{name"])
def test_a_template_that_cannot_be_read_is_refused(template: str) -> None:
    with pytest.raises(TemplateError):
        fill(template, {"name": "x"})


def test_a_slot_without_a_fact_names_the_facts_that_there_are() -> None:
    with pytest.raises(TemplateError, match="no fact 'nme'; there are name"):
        fill("{nme}", {"name": "x"})


BROKEN = {
    "no YAML": ("x:\n  title: [", "no YAML"),
    "an unknown key": ("x:\n  titel: X", "unknown key titel; allowed are "),
    "a flag that is text": ("x:\n  weaker: 'yes'", "weaker is true or false"),
    "a lesson that is a number": ("x:\n  lesson: 7", "lesson is text, not 7"),
    "a template": ("x:\n  message: '{'", "message cannot be read: a slot that cannot be read at character 1"),
    "a form": ("x:\n  forms: {a: {mesage: b}}", "form a is a mapping; allowed are message, expected, observed, look"),
    "nothing but a title": ("x:\n  title: X", "meaning is missing"),
    "an entry that is there twice": ("x:\n  title: X\nx:\n  title: Y", "x is there twice"),
}


@pytest.mark.parametrize("text, why", BROKEN.values(), ids=BROKEN)
def test_a_malformed_entry_is_told_with_file_and_line(text: str, why: str, tmp_path: Path) -> None:
    (file := tmp_path / "causes.yaml").write_text("# a lab's own\n" + text)
    with pytest.raises(Problem) as told:
        catalogue().extended(file)["x"]
    assert why in told.value.what
    assert f"{file}:" in told.value.what


def test_a_lab_adds_forms_to_a_cause_of_the_course(tmp_path: Path) -> None:
    (file := tmp_path / "causes.yaml").write_text("object-being-deleted:\n  forms: {here: {message: 'No {object}.'}}")
    fault = Fault("object-being-deleted", Ref("Service", "web"), form="here")
    assert fault.words(catalogue().extended(file)).message == "No Service web."
    with pytest.raises(KeyError):
        fault.words()


def calls() -> list[tuple[str, str, str, set[str], bool]]:
    """Every call that makes a fault in code: where, cause, form, the names of its facts, and whether further facts come in a dict."""
    found = []
    for path in [*paths.COURSE.glob("checker/**/*.py"), *paths.COURSE.glob("labs/*/*.py")]:
        if "template" in path.parts:
            continue
        tree = ast.parse(path.read_text())
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        imported = {name.name for node in imports if (node.module or "").startswith("checker") for name in node.names}
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
                continue
            cause, named = node.args[0], {keyword.arg: keyword.value for keyword in node.keywords}
            form = named.get("form", ast.Constant(""))
            if not isinstance(cause, ast.Constant) or not isinstance(form, ast.Constant):
                continue
            if node.func.id == "Fault" and "Fault" in imported:
                facts, more = _facts_of_a_fault(node, named)
            elif node.func.id in ("fail", "unknown", "Failed", "Unknown") and not _has_its_words(node, named):
                facts, more = {name for name in named if name} - {"form", "in_progress"}, None in named
            else:
                continue
            found.append((f"{path.relative_to(paths.COURSE)}:{node.lineno}", cause.value, form.value, facts, more))
    return found


def _has_its_words(node: ast.Call, named: dict[str | None, ast.expr]) -> bool:
    """Whether a call such as fail(…) holds its English, which is not in the catalogue yet."""
    literal = len(node.args) > 1 and isinstance(node.args[1], ast.Constant | ast.JoinedStr | ast.BinOp)
    return literal or bool(named.keys() & {"expected", "observed", "object", "look", "pending", "literal"})


def _facts_of_a_fault(node: ast.Call, named: dict[str | None, ast.expr]) -> tuple[set[str], bool]:
    """The names of the facts in Fault(cause, object, facts, …), and whether there are more that the call does not name."""
    facts = node.args[2] if len(node.args) > 2 else named.get("facts", ast.Dict([], []))
    if not isinstance(facts, ast.Dict):
        return set(), True
    names = {key.value for key in facts.keys if isinstance(key, ast.Constant)}
    return names, len(names) < len(facts.keys)


@pytest.mark.parametrize("where, cause, form, facts, more", calls(), ids=[f"{c[0]}-{c[1]}" for c in calls()])
def test_every_fault_has_the_facts_that_its_sentences_use(
    where: str, cause: str, form: str, facts: set[str], more: bool
) -> None:
    causes = catalogue()
    if where.startswith("labs/"):
        causes = causes.extended(paths.COURSE / where.rpartition("/")[0] / "causes.yaml")
    sentences = causes[cause].form(form)
    assert sentences.message, f"{where}: {cause} has no message in form {form!r}"
    used = set().union(*(slots(text) for text in vars(sentences).values()))
    own = {"kind", "name", "namespace", "object", "lab"}
    assert more or used <= facts | own, f"{where}: no fact {', '.join(sorted(used - facts - own))}"
    assert set(causes[cause].same_root_by) - {"expected"} <= facts | own or more


def test_a_language_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECLASS_LANGUAGE", "xx")
    with pytest.raises(Problem, match="no language 'xx'"):
        catalogue_module.catalogue()
