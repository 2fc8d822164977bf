"""Programs that run, and that another one refuses or that read another setting: the object that explains it."""

from __future__ import annotations

from typing import Any

import pytest

from checker.diagnosis.explain import explained
from checker.diagnosis.rbac import explain_forbidden
from checker.model.state import REACH, Object, State

from .objects import container, deployment, obj, pod, replica_set, service, slice_of, state

READ_ONLY = "session 7 not saved: READONLY You can't write against a read only replica."
FULL = "basket lost: OOM command not allowed when used memory > 'maxmemory'."
NOT_SAVED = (
    "not counted: MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk."
)


def _redis(name: str, role: str, *args: str, **spec: Any) -> list[Object]:
    """A Deployment of one Redis, with its Pod."""
    owner = deployment(name)
    owned = replica_set(owner, f"{name}-abc")
    spec = {"args": list(args), "ports": [{"containerPort": 6379}], **spec}
    one = pod(f"{name}-1", owner=owned, labels={"app": "store", "role": role}, containers=[container("redis", **spec)])
    return [owner, owned, one]


def _client(line: str, *others: Object, logs: dict[str, str] | None = None) -> State:
    asks = container("asks", env=[{"name": "STORE", "value": "store:6379"}], ports=[])
    store = service("store", {"app": "store"}, 6379, 6379, clusterIP="10.96.0.9")
    given = {"client/asks": f"{line}\n" * 4, **(logs or {})}
    return state(pod("client", containers=[asks]), store, slice_of("store"), *others, logs=given, observations=_OPEN)


_OPEN = {REACH: {"10.244.1.1:6379": "open"}}


def _roots(world: State) -> list[str]:
    return [finding.root for finding in explained(world).findings]


def test_a_service_that_sends_writes_to_a_replica_is_named_with_both() -> None:
    world = _client(READ_ONLY, *_redis("primary", "a"), *_redis("copy", "b", "--replicaof", "primary", "6379"))
    (found,) = explained(world).findings
    assert found.root == "writes-to-replica@Service/store"
    assert "Pods of Deployment primary, which take writes" in found.message
    assert "the Pods of Deployment copy" in found.message


def test_a_service_of_replicas_only_is_told_so() -> None:
    world = _client(READ_ONLY, *_redis("copy", "b", "--replicaof", "primary", "6379"))
    (found,) = explained(world).findings
    assert (found.root, "All ready Pods" in found.message) == ("writes-to-replica@Service/store", True)


@pytest.mark.parametrize("args", [(), ("--replicaof no one",)])
def test_a_replica_that_no_command_shows_is_told_as_such(args: tuple[str, ...]) -> None:
    (found,) = explained(_client(READ_ONLY, *_redis("primary", "a", *args))).findings
    assert found.root == "writes-to-replica@Service/store"
    assert "No log and no command there shows a replica" in found.message


_ROLES = "1:{role} 01 Dec 2026 03:11:54.583 * Ready to accept connections tcp\n"


def test_pods_of_one_stateful_set_have_the_roles_that_their_own_logs_tell() -> None:
    script = 'case "$(hostname)" in *-0) redis-server ;; *) redis-server --replicaof store-0.all 6379 ;; esac'
    owner, owned, first = _redis("primary", "a", script)
    second = pod("primary-2", owner=owned, labels=first.labels, containers=first.containers)
    logs = {"primary-1/redis": _ROLES.format(role="M"), "primary-2/redis": _ROLES.format(role="S")}
    (found,) = explained(_client(READ_ONLY, owner, owned, first, second, logs=logs)).findings
    assert found.root == "writes-to-replica@Service/store"
    assert (
        "matches Pod primary-1, which takes writes. It also matches Pod primary-2, which is a replica." in found.message
    )
    assert "replica.." not in found.message
    (found,) = explained(_client(READ_ONLY, owner, owned, first, second)).findings  # without their logs
    assert "the Service matches all Pods of Deployment primary, and their command starts only some" in found.message


def test_a_redis_that_is_full_is_named_with_its_bound() -> None:
    (found,) = explained(_client(FULL, *_redis("primary", "a", "--maxmemory", "4mb"))).findings
    assert found.root == "redis-is-full@Deployment/primary"
    assert "maxmemory 4mb and maxmemory-policy noeviction" in found.message


