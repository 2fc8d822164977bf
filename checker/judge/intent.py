"""Intent: what a learner declared about an object, and where the live object says something else.

`kubectl apply` leaves what was applied with the object: in an annotation (client-side), or as fields that an Apply manager
owns (server-side). Every other writer is noted too, field by field.
Sources: https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/ and
https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from checker.judge.quantity import quantity
from checker.judge.state import Object

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# Writers that do not speak for a person: the system's own, apply itself, and restarts, which change nothing that is declared.
_NOT_BY_HAND = (
    "kube-controller-manager",
    "kubelet",
    "kube-scheduler",
    "kubectl-client-side-apply",
    "kubectl-rollout",
    "kubeclass",
)
# What tells the items of a list apart, the first that is there: https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
_LIST_KEYS = ("name", "containerPort", "mountPath", "port", "topologyKey", "key", "ip", "type")  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """A field of the live object that is not as declared. `by`: who wrote it, where that is known."""

    path: str
    declared: str
    live: str
    by: str = ""


def applied(obj: Object) -> dict[str, Any] | None:
    """The manifest that was applied last on the client's side, or None."""
    text = obj.annotations.get(APPLIED)
    manifest: dict[str, Any] | None = json.loads(text) if text else None
    return manifest


def managers(obj: Object, operation: str) -> list[dict[str, Any]]:
    """The entries of managedFields with this operation (Apply or Update), without those of subresource status."""
    entries = obj.metadata.get("managedFields") or []
    return [e for e in entries if e.get("operation") == operation and e.get("subresource") != "status"]


def is_declared(obj: Object) -> bool:
    """Whether the object was ever applied. An annotation that was put there by `kubectl annotate` says nothing."""
    return bool(managers(obj, "Apply")) or (applied(obj) is not None and not _is_annotated_by_hand(obj))


def _is_annotated_by_hand(obj: Object) -> bool:
    return any(
        f"f:{APPLIED}" in (((entry.get("fieldsV1") or {}).get("f:metadata") or {}).get("f:annotations") or {})
        for entry in managers(obj, "Update")
        if entry.get("manager") == "kubectl-annotate"
    )


def differences(obj: Object) -> list[Difference]:
    """Where the live spec is not what was applied last: fields with another value, and fields that somebody added by hand."""
    manifest = applied(obj)
    found = list(other_values((manifest or {}).get("spec") or {}, obj.spec, "spec"))
    for entry in managers(obj, "Update"):
        if entry.get("manager") not in _NOT_BY_HAND:
            owned = (entry.get("fieldsV1") or {}).get("f:spec") or {}
            for path, value in _undeclared(owned, (manifest or {}).get("spec") or {}, obj.spec, "spec"):
                if path not in {difference.path for difference in found}:
                    found.append(Difference(path, "nothing", _shown(value), str(entry.get("manager"))))
    return found


def other_values(declared: Any, live: Any, path: str) -> Iterator[Difference]:
    """Where a live value is not as declared, below this path. What was not declared does not count: the API server fills much in."""
    if declared is None:
        return
    if isinstance(declared, dict) and isinstance(live, dict):
        for key, value in declared.items():
            yield from other_values(value, live.get(key), f"{path}.{key}")
    elif isinstance(declared, list) and isinstance(live, list):
        for index, item in enumerate(declared):
            partner = _partner(item, live, index)
            yield from other_values(item, partner, f"{path}[{_called(item, index)}]")
    elif not _same(declared, live):
        yield Difference(path, _shown(declared), _shown(live))


def _partner(item: Any, live: list[Any], index: int) -> Any:
    """The live item that stands for a declared one."""
    key = next((k for k in _LIST_KEYS if isinstance(item, dict) and k in item), None)
    if key:
        return next((other for other in live if isinstance(other, dict) and other.get(key) == item[key]), None)
    return live[index] if index < len(live) else None


def _called(item: Any, index: int) -> str:
    return str(item.get("name", index)) if isinstance(item, dict) else str(index)


def _same(declared: Any, live: Any) -> bool:
    if declared == live or (declared in ({}, [], "", 0, False) and live is None):
        return True
    try:
        return bool(quantity(declared) == quantity(live))
    except (ValueError, TypeError):
        return False


def _undeclared(owned: dict[str, Any], declared: Any, live: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Fields of a managedFields tree that are live, but not in the declared manifest: (path, live value)."""
    for key, below in owned.items():
        if key == ".":
            continue
        mark, _, name = key.partition(":")
        if mark == "f":
            inner_live = live.get(name) if isinstance(live, dict) else None
            inner, there = (declared.get(name), name in declared) if isinstance(declared, dict) else (None, False)
            label = f"{path}.{name}"
        elif mark == "k":
            wanted = json.loads(name)
            inner_live, inner = _item(live, wanted), _item(declared, wanted)
            there, label = inner is not None, f"{path}[{next(iter(wanted.values()))}]"
        else:
            continue
        if inner_live is None or _is_default(label):
            continue
        if not there:
            yield label, inner_live
        elif below:
            yield from _undeclared(below, inner, inner_live, label)


def _item(items: Any, wanted: dict[str, Any]) -> Any:
    if not isinstance(items, list):
        return None
    return next(
        (i for i in items if isinstance(i, dict) and all(i.get(k, v) == v for k, v in wanted.items()) and i.keys() & wanted), None
    )  # fmt: skip


def _is_default(path: str) -> bool:
    """Fields that `kubectl create` writes with the value that everybody gets anyway."""
    return path.rpartition(".")[2] in ("strategy", "resources", "creationTimestamp", "imagePullPolicy", "terminationMessagePath",
                                       "terminationMessagePolicy", "protocol", "progressDeadlineSeconds", "revisionHistoryLimit",
                                       "dnsPolicy", "restartPolicy", "schedulerName", "securityContext",
                                       "terminationGracePeriodSeconds")  # fmt: skip


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else json.dumps(value)[:120]
