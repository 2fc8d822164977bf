"""Claims and volumes, and Pods that wait for them: for every cause, a small world with that fault alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from checker.collect.exec import ask_inside
from checker.diagnosis.mounts import volume_at, walk_data
from checker.diagnosis.storage import allows
from checker.grading.labs import load_lab, program
from checker.model.state import Object
from checker.model.verdict import NotPassed
from checker.recording.normalize import normalised
from checker.sdk import State
from cluster import Cluster

from .objects import ago, container, event, node, obj, pod, service, state
from .programs import as_sent
from .test_chains import broken, waiting

LAB = load_lab("12")
ask_storage = as_sent(LAB, "ask_storage")
LATE, AT_ONCE = "WaitForFirstConsumer", "Immediate"


def storage_class(name: str = "standard", provisioner: str = "disks.example", binding: str = LATE) -> Object:
    return obj("StorageClass", name, namespace="", provisioner=provisioner, volumeBindingMode=binding)


def claim(
    name: str = "data",
    *,
    of: str | None = "standard",
    phase: str = "Pending",
    size: str = "200Mi",
    mode: str = "ReadWriteOnce",
    volume: str = "",
    age: float = 300,
    **more: Any,
) -> Object:
    spec: dict[str, Any] = {"accessModes": [mode], "resources": {"requests": {"storage": size}}, **more.pop("spec", {})}
    if of is not None:
        spec["storageClassName"] = of
    if volume:
        spec["volumeName"] = volume
    return obj("PersistentVolumeClaim", name, age=age, spec=spec, status={"phase": phase}, **more)


def volume(
    name: str = "shelf",
    *,
    of: str = "",
    size: str = "1Gi",
    modes: tuple[str, ...] = ("ReadWriteOnce",),
    phase: str = "Available",
    owner: Object | None = None,
    nodes: tuple[str, ...] = (),
    **spec: Any,
) -> Object:
    if owner:
        spec["claimRef"] = {"name": owner.name, "namespace": owner.namespace, "uid": owner.uid}
    if nodes:
        expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": list(nodes)}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}
    known = {"storageClassName": of, "capacity": {"storage": size}, "accessModes": list(modes), **spec}
    return obj("PersistentVolume", name, namespace="", spec=known, status={"phase": phase})


def user(
    name: str = "guestbook-1",
    claim: str = "data",
    *,
    message: str = "",
    mounts: list[dict[str, Any]] | None = None,
    **more: Any,
) -> Object:
    """A Pod that uses a claim. message: why the scheduler finds no node."""
    if message:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        more |= {"node": "", "ready": False, "conditions": [condition]}
    found = pod(name, containers=[container(volumeMounts=mounts or [{"name": "files", "mountPath": "/data"}])], **more)
    found.spec["volumes"] = [{"name": "files", "persistentVolumeClaim": {"claimName": claim}}]
    return found


def selected(**more: Any) -> Object:
    return claim(metadata={"annotations": {"volume.kubernetes.io/selected-node": "worker"}}, **more)


def gone(found: Object) -> Object:
    found.metadata["deletionTimestamp"] = ago(5)
    return found


def refused(message: str, of: Object | None = None) -> State:
    found = of or claim()
    return state(
        found,
        storage_class(),
        event(found, "ProvisioningFailed", f'failed to provision volume with StorageClass "standard": {message}'),
    )


OLD = obj("PersistentVolumeClaim", "data", metadata={"uid": "another"})

CLAIM_WORLDS: dict[str, tuple[str, bool, Callable[[], State]]] = {
    "it is bound": ("", False, lambda: state(claim(phase="Bound", volume="shelf"))),
    "its volume is gone": ("claim-lost", False, lambda: state(claim(phase="Lost", volume="shelf"))),
    "it is being deleted": ("object-being-deleted", True, lambda: state(gone(claim(phase="Bound")))),
    "it is being deleted and used": ("object-being-deleted", False, lambda: state(gone(claim(phase="Bound")), user())),
    "its class is one letter off": ("class-missing", False, lambda: state(claim(of="standrad"), storage_class())),
    "it waits for a Pod": ("claim-waits-for-pod", False, lambda: state(claim(), storage_class())),
    "a Pod that has ended is no user": (
        "claim-waits-for-pod",
        False,
        lambda: state(claim(), storage_class(), user(phase="Succeeded", ready=False)),
    ),
    "its Pod has no node for another reason": (
        "pod-unschedulable-selector",
        False,
        lambda: state(
            claim(),
            storage_class(),
            node(),
            (lambda p: (p.spec.update(nodeSelector={"disk": "ssd"}), p)[1])(user(message="no node")),
        ),
    ),
    "its volume is being made": (
        "claim-not-bound-yet",
        True,
        lambda: state(selected(), storage_class(), user(age=5, node="", ready=False)),
    ),
    "nobody makes its volume": (
        "provisioner-silent",
        False,
        lambda: state(selected(), storage_class(), user(age=60, node="", ready=False)),
    ),
    "nobody makes its volume, for no Pod": (
        "provisioner-silent",
        False,
        lambda: state(claim(), storage_class(binding=AT_ONCE)),
    ),
    "its volume is made at once": (
        "claim-not-bound-yet",
        True,
        lambda: state(claim(age=3), storage_class(binding=AT_ONCE)),
    ),
    "the provisioner refuses": ("provisioning-failed", False, lambda: refused("no space left in the pool")),
    "the provisioner refuses the mode": (
        "access-mode-not-offered",
        False,
        lambda: refused("ReadWriteMany is not supported: access mode"),
    ),
    "a folder of one node for many": (
        "access-mode-not-offered",
        False,
        lambda: state(claim(mode="ReadWriteMany"), storage_class(provisioner="rancher.io/local-path")),
    ),
    "no class, and nothing there": ("no-volume-fits", False, lambda: state(claim(of=""))),
    "no default class": ("no-volume-fits", False, lambda: state(claim(of=None))),
    "the volume is too small": ("no-volume-fits", False, lambda: state(claim(of=""), volume(size="50Mi"))),
    "the volume has other modes": (
        "access-mode-not-offered",
        False,
        lambda: state(claim(of="", mode="ReadWriteMany"), volume()),
    ),
    "the volume has other labels": (
        "no-volume-fits",
        False,
        lambda: state(claim(of="", spec={"selector": {"matchLabels": {"disk": "ssd"}}}), volume()),
    ),
    "the volume is another claim's": (
        "no-volume-fits",
        False,
        lambda: state(claim(of=""), volume(owner=claim("other"), phase="Bound")),
    ),
    "the volume is in another namespace's hands": (
        "no-volume-fits",
        False,
        lambda: state(
            claim(of=""), volume(owner=obj("PersistentVolumeClaim", "data", namespace="other"), phase="Bound")
        ),
    ),
    "the volume is Released": (
        "volume-released",
        False,
        lambda: state(claim(of=""), volume(owner=OLD, phase="Released")),
    ),
    "the volume is about to be bound": ("claim-not-bound-yet", True, lambda: state(claim(of=""), volume())),
    "the volume is kept for it": (
        "claim-not-bound-yet",
        True,
        lambda: state(claim(of=""), volume(claimRef={"name": "data", "namespace": "learn"})),
    ),
    "a class of volumes made by hand": (
        "no-volume-fits",
        False,
        lambda: state(claim(), storage_class(provisioner="kubernetes.io/no-provisioner", binding=AT_ONCE)),
    ),
    "such a class waits for a Pod": (
        "claim-waits-for-pod",
        False,
        lambda: state(claim(), storage_class(provisioner="kubernetes.io/no-provisioner"), volume(of="standard")),
    ),
    "a class without an object": (
        "no-volume-fits",
        False,
        lambda: state(claim(of="hand"), volume(of="hand", size="50Mi")),
    ),
    "the volume that it names is missing": (
        "volume-missing",
        False,
        lambda: state(claim(of="", volume="shelve"), volume()),
    ),
    "the volume that it names has another class": (
        "no-volume-fits",
        False,
        lambda: state(claim(of="", volume="shelf"), volume(of="hand")),
    ),
    "the volume that it names is Released": (
        "volume-released",
        False,
        lambda: state(claim(of="", volume="shelf"), volume(owner=OLD, phase="Released")),
    ),
}


@pytest.mark.parametrize("cause, pending, world", CLAIM_WORLDS.values(), ids=list(CLAIM_WORLDS))
def test_claim_chain(cause: str, pending: bool, world: Callable[[], State]) -> None:
    assert broken(world(), "PersistentVolumeClaim", "data") == (cause, pending)


MISSING, UNBOUND = 'persistentvolumeclaim "data" not found', "pod has unbound immediate PersistentVolumeClaims"
CREATING = {"ready": False, "container_state": waiting("ContainerCreating")}
bound = claim(phase="Bound", volume="shelf")


def mounting(reason: str, message: str, **more: Any) -> State:
    starting = user(**CREATING, **more)
    return state(starting, bound, volume(), event(starting, reason, message))


POD_WORLDS: dict[str, tuple[str, bool, Callable[[], State]]] = {
    "it works": ("", False, lambda: state(user(), bound, volume())),
    "the claim is missing": ("claim-missing", False, lambda: state(user(message=MISSING), claim("date"), node())),
    "the claim of its own is not there yet": (
        "claim-missing",
        True,
        lambda: (lambda p: (p.spec.update(volumes=[{"name": "files", "ephemeral": {}}]), state(p, node()))[1])(
            user(message=MISSING)
        ),
    ),
    "the class is missing": (
        "class-missing",
        False,
        lambda: state(user(message=UNBOUND), claim(of="standrad"), storage_class(), node()),
    ),
    "the volume is being made": (
        "pod-not-scheduled-yet",
        True,
        lambda: state(user(node="", ready=False), claim(), storage_class()),
    ),
    "one Pod at a time": (
        "claim-in-use",
        False,
        lambda: state(user(message="in use"), user("first"), claim(phase="Bound", mode="ReadWriteOncePod"), node()),
    ),
    "one Pod at a time, and the first is going": (
        "claim-in-use",
        True,
        lambda: state(
            user(message="in use"), gone(user("first")), claim(phase="Bound", mode="ReadWriteOncePod"), node()
        ),
    ),
    "one node, two Pods": ("", False, lambda: state(user(), user("first"), bound, node())),
    "the volume is on another node": (
        "volume-on-other-node",
        False,
        lambda: state(
            user(message="affinity"),
            bound,
            volume(nodes=("b",)),
            node("a", labels={"kubernetes.io/hostname": "a"}),
            node("b", labels={"kubernetes.io/hostname": "b"}, taints=[{"key": "gone", "effect": "NoSchedule"}]),
        ),
    ),
    "the volume's node is there no more": (
        "volume-on-other-node",
        False,
        lambda: state(user(message="affinity"), bound, volume(nodes=("c",)), node("a")),
    ),
    "another reason than the volume": (
        "pod-unschedulable-taint",
        False,
        lambda: state(user(message="taint"), bound, volume(), node(taints=[{"key": "gpu", "effect": "NoSchedule"}])),
    ),
    "it cannot be mounted": (
        "mount-fails",
        False,
        lambda: mounting(
            "FailedMount",
            'MountVolume.SetUp failed for volume "shelf" : hostPath type check failed: /x is not a directory',
        ),
    ),
    "it is only just being mounted": (
        "mount-fails",
        True,
        lambda: mounting("FailedMount", 'MountVolume.SetUp failed for volume "shelf" : no answer', age=5),
    ),
    "it is attached elsewhere": (
        "volume-attached-elsewhere",
        False,
        lambda: mounting(
            "FailedAttachVolume", 'Multi-Attach error for volume "shelf" Volume is already used by pod(s) other'
        ),
    ),
    "something that passes": (
        "pod-starting",
        True,
        lambda: mounting(
            "FailedMount",
            'MountVolume.SetUp failed for volume "settings" : failed to sync configmap cache: '
            "timed out waiting for the condition",
        ),
    ),
}


@pytest.mark.parametrize("cause, pending, world", POD_WORLDS.values(), ids=list(POD_WORLDS))
def test_pod_chain(cause: str, pending: bool, world: Callable[[], State]) -> None:
    assert broken(world(), "Pod", "guestbook-1") == (cause, pending)


def test_volume_chain() -> None:
    assert broken(state(volume()), "PersistentVolume", "shelf") == ("", False)
    assert broken(state(volume(owner=OLD, phase="Released")), "PersistentVolume", "shelf") == ("volume-released", False)
    failed = volume(owner=OLD, phase="Failed")
    failed.status["message"] = "no permission"
    assert broken(state(failed), "PersistentVolume", "shelf") == ("volume-not-removed", False)


def shown(world: State, kind: str, name: str) -> NotPassed:
    found = world.find(kind, name)
    assert found
    with pytest.raises(NotPassed) as end:
        world.require_working(found)
    return end.value


def test_what_is_nearly_right_is_named() -> None:
    wrong_class = shown(CLAIM_WORLDS["its class is one letter off"][2](), "PersistentVolumeClaim", "data")
    assert wrong_class.facts["near"] == "standard"
    assert "There is a StorageClass standard." in wrong_class.message
    wrong_claim = shown(POD_WORLDS["the claim is missing"][2](), "Pod", "guestbook-1")
    assert wrong_claim.facts["near"] == "date"
    assert "There is a PersistentVolumeClaim date." in wrong_claim.message


def test_waiting_for_a_pod_is_said_to_be_normal() -> None:
    waits = shown(state(claim(), storage_class()), "PersistentVolumeClaim", "data")
    assert waits.facts["storage_class"] == "standard"
    assert "this is normal" in waits.message


def test_volumes_of_other_namespaces_are_not_spoken_of() -> None:
    theirs = volume("secret-project", owner=obj("PersistentVolumeClaim", "data", namespace="other"), phase="Released")
    assert "secret-project" not in shown(state(claim(of=""), theirs), "PersistentVolumeClaim", "data").message


def test_claims_that_cannot_be_listed_are_unknown() -> None:
    world = state(user(message=UNBOUND), node(), unlisted={"PersistentVolumeClaim": "forbidden"})
    assert shown(world, "Pod", "guestbook-1").cause == "cannot-list"


@pytest.mark.parametrize(
    "expression, there",
    [
        ({"key": "disk", "operator": "In", "values": ["ssd"]}, True),
        ({"key": "disk", "operator": "NotIn", "values": ["ssd"]}, False),
        ({"key": "disk", "operator": "Exists"}, True),
        ({"key": "gpu", "operator": "DoesNotExist"}, True),
        ({"key": "size", "operator": "Gt", "values": ["3"]}, True),
    ],
)
def test_node_affinity_of_a_volume(expression: dict[str, Any], there: bool) -> None:
    with_affinity = volume(nodeAffinity={"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}})
    assert allows(with_affinity, node(labels={"disk": "ssd"})) is there


# -- where data goes -------------------------------------------------------------------------------------------------

AT_DATA = [{"name": "files", "mountPath": "/data"}]


def writer(mounts: list[dict[str, Any]] | None = None, **source: Any) -> Object:
    found = user(mounts=AT_DATA if mounts is None else mounts)
    if source:
        found.spec["volumes"] = [{"name": "files", **source}]
    return found


def pinned(found: Object) -> Object:
    found.spec["nodeSelector"] = {"kubernetes.io/hostname": "worker"}
    return found


def no_mount(**source: Any) -> Object:
    found = writer(**source)
    found.containers[0]["volumeMounts"] = []
    return found


HOST = {"hostPath": {"path": "/srv"}}
DATA_WORLDS: dict[str, tuple[str, Callable[[], tuple[Object, State]]]] = {
    "on a claim": ("", lambda: (p := writer(), state(p, bound, volume(nodes=("worker",), hostPath={"path": "/x"})))),
    "on a claim above": ("", lambda: (p := writer([{"name": "files", "mountPath": "/"}]), state(p, bound))),
    "the claim is Pending": ("class-missing", lambda: (p := writer(), state(p, claim(of="nothing")))),
    "the claim is missing": ("claim-missing", lambda: (p := writer(), state(p))),
    "a claim that is a folder of any node": (
        "data-on-one-node",
        lambda: (p := writer(), state(p, bound, volume(hostPath={"path": "/x"}))),
    ),
    "such a claim, on one node for good": (
        "",
        lambda: (p := pinned(writer()), state(p, bound, volume(hostPath={"path": "/x"}))),
    ),
    "read only": ("volume-read-only", lambda: (p := writer([{**AT_DATA[0], "readOnly": True}]), state(p, bound))),
    "a folder of the node": ("data-on-one-node", lambda: (p := writer(**HOST), state(p))),
    "a folder of the node, for good": ("", lambda: (p := pinned(writer(**HOST)), state(p))),
    "an emptyDir": ("data-in-pod", lambda: (p := writer(emptyDir={}), state(p, bound))),
    "an ephemeral volume": ("data-in-pod", lambda: (p := writer(ephemeral={}), state(p))),
    "a Secret": ("data-in-pod", lambda: (p := writer(secret={}), state(p))),
    "an NFS server": ("", lambda: (p := writer(nfs={}), state(p))),
    "nothing there": ("data-in-pod", lambda: (p := no_mount(emptyDir={}), state(p))),
    "nothing there, and a claim that nobody uses": (
        "claim-not-mounted",
        lambda: (p := no_mount(emptyDir={}), state(p, claim(), storage_class())),
    ),
    "the claim is elsewhere": (
        "mounted-elsewhere",
        lambda: (p := writer([{"name": "files", "mountPath": "/database"}]), state(p, bound)),
    ),
    "the claim is only in the Pod": ("volume-not-mounted", lambda: (p := no_mount(), state(p, bound))),
}


@pytest.mark.parametrize("cause, world", DATA_WORLDS.values(), ids=list(DATA_WORLDS))
def test_where_data_goes(cause: str, world: Callable[[], tuple[Object, State]]) -> None:
    found, seen = world()
    try:
        walk_data(seen, found, found.containers[0], "/data")
    except NotPassed as end:
        assert (end.cause, bool(end.message)) == (cause, True)
    else:
        assert cause == ""


def test_the_nearest_mount_counts() -> None:
    mounts = [
        {"name": "files", "mountPath": "/"},
        {"name": "files", "mountPath": "/data/"},
        {"name": "files", "mountPath": "/dat"},
    ]
    found = writer(mounts)
    at = volume_at(found, found.containers[0], "/data")
    assert at and at[0]["mountPath"] == "/data/"


# -- asking ----------------------------------------------------------------------------------------------------------


def test_a_folder_is_looked_at_and_nothing_more(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").mkdir()
    (tmp_path / "dump.rdb").write_bytes(b"REDIS0012\xfa\x09")
    (tmp_path / "appendonlydir" / "a.manifest").write_text("file")
    seen = ask_storage.ask({"do": "folder", "path": str(tmp_path)})
    assert seen == {"files": {"dump.rdb": "REDIS0012", "appendonlydir/a.manifest": "file"}, "writable": True}
    assert ask_storage.ask({"do": "folder", "path": str(tmp_path / "x")}) == {"error": "there is no such folder"}


def test_who_does_not_answer_is_an_error_and_no_crash() -> None:
    assert "error" in ask_storage.ask({"do": "redis", "at": "127.0.0.1:1", "key": "entries"})
    assert ask_storage.ask({"do": "app", "url": "http://127.0.0.1:1/"})["status"] == 0
    assert "error" in ask_storage.ask({"do": "something"})


def test_it_runs_by_itself_as_in_a_pod(tmp_path: Path) -> None:
    text = program(str(LAB.folder / "tasks.py"), "ask_storage")
    question = json.dumps({"a": {"do": "folder", "path": str(tmp_path)}})
    done = subprocess.run([sys.executable, "-I", "-c", text, question], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"a": {"files": {}, "writable": True}}


def test_an_ask_may_bring_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    monkeypatch.setattr("checker.collect.exec.kubectl", lambda _cluster, *words, timeout: sent.append(words) or "{}")
    request = {"namespace": "learn", "pod": "guestbook-1", "container": "app", "questions": {}}
    ask_inside(Cluster("none", Path("none")), {"asks": {"a": request, "b": {**request, "program": "print({})"}}})
    programs = [words[words.index("-c", 6) + 1] for words in sent]
    assert sorted("Asking: requests," in program for program in programs) == [False, True]


def test_a_recording_keeps_the_storage_that_matters() -> None:
    mine, theirs = claim(phase="Bound", volume="shelf"), obj("PersistentVolumeClaim", "data", namespace="other")
    world = state(
        mine,
        volume(owner=mine, hostPath={"path": "/var/pvc_learn_data"}),
        volume("b", owner=theirs),
        volume("c", of="hand"),
        volume("d", of="standard"),
        storage_class(),
        storage_class("fast"),
        service(),
    )
    kept = normalised(world)["objects"]
    assert [o["metadata"]["name"] for o in kept["PersistentVolume"]] == ["c", "d", "shelf"]
    assert [o["metadata"]["name"] for o in kept["StorageClass"]] == ["standard"]
    assert "pvc_learn" not in json.dumps(kept)
    assert "StorageClass" not in normalised(state(storage_class(), volume()))["objects"]
