"""What labs need, and what a class offers: which labs and tasks a class leaves out, and where its labs are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from msgspec.structs import replace as with_fields

from checker.classroom.joined import current_class
from checker.classroom.names import POLICIES
from checker.classroom.registry import in_words
from checker.classroom.target import further_namespaces, registry_of
from checker.grading.labs import Lab
from cluster import Cluster

# An offer of a class is a word (`policies`, `metrics`, `storage`, `tiers`), or the number of workers: `workers=2`.
WORKERS = "workers="


def left_out(labs: Iterable[Lab], offers: Iterable[str]) -> dict[str, str]:
    """The labs that a class with these offers cannot do, by number: the id of the reason in ui.yaml."""
    offered = set(offers)
    workers = next((int(one.removeprefix(WORKERS)) for one in offered if one.startswith(WORKERS)), 0)
    found = {}
    for lab in labs:
        needs = lab.spec.needs
        if needs.policies and "policies" not in offered:
            found[lab.number] = "class-without-policies"
        elif needs.metrics and "metrics" not in offered:
            found[lab.number] = "class-without-metrics"
        elif needs.workers > workers:
            found[lab.number] = "class-without-workers"
    return found


def left_out_here(labs: Iterable[Lab], cluster: Cluster) -> dict[str, str]:
    """As left_out, of the class that commands mean; empty on every other cluster."""
    joined = current_class() if cluster.kind == "class" else None
    return left_out(labs, joined.offers) if joined else {}


def fitted(lab: Lab, cluster: Cluster) -> Lab:
    """A lab as it is on this cluster."""
    return fitted_to_class(lab, registry_of(cluster)) if cluster.kind == "class" else lab


def fitted_to_class(lab: Lab, registry: str = "") -> Lab:
    """A lab as it is in a class.

    It is without the tasks in which nodes are closed and stopped, and names the images as the class does.
    registry: the prefix of the images' names; empty where the class has none.
    """
    teachers = frozenset(task.id for task in lab.spec.tasks if task.nodes)
    if lab.left_out or not (teachers or registry):
        return lab
    tasks = [
        with_fields(task, text=in_words(task.text, registry), hints=[in_words(hint, registry) for hint in task.hints])
        for task in lab.spec.tasks
        if task.id not in teachers
    ]
    return replace(lab, spec=with_fields(lab.spec, tasks=tasks), left_out=teachers)


def namespace_of(lab: Lab, cluster: Cluster, namespace: str = "") -> str:
    """Where a lab is on this cluster. namespace: as somebody named it; empty for the learner's own.

    In a class, a lab about network policies has a namespace of its own, without the class's walls.
    """
    if namespace not in ("", cluster.namespace):
        return namespace
    own = further_namespaces(cluster).get(POLICIES, "") if lab.spec.needs.policies else ""
    return own or cluster.namespace
