"""The observer: its objects, and how they are installed.

It is a Pod in namespace kubeclass that makes requests for the checker; checker/collect/observer.py asks it.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import yaml

from cluster.context import Cluster
from cluster.kubectl import kubectl
from cluster.problem import Problem

HERE = Path(__file__).parent
NAMESPACE = "kubeclass"
PROGRAMS = ("server.py", "asking.py", "in_cluster.py", "rights.py", "bounds.py")
USER_ROLE = "kubeclass-observer-user"  # the Role with which a learner of a class asks the observer
PROXY = "http:observer:8080"  # how the API server's proxy names the observer's Service, and its scheme and port
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"  # label of the nodes of the control plane
PROGRAM = "kubeclass.dev/program"  # annotation of the Pod template: a digest of the program and of this manifest


def manifests(namespace: str = NAMESPACE, on_control_plane: bool = True, registry: str = "") -> str:
    """All objects of the observer as YAML, for a namespace of this name.

    A changed program changes the Pod template, so that it is rolled out.
    on_control_plane: False where no node of the cluster has the control plane, as in a cloud.
    registry: the prefix of the image's name, on a cluster that pulls it from a registry.
    """
    documents = _documents(namespace, registry)
    if not on_control_plane:
        for document in documents:
            if document["kind"] == "Deployment":
                del document["spec"]["template"]["spec"]["nodeSelector"]
    return str(yaml.safe_dump_all(documents))


def _documents(namespace: str = NAMESPACE, registry: str = "") -> list[dict[str, Any]]:
    programs = {name: (HERE / name).read_text() for name in PROGRAMS}
    # Two names: the namespace, and the ClusterRole with its binding. The Role is in the namespace, so its name stays.
    manifest = re.sub(r"\bkubeclass\b(?!-observer-user|\.)", namespace, (HERE / "manifest.yaml").read_text())
    named = re.sub(r"(image: )", rf"\1{registry}/", manifest) if registry else manifest
    documents = list(yaml.safe_load_all(named))
    documents.append(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "observer", "namespace": namespace},
            "data": programs,
        }
    )
    template = _deployment(documents)["spec"]["template"]
    content = "".join(programs.values()) + manifest
    template["metadata"]["annotations"] = {PROGRAM: hashlib.sha256(content.encode()).hexdigest()[:16]}
    return documents


def _deployment(documents: list[dict[str, Any]]) -> dict[str, Any]:
    return next(d for d in documents if d["kind"] == "Deployment" and d["metadata"]["name"] == "observer")


def is_current(cluster: Cluster, namespace: str = NAMESPACE) -> bool:
    """Whether the observer in the cluster is this version, and ready. Where its image came from does not count."""
    wanted = _deployment(_documents(namespace))["spec"]["template"]["metadata"]["annotations"][PROGRAM]
    try:
        found = json.loads(kubectl(cluster, "get", "deployment", "observer", "-n", namespace, "-o", "json", timeout=20))
    except Problem:
        return False
    status, template = found.get("status", {}), found["spec"]["template"]["metadata"]
    up_to_date = status.get("observedGeneration") == found["metadata"]["generation"]
    return bool(
        up_to_date and status.get("readyReplicas") == 1 and template.get("annotations", {}).get(PROGRAM) == wanted
    )


def install(cluster: Cluster, namespace: str = NAMESPACE, registry: str = "") -> None:
    """Put the observer into the cluster, or bring it up to date, and wait until it is ready.

    Raises Problem where that does not come about within a minute and a half.
    """
    nodes = kubectl(cluster, "get", "nodes", "-l", CONTROL_PLANE, "-o", "name", timeout=20)
    kubectl(cluster, "apply", "-f", "-", input=manifests(namespace, bool(nodes.strip()), registry))
    kubectl(cluster, "rollout", "status", "deployment/observer", "-n", namespace, "--timeout=90s", timeout=100)
