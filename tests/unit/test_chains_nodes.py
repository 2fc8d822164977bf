"""Nodes: what is wrong with one, what that means for its Pods, and what the observer's timeline holds. No cluster."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from checker.diagnosis.node import fail_if_budget_holds
from checker.grading.timeline import Interval, Timeline
from checker.model.state import Object
from checker.model.verdict import Failed
from tests.unit.objects import ago, deployment, node, obj, pod, replica_set, state


def sick(one: Object, kind: str = "Ready", status: str = "Unknown", **condition: str) -> Object:
    """A node with a condition of its own."""
    others = [c for c in one.status["conditions"] if c["type"] != kind]
    one.status["conditions"] = [*others, {"type": kind, "status": status, "lastTransitionTime": ago(70), **condition}]
    return one


def cordoned(one: Object) -> Object:
    one.spec["unschedulable"] = True
    one.spec["taints"] = [*one.spec["taints"], {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]
    return one


def fault(seen: Any, about: Object) -> Failed:
    with pytest.raises(Failed) as caught:
        seen.require_working(about)
    return caught.value


def test_a_good_node_works() -> None:
    good = node()
    state(good).require_working(good)


@pytest.mark.parametrize(
    "broken, cause, words",
    [
        (sick(node()), "node-not-ready", "has not reported the node's status for more than 70 seconds"),
        (
            sick(node(), status="False", reason="KubeletNotReady", message="cni plugin not initialized"),
            "node-not-ready",
            "cni plugin not initialized",
        ),
        (
            sick(node(), "DiskPressure", "True", message="kubelet has disk pressure"),
            "node-under-pressure",
            "DiskPressure",
        ),
        (cordoned(node()), "node-cordoned", "it is cordoned"),
        (sick(cordoned(node())), "node-not-ready", "has not reported"),
    ],
)
def test_the_first_broken_link_of_a_node(broken: Object, cause: str, words: str) -> None:
    found = fault(state(broken), broken)
    assert (found.cause, found.object) == (cause, "Node/worker")
    assert words in found.message


def test_a_node_without_conditions_has_never_reported() -> None:
    new = node()
    new.status["conditions"] = []
    assert fault(state(new), new).cause == "node-not-ready"


def test_a_pod_on_a_lost_node_is_not_what_its_status_says() -> None:
    app = pod(node="worker", ready=True)
    found = fault(state(app, sick(node("worker")), node("worker2")), app)
    assert found.cause == "pod-on-lost-node"
    assert found.facts["phase"] == "Running"
    assert not found.in_progress


def test_a_pod_that_is_deleted_on_a_lost_node_stays() -> None:
    app = pod(node="worker")
    app.metadata["deletionTimestamp"] = ago(400)
    found = fault(state(app, sick(node("worker"))), app)
    assert found.cause == "pod-on-lost-node"
    assert "Only the kubelet there can report" in found.message
    assert fault(state(app, node("worker")), app).cause == "object-being-deleted"


def test_a_pod_that_names_a_node_that_never_was() -> None:
    app = pod(node="worker22")
    app.status.clear()
    app.status["phase"] = "Pending"
    found = fault(state(app, node("worker2")), app)
    assert found.cause == "node-name-unknown"
    assert found.facts["near"] == "worker2"
    assert found.message.endswith("There is no such node. There is a node worker2.")


def test_a_pod_whose_node_does_not_exist_any_more() -> None:
    app = pod(node="worker3")
    found = fault(state(app, node("worker")), app)
    assert found.cause == "pod-on-lost-node"
    assert found.fault.form == "no-node"
    assert "no longer exists" in found.message


def test_a_node_that_says_itself_that_it_is_not_ready_still_speaks_of_its_pods() -> None:
    app = pod(node="worker")
    state(app, sick(node("worker"), status="False", reason="KubeletNotReady")).require_working(app)


def test_nothing_is_concluded_where_nodes_could_not_be_listed() -> None:
    app = pod(node="worker")
    state(app, unlisted={"Node": "forbidden"}).require_working(app)


def test_a_workload_with_a_pod_on_a_lost_node_names_the_node() -> None:
    app = deployment(status={"availableReplicas": 0, "readyReplicas": 0})
    made = replica_set(app)
    lost = pod(owner=made, ready=False)
    assert fault(state(app, made, lost, sick(node("worker"))), app).cause == "pod-on-lost-node"


def waiting() -> Object:
    unscheduled = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available",
    }
    return pod(node="", ready=False, conditions=[unscheduled])


def control_plane() -> Object:
    return node("control-plane", taints=[{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}])


def test_a_pod_without_a_node_because_all_workers_are_closed() -> None:
    app = waiting()
    away = sick(node("worker2", taints=[{"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}]))
    found = fault(state(app, control_plane(), cordoned(node("worker")), away), app)
    assert found.cause == "all-nodes-unschedulable"
    assert found.facts["statuses"] == {"worker": "SchedulingDisabled", "worker2": "NotReady"}


def test_a_taint_that_says_whom_a_node_is_for_is_still_told_as_such() -> None:
    app = waiting()
    theirs = node("worker", taints=[{"key": "team", "value": "blue", "effect": "NoSchedule"}])
    assert fault(state(app, control_plane(), theirs), app).cause == "pod-unschedulable-taint"


# -- the timeline ----------------------------------------------------------------------------------------------------


def timeline(nodes: dict[str, list[list[Any]]], *pods: dict[str, Any], lost: list[list[Any]] | None = None) -> Timeline:
    return Timeline(
        {
            "since": 0.0,
            "until": 500.0,
            "sent": 1,
            "hosts": {},
            "lost": lost or [],
            "nodes": nodes,
            "pods": {p["name"]: p for p in pods},
            "replicas": {
                "rs": {"kind": "ReplicaSet", "name": "guestbook-abc", "images": [], "changes": [[1.0, 2]]},
                "other": {"kind": "ReplicaSet", "name": "cache-abc", "images": [], "changes": [[1.0, 1]]},
            },
        }
    )


def seen_pod(name: str, node: str, added: float = 1, deleted: float = 0, owner: str = "rs") -> dict[str, Any]:
    return {
        "name": name,
        "node": node,
        "owner": owner,
        "added": added,
        "ready": added + 1,
        "deleted": deleted,
        "gone": deleted and deleted + 2,
        "changes": [],
    }


def test_intervals_of_nodes_end_or_last() -> None:
    seen = timeline(
        {
            "a": [
                [0.0, True, True],
                [100.0, True, False],
                [150.0, False, False],
                [200.0, True, False],
                [210.0, True, True],
            ],
            "b": [[0.0, True, True], [300.0, False, True]],
        }
    )
    assert seen.cordoned() == [Interval("a", 100.0, 210.0)]
    assert seen.not_ready() == [Interval("a", 150.0, 200.0), Interval("b", 300.0, inf)]


def test_a_drain_is_what_left_a_closed_node() -> None:
    nodes = {"a": [[0.0, True, True], [100.0, True, False]]}
    drains = timeline(
        nodes,
        seen_pod("p1", "a", deleted=101.0),
        seen_pod("p2", "a", deleted=110.0),
        seen_pod("p3", "b"),
        seen_pod("gone-before", "a", deleted=50.0),
        seen_pod("not-ours", "a", owner="other"),
    ).drains("guestbook")
    assert [(d.node, d.begin, d.last_deleted, d.end, d.pods, d.staying) for d in drains] == [
        ("a", 101.0, 110.0, 112.0, {"p1", "p2"}, set())
    ]


def test_a_drain_lasts_until_those_that_came_are_ready_and_those_that_went_have_gone() -> None:
    nodes = {"a": [[0.0, True, True], [100.0, True, False]]}
    going = {**seen_pod("p1", "a", deleted=101.0), "gone": 0}
    came = {**seen_pod("p2", "b", added=102.0), "ready": 130.0}
    assert timeline(nodes, seen_pod("p1", "a", deleted=101.0), came).drains("guestbook")[0].end == 130.0
    assert timeline(nodes, going, came).drains("guestbook")[0].end == inf


def test_pods_that_stay_on_a_closed_node_or_leave_when_it_is_open_again_were_not_drained() -> None:
    nodes = {"a": [[0.0, True, True], [100.0, True, False], [120.0, True, True]]}
    drain = timeline(nodes, seen_pod("p1", "a"), seen_pod("p2", "a", deleted=130.0)).drains("guestbook")[0]
    assert drain.staying == {"p1", "p2"}


def test_a_recording_from_before_the_observer_noted_nodes_has_none() -> None:
    assert timeline({}).drains("guestbook") == []


def budget(allowed: int, labels: dict[str, str], healthy: int = 2) -> Object:
    status = {
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": 2,
        "expectedPods": 2,
        "observedGeneration": 1,
    }
    return obj(
        "PodDisruptionBudget", "stay", spec={"minAvailable": 2, "selector": {"matchLabels": labels}}, status=status
    )


def test_a_budget_that_lets_nobody_go_keeps_a_node_from_being_drained() -> None:
    app = pod()
    with pytest.raises(Failed) as caught:
        fail_if_budget_holds(state(app, budget(0, {"app": "guestbook"})), [app])
    assert caught.value.cause == "budget-allows-none"
    assert not caught.value.in_progress
    with pytest.raises(Failed) as caught:  # one is on its way: then the next may go
        fail_if_budget_holds(state(app, budget(0, {"app": "guestbook"}, healthy=1)), [app])
    assert caught.value.in_progress
    for other in (budget(1, {"app": "guestbook"}), budget(0, {"app": "cache"}), budget(0, {})):
        fail_if_budget_holds(state(app, other), [app])
