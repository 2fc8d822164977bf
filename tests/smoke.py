"""`make smoke`: one real cluster from nothing, and on it a handful of cases that rest on state and not on timing.

Stages: the wheel in an environment of its own with this Python, the engine, the cluster (once more from nothing where
it does not come up), the tests. On CI (CI=true) all kind clusters that the engine still has are deleted first. The
learner's own kubeconfig is a decoy: nothing may change it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

from cluster import Problem, engine
from cluster.process import run
from cluster.progress import step, tell
from tests.conftest import chromium

NAME = "kubeclass-gate"
HOME = Path.home() / ".kubeclass-test"
CASES = (
    "07-solution-solution",
    "07-mistakes-selector-typo",
    "07-mistakes-named-port-typo",
    "04-solution-solution",
    "04-mistakes-image-typo",
    "04-mistakes-mount-missing",
)
LESSON = "tests/lessons/test_lessons.py::test_lesson[00-start.ipynb]"
PAGE = "tests/browser/test_panel.py::test_a_task_turns_green_without_a_click"
DECOY = "apiVersion: v1\nkind: Config\ncurrent-context: somebody-elses\n"


def main() -> int:
    decoy = HOME / "decoy-kubeconfig"
    decoy.parent.mkdir(parents=True, exist_ok=True)
    decoy.write_text(DECOY)
    os.environ |= {
        "KUBECLASS_HOME": str(HOME),
        "KUBECLASS_CLUSTER": NAME,
        "KUBECLASS_TEST_CLUSTER": NAME,
        "KUBECONFIG": str(decoy),
    }
    own = Path.home() / ".kube" / "config"
    before = digest(own)
    with step("The package"):  # `make package` tries more Pythons and, with CLUSTER=1, a cluster
        env = {**os.environ, "PYTHONS": sys.executable}
        if subprocess.run([sys.executable, "-m", "tests.package"], env=env, check=False).returncode:
            return 1
    try:
        with step("The engine"):
            command = engine.ensure()
            if os.environ.get("CI") == "true":
                delete_all_kind_clusters(command)
        with step("A cluster from nothing"):
            from_nothing()
    except Problem as problem:
        print(problem)
        return 1
    if decoy.read_text() != DECOY or digest(own) != before:
        print("A learner's own kubeconfig was changed.")
        return 1
    tests = [*(f"tests/labs/test_cases.py::test_case[{case}]" for case in CASES), LESSON]
    if chromium():
        tests.append(PAGE)
    else:
        print("There is no Chromium here, so no page is looked at (Debian: apt install chromium).")
    print(f"\n== Tests ({time.strftime('%H:%M:%S')})", flush=True)
    words = [
        "-n",
        "2",
        "--dist",
        "loadgroup",
        "--no-loadscope-reorder",
        "--tb=short",
        "--durations=0",
        "--durations-min=5",
    ]
    done = subprocess.run([sys.executable, "-m", "pytest", *words, *tests], check=False)
    if not done.returncode:  # where something failed, the cluster stays, to be looked at
        subprocess.run([sys.executable, "-m", "checker.ui.cli", "down"], capture_output=True, check=False)
    return done.returncode


def from_nothing() -> None:
    """Delete the cluster of an earlier run and make a new one; once more from nothing where it does not come up."""
    kubeclass("down")
    try:
        kubeclass("up")
    except Problem as problem:
        tell(f"The cluster did not come up ({problem.what}): once more, from nothing.")
        kubeclass("down")
        kubeclass("up")
    kubeclass("status")


def kubeclass(word: str) -> None:
    if subprocess.run([sys.executable, "-m", "checker.ui.cli", word], check=False).returncode:
        raise Problem(f"`kubeclass {word}` failed; what it said is above.", f"Try it by hand: kubeclass {word}")


def delete_all_kind_clusters(command: str) -> None:
    """Also those whose nodes the engine has just brought back, and is perhaps still bringing back."""
    label = ("--filter", "label=io.x-k8s.kind.cluster", "--format", "{{.Names}}")
    for _ in range(3):
        nodes = run(command, "ps", "-a", *label).split()
        if not nodes:
            return
        tell(f"Deleting the nodes of earlier clusters: {', '.join(nodes)}")
        subprocess.run([command, "rm", "-f", "-v", *nodes], capture_output=True, timeout=180, check=False)
    raise Problem(f"These containers cannot be deleted: {', '.join(nodes)}.", f"{command} rm -f {' '.join(nodes)}")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
