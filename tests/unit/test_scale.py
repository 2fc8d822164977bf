"""A big namespace: `explain` walks each object once, tells what is the same once, and finds the same causes."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from checker.diagnosis import pod as pod_chain
from checker.diagnosis.explain import explained
from checker.diagnosis.walking import remembered, remembering
from checker.model.fault import Failed, fail
from checker.model.state import Object, State
from checker.ui.explanation import alike, html_of, text_of
from tests.bench.explain import crowded
from tests.unit.objects import deployment, event, obj, pod, replica_set, service, state

BIG = crowded(100)
FOUND = explained(BIG)


def test_every_broken_application_is_in_a_finding_and_no_other() -> None:
    told = {finding.object for finding in FOUND.findings} | {c.object for f in FOUND.findings for c in f.consequences}
    broken = {f"app-{n:03}" for n in range(1, 100, 2)}
    assert {ref.partition("/")[2] for ref in told} == broken
    assert not FOUND.unseen


def test_a_tenth_of_the_namespace_gives_the_same_causes() -> None:
    few = {finding.cause for finding in explained(crowded(16)).findings}
    assert few == {finding.cause for finding in FOUND.findings}


def test_an_image_typo_of_many_deployments_is_one_finding_with_all_of_them() -> None:
    (typo,) = [finding for finding in FOUND.findings if finding.cause == "image-name-typo"]
    assert sum(c.object.startswith("Deployment/") for c in typo.consequences) == 6
    assert "… and 3 more (kubeclass explain --json lists all)" in text_of(FOUND)


def test_findings_that_differ_only_in_names_are_told_once_with_the_list_of_the_others() -> None:
    crashes = [finding for finding in FOUND.findings if finding.cause == "container-crashes"]
    assert len(crashes) > 3
    text, page = text_of(FOUND), html_of(FOUND)
    assert text.count("[container-crashes]") == page.count("[container-crashes]") == 1
    assert f"And {len(crashes) - 1} more like it:" in text
    for finding in crashes:
        assert finding.object in text
        assert finding.object in page


def test_nothing_is_hidden_in_json() -> None:
    written = json.dumps(FOUND.to_json())
    assert len(FOUND.to_json()["findings"]) == len(FOUND.findings)
    assert all(f"app-{n:03}" in written for n in range(1, 100, 2))


def test_findings_that_say_different_things_stay_apart() -> None:
    groups = alike(FOUND.findings)
    assert [group[0] for group in groups] == [f for f in FOUND.findings if any(f is group[0] for group in groups)]
    assert sum(len(group) for group in groups) == len(FOUND.findings)
    typos = [group for group in groups if group[0].cause == "service-selects-nothing"]
    assert all(len({finding.cause for finding in group}) == 1 for group in groups)
    assert typos


def test_a_pod_behind_a_hundred_services_is_walked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    walked: Counter[str] = Counter()
    lost = pod_chain.fail_if_node_lost

    def counted(seen: State, one: Object) -> None:
        walked[one.name] += 1
        lost(seen, one)

    monkeypatch.setattr(pod_chain, "fail_if_node_lost", counted)
    app = deployment("web", 3, status={"readyReplicas": 0, "availableReplicas": 0})
    owner = replica_set(app, "web-abc")
    pods = [pod(f"web-abc-{n}", owner=owner, ready=False) for n in range(3)]
    explained(state(app, owner, *pods, *(service(f"web-{n}") for n in range(100))))
    assert walked == dict.fromkeys((one.name for one in pods), 1)


def test_an_answer_is_kept_within_the_block_only_and_a_fault_is_raised_again() -> None:
    asked = []

    @remembered
    def question(seen: State, one: Object, number: int) -> int:
        asked.append(number)
        if number < 0:
            fail("object-missing", one)
        return number

    seen, one = state(), pod()
    with remembering():
        assert [question(seen, one, 1), question(seen, one, 1), question(seen, one, 2)] == [1, 1, 2]
        for _ in range(2):
            with pytest.raises(Failed):
                question(seen, one, -1)
    assert asked == [1, 2, -1]
    assert question(seen, one, 1) == 1
    assert asked == [1, 2, -1, 1]


def test_an_index_follows_a_list_that_grows_or_is_replaced() -> None:
    owner = replica_set(deployment())
    seen = state(owner, pod("one", owner=owner))
    assert [p.name for p in seen.owned("Pod", owner)] == ["one"]
    seen.objects["Pod"].append(pod("two", owner=owner, labels={"app": "other"}))
    assert [p.name for p in seen.owned("Pod", owner)] == ["one", "two"]
    assert [p.name for p in seen.selected("Pod", {"app": "other"})] == ["two"]
    seen.objects["Pod"] = [pod("three", owner=owner), pod("three", namespace="other")]
    assert [p.name for p in seen.all("Pod")] == ["three"]
    assert seen.find("Pod", "one") is None
    found = seen.find("Pod", "three", "other")
    assert found
    assert found.namespace == "other"


def test_events_are_those_about_the_object_newest_first() -> None:
    one, other = pod("one"), pod("other")
    late, early = event(one, "Late", "b"), event(one, "Early", "a")
    early.raw["lastTimestamp"] = "2020-01-01T00:00:00Z"
    nameless = obj("Event", "x", reason="Odd", message="no object")
    seen = state(one, other, early, late, nameless, event(other, "Else", "c"))
    assert [e["reason"] for e in seen.events(one)] == ["Late", "Early"]
    assert seen.events(one, "Early") == [early.raw]
