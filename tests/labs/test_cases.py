"""Every lab proven by its own folder on the real cluster, each case in a namespace of its own.

After setup nothing passes that is the learner's to do; the solution and every accepted answer get full marks; every
mistake fails exactly the tasks that it names, with exactly the cause that it names. And the recordings still tell the
truth: what was recorded is judged as the cluster is now. With --record (make prove) they are written anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from checker import recording
from checker.authoring.cases import bring_about, cases_of, not_as_expected, put_away, put_nodes_back
from checker.environments import Environment
from checker.environments.namespace import NamespaceEnvironment
from checker.grading.grade import judge
from checker.grading.labs import Case, Lab, all_labs, load_lab
from checker.model.state import State
from checker.model.verdict import Result
from checker.recording.normalize import normalised
from checker.session import Session
from cluster import paths
from tests.labs.looks import without_evidence
from tests.nodes import ON_THE_SECOND_CLUSTER
from tests.proof.digests import of_case
from tests.proof.table import BLANK_LOOK

FAILED = paths.home() / "failed"  # what was seen where a case failed
# Labs whose cases reserve so much CPU that several at once might find no room: one after the other.
ONE_AT_A_TIME = {"02"}


def cases() -> Iterator[object]:
    for lab in map(load_lab, all_labs(drafts=True)):
        marks = [pytest.mark.engine if lab.spec.needs.engine else pytest.mark.cluster]
        if lab.number in ONE_AT_A_TIME:
            marks.append(pytest.mark.xdist_group(f"lab-{lab.number}"))
        # A case that closes or stops a node has a cluster for itself.
        alone = [*marks, *ON_THE_SECOND_CLUSTER]
        for kind, name, case in cases_of(lab):
            yield pytest.param(
                lab, kind, name, case, id=f"{lab.number}-{kind}-{name}", marks=alone if case.alone else marks
            )


@pytest.mark.parametrize("lab, kind, name, case", list(cases()))
def test_case(
    lab: Lab,
    kind: str,
    name: str,
    case: Case,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    record_property: Callable[[str, object], None],
) -> None:
    place = place_for(lab, f"t{lab.number}-{name}"[:50].rstrip("-"), tmp_path, case.seed or name)
    session = Session(lab, environment=place)
    try:
        result, state = bring_about(session, kind, case)
        wrong = not_as_expected(kind, case, result)
        assert not wrong, wrong
        for task in result.tasks:
            assert task.verdict == "passed" or task.message, task
        path = lab.folder / "recorded" / f"{name}.json"
        if pytestconfig.getoption("record"):
            normal = State.from_json(normalised(state))
            recording.save(state, judge(lab, normal), path, of_case(lab, kind, case))
            for look in without_evidence(lab, result, place):
                record_property(BLANK_LOOK, look)
        recorded = judge(lab, recording.load(path)[0])
        again = f"make prove LAB={lab.number} CASE={name}"
        assert not_passed(recorded) == not_passed(result), f"{path} no longer tells the truth: {again}"
    except AssertionError as error:
        seen = FAILED / f"{lab.number}-{name}.json"
        recording.save(state, result, seen)
        error.add_note(f"What was seen is in {seen}. Its events:\n{events_of(state)}")
        raise
    finally:
        if case.alone:
            put_nodes_back()
        put_away(session)


def place_for(lab: Lab, namespace: str, work: Path, seed: str = "") -> Environment:
    if lab.spec.needs.engine:
        from checker.environments.container_engine import ContainerEngineEnvironment

        return ContainerEngineEnvironment(namespace, work)
    return NamespaceEnvironment(namespace, work=work, seed=seed if lab.is_generated else "")


def not_passed(result: Result) -> dict[str, str]:
    return {task.id: task.cause for task in result.tasks if task.verdict != "passed"}


def events_of(state: State) -> str:
    """What the cluster itself said, as `kubectl get events` would."""
    rows = (
        (e.raw.get("type", ""), e.raw.get("reason", ""), e.raw.get("involvedObject", {}), e.raw.get("message", ""))
        for e in state.objects.get("Event", [])
    )
    return "\n".join(f"  {kind} {why} {of.get('kind')}/{of.get('name')}: {words}" for kind, why, of, words in rows)
