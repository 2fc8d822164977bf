"""What somebody does with the course: lessons, labs, namespaces, a kernel restarted, a cluster deleted and made."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from checker.authoring.notebooks import difference, empty, has_lab, solve
from checker.grading.labs import all_labs
from checker.ui.study import environment
from cluster import current, paths
from cluster.kubectl import kubectl
from tests.soak.notebooks import Notebooks

LESSONS = paths.COURSE / "lessons"
OF_A_CLUSTER = 20 * 60.0  # seconds after which a cluster is deleted and made again


class NotAsExpected(Exception):
    """What a use came to is not what it must come to."""


@dataclass
class Uses:
    """The uses, in an order that a seed gives."""

    chance: random.Random
    notebooks: Notebooks
    clusters_since: float = field(default_factory=time.monotonic)

    def next(self) -> str:
        """Do something; says what. Raises NotAsExpected, Problem and what a browser raises."""
        if time.monotonic() - self.clusters_since > OF_A_CLUSTER:
            self.new_cluster()
            return "a new cluster"
        use = self.chance.choice(("lesson", "lab", "lab", "namespace", "restart"))
        lab = self.chance.choice(all_labs())
        if use == "lesson":
            lesson = self.chance.choice(sorted(LESSONS.glob("[0-9][0-9]-*.ipynb")))
            run_lesson(lesson, is_solved=self.chance.random() < 0.5)
            return f"lesson {lesson.name[:2]}"
        if use == "lab":
            do_lab(lab)
            if self.chance.random() < 0.3:
                kubeclass("reset", lab, "--yes")
            return f"lab {lab}"
        if use == "namespace":
            name = f"soak-{self.chance.randrange(1000)}"
            do_lab(lab, "--namespace", name)
            kubeclass("clear", "--yes", "--namespace", name)
            kubectl(current(), "delete", "namespace", name, "--ignore-not-found", "--timeout=90s", timeout=100)
            return f"lab {lab} in a namespace of its own"
        self.notebooks.restart()
        return "a kernel restarted"

    def new_cluster(self) -> None:
        kubeclass("down", timeout=300)
        kubeclass("up", "--metrics", timeout=1800)
        self.clusters_since = time.monotonic()


def run_lesson(lesson: Path, is_solved: bool) -> None:
    """Run a copy of a lesson, as it stands or with its lab solved, and compare its outputs."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "lessons"
        shutil.copytree(LESSONS, copy, ignore=shutil.ignore_patterns("work"))
        empty(copy / "work")
        own = {"KUBECLASS_WORK": str(copy / "work"), "KUBECLASS_PROGRESS": str(Path(folder) / "progress.json")}
        patient = {"KUBECLASS_SEED": "lesson", "KUBECLASS_WAIT": "90"}
        if is_solved and has_lab(copy / lesson.name):
            solve(copy / lesson.name)
        if differs := difference(copy / lesson.name, {**environment(current()), **own, **patient}):
            raise NotAsExpected(differs)


def do_lab(number: str, *where: str) -> None:
    """Start a lab, check it, solve it, check it again: full marks."""
    kubeclass("start", number, "--yes", *where)
    kubeclass("check", number, *where, expect=(0, 1, 2))
    kubeclass("solve", number, *where, timeout=400)
    kubeclass("check", number, "--wait", "120", *where, timeout=400)


def kubeclass(*words: str, expect: tuple[int, ...] = (0,), timeout: float = 240) -> None:
    """Run a command as a learner does. Raises NotAsExpected for another exit status, and where it does not end."""
    command = [sys.executable, "-m", "checker.ui.cli", *words]
    try:
        done = subprocess.run(
            command, env=environment(current()), capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotAsExpected(f"kubeclass {' '.join(words)} did not end within {timeout:.0f} s") from None
    if done.returncode not in expect:
        said = (done.stdout + done.stderr)[-2000:]
        raise NotAsExpected(f"kubeclass {' '.join(words)}: exit status {done.returncode}\n{said}")
