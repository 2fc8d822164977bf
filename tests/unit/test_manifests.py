"""The learner's files: each document is asked about where it belongs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from checker.collect import dry_run
from cluster import Cluster
from cluster.language import problem

from .objects import deployment, obj, state

HERE = "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: guestbook}\n"
THERE = "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: guestbook, namespace: learn-blue}\n"


@pytest.mark.parametrize(
    "text, others, wanted",
    [
        (HERE, [], ["learn"]),
        (HERE, [deployment()], []),
        (THERE, [deployment()], ["learn-blue"]),
        (THERE, [obj("Deployment", "guestbook", namespace="learn-blue")], []),
    ],
)
def test_a_manifest_is_tried_in_the_namespace_that_it_names(
    text: str, others: list[Any], wanted: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def kubectl(_cluster: Cluster, *words: str, **_more: Any) -> str:
        tried.append(words[words.index("-n") + 1])
        return ""

    monkeypatch.setattr(dry_run, "kubectl", kubectl)
    file = tmp_path / "a.yaml"
    file.write_text(text)
    assert dry_run.refusals(Cluster("kubeclass", tmp_path / "kubeconfig"), state(*others), [file]) == []
    assert tried == wanted


def test_what_is_refused_is_called_by_the_name_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = 'error when creating "STDIN": Deployment in version "v1" cannot be handled as a Deployment'

    def kubectl(_cluster: Cluster, *_words: str, **_more: Any) -> str:
        raise problem("kubectl-failed", command="kubectl apply", output=error)

    monkeypatch.setattr(dry_run, "kubectl", kubectl)
    file = tmp_path / "a.yaml"
    file.write_text(HERE)
    (refusal,) = dry_run.refusals(Cluster("kubeclass", tmp_path / "kubeconfig"), state(), [file])
    assert refusal["message"] == error.replace("STDIN", "a.yaml")
