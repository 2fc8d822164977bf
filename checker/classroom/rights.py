"""What a learner of a class may do: what the labs need, and no more.

A Role in each namespace of the learner, a ClusterRole to read what all share, and a way to ask the observer.
Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from checker.classroom.names import ACCOUNT, OBSERVER, labelled, shared

Manifest = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
READ = ["get", "list", "watch"]
ALL = [*READ, "create", "update", "patch", "delete", "deletecollection"]


def _rule(groups: list[str], resources: list[str], verbs: list[str], names: list[str] | None = None) -> Manifest:
    rule: Manifest = {"apiGroups": groups, "resources": resources, "verbs": verbs}
    return rule | ({"resourceNames": names} if names else {})


def _in_namespace(namespace: str) -> list[Manifest]:
    """The rules in one namespace of the learner's own.

    Not among them: endpoints and EndpointSlices (an address by hand could be another learner's), roles, tokens, the
    proxies of Pods and Services (the API server would make the request, past every network policy), and Ingresses,
    which no lab needs.
    """
    return [
        _rule(
            [""],
            [
                "pods",
                "services",
                "configmaps",
                "secrets",
                "persistentvolumeclaims",
                "resourcequotas",
                "limitranges",
            ],
            ALL,
        ),
        _rule([""], ["pods/log"], ["get"]),
        # A client asks for these by GET (WebSocket) or by POST (SPDY).
        _rule([""], ["pods/exec", "pods/attach", "pods/portforward"], ["get", "create"]),
        _rule([""], ["pods/ephemeralcontainers"], ["get", "update", "patch"]),
        _rule([""], ["pods/eviction"], ["create"]),
        _rule([""], ["events", "endpoints", "serviceaccounts", "replicationcontrollers"], READ),
        # With a token of this account, which has no rights, the checker shows the observer whose namespace it is.
        _rule([""], ["serviceaccounts/token"], ["create"], ["default"]),
        # `kubeclass start` writes the lab's number and time here. An admission policy refuses every other change.
        _rule([""], ["namespaces"], ["get", "patch"], [namespace]),
        _rule(["apps"], ["deployments", "statefulsets", "daemonsets", "replicasets"], ALL),
        _rule(
            ["apps"],
            ["deployments/scale", "statefulsets/scale", "replicasets/scale"],
            ["get", "update", "patch"],
        ),
        _rule(["apps"], ["controllerrevisions"], READ),
        _rule(["batch"], ["jobs", "cronjobs"], ALL),
        _rule(["networking.k8s.io"], ["networkpolicies"], ALL),
        _rule(["networking.k8s.io"], ["ingresses"], READ),
        _rule(["policy"], ["poddisruptionbudgets"], ALL),
        _rule(["autoscaling"], ["horizontalpodautoscalers"], ALL),
        _rule(["discovery.k8s.io"], ["endpointslices"], READ),
        _rule(["events.k8s.io"], ["events"], READ),
        _rule(["metrics.k8s.io"], ["pods"], ["get", "list"]),
    ]


def in_namespace(class_name: str, namespace: str, homes: list[str]) -> Iterator[Manifest]:
    """The Role in one of a learner's namespaces, and its binding. homes: the namespaces of the learner's accounts."""
    version = f"{RBAC}/v1"
    yield labelled(version, "Role", ACCOUNT, class_name, namespace, rules=_in_namespace(namespace))
    yield labelled(
        version,
        "RoleBinding",
        ACCOUNT,
        class_name,
        namespace,
        roleRef={"apiGroup": RBAC, "kind": "Role", "name": ACCOUNT},
        subjects=_accounts(homes),
    )


def cluster_wide(class_name: str, homes: list[str]) -> Iterator[Manifest]:
    """What all learners may read of the cluster: nodes and storage, and nothing that belongs to somebody."""
    name, version = shared(class_name), f"{RBAC}/v1"
    rules = [
        _rule([""], ["nodes"], READ),
        _rule(["storage.k8s.io"], ["storageclasses"], READ),
        _rule(["metrics.k8s.io"], ["nodes"], ["get", "list"]),
    ]
    yield labelled(version, "ClusterRole", name, class_name, rules=rules)
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
    yield labelled(version, "ClusterRoleBinding", name, class_name, roleRef=role, subjects=_accounts(homes))


def to_ask_the_observer(class_name: str, homes: list[str]) -> Iterator[Manifest]:
    """The right to reach the observer through the API server's proxy, and nothing else in its namespace."""
    name, version = shared(class_name), f"{RBAC}/v1"
    rules = [_rule([""], ["services/proxy"], ["get", "create"], ["http:observer:8080"])]
    yield labelled(version, "Role", name, class_name, OBSERVER, rules=rules)
    role = {"apiGroup": RBAC, "kind": "Role", "name": name}
    yield labelled(version, "RoleBinding", name, class_name, OBSERVER, roleRef=role, subjects=_accounts(homes))


def _accounts(homes: list[str]) -> list[Manifest]:
    return [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": home} for home in homes]
