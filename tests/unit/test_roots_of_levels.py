"""Kinds of faults from levels of games and from practice exams: the root is told, and what is right is not."""

from __future__ import annotations

from typing import Any

import pytest

from checker.diagnosis.addresses import configured_addresses
from checker.diagnosis.explain import explained
from checker.diagnosis.job import walk_cron_job
from checker.model.fault import Failed
from checker.model.state import REACH, Object, State

from .objects import ago, container, deployment, node, obj, pod, replica_set, slice_of, state


def _found(world: State) -> dict[str, str]:
    return {one.root: one.message for one in explained(world).findings}


def _service(name: str, selector: dict[str, str], **spec: Any) -> Object:
    own = {"clusterIP": "10.96.0.9", "selector": selector, "ports": [{"port": 8080}], **spec}
    return obj("Service", name, spec=own)


# -- where a program is told to listen -------------------------------------------------------------------------------


def _server(*containers: dict[str, Any], text: str = "") -> State:
    own = pod("cellar", labels={"app": "cellar"}, containers=list(containers))
    own.spec["volumes"] = [{"name": "conf", "configMap": {"name": "cellar-conf"}}]
    config = obj("ConfigMap", "cellar-conf", data={"server.conf": text})
    reach = {REACH: {"10.244.1.1:8080": "refused"}}
    return state(own, config, _service("cellar", {"app": "cellar"}), slice_of("cellar"), observations=reach)


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        ("port 8080\nbind 127.0.0.1\n", True),
        ("bind 127.0.0.1 -::1  # as in the original\n", True),
        ("listen_addresses = 'localhost'\n", True),
        ("[mysqld]\nbind-address=127.0.0.1\n", True),
        ("bind 127.0.0.1 10.0.0.7\n", False),
        ("bind 0.0.0.0\n", False),
        ("# bind 127.0.0.1\n", False),
        ("listen_addresses = '*'\n", False),
        ("redis_host: 127.0.0.1\n", False),
    ],
)
def test_a_file_that_binds_a_server_to_a_loopback_address_is_the_root(text: str, is_told: bool) -> None:
    found = _found(_server(container(volumeMounts=[{"name": "conf", "mountPath": "/conf"}]), text=text))
    root = "listens-on-loopback@ConfigMap/cellar-conf" if is_told else "target-port-refused@Service/cellar"
    assert list(found) == [root]
    assert not is_told or text.splitlines()[-1].partition("#")[0].strip() in found[root]


@pytest.mark.parametrize(
    ("command", "is_told"),
    [
        (["redis-server", "--bind", "127.0.0.1"], True),
        (["gunicorn", "-b", "127.0.0.1:8080", "app"], True),
        (["sh", "-c", "uvicorn --host localhost app:app"], True),
        (["python3", "-c", 'HTTPServer(("127.0.0.1", 8080), Handler).serve_forever()'], True),
        (["redis-server", "--bind", "0.0.0.0"], False),
        (["python3", "-c", 'HTTPServer(("", 8080), Handler).serve_forever()'], False),
    ],
)
def test_a_command_that_binds_a_server_to_a_loopback_address_is_the_root(command: list[str], is_told: bool) -> None:
    root = "listens-on-loopback@Pod/cellar" if is_told else "target-port-refused@Service/cellar"
    assert list(_found(_server(container(command=command)))) == [root]


def test_the_command_of_another_container_does_not_tell_where_a_server_listens() -> None:
    exporter = container("exporter", ports=[{"containerPort": 9121}], command=["exporter", "--host", "localhost"])
    assert list(_found(_server(container(), exporter))) == ["target-port-refused@Service/cellar"]


def test_a_probe_from_outside_does_not_reach_a_server_on_a_loopback_address() -> None:
    probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 5}
    own = container(command=["redis-server", "--bind", "127.0.0.1"], readinessProbe=probe)
    server = pod("cellar", containers=[own], ready=False, since=200)
    said = "Readiness probe failed: dial tcp 10.244.1.1:8080: connect: connection refused"
    event = obj(
        "Event",
        "cellar-1",
        type="Warning",
        reason="Unhealthy",
        message=said,
        count=20,
        lastTimestamp=ago(2),
        involvedObject={"kind": "Pod", "name": "cellar", "uid": server.uid, "fieldPath": "spec.containers{app}"},
    )
    found = _found(state(server, event))
    assert list(found) == ["listens-on-loopback@Pod/cellar"]
    assert "The readiness probe of container app" in found["listens-on-loopback@Pod/cellar"]


# -- variables that hold a host --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "is_host"),
    [
        ('urlopen("http://" + os.environ["MILL"] + "/list")', True),
        ("urlopen(f\"http://{os.environ['MILL']}:80/\")", True),
        ("until curl -s http://${MILL}/; do sleep 1; done", True),
        ("until nc -z -w 2 $MILL 80; do sleep 1; done", True),
        ('create_connection((os.environ["MILL"], 80))', True),
        ('fetch("http://" + process.env.MILL)', True),
        ("echo $MILL", False),
        ("curl http://shop/$MILL", False),
    ],
)
def test_a_variable_that_a_script_has_in_the_place_of_a_host_is_an_address(script: str, is_host: bool) -> None:
    own = container(env=[{"name": "MILL", "value": "mill"}], command=["sh", "-c", script])
    found = configured_addresses(state(), pod(containers=[own]), own)
    assert ("mill" in [one.host for one in found if one.variable == "MILL"]) is is_host


