"""Judging lab 12: on what Redis keeps its data, whether an entry is older than the Pod that holds it, and who else sees the files.

That an entry is older is told by Redis: it has more entries than commands that wrote one since it began, and it began with its
Pod; unless it found nothing in its file then, or the observer was there when the guestbook had none, for one command can write
many. Where that cannot be told, by the
observer: it was answered before this Pod was made, and nothing else ever since.
"""

from dataclasses import dataclass
from typing import Any

from checker.sdk import (
    NotObserved,
    Object,
    PodsInside,
    State,
    Timeline,
    Traffic,
    ask_in_pod,
    claims_of,
    fail,
    program,
    quantity,
    require_data_lasts,
    running_pods,
    service_address,
    storage_size,
    task,
    unknown,
    users_of_claim,
    workload_of,
)

PROGRAM, TOO_LATE = program(__file__, "ask_storage"), "no answer within"
AT_LEAST = "200Mi"
BACKUP, FOLDER = "backup", "/backup"
NOTHING = "No entries yet."  # what the guestbook says where there are none
RDB = (
    "REDIS"  # how a file begins that holds Redis' memory; its other kind of file has a name that begins with appendonly
)
START = 10  # seconds that may lie between the start of a container and that of Redis in it


@dataclass(frozen=True)
class Asked(PodsInside):
    """Base of what is asked inside one Pod. Read as it is, {"error": why} too: most of what is wrong is seen without it."""

    def read(self, seen: Any) -> Any:
        return seen[""]


def require_answers(asked: dict) -> None:
    """The Pod could be asked. Raises Unknown otherwise."""
    if "error" in asked:
        unknown(
            "pod-not-askable",
            asked["error"],
            look="kubectl exec POD -- python3 --version",
            pending=TOO_LATE in asked["error"],
        )


@dataclass(frozen=True)
class RedisAsked(Asked):
    """In a running Pod of the guestbook: what the Redis behind Service redis says of itself, and what the app says to /entries."""

    def question(self, state: State) -> dict[str, Any] | None:
        guestbook, address = state.find("Deployment", "guestbook"), service_address(state, "redis")
        pods = running_pods(state, guestbook) if guestbook else []
        if not pods or not address:
            return None
        return self.ask({"": ask_in_pod(pods[0], {
            "redis": {"do": "redis", "at": address, "key": "entries"},
            "app": {"do": "app", "url": "http://127.0.0.1:8080/entries"},
        }) | {"program": PROGRAM}})  # fmt: skip


@dataclass(frozen=True)
class BackupAsked(Asked):
    """In a running Pod of the backup: the files in its folder. Read as {"files": {name: first characters}, "writable"}."""

    def question(self, state: State) -> dict[str, Any] | None:
        backup = backup_of(state)
        pods = running_pods(state, backup) if backup else []
        if not pods:
            return self.ask({})
        return self.ask({"": ask_in_pod(pods[0], {"folder": {"do": "folder", "path": FOLDER}}) | {
            "program": PROGRAM, "container": looking(pods[0])["name"],
        }})  # fmt: skip


REDIS, FILES, ENTRIES = RedisAsked(), BackupAsked(), Traffic("guestbook", "/entries")


def backup_of(state: State) -> Object | None:
    """The Pod backup, or a workload of that name."""
    return next(
        (o for kind in ("Pod", "Deployment", "StatefulSet", "DaemonSet") if (o := state.find(kind, BACKUP))), None
    )


def looking(pod: Object) -> dict[str, Any]:
    """The container of a Pod of the backup that has something at FOLDER; where none has, the first."""
    return next((c for c in pod.containers if FOLDER in mount_paths(c.get("volumeMounts") or [])), pod.containers[0])


def mount_paths(mounts: list[dict[str, Any]]) -> list[str]:
    return [mount["mountPath"].rstrip("/") for mount in mounts]


