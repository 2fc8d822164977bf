"""The preflight of a class: what was made is removed, however the trial ends."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from checker.classroom import preflight as module
from checker.classroom.offers import Seen
from checker.classroom.plan import Cluster
from checker.classroom.preflight import Tried, preflight
from checker.ui.class_cli import class_commands
from cluster import Cluster as TheirCluster
from cluster import Problem

TOLD: list[Tried] = []


class Trial:
    """A cluster that does everything, but what is in `fails`. removed: the classes that were removed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **fails: BaseException) -> None:
        self.removed: list[str] = []
        self.commands: list[tuple[str, ...]] = []
        self.left: list[str] = []
        self.marks = '{"score": 7, "max_score": 7, "tasks": [{"verdict": "passed", "message": ""}]}'
        offers = ("workers=2", "storage")

        def does(name: str, result: Any = None) -> Any:
            def do(*_: Any, **__: Any) -> Any:
                if name in fails:
                    raise fails[name]
                return result

            return do

        monkeypatch.setattr(module.offers, "look", does("look", Seen("v1.37.2", 2, 220, offers, Cluster())))
        monkeypatch.setattr(module.offers, "may", does("may"))
        monkeypatch.setattr(module.offers, "enforced", does("enforced", True))
        monkeypatch.setattr(module.observer, "is_current", does("is_current", True))
        monkeypatch.setattr(module.record, "write", does("write"))
        monkeypatch.setattr(module.apply, "create", does("create"))
        monkeypatch.setattr(module.tokens, "hand_out", does("hand_out", [("learner.yaml", None)]))
        monkeypatch.setattr(module.tools, "kubectl_path", does("kubectl_path", "/bin/true"))
        monkeypatch.setattr(module, "remove_class", self.remove)
        self.stops_removal = self.was_told = False
        monkeypatch.setattr(module, "leftovers", lambda api, name: self.left)
        monkeypatch.setattr(module, "finish", self.finish)

    def finish(self, *words: str, **_: Any) -> SimpleNamespace:
        command = words[words.index("checker.ui.cli") + 1 :]
        self.commands.append(command)
        return SimpleNamespace(returncode=0, out=self.marks if command[0] == "check" else "", err="")

    def remove(self, api: Any, name: str, told: Any) -> None:
        if self.stops_removal:
            raise KeyboardInterrupt
        self.removed.append(name)

    def stopping(self) -> None:
        self.was_told = True

    def run(self, done: module.Preflight | None = None) -> module.Preflight:
        TOLD.clear()
        done = done or module.Preflight()
        preflight(SimpleNamespace(cluster=None), "", done, TOLD.append, self.stopping)  # type: ignore[arg-type]
        return done


def test_a_learner_goes_through_one_lab_and_all_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(monkeypatch)
    done = trial.run()
    assert done.passed and done.enforced and done.lab == "07" and trial.removed == [done.name]
    assert [command[0] for command in trial.commands] == ["join", "start", "solve", "check"]
    steps = ["cluster", "observer", "walls", "created", "joined", "started", "solved", "graded", "removed"]
    assert [one.step for one in TOLD] == [one.step for one in done.tried] == steps


def test_a_step_that_fails_ends_the_trial_and_all_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(monkeypatch, create=Problem("the API server refuses", "try again"))
    done = trial.run()
    assert not done.passed and trial.removed == [done.name] and trial.commands == []
    assert [one.step for one in done.tried if one.why] == ["created"]
    assert done.tried[-1].step == "removed"


def test_less_than_full_marks_is_a_failure_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(monkeypatch)
    trial.marks = '{"score": 0, "max_score": 7, "tasks": [{"verdict": "unknown", "message": "No answer."}]}'
    done = trial.run()
    failed = next(one for one in done.tried if one.why)
    assert failed.step == "graded" and "0 of 7 points: No answer." in failed.why and trial.removed == [done.name]


def test_ctrl_c_removes_all_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(monkeypatch, hand_out=KeyboardInterrupt())
    done = module.Preflight()
    with pytest.raises(KeyboardInterrupt):
        trial.run(done)
    assert trial.was_told and trial.removed == [done.name] and TOLD[-1].step == "removed" and done.is_removed


def test_what_could_not_be_removed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(monkeypatch)
    trial.left = ["Namespace preflight-1-learner"]
    done = trial.run()
    assert not done.passed and not done.is_removed and TOLD[-1].why == "Not removed: Namespace preflight-1-learner."


@pytest.mark.parametrize("trial_of", ["stopped", "stopped-twice", "refused", "well"])
def test_the_command_that_removes_what_is_left_is_named(monkeypatch: pytest.MonkeyPatch, trial_of: str) -> None:
    stop = {"hand_out": KeyboardInterrupt()} if trial_of.startswith("stopped") else {}
    trial = Trial(monkeypatch, **stop)
    trial.stops_removal = trial_of == "stopped-twice"
    if trial_of == "refused":
        trial.left = ["Namespace preflight-1-learner"]
    monkeypatch.setattr("checker.classroom.remove.stays", lambda api: ["Namespace kubeclass"])
    monkeypatch.setattr("checker.collect.api.Api", lambda cluster: SimpleNamespace(cluster=cluster))
    monkeypatch.setattr(
        "checker.classroom.target.target",
        lambda context, kubeconfig: TheirCluster(context, Path(kubeconfig), context, kind="named"),
    )
    done = CliRunner().invoke(class_commands, ["preflight", "--context", "work", "--kubeconfig", "/there/config"])
    where = " --context work --kubeconfig /there/config"
    named = re.findall(r"kubeclass class remove (preflight-\w+)(.*)", done.stderr)
    assert [rest for _, rest in named] == ([where] if trial_of in ("stopped-twice", "refused") else [])
    assert f"kubectl{where} delete namespace/kubeclass" in done.stderr
    assert ("Stopped. What was made is being removed." in done.stderr) is trial_of.startswith("stopped")
    assert (done.exit_code == 0) is (trial_of == "well")
