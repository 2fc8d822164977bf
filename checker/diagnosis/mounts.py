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
from checker.model.durations import TIME_FOR_VOLUME
from checker.model.spelling import counted
from checker.model.state import Object, State
from checker.model.verdict import fail

RECENT = 150  # seconds: the kubelet repeats a mount that fails at least every two minutes


def explain_volumes(state: State, pod: Object) -> None:
    """Return when nothing is known that keeps the volumes of a Pod with a node from being mounted. Raises Failed otherwise."""
    explain_claims(state, pod)
    for reason, cause in (("FailedAttachVolume", "volume-attached-elsewhere"), ("FailedMount", "mount-fails")):
        for event in state.events(pod, reason):
            message = event.get("message", "")
            passing = ("kube-api-access", "failed to sync", "not registered", "timed out waiting", "unmounted volumes=")
            if any(words in message for words in passing) or state.age(_time_of(event)) > RECENT:
                continue
            if reason == "FailedAttachVolume" and "Multi-Attach" not in message:
                cause = "mount-fails"
            telling = message.partition('" : ')[2] or message
            volume = message.partition('volume "')[2].partition('"')[0] or "of the Pod"
            fail(
                cause,
                f"Volume {volume} cannot be mounted into Pod {pod.name} on node {pod.spec.get('nodeName')}: {telling[:300]}",
                expected="a volume that can be mounted", observed=telling[:300], object=pod.ref,
                look=f"kubectl describe pod {pod.name}", pending=state.age(pod.created) < TIME_FOR_VOLUME,
            )  # fmt: skip


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
    """What a volume of a Pod is made of: `emptyDir`, `persistentVolumeClaim`, … One of which nothing is said is an emptyDir."""
    return next((key for key in volume if key != "name"), "emptyDir")


def walk_data(state: State, pod: Object, container: dict[str, Any], path: str) -> Object | None:
    """What a container writes at a path outlives the Pod, on whichever node the next one runs. Raises Failed otherwise.

    Returns the claim that holds it, or None where another kind of lasting volume does.
    """
    found = volume_at(pod, container, path)
    kind = volume_type(found[1]) if found else ""
    what = f"Container {container['name']} of Pod {pod.name} writes into {path}"
    evidence: dict[str, Any] = {"object": pod.ref, "look": f"kubectl describe pod {pod.name}"}
    if found and kind == "persistentVolumeClaim":
        return _walk_claimed(state, pod, container, path, found)
    if found and kind == "hostPath":
        _require_pinned(
            pod, f"{what}, a folder of node {pod.spec.get('nodeName')} ({found[1]['hostPath']['path']})", evidence
        )
        return None
    if not found:
        _explain_unused(state, pod, container, path)
    own = ("configMap", "secret", "downwardAPI", "projected", "image")
    if not found or kind in ("emptyDir", "ephemeral", *own):
        where = {"": "its own file system", "emptyDir": "an emptyDir", "ephemeral": "an ephemeral volume"}.get(
            kind, f"a volume of type {kind}"
        )
        fail(
            "data-in-pod", f"{what}, and that is {where}: it goes when the Pod goes.",
            expected=f"a volume at {path} that is not the Pod's own", observed=where, **evidence,
        )  # fmt: skip
    return None


def _walk_claimed(
    state: State, pod: Object, container: dict[str, Any], path: str, found: tuple[dict[str, Any], dict[str, Any]]
) -> Object | None:
    mount, volume = found
    name = volume["persistentVolumeClaim"]["claimName"]
    what = f"Container {container['name']} of Pod {pod.name} writes into {path}"
    evidence: dict[str, Any] = {"object": pod.ref, "look": f"kubectl describe pod {pod.name}"}
    if mount.get("readOnly") or volume["persistentVolumeClaim"].get("readOnly"):
        fail(
            "volume-read-only", f"{what}, where claim {name} is mounted to be read only: nothing can be kept there.",
            expected=f"a volume at {path} that can be written", observed="readOnly: true", **evidence,
        )  # fmt: skip
    claim = state.find("PersistentVolumeClaim", name, pod.namespace)
    if not claim:
        explain_claim_missing(state, pod, volume["name"], name)
    walk_claim(state, claim)
    bound = volume_of(state, claim)
    if bound and "hostPath" in bound.spec and not bound.spec.get("nodeAffinity"):
        _require_pinned(
            pod,
            f"{what}, on volume {bound.name}: a folder of whichever node the Pod is on, at the moment {pod.spec.get('nodeName')}",
            evidence,
        )
    return claim


def _explain_unused(state: State, pod: Object, container: dict[str, Any], path: str) -> None:
    """No volume at a path of a container, although there is a claim for it: elsewhere in the container, in the Pod, or unused."""
    evidence: dict[str, Any] = {"object": pod.ref, "look": f"kubectl describe pod {pod.name}"}
    for volume, name in claims_of(pod):
        at = [m["mountPath"] for m in container.get("volumeMounts") or [] if m["name"] == volume]
        where = f"at {', '.join(at)}" if at else "in none of its places"
        if at:
            fail(
                "mounted-elsewhere",
                f"Container {container['name']} of Pod {pod.name} writes into {path}, and claim {name} is mounted {where}: nothing of it gets there.",
                expected=f"the claim where the container writes, {path}", observed=where, **evidence,
            )  # fmt: skip
        fail(
            "volume-not-mounted",
            f"Pod {pod.name} has claim {name} as its volume {volume}, and container {container['name']}, which writes into {path}, does not mount it.",
            expected=f"a volumeMount of {volume}", observed="none in that container", **evidence,
        )  # fmt: skip
    idle = [c for c in state.all("PersistentVolumeClaim", pod.namespace) if not users_of(state, c)]
    if idle:
        names = ", ".join(sorted(c.name for c in idle))
        waiting = [c.name for c in idle if c.status.get("phase") == "Pending"]
        no_fault = (
            f" (That {waiting[0]} is Pending does not matter: its volume is made once a Pod uses it.)"
            if waiting and _is_late(state, idle)
            else ""
        )
        fail(
            "claim-not-mounted",
            f"Container {container['name']} of Pod {pod.name} writes into {path}, its own file system. "
            f"There is {counted(len(idle), 'claim')} that no Pod uses: {names}.{no_fault}",
            expected=f"a claim mounted at {path}", observed="no volume there", **evidence,
        )  # fmt: skip


def _is_late(state: State, claims: list[Object]) -> bool:
    late = {
        c.name
        for c in state.objects.get("StorageClass", [])
        if c.raw.get("volumeBindingMode") == "WaitForFirstConsumer"
    }
    return all(claim.spec.get("storageClassName") in late for claim in claims)


def _require_pinned(pod: Object, what: str, evidence: dict[str, Any]) -> None:
    """Data in a folder of a node is found again only by a Pod that always goes to that node.

    Source: https://kubernetes.io/docs/concepts/storage/volumes/#hostpath
    """
    affinity = ((pod.spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if affinity or "kubernetes.io/hostname" in (pod.spec.get("nodeSelector") or {}):
        return
    fail(
        "data-on-one-node", f"{what}. The next Pod may be put on another node, and finds nothing there.",
        expected="a volume that the Pod finds again wherever it goes", observed=f"a folder of node {pod.spec.get('nodeName')}", **evidence,
    )  # fmt: skip
