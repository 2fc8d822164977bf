"""Everything that is proven on the real cluster: the labs' cases, the lessons, and the cases of `kubeclass explain`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checker.authoring.cases import cases_of
from checker.authoring.notebooks import has_lab
from checker.grading.labs import all_labs, load_lab
from cluster import paths
from tests.explain.case import all_cases as all_explaining
from tests.proof import digests

LESSON = "kubeclass"  # in a notebook's metadata: made_from, and draft where it is one


@dataclass(frozen=True)
class Subject:
    """One thing to prove.

    group and name: `lab 07` and a case's name, `lesson 07`, `explain`. test: the id of the test that produces it.
    made_from: the digest that a recording of it must have; recorded: the one that it has, "" where there is none.
    alone: it cordons or stops nodes, so it has a cluster for itself.
    """

    group: str
    name: str
    test: str
    made_from: str
    recorded: str
    draft: bool = False
    alone: bool = False

    @property
    def is_stale(self) -> bool:
        return self.made_from != self.recorded

    @property
    def mend(self) -> str:
        """The command that proves its whole group."""
        what, _, number = self.group.partition(" ")
        return f"make prove {what.upper()}={number or 1}"


def lessons() -> list[Path]:
    """The lessons' notebooks, in order, drafts too."""
    return sorted((paths.COURSE / "lessons").glob("[0-9][0-9]-*.ipynb"))


def all_subjects() -> list[Subject]:
    """Everything, drafts too."""
    return [*_of_labs(), *_of_lessons(), *_of_explaining()]


def _of_labs() -> Iterator[Subject]:
    for lab in map(load_lab, all_labs(drafts=True)):
        for kind, name, case in cases_of(lab):
            test = f"tests/labs/test_cases.py::test_case[{lab.number}-{kind}-{name}]"
            recorded = _made_from(lab.folder / "recorded" / f"{name}.json")
            made_from = digests.of_case(lab, kind, case)
            yield Subject(f"lab {lab.number}", name, test, made_from, recorded, lab.spec.draft, case.alone)


def _of_lessons() -> Iterator[Subject]:
    for path in lessons():
        notebook = json.loads(path.read_text())
        about: dict[str, Any] = notebook["metadata"].get(LESSON, {})
        test = f"tests/lessons/test_lessons.py::test_lesson[{path.name}]"
        yield Subject(
            f"lesson {path.name[:2]}",
            path.stem[3:],
            test,
            digests.of_lesson(notebook),
            about.get("made_from", ""),
            bool(about.get("draft")),
            has_lab(path) and load_lab(path.name[:2]).spec.needs.nodes,
        )


def _of_explaining() -> Iterator[Subject]:
    for case in all_explaining():
        test = f"tests/explain/test_explain.py::test_case[{case.name}]"
        yield Subject("explain", case.name, test, case.made_from, _made_from(case.recording))


def _made_from(recording: Path) -> str:
    return str(json.loads(recording.read_text()).get("made_from", "")) if recording.exists() else ""
