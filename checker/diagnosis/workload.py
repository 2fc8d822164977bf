"""The chain of a workload.

Its status is current → not paused → replicas wanted → Pods can be created → Pods work → all Pods are there.

Sources: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/ (status, conditions, paused),
https://kubernetes.io/docs/concepts/policy/resource-quotas/ (where a refusal is seen).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from checker.diagnosis.component_words import words_of
from checker.diagnosis.node import fail_if_node_lost
from checker.diagnosis.owners import pods_owned, replica_sets, workload_of
from checker.diagnosis.pod import walk_pod
from checker.diagnosis.resources import explain_creation
from checker.diagnosis.walking import remembered
from checker.model.durations import TIME_FOR_TERMINATION
from checker.model.fault import Fault, Ref
from checker.model.spelling import nearest
from checker.model.state import Object, State
from checker.model.verdict import Failed, NotPassed, fail

# Evicted Pods of a workload from which on it is its own limit, and no accident.
EVICTED_OFTEN = 3


@remembered
def walk_workload(state: State, workload: Object) -> None:
    """Return when every replica asked for runs the newest template and is available. Raises Failed otherwise."""
    kind, resource = workload.kind, workload.kind.lower()
    if workload.is_stale or not workload.status:
        fail("status-stale", workload, in_progress=True, resource=resource)
    if kind == "DaemonSet":
        wanted = workload.status.get("desiredNumberScheduled", 0)
        updated = workload.status.get("updatedNumberScheduled", 0)
        available = workload.status.get("numberAvailable", 0)
    else:
        wanted = workload.spec.get("replicas", 1)
        updated = (
            workload.status.get("updatedReplicas", 0) if kind != "ReplicaSet" else workload.status.get("replicas", 0)
        )
        available = workload.status.get("availableReplicas", 0)
    if wanted == 0:
        fail("zero-replicas", workload, form="daemon-set" if kind == "DaemonSet" else "", resource=resource)
    if workload.spec.get("paused") and updated < wanted:
        fail("rollout-paused", workload, updated=updated, wanted=wanted)

    newest = workload
    if kind == "Deployment":
        sets = replica_sets(state, workload)
        if not sets:
            fail("rollout-in-progress", workload, form="no-replica-set", in_progress=True)
        newest = sets[0]
    explain_creation(state, workload, newest)
    _explain_evictions(state, workload)

    pods = without_replaced(state, newest, wanted)
    old = _old_pods(state, workload, newest)
    broken = first_broken(state, pods)
    if kind == "StatefulSet" and broken and not broken.in_progress:
        _explain_old_revision(workload, pods, broken)
    if broken and not (kind == "StatefulSet" and broken.in_progress and available == wanted):
        if len(pods) > 1:
            raise Failed(broken.fault.within("pod-of-workload", **_counts(workload, wanted, pods, old)))
        raise broken
    if updated < wanted or available < wanted or len(pods) < wanted or old:
        _explain_leaving(state, workload, pods, wanted)
        stuck = workload.condition("Progressing").get("reason") == "ProgressDeadlineExceeded"
        fail(
            "rollout-stuck" if stuck else "rollout-in-progress",
            workload,
            form="counts",
            in_progress=not stuck,
            resource=resource,
            updated=updated,
            wanted=wanted,
            available=available,
            old=len(old) or None,
        )


_OWN_LIMIT = re.compile(r"exceeds? the (?:total )?limit|exceeded its|exceeds the limit", re.I)


def _explain_evictions(state: State, workload: Object) -> None:
    """Raises Failed where the kubelet has evicted several Pods of a workload, each for a limit of its own.

    Each Pod that takes their place meets the same limit.

    Source: https://kubernetes.io/docs/concepts/storage/ephemeral-storage/#resource-emphemeralstorage-consumption
    """
    evicted = [
        pod
        for pod in pods_owned(state, workload)
        if pod.status.get("reason") == "Evicted" and _OWN_LIMIT.search(pod.status.get("message", ""))
    ]
    if len(evicted) >= EVICTED_OFTEN:
        last = max(evicted, key=lambda pod: (pod.created, pod.name))
        quote = last.status["message"].strip().rstrip(".")
        fail("evicted-again-and-again", last, workload_kind=workload.kind, evicted=len(evicted), quote=quote)


def _explain_leaving(state: State, workload: Object, pods: list[Object], wanted: int) -> None:
    """Raises Failed where a workload lacks Pods because a terminating Pod of it takes long to end.

    A StatefulSet, and a Deployment with strategy Recreate, create no Pod before that. On a node that is lost, the node
    is the root.

    Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination
    """
    recreates = (workload.spec.get("strategy") or {}).get("type") == "Recreate"
    if len(pods) >= wanted or not (workload.kind == "StatefulSet" or (workload.kind == "Deployment" and recreates)):
        return
    for pod in pods_owned(state, workload):
        grace = pod.metadata.get("deletionGracePeriodSeconds") or 0
        if not pod.is_terminating or not any("running" in (s.get("state") or {}) for s in pod.container_statuses):
            continue
        seconds = state.age(pod.metadata["deletionTimestamp"]) + grace
        if TIME_FOR_TERMINATION < seconds < grace:
            fail_if_node_lost(state, pod)
            facts = {"workload_kind": workload.kind, "workload": workload.name, "seconds": round(seconds)}
            fail("pod-ends-slowly", pod, grace=grace, **facts)


def is_of_old_revision(stateful_set: Object, pod: Object) -> bool:
    """Whether the StatefulSet controller waits for a Pod of an older revision to be ready before it replaces it.

    Source: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
    """
    newest, strategy = stateful_set.status.get("updateRevision"), stateful_set.spec.get("updateStrategy") or {}
    own = pod.labels.get("controller-revision-hash")
    ordered = stateful_set.spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady"
    if not newest or not own or own == newest or not ordered or strategy.get("type") == "OnDelete":
        return False
    return not pod.is_ready and not (strategy.get("rollingUpdate") or {}).get("partition")


def _explain_old_revision(stateful_set: Object, pods: list[Object], broken: Failed) -> None:
    """Raises Failed where a broken Pod is of an older revision than the template, and keeps the rollout waiting."""
    about = broken.fault.object
    pod = next((p for p in pods if about.kind == "Pod" and p.name == about.name), None)
    if pod and is_of_old_revision(stateful_set, pod):
        own, newest = pod.labels["controller-revision-hash"], stateful_set.status["updateRevision"]
        fail("old-revision-stays", pod, stateful_set=stateful_set.name, revision=own, newest=newest, last=broken.fault)


def without_replaced(state: State, maker: Object, wanted: int) -> list[Object]:
    """The Pods of a workload's newest revision, without terminating Pods and failed Pods that have been replaced.

    The kubelet does not delete a Pod that it evicted, and the controller creates another one.
    Source: https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
    """
    pods = [pod for pod in state.owned("Pod", maker) if not pod.is_terminating]
    others = [pod for pod in pods if pod.status.get("phase") != "Failed"]
    return others if len(others) >= wanted else pods


def _counts(workload: Object, wanted: int, pods: list[Object], old: list[Object]) -> dict[str, Any]:
    """Facts: the Pods of the newest revision, how many of them are ready, and the ready Pods of older revisions.

    All are numbers.
    """
    return {
        "workload_kind": workload.kind,
        "workload": workload.name,
        "pods": len(pods),
        "ready": sum(pod.is_ready for pod in pods),
        "wanted": wanted,
        "old": sum(pod.is_ready for pod in old) or None,
    }


def first_broken(state: State, pods: list[Object]) -> Failed | None:
    """What is wrong with the first of some Pods that does not work: a settled fault before one in progress."""
    faults: list[Failed] = []
    for pod in sorted(pods, key=lambda pod: pod.name):
        try:
            walk_pod(state, pod)
        except Failed as fault:
            faults.append(fault)
    return min(faults, key=lambda fault: bool(fault.in_progress), default=None)


def _old_pods(state: State, workload: Object, newest: Object) -> list[Object]:
    """The Pods of a Deployment's older revisions, without terminating Pods."""
    if workload.kind != "Deployment":
        return []
    older = [replica_set for replica_set in state.owned("ReplicaSet", workload) if replica_set is not newest]
    return [pod for replica_set in older for pod in state.owned("Pod", replica_set) if not pod.is_terminating]


