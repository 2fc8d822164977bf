"""What `make smoke` does where its cluster does not come up."""

from __future__ import annotations

import pytest

from cluster import Problem
from tests import smoke


def commands(monkeypatch: pytest.MonkeyPatch, failures: int) -> list[str]:
    """The list to which `kubeclass` adds what it is called with; `up` fails that often."""
    called: list[str] = []

    def kubeclass(word: str) -> None:
        called.append(word)
        if word == "up" and called.count("up") <= failures:
            raise Problem("`kubeclass up` failed.", "")

    monkeypatch.setattr(smoke, "kubeclass", kubeclass)
    return called


def test_a_cluster_that_does_not_come_up_is_made_once_more_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    called = commands(monkeypatch, failures=1)
    smoke.from_nothing()
    assert called == ["down", "up", "down", "up", "status"]
    assert "once more, from nothing" in capsys.readouterr().err


def test_one_that_does_not_come_up_twice_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    called = commands(monkeypatch, failures=2)
    with pytest.raises(Problem):
        smoke.from_nothing()
    assert called == ["down", "up", "down", "up"]
