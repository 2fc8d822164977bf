"""What the benchmarks share: a lab to measure with, and a place for what was measured, the table in the README."""

from __future__ import annotations

import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("KUBECLASS_HOME", str(Path.home() / ".kubeclass-test"))
os.environ.setdefault("KUBECLASS_CLUSTER", "kubeclass-test")

from checker.environments.namespace import NamespaceEnvironment
from checker.session import Session
from cluster import current, paths
from cluster.kubectl import kubectl

README = paths.COURSE / "README.md"
HEAD = "| | measured | aim |\n|---|---|---|\n"


def measured(what: str, figure: str, aim: str, reached: bool) -> None:
    """Print a figure, and put it into the README's table: in the place of an older one, or at its end.

    what: its name in the table, always the same.
    """
    print(f"{what}: {figure} (aim: {aim}{'' if reached else '; missed'})", flush=True)
    README.write_text(with_row(README.read_text(), what, figure, aim if reached else f"{aim}; missed"))


def with_row(text: str, *cells: str) -> str:
    """A text with the table of figures, with this row in it."""
    row = f"| {' | '.join(cells)} |\n"
    table = re.search(re.escape(HEAD) + r"(\|.*\n)*", text)
    assert table, "the README has no table of figures"
    rows = table.group()
    known = re.search(rf"^\| {re.escape(cells[0])} \|.*\n", rows, re.MULTILINE)
    new = rows.replace(known.group(), row) if known else rows + row
    return text.replace(rows, new)


def seconds(action: Callable[[], object], times: int) -> float:
    """The median of some runs."""
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        action()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


@contextmanager
def solved(number: str) -> Iterator[Session]:
    """A lab with full marks, in a namespace of its own on the tests' cluster."""
    namespace = f"bench-{number}"
    with tempfile.TemporaryDirectory() as work:
        session = Session(number, environment=NamespaceEnvironment(namespace, work=Path(work)))
        try:
            session.start()
            session.solve()
            result = session.check(60)
            assert result.passed, result
            yield session
        finally:
            session.environment.empty()
            kubectl(current(), "delete", "namespace", namespace, "--ignore-not-found", "--wait=false")
