"""Environments: where a lab lives, and what `start`, `reset` and `clear` do there.

A lab lives in a namespace of the cluster, or in the container engine.
"""

from __future__ import annotations

from checker.classroom.needs import namespace_of
from checker.classroom.target import target
from checker.environments.base import Environment
from checker.environments.namespace import NamespaceEnvironment
from checker.grading.labs import Lab
from cluster import Cluster
from cluster.context import DEFAULT_NAMESPACE

__all__ = ["Environment", "environment_of", "environments"]


def environment_of(lab: Lab, namespace: str = "", seed: str = "", cluster: Cluster | None = None) -> Environment:
    """The environment of a lab. namespace, seed, cluster: see NamespaceEnvironment."""
    if lab.spec.needs.engine:
        from checker.environments.container_engine import ContainerEngineEnvironment

        return ContainerEngineEnvironment(_of_engine(namespace))
    place = cluster or target()
    return NamespaceEnvironment(namespace_of(lab, place, namespace), place, seed=seed)


def _of_engine(namespace: str) -> str:
    """The namespace as the container engine's environment knows it: there is no class in the engine."""
    return namespace if namespace not in ("", target().namespace) else DEFAULT_NAMESPACE


def environments(namespace: str, engine: bool) -> list[Environment]:
    """Every environment that labs of this namespace may use; the container engine only if `engine` is true.

    Raises Problem where there is no cluster. With `engine`, the cluster may be missing: a learner may read lesson 01
    while the cluster comes up.
    """
    if not engine:
        return [NamespaceEnvironment(namespace)]
    from checker.environments.container_engine import ContainerEngineEnvironment

    in_cluster = [NamespaceEnvironment(namespace)] if target().kubeconfig.exists() else []
    return [ContainerEngineEnvironment(_of_engine(namespace)), *in_cluster]
