"""Why an object that was deleted is still there: its finalizers, and what a terminating namespace still holds.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/
"""

from __future__ import annotations

from checker.model.durations import TIME_FOR_FINALIZER
from checker.model.state import Object, State
from checker.model.verdict import fail

_IN_USE = ("kubernetes.io/pvc-protection", "kubernetes.io/pv-protection")
_WAITS_FOR_OTHERS = ("foregroundDeletion", "orphan")


def walk_deletion(state: State, obj: Object) -> None:
    """An object that was deleted, and is still there because a finalizer holds it.

    Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/
    """
    since = obj.metadata.get("deletionTimestamp")
    holding = [f for f in obj.metadata.get("finalizers") or [] if f not in _WAITS_FOR_OTHERS]
    if not since or not holding or state.age(since) < TIME_FOR_FINALIZER:
        return
    look = f"kubectl get {obj.kind.lower()} {obj.name} -o jsonpath={{.metadata.finalizers}}"
    if holding[0] in _IN_USE:
        users = sorted(
            pod.name for pod in state.objects.get("Pod", [])
            if pod.namespace == obj.namespace and pod.status.get("phase") not in ("Succeeded", "Failed")
            and any((v.get("persistentVolumeClaim") or {}).get("claimName") == obj.name for v in pod.spec.get("volumes") or [])
        )  # fmt: skip
        fail(
            "deletion-blocked-in-use",
            f"{obj.kind} {obj.name} was deleted and stays until nobody uses it any more"
            + (f": Pod {', '.join(users)} does." if users else "."),
            expected="nobody uses it", observed=f"used by {', '.join(users) or 'somebody'}", object=obj.ref, look=f"kubectl describe {obj.kind.lower()} {obj.name}",
        )  # fmt: skip
    fail(
        "deletion-blocked-by-finalizer",
        f"{obj.kind} {obj.name} was deleted and cannot go: finalizer {', '.join(holding)} says that somebody has work to do first, and nobody "
        "has done it.",
        expected="no finalizers left", observed=", ".join(holding), object=obj.ref, look=look,
    )  # fmt: skip


def walk_namespace(state: State, namespace: Object) -> None:
    """A namespace that is on its way out: what in it does not go?

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
    told = [
        c.get("message", "") for c in namespace.status.get("conditions") or []
        if c.get("status") == "True" and c.get("type") in ("NamespaceContentRemaining", "NamespaceFinalizersRemaining", "NamespaceDeletionContentFailure", "NamespaceDeletionDiscoveryFailure")
    ]  # fmt: skip
    fail(
        "namespace-being-deleted",
        f"Namespace {namespace.name} is being deleted, with everything in it: nothing new can be made there. {' '.join(told)}".strip(),
        expected="a namespace that stays", observed="Terminating", object=namespace.ref, look=f"kubectl describe namespace {namespace.name}",
        pending=held or state.age(namespace.metadata["deletionTimestamp"]) < 3 * TIME_FOR_FINALIZER,
    )  # fmt: skip
