"""A second language is one file: with a pseudo-language in place of English, no English sentence is left anywhere.

In the pseudo-language every sentence is the English one with accented letters. So what a learner reads holds plain
letters only where the code wrote a sentence itself, or where a fact stands: a name, a number, a message of Kubernetes.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from checker import recording
from checker.diagnosis.explain import explained
from checker.grading.grade import judge
from checker.grading.labs import all_labs, load_lab
from checker.model import catalogue as catalogue_module
from checker.model.catalogue import ENGLISH, UI, load, load_sentences
from checker.model.explanation import Explanation
from checker.model.fault import Fault, Words
from checker.model.state import State
from checker.model.verdict import Result
from checker.ui.cli import app, started
from checker.ui.explanation import html_of, text_of
from checker.ui.panel import Panel
from checker.ui.picture.drawing import Places, laid_out, text
from checker.ui.picture.scene import scene
from checker.ui.report import text_report
from tests.explain.case import FOLDER as EXPLAIN

PSEUDO = "pseudo"
ACCENTED = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "áƀćďéƒğĥíĵķĺɱńóƥɋŕśťúṽŵẋýžÁƁĆĎÉƑĞĤÍĴĶĹṀŃÓƤɊŔŚŤÚṼŴẊÝŽ"
)
ENGLISH_WORD = re.compile(r"\b(the|is|are|of|not|and|has|with|this|that|from|for|was|there|its|which|but)\b", re.I)
EVERY = 5  # of the recordings of labs, one in so many is looked at

LABS = [
    (number, path)
    for number in all_labs()
    for path in sorted((load_lab(number).folder / "recorded").glob("*.json"))[::EVERY]
]
EXPLAINED = sorted((EXPLAIN / "recorded").glob("*.json"))


# -- the pseudo-language ---------------------------------------------------------------------------------------------


def accented(template: str) -> str:
    """A template with accents. The names of its facts stay; other words inside slots get accents too."""
    return "".join(map(_accented_part, re.split(r"(\{\{|\}\}|\{[^{}]+\})", template)))


def _accented_part(part: str) -> str:
    if not (part.startswith("{") and part.endswith("}") and len(part) > 2):
        return part.translate(ACCENTED)
    mark = re.match(r"\{#?[a-z0-9_]+", part)
    assert mark, part
    return mark[0] + part[mark.end() :].translate(ACCENTED)


def accented_text(words: str) -> str:
    """A text of lab.yaml with accents. `{namespace}` and `{files}` stay; other braces are no slots there."""
    parts = re.split(r"(\{namespace\}|\{files\})", words)
    return "".join(part if part in ("{namespace}", "{files}") else part.translate(ACCENTED) for part in parts)


def accented_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of a causes file. A command (`look`) is the same in every language."""
    found = {
        key: accented(entry[key]) for key in ("title", "meaning", "message", "expected", "observed") if key in entry
    }
    if entry.get("forms"):
        found["forms"] = {
            name: {key: accented(words[key]) for key in ("message", "expected", "observed") if key in words}
            for name, words in entry["forms"].items()
        }
    return found


def accented_lab(number: str) -> dict[str, Any]:
    """What a language's file says of a lab: its texts, and the sentences of its causes.yaml."""
    lab = load_lab(number)
    causes = lab.folder / "causes.yaml"
    return {
        "title": accented_text(lab.spec.title),
        "goal": accented_text(lab.spec.goal),
        "tasks": {
            task.id: {
                "title": accented_text(task.title),
                "text": accented_text(task.text),
                "hints": [accented_text(hint) for hint in task.hints],
            }
            for task in lab.spec.tasks
        },
        "causes": {id: accented_entry(entry) for id, entry in (load(causes.read_text()) or {}).items()}
        if causes.exists()
        else {},
    }


