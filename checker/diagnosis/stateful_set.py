"""What is special about a StatefulSet: the Service that gives its Pods their names, and an update that stops at a
partition.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/
"""

from __future__ import annotations

from checker.model.fault import Fault
from checker.model.spelling import nearest
from checker.model.state import Object, State
from checker.model.verdict import fail


def walk_governing_service(state: State, stateful_set: Object) -> None:
    """The Service that gives a StatefulSet's Pods their names exists.

    Source: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-network-id
    """
    name = stateful_set.spec.get("serviceName")
    if not name or state.find("Service", name, stateful_set.namespace):
        return
    known = sorted(s.name for s in state.all("Service", stateful_set.namespace))
    near = nearest(name, known, cutoff=0.6)
    fail("governing-service-missing", stateful_set, service=name, near=near, services=known)


def is_partitioned_rollout(state: State, fault: Fault) -> bool:
    """Whether a fault is a StatefulSet's rollout that stops at its partition, as its update strategy asks for.

    Source: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#partitions
    """
    if fault.cause != "rollout-in-progress" or fault.object.kind != "StatefulSet":
        return False
    found = state.find("StatefulSet", fault.object.name, fault.object.namespace)
    strategy = (found.spec.get("updateStrategy") or {}).get("rollingUpdate") or {} if found else {}
    if not found or not strategy.get("partition"):
        return False
    wanted = found.spec.get("replicas", 1)
    done = found.status.get("updatedReplicas", 0) >= max(0, wanted - strategy["partition"])
    return bool(done and found.status.get("availableReplicas", 0) >= wanted)
