"""Labs 05 and 06 on altered recordings: what else answered, what came later, what the API server no longer holds."""

from __future__ import annotations

from typing import Any

import pytest

from checker import recording
from checker.grading.grade import judge
from checker.grading.labs import load_lab, load_module
from checker.model.state import Object, State

from .objects import obj, pod

DEPLOYMENTS, UPDATES = load_lab("05"), load_lab("06")


def solved(lab: Any) -> tuple[State, dict[str, Any]]:
    """What the solution led to, and its timeline."""
    state, _ = recording.load(lab.folder / "recorded" / "solution.json")
    return state, next(seen for seen in state.observations.values() if "since" in seen)


def causes(lab: Any, state: State) -> dict[str, str]:
    return {task.id: task.cause for task in judge(lab, state).tasks if task.verdict != "passed"}


def with_stand_in(state: State) -> None:
    """A Pod that somebody made, behind the Service beside those of the Deployment."""
    state.objects["Pod"].append(pod("stand-in", ip="10.244.1.99"))
    (piece,) = state.all("EndpointSlice")
    piece.raw["endpoints"].append({"addresses": ["10.244.1.99"], "conditions": {"ready": True}})
    state.observations["reach"]["10.244.1.99:8080"] = "open"


def lose(timeline: dict[str, Any], at: float) -> None:
    timeline["lost"].append([at, "refused", 7, at + 0.7])


def replace(timeline: dict[str, Any], old: str, at: float) -> None:
    """A Pod was told to go, and another one came for it and answered."""
    known = next(one for one in timeline["pods"].values() if one["name"] == old)
    known |= {"deleted": at, "gone": at + 4}
    timeline["pods"]["later"] = known | {"name": "later", "added": at, "ready": at + 2, "deleted": 0, "gone": 0}
    timeline["hosts"]["later"] = [[at + 3, timeline["until"], 20, "v1"]]


def last_change(timeline: dict[str, Any], kind: str, image: str) -> float:
    """When the Deployment, or the ReplicaSet of an image, was last given another number of replicas."""
    owners = [owner for owner in timeline["replicas"].values() if owner["kind"] == kind and image in owner["images"]]
    return float(owners[0]["changes"][-1][0])


def pods_with(timeline: dict[str, Any], image: str) -> list[dict[str, Any]]:
    """What the observer saw of the Pods of an image, those that came last at the end."""
    owners = {uid for uid, owner in timeline["replicas"].items() if image in owner["images"]}
    return sorted((one for one in timeline["pods"].values() if one["owner"] in owners), key=lambda one: one["added"])


# -- lab 05 ----------------------------------------------------------------------------------------------------------


def test_a_stand_in_behind_the_service_of_a_scaled_deployment() -> None:
    state, _ = solved(DEPLOYMENTS)
    with_stand_in(state)
    assert causes(DEPLOYMENTS, state) == dict.fromkeys(
        ("three-replicas", "scaled-without-loss"), "service-answers-wrong"
    )


def test_a_sidecar_of_the_same_image_needs_no_slow_start_and_no_probe() -> None:
    state, timeline = solved(DEPLOYMENTS)
    sidecar = {"name": "log", "image": "guestbook:v1", "command": ["sleep", "infinity"]}
    owners = [o for kind in ("Deployment", "ReplicaSet") for o in state.objects[kind] if o.name.startswith("guestbook")]
    for owner in owners:
        owner.raw["spec"]["template"]["spec"]["containers"].insert(0, sidecar)
    assert causes(DEPLOYMENTS, state) == {}
    last = timeline["replicas"].values()
    lose(timeline, max(change[0] for owner in last for change in owner["changes"]) + 1)
    assert causes(DEPLOYMENTS, state) == {"scaled-without-loss": "requests-lost"}  # and not: log has no probe
    for owner in owners:
        (app,) = (c for c in owner.raw["spec"]["template"]["spec"]["containers"] if c is not sidecar)
        app["env"] = []
    assert set(causes(DEPLOYMENTS, state).values()) == {"slow-start-removed"}


