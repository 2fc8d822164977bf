"""Lab 11 judged on its solution's recording with other objects in it: where the password may not be."""

from __future__ import annotations

import pytest

from checker import recording
from checker.grading.grade import judge
from checker.grading.labs import load_lab
from checker.model.verdict import Verdict
from checker.sdk import LAST_APPLIED

LAB = load_lab("11")


def judged(annotations: dict[str, str]) -> Verdict:
    """The verdict on the password where ConfigMap greeting has these annotations."""
    state, _ = recording.load(LAB.folder / "recorded" / "solution.json")
    for config_map in state.all("ConfigMap"):
        config_map.annotations |= annotations
    return next(verdict for verdict in judge(LAB, state).tasks if verdict.id == "password")


def test_a_config_map_without_the_password_passes() -> None:
    assert judged({"note": "sesame seeds"}).verdict == "passed"


@pytest.mark.parametrize("annotation", ["note", LAST_APPLIED])
@pytest.mark.parametrize("password", ["open-sesame", "b3Blbi1zZXNhbWU="])
def test_an_annotation_of_a_config_map_may_not_hold_the_password(annotation: str, password: str) -> None:
    verdict = judged({annotation: f'{{"data":{{"password":"{password}"}}}}'})
    assert verdict.cause == "secret-in-config-map"
    assert f"holds the password in its field metadata.annotations.{annotation}" in verdict.message
