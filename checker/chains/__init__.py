"""Chains: what must hold for an object to work, link by link, and the first link that is broken.

`walk(state, object)` returns when the object works and raises Failed (or Unknown) with the first broken link when not.
What follows from a broken link is never reported beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from checker.chains.pod import walk_pod
from checker.chains.service import pods_behind, walk_service
from checker.chains.workload import pods_owned, walk_workload

if TYPE_CHECKING:
    from checker.state import Object, State


def walk(state: State, obj: Object) -> None:
    """Walk the chain of a Pod, a Service, a Deployment, ReplicaSet, StatefulSet or DaemonSet."""
    if obj.kind == "Pod":
        walk_pod(state, obj)
    elif obj.kind == "Service":
        walk_service(state, obj)
    elif obj.kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"):
        walk_workload(state, obj)
    else:
        raise TypeError(f"no chain for {obj.kind}")


def pods_of(state: State, obj: Object) -> list[Object]:
    """The Pods behind an object, without those on their way out."""
    if obj.kind == "Pod":
        pods = [obj]
    elif obj.kind == "Service":
        pods = pods_behind(state, obj)
    else:
        pods = pods_owned(state, obj)
    return [pod for pod in pods if not pod.is_terminating]
