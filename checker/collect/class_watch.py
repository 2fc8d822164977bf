"""Watching a whole class: one LIST and one WATCH of each kind for all its learners, with the teacher's rights."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx

from checker.collect.api import Api, ApiError
from checker.collect.big_answers import reading_big_answers
from checker.collect.marks import HAND
from checker.collect.watch import Watch
from checker.model.fault import Phrase, Reason
from checker.model.kinds import KINDS, SYSTEM_NAMESPACES, Kind
from checker.model.state import CLASS

Raw = dict[str, Any]
# Parts of an object that change although nobody has changed the object.
_MARKS_OF_A_WRITE = ("resourceVersion", "managedFields")
BY_STATUS = "why-http-status"  # the API server answered, with a status and without a message
# Bytes of an object, as JSON, that are kept. The class's admission policies and this bound keep a learner from filling
# the memory of the teacher's page (checker/classroom/walls.py).
LARGEST = 128 * 1024
_TOO_LARGE = "kubeclass.dev/too-large"  # beside the metadata of an object of which nothing else is kept
_HEARTBEATS = ("lastHeartbeatTime", "lastUpdateTime")


class ClassWatch(Watch):
    """The objects of a class as they are now, by namespace, and those of the whole cluster (namespace "").

    Its namespaces are those whose names begin with the class's name and a hyphen; those of the class carry its label.
    """

    _list_timeout = 30.0  # seconds: a kind of five hundred learners is some megabytes

    def __init__(self, api: Api, name: str, changed: Callable[[str, str, bool], None], kinds: Iterable[str]) -> None:
        """changed: the watching thread calls it with the kind, the namespace, and whether somebody changed the object:
        more than its status, and neither an object of a controller nor a raised hand.

        The namespace is "" for an object of the whole cluster. Both are "" where a kind was listed, and where the API
        server went away or is back. It must return at once.
        """
        super().__init__(api, "", lambda: changed("", "", False), kinds)
        self._prefix, self._class, self._tell = f"{name}-", name, changed
        self._by_place: dict[tuple[str, str], dict[str, Raw]] = {}  # (kind, namespace): uid: object
        self._large: dict[str, tuple[str, str]] = {}  # uid: (namespace, "ConfigMap big")
        self._namespaces: dict[str, Raw] = {}  # never changed, only replaced: others may be reading it

    # -- for other threads -------------------------------------------------------------------------------------------

    @property
    def is_complete(self) -> bool:
        """Whether each kind has been listed once, or cannot be listed."""
        with self._lock:
            return {*self._listed, *self._unlisted} >= {kind.name for kind in self._kinds}

    @property
    def away(self) -> Reason:
        """Why the API server cannot be asked at the moment; empty where it can.

        One that refuses a kind, or does not know it, can be asked. It says so in its own words, or by a status.
        """
        with self._lock:
            unanswered = (why for why in self._unlisted.values() if isinstance(why, Phrase) and why.id != BY_STATUS)
            return self._away or next(unanswered, "")

    @property
    def unlisted(self) -> dict[str, Reason]:
        """Why a kind cannot be listed or watched, by kind."""
        with self._lock:
            return dict(self._unlisted)

    @property
    def now(self) -> datetime:
        """By the API server's clock."""
        with self._lock:
            read, at = self._clock
        return read + timedelta(seconds=time.monotonic() - at)

    @property
    def namespaces(self) -> dict[str, Raw]:
        """Those of the class that are not terminating, by name; to be read only."""
        with self._lock:
            return self._namespaces

    def of(self, kind: str, namespace: str) -> list[Raw]:
        """The objects of a kind in a namespace, by name; to be read only."""
        with self._lock:
            found = [raw for raw in self._by_place.get((kind, namespace), {}).values() if not raw.get(_TOO_LARGE)]
        return sorted(found, key=lambda raw: str(raw["metadata"]["name"]))

    def too_large(self, namespaces: Iterable[str]) -> list[str]:
        """The objects in these namespaces that are larger than LARGEST: "ConfigMap big". `of` leaves them out."""
        wanted = set(namespaces)
        with self._lock:
            return sorted(name for namespace, name in self._large.values() if namespace in wanted)

    # -- the watching thread -----------------------------------------------------------------------------------------

    def _paths(self, kind: Kind) -> list[str]:
        if kind.name == "Namespace":
            return [f"{kind.path()}?labelSelector={quote(f'{CLASS}={self._class}')}"]
        if not kind.namespaced:
            return [kind.path()]
        not_system = ",".join(f"metadata.namespace!={name}" for name in SYSTEM_NAMESPACES)
        return [f"{kind.path()}?fieldSelector={not_system}"]

    def _content(self, answer: httpx.Response) -> Any:
        with reading_big_answers():
            return super()._content(answer)

    async def _read_namespaces(self, client: httpx.AsyncClient, kind: Kind) -> str:
        """Not here: a teacher may list the Namespaces of a class. Raises ApiError."""
        raise ApiError(403, (await client.get(self._paths(kind)[0])).text[:200])

    def _is_seen(self, kind: Kind, raw: Raw) -> bool:
        where = raw["metadata"].get("namespace") or (raw["metadata"]["name"] if kind.name == "Namespace" else "")
        if raw["metadata"]["name"] == HAND:  # nothing else of it is read, and a learner may have put anything into it
            _reduce(raw)
        is_seen = (not where or where.startswith(self._prefix)) and super()._is_seen(kind, raw)
        if is_seen and raw["metadata"].get("namespace") and len(json.dumps(raw, ensure_ascii=False)) > LARGEST:
            _reduce(raw)
            raw[_TOO_LARGE] = True
        return is_seen

    def _forget(self) -> None:
        super()._forget()
        with self._lock:
            self._by_place.clear()
            self._large.clear()
            self._namespaces = {}
        self._changed()

    def _on_listed(self, kind: Kind, before: dict[str, Raw], after: dict[str, Raw]) -> None:
        for uid in {*before, *after}:
            old, new = before.get(uid), after.get(uid)
            if not (old and new and _version(old) == _version(new)):
                self._on_change(kind, old, new)
        self._changed()  # where the kind holds nothing, nobody was told that it was listed

    def _on_change(self, kind: Kind, before: Raw | None, after: Raw | None) -> None:
        raw = after or before
        if raw is None:
            return
        metadata = raw["metadata"]
        where = metadata.get("namespace", "")
        with self._lock:
            place = self._by_place.setdefault((kind.name, where), {})
            self._large.pop(metadata["uid"], None)
            if after:
                place[metadata["uid"]] = after
                if after.get(_TOO_LARGE):
                    self._large[metadata["uid"]] = (where, f"{kind.name} {metadata['name']}")
            else:
                place.pop(metadata["uid"], None)
                if not place:
                    del self._by_place[kind.name, where]
            if kind.name == "Namespace":
                others = {name: one for name, one in self._namespaces.items() if name != metadata["name"]}
                is_there = after is not None and "deletionTimestamp" not in metadata
                self._namespaces = {**others, metadata["name"]: raw} if is_there else others
        if before and after and _without_heartbeats(before) == _without_heartbeats(after):
            return
        if kind.name == "Namespace":
            where = metadata["name"]
        is_no_work = bool(metadata.get("ownerReferences")) or metadata["name"] == HAND
        is_as_before = before is not None and after is not None and _substance(before) == _substance(after)
        self._tell(kind.name, where, not is_no_work and not is_as_before)


def all_kinds() -> tuple[str, ...]:
    """The kinds that are watched: all that a check or an explanation may read."""
    return tuple(KINDS)


def _reduce(raw: Raw) -> None:
    """Keep only what tells an object from others, and its times."""
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp")
    metadata = {key: raw["metadata"][key] for key in kept if key in raw["metadata"]}
    raw.clear()
    raw["metadata"] = metadata


def _version(raw: Raw) -> str:
    return str(raw["metadata"].get("resourceVersion", ""))


def _substance(raw: Raw) -> Raw:
    """An object without its status, and without the marks of each write."""
    metadata = {key: value for key, value in raw["metadata"].items() if key not in _MARKS_OF_A_WRITE}
    return {key: value for key, value in raw.items() if key != "status"} | {"metadata": metadata}


def _without_heartbeats(raw: Raw) -> Raw:
    """An object without the times at which a component said that nothing has changed, as the kubelet does of a node."""
    status = raw.get("status") or {}
    if not status.get("conditions"):
        return _substance(raw) | {"status": status}
    conditions = [{key: value for key, value in one.items() if key not in _HEARTBEATS} for one in status["conditions"]]
    return _substance(raw) | {"status": {**status, "conditions": conditions}}
