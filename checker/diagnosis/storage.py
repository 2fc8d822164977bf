"""The chain of a claim: it exists → its class exists → a volume is provisioned, or an existing volume fits → bound.

The last link is that the Pod can use the volume on its node. The links after that are in mounts.py.

Sources: https://kubernetes.io/docs/concepts/storage/persistent-volumes/ and
https://kubernetes.io/docs/concepts/storage/storage-classes/
"""

from __future__ import annotations

from typing import Any, NoReturn

from checker.diagnosis.taints import untolerated
from checker.diagnosis.walking import walk
from checker.model.durations import TIME_FOR_POD_START, TIME_FOR_PROVISIONER, TIME_FOR_VOLUME
from checker.model.quantity import quantity
from checker.model.spelling import nearest
from checker.model.state import Object, State
from checker.model.verdict import fail

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
SELECTED_NODE = (
    "volume.kubernetes.io/selected-node"  # annotation of a claim: the scheduler has chosen the node for its volume
)
BY_HAND = "kubernetes.io/no-provisioner"  # a class whose volumes people make
# Provisioners that do not give every access mode. Other provisioners tell by an event, which is kept for an hour only.
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
    """A Pod names a claim that does not exist. volume: the Pod's volume that names it. Raises Failed."""
    others = sorted(o.name for o in state.all("PersistentVolumeClaim", pod.namespace))
    made_for_it = any(v["name"] == volume and "ephemeral" in v for v in pod.spec.get("volumes") or [])
    near = nearest(name, others, cutoff=0.6)
    fail("claim-missing", pod, claim=name, volume=volume, near=near, claims=others, in_progress=made_for_it)


def _explain_exclusive(state: State, pod: Object, claim: Object) -> None:
    """ReadWriteOncePod is one Pod at a time; the next one waits for a node until the first has gone.

    Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes
    """
    others = [other for other in users_of(state, claim) if other.uid != pod.uid and other.spec.get("nodeName")]
    if pod.spec.get("nodeName") or "ReadWriteOncePod" not in modes(claim) or not others:
        return
    leaving = any(other.is_terminating for other in others)
    fail("claim-in-use", pod, claim=claim.name, user=others[0].name, in_progress=leaving)


def walk_claim(state: State, claim: Object, wanted_by: Object | None = None) -> None:
    """Return when the claim is bound to a volume. Raises Failed with the first broken link.

    wanted_by: a Pod without a node whose chain is being walked. That its claim waits for this Pod is then no fault.
    """
    if claim.is_terminating:
        users = users_of(state, claim)
        if users:
            fail("object-being-deleted", claim, form="in-use", user=users[0].name)
        fail("object-being-deleted", claim, in_progress=True)
    phase = claim.status.get("phase", "Pending")
    if phase == "Bound":
        return
    if phase == "Lost":
        fail("claim-lost", claim, volume=claim.spec.get("volumeName", ""))
    chosen = claim.spec.get("volumeName")
    if chosen:
        _explain_chosen(state, claim, chosen)
    wanted = claim.spec.get("storageClassName")
    storage_class = state.find("StorageClass", wanted) if wanted else None
    made_by_hand = [
        pv for pv in state.everywhere("PersistentVolume") if (pv.spec.get("storageClassName") or "") == (wanted or "")
    ]
    if wanted and not storage_class and not made_by_hand:
        _explain_other_volumes(state, claim)
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
        fail("claim-waits-for-pod", claim, storage_class=storage_class.name)
    if late and SELECTED_NODE not in claim.annotations:
        placed = [pod for pod in users if pod.spec.get("nodeName") and state.age(pod.created) > TIME_FOR_POD_START]
        if placed and len(placed) == len(users):
            pod, of = placed[0], storage_class.name
            fail("claim-without-scheduler", claim, pod=pod.name, node=pod.spec["nodeName"], storage_class=of)
        if wanted_by:
            return
        for pod in users:
            walk(state, pod)  # what keeps it from having a node keeps the claim from having a volume
    waited = min([state.age(pod.created) for pod in users] if late else [state.age(claim.created)], default=0.0)
    of = storage_class.name
    has_begun = bool(state.events(claim, "Provisioning"))  # the provisioner itself says so
    if waited < (TIME_FOR_PROVISIONER if has_begun else TIME_FOR_VOLUME):
        fail("claim-not-bound-yet", claim, provisioner=provisioner, storage_class=of, in_progress=True)
    fail("provisioner-silent", claim, provisioner=provisioner, storage_class=of, seconds=round(waited))


