"""A machine within this one: network, mounts and processes are its own, and so is whatever engine is started there.

It reaches nobody but itself. Files are those of this machine, but for /run, which is empty, and what is laid over
others; or those of another system, and with them its programs.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
KERNEL = (Path("/proc"), Path("/sys"), Path("/dev"))


def in_a_box(
    *command: str | Path,
    env: dict[str, str] | None = None,
    over: dict[str, Path] | None = None,
    root: Path | None = None,
    share: Iterable[Path] = (),
    timeout: float = 600,
) -> subprocess.CompletedProcess[str]:
    """Run a program on such a machine; when it ends, so does everything there.

    over: what lies over a path of this machine. root: the folder of another system, which has the folders `share` of
    this machine too.
    """
    mounts = "".join(f"mount --bind '{ours}' '{path}'\n" for path, ours in (over or {}).items())
    script = f'ip link set lo up\nmount -t tmpfs tmpfs /run\n{mounts}exec "$@"'
    if root:
        shared = [*KERNEL, *share]
        for path in (*shared, Path("/old")):
            (root / path.relative_to("/")).mkdir(parents=True, exist_ok=True)
        mounts = "".join(f"mount --rbind '{path}' '{root}{path}'\n" for path in shared)
        # chroot is not enough: a process that enters a container's mount namespace sees this machine's root.
        script = (
            f"ip link set lo up\nmount --bind '{root}' '{root}'\n{mounts}mount -t tmpfs tmpfs '{root}/run'\n"
            f"cd '{root}'\npivot_root . old\nexec chroot . sh -ec 'umount -l /old; exec \"$@\"' box \"$@\""
        )
    return subprocess.run(
        [*UNSHARE, "sh", "-ec", script, "box", *command],
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
