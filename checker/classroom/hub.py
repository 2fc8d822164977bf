"""What a class holds for JupyterHub: a namespace for each learner's server, in which only the hub may create Pods.

The server runs as an account of the learner's own. The learner has no rights in this namespace: nobody can change the
server, its walls or its volume from a lab, and no lab, `kubectl get pods` or grader meets the server.
hub/kubeclass_hub.py starts the servers; docs/hub.md says how it is set up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from checker.classroom.names import ACCOUNT, HUB, HUB_ACCOUNT, HUB_NAMESPACE, LEARNER, OBSERVER, labelled, shared
from checker.classroom.walls import NAME, NETWORKING, WALL, WAY_OUT, one_address, to_dns

Manifest = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
SERVER_PORT, API_PORT = 8888, 8081  # of a learner's server, and of the hub's API
# Of a Pod of JupyterHub. Source: https://z2jh.jupyter.org/en/stable/resources/reference.html#hub-networkpolicy
HUB_PODS = {"component": "hub"}
# What a server requests, and the most that it gets. hub/values.yaml says the same.
CPU, MEMORY, MEMORY_LIMIT, STORAGE = "100m", "384Mi", "1Gi", "1Gi"
# What the quota of a server's namespace gives: twice a server. A Pod that is terminating counts, and so does one that
# KubeSpawner asks for again because the first answer was late. Without this room, the API server answers 403 (exceeded
# quota) instead of 409 (the Pod exists), and KubeSpawner gives up. Both Pods have the same name, so one runs at most.
ROOM = {"pods": "2", "requests.cpu": "200m", "requests.memory": "768Mi", "limits.memory": "2Gi"}
# What the namespace of a server holds of the class.
EXPECTED = (
    ("NetworkPolicy", WALL),
    ("NetworkPolicy", WAY_OUT),
    ("ResourceQuota", "class"),
    ("ServiceAccount", ACCOUNT),
    ("Role", HUB),
    ("RoleBinding", HUB),
)


def namespace_of(home: str) -> str:
    """The namespace of a learner's server. home: the learner's first namespace."""
    return f"{home}-{HUB}"


def contents(class_name: str, namespace: str, home: str, api_servers: Sequence[tuple[str, int]]) -> Iterator[Manifest]:
    """The quota and the walls of a server's namespace.

    The hub and its proxy reach the server, and nobody else does. The server reaches Pods of the same learner, the DNS,
    the hub's API, and the API server. api_servers: its addresses and ports.
    """
    hard = ROOM | {
        "requests.storage": STORAGE,
        "persistentvolumeclaims": "1",
        "services": "0",
    }
    yield labelled("v1", "ResourceQuota", "class", class_name, namespace, spec={"hard": hard})
    hubs = {"namespaceSelector": {"matchLabels": {NAME: HUB_NAMESPACE}}}
    wall = {
        "podSelector": {},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [hubs], "ports": [{"port": SERVER_PORT, "protocol": "TCP"}]}],
    }
    yield labelled(NETWORKING, "NetworkPolicy", WALL, class_name, namespace, spec=wall)
    api = [
        {"to": [{"ipBlock": {"cidr": one_address(address)}}], "ports": [{"port": port, "protocol": "TCP"}]}
        for address, port in api_servers
    ]
    to_the_hub = {
        "to": [hubs | {"podSelector": {"matchLabels": HUB_PODS}}],
        "ports": [{"port": API_PORT, "protocol": "TCP"}],
    }
    way_out = {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"namespaceSelector": {"matchLabels": {LEARNER: home}}}]}, to_dns(), to_the_hub, *api],
    }
    yield labelled(NETWORKING, "NetworkPolicy", WAY_OUT, class_name, namespace, spec=way_out)


def rights_of_the_hub(class_name: str, namespace: str) -> Iterator[Manifest]:
    """What the hub may do in the namespace of a learner's server: what KubeSpawner needs.

    Source: https://jupyterhub-kubespawner.readthedocs.io/en/latest/overview.html
    """
    read = ["get", "list", "watch"]
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": [*read, "create", "delete"]},
        {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": [*read, "create"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": read},
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"], "resourceNames": [namespace]},
    ]
    yield from _granted(class_name, HUB, namespace, rules)


def right_to_read_the_record(class_name: str) -> Iterator[Manifest]:
    """The hub's right to read what the class keeps of itself (record.py), and nothing else in that namespace."""
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "resourceNames": [shared(class_name)]}]
    yield from _granted(class_name, shared(class_name, HUB), OBSERVER, rules)


def _granted(class_name: str, name: str, namespace: str, rules: list[Manifest]) -> Iterator[Manifest]:
    version = f"{RBAC}/v1"
    yield labelled(version, "Role", name, class_name, namespace, rules=rules)
    role = {"apiGroup": RBAC, "kind": "Role", "name": name}
    subject = {"kind": "ServiceAccount", "name": HUB_ACCOUNT, "namespace": HUB_NAMESPACE}
    yield labelled(version, "RoleBinding", name, class_name, namespace, roleRef=role, subjects=[subject])
