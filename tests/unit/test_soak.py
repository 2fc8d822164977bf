"""What `make soak` says of what it has seen: what was left behind, and whether memory is flat. Nothing is soaked."""

from __future__ import annotations

import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

from tests.soak.leftovers import files_in, left, number_in
from tests.soak.memory import Sample, growth, in_words, longest_life, plot


def samples(*mb: float, life: str = "1") -> list[Sample]:
    """One every quarter of a minute."""
    return [Sample(n / 4, life, one) for n, one in enumerate(mb)]


@pytest.mark.parametrize(
    ("mb", "told"),
    [
        ([60, 90, *[100] * 14], "flat, +0.0%"),
        ([60, 90, *[100, 101] * 7], "flat, +0.0%"),
        ([60, 90, *[100 + 2 * n for n in range(14)]], "NOT FLAT, +15.0%"),
        ([100] * 7, "too few samples (7)"),
    ],
)
def test_memory_is_flat_when_it_has_stopped_growing(mb: list[float], told: str) -> None:
    assert told in in_words("kernel", samples(*mb))


def test_growth_is_that_of_the_longest_life() -> None:
    found = [*samples(*range(100, 108), life="first"), *samples(*[50] * 20, life="second")]
    assert {one.life for one in longest_life(found)} == {"second"}
    assert growth(found) == 0
    assert growth([]) is None


def test_the_plot_has_a_line_for_each_life_and_says_what_it_shows() -> None:
    found = {"kernel": samples(*[100] * 8), "observer": [*samples(30, 31), *samples(32, 33, life="2")]}
    drawn = xml.fromstring(plot(found))
    spaced = "{http://www.w3.org/2000/svg}"
    assert len(drawn.findall(f"{spaced}polyline")) == 3
    assert "kernel: flat" in drawn.findtext(f"{spaced}desc")


def test_what_was_there_before_is_not_left() -> None:
    before = {"namespace": {"/default"}, "file": {"/tmp/old"}}
    after = {"namespace": {"/default", "/soak-1"}, "file": set()}
    assert left(before, after) == ["namespace /soak-1"]


def test_a_learners_own_files_are_not_leftovers(tmp_path: Path) -> None:
    for name in ("folder/work/07/guestbook.yaml", "progress.json", "kubeclass-soak/kubeconfig", "tmp/kc-1", "odd.new"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert {path.name for path in files_in(tmp_path)} == {"kc-1", "odd.new"}


def test_a_number_is_read_from_a_status_of_a_process() -> None:
    assert number_in("Name:\tpython\nVmRSS:\t   20480 kB\nThreads:\t9\n", "VmRSS") == 20480
