"""A file that one container of a Pod writes for another one, and that the other does not find: by the mounts of both.

Source: https://kubernetes.io/docs/tasks/access-application-cluster/communicate-containers-same-pod-shared-volume/
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any

from checker.model.fault import fail
from checker.model.state import Object

_PATH = re.compile(r"/[\w./-]*[\w-]")
_NOT_THERE = re.compile(r"no such file|can't open|cannot open|could not open|cannot access|does not exist", re.I)


def explain_shared_file(pod: Object, container: dict[str, Any], text: str, in_progress: bool = False) -> None:
    """Raise Failed where a container misses a file in a folder that it shares with another container.

    Either the other container has the volume at that folder, and this one has it elsewhere. Or this one has the volume
    there, and the command of the other one writes to the same path, where it has no volume.

    text: the last lines of the container's log.
    """
    shared = {v["name"] for v in pod.spec.get("volumes") or [] if "emptyDir" in v or "persistentVolumeClaim" in v}
    mine = [mount for mount in container.get("volumeMounts") or [] if mount["name"] in shared]
    paths = [path for line in text.splitlines() if _NOT_THERE.search(line) for path in _PATH.findall(line)]
    for path in dict.fromkeys(paths):
        own = next((mount for mount in mine if _is_below(path, mount["mountPath"])), None)
        for other, there in _mounts_of_others(pod, container):
            facts: dict[str, Any] = {"container": container["name"], "path": path, "other": other["name"]}
            facts |= {"folder": posixpath.dirname(path), "file": posixpath.basename(path), "volume": there["name"]}
            same = next((mount for mount in mine if mount["name"] == there["name"]), None)
            if not own and same and _is_below(path, there["mountPath"]):
                paths_of = {"mount_path": same["mountPath"], "other_path": there["mountPath"]}
                fail("volume-at-other-path", pod, form="of-reader", in_progress=in_progress, **facts, **paths_of)
            if own and own["name"] == there["name"] and _writes_beside(other, path):
                paths_of = {"mount_path": own["mountPath"], "other_path": there["mountPath"]}
                fail("volume-at-other-path", pod, form="of-writer", in_progress=in_progress, **facts, **paths_of)


def _mounts_of_others(pod: Object, container: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The other containers of a Pod, each with one of its volumeMounts."""
    for other in [*(pod.spec.get("initContainers") or []), *pod.containers]:
        if other["name"] != container["name"]:
            yield from ((other, mount) for mount in other.get("volumeMounts") or [])


def _writes_beside(container: dict[str, Any], path: str) -> bool:
    """Whether a container's command names a path at which it has no volume."""
    command = " ".join([*(container.get("command") or []), *(container.get("args") or [])])
    mounts = [mount["mountPath"] for mount in container.get("volumeMounts") or []]
    return path in _PATH.findall(command) and not any(_is_below(path, folder) for folder in mounts)


def _is_below(path: str, folder: str) -> bool:
    """Whether a path is a folder, or below it."""
    folder = posixpath.normpath(folder)
    return path == folder or path.startswith(folder.rstrip("/") + "/")