@pytest.fixture(scope="module", autouse=True)
def pseudo_language(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The file of the pseudo-language, where the catalogue looks for languages. A test chooses it by `speak`."""
    causes: dict[str, Any] = {}
    for file in ENGLISH.glob("*.yaml"):
        if file.name != UI:
            causes |= {id: accented_entry(entry) for id, entry in load(file.read_text()).items()}
    words = {
        "ui": {id: accented(text) for id, text in load_sentences((ENGLISH / UI).read_text()).items()},
        "causes": causes,
        "labs": {number: accented_lab(number) for number in all_labs()},
    }
    folder = tmp_path_factory.mktemp("languages")
    (folder / f"{PSEUDO}.yaml").write_text(json.dumps(words))  # JSON is YAML
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue_module, "HERE", folder)
        forget()
        yield
    forget()


def forget() -> None:
    for cached in (catalogue_module._translation, catalogue_module._catalogue, catalogue_module._ui):
        cached.cache_clear()


@pytest.fixture
def speak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECLASS_LANGUAGE", PSEUDO)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Fault, Words]]:
    """Every fault that is put into words, and the words."""
    faults: list[tuple[Fault, Words]] = []
    plain = Fault.words

    def words(self: Fault, causes: Any = None) -> Words:
        found = plain(self, causes)
        faults.append((self, found))
        return found

    monkeypatch.setattr(Fault, "words", words)
    return faults


# -- what is left of a text once the facts are taken out -------------------------------------------------------------


def values(fact: Any) -> Iterator[str]:
    """What a fact may write into a sentence."""
    if isinstance(fact, Fault):
        yield from values(fact.facts)
        yield from (fact.object.kind, fact.object.name, fact.object.namespace)
        yield from values([facts for _, facts in fact.contexts])
    elif isinstance(fact, Mapping):
        yield from (f"{key}={value}" for key, value in fact.items() if isinstance(value, str))
        yield from (one for pair in fact.items() for part in pair for one in values(part))
    elif isinstance(fact, Sequence | Set) and not isinstance(fact, str):
        yield from (value for one in fact for value in values(one))
    elif fact is not None:
        yield str(fact)


def names(state: State) -> Iterator[str]:
    """The names of all objects."""
    yield state.namespace
    for objects in state.objects.values():
        yield from (name for found in objects for name in (found.name, found.namespace, found.ref) if name)


def assert_no_english(shown: str, facts: Iterator[str]) -> None:
    left = squeezed(shown)
    for value in sorted({squeezed(fact) for fact in facts}, key=len, reverse=True):
        left = left.replace(value, " ") if value else left
    found = ENGLISH_WORD.search(left)
    assert not found, left[max(0, found.start() - 100) : found.end() + 100]


def squeezed(shown: str) -> str:
    """A text without its line breaks, which may be anywhere in a fact."""
    return re.sub(r"\s+", " ", shown).strip()


def texts_of(shown: Any) -> Iterator[str]:
    """All texts in a front end's view, without ids, data words, addresses and commands."""
    if isinstance(shown, Mapping):
        for name, value in shown.items():
            if name not in ("id", "word", "page", "look", "command", "namespace"):
                yield from texts_of(value)
    elif isinstance(shown, list | tuple):
        yield from (one for value in shown for one in texts_of(value))
    elif isinstance(shown, str):
        yield shown


# -- the tests -------------------------------------------------------------------------------------------------------


def facts_of(state: State, told: list[tuple[Fault, Words]]) -> list[str]:
    """What may stand in plain letters: names of objects, facts, commands, and the ids of causes."""
    of_faults = (value for fault, words in told for value in (*values(fault), words.look, fault.cause))
    return [*names(state), *of_faults]


@pytest.mark.parametrize("number, path", LABS, ids=[f"{number}-{path.stem}" for number, path in LABS])
def test_a_lab_speaks_the_language(
    number: str, path: Path, told: list[tuple[Fault, Words]], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = recording.load(path)[0]
    english = judge(load_lab(number), state)
    monkeypatch.setenv("KUBECLASS_LANGUAGE", PSEUDO)
    told.clear()
    result = judge(load_lab(number), state)

    def same(one: Result) -> list[Any]:
        return [
            one.score,
            one.max_score,
            *((t.id, t.verdict, t.cause, t.object, t.look, t.in_progress) for t in one.tasks),
        ]

    assert same(result) == same(english)
    facts = [*facts_of(state, told), *(task.id for task in result.tasks)]
    assert_no_english(text_report(result), iter(facts))
    assert_no_english(text_report(result, why=True), iter(facts))
    assert_no_english(text_report(replace(result, waited=3.0), live=True), iter(facts))
    panel = Panel(number, state.namespace)
    panel.result, panel.hints = result, {task.id: 9 for task in panel.lab.spec.tasks}
    for shown in texts_of(panel.view()):
        assert_no_english(shown, iter(facts))
    if not load_lab(number).spec.needs.engine:
        drawn = scene(state, explained(state))
        assert_no_english(text(drawn), iter(facts_of(state, told)))


@pytest.mark.parametrize("path", EXPLAINED, ids=[path.stem for path in EXPLAINED])
def test_an_explanation_speaks_the_language(
    path: Path, told: list[tuple[Fault, Words]], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = State.from_json(json.loads(path.read_text())["state"])
    english = explained(state)
    monkeypatch.setenv("KUBECLASS_LANGUAGE", PSEUDO)
    told.clear()
    found = explained(state)

    def same(one: Explanation) -> list[Any]:
        findings = [*one.findings, *one.unseen, *one.in_progress]
        return [(f.root, f.namespace, f.seen_at, f.command, [c.object for c in f.consequences]) for f in findings]

    assert same(found) == same(english)
    facts = [*facts_of(state, told), *(finding.command for finding in found.findings)]
    assert_no_english(text_of(found), iter(facts))
    plain = html.unescape(re.sub(r"<[^>]+>", " ", html_of(found)))
    assert_no_english(plain, iter(facts))
    drawing = laid_out(scene(state, found), Places())
    for shown in texts_of(drawing):
        assert_no_english(shown, iter(facts))


@pytest.mark.usefixtures("speak")
def test_a_panel_before_the_first_check_speaks_the_language() -> None:
    for number in all_labs():
        panel = Panel(number)
        assert_no_english(repr(panel), iter(()))
        for shown in texts_of(panel.view()):
            assert_no_english(shown, iter(()))


@pytest.mark.usefixtures("speak")
@pytest.mark.parametrize("namespace", ["learn", "team"])
def test_the_command_line_speaks_the_language(namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECLASS_HOME", str(tmp_path))
    commands = [["progress"], *(["hint", "07", "reaches-pods", "--level", str(n), "-n", namespace] for n in (1, 2))]
    for words in commands:
        done = CliRunner().invoke(app, words, catch_exceptions=False)
        assert done.exit_code == 0
        assert_no_english(done.output, iter(()))
    for number in all_labs():
        lab = load_lab(number)
        assert_no_english(started(lab, namespace), (task.id for task in lab.spec.tasks))


@pytest.mark.usefixtures("speak")
@pytest.mark.parametrize("command", ["", *app.list_commands(click.Context(app))])
def test_help_speaks_the_language(command: str) -> None:
    done = CliRunner().invoke(app, [*filter(None, [command]), "--help"], catch_exceptions=False)
    assert done.exit_code == 0
    assert_no_english(done.output, iter(()))


def test_start_advises_a_check_in_the_same_namespace() -> None:
    assert started(load_lab("07"), "team").endswith("kubeclass check 07 --namespace team")
    assert started(load_lab("07"), "learn").endswith("kubeclass check 07")


def test_the_sentences_of_the_interface_are_read_as_yaml_reads_them() -> None:
    written = (ENGLISH / UI).read_text()
    assert load_sentences(written) == load(written)
