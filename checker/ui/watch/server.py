"""Serving the teacher's page on loopback: one page, server-sent events, and a few questions.

Tornado serves it. JupyterLab stands on Tornado, so the course has it already, and nothing new is installed.
A browser proves by a random token that it may see the page, as with Jupyter: first in the address, then in a cookie.
A request for another host, as of a page that has its name lead to 127.0.0.1, is refused.
Sources: https://www.tornadoweb.org/en/stable/web.html
https://html.spec.whatwg.org/multipage/server-sent-events.html
https://jupyter-server.readthedocs.io/en/latest/operators/security.html
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

from checker.classroom.hand import take_down_as_teacher
from checker.classroom.record import Record
from checker.classroom.roster import Learner as Enrolled
from checker.collect.api import Api
from checker.marking.live_class import LiveClass
from checker.model.catalogue import problem, say
from checker.ui import marks_page
from checker.ui.base_widget import module, style
from checker.ui.picture.drawing import Places
from checker.ui.watch import lesson_part
from checker.ui.watch.view import View, change, panel_view, picture_view, view_of, whole
from cluster import Problem
from cluster.language import language

HERE = Path(__file__).parent
UI = HERE.parent
PORT = 8931
REST = 0.25  # seconds, at least, between two views
TICK = 5.0  # seconds between two views where nothing changes: minutes go by
BEAT = 10.0  # seconds between two words to each page, so that it notices a command that has ended
BEHIND = 30  # changes that wait for a page; one that takes more is asleep, and gets the whole view later
PICTURES_AT_A_TIME = 2
# The page loads and asks only this server. Source: https://www.w3.org/TR/CSP3/
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'"
# A section of a lesson runs no script. Outputs and pictures in it have styles of their own.
LESSON_POLICY = "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"


class Pages:
    """The view as it is now, and the pages that show it."""

    def __init__(self, live: LiveClass, roster: Iterable[Enrolled]) -> None:
        self.live, self.roster = live, list(roster)
        self.view: View = {}
        self.pages: set[asyncio.Queue[View | None]] = set()  # None: the page is behind, and needs the whole view
        self.places: dict[tuple[str, str], Places] = {}  # of the newest pictures
        self.drawing = asyncio.Semaphore(PICTURES_AT_A_TIME)
        self.drawn = asyncio.Event()  # whether there is a view
        self._news = asyncio.Event()

    def changed(self) -> None:
        """Something may be new. In the loop's thread."""
        self._news.set()

    async def follow(self) -> None:
        """Keep the view up to date, and give each page what is new."""
        while True:
            view = await asyncio.to_thread(view_of, self.live, self.roster)
            news, self.view = change(self.view, view) if self.view else {}, view
            self.drawn.set()
            if news:
                for page in self.pages:
                    _give(page, news)
            await asyncio.sleep(REST)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), TICK)
            self._news.clear()

    def whole(self) -> View:
        return whole(self.view, self.live.record.name)


def _give(page: asyncio.Queue[View | None], news: View) -> None:
    if page.qsize() >= BEHIND:
        while not page.empty():
            page.get_nowait()
        page.put_nowait(None)
    else:
        page.put_nowait(news)


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


class _Handler(RequestHandler):
    def initialize(self, pages: Pages, token: str, port: int) -> None:
        self.pages, self.token, self.port = pages, token, port
        self.cookie = f"kubeclass-watch-{port}"  # browsers send a cookie to all ports of a host

    def prepare(self) -> None:
        if self.request.host not in (f"127.0.0.1:{self.port}", f"localhost:{self.port}"):
            raise HTTPError(403)
        if not _same(self.get_cookie(self.cookie) or "", self.token):
            raise HTTPError(403)

    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")
        self.clear_header("Server")

    def write_error(self, status_code: int, **more: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(say("watch-refused") if status_code == 403 else say("watch-no-page"))

    def log_exception(self, *error: Any) -> None:
        if not isinstance(error[1], HTTPError):
            super().log_exception(*error)

    def answer(self, data: Any) -> None:
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(data, ensure_ascii=False))


class _Nothing(_Handler):
    def prepare(self) -> None:
        super().prepare()
        raise HTTPError(404)


class _Page(_Handler):
    def prepare(self) -> None:
        token = self.get_query_argument("token", "")
        if self.request.host in (f"127.0.0.1:{self.port}", f"localhost:{self.port}") and token:
            if not _same(token, self.token):
                raise HTTPError(403)
            self.set_cookie(self.cookie, self.token, httponly=True, samesite="Strict", path="/")
            self.redirect("/")
            return
        super().prepare()

    def get(self) -> None:
        self.finish((HERE / "page.html").read_text().replace('lang="en"', f'lang="{language()}"', 1))


class _File(_Handler):
    def get(self, name: str) -> None:
        kinds = {"css": "text/css", "js": "text/javascript"}
        self.set_header("Content-Type", f"{kinds[name.rpartition('.')[2]]}; charset=utf-8")
        self.finish(FILES[name]())


FILES: dict[str, Callable[[], str]] = {
    "page.css": lambda: marks_page.style(HERE / "page.css"),
    "page.js": lambda: module(HERE / "page.js"),
    "panel.css": lambda: style(UI / "panel" / "panel.css"),
    "panel.js": lambda: module(UI / "panel" / "panel.js"),
    "picture.css": lambda: style(UI / "picture" / "picture.css"),
    "picture.js": lambda: module(UI / "picture" / "picture.js"),
}


