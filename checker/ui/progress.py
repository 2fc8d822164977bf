"""What a learner has reached: one small JSON file in the course's own folder, safe against two writers."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checker.model.catalogue import say
from checker.model.verdict import Result
from cluster import paths
from cluster.files import in_one_step

PAUSE = 600  # seconds without a sign of somebody at work that are a pause
# The capstone was lab 15 when the course had fifteen labs. It had these points, at home and in a class.
CAPSTONE, CAPSTONE_BEFORE, CAPSTONE_POINTS = "16", "15", (12, 8)


def _file() -> Path:
    return paths.progress()


def read() -> dict[str, Any]:
    """{"labs": {"07": {"score", "max_score", "best", "checks", "seconds", "seen_at", "passed_at"}}}.

    A file that cannot be read is put aside, not lost.
    """
    try:
        data = json.loads(_file().read_text())
    except FileNotFoundError:
        return {"labs": {}}
    except ValueError:
        _file().rename(_file().with_suffix(".damaged.json"))
        return {"labs": {}}
    if not isinstance(data, dict) or not isinstance(data.get("labs"), dict):
        return {"labs": {}}
    data["labs"] = {lab: known for lab, known in data["labs"].items() if isinstance(known, dict)}
    _move_the_capstone(data["labs"])
    return data


def _move_the_capstone(labs: dict[str, Any]) -> None:
    """Give the capstone what an earlier version of the course kept of it under its old number."""
    if CAPSTONE not in labs and labs.get(CAPSTONE_BEFORE, {}).get("max_score") in CAPSTONE_POINTS:
        labs[CAPSTONE] = labs.pop(CAPSTONE_BEFORE)


def suspects(lab: str, namespace: str) -> set[str]:
    """The roots for which the learner has named a suspect, since the lab was set up in this namespace."""
    return set((read().get("suspects") or {}).get(f"{namespace}/{lab}") or [])


def add_suspect(lab: str, namespace: str, root: str) -> None:
    """Record that the learner has named a suspect for a root."""
    with _locked():
        data = read()
        known = data.setdefault("suspects", {}).setdefault(f"{namespace}/{lab}", [])
        known += [] if root in known else [root]
        _write(data)


def forget_suspects(lab: str, namespace: str) -> None:
    """Forget the suspects of a lab: it is set up again, and other things may be wrong in it."""
    with suppress(OSError), _locked():
        data = read()
        if data.get("suspects", {}).pop(f"{namespace}/{lab}", None):
            _write(data)


def predictions(lesson: str) -> dict[str, dict[str, Any]]:
    """The predictions of a lesson: {question: {"predicted": "…", "revealed": whether the answer was shown}}.

    lesson: its number, "" for a notebook of the learner's own.
    """
    kept = read().get("predictions")
    of_lesson = kept.get(lesson) if isinstance(kept, dict) else None
    if not isinstance(of_lesson, dict):
        return {}
    return {question: known for question, known in of_lesson.items() if isinstance(known, dict)}


def keep_prediction(lesson: str, question: str, predicted: str, revealed: bool) -> str:
    """Keep what the learner predicts. Returns why it could not be kept, in a sentence; empty where it was."""
    try:
        with _locked():
            data = read()
            made = {**predictions(lesson), question: {"predicted": predicted, "revealed": revealed}}
            kept = data.get("predictions")
            data["predictions"] = {**(kept if isinstance(kept, dict) else {}), lesson: made}
            _write(data)
    except OSError as error:
        return say("progress-not-kept", why=error.strerror)
    return ""


def _write(data: dict[str, Any]) -> None:
    with in_one_step(_file(), 0o644) as new:
        new.write_text(json.dumps(data, indent=1) + "\n")


@contextmanager
def _locked() -> Iterator[None]:
    _file().parent.mkdir(parents=True, exist_ok=True)
    with (_file().parent / "progress.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def note(result: Result, by_learner: bool = True) -> str:
    """Keep the newest and the best score of a lab. A result with unknown verdicts is no measure, and is not kept.

    asked: whether somebody asked for it; what arrives by itself is not counted as a check.
    Returns why it could not be kept (a full disk), in a sentence; empty where it was. A verdict is told all the same.
    """
    if any(task.verdict == "unknown" for task in result.tasks):
        return ""
    try:
        with _kept(result.lab) as known:
            known |= {
                "score": result.score,
                "max_score": result.max_score,
                "checks": known["checks"] + by_learner,
                "best": max(known["best"], result.score),
            }
            if result.passed and not known["passed_at"]:
                known["passed_at"] = datetime.now(UTC).isoformat(timespec="seconds")
    except OSError as error:
        return say("progress-not-kept", why=error.strerror)
    return ""


def seen(lab: str) -> None:
    """Record that somebody is at work on a lab at this moment.

    The time since the last such moment is time spent at the lab, unless it was a pause.
    """
    with suppress(OSError), _kept(lab):
        pass


@contextmanager
def _kept(lab: str) -> Iterator[dict[str, Any]]:
    """What is kept of a lab, to be changed; the time spent at it goes on until it is passed."""
    with _locked():
        data = read()
        known = {"best": 0, "checks": 0, "passed_at": None} | data["labs"].get(lab, {})
        data["labs"][lab] = known
        now = time.time()
        passed = now - known.get("seen_at", now)
        if not known["passed_at"]:
            known["seconds"] = known.get("seconds", 0) + (round(passed) if 0 < passed <= PAUSE else 0)
            known["seen_at"] = round(now)
        yield known
        _write(data)
