"""Environments: where a lab lives, and what `start`, `reset` and `clear` do there.

A lab lives in a namespace of the cluster, or in the container engine.
"""

from __future__ import annotations

from checker.environments.base import Environment
from checker.environments.namespace import NamespaceEnvironment
from checker.grading.labs import Lab
from cluster import current

__all__ = ["Environment", "environment_of", "environments"]


def environment_of(lab: Lab, namespace: str, seed: str = "") -> Environment:
    """The environment of a lab. seed: see NamespaceEnvironment."""
    if lab.spec.needs.engine:
        from checker.environments.container_engine import ContainerEngineEnvironment

        return ContainerEngineEnvironment(namespace)
    return NamespaceEnvironment(namespace, seed=seed)


def environments(namespace: str, engine: bool) -> list[Environment]:
    """Every environment that labs of this namespace may use; the container engine only if `engine` is true.

    Raises Problem where there is no cluster. With `engine`, the cluster may be missing: a learner may read lesson 01
    while the cluster comes up.
    """
    if not engine:
        return [NamespaceEnvironment(namespace)]
    from checker.environments.container_engine import ContainerEngineEnvironment

    in_cluster = [NamespaceEnvironment(namespace)] if current().kubeconfig.exists() else []
    return [ContainerEngineEnvironment(namespace), *in_cluster]
