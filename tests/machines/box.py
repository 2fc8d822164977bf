"""A machine within this one: network, mounts and processes are its own, and so is whatever engine is started there.

It reaches nobody but itself. Files are those of this machine, but for /run, which is empty, and what is laid over others.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")


def in_a_box(
    *command: str | Path, env: dict[str, str] | None = None, over: dict[str, Path] | None = None, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """Run a program on such a machine; when it ends, so does everything there. over: what lies over a path of this machine."""
    mounts = "".join(f"mount --bind '{ours}' '{path}'\n" for path, ours in (over or {}).items())
    script = f'ip link set lo up\nmount -t tmpfs tmpfs /run\n{mounts}exec "$@"'
    return subprocess.run(
        [*UNSHARE, "sh", "-ec", script, "box", *command], env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