@pytest.mark.parametrize(
    "scaled, found",
    [(-1.0, ""), (0.5, "scaled-meanwhile"), (1.5, ""), (2.5, "")],  # the new Pod is ready after two seconds
)
def test_the_number_of_replicas_stays_while_a_pod_is_replaced(scaled: float, found: str) -> None:
    state, timeline = solved(DEPLOYMENTS)
    (owner,) = (owner for owner in timeline["replicas"].values() if owner["kind"] == "Deployment")
    timeline["pods"] = {uid: one for uid, one in timeline["pods"].items() if not one["deleted"]}
    at = timeline["until"] - 20
    replace(timeline, next(one["name"] for one in timeline["pods"].values() if 0 < one["ready"] < at), at)
    owner["changes"].append([at + scaled, 7])
    verdict = next(task for task in judge(DEPLOYMENTS, state).tasks if task.id == "one-replaced")
    assert (verdict.fault.form if verdict.fault else "") == found
    assert verdict.verdict == ("failed" if found else "passed")


@pytest.mark.parametrize(
    "command, starts",
    [({}, True), ({"args": ["sleep"]}, False), ({"command": ["sh", "-c", "exec python3 app.py"]}, True)],
)
def test_whether_a_container_starts_the_app(command: dict[str, Any], starts: bool) -> None:
    assert load_module(DEPLOYMENTS.folder, "tasks").starts_app(command) is starts


def test_a_pod_is_replaced_while_the_service_selects_nothing() -> None:
    state, _ = solved(DEPLOYMENTS)
    (service,) = state.all("Service")
    service.spec["selector"] = {"app": "guest"}
    for piece in state.all("EndpointSlice"):
        piece.raw["endpoints"] = []
    assert causes(DEPLOYMENTS, state) == dict.fromkeys(
        ("three-replicas", "scaled-without-loss"), "service-selects-nothing"
    )


def test_a_stand_in_that_answered_while_the_deployment_was_scaled() -> None:
    state, timeline = solved(DEPLOYMENTS)
    scaled = last_change(timeline, "Deployment", "guestbook:v1")
    timeline["hosts"]["helper"] = [[scaled - 3, scaled + 1, 9, "v1"]]
    assert causes(DEPLOYMENTS, state) == {"scaled-without-loss": "service-answers-wrong"}
    timeline["hosts"]["helper"] = [[scaled - 4, scaled - 1, 9, "v1"]]
    assert causes(DEPLOYMENTS, state) == {}


def test_from_five_to_six_is_no_scaling_to_five() -> None:
    state, timeline = solved(DEPLOYMENTS)
    (owner,) = (owner for owner in timeline["replicas"].values() if owner["kind"] == "Deployment")
    owner["changes"] = [[at, replicas + 2 if replicas == 3 else 6] for at, replicas in owner["changes"]]
    assert causes(DEPLOYMENTS, state) == {"scaled-without-loss": "never-scaled"}


def test_the_scaling_of_an_earlier_deployment_of_the_same_name_counts_for_nothing() -> None:
    state, timeline = solved(DEPLOYMENTS)
    (deployment,) = state.all("Deployment")
    timeline["replicas"]["earlier"] = timeline["replicas"].pop(deployment.uid)
    assert causes(DEPLOYMENTS, state) == {"scaled-without-loss": "never-scaled"}


LOST = {"scaled-without-loss": "requests-lost"}


@pytest.mark.parametrize(
    "first, second, cause", [(False, False, {}), (False, True, {}), (True, False, {}), (True, True, LOST)]
)
def test_one_scaling_without_a_loss_is_enough(first: bool, second: bool, cause: dict[str, str]) -> None:
    state, timeline = solved(DEPLOYMENTS)
    (deployment,) = state.all("Deployment")
    once, again = last_change(timeline, "Deployment", "guestbook:v1"), timeline["until"] + 30
    timeline["until"] += 60
    timeline["replicas"][deployment.uid]["changes"] += [[again - 10, 3], [again, 5]]
    for runs in timeline["hosts"].values():
        runs.append([again - 9, again + 20, 50, "v1"])
    for at, lost in ((once, first), (again, second)):
        if lost:
            lose(timeline, at + 1)
    assert causes(DEPLOYMENTS, state) == cause


