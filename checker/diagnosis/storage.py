"""The chain of stored data: the claim exists → its class exists → somebody makes a volume, or one that is there fits → bound →
the Pod may use it, on this node → mounted, where the program writes.

Sources: https://kubernetes.io/docs/concepts/storage/persistent-volumes/, https://kubernetes.io/docs/concepts/storage/storage-classes/
and https://kubernetes.io/docs/concepts/storage/volumes/
"""

from __future__ import annotations

from typing import Any, NoReturn

from checker.diagnosis.walking import walk
from checker.model.durations import TIME_FOR_VOLUME
from checker.model.quantity import quantity
from checker.model.spelling import nearest
from checker.model.state import Object, State
from checker.model.verdict import fail

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
SELECTED_NODE = (
    "volume.kubernetes.io/selected-node"  # annotation of a claim: the scheduler has chosen the node for its volume
)
BY_HAND = "kubernetes.io/no-provisioner"  # a class whose volumes people make
# Provisioners that are known not to give every access mode. The others tell by an event, which is kept for an hour only.
# Source: https://github.com/rancher/local-path-provisioner (provisioner.go)
OFFERED = {"rancher.io/local-path": ("ReadWriteOnce", "ReadWriteOncePod")}


# -- claims ----------------------------------------------------------------------------------------------------------


def claims_of(pod: Object) -> list[tuple[str, str]]:
    """The claims that a Pod uses: (name of its volume, name of the claim), those of generic ephemeral volumes included.

    Source: https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#generic-ephemeral-volumes
    """
    found = []
    for volume in pod.spec.get("volumes") or []:
        if "persistentVolumeClaim" in volume:
            found.append((volume["name"], volume["persistentVolumeClaim"]["claimName"]))
        elif "ephemeral" in volume:
            found.append((volume["name"], f"{pod.name}-{volume['name']}"))
    return found


def users_of(state: State, claim: Object) -> list[Object]:
    """The Pods that use a claim, without those that have ended."""
    return [
        pod
        for pod in state.all("Pod", claim.namespace)
        if pod.status.get("phase") not in ("Succeeded", "Failed") and claim.name in dict(claims_of(pod)).values()
    ]


def volume_of(state: State, claim: Object) -> Object | None:
    """The PersistentVolume that a claim is bound to; None where there is none, or where volumes could not be listed."""
    name = claim.spec.get("volumeName")
    return next((pv for pv in state.objects.get("PersistentVolume", []) if name and pv.name == name), None)


def explain_claims(state: State, pod: Object) -> None:
    """Return when nothing about the claims of a Pod keeps it from running. Raises Failed with the first broken link."""
    for volume, name in claims_of(pod):
        claim = state.find("PersistentVolumeClaim", name, pod.namespace)
        if not claim:
            explain_claim_missing(state, pod, volume, name)
        walk_claim(state, claim, pod)
        _explain_exclusive(state, pod, claim)


def explain_claim_missing(state: State, pod: Object, volume: str, name: str) -> NoReturn:
    others = [o.name for o in state.all("PersistentVolumeClaim", pod.namespace)]
    similar = nearest(name, others, cutoff=0.6)
    made_for_it = any(v["name"] == volume and "ephemeral" in v for v in pod.spec.get("volumes") or [])
    fail(
        "claim-missing",
        f"Pod {pod.name} uses claim {name} (as its volume {volume}), and there is no such claim in namespace {pod.namespace}."
        + (f" There is one called {similar}: is it meant?" if similar else ""),
        expected=f"PersistentVolumeClaim {name}", observed=f"claims there: {', '.join(sorted(others)) or 'none'}",
        object=pod.ref, look="kubectl get persistentvolumeclaims", pending=made_for_it,
    )  # fmt: skip


