"""What every test may rely on: a home of its own, never the learner's; an engine and a cluster where it asks for them.

`make test` runs tests/unit, which need neither. A test that is marked `engine`, `cluster` or `browser` fails on a
machine without it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import pytest

HOME = Path(os.environ.get("KUBECLASS_TEST_HOME") or Path.home() / ".kubeclass-test")
REAL_KUBECONFIG = Path.home() / ".kube" / "config"

# The tests' own home and cluster, for everything that they start as well. A second cluster is for those marked `solo`,
# whose nodes are stopped and whose API server is killed; `make smoke` has one of its own, for all. (Their names are of
# one length: tables of kubectl are then the same on all of them.)
OF_SMOKE = os.environ.get("KUBECLASS_TEST_CLUSTER")
TESTS, SOLO = OF_SMOKE or "kubeclass-test", OF_SMOKE or "kubeclass-solo"
os.environ["KUBECLASS_HOME"] = str(HOME)
os.environ["KUBECLASS_CLUSTER"] = TESTS
os.environ["KUBECLASS_WORK"] = str(HOME / "work")
os.environ["KUBECLASS_FOLDER"] = str(HOME / "folder")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record",
        action="store_true",
        help="keep what the cluster was like: recordings, lessons' outputs (make prove)",
    )


def order_seed() -> str:
    """What the order of lessons and cases is made from: KUBECLASS_ORDER, else the commit, to see a failure again."""
    seed = os.environ.get("KUBECLASS_ORDER")
    if seed:
        return seed
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    return commit.stdout.strip() or "none"


def pytest_report_header() -> str:
    return f"in the order of KUBECLASS_ORDER={order_seed()}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First those that take turns, and so take longest: on the second cluster, the lessons, others.

    Then the cases, and what needs no cluster; what needs the cluster for itself comes last. Lessons and cases are
    shuffled: lessons work in any order, and cases that mostly wait run beside those that mostly work.
    """
    seed = order_seed()

    def place(item: pytest.Item) -> tuple[int, str]:
        group, alone = item.get_closest_marker("xdist_group"), item.get_closest_marker("alone")
        shuffled = hashlib.sha256(f"{seed} {item.nodeid}".encode()).hexdigest()
        if _is_solo(item):
            return 0, ""
        if group:
            return (1, shuffled) if group.args == ("lessons",) else (2, "")
        if alone and "cluster" in alone.args:
            return 5, ""
        if any(item.get_closest_marker(name) for name in ("cluster", "engine")):
            return 3, shuffled
        return 4, ""

    items.sort(key=place)


def _is_solo(item: pytest.Item | None) -> bool:
    return bool(item and item.get_closest_marker("solo"))


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


def cluster_missing() -> str:
    """Why the current cluster is not there to test on; empty where it is. Brings it up where the engine can."""
    return engine_missing() or _missing(os.environ["KUBECLASS_CLUSTER"])


def _is_running() -> bool:
    """Whether the current cluster has only to be looked at."""
    from cluster import current
    from cluster.engine import command
    from cluster.nodes import WORKERS, nodes_of

    nodes = nodes_of(command(), current())
    return len(nodes) == 1 + WORKERS and all(node.running for node in nodes)


def _raise_the_limit() -> None:
    """Have the kernel give as many inotify instances as several clusters take.

    Three nodes take 58, and many machines give a user 128. Where they are used up, a new node does not become ready.
    """
    instances = Path("/proc/sys/fs/inotify/max_user_instances")
    if os.access(instances, os.W_OK) and int(instances.read_text()) < 1024:
        instances.write_text("1024")


@cache
def _missing(name: str) -> str:
    from cluster import Problem
    from cluster.up import up

    _raise_the_limit()
    try:
        if name == TESTS or _is_running():
            up()
        else:  # nothing that is timed goes on beside a cluster that comes up
            with _share("cluster", alone=True):
                up()
    except Problem as problem:
        return f"the tests' cluster {name} does not come up: {problem}"
    return ""


