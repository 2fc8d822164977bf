"""Clusters, and the kubeconfig that reaches each of them.

`current` is the course's own kind cluster. checker/classroom/target.py says which cluster a command means.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cluster import paths

DEFAULT_NAMESPACE = "learn"  # where a learner works; the kubeconfig's context names it


@dataclass(frozen=True)
class Cluster:
    """A cluster: its name, the kubeconfig that reaches it, and the one context and the namespace used in it.

    kind: `own` is a kind cluster of the course, with a kubeconfig of its own (mode 0600). `class` is one that was
    joined (checker/classroom/joined.py). `named` is a context that somebody named for one command.
    context: by default, as kind names it.
    """

    name: str
    kubeconfig: Path
    context: str = ""
    namespace: str = DEFAULT_NAMESPACE
    kind: Literal["own", "class", "named"] = "own"

    def __post_init__(self) -> None:
        if not self.context:
            object.__setattr__(self, "context", f"kind-{self.name}")


def current() -> Cluster:
    """The course's own cluster on this machine: `KUBECLASS_CLUSTER`, else `kubeclass`."""
    name = os.environ.get("KUBECLASS_CLUSTER") or "kubeclass"
    return Cluster(name, paths.home() / name / "kubeconfig")


def in_namespace(kubeconfig: str, namespace: str) -> str:
    """The text of a kubeconfig, with `namespace` as the one that plain kubectl goes to."""
    import yaml

    config = yaml.safe_load(kubeconfig)
    for entry in config["contexts"]:
        entry["context"]["namespace"] = namespace
    return str(yaml.safe_dump(config))