class _Events(_Handler):
    async def get(self) -> None:
        """The whole view, then each change, and now and then a word that the server is there."""
        self.set_header("Content-Type", "text/event-stream")
        mine: asyncio.Queue[View | None] = asyncio.Queue()
        self.pages.pages.add(mine)
        try:
            await self.pages.drawn.wait()
            await self._send("whole", self.pages.whole())
            while True:
                try:
                    news = await asyncio.wait_for(mine.get(), BEAT)
                except TimeoutError:
                    await self._send("beat", {})
                else:
                    await (self._send("whole", self.pages.whole()) if news is None else self._send("change", news))
        except StreamClosedError:
            pass
        finally:
            self.pages.pages.discard(mine)

    async def _send(self, event: str, data: View) -> None:
        self.write(f"event: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n")
        await self.flush()


class _Panel(_Handler):
    def get(self) -> None:
        view = panel_view(self.pages.live, self.get_query_argument("learner"), self.get_query_argument("lab"))
        if not view:
            raise HTTPError(404)
        self.answer(view)


class _Lesson(_Handler):
    async def get(self) -> None:
        asked = (self.get_query_argument("lesson"), self.get_query_argument("section"))
        text = await asyncio.to_thread(lesson_part.html_of, *asked)
        if not text:
            raise HTTPError(404)
        self.set_header("Content-Security-Policy", LESSON_POLICY)
        self.finish(text)


class _Figure(_Handler):
    def get(self, name: str) -> None:
        found = lesson_part.figure(name)
        if found is None:
            raise HTTPError(404)
        self.set_header("Content-Type", "image/svg+xml")
        self.set_header("Content-Security-Policy", LESSON_POLICY)
        self.finish(found)


class _Picture(_Handler):
    async def get(self) -> None:
        asked = (self.get_query_argument("learner"), self.get_query_argument("lab"))
        places = self.pages.places.pop(asked, None) or Places()
        self.pages.places[asked] = places
        while len(self.pages.places) > BEHIND:
            del self.pages.places[next(iter(self.pages.places))]
        async with self.pages.drawing:
            try:
                view = await asyncio.to_thread(picture_view, self.pages.live, *asked, places)
            except Problem:
                view = None
        if not view:
            raise HTTPError(404)
        self.answer(view)


class _HandDown(_Handler):
    async def post(self) -> None:
        """Take one hand down: the page names it by its uid. Another page's script cannot ask for it."""
        if self.request.headers.get("Origin") != f"http://{self.request.host}":
            raise HTTPError(403)
        try:
            uid = json.loads(self.request.body)["uid"]
        except (ValueError, KeyError, TypeError):
            raise HTTPError(400) from None
        hand = next((one for one in self.pages.live.hands() if one.uid == uid), None)
        if hand:
            try:
                await asyncio.to_thread(take_down_as_teacher, self.pages.live.api, hand)
            except Problem as error:
                return self.answer({"why": str(error)})
        self.answer({"why": ""})


def application(pages: Pages, token: str, port: int) -> Application:
    """All that is served. port: on which."""
    known = {"pages": pages, "token": token, "port": port}
    names = "|".join(name.replace(".", r"\.") for name in FILES)
    handlers: list[Any] = [
        (r"/", _Page, known),
        (rf"/({names})", _File, known),
        (r"/events", _Events, known),
        (r"/panel", _Panel, known),
        (r"/lesson", _Lesson, known),
        (lesson_part.FIGURES, _Figure, known),
        (r"/picture", _Picture, known),
        (r"/hand-down", _HandDown, known),
    ]
    return Application(
        handlers,
        default_handler_class=_Nothing,
        default_handler_args=known,
        log_function=lambda handler: None,
    )


async def serve(api: Api, record: Record, roster: Iterable[Enrolled], port: int, is_up: Callable[[str], None]) -> None:
    """Serve the page of a class until Ctrl-C. is_up: called with the page's address as soon as it can be opened.

    port: the first one that is tried. Raises Problem where none is free. Nothing is left when it returns.
    """
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, ended.set)
    pages: Pages

    def changed() -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(pages.changed)

    live = LiveClass(api, record, changed)
    pages = Pages(live, roster)
    sockets, port = _listening(port)
    token = secrets.token_urlsafe(32)
    server = HTTPServer(application(pages, token, port))
    server.add_sockets(sockets)
    live.start()
    following = asyncio.create_task(pages.follow())
    following.add_done_callback(lambda done: ended.set())  # a fault of the course: it is raised below
    try:
        is_up(f"http://127.0.0.1:{port}/?token={token}")
        await ended.wait()
    finally:
        server.stop()
        await server.close_all_connections()
        following.cancel()
        await asyncio.to_thread(live.stop)
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)
        with suppress(asyncio.CancelledError):
            await following


def _listening(first: int) -> tuple[list[Any], int]:
    for port in range(first, first + 50):
        with suppress(OSError):
            return bind_sockets(port, "127.0.0.1"), port
    raise problem("no-free-port", first=first, last=first + 49)
