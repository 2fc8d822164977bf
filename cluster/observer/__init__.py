"""The observer: its objects, and how they are installed.

It is a Pod in namespace kubeclass that makes requests for the checker; checker/collect/observer.py asks it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

from cluster.context import Cluster
from cluster.kubectl import kubectl
from cluster.problem import Problem

HERE = Path(__file__).parent
NAMESPACE = "kubeclass"
PROGRAM = "kubeclass.dev/program"  # annotation of the Pod template: a digest of the program and of this manifest


def manifests() -> str:
    """All objects of the observer as YAML. A changed program changes the Pod template, so that it is rolled out."""
    return str(yaml.safe_dump_all(_documents()))


def _documents() -> list[dict[str, Any]]:
    programs = {name: (HERE / name).read_text() for name in ("server.py", "asking.py", "in_cluster.py")}
    documents = list(yaml.safe_load_all((HERE / "manifest.yaml").read_text()))
    documents.append(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "observer", "namespace": NAMESPACE},
            "data": programs,
        }
    )
    template = _deployment(documents)["spec"]["template"]
    content = "".join(programs.values()) + (HERE / "manifest.yaml").read_text()
    template["metadata"]["annotations"] = {PROGRAM: hashlib.sha256(content.encode()).hexdigest()[:16]}
    return documents


def _deployment(documents: list[dict[str, Any]]) -> dict[str, Any]:
    return next(d for d in documents if d["kind"] == "Deployment" and d["metadata"]["name"] == "observer")


def is_current(cluster: Cluster) -> bool:
    """Whether the observer in the cluster is this version, and ready."""
    wanted = _deployment(_documents())["spec"]["template"]["metadata"]["annotations"][PROGRAM]
    try:
        found = json.loads(kubectl(cluster, "get", "deployment", "observer", "-n", NAMESPACE, "-o", "json", timeout=20))
    except Problem:
        return False
    status, template = found.get("status", {}), found["spec"]["template"]["metadata"]
    up_to_date = status.get("observedGeneration") == found["metadata"]["generation"]
    return bool(
        up_to_date and status.get("readyReplicas") == 1 and template.get("annotations", {}).get(PROGRAM) == wanted
    )


def install(cluster: Cluster) -> None:
    """Put the observer into the cluster, or bring it up to date, and wait until it is ready.

    Raises Problem where that does not come about within a minute and a half.
    """
    kubectl(cluster, "apply", "-f", "-", input=manifests())
    kubectl(cluster, "rollout", "status", "deployment/observer", "-n", NAMESPACE, "--timeout=90s", timeout=100)
