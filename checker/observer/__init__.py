"""The observer seen from outside the cluster: put it there, and ask it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from checker.api import Api, ApiError
from cluster import Cluster

HERE = Path(__file__).parent
NAMESPACE = "kubeclass"
_PROXY = f"/api/v1/namespaces/{NAMESPACE}/services/http:observer:8080/proxy/ask"
ASK_TIMEOUT = 8.0  # seconds for one batch; a single request inside it has 2


def manifests() -> str:
    """All objects of the observer as YAML. A changed program changes the Pod template, so that it is rolled out."""
    import yaml

    program = (HERE / "server.py").read_text()
    documents = list(yaml.safe_load_all((HERE / "manifest.yaml").read_text()))
    documents.append({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "observer", "namespace": NAMESPACE},
        "data": {"server.py": program},
    })  # fmt: skip
    template = next(d for d in documents if d["kind"] == "Deployment")["spec"]["template"]
    template["metadata"]["annotations"] = {"kubeclass.dev/program": hashlib.sha256(program.encode()).hexdigest()[:16]}
    return yaml.safe_dump_all(documents)


def install(cluster: Cluster) -> None:
    """Put the observer into the cluster, or bring it up to date, and wait until it is ready.

    Raises Problem where that does not come about within a minute and a half.
    """
    from checker.kubectl import kubectl

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
