"""Templates of the catalogue, and the catalogue as data: what is accepted, what is refused, and a second language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from checker.authoring.check import Call, calls, wrong_with
from checker.model import catalogue as catalogue_module
from checker.model.catalogue import catalogue
from checker.model.fault import Fault, Phrase, Ref
from cluster import Problem, paths
from cluster.language.templates import TemplateError, fill

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
    "braces": (
        "kubectl get pods -o jsonpath={{.items[[0]].spec}}",
        {},
        "kubectl get pods -o jsonpath={.items[0].spec}",
    ),
}


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
    with pytest.raises(Problem) as caught:
        catalogue().extended(file)["x"]
    assert why in caught.value.what
    assert f"{file}:" in caught.value.what


def test_a_lab_adds_forms_to_a_cause_of_the_course(tmp_path: Path) -> None:
    (file := tmp_path / "causes.yaml").write_text("object-being-deleted:\n  forms: {here: {message: 'No {object}.'}}")
    fault = Fault("object-being-deleted", Ref("Service", "web"), form="here")
    assert fault.words(catalogue().extended(file)).message == "No Service web."
    with pytest.raises(KeyError):
        fault.words()


def test_a_phrase_is_written_into_the_sentence_of_its_fault() -> None:
    path = {"source": Phrase("new-pod", {"labels": {"app": "web"}}), "source_namespace": "", "port": 80}
    selected = {"selected": Phrase("new-pod", {"labels": {}}), "selected_namespace": "", "direction": "ingress"}
    facts = {**path, **selected, "target": "Deployment web", "target_namespace": "", "policies": [], "home": "learn"}
    message = Fault("pod-not-isolated", Ref("Namespace", "learn"), {**facts, "elsewhere": ""}).words().message
    assert message.startswith("No NetworkPolicy isolates a new Pod with no labels for ingress.")
    assert "from a new Pod with app=web to port 80 of Deployment web" in message


CALLS = [
    call
    for path in sorted((paths.COURSE / "checker").rglob("*.py"))
    if "template" not in path.parts
    for call in calls(path)
]


@pytest.mark.parametrize("call", CALLS, ids=[f"{Path(call.where).name}-{call.cause}" for call in CALLS])
def test_every_fault_has_the_facts_that_its_sentences_use(call: Call) -> None:
    """Of the checker's own code; those of the labs: tests/unit/test_authoring.py."""
    assert wrong_with(call, catalogue()) == ""


def test_a_language_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECLASS_LANGUAGE", "xx")
    with pytest.raises(Problem, match="no language 'xx'"):
        catalogue_module.catalogue()
