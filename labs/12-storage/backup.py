"""A second Pod, the backup, can read the files of Redis and cannot change them."""

from dataclasses import dataclass
from typing import Any, TypedDict

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

from .redis import PROGRAM, REDIS, StorageAnswers, claim_of_redis, require_answers, require_saving

BACKUP, FOLDER = "backup", "/backup"
# The first characters of an RDB file, which holds Redis' memory. Redis' other files are called appendonly…
RDB = "REDIS"


class FolderShape(TypedDict):
    """What is in a folder: the first characters of each file, and whether a file can be written there."""

    files: dict[str, str]
    writable: bool


class FilesShape(TypedDict):
    """What programs/ask_storage.py answers."""

    folder: FolderShape


@dataclass(frozen=True)
class BackupFiles(StorageAnswers):
    """In a running Pod of the backup: the files in FOLDER. Read as {"files": {name: first characters}, "writable"}."""

    shapes = (FilesShape,)

    def question(self, state: PlainState) -> dict[str, Any] | None:
        backup = backup_of(state)
        pods = running_pods(state, backup) if backup else []
        if not pods:
            return self.ask({})
        question = ask_in_pod(pods[0], {"folder": {"do": "folder", "path": FOLDER}})
        return self.ask({"": question | {"program": PROGRAM, "container": looking(pods[0])["name"]}})


FILES = BackupFiles()


def backup_of(state: PlainState) -> Object | None:
    """The Pod backup, or a workload of that name, or None."""
    found = (state.find(kind, BACKUP) for kind in ("Pod", "Deployment", "StatefulSet", "DaemonSet"))
    return next((one for one in found if one), None)


def looking(pod: Object) -> dict[str, Any]:
    """The container that has a mount at FOLDER; where none has, the first container of the Pod."""
    return next((c for c in pod.containers if FOLDER in mount_paths(c.get("volumeMounts") or [])), pod.containers[0])


def mount_paths(mounts: list[dict[str, Any]]) -> list[str]:
    """The mountPath of each volumeMount, without a slash at the end."""
    return [mount["mountPath"].rstrip("/") for mount in mounts]


@task("second-look", observe=(REDIS, FILES))
def another_pod_sees_the_files(state: State, answers: dict[str, Any], seen: dict[str, Any]) -> None:
    backup = backup_of(state) or state.require("Pod", BACKUP)
    if backup.is_terminating:
        state.require(backup.kind, BACKUP)
    state.require_working(backup)
    pod, redis, claim = claim_of_redis(state, answers)
    pods = state.pods_of(backup)
    looker = next((p for p in users_of_claim(state, claim) if p.uid in {other.uid for other in pods}), None)
    if not looker:
        others = sorted({name for other in pods for _, name in claims_of(other)})
        if others:
            fail("other-claim", backup, claim=claim.name, claims=others)
        fail("other-claim", backup, form="no-claim", claim=claim.name)
    state.require_image(backup, "guestbook:v1")
    volumes = [volume for volume, name in claims_of(looker) if name == claim.name]
    container = looking(looker)
    mounts = [m for m in container.get("volumeMounts") or [] if m["name"] in volumes]
    if FOLDER not in mount_paths(mounts):
        where = [mount["mountPath"] for mount in mounts]
        facts = {"pod": looker.name, "container": container["name"], "claim": claim.name, "path": FOLDER}
        if where:
            fail("mounted-elsewhere", backup, form="backup", mounts=where, **facts)
        fail("volume-not-mounted", backup, form="backup", **facts)
    require_answers(seen)
    folder = seen["folder"]
    if "error" in folder:
        unknown("pod-not-askable", backup, form="folder", pod=looker.name, path=FOLDER, error=folder["error"])
    if folder["writable"]:
        fail("volume-writable", backup, pod=looker.name, path=FOLDER)
    for name, path in further_mounts(looker, volumes):
        fail(
            "volume-writable",
            backup,
            form="further-mount",
            pod=looker.name,
            container=name,
            claim=claim.name,
            path=path,
        )
    files = folder["files"]
    if not any(begin.startswith(RDB) or name.startswith("appendonly") for name, begin in files.items()):
        require_saving(pod, redis)
        fail("nothing-saved-yet", pod, backup=looker.name, path=FOLDER, files=sorted(files))


def further_mounts(pod: Object, volumes: list[str]) -> list[tuple[str, str]]:
    """The other mounts of these volumes that are not read-only, FOLDER left out: (container, path)."""
    read_only = {v["name"] for v in pod.spec["volumes"] if (v.get("persistentVolumeClaim") or {}).get("readOnly")}
    return [
        (container["name"], mount["mountPath"])
        for kind in ("containers", "initContainers", "ephemeralContainers")
        for container in pod.spec.get(kind) or []
        for mount in container.get("volumeMounts") or []
        if mount["name"] in set(volumes) - read_only and not mount.get("readOnly")
        if container is not looking(pod) or mount["mountPath"].rstrip("/") != FOLDER
    ]
