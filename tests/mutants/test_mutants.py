"""A fixed sample of the mutants on the real cluster, each its own test: none may get full marks.

`make mutants` runs all.
"""

from __future__ import annotations

import hashlib
from itertools import islice

import pytest

from checker.grading.labs import Lab, all_labs, load_lab
from tests.mutants.mutate import Mutant, mutants
from tests.mutants.outcome import why_equivalent
from tests.mutants.run import LONGER, is_to_try_again, try_out
from tests.nodes import ON_THE_SECOND_CLUSTER

PER_LAB = 2


def sample(number: str) -> list[Mutant]:
    """A lab's mutants in the order of a digest of their ids: the first few are the same in every run."""
    by_digest = sorted(mutants(load_lab(number)), key=lambda m: hashlib.sha256(m.id.encode()).hexdigest())
    wanted = 1 if load_lab(number).spec.needs.nodes else PER_LAB  # those take turns, and minutes
    return list(islice((mutant for mutant in by_digest if not why_equivalent(number, mutant.id)), wanted))


def marks_of(lab: Lab) -> list[pytest.MarkDecorator]:
    if lab.spec.needs.nodes:
        return ON_THE_SECOND_CLUSTER
    return [pytest.mark.engine if lab.spec.needs.engine else pytest.mark.cluster]


def sampled() -> list[object]:
    return [
        pytest.param(mutant, id=f"{number}-{mutant.id}", marks=marks_of(mutant.lab))
        for number in all_labs()
        for mutant in sample(number)
    ]


@pytest.mark.parametrize("mutant", sampled())
def test_mutant_is_told(mutant: Mutant) -> None:
    digest = hashlib.sha256(mutant.id.encode()).hexdigest()[:8]
    outcome = try_out(mutant, f"m{mutant.lab.number}-{digest}")
    if is_to_try_again(outcome):
        outcome = try_out(mutant, f"l{mutant.lab.number}-{digest}", LONGER)
    assert outcome.word != "survived", f"full marks for a solution with {mutant.id}"
    assert outcome.word in ("killed", "refused"), outcome.detail
