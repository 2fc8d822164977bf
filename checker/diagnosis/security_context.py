"""What a container is not permitted by its security context.

Source: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
"""

from __future__ import annotations

import re
from typing import Any

from checker.diagnosis.containers import last_line, previous_option
from checker.model.fault import Fault, Ref
from checker.model.state import Object

_REFUSED = re.compile(r"read-only file system|permission denied|operation not permitted|EACCES|EROFS", re.I)
_PORT_IN_USE = re.compile("address already in use", re.I)
_RESTRICTING = ("capabilities", "runAsGroup", "runAsNonRoot", "runAsUser")


def explain_not_permitted(pod: Object, spec: dict[str, Any], log: str) -> Fault | None:
    """What a container was refused, by its last log lines (`log`); None where they show no refusal.

    Source: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
    """
    context = {**(pod.spec.get("securityContext") or {}), **(spec.get("securityContext") or {})}
    log_line = _line_with(_REFUSED, log)
    name, previous = spec["name"], previous_option(pod, spec["name"])
    if re.search(r"read-only file system|EROFS", log_line, re.I):
        return Fault("file-system-read-only", Ref.of(pod), {"container": name, "quote": log_line, "previous": previous})
    restricting = {field: context[field] for field in _RESTRICTING if field in context}
    if log_line and restricting:
        return Fault(
            "container-not-permitted",
            Ref.of(pod),
            {"container": name, "context": _fields(restricting), "quote": log_line, "previous": previous},
        )
    log_line = _line_with(_PORT_IN_USE, log)
    if log_line and pod.spec.get("hostNetwork"):
        node = pod.spec.get("nodeName", "")
        return Fault("host-port-taken", Ref.of(pod), {"node": node, "quote": log_line}, form="host-network")
    return None


def _line_with(pattern: re.Pattern[str], log: str) -> str:
    """The first line in which a pattern is found, cut to a readable length; empty where there is none."""
    return last_line(next((line for line in log.splitlines() if pattern.search(line)), ""))


def _fields(context: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The fields of a security context by their paths: `capabilities.drop`."""
    found: dict[str, Any] = {}
    for name, value in context.items():
        if isinstance(value, dict):
            found |= _fields(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = ",".join(map(str, value)) if isinstance(value, list) else value
    return found
