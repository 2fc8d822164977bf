"""The observer's decisions: who may ask what, how much of it, and that nobody waits for another. No cluster."""

from __future__ import annotations

import importlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

from checker.collect import observer as client
from checker.collect.api import ApiError
from checker.grading.observations import Http, seen
from checker.model.verdict import Unknown
from cluster import observer
from cluster.context import Cluster as CourseCluster
from cluster.observer import bounds, rights
from cluster.observer.rights import Everybody, NotReviewed, Refused, Rights

from .objects import pod, service, state

WALL = "10.244.0.9"
# Addresses by namespace: Pods, and Services with their endpoints.
WORLD: dict[str, dict[str, Any]] = {
    "ann": {
        "pods": {
            "10.244.1.1": {},
            "10.244.1.2": {},
            "172.18.0.3": {"hostNetwork": True},
            "10.244.1.8": {"phase": "Succeeded"},
        },
        "services": {
            "10.96.1.1": ["10.244.1.1", "10.244.1.2"],
            "10.96.1.2": ["10.244.2.1"],  # another's Pod, by hand
            "10.96.1.3": ["10.244.3.1"],
            "10.96.1.4": ["10.96.0.1"],  # the API server, by hand
        },
    },
    "ann-data": {"pods": {"10.244.3.1": {}}, "services": {}},
    "bob": {"pods": {"10.244.2.1": {}}, "services": {"10.96.2.1": ["10.244.2.1"]}},
    "kubeclass": {
        "pods": {"10.244.0.8": {"app": "observer"}, WALL: {"app": "wall"}},
        "services": {"10.96.0.9": ["10.244.0.8"]},
    },
}
NAMES = {
    "web.ann.svc.cluster.local.": ["10.96.1.1"],
    "alias.ann.svc.cluster.local": ["10.96.2.1"],  # an ExternalName
    "wall.kubeclass.svc.cluster.local.": [WALL],
}


