"""Small worlds for the unit tests: objects as the API server writes them, with only what a test is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from checker.model.state import Object
from checker.sdk import State

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAMESPACE = "learn"


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def obj(
    kind: str, name: str, *, namespace: str = NAMESPACE, owner: Object | None = None, age: float = 300, **raw: Any
) -> Object:
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"{kind}-{namespace}-{name}",
        "creationTimestamp": ago(age),
        "generation": 1,
    }
    if owner:
        metadata["ownerReferences"] = [{"kind": owner.kind, "name": owner.name, "uid": owner.uid, "controller": True}]
    return Object(kind, {**raw, "metadata": {**metadata, **raw.get("metadata", {})}})


def container(name: str = "app", **spec: Any) -> dict[str, Any]:
    return {"name": name, "image": "guestbook:v1", "ports": [{"name": "http", "containerPort": 8080}], **spec}


def pod(
    name: str = "guestbook-1",
    *,
    owner: Object | None = None,
    labels: dict[str, str] | None = None,
    ready: bool = True,
    node: str = "worker",
    ip: str = "10.244.1.1",
    since: float = 120,
    containers: list[dict[str, Any]] | None = None,
    container_state: dict[str, Any] | None = None,
    last: dict[str, Any] | None = None,
    restarts: int = 0,
    age: float = 300,
    namespace: str = NAMESPACE,
    **status: Any,
) -> Object:
    """A Pod with one container. container_state: its `state`; by default it has been running for `since` seconds."""
    containers = containers or [container()]
    seen = {
        "name": containers[0]["name"],
        "ready": ready,
        "started": True,
        "restartCount": restarts,
        "state": container_state or {"running": {"startedAt": ago(since)}},
        "lastState": {"terminated": last} if last else {},
    }
    return obj(
        "Pod",
        name,
        owner=owner,
        age=age,
        namespace=namespace,
        metadata={"labels": labels or {"app": "guestbook"}},
        spec={"containers": containers, **({"nodeName": node} if node else {})},
        status={
            "phase": "Running" if node else "Pending",
            "podIP": ip,
            "conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": ago(since)}],
            "containerStatuses": [seen] if node else [],
            **status,
        },
    )


def deployment(name: str = "guestbook", replicas: int = 1, **changes: Any) -> Object:
    counts = {
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": replicas,
        "availableReplicas": replicas,
    }
    spec = {
        "replicas": replicas,
        "template": {"metadata": {"labels": {"app": "guestbook"}}, "spec": {"containers": [container()]}},
    }
    return obj(
        "Deployment",
        name,
        spec={**spec, **changes.get("spec", {})},
        status={"observedGeneration": 1, **counts, **changes.get("status", {})},
        metadata=changes.get("metadata", {}),
    )


def replica_set(owner: Object, name: str = "guestbook-abc", **raw: Any) -> Object:
    annotations = {"deployment.kubernetes.io/revision": "1"}
    return obj(
        "ReplicaSet",
        name,
        owner=owner,
        metadata={"annotations": annotations},
        **{"spec": {"replicas": 1}, "status": {}, **raw},
    )


def service(
    name: str = "guestbook",
    selector: dict[str, str] | None = None,
    port: int = 80,
    target: int | str = 8080,
    **spec: Any,
) -> Object:
    return obj(
        "Service",
        name,
        spec={
            "selector": {"app": "guestbook"} if selector is None else selector,
            "ports": [{"port": port, "targetPort": target}],
            **spec,
        },
    )


def slice_of(name: str = "guestbook") -> Object:
    return obj(
        "EndpointSlice",
        f"{name}-x",
        metadata={
            "labels": {
                "kubernetes.io/service-name": name,
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            }
        },
        endpoints=[{"addresses": ["10.244.1.1"], "conditions": {"ready": True}}],
    )


def node(
    name: str = "worker",
    images: tuple[str, ...] = ("docker.io/library/guestbook:v1",),
    labels: dict[str, str] | None = None,
    taints: list[dict[str, str]] | None = None,
    cpu: str = "4",
) -> Object:
    return obj(
        "Node",
        name,
        namespace="",
        metadata={"labels": labels or {}},
        spec={"taints": taints or []},
        status={
            "images": [{"names": [image]} for image in images],
            "allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    )


def event(about: Object, reason: str, message: str) -> Object:
    return obj(
        "Event",
        f"{about.name}.{reason}",
        reason=reason,
        message=message,
        type="Warning",
        lastTimestamp=ago(5),
        involvedObject={"uid": about.uid, "kind": about.kind, "name": about.name},
    )


def state(*objects: Object, namespace: str = NAMESPACE, **fields: Any) -> State:
    """A State with these objects, and the lab's namespace beside them."""
    by_kind: dict[str, list[Object]] = {}
    for one in (obj("Namespace", NAMESPACE, namespace=""), *objects):
        by_kind.setdefault(one.kind, []).append(one)
    pods = by_kind.get("Pod", [])
    logs = {f"{pod.name}/{status['name']}": "" for pod in pods for status in pod.container_statuses}
    return State(namespace, NOW, by_kind, **{**fields, "logs": logs | fields.get("logs", {})})
