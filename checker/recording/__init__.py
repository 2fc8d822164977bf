"""Recordings: States met on a real cluster, kept as files, which tests read instead of a cluster.

Receipts (checker/marking/receipt.py) hold States in the same form.

checker/recording/normalize.py says what a recording leaves out and what it replaces.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from checker.model.state import State
from checker.model.verdict import Result
from checker.recording.normalize import normalised
from checker.recording.unread import watched


def save(state: State, result: Result, path: Path, made_from: str = "") -> None:
    """Write a State and the verdicts on it as a recording.

    made_from: a digest of what brought the State about (tests/proof/digests.py).
    """
    write(
        path, {"made_from": made_from, "state": normalised(state), "tasks": [task.to_json() for task in result.tasks]}
    )


def write(path: Path, data: dict[str, Any]) -> None:
    """Write a recording's JSON so that a difference between two of them can be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def load(path: Path) -> tuple[State, list[dict[str, Any]]]:
    """A recorded State, and the verdicts that it must be given. Reading a field of an object that recordings leave out
    raises NotRecorded (checker/recording/unread.py)."""
    data = json.loads(path.read_text())
    return watched(State.from_json(data["state"])), data["tasks"]
