"""`kubeclass clear` empties a namespace and what is named after it, and nothing of anybody else's."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from cluster import current
from cluster.kubectl import kubectl

MINE = "tc-me"


def kubeclass(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "checker.ui.cli", *words], capture_output=True, text=True, timeout=150, check=False
    )


def namespaces() -> set[str]:
    items = json.loads(kubectl(current(), "get", "namespaces", "-o", "json"))["items"]
    return {item["metadata"]["name"] for item in items if item["status"]["phase"] == "Active"}


@pytest.mark.cluster
def test_clear_leaves_what_is_anothers() -> None:
    cluster, further, other, of_other, alike = current(), f"{MINE}-team", f"{MINE}-you", f"{MINE}-you-data", "tc-meadow"
    try:
        assert kubeclass("start", "08", "--namespace", MINE).returncode == 0
        assert kubeclass("start", "05", "--namespace", other).returncode == 0
        for namespace in (further, of_other, alike):
            kubectl(cluster, "create", "namespace", namespace)
        first = kubeclass("clear", "--namespace", MINE)
        assert first.returncode == 1
        assert "kubeclass clear --yes" in first.stderr
        for _ in range(2):  # twice is safe
            cleared = kubeclass("clear", "--namespace", MINE, "--yes")
            assert cleared.returncode == 0, cleared.stderr
        assert {MINE, other, of_other, alike} <= namespaces()
        assert not {further, f"{MINE}-data"} & namespaces()
        assert kubectl(cluster, "get", "deployments,services,pods", "-n", MINE, "-o", "name").strip() == ""
        assert "guestbook" in kubectl(cluster, "get", "services", "-n", other, "-o", "name")
        # Another lab can begin there without being asked about the one before.
        assert kubeclass("start", "07", "--namespace", MINE).returncode == 0
    finally:
        everything = (MINE, f"{MINE}-data", further, other, of_other, alike)
        kubectl(cluster, "delete", "namespace", *everything, "--ignore-not-found", "--wait=false")
