"""The manifest that was applied last, the field managers of an object, and the differences between object and manifest.

A client-side `kubectl apply` stores the manifest in an annotation of the object. A server-side apply stores in
managedFields which fields it set. managedFields also names the field manager of every other field.
Sources: https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/ and
https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers
"""

import json
from collections.abc import Iterator
from typing import Any

from checker.sdk import (
    FIELD_DEFAULTS,
    LAST_APPLIED,
    REVISION_ANNOTATION,
    Difference,
    Object,
    other_values,
    short_image,
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


def applied(obj: Object) -> dict[str, Any] | None:
    """The manifest of the last client-side apply, or None.

    None too where another command wrote the annotation, or where a later server-side apply did not update it.
    """
    text = obj.annotations.get(LAST_APPLIED)
    outdated = any(_notes_what_was_applied(e) and e.get("manager") not in _KEEPERS for e in managers(obj, "Apply"))
    manifest: dict[str, Any] | None = json.loads(text) if text and not outdated and not forgers(obj) else None
    return manifest


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


def differences(obj: Object) -> list[Difference]:
    """The fields that differ from the manifest of the last apply, and the fields that another command added."""
    manifest = applied(obj) or {}
    declared = dict(_below(manifest, "metadata", "annotations"))
    for name in [name for name in declared if name.startswith("deployment.kubernetes.io/")]:
        del declared[name]  # the Deployment controller set these, and the learner exported them with the manifest
    found = [
        *other_values(declared, obj.annotations, "metadata.annotations"),
        *other_values(_below(manifest, "metadata", "labels"), obj.labels, "metadata.labels"),
        *other_values(_below(manifest, "spec"), obj.spec, "spec"),
    ]
    for entry in managers(obj, "Update"):
        if entry.get("manager") in _NOT_BY_HAND or _is_apply(entry):
            continue
        for where in (("metadata", "labels"), ("metadata", "annotations"), ("spec",)):
            marks = (_FIELDS, *(f"f:{name}" for name in where))
            trees = [_below(other, *marks) for other in managers(obj, "Apply")]
            for path, value in _undeclared(
                _below(entry, *marks), _below(manifest, *where), trees, _below(obj.raw, *where), ".".join(where)
            ):
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


def _undeclared(
    owned: dict[str, Any], declared: Any, trees: list[dict[str, Any]], live: Any, path: str
) -> Iterator[tuple[str, Any]]:
    """The fields of a managedFields tree that are in the live object, but were not applied: (path, live value).

    owned: the tree. declared: the manifest of the client-side apply. trees: the trees of the server-side applies.
    """
    for key, below in owned.items():
        mark, _, name = key.partition(":")
        if mark == "f":
            # dict.get: a recording leaves out fields of a container that the API server fills in.
            inner_live = dict.get(live, name) if isinstance(live, dict) else None
            inner, there = (declared.get(name), name in declared) if isinstance(declared, dict) else (None, False)
            label = f"{path}.{name}"
        elif mark == "k":
            wanted = json.loads(name)
            inner_live, inner = _item(live, wanted), _item(declared, wanted)
            there, label = inner is not None, f"{path}[{next(iter(wanted.values()))}]"
        else:
            continue
        if inner_live is None or name in _NO_DRIFT:
            continue
        inner_trees = [tree[key] for tree in trees if key in tree]
        deeper = list(_undeclared(below, inner, inner_trees, inner_live, label))
        if there or inner_trees:
            yield from deeper
        elif deeper or not (below or _is_default(name, inner_live, live)):
            yield label, inner_live


def _item(items: Any, wanted: dict[str, Any]) -> Any:
    if not isinstance(items, list):
        return None
    candidates = [item for item in items if isinstance(item, dict) and item.keys() & wanted]
    return next((item for item in candidates if all(item.get(k, v) == v for k, v in wanted.items())), None)


def _is_default(name: str, value: Any, beside: dict[str, Any]) -> bool:
    if name == "imagePullPolicy":
        return bool(value == ("Always" if short_image(beside.get("image", "")).endswith(":latest") else "IfNotPresent"))
    # managedFields lists these two without fields below them where the field manager set an empty value.
    return name in ("resources", "securityContext") or value in FIELD_DEFAULTS.get(name, ({},))
