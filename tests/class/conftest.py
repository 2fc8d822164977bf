"""A class of three on the tests' cluster, made and removed by the command line, as a teacher would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from checker.classroom.access import ClassAccess, read
from checker.collect.api import Api
from cluster import Cluster, current, metrics_server, paths, tools

NAME = os.environ.get("KUBECLASS_TEST_CLASS") or "class-t"  # two of these tests may run on one cluster
ROSTER = 'id,name,group\nada,Ada Lovelace,a\nBob,Bob,a\ncarl,"Carl, the third",b\n'
LEARNERS = ("ada", "bob", "carl")


def command(*arguments: str, home: Path, group: tuple[str, ...] = ("class",)) -> subprocess.CompletedProcess[str]:
    """Run `kubeclass class …` as a teacher would, with a folder of its own for what the course remembers.

    group: the words before the arguments; empty for what is no command of `kubeclass class`.
    """
    env = os.environ | {"KUBECLASS_HOME": str(home), "PYTHONPATH": str(paths.COURSE)}
    return subprocess.run(
        [sys.executable, "-m", "checker.ui.cli", *group, *arguments],
        env=env,
        cwd=paths.COURSE,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


@dataclass(frozen=True)
class Classroom:
    """A class on the cluster.

    admin: the teacher's connection. home: what the course remembers. created: what `create` said.
    """

    admin: Api
    home: Path
    roster: Path
    created: dict[str, object]
    access: dict[str, ClassAccess]
    clusters: dict[str, Cluster]

    def api(self, learner: str) -> Api:
        """A connection with the learner's own token."""
        return Api(self.clusters[learner])

    def learner_home(self, learner: str) -> Path:
        """The folder of what the course remembers, at a learner who joined the class with the file of `hand-out`."""
        home = self.home.parent / f"at-{learner}"
        if not home.exists():
            home.mkdir()
            (home / "bin").symlink_to(tools.kubectl_path().parent)
            file = self.home.parent / "out" / f"{learner}.yaml"
            done = command("join", str(file), home=home, group=())
            assert done.returncode == 0, done.stderr
        return home

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return command(*arguments, home=self.home)


@pytest.fixture(scope="session")
def classroom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classroom]:
    folder = tmp_path_factory.mktemp("class")
    home, roster, out = folder / "home", folder / "roster.csv", folder / "out"
    home.mkdir()
    roster.write_text(ROSTER)
    cluster = current()
    metrics_server.ensure(cluster)  # lab 15 needs it
    where = ("--context", cluster.context, "--kubeconfig", str(cluster.kubeconfig))
    made = command("create", NAME, "--roster", str(roster), *where, "--yes", "--json", home=home)
    assert made.returncode == 0, made.stderr
    try:
        handed = command("hand-out", NAME, "--out", str(out), home=home)
        assert handed.returncode == 0, handed.stderr
        access = {learner: read(out / f"{learner}.yaml") for learner in LEARNERS}
        clusters = {}
        for learner, file in access.items():
            kubeconfig = folder / f"{learner}.kubeconfig"
            kubeconfig.write_text(yaml.safe_dump(file.kubeconfig()))
            clusters[learner] = Cluster(NAME, kubeconfig, NAME, file.namespace, "class")
        yield Classroom(Api(cluster), home, roster, json.loads(made.stdout), access, clusters)
    finally:
        removed = command("remove", NAME, "--yes", "--json", *where, home=home)
    assert removed.returncode == 0, removed.stdout + removed.stderr
    assert json.loads(removed.stdout) == {"class": NAME, "removed": True, "left": [], "stays": ["Namespace kubeclass"]}
