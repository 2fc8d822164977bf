"""Explaining proven on the real cluster: each case makes a state in its own namespace, and exactly its roots are found.

Until everything has settled nothing else may be called wrong either: a fault that is told too early is told wrongly.
The recordings must still tell the truth; with --record (make prove EXPLAIN=1) they are written anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from checker.collect.collect import look
from checker.diagnosis.explain import explained
from checker.environments.base import run_script
from checker.environments.namespace import NamespaceEnvironment
from checker.model.kinds import SYSTEM_NAMESPACES
from checker.ui.explanation import explain
from cluster import Problem, current
from cluster.kubectl import kubectl

from .case import FOLDER, Case, all_cases, load, remarks, roots, save

pytestmark = pytest.mark.cluster
WAIT = 150  # seconds that everything is given to settle


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in all_cases()])
def test_case(case: Case, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    namespace = f"explain-{case.name}"
    cluster = current()
    kubectl(
        cluster,
        "delete",
        "namespace",
        namespace,
        f"{namespace}-other",
        "--ignore-not-found",
        "--timeout=90s",
        timeout=100,
    )
    kubectl(cluster, "create", "namespace", namespace)
    # Marked as a lab's: then others' checks do not point to what is in it.
    kubectl(cluster, "label", "namespace", namespace, "kubeclass.dev/lab=explain")
    place = NamespaceEnvironment(namespace, work=tmp_path)
    place.await_account(namespace)
    try:
        run(place, case.make)
        premature: list[str] = []
        found = None
        begin = time.monotonic()
        while time.monotonic() - begin < WAIT:
            state = look(namespace)
            found = explained(state)
            premature += [f.root + ": " + f.message for f in found.findings if not case.may_be(f.root)]
            remarked = remarks(found) == list(case.remarks)
            if (
                remarked
                and case.as_wanted(roots(found))
                and not found.unseen
                and bool(found.in_progress) == case.in_progress
            ):
                break
            time.sleep(2)
        assert found
        assert case.as_wanted(roots(found)), f"{found!r}"
        assert remarks(found) == list(case.remarks), f"{found!r}"
        assert not found.unseen, f"{found!r}"
        assert bool(found.in_progress) == case.in_progress, f"{found!r}"
        assert not premature, "\n".join(premature)
        if pytestconfig.getoption("record"):
            save(state, case)
        recorded = roots(explained(load(case.recording)[0]))
        assert case.as_wanted(recorded), (
            f"{case.recording} no longer tells the truth: make prove EXPLAIN=1 CASE={case.name}"
        )
    finally:
        try:
            run(place, case.undo)
        finally:
            gone = (namespace, f"{namespace}-other")
            kubectl(cluster, "delete", "namespace", *gone, "--ignore-not-found", "--wait=false")


def run(place: NamespaceEnvironment, script: str) -> None:
    with place._own_kubeconfig() as kubeconfig:
        run_script(script, FOLDER / "cases", place.namespace, {"KUBECONFIG": kubeconfig, "PATH": path()}, 150)


def path() -> str:
    from cluster.tools import kubectl_path

    return f"{kubectl_path().parent}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize("namespace", SYSTEM_NAMESPACES)
def test_nothing_is_wrong_in_the_clusters_own_namespaces(namespace: str) -> None:
    found = explain(namespace=namespace)
    assert found.exit_code == 0, f"{found!r}"


def kubeclass(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "checker.ui.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_says_what_is_wrong_and_ends_with_a_status_that_a_script_can_use() -> None:
    nothing = kubeclass("explain", "--namespace", "kube-system", "deploy/coredns")
    assert (nothing.returncode, nothing.stdout.strip()) == (
        0,
        "Deployment/coredns in namespace kube-system: nothing is wrong.",
    )
    missing = kubeclass("explain", "--namespace", "kube-system", "--json", "deploy/core-dns")
    assert missing.returncode == 1
    assert json.loads(missing.stdout)["findings"][0]["cause"] == "wrong-name"
    assert kubeclass("explain", "cat/tom").returncode == 3


def test_an_unknown_kind_is_a_problem() -> None:
    with pytest.raises(Problem):
        explain("cat/tom")
