"""What the course changes in a notebook's shell, for the commands behind a `!`."""

from __future__ import annotations

import select
from typing import Any


def prepare(shell: Any) -> None:
    """Make a `!command` that fails be seen to fail (IPython passes over it in silence), and show all that it wrote.

    shell: the InteractiveShell of the notebook's kernel.
    """
    shell.system_raise_on_error = True
    try:
        import pexpect
    except ImportError:  # IPython runs commands without it where there are no pseudo-terminals
        return
    _read_to_the_end(pexpect)


def _read_to_the_end(pexpect: Any) -> None:
    """Keep what a command writes in the moment of its end.

    pexpect waits for output, and when its time is up asks whether the command has ended. What was written between the
    two is lost: on a busy machine a short command then shows nothing.
    """
    plain = pexpect.spawn.read_nonblocking
    if plain.__module__ == __name__:
        return

    def read_nonblocking(self: Any, size: int = 1, timeout: float | None = -1) -> Any:
        try:
            return plain(self, size, timeout)
        except pexpect.EOF:
            # Without waiting: something that was left running may hold the terminal open.
            if select.select([self.child_fd], [], [], 0)[0]:
                return pexpect.spawnbase.SpawnBase.read_nonblocking(self, size)
            raise

    pexpect.spawn.read_nonblocking = read_nonblocking
