"""Traffic policies of a Service: with `Local`, a node sends requests only to Pods on the same node.

Source: https://kubernetes.io/docs/reference/networking/virtual-ips/#traffic-policies
"""

from __future__ import annotations

from typing import Any

from checker.diagnosis.service import pods_behind
from checker.model.state import Object, State
from checker.model.verdict import fail


def is_local(service: Object) -> bool:
    """Whether requests from inside the cluster stay on their node."""
    return service.spec.get("internalTrafficPolicy") == "Local" and service.spec.get("clusterIP") != "None"


def explain_local_traffic(state: State, service: Object, client: Object, facts: dict[str, Any]) -> None:
    """Raise Failed where a Service has no ready Pod on the node of a client that asks it."""
    node = client.spec.get("nodeName")
    if not is_local(service) or not node:
        return
    nodes = sorted({str(pod.spec.get("nodeName")) for pod in pods_behind(state, service) if pod.is_ready})
    if nodes and node not in nodes:
        fail("service-local-only", service, form="no-pod-on-node", pod=client.name, node=node, nodes=nodes, **facts)
