"""What a recording was made from, as a digest: where that has changed, the recording no longer proves anything.

Only what can change the State counts. A comment, a title, a hint or a judgement does not: judgements are tried on the
recordings themselves, at once.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from msgspec.structs import asdict

from checker.grading.labs import Case, Lab, LabSpec, all_labs, load_lab
from checker.model.state import FORMAT
from cluster.program_text import text_of
from cluster.versions import versions

OF_A_CLASS = ("policies", "budgets")  # needs that only say where a class puts a lab


def of_case(lab: Lab, kind: str, case: Case) -> str:
    """The digest of a case: its script, the lab's set-up and solution, what is observed, and the world it ran in."""
    made = {"kind": kind, "make": _script(case.make), "seed": case.seed, "alone": case.alone}
    needs = {key: value for key, value in asdict(lab.spec.needs).items() if value and key not in OF_A_CLASS}
    observed = sorted(repr(observation) for observation in lab.observations)
    return _digest(
        made,
        _files(lab.folder, "setup", "setup.py", "files", "solution"),
        needs,
        lab.spec.namespaces,
        observed,
        _world(),
    )


def of_mutants(lab: Lab, mutants: list[tuple[str, dict[str, str], str]]) -> str:
    """The digest of a lab's mutants (id, changed files, script) and of the set-up and the world that they ran in."""
    made = [[id, files, _script(script)] for id, files, script in mutants]
    needs = {key: value for key, value in asdict(lab.spec.needs).items() if value and key not in OF_A_CLASS}
    files = _files(lab.folder, "setup", "setup.py", "files", "solution")
    return _digest(made, files, needs, lab.spec.namespaces, _world())


def of_grader(lab: Lab) -> str:
    """The digest of a lab's own code that grades: its modules and programs. What it uses of checker/ does not count."""
    modules = [path.name for path in lab.folder.glob("*.py") if path.name != "setup.py"]
    return _digest(_files(lab.folder, *modules, "programs"))


def of_explaining(make: str, undo: str, bases: Path) -> str:
    """The digest of a case of `kubeclass explain`."""
    return _digest(_script(make), _script(undo), _files(bases, "."), _world())


def spec_of_today(number: str) -> LabSpec:
    """The words of a lab as they are in its folder now."""
    return load_lab(number).spec


def of_lesson(notebook: dict[str, Any], spec_of: Callable[[str], LabSpec] = spec_of_today) -> str:
    """The digest of a lesson: its code, the labs' words that its outputs hold, and the world that they came from.

    notebook: its JSON. spec_of: the words of a lab, by its number.
    """
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    words = [_words(spec_of(number)) for number in dict.fromkeys(re.findall(r'\blab\("(\d\d)"\)', "\n".join(code)))]
    specs = [(number, spec_of(number)) for number in all_labs()]
    course = [[n, spec.title, spec.goal, spec.minutes, sum(task.points for task in spec.tasks)] for n, spec in specs]
    return _digest(code, words, course if any("course()" in source for source in code) else [], _world())


def _words(spec: LabSpec) -> list[object]:
    """What a lesson's outputs hold of its lab: no hints, which are given on demand."""
    return [spec.title, spec.goal, *([t.id, t.title, t.text, t.points] for t in spec.tasks)]


def _world() -> dict[str, Any]:
    minor = versions()["modules"]["kubernetes"].rpartition(".")[0]
    behaviour = {name: number for name, number in versions()["behaviour"].items() if name != "_"}
    return {"kubernetes": minor, "state": FORMAT, **behaviour}


def _files(folder: Path, *parts: str) -> dict[str, str]:
    found = [path for part in parts for path in [folder / part, *(folder / part).rglob("*")]]
    return {
        str(path.relative_to(folder)): _meaning(path)
        for path in sorted(set(found))
        if path.is_file() and "__pycache__" not in path.parts
    }


def _meaning(path: Path) -> str:
    """A file's content without what only people read."""
    text = path.read_text()
    if path.suffix in (".yaml", ".yml"):
        try:
            return json.dumps(list(yaml.safe_load_all(text)), sort_keys=True, default=str)
        except yaml.YAMLError:
            return text  # malformed on purpose
    if path.suffix == ".py":
        return text_of(_without_docstrings(ast.parse(text)))
    return _script(text) if path.suffix == ".sh" else text


def _without_docstrings(module: ast.Module) -> ast.Module:
    for node in ast.walk(module):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return module


def _script(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
