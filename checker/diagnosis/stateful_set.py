"""What is special about a StatefulSet: the Service that gives its Pods their names.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/
"""

from __future__ import annotations

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
    fail(
        "governing-service-missing",
        f"The Pods of StatefulSet {stateful_set.name} take their names from Service {name}, which does not exist: no name leads to any one of them."
        + (f" There is one called {near}." if near else ""),
        expected=f"Service {name}", observed=f"Services there: {', '.join(known) or 'none'}", object=stateful_set.ref,
        look=f"kubectl describe statefulset {stateful_set.name}",
    )  # fmt: skip
