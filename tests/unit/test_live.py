"""Watching and live verdicts, against an API server of our own that lists, streams, hangs up, and falls silent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from checker import live, recording
from checker.collect import watch as watching
from checker.collect.api import Api
from checker.collect.watch import Watch
from checker.grading.labs import load_lab
from checker.live import Live
from checker.model.kinds import ALWAYS
from checker.model.state import State
from checker.model.verdict import Result

from .fake_api_server import BREAK, END, Cluster, until
from .test_api import kubeconfig


@pytest.fixture
def watch(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    monkeypatch.setattr(watching, "BEAT", 0.1)
    monkeypatch.setattr(watching, "FIRST_PAUSE", 0.05)
    found = Watch(Api(kubeconfig(tmp_path / "config", cluster.url, "")), "learn", lambda: None)
    yield found
    found.stop()


def names(watch: Watch, kind: str = "Pod") -> list[str]:
    """The names that the watch knows; none while the kind could not be listed, as happens on a starved machine."""
    state = watch.state()
    return [found.name for found in state.everywhere(kind)] if state and kind not in state.unlisted else []


def watched(cluster: Cluster) -> bool:
    return len(cluster.watchers) == len(ALWAYS)


# -- watching --------------------------------------------------------------------------------------------------------


def test_objects_are_as_they_were_listed_and_then_as_the_events_say(cluster: Cluster, watch: Watch) -> None:
    cluster.put("pods", "b")
    watch.start()
    until(lambda: watched(cluster))
    assert names(watch) == ["b"]
    cluster.put("pods", "a", spec={"nodeName": "n1"})
    until(lambda: names(watch) == ["a", "b"])
    cluster.put("pods", "a", event="MODIFIED", spec={"nodeName": "n2"})
    until(lambda: watch.state().all("Pod")[0].spec == {"nodeName": "n2"})  # type: ignore[union-attr]
    cluster.put("pods", "b", event="DELETED")
    until(lambda: names(watch) == ["a"])


def test_nothing_is_known_before_every_kind_was_listed(cluster: Cluster, watch: Watch) -> None:
    cluster.awake.clear()
    watch.start()
    until(lambda: cluster.requests)
    assert watch.state() is None
    cluster.awake.set()
    until(lambda: (state := watch.state()) and state.unlisted == {})


def test_a_secrets_values_and_the_systems_objects_are_not_kept(cluster: Cluster, watch: Watch) -> None:
    cluster.put("secrets", "listed", data={"password": "c2VzYW1l"})
    watch.start()
    until(lambda: watched(cluster))
    cluster.put("secrets", "told", data={"password": "c2VzYW1l"})
    cluster.put("pods", "coredns", namespace="kube-system")
    cluster.put("pods", "mine")
    until(lambda: names(watch, "Secret") == ["listed", "told"] and names(watch) == ["mine"])
    assert "c2VzYW1l" not in json.dumps(watch._listed)


def test_a_version_that_is_gone_is_listed_anew(cluster: Cluster, watch: Watch) -> None:
    watch.start()
    until(lambda: watched(cluster))
    missed = {"metadata": {"name": "missed", "namespace": "learn", "uid": "missed", "resourceVersion": "90"}}
    cluster.objects["pods"] = {"missed": missed}
    cluster.send("pods", {"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}})
    until(lambda: names(watch) == ["missed"])
    assert watch.state().unlisted == {}  # type: ignore[union-attr]


def test_a_bookmark_only_moves_the_version(cluster: Cluster, watch: Watch) -> None:
    watch.start()
    until(lambda: watched(cluster))
    cluster.send("pods", {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "77"}}})
    cluster.send("pods", END)
    until(lambda: any("pods" in path and "resourceVersion=77" in path for path in cluster.requests))
    assert names(watch) == []


def test_what_may_not_be_listed_everywhere_is_listed_in_the_namespace(cluster: Cluster, watch: Watch) -> None:
    cluster.forbidden = {("pods", True), "nodes"}
    cluster.put("pods", "mine")
    watch.start()
    # On a starved machine, the first answer may be late, and that is the reason first.
    until(lambda: (state := watch.state()) and "forbidden" in str(state.unlisted.get("Node")))
    until(lambda: names(watch) == ["mine"])
    until(lambda: any("/namespaces/learn/pods?watch=1" in path for path in cluster.requests))


def test_a_server_that_falls_silent_is_said_to_be_away_and_is_back_by_itself(
    cluster: Cluster, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checker.collect.api.READ_TIMEOUT", 0.3)
    cluster.put("pods", "mine")
    watch.start()
    until(lambda: names(watch) == ["mine"])
    cluster.awake.clear()
    # What is asked here in a starved machine may be late as well: each of these is so in the end.
    until(lambda: (state := watch.state()) and "Pod" in state.unlisted and state.objects == {})
    cluster.awake.set()
    until(lambda: (state := watch.state()) and not state.unlisted and names(watch) == ["mine"])


def test_connections_that_break_are_made_again(cluster: Cluster, watch: Watch) -> None:
    watch.start()
    until(lambda: watched(cluster))
    cluster.send("*", BREAK)
    until(lambda: watched(cluster))
    cluster.put("pods", "later")
    until(lambda: names(watch) == ["later"])


def test_a_cluster_that_is_deleted_and_made_anew_is_watched_at_its_new_address(
    cluster: Cluster, watch: Watch, tmp_path: Path
) -> None:
    cluster.put("pods", "old")
    watch.start()
    until(lambda: names(watch) == ["old"])
    (tmp_path / "config").unlink()
    with Cluster() as another:
        another.put("pods", "new")
        kubeconfig(tmp_path / "config", another.url, "")
        until(lambda: names(watch) == ["new"])
        watch.stop()
        another.send("*", BREAK)
        another.shutdown()


def test_a_stopped_watch_leaves_no_thread_and_can_be_stopped_twice(cluster: Cluster, watch: Watch) -> None:
    watch.start()
    until(lambda: watched(cluster))
    watch.stop()
    watch.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "watch"]


# -- live verdicts ---------------------------------------------------------------------------------------------------

LAB = load_lab("07")


def recorded(name: str) -> State:
    return recording.load(LAB.folder / "recorded" / f"{name}.json")[0]


class Place:
    """A place whose State is what the test says."""

    namespace = "learn"

    def __init__(self) -> None:
        self.now, self.looks, self.slow = recorded("setup"), 0, 0.0
        self.changed: Callable[[], None] = lambda: None

    def watch(self, lab: Any, changed: Callable[[], None]) -> Any:
        self.changed = changed
        return SimpleNamespace(start=changed, stop=lambda: None, state=lambda: self.now)

    def look(self, lab: Any, listed: State) -> State:
        time.sleep(self.slow)
        self.looks += 1
        return listed


@pytest.fixture
def place() -> Place:
    return Place()


def following(place: Place, results: list[Result]) -> Live:
    return Live(SimpleNamespace(lab=LAB, environment=place), results.append)  # type: ignore[arg-type]


def test_a_result_is_told_when_it_changes_and_only_then(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.now = recorded("solution")
    results: list[Result] = []
    with following(place, results):
        until(lambda: place.looks == 1 and results)
        place.changed()  # something that changes no verdict
        until(lambda: place.looks >= 2)
        time.sleep(0.2)
        assert [result.passed for result in results] == [True]
        place.now = recorded("setup")
        place.changed()
        until(lambda: len(results) == 2)
        assert not results[-1].passed


def test_what_the_objects_show_is_told_before_anything_was_observed(place: Place) -> None:
    place.now = recorded("solution")
    results: list[Result] = []
    with following(place, results):
        until(lambda: results)
        place.now, place.slow = recorded("setup"), 4.0
        place.now.observations.clear()
        place.changed()
        until(lambda: len(results) > 1, 3.5)
        assert results[1].tasks[0].verdict == "failed"


def test_a_burst_of_changes_is_one_look_and_quiet_is_none(place: Place) -> None:
    place.now = recorded("solution")
    with following(place, []):
        until(lambda: place.looks == 1)
        for _ in range(50):
            place.changed()
        until(lambda: place.looks >= 2)
        time.sleep(0.5)
        assert place.looks < 10


def test_what_waits_for_a_change_in_progress_is_looked_at_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PAUSE", 0.05)
    monkeypatch.setattr(live, "_pending", lambda result: (True,))
    with following(place, []):
        until(lambda: place.looks >= 3)


def test_closing_ends_the_thread(place: Place) -> None:
    with following(place, []):
        until(lambda: place.looks)
    assert not [thread for thread in threading.enumerate() if thread.name == "live"]


def test_an_end_that_comes_while_a_change_is_taken_note_of_is_not_missed(place: Place) -> None:
    live_ = following(place, [])

    class EndedMeanwhile(threading.Event):
        def clear(self) -> None:
            live_._ended.set()
            self.set()
            super().clear()

    live_._changed = EndedMeanwhile()
    live_._changed.set()
    live_._thread.start()
    live_._thread.join(5)
    assert not live_._thread.is_alive()


def test_what_is_as_before_is_told_again_when_that_is_asked_for(place: Place) -> None:
    place.now = recorded("solution")
    results: list[Result] = []
    with following(place, results) as live_:
        until(lambda: place.looks == 1 and results)
        live_.again()
        until(lambda: len(results) == 2)
        assert results[0] == results[1]
