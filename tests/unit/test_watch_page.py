"""The teacher's live page: what changes, what is judged again, what is served, and to whom."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from checker.classroom import hand as hands
from checker.classroom.names import LEARNER, ROLE
from checker.classroom.plan import HOME
from checker.collect import class_watch
from checker.collect import watch as watching
from checker.collect.api import Api, ApiError
from checker.collect.class_watch import ClassWatch
from checker.collect.marks import HAND
from checker.marking import live_class
from checker.marking.live_class import LiveClass
from checker.marking.report import report_of
from checker.marking.whole_class import Listed, see
from checker.model.kinds import KINDS
from checker.model.state import CLASS, visible_objects
from checker.ui.watch.server import BEHIND, _give
from checker.ui.watch.view import change, panel_view, view_of, whole
from cluster import Problem
from tests.unit.fake_api_server import BREAK, Cluster, until
from tests.unit.fake_class import NAME, NOW, RECORD, FakeClass
from tests.unit.live_class import TOKEN, MadeUpLive, Served, roster, served
from tests.unit.test_api import kubeconfig

LEARNERS: dict[str, tuple[str, str] | None] = {
    "ada": ("07", "solution"),
    "bob": ("07", "selector-typo"),
    "dora": None,
}


@pytest.fixture(autouse=True)
def nobody_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Requests from outside the cluster are not made, and times are short."""
    monkeypatch.setenv("KUBECLASS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("checker.collect.collect.ask_nodes", lambda question: {"error": "away"})
    monkeypatch.setattr(live_class, "REST", 0.0)
    monkeypatch.setattr(live_class, "TICK", 0.05)


# -- the watch --------------------------------------------------------------------------------------------------------


@pytest.fixture
def told() -> list[tuple[str, str, bool]]:
    return []


@pytest.fixture
def watch(
    cluster: Cluster, told: list[tuple[str, str, bool]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ClassWatch]:
    monkeypatch.setattr(watching, "BEAT", 0.1)
    monkeypatch.setattr(watching, "FIRST_PAUSE", 0.05)
    api = Api(kubeconfig(tmp_path / "config", cluster.url, ""))
    found = ClassWatch(api, "t", lambda *what: told.append(what), ["Namespace", "Node", "Pod", "Deployment", "Secret"])
    yield found
    found.stop()


def home(cluster: Cluster, id: str, event: str = "ADDED", **more: Any) -> None:
    name = f"t-{id}"
    labels = {CLASS: "t", LEARNER: name, ROLE: HOME}
    metadata = {"name": name, "uid": f"uid-{name}", "labels": labels, "resourceVersion": str(time.monotonic()), **more}
    cluster.put("namespaces", name, "", event, metadata=metadata)


def put(cluster: Cluster, plural: str, name: str, namespace: str, event: str = "ADDED", **content: Any) -> None:
    own = content.pop("metadata", {})
    version = str(time.monotonic())
    metadata = {"name": name, "namespace": namespace, "uid": f"{namespace}/{name}", "resourceVersion": version, **own}
    cluster.put(plural, name, namespace, event, metadata=metadata, **content)


def watched(cluster: Cluster, watch: ClassWatch) -> None:
    watch.start()
    until(lambda: watch.is_complete and len(cluster.watchers) == 5)


def test_one_watch_a_kind_holds_the_objects_of_the_class_and_no_others(cluster: Cluster, watch: ClassWatch) -> None:
    home(cluster, "ada")
    put(cluster, "pods", "mine", "t-ada")
    put(cluster, "pods", "theirs", "tea-ada")
    put(cluster, "secrets", "login", "t-ada", data={"password": "aHVudGVyMg=="})
    cluster.put("nodes", "worker", "")
    watched(cluster, watch)
    asked = [path for path in cluster.requests if "watch=1" in path]
    assert len(asked) == 5
    assert [path for path in asked if "/namespaces?labelSelector=kubeclass.dev/class%3Dt&" in path]
    assert [one["metadata"]["name"] for one in watch.of("Pod", "t-ada")] == ["mine"]
    assert not watch.of("Pod", "tea-ada")
    assert watch.of("Secret", "t-ada")[0]["data"] == {"password": ""}
    assert [one["metadata"]["name"] for one in watch.of("Node", "")] == ["worker"]
    assert list(watch.namespaces) == ["t-ada"]


def test_it_tells_whose_object_changed_and_whether_somebody_changed_it(
    cluster: Cluster, watch: ClassWatch, told: list[tuple[str, str, bool]]
) -> None:
    home(cluster, "ada")
    put(cluster, "deployments", "web", "t-ada", spec={"replicas": 1})
    watched(cluster, watch)
    put(cluster, "deployments", "web", "t-ada", "MODIFIED", spec={"replicas": 1}, status={"readyReplicas": 1})
    until(lambda: told[-1] == ("Deployment", "t-ada", False))
    put(cluster, "deployments", "web", "t-ada", "MODIFIED", spec={"replicas": 2}, status={"readyReplicas": 1})
    until(lambda: told[-1] == ("Deployment", "t-ada", True))
    put(cluster, "pods", "web-1", "t-ada", metadata={"ownerReferences": [{"uid": "x"}]})
    until(lambda: told[-1] == ("Pod", "t-ada", False))
    put(cluster, "deployments", "web", "t-ada", "DELETED")
    until(lambda: told[-1] == ("Deployment", "t-ada", True) and not watch.of("Deployment", "t-ada"))


def test_of_an_object_that_is_too_large_only_its_name_is_kept(cluster: Cluster, watch: ClassWatch) -> None:
    home(cluster, "ada")
    put(cluster, "deployments", "small", "t-ada", spec={"replicas": 1})
    put(cluster, "deployments", "web", "t-ada", spec={"note": "x" * class_watch.LARGEST})
    watched(cluster, watch)
    assert watch.too_large(["t-ada", "t-bob"]) == ["Deployment web"] and watch.too_large(["t-bob"]) == []
    assert [one["metadata"]["name"] for one in watch.of("Deployment", "t-ada")] == ["small"]
    assert "note" not in json.dumps(watch._by_place["Deployment", "t-ada"])
    put(cluster, "deployments", "web", "t-ada", "MODIFIED", spec={"note": "x"})
    until(lambda: not watch.too_large(["t-ada"]))
    assert [one["metadata"]["name"] for one in watch.of("Deployment", "t-ada")] == ["small", "web"]
    put(cluster, "deployments", "web", "t-ada", "MODIFIED", metadata={"annotations": {"a": "x" * class_watch.LARGEST}})
    until(lambda: watch.too_large(["t-ada"]))
    put(cluster, "deployments", "web", "t-ada", "DELETED", spec={"note": "x" * class_watch.LARGEST})
    until(lambda: not watch.too_large(["t-ada"]))


def test_a_lab_with_an_object_that_is_too_large_is_not_judged_and_the_page_says_so(
    live: LiveClass, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(live)
    assert words(live, "bob")
    large = ["ConfigMap big"]
    monkeypatch.setattr(live, "_watch", Large(large))
    live.take("ConfigMap", "t-bob", True)
    until(lambda: (look := live.look("bob", "07")) and look.why)
    look = live.look("bob", "07")
    assert look and "ConfigMap big" in look.why and look.result is None
    large.clear()
    live.take("ConfigMap", "t-bob", True)
    until(lambda: (look := live.look("bob", "07")) and look.result)


class Large:
    """A watch that knows nothing but which objects of bob's are too large."""

    is_complete, away = True, ""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def too_large(self, namespaces: tuple[str, ...]) -> list[str]:
        return self.names if "t-bob" in namespaces else []

    def stop(self) -> None:
        pass


def test_a_nodes_heartbeat_is_no_change(cluster: Cluster, watch: ClassWatch, told: list[tuple[str, str, bool]]) -> None:
    def beat(at: str, ready: str = "True") -> None:
        condition = {"type": "Ready", "status": ready, "lastHeartbeatTime": at}
        cluster.put("nodes", "worker", "", "MODIFIED", status={"conditions": [condition]})

    beat("1")
    watched(cluster, watch)
    told.clear()
    beat("2")
    until(lambda: watch.of("Node", "")[0]["status"]["conditions"][0]["lastHeartbeatTime"] == "2")
    assert told == []
    beat("3", ready="False")
    until(lambda: told)
    assert told == [("Node", "", False)]


def test_of_a_raised_hand_only_the_time_is_kept(
    cluster: Cluster, watch: ClassWatch, told: list[tuple[str, str, bool]]
) -> None:
    watch._kinds.append(KINDS["ConfigMap"])
    annotated = {"annotations": {"note": "x" * 100_000}, "creationTimestamp": "2026-01-01T11:59:00Z"}
    put(cluster, "configmaps", HAND, "t-ada", data={"key": "y" * 100_000}, metadata=annotated)
    watch.start()
    until(lambda: watch.is_complete)
    (found,) = watch.of("ConfigMap", "t-ada")
    assert len(json.dumps(found)) < 300 and ("ConfigMap", "t-ada", False) in told
    hand = hands.hand_in("t-ada", [found])
    assert hand and hand.since.minute == 59


def test_learners_come_and_go(cluster: Cluster, watch: ClassWatch) -> None:
    home(cluster, "ada")
    watched(cluster, watch)
    home(cluster, "bob")
    until(lambda: list(watch.namespaces) == ["t-ada", "t-bob"])
    home(cluster, "ada", "MODIFIED", deletionTimestamp="2026-01-01T12:00:00Z")
    until(lambda: list(watch.namespaces) == ["t-bob"])


def test_a_cluster_that_falls_silent_is_away_and_is_back_by_itself(
    cluster: Cluster, watch: ClassWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checker.collect.api.READ_TIMEOUT", 0.3)
    put(cluster, "pods", "mine", "t-ada")
    watched(cluster, watch)
    cluster.awake.clear()
    cluster.send("*", BREAK)
    until(lambda: watch.away)
    assert [one["metadata"]["name"] for one in watch.of("Pod", "t-ada")] == ["mine"]  # it keeps what it has
    cluster.awake.set()
    until(lambda: not watch.away)


def test_a_kind_that_may_not_be_listed_is_no_cluster_that_is_away(cluster: Cluster, watch: ClassWatch) -> None:
    cluster.forbidden.add("secrets")
    watch.start()
    until(lambda: watch.is_complete)
    assert not watch.away and set(watch.unlisted) == {"Secret"}


def test_what_a_watch_hands_on_twice_keeps_the_time_of_its_data() -> None:
    """A Watch keeps objects as `visible_objects` made them, and gives them to it again for each State."""
    fields = [
        {"manager": "kubectl", "time": "2026-01-01T12:00:00Z", "fieldsV1": {"f:data": {}}},
        {"manager": "kubectl", "time": "2026-01-01T13:00:00Z", "fieldsV1": {"f:metadata": {}}},
    ]
    raw = {"metadata": {"name": "settings", "managedFields": fields}}
    for _ in range(2):
        (seen,) = visible_objects("ConfigMap", [raw], "learn", set())
        raw = seen.raw
        assert raw["metadata"]["managedFields"] == [{"time": "2026-01-01T12:00:00Z"}]


# -- judging ----------------------------------------------------------------------------------------------------------


class Changing(Listed):
    """A class that was listed, with a clock, and with objects that a test may change."""

    @property
    def objects(self) -> dict[str, dict[str, list[dict[str, Any]]]]:
        return self._objects

    def replace_with(self, other: Listed, home: str) -> None:
        for kind in KINDS:
            self._objects.setdefault(kind, {})[home] = other.of(kind, home)


def listed(learners: dict[str, tuple[str, str] | None]) -> tuple[FakeClass, Changing]:
    api = FakeClass(learners)
    found = Changing(api, NAME)
    found.add(KINDS)
    found.now = NOW
    return api, found


@pytest.fixture
def live() -> Iterator[LiveClass]:
    api, objects = listed(LEARNERS)
    found = LiveClass(api, RECORD, lambda: None, objects)
    found.start()
    yield found
    found.stop()


def judged(live: LiveClass) -> None:
    until(lambda: live.seen().learners and not live.waiting())


def words(live: LiveClass, id: str) -> list[str]:
    found = live.look(id, "07")
    return [task.verdict for task in found.result.tasks] if found and found.result else []


def test_a_live_class_says_what_a_report_says(live: LiveClass) -> None:
    judged(live)
    report = report_of(NAME, see(FakeClass(LEARNERS), RECORD))
    assert replace(report_of(NAME, live.seen()), time=NOW, notes=()) == replace(report, time=NOW, notes=())


def test_only_the_learner_whose_objects_changed_is_judged_again(
    live: LiveClass, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(live)
    looked: list[str] = []
    looks = live_class.look_at
    monkeypatch.setattr(
        live_class, "look_at", lambda api, objects, one, lab: looked.append(one.id) or looks(api, objects, one, lab)
    )
    assert "failed" in words(live, "bob")
    api, solved = listed(LEARNERS | {"bob": ("07", "solution")})
    assert isinstance(live._objects, Changing) and isinstance(live.api, FakeClass)
    live.api.states = api.states
    live._objects.replace_with(solved, "t-bob")
    live._objects.now = NOW + timedelta(minutes=3)
    live.take("Service", "t-bob", True)
    until(lambda: "failed" not in words(live, "bob"))
    assert set(looked) == {"bob"}
    course = live.courses()["bob", "07"]
    assert course.watched and course.since == course.moved == NOW + timedelta(minutes=3)
    assert not live.courses()["ada", "07"].watched


def test_a_burst_of_changes_is_few_looks(live: LiveClass, monkeypatch: pytest.MonkeyPatch) -> None:
    judged(live)
    monkeypatch.setattr(live_class, "REST", 0.2)
    looked: list[str] = []
    looks = live_class.look_at
    monkeypatch.setattr(
        live_class, "look_at", lambda api, objects, one, lab: looked.append(one.id) or looks(api, objects, one, lab)
    )
    for _ in range(200):
        live.take("Pod", "t-bob", False)
    until(lambda: looked)
    time.sleep(0.5)
    assert 1 <= len(looked) <= 2


def test_no_more_than_a_few_are_looked_at_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    api, objects = listed({f"l{number}": ("07", "solution") for number in range(12)})
    at_once, most, lock = 0, 0, threading.Lock()
    looks = live_class.look_at

    def counted(*what: Any) -> Any:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.05)
        try:
            return looks(*what)
        finally:
            with lock:
                at_once -= 1

    monkeypatch.setattr(live_class, "look_at", counted)
    live = LiveClass(api, RECORD, lambda: None, objects)
    live.start()
    judged(live)
    live.stop()
    assert 1 < most <= live_class.LEARNERS_AT_A_TIME


def test_a_learner_who_is_removed_at_work_goes_and_one_who_comes_is_there(live: LiveClass) -> None:
    judged(live)
    assert isinstance(live._objects, Changing)
    gone = live._objects.namespaces.pop("t-bob")
    live.take("Namespace", "t-bob", True)
    until(lambda: [one.id for one in live.seen().learners] == ["ada", "dora"])
    assert live.look("bob", "07") is None and ("bob", "07") not in live.courses()
    live._objects.namespaces["t-bob"] = gone
    live.take("Namespace", "t-bob", True)
    until(lambda: words(live, "bob"))


def test_verdicts_stay_where_a_learner_cannot_be_looked_at(live: LiveClass, monkeypatch: pytest.MonkeyPatch) -> None:
    judged(live)
    before, asked = words(live, "bob"), []

    def breaks(*what: Any, **more: Any) -> Any:
        asked.append(what)
        raise ApiError(0, "away")

    monkeypatch.setattr("checker.marking.whole_class.collect", breaks)
    live.take("Pod", "t-bob", False)
    until(lambda: asked)
    assert words(live, "bob") == before


def test_a_stopped_class_leaves_no_thread(live: LiveClass) -> None:
    judged(live)
    live.stop()
    until(lambda: not [one for one in threading.enumerate() if one.name.startswith("learner-")])


# -- hands ------------------------------------------------------------------------------------------------------------


def raised(created: str, uid: str = "u1", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": HAND, "creationTimestamp": created, "uid": uid, **more}}


def test_hands_are_in_the_order_in_which_the_api_server_got_them(live: LiveClass) -> None:
    judged(live)
    assert isinstance(live._objects, Changing)
    maps = live._objects.objects["ConfigMap"]
    for home, created in (("t-ada", "2026-01-01T11:59:00Z"), ("t-dora", "2026-01-01T11:58:00Z")):
        maps[home] = [*maps.get(home, []), raised(created, uid=home)]
    maps["t-bob"] = [*maps.get("t-bob", []), raised("2026-01-01T11:00:00Z", deletionTimestamp="2026-01-01T11:01:00Z")]
    assert [hand.home for hand in live.hands()] == ["t-dora", "t-ada"]


def test_a_raised_hand_is_none_of_a_labs_objects(live: LiveClass) -> None:
    judged(live)
    assert isinstance(live._objects, Changing)
    live._objects.objects["ConfigMap"]["t-bob"] = [raised("2026-01-01T11:59:00Z", namespace="t-bob")]
    learner, lab = live.learner("bob"), next(one for one in live.seen().labs if one.number == "07")
    assert learner
    assert HAND not in [one.name for one in live.state(learner, lab).objects["ConfigMap"]]


class OneMap(FakeClass):
    """A cluster with the ConfigMap of one hand."""

    def __init__(self) -> None:
        super().__init__({})
        self.calls: list[tuple[str, str, Any]] = []
        self.status = 0

    def request(self, method: str, path: str, body: Any = None, *_: Any, **__: Any) -> bytes:
        self.calls.append((method, path, body))
        if self.status:
            raise ApiError(self.status, "no")
        return json.dumps(raised("2026-01-01T11:59:00Z")).encode()


def test_a_hand_goes_up_and_down_and_twice_is_safe() -> None:
    api = OneMap()
    assert hands.is_up(api, "t-ada")
    for status in (0, 409):
        api.status = status
        hands.put_up(api, "t-ada")
    for status in (0, 404):
        api.status = status
        hands.take_down(api, "t-ada")
    assert not hands.is_up(api, "t-ada")
    assert {path for _, path, _ in api.calls} == {
        "/api/v1/namespaces/t-ada/configmaps",
        f"/api/v1/namespaces/t-ada/configmaps/{HAND}",
    }
    api.status = 403
    for act in (hands.put_up, hands.take_down, hands.is_up):
        with pytest.raises(Problem):
            act(api, "t-ada")


def test_a_teacher_takes_down_the_hand_that_was_seen_and_no_later_one() -> None:
    api = OneMap()
    hand = hands.hand_in("t-ada", [raised("2026-01-01T11:59:00Z", uid="first")])
    assert hand
    hands.take_down_as_teacher(api, hand)
    assert api.calls[0][2]["preconditions"] == {"uid": "first"}
    for status in (404, 409):
        api.status = status
        hands.take_down_as_teacher(api, hand)
    api.status = 403
    with pytest.raises(Problem):
        hands.take_down_as_teacher(api, hand)


# -- the view ---------------------------------------------------------------------------------------------------------


def view(live: MadeUpLive, number: int = 7) -> dict[str, Any]:
    return view_of(live, roster(number))  # type: ignore[arg-type]


def test_a_row_says_word_and_symbol_and_on_what_a_learner_is_stuck() -> None:
    live = MadeUpLive(7)
    live.raise_hand(1, minutes=3)
    row = view(live)["rows"]["07/learner001"]
    assert {(cell["symbol"], cell["shown"]) for cell in row["cells"]} == {("✔", "passed"), ("✘", "failed")}
    assert row["stuck"] == "1 min: The Service selects no Pod" and row["moves"] and row["hand"]
    assert view(live)["rows"]["07/learner003"]["stuck"] == "at least 3 min: The Service selects no Pod"
    assert view(live)["rows"]["07/learner005"]["activity"] == "quiet for 3 min"
    not_begun = view(live)["rows"]["07/learner004"]
    assert {cell["shown"] for cell in not_begun["cells"]} == {"not begun"} and not not_begun["stuck"]


def test_a_lab_that_is_begun_and_not_judged_yet_waits() -> None:
    live = MadeUpLive(2)
    live.looks["learner001"] = live.look_of(live.learners[1], "")
    live.begun.add("learner001")
    assert {cell["shown"] for cell in view(live)["rows"]["07/learner001"]["cells"]} == {"waiting"}


def test_the_causes_are_those_of_the_report_with_the_lesson_to_show() -> None:
    (first, *_) = view(MadeUpLive(7))["labs"]["07"]["causes"]
    assert first["words"] == "2 of 6: The Service selects no Pod"
    assert first["lesson"] == "Lesson 07: A Service: one name for many Pods" and first["meaning"]
    assert first["address"] == "lesson?lesson=07&section=A+Service%3A+one+name+for+many+Pods"


def test_what_is_shown_without_names_names_nobody() -> None:
    live = MadeUpLive(7)
    live.raise_hand(1)
    seen = view(live)
    hidden = [row["stuck_hidden"] + row["alias"] for row in seen["rows"].values()]
    hidden += [hand["words_hidden"] for hand in seen["hands"]] + [json.dumps(seen["labs"]["07"]["causes_hidden"])]
    assert not [text for text in hidden if "learner00" in text or "Name <b>" in text]
    assert len({row["alias"] for row in seen["rows"].values()}) == 7


def test_a_change_brings_a_page_to_the_whole_view() -> None:
    live = MadeUpLive(7)
    before = view(live)
    assert change(before, view(live)) == {}
    live.looks["learner001"] = live.look_of(live.learners[1], "solution")
    live.learners.pop(0)
    live.raise_hand(2)
    after = view(live)
    news = change(before, after)
    assert set(news["rows"]) >= {"07/learner001"} and news["rows_gone"] == ["07/learner000"]
    shown = json.loads(json.dumps(before))
    for name, part in news.items():
        if name in ("rows", "labs"):
            shown[name] |= part
        elif name.endswith("_gone"):
            for key in part:
                del shown[name.removesuffix("_gone")][key]
        else:
            shown[name] = part
    assert shown == after


def test_five_hundred_learners_are_a_view_of_bounded_size_made_in_time() -> None:
    live = MadeUpLive(500)
    begin = time.process_time()
    seen = view(live, 500)
    seconds = time.process_time() - begin
    assert len(seen["rows"]) == 500
    assert len(json.dumps(whole(seen, NAME))) < 700_000
    assert seconds < 1.0
    live.looks["learner001"] = live.look_of(live.learners[1], "solution")
    assert len(json.dumps(change(seen, view(live, 500)))) < 10_000


def test_a_panel_is_the_learners_own_with_what_is_to_be_found_out() -> None:
    live = MadeUpLive(7)
    found = panel_view(live, "learner001", "07")  # type: ignore[arg-type]
    assert found
    failed = next(task for task in found["tasks"] if task["word"] == "failed")
    assert failed["message"] and failed["lesson"] and not failed["more_hints"]
    assert panel_view(live, "learner004", "07") is None  # type: ignore[arg-type]
    assert panel_view(live, "../x", "07") is None  # type: ignore[arg-type]


# -- the server -------------------------------------------------------------------------------------------------------


@pytest.fixture
def page() -> Iterator[Served]:
    with served(MadeUpLive(3), roster(3)) as found:
        yield found


@pytest.fixture
def client(page: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=page.url, trust_env=False, timeout=20) as found:
        answer = found.get("/", params={"token": TOKEN})
        assert answer.status_code == 302 and answer.headers["Location"] == "/"
        assert "HttpOnly" in answer.headers["Set-Cookie"] and "SameSite=Strict" in answer.headers["Set-Cookie"]
        yield found


@pytest.mark.parametrize("path", ["/", "/?token=wrong", "/?token=ü", "/page.js", "/events", "/panel", "/nothing"])
def test_nothing_is_shown_without_the_token(path: str, page: Served) -> None:
    for cookies in ({}, {f"kubeclass-watch-{page.port}": "wrong"}):
        answer = httpx.get(page.url + path, cookies=cookies, trust_env=False)
        assert answer.status_code == 403 and "learner" not in answer.text


def test_a_request_by_another_name_is_refused(page: Served, client: httpx.Client) -> None:
    assert client.get("/").status_code == 200
    assert client.get("/", headers={"Host": f"evil.example:{page.port}"}).status_code == 403
    assert client.get(f"/?token={TOKEN}", headers={"Host": "evil.example"}).status_code == 403


def test_the_page_may_load_nothing_from_elsewhere(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "http" not in answer.text.replace("http-equiv", "")
    for name in ("page.css", "page.js", "panel.css", "panel.js", "picture.css", "picture.js"):
        assert client.get(f"/{name}").status_code == 200
    assert client.get("/server.py").status_code == 404


def events(answer: httpx.Response) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_a_page_gets_the_whole_view_and_then_what_has_changed(page: Served, client: httpx.Client) -> None:
    with client.stream("GET", "/events") as answer:
        got = events(answer)
        name, first = next(got)
        assert name == "whole" and len(first["rows"]) == 3 and first["texts"]["watch-hands"]
        page.live.looks["learner001"] = page.live.look_of(page.live.learners[1], "solution")
        page.change()
        name, news = next(got)
        assert name == "change" and list(news["rows"]) == ["07/learner001"]
    with client.stream("GET", "/events") as again:  # as a browser that was asleep comes back
        assert next(events(again))[0] == "whole"


def test_a_page_that_takes_nothing_gets_the_whole_view_later() -> None:
    import asyncio

    waiting: asyncio.Queue[Any] = asyncio.Queue()
    for number in range(BEHIND + 1):
        _give(waiting, {"notes": [number]})
    assert waiting.qsize() == 1 and waiting.get_nowait() is None


def test_a_hand_is_taken_down_only_by_the_page_itself(page: Served, client: httpx.Client) -> None:
    page.live.raise_hand(1)
    body = {"uid": "hand-1"}
    assert client.post("/hand-down", json=body).status_code == 403
    assert client.post("/hand-down", json=body, headers={"Origin": "http://127.0.0.1:1"}).status_code == 403
    ours = {"Origin": page.url}
    assert client.post("/hand-down", content=b"[", headers=ours).status_code == 400
    assert client.post("/hand-down", json={"uid": "other"}, headers=ours).json() == {"why": ""}
    assert page.live.down == []
    assert client.post("/hand-down", json=body, headers=ours).json() == {"why": ""}
    assert len(page.live.down) == 1 and not page.live.raised


def test_a_learners_panel_is_served(client: httpx.Client) -> None:
    found = client.get("/panel", params={"learner": "learner001", "lab": "07"}).json()
    assert found["number"] == "07"
    for asked in ({"learner": "nobody", "lab": "07"}, {"learner": "learner001", "lab": "99"}, {}):
        assert client.get("/panel", params=asked).status_code in (400, 404)


def test_kinds_that_are_watched_are_all_that_a_state_may_hold() -> None:
    assert set(class_watch.all_kinds()) == set(KINDS)
