"""The picture: what is on it, where it is, and the same in words."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest

from checker import recording
from checker.diagnosis.explain import explained
from checker.grading.labs import all_labs, load_lab
from checker.model.kinds import KINDS
from checker.model.state import Object, State
from checker.ui import picture
from checker.ui.picture.drawing import Places, laid_out, svg, text
from checker.ui.picture.scene import Scene, scene
from tests.unit.objects import ago, deployment, node, obj, pod, replica_set, service, slice_of, state


def guestbook(*pods: Object, **changes: Any) -> list[Object]:
    """A Deployment guestbook with its ReplicaSet, on two workers and a control plane."""
    app = deployment("guestbook", replicas=max(1, len(pods)))
    control_plane = node("cp", labels={"node-role.kubernetes.io/control-plane": ""})
    return [app, replica_set(app), control_plane, node("worker"), node("worker2"), *pods]


def one(name: str, **changes: Any) -> Object:
    return pod(name, owner=replica_set(deployment()), **changes)


def pictured(seen: State, *target: str) -> Scene:
    return scene(seen, explained(seen, *target), *target)


def drawn(*objects: Object, places: Places | None = None) -> dict[str, Any]:
    return laid_out(pictured(state(*objects)), places or Places())


def shape(drawing: dict[str, Any], name: str) -> dict[str, Any]:
    return next(shape for shape in drawing["shapes"] if shape["name"] == name)


def test_pods_are_in_their_nodes_and_services_lead_to_those_whose_addresses_they_have() -> None:
    a, b = one("guestbook-abc-1", ip="10.244.1.1"), one("guestbook-abc-2", node="worker2", ip="10.244.2.1")
    drawing = drawn(*guestbook(a, b), service(), slice_of())
    for name, place in (("guestbook-abc-1", "worker"), ("guestbook-abc-2", "worker2")):
        inner, outer = shape(drawing, name), shape(drawing, place)
        assert outer["x"] < inner["x"] and inner["x"] + inner["w"] < outer["x"] + outer["w"]
        assert outer["y"] < inner["y"] and inner["y"] + inner["h"] < outer["y"] + outer["h"]
    assert [line["id"].split()[-1] for line in drawing["lines"]] == [a.uid]  # the other one's address is in no endpoint
    assert shape(drawing, "guestbook-abc-1")["lines"] == ["guestbook …1", "Running 1/1"]


def test_nothing_lies_over_something_else() -> None:
    pods = [one(f"guestbook-abc-{n}", node="worker2" if n % 3 else "worker", ip=f"10.244.1.{n}") for n in range(40)]
    services = [service(f"s{n}") for n in range(9)]
    waiting = [one(f"guestbook-abc-w{n}", node="", ready=False) for n in range(7)]
    drawing = drawn(*guestbook(*pods, *waiting), *services)
    boxes = [box for box in drawing["shapes"] if box["kind"] != "Node"]
    for number, box in enumerate(boxes):
        assert box["x"] + box["w"] <= drawing["width"] and box["y"] + box["h"] <= drawing["height"]
        for other in boxes[number + 1 :]:
            apart = (
                box["x"] + box["w"] <= other["x"]
                or other["x"] + other["w"] <= box["x"]
                or box["y"] + box["h"] <= other["y"]
                or other["y"] + other["h"] <= box["y"]
            )
            assert apart, (box["name"], other["name"])


def test_who_stays_keeps_their_place_and_who_comes_takes_a_free_one() -> None:
    places = Places()
    names = [f"guestbook-abc-{n}" for n in range(4)]
    before = drawn(*guestbook(*map(one, names)), places=places)
    after = drawn(
        *guestbook(*map(one, ["guestbook-abc-0", "guestbook-abc-2", "guestbook-abc-3", "guestbook-abc-new"])),
        places=places,
    )

    def at(drawing: dict[str, Any], name: str) -> tuple[int, int]:
        return shape(drawing, name)["x"], shape(drawing, name)["y"]

    for name in ("guestbook-abc-0", "guestbook-abc-2", "guestbook-abc-3"):
        assert at(after, name) == at(before, name)
    assert at(after, "guestbook-abc-new") == at(before, "guestbook-abc-1")


@pytest.mark.parametrize("broken", [True, False])
def test_a_broken_link_says_why(broken: bool) -> None:
    selector = {"app": "guestbok"} if broken else {"app": "guestbook"}
    drawing = drawn(*guestbook(one("guestbook-abc-1")), service(selector=selector), *([] if broken else [slice_of()]))
    (line,) = drawing["lines"]
    assert line["broken"] is broken
    assert shape(drawing, "guestbook")["fault"] == ("The Service selects no Pod" if broken else "")
    assert drawing["broken"] == (["Service/guestbook: The Service selects no Pod"] if broken else [])
    assert ("✘" in drawing["text"]) is broken


def test_words_and_tones_tell_how_a_pod_is() -> None:
    crashed = {"waiting": {"reason": "CrashLoopBackOff"}}
    last = {"exitCode": 1, "reason": "Error", "finishedAt": ago(5)}
    pods = [
        one("guestbook-abc-well"),
        one("guestbook-abc-crash", ready=False, container_state=crashed, last=last, restarts=3),
        one("guestbook-abc-none", node="", ready=False, age=1),
    ]
    leaving = one("guestbook-abc-old")
    leaving.raw["metadata"]["deletionTimestamp"] = ago(-20)
    drawing = drawn(*guestbook(*pods, leaving))
    shown_as = {
        name: (shape(drawing, f"guestbook-abc-{name}")["tone"], shape(drawing, f"guestbook-abc-{name}")["lines"][1])
        for name in ("well", "crash", "none", "old")
    }
    assert shown_as["well"] == ("well", "Running 1/1")
    assert shown_as["crash"][0] == "broken" and shown_as["crash"][1].startswith("CrashLoopBackOff")
    assert shown_as["none"] == ("waiting", "Pending 0/1")
    assert shown_as["old"] == ("leaving", "Terminating 1/1")
    assert ["Restarts", "3"] in shape(drawing, "guestbook-abc-crash")["details"]
    assert shape(drawing, "guestbook-abc-crash")["command"] == "kubectl describe pod guestbook-abc-crash"
    assert "On no node" in drawing["text"]


def test_a_policy_is_a_gate_before_the_pods_that_it_is_about() -> None:
    policy = obj(
        "NetworkPolicy", "deny", spec={"podSelector": {"matchLabels": {"app": "guestbook"}}, "policyTypes": ["Ingress"]}
    )
    inside, outside = one("guestbook-abc-1"), pod("redis", labels={"app": "redis"})
    drawing = drawn(*guestbook(inside, outside), policy)
    assert shape(drawing, "guestbook-abc-1")["gate"] and not shape(drawing, "redis")["gate"]
    assert ["Policies", "deny"] in shape(drawing, "guestbook-abc-1")["details"]
    assert "behind deny" in drawing["text"]


def test_one_object_and_what_belongs_to_it() -> None:
    other = pod("redis", labels={"app": "redis"}, ip="10.244.1.9")
    world = state(
        *guestbook(one("guestbook-abc-1"), other), service(), slice_of(), service("redis", selector={"app": "redis"})
    )
    shown = pictured(world, "Deployment", "guestbook")
    assert [item.name for item in shown.pods] == ["guestbook-abc-1"]
    assert [item.name for item in shown.services] == ["guestbook"]
    assert "redis" not in text(shown)


def test_what_others_wrote_cannot_break_the_svg() -> None:
    hostile = pod("x<script>alert(1)</script>", labels={"app": "guestbook"})
    ElementTree.fromstring(svg(drawn(*guestbook(hostile))))
    assert "<script>" not in svg(drawn(*guestbook(hostile)))


class FakeWatch:
    """A watch whose State is what it is told to be."""

    made: list[FakeWatch] = []  # noqa: RUF012

    def __init__(self, api: Any, namespace: str, changed: Callable[[], None], kinds: Any, further: Any) -> None:
        self.changed, self.now, self.runs = changed, None, False
        self.made.append(self)

    def start(self) -> None:
        self.runs = True

    def stop(self) -> None:
        self.runs = False

    def state(self) -> State | None:
        return self.now

    def becomes(self, now: State) -> None:
        self.now = now
        self.changed()


def test_it_follows_the_cluster_and_says_when_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = state(*guestbook(one("guestbook-abc-1")))
    monkeypatch.setattr(picture, "Api", lambda cluster: None)
    monkeypatch.setattr(picture, "look", lambda namespace, listed=None, api=None, further=(): listed or begun)
    monkeypatch.setattr(picture, "Watch", FakeWatch)
    shown = picture.picture()
    assert "guestbook-abc-1" in repr(shown)
    bundle = shown._repr_mimebundle_()
    assert {"text/plain", "image/svg+xml", "application/vnd.jupyter.widget-view+json"} <= set(bundle)
    assert FakeWatch.made == []  # nobody looks yet
    shown._widget.on_request({"do": "here"})
    (watch,) = FakeWatch.made

    def until(what: Callable[[], bool]) -> None:
        end = time.monotonic() + 10
        while not what():
            assert time.monotonic() < end, shown._widget.view
            time.sleep(0.01)

    watch.becomes(state(*guestbook(one("guestbook-abc-2"))))
    until(lambda: "guestbook-abc-2" in shown._widget.view["text"])
    watch.becomes(State("learn", begun.now, unlisted={"Pod": "no answer"}))
    until(lambda: "no answer" in shown._widget.status)
    assert "guestbook-abc-2" in repr(shown) and "no answer" in repr(shown)  # what was seen last stays
    watch.becomes(state(*guestbook(one("guestbook-abc-3"))))
    until(lambda: "guestbook-abc-3" in shown._widget.view["text"] and not shown._widget.status)
    shown._widget.viewers.rest()
    assert not watch.runs


def test_a_cluster_that_goes_away_piece_by_piece_stays_on_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deleted cluster hangs up on one watch after another: what can be seen no more stays as it was."""
    begun = recording.load(load_lab("07").folder / "recorded" / "solution.json")[0]
    shown, last = picture_of(begun, monkeypatch), ""
    for kind in ("Node", "ReplicaSet", "NetworkPolicy", "EndpointSlice", "Service", "Pod"):
        begun = hiding(begun, kind)
        shown.view = shown._drawn(begun)
        assert "Ready" in shown.view["text"] and "guestbook" in shown.view["text"], kind
        last = last or shown.view["away"]
    assert last == "The cluster cannot be seen at the moment: forbidden"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_a_learner_may_not_see_is_not_on_the_picture_and_that_is_said(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = recording.load(load_lab("07").folder / "recorded" / "solution.json")[0]
    shown = picture_of(hiding(begun, kind), monkeypatch)
    assert shown.view["away"] == (f"Cannot be seen here: {kind} (forbidden)" if kind in picture.DRAWN else "")
    shown.view = shown._drawn(begun)  # a right that was given meanwhile
    assert shown.view["away"] == ""


def hiding(state: State, kind: str) -> State:
    objects = {name: found for name, found in state.objects.items() if name != kind}
    return replace(state, objects=objects, unlisted={**state.unlisted, kind: "forbidden"})


def picture_of(state: State, monkeypatch: pytest.MonkeyPatch) -> picture.Picture:
    monkeypatch.setattr(picture, "Api", lambda cluster: None)
    monkeypatch.setattr(picture, "look", lambda namespace, listed=None, api=None, further=(): listed or state)
    return picture.picture()


@pytest.mark.parametrize("number", [number for number in all_labs() if not load_lab(number).spec.needs.engine])
def test_every_recorded_cluster_has_a_picture(number: str) -> None:
    """Whatever learners create: all Pods are on it, and the SVG is whole."""
    for path in (load_lab(number).folder / "recorded").glob("*.json"):
        seen: State = recording.load(path)[0]
        drawing = laid_out(pictured(seen), Places())
        ElementTree.fromstring(svg(drawing))
        there = {p.name for p in seen.all("Pod") if p.status.get("phase") != "Succeeded"}
        assert {s["name"] for s in drawing["shapes"] if s["kind"] == "Pod"} == there, path
        assert all(name in drawing["text"] for name in there), path