class FakeApi:
    """The API server as the observer calls it. Tokens are `NAMESPACE/ACCOUNT`, or `NAMESPACE/ACCOUNT@AUDIENCE`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.may: set[tuple[str, str]] = set()  # who may reach the Pods of which namespace
        self.away = False
        self.world = json.loads(json.dumps(WORLD))

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        self.calls.append(path)
        if self.away:
            raise OSError("status 503")
        if path.endswith("/tokenreviews"):
            return {"status": self.review(body["spec"])}
        if path.endswith("/subjectaccessreviews"):
            asked = body["spec"]["resourceAttributes"]
            assert (asked["verb"], asked["resource"], asked["subresource"]) == ("create", "pods", "portforward")
            return {"status": {"allowed": (body["spec"]["user"], asked["namespace"]) in self.may}}
        of, _, selector = path.partition("?")
        namespace, what = of.split("/namespaces/")[1].split("/")
        return {"items": list(self.listed(self.world[namespace], what, selector))}

    def review(self, spec: dict[str, Any]) -> dict[str, Any]:
        account, _, audience = spec["token"].partition("@")
        if account == "forged":
            return {"authenticated": False}
        user = f"system:serviceaccount:{account.replace('/', ':')}" if "/" in account else account
        audiences = [audience or rights.AUDIENCE] if audience != "none" else []
        return {"authenticated": True, "user": {"username": user, "groups": ["g"]}, "audiences": audiences}

    def listed(self, world: dict[str, Any], what: str, selector: str) -> Iterator[dict[str, Any]]:
        if what == "pods":
            for ip, kind in world["pods"].items():
                if not selector or kind.get("app") == "wall":
                    status = {"podIP": ip, "phase": kind.get("phase", "Running")}
                    yield {"spec": {"hostNetwork": kind.get("hostNetwork", False)}, "status": status}
        for number, (ip, ends) in enumerate(world["services"].items()):
            if what == "services":
                yield {"metadata": {"name": f"s{number}"}, "spec": {"clusterIPs": [ip]}}
            if what == "endpointslices":
                labels = {"kubernetes.io/service-name": f"s{number}"}
                yield {"metadata": {"labels": labels}, "endpoints": [{"addresses": [end]} for end in ends]}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def now() -> list[float]:
    return [100.0]


@pytest.fixture
def reviews(api: FakeApi, now: list[float]) -> Rights:
    def sleep(seconds: float) -> None:
        now[0] += seconds

    return Rights(api, "kubeclass", lambda: now[0], sleep)


def resolve(host: str) -> list[str]:
    return NAMES.get(host, [host])


def refused(asker: Any, host: str) -> str:
    with pytest.raises(Refused) as end:
        asker.resolver(resolve)(host)
    return str(end.value)


# -- who asks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        ["forged"],
        ["bob/default"],
        ["ann/default@https://kubernetes.default.svc"],  # a Pod's own token, for the API server
        ["ann/default@none"],  # an API server that knows nothing of audiences
        ["ann"],  # no ServiceAccount
    ],
)
def test_who_shows_no_good_token_is_refused(reviews: Rights, tokens: list[str]) -> None:
    with pytest.raises(Refused, match="no token that was shown is good for Pods of namespace ann"):
        reviews.asker(tokens, ["ann"])


def test_a_token_speaks_for_its_own_namespace_and_no_other(reviews: Rights) -> None:
    asker = reviews.asker(["ann/default"], ["ann", "bob"])
    assert asker.namespaces == ("ann",)
    asker.require("ann")
    with pytest.raises(Refused, match="namespace bob"):
        asker.require("bob")


def test_a_right_to_reach_pods_elsewhere_counts_and_is_reviewed_once_in_a_while(
    reviews: Rights, api: FakeApi, now: list[float]
) -> None:
    api.may.add(("system:serviceaccount:class:learner", "ann"))
    for _ in range(3):
        assert reviews.asker(["class/learner"], ["ann"]).namespaces == ("ann",)
    assert len(api.calls) == 2  # one review of the token, one of the right
    api.may.clear()
    now[0] += rights.REVIEWED
    with pytest.raises(Refused):
        reviews.asker(["class/learner"], ["ann"])


def test_a_token_of_the_observers_own_namespace_speaks_for_everything(reviews: Rights) -> None:
    asker = reviews.asker(["kubeclass/default"], ["ann"])
    assert isinstance(asker, Everybody)
    assert asker.resolver(resolve)("10.96.0.1") == ["10.96.0.1"]
    asker.require("bob")
    asker.require_names(["example.org"])


@pytest.mark.parametrize("name", ["../kube-system", "ann/pods", "", 7, "a?b"])
def test_what_is_no_name_of_a_namespace_never_gets_into_a_path(reviews: Rights, api: FakeApi, name: Any) -> None:
    with pytest.raises(Refused, match="no namespace"):
        reviews.asker(["ann/default"], ["ann", name])
    assert not api.calls


def test_an_api_server_that_does_not_review_is_no_refusal(reviews: Rights, api: FakeApi) -> None:
    api.away = True
    with pytest.raises(OSError, match="503"):
        reviews.asker(["ann/default"], ["ann"])


# -- what may be asked -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["10.244.1.1", "10.96.1.1", "web.ann.svc.cluster.local.", "wall.kubeclass.svc.cluster.local."]
)
def test_the_namespaces_own_addresses_and_the_wall_are_asked(reviews: Rights, host: str) -> None:
    assert reviews.asker(["ann/default"], ["ann"]).resolver(resolve)(host) == resolve(host)


@pytest.mark.parametrize(
    "host",
    [
        "10.244.2.1",  # another's Pod
        "10.96.2.1",  # another's Service
        "10.96.0.1",  # the API server
        "172.18.0.3",  # a node, which is also the address of a Pod in the node's network
        "10.244.1.8",  # a Pod that has ended: another's may have its address now
        "10.244.0.8",  # the observer
        WALL,  # which is asked by its name
        "169.254.169.254",  # a cloud's metadata
        "127.0.0.1",
        "alias.ann.svc.cluster.local",  # an ExternalName to another's Service
        "web.bob.svc.cluster.local.",
        "web.ann.svc.cluster.local.example.org",
        "ann.svc.cluster.local",
        "kubernetes.default.svc.cluster.local",
        "2130706433",  # 127.0.0.1 as one number
        "0x7f.1",
        "localhost",
        "example.org",
    ],
)
def test_every_other_address_is_refused(reviews: Rights, host: str) -> None:
    assert "ann" in refused(reviews.asker(["ann/default"], ["ann"]), host)


@pytest.mark.parametrize("ip, end", [("10.96.1.2", "10.244.2.1"), ("10.96.1.4", "10.96.0.1")])
def test_a_service_with_anothers_endpoints_is_refused(reviews: Rights, ip: str, end: str) -> None:
    why = refused(reviews.asker(["ann/default"], ["ann"]), ip)
    assert why == f"a Service leads to {end}, which is no Pod of namespace ann"


def test_a_service_may_lead_to_another_namespace_of_the_same_asker(reviews: Rights) -> None:
    assert refused(reviews.asker(["ann/default"], ["ann"]), "10.96.1.3")
    both = reviews.asker(["ann/default", "ann-data/default"], ["ann", "ann-data"])
    assert both.resolver(resolve)("10.96.1.3") == ["10.96.1.3"]


def test_a_pod_that_is_newer_than_the_list_is_found(reviews: Rights, api: FakeApi) -> None:
    asker = reviews.asker(["ann/default"], ["ann"])
    asker.resolver(resolve)("10.244.1.1")
    api.world["ann"]["pods"]["10.244.1.7"] = {}
    assert asker.resolver(resolve)("10.244.1.7") == ["10.244.1.7"]


def test_an_endpoint_may_outlive_its_pod_for_a_moment_and_its_address_is_not_asked(
    reviews: Rights, api: FakeApi, now: list[float]
) -> None:
    asker = reviews.asker(["ann/default"], ["ann"])
    asker.resolver(resolve)("10.96.1.1")
    del api.world["ann"]["pods"]["10.244.1.2"]
    now[0] += 5
    assert asker.resolver(resolve)("10.96.1.1")
    assert refused(asker, "10.244.1.2")
    now[0] += rights.GONE
    assert refused(asker, "10.96.1.1")


def test_lists_are_shared_and_refusals_do_not_make_many(reviews: Rights, api: FakeApi) -> None:
    asker = reviews.asker(["ann/default"], ["ann"])
    for _ in range(50):
        asker.resolver(resolve)("10.244.1.1")
    assert sum("pods" in call for call in api.calls) == 1
    for number in range(200):
        refused(asker, f"10.244.9.{number}")
    assert len(api.calls) < 60


def test_an_api_server_that_does_not_list_is_no_answer_of_the_pods(reviews: Rights, api: FakeApi) -> None:
    asker = reviews.asker(["ann/default"], ["ann"])
    api.away = True
    with pytest.raises(NotReviewed):
        asker.resolver(resolve)("10.244.1.1")


def test_names_of_the_namespace_and_every_clusters_are_looked_up(reviews: Rights) -> None:
    asker = reviews.asker(["ann/default"], ["ann"])
    asker.require_names(["kubernetes.default", "kubernetes.default.svc.cluster.local.", "web.ann.svc.cluster.local."])
    for name in ("web.bob.svc.cluster.local", "secrets.example.org", "web.bob"):
        with pytest.raises(Refused, match="is not of namespace ann"):
            asker.require_names([name])


# -- the program -----------------------------------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, reviews: Rights) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(observer.__file__).parent))
    program = importlib.import_module("server")
    monkeypatch.setattr(program, "STREAMS", bounds.Streams(Stream))
    own = importlib.import_module("rights")
    monkeypatch.setattr(program.Handler, "rights", own.Rights(reviews.call, "kubeclass", reviews.clock, reviews.sleep))
    monkeypatch.setattr(program, "addresses", resolve)
    return program


class Stream:
    def __init__(self, url: str, namespace: str, *details: Any) -> None:
        self.url, self.asked, self.ended = url, 0.0, threading.Event()

    def seen(self) -> dict[str, str]:
        return {"url": self.url}


def posted(server: ModuleType, body: Any) -> tuple[int, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler = server.Handler.__new__(server.Handler)
    handler.headers = {"Content-Length": str(len(content))}
    handler.rfile = SimpleNamespace(read=lambda length: content[:length])
    status, answer = handler.reply()
    return status, answer


def asked(server: ModuleType, question: dict[str, Any], *tokens: str, namespace: str = "ann") -> tuple[int, Any]:
    shown = list(tokens or ["ann/default"])
    return posted(server, {"questions": {"q": question}, "namespaces": [namespace], "tokens": shown})


@pytest.mark.parametrize(
    "question",
    [
        {"do": "http", "url": "http://10.244.2.1:8080/"},
        {"do": "each", "urls": {"a": "http://10.244.2.1/"}},
        {"do": "tcp", "to": ["10.96.0.1:443"]},
        {"do": "dns", "names": ["web.bob.svc.cluster.local"]},
        {"do": "timeline", "url": "http://10.244.2.1/", "namespace": "ann"},
        {"do": "timeline", "url": "http://10.244.1.1/", "namespace": "bob"},
        {"do": "forget", "namespace": "bob"},
    ],
)
def test_every_question_about_another_is_refused_with_a_reason(server: ModuleType, question: dict[str, Any]) -> None:
    status, answers = asked(server, question)
    assert status == 200
    assert answers["q"]["refused"] is True
    assert "ann" in answers["q"]["error"] or "bob" in answers["q"]["error"]
    assert not server.STREAMS.streams


def test_the_observers_own_files_are_not_read(server: ModuleType) -> None:
    question = {"do": "read", "files": ["/etc/hostname"]}
    assert asked(server, question, "kubeclass/default") == (200, {"q": {"error": "KeyError: 'read'"}})


def test_one_refusal_takes_no_other_answer_away(server: ModuleType) -> None:
    questions = {
        "mine": {"do": "timeline", "url": "http://10.244.1.1/", "namespace": "ann"},
        "another's": {"do": "forget", "namespace": "bob"},
    }
    _, answers = posted(server, {"questions": questions, "namespaces": ["ann"], "tokens": ["ann/default"]})
    assert answers["mine"] == {"url": "http://10.244.1.1/"}
    assert answers["another's"]["refused"]


def test_without_a_good_token_nothing_is_asked(server: ModuleType) -> None:
    status, answer = asked(server, {"do": "tcp", "to": ["10.244.1.1:80"]}, "bob/default")
    assert (status, answer["reason"]) == (403, "NotShown")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"{}",
        b'{"questions": []}',
        b'{"questions": {"q": 1}}',
        b'{"questions": {"q": {"times": "x"}}}',
    ],
)
def test_what_is_no_set_of_questions_is_said_to_be_none(server: ModuleType, body: bytes) -> None:
    assert posted(server, body)[0] == 400


def test_too_much_at_once_is_told(server: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    many = bounds.REQUESTS + 1
    assert asked(server, {"do": "http", "url": "http://10.244.1.1/", "times": many})[0] == 429
    assert asked(server, {"do": "tcp", "to": ["10.244.1.1:80"] * many})[0] == 429
    halves = {str(half): {"do": "http", "url": "http://10.244.1.1/", "times": many // 2 + 1} for half in range(2)}
    assert posted(server, {"questions": halves, "namespaces": ["ann"], "tokens": ["ann/default"]})[0] == 429
    crowd = {str(number): {"do": "forget", "namespace": "ann"} for number in range(bounds.QUESTIONS + 1)}
    assert posted(server, {"questions": crowd, "namespaces": ["ann"], "tokens": ["ann/default"]})[0] == 429
    monkeypatch.setattr(server, "BODY", 10)
    assert asked(server, {"do": "forget", "namespace": "ann"})[0] == 413


def test_an_api_server_that_is_away_is_told_as_that(server: ModuleType, api: FakeApi) -> None:
    api.away = True
    assert asked(server, {"do": "forget", "namespace": "ann"})[0] == 502


def test_a_stream_whose_host_leads_elsewhere_sends_nothing_and_loses_nothing(
    server: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.threading.Thread, "start", lambda self: None)
    found: list[Any] = [["10.244.1.1"], server.Refused("another's"), server.NotReviewed("away")]

    def guarded(host: str) -> list[str]:
        one = found.pop(0)
        if isinstance(one, Exception):
            raise one
        return list(one)

    stream = server.Timeline("http://web.ann/", "ann", guarded)
    for refused in (False, True, True):
        monkeypatch.setattr(stream.ended, "wait", lambda seconds: stream.ended.set())
        stream.ended.clear()
        stream.look_up()
        assert stream.refused is refused
    sent: list[float] = []
    monkeypatch.setattr(stream, "send", sent.append)
    stream.ended.clear()
    stream.stream()
    assert not sent
    assert not stream.out
    assert not stream.lost


def test_a_connection_that_the_api_server_closed_is_made_anew(
    server: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    in_cluster = importlib.import_module("in_cluster")

    class Connection:
        def __init__(self, *answers: Any) -> None:
            self.answers, self.sent, self.closed = list(answers), [], False  # type: ignore[var-annotated]

        def request(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> None:
            self.sent.append((method, path, body, headers["Authorization"]))
            if self.answers[0] is None:
                raise ConnectionResetError

        def getresponse(self) -> Any:
            status, text = self.answers.pop(0)
            return SimpleNamespace(status=status, read=lambda: text)

        def close(self) -> None:
            self.closed = True

    (tmp_path / "token").write_text("own")
    old, new = Connection(None), Connection((200, b'{"a": 1}'), (403, b"{}"), None)
    monkeypatch.setattr(in_cluster, "CREDENTIALS", tmp_path)
    monkeypatch.setattr(in_cluster, "_IDLE", [old])
    monkeypatch.setattr(in_cluster, "_connection", lambda timeout: new)
    assert in_cluster.call("POST", "/x", {"b": 2}) == {"a": 1}
    assert old.closed
    assert new.sent == [("POST", "/x", '{"b": 2}', "Bearer own")]
    with pytest.raises(OSError, match="status 403 from the API server for GET /y"):
        in_cluster.call("GET", "/y")
    in_cluster._IDLE.clear()
    with pytest.raises(OSError, match="no answer from the API server: ConnectionResetError"):
        in_cluster.call("GET", "/z")


# -- how much --------------------------------------------------------------------------------------------------------


def test_streams_are_bounded_for_a_namespace_and_a_quiet_one_makes_room() -> None:
    now = [0.0]
    streams = bounds.Streams(Stream, lambda: now[0])
    first = [streams.get("ann", f"http://{number}/") for number in range(bounds.STREAMS_EACH)]
    with pytest.raises(bounds.TooMuch, match=f"namespace ann has {bounds.STREAMS_EACH} streams"):
        streams.get("ann", "http://more/")
    assert streams.get("ann", "http://0/") is first[0]
    streams.get("bob", "http://0/")
    now[0] += bounds.QUIET
    streams.get("ann", "http://0/")
    streams.get("ann", "http://more/")
    assert [one.ended.is_set() for one in first] == [False, True, False, False]
    assert streams.forget("ann") == bounds.STREAMS_EACH
    assert list(streams.streams) == [("bob", "http://0/")]


def test_streams_are_bounded_in_all_and_everybody_gets_one_before_others_get_more() -> None:
    now = [0.0]
    streams = bounds.Streams(Stream, lambda: now[0])
    greedy = bounds.STREAMS // bounds.STREAMS_EACH
    for learner in range(greedy):
        for number in range(bounds.STREAMS_EACH):
            streams.get(f"greedy-{learner}", f"http://{number}/")
    assert len(streams.streams) == bounds.STREAMS
    for learner in range(30):
        streams.get(f"learner-{learner}", "http://web/")
        assert len(streams.streams) == bounds.STREAMS
    assert all(streams.of(f"learner-{learner}") for learner in range(30))
    assert all(streams.of(f"greedy-{learner}") for learner in range(greedy))
    with pytest.raises(bounds.TooMuch, match=f"the observer has {bounds.STREAMS} streams"):
        for number in range(3):
            streams.get("learner-0", f"http://{number}/")


def test_a_stream_that_has_ended_takes_no_place() -> None:
    streams = bounds.Streams(Stream)
    for number in range(3 * bounds.STREAMS_EACH):
        streams.get("ann", f"http://{number}/").ended.set()
    assert len(streams.streams) == 1


def test_one_namespaces_slow_questions_hold_up_nobody_else() -> None:
    lanes, release = bounds.Lanes(turn=30), threading.Event()

    def slow() -> None:
        with lanes.lane("greedy") as threads:
            list(threads.map(lambda _: release.wait(30), range(100)))

    crowd = [threading.Thread(target=slow) for _ in range(bounds.BATCHES + bounds.WAITING)]
    for thread in crowd:
        thread.start()
    try:
        deadline = time.monotonic() + 20
        while lanes.lanes["greedy"].users < len(crowd) and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(bounds.TooMuch, match="namespace greedy are waiting already"), lanes.lane("greedy"):
            pass
        begin = time.monotonic()
        with lanes.lane("ann") as threads:
            assert list(threads.map(lambda number: number, range(100))) == list(range(100))
        assert time.monotonic() - begin < 2
    finally:
        release.set()
        for thread in crowd:
            thread.join(30)
    assert not lanes.lanes


def test_many_requests_of_a_namespace_go_out_one_after_the_other() -> None:
    now, slept = [100.0], []
    threads = bounds._Threads(lambda: now[0], slept.append)
    assert list(threads.map(lambda number: number, range(bounds.BURST + 20))) == list(range(bounds.BURST + 20))
    assert sorted(slept) == pytest.approx([bounds.PACE * number for number in range(1, 21)])
    slept.clear()
    now[0] += bounds.PACE * (bounds.BURST + 20)  # after a rest there is a burst again
    list(threads.map(lambda number: number, range(bounds.BURST)))
    assert slept == []


def test_a_set_that_gets_no_turn_is_told_so() -> None:
    lanes, done = bounds.Lanes(turn=0.05), threading.Event()

    def busy() -> None:
        with lanes.lane("ann"):
            done.wait(30)

    threads = [threading.Thread(target=busy) for _ in range(bounds.BATCHES)]
    for thread in threads:
        thread.start()
    while lanes.lanes.get("ann") is None or lanes.lanes["ann"].users < bounds.BATCHES:
        time.sleep(0.01)
    with pytest.raises(bounds.TooMuch, match="other questions of namespace ann"), lanes.lane("ann"):
        pass
    done.set()
    for thread in threads:
        thread.join(30)


# -- the checker's side ----------------------------------------------------------------------------------------------


class Cluster:
    """An API server as the checker meets it: which tokens it gives, and an observer behind its proxy."""

    def __init__(self, *gives: str) -> None:
        self.gives, self.made, self.asked = set(gives), [], []  # type: ignore[var-annotated]
        self.answers: list[Any] = []

    cluster = SimpleNamespace(kind="own")

    def edition(self) -> tuple[int, int]:
        return 1, 1

    def request(self, method: str, path: str, body: Any = None, **_: Any) -> bytes:
        if path.endswith("/serviceaccounts/default/token"):
            namespace = path.split("/")[4]
            assert body["spec"]["audiences"] == [rights.AUDIENCE]
            if namespace not in self.gives:
                raise ApiError(403, "serviceaccounts is forbidden")
            self.made.append(namespace)
            return json.dumps({"status": {"token": f"{namespace} {len(self.made)}"}}).encode()
        assert path.endswith("/services/http:observer:8080/proxy/ask")
        self.asked.append(body)
        answer = self.answers.pop(0) if self.answers else dict.fromkeys(body["questions"], "open")
        if isinstance(answer, Exception):
            raise answer
        return json.dumps(answer).encode()


def ask(cluster: Cluster, *namespaces: str) -> Any:
    return client.ask(cluster, {"q": {"do": "tcp"}}, namespaces)["q"]  # type: ignore[arg-type]


def test_an_administrator_shows_one_token_and_makes_it_once() -> None:
    cluster = Cluster("kubeclass", "ann")
    assert [ask(cluster, "ann") for _ in range(3)] == ["open"] * 3
    assert cluster.made == ["kubeclass"]
    assert [asked["tokens"] for asked in cluster.asked] == [["kubeclass 1"]] * 3


def test_a_learner_shows_a_token_of_each_namespace() -> None:
    cluster = Cluster("ann", "ann-data")
    assert ask(cluster, "ann", "ann-data", "ann-live") == "open"
    assert sorted(cluster.made) == ["ann", "ann-data"]
    assert len(cluster.asked[0]["tokens"]) == 2


def test_a_token_is_made_anew_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster("kubeclass")
    ask(cluster, "ann")
    later = time.monotonic() + client.USED + 1
    assert later < time.monotonic() + client.LASTS
    monkeypatch.setattr(client.time, "monotonic", lambda: later)
    ask(cluster, "ann")
    assert cluster.asked[-1]["tokens"] == ["kubeclass 2"]


def test_a_namespace_that_was_made_anew_is_asked_with_a_new_token() -> None:
    cluster = Cluster("ann")
    ask(cluster, "ann")
    cluster.answers = [{"q": {"error": "no token …", "refused": True}}]
    assert ask(cluster, "ann") == "open"
    assert cluster.made == ["ann", "ann"]


@pytest.mark.parametrize("message", ["no token that was shown is good", 'services "http:observer:8080" is forbidden'])
def test_a_refusal_is_told_as_one_and_never_as_an_answer(message: str) -> None:
    cluster = Cluster()
    cluster.answers = [ApiError(403, message)]
    assert ask(cluster, "ann") == {"error": message, "refused": True}


@pytest.mark.parametrize("why", [ApiError(429, "too many"), {"q": {"error": "too many", "refused": False}}])
def test_too_much_is_an_observer_that_could_not_be_asked(why: Any) -> None:
    cluster = Cluster("ann")
    cluster.answers = [why]
    answer = ask(cluster, "ann")
    assert set(answer) == {"error"}
    assert str(answer["error"]) == "the observer did not answer: too many"


@pytest.mark.parametrize("refused, cause", [(True, "observer-refused"), (False, "observer-unreachable")])
def test_a_refusal_makes_unknown_with_its_reason(refused: bool, cause: str) -> None:
    world = state(service("web", {"app": "web"}), pod("web-1", labels={"app": "web"}))
    data = {"error": "no token", "refused": True} if refused else {"error": "no token"}
    world.observations[Http("web").key] = data
    with pytest.raises(Unknown) as end:
        list(seen(world, Http("web")))
    assert end.value.cause == cause
    assert "no token" in end.value.message


@pytest.mark.parametrize("answer, may_come", [(ApiError(0, "no answer within 8 s"), True), (ApiError(404, ""), False)])
def test_a_busy_observer_is_asked_again_and_a_missing_one_is_not(answer: ApiError, may_come: bool) -> None:
    cluster = Cluster("ann")
    cluster.answers = [answer]
    world = state(service("web", {"app": "web"}), pod("web-1", labels={"app": "web"}))
    world.observations[Http("web").key] = ask(cluster, "ann")
    with pytest.raises(Unknown) as end:
        list(seen(world, Http("web")))
    assert (end.value.cause, end.value.fault.in_progress) == ("observer-unreachable", may_come)


# -- the objects -----------------------------------------------------------------------------------------------------


def documents(namespace: str = observer.NAMESPACE) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(observer.manifests(namespace)))


def test_the_observer_may_look_and_review_and_nothing_else() -> None:
    rules = next(one for one in documents() if one["kind"] == "ClusterRole")["rules"]
    creates = {resource for rule in rules if "create" in rule["verbs"] for resource in rule["resources"]}
    assert creates == {"tokenreviews", "subjectaccessreviews"}
    verbs = {verb for rule in rules for verb in rule["verbs"]}
    assert verbs == {"list", "watch", "create"}
    assert not {"secrets", "configmaps", "*"} & {resource for rule in rules for resource in rule["resources"]}


def test_every_pod_of_the_course_is_restricted() -> None:
    """Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    namespace = next(one for one in documents() if one["kind"] == "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for deployment in (one for one in documents() if one["kind"] == "Deployment"):
        spec = deployment["spec"]["template"]["spec"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["securityContext"]["runAsNonRoot"] is True
        for container in spec["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_a_learners_right_is_to_ask_the_observer_and_is_bound_to_nobody() -> None:
    role = next(one for one in documents() if one["metadata"]["name"] == observer.USER_ROLE)
    rule = {"apiGroups": [""], "resources": ["services/proxy"], "resourceNames": [observer.PROXY]}
    assert role["rules"] == [{**rule, "verbs": ["get", "create"]}]
    bindings = [one for one in documents() if one["kind"].endswith("Binding")]
    assert observer.USER_ROLE not in {one["roleRef"]["name"] for one in bindings}


def test_another_namespace_has_every_object_of_its_own() -> None:
    for one in documents("trial"):
        place = one["metadata"].get("namespace", one["metadata"]["name"])
        assert place in ("trial", "trial-observer"), one


def test_the_programs_are_all_there() -> None:
    held = next(one for one in documents() if one["kind"] == "ConfigMap")["data"]
    assert set(held) == {path.name for path in observer.HERE.glob("*.py")} - {"__init__.py"}


@pytest.mark.parametrize("nodes, pinned", [("node/control-plane\n", True), ("", False)])
def test_it_runs_on_the_control_plane_where_that_is_a_node(
    monkeypatch: pytest.MonkeyPatch, nodes: str, pinned: bool
) -> None:
    applied = []

    def fake_kubectl(cluster: Any, *words: str, input: str = "", timeout: float = 0) -> str:
        if words[0] == "apply":
            applied.append(input)
        return nodes if words[0] == "get" else ""

    monkeypatch.setattr(observer, "kubectl", fake_kubectl)
    observer.install(CourseCluster("c", Path("kubeconfig")))
    specs = [d["spec"]["template"]["spec"] for d in yaml.safe_load_all(applied[0]) if d["kind"] == "Deployment"]
    assert len(specs) == 2 and all(("nodeSelector" in spec) is pinned for spec in specs)
