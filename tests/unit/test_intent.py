"""Intent: which fields of a live object were applied, by the notes that the API server keeps of who wrote what."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from checker import recording
from checker.diagnosis.owners import REVISION
from checker.grading.applied import APPLIED, Difference
from checker.grading.grade import judge
from checker.grading.labs import load_lab, load_module
from checker.model.state import Object, State
from checker.recording.normalize import NOW

LAB = load_lab("03")
applied = load_module(LAB.folder, "applied")
forgers, is_declared = applied.forgers, applied.is_declared
AS_DECLARED = applied.AsDeclared("guestbook")
ANNOTATION = {"f:metadata": {"f:annotations": {f"f:{APPLIED}": {}}}}
CONTAINER = 'k:{"name":"guestbook"}'
IN_POD = "spec.template.spec"


# What the API server fills in, and how it lists the items of lists, as far as these tests need it.
FILLED_IN: dict[str, Any] = {
    "progressDeadlineSeconds": 600,
    "revisionHistoryLimit": 10,
    "replicas": 1,
    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
}
IN_THE_POD = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}
IN_THE_CONTAINER = {
    "imagePullPolicy": "IfNotPresent",
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
IN_THE_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
KEYS = {"containers": ("name",), "volumes": ("name",), "env": ("name",), "ports": ("containerPort", "protocol")}


def created_in_dry_run(deployment: Object) -> dict[str, Any]:
    """What the API server would answer to the question about a Deployment (a stand-in)."""
    question = AS_DECLARED.question(State("learn", NOW, {"Deployment": [deployment]}))
    assert question
    manifest = copy.deepcopy(question["manifest"])
    spec = manifest["spec"] = {**FILLED_IN, **{k: v for k, v in manifest["spec"].items() if v != {}}}
    pod = spec["template"]["spec"] = {**IN_THE_POD, **{k: v for k, v in spec["template"]["spec"].items() if v != []}}
    if "serviceAccountName" in pod:
        pod["serviceAccount"] = pod["serviceAccountName"]
    for volume in pod.get("volumes", []):
        volume["configMap"].setdefault("defaultMode", 420)
    for container in pod["containers"]:
        for port in container.get("ports", []):
            port.setdefault("protocol", "TCP")
        if "readinessProbe" in container:
            probe = container["readinessProbe"] = {**IN_THE_PROBE, **container["readinessProbe"]}
            probe["httpGet"].setdefault("scheme", "HTTP")
        for name, value in IN_THE_CONTAINER.items():
            container.setdefault(name, value)
    fields = {"f:metadata": fields_of(manifest["metadata"]), "f:spec": fields_of(spec)}
    entry = {"manager": "kubeclass", "operation": "Update", "fieldsV1": fields}
    return {"kind": "Deployment", "metadata": {**manifest["metadata"], "managedFields": [entry]}, "spec": spec}


def fields_of(value: Any, keys: tuple[str, ...] = ()) -> dict[str, Any]:
    """The managedFields tree of a value."""
    if isinstance(value, dict):
        return {f"f:{name}": fields_of(inner, KEYS.get(name, ())) for name, inner in value.items()}
    if keys:
        return {
            f"k:{json.dumps({key: item[key] for key in keys}, separators=(',', ':'))}": fields_of(item)
            for item in value
        }
    return {}


def differences(deployment: Object) -> list[Difference]:
    found: list[Difference] = applied.differences(deployment, AS_DECLARED.read(created_in_dry_run(deployment)))
    return found


def judged_again(state: State) -> list[Any]:
    """The verdicts on a State, after the API server was asked about the Deployment as it is there."""
    deployment = the_deployment(state)
    if is_declared(deployment):
        state.observations[AS_DECLARED.key] = created_in_dry_run(deployment)
    return list(judge(LAB, state).tasks)


def recorded(case: str = "solution") -> State:
    """A State with the Deployment as it is live, with what recordings leave out because everybody has it."""
    state, _ = recording.load(LAB.folder / "recorded" / f"{case}.json")
    pod = the_deployment(state).spec["template"]["spec"]
    pod |= {
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }
    pod["containers"][0] |= {
        "imagePullPolicy": "IfNotPresent",
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    return state


def the_deployment(state: State) -> Object:
    return next(one for one in state.objects["Deployment"] if one.name == "guestbook")


def guestbook(case: str = "solution") -> Object:
    return the_deployment(recorded(case))


def wrote(obj: Object, manager: str, fields: dict[str, Any]) -> None:
    obj.metadata["managedFields"].append({"manager": manager, "operation": "Update", "fieldsV1": fields})


def in_pod(fields: dict[str, Any]) -> dict[str, Any]:
    return {"f:spec": {"f:template": {"f:spec": fields}}}


def in_container(fields: dict[str, Any]) -> dict[str, Any]:
    return in_pod({"f:containers": {CONTAINER: fields}})


def created(obj: Object) -> dict[str, Any]:
    """What `kubectl create -f` owns of an object: everything that the file says, and what was filled in."""
    fields: dict[str, Any] = copy.deepcopy(guestbook().metadata["managedFields"][0]["fieldsV1"])
    del fields["f:metadata"]
    pod = fields["f:spec"]["f:template"]["f:spec"]
    pod["f:volumes"] = {
        'k:{"name":"texts"}': {".": {}, "f:name": {}, "f:configMap": {"f:name": {}, "f:defaultMode": {}}}
    }
    pod["f:serviceAccount"], pod["f:serviceAccountName"] = {}, {}
    live = obj.spec["template"]["spec"]
    live["volumes"] = [{"name": "texts", "configMap": {"name": "texts", "defaultMode": 420}}]
    live |= {"serviceAccount": "reader", "serviceAccountName": "reader"}
    return fields


def in_the_file(obj: Object, **fields: Any) -> None:
    """Add fields to the template's spec of the manifest that was applied last."""
    manifest = json.loads(obj.annotations[APPLIED])
    manifest["spec"]["template"]["spec"] |= fields
    obj.annotations[APPLIED] = json.dumps(manifest)


