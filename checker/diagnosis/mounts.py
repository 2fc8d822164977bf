"""The last links of stored data: a Pod's volumes are mounted, and the program writes where a volume is mounted.

Source: https://kubernetes.io/docs/concepts/storage/volumes/
"""

from __future__ import annotations

from typing import Any

from checker.diagnosis.storage import (
    claims_of,
    explain_claim_missing,
    explain_claims,
    users_of,
    volume_of,
    walk_claim,
)
from checker.model.durations import TIME_FOR_MOUNT_RETRY, TIME_FOR_VOLUME
from checker.model.state import Object, State
from checker.model.verdict import fail

# What a mount's event says of something that passes, or that another event says better.
_PASSING = ("kube-api-access", "failed to sync", "not registered", "timed out waiting", "unmounted volumes=")


def explain_volumes(state: State, pod: Object) -> None:
    """Return where nothing is known that keeps the kubelet from mounting the volumes of a Pod. Raises Failed otherwise.

    The Pod has a node.
    """
    explain_claims(state, pod)
    for reason in ("FailedAttachVolume", "FailedMount"):
        for event in state.events(pod, reason):
            message = event.get("message", "")
            if any(words in message for words in _PASSING) or state.age(_time_of(event)) > TIME_FOR_MOUNT_RETRY:
                continue
            attaching = reason == "FailedAttachVolume"
            multi_attach = attaching and "Multi-Attach" in message
            fail(
                "volume-attached-elsewhere" if multi_attach else "mount-fails",
                pod,
                form="attach" if attaching and not multi_attach else "",
                volume=message.partition('volume "')[2].partition('"')[0],
                node=pod.spec.get("nodeName"),
                reason=(message.partition('" : ')[2] or message)[:300],
                in_progress=state.age(pod.created) < TIME_FOR_VOLUME,
            )


def _time_of(event: dict[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp"))


def volume_at(pod: Object, container: dict[str, Any], path: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The (volumeMount, volume) that a container has at a path or above it; None where that is its own file system."""
    volumes = {volume["name"]: volume for volume in pod.spec.get("volumes") or []}
    above = [
        mount
        for mount in container.get("volumeMounts") or []
        if (path.rstrip("/") + "/").startswith(mount["mountPath"].rstrip("/") + "/")
    ]
    mount = max(above, key=lambda mount: len(mount["mountPath"]), default=None)
    return (mount, volumes[mount["name"]]) if mount and mount["name"] in volumes else None


def volume_type(volume: dict[str, Any]) -> str:
    """The type of a Pod's volume: `emptyDir`, `persistentVolumeClaim`, … A volume without a type is an emptyDir."""
    return next((key for key in volume if key != "name"), "emptyDir")


def walk_data(state: State, pod: Object, container: dict[str, Any], path: str) -> Object | None:
    """What a container writes at a path outlives the Pod, on whichever node the next one runs. Raises Failed otherwise.

    Returns the claim that holds it, or None where another kind of lasting volume does.
    """
    found = volume_at(pod, container, path)
    if not found:
        _explain_unused(state, pod, container, path)
        fail("data-in-pod", pod, form="file-system", container=container["name"], path=path)
    volume = found[1]
    kind = volume_type(volume)
    if kind == "persistentVolumeClaim":
        return _walk_claimed(state, pod, container, path, found)
    if kind == "hostPath" and not _stays_on_one_node(pod):
        folder, node = volume["hostPath"]["path"], pod.spec.get("nodeName")
        fail("data-on-one-node", pod, container=container["name"], path=path, folder=folder, node=node)
    if kind in ("emptyDir", "ephemeral", "configMap", "secret", "downwardAPI", "projected", "image"):
        fail("data-in-pod", pod, container=container["name"], path=path, volume_type=kind)
    return None


def _walk_claimed(
    state: State, pod: Object, container: dict[str, Any], path: str, found: tuple[dict[str, Any], dict[str, Any]]
) -> Object | None:
    mount, volume = found
    name = volume["persistentVolumeClaim"]["claimName"]
    if mount.get("readOnly") or volume["persistentVolumeClaim"].get("readOnly"):
        fail("volume-read-only", pod, container=container["name"], path=path, claim=name)
    claim = state.find("PersistentVolumeClaim", name, pod.namespace)
    if not claim:
        explain_claim_missing(state, pod, volume["name"], name)
    walk_claim(state, claim)
    bound = volume_of(state, claim)
    if bound and "hostPath" in bound.spec and not bound.spec.get("nodeAffinity") and not _stays_on_one_node(pod):
        node = pod.spec.get("nodeName")
        fail(
            "data-on-one-node", pod, form="volume", container=container["name"], path=path, volume=bound.name, node=node
        )
    return claim


def _explain_unused(state: State, pod: Object, container: dict[str, Any], path: str) -> None:
    """No volume is mounted at a path of a container, although there is a claim for it.

    The claim may be mounted elsewhere in the container, or be a volume of the Pod that the container does not mount, or
    be unused.
    """
    for volume, name in claims_of(pod):
        mounts = [m["mountPath"] for m in container.get("volumeMounts") or [] if m["name"] == volume]
        if mounts:
            fail("mounted-elsewhere", pod, container=container["name"], path=path, claim=name, mounts=mounts)
        fail("volume-not-mounted", pod, form="claim", container=container["name"], path=path, claim=name, volume=volume)
    idle = [c for c in state.all("PersistentVolumeClaim", pod.namespace) if not users_of(state, c)]
    if idle:
        waiting = [c.name for c in idle if c.status.get("phase") == "Pending"]
        fail(
            "claim-not-mounted",
            pod,
            container=container["name"],
            path=path,
            claims=sorted(c.name for c in idle),
            waiting=waiting[0] if waiting and _binds_late(state, idle) else "",
        )


def _binds_late(state: State, claims: list[Object]) -> bool:
    """Whether the classes of all these claims bind a volume only when a Pod uses the claim."""
    late = {
        c.name
        for c in state.objects.get("StorageClass", [])
        if c.raw.get("volumeBindingMode") == "WaitForFirstConsumer"
    }
    return all(claim.spec.get("storageClassName") in late for claim in claims)


def _stays_on_one_node(pod: Object) -> bool:
    """Whether a Pod's own rules choose its node. Only then the next Pod finds what this Pod wrote into a node's folder.

    Source: https://kubernetes.io/docs/concepts/storage/volumes/#hostpath
    """
    affinity = (pod.spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return bool(required) or "kubernetes.io/hostname" in (pod.spec.get("nodeSelector") or {})