def modes(obj: Object) -> list[str]:
    """The access modes of a claim or a volume."""
    found: list[str] = obj.spec.get("accessModes") or []
    return found


def size(obj: Object) -> str:
    """What a claim asks for, or what a volume has, as it is written."""
    wanted = (obj.spec.get("resources") or {}).get("requests") or {}
    return str((obj.spec.get("capacity") or wanted).get("storage", "0"))


def _explain_class(state: State, claim: Object, wanted: str) -> NoReturn:
    known = sorted(c.name for c in state.everywhere("StorageClass"))
    fail("class-missing", claim, storage_class=wanted, near=nearest(wanted, known, cutoff=0.6), classes=known)


def _explain_other_volumes(state: State, claim: Object) -> None:
    """Raise Failed where people have made volumes by hand, and none has the class that the claim asks for.

    No StorageClass is needed then: a claim is bound to a volume of the same class name.
    """
    provisioned = {c.name for c in state.everywhere("StorageClass") if c.raw.get("provisioner") != BY_HAND}
    free = [
        pv
        for pv in state.everywhere("PersistentVolume")
        if not pv.spec.get("claimRef") and (pv.spec.get("storageClassName") or "") not in provisioned
    ]
    if not free:
        return
    volume = max(free, key=lambda pv: (-len(_misfits(claim, pv)), quantity(size(pv))))
    fail("no-volume-fits", claim, form="several", **_misfit_facts(claim, volume))


def _misfit_facts(claim: Object, volume: Object) -> dict[str, Any]:
    """Facts: what a claim asks for and what a volume has, only where they differ."""
    wrong = _misfits(claim, volume)
    return {
        "volume": volume.name,
        "storage_class": claim.spec.get("storageClassName") if "class" in wrong else "",
        "volume_class": volume.spec.get("storageClassName") or "none" if "class" in wrong else "",
        "size": size(claim) if "size" in wrong else "",
        "volume_size": size(volume) if "size" in wrong else "",
        "asked": modes(claim) if "mode" in wrong else "",
        "offered": modes(volume) if "mode" in wrong else "",
    }


def _explain_modes(claim: Object, storage_class: Object, provisioner: str) -> None:
    not_offered = [mode for mode in modes(claim) if mode not in OFFERED.get(provisioner, (mode,))]
    if not_offered:
        fail(
            "access-mode-not-offered",
            claim,
            asked=not_offered,
            offered=OFFERED[provisioner],
            storage_class=storage_class.name,
            provisioner=provisioner,
        )


def _explain_refused(claim: Object, storage_class: Object, message: str) -> NoReturn:
    """The provisioner says why it makes no volume. message: that of its event."""
    reason = message.partition('": ')[2] or message  # behind: failed to provision volume with StorageClass "…"
    about_modes = "access mode" in reason.lower() or "accessmode" in reason.lower()
    of = storage_class.name
    if about_modes:
        fail("access-mode-not-offered", claim, form="refused", asked=modes(claim), storage_class=of, reason=reason)
    fail("provisioning-failed", claim, storage_class=of, reason=reason)


# -- volumes that are there already ----------------------------------------------------------------------------------


def _explain_chosen(state: State, claim: Object, name: str) -> NoReturn:
    """A claim that names its volume, and is not bound to it."""
    known = state.everywhere("PersistentVolume")
    volume = next((pv for pv in known if pv.name == name), None)
    if not volume:
        near = nearest(name, [pv.name for pv in known if not pv.spec.get("claimRef")], cutoff=0.6)
        fail("volume-missing", claim, volume=name, near=near)
    _explain_misfit(claim, volume)
    _not_bound_yet(claim, volume)


def _explain_unmatched(state: State, claim: Object, volumes: list[Object], storage_class: Object | None) -> NoReturn:
    """No volume that is there already fits a claim for which none is made. `volumes`: those of its class."""
    users = users_of(state, claim)
    if storage_class and storage_class.raw.get("volumeBindingMode") == "WaitForFirstConsumer" and not users:
        fail("claim-waits-for-pod", claim, form="no-provisioner", storage_class=storage_class.name)
    near = [pv for pv in volumes if _ours(pv, claim)]
    if not near:
        wanted = claim.spec.get("storageClassName")
        if wanted:
            fail("no-volume-fits", claim, storage_class=wanted)
        fail("no-volume-fits", claim, form="no-default-class" if wanted is None else "empty-class")
    fitting = [pv for pv in near if not _misfits(claim, pv)]
    if fitting:
        free = [pv for pv in fitting if not _claimed_by_another(pv, claim)]
        if free:
            _explain_no_node(state, claim, free, users)
            _not_bound_yet(claim, free[0])
        _explain_misfit(claim, fitting[0])
    nearest_one = max(near, key=lambda pv: (-len(_misfits(claim, pv)), quantity(size(pv))))
    _explain_misfit(claim, nearest_one)
    _not_bound_yet(claim, nearest_one)


