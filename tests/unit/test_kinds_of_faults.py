"""Kinds of faults from real incidents, each as a small world: what explains it, and what does not."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from checker.diagnosis.complaints import complaint_of
from checker.diagnosis.explain import explained
from checker.model.explanation import Explanation
from checker.model.state import REACH, WHITE_SPACE, Object, State, visible_objects

from .objects import ago, container, deployment, event, node, obj, pod, replica_set, service, slice_of, state

UNKNOWN = "does not answer: [Errno -2] Name or service not known"


def _roots(found: Explanation | State) -> list[str]:
    found = explained(found) if isinstance(found, State) else found
    return [finding.root for finding in found.findings]


def _secret(name: str, **values: str) -> Object:
    """A Secret as the collector keeps it."""
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    (kept,) = visible_objects("Secret", [obj("Secret", name, data=encoded).raw], "learn", set())
    return kept


def _from_secret(variable: str, secret: str, key: str) -> dict[str, Any]:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _logging(line: str, *others: Object, env: list[dict[str, Any]] | None = None, **spec: Any) -> State:
    client = pod("client", labels={"app": "client"}, containers=[container("asks", env=env or [], ports=[], **spec)])
    return state(client, *others, logs={"client/asks": f"{line}\n" * 4})


def _redis() -> list[Object]:
    fields = {"clusterIP": "10.96.0.9", "selector": {"app": "redis"}, "ports": [{"port": 6379}]}
    server = pod("redis", labels={"app": "redis"}, ip="10.244.1.9", containers=[container(ports=[])])
    return [server, obj("Service", "redis", spec=fields), slice_of("redis")]


# -- Secrets ---------------------------------------------------------------------------------------------------------


def test_a_state_holds_whether_white_space_stands_around_a_value_and_not_the_value() -> None:
    kept = _secret("address", host="redis\n", port="6379", both=" x ")
    assert kept.annotations[WHITE_SPACE] == "both host"
    assert set(kept.raw["data"].values()) == {""}
    (again,) = visible_objects("Secret", [kept.raw], "learn", set())  # a Watch passes the same object twice
    assert again.annotations[WHITE_SPACE] == "both host"
    assert WHITE_SPACE not in _secret("plain", host="redis").annotations


@pytest.mark.parametrize(
    ("value", "found"), [("redis\n", ["variable-has-white-space@Pod/client"]), ("redis", []), ("\tredis", None)]
)
def test_a_host_with_white_space_in_a_secret(value: str, found: list[str] | None) -> None:
    world = _logging(UNKNOWN, _secret("address", host=value), env=[_from_secret("REDIS_HOST", "address", "host")])
    assert _roots(world) == (["variable-has-white-space@Pod/client"] if found is None else found)


def test_a_host_in_a_secret_that_no_service_has_is_the_one_that_the_program_names() -> None:
    env = [_from_secret("REDIS_HOST", "address", "host")]
    world = _logging(f"Redis at redsi {UNKNOWN}", _secret("address", host="redsi"), *_redis(), env=env)
    (found,) = [one for one in explained(world).findings if one.object == "Pod/client"]
    assert found.cause == "name-unknown"
    assert "Did you mean redis?" in found.message


@pytest.mark.parametrize(
    ("line", "host"),
    [
        ("Error: getaddrinfo ENOTFOUND orders", "orders"),
        ("dial tcp: lookup orders on 10.96.0.10:53: no such host", "orders"),
        ("curl: (6) Could not resolve host: orders", "orders"),
        ('could not translate host name "orders" to address: Name or service not known', "orders"),
        ("java.net.UnknownHostException: orders", "orders"),
        ("** server can't find orders: NXDOMAIN", "orders"),
        ("temporary failure in name resolution", ""),
        ("curl: (5) Could not resolve proxy: corporate", ""),
        ("getaddrinfo ENOTFOUND api.example.com", ""),
    ],
)
def test_a_name_that_only_the_program_holds(line: str, host: str) -> None:
    found = [one for one in explained(_logging(line)).findings if one.cause == "name-unknown"]
    assert [f"The name {host} means Service {host} " in one.message for one in found] == ([True] if host else [])


REFUSED_PASSWORD = "WRONGPASS invalid username-password pair or user is disabled."


@pytest.mark.parametrize(("server", "cause"), [("safe", "variable-has-white-space"), ("purse", "credentials-refused")])
def test_a_password_with_a_line_end_in_a_secret_that_the_server_does_not_share(server: str, cause: str) -> None:
    fields = {"clusterIP": "10.96.0.9", "selector": {"app": "redis"}, "ports": [{"port": 6379}]}
    theirs = container(ports=[], env=[_from_secret("PASSWORD", server, "word")])
    redis = pod("redis", labels={"app": "redis"}, ip="10.244.1.9", containers=[theirs])
    env = [{"name": "REDIS_HOST", "value": "redis"}, _from_secret("PASSWORD", "purse", "word")]
    others = [redis, obj("Service", "redis", spec=fields), slice_of("redis"), _secret("safe", word="a")]
    world = _logging(REFUSED_PASSWORD, *others, _secret("purse", word="a\n"), env=env)
    world.observations[REACH] = {"10.244.1.9:6379": "open"}
    assert f"{cause}@Pod/client" in _roots(world)


# -- what a program says ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "connect ECONNREFUSED 127.0.0.1:6379",
        "dial tcp [::1]:6379: connect: connection refused",
        "Could not connect to Redis at 127.0.0.1:6379: Connection refused",
    ],
)
def test_a_program_that_asks_its_own_pod_by_default(line: str) -> None:
    assert "localhost-is-the-pod@Pod/client" in _roots(_logging(line, *_redis()))
    assert _roots(_logging(line)) == []  # no Service has that port: it may be the program's own business
    own = obj("Service", "client", spec={"selector": {"app": "client"}, "ports": [{"port": 6379}]})
    assert "localhost-is-the-pod@Pod/client" not in _roots(_logging(line, own))  # it may not listen yet


CERTIFICATES = {
    "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate": "knows",
    "x509: certificate has expired or is not yet valid": "valid now",
    "x509: certificate is valid for vault, not ledger": "for ledger",
    "Error [ERR_TLS_CERT_ALTNAME_INVALID]: Hostname/IP does not match certificate's altnames": "for ledger",
}


@pytest.mark.parametrize("line", CERTIFICATES)
def test_a_certificate_that_a_client_does_not_accept(line: str) -> None:
    complaint = complaint_of(line)
    assert complaint is not None
    assert complaint.kind == "certificate"
    served = pod("ledger", labels={"app": "ledger"}, ip="10.244.1.9", containers=[container(ports=[])])
    fields = {"clusterIP": "10.96.0.9", "selector": {"app": "ledger"}, "ports": [{"port": 443}]}
    ledger = [served, obj("Service", "ledger", spec=fields), slice_of("ledger")]
    world = _logging(line, *ledger, env=[{"name": "LEDGER_URL", "value": "https://ledger"}])
    world.observations[REACH] = {"10.244.1.9:443": "open"}
    (found,) = explained(world).findings
    assert found.root == "certificate-refused@Pod/client"
    assert found.expected.endswith(CERTIFICATES[line])
    outside = _logging(line, env=[{"name": "LEDGER_URL", "value": "https://ledger.example.com"}])
    assert _roots(outside) == []


def _crashed(line: str, *others: Object, env: list[dict[str, Any]] | None = None, **raw: Any) -> State:
    ended = {"exitCode": 1, "startedAt": ago(90), "finishedAt": ago(60)}
    client = pod(
        "client",
        ready=False,
        restarts=3,
        containers=[container("asks", env=env or [], ports=[], **raw.get("spec", {}))],
        container_state={"waiting": {"reason": "CrashLoopBackOff"}},
        last=ended,
    )
    client.spec["volumes"] = raw.get("volumes", [])
    return state(client, *others, logs={"client/asks": line})


@pytest.mark.parametrize(
    ("line", "env", "key", "cause"),
    [
        ("KeyError: 'DATABASE_URL'", "DATABSE_URL", "", "variable-not-set"),
        ("sh: 1: DATABASE_URL: parameter not set", "", "DATABASE_URL", "variable-not-set"),
        ("Error: environment variable DATABASE_URL is required", "", "DATABASE_URL", "variable-not-set"),
        ("Error: environment variable DATABASE_URL is required", "", "", "container-crashes"),
        ("KeyError: 'DATABASE_URL'", "DATABASE_URL", "", "container-crashes"),
        ("missing SOME_OTHER_THING", "COLOUR", "DATABASE_URL", "container-crashes"),
    ],
)
def test_a_variable_that_a_program_wants(line: str, env: str, key: str, cause: str) -> None:
    settings = obj("ConfigMap", "settings", data={key: "x"} if key else {})
    assert _roots(_crashed(line, settings, env=[{"name": env, "value": "x"}] if env else [])) == [f"{cause}@Pod/client"]


@pytest.mark.parametrize(
    ("sub_path", "cause"), [("config.yml", "file-not-in-volume"), ("config.yaml", "container-crashes")]
)
def test_a_sub_path_that_names_no_file_of_a_config_map(sub_path: str, cause: str) -> None:
    volumes = [{"name": "settings", "configMap": {"name": "settings"}}]
    mount = {"name": "settings", "mountPath": "/etc/app.yaml", "subPath": sub_path}
    settings = obj("ConfigMap", "settings", data={"config.yaml": "x"})
    line = "IsADirectoryError: [Errno 21] Is a directory: '/etc/app.yaml'"
    world = _crashed(line, settings, spec={"volumeMounts": [mount]}, volumes=volumes)
    (found,) = explained(world).findings
    assert found.cause == cause
    assert ("Did you mean config.yaml?" in found.message) == (cause == "file-not-in-volume")


@pytest.mark.parametrize(
    ("line", "volume", "cause"),
    [
        ("OSError: [Errno 28] No space left on device: '/scratch/a'", {"medium": "Memory"}, "no-space-left"),
        ("OSError: [Errno 28] No space left on device: '/scratch/a'", {}, "container-crashes"),
        ("could not resize shared memory segment: No space left on device", {}, "no-space-left"),
    ],
)
def test_no_space_left(line: str, volume: dict[str, str], cause: str) -> None:
    mount = {"name": "scratch", "mountPath": "/scratch"}
    volumes = [{"name": "scratch", "emptyDir": volume}]
    assert _roots(_crashed(line, spec={"volumeMounts": [mount]}, volumes=volumes)) == [f"{cause}@Pod/client"]


def test_a_running_program_whose_volume_in_memory_is_full() -> None:
    world = _logging("write error: No space left on device", volumeMounts=[{"name": "s", "mountPath": "/s"}])
    world.objects["Pod"][0].spec["volumes"] = [{"name": "s", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}]
    assert _roots(world) == ["no-space-left@Pod/client"]
    world.logs["client/asks"] += "written\n" * 5
    assert _roots(world) == []


# -- what the cluster does -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "found"), [("0 3 31 2 *", ["cronjob-never-due@CronJob/tick"]), ("0 3 29 2 *", []), ("0 3 1 1 *", [])]
)
def test_a_schedule_that_no_date_fits(schedule: str, found: list[str]) -> None:
    assert _roots(state(obj("CronJob", "tick", age=5, spec={"schedule": schedule}, status={}))) == found


def _recreating(seconds: float, grace: int, strategy: str = "Recreate") -> State:
    """A Deployment whose only Pod has been terminating for some seconds."""
    web = deployment(spec={"strategy": {"type": strategy}}, status={"updatedReplicas": 0, "availableReplicas": 0})
    made = replica_set(web)
    leaving = pod(owner=made, since=900, age=900)
    leaving.raw["metadata"] |= {"deletionTimestamp": ago(seconds - grace), "deletionGracePeriodSeconds": grace}
    return state(node(), web, made, leaving)


def test_a_deployment_that_waits_for_a_terminating_pod() -> None:
    found = explained(_recreating(90, 600))
    assert _roots(found) == ["pod-ends-slowly@Deployment/guestbook"]
    assert "has been terminating for 90 seconds" in found.findings[0].message
    assert _roots(_recreating(20, 600)) == []
    assert _roots(_recreating(90, 600, "RollingUpdate")) == []


def _evicted(number: int, message: str) -> State:
    web = deployment()
    made = replica_set(web)
    gone = [
        pod(f"guestbook-e{n}", owner=made, ready=False, phase="Failed", reason="Evicted", message=message)
        for n in range(number)
    ]
    return state(node(), web, made, pod(owner=made), *gone)


def test_pods_that_are_evicted_again_and_again_for_their_own_limit() -> None:
    own = 'Usage of EmptyDir volume "scratch" exceeds the limit "1Mi". '
    assert _roots(_evicted(3, own)) == ["evicted-again-and-again@Deployment/guestbook"]
    assert _roots(_evicted(1, own)) == []
    assert _roots(_evicted(3, "The node was low on resource: memory. ")) == []


def test_a_registry_that_limits_how_often_it_gives_an_image() -> None:
    error = (
        'Failed to pull image "nginx:1.27": failed to copy: httpReadSeeker: unexpected status code 429 Too Many '
        "Requests - Server message: toomanyrequests: You have reached your pull rate limit."
    )
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "nginx:1.27"'}}
    client = pod("client", ready=False, container_state=waiting, containers=[container(image="nginx:1.27")])
    found = explained(state(node(), client, event(client, "Failed", error)))
    assert _roots(found) == ["image-pull-limited@Pod/client"]
    assert "Registry docker.io" in found.findings[0].message


def test_an_image_whose_user_is_a_word_is_not_said_to_run_as_root() -> None:
    words = "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root"
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": words}}
    (found,) = explained(state(pod(ready=False, container_state=waiting))).findings
    assert found.cause == "image-runs-as-root"
    assert "names its user by a word" in found.message


def test_a_provisioner_that_has_begun_is_not_called_silent() -> None:
    claim = obj("PersistentVolumeClaim", "data", age=60, spec={"storageClassName": "fast"}, status={"phase": "Pending"})
    fast = obj("StorageClass", "fast", namespace="", provisioner="example.org/disk", volumeBindingMode="Immediate")
    assert _roots(state(claim, fast)) == ["provisioner-silent@PersistentVolumeClaim/data"]
    assert _roots(state(claim, fast, event(claim, "Provisioning", "External provisioner is provisioning volume"))) == []


def test_a_port_of_the_nodes_that_only_some_of_them_answer() -> None:
    fields = {"type": "NodePort", "externalTrafficPolicy": "Local"}
    reach = {REACH: {"10.244.1.1:8080": "open"}}
    world = state(node("worker"), node("other"), pod(), service(**fields), slice_of(), observations=reach)
    assert [one.root for one in explained(world).remarks] == ["service-silent-on-nodes@Service/guestbook"]
    alone = state(node("worker"), pod(), service(**fields), slice_of(), observations=reach)
    assert explained(alone).remarks == ()


def _closed(line: str, host: str, *rules: dict[str, Any]) -> State:
    policy = obj("NetworkPolicy", "out", spec={"podSelector": {}, "policyTypes": ["Egress"], "egress": [DNS, *rules]})
    return _logging(line, policy, *_api_server(), env=[{"name": "API_URL", "value": f"https://{host}"}])


DNS = {"ports": [{"port": 53, "protocol": "UDP"}]}


def _api_server() -> list[Object]:
    own = {"ports": [{"name": "https", "port": 443, "targetPort": 6443}], "clusterIP": "10.96.0.1"}
    labels = {"kubernetes.io/service-name": "kubernetes"}
    endpoints = [{"addresses": ["172.18.0.2"], "conditions": {"ready": True}}]
    piece: dict[str, Any] = {"endpoints": endpoints, "ports": [{"name": "https", "port": 6443}]}
    return [
        obj("Service", "kubernetes", namespace="default", spec=own),
        obj("EndpointSlice", "kubernetes", namespace="default", metadata={"labels": labels}, **piece),
    ]


@pytest.mark.parametrize(
    ("host", "line", "rule", "is_closed"),
    [
        ("kubernetes.default", "kubernetes.default: timed out", {}, True),
        ("kubernetes.default", "dial tcp 10.96.0.1:443: i/o timeout", {}, True),
        ("kubernetes.default", "timed out", {"to": [{"ipBlock": {"cidr": "172.18.0.0/16"}}]}, False),
        ("kubernetes.default", "timed out", {"ports": [{"port": 6443}]}, False),
        ("api.example.com", "api.example.com timed out", {}, True),
        ("api.example.com", "api.example.com timed out", {"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}, False),
        ("203.0.113.5", "203.0.113.5 timed out", {}, True),
        ("203.0.113.5", "203.0.113.5 timed out", {"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}, False),
    ],
)
def test_a_policy_that_closes_the_way_out_of_the_cluster(
    host: str, line: str, rule: dict[str, Any], is_closed: bool
) -> None:
    found = _roots(_closed(line, host, *([rule] if rule else [])))
    assert found == (["path-not-allowed@NetworkPolicy/out"] if is_closed else [])


def test_an_autoscaler_whose_pods_have_no_request() -> None:
    words = (
        "the HPA was unable to compute the replica count: failed to get cpu utilization: missing request for cpu in "
    )
    words += "container app of Pod guestbook-abc"
    active = {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": words}
    target = {"kind": "Deployment", "name": "guestbook"}
    scaler = obj("HorizontalPodAutoscaler", "scaler", spec={"scaleTargetRef": target}, status={"conditions": [active]})
    web = deployment()
    made = replica_set(web)
    (found,) = explained(state(node(), web, made, pod(owner=made), scaler)).findings
    assert found.root == "autoscaler-without-request@HorizontalPodAutoscaler/scaler"
    assert "Container app of Deployment guestbook has no request for cpu." in found.message


def test_an_argument_with_a_reference_that_the_kubelet_does_not_replace() -> None:
    env = [{"name": "API_HOST", "value": "orders"}]
    typo = _logging("invalid URL", env=env, command=["ask"], args=["http://$(API_HOTS):80/"])
    (found,) = explained(typo).findings
    assert found.root == "variable-not-replaced@Pod/client"
    assert "has the argument http://$(API_HOTS):80/." in found.message
    assert "Did you mean API_HOST?" in found.message
    told = _logging("getaddrinfo failed", env=env, command=["ask"], args=["http://$(API_HOST):80/"])
    assert _roots(told) == ["name-unknown@Pod/client"]  # what the argument says is known
    shell = _logging("invalid URL", command=["/bin/sh", "-c"], args=["ask $(HOSTNAME)"])
    assert _roots(shell) == []


@pytest.mark.parametrize("env", [[{"name": "PORT", "value": "$(WEB_PORT)"}], []])
def test_a_reference_that_a_program_quotes_as_it_crashes(env: list[dict[str, Any]]) -> None:
    own = {"command": ["serve"], "args": ["--port=$(WEB_PORT)"]}
    world = _crashed("invalid literal for int() with base 10: '$(WEB_PORT)'", env=env, spec=own)
    assert _roots(world) == ["variable-not-replaced@Pod/client"]


def _added(address: str) -> Object:
    endpoints = [{"addresses": [address], "conditions": {"ready": True}}]
    labels = {"kubernetes.io/service-name": "guestbook"}
    return obj("EndpointSlice", "added", metadata={"labels": labels}, endpoints=endpoints)


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("10.244.1.1", []),
        ("10.244.1.2", ["endpoint-of-other-pod@Service/guestbook"]),
        ("10.244.9.9", ["endpoint-address-of-nobody@Service/guestbook"]),
        ("203.0.113.7", []),
    ],
)
def test_an_endpoint_slice_by_hand_beside_those_of_a_selector(address: str, found: list[str]) -> None:
    other = pod("other", labels={"app": "other"}, ip="10.244.1.2")
    reach = {REACH: {"10.244.1.1:8080": "open"}}
    assert _roots(state(pod(), other, service(), slice_of(), _added(address), observations=reach)) == found


@pytest.mark.parametrize(
    ("host", "selector", "found"),
    [
        ("gone", {}, "no-volume-fits@PersistentVolumeClaim/data"),
        ("worker", {"kubernetes.io/hostname": "other"}, "volume-on-other-node@Pod/client"),
        ("worker", {}, ""),
    ],
)
def test_a_volume_by_hand_on_a_node_where_the_pod_cannot_go(host: str, selector: dict[str, str], found: str) -> None:
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [host]}]}
    affinity = {"required": {"nodeSelectorTerms": [term]}}
    of = {"accessModes": ["ReadWriteOnce"], "storageClassName": "local"}
    volume = obj(
        "PersistentVolume", "disk", namespace="", spec={**of, "capacity": {"storage": "1Gi"}, "nodeAffinity": affinity}
    )
    local = obj(
        "StorageClass",
        "local",
        namespace="",
        provisioner="kubernetes.io/no-provisioner",
        volumeBindingMode="WaitForFirstConsumer",
    )
    wanted = {"requests": {"storage": "1Gi"}}
    claim = obj("PersistentVolumeClaim", "data", spec={**of, "resources": wanted}, status={"phase": "Pending"})
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes"}]
    client = pod("client", node="", conditions=conditions)
    client.spec |= {
        "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}],
        "nodeSelector": selector,
    }
    nodes = [node(name, labels={"kubernetes.io/hostname": name}) for name in ("worker", "other")]
    assert _roots(state(*nodes, volume, local, claim, client)) == ([found] if found else [])


SETTINGS = {
    "yaml": "store:\n  host: redsi\n  port: 6379\ncolour: blue\n",
    "flow": "store: {host: redsi, port: 6379}\n",
    "json": '{"store": {"host": "redsi", "port": 6379}}',
    "toml": '[store]\nhost = "redsi"\n',
    "properties": "store.host=redsi\nstore.port=6379\n",
    "env": "REDIS_HOST=redsi\n",
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in SETTINGS.items()])
@pytest.mark.parametrize("line", [UNKNOWN, f"Redis at redsi {UNKNOWN}"])
def test_a_host_in_a_file_of_settings(text: str, line: str) -> None:
    mount = {"name": "settings", "mountPath": "/etc/app"}
    world = _logging(line, obj("ConfigMap", "app", data={"app.conf": text}), *_redis(), volumeMounts=[mount])
    client = next(one for one in world.objects["Pod"] if one.name == "client")
    client.spec["volumes"] = [{"name": "settings", "configMap": {"name": "app"}}]
    (found,) = [one for one in explained(world).findings if one.object == "Pod/client"]
    assert found.cause == "name-unknown"
    world.objects["ConfigMap"][0].raw["data"]["app.conf"] = text + "\nhost: nginx\n"  # one of two
    world.logs["client/asks"] = f"{UNKNOWN}\n" * 4
    assert "name-unknown@Pod/client" not in _roots(State(**vars_of(world)))


def vars_of(world: State) -> dict[str, Any]:
    """The fields of a State, for one that is like it."""
    return {name: getattr(world, name) for name in ("namespace", "now", "objects", "observations", "logs")}


@pytest.mark.parametrize(
    ("which", "host", "network", "cause"),
    [
        ("readiness", "localhost", False, "probe-asks-other-host"),
        ("liveness", "127.0.0.1", False, "probe-asks-other-host"),
        ("readiness", "localhost", True, "readiness-probe-fails"),
        ("readiness", "", False, "readiness-probe-fails"),
    ],
)
def test_a_probe_that_names_a_host(which: str, host: str, network: bool, cause: str) -> None:
    get = {"path": "/", "port": 8080, **({"host": host} if host else {})}
    ended = {"exitCode": 137, "startedAt": ago(120), "finishedAt": ago(70)} if which == "liveness" else None
    client = pod(
        "client",
        ready=False,
        since=300,
        restarts=3 if ended else 0,
        last=ended,
        container_state={"waiting": {"reason": "CrashLoopBackOff"}} if ended else None,
        containers=[container(**{f"{which}Probe": {"httpGet": get}})],
    )
    client.spec["hostNetwork"] = network
    words = f'{which.capitalize()} probe failed: Get "http://{host}:8080/": connect: connection refused'
    assert _roots(state(client, event(client, "Unhealthy", words))) == [f"{cause}@Pod/client"]


def test_a_command_whose_first_word_holds_blanks() -> None:
    words = 'failed to create containerd task: runc create failed: exec: "python3 app.py": executable file not found'
    waiting = {"waiting": {"reason": "RunContainerError", "message": words}}
    broken = pod("client", ready=False, container_state=waiting, containers=[container(command=["python3 app.py"])])
    (found,) = explained(state(broken)).findings
    assert found.cause == "command-not-runnable"
    assert "“python3 app.py”, holds blanks." in found.message


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("[Errno 111] Verbindungsaufbau abgelehnt", "refused"),
        ("Verbindungsaufbau abgelehnt (os error 111)", "refused"),
        ("[Errno -2] Der Name oder der Dienst ist nicht bekannt", "name"),
        ("[Errno 110] Die Wartezeit für die Verbindung ist abgelaufen", "timeout"),
        ("served 111 requests", ""),
    ],
)
def test_complaints_in_another_language_have_their_number(line: str, kind: str) -> None:
    found = complaint_of(line)
    assert (found.kind if found else "") == kind


@pytest.mark.parametrize(("name", "remarks"), [("fronts", 1), ("learn", 0)])
def test_a_rule_for_a_namespace_that_does_not_exist(name: str, remarks: int) -> None:
    item = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
    policy = obj(
        "NetworkPolicy", "in", spec={"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [item]}]}
    )
    world = state(pod(), policy)
    world.objects["Namespace"][0].labels["kubernetes.io/metadata.name"] = "learn"
    assert [one.cause for one in explained(world).remarks] == ["policy-peer-matches-nobody"] * remarks


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("drinks.txt", "ConfigMap menu has the key drinks.txt, and the items of the volume do not list it"),
        ("part-1.txt", "ConfigMap menu puts no such file there"),
    ],
)
def test_a_file_whose_key_the_items_of_a_volume_leave_out(key: str, message: str) -> None:
    items = [{"key": name, "path": name} for name in ("food.txt", "part-2.txt")]
    volumes = [{"name": "menu", "configMap": {"name": "menu", "items": items}}]
    menu = obj("ConfigMap", "menu", data={"food.txt": "soup", "drinks.txt": "tea", "part-2.txt": "x"})
    line = f"FileNotFoundError: [Errno 2] No such file or directory: '/menu/{key}'"
    world = _crashed(line, menu, spec={"volumeMounts": [{"name": "menu", "mountPath": "/menu"}]}, volumes=volumes)
    (found,) = explained(world).findings
    assert (found.cause, message in found.message) == ("file-not-in-volume", True)
    assert "Did you mean" not in found.message  # part-2.txt is another part


@pytest.mark.parametrize("ports", [None, [{"port": 6379}]])
def test_a_headless_service_without_ports_only_holds_a_name(ports: list[dict[str, Any]] | None) -> None:
    spec = {"clusterIP": "None", **({"ports": ports} if ports else {})}
    found = _roots(state(pod(), obj("Service", "leader", spec=spec)))
    assert found == (["service-has-no-selector@Service/leader"] if ports else [])


@pytest.mark.parametrize("label", [{"role": "leader"}, {"app": "till"}])
def test_a_budget_for_a_role_that_a_program_gives_is_as_it_should_be(label: dict[str, str]) -> None:
    spec = {"replicas": 1, "template": {"metadata": {"labels": {"app": "till"}}, "spec": {"containers": [container()]}}}
    till = obj(
        "StatefulSet", "till", spec=spec, status={"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1}
    )
    one = pod("till-0", owner=till, labels={"app": "till", "role": "leader"})
    status = {"observedGeneration": 1, "expectedPods": 1, "desiredHealthy": 1, "currentHealthy": 1}
    selector = {"minAvailable": 1, "selector": {"matchLabels": label}}
    budget = obj("PodDisruptionBudget", "till", spec=selector, status=status)
    assert _roots(state(till, one, budget)) == (
        [] if "role" in label else ["budget-allows-none@PodDisruptionBudget/till"]
    )


def _shelf(replicas: int, strategy: str, *pods: Object, host: str = "shelf-0") -> State:
    spec = {
        "replicas": replicas,
        "serviceName": "shelf",
        "updateStrategy": {"type": strategy},
        "template": {"metadata": {"labels": {"app": "shelf"}}, "spec": {"containers": [container()]}},
    }
    status = {"observedGeneration": 1, "replicas": len(pods), "updatedReplicas": 0, "availableReplicas": len(pods)}
    shelf = obj("StatefulSet", "shelf", spec=spec, status={**status, "updateRevision": "b"})
    for one in pods:
        one.raw["metadata"]["ownerReferences"] = [
            {"kind": "StatefulSet", "name": "shelf", "uid": shelf.uid, "controller": True}
        ]
        one.spec |= {"hostname": one.name, "subdomain": "shelf"}
    service = obj("Service", "shelf", spec={"clusterIP": "None", "selector": {"app": "shelf"}})
    line = f"{host}.shelf: Name or service not known"
    return _logging(line, shelf, service, *pods, env=[{"name": "SHELF_HOST", "value": f"{host}.shelf"}])


def test_a_stateful_set_whose_pods_are_still_to_come_does_not_wait_for_their_deletion() -> None:
    assert _roots(_shelf(1, "OnDelete")) == []
    old = pod("shelf-0", labels={"app": "shelf", "controller-revision-hash": "a"})
    told = explained(_shelf(1, "OnDelete", old))
    assert [one.root for one in told.remarks] == ["rollout-on-delete@StatefulSet/shelf"]


@pytest.mark.parametrize(("host", "found"), [("shelf-0", []), ("shelf-3", ["pod-name-unknown@Pod/client"])])
def test_the_name_of_a_pod_that_is_still_to_come_is_no_unknown_name(host: str, found: list[str]) -> None:
    assert _roots(_shelf(2, "RollingUpdate", host=host)) == found


@pytest.mark.parametrize(("count", "cause"), [(1, "pod-starting"), (4, "pod-stuck-starting")])
def test_a_mount_that_failed_once_is_tried_again(count: int, cause: str) -> None:
    starting = pod("client", ready=False, age=60, container_state={"waiting": {"reason": "ContainerCreating"}})
    failed = event(starting, "FailedMount", "no relationship found between node and this object; unmounted volumes=")
    failed.raw["count"] = count
    found = explained(state(starting, failed))
    assert [one.cause for one in (*found.findings, *found.in_progress)] == [cause]


def test_a_port_that_several_ask_of_a_service_is_one_root() -> None:
    backend = {"service": {"name": "redis", "port": {"number": 80}}}
    door = obj("Ingress", "door", spec={"defaultBackend": backend}, status={"loadBalancer": {"ingress": [{}]}})
    world = _logging("redis:80 timed out", *_redis(), door, env=[{"name": "REDIS_URL", "value": "redis://redis:80"}])
    world.observations[REACH] = {"10.244.1.9:6379": "open"}
    (found,) = explained(world).findings
    assert found.cause == "service-port-unknown"
    assert [one.object for one in found.consequences] == ["Ingress/door"]


@pytest.mark.parametrize(("target", "cause"), [(6380, "target-port-elsewhere@Service/redis"), (6379, "")])
def test_a_target_port_that_the_policies_close_and_no_pod_declares(target: int, cause: str) -> None:
    fields = {"clusterIP": "10.96.0.9", "selector": {"app": "redis"}, "ports": [{"port": 6379, "targetPort": target}]}
    server = pod(
        "redis", labels={"app": "redis"}, ip="10.244.1.9", containers=[container(ports=[{"containerPort": 6379}])]
    )
    allowed = {"from": [{"podSelector": {}}], "ports": [{"port": 6379}]}
    own = {"podSelector": {"matchLabels": {"app": "redis"}}, "policyTypes": ["Ingress"], "ingress": [allowed]}
    others = [server, obj("Service", "redis", spec=fields), slice_of("redis"), obj("NetworkPolicy", "in", spec=own)]
    world = _logging("redis timed out", *others, env=[{"name": "REDIS_HOST", "value": "redis"}])
    world.observations[REACH] = {f"10.244.1.9:{target}": "timeout"}
    assert _roots(world) == ([cause] if cause else [])


def test_a_way_out_that_is_closed_is_told_only_of_what_the_complaint_is_about() -> None:
    world = _closed("timed out", "docs.example.com")
    world.objects["Pod"][0].spec["containers"][0]["env"] += [{"name": "SHOP_URL", "value": "https://shop.example.com"}]
    assert _roots(world) == []
    world.logs["client/asks"] = "shop.example.com: timed out\n" * 4
    assert _roots(State(**vars_of(world))) == ["path-not-allowed@NetworkPolicy/out"]


@pytest.mark.parametrize(
    ("variable", "value", "found"),
    [
        ("REDIS_HOST", "redis:6379", ["variable-not-a-name@Pod/client"]),
        ("REDIS_HOST", "redis://redis:6379", ["variable-not-a-name@Pod/client"]),
        ("REDIS_URL", "redis://redis:6379", []),
        ("REDIS_HOST", "redis", []),
        ("REDIS_HOST", "redis.learn.svc.cluster.locl", ["name-unknown@Pod/client"]),
        ("REDIS_HOST", "redis.learn.svc.cluster", ["name-unknown@Pod/client"]),
        ("REDIS_HOST", "redis.learn.svc", []),
    ],
)
def test_a_name_that_is_nearly_that_of_a_service_which_works(variable: str, value: str, found: list[str]) -> None:
    world = _logging(UNKNOWN, *_redis(), env=[{"name": variable, "value": value}])
    world.observations[REACH] = {"10.244.1.9:6379": "open"}
    assert _roots(world) == found


@pytest.mark.parametrize(
    ("value", "line", "found"),
    [
        ("api", "ValueError: unknown url type: 'api/hostname'", ["variable-is-no-url@Pod/client"]),
        ("http//api", "unknown url type: 'http//api/hostname'", ["variable-is-no-url@Pod/client"]),
        ("api:80", 'Get "api:80/": unsupported protocol scheme "api"', ["variable-is-no-url@Pod/client"]),
        ("http://redis", "Invalid URL given by a customer", []),
    ],
)
def test_a_variable_that_should_be_a_url(value: str, line: str, found: list[str]) -> None:
    assert _roots(_logging(line, *_redis(), env=[{"name": "API_URL", "value": value}])) == found


@pytest.mark.parametrize(("age", "is_told"), [(30, False), (400, True)])
def test_a_pod_that_the_scheduler_will_try_again_as_its_claims_are_bound(age: float, is_told: bool) -> None:
    words = 'persistentvolumeclaim "data" not found'
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}]
    world = state(node(), pod("client", node="", age=age, conditions=conditions))
    assert _roots(world) == (["pod-unschedulable-volume@Pod/client"] if is_told else [])


@pytest.mark.parametrize(("more", "is_told"), [({}, True), ({"nodeTaintsPolicy": "Honor"}, False)])
def test_a_spread_that_counts_a_node_which_takes_no_pods_is_told_with_the_node(
    more: dict[str, str], is_told: bool
) -> None:
    rule = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule", **more}
    filters = "1 node(s) had untolerated taint(s), 1 node(s) didn't match pod topology spread constraints."
    message = f"0/2 nodes are available: {filters}"
    unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    waiting = pod("wide-2", node="", ready=False, conditions=[unplaced])
    waiting.spec["topologySpreadConstraints"] = [{**rule, "labelSelector": {"matchLabels": {"app": "guestbook"}}}]
    front = node("front")
    front.spec["taints"] = [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]
    (found,) = explained(state(pod("wide-1"), waiting, node("worker"), front)).findings
    assert found.cause == "pod-unschedulable-spread"
    assert ("The taints of node front keep the Pod out" in found.message) == is_told
