"""The manifest that was applied last, the field managers of an object, and the differences between object and manifest.

A client-side `kubectl apply` stores the manifest in an annotation of the object. A server-side apply stores in
managedFields which fields it set. managedFields also names the field manager of every other field.

Which values are defaults, and which keys identify the items of a list, is asked of the API server (AsDeclared).
Sources: https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/ and
https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from checker.sdk import (
    LAST_APPLIED,
    REVISION_ANNOTATION,
    Creation,
    Difference,
    Object,
    PlainState,
    shown_value,
)

_FIELDS = "fieldsV1"
# Field managers that are no tool of the learner.
_NOT_BY_HAND = ("kube-controller-manager", "kubeclass")
# A server-side apply by these field managers updates the annotation of the client-side apply. Source: "Upgrading from
# client-side apply to server-side apply" in https://kubernetes.io/docs/reference/using-api/server-side-apply/
_KEEPERS = ("kubectl", "kubectl-last-applied")
# Fields that are no drift. `kubectl rollout restart` sets the first. serviceAccount is a copy of serviceAccountName.
# kubectl and the Deployment controller set the others.
_NO_DRIFT = ("kubectl.kubernetes.io/restartedAt", "serviceAccount", LAST_APPLIED, REVISION_ANNOTATION)
# The parts of the object that are judged.
_JUDGED = (("metadata", "annotations"), ("metadata", "labels"), ("spec",))


def applied(obj: Object) -> dict[str, Any] | None:
    """The manifest of the last client-side apply, or None.

    None too where another command wrote the annotation, or where a later server-side apply did not update it.
    """
    text = obj.annotations.get(LAST_APPLIED)
    outdated = any(_notes_what_was_applied(e) and e.get("manager") not in _KEEPERS for e in managers(obj, "Apply"))
    return _manifest(text) if text and not outdated and not forgers(obj) else None


def _manifest(text: str) -> dict[str, Any] | None:
    """The manifest in an annotation, which anybody may edit; None where it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return found if all(isinstance(found.get(part) or {}, dict) for part in ("metadata", "spec")) else None


def forgers(obj: Object) -> list[str]:
    """The field managers that wrote the annotation of the client-side apply, and are no apply themselves. Sorted."""
    return sorted(
        str(e.get("manager")) for e in managers(obj, "Update") if _notes_what_was_applied(e) and not _is_apply(e)
    )


def managers(obj: Object, operation: str) -> list[dict[str, Any]]:
    """The entries of managedFields with this operation (Apply or Update), without those of the subresource status."""
    entries = obj.metadata.get("managedFields") or []
    return [e for e in entries if e.get("operation") == operation and e.get("subresource") != "status"]


def is_declared(obj: Object) -> bool:
    """Whether the object was applied. A server-side apply counts only if it set fields of spec.template."""
    return applied(obj) is not None or any("f:template" in _below(e, _FIELDS, "f:spec") for e in managers(obj, "Apply"))


@dataclass(frozen=True)
class AsDeclared(Creation):
    """The Deployment that the API server would create from the manifest that was applied last."""

    deployment: str

    def question(self, state: PlainState) -> dict[str, Any] | None:
        live = state.find("Deployment", self.deployment)
        if not live or not is_declared(live):
            return None
        return self.of("Deployment", live.namespace, declared_manifest(live))


def declared_manifest(obj: Object) -> dict[str, Any]:
    """The manifest of the last apply, as complete as the API server needs it.

    After a server-side apply it consists of the live values of the fields that were applied. A container whose image
    another command has set since gets an image that no container has, because the API server requires one.
    """
    manifest = applied(obj)
    if manifest is None:
        manifest = {}
        for entry in managers(obj, "Apply"):
            manifest = _merged(manifest, _fields_of(_below(entry, _FIELDS), obj.raw))
        live = _below(obj.raw, "spec", "template", "spec")
        pod = _below(manifest, "spec", "template", "spec")
        for name in ("containers", "initContainers"):
            for container in pod.get(name) or []:
                there = _item(live.get(name), {"name": container["name"]}) or {}
                container.setdefault("image", f"not-declared/{there.get('image', '')}")  # the tag decides a default
    metadata = manifest.get("metadata") or {}
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if not _is_note(k)}
    return manifest | {"metadata": {"labels": metadata.get("labels") or {}, "annotations": annotations}}


def _is_note(annotation: str) -> bool:
    """Whether kubectl or the Deployment controller set an annotation. The learner may have exported it, too."""
    return annotation == LAST_APPLIED or annotation.startswith("deployment.kubernetes.io/")


def _fields_of(tree: dict[str, Any], live: Any) -> Any:
    """The part of a live value that a managedFields tree names."""
    marks = [mark for mark in tree if mark != "."]
    if not marks:
        return live
    if isinstance(live, list):
        keys = {mark: json.loads(mark[2:]) for mark in marks if mark.startswith("k:")}
        found = {mark: _item(live, wanted) for mark, wanted in keys.items()}
        items = [wanted | _fields_of(tree[mark], found[mark]) for mark, wanted in keys.items() if found[mark]]
        return items + [json.loads(mark[2:]) for mark in marks if mark.startswith("v:")]
    names = {mark[2:]: tree[mark] for mark in marks if mark.startswith("f:")}
    return {name: _fields_of(below, live[name]) for name, below in names.items() if name in (live or {})}


