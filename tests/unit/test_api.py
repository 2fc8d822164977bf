"""The one way to the API server: pinned to its context, never by a proxy, never without a deadline."""

from __future__ import annotations

import base64
import json
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from checker.collect import api as api_module
from checker.collect import kubeconfig as kubeconfig_module
from checker.collect.api import Api, ApiError
from checker.collect.collect import MAX_LOGS, collect, containers_at_work, containers_behind_closed_ports
from checker.grading.grade import judge
from checker.grading.labs import all_labs, load_lab
from checker.model.state import LOGS, REACH, State
from checker.model.verdict import Unknown
from cluster import Cluster, Problem
from tests.unit.fake_api_server import Answering, Listening
from tests.unit.objects import ago, pod, state


class Handler(Answering):
    protocol_version = "HTTP/1.0"  # each answer ends its connection

    def do_GET(self) -> None:
        self.server.requests.append(self.path)  # type: ignore[attr-defined]
        self.server.shown.append(self.headers.get("Authorization", ""))  # type: ignore[attr-defined]
        if self.path == "/never":
            time.sleep(3)
        forbidden = re.search(r"/(services|deployments)(\?|$)", self.path) and self.server.forbids  # type: ignore[attr-defined]
        status, body = (
            (403, {"message": "services is forbidden"})
            if forbidden
            else {
                "/refused": (403, {"message": "pods is forbidden"}),
                "/gone": (404, {"message": "not found"}),
            }.get(self.path, (200, {"items": []}))
        )
        if "/log?" in self.path:  # of a container that ended and was just started again
            status, body = self.server.log or (  # type: ignore[attr-defined]
                200,
                b"address already in use" if "previous=true" in self.path else b"",
            )
        self.answer(status, body)

    do_CONNECT = do_POST = do_GET


class Server(Listening):
    def __init__(self) -> None:
        self.requests: list[str] = []
        self.shown: list[str] = []  # who asked, as the Authorization header says
        self.forbids = False  # Services and Deployments
        self.log: tuple[int, bytes] | None = None  # the answer to a request for any log
        super().__init__(Handler)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        yield found
        found.shutdown()


@pytest.fixture
def decoy() -> Iterator[Server]:
    with Server() as found:
        yield found
        found.shutdown()


def kubeconfig(path: Path, ours: str, theirs: str) -> Cluster:
    """A kubeconfig in which somebody else's cluster is the current one."""
    entry = lambda name, url: {"name": name, "cluster": {"server": url}}  # noqa: E731
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "work",
                "clusters": [entry("work", theirs), entry("kind-own", ours)],
                "users": [{"name": "me", "user": {}}],
                "contexts": [{"name": n, "context": {"cluster": n, "user": "me"}} for n in ("work", "kind-own")],
            }
        )
    )
    return Cluster("own", path)


def test_only_the_courses_context_is_asked_whatever_the_current_one_is(
    tmp_path: Path, server: Server, decoy: Server
) -> None:
    assert Api(kubeconfig(tmp_path / "config", server.url, decoy.url)).get("/api/v1/pods") == {"items": []}
    assert server.requests == ["/api/v1/pods"]
    assert decoy.requests == []


def test_a_cluster_that_was_made_anew_is_asked_at_its_new_address(
    tmp_path: Path, server: Server, decoy: Server
) -> None:
    api = Api(kubeconfig(tmp_path / "config", server.url, ""))
    (tmp_path / "config").unlink()
    api.get("/first")
    kubeconfig(tmp_path / "config", decoy.url, "")
    api.get("/second")
    assert (server.requests, decoy.requests, api.server) == (["/first"], ["/second"], decoy.url)


def test_a_token_is_shown_also_one_that_a_plugin_gives(tmp_path: Path, server: Server) -> None:
    """https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins"""
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "from-a-plugin"},
    }
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "echo",
        "args": [json.dumps(credential)],
        "interactiveMode": "Never",
    }
    for user in ({"token": "written-down"}, {"exec": plugin}):
        cluster = kubeconfig(tmp_path / "config", server.url, "")
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        config["users"][0]["user"] = user
        cluster.kubeconfig.write_text(yaml.safe_dump(config))
        Api(cluster).get("/api/v1/pods")
    assert server.shown == ["Bearer written-down", "Bearer from-a-plugin"]


