"""Lab 01 judged on altered recordings, and what its environment asks of the engine."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import StreamRequestHandler, TCPServer
from threading import Thread
from typing import Any
from unittest.mock import patch

import pytest

from checker import recording
from checker.diagnosis.host_container import Container
from checker.environments import container_engine
from checker.environments.container_engine import (
    ContainerEngineEnvironment,
    _pruned,
    _pruned_image,
    _request,
    began_with_data,
)
from checker.grading.grade import judge
from checker.grading.labs import load_lab, load_module, program
from checker.model.verdict import Verdict
from cluster import Problem, paths
from cluster.process import DidNotEnd

LAB = load_lab("01")
TASKS = load_module(LAB.folder, "tasks")
(ENGINE,) = LAB.observations
ALL = {task.id: "passed" for task in LAB.spec.tasks}


class Altered:
    """The recording of the solution, for a test to alter: what was seen of the engine, and its three containers."""

    def __init__(self) -> None:
        self.state, _ = recording.load(LAB.folder / "recorded" / "solution.json")
        self.seen = copy.deepcopy(self.state.observations[ENGINE.key])
        self.redis, self.app, self.alone = self.seen["containers"]
        for container in (self.app, self.alone):
            container["inspect"]["Config"]["WorkingDir"] = "/app"  # an older recording does not have it
        self.network = next(iter(self.app["inspect"]["NetworkSettings"]["Networks"]))

    def again(self, container: dict[str, Any], name: str, **state: Any) -> dict[str, Any]:
        """One more container like this one, a newer one."""
        other = copy.deepcopy(container)
        other["inspect"] |= {"Name": f"/{name}", "Created": "2026-01-01T12:00:00Z"}
        other["inspect"]["State"] |= state
        self.seen["containers"].append(other)
        return other

    def attached(self, container: dict[str, Any]) -> dict[str, Any]:
        attached: dict[str, Any] = container["inspect"]["NetworkSettings"]["Networks"][self.network]
        return attached

    def judged(self) -> dict[str, Verdict]:
        self.state.observations[ENGINE.key] = self.seen
        return {task.id: task for task in judge(LAB, self.state).tasks}

    def causes(self) -> dict[str, str]:
        return {id: task.cause or task.verdict for id, task in self.judged().items()}


def test_what_compose_run_left_behind_hides_nobody() -> None:
    lab = Altered()
    lab.again(lab.redis, "my-guestbook-redis-run-1", Running=False, Status="exited")
    lab.again(lab.app, "my-guestbook-guestbook-run-1", Running=False, Status="exited")
    assert lab.causes() == ALL


def test_another_redis_of_the_project_hides_nobody() -> None:
    lab = Altered()
    other = lab.again(lab.redis, "my-guestbook-cache-1")
    lab.attached(other)["Aliases"] = ["my-guestbook-cache-1", "cache"]
    assert lab.causes() == ALL


def test_names_have_no_capital_letters_and_a_link_gives_another_one() -> None:
    lab = Altered()
    lab.app["inspect"]["Config"]["Env"] = ["REDIS_HOST=Redis"]
    assert lab.causes() == ALL
    lab.app["inspect"]["Config"]["Env"] = ["REDIS_HOST=store"]
    assert lab.causes()["compose-finds-redis"] == "host-name-unknown"
    lab.attached(lab.app)["Links"] = ["my-guestbook-learn-redis-1:store"]
    assert lab.causes() == ALL


def test_a_container_of_an_earlier_build_counts_and_one_of_the_courses_image_does_not() -> None:
    lab = Altered()
    lab.alone["inspect"]["Image"] = "sha256:earlier"
    assert lab.causes()["container-answers"] == "container-missing"
    earlier = lab.seen["images"][0] | {"Id": "sha256:earlier", "RepoTags": []}
    lab.seen["images"].append(earlier)
    assert lab.causes() == ALL
    earlier["course"] = True
    assert lab.causes()["container-answers"] == "container-missing"


def test_a_container_of_the_project_is_not_said_to_be_missing() -> None:
    lab = Altered()
    lab.seen["containers"].remove(lab.alone)
    verdict = lab.judged()["container-answers"]
    assert verdict.cause == "container-missing"
    assert verdict.fault and verdict.fault.facts["of_project"] == "my-guestbook-learn-guestbook-1"


def test_on_the_machines_own_network_nothing_is_published() -> None:
    lab = Altered()
    lab.alone["inspect"]["NetworkSettings"] = {"Ports": {}, "Networks": {"host": {}}}
    assert lab.causes() == ALL
    lab.alone["answer"]["host"] = "somebody else"
    assert lab.causes()["container-answers"] == "container-does-not-answer"
    lab.alone["answer"] = None
    assert lab.causes()["container-answers"] == "container-does-not-answer"


def test_an_image_without_the_app_is_told_from_any_container_of_it() -> None:
    lab = Altered()
    lab.app["app_from"] = lab.alone["app_from"] = "image"
    assert lab.causes() == ALL
    lab.alone["app_from"] = "container"
    verdict = lab.judged()["image-built"]
    assert verdict.cause == "app-not-in-image" and verdict.verdict == "failed"
    assert "/app/app.py" in verdict.message and "my-guestbook-learn" in verdict.look


def test_an_app_that_a_mount_covers_everywhere_says_nothing_of_the_image() -> None:
    lab = Altered()
    for container in (lab.app, lab.alone):
        container["app_from"] = "mount"
        container["inspect"]["Mounts"] = [{"Type": "bind", "Name": "", "Destination": "/app", "Anonymous": False}]
    verdict = lab.judged()["image-built"]
    assert verdict.verdict == "unknown" and "a mount at /app" in verdict.message
    assert list(lab.causes().values())[1:] == list(ALL.values())[1:]
    lab.app["app_from"] = "image"
    assert lab.causes() == ALL


@pytest.mark.parametrize(
    "greeting, words", [("", "an empty text"), ("Welcome to the guestbook!", "without the variable")]
)
def test_an_empty_greeting_and_the_apps_own_are_no_greeting_of_your_own(greeting: str, words: str) -> None:
    lab = Altered()
    lab.seen["images"][0]["Env"] = [f"GREETING={greeting}"]
    verdict = lab.judged()["image-built"]
    assert verdict.cause == "image-not-built" and words in verdict.message


def test_the_default_greeting_is_the_apps() -> None:
    text = (paths.COURSE / "lessons" / "guestbook" / "app.py").read_text()
    assert f'"GREETING", "{TASKS.DEFAULT_GREETING}"' in text


@pytest.mark.parametrize(
    "command, folder, path",
    [
        ([["python3", "-u", "app.py"], None], "/app", "/app/app.py"),
        ([None, ["/bin/sh", "-c", "python3 -u /srv/app.py"]], "/app", "/srv/app.py"),
        ([None, ["sleep", "9"]], "/app", ""),
        ([["python3"], ["app.py"]], "", "/app.py"),
        ([["python3", "-u", "-m", "app"], None], "/srv", "/srv/app.py"),
        ([["python3", "-m", "apps"], None], "/srv", ""),
    ],
)
def test_the_path_of_the_app(command: list[list[str] | None], folder: str, path: str) -> None:
    config = {"Entrypoint": command[0], "Cmd": command[1], "WorkingDir": folder, "Image": "my-guestbook:v1"}
    container = Container({"Name": "/one", "Config": config}, 0.0)
    assert container.app_path == path and container.is_guestbook is bool(path)


def test_labels_that_compose_gave_to_an_image_make_no_container_of_the_project() -> None:
    labels = {"com.docker.compose.project": "my-guestbook", "com.docker.compose.service": "web", "other": "x"}

    def kept(**more: str) -> dict[str, str]:
        config = {"Labels": {**labels, **more}, "Image": "my-guestbook:v1"}
        inspect = {"Id": "1", "Name": "/one", "Created": "", "Image": "i", "State": {}, "Config": config}
        pruned: dict[str, str] = _pruned(inspect)["Config"]["Labels"]
        return pruned

    assert kept() == {}
    assert kept(**{"com.docker.compose.container-number": "1"}) == {k: labels[k] for k in labels if k != "other"}


def test_where_the_file_of_the_app_comes_from() -> None:
    def app_from(mount: str, changes: str | Problem) -> str | None:
        config = {"Cmd": ["python3", "app.py"], "WorkingDir": "/app", "Image": "my-guestbook:v1"}
        mounts = [{"Type": "bind", "Destination": mount}] if mount else []
        place = object.__new__(ContainerEngineEnvironment)
        place.command = "docker"
        answer = {"side_effect": changes} if isinstance(changes, Problem) else {"return_value": changes}
        with patch.object(place, "_ask", create=True, **answer):
            return place._app_from(Container({"Name": "/one", "Config": config, "Mounts": mounts}, 0.0))

    assert app_from("", "C /app\nA /app/__pycache__\n") == "image"
    assert app_from("", "C /app\nC /app/app.py\n") == "image"  # it was changed in the container
    assert app_from("", "C /app\nA /app/app.py\n") == "container"  # it was copied into the container
    assert app_from("/app/app.py", "C /app\nA /app/app.py\n") == "container"
    assert app_from("/app/app.py", "") == "image"
    assert app_from("/app", "") == "mount"
    assert app_from("", Problem("no", "")) is None


def test_what_redis_says_no_to_is_told() -> None:
    lab = Altered()
    lab.app["asked"]["redis"] = {"error": "WRONGTYPE Operation against a key"}
    verdict = lab.judged()["compose-finds-redis"]
    assert verdict.cause == "redis-not-answering" and "WRONGTYPE" in verdict.message and "200" not in verdict.message


class Guestbook(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("X-Guestbook-Host", "me")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Redis(StreamRequestHandler):
    """A Redis with two entries, one of them written since it began."""

    def handle(self) -> None:
        info = b"# Commandstats\r\ncmdstat_rpush:calls=1,usec=9\r\ncmdstat_get:calls=7,usec=9"
        for answer in (b"$%d\r\n%s\r\n" % (len(info), info), b":2\r\n", b"*2\r\n$3\r\ndir\r\n$5\r\n/data\r\n"):
            for _ in range(2 * int(self.rfile.readline()[1:])):  # a length and a word, so many times
                self.rfile.readline()
            self.wfile.write(answer)


def answers_inside(**variables: str) -> dict[str, Any]:
    text = program(str(LAB.folder / "tasks.py"), "ask_guestbook")
    env = {"PATH": os.environ["PATH"], "PORT": "1", **variables}
    done = subprocess.run([sys.executable, "-I", "-c", text], capture_output=True, text=True, check=True, env=env)
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def test_the_guestbook_is_asked_inside_its_container() -> None:
    with HTTPServer(("127.0.0.1", 0), Guestbook) as app, TCPServer(("127.0.0.1", 0), Redis) as redis:
        for server in (app, redis):
            Thread(target=server.serve_forever, daemon=True).start()
        answers = answers_inside(PORT=str(app.server_port), REDIS_HOST=f"127.0.0.1:{redis.server_address[1]}")
        for server in (app, redis):
            server.shutdown()
    assert answers == {"ready": [200, ""], "redis": {"entries": 2, "written": 1, "dir": "/data"}}
    alone, lost = answers_inside(), answers_inside(REDIS_HOST="127.0.0.1:1")
    assert alone["ready"][0] == 0 and alone["redis"] is None
    assert "refused" in lost["redis"]["error"]


def test_one_port_of_several_that_answers_is_enough() -> None:
    server = HTTPServer(("127.0.0.1", 0), Guestbook)
    Thread(target=server.serve_forever, daemon=True).start()
    port = str(server.server_port)

    def answer(networks: dict[str, Any], ports: dict[str, Any], *env: str) -> dict[str, Any] | None:
        raw = {"Config": {"Env": list(env)}, "NetworkSettings": {"Networks": networks, "Ports": ports}}
        return _request(Container(raw, 0.0))

    silent, good = [{"HostIp": "127.0.0.1", "HostPort": "1"}], [{"HostIp": "0.0.0.0", "HostPort": port}]
    try:
        both = answer({}, {"80/tcp": silent, "8080/tcp": good})
        none = answer({}, {"80/tcp": silent, "81/tcp": None})
        host = answer({"host": {}}, {}, f"PORT={port}")
    finally:
        server.shutdown()
    assert both and both["host"] == "me"
    assert none and none["error"] == "refused"
    assert host and host["host"] == "me"
    assert answer({}, {}) is None


def test_podmans_names_of_images_are_read_as_dockers() -> None:
    for name in ("my-guestbook:v1", "localhost/my-guestbook:v1", "docker.io/library/my-guestbook:v1"):
        assert _pruned_image({"Id": "1", "RepoTags": [name]})["RepoTags"] == ["my-guestbook:v1"]
        place = object.__new__(ContainerEngineEnvironment)
        with patch.object(place, "_ask", return_value=json.dumps([{"Config": {"Image": name}}]), create=True):
            assert place._inspect("container", ["c"])[0]["Config"]["Image"] == "my-guestbook:v1"


BASE, INCR = "DB loaded from base file appendonly.aof.1.base.rdb", "DB loaded from incr file appendonly.aof.1.incr.aof"
READY = "Ready to accept connections tcp"


@pytest.mark.parametrize(
    "lines, began",
    [
        (["Creating AOF base file", READY], False),
        (["Creating AOF base file", READY, "keys loaded: 1, keys expired: 0.", INCR, READY], False),
        (["keys loaded: 0, keys expired: 0.", BASE, "DB loaded from append only file", READY], False),
        (["keys loaded: 0, keys expired: 0.", "DB loaded from disk", READY], False),
        (["keys loaded: 0, keys expired: 0.", BASE, INCR, READY], True),
        (["keys loaded: 1, keys expired: 0.", BASE, READY], True),
        (["DB loaded from disk", READY], True),
        (["keys loaded: 1, keys expired: 0."], None),
    ],
)
def test_a_redis_that_loaded_an_empty_file_began_without_data(lines: list[str], began: bool | None) -> None:
    assert began_with_data("\n".join(lines)) is began


def test_a_log_that_takes_too_long_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: Any, **__: Any) -> None:
        raise DidNotEnd("`docker logs` did not end within 10 s.", "")

    monkeypatch.setattr(container_engine, "finish", slow)
    place = ContainerEngineEnvironment.__new__(ContainerEngineEnvironment)
    place.command = "docker"
    assert place._log(Container({"Name": "/chatty"}, 0.0)) == ""
