"""Where the API server serves the kinds of objects that a class is made of."""

from __future__ import annotations

from typing import Any

# Kind: (plural, whether it is in a namespace). Those in a namespace first.
KINDS = {
    "NetworkPolicy": ("networkpolicies", True),
    "ResourceQuota": ("resourcequotas", True),
    "LimitRange": ("limitranges", True),
    "ServiceAccount": ("serviceaccounts", True),
    "Role": ("roles", True),
    "RoleBinding": ("rolebindings", True),
    "ConfigMap": ("configmaps", True),
    "Namespace": ("namespaces", False),
    "ClusterRole": ("clusterroles", False),
    "ClusterRoleBinding": ("clusterrolebindings", False),
    "ValidatingAdmissionPolicy": ("validatingadmissionpolicies", False),
    "ValidatingAdmissionPolicyBinding": ("validatingadmissionpolicybindings", False),
    "ClusterNetworkPolicy": ("clusternetworkpolicies", False),
    "AdminNetworkPolicy": ("adminnetworkpolicies", False),
}
VERSIONS = {
    "NetworkPolicy": "networking.k8s.io/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1",
    "ValidatingAdmissionPolicy": "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding": "admissionregistration.k8s.io/v1",
    "ClusterNetworkPolicy": "policy.networking.k8s.io/v1alpha2",
    "AdminNetworkPolicy": "policy.networking.k8s.io/v1alpha1",
}
# Network policies of the whole cluster, which hold before those of a namespace: the newer kind first. A cluster has
# them only where somebody installed them. Source: https://network-policy-api.sigs.k8s.io/
TIERS = ("ClusterNetworkPolicy", "AdminNetworkPolicy")


def collection(kind: str, namespace: str = "") -> str:
    """The path of a kind's objects: of one namespace, or of the whole cluster."""
    version = VERSIONS.get(kind, "v1")
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    plural, namespaced = KINDS[kind]
    return f"{root}/namespaces/{namespace}/{plural}" if namespaced and namespace else f"{root}/{plural}"


def path_of(manifest: dict[str, Any]) -> str:
    """The path of an object."""
    metadata = manifest["metadata"]
    return f"{collection(manifest['kind'], metadata.get('namespace', ''))}/{metadata['name']}"


def key_of(kind: str, metadata: dict[str, Any]) -> tuple[str, str, str]:
    """What tells an object from all others: kind, namespace (empty for none), name."""
    return kind, metadata.get("namespace") or "", metadata["name"]
