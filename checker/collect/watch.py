"""Watching: what a lab looks at, kept up to date by one LIST and one WATCH for each kind, all from one thread.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from checker.collect.api import CONNECT_TIMEOUT, READ_TIMEOUT, Api, ApiError, no_answer, status_message, unreachable
from checker.collect.collect import request_of, visible
from checker.collect.kubeconfig import Access
from checker.collect.refused import is_turned_away, problem_of
from checker.model.fault import Phrase, Reason, reason_of
from checker.model.kinds import ALWAYS, KINDS, Kind
from checker.model.state import State, visible_objects

if TYPE_CHECKING:
    import httpx

BEAT = 5.0  # seconds between two questions whether the API server is there
SILENCE = 150.0  # seconds without a word (a bookmark comes about every minute) after which a watch is taken for dead
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0  # seconds before a kind is listed again after something went wrong


class _MadeAnew(Exception):
    """The cluster was deleted, and another one of its name was made."""


class _NewCredentials(Exception):
    """A client's certificate has ended, and there is another one."""


class Watch:
    """The objects that a lab may look at, as they are now.

    A Watch begins with `start`, and ends with `stop` or with the process.
    """

    _list_timeout = READ_TIMEOUT  # seconds for a LIST

    def __init__(
        self,
        api: Api,
        namespace: str,
        changed: Callable[[], None],
        kinds: Iterable[str] = ALWAYS,
        further: Iterable[str] = (),
    ) -> None:
        """kinds: what is watched. further: namespaces that are watched beside this one, where the rights of this user
        do not reach all of them.

        changed: the watching thread calls it whenever an object has changed. It must return at once.
        """
        self._api, self._namespace, self._changed = api, namespace, changed
        self._kinds = [KINDS[name] for name in kinds]
        self._further = tuple(further)
        self._only_here: set[str] = set()  # kinds that may be listed in the namespace only
        self._beside: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}  # (kind, further namespace): uid: object
        self._hidden: dict[str, Reason] = {}  # further namespace: why a kind cannot be listed there
        self._forbidden: set[str] = set()
        self._listed: dict[str, dict[str, dict[str, Any]]] = {}  # kind: uid: object
        self._unlisted: dict[str, Reason] = {}  # kind: why it cannot be listed or watched at the moment
        self._away: Reason = ""  # why the API server cannot be asked at all
        self._clock = (api.now, time.monotonic())  # the API server's clock, and when it was read
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread and its connections. Twice is safe."""
        with suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._stop)
        if self._thread.is_alive():
            self._thread.join(READ_TIMEOUT)

    def state(self) -> State | None:
        """The objects as they are now; None as long as not every kind has been listed once."""
        with self._lock:
            known = {*self._listed, *self._unlisted}
            unlisted = dict.fromkeys(KINDS, self._away) if self._away else dict(self._unlisted)
            listed = {name: list(raws.values()) for name, raws in self._listed.items() if name not in unlisted}
            awaited = {(name, other) for name in self._only_here if _is_beside(KINDS[name]) for other in self._further}
            beside = {place: list(raws.values()) for place, raws in self._beside.items() if place in awaited}
            hidden = dict(self._hidden)
            read, at = self._clock
            only_here, forbidden = frozenset(self._only_here), frozenset(self._forbidden & unlisted.keys())
        if not self._away and (len(known) < len(self._kinds) or any(place not in beside for place in awaited)):
            return None
        for (name, _), raws in beside.items():
            if name in listed:
                listed[name] += raws
        for raws in listed.values():
            raws.sort(key=lambda raw: (raw["metadata"].get("namespace", ""), raw["metadata"]["name"]))
        request = request_of((kind.name for kind in self._kinds), only_here, self._further, hidden)
        now = read + timedelta(seconds=time.monotonic() - at)
        seen = visible(listed, unlisted | hidden, self._namespace)
        return State(self._namespace, now, *seen, request=request, forbidden=forbidden)

    # -- the watching thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(self._watch_all())
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # a fault of the course: no verdict is better than one on what was
            self._away = Phrase("why-watch-ended", {"error": repr(error)})
            self._changed()
            raise
        finally:
            self._loop.close()

    def _stop(self) -> None:
        self._task.cancel()

    async def _watch_all(self) -> None:
        while True:
            edition = self._api.edition()
            try:
                async with self._api.streaming() as client, asyncio.TaskGroup() as group:
                    for kind in self._kinds:
                        group.create_task(self._follow(client, kind))
                        for other in self._further if _is_beside(kind) else ():
                            group.create_task(self._follow_beside(client, kind, other))
                    group.create_task(self._beat(client, edition, self._api.access))
            except* _MadeAnew:
                self._forget()
            except* _NewCredentials:
                pass  # the next client shows them

    def _forget(self) -> None:
        """Nothing of the old cluster is true of the new one."""
        with self._lock:
            for known in (self._listed, self._unlisted, self._beside, self._hidden):
                known.clear()

    async def _follow(self, client: httpx.AsyncClient, kind: Kind) -> None:
        """List a kind and watch it, again and again."""
        import httpx

        pause = FIRST_PAUSE
        while True:
            try:
                access = self._api.access
                path, version = await self._list(client, kind)
                while version:
                    version = await self._read_changes(client, kind, path, version, self._listed[kind.name])
                    pause = FIRST_PAUSE
                    await asyncio.sleep(FIRST_PAUSE)
            except ApiError as error:
                with self._lock:
                    (self._forbidden.add if error.status == 403 else self._forbidden.discard)(kind.name)
                self._report_unlisted(kind, await self._why(kind, error, access))
            except (httpx.HTTPError, ValueError, KeyError) as error:
                self._report_unlisted(kind, unreachable(self._api.server, type(error).__name__))
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # not all kinds at the same moment
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _why(self, kind: Kind, error: ApiError, access: Access) -> Reason:
        """What to say of an error. Where credentials were refused that may be others now, those are asked for."""
        if error.status == 401:
            try:
                await asyncio.to_thread(self._api.renewed, access)
            except ApiError as failed:
                return failed.why
        if is_turned_away(self._api.cluster, self._namespace, kind.name, error):
            return reason_of(problem_of(error, self._api.cluster))
        return error.why

    async def _follow_beside(self, client: httpx.AsyncClient, kind: Kind, namespace: str) -> None:
        """List and watch a kind in a further namespace, as long as it may not be listed in all."""
        import httpx

        path, place, pause = kind.path(namespace), (kind.name, namespace), FIRST_PAUSE
        while True:
            try:
                while kind.name in self._only_here:
                    version = await self._list_beside(client, kind, namespace)
                    while version and kind.name in self._only_here:
                        version = await self._read_changes(client, kind, path, version, self._beside[place])
                        pause = FIRST_PAUSE
                        await asyncio.sleep(FIRST_PAUSE)
            except ApiError as error:
                with self._lock:
                    self._hidden[namespace] = error.why
                    self._beside.setdefault(place, {})
                self._changed()
            except (httpx.HTTPError, ValueError, KeyError):
                pass  # the kind itself says that the API server does not answer
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, LONGEST_PAUSE) if kind.name in self._only_here else FIRST_PAUSE

    async def _list_beside(self, client: httpx.AsyncClient, kind: Kind, namespace: str) -> str:
        """List a kind in a further namespace. Returns the version of what it held."""
        listed = _json_of(await client.get(kind.path(namespace)))
        with self._lock:
            self._hidden.pop(namespace, None)
            self._beside[kind.name, namespace] = {
                raw["metadata"]["uid"]: raw for raw in listed["items"] if self._is_seen(kind, raw)
            }
        self._changed()
        version: str = listed["metadata"]["resourceVersion"]
        return version

    async def _list(self, client: httpx.AsyncClient, kind: Kind) -> tuple[str, str]:
        """The path that may be listed, and the version of what it held; no version where it cannot be watched."""
        import httpx

        *others, last = self._paths(kind)
        for path in (*others, last):
            answer = await client.get(path, timeout=httpx.Timeout(self._list_timeout, connect=CONNECT_TIMEOUT))
            if answer.status_code != 403 or path == last:
                break
        if answer.status_code == 403 and kind.name == "Namespace":
            return path, await self._read_namespaces(client, kind)
        listed = self._content(answer)
        with self._lock:
            before = self._listed.get(kind.name, {})
            after = {raw["metadata"]["uid"]: raw for raw in listed["items"] if self._is_seen(kind, raw)}
            self._listed[kind.name] = after
            self._unlisted.pop(kind.name, None)
            self._forbidden.discard(kind.name)
            (self._only_here.add if kind.namespaced and path == last else self._only_here.discard)(kind.name)
        self._read_clock(answer)
        self._on_listed(kind, before, after)
        return path, listed["metadata"]["resourceVersion"]

    async def _read_namespaces(self, client: httpx.AsyncClient, kind: Kind) -> str:
        """Read the Namespaces of this user one by one, who may not list them all. Returns no version: see _list."""
        answers = [await client.get(f"{kind.path()}/{name}") for name in (self._namespace, *self._further)]
        found = [_json_of(answers[0]), *(answer.json() for answer in answers[1:] if answer.status_code == 200)]
        with self._lock:
            self._listed[kind.name] = {raw["metadata"]["uid"]: raw for raw in found}
            self._unlisted.pop(kind.name, None)
            self._forbidden.discard(kind.name)
            self._only_here.add(kind.name)
        self._read_clock(answers[0])
        self._changed()
        return ""

    async def _read_changes(
        self, client: httpx.AsyncClient, kind: Kind, path: str, version: str, known: dict[str, dict[str, Any]]
    ) -> str:
        """Follow the changes since a resource version. known: the listed objects by uid, which are kept up to date.

        Returns the version from which to continue; empty where the API server no longer knows the changes since then.
        """
        import httpx

        url = f"{path}{'&' if '?' in path else '?'}watch=1&allowWatchBookmarks=true&resourceVersion={version}"
        patient = httpx.Timeout(SILENCE, connect=CONNECT_TIMEOUT)
        async with client.stream("GET", url, timeout=patient) as answer:
            if answer.status_code == 410:
                return ""
            if answer.status_code != 200:
                raise ApiError(answer.status_code, status_message(await answer.aread(), answer.status_code))
            async for line in answer.aiter_lines():
                event = json.loads(line)
                raw = event["object"]
                if event["type"] == "ERROR":
                    if raw.get("code") == 410:  # Gone
                        return ""
                    raise ApiError(raw.get("code", 0), raw.get("message", ""))
                version = raw["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK" and self._is_seen(kind, raw):
                    self._note(kind, known, raw, event["type"] == "DELETED")
        return version

    async def _beat(self, client: httpx.AsyncClient, edition: tuple[int, int], access: Access) -> None:
        """Notice an API server that neither says anything nor hangs up, and read its clock.

        Raises _MadeAnew, and _NewCredentials.
        """
        import httpx

        while True:
            away: Reason = ""
            try:
                self._read_clock(await client.get("/version"))
            except (httpx.HTTPError, ApiError):
                away = no_answer(self._api.server, READ_TIMEOUT)
            with self._lock:
                was, self._away = self._away, away
            if was != away:
                self._changed()
            await asyncio.sleep(BEAT)
            if self._api.edition() not in ((0, 0), edition):
                raise _MadeAnew
            if self._api.access.tls is not access.tls:
                raise _NewCredentials

    def _content(self, answer: httpx.Response) -> Any:
        """The JSON of a list. Raises ApiError for any status but 200."""
        return _json_of(answer)

    def _paths(self, kind: Kind) -> list[str]:
        """The paths by which a kind is listed, the first choice first."""
        return kind.paths(self._namespace)

    def _is_seen(self, kind: Kind, raw: dict[str, Any]) -> bool:
        """Whether an object may go into a State at all. What must not be kept of it, a Secret's values, goes here."""
        return bool(list(visible_objects(kind.name, [raw], self._namespace, set())))

    def _note(self, kind: Kind, known: dict[str, dict[str, Any]], raw: dict[str, Any], deleted: bool) -> None:
        uid = raw["metadata"]["uid"]
        with self._lock:
            before = known.pop(uid, None)
            if not deleted:
                known[uid] = raw
        self._on_change(kind, before, None if deleted else raw)

    def _on_listed(self, kind: Kind, before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> None:
        """A kind was listed. before, after: what was known of it, and what is, by uid."""
        self._changed()

    def _on_change(self, kind: Kind, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
        """An object has changed. before, after: None where there was none, and where there is none any more."""
        self._changed()

    def _report_unlisted(self, kind: Kind, why: Reason) -> None:
        with self._lock:
            known = self._unlisted.get(kind.name)
            self._unlisted[kind.name] = why
        if known != why:
            self._changed()

    def _read_clock(self, answer: httpx.Response) -> None:
        if "Date" in answer.headers:
            with self._lock:
                self._clock = (parsedate_to_datetime(answer.headers["Date"]), time.monotonic())


def _is_beside(kind: Kind) -> bool:
    """Whether a kind is watched in further namespaces, too. Events are those of the namespace alone."""
    return kind.namespaced and kind.name != "Event"


def _json_of(answer: httpx.Response) -> Any:
    """The JSON of an answer. Raises ApiError for any status but 200."""
    if answer.status_code != 200:
        raise ApiError(answer.status_code, status_message(answer.content, answer.status_code))
    return answer.json()