def test_what_was_filled_in_when_the_object_was_created_is_no_drift() -> None:
    deployment = guestbook()
    fields = created(deployment)
    in_the_file(deployment, volumes=[{"name": "texts", "configMap": {"name": "texts"}}], serviceAccountName="reader")
    deployment.metadata["managedFields"] = []
    wrote(deployment, "kubectl-create", fields)
    wrote(deployment, "kubectl-client-side-apply", {**ANNOTATION, **in_container({"f:image": {}})})
    assert is_declared(deployment)
    assert differences(deployment) == []
    in_the_file(deployment, volumes=[])
    assert [(d.path, d.by) for d in differences(deployment)] == [(f"{IN_POD}.volumes[texts]", "kubectl-create")]


def test_what_was_created_and_then_applied_server_side_is_no_drift() -> None:
    deployment = guestbook("server-side")
    fields = created(deployment)
    applied_fields = deployment.metadata["managedFields"][0]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]
    applied_fields["f:volumes"] = {'k:{"name":"texts"}': {".": {}, "f:name": {}, "f:configMap": {"f:name": {}}}}
    applied_fields["f:serviceAccountName"] = {}
    wrote(deployment, "kubectl-create", fields)
    assert differences(deployment) == []
    del applied_fields["f:volumes"]
    assert [(d.path, d.by) for d in differences(deployment)] == [(f"{IN_POD}.volumes", "kubectl-create")]


@pytest.mark.parametrize("manager, noted", [("kubectl-set", {}), ("kubectl-edit", ANNOTATION)])  # edit --save-config
def test_an_image_that_was_set_after_a_server_side_apply_is_by_hand(manager: str, noted: dict[str, Any]) -> None:
    state = recorded("server-side")
    deployment = the_deployment(state)
    del deployment.metadata["managedFields"][0]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"][
        CONTAINER
    ]["f:image"]
    wrote(deployment, manager, {**noted, **in_container({"f:image": {}})})
    assert differences(deployment) == [Difference(f"{IN_POD}.containers[guestbook].image", "", "guestbook:v2", manager)]
    judged = {task.id: task.cause for task in judged_again(state)}
    assert judged == {"declared": "", "image-changed": "changed-by-hand", "no-drift": "imperative-leftover"}


