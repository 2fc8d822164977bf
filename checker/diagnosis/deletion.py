"""Why a deleted object still exists: its finalizers, and the objects that a terminating namespace still holds.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/
"""

from __future__ import annotations

from checker.model.durations import TIME_FOR_FINALIZER
from checker.model.state import Object, State
from checker.model.verdict import fail

_IN_USE = ("kubernetes.io/pvc-protection", "kubernetes.io/pv-protection")
_WAITS_FOR_OTHERS = ("foregroundDeletion", "orphan")
# Conditions of a namespace that say what keeps it. Source:
# https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/
_REMAINING = (
    "NamespaceContentRemaining",
    "NamespaceFinalizersRemaining",
    "NamespaceDeletionContentFailure",
    "NamespaceDeletionDiscoveryFailure",
)


def walk_deletion(state: State, obj: Object) -> None:
    """A deleted object that still exists because a finalizer keeps it. Raises Failed with the finalizer."""
    since = obj.metadata.get("deletionTimestamp")
    holding = [f for f in obj.metadata.get("finalizers") or [] if f not in _WAITS_FOR_OTHERS]
    if not since or not holding or state.age(since) < TIME_FOR_FINALIZER:
        return
    resource = obj.kind.lower()
    if holding[0] in _IN_USE:
        pods = _pods_with_claim(state, obj)
        users, waiting = ([p.name for p in pods if bool(p.spec.get("nodeName")) is placed] for placed in (True, False))
        fail("deletion-blocked-in-use", obj, resource=resource, finalizer=holding[0], pods=users, waiting=waiting)
    fail("deletion-blocked-by-finalizer", obj, resource=resource, finalizers=holding)


def _pods_with_claim(state: State, claim: Object) -> list[Object]:
    """The Pods that name a PersistentVolumeClaim and have not ended, by name."""
    found = [
        pod
        for pod in state.objects.get("Pod", [])
        if pod.namespace == claim.namespace
        and pod.status.get("phase") not in ("Succeeded", "Failed")
        and any(
            (volume.get("persistentVolumeClaim") or {}).get("claimName") == claim.name
            for volume in pod.spec.get("volumes") or []
        )
    ]
    return sorted(found, key=lambda pod: pod.name)


def walk_namespace(state: State, namespace: Object) -> None:
    """A terminating namespace: what in it is not deleted? Raises Failed.

    Source: https://kubernetes.io/docs/concepts/architecture/garbage-collection/ and the namespace's own conditions
    """
    if not namespace.is_terminating:
        return
    held = False
    for kind in sorted(state.objects):
        for obj in (
            state.all(kind, namespace.name) if kind not in ("Namespace", "Event") and kind not in state.unlisted else []
        ):
            if obj.namespace == namespace.name and obj.is_terminating:
                walk_deletion(state, obj)
                held = held or bool(set(obj.metadata.get("finalizers") or []) - set(_WAITS_FOR_OTHERS))
    conditions = [
        c.get("message", "")
        for c in namespace.status.get("conditions") or []
        if c.get("status") == "True" and c.get("type") in _REMAINING
    ]
    recent = state.age(namespace.metadata["deletionTimestamp"]) < 3 * TIME_FOR_FINALIZER
    fail("namespace-being-deleted", namespace, in_progress=held or recent, conditions=conditions)
