"""The capstone for several seeds on the real cluster.

Nothing works at the beginning, each seed's own repair passes, and it does not pass for another seed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from checker.authoring.cases import WAIT, in_words, put_away
from checker.environments.namespace import NamespaceEnvironment
from checker.grading.grade import judge
from checker.grading.labs import load_lab, load_module
from checker.grading.seeds import SEED, bound
from checker.model.state import State
from checker.model.verdict import Result
from checker.session import Session

LAB = load_lab("16")
capstone = load_module(LAB.folder, "setup")
TASKS = {"answers", "says", "entries", "every-replica", "nothing-else"}
SEEDS = ("10", "16", "48")  # between them twelve faults, of every group
REPAIR = """
"$PYTHON" setup.py "$SEED" | kubectl apply -f -
kubectl rollout restart deployment guestbook
kubectl rollout status deployment guestbook --timeout=150s
"""


def passed(result: Result) -> set[str]:
    return {task.id for task in result.tasks if task.verdict == "passed"}


@pytest.mark.cluster
@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_is_broken_and_its_own_answer_passes_and_no_others(seed: str, tmp_path: Path) -> None:
    session = Session(LAB, environment=NamespaceEnvironment(f"t16-seed-{seed}", work=tmp_path, seed=seed))
    try:
        session.start()
        begun = session.check(5)
        assert passed(begun) == set(), in_words(begun)
        session.environment.run(LAB, REPAIR, LAB.folder, timeout=300)
        result, state = session.checked(WAIT)
        assert passed(result) == TASKS, in_words(result)
        session.start()  # once more: what was repaired stays so
        assert passed(session.check(WAIT)) == TASKS
        for other in SEEDS:
            if other != seed:
                assert "says" not in passed(judge(LAB, begun_with(state, other)))
    finally:
        put_away(session)


def begun_with(state: State, seed: str) -> State:
    """A State as if the lab had been begun there with another seed."""
    data = state.to_json()
    for item in data["objects"]["Namespace"]:
        if item["metadata"]["name"] == state.namespace:
            item["metadata"]["annotations"][SEED] = bound(seed, item["metadata"]["uid"])
    return State.from_json(data)
