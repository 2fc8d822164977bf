"""A Pod's configuration: a small world for every way in which it can be missing; and where values come from."""

from __future__ import annotations

import base64
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from checker import recording
from checker.diagnosis.configuration import (
    optional_and_missing,
    source_of_file,
    source_of_variable,
    volume_references,
)
from checker.grading.grade import judge
from checker.grading.labs import load_lab, load_module
from checker.grading.timeline import Timeline
from checker.model.state import Object
from checker.model.verdict import NotPassed, Unknown
from checker.sdk import State
from cluster import observer

from .objects import container, event, obj, pod, state

PROGRAMS = load_lab("11").folder / "programs"
compare_secrets = load_module(PROGRAMS, "compare_secrets")

settings = obj("ConfigMap", "settings", data={"greeting": "hello", "app.ini": "x"})
login = obj("Secret", "login", data={"password": ""})
CREATING = {"waiting": {"reason": "ContainerCreating"}}


def config_error(message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": "CreateContainerConfigError", "message": message}}


def variable(kind: str, name: str, key: str, name_within: str = "GREETING", **more: Any) -> dict[str, Any]:
    return {"name": name_within, "valueFrom": {f"{kind}KeyRef": {"name": name, "key": key, **more}}}


def with_variables(*env: dict[str, Any], message: str = "", **spec: Any) -> Object:
    return pod(ready=False, containers=[container(env=list(env), **spec)], container_state=config_error(message))


def with_volumes(*volumes: dict[str, Any], mounts: list[dict[str, Any]] | None = None, **more: Any) -> Object:
    found = pod(ready=False, containers=[container(volumeMounts=mounts or [])], container_state=CREATING, **more)
    found.spec["volumes"] = list(volumes)
    return found


def config_map(name: str = "settings", **more: Any) -> dict[str, Any]:
    return {"name": "v", "configMap": {"name": name, **more}}


def item(key: str, path: str = "f") -> list[dict[str, str]]:
    return [{"key": key, "path": path}]


def with_event(broken: Object, message: str, *objects: Object) -> State:
    return state(broken, event(broken, "FailedMount", message), *objects)


def in_init_container() -> Object:
    found = pod(ready=False, container_state={"waiting": {"reason": "PodInitializing"}})
    found.spec["initContainers"] = [container("prepare", env=[variable("secret", "logon", "password")])]
    found.status["initContainerStatuses"] = [{"name": "prepare", "ready": False, "state": config_error()}]
    return found


def crash(log: str, mount: dict[str, Any], volume: dict[str, Any]) -> State:
    ended = {"exitCode": 2, "reason": "Error"}
    found = pod(
        ready=False,
        containers=[container(volumeMounts=[mount])],
        last=ended,
        restarts=2,
        container_state={"waiting": {"reason": "CrashLoopBackOff"}},
    )
    found.spec["volumes"] = [volume]
    return state(found, settings, logs={"guestbook-1/app": log})


NO_APP = "python3: can't open file '/app/app.py': [Errno 2] No such file or directory"
MOUNT = {"name": "v", "mountPath": "/app"}
NOT_LISTED = {"unlisted": {"Secret": "forbidden"}}

WORLDS: dict[str, tuple[str, bool, Callable[[], State]]] = {
    "a variable's ConfigMap is missing": (
        "config-object-missing",
        False,
        lambda: state(with_variables(variable("configMap", "setings", "greeting")), settings),
    ),
    "a variable's key is missing": (
        "config-key-missing",
        False,
        lambda: state(with_variables(variable("configMap", "settings", "greting")), settings),
    ),
    "all variables of a Secret that is missing": (
        "config-object-missing",
        False,
        lambda: state(with_variables(envFrom=[{"secretRef": {"name": "logon"}}]), login),
    ),
    "a ConfigMap is asked for, and is a Secret": (
        "config-kind-mixed-up",
        False,
        lambda: state(with_variables(variable("configMap", "login", "password")), login),
    ),
    "an init container's Secret is missing": (
        "config-object-missing",
        False,
        lambda: state(in_init_container(), login),
    ),
    "only an optional one is missing": (
        "image-runs-as-root",
        False,
        lambda: state(
            with_variables(variable("configMap", "no", "x", optional=True), message="runAsNonRoot"), settings
        ),
    ),
    "it came a moment ago": (
        "pod-starting",
        True,
        lambda: state(
            with_variables(variable("configMap", "settings", "greeting"), message='configmap "settings" not found'),
            settings,
        ),
    ),
    "its key came a moment ago": (
        "pod-starting",
        True,
        lambda: state(
            with_variables(
                variable("configMap", "settings", "greeting"),
                message="couldn't find key greeting in ConfigMap learn/settings",
            ),
            settings,
        ),
    ),
    "Secrets may not be listed: no object": (
        "config-object-missing",
        False,
        lambda: state(
            with_variables(variable("secret", "logon", "x"), message='secret "logon" not found'), **NOT_LISTED
        ),
    ),
    "Secrets may not be listed: no key": (
        "config-key-missing",
        False,
        lambda: state(
            with_variables(variable("secret", "login", "x"), message="couldn't find key x in Secret learn/login"),
            **NOT_LISTED,
        ),
    ),
    "a volume's ConfigMap is missing": (
        "volume-source-missing",
        False,
        lambda: state(with_volumes(config_map("setings")), settings),
    ),
    "a volume's Secret is missing": (
        "volume-source-missing",
        False,
        lambda: state(with_volumes({"name": "v", "secret": {"secretName": "logon"}}), login),
    ),
    "a volume's key is missing": (
        "volume-key-missing",
        False,
        lambda: state(with_volumes(config_map(items=item("greting"))), settings),
    ),
    "a projected volume's Secret is missing": (
        "volume-source-missing",
        False,
        lambda: state(
            with_volumes(
                {
                    "name": "v",
                    "projected": {"sources": [{"configMap": {"name": "settings"}}, {"secret": {"name": "logon"}}]},
                }
            ),
            settings,
            login,
        ),
    ),
    "a projected volume's key is missing": (
        "volume-key-missing",
        False,
        lambda: state(
            with_volumes(
                {"name": "v", "projected": {"sources": [{"secret": {"name": "login", "items": item("pass")}}]}}
            ),
            login,
        ),
    ),
    "a volume asks for a Secret that is a ConfigMap": (
        "config-kind-mixed-up",
        False,
        lambda: state(with_volumes({"name": "v", "secret": {"secretName": "settings"}}), settings),
    ),
    "a volume's optional ConfigMap is missing": (
        "pod-starting",
        True,
        lambda: state(with_volumes(config_map("no", optional=True))),
    ),
    "a volume's ConfigMap came a moment ago": (
        "pod-starting",
        True,
        lambda: with_event(
            with_volumes(config_map()),
            'MountVolume.SetUp failed for volume "v" : configmap "settings" not found',
            settings,
        ),
    ),
    "a volume's key came a moment ago": (
        "pod-starting",
        True,
        lambda: with_event(
            with_volumes(config_map(items=item("greeting"))),
            'MountVolume.SetUp failed for volume "v" : configmap references non-existent config key: greeting',
            settings,
        ),
    ),
    "Secrets may not be listed: no volume": (
        "volume-source-missing",
        False,
        lambda: (
            lambda p: state(
                p,
                event(p, "FailedMount", 'MountVolume.SetUp failed for volume "v" : secret "logon" not found'),
                **NOT_LISTED,
            )
        )(with_volumes({"name": "v", "secret": {"secretName": "logon"}})),
    ),
    "Secrets may not be listed: no key of a volume": (
        "volume-key-missing",
        False,
        lambda: (
            lambda p: state(
                p,
                event(
                    p,
                    "FailedMount",
                    'MountVolume.SetUp failed for volume "v" : references non-existent secret key: passwort',
                ),
                **NOT_LISTED,
            )
        )(with_volumes({"name": "v", "secret": {"secretName": "login", "items": item("passwort")}})),
    ),
    "the node cannot mount it": (
        "mount-fails",
        False,
        lambda: with_event(
            with_volumes({"name": "v", "hostPath": {"path": "/x", "type": "Directory"}}),
            'MountVolume.SetUp failed for volume "v" : hostPath type check failed: /x is not a directory',
        ),
    ),
    "the node could not mount it so far": (
        "mount-fails",
        True,
        lambda: with_event(
            with_volumes({"name": "v", "hostPath": {"path": "/x", "type": "Directory"}}, age=5),
            'MountVolume.SetUp failed for volume "v" : hostPath type check failed: /x is not a directory',
        ),
    ),
    "the cluster's own volume is on its way": (
        "pod-starting",
        True,
        lambda: with_event(
            with_volumes(),
            'MountVolume.SetUp failed for volume "kube-api-access-abcde" : configmap "kube-root-ca.crt" not found',
        ),
    ),
    "a mount hides the app": ("file-not-in-volume", False, lambda: crash(NO_APP, MOUNT, config_map())),
    "a file is not among the keys": (
        "file-not-in-volume",
        False,
        lambda: crash(
            "Fatal error, can't open config file '/app/ap.ini': No such file or directory", MOUNT, config_map()
        ),
    ),
    "a file is missing where nothing is mounted": (
        "container-crashes",
        False,
        lambda: crash(NO_APP, {**MOUNT, "mountPath": "/etc/app"}, config_map()),
    ),
    "a file is missing in an empty volume": (
        "volume-hides-files",
        False,
        lambda: crash(NO_APP, MOUNT, {"name": "v", "emptyDir": {}}),
    ),
    "it crashes over something else": (
        "container-crashes",
        False,
        lambda: crash("/app/app.py: syntax error", MOUNT, config_map()),
    ),
}


def fault(world: State) -> NotPassed:
    with pytest.raises(NotPassed) as end:
        world.require_working(world.require("Pod", "guestbook-1"))
    return end.value


@pytest.mark.parametrize("cause, pending, world", WORLDS.values(), ids=list(WORLDS))
def test_configuration_chain(cause: str, pending: bool, world: Callable[[], State]) -> None:
    end = fault(world())
    assert (end.cause, end.in_progress) == (cause, pending)
    assert end.message


def test_a_fault_of_configuration_shows_what_is_nearly_right() -> None:
    assert "Did you mean settings?" in fault(state(with_volumes(config_map("setings")), settings)).message
    end = fault(state(with_variables(variable("configMap", "settings", "greting")), settings))
    assert (end.facts["near"], end.facts["keys"]) == ("greeting", ["app.ini", "greeting"])
    elsewhere = obj("ConfigMap", "common", namespace="other", data={})
    assert "in namespace other." in fault(state(with_volumes(config_map("common")), elsewhere)).message
    hidden = fault(crash(NO_APP, MOUNT, config_map()))
    assert (hidden.facts["path"], hidden.facts["files"]) == ("/app/app.py", ("app.ini", "greeting"))
    assert "Did you mean app.ini?" in fault(crash("cannot open '/app/ap.ini'", MOUNT, config_map())).message


def test_what_may_not_be_listed_is_unknown_and_no_fault() -> None:
    secret = with_volumes({"name": "v", "secret": {"secretName": "login"}})
    assert fault(state(secret, **NOT_LISTED)).cause == "pod-starting"
    with pytest.raises(Unknown):
        optional_and_missing(
            state(secret, **NOT_LISTED), secret, container(env=[variable("secret", "a", "b", optional=True)])
        )


def test_optional_and_missing_names_what_nobody_complains_about() -> None:
    app = container(env=[variable("configMap", "settings", "greting", optional=True)], volumeMounts=[MOUNT])
    lenient = pod(containers=[app])
    lenient.spec["volumes"] = [
        config_map("setings", optional=True),
        {"name": "w", "secret": {"secretName": "no", "optional": True}},
    ]
    faults = optional_and_missing(state(lenient, settings), lenient, app)
    assert [end.cause for end in faults] == ["optional-hides-missing"] * 2
    assert "key greting" in faults[0].message and "optional" in faults[0].message
    assert "ConfigMap setings" in faults[1].message


def where(path: str, mount: dict[str, Any], *volumes: dict[str, Any]) -> tuple[str, str, str | None] | None:
    app = container(volumeMounts=[{"name": "v", **mount}])
    found = pod(containers=[app])
    found.spec["volumes"] = list(volumes)
    source = source_of_file(state(found, settings, login), found, app, path)
    return (source.kind, source.name, source.key) if source else None


def test_a_file_is_followed_to_its_key() -> None:
    etc, greeting = {"mountPath": "/etc/app/"}, ("ConfigMap", "settings", "greeting")
    assert where("/etc/app/greeting", etc, config_map()) == greeting
    assert where("/etc/app/..data/greeting", etc, config_map()) == greeting
    assert where("/etc/app/../app//greeting", etc, config_map()) == greeting
    assert where("/etc/app/a/b", etc, config_map(items=item("greeting", "a/b"))) == greeting
    assert where("/etc/app/greeting", etc, config_map(items=item("greeting", "a/b"))) == ("ConfigMap", "settings", None)
    assert where("/etc/hello", {"mountPath": "/etc/hello", "subPath": "greeting"}, config_map()) == greeting
    assert where("/etc/hello", {"mountPath": "/etc/hello", "subPath": "greting"}, config_map()) == (
        "ConfigMap",
        "settings",
        None,
    )
    assert where("/etc/application/greeting", etc, config_map()) is None
    assert where("/etc/app/greeting", etc, {"name": "v", "emptyDir": {}}) == ("", "", None)
    both = {
        "name": "v",
        "projected": {"sources": [{"configMap": {"name": "settings"}}, {"secret": {"name": "login"}}]},
    }
    assert where("/etc/app/greeting", etc, both) == greeting
    assert where("/etc/app/password", etc, both) == ("Secret", "login", "password")
    assert [(r.kind, r.name) for r in volume_references(both)] == [("ConfigMap", "settings"), ("Secret", "login")]


def test_a_variable_is_followed_to_its_key() -> None:
    def source(name: str, **spec: Any) -> tuple[str, str, str | None] | None:
        app = container(**spec)
        found = pod(containers=[app])
        there = source_of_variable(state(found, settings, login), found, app, name)
        return (there.kind, there.name, there.key) if there else None

    single = [variable("secret", "login", "password", "WORD")]
    assert source("WORD", env=single) == ("Secret", "login", "password")
    assert source("WORD", env=[*single, {"name": "WORD", "value": "x"}]) == ("", "", None)
    assert source("WORD", env=[variable("secret", "login", "no", "WORD")]) == ("Secret", "login", None)
    assert source("WORD", env=[variable("secret", "login", "no", "WORD", optional=True)]) is None
    assert source("greeting", envFrom=[{"configMapRef": {"name": "settings"}}]) == ("ConfigMap", "settings", "greeting")
    assert source("A_greeting", envFrom=[{"prefix": "A_", "configMapRef": {"name": "settings"}}]) == (
        "ConfigMap",
        "settings",
        "greeting",
    )
    assert source("other", envFrom=[{"configMapRef": {"name": "settings"}}]) is None


def test_comparing_says_how_a_value_is_like_another() -> None:
    word, once = b"open-sesame", base64.b64encode(b"open-sesame")
    assert compare_secrets.compare(word, word) == "equal"
    assert compare_secrets.compare(word + b"\n", word) == "blank"
    assert compare_secrets.compare(once, word) == compare_secrets.compare(base64.b64encode(once), word) == "encoded"
    assert compare_secrets.compare(base64.b64encode(word + b"\n") + b"\n", word) == "encoded"
    assert compare_secrets.compare(b"", word) == compare_secrets.compare(b"open sesame", word) == "other"


def test_comparing_lets_no_value_out(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"tell-nobody\n")
    questions = {
        "variable": {"variable": "WORD", "expected": "tell-nobody"},
        "file": {"file": str(file), "expected": "tell-nobody"},
        "gone": {"file": str(tmp_path / "no"), "expected": "x"},
        "unset": {"variable": "NO_SUCH_WORD", "expected": "x"},
    }
    done = subprocess.run(
        [sys.executable, "-c", (PROGRAMS / "compare_secrets.py").read_text(), json.dumps(questions)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "WORD": "tell-nobody"},
    )
    assert "tell-nobody" not in done.stdout
    assert json.loads(done.stdout) == {
        "variable": {"there": True, "length": 11, "is": "equal"},
        "file": {"there": True, "length": 12, "is": "blank"},
        "gone": {"there": False},
        "unset": {"there": False},
    }


# -- lab 11: a change that the same Pod took up ----------------------------------------------------------------------

FOLLOWS = load_module(load_lab("11").folder, "follows")


def test_a_timeline_without_the_answers_first_lines_is_unknown() -> None:
    lab = load_lab("11")
    seen, _ = recording.load(lab.folder / "recorded" / "solution.json")
    key = next(key for key in seen.observations if key.startswith("Traffic"))
    del seen.observations[key]["said"]
    verdicts = {task.verdict: task.cause for task in judge(lab, seen).tasks}
    assert set(verdicts) == {"passed", "unknown"} and verdicts["unknown"] != "checker-crashed"


def follows(*runs: tuple[float, float, str], restarts: Sequence[tuple[float, int]] = ()) -> bool:
    """Whether lab 11 says that a Pod followed to “new”. runs: its answers; restarts: times of container restarts."""
    pod = {"name": "a", "changes": [[0.0, True, 0], *([at, True, count] for at, count in restarts)]}
    seen = {"since": 0.0, "until": 100.0, "sent": 9, "said": {"a": [list(run) for run in runs]}, "pods": {"uid": pod}}
    return FOLLOWS.followed(timeline := Timeline(seen), "a", timeline.first_lines()["a"], "new")


def test_a_pod_follows_when_it_says_another_thing_than_before_without_a_restart() -> None:
    assert follows((0, 20, "old"), (21, 40, "new"))
    assert not follows((0, 40, "new"))  # a new Pod, which never said anything else
    assert not follows((0, 20, "old"), (21, 22, "new"))  # not for long enough yet
    assert not follows((0, 20, "new"), (21, 40, "old"))
    assert not follows((0, 20, "old"), (21, 40, "new"), restarts=[(24, 1)])
    assert follows((0, 20, "old"), (21, 40, "new"), restarts=[(90, 1)])


def test_the_observer_keeps_what_each_pod_says_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two Pods by turns, one of them late: a Pod that always said the same did not follow."""
    monkeypatch.syspath_prepend(str(Path(observer.__file__).parent))
    server = importlib.import_module("server")
    monkeypatch.setattr(server.threading.Thread, "start", lambda self: None)
    stream = server.Timeline("http://guestbook.learn/", "learn")
    for now, host, text in [
        (1, "a", "old"),
        (2, "b", "new"),
        (2.1, "a", "old"),
        (3, "b", "new"),
        (2.9, "a", "old"),
        (9, "b", "new"),
    ]:
        stream.note_answer(
            now, {"status": 200, "host": host, "version": "v1", "text": f"{text}\nI am {host}.", "error": ""}
        )
    stream.note_answer(1.5, {"status": 200, "host": "a", "version": "v1", "text": "late", "error": ""})
    assert stream.seen()["said"] == {"a": [[1, 2.9, "old"]], "b": [[2, 9, "new"]]}


def test_which_file_is_read_is_not_known_where_a_secret_says_it() -> None:
    lab = load_lab("11")
    seen = recording.load(lab.folder / "recorded" / "solution.json")[0]
    seen.objects["Secret"] = [
        *seen.all("Secret"),
        obj("Secret", "where", namespace=seen.namespace, data={"GREETING_FILE": ""}),
    ]
    for one in [*seen.all("Pod"), *seen.all("Deployment")]:
        if one.name.startswith("guestbook"):
            container = one.containers[0]
            container["env"] = [v for v in container["env"] if v["name"] != "GREETING_FILE"]
            container["envFrom"] = [{"secretRef": {"name": "where"}}]
    causes = {task.id: (task.verdict, task.cause) for task in judge(lab, seen).tasks if task.verdict != "passed"}
    assert causes == dict.fromkeys(("from-a-file", "follows"), ("unknown", "not-observed"))


def test_a_variable_may_be_the_value_of_another_one_that_was_set_before() -> None:
    before = {"name": "WORDS", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "greeting"}}}
    named = {"name": "GREETING", "value": "$(WORDS)"}

    def kind(*env: dict[str, Any], whole: Sequence[dict[str, Any]] = ()) -> str:
        one = pod("one", containers=[{"name": "app", "env": list(env), "envFrom": list(whole)}])
        found = source_of_variable(state(one, settings), one, one.containers[0], "GREETING")
        return found.kind if found else ""

    assert kind(before, named) == "ConfigMap"
    assert kind(named, whole=[{"prefix": "WO", "configMapRef": {"name": "settings"}}]) == ""
    assert kind({**named, "value": "$(greeting)"}, whole=[{"configMapRef": {"name": "settings"}}]) == "ConfigMap"
    assert kind(named, before) == kind({**named, "value": "$(WORDS)."}, before) == ""


def test_what_is_under_binary_data_becomes_a_file_and_no_variable() -> None:
    held = obj("ConfigMap", "held", binaryData={"greeting": "R3L8"})
    env = {
        "name": "GREETING",
        "valueFrom": {"configMapKeyRef": {"name": "held", "key": "greeting", "optional": True}},
    }
    one = pod("one", containers=[{"name": "app", "env": [env], "envFrom": [{"configMapRef": {"name": "held"}}]}])
    here = state(one, held)
    assert source_of_variable(here, one, one.containers[0], "greeting") is None
    assert "under binaryData" in optional_and_missing(here, one, one.containers[0])[0].message
