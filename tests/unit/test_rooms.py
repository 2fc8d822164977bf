"""The checker's three rooms: who looks asks, who judges does no I/O, and who judges knows nobody who looks or shows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from cluster import context, paths

ROOMS = paths.COURSE / "checker"
# Whoever asks somebody, starts something or writes needs one of these.
NOT_FOR_JUDGING = {
    "subprocess", "socket", "urllib", "urllib3", "http", "httpx", "kubernetes", "threading", "concurrent", "tempfile", "shutil",
    "asyncio", "multiprocessing", "signal", "getpass",
}  # fmt: skip
# Whoever reads files needs one of these: one module may, which reads the lab's own folder and nothing else.
READING, READS_ITS_FOLDER = {"pathlib", "os", "io", "glob", "importlib"}, "checker.judge.labs"
OF_CLUSTER = {"cluster.Problem", "cluster.paths"}


def name_of(path: Path) -> str:
    """A module's name: `checker.judge.chains` of its __init__.py."""
    parts = path.relative_to(paths.COURSE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(room: str) -> dict[str, Path]:
    return {name_of(path): path for path in sorted((ROOMS / room).rglob("*.py"))}


def imported(path: Path) -> Iterator[str]:
    """What a module imports, wherever in it that is written: modules, and each name out of a module with the module's before it."""
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


@pytest.mark.parametrize("module", modules("judge"))
def test_who_judges_knows_nobody_who_looks_or_shows(module: str) -> None:
    for name in imported(modules("judge")[module]):
        if is_in(name, "checker"):
            assert is_in(name, "checker.judge"), name
        if is_in(name, "cluster"):
            assert name in OF_CLUSTER or is_constant(name), name


@pytest.mark.parametrize("module", modules("judge"))
def test_who_judges_does_no_io(module: str) -> None:
    path = modules("judge")[module]
    forbidden = NOT_FOR_JUDGING | (READING if module != READS_ITS_FOLDER else set())
    assert not {name.partition(".")[0] for name in imported(path)} & forbidden
    called = {
        n.func.id
        for n in ast.walk(ast.parse(path.read_text()))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    assert not called & {"open", "print", "input", "exec", "eval", "__import__"}


@pytest.mark.parametrize("module", modules("look"))
def test_who_looks_knows_nobody_who_shows(module: str) -> None:
    for name in imported(modules("look")[module]):
        if is_in(name, "checker"):
            assert is_in(name, "checker.look") or is_in(name, "checker.judge"), name


def test_who_judges_goes_round_in_no_circle() -> None:
    """Imports inside of functions count too, and those for types only."""
    known = modules("judge")
    graph = {
        module: {name if name in known else name.rpartition(".")[0] for name in imported(path)} & set(known)
        for module, path in known.items()
    }
    assert graph["checker.judge.lab_state"] >= {"checker.judge.state", "checker.judge.chains"}
    TopologicalSorter(graph).prepare()  # raises CycleError, and names the circle


@pytest.mark.parametrize("tasks", sorted((paths.COURSE / "labs").glob("*/tasks.py")), ids=lambda path: path.parent.name)
def test_the_tasks_of_a_lab_know_only_who_judges(tasks: Path) -> None:
    names = {name for name in imported(tasks) if is_in(name, "checker") and name.count(".") > 1}
    assert all(is_in(name, "checker.judge") for name in names)