def _explain_exclusive(state: State, pod: Object, claim: Object) -> None:
    """ReadWriteOncePod is one Pod at a time; the next one waits for a node until the first has gone.

    Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes
    """
    others = [other for other in users_of(state, claim) if other.uid != pod.uid and other.spec.get("nodeName")]
    if pod.spec.get("nodeName") or "ReadWriteOncePod" not in modes(claim) or not others:
        return
    fail(
        "claim-in-use",
        f"Claim {claim.name} has access mode ReadWriteOncePod, which is for one Pod at a time, and Pod {others[0].name} uses it: "
        f"Pod {pod.name} waits.",
        expected="no other Pod that uses the claim", observed=f"used by Pod {others[0].name}", object=pod.ref,
        look="kubectl describe persistentvolumeclaim " + claim.name, pending=any(other.is_terminating for other in others),
    )  # fmt: skip


def walk_claim(state: State, claim: Object, wanted_by: Object | None = None) -> None:
    """Return when the claim is bound to a volume. Raises Failed with the first broken link.

    wanted_by: a Pod without a node whose chain is being walked: that its claim waits for just this Pod is no fault then.
    """
    name, evidence = claim.name, _evidence(claim)
    if claim.is_terminating:
        users = users_of(state, claim)
        fail(
            "object-being-deleted",
            f"Claim {name} is being deleted" + (f", and stays until Pod {users[0].name} no longer uses it." if users else "."),
            expected="a claim that stays", observed="being deleted", pending=not users, **evidence,
        )  # fmt: skip
    phase = claim.status.get("phase", "Pending")
    if phase == "Bound":
        return
    if phase == "Lost":
        volume = claim.spec.get("volumeName", "")
        fail(
            "claim-lost", f"Claim {name} was bound to volume {volume}, and that volume is gone, with what was on it.",
            expected=f"PersistentVolume {volume}", observed="phase Lost", **evidence,
        )  # fmt: skip
    chosen = claim.spec.get("volumeName")
    if chosen:
        _explain_chosen(state, claim, chosen)
    wanted = claim.spec.get("storageClassName")
    storage_class = state.find("StorageClass", wanted) if wanted else None
    made_by_hand = [
        pv for pv in state.everywhere("PersistentVolume") if (pv.spec.get("storageClassName") or "") == (wanted or "")
    ]
    if wanted and not storage_class and not made_by_hand:
        _explain_class(state, claim, wanted)
    provisioner = (storage_class.raw.get("provisioner") or "") if storage_class else ""
    if not storage_class or provisioner == BY_HAND:
        _explain_unmatched(state, claim, made_by_hand, storage_class)
    _explain_modes(claim, storage_class, provisioner)
    refused = state.events(claim, "ProvisioningFailed")
    if refused:
        _explain_refused(claim, storage_class, refused[0].get("message", ""))
    users = users_of(state, claim)
    late = storage_class.raw.get("volumeBindingMode") == "WaitForFirstConsumer"
    if late and not users:
        fail(
            "claim-waits-for-pod",
            f"Claim {name} is Pending, and that is no fault: class {storage_class.name} has a volume made only when a Pod uses the "
            "claim (WaitForFirstConsumer), and no Pod does.",
            expected="a Pod that uses the claim", observed="none", **evidence,
        )  # fmt: skip
    if late and SELECTED_NODE not in claim.annotations:
        if wanted_by:
            return
        for pod in users:
            walk(state, pod)  # what keeps it from having a node keeps the claim from having a volume
    waited = min([state.age(pod.created) for pod in users] if late else [state.age(claim.created)], default=0.0)
    fail(
        "claim-not-bound-yet" if waited < TIME_FOR_VOLUME else "provisioner-silent",
        f"Claim {name} waits for provisioner {provisioner} of class {storage_class.name}, which has made no volume"
        + (" yet." if waited < TIME_FOR_VOLUME else f" for {waited:.0f} s, and has given no reason."),
        expected="a volume for the claim", observed=f"Pending for {waited:.0f} s" if waited >= TIME_FOR_VOLUME else "Pending",
        pending=waited < TIME_FOR_VOLUME, **evidence,
    )  # fmt: skip


