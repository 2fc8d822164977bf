"""Diagnosis: what is broken at the root. A chain is what must hold for an object to work, link by link.

`walk(state, object)` returns where the object works. Otherwise it raises Failed (or Unknown) with the first broken
link. What follows from a broken link is never reported beside it.
"""

from __future__ import annotations

from checker.diagnosis.answers import walk_answers
from checker.diagnosis.autoscaler import walk_autoscaler
from checker.diagnosis.budget import walk_budget
from checker.diagnosis.deletion import walk_namespace
from checker.diagnosis.flapping import walk_flapping
from checker.diagnosis.ingress import walk_ingress
from checker.diagnosis.job import runs, walk_cron_job, walk_job
from checker.diagnosis.node import walk_node
from checker.diagnosis.not_reached import walk_complaints
from checker.diagnosis.owners import pods_owned
from checker.diagnosis.pod import walk_pod
from checker.diagnosis.rbac import walk_binding, walk_refused_requests
from checker.diagnosis.restarts import walk_restarts
from checker.diagnosis.service import pods_behind, walk_address, walk_alias, walk_service
from checker.diagnosis.stateful_set import walk_governing_service
from checker.diagnosis.storage import users_of, walk_claim, walk_volume
from checker.diagnosis.walking import CHAINS, walk
from checker.diagnosis.workload import walk_workload
from checker.model.state import Object, State

__all__ = ["CHAINS", "pods_of", "walk", "walk_further"]

CHAINS |= {
    "Pod": walk_pod,
    "Service": walk_service,
    **dict.fromkeys(("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"), walk_workload),
    "PersistentVolumeClaim": walk_claim,
    "PersistentVolume": lambda state, volume: walk_volume(volume),
    "Job": walk_job,
    "CronJob": walk_cron_job,
    "Node": walk_node,
}
# What may be wrong with an object although its chain holds, and what is looked at where a kind has no chain. By kind.
FURTHER_CHECKS = {
    "Namespace": (walk_namespace,),
    "Pod": (walk_restarts, walk_refused_requests, walk_complaints, walk_flapping),
    "Service": (walk_alias, walk_address, walk_answers),
    "StatefulSet": (walk_governing_service,),
    "RoleBinding": (walk_binding,),
    "Ingress": (walk_ingress,),
    "HorizontalPodAutoscaler": (walk_autoscaler,),
    "PodDisruptionBudget": (walk_budget,),
}


def walk_further(state: State, obj: Object) -> None:
    """Make the further checks of an object. Raises Failed with the first that does not hold."""
    for check in FURTHER_CHECKS.get(obj.kind, ()):
        check(state, obj)


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
