"""One command at a time makes or removes a class: a Lease on the class's cluster, in the course's own namespace.

The command that holds the Lease renews it. A Lease that was not renewed for SECONDS is of a command that was killed,
and another command takes it over. All times are the API server's, so clocks of machines may differ.
Source: https://kubernetes.io/docs/concepts/architecture/leases/
"""

from __future__ import annotations

import getpass
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

from checker.classroom.apply import SECONDS as REQUEST_SECONDS
from checker.classroom.apply import refused
from checker.classroom.names import OBSERVER, shared
from checker.collect.api import Api, ApiError
from checker.model.catalogue import problem
from checker.model.state import parse_time

Manifest = dict[str, Any]
SECONDS = 60  # after which a Lease that was not renewed is free
RENEW = 10.0  # seconds between two renewals
PAUSE = 2.0  # seconds between two looks at the Lease of another command
PATIENCE = 900.0  # seconds that a command waits for another one
DOING = "kubeclass.dev/doing"  # annotation of the Lease: `create` or `remove`


@dataclass(frozen=True)
class Holder:
    """A command that makes or removes the class. doing: `create` or `remove`. who: user@machine."""

    doing: str
    who: str
    since: datetime


class Lock:
    """The Lease, as long as this command holds it."""

    def __init__(self, api: Api, path: str, lease: Manifest) -> None:
        self._api, self._path, self._lease = api, path, lease
        self._ended = threading.Event()
        self._is_lost = False
        self._renewing = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._renewing.start()

    def require(self) -> None:
        """Raises Problem where another command has taken the Lease over, as after this machine was asleep."""
        if self._is_lost:
            raise problem("class-lock-lost")

    def release(self) -> None:
        """Delete the Lease, if it is still this command's. The command has done its work, so no error is told."""
        self._ended.set()
        self._renewing.join(REQUEST_SECONDS)
        metadata = self._lease["metadata"]
        body = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "preconditions": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]},
        }
        with suppress(ApiError):
            self._api.request("DELETE", self._path, body, REQUEST_SECONDS)

    def _renew(self) -> None:
        while not self._ended.wait(RENEW):
            try:
                spec = {**self._lease["spec"], "renewTime": _now(self._api)}
                self._lease = json.loads(
                    self._api.request("PUT", self._path, {**self._lease, "spec": spec}, REQUEST_SECONDS)
                )
            except ApiError as error:
                if error.status in (404, 409):
                    self._is_lost = True
                    return


@contextmanager
def locked(
    api: Api, name: str, doing: str, waiting: Callable[[Holder], None], waits_for: tuple[str, ...] = ()
) -> Iterator[Callable[[], None]]:
    """Hold the Lease of a class in this block. It gets a function that raises Problem where the Lease was lost.

    doing: `create` or `remove`. waits_for: what of another command is waited for; waiting: called before that.
    Where the course's namespace is not on the cluster, there is no Lease, and nothing waits.
    Raises Problem where another command holds the Lease, where the API server refuses, and after PATIENCE.
    """
    identity = f"{_user()}/{token_hex(4)}"
    deadline, is_told = time.monotonic() + PATIENCE, False
    while True:
        try:
            lease = _taken(api, name, doing, identity)
        except ApiError as error:
            if error.status == 404:
                yield lambda: None
                return
            raise refused(error, "Lease") from None
        if not isinstance(lease, Holder):
            break
        if lease.doing not in waits_for or time.monotonic() > deadline:
            raise _held(name, doing, lease)
        if not is_told:
            waiting(lease)
            is_told = True
        time.sleep(PAUSE)
    lock = Lock(api, _path(name), lease)
    try:
        yield lock.require
    finally:
        lock.release()


def require_free(api: Api, name: str, doing: str, waits_for: tuple[str, ...] = ()) -> None:
    """Raises Problem where another command holds the Lease, and this one would not wait for it."""
    try:
        found = json.loads(api.request("GET", _path(name), read_timeout=REQUEST_SECONDS))
    except ApiError:
        return  # there is none; and what else is wrong is told when the Lease is taken
    holder = _holder(found, api.now)
    if holder and holder.doing not in waits_for:
        raise _held(name, doing, holder)


def _path(name: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{OBSERVER}/leases/{shared(name)}"


def _taken(api: Api, name: str, doing: str, identity: str) -> Manifest | Holder:
    """The Lease, which is this command's now; or who holds it. Raises ApiError."""
    one = _path(name)
    now = _now(api)
    wanted: Manifest = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": shared(name), "namespace": OBSERVER, "annotations": {DOING: doing}},
        "spec": {
            "holderIdentity": identity,
            "leaseDurationSeconds": SECONDS,
            "acquireTime": now,
            "renewTime": now,
        },
    }
    while True:
        try:
            made: Manifest = json.loads(api.request("POST", one.rpartition("/")[0], wanted, REQUEST_SECONDS))
            return made
        except ApiError as error:
            if error.status != 409:
                raise
        try:
            found = json.loads(api.request("GET", one, read_timeout=REQUEST_SECONDS))
            if holder := _holder(found, api.now):
                return holder
            version = found["metadata"]["resourceVersion"]
            metadata = {**wanted["metadata"], "resourceVersion": version}
            made = json.loads(api.request("PUT", one, {**wanted, "metadata": metadata}, REQUEST_SECONDS))
            return made
        except ApiError as error:
            if error.status not in (404, 409):  # it was released, or another command was faster: look again
                raise


def _holder(lease: Manifest, now: datetime) -> Holder | None:
    """Who holds a Lease; None where it was not renewed in time."""
    spec = lease.get("spec") or {}
    try:
        renewed, since = parse_time(spec["renewTime"]), parse_time(spec["acquireTime"])
        seconds = timedelta(seconds=int(spec["leaseDurationSeconds"]))
        who = str(spec["holderIdentity"]).partition("/")[0]
    except (KeyError, TypeError, ValueError):
        return None
    doing = (lease["metadata"].get("annotations") or {}).get(DOING, "")
    return Holder(str(doing), who, since) if renewed + seconds > now else None


def _held(name: str, doing: str, holder: Holder) -> Exception:
    sentence = "class-being-removed" if holder.doing == "remove" else "class-being-made"
    since = f"{holder.since.astimezone(UTC):%H:%M:%S UTC}"
    return problem(sentence, name=name, who=holder.who, since=since, command=f"kubeclass class {doing}")


def _user() -> str:
    """Who runs this command, and where."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = "?"
    return f"{user}@{socket.gethostname()}"


def _now(api: Api) -> str:
    """The API server's time, as it is now, in RFC 3339 with microseconds. Raises ApiError."""
    api.get("/version")
    return api.now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
