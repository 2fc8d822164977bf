"""A program that has no space left: on a volume with a bound of its own, or in its shared memory.

Sources: https://kubernetes.io/docs/concepts/storage/volumes/#emptydir and
https://man7.org/linux/man-pages/man7/shm_overview.7.html
"""

from __future__ import annotations

import re
from typing import Any

from checker.diagnosis.containers import last_line
from checker.model.fault import Fault, Ref
from checker.model.state import Object

_FULL = re.compile(r"no space left on device|ENOSPC|could not resize shared memory", re.I)
_SHARED_MEMORY = re.compile(r"/dev/shm|shared memory", re.I)
LAST = 3  # lines: a full volume that was told of further up may have space again


def explain_no_space(pod: Object, spec: dict[str, Any], log: str) -> Fault | None:
    """The fault of a volume in memory, or of /dev/shm, that a container's log (`log`) calls full; None for any other.

    A volume counts where the log names its path, or where the container has no other volume in memory.
    """
    line = last_line(next((line for line in reversed(log.splitlines()) if _FULL.search(line)), ""))
    if not line:
        return None
    facts: dict[str, Any] = {"container": spec["name"], "quote": line}
    bounded = {
        volume["name"]: volume["emptyDir"].get("sizeLimit") or ""
        for volume in pod.spec.get("volumes") or []
        if (volume.get("emptyDir") or {}).get("medium") == "Memory"
    }
    mounts = [mount for mount in spec.get("volumeMounts") or [] if mount["name"] in bounded]
    named = [mount for mount in mounts if mount["mountPath"] in line] or (mounts if len(mounts) == 1 else [])
    if named:
        name, path = named[0]["name"], named[0]["mountPath"]
        return Fault("no-space-left", Ref.of(pod), {**facts, "volume": name, "path": path, "limit": bounded[name]})
    if _SHARED_MEMORY.search(line) and not any(m["mountPath"] == "/dev/shm" for m in spec.get("volumeMounts") or []):
        return Fault("no-space-left", Ref.of(pod), facts, form="shared-memory")
    return None
