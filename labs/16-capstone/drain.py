"""A worker was drained, and no request was lost."""

from typing import NoReturn

from checker.sdk import Drain, Object, Ref, State, Timeline, fail, fail_if_budget_blocks, task, unknown

from .failover import LIVE, SETTLE, live_deployment, lost_in, since_start, workers


@task("drained", observe=LIVE)
def a_worker_was_drained(state: State, timeline: Timeline) -> None:
    deployment = live_deployment(state)
    known = workers(state)
    drains = [
        drain for drain in timeline.drains("guestbook") if drain.node in known and since_start(state, drain.begin)
    ]
    good = [drain for drain in drains if not drain.staying and not lost_in(timeline, drain)]
    if not drains:
        timeline.require_watched(state)
        empty = [interval for interval in timeline.cordoned() if interval.node in known]
        if empty:
            fail("node-never-drained", deployment, form="node-without-pods", node=empty[-1].node)
        fail("node-never-drained", deployment)
    if good:
        theirs = [drain for drain in good if not other_backends(timeline, drain)]
        if not theirs:
            fail_for_other_backends(timeline, deployment, good[-1])
        state.require_working(state.require("Service", "guestbook", deployment.namespace))
        if timeline.until < theirs[0].end + SETTLE:
            unknown("not-observed", deployment, form="drained-just-now", node=theirs[0].node, in_progress=True)
        return
    fail_if_budget_blocks(state, [pod for pod in state.pods_of(deployment) if pod.name in drains[-1].staying])
    explain_drain(timeline, deployment, drains[-1])


def explain_drain(timeline: Timeline, deployment: Object, drain: Drain) -> None:
    """Raise Failed with the reason why this drain does not count: Pods stayed, or requests were lost."""
    if drain.staying:
        fail(
            "node-not-emptied",
            Ref("Node", drain.node),
            deployment=deployment.name,
            live=deployment.namespace,
            pods=sorted(drain.pods),
            staying=sorted(drain.staying),
            in_progress=timeline.until - drain.begin < 20,
        )
    lost = lost_in(timeline, drain)
    elsewhere = [
        pod["name"]
        for pod in timeline.pods_of("guestbook")
        if pod["node"] != drain.node
        and pod["ready"]
        and pod["ready"] < drain.last_deleted
        and not (pod["deleted"] and pod["deleted"] <= drain.last_deleted)
    ]
    number = sum(lost.values())
    if not elsewhere:
        pods = sorted(drain.pods)
        fail("drained-all-at-once", deployment, node=drain.node, pods=pods, lost=number, errors=lost)
    fail("requests-lost", deployment, form="drain", node=drain.node, lost=number, errors=lost)


def other_backends(timeline: Timeline, drain: Drain) -> set[str]:
    """The Pods that answered while a node was drained, and are not Pods of Deployment guestbook."""
    hosts = timeline.hosts_between(drain.begin - SETTLE, drain.end + SETTLE)
    return hosts - {pod["name"] for pod in timeline.pods_of("guestbook")}


def fail_for_other_backends(timeline: Timeline, deployment: Object, drain: Drain) -> NoReturn:
    """Raise Failed with the Pods that answered while the node was drained, and are not Pods of the Deployment."""
    hosts = sorted(other_backends(timeline, drain))
    fail("service-answers-wrong", deployment, form="drain", node=drain.node, hosts=hosts)
