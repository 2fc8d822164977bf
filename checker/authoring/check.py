"""`kubeclass lab check`: everything that is missing or wrong in a lab's folder, as far as files alone can tell."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from checker.grading.labs import Case, Lab
from checker.model.catalogue import Catalogue, catalogue, say
from checker.model.state import LAB
from cluster import Problem, paths
from cluster.language.not_yaml import NOT_YAML
from cluster.language.templates import slots

ACCEPTED, MISTAKES, LINES = 2, 6, 250  # at least so many cases of each kind; at most so many lines in a module
MAKERS = ("fail", "unknown", "Failed", "Unknown")
OWN_FACTS = {"kind", "name", "namespace", "object", "lab"}  # every fault has these


@dataclass(frozen=True)
class Call:
    """A call in code that makes a fault: `fail("cause", object, form=…, fact=…)`.

    open: the call passes further facts in a dict.
    """

    where: str
    cause: str
    form: str
    facts: frozenset[str]
    open: bool


def calls(path: Path) -> Iterator[Call]:
    """The calls of a module that make a fault and name its cause."""
    tree = ast.parse(path.read_text(), str(path))
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
        elif node.func.id in MAKERS:
            facts, more = {name for name in named if name} - {"form", "in_progress"}, None in named
        else:
            continue
        yield Call(f"{path}:{node.lineno}", str(cause.value), str(form.value), frozenset(facts), more)


def _facts_of_a_fault(node: ast.Call, named: dict[str | None, ast.expr]) -> tuple[set[str], bool]:
    """Return the names of the facts in Fault(cause, object, facts, …).

    The second value is true where the call passes more facts than it names.
    """
    facts = node.args[2] if len(node.args) > 2 else named.get("facts", ast.Dict([], []))
    if not isinstance(facts, ast.Dict):
        return set(), True
    names = {str(key.value) for key in facts.keys if isinstance(key, ast.Constant)}
    return names, len(names) < len(facts.keys)


def wrong_with(call: Call, causes: Catalogue) -> str:
    """What is wrong with a call, in a sentence; empty where nothing is."""
    if call.cause not in causes:
        return say("author-no-cause", where=call.where, cause=call.cause)
    cause = causes[call.cause]
    if call.form and call.form not in cause.forms:
        return say("author-no-form", where=call.where, cause=call.cause, form=call.form, forms=sorted(cause.forms))
    sentences = cause.form(call.form)
    if not sentences.message:
        return say("author-no-message", where=call.where, cause=call.cause, form=call.form)
    used: set[str] = set().union(*(slots(text) for text in vars(sentences).values()))
    used |= set(cause.same_root_by)
    lacking = sorted(used - call.facts - OWN_FACTS)
    if lacking and not call.open:
        return say("author-no-fact", where=call.where, cause=call.cause, fact=lacking[0])
    return ""


def check_lab(lab: Lab) -> list[str]:
    """Everything that is missing or wrong; empty where the lab is complete. Each sentence begins with the file."""
    return [*_code(lab), *_setup(lab), *_cases(lab), *_proof(lab)]


def _code(lab: Lab) -> Iterator[str]:
    try:
        causes = lab.causes
        _ = [causes[id] for id in causes]
    except Problem as problem:
        yield problem.what
        return
    code = "".join(path.read_text() for path in lab.folder.glob("*.py"))
    for id in sorted(set(causes) - set(catalogue())):
        if f'"{id}"' not in code:
            yield say("author-unused-cause", where=lab.folder / "causes.yaml", cause=id)
    for path in sorted(lab.folder.glob("*.py")):
        if path.name != "setup.py" and (lines := path.read_text().count("\n")) > LINES:
            yield say("author-long", where=path, lines=lines, most=LINES)
        try:
            tree = ast.parse(path.read_text())
        except SyntaxError as error:
            yield say("author-not-python", where=f"{path}:{error.lineno}", error=error.msg)
            return
        for node in ast.walk(tree):
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            if module.split(".")[0] in ("checker", "cluster") and module != "checker.sdk":
                yield say("author-import", where=f"{path}:{getattr(node, 'lineno', 0)}", module=module)
        for call in calls(path):
            if wrong := wrong_with(call, causes):
                yield wrong
    try:
        _ = lab.code
    except Problem as problem:
        yield problem.what
    except Exception as error:
        yield say("author-not-imported", where=lab.folder / "tasks.py", error=f"{type(error).__name__}: {error}")


def _setup(lab: Lab) -> Iterator[str]:
    for path in sorted((lab.folder / "setup").rglob("*.yaml")):
        try:
            documents: list[Any] = [one for one in yaml.safe_load_all(path.read_text()) if one]
        except NOT_YAML as error:
            yield say("author-not-yaml", where=path, error=error)
            continue
        for document in documents:
            metadata = document.get("metadata") or {}
            called = f"{document.get('kind')} {metadata.get('name')}"
            if (metadata.get("labels") or {}).get(LAB) != lab.number:
                yield say("author-label", where=path, object=called, label=LAB, lab=lab.number)
            if metadata.get("namespace"):
                yield say("author-namespace", where=path, object=called)


def _cases(lab: Lab) -> Iterator[str]:
    if not any((lab.folder / "solution").glob("*")):
        yield say("author-no-solution", where=lab.folder / "solution")
    found: dict[str, dict[str, Case]] = {}
    for kind, least in (("accepted", ACCEPTED), ("mistakes", MISTAKES)):
        try:
            found[kind] = lab.cases(kind)
        except Problem as problem:
            yield problem.what
            return
        if len(found[kind]) < least:
            yield say("author-few-cases", where=lab.folder / kind, cases=len(found[kind]), least=least)
    tasks = {task.id for task in lab.spec.tasks}
    failed: set[str] = set()
    for name, case in found["mistakes"].items():
        named = {**case.fails, **case.unknown}
        failed |= case.fails.keys()
        where = lab.folder / "mistakes" / f"{name}.yaml"
        yield from (say("author-no-task", where=where, task=id, tasks=tasks) for id in named if id not in tasks)
        yield from (
            say("author-no-such-cause", where=where, cause=cause) for cause in named.values() if cause not in lab.causes
        )
        if not named:
            yield say("author-fails-nothing", where=where)
    for name, case in found["accepted"].items():
        if case.fails or case.unknown:
            yield say("author-accepted-fails", where=lab.folder / "accepted" / f"{name}.yaml")
    if not lab.spec.debrief:
        yield say("author-no-debrief", where=lab.folder / "lab.yaml")
    for name in lab.spec.debrief.others if lab.spec.debrief else ():
        if name not in found["accepted"]:
            yield say("author-debrief-case", where=lab.folder / "lab.yaml", case=name)
    yield from (say("author-never-fails", where=lab.folder / "mistakes", task=id) for id in sorted(tasks - failed))


def _is_without_recordings(lab: Lab) -> bool:
    """Whether no recordings are kept of a lab: those of an installed course, and of another author's course."""
    if paths.course() != paths.COURSE:
        return True
    return paths.is_installed() and lab.folder.resolve().is_relative_to(paths.COURSE)


def _proof(lab: Lab) -> Iterator[str]:
    """What a finished lab has besides: recordings, and a lesson."""
    if lab.spec.draft:
        return
    cases = {"setup", "solution", *lab.cases("accepted"), *lab.cases("mistakes")}
    recorded = {path.stem for path in (lab.folder / "recorded").glob("*.json")}
    if (missing := sorted(cases - recorded)) and not _is_without_recordings(lab):
        yield say("author-no-recording", where=lab.folder / "recorded", cases=missing, lab=lab.number)
    if not any(paths.lessons().glob(f"{lab.number}-*.ipynb")):
        yield say("author-no-lesson", where=paths.lessons(), lab=lab.number)
