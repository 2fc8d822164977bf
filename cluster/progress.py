"""What a command tells a person while it works: steps with their time, and questions.

It prints whole lines only: they read well in a terminal and in a log.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HEARTBEAT = 20.0  # seconds after which a step says that it is still at work


def say(text: str) -> None:
    """Print a line of progress. It goes to standard error: standard output is for results."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Announce a step, say every HEARTBEAT seconds that it goes on, and how long it took when it is done."""
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


def asked(question: str, otherwise: Callable[[], None]) -> bool:
    """Ask for consent on a terminal. Without one, go ahead and say so by `otherwise`."""
    if not sys.stdin.isatty():
        otherwise()
        return True
    return input(f"{question} [Y/n] ").strip().lower() in ("", "y", "yes")


def tail(log: Path) -> str:
    """The last five lines of a log, in one line."""
    return " / ".join(log.read_text(errors="replace").splitlines()[-5:])
