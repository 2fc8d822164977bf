"""Whether a disk has the space that a command is going to need."""

from __future__ import annotations

import shutil
from pathlib import Path

from cluster.language import problem

GIB = 1024**3
LEFT = GIB // 4  # bytes that are to be left for others


def require_space(folder: Path, wanted: int) -> None:
    """Raises Problem where the disk of a folder has less than `wanted` bytes free. OSError where there is no folder."""
    free = shutil.disk_usage(folder).free
    if wanted and free < wanted + LEFT:
        needed = f"{(wanted + LEFT) / GIB:.1f}"
        raise problem("disk-too-small", folder=folder, wanted=needed, free=f"{free / GIB:.1f}")
