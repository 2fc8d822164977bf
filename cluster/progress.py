"""What a command tells a person while it works: steps with their time, and questions.

It prints whole lines only: they read well in a terminal and in a log.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.language import say

HEARTBEAT = 20.0  # seconds after which a step tells that it continues


def tell(text: str) -> None:
    """Print a line of progress. It goes to standard error: standard output is for results."""
    print(text, file=sys.stderr, flush=True)


def detail(text: str) -> None:
    """Print a line of progress that belongs to the step before it."""
    tell(f"  {text}")


@contextmanager
def step(title: str) -> Iterator[None]:
    """Tell that a step begins, every HEARTBEAT seconds that it continues, and at its end how long it took."""
    tell(say("step-begins", title=title))
    begin, done = time.monotonic(), threading.Event()

    def heartbeat() -> None:
        while not done.wait(HEARTBEAT):
            tell(say("step-continues", title=title, seconds=round(time.monotonic() - begin)))

    threading.Thread(target=heartbeat, daemon=True).start()
    try:
        yield
    finally:
        done.set()
    tell(say("step-done", title=title, seconds=round(time.monotonic() - begin)))


def is_agreed(question: str, statement: str) -> bool:
    """Ask for consent on a terminal. Without a terminal, print the statement and go ahead."""
    if not sys.stdin.isatty():
        tell(statement)
        return True
    return input(say("question", question=question)).strip().lower() in ("", *say("question-yes").split())


def last_lines(log: Path) -> str:
    """The last five lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-5:])


def tail(log: Path) -> str:
    """The last five lines of a log, in one line."""
    return last_lines(log).replace("\n", " / ")
