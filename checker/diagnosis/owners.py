"""Who made whom: a Deployment its ReplicaSets, those their Pods; and, from a Pod, upwards."""

from __future__ import annotations

from checker.diagnosis.walking import remembered
from checker.model.state import Object, State

REVISION = "deployment.kubernetes.io/revision"


def replica_sets(state: State, deployment: Object) -> list[Object]:
    """The ReplicaSets of a Deployment, newest revision first."""
    return sorted(state.owned("ReplicaSet", deployment), key=_revision, reverse=True)


def _revision(replica_set: Object) -> int:
    """The number that the Deployment controller wrote into the annotation; 0 where somebody wrote something else."""
    text = replica_set.annotations.get(REVISION, "")
    return int(text) if text.isdecimal() and len(text) < 20 else 0


def pods_owned(state: State, workload: Object) -> list[Object]:
    """Every Pod of a workload, of all its revisions."""
    if workload.kind == "Deployment":
        return [pod for rs in replica_sets(state, workload) for pod in state.owned("Pod", rs)]
    return state.owned("Pod", workload)


@remembered
def workload_of(state: State, pod: Object) -> Object | None:
    """The workload at the top of a Pod's owner references, or None for a bare Pod."""
    for kind in ("ReplicaSet", "StatefulSet", "DaemonSet"):
        state.all(kind, pod.namespace)  # raises Unknown
        if owner := state.controller_of(pod, (kind,)):
            state.all("Deployment", pod.namespace)
            return state.controller_of(owner, ("Deployment",)) or owner
    return None