@pytest.mark.parametrize("later, cause", [(1, {"scaled-without-loss": "requests-lost"}), (30, {})])
def test_a_loss_counts_until_all_replicas_have_answered_and_no_longer(later: float, cause: dict[str, str]) -> None:
    state, timeline = solved(DEPLOYMENTS)
    at = last_change(timeline, "Deployment", "guestbook:v1") + later
    timeline["until"] += 60
    replace(timeline, "guestbook-hash1-pod4", timeline["until"] - 25)
    lose(timeline, at)
    assert causes(DEPLOYMENTS, state) == cause


@pytest.mark.parametrize("lost, cause", [(False, {}), (True, {"scaled-without-loss": "requests-lost"})])
def test_pods_that_all_have_one_hostname(lost: bool, cause: dict[str, str]) -> None:
    state, timeline = solved(DEPLOYMENTS)
    (deployment,) = state.all("Deployment")
    deployment.spec["template"]["spec"]["hostname"] = "guest"
    timeline["hosts"] = {"guest": [[timeline["since"] + 2, timeline["until"], 100, "v1"]]}
    if lost:
        lose(timeline, last_change(timeline, "Deployment", "guestbook:v1") + 3)
    assert causes(DEPLOYMENTS, state) == cause


@pytest.mark.parametrize(
    "affinity, seconds, cause",
    [
        ("None", 5, "not-observed"),
        ("None", 60, "replica-gets-no-traffic"),
        ("ClientIP", 60, "service-sticks-to-clients"),
    ],
)
def test_a_replica_that_never_answers(affinity: str, seconds: float, cause: str) -> None:
    state, timeline = solved(DEPLOYMENTS)
    (service,) = state.all("Service")
    service.spec["sessionAffinity"] = affinity
    del timeline["hosts"]["guestbook-hash1-pod5"]
    timeline["until"] += seconds
    assert causes(DEPLOYMENTS, state) == {"scaled-without-loss": cause}


@pytest.mark.parametrize(
    "variable, cause",
    [
        ({"value": "4.5"}, ""),
        ({"value": "3.9"}, "slow-start-removed"),
        ({"value": "soon"}, "slow-start-removed"),
        ({"name": "OTHER", "value": "4"}, "slow-start-removed"),
        ({"valueFrom": {"configMapKeyRef": {"name": "slow", "key": "seconds"}}}, ""),
        ({"valueFrom": {"secretKeyRef": {"name": "slow", "key": "seconds"}}}, "not-observed"),
    ],
)
def test_the_app_starts_as_slowly_as_in_the_manifest_of_the_lab(variable: dict[str, Any], cause: str) -> None:
    state, _ = solved(DEPLOYMENTS)
    state.objects["ConfigMap"] = [obj("ConfigMap", "slow", data={"seconds": "4"})]
    state.objects["Secret"] = [obj("Secret", "slow", data={"seconds": "NA=="})]
    (deployment,) = state.all("Deployment")
    deployment.containers[0]["env"] = [{"name": "STARTUP_SECONDS", **variable}]
    tasks = ("three-replicas", "one-replaced", "scaled-without-loss")
    assert causes(DEPLOYMENTS, state) == (dict.fromkeys(tasks, cause) if cause else {})


def test_pods_that_start_fast_only_while_the_deployment_is_scaled() -> None:
    state, _ = solved(DEPLOYMENTS)
    (replicaset,) = state.all("ReplicaSet")
    replicaset.containers[0]["env"] = [{"name": "STARTUP_SECONDS", "value": "0"}]
    assert causes(DEPLOYMENTS, state) == {"scaled-without-loss": "slow-start-removed"}


# -- lab 06 ----------------------------------------------------------------------------------------------------------


def test_a_stand_in_behind_the_service_of_an_updated_deployment() -> None:
    state, _ = solved(UPDATES)
    with_stand_in(state)
    assert causes(UPDATES, state) == dict.fromkeys(("updated", "rolled-back"), "service-answers-wrong")


@pytest.mark.parametrize("image, task", [("guestbook:v1", "updated"), ("guestbook:v3", "rolled-back")])
def test_a_stand_in_that_answered_during_a_release(image: str, task: str) -> None:
    state, timeline = solved(UPDATES)
    over = last_change(timeline, "ReplicaSet", image)
    timeline["hosts"]["helper"] = [[over - 1, over, 5, "v2"]]
    assert causes(UPDATES, state) == {task: "service-answers-wrong"}


