"""Mutants of a lab's solution: the same work with one thing wrong, made by rule, not by hand.

A grader that gives a mutant full marks has a hole, or the mutant is equivalent: then equivalent.yaml says why. What is
changed is what learners get wrong: a name, a label, a selector, a port, an image, a command, a variable, a probe, a
volume, a resource, a rule of a policy, a number of replicas, a namespace; a whole document or step that is missing.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from checker.grading.labs import Lab

Path_ = tuple[str | int, ...]

# Values under these keys are changed, one at a time. What is not named here (a period, a label of the object itself, an
# annotation) is not what the lab is about, and changing it tells nothing of its grader.
CHANGED = {
    "image",
    "name",
    "port",
    "targetPort",
    "containerPort",
    "nodePort",
    "path",
    "mountPath",
    "subPath",
    "value",
    "replicas",
    "key",
    "claimName",
    "storageClassName",
    "clusterIP",
    "type",
    "cpu",
    "memory",
    "storage",
    "pods",
    "completions",
    "parallelism",
    "backoffLimit",
    "schedule",
    "concurrencyPolicy",
    "suspend",
    "restartPolicy",
    "serviceName",
    "cidr",
    "maxUnavailable",
    "minAvailable",
    "command",
    "args",
}
# These are taken out whole; of a list, also each of its items.
DROPPED = {
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "resources",
    "requests",
    "limits",
    "volumes",
    "volumeMounts",
    "env",
    "envFrom",
    "command",
    "args",
    "ports",
    "selector",
    "labels",
    "matchLabels",
    "ingress",
    "egress",
    "from",
    "to",
    "podSelector",
    "namespaceSelector",
    "policyTypes",
    "data",
    "stringData",
    "hard",
    "defaultRequest",
    "default",
    "min",
    "max",
    "accessModes",
    "nodeSelector",
    "affinity",
    "topologySpreadConstraints",
    "storageClassName",
    "clusterIP",
    "initContainers",
    "strategy",
    "lifecycle",
}
LABELS = {"labels", "matchLabels", "selector"}  # maps of which each value is changed
_STEP = re.compile(r"^\s*(kubectl|docker|\$compose|cp|sed)\b(?!.*\b(wait|rollout status)\b)")
# What is changed inside a step: a number of replicas, an image's tag, a variable's value.
_IN_STEP = (
    (r"--replicas=\d+", "--replicas=1"),
    (r"(\b\w+):v\d\b", r"\1:v9"),
    (r"\b([A-Z][A-Z_]+)=\"?([a-z][\w.-]*)", r"\1=\2x"),
)


@dataclass(frozen=True)
class Mutant:
    """One mutant of a lab's solution.

    id: file, document, place and what was done there. files: those that differ, by name.
    """

    lab: Lab
    id: str
    files: dict[str, str]
    script: str

    def write(self, folder: Path) -> None:
        """Write the mutated solution into a folder."""
        for path in (self.lab.folder / "solution").iterdir():
            if path.is_file():
                (folder / path.name).write_text(self.files.get(path.name, path.read_text()))


def mutants(lab: Lab) -> list[Mutant]:
    """Every mutant of a lab's solution, in a fixed order."""
    folder = lab.folder / "solution"
    script = solution_script(lab)
    found = []
    for path in sorted(folder.rglob("*.yaml")):
        name = str(path.relative_to(folder))
        documents = [d for d in yaml.safe_load_all(path.read_text()) if d]
        for what, mutated in _of_documents(documents):
            found.append(Mutant(lab, f"{name} {what}", {name: yaml.safe_dump_all(mutated)}, script))
    if (folder / "make.sh").exists():
        found += [Mutant(lab, f"make.sh {what}", {}, mutated) for what, mutated in _of_steps(script)]
    return _numbered(found)


def solution_script(lab: Lab) -> str:
    """The steps of a lab's solution."""
    path = lab.folder / "solution" / "make.sh"
    return path.read_text() if path.exists() else "kubectl apply -f ."