def _not_saving(why: str, **spec: Any) -> State:
    said = f"Failed opening the temp RDB file temp-9.rdb (in server root dir /srv) for saving: {why}"
    redis = _redis("primary", "a", "--dir", "/srv", **spec)
    return _client(NOT_SAVED, *redis, logs={"primary-1/redis": f"1:M {said}\n"})


def test_a_redis_that_cannot_save_is_told_in_its_own_words() -> None:
    (found,) = explained(_not_saving("No such file or directory")).findings
    assert found.root == "redis-cannot-save@Deployment/primary"
    assert "for saving: No such file or directory" in found.message


def test_a_redis_that_cannot_save_to_its_read_only_root_is_told_of_that() -> None:
    (found,) = explained(
        _not_saving("Read-only file system", securityContext={"readOnlyRootFilesystem": True})
    ).findings
    assert found.root == "file-system-read-only@Deployment/primary"
    assert "cannot write to /srv. It has readOnlyRootFilesystem" in found.message


@pytest.mark.parametrize(
    ("spec", "is_told"),
    [
        ({"hostNetwork": True}, True),
        ({"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}, False),
        ({"dnsPolicy": "Default"}, True),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.53"]}}, True),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.96.0.10"]}}, False),
    ],
)
def test_a_pod_that_runs_and_does_not_ask_the_clusters_dns(spec: dict[str, Any], is_told: bool) -> None:
    dns = obj("Service", "kube-dns", namespace="kube-system", spec={"clusterIP": "10.96.0.10"})
    world = _client("STORE store:6379: [Errno -2] Name or service not known", dns, *_redis("primary", "a"))
    client = world.find("Pod", "client")
    assert client
    client.raw["spec"] |= spec
    assert ("dns-policy-outside@Pod/client" in _roots(world)) is is_told


def _reader(env_from: list[dict[str, Any]], script: str, line: str, **spec: Any) -> State:
    config = obj("ConfigMap", "settings", data={"DB_HOST": "store"})
    given = {"command": ["python3", "-c", script], "envFrom": env_from, "ports": [], **spec}
    client = pod("client", containers=[container("asks", **given)])
    store = service("store", {"app": "store"}, 6379, 6379, clusterIP="10.96.0.9")
    logs = {"client/asks": f"{line}\n" * 4}
    others = [store, slice_of("store"), *_redis("primary", "a")]
    return state(client, config, *others, logs=logs, observations=_OPEN)


_LOCAL = "no store at localhost:6379: [Errno 111] Connection refused"


def test_a_variable_with_a_prefix_that_the_program_does_not_read_is_told() -> None:
    env_from = [{"prefix": "APP_", "configMapRef": {"name": "settings"}}]
    script = 'import os; host = os.environ.get("DB_HOST", "localhost")'
    (found,) = explained(_reader(env_from, script, _LOCAL)).findings
    assert found.root == "variable-not-set@Pod/client"
    assert "in variable APP_DB_HOST, because envFrom puts the prefix APP_" in found.message


def test_a_program_that_has_its_variable_is_told_of_localhost_only() -> None:
    env_from = [{"configMapRef": {"name": "settings"}}]
    script = 'import os; host = os.environ.get("DB_HOST", "localhost")'
    assert _roots(_reader(env_from, script, _LOCAL)) == ["localhost-is-the-pod@Pod/client"]


def test_a_file_under_another_name_is_told_where_a_program_falls_back_to_localhost() -> None:
    line = "no settings: [Errno 2] No such file or directory: '/etc/app/app.yaml'\n" + _LOCAL
    world = _reader([], "", line, volumeMounts=[{"name": "config", "mountPath": "/etc/app"}])
    client, config = world.find("Pod", "client"), world.find("ConfigMap", "settings")
    assert client
    assert config
    client.raw["spec"]["volumes"] = [{"name": "config", "configMap": {"name": "settings"}}]
    config.raw["data"] = {"app.yml": "a"}
    (found,) = explained(world).findings
    assert (found.root, "Did you mean app.yml?" in found.message) == ("file-not-in-volume@Pod/client", True)


