"""The kinds of objects that a State holds, and where the API server serves them.

Source of the paths: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One resource type: `name` as written in a manifest, `group_version` as in apiVersion, `plural` as in a URL.

    always: whether every check lists the kind. Other kinds are listed where a lab's tasks name them, and by
    `kubeclass explain`.
    """

    name: str
    group_version: str
    plural: str
    namespaced: bool = True
    always: bool = True

    def paths(self, namespace: str) -> list[str]:
        """The paths by which a lab in this namespace lists the kind, the first choice first.

        The first lists all namespaces but the system's, unless the lab's namespace is one of the system's. The second
        lists the lab's namespace only, for a user whose rights end there.
        """
        if self.name == "Event":
            return [self.path(namespace)]
        if not self.namespaced:
            return [self.path()]
        not_system = ",".join(f"metadata.namespace!={name}" for name in SYSTEM_NAMESPACES if name != namespace)
        return [f"{self.path()}?fieldSelector={not_system}", self.path(namespace)]

    def path(self, namespace: str | None = None) -> str:
        """The collection's path: of one namespace, or of the whole cluster."""
        root = f"/api/{self.group_version}" if "/" not in self.group_version else f"/apis/{self.group_version}"
        return (
            f"{root}/namespaces/{namespace}/{self.plural}" if namespace and self.namespaced else f"{root}/{self.plural}"
        )


KINDS = {
    kind.name: kind
    for kind in (
        Kind("Namespace", "v1", "namespaces", namespaced=False),
        Kind("Node", "v1", "nodes", namespaced=False),
        Kind("Pod", "v1", "pods"),
        Kind("Service", "v1", "services"),
        Kind("EndpointSlice", "discovery.k8s.io/v1", "endpointslices"),
        Kind("Deployment", "apps/v1", "deployments"),
        Kind("ReplicaSet", "apps/v1", "replicasets"),
        Kind("StatefulSet", "apps/v1", "statefulsets"),
        Kind("DaemonSet", "apps/v1", "daemonsets"),
        Kind("Job", "batch/v1", "jobs"),
        Kind("CronJob", "batch/v1", "cronjobs"),
        Kind("ConfigMap", "v1", "configmaps"),
        Kind("Secret", "v1", "secrets"),
        Kind("PersistentVolume", "v1", "persistentvolumes", namespaced=False),
        Kind("PersistentVolumeClaim", "v1", "persistentvolumeclaims"),
        Kind("StorageClass", "storage.k8s.io/v1", "storageclasses", namespaced=False),
        Kind("ResourceQuota", "v1", "resourcequotas"),
        Kind("LimitRange", "v1", "limitranges"),
        Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies"),
        Kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets"),
        Kind("ServiceAccount", "v1", "serviceaccounts"),
        Kind("Role", "rbac.authorization.k8s.io/v1", "roles", always=False),
        Kind("RoleBinding", "rbac.authorization.k8s.io/v1", "rolebindings", always=False),
        Kind("Ingress", "networking.k8s.io/v1", "ingresses", always=False),
        Kind("IngressClass", "networking.k8s.io/v1", "ingressclasses", namespaced=False, always=False),
        Kind("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers", always=False),
        Kind("Event", "v1", "events"),
    )
}

# Namespaces that belong to the cluster or to the course: nothing of a learner's is looked for there.
SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "local-path-storage", "kubeclass")

# The kinds that every check lists, whatever its lab is about.
ALWAYS = frozenset(kind.name for kind in KINDS.values() if kind.always)