def redis_pod(state: State) -> Object:
    """The one Pod behind Service redis."""
    service = state.require("Service", "redis")
    state.require_working(service)
    pods = state.ready_pods(service)
    workload = workload_of(state, pods[0])
    if workload:
        state.require_working(workload)
    if len(pods) > 1:
        names = ", ".join(sorted(pod.name for pod in pods))
        fail(
            "two-writers", f"Service redis leads to {len(pods)} Pods of Redis ({names}), and they do not know of each other.",
            expected="one Pod of Redis", observed=names, object=service.ref, look="kubectl get pods --show-labels",
        )  # fmt: skip
    return pods[0]


def answered(state: State, asked: dict, pod: Object) -> dict:
    """What Redis says of itself."""
    guestbook = state.require("Deployment", "guestbook")
    state.require_working(guestbook)
    require_answers(asked)
    redis = asked["redis"]
    if "error" in redis:
        fail(
            "redis-not-answering", f"Pod {pod.name} is ready, but Redis in it gives no answer that can be used: {redis['error']}",
            expected="an answer from Redis", observed=redis["error"], object=pod.ref, look=f"kubectl logs {pod.name}", pending=True,
        )  # fmt: skip
    return redis


def claim_of_redis(state: State, asked: dict) -> tuple[Object, dict, Object]:
    """Redis' Pod, what it says of itself, and the claim that holds what it writes."""
    pod = redis_pod(state)
    redis = answered(state, asked, pod)
    container = next((c for c in pod.containers if "redis" in c["image"] or "valkey" in c["image"]), pod.containers[0])
    claim = require_data_lasts(state, pod, container, redis["dir"])
    if claim is None:
        fail(
            "claim-not-mounted", f"Redis in Pod {pod.name} writes into {redis['dir']}, which is on a volume that is no claim.",
            expected=f"a claim mounted at {redis['dir']}", observed="another kind of volume", object=pod.ref,
        )  # fmt: skip
    if quantity(storage_size(claim)) < quantity(AT_LEAST):
        fail(
            "claim-too-small", f"Claim {claim.name} asks for {storage_size(claim)}.", expected=f"at least {AT_LEAST}", observed=storage_size(claim),
            object=claim.ref,
        )  # fmt: skip
    return pod, redis, claim


def require_saving(pod: Object, redis: dict) -> None:
    if not redis["save"] and redis["appendonly"] != "yes":
        fail(
            "redis-saves-nothing",
            f"Redis in Pod {pod.name} never writes its memory down: its settings are save \"\" and appendonly no. The volume stays as it is.",
            expected="a Redis that saves", observed='save "", appendonly no', object=pod.ref, look=f"kubectl describe pod {pod.name}",
        )  # fmt: skip


@task("on-a-claim", observe=REDIS)
def redis_writes_on_a_claim(state: State, asked: dict) -> None:
    claim_of_redis(state, asked)


