"""What the course changes in a notebook's shell, for the commands behind a `!`."""

from __future__ import annotations

import select
from subprocess import CalledProcessError
from types import TracebackType
from typing import Any

from checker.model.catalogue import say


def prepare(shell: Any) -> None:
    """End a cell at a `!command` that fails (IPython passes over it in silence), and show all that it wrote.

    shell: the InteractiveShell of the notebook's kernel.
    """
    shell.system_raise_on_error = True
    shell.set_custom_exc((CalledProcessError,), _show_failed_command)
    try:
        import pexpect
    except ImportError:  # IPython runs commands without it where there are no pseudo-terminals
        return
    _read_to_the_end(pexpect)


def _show_failed_command(
    shell: Any, kind: type[BaseException], error: Any, trace: TracebackType | None, tb_offset: int | None = None
) -> list[str]:
    """Show a `!command` that failed as one sentence instead of a traceback. Returns what was shown.

    A CalledProcessError of the learner's own Python code keeps its traceback. The parameters and the result are those
    of a handler for InteractiveShell.set_custom_exc:
    https://ipython.readthedocs.io/en/stable/api/generated/IPython.core.interactiveshell.html
    """
    lines = [say("cell-command-failed", code=error.returncode)]
    last = trace
    while last and last.tb_next:
        last = last.tb_next
    if last and last.tb_frame.f_code.co_name.startswith("system_"):  # system_piped or system_raw of the shell
        error._render_traceback_ = lambda: lines
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
    return lines


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
