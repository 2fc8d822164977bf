"""A second Pod, the backup, sees Redis' files and cannot change them."""

from dataclasses import dataclass
from typing import Any

from checker.sdk import (
    Object,
    PlainState,
    State,
    ask_in_pod,
    claims_of,
    fail,
    running_pods,
    task,
    unknown,
    users_of_claim,
)

from .redis import PROGRAM, REDIS, Asked, claim_of_redis, require_answers, require_saving

BACKUP, FOLDER = "backup", "/backup"
RDB = (
    "REDIS"  # how a file begins that holds Redis' memory; its other kind of file has a name that begins with appendonly
)


@dataclass(frozen=True)
class BackupAsked(Asked):
    """In a running Pod of the backup: the files in its folder. Read as {"files": {name: first characters}, "writable"}."""

    def question(self, state: PlainState) -> dict[str, Any] | None:
        backup = backup_of(state)
        pods = running_pods(state, backup) if backup else []
        if not pods:
            return self.ask({})
        return self.ask({"": ask_in_pod(pods[0], {"folder": {"do": "folder", "path": FOLDER}}) | {
            "program": PROGRAM, "container": looking(pods[0])["name"],
        }})  # fmt: skip


FILES = BackupAsked()


def backup_of(state: PlainState) -> Object | None:
    """The Pod backup, or a workload of that name."""
    return next(
        (o for kind in ("Pod", "Deployment", "StatefulSet", "DaemonSet") if (o := state.find(kind, BACKUP))), None
    )


def looking(pod: Object) -> dict[str, Any]:
    """The container of a Pod of the backup that has something at FOLDER; where none has, the first."""
    return next((c for c in pod.containers if FOLDER in mount_paths(c.get("volumeMounts") or [])), pod.containers[0])


def mount_paths(mounts: list[dict[str, Any]]) -> list[str]:
    return [mount["mountPath"].rstrip("/") for mount in mounts]


@task("second-look", observe=(REDIS, FILES))
def another_pod_sees_the_files(state: State, asked: dict[str, Any], seen: dict[str, Any]) -> None:
    backup = backup_of(state) or state.require("Pod", BACKUP)
    if backup.is_terminating:
        state.require(backup.kind, BACKUP)
    state.require_working(backup)
    pod, redis, claim = claim_of_redis(state, asked)
    looker = next(
        (p for p in users_of_claim(state, claim) if p.uid in {other.uid for other in state.pods_of(backup)}), None
    )
    evidence = {"object": backup.ref, "look": f"kubectl describe {backup.kind.lower()} {BACKUP}"}
    if not looker:
        has = (
            ", ".join(sorted({f"claim {name}" for p in state.pods_of(backup) for _, name in claims_of(p)}))
            or "no claim"
        )
        fail(
            "other-claim", f"{backup.ref.replace('/', ' ')} uses {has}; Redis' data is on claim {claim.name}.",
            expected=f"claim {claim.name}", observed=has, **evidence,
        )  # fmt: skip
    state.require_image(backup, "guestbook:v1")
    volumes = [volume for volume, name in claims_of(looker) if name == claim.name]
    mounts = [m for m in looking(looker).get("volumeMounts") or [] if m["name"] in volumes]
    if FOLDER not in mount_paths(mounts):
        where = ", ".join(m["mountPath"] for m in mounts)
        fail(
            "mounted-elsewhere" if mounts else "volume-not-mounted",
            f"Pod {looker.name} has claim {claim.name}, and its container has it {f'at {where}' if where else 'nowhere'}.",
            expected=f"mounted at {FOLDER}", observed=where or "no mount", **evidence,
        )  # fmt: skip
    require_answers(seen)
    folder = seen["folder"]
    if "error" in folder:
        unknown(
            "pod-not-askable",
            f"In Pod {looker.name} the folder {FOLDER} could not be looked at: {folder['error']}",
            **evidence,
        )
    if folder["writable"]:
        fail(
            "volume-writable", f"Pod {looker.name} can change what is in {FOLDER}: the files of a Redis that runs.",
            expected="a volume that can only be read there", observed="it can be written", **evidence,
        )  # fmt: skip
    for container, mount in further_mounts(looker, volumes):
        fail(
            "volume-writable", f"Pod {looker.name} can change the files of Redis: container {container} has claim {claim.name} at {mount} as well, to be written to.",
            expected="a volume that can only be read there", observed=f"it can be written at {mount}", **evidence,
        )  # fmt: skip
    if not [name for name, begin in folder["files"].items() if begin.startswith(RDB) or name.startswith("appendonly")]:
        require_saving(pod, redis)
        there = ", ".join(sorted(folder["files"])) or "nothing"
        fail(
            "nothing-saved-yet", f"Pod {looker.name} sees no file of Redis in {FOLDER}: there is {there}.",
            expected="a file that Redis wrote", observed=there, object=pod.ref, look=f"kubectl exec {looker.name} -- ls -lR {FOLDER}",
        )  # fmt: skip


def further_mounts(pod: Object, volumes: list[str]) -> list[tuple[str, str]]:
    """Where a Pod mounts these volumes to write to them, beside the FOLDER that was looked at: (container, path)."""
    read_only = {v["name"] for v in pod.spec["volumes"] if (v.get("persistentVolumeClaim") or {}).get("readOnly")}
    return [
        (container["name"], mount["mountPath"])
        for kind in ("containers", "initContainers", "ephemeralContainers")
        for container in pod.spec.get(kind) or []
        for mount in container.get("volumeMounts") or []
        if mount["name"] in set(volumes) - read_only and not mount.get("readOnly")
        if container is not looking(pod) or mount["mountPath"].rstrip("/") != FOLDER
    ]
