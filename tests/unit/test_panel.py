"""The panel of a lab: what a front end is told and may ask for, and the text that stands for it where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from checker.classroom import hand
from checker.grading.labs import load_lab
from checker.model.verdict import Result, Verdict
from checker.ui import base_widget, panel, progress
from checker.ui.panel.widget import LabPanel
from checker.ui.report import text_report
from cluster import Cluster, Problem


class FakeSession:
    """A session whose check says what it is told to say."""

    outcome: Result | Problem | None = None

    def __init__(self, lab: Any, namespace: str, cluster: Any = None) -> None:
        self.resets = 0

    def check(self, wait: float) -> Result:
        if isinstance(self.outcome, Problem):
            raise self.outcome
        assert self.outcome
        return self.outcome

    def reset(self) -> None:
        self.resets += 1


class FakeLive:
    """Live verdicts: what it was started with, and whether it still runs."""

    made: list[FakeLive] = []  # noqa: RUF012

    def __init__(self, session: Any, tell: Callable[[Result], None]) -> None:
        self.tell, self.runs, self.checks_again = tell, False, 0
        self.made.append(self)

    def again(self) -> None:
        self.checks_again += 1

    def start(self) -> None:
        self.runs = True

    def stop(self) -> None:
        self.runs = False


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """What was kept as progress: points, and whether somebody had asked."""
    kept: list[tuple[int, bool]] = []
    monkeypatch.setattr(progress, "note", lambda result, by_learner=True: kept.append((result.score, by_learner)) or "")
    monkeypatch.setattr(progress, "seen", lambda lab: None)
    return kept


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, noted: list[tuple[int, bool]]) -> LabPanel:
    monkeypatch.setattr(panel, "Session", FakeSession)
    monkeypatch.setattr(panel, "Live", FakeLive)
    FakeLive.made.clear()
    return LabPanel(panel.lab("07"))


def ask(shown: LabPanel, what: str, **more: str) -> None:
    """Ask as the front end does, and wait until it is done."""
    shown.on_request({"do": what, **more})
    end = time.monotonic() + 5
    while shown.busy:
        assert time.monotonic() < end, "it is still at work"
        time.sleep(0.01)


def verdict(number: int, word: Any, message: str = "", cause: str = "service-selects-nothing", **more: Any) -> Verdict:
    task = load_lab("07").spec.tasks[number]
    return Verdict(task.id, task.title, task.points, word, "" if word == "passed" else cause, message, **more)


def result(*verdicts: Verdict) -> Result:
    return Result("07", "t", "learn", verdicts)


def test_before_a_check_everything_is_to_do(shown: LabPanel) -> None:
    text = repr(shown._panel)
    assert text.count("· to do") == 4
    assert [(task["symbol"], task["word"]) for task in shown.view["tasks"]] == [("·", "to do")] * 4
    bundle = shown._panel._repr_mimebundle_()
    assert bundle["text/plain"] == text
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_what_a_check_returns_reads_as_the_report(shown: LabPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeSession, "outcome", result(verdict(0, "failed", "It selects nothing.")))
    found = shown._panel.check()
    assert repr(found) == text_report(FakeSession.outcome) and "It selects nothing." not in repr(found)
    assert "It selects nothing." in repr(shown._panel.check(why=True))
    assert (found.passed, found.score, found.max_score, len(found.tasks)) == (False, 0, found.tasks[0].points, 1)


def test_nothing_is_watched_until_somebody_looks(shown: LabPanel) -> None:
    assert FakeLive.made == []
    ask(shown, "here")
    ask(shown, "here")
    assert [live.runs for live in FakeLive.made] == [True]
    assert shown.status == "Looking at the cluster …"
    shown.viewers.rest()
    assert [live.runs for live in FakeLive.made] == [False]
    ask(shown, "here")
    assert [live.runs for live in FakeLive.made] == [False, True]
    shown.viewers.rest()


def test_when_nothing_is_heard_any_more_the_watch_ends(shown: LabPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_widget, "SILENCE", 0.05)
    ask(shown, "here")
    end = time.monotonic() + 5
    while FakeLive.made[0].runs and time.monotonic() < end:
        time.sleep(0.01)
    assert not FakeLive.made[0].runs


def test_verdicts_arrive_by_themselves(shown: LabPanel, noted: list[tuple[int, bool]]) -> None:
    ask(shown, "here")
    tell = FakeLive.made[0].tell
    rest = [verdict(number, "failed", "none") for number in (1, 2, 3)]
    tell(result(verdict(0, "failed", "none"), *rest))
    assert shown.status == "0 of 7 points."
    tell(result(verdict(0, "failed", "none", in_progress=True), *rest))
    assert (shown.view["tasks"][0]["symbol"], shown.view["tasks"][0]["word"]) == ("…", "waiting")
    tell(result(verdict(0, "passed"), *rest))
    assert (shown.view["tasks"][0]["symbol"], shown.view["tasks"][0]["word"]) == ("✔", "passed")
    assert shown.view["score"] == 2
    assert shown.status == "A Service leads to the guestbook: passed. 2 of 7 points."
    assert noted == [(0, False), (0, False), (2, False)]  # what arrives by itself is no check that somebody made
    shown.viewers.rest()


def test_check_tells_word_message_evidence_and_where_to_look(shown: LabPanel, noted: list[tuple[int, bool]]) -> None:
    text = "Its selector is <b>app=guestbok</b>."
    FakeSession.outcome = result(
        verdict(0, "passed"),
        verdict(
            1,
            "failed",
            text,
            look="kubectl get pods --show-labels",
            expected="app=guestbook",
            observed="app=guestbok",
            object="Service/guestbook",
        ),
        verdict(2, "failed", text, object="Service/guestbook"),
        verdict(3, "unknown", "x", cause="observer-unreachable"),
    )
    ask(shown, "check")
    first, second, third, fourth = shown.view["tasks"]
    assert first["word"] == "passed" and "message" not in first
    assert (second["symbol"], second["word"], second["message"]) == ("✘", "failed", text)
    assert (second["expected"], second["observed"]) == ("app=guestbook", "app=guestbok")
    assert second["look"] == "kubectl get pods --show-labels"
    assert second["page"] == f"{second['lesson']}-services.ipynb"
    assert third["same_as"] == second["title"] and "message" not in third
    assert (fourth["symbol"], fourth["word"]) == ("?", "unknown")
    assert (shown.status, noted) == ("2 of 7 points.", [(2, True)])


def test_a_problem_is_told_in_the_panel(shown: LabPanel) -> None:
    FakeSession.outcome = Problem("The cluster does not answer.", "kubeclass up")
    ask(shown, "check")
    assert "The cluster does not answer." in shown.status
    assert "kubeclass up" in shown.status


def test_a_cluster_that_is_on_its_way_is_told_of_until_it_is_there(
    shown: LabPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_yet(lab: Any, namespace: str, cluster: Any) -> None:
        raise Problem("The cluster is being built: step 4 of 6 (the nodes), about 1 minute left.", "Wait")

    monkeypatch.setattr(panel, "Session", not_yet)
    ask(shown, "here")
    assert "step 4 of 6" in shown.status
    ask(shown, "check")
    assert "step 4 of 6" in shown.status
    monkeypatch.setattr(panel, "Session", FakeSession)
    ask(shown, "here")  # the front end says so every few seconds
    assert FakeLive.made[0].runs
    shown.viewers.rest()


def test_what_goes_wrong_in_the_course_itself_leaves_a_panel_that_works(shown: LabPanel) -> None:
    FakeSession.outcome = None
    ask(shown, "check")
    assert shown.status.startswith("The action failed.")
    FakeSession.outcome = result(verdict(0, "passed"))
    ask(shown, "check")
    assert shown.status == "2 of 2 points."


def test_reset_begins_anew(shown: LabPanel) -> None:
    FakeSession.outcome = result(verdict(0, "passed"))
    ask(shown, "check")
    ask(shown, "reset")
    assert shown._panel._session.resets == 1
    assert shown.status == "The lab is in its initial state."
    assert {task["word"] for task in shown.view["tasks"]} == {"to do"}


def test_verdicts_that_arrive_by_themselves_begin_anew_after_a_reset(shown: LabPanel) -> None:
    ask(shown, "here")
    ask(shown, "reset")
    assert FakeLive.made[0].checks_again == 1
    shown.viewers.rest()


def test_hints_come_one_at_a_time(shown: LabPanel) -> None:
    task = load_lab("07").spec.tasks[0]
    for number in (1, 2, 3, 3):
        ask(shown, "hint", task=task.id)
        assert shown.view["tasks"][0]["hints"] == task.hints[:number]
    assert not shown.view["tasks"][0]["more_hints"]
    assert shown.view["tasks"][1]["more_hints"]


def test_a_hand_is_raised_only_where_there_is_a_teacher(shown: LabPanel) -> None:
    assert shown.view["hand"] == ""


def test_a_hand_goes_up_and_down_and_may_be_taken_down_by_the_teacher(
    noted: list[tuple[int, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    up: list[str] = []
    monkeypatch.setattr(panel, "target", lambda: Cluster("t", Path("none"), "t", "t-ada", "class"))
    monkeypatch.setattr(panel, "Session", FakeSession)
    monkeypatch.setattr(panel, "Live", FakeLive)
    monkeypatch.setattr(panel, "Api", lambda cluster: None)
    monkeypatch.setattr(hand, "put_up", lambda api, home: up.append(home))
    monkeypatch.setattr(hand, "take_down", lambda api, home: up.remove(home))
    monkeypatch.setattr(hand, "is_up", lambda api, home: home in up)
    shown = LabPanel(panel.lab("07"))
    assert shown.view["hand"] == "Raise your hand"
    ask(shown, "hand")
    assert up == ["t-ada"] and shown.view["hand_is_up"] and shown.view["hand"] == "Take your hand down"
    assert shown.status == "Your hand is up. Your teacher sees it."
    ask(shown, "hand")
    assert not up and shown.view["hand"] == "Raise your hand"
    ask(shown, "hand")
    up.clear()  # the teacher took it down
    ask(shown, "here")
    end = time.monotonic() + 5
    while shown.view["hand_is_up"]:
        assert time.monotonic() < end
        time.sleep(0.01)
    shown.viewers.rest()


def test_a_lab_that_has_passed_tells_its_debrief(shown: LabPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = result(*(verdict(number, "passed") for number in range(3)), verdict(3, "failed", "No."))
    passed = result(*(verdict(number, "passed") for number in range(4)))
    monkeypatch.setattr(FakeSession, "outcome", failed)
    assert "one stable name" not in repr(shown._panel.check()) and shown._panel.view()["debrief"] == []
    monkeypatch.setattr(FakeSession, "outcome", passed)
    text = repr(shown._panel.check())
    assert "What this lab has shown\n      A Service has one stable name" in text
    assert "A LoadBalancer gets an address of its own" in text
    labels = [label for label, _ in shown._panel.view()["debrief"]]
    assert labels[0] == "What this lab has shown" and labels.count("Other right answers") == 2
