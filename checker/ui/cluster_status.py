"""`kubeclass status` for a cluster that is not the course's own: a class's, or that of a context that was named."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from checker.classroom.joined import current_class
from checker.classroom.target import further_namespaces
from checker.collect.api import Api, ApiError
from checker.collect.refused import problem_of
from checker.collect.rights import Rights, rights_in
from checker.model.catalogue import say
from checker.model.kinds import KINDS
from checker.model.state import Object
from cluster import Cluster

CHANGES = ("create", "update", "patch", "delete")


def facts(cluster: Cluster) -> dict[str, Any]:
    """The facts, as plain data.

    nodes: None where they may not be listed. rights: plurals of kinds, by `read` and `change`; incomplete where the
    API server says that there may be more. not_well: sentences. ready: whether the namespace can be looked at.
    Raises Problem where the kubeconfig cannot be used.
    """
    api = Api(cluster)
    found: dict[str, Any] = {
        "name": cluster.name,
        "kind": cluster.kind,
        "kubeconfig": str(cluster.kubeconfig),
        "context": cluster.context,
        "namespace": cluster.namespace,
        "further_namespaces": dict(further_namespaces(cluster)),
        "server": api.server,
        "ready": False,
        "nodes": None,
        "versions": {},
        "rights": {"read": [], "change": [], "incomplete": False},
        "class": _class(cluster),
        "not_well": [],
    }
    try:
        found["versions"] = {"kubernetes": api.get("/version")["gitVersion"]}
        found["nodes"] = _nodes(api)
        rights = rights_in(api, cluster.namespace)
        found["rights"] = _summary_of_rights(rights)
        api.get(f"{KINDS['Pod'].path(cluster.namespace)}?limit=1")
        found["ready"] = True
    except ApiError as error:
        described = problem_of(error, cluster)
        found["not_well"] = [f"{described.what} {described.next_step}."]
    return found


def _class(cluster: Cluster) -> dict[str, Any] | None:
    joined = current_class() if cluster.kind == "class" else None
    if not joined:
        return None
    return {"learner": joined.learner, "expires": joined.expires.isoformat(), "offers": joined.offers}


def _nodes(api: Api) -> list[dict[str, Any]] | None:
    """Raises ApiError where the API server does not answer."""
    try:
        listed = [Object("Node", raw) for raw in api.get(KINDS["Node"].path())["items"]]
    except ApiError as error:
        if error.status != 403:
            raise
        return None
    return [
        {
            "name": node.name,
            "ready": any(c["type"] == "Ready" and c["status"] == "True" for c in node.status.get("conditions") or []),
            "version": (node.status.get("nodeInfo") or {}).get("kubeletVersion", ""),
        }
        for node in listed
    ]


def _summary_of_rights(rights: Rights) -> dict[str, Any]:
    here = [kind for kind in KINDS.values() if kind.namespaced]
    change = [kind.plural for kind in here if any(rights.may(verb, kind) for verb in CHANGES)]
    return {
        "read": [kind.plural for kind in rights.kinds("list", here)],
        "change": change,
        "incomplete": rights.incomplete,
    }


def as_text(facts: dict[str, Any]) -> str:
    """The facts for people."""
    known = {"context": facts["context"], "kubeconfig": facts["kubeconfig"], "cluster": facts["name"]}
    joined, nodes, rights = facts["class"], facts["nodes"], facts["rights"]
    lines = [say("status-context", **known)]
    if joined:
        ends = datetime.fromisoformat(joined["expires"]).astimezone()
        lines = [
            say("status-class", learner=joined["learner"], **known),
            "  " + say("status-token", ends=f"{ends:%Y-%m-%d %H:%M}"),
        ]
    if version := facts["versions"].get("kubernetes"):
        lines.append("  " + say("status-answers", server=facts["server"], version=version))
    further = sorted(facts["further_namespaces"].values())
    lines.append("  " + say("status-namespace", namespace=facts["namespace"], further=further))
    if version and nodes is None:
        lines.append("  " + say("status-nodes-hidden"))
    elif version:
        not_ready = [node["name"] for node in nodes if not node["ready"]]
        lines.append("  " + say("status-nodes", number=len(nodes), not_ready=not_ready))
    if version:
        lines.append("  " + say("status-may-read", kinds=rights["read"]))
        lines.append("  " + say("status-may-change", kinds=rights["change"]))
        if rights["incomplete"]:
            lines.append("  " + say("status-may-more"))
    return "\n".join(lines + [f"✘ {sentence}" for sentence in facts["not_well"]])
