"""Waiting for something to become so."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")
FOREVER = float("inf")


def wait_until(condition: Callable[[], Value], timeout: float, pause: float) -> Value:
    """Ask `condition` until its value is true, or until `timeout` seconds have passed. Returns its last value.

    timeout: in seconds; FOREVER for no limit. The condition is asked at least once.
    pause: seconds between two questions.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            break
        time.sleep(pause)
    return value
