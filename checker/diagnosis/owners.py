"""Who made whom: a Deployment its ReplicaSets, those their Pods; and, from a Pod, upwards."""

from __future__ import annotations

from checker.diagnosis.walking import remembered
from checker.model.state import Object, State

REVISION = "deployment.kubernetes.io/revision"


def replica_sets(state: State, deployment: Object) -> list[Object]:
    """The ReplicaSets of a Deployment, newest revision first."""
    return sorted(
        state.owned("ReplicaSet", deployment), key=lambda rs: int(rs.annotations.get(REVISION, 0)), reverse=True
    )


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
