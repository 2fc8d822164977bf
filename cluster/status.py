"""`kubeclass status`: how the course's cluster is, and what is not well."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cluster import course_of_cluster, engine, images, observer, up_progress
from cluster.context import Cluster, current
from cluster.kubectl import kubectl
from cluster.language import say
from cluster.nodes import WORKERS, nodes_of
from cluster.problem import Problem
from cluster.process import run
from cluster.tools import found, version_of


def status(cluster: Cluster | None = None) -> dict[str, Any]:
    """Facts about the cluster, and `not_well`: a sentence for each thing that is amiss, with what to do.

    Keys: name, kubeconfig, context, ready (bool), nodes (name, role, running, ready, version, images missing),
    observer (bool), versions, course, notes, not_well. course: the version of the course that brought the cluster up,
    "" where it is not known. notes: sentences about what differs for that; the cluster may be ready nevertheless.

    Changes nothing. Raises Problem where the engine does not answer.
    """
    cluster = cluster or current()
    command = engine.command()
    underway, at_work = up_progress.describe(cluster), up_progress.is_running(cluster)
    try:
        engine.require_running(command)
    except Problem:
        if not underway:
            raise
        return _facts(cluster, not_well=[underway])
    nodes = nodes_of(command, cluster)
    live, problem = _live_nodes(cluster) if nodes and cluster.kubeconfig.exists() else ({}, "")
    rows = [
        {
            "name": node.name,
            "role": node.role,
            "running": node.running,
            **live.get(node.name, {"ready": False, "version": ""}),
            "missing_images": _missing_images(command, node.name) if node.running else images.all_names(),
        }
        for node in nodes
    ]
    observer = bool(live) and _observer_ready(cluster)
    not_well = []
    if not nodes and not underway:
        not_well.append(say("no-cluster"))
    if nodes and not cluster.kubeconfig.exists():
        not_well.append(say("cluster-without-kubeconfig"))
    if problem:
        not_well.append(say("api-server-silent", why=problem))
    not_well += _nodes_not_well(rows, seen=bool(live))
    if live and not observer:
        not_well.append(say("observer-not-ready"))
    if underway and at_work and (not_well or not nodes):
        not_well = [underway]  # `kubeclass up` is at work on it: what is missing needs no other remedy
    elif underway and not at_work:
        not_well.insert(0, underway)
    # `kubeclass up` over a cluster that has everything changes nothing: it is ready meanwhile.
    course = course_of_cluster.read(cluster) if live else ""
    return _facts(cluster, rows, observer, _versions(command, live), not_well, course)


def _nodes_not_well(rows: list[dict[str, Any]], seen: bool) -> list[str]:
    """A sentence for each thing that is amiss with a node. seen: whether the API server has listed the nodes."""
    running = [row for row in rows if row["running"]]
    return [
        *(say("node-stopped", node=row["name"]) for row in rows if not row["running"]),
        *(say("node-not-ready", node=row["name"]) for row in running if seen and not row["ready"]),
        *(
            say("node-lacks-images", node=row["name"], images=row["missing_images"])
            for row in running
            if row["missing_images"]
        ),
    ]


def _facts(
    cluster: Cluster,
    rows: Sequence[dict[str, Any]] = (),
    observer: bool = False,
    versions: dict[str, Any] | None = None,
    not_well: Sequence[str] = (),
    course: str = "",
) -> dict[str, Any]:
    kubernetes = next((row["version"] for row in rows if row["version"]), "")
    return {
        "name": cluster.name,
        "kubeconfig": str(cluster.kubeconfig),
        "context": cluster.context,
        "ready": not not_well and len(rows) == 1 + WORKERS,
        "nodes": list(rows),
        "observer": observer,
        "versions": versions or {},
        "course": course,
        "notes": list(course_of_cluster.differences(course, kubernetes)),
        "not_well": list(not_well),
    }


def _live_nodes(cluster: Cluster) -> tuple[dict[str, dict[str, Any]], str]:
    try:
        listed = json.loads(kubectl(cluster, "get", "nodes", "-o", "json", "--request-timeout=5s", timeout=15))
    except Problem as problem:
        return {}, problem.what.splitlines()[-1].strip()[-200:]
    return {
        node["metadata"]["name"]: {
            "ready": any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"]),
            "version": node["status"]["nodeInfo"]["kubeletVersion"],
        }
        for node in listed["items"]
    }, ""


def _missing_images(command: str, node: str) -> list[str]:
    try:
        have = images.on_node(command, node)
    except Problem:
        return images.all_names()
    return [name for name in images.all_names() if name not in have]


def _observer_ready(cluster: Cluster) -> bool:
    return observer.is_current(cluster)


def _versions(command: str, live: dict[str, dict[str, Any]]) -> dict[str, str]:
    template = "{{.Server.Version}}" if command == "docker" else "{{.Client.Version}}"
    return {
        command: run(command, "version", "--format", template).strip(),
        **{name: version_of(tool, name) if (tool := found(name)) else "" for name in ("kind", "kubectl")},
        "kubernetes": next((row["version"] for row in live.values()), ""),
    }


def as_text(facts: dict[str, Any]) -> str:
    """The facts for people."""
    lines = [say("status-cluster", cluster=facts["name"], state=_word(facts["ready"]))]
    for row in facts["nodes"]:
        word = _word(row["ready"]) if row["running"] else say("state-stopped")
        lines.append(f"  {row['name']:<32} {row['role']:<14} {word:<10} {row['version']}")
    lines += [
        "  " + say("status-observer", state=_word(facts["observer"])),
        "  " + say("status-versions", versions=[f"{name} {found or '?'}" for name, found in facts["versions"].items()]),
        "  " + say("status-kubeconfig", kubeconfig=facts["kubeconfig"], context=facts["context"]),
    ]
    lines += [f"! {sentence}" for sentence in facts["notes"]]
    return "\n".join(lines + [f"✘ {sentence}" for sentence in facts["not_well"]])


def _word(ready: bool) -> str:
    return say("state-ready" if ready else "state-not-ready")
