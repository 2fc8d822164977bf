"""One command at a time makes or removes a class: the Lease, who waits for it, and what the others are told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checker.classroom import lock
from checker.classroom.lock import Holder, locked, require_free
from checker.collect.api import ApiError
from cluster import Problem

PATH = "/apis/coordination.k8s.io/v1/namespaces/kubeclass/leases/kubeclass-class-t"
NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)


class Leases:
    """An API server that holds one Lease, as far as its versions and preconditions are concerned."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.now, self.version, self.mutex = NOW, 0, threading.Lock()
        self.has_namespace = True
        self.renewed: list[str] = []

    def get(self, path: str) -> Any:
        assert path == "/version"
        return {}

    def request(self, method: str, path: str, body: Any = None, read_timeout: float = 0) -> bytes:
        with self.mutex:
            if not self.has_namespace:
                raise ApiError(404, 'namespaces "kubeclass" not found')
            if method == "POST":
                assert path == PATH.rpartition("/")[0]
                if self.lease:
                    raise ApiError(409, "there already")
                return self._keep(body)
            assert path == PATH
            if not self.lease:
                raise ApiError(404, "not found")
            metadata = self.lease["metadata"]
            if method == "GET":
                return json.dumps(self.lease).encode()
            if method == "PUT":
                if body["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
                    raise ApiError(409, "the object has been modified")
                self.renewed.append(body["spec"]["renewTime"])
                return self._keep(body)
            if any(metadata[key] != value for key, value in body["preconditions"].items()):
                raise ApiError(409, "precondition failed")
            self.lease = None
            return b"{}"

    def _keep(self, body: dict[str, Any]) -> bytes:
        self.version += 1
        metadata = {"uid": f"u{self.version}", **body["metadata"], "resourceVersion": str(self.version)}
        self.lease = {**body, "metadata": metadata}
        return json.dumps(self.lease).encode()


def nobody(holder: Holder) -> None:
    raise AssertionError(f"waits for {holder}")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(lock, "PAUSE", 0.01)
    monkeypatch.setattr(lock, "_user", lambda: "ann@desk")
    yield Leases()


def test_the_lease_is_there_as_long_as_the_command_works(api: Any) -> None:
    with locked(api, "t", "create", nobody) as require:
        require()
        spec = api.lease["spec"]
        assert spec["holderIdentity"].startswith("ann@desk/") and spec["leaseDurationSeconds"] == 60
        assert spec["acquireTime"] == spec["renewTime"] == "2026-12-01T09:00:00.000000Z"
    assert api.lease is None
    with pytest.raises(ZeroDivisionError), locked(api, "t", "create", nobody):
        raise ZeroDivisionError
    assert api.lease is None


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("remove", "create", "The class t is being removed by ann@desk, since 09:00:00 UTC."),
        ("remove", "remove", "The class t is being removed by ann@desk, since 09:00:00 UTC."),
        ("create", "remove", "The class t is being made by ann@desk, since 09:00:00 UTC."),
    ],
)
def test_the_second_command_is_told_who_is_at_work_since_when_and_what_to_do(
    api: Any, first: str, second: str, said: str
) -> None:
    waits_for = ("create",) if second == "create" else ()
    with locked(api, "t", first, nobody):
        for act in (lambda: require_free(api, "t", second, waits_for), lambda: _hold(api, second, waits_for)):
            with pytest.raises(Problem) as found:
                act()
            assert found.value.what == said
            assert f"run this command again: kubeclass class {second} t" in found.value.next_step
        assert api.lease  # the first one's
    require_free(api, "t", second)
    _hold(api, second, waits_for)


def _hold(api: Any, doing: str, waits_for: tuple[str, ...]) -> None:
    with locked(api, "t", doing, nobody, waits_for):
        pass


def test_who_makes_a_class_that_is_being_made_waits_and_goes_on(api: Any) -> None:
    order, waited = [], []
    first_is_in = threading.Event()

    def first() -> None:
        with locked(api, "t", "create", nobody):
            first_is_in.set()
            time.sleep(0.2)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    assert first_is_in.wait(10)
    require_free(api, "t", "create", waits_for=("create",))
    with locked(api, "t", "create", waited.append, waits_for=("create",)):
        order.append("second")
    thread.join(10)
    assert order == ["first", "second"] and waited == [Holder("create", "ann@desk", NOW)]
    assert api.lease is None


def test_the_lease_of_a_command_that_was_killed_is_taken_over_after_a_minute(api: Any) -> None:
    killed = locked(api, "t", "remove", nobody)
    killed.__enter__()
    api.now = NOW + timedelta(seconds=59)
    with pytest.raises(Problem, match="is being removed"):
        _hold(api, "create", ())
    api.now = NOW + timedelta(seconds=61)
    require_free(api, "t", "create")
    _hold(api, "create", ())
    assert api.lease is None


def test_a_lease_is_renewed_and_who_lost_it_stops(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "RENEW", 0.01)
    with locked(api, "t", "create", nobody) as require:
        api.now = NOW + timedelta(seconds=30)
        _until(lambda: "2026-12-01T09:00:30.000000Z" in api.renewed)
        require()
        other = {**api.lease, "spec": {**api.lease["spec"], "holderIdentity": "bob@shelf/1"}}
        with api.mutex:
            api._keep(other)
        _until(lambda: not [one for one in threading.enumerate() if one.name == "lease"])
        with pytest.raises(Problem, match="Another command has begun to change the class"):
            require()
    assert api.lease["spec"]["holderIdentity"] == "bob@shelf/1"  # it is not deleted by who lost it


def _until(what: Any) -> None:
    end = time.monotonic() + 10
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_without_the_courses_namespace_there_is_nothing_to_wait_for(api: Any) -> None:
    api.has_namespace = False
    _hold(api, "remove", ())


def test_a_teacher_without_the_right_is_told(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> bytes:
        raise ApiError(403, 'cannot create resource "leases"')

    monkeypatch.setattr(api, "request", refuse)
    with pytest.raises(Problem, match="You do not have the right: cannot create"):
        _hold(api, "create", ())


def test_what_is_no_lease_of_ours_holds_nobody_up(api: Any) -> None:
    api._keep({"metadata": {"name": "kubeclass-class-t"}, "spec": {"holderIdentity": "x"}})
    _hold(api, "create", ())
    assert api.lease is None
