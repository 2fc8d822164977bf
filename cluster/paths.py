"""Where the course keeps its own files. Nothing outside these folders is written."""

from __future__ import annotations

import os
from pathlib import Path

COURSE = Path(__file__).resolve().parent.parent  # the clone: lessons/ and labs/ are in it


def home() -> Path:
    """What must be kept: kubeconfigs, downloaded tools, progress. `KUBECLASS_HOME`, else `~/.kubeclass`."""
    return Path(os.environ.get("KUBECLASS_HOME") or Path.home() / ".kubeclass")


def work() -> Path:
    """The folder of the learner's files, with a folder for each lab: `KUBECLASS_WORK`, or lessons/work in the clone."""
    return Path(os.environ.get("KUBECLASS_WORK") or COURSE / "lessons" / "work")


def progress() -> Path:
    """What the learner has reached, a file. `KUBECLASS_PROGRESS`, else progress.json in the course's own folder."""
    return Path(os.environ.get("KUBECLASS_PROGRESS") or home() / "progress.json")


def cache() -> Path:
    """What can be made again: built programs and images. `KUBECLASS_CACHE`, else `~/.cache/kubeclass`."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubeclass"
    return Path(os.environ.get("KUBECLASS_CACHE") or default)
