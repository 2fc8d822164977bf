"""Settings that Kubernetes takes otherwise than they were meant. A setting beside each, which is right, is not told."""

from __future__ import annotations

from typing import Any

import pytest

from checker.diagnosis.explain import explained
from checker.model.state import REACH, Object, State

from .objects import ago, container, event, obj, pod, slice_of, state

CRASHED = {"exitCode": 1, "reason": "Error", "startedAt": ago(52), "finishedAt": ago(50)}


def _found(world: State) -> list[tuple[str, str]]:
    return [(one.root, one.message) for one in explained(world).findings]


def _roots(world: State) -> list[str]:
    return [root for root, _ in _found(world)]


def _ended(log: str, code: int = 1, volumes: list[dict[str, Any]] | None = None, **spec: Any) -> State:
    """A Pod whose container ends again and again with these words."""
    last = {**CRASHED, "exitCode": code}
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    one = pod(
        "web-1", ready=False, restarts=3, last=last, container_state=waiting, containers=[container("app", **spec)]
    )
    one.spec["volumes"] = volumes or []
    return state(one, logs={"web-1/app": log})


def _web() -> list[Object]:
    server = pod("web-1", labels={"app": "web"}, ip="10.244.1.9", containers=[container("app")])
    ports = [{"port": 80, "targetPort": 8080}]
    service = {"clusterIP": "10.96.0.9", "selector": {"app": "web"}, "ports": ports}
    return [server, obj("Service", "web", spec=service), slice_of("web")]


def _asks(line: str, *others: Object, **env: Any) -> State:
    client = pod("client", labels={"app": "client"}, containers=[container("asks", ports=[], **env)])
    reach = {REACH: {"10.244.1.9:8080": "open"}}
    return state(client, *_web(), *others, logs={"client/asks": f"{line}\n" * 4}, observations=reach)


@pytest.mark.parametrize(
    ("port", "found"),
    [("80", ["service-port-unknown@Pod/client"]), ("8080", []), ("81", [])],
)
def test_a_headless_service_translates_no_port(port: str, found: list[str]) -> None:
    spec = {"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    env = [{"name": "WEB_HOST", "value": "pods"}, {"name": "WEB_PORT", "value": port}]
    world = _asks(f"pods:{port}: Connection refused", obj("Service", "pods", spec=spec), slice_of("pods"), env=env)
    assert _roots(world) == found


@pytest.mark.parametrize(("value", "is_told"), [('"web"', True), ("'web'", True), ("web", False)])
def test_quotation_marks_in_a_value_are_told(value: str, is_told: bool) -> None:
    world = _asks(f"cannot reach {value}: Name or service not known", env=[{"name": "WEB_HOST", "value": value}])
    assert ("variable-has-quotes@Pod/client" in _roots(world)) is is_told


@pytest.mark.parametrize(("name", "is_told"), [("d2Vi", True), ("b3RoZXI=", False), ("web", False)])
def test_a_name_in_base64_comes_from_a_secret_that_was_encoded_twice(name: str, is_told: bool) -> None:
    secret = obj("Secret", "target", data={"host": ""})
    env = [{"name": "WEB_HOST", "valueFrom": {"secretKeyRef": {"name": "target", "key": "host"}}}]
    world = _asks(f"cannot reach {name}: Name or service not known", secret, env=env)
    assert ("secret-base64-twice@Secret/target" in _roots(world)) is is_told


@pytest.mark.parametrize("written", ["$PORT", "${PORT}"])
def test_a_variable_as_a_shell_writes_it_is_not_replaced_where_no_shell_runs(written: str) -> None:
    log = f"ValueError: invalid literal for int() with base 10: '{written}'"
    told = _ended(log, command=["serve"], args=[written])
    assert _roots(told) == ["variable-not-replaced@Pod/web-1"]
    assert f"was given {written}. No shell runs there" in _found(told)[0][1]
    in_value = _ended(log, env=[{"name": "LISTEN", "value": written}])
    assert _roots(in_value) == ["variable-not-replaced@Pod/web-1"]
    by_shell = _ended(log, command=["sh", "-c"], args=[written])
    assert _roots(by_shell) == ["container-crashes@Pod/web-1"]


def test_a_variable_of_a_label_that_the_pod_does_not_have_is_empty() -> None:
    def world(label: str) -> State:
        entry = {"name": "RELEASE", "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{label}']"}}}
        return _ended("RELEASE is empty", env=[entry])

    assert _roots(world("app")) == ["container-crashes@Pod/web-1"]  # the Pod has it
    assert _roots(world("ap")) == ["variable-not-set@Pod/web-1"]
    assert "comes from label ap of Pod web-1" in _found(world("ap"))[0][1]
    assert "Did you mean app?" in _found(world("ap"))[0][1]


