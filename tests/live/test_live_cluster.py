"""Live verdicts on the real cluster: they arrive while the cluster changes, in Python and in a terminal."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from checker.collect import observer
from checker.environments.namespace import NamespaceEnvironment
from checker.live import Live
from checker.model.verdict import Result
from checker.session import Session
from cluster import current
from cluster.kubectl import kubectl
from tests.conftest import ctrl_c_counts

pytestmark = [pytest.mark.cluster]


@pytest.fixture
def session(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Session]:
    """Lab 07, as it begins, in a namespace of its own."""
    namespace = f"tl-{request.node.name[5:40].replace('_', '-')}".rstrip("-")
    place = NamespaceEnvironment(namespace, work=tmp_path)
    begun = Session("07", environment=place)
    begun.start()
    yield begun
    observer.forget(place.api, namespace)
    kubectl(current(), "delete", "namespace", namespace, "--ignore-not-found", "--wait=false")


def until(what: Callable[[], bool], results: list[Result], timeout: float = 90) -> None:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if what():
            return
        time.sleep(0.05)
    raise AssertionError(f"it was never told; the last was {results[-1]!r}" if results else "nothing was told")


def causes(results: list[Result]) -> set[str]:
    return {task.cause for task in results[-1].tasks} if results else set()


def test_verdicts_follow_the_cluster_without_being_asked_for(session: Session) -> None:
    results: list[Result] = []
    with Live(session, results.append):
        until(lambda: bool(results) and not results[-1].passed, results)
        session.solve()
        until(lambda: results[-1].passed, results)
        change = '{"spec": {"selector": {"app": "guestbok"}}}'
        kubectl(current(), "patch", "service", "guestbook", "-n", session.environment.namespace, "--patch", change)
        until(lambda: "service-selects-nothing" in causes(results), results)
        kubectl(
            current(),
            "patch",
            "service",
            "guestbook",
            "-n",
            session.environment.namespace,
            "--patch",
            change.replace("guestbok", "guestbook"),
        )
        until(lambda: results[-1].passed, results)
    begun = len(results)
    kubectl(current(), "delete", "service", "guestbook", "-n", session.environment.namespace)
    time.sleep(1)
    assert len(results) == begun, "nobody listens any more"


def test_in_a_terminal_too(session: Session) -> None:
    command = [sys.executable, "-m", "checker.ui.cli", "watch", "07", "--namespace", session.environment.namespace]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=ctrl_c_counts
    ) as watching:
        assert watching.stdout
        patience = threading.Timer(180, watching.kill)
        patience.start()  # a line that never comes is not waited for longer
        first = watching.stdout.readline()
        assert first.startswith("Lab 07"), first
        session.solve()
        for line in watching.stdout:
            if line.startswith("Lab 07") and "(7 of 7 points" in line:
                break
        watching.send_signal(signal.SIGINT)
        _, complaints = watching.communicate(timeout=20)
        patience.cancel()
    assert (watching.returncode, complaints) == (0, "")
