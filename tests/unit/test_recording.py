"""What recordings leave out, and that nobody reads it without being told."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from checker import recording
from checker.grading.applied import APPLIED
from checker.grading.grade import judge
from checker.grading.labs import Lab, TaskCode, load_lab
from checker.model.state import State
from checker.recording.normalize import normalised
from checker.recording.unread import UNREAD, NotRecorded, Unread, leave_out

from .objects import node, pod, state

LAB = load_lab("07")


def recorded() -> State:
    return recording.load(LAB.folder / "recorded" / "solution.json")[0]


@pytest.mark.parametrize("read", ["get", "item", "in"])
def test_reading_what_recordings_leave_out_says_which_field_and_where_that_is_declared(read: str) -> None:
    spec = recorded().all("Pod")[0].spec
    with pytest.raises(NotRecorded, match=r"Pod spec\.preemptionPolicy .* checker/recording/unread\.py"):
        if read == "get":
            spec.get("preemptionPolicy", 30)
        elif read == "item":
            spec["preemptionPolicy"]
        else:
            print("preemptionPolicy" in spec)


def test_every_part_of_an_object_is_watched() -> None:
    seen = recorded()
    (deployment, *_), (worker, *_) = seen.all("Deployment"), seen.everywhere("Node")
    for part, field in (
        (deployment.containers[0], "terminationMessagePath"),
        (deployment.pod_spec, "priority"),
        (deployment.metadata, "resourceVersion"),
        (worker.annotations, "anything"),
        (worker.status, "nodeInfo"),
        (seen.all("Service")[0].annotations, APPLIED),
    ):
        with pytest.raises(NotRecorded, match=field):
            part.get(field)


def test_what_is_kept_and_what_a_test_writes_can_be_read() -> None:
    one = recorded().all("Pod")[0]
    assert one.spec.get("nodeSelector") is None and one.spec["containers"] and "nodeName" in one.spec
    with pytest.raises(KeyError):
        one.spec["nodeSelector"]
    one.spec["priority"] = 7
    assert one.spec.get("priority") == copy.deepcopy(one.spec)["priority"] == 7
    assert State.from_json(recorded().to_json()).all("Pod")


def test_a_task_that_reads_it_is_no_verdict_but_an_error() -> None:
    def reads(given: State) -> None:
        given.all("Pod")[0].spec.get("preemptionPolicy")

    lab = Lab("07", LAB.folder, LAB.spec)
    vars(lab)["code"] = dict.fromkeys(LAB.code, TaskCode(reads, ()))
    with pytest.raises(NotRecorded):
        judge(lab, recorded())


def test_only_tolerations_that_somebody_asked_for_are_kept() -> None:
    usual: dict[str, Any] = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300}
    requested = {"key": "gpu", "operator": "Exists"}
    plain, special = pod("plain"), pod("special")
    plain.spec["tolerations"], special.spec["tolerations"] = [usual], [usual, requested]
    kept = {o["metadata"]["name"]: o["spec"] for o in normalised(state(plain, special, node("one")))["objects"]["Pod"]}
    assert "tolerations" not in kept["plain"] and kept["special"]["tolerations"] == [requested]


@pytest.mark.parametrize("unread", UNREAD, ids=lambda unread: f"{','.join(unread.kinds) or 'all'}:{unread.path}")
def test_what_is_declared_is_left_out(unread: Unread) -> None:
    kind = (unread.kinds or ("Service",))[0]
    part: dict[str, Any] = dict.fromkeys((*unread.fields, *unread.kept, *(["more"] if unread.kept else [])))
    raw: Any = dict(part)
    for step in reversed(unread.path.split(".") if unread.path else []):
        raw = {step.removesuffix("[]"): [raw]} if step.endswith("[]") else {step: raw}
    leave_out(kind, raw)
    left = raw
    for step in unread.path.split(".") if unread.path else []:
        left = left[step.removesuffix("[]")][0] if step.endswith("[]") else left[step]
    assert set(left) == set(unread.kept)
