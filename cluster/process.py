"""Programs, run: the one place that turns a program that is missing, fails or hangs into a Problem."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from cluster.language import problem
from cluster.problem import Problem
from cluster.waiting import wait_until

# The programs that run now, each with `children` (see finish).
_running: dict[subprocess.Popen[bytes], float] = {}
_stopped = threading.Event()


class CannotStart(Problem):
    """The program is not installed, or cannot be run on this machine."""


class DidNotEnd(Problem):
    """The program did not end in time, and was ended."""


@dataclass(frozen=True)
class Finished:
    """A program that ended: its exit status, and what it printed on standard output and standard error."""

    returncode: int
    out: str
    err: str


def run(
    *command: str,
    timeout: float = 60,
    input: str | bytes | None = None,
    env: dict[str, str] | None = None,
    cwd: str | None = None,
    stdin: IO[bytes] | None = None,
    children: float = 0,
) -> str:
    """Run a program and return what it printed. The parameters are those of `finish`.

    Raises Problem, with the program's own last words, where it cannot be started, fails or does not end in time. Raises
    Problem after a stop, too (see stopping_everything).
    """
    if _stopped.is_set():
        raise problem("stopped")
    done = finish(*command, timeout=timeout, input=input, env=env, cwd=cwd, stdin=stdin, children=children)
    if done.returncode != 0:
        output = (done.err or done.out).strip()
        if "no space left on device" in output.lower():
            raise problem("disk-full", command=_words(command))
        raise problem("command-failed", command=_words(command), output=output[-1500:])
    return done.out


def succeeds(*command: str, timeout: float = 15) -> bool:
    """Whether a program can be started and ends with exit status 0 within `timeout` seconds."""
    try:
        run(*command, timeout=timeout)
    except Problem:
        return False
    return True


def finish(
    *command: str,
    timeout: float,
    input: str | bytes | None = None,
    env: dict[str, str] | None = None,
    cwd: str | None = None,
    stdin: IO[bytes] | None = None,
    children: float = 0,
    merged: bool = False,
) -> Finished:
    """Run a program to its end, whatever its exit status.

    timeout: seconds after which the program is ended, together with the programs that it started.
    children: seconds that the programs which it started are given to end by themselves when it is stopped. A container
        engine goes on making a container when the program that asked for it is gone.
    merged: put standard error into `out`, in the order of the lines.

    Raises CannotStart and DidNotEnd.
    """
    try:
        # A session of its own: Ctrl-C reaches this program only, which then ends the others in order.
        process = subprocess.Popen(
            command,
            stdin=stdin or (subprocess.DEVNULL if input is None else subprocess.PIPE),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        if isinstance(error, FileNotFoundError) and error.filename == command[0]:
            raise problem("not-installed", raises=CannotStart, program=command[0]) from None
        words, why = _words(command), error.strerror
        raise problem("cannot-start", raises=CannotStart, program=command[0], command=words, why=why) from None
    _running[process] = children
    try:
        out, err = process.communicate(input.encode() if isinstance(input, str) else input, timeout)
    except subprocess.TimeoutExpired:
        _end(process, children)
        raise problem("did-not-end", raises=DidNotEnd, command=_words(command), seconds=round(timeout)) from None
    except BaseException:
        _end(process, children)
        raise
    finally:
        _running.pop(process, None)
    return Finished(process.returncode, out.decode(errors="replace"), (err or b"").decode(errors="replace"))


def _words(command: tuple[str, ...]) -> str:
    return " ".join(command)[:200]


def _end(process: subprocess.Popen[bytes], children: float) -> None:
    if children:
        process.terminate()
        process.wait()
        _wait_for_group(process.pid, children)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for_group(group: int, timeout: float) -> None:
    """Wait until no process of the group is left, for at most `timeout` seconds."""

    def is_empty() -> bool:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        return False

    wait_until(is_empty, timeout, pause=0.2)


@contextmanager
def stopping_everything(threads: Executor) -> Iterator[None]:
    """When an exception (Ctrl-C, say) leaves this block, end the programs of other threads.

    threads: those that run programs. They are waited for. Until all have ended, `run` raises Problem.
    """
    try:
        yield
    except BaseException:
        _stopped.set()
        try:
            for process, children in list(_running.items()):
                _end(process, children)
            threads.shutdown(cancel_futures=True)
        finally:
            _stopped.clear()
        raise


@contextmanager
def tidying_up() -> Iterator[None]:
    """Within this block programs may be run again after a stop."""
    was = _stopped.is_set()
    _stopped.clear()
    try:
        yield
    finally:
        if was:
            _stopped.set()