def _explain_no_node(state: State, claim: Object, volumes: list[Object], users: list[Object]) -> None:
    """Raise Failed where the free volumes that fit a claim can only be used on nodes where its Pods cannot go.

    The scheduler binds such a claim when it chooses a node for the Pod, and finds none.

    Source: https://kubernetes.io/docs/concepts/storage/storage-classes/#local
    """
    if "Node" in state.unlisted:
        return
    nodes = state.everywhere("Node")
    where = sorted({node.name for node in nodes for volume in volumes if allows(volume, node)})
    if nodes and not where:
        fail("no-volume-fits", claim, form="no-node", volume=volumes[0].name)
    for pod in (one for one in users if not one.spec.get("nodeName")):
        selector, tolerations = pod.spec.get("nodeSelector") or {}, pod.spec.get("tolerations") or []
        fitting = [one for one in nodes if selector.items() <= one.labels.items()]
        open_nodes = sorted(one.name for one in fitting if not untolerated(one, tolerations))
        if open_nodes and not set(open_nodes) & set(where):
            facts = {"claim": claim.name, "volume": volumes[0].name, "nodes": where, "open_nodes": open_nodes}
            fail("volume-on-other-node", pod, form="free", **facts)


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
    wrong, name = _misfits(claim, volume), volume.name
    if len(set(wrong) & {"class", "mode", "size"}) > 1:
        fail("no-volume-fits", claim, form="several", **_misfit_facts(claim, volume))
    if "mode" in wrong:
        fail("access-mode-not-offered", claim, form="volume", asked=modes(claim), offered=modes(volume), volume=name)
    if "class" in wrong:
        wanted, has = claim.spec.get("storageClassName"), volume.spec.get("storageClassName")
        fail("no-volume-fits", claim, form="other-class", volume=name, storage_class=wanted, volume_class=has)
    if "size" in wrong:
        fail("no-volume-fits", claim, form="too-small", volume=name, size=size(claim), volume_size=size(volume))
    if "labels" in wrong:
        labels = claim.spec["selector"]["matchLabels"]
        fail("no-volume-fits", claim, form="other-labels", volume=name, labels=labels, volume_labels=volume.labels)
    if _claimed_by_another(volume, claim):
        if volume.status.get("phase") in ("Released", "Failed"):
            walk_volume(volume, claim)
        fail("no-volume-fits", claim, form="bound", volume=name, owner=volume.spec["claimRef"].get("name"))


def _not_bound_yet(claim: Object, volume: Object) -> NoReturn:
    fail("claim-not-bound-yet", claim, form="volume", volume=volume.name, in_progress=True)


def walk_volume(volume: Object, claim: Object | None = None) -> None:
    """Return when a PersistentVolume is free or bound. Raises Failed otherwise. claim: the one that it would fit.

    Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming
    """
    phase, owner = volume.status.get("phase", "Pending"), (volume.spec.get("claimRef") or {}).get("name", "")
    about, fits = claim or volume, claim.name if claim else ""
    if phase == "Released":
        policy = volume.spec.get("persistentVolumeReclaimPolicy", "Retain")
        fail(
            "volume-released",
            about,
            volume=volume.name,
            claim=fits,
            owner=owner,
            again=owner if fits == owner else "",
            policy=policy,
            in_progress=policy == "Delete",
        )
    if phase == "Failed":
        reason = volume.status.get("message", "")
        fail("volume-not-removed", about, volume=volume.name, claim=fits, reason=reason)


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
    """A bound volume that can only be used on nodes where the Pod cannot go.

    open_to_it: the nodes that would take the Pod.
    """
    for _volume, name in claims_of(pod):
        claim = state.find("PersistentVolumeClaim", name, pod.namespace)
        volume = volume_of(state, claim) if claim else None
        nodes = state.everywhere("Node")
        where = sorted(node.name for node in nodes if volume and allows(volume, node))
        if not volume or len(where) == len(nodes) or any(allows(volume, node) for node in open_to_it):
            continue
        fail(
            "volume-on-other-node",
            pod,
            claim=name,
            volume=volume.name,
            nodes=where,
            open_nodes=sorted(node.name for node in open_to_it),
        )
