"""The command line: a wrong one has a status of its own, and a lab that was not started is not graded."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from checker.environments.base import Environment
from checker.grading.labs import load_lab
from checker.session import Session
from checker.ui.cli import app
from cluster import Problem


@pytest.mark.parametrize(
    "words", [["nonsense"], ["check"], ["check", "07", "--wait", "soon"], ["--wrong"], ["lab", "nonsense"]]
)
def test_a_wrong_command_line_could_not_run(words: list[str]) -> None:
    """Status 2 is that of a check that could not see everything."""
    assert CliRunner().invoke(app, words).exit_code == 3


def test_help_is_no_mistake() -> None:
    assert CliRunner().invoke(app, ["check", "--help"]).exit_code == 0


# Modules that take long to import, and that neither help nor a check needs.
SLOW = {
    "IPython",
    "asyncio",
    "checker.classroom.plan",
    "csv",
    "importlib.metadata",
    "ipywidgets",
    "jinja2",
    "kubernetes",
    "rich",
    "tomllib",
}


@pytest.mark.parametrize(
    "imported, unwanted",
    [
        ("checker.ui.cli", SLOW | {"checker.session", "concurrent.futures", "httpx", "msgspec", "ssl", "yaml"}),
        ("checker.ui.cli, checker.session, checker.ui.progress, checker.ui.report", SLOW),
    ],
    ids=["help", "check"],
)
def test_a_command_imports_only_what_it_needs(imported: str, unwanted: set[str]) -> None:
    program = f"import sys, {imported}; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert unwanted & set(said.stdout.split()) == set()


class Place:
    """An environment in which a lab was started, or not."""

    def __init__(self, namespace: str, started: bool) -> None:
        self.namespace, self.started = namespace, started

    def is_started(self, lab: object) -> bool:
        return self.started


@pytest.mark.parametrize("namespace, advice", [("learn", "kubeclass start 07"), ("mine", "start 07 --namespace mine")])
def test_a_lab_that_was_not_started_is_to_be_started(namespace: str, advice: str) -> None:
    place: Environment = Place(namespace, started=False)  # type: ignore[assignment]
    with pytest.raises(Problem) as caught:
        Session(load_lab("07"), environment=place).require_started()
    assert advice in caught.value.next_step
    assert caught.value.exit_code == 3


def test_a_lab_that_was_started_is_graded() -> None:
    place: Environment = Place("learn", started=True)  # type: ignore[assignment]
    Session(load_lab("07"), environment=place).require_started()
