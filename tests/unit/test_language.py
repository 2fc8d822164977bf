"""A second language is one file: with a pseudo-language in place of English, no English sentence is left anywhere.

In the pseudo-language every sentence is the English one with accented letters. So what a learner reads holds plain
letters only where the code wrote a sentence itself, or where a fact stands: a name, a number, a message of Kubernetes.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from checker import recording
from checker.diagnosis.explain import explained
from checker.grading.grade import judge
from checker.grading.labs import Debrief, all_labs, load_lab
from checker.model import catalogue as catalogue_module
from checker.model.catalogue import ENGLISH, UI, catalogue
from checker.model.explanation import Explanation
from checker.model.fault import Fault, Phrase, Unknown, Words
from checker.model.state import Request, State
from checker.model.verdict import Result
from checker.ui.cli import app, started
from checker.ui.explanation import html_of, text_of
from checker.ui.panel import Panel
from checker.ui.picture.drawing import Places, laid_out, text
from checker.ui.picture.scene import scene
from checker.ui.report import text_report
from cluster import Cluster, Problem, doctor, engine, images, language, status, up, up_progress
from cluster.language import load, load_sentences
from cluster.language.templates import fill
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
        "debrief": accented_debrief(lab.spec.debrief) if lab.spec.debrief else {},
        "causes": {id: accented_entry(entry) for id, entry in (load(causes.read_text()) or {}).items()}
        if causes.exists()
        else {},
    }


def accented_debrief(debrief: Debrief) -> dict[str, Any]:
    """What a language's file says in place of a debrief."""
    return {
        "shown": accented_text(debrief.shown),
        "others": {name: accented_text(text) for name, text in debrief.others.items()},
        "mistake": accented_text(debrief.mistake),
        "further": accented_text(debrief.further),
    }


