"""What the API server refuses in a manifest, and what it would create from one. A dry run asks it and changes nothing.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from checker.collect.api import Api, ApiError
from checker.model.fault import Phrase, Reason, reason_of
from checker.model.kinds import KINDS
from checker.model.state import State
from cluster import Cluster, Problem
from cluster.kubectl import kubectl
from cluster.language.not_yaml import NOT_YAML


def refusals(cluster: Cluster, state: State, files: list[Path], every: bool = False) -> list[dict[str, Any]]:
    """For each document whose object is not in the cluster (with every, for each), why it is refused, where it is.

    Each refusal has file, kind, name (both empty where the file is not even YAML) and message.
    """
    found: list[dict[str, Any]] = []
    for file in files:
        try:
            documents = [d for d in yaml.safe_load_all(file.read_text()) if d]
        except OSError as error:  # removed a moment ago, or not the learner's to read
            unreadable = error.strerror or type(error).__name__
            found.append({"file": file.name, "kind": "", "name": "", "message": unreadable})
            continue
        except NOT_YAML as error:
            mark = getattr(error, "problem_mark", None)
            why = getattr(error, "problem", None) or str(error)
            facts = {"line": mark.line + 1 if mark else None, "why": why}
            is_text = not isinstance(error, UnicodeDecodeError)
            malformed = Phrase("why-not-yaml", facts) if is_text else Phrase("why-not-text")
            found.append({"file": file.name, "kind": "", "name": "", "message": malformed})
            continue
        for document in documents:
            if not isinstance(document, dict):
                found.append({"file": file.name, "kind": "", "name": "", "message": Phrase("why-no-object")})
                continue
            metadata = document.get("metadata")
            if not isinstance(metadata, dict):
                metadata = {}
            kind, name = str(document.get("kind", "")), str(metadata.get("name", ""))
            namespace = str(metadata.get("namespace") or state.namespace)
            if not every and kind in KINDS and kind not in state.unlisted and state.find(kind, name, namespace):
                continue
            message = _refusal(cluster, namespace, file, document)
            if message:
                found.append({"file": file.name, "kind": kind, "name": name, "message": message})
    return found


def _refusal(cluster: Cluster, namespace: str, file: Path, document: object) -> Reason:
    """The API server's words against one document of a file; empty where it would take it."""
    try:
        apply = ("apply", "-n", namespace, "--dry-run=server", "--validate=strict", "-f", "-")
        kubectl(cluster, *apply, input=yaml.safe_dump(document), timeout=10)
    except Problem as problem:
        # kubectl reads the document from its standard input; the learner knows it by its file.
        output = problem.facts.get("output")
        return output.replace('"STDIN"', f'"{file.name}"') if output else reason_of(problem)
    return ""


def created_in_dry_run(api: Api, question: dict[str, Any]) -> dict[str, Any]:
    """The object that the API server would create, without what differs from one dry run to the next.

    question: see Creation in checker/grading/observations.py. Where the API server refuses or does not answer, the
    result is {"error": reason}.
    """
    path = KINDS[question["kind"]].path(question["namespace"])
    try:
        answer = api.request("POST", f"{path}?dryRun=All&fieldManager=kubeclass", question["manifest"])
    except ApiError as error:
        return {"error": error.why}
    created: dict[str, Any] = json.loads(answer)
    metadata = created["metadata"]
    kept = {name: metadata[name] for name in ("labels", "annotations") if name in metadata}
    fields = [
        {"manager": e["manager"], "operation": e["operation"], "fieldsV1": e["fieldsV1"]}
        for e in metadata["managedFields"]
    ]
    return {"kind": question["kind"], "metadata": {**kept, "managedFields": fields}, "spec": created["spec"]}
