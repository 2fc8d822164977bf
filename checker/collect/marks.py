"""What `start` writes down of a namespace: which lab, since when, from which seed.

On the course's own cluster these are a label and annotations of the Namespace. Who may not change a Namespace, as in a
class, has them at a ConfigMap `kubeclass` in it. In a State they are always those of the Namespace.
"""

from __future__ import annotations

from typing import Any

from checker.model.state import LAB, STARTED, Object

NAME = "kubeclass"  # of the ConfigMap
HAND = "kubeclass-hand"  # of the ConfigMap by which a learner of a class raises a hand (checker/classroom/hand.py)


def path(namespace: str) -> str:
    """The ConfigMap's path at the API server."""
    return f"/api/v1/namespaces/{namespace}/configmaps/{NAME}"


def with_marks(namespace: dict[str, Any], config_map: dict[str, Any] | None) -> dict[str, Any]:
    """A Namespace (or nothing, {}), with the marks that its ConfigMap has, unless it has marks of its own."""
    metadata = namespace.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    marks = (config_map or {}).get("metadata") or {}
    if not metadata or not is_mark(config_map) or STARTED in annotations:
        return namespace
    lab = {LAB: marks["labels"][LAB]}
    ours = {name: text for name, text in (marks.get("annotations") or {}).items() if name.startswith("kubeclass.dev/")}
    labels = {**(metadata.get("labels") or {}), **lab}
    return {**namespace, "metadata": {**metadata, "labels": labels, "annotations": {**annotations, **ours}}}


def is_mark(config_map: dict[str, Any] | None) -> bool:
    """Whether a ConfigMap is the one that holds marks."""
    metadata = (config_map or {}).get("metadata") or {}
    return metadata.get("name") == NAME and LAB in (metadata.get("labels") or {})


def take_over(objects: dict[str, list[Object]]) -> None:
    """Among listed objects by kind, write marks to the Namespaces, and leave the ConfigMaps with them out.

    A raised hand is left out, too: it is none of a lab's objects.
    """
    if "ConfigMap" in objects:
        objects["ConfigMap"] = [o for o in objects["ConfigMap"] if o.name != HAND]
    marked = {o.namespace: o.raw for o in objects.get("ConfigMap", []) if is_mark(o.raw)}
    if not marked:
        return
    objects["ConfigMap"] = [o for o in objects["ConfigMap"] if not is_mark(o.raw)]
    if "Namespace" in objects:
        known = objects["Namespace"]
        objects["Namespace"] = [Object("Namespace", with_marks(o.raw, marked.get(o.name))) for o in known]
