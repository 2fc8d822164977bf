"""Kinds of faults from levels of games and from practice exams: the root is told, and what is right is not."""

from __future__ import annotations

from typing import Any

import pytest

from checker.diagnosis.addresses import configured_addresses
from checker.diagnosis.explain import explained
from checker.diagnosis.job import walk_cron_job
from checker.grading.diagnostic import Reached
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
    event = _not_ready(server, "app", "dial tcp 10.244.1.1:8080: connect: connection refused")
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


# -- two containers, two servers -------------------------------------------------------------------------------------


def _not_ready(own: Object, container_name: str, said: str) -> Object:
    """The kubelet's event that the readiness probe of a container fails, and what the probe said."""
    about = {"kind": "Pod", "name": own.name, "uid": own.uid, "fieldPath": f"spec.containers{{{container_name}}}"}
    return obj(
        "Event",
        f"{own.name}-1",
        type="Warning",
        reason="Unhealthy",
        message=f"Readiness probe failed: {said}",
        count=20,
        lastTimestamp=ago(2),
        involvedObject=about,
    )


def _two(writer_at: str, reader_at: str, path: str, said: str, *, ready: bool = False) -> State:
    write = {"command": ["sh", "-c", "while true; do date >> /var/log/app/a.log; sleep 1; done"]}
    reader = container(
        "tail", ports=[], command=["tail", "-f", path], volumeMounts=[{"name": "l", "mountPath": reader_at}]
    )
    writer = container("app", volumeMounts=[{"name": "l", "mountPath": writer_at}], **write)
    end = {"exitCode": 1, "reason": "Error", "startedAt": ago(30), "finishedAt": ago(28)}
    waits = {"waiting": {"reason": "CrashLoopBackOff"}}
    how = {} if ready else {"container_state": waits, "last": end, "restarts": 4}
    own = pod("scribe", containers=[reader, writer], ready=ready, **how)
    own.spec["volumes"] = [{"name": "l", "emptyDir": {}}]
    return state(own, logs={"scribe/tail": said})


_MISSED = "tail: cannot open '/var/log/app/a.log' for reading: No such file or directory\n"


@pytest.mark.parametrize(
    ("writer_at", "reader_at", "is_told"),
    [
        ("/var/log/app", "/logs", True),  # the reader has the volume elsewhere
        ("/logs", "/var/log/app", True),  # the writer writes beside the volume
        ("/var/log/app", "/var/log/app", False),
        ("/var/log", "/var/log/app", False),
    ],
)
@pytest.mark.parametrize("ready", [True, False])
def test_a_file_that_two_containers_do_not_share(writer_at: str, reader_at: str, is_told: bool, ready: bool) -> None:
    found = _found(_two(writer_at, reader_at, "/var/log/app/a.log", _MISSED, ready=ready))
    assert ("volume-at-other-path@Pod/scribe" in found) is is_told
    assert all("Container app has" in found[root] for root in found if root.startswith("volume-at"))


def test_a_file_that_was_missing_at_first_is_no_fault() -> None:
    assert not _found(_two("/var/log/app", "/logs", "/logs/a.log", _MISSED + "Mon 12:00\n", ready=True))


@pytest.mark.parametrize("namespace", ["learn", "back"])
@pytest.mark.parametrize(
    ("said", "host", "is_told"),
    [
        ("fetch failed: HTTP Error 503: Service Unavailable", "kv", True),
        ("curl: (22) The requested URL returned error: 502", "kv", True),
        ("Request failed with status code 500", "kv", True),
        ("fetch failed: HTTP Error 404: Not Found", "kv", False),
        ("GET /entries 503", "kv", False),  # what a server says of its own answers
        ("fetch failed: HTTP Error 503: Service Unavailable", "core", False),  # what it needs works
    ],
)
def test_a_server_that_answers_with_an_error_is_asked_what_it_needs(
    said: str, host: str, is_told: bool, namespace: str
) -> None:
    needs = container(env=[{"name": "REDIS_HOST", "value": host}])
    server = pod("core-1", labels={"app": "core"}, containers=[needs], ip="10.244.1.1", namespace=namespace)
    service = obj("Service", "core", namespace=namespace, spec={"selector": {"app": "core"}, "ports": [{"port": 8080}]})
    asks = container("edge", ports=[], env=[{"name": "CORE_URL", "value": f"http://core.{namespace}:8080/"}])
    client = pod("edge", containers=[asks], ip="10.244.1.9", labels={"app": "edge"})
    names = [obj("Namespace", one, namespace="") for one in ("learn", "back")]
    reach = {REACH: {"10.244.1.1:8080": "open"}}
    world = state(server, service, client, *names, logs={"edge/edge": f"{said}\n" * 4}, observations=reach)
    found = _found(world)
    assert ("name-unknown@Pod/core-1" in found) is is_told
    assert all(said in found[root] for root in found)