def modes(obj: Object) -> list[str]:
    """The access modes of a claim or a volume."""
    found: list[str] = obj.spec.get("accessModes") or []
    return found


def size(obj: Object) -> str:
    """What a claim asks for, or what a volume has, as it is written."""
    asked = (obj.spec.get("resources") or {}).get("requests") or {}
    return str((obj.spec.get("capacity") or asked).get("storage", "0"))


def _evidence(claim: Object) -> dict[str, Any]:
    return {"object": claim.ref, "look": f"kubectl describe persistentvolumeclaim {claim.name}"}


def _explain_class(state: State, claim: Object, wanted: str) -> NoReturn:
    known = sorted(c.name for c in state.everywhere("StorageClass"))
    similar = nearest(wanted, known, cutoff=0.6)
    fail(
        "class-missing",
        f"Claim {claim.name} asks for class {wanted}, and there is none of that name."
        + (f" There is one called {similar}: is it meant?" if similar else ""),
        expected=f"StorageClass {wanted}", observed=f"classes: {', '.join(known) or 'none'}", object=claim.ref,
        look="kubectl get storageclasses",
    )  # fmt: skip


def _explain_modes(claim: Object, storage_class: Object, provisioner: str) -> None:
    asked = [mode for mode in modes(claim) if mode not in OFFERED.get(provisioner, (mode,))]
    if asked:
        offered = " or ".join(OFFERED[provisioner])
        fail(
            "access-mode-not-offered",
            f"Claim {claim.name} asks for {' and '.join(asked)}, and class {storage_class.name} cannot give that: its volumes "
            f"({provisioner}) can be had as {offered} only.",
            expected=offered, observed=" and ".join(asked), **_evidence(claim),
        )  # fmt: skip


def _explain_refused(claim: Object, storage_class: Object, message: str) -> NoReturn:
    telling = message.partition('": ')[2] or message  # behind: failed to provision volume with StorageClass "…"
    about_modes = "access mode" in telling.lower() or "accessmode" in telling.lower()
    fail(
        "access-mode-not-offered" if about_modes else "provisioning-failed",
        f"Class {storage_class.name} makes no volume for claim {claim.name}"
        + (f" with access mode {' and '.join(modes(claim))}" if about_modes else "")
        + f": {telling}",
        expected="a volume for the claim", observed=telling, **_evidence(claim),
    )  # fmt: skip


# -- volumes that are there already ----------------------------------------------------------------------------------


def _explain_chosen(state: State, claim: Object, name: str) -> NoReturn:
    """A claim that names its volume, and is not bound to it."""
    known = state.everywhere("PersistentVolume")
    volume = next((pv for pv in known if pv.name == name), None)
    if not volume:
        similar = nearest(name, [pv.name for pv in known if not pv.spec.get("claimRef")], cutoff=0.6)
        fail(
            "volume-missing",
            f"Claim {claim.name} asks for volume {name}, and there is none of that name."
            + (f" There is one called {similar}: is it meant?" if similar else ""),
            expected=f"PersistentVolume {name}", observed=similar or "none", object=claim.ref, look="kubectl get persistentvolumes",
        )  # fmt: skip
    _explain_misfit(claim, volume)
    _not_bound_yet(claim, volume)


