"""The benchmark of big classes: what it reads, makes and writes. `make bench-scale` measures."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import asdict, replace
from itertools import pairwise

import pytest

from checker.classroom.offers import WALL
from checker.collect import marks
from checker.model.state import LAB, STARTED
from tests.bench import made_up_class, scale_page
from tests.bench.scale import Figures, Load, requests_in, watches_in

METRICS = """
# HELP apiserver_request_total Counter of apiserver requests
apiserver_request_total{code="200",resource="pods",verb="LIST"} 12
apiserver_request_total{code="201",resource="pods",verb="POST"} 1.5e+02
apiserver_request_duration_seconds_count{verb="LIST"} 7
apiserver_longrunning_requests{resource="pods",verb="WATCH",version="v1"} 3
apiserver_longrunning_requests{resource="nodes",verb="WATCH",version="v1"} 2
apiserver_longrunning_requests{resource="pods",verb="CONNECT",version="v1"} 5
"""
SMALL = Figures(50, 0.5, create=10, report=1, report_memory=70, lag_95=0.5, live_cores=0.1)
BIG = replace(SMALL, learners=500, create=95, create_load=Load(300, 1.2, 70), report=4, report_memory=300, lag_95=0.9)
FOUND = [asdict(SMALL), asdict(BIG)]


def test_the_api_servers_requests_and_watches_are_counted() -> None:
    assert requests_in(METRICS) == 162
    assert watches_in(METRICS) == 5


@pytest.mark.parametrize("case", sorted(set(made_up_class.CASES)))
def test_a_made_up_learner_has_begun_the_lab_and_owns_all_objects(case: str) -> None:
    made = list(made_up_class.objects_of("big-ada", case))
    kind, mark = made[0]
    assert (kind, mark["metadata"]["name"]) == ("ConfigMap", marks.NAME)
    assert mark["metadata"]["labels"] == {LAB: "07"}
    assert mark["metadata"]["annotations"][STARTED]
    names = [(kind, raw["metadata"]["name"]) for kind, raw in made]
    assert len(set(names)) == len(names)
    assert {"Deployment", "ReplicaSet", "Service", "EndpointSlice", "Pod"} == {kind for kind, _ in made[1:]}
    for _, raw in made[1:]:
        assert raw["metadata"]["namespace"] == "big-ada"
        assert "resourceVersion" not in raw["metadata"]
    owners = {raw["metadata"].get("uid") for _, raw in made}
    wanted = {owner["uid"] for _, raw in made for owner in raw["metadata"].get("ownerReferences", [])}
    assert wanted <= owners


def test_no_service_opens_a_port_of_the_nodes() -> None:
    made = [raw for kind, raw in made_up_class.objects_of("big-ada", "solution") if kind == "Service"]
    assert {raw["metadata"]["name"] for raw in made} == {"guestbook", "news"}
    assert not [port for raw in made for port in raw["spec"]["ports"] if "nodePort" in port]


def test_the_made_up_observer_answers_from_the_recording_of_the_learner() -> None:
    numbers = {"big-a": 0, "big-b": 1}
    key = "Http(path='/hostname', per_pod=False, service='news', times=5)"
    answered = made_up_class.answers({key: {}, "unheard-of": {}}, ["big-b"], numbers)
    assert list(answered) == [key]
    assert answered[key][0]["status"] == 200
    assert made_up_class.answers({key: {}}, ["somebody-elses"], numbers) == {}
    assert made_up_class.answers({"wall": {}}, [], numbers) == {"wall": {WALL: "timeout"}}


def test_an_aim_that_is_missed_is_said() -> None:
    rows = scale_page.against_aims(asdict(BIG))
    assert [reached for *_, reached in rows] == [False, True, True, True, True]
    assert rows[0] == ("`class create`", "95 s", "≤ 90 s", False)


def test_the_figures_replace_older_ones_and_nothing_else() -> None:
    page = f"before\n\n{scale_page.BEGIN}old\n{scale_page.END}\nafter\n"
    new = scale_page.with_figures(page, FOUND)
    assert new.startswith("before\n\n")
    assert new.endswith("\nafter\n")
    assert "old" not in new
    assert "| `class create` | 95 s | ≤ 90 s; missed |" in new
    assert "| learners | 50 | 500 |" in new
    assert scale_page.with_figures(new, FOUND) == new


def test_the_page_has_its_figures_and_the_plot_its_words() -> None:
    page = scale_page.PAGE.read_text()
    assert page.count(scale_page.BEGIN) == page.count(scale_page.END) == 1
    assert page.index(scale_page.BEGIN) < page.index(scale_page.END)
    drawn = ElementTree.fromstring(scale_page.PLOT.read_text())
    svg = "{http://www.w3.org/2000/svg}"
    assert drawn.findtext(f"{svg}title")
    assert "learners" in (drawn.findtext(f"{svg}desc") or "")


def test_a_plot_keeps_all_inside_and_labels_apart() -> None:
    drawn = ElementTree.fromstring(scale_page.plot(FOUND))
    svg = "{http://www.w3.org/2000/svg}"
    lines = drawn.findall(f"{svg}polyline")
    assert len(lines) == len(scale_page.LINES)
    for line in lines:
        for point in line.attrib["points"].split():
            x, y = map(float, point.split(","))
            assert scale_page.LEFT <= x <= scale_page.LEFT + scale_page.PLOT_WIDTH + 0.1
            assert scale_page.TOP <= y <= scale_page.TOP + scale_page.PLOT_HEIGHT
    names = {title for title, *_ in scale_page.LINES}
    heights = sorted(float(text.attrib["y"]) for text in drawn.findall(f"{svg}text") if text.text in names)
    assert all(after - before > 12 for before, after in pairwise(heights))
