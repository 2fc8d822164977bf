"""The course with Podman as the engine: the cluster, labs in it, and the Docker lab by the command `docker`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import nodeimage
from cluster.engine import command, install_packages, lacks_capabilities
from cluster.steps import run, succeeds
from cluster.versions import versions

pytestmark = [pytest.mark.cluster, pytest.mark.alone("engine", "cluster")]
BOUNDED = Path(nodeimage.__file__).parent / "runc_bounded.py"
SOLVED = """
import json, sys
from checker.session import Session
for number in sys.argv[1:]:
    session = Session(number)
    session.start()
    session.solve()
    result = session.check(60)
    print(json.dumps([number, result.exit_code, [[task.id, task.verdict, task.message] for task in result.tasks]]), flush=True)
    session.place.empty()
"""


@pytest.fixture
def podman(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of somebody whose engine is Podman. It has the base images and the node image that the tests' engine has."""
    if not shutil.which("podman"):
        install_packages("podman", "netavark", "aardvark-dns")
    env = {
        **os.environ, "KIND_EXPERIMENTAL_PROVIDER": "podman", "KUBECLASS_HOME": str(tmp_path / "home"),
        "KUBECLASS_CLUSTER": "kubeclass-podman", "KUBECLASS_WORK": str(tmp_path / "work"),
    }  # fmt: skip
    if lacks_capabilities():
        wrapper = tmp_path / "runc-bounded"
        wrapper.write_text(f"#!{os.path.realpath(sys.executable)} -IS\n{BOUNDED.read_text()}")
        wrapper.chmod(0o755)
        runtime = f'[engine]\nruntime = "bounded"\n[engine.runtimes]\nbounded = ["{wrapper}"]\n'
        (tmp_path / "containers.conf").write_text(runtime)
        env["CONTAINERS_CONF"] = str(tmp_path / "containers.conf")
    pinned = str(versions()["node_image"]["image"])
    node = pinned if succeeds(command(), "image", "inspect", pinned) else nodeimage.tag()
    archive = tmp_path / "images.tar"
    run(command(), "save", "-o", str(archive), node, *versions()["course_images"], timeout=300)
    run("podman", "load", "-q", "-i", str(archive), env=env, timeout=600)
    archive.unlink()
    yield env
    kubeclass(env, "down")


def kubeclass(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "checker.show.cli", *words], env=env, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=600, check=False,
    )  # fmt: skip


def test_the_course_on_podman(podman: dict[str, str]) -> None:
    came = kubeclass(podman, "up")
    assert came.returncode == 0, came.stderr
    status = json.loads(kubeclass(podman, "status", "--json").stdout)
    assert [node["ready"] for node in status["nodes"]] == [True] * 3, status
    again = kubeclass(podman, "up")
    assert (again.returncode, "Creating" in again.stderr) == (0, False), again.stderr
    done = subprocess.run(
        [sys.executable, "-c", SOLVED, "01", "06", "07"], env=podman, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(number, code) for number, code, _ in results] == [("01", 0), ("06", 0), ("07", 0)], results