def _numbered(found: list[Mutant]) -> list[Mutant]:
    """The same, with ids that are all different."""
    seen: Counter[str] = Counter()
    unique = []
    for mutant in found:
        seen[mutant.id] += 1
        again = seen[mutant.id]
        unique.append(replace(mutant, id=f"{mutant.id} ({again})") if again > 1 else mutant)
    return unique


def _of_documents(documents: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    for number, document in enumerate(documents):
        title = f"{document.get('kind', 'compose')}/{(document.get('metadata') or {}).get('name', number)}"
        others = documents[:number], documents[number + 1 :]
        if "kind" in document:
            if len(documents) > 1:
                yield f"{title}: missing", [*others[0], *others[1]]
            elsewhere = copy.deepcopy(document)
            elsewhere["metadata"]["namespace"] = "ELSEWHERE"
            yield f"{title}: in another namespace", [*others[0], elsewhere, *others[1]]
        for what, mutated in _of_value(document, ()):
            yield f"{title}: {what}", [*others[0], mutated, *others[1]]


def _of_value(document: Any, path: Path_) -> Iterator[tuple[str, Any]]:
    """Every mutant of one document below a path: what was done, and the whole mutated document."""
    value = _at(document, path)
    items: list[tuple[str | int, Any]] = list(value.items() if isinstance(value, dict) else enumerate(value))
    for key, inner in items:
        here = (*path, key)
        words = ".".join(map(str, here))
        if here[0] in ("apiVersion", "kind"):
            continue
        in_labels = bool(path) and path[-1] in LABELS and not isinstance(inner, dict | list)
        if key in CHANGED or in_labels or (path and path[-1] in ("args", "data", "ports", "environment", "volumes")):
            for change in _changes(inner):
                yield f"{words} is {_short(change)}", _with(document, here, change)
        if key in DROPPED or (path and path[-1] in DROPPED) or key in ("environment", "volumes", "networks"):
            yield f"{words} dropped", _without(document, here)
        if isinstance(inner, dict | list):
            yield from _of_value(document, here)


def _changes(value: Any) -> list[Any]:
    """Wrong values in place of a right one."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [0, value + 1] if value > 0 and value < 100 else [value + 1]
    if isinstance(value, str):
        if value in ("true", "false"):
            return [{"true": "false", "false": "true"}[value]]
        if amount := re.fullmatch(r"(\d+)(m|Mi|Gi|Ki|)", value):
            return [f"{int(amount.group(1)) * 50}{amount.group(2)}"]
        if re.fullmatch(r"[\w./-]+:[\w.]+", value):  # an image
            return [f"{value}x", value.rpartition(":")[0] + (":v1" if not value.endswith(":v1") else ":v2")]
        return [f"{value}x"]
    return []


def _short(value: Any) -> str:
    return repr(value)[:60]


def _at(document: Any, path: Path_) -> Any:
    for key in path:
        document = document[key]
    return document


def _with(document: Any, path: Path_, value: Any) -> Any:
    changed = copy.deepcopy(document)
    _at(changed, path[:-1])[path[-1]] = value
    return changed


def _without(document: Any, path: Path_) -> Any:
    changed = copy.deepcopy(document)
    del _at(changed, path[:-1])[path[-1]]
    return changed


def _of_steps(script: str) -> Iterator[tuple[str, str]]:
    """The script with one of its steps left out, or changed: what was done, and the mutated script."""
    lines = script.splitlines(keepends=True)
    number = 0
    while number < len(lines):
        end = number + 1
        while lines[end - 1].rstrip().endswith("\\") and end < len(lines):
            end += 1
        quoted = "".join(lines[number:end]).count("'") % 2  # a step that goes on over lines in quotes
        while quoted and end < len(lines):
            quoted = (quoted + lines[end].count("'")) % 2
            end += 1
        if _STEP.match(lines[number]):
            step = "".join(lines[number:end])
            before, after = "".join(lines[:number]), "".join(lines[end:])
            yield f"without: {' '.join(step.split())[:120]}", before + after
            for pattern, replacement in _IN_STEP:
                if (changed := re.sub(pattern, replacement, step, count=1)) != step:
                    yield f"with: {' '.join(changed.split())[:120]}", before + changed + after
        number = end
