"""The nodes of the course's cluster, as the container engine knows them: containers that kind made."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.context import Cluster
from cluster.steps import run

WORKERS = 2


@dataclass(frozen=True)
class Node:
    """One node: its container's name, its role (control-plane or worker), whether the container runs."""

    name: str
    role: str
    running: bool


def nodes_of(engine: str, cluster: Cluster) -> list[Node]:
    """The nodes of a cluster, by name. Raises Problem where the engine does not answer."""
    listed = run(
        engine, "ps", "-a", "--filter", f"label=io.x-k8s.kind.cluster={cluster.name}",
        "--format", '{{.Names}} {{.State}} {{.Label "io.x-k8s.kind.role"}}', timeout=20,
    )  # fmt: skip
    rows = sorted(line.split() for line in listed.splitlines() if line.strip())
    return [Node(row[0], row[2] if len(row) > 2 else "", row[1] == "running") for row in rows]
