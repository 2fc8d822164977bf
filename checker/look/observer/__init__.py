"""The observer seen from outside the cluster: put it there, and ask it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

from checker.look.api import Api, ApiError
from cluster import Cluster

HERE = Path(__file__).parent
NAMESPACE = "kubeclass"
PROGRAM = "kubeclass.dev/program"  # annotation of the Pod template: a digest of the program and of this manifest
_PROXY = f"/api/v1/namespaces/{NAMESPACE}/services/http:observer:8080/proxy/ask"
ASK_TIMEOUT = 8.0  # seconds for one batch; a single request inside it has 2


def manifests() -> str:
    """All objects of the observer as YAML. A changed program changes the Pod template, so that it is rolled out."""
    return str(yaml.safe_dump_all(_documents()))


def _documents() -> list[dict[str, Any]]:
    programs = {name: (HERE / name).read_text() for name in ("server.py", "asking.py", "in_cluster.py")}
    documents = list(yaml.safe_load_all((HERE / "manifest.yaml").read_text()))
    documents.append({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "observer", "namespace": NAMESPACE},
        "data": programs,
    })  # fmt: skip
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
        found = Api(cluster).get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/observer")
    except ApiError:
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
    from cluster.kubectl import kubectl

    kubectl(cluster, "apply", "-f", "-", input=manifests())
    kubectl(cluster, "rollout", "status", "deployment/observer", "-n", NAMESPACE, "--timeout=90s", timeout=100)


def ask(api: Api, questions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Answers to a batch of questions (see server.py), by key. Where the observer cannot be asked, each is `{"error": why}`."""
    if not questions:
        return {}
    try:
        answers: dict[str, Any] = json.loads(
            api.request("POST", _PROXY, {"questions": questions}, read_timeout=ASK_TIMEOUT)
        )
    except ApiError as error:
        why = {404: "it is not installed", 503: "its Pod is not ready"}.get(error.status, error.message)
        return {key: {"error": f"the observer could not be asked: {why}"} for key in questions}
    return answers


def forget(api: Api, *namespaces: str) -> None:
    """End the observer's streams in these namespaces, and drop what they saw."""
    ask(api, {namespace: {"do": "forget", "namespace": namespace} for namespace in namespaces})
