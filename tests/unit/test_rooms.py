"""The rooms of the checker: which room may import which, which rooms do no I/O, and that no imports form a circle."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from checker.grading.labs import program
from checker.model import catalogue
from cluster import context, language, paths
from cluster.language.templates import slots

ROOMS = paths.COURSE / "checker"
# Each room, and the rooms that it may import from besides itself. Modules beside the rooms (session.py, live.py) tie
# them together.
MAY_IMPORT = {
    "model": set(),
    "diagnosis": {"model"},
    "grading": {"model", "diagnosis"},
    "collect": {"model", "diagnosis", "grading"},
    "environments": {"model", "diagnosis", "grading", "collect", "classroom"},
    "classroom": {"model", "diagnosis", "grading", "collect"},
    "recording": {"model", "diagnosis", "grading"},
    "marking": {"model", "diagnosis", "grading", "collect", "classroom", "recording", "session"},
    "authoring": {"model", "diagnosis", "grading", "collect", "environments", "session"},
    "ui": {
        *("authoring", "model", "diagnosis", "grading", "collect", "environments", "classroom", "marking"),
        *("session", "live"),
    },
}
# Rooms without I/O, and what a module imports to do I/O.
PURE = ("model", "diagnosis", "grading")
IO = {
    "subprocess",
    "socket",
    "urllib",
    "urllib3",
    "http",
    "httpx",
    "kubernetes",
    "threading",
    "concurrent",
    "tempfile",
    "shutil",
    "asyncio",
    "multiprocessing",
    "signal",
    "getpass",
}
# Two modules of the pure rooms read files: a lab's own folder, and the catalogue.
READING = {"pathlib", "os", "io", "glob", "importlib"}
READ_THEIR_FOLDER = {"checker.grading.labs", "checker.model.catalogue"}
OF_CLUSTER = {"cluster.Problem", "cluster.paths"}
LANGUAGE = "cluster.language"  # which reads only the files of sentences


def name_of(path: Path) -> str:
    """A module's name: `checker.diagnosis` of its __init__.py."""
    parts = path.relative_to(paths.COURSE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(*folders: str) -> dict[str, Path]:
    return {
        name_of(path): path
        for folder in folders
        for path in sorted((paths.COURSE / folder).rglob("*.py"))
        if "template" not in path.parts  # of a new lab: no module of the checker
    }


def imported(path: Path) -> Iterator[str]:
    """What a module imports, at its top or inside a function: modules, and names as `module.name`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: the course's imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_in(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")


def is_constant(name: str) -> bool:
    """Whether this is a constant of cluster.context."""
    _, _, last = name.rpartition(".")
    return name == f"cluster.context.{last}" and last.isupper() and isinstance(getattr(context, last), str)


def test_every_room_is_in_the_table() -> None:
    assert {path.parent.name for path in ROOMS.glob("*/__init__.py")} == set(MAY_IMPORT)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_from_the_rooms_below_it(room: str) -> None:
    allowed = {room, *MAY_IMPORT[room]}
    for module, path in modules(f"checker/{room}").items():
        for name in imported(path):
            if name.startswith("checker."):
                # `from checker import diagnosis`: the name after `checker` is the room
                assert name.split(".")[1] in allowed, f"{module} imports {name}"


@pytest.mark.parametrize("module", modules(*(f"checker/{room}" for room in PURE)))
def test_a_pure_room_does_no_io(module: str) -> None:
    path = modules("checker")[module]
    forbidden = IO | (READING if module not in READ_THEIR_FOLDER else set())
    assert not {name.partition(".")[0] for name in imported(path)} & forbidden
    for name in imported(path):
        if is_in(name, "cluster"):
            assert name in OF_CLUSTER or is_in(name, LANGUAGE) or is_constant(name), name
    called = {
        n.func.id
        for n in ast.walk(ast.parse(path.read_text()))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    assert not called & {"open", "print", "input", "exec", "eval", "__import__"}


def test_the_cluster_knows_nothing_of_the_checker() -> None:
    for module, path in modules("cluster").items():
        assert not [name for name in imported(path) if is_in(name, "checker")], module


def test_the_language_needs_nothing_of_the_cluster_but_its_problem() -> None:
    for module, path in modules("cluster/language").items():
        names = {name for name in imported(path) if is_in(name, "cluster")}
        assert all(name == "cluster.problem.Problem" or is_in(name, LANGUAGE) for name in names), module


def test_no_imports_form_a_circle() -> None:
    """Imports inside functions count too, and imports for types only."""
    known = modules("checker", "cluster")
    graph = {
        module: {name if name in known else name.rpartition(".")[0] for name in imported(path)} & set(known) - {module}
        for module, path in known.items()
    }
    assert graph["checker.grading.lab_state"] >= {"checker.model.state", "checker.diagnosis"}
    TopologicalSorter(graph).prepare()  # raises CycleError, and names the circle


# -- sentences -------------------------------------------------------------------------------------------------------

# A text with two words, one of them such a small word, reads as a sentence.
SMALL_WORD = re.compile(
    r"\b(the|is|are|of|not|and|has|with|this|that|from|for|was|there|its|it|which|but|no|to|be)\b", re.I
)
TWO_WORDS = re.compile("[A-Za-z]+ [A-Za-z]+")
# Texts of other programs by which the checker knows what they mean, recipes for images, and a word for a program.
NO_SENTENCES = {
    "cluster.images": {"#!/bin/sh"},
    "cluster.metrics_server": {"FROM scratch"},
    "cluster.nodeimage": {"FROM "},
    "cluster.process": {"no space left on device"},
    "cluster.observer.server": {"not a set of questions"},
    "checker.authoring.notebooks": {'").check(60)'},  # a cell's code
    "checker.collect.api": {"No route to host"},
    "checker.environments.container_engine": {"Ready to accept connections", "DB loaded from"},
    "checker.diagnosis.images": {": not found"},
    "checker.diagnosis.host_container": {"port is already allocated"},
    "checker.diagnosis.mounts": {"failed to sync", "not registered"},
    "checker.diagnosis.network_policy": {"outside the cluster"},
    "checker.diagnosis.pod": {"unable to freeze", "executable file not found"},
    "checker.diagnosis.probes": {"unable to start container process: "},
    "checker.ui.panel": {"to do"},
}
# docs/causes.md is made from the English catalogue; it is no part of what a command prints.
# The observer runs in a Pod. The checker quotes its words, as it quotes those of the API server.
IN_ENGLISH = {"checker.ui.causes_page", "cluster.observer.rights", "cluster.observer.server"}


def sentences_in(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of a module that read as sentences, with their lines.

    Not docstrings, regular expressions, constants, what `assert` says, and errors that are mistakes in the code.
    """
    tree = ast.parse(path.read_text())
    passed_over: set[ast.AST] = set()
    for node in ast.walk(tree):
        if (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) or is_no_sentence(node):
            passed_over |= set(ast.walk(node))
        elif isinstance(node, ast.Assert) and node.msg:
            passed_over |= set(ast.walk(node.msg))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or node in passed_over:
            continue
        if SMALL_WORD.search(node.value) and TWO_WORDS.search(node.value):
            yield node.lineno, node.value


def is_no_sentence(node: ast.AST) -> bool:
    """Whether this is a constant of the module's own, a use of a regular expression, or raises what is no Problem."""
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return all(isinstance(target, ast.Name) and target.id.isupper() for target in targets)
    if isinstance(node, ast.Raise):
        call = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return isinstance(call, ast.Name) and call.id not in ("Problem", "problem")
    function = node.func if isinstance(node, ast.Call) else None
    return isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "re"


@pytest.mark.parametrize("module", [name for name in modules("cluster", "checker") if name not in IN_ENGLISH])
def test_no_sentence_stands_in_code(module: str) -> None:
    """Sentences are in cluster/language/en.yaml and checker/model/catalogue/en."""
    known = NO_SENTENCES.get(module, set())
    path = modules("cluster", "checker")[module]
    found = [(line, text) for line, text in sentences_in(path) if not text.startswith(tuple(known))]
    assert not found, path


# Two start a server that outlives the call, one talks with the user's terminal. All others use cluster/process.py.
STARTS_PROGRAMS = {"cluster.process", "cluster.engine", "checker.ui.study", "checker.collect.exec_plugin"}


def test_programs_are_run_in_one_place() -> None:
    found = {name for name, path in modules("cluster", "checker").items() if "subprocess" in imported(path)}
    assert found == STARTS_PROGRAMS


@pytest.mark.parametrize("module", [name for name in modules("cluster", "checker") if name != LANGUAGE])
def test_a_problem_is_made_of_a_sentence_of_the_catalogue(module: str) -> None:
    tree = ast.parse(modules("cluster", "checker")[module].read_text())
    calls = [node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    assert not {"Problem", "CannotStart", "DidNotEnd"} & set(calls)


def sentences_by_id(path: Path) -> Iterator[tuple[int, list[str], set[str], bool]]:
    """The sentences that a module says by their ids: line, ids, names of the facts, whether there may be more facts."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
            continue
        if node.func.id in ("say", "problem") and isinstance(id := node.args[0], ast.Constant):
            names = {keyword.arg for keyword in node.keywords}
            ids = [id.value] if node.func.id == "say" else [f"{id.value}{end}" for end in ("", "-next", "-kept")]
            yield node.lineno, ids, {name for name in names if name}, None in names


@pytest.mark.parametrize("module", modules("cluster", "checker"))
def test_every_sentence_that_code_says_is_there_and_gets_its_facts(module: str) -> None:
    path = modules("cluster", "checker")[module]
    sentences = language.MACHINE.all() if module.startswith("cluster") else catalogue.sentences()
    for line, ids, facts, more in sentences_by_id(path):
        assert set(ids[:2]) <= set(sentences), f"{path}:{line}"  # `ID-kept` may be left out
        used = set().union(*(slots(sentences[id]) for id in ids if id in sentences))
        assert more or used <= facts, f"{path}:{line}: {ids[0]} lacks {sorted(used - facts)}"


def test_no_sentence_of_the_machine_has_the_id_of_another_one() -> None:
    own = language.load_sentences((catalogue.ENGLISH / catalogue.UI).read_text())
    assert not own.keys() & language.MACHINE.all().keys()


LAB_MODULES = sorted((paths.COURSE / "labs").glob("*/*.py"))
PROGRAMS = sorted((paths.COURSE / "labs").glob("*/programs/*.py"))  # which run in a learner's Pod or container
BESIDE_STANDARD_LIBRARY = {"yaml"}
LONGEST = 250  # lines of a module of a lab, but for setup.py: a change of it makes all its recordings stale


def lab_module(path: Path) -> str:
    return str(path.relative_to(paths.COURSE / "labs"))


@pytest.mark.parametrize("module", LAB_MODULES, ids=lab_module)
def test_a_lab_imports_the_sdk_the_standard_library_and_what_lies_beside_it(module: Path) -> None:
    """At its top only: see load_module. And it does no I/O, but for reading its own folder."""
    tree = ast.parse(module.read_text())
    assert not [
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            beside = [node.module] if node.module else [alias.name for alias in node.names]
            assert node.level == 1 and all((module.parent / f"{name}.py").exists() for name in beside), ast.unparse(
                node
            )
        elif isinstance(node, ast.ImportFrom):
            assert node.module == "checker.sdk" or is_standard(node.module or ""), ast.unparse(node)
        elif isinstance(node, ast.Import):
            assert all(is_standard(alias.name) for alias in node.names), ast.unparse(node)


def is_standard(module: str) -> bool:
    """Whether a module is one that every lab may import, and does no I/O."""
    top = module.partition(".")[0]
    known = top in sys.stdlib_module_names | BESIDE_STANDARD_LIBRARY
    return known and (top not in IO or module == "urllib.parse")


@pytest.mark.parametrize("module", [*LAB_MODULES, *PROGRAMS], ids=lab_module)
def test_no_module_of_a_lab_is_long(module: Path) -> None:
    assert module.name == "setup.py" or len(module.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("module", PROGRAMS, ids=lab_module)
def test_a_program_of_a_lab_needs_only_the_standard_library(module: Path, tmp_path: Path) -> None:
    """As it is sent: with the pieces that programs share in the place of their imports."""
    sent = tmp_path / module.name
    sent.write_text(program(str(module.parent.parent / "tasks.py"), module.stem))
    compile(sent.read_text(), module.name, "exec")
    assert {name.partition(".")[0] for name in imported(sent)} <= sys.stdlib_module_names


def test_every_piece_of_programs_is_shared_and_brings_all_that_is_imported_from_it() -> None:
    uses = [name for path in PROGRAMS for name in imported(path) if is_in(name, "checker.collect.programs")]
    pieces = {path.stem: path for path in (ROOMS / "collect" / "programs").glob("[!_]*.py")}
    for name in uses:
        piece, _, part = name.removeprefix("checker.collect.programs.").partition(".")
        assert re.search(rf"^((def|class) {part}\b|{part}\b.* = )", pieces[piece].read_text(), re.MULTILINE), name
    assert {name.split(".")[3] for name in uses} == set(pieces)


def test_the_sdk_comes_from_pure_rooms_and_everything_in_it_is_used() -> None:
    sdk = ast.parse((ROOMS / "sdk.py").read_text())
    given = [node for node in sdk.body if isinstance(node, ast.ImportFrom) and node.module != "__future__"]
    assert all(node.module and node.module.split(".")[1] in PURE for node in given)
    names = [alias.asname or alias.name for node in given for alias in node.names]
    assert len(names) == len(set(names))
    used = {name.rpartition(".")[2] for path in LAB_MODULES for name in sdk_names(path)}
    assert set(names) == used


def sdk_names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "checker.sdk":
            yield from (alias.name for alias in node.names)


def test_the_formatter_is_switched_off_nowhere() -> None:
    switch = "fmt: " + "skip"
    folders = ("kubeclass", "checker", "cluster", "labs", "lessons", "tests")
    files = [path for folder in folders for path in (paths.COURSE / folder).rglob("*.py")]
    assert files and not [path for path in files if switch in path.read_text()]
