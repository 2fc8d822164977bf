"""Files that are there whole or not at all, also where two processes write the same one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def in_one_step(target: Path, mode: int) -> Iterator[Path]:
    """A new, empty file beside `target`, to be written. It takes target's place when the block ends without an error.

    Nobody but the user can read the new file until then. Each process has a new file of its own: of two processes at
    once, the later one wins. mode: the permissions at the end. Raises OSError.
    """
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(descriptor)
    new = Path(name)
    try:
        yield new
        new.chmod(mode)
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)