def _crashing(line: str, *others: Object) -> State:
    mounts = [{"name": "data", "mountPath": "/data"}]
    ended = {"exitCode": 1, "reason": "Error", "finishedAt": "2026-01-01T11:59:30Z"}
    one = pod(
        "one",
        ready=False,
        restarts=4,
        containers=[container(volumeMounts=mounts)],
        container_state={"waiting": {"reason": "CrashLoopBackOff"}},
        last=ended,
    )
    one.raw["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "books"}}]
    claim = obj("PersistentVolumeClaim", "books", spec={"volumeName": "v"}, status={"phase": "Bound"})
    return state(one, claim, *others, logs={"one/app": f"starting\n{line}\n"})


def test_a_lock_file_on_a_claim_is_told_with_both_possible_reasons() -> None:
    line = "FATAL: lock file /data/app.lock already exists: is another process running?"
    (found,) = explained(_crashing(line)).findings
    assert found.root == "lock-on-volume@Pod/one"
    assert "A run that was killed may have left the file." in found.message
    other = pod("two", containers=[container(volumeMounts=[{"name": "data", "mountPath": "/data"}])])
    other.raw["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "books"}}]
    (found,) = explained(_crashing(line, other)).findings
    assert (found.root, "two runs and mounts the same claim" in found.message) == ("lock-on-volume@Pod/one", True)


def test_a_lock_outside_of_every_volume_is_told_as_a_crash() -> None:
    assert _roots(_crashing("FATAL: lock file /run/app.lock already exists")) == ["container-crashes@Pod/one"]


def test_a_port_that_the_pod_declares_for_udp_only_is_told_of_the_service() -> None:
    sink = pod(
        "sink", labels={"app": "sink"}, containers=[container(ports=[{"containerPort": 8125, "protocol": "UDP"}])]
    )
    to_sink = service("sink", {"app": "sink"}, 8125, 8125)
    world = state(sink, to_sink, slice_of("sink"), observations={REACH: {"10.244.1.1:8125": "refused"}})
    assert _roots(world) == ["service-protocol-other@Service/sink"]


def _forbidden(rules: list[dict[str, Any]], subject: dict[str, str]) -> State:
    binding = obj(
        "RoleBinding", "b", roleRef={"kind": "Role", "name": "r"}, subjects=[{"kind": "ServiceAccount"} | subject]
    )
    return state(obj("Role", "r", rules=rules), binding, obj("ServiceAccount", "sa"), pod("client"))


_REFUSED = (
    'leases.coordination.k8s.io is forbidden: User "system:serviceaccount:learn:sa" cannot create resource "leases" '
    'in API group "coordination.k8s.io" in the namespace "learn"'
)


@pytest.mark.parametrize(
    ("rules", "subject", "cause"),
    [
        ([{"apiGroups": [""], "resources": ["leases"], "verbs": ["create"]}], {"name": "sa"}, "rbac-other-group"),
        ([{"apiGroups": ["*"], "resources": ["leases"], "verbs": ["get"]}], {"name": "sa"}, "rbac-forbidden"),
        ([{"apiGroups": [""], "resources": ["leases"], "verbs": ["get"]}], {"name": "sa"}, "rbac-forbidden"),
        ([], {"name": "sa", "namespace": "default"}, "binding-subject-elsewhere"),
        ([], {"name": "other", "namespace": "default"}, "rbac-forbidden"),
    ],
)
def test_why_a_request_is_refused(rules: list[dict[str, Any]], subject: dict[str, str], cause: str) -> None:
    world = _forbidden(rules, subject)
    client = world.find("Pod", "client")
    assert client
    found = explain_forbidden(world, client, _REFUSED)
    assert found
    assert (found.fault.cause, bool(found.fault.words().message)) == (cause, True)


def test_a_pod_that_runs_without_the_token_that_it_reads() -> None:
    account = obj("ServiceAccount", "watch", automountServiceAccountToken=False)
    one = pod("watch")
    one.raw["spec"]["serviceAccountName"] = "watch"
    said = "[Errno 2] No such file or directory: '/var/run/secrets/kubernetes.io/serviceaccount/token'\n"
    assert _roots(state(one, account, logs={"watch/app": said * 3})) == ["token-not-mounted@Pod/watch"]
    assert _roots(state(one, account, logs={"watch/app": said + "goes on without a cluster\n"})) == []


def test_an_autoscaler_that_measures_a_container_which_is_not_there() -> None:
    message = "failed to get cpu utilization: container web not present in metrics for pod learn/guestbook-1"
    metric = {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "web"}}
    scaler = obj(
        "HorizontalPodAutoscaler",
        "scaler",
        spec={"scaleTargetRef": {"kind": "Deployment", "name": "guestbook"}, "metrics": [metric]},
        status={
            "conditions": [
                {
                    "type": "ScalingActive",
                    "status": "False",
                    "reason": "FailedGetContainerResourceMetric",
                    "message": message,
                }
            ]
        },
    )
    owner = deployment()
    owned = replica_set(owner)
    (found,) = explained(state(owner, owned, pod(owner=owned), scaler)).findings
    assert found.root == "autoscaler-container-unknown@HorizontalPodAutoscaler/scaler"
    assert "Their containers: app." in found.message


@pytest.mark.parametrize(
    ("service_age", "links", "told"),
    [(60, None, "older than the Service"), (600, None, ""), (600, False, "enableServiceLinks: false")],
)
def test_a_variable_of_a_service_that_the_container_does_not_have(service_age: float, links: Any, told: str) -> None:
    reader = pod("reader", since=300)
    reader.raw["spec"] |= {} if links is None else {"enableServiceLinks": links}
    travel = obj(
        "Service",
        "travel",
        age=service_age,
        spec={"clusterIP": "10.96.0.9", "selector": {"app": "t"}, "ports": [{"port": 80}]},
    )
    said = "travel: TRAVEL_SERVICE_HOST is not set\n"
    world = state(reader, travel, pod("t", labels={"app": "t"}), slice_of("travel"), logs={"reader/app": said * 3})
    found = [one for one in explained(world).findings if one.cause == "variable-not-set"]
    assert [told in one.message for one in found] == ([True] if told else [])


_WRITES = "report not saved: [Errno 30] Read-only file system: '/var/cache/report.pdf'"


@pytest.mark.parametrize(
    ("line", "spec", "told"),
    [
        (
            _WRITES,
            {"securityContext": {"readOnlyRootFilesystem": True}},
            "It has readOnlyRootFilesystem, and no volume",
        ),
        (
            _WRITES,
            {"volumeMounts": [{"name": "cache", "mountPath": "/var/cache", "readOnly": True}]},
            "Volume cache is mounted read-only at /var/cache.",
        ),
        (_WRITES, {"volumeMounts": [{"name": "cache", "mountPath": "/var/cache"}]}, ""),
        ("[Errno 13] Permission denied: '/srv/x'", {"securityContext": {"runAsUser": 1000}}, "(runAsUser=1000)"),
        ("[Errno 13] Permission denied: '/srv/x'", {}, ""),
        ("item 88: permission denied for minors", {"securityContext": {"runAsUser": 1000}}, ""),
        ("GET /admin permission denied for user 7", {"securityContext": {"runAsUser": 1000}}, ""),
    ],
)
def test_a_program_that_runs_on_and_may_not_write(line: str, spec: dict[str, Any], told: str) -> None:
    one = pod("writer", containers=[container(**spec)])
    found = explained(state(one, logs={"writer/app": f"{line}\n" * 4})).findings
    assert [told in finding.message for finding in found] == ([True] if told else [])


def _shop(*lines: str, app: str = "search") -> State:
    """A Service before the Pods of two Deployments, of which the second one logs these lines."""
    pods: list[Object] = []
    for name, label in (("pricing", "pricing"), ("canary", app)):
        owner = deployment(name)
        owned = replica_set(owner, f"{name}-abc")
        pods += [owner, owned, pod(f"{name}-1", owner=owned, labels={"app": label, "tier": "pricing"})]
    known = '10.244.1.42 - - [01/Dec/2026 03:12:11] "GET /price HTTP/1.1" 200 -\n'
    logs = {"pricing-1/app": known * 2, "canary-1/app": "\n".join(lines)}
    behind = service("pricing", {"tier": "pricing"})
    reach = {REACH: {"10.244.1.1:8080": "open"}}
    return state(*pods, behind, slice_of("pricing"), logs=logs, observations=reach)


def test_a_service_before_two_apps_is_told_by_what_they_answer() -> None:
    (found,) = explained(_shop("GET /price 404", "GET /price 404")).findings
    assert found.root == "service-selects-other-pods@Service/pricing"
    assert "Deployment pricing answers requests for /price, and Deployment canary answers them with status 404" in (
        found.message
    )


@pytest.mark.parametrize(
    "world",
    [
        _shop("GET /price 404"),  # once
        _shop("GET /price 404", "GET /price 404", app="pricing"),  # two releases of one app
        _shop("GET /price 404", "GET /price 404", app="pricing-v2"),
        _shop("GET /price 200", "GET /price 404", "GET /price 404"),
        _shop("GET /other 404", "GET /other 404"),
        _shop("GET /price 503", "GET /price 503"),
    ],
)
def test_pods_that_answer_differently_are_not_surely_two_apps(world: State) -> None:
    assert _roots(world) == []


def _board(log: str, redis: str = "redsi") -> State:
    """A server whose log shows its requests, and that is configured with a Redis."""
    web = container("web", env=[{"name": "REDIS_HOST", "value": redis}], ports=[])
    kept = service("redis", {"app": "redis"}, 6379, 6379, clusterIP="10.96.0.9")
    behind = pod("redis", labels={"app": "redis"}, ip="10.244.1.9", containers=[container("redis", ports=[])])
    reach = {REACH: {"10.244.1.9:6379": "open"}}
    return state(
        pod("board", containers=[web]), kept, behind, slice_of("redis"), logs={"board/web": log}, observations=reach
    )


def test_a_server_that_answers_with_errors_is_looked_at_by_what_it_is_configured_with() -> None:
    (found,) = explained(_board("GET /hostname 200\nGET /entries 503\nGET /entries 503\n")).findings
    assert found.root == "name-unknown@Pod/board"
    assert "Container web of Pod board answers requests for /entries with status 503." in found.message


@pytest.mark.parametrize(
    "world",
    [
        _board("GET /entries 503\nGET /entries 503\n", "redis"),
        _board("GET /entries 503\nGET /entries 503\nGET /entries 200\n"),
        _board("GET /entries 503\n"),
        _board("GET /entries 404\nGET /entries 404\n"),
        _board("GET /entries 503\nGET /entries 503\n", "localhost"),
    ],
)
def test_a_server_that_works_again_or_whose_hosts_work_has_no_fault(world: State) -> None:
    assert _roots(world) == []


def _two_ports(log: str, name: str = "http") -> State:
    declared = [("app", "http", 8080), ("numbers", "metrics", 9090)]
    containers = [container(one, ports=[{"name": port, "containerPort": number}]) for one, port, number in declared]
    behind = service("board", {"app": "board"}, 80, "metrics")
    behind.spec["ports"][0]["name"] = name
    one = pod("board", labels={"app": "board"}, containers=containers)
    reach = {REACH: {"10.244.1.1:9090": "open", "10.244.1.1:8080": "open"}}
    return state(one, behind, slice_of("board"), logs={"board/numbers": log}, observations=reach)


def test_a_port_of_a_service_that_leads_to_another_container_is_told_with_both() -> None:
    (found,) = explained(_two_ports("GET /entries 404\nGET /entries 404\n")).findings
    assert found.root == "target-port-of-other-container@Service/board"
    assert "That is the port of container numbers of Pod board" in found.message
    assert found.expected == "targetPort: 8080"


@pytest.mark.parametrize(
    "world",
    [
        _two_ports("GET /entries 200\nGET /entries 200\n"),
        _two_ports("GET /entries 404\nGET /entries 404\n", "metrics"),
        _two_ports("GET /entries 404\nGET /entries 404\n", "proxied"),
        _two_ports(""),
    ],
)
def test_a_port_of_a_service_that_leads_to_a_proxy_is_no_fault(world: State) -> None:
    assert _roots(world) == []
