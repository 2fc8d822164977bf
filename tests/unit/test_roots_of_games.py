"""Kinds of faults from games of broken clusters: each is told, and what is right beside it is not."""

from __future__ import annotations

from typing import Any

import pytest

from checker.diagnosis.containers import telling_end
from checker.diagnosis.explain import explained
from checker.model.state import REACH, Object, State

from .objects import ago, container, obj, pod, slice_of, state

CRASHED = {"exitCode": 126, "reason": "Error", "startedAt": ago(52), "finishedAt": ago(50)}


def _found(world: State) -> dict[str, str]:
    return {one.root: one.message for one in explained(world).findings}


def _ready(name: str, labels: dict[str, str], **more: Any) -> Object:
    return pod(name, labels=labels, **more)


def _service(name: str, selector: dict[str, str], **spec: Any) -> Object:
    own = {"clusterIP": "10.96.0.9", "selector": selector, "ports": [{"port": 80, "targetPort": 8080}], **spec}
    return obj("Service", name, spec=own)


@pytest.mark.parametrize(("asked", "is_told"), [("piers", True), ("pier", False), ("quay-wall", False)])
def test_a_budget_that_selects_nobody_is_told_where_pods_have_nearly_its_labels(asked: str, is_told: bool) -> None:
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": asked}}}
    expected = 2 if asked == "pier" else 0
    status = {"observedGeneration": 1, "expectedPods": expected, "desiredHealthy": 1, "currentHealthy": expected}
    budget = obj("PodDisruptionBudget", "pier", spec=spec, status=status)
    world = state(_ready("a", {"app": "pier"}), _ready("b", {"app": "pier"}, ip="10.244.1.2"), budget)
    found = _found(world)
    assert list(found) == (["budget-selects-nothing@PodDisruptionBudget/pier"] if is_told else [])
    assert all("no Pod has these labels. 2 Pods have app=pier" in message for message in found.values())


@pytest.mark.parametrize(
    ("ready", "is_told"),
    [({"app": "ferry", "release": "green"}, True), ({"app": "boat", "release": "green"}, False)],
)
def test_a_service_of_a_release_without_pods_names_the_release_that_is_ready(
    ready: dict[str, str], is_told: bool
) -> None:
    blue = {"app": "ferry", "release": "blue"}
    template = {"metadata": {"labels": blue}, "spec": {"containers": [container()]}}
    spec = {"replicas": 0, "selector": {"matchLabels": blue}, "template": template}
    deployment = obj("Deployment", "ferry-blue", spec=spec, status={"observedGeneration": 1})
    world = state(deployment, _service("ferry", blue), _ready("ferry-green-1", ready))
    roots = ["service-selects-nothing@Service/ferry"] if is_told else ["zero-replicas@Deployment/ferry-blue"]
    assert list(_found(world)) == roots


@pytest.mark.parametrize("part", ["logs", "log_starts"])
@pytest.mark.parametrize(("address", "is_told"), [("127.0.0.1", True), ("0.0.0.0", False)])
def test_a_server_behind_a_service_that_listens_on_a_loopback_address(address: str, is_told: bool, part: str) -> None:
    server = _ready("lantern", {"app": "lantern"})
    lines = {part: {"lantern/app": f"guestbook: v1 listens on {address}:8080\n"}}
    reach = {REACH: {"10.244.1.1:8080": "refused", "10.244.1.1:80": "refused"}}
    service = _service("lantern", {"app": "lantern"})
    world = state(server, service, slice_of("lantern"), observations=reach, **lines)
    assert ("listens-on-loopback@Pod/lantern" in _found(world)) is is_told
    assert ("target-port-refused@Service/lantern" in _found(world)) is not is_told


@pytest.mark.parametrize("is_read_only", [True, False])
def test_a_client_hears_that_its_server_has_a_read_only_file_system(is_read_only: bool) -> None:
    context = {"securityContext": {"readOnlyRootFilesystem": is_read_only}}
    server = _ready("logbook", {"app": "logbook"}, containers=[container("app", **context)])
    asks = container("asks", ports=[], env=[{"name": "LOGBOOK_URL", "value": "http://logbook/entries"}])
    client = pod("scribe", ip="10.244.1.7", containers=[asks])
    line = "the logbook says 503 Cannot use the data file: [Errno 30] Read-only file system: '/data'\n"
    reach = {REACH: {"10.244.1.1:8080": "open"}}
    service = _service("logbook", {"app": "logbook"})
    world = state(server, client, service, slice_of("logbook"), logs={"scribe/asks": line * 4}, observations=reach)
    assert list(_found(world)) == (["file-system-read-only@Pod/logbook"] if is_read_only else [])


