"""Where the course keeps its own files. Nothing outside these folders is written."""

from __future__ import annotations

import os
from pathlib import Path

COURSE = Path(__file__).resolve().parent.parent  # the clone: lessons/ and labs/ are in it


def home() -> Path:
    """What must be kept: kubeconfigs, downloaded tools, progress. `KUBECLASS_HOME`, else `~/.kubeclass`."""
    return Path(os.environ.get("KUBECLASS_HOME") or Path.home() / ".kubeclass")


def cache() -> Path:
    """What can be made again: built programs and images. `KUBECLASS_CACHE`, else `~/.cache/kubeclass`."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubeclass"
    return Path(os.environ.get("KUBECLASS_CACHE") or default)
