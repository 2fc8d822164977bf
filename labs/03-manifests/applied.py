"""What a learner applied, who wrote which field of an object, and where the live object says something else.

`kubectl apply` leaves what was applied with the object: in an annotation (client-side), or as fields that an Apply manager
owns (server-side). Every other writer is noted too, field by field.
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
# Writers that do not speak for a person.
_NOT_BY_HAND = ("kube-controller-manager", "kubeclass")
# Under these names a server-side apply keeps the note of what was applied on the client's side up to date:
# https://kubernetes.io/docs/reference/using-api/server-side-apply/#upgrading-from-client-side-apply-to-server-side-apply
_KEEPERS = ("kubectl", "kubectl-last-applied")
# A restart changes nothing that is declared, and serviceAccount always says what serviceAccountName says. The others are notes
# that kubectl and the controller leave.
_NO_DRIFT = ("kubectl.kubernetes.io/restartedAt", "serviceAccount", LAST_APPLIED, REVISION_ANNOTATION)


def applied(obj: Object) -> dict[str, Any] | None:
    """The manifest that was applied last on the client's side, or None. What another command put in its place says nothing,
    and neither does what a server-side apply took over without keeping it up to date."""
    text = obj.annotations.get(LAST_APPLIED)
    outdated = any(_notes_what_was_applied(e) and e.get("manager") not in _KEEPERS for e in managers(obj, "Apply"))
    manifest: dict[str, Any] | None = json.loads(text) if text and not outdated and not forgers(obj) else None
    return manifest


def forgers(obj: Object) -> list[str]:
    """Who wrote what should be the manifest that was applied last, without being an apply."""
    return sorted(
        str(e.get("manager")) for e in managers(obj, "Update") if _notes_what_was_applied(e) and not _is_apply(e)
    )


def managers(obj: Object, operation: str) -> list[dict[str, Any]]:
    """The entries of managedFields with this operation (Apply or Update), without those of subresource status."""
    entries = obj.metadata.get("managedFields") or []
    return [e for e in entries if e.get("operation") == operation and e.get("subresource") != "status"]


def is_declared(obj: Object) -> bool:
    """Whether the object, and not only a label of it, was applied."""
    return applied(obj) is not None or any("f:template" in _below(e, _FIELDS, "f:spec") for e in managers(obj, "Apply"))


def differences(obj: Object) -> list[Difference]:
    """Where the live object is not what was applied last: fields with another value, and fields that somebody added by hand."""
    manifest = applied(obj) or {}
    declared = dict(_below(manifest, "metadata", "annotations"))
    for name in [name for name in declared if name.startswith("deployment.kubernetes.io/")]:
        del declared[name]  # of an exported manifest: the controller's own
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
                    found.append(Difference(path, "nothing", shown_value(value), str(entry.get("manager"))))
    return found


def _is_apply(entry: dict[str, Any]) -> bool:
    """Whether an Update is a client-side apply: it may go by any name, but kubectl's other commands go by theirs."""
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
    """Fields of a managedFields tree that are live, but neither in the declared manifest nor in a tree of what was applied
    server-side: (path, live value)."""
    for key, below in owned.items():
        mark, _, name = key.partition(":")
        if mark == "f":
            # dict.get: a recording need not hold it. It leaves out of a container what the API server fills in.
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
    return next(
        (i for i in items if isinstance(i, dict) and all(i.get(k, v) == v for k, v in wanted.items()) and i.keys() & wanted), None
    )  # fmt: skip


def _is_default(name: str, value: Any, beside: dict[str, Any]) -> bool:
    if name == "imagePullPolicy":
        return bool(value == ("Always" if short_image(beside.get("image", "")).endswith(":latest") else "IfNotPresent"))
    # These two are notes of something empty where nothing is noted below them, whatever others have put there since.
    return name in ("resources", "securityContext") or value in FIELD_DEFAULTS.get(name, ({},))
