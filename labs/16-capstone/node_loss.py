"""A worker was lost and became ready again, no request was lost, and the worker takes Pods again."""

import math
from typing import Any

from checker.sdk import (
    CONDITION_TAINT_PREFIX,
    NodeInterval,
    Object,
    Ref,
    State,
    Timeline,
    fail,
    require_node_well,
    task,
    unknown,
    untolerated_taints,
)

from .failover import LIVE, SETTLE, live_deployment, since_start, workers

SILENCE = 60.0  # seconds within which the control plane marks a lost node as NotReady


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
        if takes_pods(node) and node.condition("Ready").get("status") == "True":
            state.require_working(state.require("Service", "guestbook", deployment.namespace))
            if timeline.until < interval.end + SETTLE:
                unknown("not-observed", node, form="ready-just-now", in_progress=True)
            return
    if not intervals:
        timeline.require_watched(state)
        if away:
            about, live = Ref("Node", away[-1].node), deployment.namespace
            fail("node-never-drained", about, form="lost-without-pods", deployment=deployment.name, live=live)
        fail("node-never-lost", Ref("Node"))
    interval = (whole or intervals)[-1]
    node = known[interval.node]
    if node.condition("Ready").get("status") != "True":
        require_node_well(state, node)
    if interval in whole:
        if node.spec.get("unschedulable"):
            fail("node-left-cordoned", node)
        fail("node-left-cordoned", node, form="tainted", taints=own_taints(node))
    errors, live = lost_while_away(timeline, interval), deployment.namespace
    lost, pods = sum(errors.values()), sorted(pod["name"] for pod in had_pods(timeline, interval))
    if pods:
        name = deployment.name
        fail("lost-with-pods", node, deployment=name, live=live, pods=pods, lost=lost, errors=errors)
    fail("requests-lost", node, form="node-lost", live=live, lost=lost, errors=errors)


def takes_pods(node: Object) -> bool:
    """Whether the scheduler may bind Pods to a node, as far as cordoning and the learner's own taints go."""
    return not node.spec.get("unschedulable") and not own_taints(node)


def own_taints(node: Object) -> list[str]:
    """The keys of a node's taints that the node controller did not set, and that keep Pods away."""
    keys = [taint["key"] for taint in untolerated_taints(node, [])]
    return [key for key in keys if not key.startswith(CONDITION_TAINT_PREFIX)]


def had_pods(timeline: Timeline, interval: NodeInterval) -> list[dict[str, Any]]:
    """The guestbook's Pods that were on a node when it was lost."""
    return timeline.pods_on(interval.node, interval.begin, "guestbook")


def lost_while_away(timeline: Timeline, interval: NodeInterval) -> dict[str, int]:
    """How many requests were lost from the node's loss until it was ready again, by error.

    The loss may be SILENCE seconds before the node became NotReady. Requests that an earlier drain of this node lost
    do not count.
    """
    drained = [
        drain.end + SETTLE + 1
        for drain in timeline.drains("guestbook")
        if drain.node == interval.node and drain.end < interval.begin
    ]
    return timeline.lost_between(max([interval.begin - SILENCE, *drained]), min(interval.end, timeline.until) + SETTLE)
