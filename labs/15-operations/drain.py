"""A worker was drained, and nobody noticed."""

from typing import NoReturn

from checker.sdk import Drain, Object, State, Timeline, are_no, counted, fail, fail_if_budget_blocks, task, unknown

from .failover import LIVE, SETTLE, live_deployment, lost_in, since_start, were_lost, words, workers


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
        fail(
            "node-never-drained",
            f"Node {empty[-1].node} was closed, but no Pod of the guestbook of namespace {deployment.namespace} was on it."
            if empty
            else f"No worker with Pods of the guestbook of namespace {deployment.namespace} on it was closed since the lab was started.",
            expected="a worker closed, and its Pods gone elsewhere", observed="only nodes without its Pods" if empty else "no node was closed",
            object=deployment.ref, look=f"kubectl get pods -o wide -n {deployment.namespace}",
        )  # fmt: skip
    if good:
        theirs = [drain for drain in good if not other_backends(timeline, drain)]
        if not theirs:
            fail_for_other_backends(timeline, deployment, good[-1])
        state.require_working(state.require("Service", "guestbook", deployment.namespace))
        if timeline.until < theirs[0].end + SETTLE:
            unknown(
                "not-observed",
                "The last Pod went only a moment ago.",
                object=deployment.ref,
                look=f"kubectl get pods -n {deployment.namespace}",
                pending=True,
            )
        return
    fail_if_budget_blocks(state, [pod for pod in state.pods_of(deployment) if pod.name in drains[-1].staying])
    explain_drain(timeline, deployment, drains[-1])


def explain_drain(timeline: Timeline, deployment: Object, drain: Drain) -> None:
    """Why this drain was none, or was noticed."""
    look = f"kubectl get pods -o wide -n {deployment.namespace}"
    if drain.staying:
        fail(
            "node-not-emptied", f"Node {drain.node} was closed, but {len(drain.staying)} of the {len(drain.pods)} Pods of the guestbook that were on it "
            f"stayed: {', '.join(sorted(drain.staying))}.",
            expected=f"no Pod of the guestbook on {drain.node}", observed=f"{len(drain.staying)} of {len(drain.pods)} still there",
            object=f"Node/{drain.node}", look=look, pending=timeline.until - drain.begin < 20,
        )  # fmt: skip
    lost = lost_in(timeline, drain)
    elsewhere = [
        pod["name"]
        for pod in timeline.pods_of("guestbook")
        if pod["node"] != drain.node
        and pod["ready"]
        and pod["ready"] < drain.told
        and not (pod["deleted"] and pod["deleted"] <= drain.told)
    ]
    evidence = {
        "expected": "every request answered", "observed": f"{sum(lost.values())} lost ({words(lost)})", "object": deployment.ref, "look": look,
    }  # fmt: skip
    if not elsewhere:
        fail(
            "drained-all-at-once", f"{were_lost(lost)} while node {drain.node} was drained: {counted(len(drain.pods), 'Pod')} of the guestbook "
            f"{'was on it, and none was ready elsewhere when it' if len(drain.pods) == 1 else 'were on it, and none was ready elsewhere when the last of them'} was told to go.",
            **evidence,
        )  # fmt: skip
    fail("requests-lost", f"{were_lost(lost)} while node {drain.node} was drained.", **evidence)


def other_backends(timeline: Timeline, drain: Drain) -> set[str]:
    """Who answered while a node was drained, and is no Pod of the Deployment that this is about."""
    hosts = timeline.hosts_between(drain.begin - SETTLE, drain.end + SETTLE)
    return hosts - {pod["name"] for pod in timeline.pods_of("guestbook")}


def fail_for_other_backends(timeline: Timeline, deployment: Object, drain: Drain) -> NoReturn:
    who = sorted(other_backends(timeline, drain))
    names = ", ".join(who)
    fail(
        "service-answers-wrong", f"While the node was drained, {names} answered, which {are_no(len(who), 'Pod')} of Deployment guestbook.",
        expected="answers from Pods of Deployment guestbook", observed=names, object=deployment.ref,
        look=f"kubectl get endpointslices -n {deployment.namespace}",
    )  # fmt: skip
