"""Credentials as real clusters have them: plugins, tokens that end, token files, certificates; and what is said."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from checker.collect import exec_plugin
from checker.collect import watch as watching
from checker.collect.api import Api, ApiError
from checker.collect.watch import Watch
from cluster import Cluster, Problem

from .fake_api_server import Answering, Listening, until

VERSION = "client.authentication.k8s.io/v1"


class Handler(Answering):
    def do_GET(self) -> None:
        shown = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.server.shown.append(shown)  # type: ignore[attr-defined]
        accepted = self.server.accepts(shown)  # type: ignore[attr-defined]
        body = {"metadata": {"resourceVersion": "1"}, "items": []} if accepted else {"message": "Unauthorized"}
        self.answer(200 if accepted else 401, None if accepted and "watch=1" in self.path else body)


class Server(Listening):
    def __init__(self) -> None:
        self.shown: list[str] = []
        self.accepts: Callable[[str], bool] = lambda token: bool(token)
        super().__init__(Handler)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        yield found
        found.shutdown()


def reached(folder: Path, url: str, user: dict[str, Any]) -> Cluster:
    """A cluster by a context that was named, with this user."""
    config = {
        "clusters": [{"name": "work", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": user}],
        "contexts": [{"name": "work", "context": {"cluster": "work", "user": "me"}}],
    }
    (folder / "config").write_text(yaml.safe_dump(config))
    return Cluster("work", folder / "config", "work", "default", "named")


def plugin(folder: Path, body: str, **more: Any) -> dict[str, Any]:
    """A user whose token a Python program gives. In `body`, `times` says how often it was asked before."""
    program = folder / "plugin.py"
    begin = """
        import datetime, json, os, pathlib, sys
        counter = pathlib.Path(__file__).with_suffix(".count")
        times = int(counter.read_text()) if counter.exists() else 0
        counter.write_text(str(times + 1))
        def give(**status):
            print(json.dumps({"apiVersion": "%s", "kind": "ExecCredential", "status": status}))
        def soon(seconds):
            now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
            return now.isoformat().replace("+00:00", "Z")
    """
    program.write_text(textwrap.dedent(begin) % VERSION + textwrap.dedent(body))
    known = {"apiVersion": VERSION, "command": sys.executable, "args": [str(program)], "interactiveMode": "Never"}
    return {"exec": {**known, **more}}


def calls(folder: Path) -> int:
    return int((folder / "plugin.count").read_text())


def test_a_plugin_is_asked_again_once_its_token_has_ended_and_not_before(tmp_path: Path, server: Server) -> None:
    user = plugin(tmp_path, "give(token=f'token-{times}', expirationTimestamp=soon(2))")
    api = Api(reached(tmp_path, server.url, user))
    api.get("/a")
    api.get("/b")
    assert server.shown == ["token-0", "token-0"]
    time.sleep(2.1)
    api.get("/c")
    assert server.shown[2:] == ["token-1"]


def test_a_token_that_is_refused_under_way_is_renewed_once_by_all_who_ask_at_a_time(
    tmp_path: Path, server: Server
) -> None:
    api = Api(reached(tmp_path, server.url, plugin(tmp_path, "give(token=f'token-{times}')")))
    server.accepts = lambda token: token == "token-1"
    threads = [threading.Thread(target=api.get, args=("/a",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls(tmp_path) == 2
    assert server.shown.count("token-1") == 8


def test_a_token_that_is_refused_again_is_told(tmp_path: Path, server: Server) -> None:
    api = Api(reached(tmp_path, server.url, plugin(tmp_path, "give(token='bad')")))
    server.accepts = lambda token: False
    with pytest.raises(ApiError, match="Unauthorized") as end:
        api.get("/a")
    assert end.value.status == 401
    assert calls(tmp_path) == 2 and len(server.shown) == 2


def test_a_plugin_that_fails_under_way_is_told_in_its_own_words(tmp_path: Path, server: Server) -> None:
    user = plugin(tmp_path, "sys.exit('session is over') if times else give(token='first')")
    api = Api(reached(tmp_path, server.url, user))
    server.accepts = lambda token: False
    with pytest.raises(ApiError, match="session is over") as end:
        api.get("/a")
    assert end.value.status == 401


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit('you must log in: cloud login')", "you must log in: cloud login"),
        ("sys.exit(3)", "exit status 3"),
        ("print('hello')", "no ExecCredential"),
        ("print('[]')", "no ExecCredential"),
        ("give()", "neither a token nor a certificate"),
        ("give(token='x', expirationTimestamp='soon')", "no ExecCredential"),
        ("print(json.dumps({'apiVersion': 'v0', 'status': {'token': 'x'}}))", "has the version v0"),
    ],
)
def test_what_is_wrong_with_a_plugin_is_told(tmp_path: Path, server: Server, body: str, message: str) -> None:
    with pytest.raises(Problem) as end:
        Api(reached(tmp_path, server.url, plugin(tmp_path, body)))
    assert message in end.value.what and end.value.next_step


def test_a_plugin_that_is_missing_is_told_with_its_hint(tmp_path: Path, server: Server) -> None:
    user = plugin(tmp_path, "", command="cloud-login", installHint="Get it from the cloud's page.")
    with pytest.raises(Problem, match="cloud-login, which is not on this machine") as end:
        Api(reached(tmp_path, server.url, user))
    assert "Get it from the cloud's page." in end.value.what and server.shown == []


def test_a_plugin_that_hangs_is_ended(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exec_plugin, "PATIENCE", 0.5)
    with pytest.raises(Problem, match="did not end"):
        Api(reached(tmp_path, server.url, plugin(tmp_path, "import time; time.sleep(20)")))


def test_a_plugin_gets_its_environment_and_the_cluster(tmp_path: Path, server: Server) -> None:
    body = """
        told = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
        assert told["apiVersion"] and told["kind"] == "ExecCredential" and told["spec"]["interactive"] is False
        give(token=os.environ["WHO"] + "@" + told["spec"]["cluster"]["server"])
    """
    user = plugin(tmp_path, body, env=[{"name": "WHO", "value": "ada"}], provideClusterInfo=True)
    Api(reached(tmp_path, server.url, user)).get("/a")
    assert server.shown == [f"ada@{server.url}"]


def test_a_command_with_a_slash_is_meant_from_the_kubeconfigs_folder(tmp_path: Path, server: Server) -> None:
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "login"
    answer = json.dumps({"apiVersion": VERSION, "status": {"token": "beside"}})
    script.write_text(f"#!/bin/sh\necho '{answer}'\n")
    script.chmod(0o700)
    user = {"exec": {"apiVersion": VERSION, "command": "bin/login", "interactiveMode": "Never"}}
    Api(reached(tmp_path, server.url, user)).get("/a")
    assert server.shown == ["beside"]


def test_a_plugin_may_give_a_certificate(tmp_path: Path) -> None:
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "crt"), "-subj", "/CN=me", "-days", "1"]
    subprocess.run([*made, *files], check=True, capture_output=True)
    body = f"""
        folder = pathlib.Path({str(tmp_path)!r})
        give(clientCertificateData=(folder / "crt").read_text(), clientKeyData=(folder / "key").read_text(),
             expirationTimestamp=soon(-1))
    """
    cluster = reached(tmp_path, "https://127.0.0.1:1", plugin(tmp_path, body))
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    authority = base64.b64encode((tmp_path / "crt").read_bytes()).decode()
    config["clusters"][0]["cluster"]["certificate-authority-data"] = authority
    cluster.kubeconfig.write_text(yaml.safe_dump(config))
    api = Api(cluster)
    before = api.access
    with pytest.raises(ApiError, match="cannot be reached"):
        api.get("/a")
    assert api.access.tls is not before.tls and calls(tmp_path) == 2  # the certificate had ended


def test_a_tokens_file_is_read_again_for_each_request(tmp_path: Path, server: Server) -> None:
    (tmp_path / "token").write_text("first\n")
    api = Api(reached(tmp_path, server.url, {"tokenFile": "token"}))
    api.get("/a")
    (tmp_path / "token").write_text("second\n")
    api.get("/b")
    assert server.shown == ["first", "second"]


def test_a_token_that_is_written_down_is_not_tried_twice(tmp_path: Path, server: Server) -> None:
    api = Api(reached(tmp_path, server.url, {"token": "old"}))
    server.accepts = lambda token: False
    with pytest.raises(ApiError):
        api.get("/a")
    assert server.shown == ["old"]


def test_a_watch_shows_the_token_that_is_valid_then(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(watching, "LONGEST_PAUSE", 0.1)
    user = plugin(tmp_path, "give(token=f'token-{times}')")
    watch = Watch(Api(reached(tmp_path, server.url, user)), "default", lambda: None, ["Pod"])
    watch.start()
    try:
        until(lambda: (state := watch.state()) and state.can_see("Pod"))
        server.accepts = lambda token: token == "token-1"
        until(lambda: "token-1" in server.shown)
        until(lambda: (state := watch.state()) and state.can_see("Pod"))
        assert calls(tmp_path) == 2
    finally:
        watch.stop()