@pytest.mark.parametrize(
    ("value", "is_host"), [("mill.data.svc.cluster.local", True), ("mill.svc", True), ("mill", False)]
)
def test_a_value_that_can_only_be_the_name_of_a_service_is_an_address(value: str, is_host: bool) -> None:
    own = container(env=[{"name": "MILL", "value": value}])
    assert bool(configured_addresses(state(), pod(containers=[own]), own)) is is_host


def test_the_scheme_of_a_url_in_a_script_is_no_name() -> None:
    init = {
        "name": "wait",
        "image": "guestbook:v1",
        "env": [{"name": "MILL", "value": "mill"}],
        "command": ["python3", "-c", 'urlopen("http://" + os.environ["MILL"] + "/healthz")'],
    }
    waiting = pod("baker", ready=False, container_state={"waiting": {"reason": "PodInitializing"}})
    waiting.spec["initContainers"] = [init]
    running = {"name": "wait", "ready": False, "started": True, "restartCount": 0}
    waiting.status["initContainerStatuses"] = [{**running, "state": {"running": {"startedAt": ago(250)}}}]
    line = "not there yet: <urlopen error [Errno 111] Connection refused>\n"
    found = _found(state(waiting, _service("mill", {"app": "mil"}), logs={"baker/wait": line * 4}))
    assert list(found) == ["service-selects-nothing@Service/mill"]


# -- scheduling, quotas, names, runs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"kubernetes.io/hostname": "worker"}, "no node has a label with this key."),
        ({"topology.kubernetes.io/zones": "a"}, "The nodes have the label topology.kubernetes.io/zones."),
        ({"topology.kubernetes.io/zone": "a"}, "No node satisfies the topology spread constraints"),
    ],
)
def test_a_spread_over_a_label_that_no_node_has(labels: dict[str, str], words: str) -> None:
    waiting = pod("gallery", ready=False, node="")
    key = "topology.kubernetes.io/zone"
    waiting.spec["topologySpreadConstraints"] = [{"topologyKey": key, "whenUnsatisfiable": "DoNotSchedule"}]
    said = "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label)."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
    waiting.status["conditions"] = [condition]
    found = _found(state(waiting, node(labels=labels)))
    assert list(found) == ["pod-unschedulable-spread@Pod/gallery"]
    assert words in found["pod-unschedulable-spread@Pod/gallery"]


@pytest.mark.parametrize(
    ("own", "hard", "root"),
    [
        ({}, "1Gi", "quota-exceeded@LimitRange/sizes"),
        ({}, "3Gi", "quota-exceeded@Deployment/guestbook"),  # others use the quota: the defaults alone are no fault
        ({"limits": {"memory": "2Gi"}}, "1Gi", "quota-exceeded@Deployment/guestbook"),
    ],
)
def test_defaults_of_a_limit_range_that_a_quota_has_no_room_for(own: dict[str, Any], hard: str, root: str) -> None:
    owner = deployment(spec={"template": {"spec": {"containers": [container(resources=own)]}}})
    numbers = f"requested: limits.memory=2Gi, used: limits.memory=2Gi, limited: limits.memory={hard}"
    message = f'pods "guestbook-abc-1" is forbidden: exceeded quota: room, {numbers}'
    failing = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    template = owner.spec["template"]
    maker = replica_set(owner, spec={"replicas": 1, "template": template}, status={"conditions": [failing]})
    sizes = obj("LimitRange", "sizes", spec={"limits": [{"type": "Container", "default": {"memory": "2Gi"}}]})
    used = {"hard": {"limits.memory": hard}, "used": {"limits.memory": "2Gi"}}
    quota = obj("ResourceQuota", "room", spec={"hard": {"limits.memory": hard}}, status=used)
    found = _found(state(owner, maker, sizes, quota))
    assert list(found) == [root]
    assert ("LimitRange sizes gives each container limits.memory=2Gi." in found[root]) is not bool(own)


def test_an_external_name_that_leads_to_no_service_is_the_only_root() -> None:
    alias = obj("Service", "clerk", spec={"type": "ExternalName", "externalName": "clerks.learn.svc.cluster.local"})
    asks = container(env=[{"name": "REDIS_HOST", "value": "clerk"}])
    line = "Redis at clerk does not answer: [Errno -2] Name or service not known\n"
    world = state(pod("caller", containers=[asks]), alias, logs={"caller/app": line * 4})
    assert list(_found(world)) == ["externalname-unresolved@Service/clerk"]


@pytest.mark.parametrize(
    ("logs", "starts", "quoted"),
    [
        ({"tidy-1-x/app": "at row 7\n"}, {}, "at row 7"),
        ({}, {"tidy-1-x/app": "starts\nwaits for a lock\n"}, "waits for a lock"),
        ({}, {"tidy-1-x/app": "row\n" * 500}, ""),  # more lines may follow that were not read
        ({}, {}, ""),
    ],
)
def test_a_run_that_goes_on_is_told_with_what_it_said_last(
    logs: dict[str, str], starts: dict[str, str], quoted: str
) -> None:
    spec = {"schedule": "* * * * *", "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": {}}}
    cron_job = obj("CronJob", "tidy", spec=spec, status={"lastScheduleTime": ago(290)}, age=900)
    job = obj("Job", "tidy-1", owner=cron_job, status={"active": 1, "ready": 1}, age=290)
    world = state(cron_job, job, pod("tidy-1-x", owner=job), logs=logs, log_starts=starts)
    with pytest.raises(Failed) as end:
        walk_cron_job(world, cron_job)
    assert end.value.cause == "cronjob-run-goes-on"
    assert ("The last line of its log" in end.value.message) is bool(quoted)
    assert quoted in end.value.message
