"""What a State says about objects that are there, and about those that are not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from checker.grading.labs import load_lab
from checker.grading.observations import Http
from checker.model.answers import Answer, Answers
from checker.model.kinds import ALWAYS
from checker.model.state import REACH, Redacted, Request, visible_objects
from checker.model.verdict import Failed, Unknown
from checker.sdk import State

from .objects import deployment, obj, pod, replica_set, service, slice_of, state

ABSENCES = {
    "nothing like it": ("object-missing", state()),
    "another name": ("wrong-name", state(deployment("guestbok"))),
    "another namespace": ("wrong-namespace", state(obj("Deployment", "guestbook", namespace="other"))),
    "a bare Pod": ("bare-pod", state(pod("guestbook"))),
    "another kind": ("wrong-kind", state(obj("StatefulSet", "guestbook"))),
    "a refused manifest": (
        "manifest-refused",
        state(refusals=[{"file": "a.yaml", "kind": "Deployment", "name": "guestbook", "message": "no"}]),
    ),
    "a malformed manifest": (
        "manifest-malformed",
        state(refusals=[{"file": "a.yaml", "kind": "", "name": "", "message": "it is not valid YAML"}]),
    ),
    "on its way out": (
        "object-being-deleted",
        state(obj("Deployment", "guestbook", metadata={"deletionTimestamp": "2026-01-01T11:59:59Z"})),
    ),
    "no namespace": ("namespace-missing", State("gone", state().now, state().objects)),
}


@pytest.mark.parametrize("cause, world", ABSENCES.values(), ids=list(ABSENCES))
def test_why_an_object_is_missing(cause: str, world: State) -> None:
    with pytest.raises(Failed) as end:
        world.require("Deployment", "guestbook")
    assert end.value.cause == cause


def test_a_wrong_name_asks_whether_it_was_meant() -> None:
    with pytest.raises(Failed, match=r"Deployment guestbok has a similar name. Did you mean guestbook\?") as end:
        state(deployment("guestbok")).require("Deployment", "guestbook")
    assert end.value.facts["near"] == "guestbok"


def test_where_to_look_names_another_namespace() -> None:
    world = state(obj("Namespace", "blue", namespace=""))
    with pytest.raises(Failed) as end:
        world.require("Deployment", "guestbook", "blue")
    assert end.value.words.look == "kubectl get deployments -n blue"
    with pytest.raises(Failed) as end:
        world.require_some("ResourceQuota", "", [], "blue")
    assert (end.value.words.expected, end.value.words.look) == ("a ResourceQuota", "kubectl get resourcequotas -n blue")
    with pytest.raises(Failed) as end:
        world.require("Deployment", "guestbook")
    assert end.value.words.look == "kubectl get deployments"


@pytest.mark.parametrize(
    "kind, plural", [("NetworkPolicy", "networkpolicies"), ("StorageClass", "storageclasses"), ("Ingress", "ingresses")]
)
def test_where_to_look_is_what_kubectl_calls_the_kind(kind: str, plural: str) -> None:
    with pytest.raises(Failed) as end:
        state().require(kind, "guestbook")
    assert end.value.words.look == f"kubectl get {plural}"
    with pytest.raises(Failed) as end:
        state().require_some(kind, "", [])
    assert end.value.words.look == f"kubectl get {plural}"


def test_what_is_there_instead_is_told_with_what_controllers_own() -> None:
    made = pod("web-1-a", owner=replica_set(deployment("web"), "web-1"))
    for there, observed in (
        ([], "none"),
        ([made], "none; owned by controllers: 1"),
        ([pod("clock")], "clock"),
        ([pod("clock"), made], "clock; owned by controllers: 1"),
    ):
        with pytest.raises(Failed) as end:
            state(*there).require("Pod", "guestbook")
        assert end.value.words.observed == f"Pod objects: {observed}"


def test_what_could_not_be_listed_is_unknown_and_never_missing() -> None:
    with pytest.raises(Unknown) as end:
        state(unlisted={"Deployment": "forbidden"}).require("Deployment", "guestbook")
    assert end.value.cause == "cannot-list"
    nobody = State("learn", state().now, unlisted={"Deployment": "no answer within 5 s"})
    with pytest.raises(Unknown) as end:
        nobody.require("Deployment", "guestbook")
    assert end.value.cause == "api-unreachable"


def test_an_owner_that_is_no_controller_owns_nothing() -> None:
    top = deployment()
    revision = obj("ReplicaSet", "guestbook-1", owner=top)
    real, forged = pod("guestbook-1-a", owner=revision, ip="10.244.1.2"), pod("guestbook-1-b", owner=revision)
    forged.metadata["ownerReferences"][0]["controller"] = False
    front = service()
    world = state(top, revision, real, forged, front, slice_of())
    assert world.pods_of(top) == [real]
    assert world.other_backends(front, top, {real.name, "nobody"}) == {forged.name, "nobody"}


def test_a_state_survives_json() -> None:
    world = state(deployment(), pod(), service(), logs={"a/b": "c"}, observations={"x": [1]})
    again = State.from_json(json.loads(json.dumps(world.to_json())))
    assert again.to_json() == world.to_json()
    assert again.require("Deployment", "guestbook").raw == deployment().raw


def test_a_log_is_text_or_empty_or_not_read() -> None:
    world = state(pod("a"), pod("b"), logs={"a/app": "bye"}, unread_logs={"c/app": "no answer within 5 s"})
    again = State.from_json(world.to_json())
    assert [again.log(name, "app") for name in ("a", "b")] == ["bye", ""]
    for name, container, why in (("c", "app", "no answer within 5 s"), ("a", "other", "")):
        assert again.log_if_read(name, container) is None
        with pytest.raises(Unknown) as end:
            again.log(name, container)
        assert (end.value.cause, end.value.fault.facts["why"]) == ("log-not-read", why)


@pytest.mark.parametrize("were_read", [True, False])
def test_a_recording_that_kept_only_logs_with_text_reads_as_before(were_read: bool) -> None:
    data = state(pod("a"), pod("b"), logs={"a/app": "bye"}).to_json()
    del data["unread_logs"], data["logs"]["b/app"]
    data["request"]["logs"] = were_read
    again = State.from_json(data)
    assert (again.log("a", "app"), again.log_if_read("b", "app")) == ("bye", "" if were_read else None)


def test_values_of_secrets_never_get_into_a_state() -> None:
    raw = obj("Secret", "password", data={"key": "c2VjcmV0"}).raw
    raw["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": '{"data": {"key": "c2VjcmV0"}}'
    }
    (seen,) = visible_objects("Secret", [raw], "learn", set())
    assert list(seen.raw["data"]) == ["key"]
    assert "c2VjcmV0" not in json.dumps(seen.raw)


def test_what_belongs_to_another_lab_is_not_looked_at() -> None:
    items = [obj("Service", "a", namespace=n).raw for n in ("learn", "own-second", "x")]
    assert [o.namespace for o in visible_objects("Service", items, "learn", {"x"})] == ["learn", "own-second"]


def test_every_ready_pod_is_asked_for_its_share() -> None:
    """20 requests leave one of six Pods out once in seven times; 20 for each of them, never in practice."""
    pods = [pod(f"guestbook-{n}", ready=n != 7) for n in range(1, 8)]
    seen = state(service(), *pods)
    assert Http("guestbook", times=20, per_pod=True).question(seen) == {
        "do": "http",
        "url": "http://guestbook.learn.svc.cluster.local.:80/",
        "times": 120,
    }
    assert Http("guestbook", times=20).question(seen)["times"] == 20  # type: ignore[index]


@pytest.mark.parametrize(
    "answer, pending",
    [(Answer(0, "", error="refused"), True), (Answer(0, "", error="reset"), False), (Answer(500, ""), False)],
)
def test_only_requests_that_never_arrived_are_given_time(answer: Answer, pending: bool) -> None:
    replica = pod()
    seen = state(service(), slice_of(), replica, observations={REACH: {"10.244.1.1:8080": "open"}})
    with pytest.raises(Failed) as failed:
        seen.require_answers(seen.require("Service", "guestbook"), Answers([Answer(200, "ok"), answer]))
    assert (failed.value.cause, failed.value.in_progress) == ("service-does-not-answer", pending)


def test_variables_are_put_into_those_behind_them() -> None:
    """https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/"""
    written = {
        "HOST": "redis",
        "URL": "$(HOST):$(PORT)",
        "PORT": "6379",
        "ALL": "$(HOST):$(PORT)",
        "ITSELF": "$$(HOST)",
    }
    given = {"name": "a", "env": [{"name": name, "value": value} for name, value in written.items()]}
    found = state().env(pod(), given)
    assert (found["URL"], found["ALL"], found["ITSELF"]) == ("redis:$(PORT)", "redis:6379", "$(HOST)")


def test_what_is_not_known_of_a_variable_is_hidden() -> None:
    secret = obj("Secret", "login", data={"password": ""})
    settings = obj("ConfigMap", "settings", data={"colour": "red"})
    given = {
        "name": "a",
        "envFrom": [{"secretRef": {"name": "login"}, "prefix": "S_"}, {"configMapRef": {"name": "settings"}}],
        "env": [
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "login", "key": "password"}}},
            {"name": "PART", "value": "admin:$(KEY)"},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {"name": "EMPTY", "value": ""},
            {"name": "PLAIN", "value": "$(colour)"},
        ],
    }
    found = state(secret, settings).env(pod(), given)
    assert {name for name, value in found.items() if isinstance(value, Redacted)} == {
        "S_password",
        "KEY",
        "PART",
        "CPU",
    }
    assert (found["PLAIN"], found["PART"]) == ("red", "")


def test_a_kind_that_was_not_asked_for_is_unknown_and_never_absent() -> None:
    seen = state(request=Request(frozenset({"Namespace", "Pod"})))
    with pytest.raises(Unknown) as end:
        seen.require("HorizontalPodAutoscaler", "guestbook")
    assert end.value.cause == "kind-not-asked"
    with pytest.raises(Unknown):
        seen.require("NoSuchKind", "guestbook")
    assert not seen.can_see("HorizontalPodAutoscaler")


def test_with_rights_in_one_namespace_nothing_is_called_absent_in_another() -> None:
    seen = state(service(), request=Request(frozenset({"Namespace"}), frozenset({"Service"})))
    assert seen.find("Service", "nothing-of-the-kind") is None
    with pytest.raises(Unknown) as end:
        seen.find("Service", "guestbook", "other")
    assert end.value.cause == "cannot-list" and "namespace other" in end.value.message


def test_a_lab_lists_the_kinds_that_its_code_names(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("def scaled(state): state.require('HorizontalPodAutoscaler', 'guestbook')")
    lab = replace(load_lab("07"), folder=tmp_path)
    assert lab.kinds == ALWAYS | {"HorizontalPodAutoscaler"}
    assert load_lab("07").kinds == ALWAYS


def test_a_kind_without_a_chain_is_looked_at_as_explain_does() -> None:
    scaler = obj(
        "HorizontalPodAutoscaler", "guestbook", spec={"scaleTargetRef": {"kind": "Deployment", "name": "guestbok"}}
    )
    with pytest.raises(Failed) as end:
        state(scaler, deployment()).require_working(scaler)
    assert end.value.fault.cause == "autoscaler-target-missing"
    assert end.value.fault.facts["near"] == "guestbook"