def test_the_new_version_idle_beside_the_old_one() -> None:
    state, timeline = solved(UPDATES)
    for one in [*state.all("Deployment"), *state.all("ReplicaSet"), *state.all("Pod")]:
        one.containers[0]["image"] = "guestbook:v1"
        one.containers.append({"name": "idle", "image": "guestbook:v2"})
    for intervals in timeline["hosts"].values():
        for interval in intervals:
            interval[3] = "v1"
    assert causes(UPDATES, state) == dict.fromkeys(("updated", "rolled-back"), "wrong-image")


def test_v3_that_became_ready_and_calls_itself_v2() -> None:
    state, timeline = solved(UPDATES)
    bad = pods_with(timeline, "guestbook:v3")[0]
    bad["ready"] = bad["added"] + 2
    assert causes(UPDATES, state) == {"rolled-back": "bad-version-served"}


def test_v3_before_v2() -> None:
    state, timeline = solved(UPDATES)
    (bad,) = (owner for owner in timeline["replicas"].values() if owner["images"] == ["guestbook:v3"])
    bad["changes"] = [[timeline["since"] + 3, 1], [timeline["since"] + 4, 0]]
    assert causes(UPDATES, state) == {"rolled-back": "released-out-of-order"}


def test_v2_that_followed_another_version() -> None:
    state, timeline = solved(UPDATES)
    (old,) = (owner for owner in timeline["replicas"].values() if owner["images"] == ["guestbook:v1"])
    old["changes"] = [[at - 90, replicas] for at, replicas in old["changes"]]
    assert causes(UPDATES, state) == {"updated": "released-out-of-order"}


def test_a_loss_long_after_the_release() -> None:
    state, timeline = solved(UPDATES)
    timeline["until"] += 60
    replace(timeline, pods_with(timeline, "guestbook:v2")[-1]["name"], timeline["until"] - 25)
    lose(timeline, timeline["until"] - 25)
    assert causes(UPDATES, state) == {}


def test_a_loss_while_the_last_pod_of_a_release_goes() -> None:
    state, timeline = solved(UPDATES)
    lose(timeline, max(one["gone"] for one in pods_with(timeline, "guestbook:v3")))
    assert causes(UPDATES, state) == {"rolled-back": "requests-lost"}


def without_history(state: State) -> Object:
    """Only the newest ReplicaSet is left, as with a revisionHistoryLimit of 0."""
    (deployment,) = state.all("Deployment")
    state.objects["ReplicaSet"] = [one for one in state.all("ReplicaSet") if one.runs("guestbook:v2")]
    return deployment


def test_a_deployment_that_keeps_no_history() -> None:
    state, _ = solved(UPDATES)
    without_history(state)
    assert causes(UPDATES, state) == {}


def test_what_an_earlier_deployment_of_the_same_name_ran_counts_for_nothing() -> None:
    state, _ = solved(UPDATES)
    deployment = without_history(state)
    deployment.metadata["creationTimestamp"] = state.now.isoformat()
    assert causes(UPDATES, state) == {"updated": "no-earlier-revision", "rolled-back": "never-released"}


@pytest.mark.parametrize(
    "labels, cause",
    [
        ({}, {"rolled-back": "halt-not-noted"}),
        ({"seen-v2": "3"}, {"rolled-back": "halt-not-noted"}),
        ({"seen-v2": "3", "seen-v3": "2"}, {"rolled-back": "halt-miscounted"}),
        ({"seen-v2": "03", "seen-v3": "3"}, {"rolled-back": "halt-miscounted"}),
        ({"seen-v2": "3", "seen-v3": "3"}, {}),
    ],
)
def test_the_halt_must_have_been_counted(labels: dict[str, str], cause: dict[str, str]) -> None:
    state, _ = solved(UPDATES)
    (deployment,) = state.all("Deployment")
    deployment.labels.clear()
    deployment.labels.update(labels)
    assert causes(UPDATES, state) == cause


def test_a_pod_that_was_deleted_during_the_halt_changes_no_number() -> None:
    state, timeline = solved(UPDATES)
    (first, *_) = pods_with(timeline, "guestbook:v3")
    again = dict(first, name="again", added=first["deleted"] - 3)
    first |= {"deleted": first["deleted"] - 3, "gone": first["deleted"] - 2}
    timeline["pods"]["again"] = again
    assert causes(UPDATES, state) == {}