@pytest.mark.parametrize(
    "manager, fields, where, value, path",
    [
        ("kubectl-rollout", {"f:spec": {"f:paused": {}}}, ("spec",), {"paused": True}, "spec.paused"),
        (
            "kubectl-patch",
            {"f:spec": {"f:strategy": {"f:type": {}}}},
            ("spec", "strategy"),
            {"type": "Recreate"},
            "spec.strategy",
        ),
        (
            "kubectl-edit",
            in_pod({"f:terminationGracePeriodSeconds": {}}),
            ("spec", "template", "spec"),
            {"terminationGracePeriodSeconds": 5},
            f"{IN_POD}.terminationGracePeriodSeconds",
        ),
        (
            "kubectl-edit",
            in_container({"f:imagePullPolicy": {}}),
            ("spec", "template", "spec", "containers", 0),
            {"imagePullPolicy": "Always"},
            f"{IN_POD}.containers[guestbook].imagePullPolicy",
        ),
        (
            "kubectl-set",
            in_container({"f:resources": {"f:limits": {".": {}, "f:cpu": {}}}}),
            ("spec", "template", "spec", "containers", 0),
            {"resources": {"limits": {"cpu": "1"}}},
            f"{IN_POD}.containers[guestbook].resources",
        ),
        (
            "kubectl-label",
            {"f:metadata": {"f:labels": {".": {}, "f:tier": {}}}},
            ("metadata",),
            {"labels": {"tier": "front"}},
            "metadata.labels.tier",
        ),
        (
            "kubectl-annotate",
            {"f:metadata": {"f:annotations": {"f:owner": {}}}},
            ("metadata", "annotations"),
            {"owner": "me"},
            "metadata.annotations.owner",
        ),
        (
            "kubectl-patch",
            {"f:spec": {"f:template": {"f:metadata": {"f:labels": {"f:tier": {}}}}}},
            ("spec", "template", "metadata", "labels"),
            {"tier": "front"},
            "spec.template.metadata.labels.tier",
        ),
    ],
)
def test_a_field_that_was_added_by_hand_is_drift(
    manager: str, fields: dict[str, Any], where: tuple[Any, ...], value: dict[str, Any], path: str
) -> None:
    raw = guestbook().raw
    place: Any = raw
    for name in where:
        place = place[name]
    place |= value
    deployment = Object("Deployment", raw)
    wrote(deployment, manager, fields)
    assert [(d.path, d.by) for d in differences(deployment)] == [(path, manager)]


def test_what_a_list_holds_is_compared_by_its_keys_or_as_a_whole() -> None:
    deployment = guestbook()
    pod = deployment.spec["template"]["spec"]
    both = [{"key": "node", "effect": "NoSchedule"}, {"key": "node", "effect": "NoExecute"}]
    in_the_file(deployment, tolerations=both)
    pod["tolerations"] = copy.deepcopy(both)
    assert differences(deployment) == []
    pod["tolerations"].append({"key": "other"})
    assert [d.path for d in differences(deployment)] == [f"{IN_POD}.tolerations"]
    del pod["tolerations"]
    in_the_file(deployment, tolerations=[])
    pod["containers"].insert(0, {"name": "added", "image": "guestbook:v1"})
    assert differences(deployment) == []
    wrote(deployment, "kubectl-edit", in_pod({"f:containers": {'k:{"name":"added"}': {".": {}, "f:name": {}}}}))
    assert [d.path for d in differences(deployment)] == [f"{IN_POD}.containers[added]"]


def test_declared_labels_and_annotations_are_compared_but_for_the_controllers_own() -> None:
    deployment = guestbook()
    manifest = json.loads(deployment.annotations[APPLIED])
    manifest["metadata"]["labels"] = {"tier": "front"}
    manifest["metadata"]["annotations"] = {"owner": "me", "deployment.kubernetes.io/revision": "1"}
    deployment.annotations |= {APPLIED: json.dumps(manifest), "owner": "you"}
    deployment = Object("Deployment", deployment.raw | {"metadata": deployment.metadata | {"labels": {"tier": "back"}}})
    assert [d.path for d in differences(deployment)] == ["metadata.annotations.owner", "metadata.labels.tier"]


