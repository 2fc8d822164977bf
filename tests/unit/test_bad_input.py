"""What `explain` makes of input that nobody expects: it never crashes, and says what it could not see."""

from __future__ import annotations

import re
from typing import Any

import pytest

from checker.collect import collect
from checker.collect.api import Api
from checker.collect.collect import readable
from checker.diagnosis.explain import explained
from checker.model.explanation import Explanation
from checker.model.kinds import KINDS
from checker.model.state import LOGS, Object, State
from checker.ui.explanation import html_of, text_of
from tests.unit.objects import (
    NAMESPACE,
    ago,
    container,
    deployment,
    node,
    obj,
    pod,
    replica_set,
    service,
    slice_of,
    state,
)

LOGS_READ = {
    "binary": bytes(range(256)) * 16,
    "zeros": b"\0" * 4096,
    "one line": b"x" * 4096,
    "cut inside a character": "ошибка".encode()[:-1],
    "another language": "подключение отклонено: redis:6379".encode(),
    "UTF-16": "connection refused".encode("utf-16"),
    "colours": b"\x1b[31mERROR\x1b[0m \x1b[2J\x1b]0;title\x07 connect to redis:6379: connection refused\r\n",
}


def no_crash(found: Explanation) -> None:
    all_told = (*found.findings, *found.unseen, *found.in_progress, *found.remarks)
    assert [one.message for one in all_told if one.cause == "checker-crashed"] == []
    assert found.summary in text_of(found)
    assert html_of(found)


@pytest.mark.parametrize("ready", [True, False])
@pytest.mark.parametrize("log", LOGS_READ.values(), ids=LOGS_READ)
def test_a_log_of_any_bytes_is_read_as_text_without_control_characters(log: bytes, ready: bool) -> None:
    app = deployment(status={} if ready else {"readyReplicas": 0, "availableReplicas": 0})
    owner = replica_set(app)
    crashed: dict[str, Any] = {
        "container_state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "last": {"exitCode": 1, "finishedAt": ago(30)},
        "restarts": 4,
    }
    one = pod(owner=owner, ready=ready, **({} if ready else crashed))
    found = explained(state(app, owner, one, node(), logs={"guestbook-1/app": readable(log)}))
    no_crash(found)
    assert [f.cause for f in found.findings] == ([] if ready else ["container-crashes"])
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text_of(found))
    assert all(len(f.message) < 1500 for f in found.findings)


def test_colours_and_line_ends_of_a_log_are_no_part_of_its_words() -> None:
    assert readable(b"\x1b[1;31mERROR\x1b[0m: no\tPORT\r\nend\n") == "ERROR: no\tPORT\nend\n"
    assert readable(b"a\0b\x1b") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"


def test_of_a_log_of_gigabytes_the_kubelet_is_asked_for_a_few_kilobytes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Answers:
        def request(self, method: str, path: str) -> bytes:
            asked.append(path)
            return b"the end"

    api: Any = Answers()
    assert collect._log(api, pod(), "app", "") == "the end"
    assert len(asked) == 1
    limit = re.search(r"limitBytes=(\d+)", asked[0])
    lines = re.search(r"tailLines=(\d+)", asked[0])
    assert limit
    assert lines
    assert int(limit[1]) <= 8192
    assert int(lines[1]) <= 100
    assert Api.request  # what stands in for it has its name


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("Namespace", "Event")])
def test_an_object_without_the_fields_that_are_known_is_no_crash(kind: str) -> None:
    odd = obj(kind, "odd", namespace=NAMESPACE if KINDS[kind].namespaced else "", specification={"a": [1]})
    odd.raw |= {"spec": None, "status": None}
    no_crash(explained(state(Object(kind, odd.raw), node())))


def test_an_object_of_an_unknown_kind_is_passed_over() -> None:
    found = explained(state(obj("Widget", "odd", spec={"x": 1}), pod(), node()))
    no_crash(found)
    assert found.exit_code == 0


