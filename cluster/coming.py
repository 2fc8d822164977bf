"""How far `kubeclass up` is, for whoever waits for the cluster: a small file beside its kubeconfig, read by `kubeclass status`, the
start page and every panel."""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.context import Cluster
from cluster.problem import Problem

# What `up` goes through, and the seconds that each takes where nothing has to be built. Who finds that it takes longer says so.
STAGES = {
    "the container engine": 5.0,
    "kind and kubectl": 5.0,
    "the node image": 60.0,
    "the nodes": 45.0,
    "the course's images": 15.0,
    "the observer": 15.0,
}


class _Here:
    """What this very process has to tell: nothing outside of `told`."""

    file: Path | None = None
    stage = ""


@contextmanager
def told(cluster: Cluster) -> Iterator[None]:
    """Within this block `stage` and `takes` are told to others; a Problem that ends it too. Only one process at a time (see up.py)."""
    _Here.file = _file(cluster)
    try:
        yield
    except Problem as problem:
        _write({"problem": str(problem)})
        raise
    except BaseException:
        _Here.file.unlink(missing_ok=True)
        raise
    else:
        _Here.file.unlink(missing_ok=True)
    finally:
        _Here.file, _Here.stage = None, ""


def stage(title: str) -> None:
    """One of STAGES begins."""
    _Here.stage = title
    takes(STAGES[title])


def takes(seconds: float) -> None:
    """The stage that is under way takes that long from now on."""
    if _Here.stage:
        names = list(STAGES)
        number = names.index(_Here.stage) + 1
        later = sum(STAGES[name] for name in names[number:])
        _write({"stage": _Here.stage, "number": number, "until": time.time() + seconds + later})


def sentence(cluster: Cluster) -> str:
    """How far it is, or why it ended, for people; empty where nobody is at work and nothing went wrong."""
    try:
        known = json.loads(_file(cluster).read_text())
    except (OSError, ValueError):
        return ""
    if not is_at_work(cluster):
        return f"The cluster could not be built. {known['problem']}" if "problem" in known else ""
    if "stage" not in known:
        return "The cluster is being built."
    left = max(known["until"] - time.time(), 0) / 60
    about = "less than a minute" if left < 1 else f"about {left:.0f} minute{'s' if round(left) != 1 else ''}"
    return f"The cluster is being built: step {known['number']} of {len(STAGES)} ({known['stage']}), {about} left."


def lock(cluster: Cluster) -> Path:
    """The file that is locked by whoever is at work on a cluster."""
    return cluster.kubeconfig.parent / "lock"


def is_at_work(cluster: Cluster) -> bool:
    """Whether an `up` or a `down` is at work on the cluster."""
    try:
        with lock(cluster).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _file(cluster: Cluster) -> Path:
    return cluster.kubeconfig.parent / "coming.json"


def _write(what: dict[str, object]) -> None:
    if _Here.file:
        with contextlib.suppress(OSError):  # a full disk: whoever is at work will say so
            new = _Here.file.with_suffix(".new")
            new.write_text(json.dumps(what))
            new.replace(_Here.file)