def roots_of(state: State, pods: list[Object]) -> list[NotPassed]:
    """The first broken link of each Pod that has one, seen from its workload where it has one."""
    walked: dict[str, NotPassed | None] = {}  # by uid of a workload: each is walked once
    found = []
    for pod in pods:
        workload = workload_of(state, pod)
        if workload and workload.uid not in walked:
            walked[workload.uid] = _end_of(walk_workload, state, workload)
        end = walked[workload.uid] if workload else None
        found.append(end or _end_of(walk_pod, state, pod))
    return [end for end in found if end]


def _end_of(chain: Callable[[State, Object], None], state: State, obj: Object) -> NotPassed | None:
    """What a chain ends with; None where the object works."""
    try:
        chain(state, obj)
    except NotPassed as end:
        return end
    return None


def refine_own_older_pod(state: State, pod: Object, fault: Fault) -> Fault | None:
    """A new Pod of a Deployment that has no node because an older Pod of the same Deployment has what it needs.

    With RollingUpdate the new Pod must be ready before the old one goes, where maxUnavailable allows none to go.

    Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#strategy
    """
    owner = workload_of(state, pod) if pod.kind == "Pod" and not pod.spec.get("nodeName") else None
    if not owner or owner.kind != "Deployment" or (owner.spec.get("strategy") or {}).get("type") == "Recreate":
        return None
    sets = replica_sets(state, owner)
    old = _old_pods(state, owner, sets[0]) if sets and sets[0].uid in pod.owner_uids else []
    held = [one.name for one in old if one.spec.get("nodeName")]
    if not held:
        return None
    rolling = (owner.spec.get("strategy") or {}).get("rollingUpdate") or {}
    facts = {
        "pod": pod.name,
        "old": sorted(held),
        "surge": rolling.get("maxSurge", "25%"),
        "unavailable": str(rolling.get("maxUnavailable", "25%")),
        "why": fault,
    }
    return Fault("rollout-held-by-old-pod", Ref.of(owner), facts)


