"""What a container is not permitted by its security context.

Source: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
"""

from __future__ import annotations

import re
from typing import Any

from checker.diagnosis.containers import last_line, look_at_log
from checker.model.state import Object
from checker.model.verdict import Failed, NotPassed


def explain_not_permitted(pod: Object, spec: dict[str, Any], said: str) -> NotPassed | None:
    """Source: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/"""
    context = {**(pod.spec.get("securityContext") or {}), **(spec.get("securityContext") or {})}
    told = next((line for line in said.splitlines() if re.search(r"read-only file system|permission denied|operation not permitted|EACCES|EROFS", line, re.I)), "")  # fmt: skip
    told = last_line(told)
    evidence: dict[str, Any] = {
        "observed": told, "object": pod.ref, "look": look_at_log(pod, spec["name"]),
    }  # fmt: skip
    if re.search(r"read-only file system|EROFS", told, re.I):
        return Failed(
            "file-system-read-only", f"Container {spec['name']} of Pod {pod.name} wants to write where it may only read: {told}",
            expected="a place that can be written to", **evidence,
        )  # fmt: skip
    restricting = {"runAsUser", "runAsGroup", "runAsNonRoot", "capabilities"} & set(context)
    if told and restricting:
        words = ", ".join(f"{name}: {context[name]}" for name in sorted(restricting))
        return Failed(
            "container-not-permitted",
            f"Container {spec['name']} of Pod {pod.name} is not allowed what it tries, with its security context ({words}): {told}",
            expected="a program that gets along with its user's rights", **evidence,
        )  # fmt: skip
    if pod.spec.get("hostNetwork") and "address already in use" in said.lower():
        return Failed(
            "host-port-taken",
            f"Pod {pod.name} uses its node's network (hostNetwork), and its port is in use on node {pod.spec.get('nodeName')}: {last_line(said)}",
            expected="a port that is free on the node", observed=last_line(said), object=pod.ref, look="kubectl get pods -o wide --all-namespaces",
        )  # fmt: skip
    return None
