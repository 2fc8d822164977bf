"""Suspects: the cause is kept back in a task that is to find out what is wrong, until the learner has named one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from checker import recording
from checker.diagnosis.explain import explained
from checker.grading.grade import judge
from checker.grading.labs import all_labs, load_lab
from checker.grading.suspects import CHOICES, right_choices, suspected
from checker.model.catalogue import catalogue
from checker.model.state import State
from checker.model.verdict import Result
from checker.ui import progress, suspects
from checker.ui.cli import app
from checker.ui.explanation import text_of
from checker.ui.report import text_report
from cluster import Problem

LAB_09 = load_lab("09")
OOM = "container-oom-killed@Deployment/report"


@pytest.fixture(autouse=True)
def own_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_file", lambda: tmp_path / "progress.json")


@pytest.fixture
def met() -> tuple[Result, State]:
    """Lab 09 with the Deployment report left as it is: its container is killed for its memory limit."""
    path = next(
        path
        for path in sorted((LAB_09.folder / "recorded").glob("*.json"))
        if any(task.root == OOM for task in judge(LAB_09, recording.load(path)[0]).tasks)
    )
    state = recording.load(path)[0]
    return judge(LAB_09, state), state


def test_a_cause_is_kept_back_until_a_suspect_is_named(met: tuple[Result, State]) -> None:
    result, state = met
    hidden = text_report(result, why=True)
    assert "137" not in hidden and "OOM" not in hidden.replace("out", "")
    assert "This task is to find out what is wrong." in hidden and "kubeclass suspect 09" in hidden
    is_right, answer = suspects.named(LAB_09, result, state, "deploy/report", "resources")
    assert is_right and answer.startswith("That is it. Deployment/report:")
    known = progress.suspects("09", state.namespace)
    assert known == {OOM}
    text = text_report(result, why=True, known=known)
    assert "137" in text and "to find out" not in text


def test_a_pod_stands_for_the_workload_that_made_it(met: tuple[Result, State]) -> None:
    result, state = met
    pod = next(pod for pod in state.in_lab("Pod") if pod.name.startswith("report-"))
    assert suspects.named(LAB_09, result, state, f"pod/{pod.name}", "resources")[0]


@pytest.mark.parametrize(
    "target, choice, answer",
    [
        (
            "deploy/report",
            "image",
            "Something is wrong with Deployment/report, but not with this part of it: the image.",
        ),
        ("svc/nothing", "resources", "Service/nothing is not where it breaks first."),
    ],
)
def test_a_wrong_suspect_is_told_and_uncovers_the_cause_all_the_same(
    met: tuple[Result, State], target: str, choice: str, answer: str
) -> None:
    result, state = met
    is_right, answer_text = suspects.named(LAB_09, result, state, target, choice)
    assert not is_right and answer_text.startswith(answer)
    assert progress.suspects("09", state.namespace) == {OOM}


def test_a_lab_that_is_set_up_again_keeps_its_causes_back_again(met: tuple[Result, State]) -> None:
    result, state = met
    suspects.named(LAB_09, result, state, "deploy/report", "resources")
    progress.forget_suspects("09", "elsewhere")
    assert progress.suspects("09", state.namespace)
    progress.forget_suspects("09", state.namespace)
    assert not progress.suspects("09", state.namespace)


def test_what_cannot_be_named_is_told(met: tuple[Result, State]) -> None:
    result, state = met
    with pytest.raises(Problem, match="no task that is to find out"):
        suspects.named(load_lab("07"), result, state, "deploy/report", "resources")
    with pytest.raises(Problem, match="no choice weather"):
        suspects.named(LAB_09, result, state, "deploy/report", "weather")
    suspects.named(LAB_09, result, state, "deploy/report", "resources")
    with pytest.raises(Problem, match="Nothing is kept back"):
        suspects.named(LAB_09, result, state, "deploy/report", "resources")


def test_explain_keeps_the_same_causes_back(met: tuple[Result, State]) -> None:
    _, state = met
    plain = explained(state)
    assert OOM in {finding.root for finding in plain.findings}
    hidden = suspects.without_kept_back(plain)
    assert hidden.kept_back == len(plain.findings) and hidden.exit_code == 1 and not hidden.findings
    assert "Lab 09 asks you to find out what is wrong" in text_of(hidden) and "137" not in text_of(hidden)
    progress.add_suspect("09", state.namespace, OOM)
    assert OOM in {finding.root for finding in suspects.without_kept_back(plain).findings}


def test_nothing_is_kept_back_where_no_such_lab_was_started(met: tuple[Result, State]) -> None:
    plain = replace(explained(met[1]), lab="")
    assert plain.findings and suspects.without_kept_back(plain) == plain


def test_each_choice_is_right_for_some_cause_and_each_entry_names_known_choices() -> None:
    causes = catalogue()
    for id in causes:
        assert set(causes[id].suspects) <= set(CHOICES), id
    narrow = {choice for id in causes if len(right_choices(id)) < 3 for choice in right_choices(id)}
    assert narrow == set(CHOICES)
    assert suspected([OOM], ["Deployment/report"], "resources") == OOM
    assert not suspected([OOM], ["Deployment/busy"], "resources")


def test_the_labs_that_ask_to_find_out() -> None:
    with_diagnosis = {number for number in all_labs() if any(task.find_out for task in load_lab(number).spec.tasks)}
    assert with_diagnosis == {"09", "16"}


def test_a_suspect_waits_for_a_change_in_progress_as_a_check_does(
    met: tuple[Result, State], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right after `start` nothing has failed yet: the Pods are still starting."""
    settled, state = met
    starting = replace(settled, tasks=tuple(replace(task, root="", in_progress=True) for task in settled.tasks))
    looks = iter([starting, settled])
    monkeypatch.setattr("checker.session.PAUSE", 0.01)
    monkeypatch.setattr("checker.session.judge", lambda lab, state: next(looks))
    monkeypatch.setattr(
        "checker.session.environment_of", lambda *_: SimpleNamespace(look=lambda lab: state, namespace=state.namespace)
    )
    ran = CliRunner().invoke(app, ["suspect", "09", "deploy/report", "resources"])
    assert ran.exit_code == 0 and ran.output.startswith("That is it. Deployment/report:"), ran.output
