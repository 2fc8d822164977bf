"""The quota of a class: how much each learner may use, and how much the labs need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from checker.classroom.names import labelled
from checker.model.catalogue import problem
from checker.model.quantity import quantity

Manifest = dict[str, Any]
NAME = "class"
# Bytes in one ConfigMap or Secret, and in the annotations of one object. `kubectl apply` keeps the manifest in one.
LARGEST_DATA, LARGEST_ANNOTATIONS = 32 * 1024, 64 * 1024
ROOM = 5  # Pods beside those that the manifests name: of a rollout, of a Job, or scaled by hand


@dataclass(frozen=True)
class Quota:
    """What one learner may have. The first namespace gets all of it, each further one the part that `further` gives.

    pods: at a time. cpu, memory: what all containers request together. storage: of all claims together.
    container_cpu, container_memory: the most that one container requests where the learner's own quota counts the sum.
    """

    pods: int = 20
    cpu: str = "2"
    memory: str = "1Gi"
    storage: str = "2Gi"
    container_cpu: str = "500m"
    container_memory: str = "512Mi"

    @property
    def further(self) -> Quota:
        """The quota of a further namespace."""
        half = max(10, self.pods // 2)
        return replace(self, pods=min(self.pods, half), cpu="500m", memory="512Mi", storage="500Mi")

    def objects(self, class_name: str, namespace: str, home: bool, budget: bool) -> Iterator[Manifest]:
        """The ResourceQuota of a namespace, and its LimitRange.

        A quota for CPU refuses a Pod that requests none. So the LimitRange gives a container that names no request the
        smallest one. budget: whether CPU and memory are counted; not where the learner's own quota does that.
        Source: https://kubernetes.io/docs/concepts/policy/resource-quotas/
        """
        most = self if home else self.further
        hard = {
            "pods": str(most.pods),
            "services": "12",
            "services.loadbalancers": "0",
            "services.nodeports": "6",
            "persistentvolumeclaims": "4",
            "requests.storage": most.storage,
            "configmaps": "40",
            "secrets": "40",
            "count/deployments.apps": "20",
            "count/statefulsets.apps": "10",
            "count/daemonsets.apps": "5",
            "count/jobs.batch": "40",
            "count/cronjobs.batch": "10",
            "count/networkpolicies.networking.k8s.io": "40",
            "count/replicasets.apps": "250",  # a Deployment keeps ten old ones
            "count/poddisruptionbudgets.policy": "10",
            "count/horizontalpodautoscalers.autoscaling": "10",
            "resourcequotas": "10",
            "count/limitranges": "10",
        }
        if budget:
            hard |= {"requests.cpu": most.cpu, "requests.memory": most.memory}
            smallest = {"type": "Container", "defaultRequest": {"cpu": "1m", "memory": "1Mi"}}
            yield labelled("v1", "LimitRange", NAME, class_name, namespace, spec={"limits": [smallest]})
        yield labelled("v1", "ResourceQuota", NAME, class_name, namespace, spec={"hard": hard})


def parse_quota(text: str, begin: Quota) -> Quota:
    """A quota from `pods=30,cpu=4`, the rest as in `begin`. Raises Problem where a part is none."""
    changed = begin
    for part in filter(None, (one.strip() for one in text.split(","))):
        key, _, value = part.partition("=")
        try:
            if key not in ("pods", "cpu", "memory", "storage"):
                raise ValueError
            if quantity(value) <= 0:
                raise ValueError
            parts: dict[str, Any] = {key: int(value) if key == "pods" else value}
            changed = replace(changed, **parts)
        except ValueError:
            raise problem("class-quota", part=part) from None
    return changed


@dataclass(frozen=True)
class Use:
    """What a lab needs in one namespace: Pods, cores, bytes of memory, bytes of storage."""

    pods: int = 0
    cpu: Decimal = Decimal(0)
    memory: Decimal = Decimal(0)
    storage: Decimal = Decimal(0)


def use_of(manifests: Iterable[Manifest], workers: int) -> Use:
    """What these manifests need at most at a time. workers: the Pods that a DaemonSet has."""
    pods, cpu, memory, storage = 0, Decimal(0), Decimal(0), Decimal(0)
    for one in manifests:
        spec = one.get("spec") or {}
        template = (spec.get("template") or {}).get("spec") or (spec if one.get("kind") == "Pod" else {})
        if one.get("kind") == "PersistentVolumeClaim":
            storage += _requested(spec, "storage")
        if not template:
            continue
        copies = workers if one.get("kind") == "DaemonSet" else int(spec.get("replicas", spec.get("parallelism", 1)))
        pods += copies
        for container in template.get("containers") or []:
            cpu += copies * _requested(container, "cpu")
            memory += copies * _requested(container, "memory")
    return Use(pods + ROOM if pods else 0, cpu, memory, storage)


def _requested(holder: Manifest, resource: str) -> Decimal:
    return quantity(((holder.get("resources") or {}).get("requests") or {}).get(resource, 0))


def too_little(quota: Quota, use: Use, home: bool) -> list[tuple[str, str, str]]:
    """What of a quota is less than a lab needs: (resource, needed, given)."""
    most = quota if home else quota.further
    needed = {"pods": Decimal(use.pods), "cpu": use.cpu, "memory": use.memory, "storage": use.storage}
    return [
        (resource, _written(resource, amount), str(getattr(most, resource)))
        for resource, amount in needed.items()
        if amount > quantity(getattr(most, resource))
    ]


def _written(resource: str, amount: Decimal) -> str:
    """An amount as a person writes it."""
    if resource in ("memory", "storage"):
        return f"{-(-amount // 2**20)}Mi"
    return f"{amount * 1000:.0f}m" if resource == "cpu" and amount % 1 else f"{amount:.0f}"