@pytest.mark.parametrize(("port", "is_told"), [(80, True), (8080, False)])
def test_an_alias_translates_no_port(port: int, is_told: bool) -> None:
    server = _ready("api", {"app": "api"})
    service = _service("api", {"app": "api"}, ports=[{"port": 8080}])
    alias = obj("Service", "front", spec={"type": "ExternalName", "externalName": "api.learn.svc.cluster.local"})
    asks = container("asks", ports=[], env=[{"name": "API_URL", "value": f"http://front:{port}/"}])
    client = pod("porter", ip="10.244.1.7", containers=[asks])
    logs = {"porter/asks": "request failed: [Errno 111] Connection refused\n" * 4}
    reach = {REACH: {"10.244.1.1:8080": "open"}}
    found = _found(state(server, client, service, alias, slice_of("api"), logs=logs, observations=reach))
    assert list(found) == (["service-port-unknown@Pod/porter"] if is_told else [])
    assert all("Service front of type ExternalName, which translates no port" in one for one in found.values())


def _waiting(name: str, asks: str) -> Object:
    first = {
        "name": "wait",
        "image": "guestbook:v1",
        "command": ["sh", "-c", f"until nc -z {asks} 80; do sleep 2; done"],
    }
    running = {"running": {"startedAt": ago(120)}}
    status = {"initContainerStatuses": [{"name": "wait", "ready": False, "restartCount": 0, "state": running}]}
    waiting = {"waiting": {"reason": "PodInitializing"}}
    one = pod(name, labels={"app": name}, ready=False, container_state=waiting, phase="Pending", **status)
    one.spec["initContainers"] = [first]
    return one


def test_init_containers_that_wait_for_one_another_are_one_finding() -> None:
    services = [_service(name, {"app": name}) for name in ("east", "west", "north")]
    pods = [_waiting("east", "west"), _waiting("west", "north"), _waiting("north", "east")]
    found = _found(state(*pods, *services))
    assert list(found) == ["init-containers-wait-in-circle@Pod/east"]
    assert "Pod east, Pod north and Pod west wait for one another" in found["init-containers-wait-in-circle@Pod/east"]


def test_init_containers_that_wait_in_a_line_are_no_circle() -> None:
    services = [_service(name, {"app": name}) for name in ("east", "west")]
    world = state(_waiting("east", "west"), _waiting("west", "nobody"), *services)
    assert not any(root.startswith("init-containers-wait-in-circle") for root in _found(world))


@pytest.mark.parametrize(("path", "is_told"), [("/opt/scripts/start.sh", True), ("/srv/start.sh", False)])
def test_a_script_of_a_config_map_that_a_shell_may_not_execute(path: str, is_told: bool) -> None:
    mounts = [{"name": "scripts", "mountPath": "/opt/scripts"}]
    own = container("app", command=["/bin/sh", "-c"], args=[path], volumeMounts=mounts)
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    one = pod("web", ready=False, restarts=3, last=CRASHED, container_state=waiting, containers=[own])
    one.spec["volumes"] = [{"name": "scripts", "configMap": {"name": "scripts"}}]
    source = obj("ConfigMap", "scripts", data={"start.sh": "#!/bin/sh\n"})
    found = _found(state(one, source, logs={"web/app": f"/bin/sh: 1: {path}: Permission denied\n"}))
    assert list(found) == (["command-not-permitted@Pod/web"] if is_told else ["container-crashes@Pod/web"])
    assert not is_told or "It is a file from ConfigMap scripts" in found["command-not-permitted@Pod/web"]


def test_what_redis_quotes_as_wrong_stands_in_the_end_of_its_log() -> None:
    log = (
        "*** FATAL CONFIG FILE ERROR (Redis 8.0.2) ***\nReading the configuration file, at line 2\n"
        ">>> 'maxmemory \"64megs\"'\nargument must be a memory value\n"
    )
    assert telling_end(log) == (
        "*** FATAL CONFIG FILE ERROR (Redis 8.0.2) *** / >>> 'maxmemory \"64megs\"' / argument must be a memory value"
    )


@pytest.mark.parametrize("policy", ["keeps", "frees"])
def test_a_service_whose_only_pod_is_held_by_a_finalizer_has_no_fault_of_its_own(policy: str) -> None:
    held = _ready("ghost", {"app": "ghost"})
    held.metadata["deletionTimestamp"] = ago(200)
    held.metadata["finalizers"] = ["example.com/keep"] if policy == "keeps" else []
    found = _found(state(held, _service("ghost", {"app": "ghost"})))
    assert ("deletion-blocked-by-finalizer@Pod/ghost" in found) is (policy == "keeps")
    assert ("service-selects-nothing@Service/ghost" in found) is (policy == "frees")


@pytest.mark.parametrize(("value", "is_told"), [("127.0.0.1", True), ("localhost:8080", True), ("0.0.0.0", False)])
def test_a_variable_with_a_loopback_address_is_told_where_nothing_listens(value: str, is_told: bool) -> None:
    server = _ready("lantern", {"app": "lantern"}, containers=[container(env=[{"name": "HOST", "value": value}])])
    reach = {REACH: {"10.244.1.1:8080": "refused", "10.244.1.1:80": "refused"}}
    service = _service("lantern", {"app": "lantern"})
    found = _found(state(server, service, slice_of("lantern"), observations=reach))
    assert list(found) == ["target-port-refused@Service/lantern"]
    assert (f"Variable HOST of container app is {value}: a" in found["target-port-refused@Service/lantern"]) is is_told