def _explain_unmatched(state: State, claim: Object, volumes: list[Object], storage_class: Object | None) -> NoReturn:
    """No volume that is there already fits a claim for which none is made. `volumes`: those of its class."""
    users = users_of(state, claim)
    if storage_class and storage_class.raw.get("volumeBindingMode") == "WaitForFirstConsumer" and not users:
        fail(
            "claim-waits-for-pod",
            f"Claim {claim.name} is Pending, and that is no fault: class {storage_class.name} binds a volume only when a Pod uses "
            "the claim (WaitForFirstConsumer), and no Pod does.",
            expected="a Pod that uses the claim", observed="none", **_evidence(claim),
        )  # fmt: skip
    name = claim.spec.get("storageClassName")
    if name:
        made = f"no volume is made by itself for class {name}"
    elif name == "":
        made = 'it asks for no class (""), so no volume is made for it'
    else:
        made = "it names no class, and this cluster has no default one, so no volume is made for it"
    near = [pv for pv in volumes if _ours(pv, claim)]
    if not near:
        fail(
            "no-volume-fits", f"Claim {claim.name} is bound to nothing: {made}, and there is none that is free.",
            expected="a free PersistentVolume" + (f" of class {name}" if name else " without a class"), observed="none",
            object=claim.ref, look="kubectl get persistentvolumes",
        )  # fmt: skip
    fitting = [pv for pv in near if not _misfits(claim, pv)]
    if fitting:
        free = [pv for pv in fitting if not _claimed_by_another(pv, claim)]
        if free:
            _not_bound_yet(claim, free[0])
        _explain_misfit(claim, fitting[0])
    nearest_one = max(near, key=lambda pv: (-len(_misfits(claim, pv)), quantity(size(pv))))
    _explain_misfit(claim, nearest_one)
    _not_bound_yet(claim, nearest_one)


def _ours(volume: Object, claim: Object) -> bool:
    """Whether a volume may be spoken of: it is free, or was bound in the claim's own namespace."""
    owner = volume.spec.get("claimRef")
    return not owner or owner.get("namespace") == claim.namespace


def _claimed_by_another(volume: Object, claim: Object) -> bool:
    owner = volume.spec.get("claimRef") or {}
    same = (owner.get("namespace"), owner.get("name")) == (claim.namespace, claim.name)
    return bool(owner) and not (same and owner.get("uid") in (None, "", claim.uid))


def _misfits(claim: Object, volume: Object) -> list[str]:
    """In what a volume is not as the claim asks: class, mode, size, labels."""
    found = []
    if (volume.spec.get("storageClassName") or "") != (claim.spec.get("storageClassName") or ""):
        found.append("class")
    if not set(modes(claim)) <= set(modes(volume)):
        found.append("mode")
    if quantity(size(volume)) < quantity(size(claim)):
        found.append("size")
    labels = (claim.spec.get("selector") or {}).get("matchLabels") or {}
    if not labels.items() <= volume.labels.items():
        found.append("labels")
    return found


def _explain_misfit(claim: Object, volume: Object) -> None:
    """Raise Failed with the first thing that keeps a claim from this volume; return where there is none."""
    wrong, look = _misfits(claim, volume), f"kubectl describe persistentvolume {volume.name}"
    if "mode" in wrong:
        fail(
            "access-mode-not-offered",
            f"Claim {claim.name} asks for {' and '.join(modes(claim))}, and volume {volume.name} can be had as {' and '.join(modes(volume))} only.",
            expected=" and ".join(modes(claim)), observed=" and ".join(modes(volume)), object=claim.ref, look=look,
        )  # fmt: skip
    if wrong:
        asked = {"class": claim.spec.get("storageClassName") or "no class", "size": size(claim),
                 "labels": "other labels"}[wrong[0]]  # fmt: skip
        has = {"class": volume.spec.get("storageClassName") or "no class", "size": size(volume),
               "labels": "not those"}[wrong[0]]  # fmt: skip
        fail(
            "no-volume-fits",
            f"Claim {claim.name} asks for {asked}, and the nearest volume that is there, {volume.name}, has {has}.",
            expected=asked, observed=has, object=claim.ref, look="kubectl get persistentvolumes",
        )  # fmt: skip
    if _claimed_by_another(volume, claim):
        owner = volume.spec["claimRef"]
        if volume.status.get("phase") in ("Released", "Failed"):
            walk_volume(volume, claim)
        fail(
            "no-volume-fits", f"Volume {volume.name}, which would fit claim {claim.name}, belongs to claim {owner.get('name')}.",
            expected="a free volume", observed=f"bound to claim {owner.get('name')}", object=claim.ref, look=look,
        )  # fmt: skip


