"""How far `kubeclass up` is: a small file beside the cluster's kubeconfig.

`kubeclass up` writes it. `kubeclass status`, the start page and the panels read it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.context import Cluster
from cluster.files import in_one_step
from cluster.language import say
from cluster.problem import Problem

# The stages of `up`, and the seconds that each takes if nothing is built. One that takes longer calls `estimate`.
# Their names are the sentences `stage-…`.
STAGES = {"engine": 5.0, "tools": 5.0, "node-image": 60.0, "nodes": 45.0, "images": 15.0, "observer": 15.0}


@dataclass
class _Report:
    """What this process reports: to which file, and the stage that it is in (empty before the first)."""

    file: Path
    stage: str = ""

    def write(self, content: dict[str, object]) -> None:
        # A full disk: the stage itself will fail and say so.
        with contextlib.suppress(OSError), in_one_step(self.file, 0o644) as new:
            new.write_text(json.dumps(content))


_report: _Report | None = None  # of this process, within `reporting`


@contextmanager
def reporting(cluster: Cluster) -> Iterator[None]:
    """Within this block, `begin_stage` and `estimate` are written to the file, and so is a Problem that ends the block.

    Any other end of the block deletes the file. Only one process at a time is in such a block: up.py holds the lock.
    """
    global _report
    _report = report = _Report(_file(cluster))
    try:
        yield
    except Problem as problem:
        report.write({"problem": str(problem)})
        raise
    except BaseException:
        report.file.unlink(missing_ok=True)
        raise
    else:
        report.file.unlink(missing_ok=True)
    finally:
        _report = None


def begin_stage(stage: str) -> None:
    """Report that a stage begins. stage: a key of STAGES."""
    if report := _report:
        report.stage = stage
        estimate(STAGES[stage])


def estimate(seconds: float) -> None:
    """Report that the current stage takes this many seconds from now on. Outside of `reporting` it does nothing."""
    report = _report
    if report and report.stage:
        names = list(STAGES)
        number = names.index(report.stage) + 1
        later = sum(STAGES[name] for name in names[number:])
        report.write({"stage": report.stage, "number": number, "until": time.time() + seconds + later})


def describe(cluster: Cluster) -> str:
    """How far `up` is, or why it failed, as a sentence; empty where none is running and the last one did not fail."""
    try:
        known = json.loads(_file(cluster).read_text())
    except (OSError, ValueError):
        return ""
    if not is_running(cluster):
        return say("up-failed", problem=known["problem"]) if "problem" in known else ""
    if "stage" not in known:
        return say("up-at-work")
    minutes = max(known["until"] - time.time(), 0) / 60
    at = {"number": known["number"], "stages": len(STAGES), "stage": say(f"stage-{known['stage']}")}
    return say("up-at-stage-end", **at) if minutes < 1 else say("up-at-stage", minutes=round(minutes), **at)


def lock_file(cluster: Cluster) -> Path:
    """The file that an `up` or a `down` keeps locked while it runs."""
    return cluster.kubeconfig.parent / "lock"


def is_running(cluster: Cluster) -> bool:
    """Whether an `up` or a `down` of this cluster is running."""
    try:
        with lock_file(cluster).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _file(cluster: Cluster) -> Path:
    return cluster.kubeconfig.parent / "up-progress.json"
