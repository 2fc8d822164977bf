"""A program that ends because a file on a volume says that another process uses its data.

A volume outlives the container, so a run that was killed may have left the file. Or another Pod mounts the same claim.

Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes
"""

from __future__ import annotations

import re
from typing import Any

from checker.diagnosis.configuration import source_of_file
from checker.model.fault import fail
from checker.model.state import Object, State

_LOCKED = re.compile(
    r"already (?:exists|running|locked|in use)|(?:is|been) locked|\block\b.*(?:held|exists|fail)|"
    r"(?:could not|cannot|can't|unable to|failed to) (?:get|acquire|obtain|create|lock)\b.*\block|"
    r"(?:could not|cannot|can't|unable to|failed to) lock\b|another \S+.* (?:is )?(?:already )?running|"
    r"is another .*running",
    re.I,
)
_LOCK_FILE = re.compile(r"/[\w./-]*(?:lock|pid)\b[\w.]*", re.I)


def explain_lock(state: State, pod: Object, spec: dict[str, Any], log: str, in_progress: bool = False) -> None:
    """Raise Failed where the last lines of a container name a lock file that is on a volume. log: these lines."""
    line = next((one.strip()[:300] for one in reversed(log.splitlines()) if _LOCKED.search(one)), "")
    for path in _LOCK_FILE.findall(line):
        source = source_of_file(state, pod, spec, path)
        if (
            not source
            or not source.mount
            or source.volume_type not in ("persistentVolumeClaim", "hostPath", "emptyDir")
        ):
            continue
        volume: dict[str, Any] = next(
            (v for v in pod.spec.get("volumes") or [] if v["name"] == source.mount["name"]), {"name": ""}
        )
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
        others = _users(state, pod, claim) if claim else []
        facts = {"container": spec["name"], "path": path, "volume": volume["name"], "claim": claim, "quote": line}
        form = "shared" if others else ""
        fail("lock-on-volume", pod, form=form, in_progress=in_progress, others=others, **facts)


def _users(state: State, pod: Object, claim: str) -> list[str]:
    """The names of the other Pods that run and use a claim."""
    return sorted(
        one.name
        for one in state.all("Pod", pod.namespace)
        if one.uid != pod.uid
        and one.status.get("phase") == "Running"
        and any((v.get("persistentVolumeClaim") or {}).get("claimName") == claim for v in one.spec.get("volumes") or [])
    )
