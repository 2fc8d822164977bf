"""What every test may rely on: a home of its own, never the learner's; an engine and a cluster where a test asks for them.

Tests marked `engine` or `cluster` are left out on a machine that cannot run them, with the reason in the summary. With
KUBECLASS_REQUIRE=all (CI) nothing may be left out: what cannot run there fails.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

import pytest

REQUIRE_ALL = os.environ.get("KUBECLASS_REQUIRE") == "all"
HOME = Path(os.environ.get("KUBECLASS_TEST_HOME") or Path.home() / ".kubeclass-test")
REAL_KUBECONFIG = Path.home() / ".kube" / "config"

# The tests' own home and cluster, for everything that they start as well.
os.environ["KUBECLASS_HOME"] = str(HOME)
os.environ["KUBECLASS_CLUSTER"] = "kubeclass-test"


@cache
def engine_missing() -> str:
    """Why there is no container engine to test with; empty where there is one."""
    from cluster import Problem
    from cluster.engine import command, require_running

    try:
        require_running(command())
    except Problem as problem:
        return problem.what
    return ""


@cache
def cluster_missing() -> str:
    """Why there is no cluster to test on; empty where there is one. Brings it up where the engine can."""
    if engine_missing():
        return engine_missing()
    from cluster import Problem
    from cluster.up import up

    try:
        up()
    except Problem as problem:
        return f"the tests' cluster does not come up: {problem}"
    return ""


def _leave_out(why: str) -> None:
    if REQUIRE_ALL:
        pytest.fail(f"must run here (KUBECLASS_REQUIRE=all), but cannot: {why}", pytrace=False)
    pytest.skip(why)  # the summary says what was left out, and CI leaves nothing out


@pytest.fixture(autouse=True)
def _needs(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("cluster"):
        if why := cluster_missing():
            _leave_out(why)
    elif request.node.get_closest_marker("engine") and (why := engine_missing()):
        _leave_out(why)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.stash[KUBECONFIG_BEFORE] = _digest(REAL_KUBECONFIG)


KUBECONFIG_BEFORE = pytest.StashKey[str]()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "no such file"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A learner's own kubeconfig is never written: not by any test, and not by anything that a test ran."""
    before = session.config.stash.get(KUBECONFIG_BEFORE, None)
    if before is not None and before != _digest(REAL_KUBECONFIG):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nFAILED: {REAL_KUBECONFIG} was changed by the tests")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out, and why."""
    left_out: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        why = (
            report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else str(report.longrepr)
        )
        left_out[why] = left_out.get(why, 0) + 1
    for why, number in left_out.items():
        terminalreporter.write_line(f"Left out: {number} tests: {why}")
    if not left_out:
        terminalreporter.write_line("Left out: nothing.")
