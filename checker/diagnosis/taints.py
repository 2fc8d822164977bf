"""Taints and tolerations: which nodes keep which Pods away."""

from __future__ import annotations

from typing import Any

from checker.model.state import Object


def untolerated(node: Object, tolerations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The taints of a node that keep a Pod with these tolerations away.

    Source: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
    """

    def tolerates(toleration: dict[str, Any], taint: dict[str, Any]) -> bool:
        if toleration.get("effect") not in (None, "", taint["effect"]):
            return False
        if toleration.get("operator") == "Exists":
            return toleration.get("key") in (None, "", taint["key"])
        return bool(toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", ""))

    return [
        taint
        for taint in node.spec.get("taints") or []
        if taint["effect"] in ("NoSchedule", "NoExecute") and not any(tolerates(t, taint) for t in tolerations)
    ]


def is_worker(node: Object) -> bool:
    """Whether a node is for ordinary Pods, even where it takes none at the moment.

    A taint that a controller or a cordon puts on a node is temporary.
    """
    return not [taint for taint in untolerated(node, []) if not taint["key"].startswith("node.kubernetes.io/")]