def _not_bound_yet(claim: Object, volume: Object) -> NoReturn:
    fail(
        "claim-not-bound-yet", f"Claim {claim.name} fits volume {volume.name}, and is not bound to it yet.",
        expected="phase Bound", observed="phase Pending", pending=True, **_evidence(claim),
    )  # fmt: skip


def walk_volume(volume: Object, claim: Object | None = None) -> None:
    """Return when a PersistentVolume is free or bound. Raises Failed otherwise. claim: the one that it would fit.

    Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming
    """
    phase, owner = volume.status.get("phase", "Pending"), (volume.spec.get("claimRef") or {}).get("name", "")
    policy = volume.spec.get("persistentVolumeReclaimPolicy", "Retain")
    evidence: dict[str, Any] = {
        "object": (claim or volume).ref,
        "look": f"kubectl describe persistentvolume {volume.name}",
    }
    would_fit = f", which would fit claim {claim.name}," if claim else ""
    if phase == "Released":
        again = f" A claim {owner} exists again, but it is another one." if claim and claim.name == owner else ""
        fail(
            "volume-released",
            f"Volume {volume.name}{would_fit} is Released: the claim {owner} that it belonged to was deleted, and it still holds that one's "
            f"data. It is given to nobody else as it is.{again}",
            expected="phase Available", observed=f"phase Released, reclaim policy {policy}", pending=policy == "Delete", **evidence,
        )  # fmt: skip
    if phase == "Failed":
        why = volume.status.get("message", "no reason given")
        fail(
            "volume-not-removed", f"Volume {volume.name}{would_fit} was to be removed with its claim, and that failed: {why}",
            expected="a volume that is gone", observed=why, **evidence,
        )  # fmt: skip


# -- a volume and its nodes ------------------------------------------------------------------------------------------


def allows(volume: Object, node: Object) -> bool:
    """Whether a volume can be used on a node. Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#node-affinity"""
    terms = ((volume.spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or []

    def holds(expression: dict[str, Any], has: dict[str, str]) -> bool:
        key, operator, values = expression["key"], expression.get("operator", "In"), expression.get("values") or []
        if operator in ("Exists", "DoesNotExist"):
            return bool((key in has) == (operator == "Exists"))
        if operator in ("In", "NotIn"):
            return bool((has.get(key) in values) == (operator == "In"))
        return True  # Gt and Lt: left to the scheduler

    return not terms or any(
        all(holds(e, node.labels) for e in term.get("matchExpressions") or [])
        and all(holds(e, {"metadata.name": node.name}) for e in term.get("matchFields") or [])
        for term in terms
    )


def explain_volume_nodes(state: State, pod: Object, open_to_it: list[Object]) -> None:
    """A bound volume that can only be used on nodes where the Pod cannot go. open_to_it: the nodes that would take the Pod."""
    for _volume, name in claims_of(pod):
        claim = state.find("PersistentVolumeClaim", name, pod.namespace)
        volume = volume_of(state, claim) if claim else None
        nodes = state.everywhere("Node")
        where = sorted(node.name for node in nodes if volume and allows(volume, node))
        if not volume or len(where) == len(nodes) or any(allows(volume, node) for node in open_to_it):
            continue
        fail(
            "volume-on-other-node",
            f"The volume of claim {name} can be used on {'node ' + ', '.join(where) if where else 'no node of this cluster'} only, and Pod "
            f"{pod.name} cannot go there.",
            expected=f"a place for the Pod on {', '.join(where) or 'a node that has the volume'}",
            observed=f"nodes open to the Pod: {', '.join(sorted(node.name for node in open_to_it)) or 'none'}", object=pod.ref,
            look=f"kubectl describe persistentvolume {volume.name}",
        )  # fmt: skip
