"""A made-up class as the teacher's page sees a live one. Its verdicts come from recordings of lab 07."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from checker.classroom.hand import Hand
from checker.classroom.needs import fitted_to_class
from checker.classroom.roster import Learner as Enrolled
from checker.grading.grade import judge
from checker.grading.labs import load_lab
from checker.marking.class_objects import Learner
from checker.marking.live_class import Course
from checker.marking.whole_class import Look, Seen
from checker.model.state import State
from checker.ui.watch.server import Pages, application
from tests.unit.fake_class import NAME, NOW, RECORD, recorded

CASES = ("solution", "selector-typo", "solution", "selector-typo", "", "one-node", "wrong-target-port")
TOKEN = "t" * 20


def learner(number: int) -> Learner:
    id = f"learner{number:03}"
    return Learner(id, f"{NAME}-{id}", {}, f"uid-{number}")


@cache
def judged(case: str) -> tuple[State, Any]:
    state = State.from_json(recorded("07", case, "t-ada"))
    return state, judge(fitted_to_class(load_lab("07")), state)


class MadeUpLive:
    """As LiveClass, of so many learners; what a test changes here is what the page shows next."""

    def __init__(self, number: int) -> None:
        self.record, self.now = RECORD, NOW
        self.lab = fitted_to_class(load_lab("07"))
        self.away: Any = ""
        self.is_complete = True
        self.raised: list[Hand] = []
        self.down: list[str] = []
        self.learners = [learner(one) for one in range(number)]
        self.looks = {one.id: self.look_of(one, CASES[n % len(CASES)]) for n, one in enumerate(self.learners)}
        self.api = self
        self.begun: set[str] = set()  # who is in the lab, beside those who are judged

    def look_of(self, one: Learner, case: str) -> Look:
        return Look(one, self.lab, *judged(case)) if case else Look(one, self.lab)

    def seen(self) -> Seen:
        looks = tuple(self.looks[one.id] for one in self.learners)
        now_in = {id: ("07",) if look.result or id in self.begun else () for id, look in self.looks.items()}
        return Seen(self.now, 0, (self.lab,), tuple(self.learners), looks, now_in)

    def courses(self) -> dict[tuple[str, str], Course]:
        return {
            (one.id, "07"): Course(
                self.now - timedelta(minutes=number % 40),
                watched=number % 3 > 0,
                moved=self.now - timedelta(seconds=40 * (number % 9)),
            )
            for number, one in enumerate(self.learners)
            if self.looks[one.id].result
        }

    def waiting(self) -> int:
        return 0

    def look(self, id: str, lab: str) -> Look | None:
        found = self.looks.get(id)
        return found if found and found.result and lab == "07" else None

    def state(self, learner: Learner, lab: Any) -> State:
        return replace(judged("selector-typo")[0])

    def hands(self) -> list[Hand]:
        return list(self.raised)

    def raise_hand(self, number: int, minutes: int = 0) -> None:
        home = self.learners[number].home
        self.raised.append(Hand(home, self.now - timedelta(minutes=minutes), f"hand-{number}"))

    def request(self, method: str, path: str, body: Any = None, *_: Any, **__: Any) -> bytes:
        """The API server, as far as a hand is taken down."""
        assert method == "DELETE"
        self.down.append(path)
        self.raised = [hand for hand in self.raised if hand.uid != body["preconditions"]["uid"]]
        return b"{}"


def roster(number: int) -> list[Enrolled]:
    return [Enrolled(learner(one).id, f"Name <b>{one}</b>", "ab"[one % 2]) for one in range(number)]


class Served:
    """A page that is served. change: has the page look at the class again."""

    def __init__(self, live: MadeUpLive, port: int, loop: asyncio.AbstractEventLoop, pages: Pages) -> None:
        self.live, self.port, self.pages = live, port, pages
        self._loop = loop
        self.url = f"http://127.0.0.1:{port}"

    def change(self) -> None:
        self._loop.call_soon_threadsafe(self.pages.changed)


@contextmanager
def served(live: MadeUpLive, enrolled: list[Enrolled]) -> Iterator[Served]:
    """The page of a class, served from a thread."""
    up: list[Served] = []
    ready, ended = threading.Event(), threading.Event()

    async def serve() -> None:
        pages = Pages(live, enrolled)  # type: ignore[arg-type]
        sockets = bind_sockets(0, "127.0.0.1")
        port = sockets[0].getsockname()[1]
        server = HTTPServer(application(pages, TOKEN, port))
        server.add_sockets(sockets)
        following = asyncio.create_task(pages.follow())
        up.append(Served(live, port, asyncio.get_running_loop(), pages))
        ready.set()
        await asyncio.to_thread(ended.wait)
        following.cancel()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield up[0]
    finally:
        ended.set()
        thread.join(10)
