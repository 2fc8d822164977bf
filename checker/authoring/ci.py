"""`kubeclass ci`: a course's labs and lessons proven on the cluster, one after the other."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import xml.etree.ElementTree as xml
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from checker.authoring import notebooks
from checker.authoring.cases import bring_about, cases_of, not_as_expected, put_away, put_nodes_back
from checker.authoring.check import check_lab
from checker.environments import Environment
from checker.environments.namespace import NamespaceEnvironment
from checker.grading.labs import Case, Lab
from checker.model.catalogue import problem
from checker.session import Session
from cluster import Cluster, Problem, paths


@dataclass(frozen=True)
class Outcome:
    """What came of one case of a lab, or of one run of a lesson. why: what is wrong; "" where nothing is."""

    subject: str  # "lab 07" or "lesson 07"
    name: str
    seconds: float
    why: str = ""


def lessons_of(labs: list[str]) -> list[Path]:
    """The course's notebooks, in order; with numbers of labs, theirs only."""
    found = sorted(paths.lessons().glob("[0-9][0-9]-*.ipynb"))
    return [path for path in found if not labs or path.name[:2] in labs]


def require_something(labs: list[Lab], lessons: list[Path]) -> None:
    """Raises Problem where there is nothing to prove."""
    if not labs and not lessons:
        raise problem("ci-nothing", folder=paths.course())


def require_writable(file: Path) -> None:
    """Raises Problem where a file cannot be written. It is there afterwards."""
    try:
        file.open("a").close()
    except OSError as error:
        raise problem("ci-file-unwritable", file=file, why=error.strerror) from None


def prove_files(labs: list[Lab], lessons: list[Path]) -> Iterator[Outcome]:
    """What is missing or wrong in files. No cluster is needed."""
    for lab in labs:
        yield _timed(f"lab {lab.number}", "files", partial(_wrong_in_files, lab))
    for lesson in lessons:
        yield _timed(f"lesson {lesson.name[:2]}", "files", partial(notebooks.wrong_with, lesson))


def _wrong_in_files(lab: Lab) -> str:
    return "\n".join(check_lab(lab))


def has_cases(lab: Lab) -> bool:
    """Whether a lab can be tried: its code and its cases can be read. prove_files says what is wrong."""
    try:
        return bool(lab.code) and bool(list(cases_of(lab)))
    except Exception:  # an author's code may raise anything
        return False


def prove(labs: list[Lab], lessons: list[Path], env: dict[str, str]) -> Iterator[Outcome]:
    """The outcomes on the cluster, each as soon as it is there. env: the environment of the lessons' cells."""
    for lab in labs:
        yield from prove_cases(lab)
    for lesson in lessons:
        yield from _prove_lesson(lesson, env)


def prove_cases(lab: Lab, kinds: Container[str] = ("setup", "solution", "accepted", "mistakes")) -> Iterator[Outcome]:
    """The outcomes of a lab's cases of some kinds, each as soon as it is there."""
    for kind, name, case in cases_of(lab):
        if kind in kinds:
            yield _timed(f"lab {lab.number}", name, partial(_wrong_with, lab, kind, name, case))


def _wrong_with(lab: Lab, kind: str, name: str, case: Case) -> str:
    with tempfile.TemporaryDirectory() as work:
        namespace = f"ci{lab.number}-{name}"[:50].rstrip("-")
        session = Session(lab, environment=_place(lab, namespace, Path(work), case.seed or name))
        try:
            return not_as_expected(kind, case, bring_about(session, kind, case)[0])
        finally:
            if case.alone:
                put_nodes_back()
            put_away(session)


def _place(lab: Lab, namespace: str, work: Path, seed: str) -> Environment:
    if lab.spec.needs.engine:
        from checker.environments.container_engine import ContainerEngineEnvironment

        return ContainerEngineEnvironment(namespace, work)
    return NamespaceEnvironment(namespace, work=work, seed=seed if lab.is_generated else "")


def _prove_lesson(path: Path, env: dict[str, str]) -> Iterator[Outcome]:
    """A lesson as it stands; and if it ends in its lab, once more with the lab solved. A copy is run."""
    subject = f"lesson {path.name[:2]}"
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "lessons"
        shutil.copytree(path.parent, copy, ignore=shutil.ignore_patterns("work"))
        own = {"KUBECLASS_WORK": str(copy / "work"), "KUBECLASS_PROGRESS": str(Path(folder) / "progress.json")}
        env = {**env, **own, "KUBECLASS_SEED": "lesson", "KUBECLASS_WAIT": "90"}
        lesson = copy / path.name
        yield _timed(subject, "unsolved", lambda: notebooks.difference(lesson, env))
        if notebooks.has_lab(lesson):
            notebooks.solve(lesson)
            yield _timed(subject, "solved", lambda: notebooks.difference(lesson, env))


def _timed(subject: str, name: str, look: Callable[[], str]) -> Outcome:
    begin = time.monotonic()
    try:
        why = look()
    except Problem as told:
        why = str(told)
    return Outcome(subject, name, time.monotonic() - begin, why)


def own_cluster(name: str = "kubeclass-ci") -> Cluster:
    """The cluster of `kubeclass ci`: `KUBECLASS_CLUSTER`, else one that has this name and no other use."""
    os.environ.setdefault("KUBECLASS_CLUSTER", name)
    from cluster import current

    return current()


def junit(outcomes: list[Outcome]) -> str:
    """The outcomes as JUnit XML: https://github.com/testmoapp/junitxml."""
    suites = xml.Element("testsuites")
    for subject in dict.fromkeys(one.subject for one in outcomes):
        of_subject = [one for one in outcomes if one.subject == subject]
        numbers = {
            "name": subject,
            "tests": str(len(of_subject)),
            "failures": str(sum(bool(one.why) for one in of_subject)),
            "errors": "0",
            "time": f"{sum(one.seconds for one in of_subject):.1f}",
        }
        suite = xml.SubElement(suites, "testsuite", numbers)
        for one in of_subject:
            case = xml.SubElement(suite, "testcase", classname=subject, name=one.name, time=f"{one.seconds:.1f}")
            if one.why:
                printable = "".join(sign for sign in one.why if sign.isprintable() or sign in "\n\t")
                xml.SubElement(case, "failure", message=printable.splitlines()[0]).text = printable
    xml.indent(suites)
    return xml.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
