"""The chain of a workload: its status is current → not paused → replicas wanted → Pods can be created → Pods work → all there.

Sources: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/ (status, conditions, paused),
https://kubernetes.io/docs/concepts/policy/resource-quotas/ (where a refusal is seen).
"""

from __future__ import annotations

import re
from typing import Any

from checker.diagnosis.containers import describe
from checker.diagnosis.owners import replica_sets, workload_of
from checker.diagnosis.pod import walk_pod
from checker.diagnosis.resources import explain_creation
from checker.model.spelling import counted, nearest, pairs
from checker.model.state import Object, State
from checker.model.verdict import Failed, NotPassed, fail


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

    pods = [pod for pod in state.owned("Pod", newest) if not pod.is_terminating]
    old = _old_pods(state, workload, newest)
    broken = first_broken(state, pods)
    if broken and not (kind == "StatefulSet" and broken.in_progress and available == wanted):
        if len(pods) > 1:
            raise Failed(broken.fault.within("pod-of-workload", **_counts(workload, wanted, pods, old)))
        raise broken
    if updated < wanted or available < wanted or len(pods) < wanted or old:
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


def _counts(workload: Object, wanted: int, pods: list[Object], old: list[Object]) -> dict[str, Any]:
    """Facts: how many Pods of the newest revision there are, how many are ready, and how many ready Pods of older revisions."""
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
    return [p for rs in state.owned("ReplicaSet", workload) if rs is not newest
            for p in state.owned("Pod", rs) if not p.is_terminating]  # fmt: skip


def root_of(state: State, pod: Object) -> NotPassed | None:
    """The first broken link of a Pod, seen from its workload where it has one. None where both work."""
    workload = workload_of(state, pod)
    try:
        if workload:
            walk_workload(state, workload)
        walk_pod(state, pod)
    except NotPassed as fault:
        return fault
    return None


_REFUSED_BY: tuple[tuple[str, str, str], ...] = (
    # cause, pattern (the groups are put into the words), words
    ("service-account-missing", r'serviceaccount "([^"]+)" not found', "their ServiceAccount {0} does not exist"),
    ("priority-class-unknown", r"no PriorityClass with name (\S+) was found", "there is no PriorityClass {0}"),
    ("runtime-class-unknown", r'RuntimeClass "([^"]+)" not found', "there is no RuntimeClass {0}"),
    ("webhook-unreachable", r'failed calling webhook "([^"]+)"', "the admission webhook {0}, which must be asked first, could not be asked"),
    ("admission-policy-refused", r'admission webhook "([^"]+)" denied the request', "the admission webhook {0} says no"),
    ("admission-policy-refused", r"ValidatingAdmissionPolicy '([^']+)'.* denied request", "the admission policy {0} says no"),
    ("namespace-being-deleted", r"namespace (\S+) because it is being terminated", "namespace {0} is being deleted"),
)  # fmt: skip
_EXPECTED_OF = {
    "service-account-missing": "a ServiceAccount {0}",
    "priority-class-unknown": "a PriorityClass {0}",
    "runtime-class-unknown": "a RuntimeClass {0}",
    "webhook-unreachable": "an answer from webhook {0}",
    "admission-policy-refused": "Pods that {0} admits",
    "namespace-being-deleted": "a namespace {0} that stays",
}


def refine_refused(state: State, maker: Object, fault: NotPassed) -> NotPassed | None:
    """Source: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/ and the API server's messages."""
    message = fault.observed
    for cause, pattern, words in _REFUSED_BY:
        found = re.search(pattern, message)
        if not found:
            continue
        name = found[1].rstrip(".,")
        hint = ""
        if cause == "service-account-missing":
            similar = nearest(name, [a.name for a in state.all("ServiceAccount", maker.namespace)])
            hint = f" There is one called {similar}." if similar else ""
        for_whom = (maker.controller or maker.ref).replace("/", " ")
        reason = (
            message[found.end() :].strip(": ") if cause in ("admission-policy-refused", "webhook-unreachable") else ""
        )
        return Failed(
            cause,
            f"No Pods are made for {for_whom}: {words.format(name)}{': ' + reason.rstrip('.') if reason else ''}.{hint}",
            expected=_EXPECTED_OF[cause].format(name), observed=message, object=fault.object, look=fault.look,
        )  # fmt: skip
    return None


def refine_zero_replicas(state: State, daemon_set: Object, fault: NotPassed) -> NotPassed | None:
    """Source: https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#how-daemon-pods-are-scheduled"""
    if daemon_set.kind != "DaemonSet":
        return None
    template = (daemon_set.spec.get("template") or {}).get("spec") or {}
    selector = template.get("nodeSelector") or {}
    wants = f"nodes with {pairs(selector)}" if selector else "nodes that its affinity and tolerations allow"
    return Failed(
        "daemonset-has-no-node", f"DaemonSet {daemon_set.name} has a Pod on no node: it wants {wants}, and there is none.",
        expected=wants, observed="0 nodes", object=daemon_set.ref, look="kubectl get nodes --show-labels",
    )  # fmt: skip


def refine_rollout_in_progress(state: State, workload: Object, fault: NotPassed) -> NotPassed | None:
    """Sources: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#update-strategies,
    https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/"""
    strategy = workload.spec.get("updateStrategy") or {}
    if strategy.get("type") != "OnDelete":
        return None
    wanted = workload.spec.get("replicas", workload.status.get("desiredNumberScheduled", 0))
    updated = workload.status.get("updatedReplicas", workload.status.get("updatedNumberScheduled", 0))
    return Failed(
        "rollout-on-delete",
        f"{updated} of {counted(wanted, 'Pod')} of {workload.kind} {workload.name} have the newest template: its update strategy "
        "OnDelete replaces a Pod only when somebody deletes it.",
        expected="Pods of the newest template", observed=f"{updated} of {wanted}", object=workload.ref, look=describe(workload),
    )  # fmt: skip