@pytest.mark.parametrize(
    ("command", "is_told"),
    [
        (["sh", "-c", "python3", "-u", "app.py"], True),
        (["/bin/bash", "-c", "nginx", "-g", "daemon off;"], True),
        (["sh", "-c", "python3 -u app.py", "app"], False),  # the further word is $0
        (["sh", "-c", 'exec "$@"', "sh", "python3"], False),
        (["sh", "-c", "python3"], False),
        (["python3", "-c", "pass", "x"], False),
    ],
)
def test_a_shell_takes_one_word_as_its_script(command: list[str], is_told: bool) -> None:
    assert (_roots(_ended("", code=0, command=command)) == ["shell-takes-one-word@Pod/web-1"]) is is_told


def test_an_empty_volume_hides_the_files_of_the_image() -> None:
    log = "python3: can't open file '/app/app.py': [Errno 2] No such file or directory"
    mounts = [{"name": "data", "mountPath": "/app"}]
    hidden = _ended(log, volumes=[{"name": "data", "emptyDir": {}}], volumeMounts=mounts)
    assert _roots(hidden) == ["volume-hides-files@Pod/web-1"]
    beside = _ended(log, volumes=[{"name": "data", "emptyDir": {}}], volumeMounts=[{"name": "data", "mountPath": "/d"}])
    assert _roots(beside) == ["container-crashes@Pod/web-1"]


@pytest.mark.parametrize(("name", "found"), [("built", "volume-hides-files"), ("site", "container-crashes")])
def test_an_init_container_writes_into_another_volume(name: str, found: str) -> None:
    log = "FileNotFoundError: [Errno 2] No such file or directory: '/site/index.html'"
    volumes = [{"name": "built", "emptyDir": {}}, {"name": "site", "emptyDir": {}}]
    world = _ended(log, volumes=volumes, volumeMounts=[{"name": "site", "mountPath": "/site"}])
    mounts = [{"name": name, "mountPath": "/out"}]
    init = container("build", command=["sh", "-c", "echo > /out/index.html"], volumeMounts=mounts)
    world.objects["Pod"][0].spec["initContainers"] = [init]
    assert _roots(world) == [f"{found}@Pod/web-1"]
    assert ("writes index.html into volume built" in _found(world)[0][1]) is (name == "built")


@pytest.mark.parametrize(("delay", "found"), [(5000, ["probe-asks-late@Pod/web-1"]), (200, [])])
def test_a_probe_that_asks_for_the_first_time_after_an_hour_is_told(delay: int, found: list[str]) -> None:
    probe = {"httpGet": {"path": "/", "port": 8080}, "initialDelaySeconds": delay}
    waits = pod("web-1", ready=False, since=100, containers=[container("app", readinessProbe=probe)])
    assert _roots(state(waits)) == found


@pytest.mark.parametrize(("since", "found"), [(60, ["post-start-hook-fails@Pod/web-1"]), (10, [])])
def test_a_post_start_hook_that_does_not_end_is_told(since: float, found: list[str]) -> None:
    hook = {"postStart": {"exec": {"command": ["sleep", "infinity"]}}}
    waiting = {"waiting": {"reason": "ContainerCreating"}}
    hangs = pod("web-1", ready=False, container_state=waiting, containers=[container("app", lifecycle=hook)])
    started = event(hangs, "Started", "Started container app")
    started.raw["lastTimestamp"] = ago(since)
    assert _roots(state(hangs, started)) == found


@pytest.mark.parametrize(
    ("volume", "security", "form"),
    [
        ({"secret": {"secretName": "keys", "defaultMode": 0o400}}, {"runAsUser": 1000}, "may not read /keys/key.pem"),
        ({"configMap": {"name": "keys", "defaultMode": 400}}, {"runAsUser": 1000}, "sets mode 0620"),  # 400 is no octal
        ({"secret": {"secretName": "keys", "defaultMode": 0o400}}, {"runAsUser": 1, "fsGroup": 2}, "limits its rights"),
        ({"secret": {"secretName": "keys", "defaultMode": 0o444}}, {"runAsUser": 1000}, "limits its rights"),
    ],
)
def test_a_mode_that_keeps_a_containers_user_from_a_file_is_told(
    volume: dict[str, Any], security: dict[str, Any], form: str
) -> None:
    log = "PermissionError: [Errno 13] Permission denied: '/keys/key.pem'"
    mounts = [{"name": "keys", "mountPath": "/keys"}]
    world = _ended(log, volumes=[{"name": "keys", **volume}], volumeMounts=mounts)
    world.objects["Pod"][0].spec["securityContext"] = security
    world.objects["Secret"] = [obj("Secret", "keys", data={"key.pem": ""})]
    world.objects["ConfigMap"] = [obj("ConfigMap", "keys", data={"key.pem": ""})]
    assert _roots(world) == ["container-not-permitted@Pod/web-1"]
    assert form in _found(world)[0][1]
