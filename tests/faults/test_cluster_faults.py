"""What goes wrong around a check, done to the real cluster: it must end in time, and blame nobody for it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from checker.collect import observer
from checker.environments.namespace import NamespaceEnvironment
from checker.live import Live
from checker.model.verdict import Result
from checker.session import Session
from cluster import current
from cluster.engine import command
from cluster.kubectl import kubectl
from cluster.nodes import nodes_of
from cluster.process import run
from cluster.up import up
from tests.nodes import ON_THE_SECOND_CLUSTER, control_plane

DEADLINE = 15  # seconds in which every check must end, whatever happens
pytestmark = ON_THE_SECOND_CLUSTER


@pytest.fixture
def solved(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Session]:
    """Lab 07, solved, in a namespace of its own."""
    namespace = f"tf-{request.node.name[5:40].replace('_', '-')}".rstrip("-")
    place = NamespaceEnvironment(namespace, work=tmp_path)
    session = Session("07", environment=place)
    try:
        session.start()
        session.solve()
        result = session.check(60)
        assert result.passed, [(task.id, task.cause, task.message) for task in result.tasks]
        yield session
    finally:
        observer.forget(place.api, namespace)
        kubectl(current(), "delete", "namespace", namespace, "--ignore-not-found", "--wait=false")


def check(session: Session) -> tuple[int, dict[str, Any], float]:
    """`kubeclass check` as a program: exit status, JSON, seconds."""
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "checker.ui.cli", "check", "07", "--namespace", session.environment.namespace, "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, json.loads(done.stdout), time.monotonic() - begin


def verdicts(result: dict[str, Any]) -> set[tuple[str, str]]:
    return {(task["verdict"], task.get("cause", "")) for task in result["tasks"]}


def test_a_paused_control_plane_is_unknown_in_time(solved: Session) -> None:
    run(command(), "pause", control_plane())
    try:
        code, result, seconds = check(solved)
    finally:
        run(command(), "unpause", control_plane())
    assert verdicts(result) == {("unknown", "api-unreachable")}
    assert (code, result["score"]) == (2, 0)
    assert seconds < DEADLINE
    assert solved.check(60).passed


def test_live_verdicts_say_that_the_cluster_is_away_and_come_back_by_themselves(solved: Session) -> None:
    results: list[Result] = []

    def until(what: Callable[[Result], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not (results and what(results[-1])):
            assert time.monotonic() < end, repr(results[-1:])
            time.sleep(0.1)

    with Live(solved, results.append):
        until(lambda result: result.passed, 60)
        run(command(), "pause", control_plane())
        try:
            until(lambda result: {task.cause for task in result.tasks} == {"api-unreachable"}, DEADLINE)
        finally:
            run(command(), "unpause", control_plane())
        until(lambda result: result.passed, 60)


def test_a_restarting_api_server_never_fails_a_learner(solved: Session) -> None:
    run(command(), "exec", control_plane(), "pkill", "-9", "kube-apiserver")
    end, seen = time.monotonic() + 120, set()
    while time.monotonic() < end:
        result = solved.check()
        seen |= {task.verdict for task in result.tasks}
        if result.passed and "unknown" in seen:
            break
        time.sleep(0.5)
    assert seen == {"unknown", "passed"}
    until_services_follow(solved)


def until_services_follow(session: Session) -> None:
    """Wait until kube-proxy has taken up a change; else the Service of the next test does not answer.

    kube-proxy asks an API server that was away again after a pause, and the pause grows with each time.
    """
    kubectl(current(), "delete", "service", "guestbook", "-n", session.environment.namespace)
    session.solve()
    end = time.monotonic() + 120
    while not session.check().passed:
        assert time.monotonic() < end, "kube-proxy does not follow the API server"
        time.sleep(1)


def test_a_paused_worker_is_no_crash(solved: Session) -> None:
    worker = next(node.name for node in nodes_of(command(), current()) if node.role == "worker")
    run(command(), "pause", worker)
    try:
        _, result, seconds = check(solved)
    finally:
        run(command(), "unpause", worker)
    assert "checker-crashed" not in {cause for _, cause in verdicts(result)}
    assert not result["passed"]
    assert seconds < DEADLINE + 10  # the ten seconds that a check gives to a change in progress
    assert solved.check(60).passed


def test_a_missing_observer_is_unknown_and_up_brings_it_back(solved: Session) -> None:
    kubectl(current(), "delete", "deployment", "observer", "-n", "kubeclass", "--wait=true")
    try:
        code, result, seconds = check(solved)
        passed = {task["id"] for task in result["tasks"] if task["verdict"] == "passed"}
        assert verdicts(result) == {("unknown", "observer-unreachable"), ("passed", "")}
        assert passed == {"from-outside"}  # what needs no observer is graded all the same
        assert code == 2
        assert seconds < DEADLINE
    finally:
        up()
    assert solved.check(60).passed


def test_a_deleted_namespace_is_named(solved: Session) -> None:
    kubectl(current(), "delete", "namespace", solved.environment.namespace, "--timeout=90s", timeout=100)
    code, result, _ = check(solved)
    assert ("failed", "namespace-missing") in verdicts(result)
    assert code == 1
    solved.start()
    assert ("failed", "namespace-missing") not in verdicts(check(solved)[1])


def test_two_checks_at_once_agree(solved: Session) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: check(solved), range(2))
    assert one[:1] == other[:1] == (0,)
    assert one[1]["tasks"] == other[1]["tasks"]


def test_reset_leaves_other_namespaces_and_unmarked_ones_alone(solved: Session) -> None:
    kubectl(current(), "create", "namespace", (other := f"{solved.environment.namespace}-unmarked"))
    try:
        kubectl(current(), "create", "configmap", "mine", "-n", other, "--from-literal=a=b")
        begun = subprocess.run(
            [sys.executable, "-m", "checker.ui.cli", "reset", "07", "--namespace", other, "--yes"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert begun.returncode == 3
        assert "was not started by the course" in begun.stderr
        solved.reset()
        assert "mine" in kubectl(current(), "get", "configmap", "mine", "-n", other, "-o", "name")
        assert [t.verdict for t in solved.check(0).tasks if t.id == "reaches-pods"] == ["failed"]
    finally:
        kubectl(current(), "delete", "namespace", other, "--wait=false")