def ctrl_c_counts() -> None:
    """For the preexec_fn of a process that SIGINT must stop: what a shell starts in the background ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def browser_missing() -> str:
    """Why there is no browser to test with; empty where there is one."""
    return "" if chromium() else "Chromium is not installed (Debian: apt install chromium)"


def chromium() -> str | None:
    """The system's own browser: where it is, or None where there is none."""
    return shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(autouse=True)
def _needs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    missing: dict[str, Callable[[], str]] = {
        "cluster": cluster_missing,
        "engine": engine_missing,
        "browser": browser_missing,
    }
    needed = [name for name in missing if request.node.get_closest_marker(name)]
    # A learner has a cluster alone, and may ask it often. Here many tests share one, and each request slows it down.
    monkeypatch.setattr("checker.session.PAUSE", 1.5)
    alone = request.node.get_closest_marker("alone")
    shared = {*needed, *(alone.args if alone else ())} & {"cluster", "engine"}
    if _is_solo(request.node):
        monkeypatch.setenv("KUBECLASS_CLUSTER", SOLO)
        shared.remove("cluster")  # the second one has only one test at a time: they are one group
    with ExitStack() as held:
        for name in sorted(shared):
            held.enter_context(_share(name, alone=bool(alone and name in alone.args)))
        if why := next((why for name in needed if (why := missing[name]())), ""):
            pytest.fail(why, pytrace=False)
        yield


@contextmanager
def _share(name: str, alone: bool) -> Iterator[None]:
    """Use the cluster or the engine along with tests on other workers, or alone.

    All tests go through a gate, one by one. A test that waits to be alone waits in the gate, so no other test can begin
    before it.
    """
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / f"{name}.tests").open("w") as lock:
        with (HOME / f"{name}.gate").open("w") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """The second cluster rests once its last test is over: a machine of two cores feels it even when it is idle."""
    if SOLO != TESTS and _is_solo(item) and not _is_solo(nextitem) and not engine_missing():
        from cluster import Cluster
        from cluster.engine import command
        from cluster.nodes import nodes_of
        from cluster.process import run

        running = [node.name for node in nodes_of(command(), Cluster(SOLO, HOME)) if node.running]
        if running:
            run(command(), "stop", "-t", "3", *running, timeout=60)


KUBECONFIGS_BEFORE = pytest.StashKey[dict[Path, str]]()


def kubeconfigs() -> dict[Path, str]:
    """A learner's own kubeconfigs, each with a digest of what is in it."""
    named = [Path(name) for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    return {path: _digest(path) for path in (REAL_KUBECONFIG, *named)}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "no such file"


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.stash[KUBECONFIGS_BEFORE] = kubeconfigs()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A learner's own kubeconfig is never written: not by any test, and not by anything that a test ran."""
    before = session.config.stash.get(KUBECONFIGS_BEFORE, None)
    if before is not None and before != kubeconfigs():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nFAILED: {' or '.join(map(str, before))} was changed by the tests")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Say at once what failed: the whole run takes a while, and its tracebacks come at the end."""
    if report.failed and not os.environ.get("PYTEST_XDIST_WORKER"):
        print(f"\n{time.strftime('%H:%M:%S')} FAILED {report.nodeid} ({report.when}): {_crash(report)}", flush=True)


def _crash(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return " ".join((crash.message if crash else report.longreprtext).split())[:1500]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where something failed on the cluster: how its nodes are, and which of its Pods are not well."""
    failed = [*terminalreporter.stats.get("failed", []), *terminalreporter.stats.get("error", [])]
    if not any(not report.nodeid.startswith("tests/unit/") for report in failed):
        return
    from cluster import Problem, current
    from cluster.kubectl import kubectl

    terminalreporter.section("the cluster")
    for words in (
        ("get", "nodes"),
        ("get", "pods", "-A", "--field-selector=status.phase!=Running,status.phase!=Succeeded"),
    ):
        try:
            terminalreporter.write_line(kubectl(current(), *words, timeout=15))
        except Problem as problem:
            terminalreporter.write_line(problem.what)
