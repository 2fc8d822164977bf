"""On which cluster a class is, for its teacher.

The course remembers context and kubeconfig of each class in its own folder, so that they are named once.
"""

from __future__ import annotations

import json
from pathlib import Path

from checker.classroom.target import target
from checker.model.catalogue import problem
from cluster import Cluster, paths
from cluster.files import in_one_step


def _memory() -> Path:
    return paths.home() / "taught.json"


def remembered() -> dict[str, Cluster]:
    """The classes that were made from this machine, and where they are."""
    try:
        known = json.loads(_memory().read_text())
        return {name: _cluster(one["context"], Path(one["kubeconfig"])) for name, one in known.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _cluster(context: str, kubeconfig: Path) -> Cluster:
    return Cluster(context, kubeconfig, context, kind="named")


def remember(name: str, cluster: Cluster | None) -> None:
    """Keep where a class is; None: forget it. Raises OSError."""
    known = {one: where for one, where in remembered().items() if one != name}
    if cluster:
        known[name] = cluster
    entries = {one: {"context": where.context, "kubeconfig": str(where.kubeconfig)} for one, where in known.items()}
    _memory().parent.mkdir(parents=True, exist_ok=True)
    with in_one_step(_memory(), 0o644) as new:
        new.write_text(json.dumps(entries, indent=1) + "\n")


def cluster_of_class(name: str, context: str, kubeconfig: Path | None) -> Cluster:
    """The cluster of a class: of the context, where one is named, else where the class was made.

    Raises Problem where neither is known, and as `target` does.
    """
    if context:
        return target(context, str(kubeconfig or ""))
    if known := remembered().get(name):
        return target(known.context, str(known.kubeconfig))
    raise problem("class-where", name=name)
