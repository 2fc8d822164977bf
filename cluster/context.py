"""Which cluster is the course's, and the kubeconfig that reaches it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cluster import paths

DEFAULT_NAMESPACE = "learn"  # where a learner works; the kubeconfig's context names it


@dataclass(frozen=True)
class Cluster:
    """A kind cluster of the course: its name, its own kubeconfig (mode 0600), and the one context used in it."""

    name: str
    kubeconfig: Path

    @property
    def context(self) -> str:
        return f"kind-{self.name}"


def current() -> Cluster:
    """The cluster that commands act on: `KUBECLASS_CLUSTER`, else `kubeclass`."""
    name = os.environ.get("KUBECLASS_CLUSTER") or "kubeclass"
    return Cluster(name, paths.home() / name / "kubeconfig")


def in_namespace(kubeconfig: str, namespace: str) -> str:
    """The text of a kubeconfig, with `namespace` as the one that plain kubectl goes to."""
    import yaml

    config = yaml.safe_load(kubeconfig)
    for entry in config["contexts"]:
        entry["context"]["namespace"] = namespace
    return str(yaml.safe_dump(config))
