"""The cluster's nodes, for tests that close or stop some."""

from __future__ import annotations

import pytest

from cluster import current, engine
from cluster.kubectl import kubectl
from cluster.nodes import nodes_of
from cluster.process import run

# On the second cluster (tests/conftest.py), one after the other.
ON_THE_SECOND_CLUSTER = [pytest.mark.cluster, pytest.mark.solo, pytest.mark.xdist_group("solo")]


def control_plane() -> str:
    return next(node.name for node in nodes_of(engine.command(), current()) if node.role == "control-plane")


def put_nodes_back() -> None:
    """Whatever became of a case: all nodes run, are ready, and take Pods."""
    cluster, command = current(), engine.command()
    stopped = [node.name for node in nodes_of(command, cluster) if not node.running]
    if stopped:
        run(command, "start", *stopped, timeout=60)
    workers = [node.name for node in nodes_of(command, cluster) if node.role == "worker"]
    kubectl(cluster, "wait", "node", *workers, "--for=condition=Ready", "--timeout=90s", timeout=100)
    kubectl(cluster, "uncordon", *workers)
