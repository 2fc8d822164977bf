"""The versions that the course pins, and the course's own.

versions.json, and nothing else, says which versions are pinned. pyproject.toml has the course's own.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from cluster import paths


@cache
def versions() -> dict[str, Any]:
    """The content of versions.json."""
    data: dict[str, Any] = json.loads((Path(__file__).parent / "versions.json").read_text())
    return data


@cache
def course_version() -> str:
    """The version of the course, such as "0.1.0".

    In a clone pyproject.toml says it: an editable install keeps the version with which it was made.
    """
    if paths.is_installed():
        from importlib.metadata import version  # here, as most commands need neither it nor tomllib

        return version("kubeclass")
    import tomllib

    project: dict[str, Any] = tomllib.loads((paths.COURSE / "pyproject.toml").read_text())["project"]
    return str(project["version"])