@pytest.fixture(scope="module", autouse=True)
def pseudo_language(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The file of the pseudo-language, in the folder of languages. A test chooses it by `speak`."""
    causes: dict[str, Any] = {}
    for file in ENGLISH.glob("*.yaml"):
        if file.name != UI:
            causes |= {id: accented_entry(entry) for id, entry in load(file.read_text()).items()}
    words = {
        "cluster": {id: accented(text) for id, text in load_sentences(language.ENGLISH.read_text()).items()},
        "ui": {id: accented(text) for id, text in load_sentences((ENGLISH / UI).read_text()).items()},
        "causes": causes,
        "labs": {number: accented_lab(number) for number in all_labs()},
    }
    folder = tmp_path_factory.mktemp("languages")
    (folder / f"{PSEUDO}.yaml").write_text(json.dumps(words))  # JSON is YAML
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(language, "HERE", folder)
        forget()
        yield
    forget()


def forget() -> None:
    language.forget()
    catalogue_module.forget()


@pytest.fixture
def speak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECLASS_LANGUAGE", PSEUDO)


@pytest.fixture
def shown_faults(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Fault, Words]]:
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


def facts_of(state: State, shown_faults: list[tuple[Fault, Words]]) -> list[str]:
    """What may stand in plain letters: names of objects, facts, commands, the ids of causes, and headings of lessons.

    A learner finds a section by its heading, and the lessons are in English.
    """
    of_faults = (value for fault, words in shown_faults for value in (*values(fault), words.look, fault.cause))
    headings = (catalogue()[fault.cause].section for fault, _ in shown_faults if fault.cause in catalogue())
    return [*names(state), *of_faults, *headings]


@pytest.mark.parametrize("number, path", LABS, ids=[f"{number}-{path.stem}" for number, path in LABS])
def test_a_lab_speaks_the_language(
    number: str, path: Path, shown_faults: list[tuple[Fault, Words]], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = recording.load(path)[0]
    english = judge(load_lab(number), state)
    monkeypatch.setenv("KUBECLASS_LANGUAGE", PSEUDO)
    shown_faults.clear()
    result = judge(load_lab(number), state)

    def same(one: Result) -> list[Any]:
        return [
            one.score,
            one.max_score,
            *((t.id, t.verdict, t.cause, t.object, t.look, t.in_progress) for t in one.tasks),
        ]

    assert same(result) == same(english)
    facts = [*facts_of(state, shown_faults), *(task.id for task in result.tasks)]
    assert_no_english(text_report(result), iter(facts))
    assert_no_english(text_report(result, why=True), iter(facts))
    assert_no_english(text_report(replace(result, waited=3.0), live=True), iter(facts))
    panel = Panel(number, state.namespace)
    panel.result, panel.hints = result, {task.id: 9 for task in panel.lab.spec.tasks}
    for shown in texts_of(panel.view()):
        assert_no_english(shown, iter(facts))
    if not load_lab(number).spec.needs.engine:
        drawn = scene(state, explained(state))
        assert_no_english(text(drawn), iter(facts_of(state, shown_faults)))


@pytest.mark.parametrize("path", EXPLAINED, ids=[path.stem for path in EXPLAINED])
def test_an_explanation_speaks_the_language(
    path: Path, shown_faults: list[tuple[Fault, Words]], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = State.from_json(json.loads(path.read_text())["state"])
    english = explained(state)
    monkeypatch.setenv("KUBECLASS_LANGUAGE", PSEUDO)
    shown_faults.clear()
    found = explained(state)

    def same(one: Explanation) -> list[Any]:
        findings = [*one.findings, *one.unseen, *one.in_progress]
        return [(f.root, f.namespace, f.seen_at, f.command, [c.object for c in f.consequences]) for f in findings]

    assert same(found) == same(english)
    facts = [*facts_of(state, shown_faults), *(finding.command for finding in found.findings)]
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


# -- the machine's side ----------------------------------------------------------------------------------------------

WELL = {
    "engine": "docker",
    "engine_problem": None,
    "engine_version": "28.2.2",
    "docker_beside": False,
    "memory": 8 * doctor.GIB,
    "disk": 20 * doctor.GIB,
    "disk_folder": "/home",
    "cgroup": 2,
    "inotify": dict(doctor.INOTIFY),
    "ports": {8888: True, 30080: True},
    "proxy": "",
    "no_proxy": "",
    "registry": True,
    "resolves": True,
    "clock_offset": 0.2,
    "go": True,
    "lacks_capabilities": False,
}
BAD = {
    **WELL,
    "docker_beside": True,
    "memory": doctor.GIB,
    "disk": 7 * doctor.GIB,
    "cgroup": 1,
    "inotify": dict.fromkeys(doctor.INOTIFY, 1),
    "ports": {8888: False, 30080: False},
    "proxy": "HTTPS_PROXY",
    "registry": False,
    "resolves": False,
    "clock_offset": 100.0,
    "lacks_capabilities": True,
}
MACHINES = {
    "fit": WELL,
    "not Linux": {**WELL, "memory": None, "cgroup": None, "inotify": {"max_user_watches": None}, "clock_offset": None},
    "not fit": BAD,
    "no Go": {**BAD, "go": False, "engine_version": "19.3", "docker_beside": False, "proxy": ""},
    "proxy": {**WELL, "proxy": "HTTPS_PROXY", "no_proxy": "127.0.0.1"},
}


@pytest.mark.usefixtures("speak")
@pytest.mark.parametrize("facts", MACHINES.values(), ids=MACHINES)
def test_doctor_speaks_the_language(facts: dict[str, Any]) -> None:
    found = doctor.findings(facts)
    ids = (finding.id for finding in found)
    assert_only_pseudo(doctor.as_text(found), [*ids, "docker", "HTTPS_PROXY", "/home", "fs.inotify", *doctor.INOTIFY])


def test_a_doctor_without_an_engine_gives_the_next_step_of_the_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("KUBECLASS_LANGUAGE", PSEUDO)
    with pytest.raises(Problem) as problem:
        engine.require_running("docker")
    found = doctor.findings({**WELL, "engine_problem": problem.value})[0]
    assert (found.level, found.observed, found.remedy) == ("bad", problem.value.what, problem.value.next_step)
    assert_only_pseudo(str(problem.value), [])


@pytest.mark.usefixtures("speak")
def test_status_speaks_the_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster("mine", tmp_path / "kubeconfig")
    nodes = [SimpleNamespace(name=name, role="worker", running=name != "n1") for name in ("n1", "n2", "n3")]
    for name, value in {
        "nodes_of": lambda command, cluster: nodes,
        "_live_nodes": lambda cluster: ({"n2": {"ready": True, "version": "v1"}}, "gone"),
        "_missing_images": lambda command, node: ["redis", "python"],
        "_observer_ready": lambda cluster: False,
        "_versions": lambda command, live: {"kind": "v2"},
    }.items():
        monkeypatch.setattr(status, name, value)
    monkeypatch.setattr(status.engine, "require_running", lambda command: None)
    names = ["mine", "n1", "n2", "n3", "v1", "v2", "kind", "worker", "redis", "python", "gone", str(tmp_path)]
    without_kubeconfig = status.status(cluster)
    cluster.kubeconfig.touch()
    for facts in (without_kubeconfig, status.status(cluster)):
        assert len(facts["not_well"]) >= 3
        assert_only_pseudo(status.as_text(facts), [*names, "kubeconfig"])
    nodes.clear()
    assert_only_pseudo(status.as_text(status.status(cluster)), [*names, "kubeconfig"])


@pytest.mark.usefixtures("speak")
@pytest.mark.parametrize("fails", [False, True])
def test_up_speaks_the_language(
    fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that `up` prints on its way from nothing to a cluster, or to a Problem; nothing is run."""
    cluster = Cluster("mine", tmp_path / "kubeconfig")

    def run(command: str, *arguments: str, **_: Any) -> str:
        stages.append(up_progress.describe(cluster))
        if arguments[0] == "create" and fails:
            raise language.problem("disk-full", command="kind")
        if arguments[0] == "pull":
            raise language.problem("command-failed", command="docker", output="denied")
        return "program"

    stages: list[str] = []
    found = iter((False, True))
    for module, name, value in (
        (up.engine, "ensure", lambda: "docker"),
        (up, "kind_path", lambda: Path("kind")),
        (up, "kubectl_path", lambda: Path("kubectl")),
        (up, "nodes_of", lambda command, cluster: []),
        (up, "run", run),
        (up, "succeeds", lambda *command: False),
        (up, "registry_answers", lambda: True),
        (up.nodeimage, "build", lambda command: "built"),
        (up, "_put_images_onto_nodes", lambda command, cluster: images.prepare(command)),
        (images, "registry_answers", lambda: True),
        (images, "run", run),
        (images, "succeeds", lambda *command: False),
        (images, "docker_build", lambda *arguments: None),
        (images, "make_root", lambda *arguments: None),
        (up, "_put_in_place", lambda new, cluster: None),
        (up, "_wait_until_ready", lambda cluster: None),
        (up, "kubectl", lambda cluster, *words, **_: ""),
        (up.course_of_cluster, "note", lambda cluster: None),
        (up.observer, "is_current", lambda cluster: False),
        (up.observer, "install", lambda cluster: None),
        (up, "_names_are_found", lambda cluster: next(found)),
        (up.compose, "ensure", lambda command: None),
        (up, "LATECOMERS", 0),
    ):
        monkeypatch.setattr(module, name, value)
    with pytest.raises(Problem) if fails else nullcontext() as ended:
        up.up(cluster)
    outputs = [capsys.readouterr().err, *stages, *([str(ended.value)] if ended else [])]
    assert len(outputs[0].splitlines()) > 8
    for output in outputs:
        assert_only_pseudo(
            output, ["mine", "docker", "denied", "kindest", "kind", "node", "redis", "python", "slim", "guestbook"]
        )


def assert_only_pseudo(shown: str, names: Sequence[str]) -> None:
    """That no plain letters are left once these names are taken out."""
    for name in sorted(names, key=len, reverse=True):
        shown = shown.replace(name, "")
    assert not re.search("[A-Za-z]{3}", shown), shown


@pytest.mark.usefixtures("speak")
def test_a_problem_is_told_whole_in_the_language() -> None:
    problem = language.problem("nodes-not-ready", cluster="mine", seconds=90)
    assert str(problem).splitlines()[1:] == [
        f"  {accented('Left as it was:')} {problem.kept}",
        f"  {accented('Next:')} {problem.next_step}",
    ]
    assert_only_pseudo(str(problem), ["mine"])


REASONS = {
    "why-api-silent": {"server": "SERVER", "seconds": 5},
    "why-other-lab": {},
    "kubectl-late": {"command": "COMMAND", "seconds": 5},
}


@pytest.mark.usefixtures("speak")
@pytest.mark.parametrize("id, facts", REASONS.items(), ids=REASONS)
def test_a_state_keeps_why_something_was_not_seen_as_data(id: str, facts: dict[str, Any]) -> None:
    seen = State("learn", datetime.now(UTC), unlisted={"Pod": Phrase(id, facts)}, request=Request(frozenset({"Pod"})))
    seen.observations, seen.refusals = {"x": {"error": Phrase(id, facts)}}, [{"message": Phrase(id, facts)}]
    kept = json.loads(json.dumps(seen.to_json()))
    assert kept["unlisted"] == {"Pod": {"id": id, "facts": facts}}
    again = State.from_json(kept)
    assert again.observations == seen.observations and again.refusals == seen.refusals
    with pytest.raises(Unknown) as problem:
        again.all("Pod")
    assert str(Phrase(id, facts)) in problem.value.message
    assert_only_pseudo(problem.value.message, ["Pods", "Pod", "SERVER", "COMMAND"])


def test_start_advises_a_check_in_the_same_namespace() -> None:
    assert started(load_lab("07"), "team").endswith("kubeclass check 07 --namespace team")
    assert started(load_lab("07"), "learn").endswith("kubeclass check 07")


@pytest.mark.parametrize("file", [language.ENGLISH, ENGLISH / UI], ids=["cluster", "ui"])
def test_sentences_are_read_as_yaml_reads_them(file: Path) -> None:
    assert load_sentences(file.read_text()) == load(file.read_text())


@pytest.mark.parametrize(
    ("quote", "told"),
    [
        ("Password required.", "It says: Password required. Look."),
        ("Password required", "It says: Password required. Look."),
        ("waiting...", "It says: waiting.... Look."),
    ],
)
def test_a_quote_that_ends_with_a_full_stop_brings_no_second_one(quote: str, told: str) -> None:
    assert fill("It says: {quote}.[ {more}.] Look.", {"quote": quote, "more": ""}) == told
