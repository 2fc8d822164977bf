"""Steps with progress and time, for whatever takes longer than two seconds. Lines only: they read well in a terminal and a log."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cluster.problem import Problem

HEARTBEAT = 20.0  # seconds after which a step says that it is still at work

# What runs, each with the seconds that the programs which it has started are given to end by themselves.
_running: dict[subprocess.Popen[bytes], float] = {}
_stopped = threading.Event()


def say(text: str) -> None:
    """A line of progress. On standard error: standard output is for results."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Announce a step, say now and then that it goes on, and how long it took when it is done."""
    say(f"… {title}")
    begin, done = time.monotonic(), threading.Event()

    def heartbeat() -> None:
        while not done.wait(HEARTBEAT):
            say(f"  still at it: {title} ({time.monotonic() - begin:.0f} s)")

    threading.Thread(target=heartbeat, daemon=True).start()
    try:
        yield
    finally:
        done.set()
    say(f"✔ {title} ({time.monotonic() - begin:.0f} s)")


def run(
    *command: str, timeout: float = 60, input: str | bytes | None = None, env: dict[str, str] | None = None,
    cwd: str | None = None, stdin: IO[bytes] | None = None, children: float = 0,
) -> str:  # fmt: skip
    """Run a program and return what it printed. `timeout` is in seconds.

    children: seconds that the programs which it has started are given to end by themselves when it is stopped. An engine that
    was asked for a container makes it, also when the program that asked is gone.

    Raises Problem, with the program's own last words, where it is not there, fails or does not end in time.
    """
    words = " ".join(command)[:200]
    try:
        returncode, out, err = _finish(command, timeout, input, env, cwd, stdin, children)
    except FileNotFoundError:
        raise Problem(
            f"{command[0]} is not installed.", f"Install {command[0]}, then run the same command again"
        ) from None
    except subprocess.TimeoutExpired:
        raise Problem(
            f"`{words}` did not end within {timeout:.0f} s.", "Run kubeclass doctor, then the same command again"
        ) from None
    if returncode != 0:
        said = (err or out).decode(errors="replace").strip()
        if "no space left on device" in said.lower():
            raise Problem(
                f"The disk is full: `{words}` could not write.",
                "Free some gigabytes (`docker system df` shows what images take), then run the same command again",
                kept="what was there before",
            )
        raise Problem(f"`{words}` failed: {said[-1500:]}", "Run kubeclass doctor, then the same command again")
    return out.decode(errors="replace")


def _finish(
    command: tuple[str, ...], timeout: float, input: str | bytes | None, env: dict[str, str] | None, cwd: str | None,
    stdin: IO[bytes] | None, children: float,
) -> tuple[int, bytes, bytes]:  # fmt: skip
    if _stopped.is_set():
        raise Problem("Stopped.", "The same command goes on where it was")
    # A session of its own: Ctrl-C reaches this program only, which then ends the others in order.
    process = subprocess.Popen(
        command, stdin=stdin or (subprocess.DEVNULL if input is None else subprocess.PIPE), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=env, cwd=cwd, start_new_session=True,
    )  # fmt: skip
    _running[process] = children
    try:
        out, err = process.communicate(input.encode() if isinstance(input, str) else input, timeout)
    except BaseException:
        _end(process, children)
        raise
    finally:
        _running.pop(process, None)
    return process.returncode, out, err


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
    deadline = time.monotonic() + timeout
    with contextlib.suppress(ProcessLookupError):  # when there is nobody left in it
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.2)


@contextmanager
def stopping_everything() -> Iterator[None]:
    """When this block is left by an exception (Ctrl-C, say), end what other threads are still running, so that they end too."""
    _stopped.clear()
    try:
        yield
    except BaseException:
        _stopped.set()
        for process, children in list(_running.items()):
            _end(process, children)
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


def succeeds(*command: str, timeout: float = 15) -> bool:
    """Whether a program is there and ends well in time."""
    try:
        run(*command, timeout=timeout)
    except Problem:
        return False
    return True


def asked(question: str, otherwise: Callable[[], None]) -> bool:
    """Ask for consent on a terminal. Without one, go ahead and say so by `otherwise`."""
    if not sys.stdin.isatty():
        otherwise()
        return True
    return input(f"{question} [Y/n] ").strip().lower() in ("", "y", "yes")


def tail(log: Path) -> str:
    """The last words of a log, in one line."""
    return " / ".join(log.read_text(errors="replace").splitlines()[-5:])