@pytest.mark.parametrize(
    ("args", "said", "words"),
    [
        (["redis-server", "--requirepass", "x1y2"], "NOAUTH Authentication required.", ["requirepass", "no password"]),
        (["redis-server"], "WRONGPASS invalid username-password pair", []),
    ],
)
def test_a_redis_that_wants_a_password(args: list[str], said: str, words: list[str]) -> None:
    server = pod("vault", labels={"app": "vault"}, containers=[container("redis", args=args)])
    asks = container("teller", ports=[], env=[{"name": "REDIS_HOST", "value": "vault"}])
    client = pod("teller", containers=[asks], ip="10.244.1.9")
    reach = {REACH: {"10.244.1.1:8080": "open"}}
    world = state(
        server,
        client,
        _service("vault", {"app": "vault"}),
        slice_of("vault"),
        logs={"teller/teller": f"{said}\n" * 4},
        observations=reach,
    )
    found = _found(world)
    assert list(found) == ["credentials-refused@Pod/teller"]
    assert [word in found["credentials-refused@Pod/teller"] for word in ("requirepass", "no password")] == [
        bool(words)
    ] * 2
    assert "x1y2" not in found["credentials-refused@Pod/teller"]


# -- probes that look for files, addresses by hand -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "said", "cause"),
    [
        (["cat", "/out/ready"], "cat: /out/ready: No such file or directory", "readiness-probe-fails"),
        (["/bin/cat", "/out/ready"], "cat: /out/ready: No such file or directory", "readiness-probe-fails"),
        (["catt", "/out/ready"], 'exec: "catt": executable file not found in $PATH', "probe-command-missing"),
        (["bash", "-c", "curll x"], "bash: line 1: curll: command not found", "probe-command-missing"),
    ],
)
@pytest.mark.parametrize("writer_at", ["", "/output"])
def test_a_probe_that_begins_and_misses_a_file_is_no_missing_command(
    command: list[str], said: str, cause: str, writer_at: str
) -> None:
    mounts = [{"name": "v", "mountPath": "/out"}]
    asks = container("asks", readinessProbe={"exec": {"command": command}, "periodSeconds": 3}, volumeMounts=mounts)
    beside = [{"name": "v", "mountPath": writer_at}] if writer_at else []
    writer = container("app", command=["sh", "-c", "date > /out/ready; sleep 1000"], volumeMounts=beside)
    own = pod("courier", containers=[asks, writer], ready=False, since=200)
    own.spec["volumes"] = [{"name": "v", "emptyDir": {}}]
    event = _not_ready(own, "asks", said)
    is_beside = writer_at and "No such file" in said
    expected = "volume-at-other-path" if is_beside else cause
    assert list(_found(state(own, event))) == [f"{expected}@Pod/courier"]


@pytest.mark.parametrize(("port", "is_told"), [(6380, True), (6379, False)])
def test_a_slice_by_hand_leads_to_a_port_that_is_closed(port: int, is_told: bool) -> None:
    server = pod("old-bank", containers=[container("redis", ports=[{"containerPort": 6379}])], labels={"who": "bank"})
    service = obj("Service", "bank", spec={"ports": [{"port": 6379}]})
    by_hand = obj(
        "EndpointSlice",
        "bank-1",
        metadata={"labels": {"kubernetes.io/service-name": "bank"}},
        ports=[{"port": port}],
        endpoints=[{"addresses": ["10.244.1.1"], "conditions": {"ready": True}}],
    )
    world = state(server, service, by_hand)
    asked = Reached().question(world)
    assert asked and f"10.244.1.1:{port}" in asked["to"]
    world.observations[REACH] = {"10.244.1.1:6380": "refused", "10.244.1.1:6379": "open"}
    found = _found(world)
    assert list(found) == (["target-port-refused@Service/bank"] if is_told else [])
    assert all("Pod old-bank listens on port 6379" in message for message in found.values())


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["redis-cli", "-h", "queue", "ping"], "Could not connect to Redis at queue:6379: Connection refused"),
        (["sh", "-c", "nc -z queue 6379"], ""),  # without a word
        (["pg_isready", "-h", "queue"], "queue:5432 - no response"),
        (["sh", "-c", "nc -z $QUEUE 6379"], ""),
    ],
)
@pytest.mark.parametrize(
    ("service", "selector", "root"),
    [
        ("queue", "queues", "service-selects-nothing@Service/queue"),
        ("queues", "queue", "name-unknown@Pod/worker"),
        ("queue", "queue", "readiness-probe-fails@Pod/worker"),  # what it asks for works
    ],
)
def test_a_probe_that_asks_another_server(
    command: list[str], said: str, service: str, selector: str, root: str
) -> None:
    probe = {"exec": {"command": command}, "periodSeconds": 3}
    asks = container("app", ports=[], env=[{"name": "QUEUE", "value": "queue"}], readinessProbe=probe)
    own = pod("worker", containers=[asks], ready=False, since=200, ip="10.244.1.7", labels={"app": "worker"})
    server = pod("server", containers=[container(ports=[{"containerPort": 6379}])], labels={"app": "queue"})
    event = _not_ready(own, "app", said)
    ports = (
        {"ports": [{"port": 6379}]} if "pg_isready" not in command else {"ports": [{"port": 5432, "targetPort": 6379}]}
    )
    reach = {REACH: {"10.244.1.1:6379": "open"}}
    world = state(
        own, server, _service(service, {"app": selector}, **ports), slice_of(service), event, observations=reach
    )
    assert next(iter(_found(world))) == root
