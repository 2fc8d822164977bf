"""The random breakages (tests/breakages): each changes its shapes, the same way for the same seed; how it is judged."""

from __future__ import annotations

import json

import pytest

from checker.model.catalogue import catalogue
from tests.breakages import run as runner
from tests.breakages.breakage import ALL, Breakage, broken, changes, differences, drawn, manifests_of, shapes
from tests.breakages.outcome import Outcome, judged, kept, lines, outcomes_of, summary

FACTS = {"NAMESPACE": "ns", "API_SERVER": "172.18.0.2", "INGRESS_CLASS": runner.INGRESS_CLASS}
EACH = [pytest.param(one, shape, id=f"{one.name}-{shape}") for one in ALL for shape in one.shapes]


def named(name: str) -> Breakage:
    return next(one for one in ALL if one.name == name)


def test_there_are_five_shapes_and_sixty_breakages_of_different_names() -> None:
    assert shapes() == ["batch", "shelf", "shop", "store", "web"]
    assert len({one.name for one in ALL}) == len(ALL) >= 60
    assert {shape for one in ALL for shape in one.shapes} == set(shapes())


@pytest.mark.parametrize(("one", "shape"), EACH)
def test_a_breakage_changes_one_thing_and_names_a_root_that_is_there(one: Breakage, shape: str) -> None:
    for seed in "12":
        made = broken(one, seed, FACTS, shape)
        assert made == broken(one, seed, FACTS, shape)  # by its seed
        todo = changes(made.before, made.after)
        touched = {(obj["kind"], obj["metadata"]["name"]) for obj in [*todo.apply, *todo.delete]}
        # A Service that is renamed, or a Secret that takes the place of a value, are two objects.
        assert one.script or 1 <= len(touched) <= 2
        assert made.before == manifests_of(shape, FACTS)
        there = {f"{obj['kind']}/{obj['metadata']['name']}" for obj in [*made.before, *made.after]}
        for root in made.roots:
            causes, _, where = root.partition("@")
            assert set(causes.split("|")) <= set(catalogue())
            assert where in there or where.startswith("PersistentVolumeClaim/books-shelf-")


def test_the_seed_chooses_breakages_slips_and_shapes() -> None:
    assert [one.name for one in drawn(60, "26")] == [one.name for one in drawn(60, "26")]
    assert len({one.name for one in drawn(60, "26")}) == 60
    assert [one.name for one in drawn(60, "26")] != [one.name for one in drawn(60, "27")]
    assert len(drawn(len(ALL) + 5, "1")) == len(ALL) + 5
    slips = {json.dumps(broken(named("host-slip"), str(seed), FACTS).after) for seed in range(20)}
    assert len(slips) > 5
    assert {broken(named("host-slip"), str(seed), FACTS).shape for seed in range(20)} == {"store", "shop"}
    assert {broken(named("host-slip"), str(seed), FACTS).first for seed in range(20)} == {True, False}


def test_differences_name_the_fields() -> None:
    before, after = {"a": [{"b": 1}], "c": 2}, {"a": [{"b": 3}], "d": 4}
    assert list(differences(before, after)) == ["a[0].b: 1 → 3", "c: 2 → None", "d: None → 4"]


ROOT = "name-unknown@Deployment/guestbook"
OTHER = "service-has-no-ready-pod@Service/guestbook"


@pytest.mark.parametrize(
    ("told", "word", "untrue"),
    [
        ([ROOT], "first", ()),
        ([ROOT, OTHER], "half", (OTHER,)),
        ([OTHER, ROOT], "half", (OTHER,)),
        ([OTHER], "missed", (OTHER,)),
        ([], "missed", ()),
        (["name-unknown@Deployment/redis"], "missed", ("name-unknown@Deployment/redis",)),
    ],
)
def test_what_is_told_is_judged(told: list[str], word: str, untrue: tuple[str, ...]) -> None:
    outcome = judged(broken(named("host-slip"), "1", FACTS, "store"), told, ["a-remark@Pod/x"])
    assert (outcome.word, outcome.untrue) == (word, untrue)


def test_a_remark_counts_where_a_remark_is_the_right_answer() -> None:
    made = broken(named("changed-without-restart"), "1", FACTS)
    right = "container-older-than-source@Deployment/web"
    assert judged(made, [], [right]).word == "first"
    assert judged(made, [OTHER], [right]).word == "half"


def test_what_was_told_before_the_end_is_too_early_unless_it_is_the_root_or_stays() -> None:
    made = broken(named("host-slip"), "1", FACTS, "store")
    assert judged(made, [ROOT], [], before=[OTHER, ROOT, OTHER]).early == (OTHER,)
    assert judged(made, [ROOT, OTHER], [], before=[OTHER]).early == ()


def test_the_table_counts_and_shows_what_was_not_told_first() -> None:
    made = broken(named("host-slip"), "1", FACTS, "store")
    good = judged(made, [ROOT], [], healthy=[])
    half = judged(made, [ROOT, OTHER], [], healthy=[OTHER])
    failed = Outcome("x", "X", "web", (ROOT,), "broken", problem="no such namespace")
    numbers = summary([good, half, failed])
    wanted = {"tried": 2, "first": 1, "half": 1, "missed": 0, "untrue": 1, "healthy": 2, "said_of_healthy": 1}
    assert {name: numbers[name] for name in wanted} == wanted
    assert numbers["broken"] == 1
    data = json.loads(json.dumps(kept([good, half, failed], "26", "2026-01-01", 3)))
    text = "\n".join(lines(data))
    assert "N=3 SEED=26`, on 2026-01-01" in text
    assert "| 2 | 1 | 1 | 0 | 1 | 0 | 2 | 1 |" in text
    assert f"| half: host-slip | store | `{ROOT}` | `{ROOT}`, `{OTHER}`; when healthy: `{OTHER}` |" in text
    assert "no such namespace" in text


def test_what_is_tried_again_takes_the_place_of_the_first_try_whose_numbers_stay() -> None:
    made, other = broken(named("host-slip"), "1", FACTS, "store"), broken(named("config-kind"), "1", FACTS)
    bad, good = judged(made, [OTHER], []), judged(made, [ROOT], [])
    right = judged(other, ["config-kind-mixed-up@Deployment/web"], [], healthy=[])
    first = json.loads(json.dumps(kept([bad, right], "26", "2026-01-01", 3)))
    assert outcomes_of(first) == [right, bad]
    assert "2 of them have been tried." in lines(first)
    assert [one.is_well for one in outcomes_of(first)] == [True, False]
    second = json.loads(json.dumps(kept([good], "26", "2026-01-02", 3, first)))
    assert outcomes_of(second) == [right, good]
    assert (second["again"], second["first_try"]["missed"]) == (["host-slip"], 1)
    text = " ".join(lines(second))
    assert "At the first try, 2 breakages gave: 1 root first, 0 half, 1 missed, 1 untrue findings" in text
    assert "tried again: host-slip." in text
    late = judged(broken(named("role-slip"), "1", FACTS), ["role-missing@RoleBinding/watcher"], [])
    third = json.loads(json.dumps(kept([late], "26", "2026-01-03", 3, second)))  # the rest, tried for the first time
    assert third["again"] == ["host-slip"]
    assert {name: third["first_try"][name] for name in ("tried", "first", "missed")} == {
        "tried": 3,
        "first": 2,
        "missed": 1,
    }
