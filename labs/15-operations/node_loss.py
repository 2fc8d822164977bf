"""A worker was lost and came back; it takes Pods again."""

import math
from typing import Any

from checker.sdk import (
    CONDITION_TAINT_PREFIX,
    NodeInterval,
    Object,
    State,
    Timeline,
    fail,
    require_node_well,
    task,
    unknown,
    untolerated_taints,
)

from .failover import LIVE, SETTLE, live_deployment, since_start, were_lost, words, workers

SILENCE = 60.0  # seconds within which the control plane notices that a node is away


@task("node-back", observe=LIVE)
def a_worker_was_lost_and_came_back(state: State, timeline: Timeline) -> None:
    deployment = live_deployment(state)
    known = workers(state)
    away = [
        interval for interval in timeline.not_ready() if interval.node in known and since_start(state, interval.begin)
    ]
    placed = [(pod["node"], pod["added"]) for pod in timeline.pods_of("guestbook")]
    intervals = [
        interval for interval in away if any(node == interval.node and at < interval.begin for node, at in placed)
    ]
    whole = [
        interval
        for interval in intervals
        if interval.end < math.inf and not had_pods(timeline, interval) and not lost_while_away(timeline, interval)
    ]
    for interval in whole:
        node = known[interval.node]
        if not unschedulable_reason(node) and node.condition("Ready").get("status") == "True":
            state.require_working(state.require("Service", "guestbook", deployment.namespace))
            if timeline.until < interval.end + SETTLE:
                unknown(
                    "not-observed",
                    "The node came back only a moment ago.",
                    object=node.ref,
                    look="kubectl get nodes",
                    pending=True,
                )
            return
    if not intervals:
        timeline.require_watched(state)
        if away:
            fail(
                "node-never-drained",
                f"Node {away[-1].node} was away, but no Pod of the guestbook of namespace {deployment.namespace} had been on it before: nobody could notice.",
                expected="the worker that was drained", observed="one that never had its Pods", object=f"Node/{away[-1].node}",
                look=f"kubectl get pods -o wide -n {deployment.namespace}",
            )  # fmt: skip
        fail(
            "node-never-lost", "No worker was seen going away since the lab was started.",
            expected="a worker that was NotReady, and is ready again", observed="all were ready all the time", object="Node",
            look="kubectl get nodes",
        )  # fmt: skip
    interval = (whole or intervals)[-1]
    node = known[interval.node]
    if node.condition("Ready").get("status") != "True":
        require_node_well(state, node)
    if interval in whole:
        fail(
            "node-left-cordoned", f"Node {node.name} was away, nobody noticed, and it is ready again; but it takes no Pods yet.",
            expected="a node that takes Pods", observed=unschedulable_reason(node), object=node.ref,
            look="kubectl get nodes" if node.spec.get("unschedulable") else f"kubectl describe node {node.name}",
        )  # fmt: skip
    lost, pods = lost_while_away(timeline, interval), had_pods(timeline, interval)
    evidence = {
        "expected": "every request answered", "observed": f"{sum(lost.values())} lost ({words(lost)})" if lost else "none was lost, by luck",
        "object": node.ref, "look": f"kubectl get pods -o wide -n {deployment.namespace}",
    }  # fmt: skip
    if pods:
        names = ", ".join(sorted(pod["name"] for pod in pods))
        fail(
            "lost-with-pods", f"Node {node.name} went away with Pods of the guestbook on it ({names}), and {were_lost(lost)} around that time.",
            **evidence,
        )  # fmt: skip
    fail(
        "requests-lost",
        f"{were_lost(lost)} around the time that node {node.name} was away.",
        **evidence,
    )


def unschedulable_reason(node: Object) -> str:
    """What keeps Pods away from a node that is ready, in words; empty where nothing does."""
    if node.spec.get("unschedulable"):
        return "Ready,SchedulingDisabled"
    own = [
        taint["key"] for taint in untolerated_taints(node, []) if not taint["key"].startswith(CONDITION_TAINT_PREFIX)
    ]
    return f"Ready, with a taint: {own[0]}" if own else ""


def had_pods(timeline: Timeline, interval: NodeInterval) -> list[dict[str, Any]]:
    """The guestbook's Pods that were on a node when it went away."""
    return timeline.pods_on(interval.node, interval.begin, "guestbook")


def lost_while_away(timeline: Timeline, interval: NodeInterval) -> dict[str, int]:
    """What was lost from when the node may have gone until it was back; what its own draining lost before is not counted again."""
    drained = [
        drain.end + SETTLE + 1
        for drain in timeline.drains("guestbook")
        if drain.node == interval.node and drain.end < interval.begin
    ]
    return timeline.lost_between(max([interval.begin - SILENCE, *drained]), min(interval.end, timeline.until) + SETTLE)