@pytest.mark.parametrize(
    "manager", ["kubectl", "kubectl-annotate", "kubectl-create", "kubectl-replace", "kubectl-edit"]
)
def test_a_manifest_that_something_else_noted_was_not_applied(manager: str) -> None:
    deployment = guestbook()
    deployment.metadata["managedFields"][0]["manager"] = manager
    assert (is_declared(deployment), forgers(deployment)) == (False, [manager])


def test_a_manifest_may_be_applied_under_any_name() -> None:
    deployment = guestbook()
    deployment.metadata["managedFields"][0]["manager"] = "alice"
    assert is_declared(deployment)
    assert differences(deployment) == []


@pytest.mark.parametrize("manager, paths", [("alice", []), ("kubectl", [f"{IN_POD}.containers[guestbook].image"])])
def test_a_server_side_apply_keeps_the_note_of_an_earlier_apply_up_to_date_or_it_counts_no_more(
    manager: str, paths: list[str]
) -> None:
    deployment = guestbook()
    (entry,) = deployment.metadata["managedFields"]
    entry |= {"manager": manager, "operation": "Apply"}
    deployment.annotations[APPLIED] = deployment.annotations[APPLIED].replace("guestbook:v2", "guestbook:v1")
    assert is_declared(deployment)
    assert [d.path for d in differences(deployment)] == paths


def test_a_label_that_was_applied_server_side_declares_no_deployment() -> None:
    deployment = guestbook("created")
    label = {"f:metadata": {"f:labels": {"f:tier": {}}}}
    deployment.metadata["managedFields"].append({"manager": "kubectl", "operation": "Apply", "fieldsV1": label})
    assert not is_declared(deployment)


def test_where_the_notes_are_gone_nothing_is_known() -> None:
    state = recorded()
    the_deployment(state).metadata["managedFields"] = []
    assert {(task.verdict, task.cause) for task in judged_again(state)} == {("unknown", "not-observed")}


@pytest.mark.parametrize(
    "limit, revision, cause",
    [(0, "4", "not-observed"), (0, "1", "no-earlier-revision"), (10, "2", "no-earlier-revision")],
)
def test_what_a_deployment_has_not_kept_cannot_be_told(limit: int, revision: str, cause: str) -> None:
    state = recorded("made-anew")
    deployment = the_deployment(state)
    deployment.annotations[REVISION] = revision
    deployment.spec["revisionHistoryLimit"] = limit
    assert {task.id: task.cause for task in judged_again(state)}["image-changed"] == cause


def test_what_was_applied_and_then_replaced_was_made_by_the_replacement() -> None:
    state = recorded()
    deployment = the_deployment(state)
    del deployment.annotations[APPLIED]
    for entry in deployment.metadata["managedFields"]:
        entry["fieldsV1"].get("f:metadata", {}).pop("f:annotations", None)
    wrote(deployment, "kubectl-replace", in_container({"f:image": {}}))
    first = judged_again(state)[0]
    assert first.cause == "never-applied" and first.fault.facts["managers"] == ["kubectl-replace"]


def test_a_manifest_is_asked_without_what_names_the_object() -> None:
    deployment = guestbook()
    before = copy.deepcopy(deployment.raw)
    question = AS_DECLARED.question(State("learn", NOW, {"Deployment": [deployment]}))
    assert question and question["manifest"]["metadata"] == {"generateName": "kubeclass-dry-run-"}
    assert question["manifest"]["spec"] == json.loads(deployment.annotations[APPLIED])["spec"]
    assert deployment.raw == before


def test_what_was_applied_server_side_is_asked_by_its_fields() -> None:
    deployment = guestbook("server-side")
    question = AS_DECLARED.question(State("learn", NOW, {"Deployment": [deployment]}))
    assert question
    (container,) = question["manifest"]["spec"]["template"]["spec"]["containers"]
    assert (question["manifest"]["spec"]["replicas"], container["image"]) == (3, "guestbook:v2")
    assert container["readinessProbe"] == {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1}


def test_where_the_api_server_refuses_the_dry_run_nothing_is_concluded() -> None:
    state = recorded()
    state.observations[AS_DECLARED.key] = {"error": "exceeded quota"}
    verdicts = {task.id: (task.verdict, task.cause) for task in judge(LAB, state).tasks}
    assert verdicts["declared"] == ("passed", "")
    assert verdicts["no-drift"] == verdicts["image-changed"] == ("unknown", "api-unreachable")
