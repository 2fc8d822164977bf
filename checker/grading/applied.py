"""Differences between a live object and its manifest. Values that the API server filled in are no differences."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from checker.model.quantity import quantity

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# The keys that identify an item of a list. Every other list is one value:
# https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
_LIST_KEYS = {
    **dict.fromkeys(("containers", "initContainers", "env", "volumes", "imagePullSecrets"), ("name",)),
    "ports": ("containerPort", "protocol"),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
# The values that the API server fills in for fields that a manifest does not set. In managedFields the creator of the
# object is their manager.
_DEFAULTS: dict[str, tuple[Any, ...]] = {
    "replicas": (1,),
    "progressDeadlineSeconds": (600,),
    "revisionHistoryLimit": (10,),
    "maxSurge": ("25%",),
    "maxUnavailable": ("25%",),
    "type": ("RollingUpdate", ""),
    "dnsPolicy": ("ClusterFirst",),
    "restartPolicy": ("Always",),
    "schedulerName": ("default-scheduler",),
    "terminationGracePeriodSeconds": (30,),
    "protocol": ("TCP",),
    "terminationMessagePath": ("/dev/termination-log",),
    "terminationMessagePolicy": ("File",),
    "path": ("/",),
    "scheme": ("HTTP",),
    "timeoutSeconds": (1,),
    "periodSeconds": (10,),
    "successThreshold": (1,),
    "failureThreshold": (3,),
    "service": ("",),
    "defaultMode": (0o644,),
    "expirationSeconds": (3600,),
    "apiVersion": ("v1",),
    "divisor": ("0",),
    "volumeMode": ("Filesystem",),
}


@dataclass(frozen=True)
class Difference:
    """A field of the live object that differs from the manifest.

    path: as in `spec.replicas`. declared, live: the values as `shown` writes them. by: the field manager that wrote the
    live value, where it is known.
    """

    path: str
    declared: str
    live: str
    by: str = ""


def other_values(declared: Any, live: Any, path: str) -> Iterator[Difference]:
    """The fields below this path whose live value differs from the declared one.

    A field that is not declared is no difference.
    """
    if declared is None:
        return
    if isinstance(declared, dict) and isinstance(live, dict):
        for key, value in declared.items():
            yield from other_values(value, live.get(key), f"{path}.{key}")
    elif isinstance(declared, list) and isinstance(live, list):
        keys = _LIST_KEYS.get(path.rpartition(".")[2])
        if not keys and len(declared) != len(live):
            yield Difference(path, shown(declared), shown(live))
            return
        for index, item in enumerate(declared):
            partner = _partner(item, live, keys) if keys else live[index]
            yield from other_values(item, partner, f"{path}[{_called(item, index)}]")
    elif not _same(declared, live):
        yield Difference(path, shown(declared), shown(live))


def _partner(item: dict[str, Any], live: list[dict[str, Any]], keys: tuple[str, ...]) -> Any:
    """The live item with the same keys as a declared one, or None."""
    wanted, *others = ([one.get(key, *_DEFAULTS.get(key, ())) for key in keys] for one in (item, *live))
    return next((one for one, other in zip(live, others, strict=True) if other == wanted), None)


def _called(item: Any, index: int) -> str:
    return str(item.get("name", index)) if isinstance(item, dict) else str(index)


def _same(declared: Any, live: Any) -> bool:
    if declared == live or (declared in ({}, [], "", 0, False) and live is None):
        return True
    try:
        return bool(quantity(declared) == quantity(live))
    except (ValueError, TypeError):
        return False


def shown(value: Any) -> str:
    """A field's value as a fact: a text as it is, any other as JSON (at most 120 characters), empty for no value."""
    if value is None:
        return ""
    return value if value and isinstance(value, str) else json.dumps(value, sort_keys=True)[:120]