def _merged(one: Any, other: Any) -> Any:
    """What two server-side applies applied together."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {name: _merged(one.get(name), other.get(name)) for name in {**one, **other}}
    if isinstance(one, list) and isinstance(other, list) and one and isinstance(one[0], dict) and "name" in one[0]:
        names = dict.fromkeys(item.get("name") for item in [*one, *other])
        return [_merged(_item(one, {"name": name}), _item(other, {"name": name})) for name in names]
    return one if other is None else other


def differences(obj: Object, created: Object) -> list[Difference]:
    """The fields that differ from the manifest of the last apply, and the fields that another command added.

    created: what the API server would create from this manifest (AsDeclared).
    """
    manifest = applied(obj) or {}
    (entry,) = created.metadata["managedFields"]
    found: list[Difference] = []
    for where in _JUDGED:
        tree = _below(entry, _FIELDS, *(f"f:{name}" for name in where))
        declared, filled, live = (_below(tree_of, *where) for tree_of in (manifest, created.raw, obj.raw))
        found += _changed(tree, declared, filled, live, ".".join(where))
    for entry in managers(obj, "Update"):
        if entry.get("manager") in _NOT_BY_HAND or _is_apply(entry):
            continue
        for where in _JUDGED:
            marks = (_FIELDS, *(f"f:{name}" for name in where))
            trees = [_below(other, *marks) for other in managers(obj, "Apply")]
            declared, filled, live = (_below(tree_of, *where) for tree_of in (manifest, created.raw, obj.raw))
            for path, value in _undeclared(_below(entry, *marks), trees, declared, filled, live, ".".join(where)):
                if path not in {difference.path for difference in found}:
                    found.append(Difference(path, "", shown_value(value), str(entry.get("manager"))))
    return found


def _is_apply(entry: dict[str, Any]) -> bool:
    """Whether an Update is a client-side apply.

    Its field manager can have any name, except the names of kubectl's other commands.
    """
    name = str(entry.get("manager"))
    others = name.startswith("kubectl") or name == "before-first-apply"
    return name == "kubectl-client-side-apply" or (_notes_what_was_applied(entry) and not others)


def _notes_what_was_applied(entry: dict[str, Any]) -> bool:
    return f"f:{LAST_APPLIED}" in _below(entry, _FIELDS, "f:metadata", "f:annotations")


def _below(tree: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        tree = tree.get(name) or {}
    return tree


def _steps(tree: dict[str, Any], path: str, *values: Any) -> Iterator[tuple[str, str, str, list[Any]]]:
    """The steps from a managedFields tree down: (mark, field name or "", path, each of the values one step down)."""
    for mark in tree:
        kind, _, name = mark.partition(":")
        if kind == "f":
            # dict.get: a recording leaves out fields of a container that the API server fills in.
            below = [dict.get(value, name) if isinstance(value, dict) else None for value in values]
            yield mark, name, f"{path}.{name}", below
        elif kind == "k":
            wanted = json.loads(name)
            yield mark, "", f"{path}[{next(iter(wanted.values()))}]", [_item(value, wanted) for value in values]


def _changed(tree: dict[str, Any], declared: Any, created: Any, live: Any, path: str) -> Iterator[Difference]:
    """The declared fields whose live value is not the one that the API server would create.

    tree: the managedFields tree of what would be created.
    """
    for mark, name, label, (wanted, inner, inner_live) in _steps(tree, path, declared, created, live):
        if wanted is None or _is_note(name):
            continue
        if tree[mark].keys() - {"."} and inner_live is not None:
            yield from _changed(tree[mark], wanted, inner, inner_live, label)
        elif not _same(inner, inner_live):
            yield Difference(label, shown_value(wanted), shown_value(inner_live))


def _undeclared(
    owned: dict[str, Any], trees: list[dict[str, Any]], declared: Any, created: Any, live: Any, path: str
) -> Iterator[tuple[str, Any]]:
    """The fields of a managedFields tree that are in the live object, but were not applied: (path, live value).

    A value that the API server would create from the manifest is its default. owned: the tree. trees: the trees of the
    server-side applies. declared: the manifest of the client-side apply. created: what would be created.
    """
    for mark, name, label, (inner, inner_created, inner_live) in _steps(owned, path, declared, created, live):
        if inner_live is None or name in _NO_DRIFT:
            continue
        inner_trees = [tree[mark] for tree in trees if mark in tree]
        deeper = list(_undeclared(owned[mark], inner_trees, inner, inner_created, inner_live, label))
        if inner_trees or not _is_empty(inner) or (inner is not None and owned[mark]):
            yield from deeper
        elif deeper or not (owned[mark] or _same(inner_created, inner_live)):
            yield label, inner_live


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) or (_is_empty(one) and _is_empty(other))


def _is_empty(value: Any) -> bool:
    return value is None or value in ({}, [], "")


def _item(items: Any, wanted: dict[str, Any]) -> Any:
    if not isinstance(items, list):
        return None
    candidates = [item for item in items if isinstance(item, dict) and item.keys() & wanted]
    return next((item for item in candidates if all(item.get(k, v) == v for k, v in wanted.items())), None)
