"""Chains: what must hold for an object to work, link by link, and the first link that is broken.

`walk(state, object)` returns when the object works and raises Failed (or Unknown) with the first broken link when not.
What follows from a broken link is never reported beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from checker.judge.chains.job import runs, walk_cron_job, walk_job
from checker.judge.chains.node import walk_node
from checker.judge.chains.pod import walk_pod
from checker.judge.chains.service import pods_behind, walk_service
from checker.judge.chains.storage import users_of, walk_claim, walk_volume
from checker.judge.chains.workload import pods_owned, walk_workload
from checker.judge.verdict import NotPassed

if TYPE_CHECKING:
    from checker.judge.state import Object, State


def walk(state: State, obj: Object) -> None:
    """Walk the chain of a Pod, a Service, a Deployment, ReplicaSet, StatefulSet or DaemonSet, a Job or CronJob, a
    PersistentVolumeClaim or a PersistentVolume, or a node.

    A fault outside the lab's own namespace says where it is.
    """
    try:
        _walk(state, obj)
    except NotPassed as fault:
        if not fault.namespace:
            fault.namespace = obj.namespace
            if obj.namespace not in ("", state.namespace):
                fault.message = f"In namespace {obj.namespace}: {fault.message}"
                fault.look += f" -n {obj.namespace}" if fault.look and " -n " not in fault.look else ""
        raise


def _walk(state: State, obj: Object) -> None:
    if obj.kind == "Pod":
        walk_pod(state, obj)
    elif obj.kind == "Service":
        walk_service(state, obj)
    elif obj.kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"):
        walk_workload(state, obj)
    elif obj.kind == "PersistentVolumeClaim":
        walk_claim(state, obj)
    elif obj.kind == "PersistentVolume":
        walk_volume(obj)
    elif obj.kind == "Job":
        walk_job(state, obj)
    elif obj.kind == "CronJob":
        walk_cron_job(state, obj)
    elif obj.kind == "Node":
        walk_node(state, obj)
    else:
        raise TypeError(f"no chain for {obj.kind}")


def pods_of(state: State, obj: Object) -> list[Object]:
    """The Pods behind an object, without those on their way out."""
    if obj.kind == "Pod":
        pods = [obj]
    elif obj.kind == "Service":
        pods = pods_behind(state, obj)
    elif obj.kind == "PersistentVolumeClaim":
        pods = users_of(state, obj)
    elif obj.kind == "CronJob":
        pods = [pod for job in runs(state, obj) for pod in state.owned("Pod", job)]
    else:
        pods = pods_owned(state, obj)
    return [pod for pod in pods if not pod.is_terminating]