@pytest.mark.parametrize("ready", [True, False])
def test_fields_and_values_of_a_later_version_are_passed_over(ready: bool) -> None:
    later = container(
        newField={"a": 1},
        env=[{"name": "A", "valueFrom": {"laterRef": {"name": "x"}}}],
        readinessProbe={"quantum": {"period": 1}},
    )
    one = pod(ready=ready, containers=[later], container_state={"suspended": {"reason": "Later"}}, phase="Suspended")
    one.spec["volumes"] = [{"name": "v", "hologram": {"size": 1}}]
    one.spec["tolerations"] = [{"operator": "Gt", "key": "a", "value": "1"}]
    one.status["conditions"].append({"type": "Later", "status": "Maybe"})
    found = explained(state(one, service(), slice_of(), node()))
    no_crash(found)
    assert not found.findings or not ready


def test_a_terminating_namespace_is_the_root_and_what_is_in_it_is_not_told() -> None:
    remaining = {"type": "NamespaceContentRemaining", "status": "True", "message": "pods. has 1 resource instances"}
    leaving = obj(
        "Namespace",
        NAMESPACE,
        namespace="",
        metadata={"deletionTimestamp": ago(600)},
        status={"phase": "Terminating", "conditions": [remaining]},
    )
    one = pod(ready=False, container_state={"waiting": {"reason": "ErrImagePull"}})
    one.metadata["deletionTimestamp"] = ago(600)
    seen = state(one, slice_of())
    seen.objects["Namespace"] = [leaving]
    found = explained(seen)
    no_crash(found)
    assert [f.cause for f in found.findings] == ["namespace-being-deleted"]
    assert "has 1 resource instances" in found.findings[0].message


def half_seen(hidden: str) -> State:
    """A broken application of which one kind could not be listed, and no logs could be read."""
    app = deployment(status={"availableReplicas": 0, "readyReplicas": 0})
    owner = replica_set(app)
    waiting = {"reason": "CreateContainerConfigError", "message": 'configmap "settings" not found'}
    one = pod(
        owner=owner,
        ready=False,
        container_state={"waiting": waiting},
        containers=[container(envFrom=[{"configMapRef": {"name": "settings"}}])],
    )
    objects = [o for o in (app, owner, one, service(), slice_of(), node()) if o.kind != hidden]
    seen = state(*objects, unlisted={hidden: f"{hidden} is forbidden"}, forbidden=frozenset({hidden, LOGS}))
    if hidden == "Namespace":
        del seen.objects["Namespace"]
    return seen


@pytest.mark.parametrize("hidden", [k for k in KINDS if k not in ("Event",)])
def test_with_rights_to_see_half_the_rest_is_told_and_the_other_half_is_unknown(hidden: str) -> None:
    found = explained(half_seen(hidden))
    no_crash(found)
    if hidden != "Pod":
        assert [f.cause for f in found.findings] == ["config-object-missing"]
    if KINDS[hidden].always and KINDS[hidden].namespaced:
        assert "cannot-list" in [one.cause for one in found.unseen]
        assert f"{hidden} is forbidden" in text_of(found)
    assert found.exit_code != 0


@pytest.mark.parametrize("missing", [k for k in KINDS if k not in ("Event", "Namespace", "Pod")])
def test_a_cluster_that_does_not_serve_a_kind_is_explained_without_it(missing: str) -> None:
    """An older cluster, or a later one: the version of the API is not there, and the API server answers with 404."""
    seen = half_seen(missing)
    seen.unlisted, seen.forbidden = {missing: "the server could not find the requested resource"}, frozenset()
    found = explained(seen)
    no_crash(found)
    assert [f.cause for f in found.findings] == ["config-object-missing"]
    assert found.exit_code != 0


@pytest.mark.parametrize(
    "endpoints", [None, [], [{"addresses": None}], [{"addresses": ["shop.example"]}], [{"addresses": ["fe80::1"]}]]
)
def test_an_endpoint_slice_by_hand_may_hold_anything(endpoints: Any) -> None:
    labels = {"labels": {"kubernetes.io/service-name": "shop"}}
    by_hand = obj("EndpointSlice", "shop-1", metadata=labels, endpoints=endpoints, ports=None, addressType="FQDN")
    found = explained(state(obj("Service", "shop", spec={"ports": [{"port": 80}]}), by_hand, pod(), node()))
    no_crash(found)
    assert found.exit_code == 0


def test_with_no_rights_at_all_nothing_is_called_well() -> None:
    nothing = State(NAMESPACE, state().now, unlisted=dict.fromkeys(KINDS, "forbidden"), forbidden=frozenset(KINDS))
    found = explained(nothing)
    no_crash(found)
    assert found.exit_code == 2
    assert not found.findings
