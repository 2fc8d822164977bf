"""The nodes of the course's cluster, as the container engine knows them: containers that kind made."""

from __future__ import annotations

import json
from dataclasses import dataclass

from cluster.context import Cluster
from cluster.process import run

WORKERS = 2
ROLE = "io.x-k8s.kind.role"


@dataclass(frozen=True)
class Node:
    """One node: its container's name, its role (control-plane or worker), whether the container runs."""

    name: str
    role: str
    running: bool


def nodes_of(engine: str, cluster: Cluster) -> list[Node]:
    """The nodes of a cluster, by name. Raises Problem where the engine does not answer."""
    words = ("ps", "-a", "--filter", f"label=io.x-k8s.kind.cluster={cluster.name}", "--format")
    if engine == "podman":
        listed = json.loads(run(engine, *words, "json", timeout=20) or "[]")
        rows = [(one["Names"][0], one["State"], one["Labels"].get(ROLE, "")) for one in listed]
    else:
        lines = run(engine, *words, f'{{{{.Names}}}} {{{{.State}}}} {{{{.Label "{ROLE}"}}}}', timeout=20).splitlines()
        rows = [(name, state, role) for name, state, role in (line.split(" ") for line in lines)]
    return [Node(name, role, state == "running") for name, state, role in sorted(rows)]
