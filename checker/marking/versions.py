"""What a judgement rests on besides the State: versions and digests. Where a verdict differs, they say why."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from checker.collect.api import Api, ApiError
from checker.grading.labs import Lab
from checker.model.state import FORMAT
from cluster import paths
from cluster.language import language
from cluster.versions import course_version

JUDGING = ("model", "diagnosis", "grading")  # the parts of the checker that judge
NOT_JUDGED = ("recorded", "accepted", "mistakes", "solution", "__pycache__")  # parts of a lab that no verdict rests on


def versions_of(lab: Lab, kubernetes: str = "") -> dict[str, str]:
    """kubernetes: the version of the API server; empty where there is none, as for the lab of the container engine."""
    return {
        "course": course_version(),
        "checker": _checker(),
        "lab": _digest(lab.folder, _files_of(lab)),
        "kubernetes": kubernetes,
        "state": str(FORMAT),
        "language": language(),
    }


def kubernetes_of(api: Api) -> str:
    """The version of the API server; empty where it does not say."""
    try:
        return str(api.get("/version")["gitVersion"])
    except (ApiError, ValueError, KeyError, TypeError):
        return ""


@cache
def _checker() -> str:
    root = paths.COURSE / "checker"
    files = (file for room in JUDGING for file in (root / room).rglob("*") if file.suffix in (".py", ".yaml"))
    return _digest(root, files)


def _files_of(lab: Lab) -> list[Path]:
    files = (file for file in lab.folder.rglob("*") if file.is_file())
    return [file for file in files if not set(NOT_JUDGED) & set(file.relative_to(lab.folder).parts)]


def _digest(root: Path, files: Iterable[Path]) -> str:
    """A digest over the names and the contents of files below a folder."""
    found = hashlib.sha256()
    for file in sorted(files):
        content = file.read_bytes()
        found.update(f"{file.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
    return found.hexdigest()[:16]