@task("survives", observe=(REDIS, ENTRIES))
def entry_outlives_the_pod(state: State, asked: dict, timeline: Timeline) -> None:
    pod, redis, _claim = claim_of_redis(state, asked)
    require_saving(pod, redis)
    evidence = {"object": pod.ref, "look": "kubectl get pods"}
    earlier = seen_earlier(timeline, pod)
    if not redis["items"]:
        lost = (
            f" “{earlier[-1]}” was there before Pod {pod.name} was made; it was lost with an earlier one."
            if earlier
            else ""
        )
        fail(
            "no-entry-written", f"The guestbook has no entry.{lost}", expected="at least one entry", observed="none",
            **{**evidence, "object": "Deployment/guestbook", "look": "kubectl logs deployment/guestbook"},
        )  # fmt: skip
    said = asked["app"]
    if said["status"] != 200 or said["text"].splitlines()[:1] != redis["items"][:1]:
        fail(
            "name-resolves-elsewhere",
            f"The Redis behind Service redis has other entries than the guestbook tells of: {said['text'][:200]}",
            expected=redis["items"][0], observed=said["text"][:200], object="Deployment/guestbook",
            look="kubectl describe deployment guestbook", pending=True,
        )  # fmt: skip
    fresh = was_empty(timeline, pod, redis["items"][0])
    began_empty = redis.get("loaded") == 0 and redis["appendonly"] != "yes"
    if not began_empty and (
        (older_by_count(state, pod, redis) and not fresh) or older_by_timeline(timeline, pod, redis["items"][0])
    ):
        return
    restarts = sum(status.get("restartCount", 0) for status in pod.status.get("containerStatuses") or [])
    told = f"entries: {redis['length']}" + (
        f"; commands that wrote some since Redis began: {redis['written']}" if redis["countable"] else ""
    )
    if redis["countable"] and redis["written"] >= redis["length"]:
        why = f"Every entry was written since Redis began to run in Pod {pod.name}."
    elif began_empty:
        why = f"Redis found no data on its volume when it began to run in Pod {pod.name}: what it has now was written since."
    elif fresh or (not isinstance(timeline, NotObserved) and added(timeline, pod) > timeline.since):
        what = "The entry was" if redis["length"] == 1 else "The entries were"
        why = f"{what} written while Pod {pod.name} was there already" + (
            "; its container was restarted, but the Pod was not replaced." if restarts else "."
        )
    else:
        unknown(
            "not-observed",
            f"Whether an entry is older than Pod {pod.name} cannot be told: "
            + ("its container was restarted since." if restarts else "what was written cannot be counted.")
            + " The next time that the Pod is replaced will show it.",
            expected="an entry that is older than the Pod", observed=told, **evidence,
        )  # fmt: skip
    fail("survival-not-shown", why, expected="an entry that is older than Redis' Pod", observed=told, **evidence)


def older_by_count(state: State, pod: Object, redis: dict) -> bool:
    """Redis has more entries than commands since it began that wrote some, and it began with its Pod."""
    statuses = pod.status.get("containerStatuses") or []
    began_with_it = all(
        not status.get("restartCount") and state.age(status["state"]["running"]["startedAt"]) - redis["uptime"] < START
        for status in statuses
    )
    return bool(redis["countable"] and began_with_it and redis["length"] > redis["written"])


def added(timeline: Timeline, pod: Object) -> float:
    """When the observer saw a Pod first, the last one of its name (a StatefulSet's have the same again); 0 where it did not."""
    return max((seen["added"] for seen in timeline.pods() if seen["name"] == pod.name), default=0.0)


def seen_earlier(timeline: Timeline, pod: Object) -> list[str]:
    """The first entries that the guestbook told of before a Pod was made, in the order of time."""
    if isinstance(timeline, NotObserved):
        return []
    return [text for at, text in timeline.texts() if at < added(timeline, pod) and text != NOTHING]


def was_empty(timeline: Timeline, pod: Object, first: str) -> bool:
    """The guestbook told of no entries when this Pod was ready already, and never before it of the one that is first now."""
    if isinstance(timeline, NotObserved) or first in seen_earlier(timeline, pod):
        return False
    ready = timeline.first_ready(pod.uid)
    said = [run for runs in timeline.said().values() for run in runs]
    return bool(ready) and any(run.text == NOTHING and run.last > ready for run in said)


def older_by_timeline(timeline: Timeline, pod: Object, first: str) -> bool:
    """The first entry is the last that was told of before this Pod was made, and all that was told of since.

    That there was none shortly before says nothing: an earlier Redis on its way out may answer once more.
    """
    if isinstance(timeline, NotObserved):
        return False
    made = added(timeline, pod)
    return bool(
        made > timeline.since
        and seen_earlier(timeline, pod)[-1:] == [first]
        and all(text == first for at, text in timeline.texts() if at >= made)
    )


@task("second-look", observe=(REDIS, FILES))
def another_pod_sees_the_files(state: State, asked: dict, seen: dict) -> None:
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
