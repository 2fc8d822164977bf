"""The versions that the course pins: versions.json, and nothing else, says which."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def versions() -> dict[str, Any]:
    """The content of versions.json."""
    data: dict[str, Any] = json.loads((Path(__file__).parent / "versions.json").read_text())
    return data
