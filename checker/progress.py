"""What a learner has reached: one small JSON file in the course's own folder, safe against two writers."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checker.verdict import Result
from cluster import paths


def _file() -> Path:
    return paths.home() / "progress.json"


def read() -> dict[str, Any]:
    """{"labs": {"07": {"score", "max_score", "best", "checks", "passed_at"}}}. A file that cannot be read is put aside, not lost."""
    try:
        data = json.loads(_file().read_text())
    except FileNotFoundError:
        return {"labs": {}}
    except ValueError:
        _file().rename(_file().with_suffix(".damaged.json"))
        return {"labs": {}}
    return data if isinstance(data, dict) and isinstance(data.get("labs"), dict) else {"labs": {}}


@contextmanager
def _locked() -> Iterator[None]:
    _file().parent.mkdir(parents=True, exist_ok=True)
    with (_file().parent / "progress.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def note(result: Result) -> None:
    """Keep the newest and the best score of a lab. A result with unknown verdicts is no measure, and is not kept."""
    if any(task.verdict == "unknown" for task in result.tasks):
        return
    with _locked():
        data = read()
        known = data["labs"].setdefault(result.lab, {"best": 0, "checks": 0, "passed_at": None})
        known |= {"score": result.score, "max_score": result.max_score, "checks": known["checks"] + 1,
                  "best": max(known["best"], result.score)}  # fmt: skip
        if result.passed and not known["passed_at"]:
            known["passed_at"] = datetime.now(UTC).isoformat(timespec="seconds")
        new = _file().with_suffix(".new")
        new.write_text(json.dumps(data, indent=1) + "\n")
        os.replace(new, _file())