def test_the_kubernetes_package_is_left_out_where_it_is_not_needed_and_reads_the_same(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = ({"token": "written-down"}, {"username": "me", "password": "a:b"}, {"token": "first", "password": "no"}, {})
    for user in users:
        cluster = kubeconfig(tmp_path / "config", server.url + "/", "")
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        config["users"][0]["user"] = user
        cluster.kubeconfig.write_text(yaml.safe_dump(config))
        by_package = kubeconfig_module._access_by_package(cluster)
        with monkeypatch.context() as without:
            without.setitem(sys.modules, "kubernetes", None)
            ours = kubeconfig_module.access_of(cluster)
        assert (ours.server, ours.authorization()) == (by_package.server, by_package.authorization())


@pytest.mark.parametrize("by", ["data", "file"])
def test_the_client_certificate_is_loaded_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """As kind writes it, and as minikube does, with files beside the kubeconfig."""
    loaded: list[tuple[str, Path]] = []
    trusted: list[str | None] = []

    class Context:
        check_hostname, verify_mode = True, ssl.CERT_REQUIRED

        def load_cert_chain(self, chain: Path) -> None:
            loaded.append((chain.read_text(), chain))

    context = Context()
    monkeypatch.setattr(ssl, "create_default_context", lambda cadata: trusted.append(cadata) or context)
    cluster = kubeconfig(tmp_path / "config", "https://127.0.0.1:6443", "")
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    texts = {"certificate-authority": "authority", "client-certificate": "certificate", "client-key": "key"}
    for field, text in texts.items():
        entry = config["clusters"][1]["cluster"] if field == "certificate-authority" else config["users"][0]["user"]
        if by == "data":
            entry[f"{field}-data"] = base64.b64encode(text.encode()).decode()
        else:
            (tmp_path / f"{text}.pem").write_text(text)
            entry[field] = f"{text}.pem"
    cluster.kubeconfig.write_text(yaml.safe_dump(config))
    assert kubeconfig_module.access_of(cluster).tls is context
    assert trusted == ["authority"]
    assert [text for text, _ in loaded] == ["certificate\nkey"]
    assert not loaded[0][1].exists()
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname


def test_the_http_client_comes_without_its_command_line() -> None:
    program = (
        "import sys; from cluster.http_client import httpx; print('rich' in sys.modules, 'httpx._main' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_no_proxy_is_asked_for_the_cluster(
    tmp_path: Path, server: Server, decoy: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, decoy.url)
        monkeypatch.setenv(name.lower(), decoy.url)
    Api(kubeconfig(tmp_path / "config", server.url, decoy.url)).get("/api/v1/pods")
    assert decoy.requests == []


def test_an_answer_that_never_comes_ends_by_the_deadline(tmp_path: Path, server: Server) -> None:
    begin = time.monotonic()
    with pytest.raises(ApiError) as end:
        Api(kubeconfig(tmp_path / "config", server.url, "")).request("GET", "/never", read_timeout=0.3)
    assert end.value.status == 0
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize("path, status, words", [("/refused", 403, "pods is forbidden"), ("/gone", 404, "not found")])
def test_an_error_is_told_in_the_api_servers_words(
    tmp_path: Path, server: Server, path: str, status: int, words: str
) -> None:
    with pytest.raises(ApiError, match=words) as end:
        Api(kubeconfig(tmp_path / "config", server.url, "")).get(path)
    assert end.value.status == status


def test_a_server_that_is_not_there_makes_every_task_unknown(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_module, "CONNECT_TIMEOUT", 0.2)
    server.shutdown()
    server.server_close()
    lab = load_lab("07")
    result = judge(lab, collect(Api(kubeconfig(tmp_path / "config", server.url, "")), "learn", lab.observations))
    assert {(task.verdict, task.cause) for task in result.tasks} == {("unknown", "api-unreachable")}
    assert result.exit_code == 2


@pytest.mark.parametrize("number", [number for number in all_labs() if not load_lab(number).spec.needs.engine])
def test_what_may_not_be_listed_makes_unknown_and_nothing_falls_over(
    tmp_path: Path, server: Server, number: str
) -> None:
    """As in the moments after an API server's restart, when it does not know anybody's rights yet."""
    server.forbids = True
    lab = load_lab(number)
    result = judge(lab, collect(Api(kubeconfig(tmp_path / "config", server.url, "")), "learn", lab.observations))
    assert not {task.cause for task in result.tasks} & {"checker-crashed"}
    assert "passed" not in {task.verdict for task in result.tasks}
    if number == "07":
        assert {task.verdict for task in result.tasks} == {"unknown"}


def test_the_kubelets_times_are_taken_off_the_lines_of_a_log(tmp_path: Path, server: Server) -> None:
    server.log = (200, b"2026-01-01T11:59:50.5123456Z asked\n2026-01-01T11:59:58Z \n2026-01-01T12:00:00Z done\nleft\n")
    seen = collect(
        Api(kubeconfig(tmp_path / "config", server.url, "")), "learn", logs="all", listed=state(pod("web-1"))
    )
    assert seen.logs["web-1/app"] == "asked\n\ndone\nleft\n"
    assert seen.ages_of_lines("web-1", "app") == [9.5, 2.0, 0.0, None, None]
    again = State.from_json(json.loads(json.dumps(seen.to_json())))
    assert again.log_ages == seen.log_ages
    server.log = (200, b"without times\n")
    seen = collect(
        Api(kubeconfig(tmp_path / "config", server.url, "")), "learn", logs="all", listed=state(pod("web-1"))
    )
    assert seen.log_ages == {}


@pytest.mark.parametrize(
    ("seen", "since", "is_read"), [("refused", 120, True), ("open", 120, False), ("refused", 30, False)]
)
def test_the_start_of_a_log_is_read_where_a_port_is_closed_and_the_start_is_not_recent(
    seen: str, since: int, is_read: bool
) -> None:
    world = state(pod("web-1", since=since), observations={REACH: {"10.244.1.1:8080": seen}})
    found = [(one.name, name) for one, name in containers_behind_closed_ports(world)]
    assert found == ([("web-1", "app")] if is_read else [])


def test_the_first_lines_of_a_log_are_kept(tmp_path: Path, server: Server) -> None:
    server.log = (200, b"2026-01-01T11:00:00Z listens on 127.0.0.1:8080\n")
    world = state(pod("web-1", since=120))
    world.observations = {REACH: {"10.244.1.1:8080": "refused"}}
    api = Api(kubeconfig(tmp_path / "config", server.url, ""))
    seen = collect(api, "learn", logs="all", listed=world)
    assert seen.log_starts == {"web-1/app": "listens on 127.0.0.1:8080\n"}
    again = State.from_json(json.loads(json.dumps(seen.to_json())))
    assert again.log_of_server("web-1", "app").startswith("listens on 127.0.0.1:8080")
    server.log = (403, b"{}")
    assert collect(api, "learn", logs="all", listed=seen).log_starts == {}


def test_a_container_that_was_restarted_once_and_is_well_is_read_as_it_is_now() -> None:
    last = {"startedAt": ago(130), "finishedAt": ago(121), "exitCode": 1}
    for since, restarts, previous in ((120, 1, False), (30, 1, True), (120, 2, True)):
        world = state(pod("web-1", since=since, restarts=restarts, last=last))
        assert bool(containers_at_work(world)) is not previous


def test_last_words_are_found_where_the_container_was_started_again_after_it_was_listed(
    tmp_path: Path, server: Server
) -> None:
    ended = pod("web-1", container_state={"terminated": {"exitCode": 1, "reason": "Error"}}, ready=False)
    seen = collect(Api(kubeconfig(tmp_path / "config", server.url, "")), "learn", listed=state(ended))
    assert list(seen.logs.values()) == ["address already in use"]
    ended.status["containerStatuses"][0]["restartCount"] = (
        1  # then the run before is another one, and its words are not told
    )
    seen = collect(Api(kubeconfig(tmp_path / "config", server.url, "")), "learn", listed=state(ended))
    assert (seen.log("web-1", "app"), seen.unread_logs) == ("", {})


@pytest.mark.parametrize(
    "answer, why, forbidden",
    [
        ((403, b'{"message": "pods \\"web-1\\" is forbidden"}'), 'pods "web-1" is forbidden', True),
        ((200, b"unable to retrieve container logs for containerd://1"), "unable to retrieve container logs", False),
    ],
)
def test_a_log_that_cannot_be_read_is_not_an_empty_one(
    tmp_path: Path, server: Server, answer: tuple[int, bytes], why: str, forbidden: bool
) -> None:
    server.log = answer
    ended = pod("web-1", container_state={"terminated": {"exitCode": 1, "reason": "Error"}}, ready=False)
    seen = collect(Api(kubeconfig(tmp_path / "config", server.url, "")), "learn", listed=state(ended))
    assert (seen.logs, seen.log_if_read("web-1", "app"), LOGS in seen.forbidden) == ({}, None, forbidden)
    with pytest.raises(Unknown) as end:
        seen.log("web-1", "app")
    assert end.value.cause == "log-not-read" and why in end.value.fault.words().message


def test_the_logs_beyond_the_most_that_are_read_are_unknown(tmp_path: Path, server: Server) -> None:
    server.log = (200, b"bye")
    ended = {"terminated": {"exitCode": 1, "reason": "Error"}}
    pods = [pod(f"web-{number}", container_state=ended, ready=False) for number in range(MAX_LOGS + 1)]
    seen = collect(Api(kubeconfig(tmp_path / "config", server.url, "")), "learn", listed=state(*pods))
    assert [seen.log(one.name, "app") for one in pods[:MAX_LOGS]] == ["bye"] * MAX_LOGS
    with pytest.raises(Unknown, match="did not read the log of container app of Pod web-10"):
        seen.log(pods[-1].name, "app")


@pytest.mark.parametrize(
    "content", ["", "clusters: [", "contexts: []", '{"contexts": [{"name": "kind-own", "context": {}}]}', "[]"]
)
def test_a_kubeconfig_that_is_none_is_named_and_nothing_is_asked(tmp_path: Path, content: str) -> None:
    (tmp_path / "config").write_text(content)
    with pytest.raises(Problem, match="has no usable context kind-own") as end:
        Api(Cluster("own", tmp_path / "config"))
    assert "kubeclass up" in end.value.next_step


def test_no_kubeconfig_means_no_cluster(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="The cluster own is not there"):
        Api(Cluster("own", tmp_path / "config"))
