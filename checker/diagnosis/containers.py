"""What a Pod says about each of its containers, and the commands that show more of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from checker.model.state import Object


def container_spec(pod: Object, name: str) -> dict[str, Any]:
    """The specification of one container of a Pod, init containers included."""
    everyone = [*pod.containers, *(pod.spec.get("initContainers") or [])]
    return next((c for c in everyone if c["name"] == name), {})


def last_line(text: str) -> str:
    """The last line of a log that says something, cut to a readable length."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


_NAMES_REASON = re.compile(
    r"error|exception|fail|fatal|panic|denied|refused|cannot|can't|could not|unable|no such|not found|missing|invalid|"
    r"not permitted|traceback|unknown|does not exist|timed out",
    re.I,
)


_MEANT = ">>> "  # before the line of a configuration that Redis does not accept (config.c)


def telling_end(text: str) -> str:
    """The last line of a log. Where it names no error, the last line before it that does so stands in front of it.

    Between the two stands the line that a program quotes as the wrong one.
    """
    last = last_line(text)
    before = [line for line in text.splitlines() if line.strip() and line.strip()[:300] != last]
    found = next((n for n in reversed(range(len(before))) if _NAMES_REASON.search(before[n])), None)
    if found is None or _NAMES_REASON.search(last):
        return last
    meant = [line.strip()[:300] for line in before[found + 1 :] if line.startswith(_MEANT)]
    return " / ".join([before[found].strip()[:300], *meant[-1:], last])


def previous_option(pod: Object, container: str) -> str:
    """The option with which `kubectl logs` shows the log of a container that ended: `--previous`, or empty.

    It is `--previous` where the container was restarted and runs again.

    Of a container that does not run, an earlier log is gone: the kubelet keeps only the last dead container
    (https://kubernetes.io/docs/concepts/architecture/garbage-collection/#container-image-garbage-collection).
    """
    again = any(
        s["name"] == container and "running" in (s.get("state") or {}) and s.get("restartCount")
        for s in pod.container_statuses
    )
    return "--previous" if again else ""


def look_at_log(pod: Object, container: str) -> str:
    """The command that shows the log of a container that ended."""
    return f"kubectl logs {pod.name} -c {container} {previous_option(pod, container)}".rstrip()


def describe(obj: Object) -> str:
    """The command that shows an object with its conditions and events."""
    return f"kubectl describe {obj.kind.lower()} {obj.name}"


def statuses_with_specs(pod: Object) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each container's status with its specification."""
    for status in pod.container_statuses:
        yield status, container_spec(pod, status["name"])