# Why the API server refuses Pods, by its message: cause, form and pattern. The pattern's group names the object that
# refuses or is missing.
_REFUSED_BY: tuple[tuple[str, str, str], ...] = (
    ("service-account-missing", "", r'serviceaccount "([^"]+)" not found'),
    ("priority-class-unknown", "", r"no PriorityClass with name (\S+) was found"),
    ("runtime-class-unknown", "", r'RuntimeClass "([^"]+)" not found'),
    ("webhook-unreachable", "", r'failed calling webhook "([^"]+)"'),
    ("admission-policy-refused", "webhook", r'admission webhook "([^"]+)" denied the request'),
    ("admission-policy-refused", "policy", r"ValidatingAdmissionPolicy '([^']+)'.* denied request"),
    ("namespace-being-deleted", "pods-refused", r"namespace (\S+) because it is being terminated"),
)


def refine_refused(state: State, maker: Object, fault: Fault) -> Fault | None:
    """The exact cause of refused Pods, from the API server's message; None where the message names no known cause.

    Source: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/ and the API server's
    messages.
    """
    message = words_of(fault)
    for cause, form, pattern in _REFUSED_BY:
        found = re.search(pattern, message)
        if not found:
            continue
        name = found[1].rstrip(".,")
        accounts = state.all("ServiceAccount", maker.namespace) if cause == "service-account-missing" else []
        kind, _, workload = (maker.controller or maker.ref).partition("/")
        facts = {
            "workload_kind": kind,
            "workload": workload,
            "refused_by": name,
            "near": nearest(name, [account.name for account in accounts]),
            "details": message[found.end() :].strip(": ").rstrip("."),
            "message": message,
        }
        return Fault(cause, fault.object, facts, form=form)
    return None


def refine_zero_replicas(state: State, daemon_set: Object, fault: Fault) -> Fault | None:
    """Source: https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#how-daemon-pods-are-scheduled"""
    if daemon_set.kind != "DaemonSet":
        return None
    selector = daemon_set.pod_spec.get("nodeSelector") or {}
    if selector:
        return Fault("daemonset-has-no-node", Ref.of(daemon_set), {"selector": selector}, form="node-selector")
    return Fault("daemonset-has-no-node", Ref.of(daemon_set))


def refine_rollout_in_progress(state: State, workload: Object, fault: Fault) -> Fault | None:
    return waiting_for_deletion(state, workload)


def waiting_for_deletion(state: State, workload: Object) -> Fault | None:
    """A rollout of a StatefulSet or a DaemonSet that waits until a person deletes the Pods of the older template.

    Sources: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#update-strategies,
    https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/
    """
    strategy = workload.spec.get("updateStrategy") or {}
    if strategy.get("type") != "OnDelete":
        return None
    wanted = workload.spec.get("replicas", workload.status.get("desiredNumberScheduled", 0))
    updated = workload.status.get("updatedReplicas", workload.status.get("updatedNumberScheduled", 0))
    if len([pod for pod in state.owned("Pod", workload) if not pod.is_terminating]) <= updated:
        return None  # no Pod of an older template waits for its deletion: the others are still to be created
    return Fault("rollout-on-delete", Ref.of(workload), {"wanted": wanted, "updated": updated})
