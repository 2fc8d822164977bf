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
_PATH = re.compile(r"(?<![\w/.])/[\w.-]+(?:/[\w.-]+)*")
_RESTRICTING = ("capabilities", "runAsGroup", "runAsNonRoot", "runAsUser")


def explain_not_permitted(pod: Object, spec: dict[str, Any], log: str) -> Fault | None:
    """What a container was refused, by its last log lines (`log`); None where they show no refusal.

    Source: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
    """
    context = {**(pod.spec.get("securityContext") or {}), **(spec.get("securityContext") or {})}
    log_line = _line_with(_REFUSED, log)
    name, previous = spec["name"], previous_option(pod, spec["name"])
    if re.search(r"read-only file system|EROFS", log_line, re.I):
        facts = {"container": name, "quote": log_line, "previous": previous, **_what_is_read_only(spec, log_line)}
        form = "volume" if facts.get("volume") else "root" if facts.get("path") else ""
        return Fault("file-system-read-only", Ref.of(pod), facts, form=form)
    by_mode = _explain_file_mode(pod, spec, context, log_line) if log_line else None
    if by_mode:
        return by_mode
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


def explain_lasting_refusal(pod: Object, spec: dict[str, Any], line: str) -> Fault | None:
    """What a container that runs on is refused, by a line of its log that names a file; None where it shows no reason.

    A program that runs may speak of the permissions of its own users. So it counts only with a path, and with a
    security context or a mount that explains it.
    """
    if not _PATH.search(line):
        return None
    if re.search(r"read-only file system|EROFS", line, re.I):
        return explain_not_permitted(pod, spec, line) if _what_is_read_only(spec, line) else None
    context = {**(pod.spec.get("securityContext") or {}), **(spec.get("securityContext") or {})}
    is_of_system = re.search(r"errno|open\b|mkdir|EACCES|cannot (?:open|create|write)", line, re.I)
    by_mode = _explain_file_mode(pod, spec, context, line)
    return by_mode or (explain_not_permitted(pod, spec, line) if is_of_system else None)


def _what_is_read_only(spec: dict[str, Any], line: str) -> dict[str, str]:
    """The path that a line of a log names, and why it is read-only; nothing where the container's spec does not say so.

    Source: https://kubernetes.io/docs/concepts/storage/volumes/#read-only-mounts
    """
    for path in _PATH.findall(line):
        around = [m for m in spec.get("volumeMounts") or [] if f"{path}/".startswith(m["mountPath"].rstrip("/") + "/")]
        mount = max(around, key=lambda m: len(m["mountPath"]), default=None)
        if mount and mount.get("readOnly"):
            return {"path": path, "volume": mount["name"], "mount_path": mount["mountPath"]}
        if not mount and (spec.get("securityContext") or {}).get("readOnlyRootFilesystem"):
            return {"path": path}
    return {}


def _explain_file_mode(pod: Object, spec: dict[str, Any], context: dict[str, Any], log_line: str) -> Fault | None:
    """The fault of a file from a ConfigMap or Secret whose mode lets only its user and group read it; None for others.

    The files belong to root. With an fsGroup they belong to that group, which may read them.

    Source: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#set-the-security-context-for-a-pod
    """
    if "fsGroup" in context or not re.search("permission denied|EACCES", log_line, re.I):
        return None
    for mount in spec.get("volumeMounts") or []:
        volume: dict[str, Any] = next((v for v in pod.spec.get("volumes") or [] if v["name"] == mount["name"]), {})
        source = volume.get("secret") or volume.get("configMap") or {}
        path = re.search(rf"{re.escape(mount['mountPath'].rstrip('/'))}/[\w./-]*\w", log_line)
        mode = next((i["mode"] for i in source.get("items") or [] if "mode" in i), source.get("defaultMode", 0o644))
        if source and path and not mode & 0o004:
            user: dict[str, Any] = {field: context[field] for field in ("runAsUser", "runAsGroup") if field in context}
            facts = {"container": spec["name"], "path": path[0], "volume": volume["name"], "mode": f"{mode:04o}"}
            own = {"context": _fields(user), "quote": log_line, "previous": previous_option(pod, spec["name"])}
            return Fault("container-not-permitted", Ref.of(pod), {**facts, **own}, form="file-mode")
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
