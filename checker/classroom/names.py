"""The labels and names of what a class is made of."""

from __future__ import annotations

from typing import Any

from checker.model.state import CLASS

LEARNER = "kubeclass.dev/learner"  # label of a learner's namespaces: the name of the first of them
ROLE = "kubeclass.dev/role"  # label of a learner's namespaces: the suffix, or `home`
WALLED = "kubeclass.dev/walled"  # label of namespaces with the class's network policies
OWN_BUDGET = "kubeclass.dev/own-budget"  # label of namespaces where the learner sets the quota for CPU and memory
ACCOUNT = "learner"  # the ServiceAccount in a learner's first namespace
OBSERVER = "kubeclass"  # the namespace of the observer
POLICIES = "policies"  # the role of the namespace for labs about network policies
HUB = "hub"  # the role of the namespace of a learner's server in JupyterHub
HUB_NAMESPACE = "kubeclass-hub"  # the namespace of JupyterHub, where ServiceAccount `hub` is
HUB_ACCOUNT = "hub"


def shared(name: str, what: str = "") -> str:
    """The name of an object of the class outside the learners' namespaces."""
    return f"kubeclass-class-{name}" + (f"-{what}" if what else "")


def labelled(
    api_version: str, kind: str, name: str, class_name: str, namespace: str = "", **rest: Any
) -> dict[str, Any]:
    """An object that carries the class's label."""
    metadata: dict[str, Any] = {"name": name, "labels": {CLASS: class_name}}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}
