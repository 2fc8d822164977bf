"""The labs in a class: each is set up, solved and graded by a learner's own token, on the real cluster.

One mistake of each lab is named as on a cluster of one's own, and two learners do the same lab at the same time.
Not here: lab 01, which needs the learner's own engine, and the tasks of lab 16 that close and stop nodes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from checker.grading.labs import all_labs, load_lab
from cluster import paths

from .conftest import Classroom

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("class")]
LABS = [number for number in all_labs() if not load_lab(number).spec.needs.engine]
# A mistake of each lab that many learners make.
MISTAKES = {
    "02": "image-typo",
    "03": "unknown-field",
    "04": "image-typo",
    "05": "config-missing",
    "06": "unknown-tag",
    "07": "selector-typo",
    "08": "no-such-service",
    "09": "half-bound",
    "10": "wrong-path",
    "11": "volume-key-typo",
    "12": "empty-dir",
    "13": "suspended",
    "14": "service-port",
    "15": "target-typo",
    "16": "left-replicas",
}
SECONDS = 540  # for one case; the slowest lab's solution takes three minutes on a quiet machine


def by(classroom: Classroom, learner: str, number: str, kind: str, name: str) -> dict[str, Any]:
    """What a learner of the class is told of a case (one_case.py)."""
    home = classroom.learner_home(learner)
    env = os.environ | {"KUBECLASS_HOME": str(home), "KUBECLASS_WORK": str(home / "work")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.class.one_case", number, kind, name],
        env=env | {"PYTHONPATH": str(paths.COURSE)},
        cwd=paths.COURSE,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_every_lab_has_a_mistake() -> None:
    assert sorted(MISTAKES) == LABS


@pytest.mark.parametrize("number", LABS)
def test_a_learner_solves_the_lab(classroom: Classroom, number: str) -> None:
    told = by(classroom, "ada", number, "solution", "solution")
    assert told["not_passed"] == {}, told["said"]
    assert told["score"] == told["max_score"] > 0


@pytest.mark.parametrize("number", LABS)
def test_a_mistake_is_named(classroom: Classroom, number: str) -> None:
    told = by(classroom, "bob", number, "mistakes", MISTAKES[number])
    assert told["not_passed"] == told["expected"] != {}, told["said"]


def test_two_learners_do_the_same_lab_at_once(classroom: Classroom) -> None:
    """One of them makes a mistake; the other's marks do not change by it."""
    with ThreadPoolExecutor(2) as pool:
        right = pool.submit(by, classroom, "ada", "07", "solution", "solution")
        wrong = pool.submit(by, classroom, "bob", "07", "mistakes", "selector-typo")
        assert right.result()["not_passed"] == {}, right.result()["said"]
        assert wrong.result()["not_passed"] == wrong.result()["expected"], wrong.result()["said"]
