"""Live: a lab's verdicts, told again whenever they change, without anybody asking.

Live looks at the cluster when something in it has changed, and while a verdict waits for a change in progress. Now and
then it also looks for what no object tells. What is wrong by the objects alone is told at once. The rest is told when
it has been observed (a request that nobody answers takes two seconds).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

from checker.grading.grade import judge
from checker.grading.labs import Lab
from checker.model.state import State
from checker.model.verdict import Result
from checker.session import LONGEST_PAUSE, PAUSE, Session
from cluster import Problem

DEBOUNCE = 0.05  # seconds from the first of a burst of changes to the look
REST = 0.5  # seconds, at most, from a look to the next one
REFRESH = 20.0  # seconds between two looks where nothing changes
POLL = 3.0  # seconds between two looks at what cannot be watched (the container engine)


class Live:
    """As long as it is entered (`with Live(…):`), every new result is told."""

    def __init__(self, session: Session, tell: Callable[[Result], None]) -> None:
        """tell: called with the first result, and with each one that is not as the one before, from another thread."""
        self._session, self._tell = session, tell
        self._changed, self._ended, self._afresh = threading.Event(), threading.Event(), threading.Event()
        self._watch = session.environment.watch(session.lab, self._changed.set)
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)

    def start(self) -> None:
        """Begin to watch and to tell; returns at once."""
        if self._watch:
            self._watch.start()
        else:
            self._changed.set()
        self._thread.start()

    def again(self) -> None:
        """Look now, and tell what is found even if it is as what was told before."""
        self._afresh.set()
        self._changed.set()

    def stop(self) -> None:
        """End: the threads and the watches are gone when this returns."""
        self._ended.set()
        self._changed.set()
        self._thread.join()
        if self._watch:
            self._watch.stop()

    def __enter__(self) -> Live:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        last: Result | None = None
        pause = REFRESH
        while True:
            self._changed.wait(pause)
            self._ended.wait(DEBOUNCE)
            self._changed.clear()
            if self._ended.is_set():  # asked after the clearing: `stop` may have set both just before it
                return
            begin = time.monotonic()
            listed = self._watch.state() if self._watch else None
            if self._watch and listed is None:
                continue  # the first lists are still on their way
            if self._afresh.is_set():
                self._afresh.clear()
                last = None
            if listed and last and (known := _by_objects(self._session.lab, listed, last)) != last:
                self._tell(known)
                last = known
            try:
                state = self._session.environment.look(self._session.lab, listed)
            except Problem:  # the cluster went while it was asked: the watch will say so, or it is back
                pause = PAUSE
                continue
            result = judge(self._session.lab, state)
            if last is None or (result, _pending(result)) != (last, _pending(last)):
                self._tell(result)
            if not any(_pending(result)):
                pause = REFRESH if self._watch else POLL
            else:
                pause = min(pause * 1.5, LONGEST_PAUSE) if last and any(_pending(last)) else PAUSE
            last = result
            self._ended.wait(min(time.monotonic() - begin, REST))


def _by_objects(lab: Lab, listed: State, last: Result) -> Result:
    """The last result, with what fails by the objects alone, before anything was observed."""
    found = judge(lab, listed).tasks
    tasks = tuple(
        new if new.verdict == "failed" and not new.in_progress else old
        for new, old in zip(found, last.tasks, strict=True)
    )
    return replace(last, tasks=tasks)


def _pending(result: Result) -> tuple[bool, ...]:
    return tuple(task.in_progress for task in result.tasks)
