"""`kubeclass start` in a namespace that is terminating: the API server creates nothing there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from checker.authoring import cases
from checker.collect.api import ApiError
from checker.environments import namespace as environment_module
from checker.environments.namespace import NamespaceEnvironment
from checker.grading.labs import Case, load_lab
from checker.model.fault import Phrase
from checker.model.state import LAB, STARTED
from checker.session import Session
from cluster import Cluster, Problem

LEAVING = {
    "metadata": {
        "name": "learn",
        "labels": {LAB: "06"},
        "annotations": {STARTED: "2026-11-30T10:00:00Z"},
        "deletionTimestamp": "2026-11-30T11:00:00Z",
    }
}


class FakeApi:
    """An API server whose namespaces are terminating. asks: after so many questions about one, it is deleted."""

    def __init__(self, **asks: int) -> None:
        self.left = {name.replace("_", "-"): left for name, left in asks.items()}
        self.done: list[str] = []

    def get(self, path: str) -> dict[str, Any]:
        name = path.rpartition("/")[2]
        if name == "default":
            return {}
        if self.left.get(name, 0) > 0:
            self.left[name] -= 1
            return LEAVING
        raise ApiError(404, Phrase("why-http-status", {"status": 404}))

    def apply(self, path: str, manifest: dict[str, Any]) -> None:
        assert not any(self.left.values()), "the namespace is still terminating"
        self.done.append(path)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NamespaceEnvironment:
    """The environment of one's own cluster. It asks a FakeApi, and looks at nothing."""
    monkeypatch.setattr(environment_module, "Api", lambda cluster: FakeApi(learn=4))
    monkeypatch.setattr(environment_module, "kubectl", lambda *_, **__: "")
    monkeypatch.setattr("cluster.waiting.time.sleep", lambda seconds: None)
    place = NamespaceEnvironment("learn", own(tmp_path), tmp_path / "work")
    monkeypatch.setattr(place, "look", lambda lab: None)
    monkeypatch.setattr(place, "_require", lambda lab: None)
    return place


def own(folder: Path, kind: str = "own") -> Cluster:
    return Cluster("kubeclass", folder / "kubeconfig", "kind-kubeclass", "learn", kind)


def test_start_waits_until_the_namespace_is_deleted_and_makes_it_again(
    place: NamespaceEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    Session(load_lab("07"), environment=place, cluster=place.cluster).start(
        lambda other: pytest.fail("what lab 06 left is being deleted, so nobody is asked")
    )
    assert place.api.done == ["/api/v1/namespaces/learn"]
    told = capsys.readouterr().err
    assert told.count("Waiting until the terminating namespace learn is deleted") == 2, "at the begin and at the end"


def test_start_waits_for_the_further_namespaces_of_a_lab(place: NamespaceEnvironment) -> None:
    place.api = FakeApi(learn_data=3)
    place.prepare(load_lab("08"))
    assert {path.rpartition("/")[2] for path in place.api.done} == {"learn", "learn-data"}


def test_a_reset_waits_too(place: NamespaceEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checker.collect.observer.forget", lambda *_: None)
    place.reset(load_lab("06"))
    assert place.api.done == ["/api/v1/namespaces/learn"]


def test_a_namespace_that_is_not_deleted_in_time_is_told(place: NamespaceEnvironment) -> None:
    place.api = FakeApi(learn=1000)
    with pytest.raises(Problem, match="Lab 07 was not started: namespace learn is still terminating") as end:
        place._await_deletion(load_lab("07"), timeout=0)
    assert "kubeclass explain --namespace learn" in end.value.next_step
    assert not place.api.done


def test_in_a_class_nobody_waits_for_a_namespace_that_only_the_teacher_can_make(
    place: NamespaceEnvironment, tmp_path: Path
) -> None:
    place.cluster = own(tmp_path, "class")
    with pytest.raises(Problem, match="you may not make namespaces here") as end:
        place.prepare(load_lab("07"))
    assert "teacher" in end.value.next_step


def test_a_case_waits_for_what_an_earlier_run_of_it_left(
    place: NamespaceEnvironment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Namespace learn-other, which some scripts make, belongs to no lab. So `start` does not know it."""
    typed: list[tuple[str, ...]] = []
    monkeypatch.setattr(cases, "kubectl", lambda cluster, *words, **_: typed.append(words))
    monkeypatch.setattr(cases, "current", lambda: place.cluster)
    session = Session(load_lab("07"), environment=place, cluster=place.cluster)
    monkeypatch.setattr(session, "make", lambda kind, case: typed.append((kind,)))
    monkeypatch.setattr(session, "checked", lambda wait: None)
    cases.bring_about(session, "mistakes", Case(title="", make="true"))
    assert [words[:3] for words in typed] == [("wait", "--for=delete", "namespace/learn-other"), ("mistakes",)]
    assert place.api.done
