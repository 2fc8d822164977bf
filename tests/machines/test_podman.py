"""The course with Podman as the engine: the cluster, labs in it, and the Docker lab by the command `docker`."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from cluster import nodeimage, paths
from cluster.engine import command, install_packages, lacks_capabilities
from cluster.process import run, succeeds
from cluster.versions import versions
from tests.machines.box import in_a_box

pytestmark = [pytest.mark.cluster, pytest.mark.alone("engine", "cluster")]
BOUNDED = Path(nodeimage.__file__).parent / "runc_bounded.py"
# Up twice, the labs that are named solved and graded, down.
THE_COURSE = """
import json, sys
from checker.session import Session
from cluster.status import status
from cluster.up import down, up
cluster = up()
print(json.dumps(status(cluster)["nodes"]))
up()
for number in sys.argv[1:]:
    session = Session(number)
    session.start()
    session.solve()
    result = session.check(60)
    print(json.dumps([number, result.exit_code, [[task.id, task.verdict, task.message] for task in result.tasks]]))
    session.environment.empty()
down()
"""


# What Podman needs beside itself on a system of nothing but the most needed.
PACKAGES = "podman,netavark,aardvark-dns,runc,nftables,iptables,iproute2,ca-certificates,procps"
LOADED = 'podman load -q -i "$1" > /dev/null; shift; exec "$@"'  # a script: images from an archive, then a command


def environment(folder: Path) -> dict[str, str]:
    """The environment of somebody whose engine is Podman."""
    env = {
        **os.environ,
        "KIND_EXPERIMENTAL_PROVIDER": "podman",
        "KUBECLASS_HOME": str(folder / "home"),
        "KUBECLASS_CLUSTER": "kubeclass-podman",
        "KUBECLASS_WORK": str(folder / "work"),
    }
    if lacks_capabilities():
        wrapper = folder / "runc-bounded"
        wrapper.write_text(f"#!{os.path.realpath(sys.executable)} -IS\n{BOUNDED.read_text()}")
        wrapper.chmod(0o755)
        runtime = f'[engine]\nruntime = "bounded"\n[engine.runtimes]\nbounded = ["{wrapper}"]\n'
        (folder / "containers.conf").write_text(runtime)
        env["CONTAINERS_CONF"] = str(folder / "containers.conf")
    return env


def debian_13(folder: Path) -> Path:
    """Another system, with Podman 5."""
    run("mmdebstrap", "-q", "--variant=minbase", f"--include={PACKAGES}", "trixie", str(folder), timeout=600)
    (folder / "lib/modules").mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("system", ["this", "Debian 13"])
def test_the_course_on_podman(system: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The node image and the base images are those of the tests' engine."""
    if system == "this" and not shutil.which("podman"):
        install_packages("podman", "netavark", "aardvark-dns")
    root = debian_13(tmp_path_factory.mktemp("debian")) if system != "this" else None
    pinned = str(versions()["node_image"]["image"])
    node = pinned if succeeds(command(), "image", "inspect", pinned) else nodeimage.tag()
    archive = tmp_path / "images.tar"
    run(command(), "save", "-o", str(archive), node, *versions()["course_images"], timeout=300)
    # In a box: the engine that runs here has a firewall that drops what it does not know, so Podman's nodes would not
    # reach each other.
    done = in_a_box(
        "sh",
        "-ec",
        LOADED,
        "sh",
        archive,
        sys.executable,
        "-c",
        THE_COURSE,
        "01",
        "06",
        "07",
        env=environment(tmp_path),
        root=root,
        share=[paths.COURSE, Path(sys.base_prefix), paths.cache(), tmp_path],
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("✔ Creating 3 nodes with kind") == 1
    nodes, *results = map(json.loads, done.stdout.splitlines())
    assert [node["ready"] for node in nodes] == [True] * 3, nodes
    assert [(number, code) for number, code, _ in results] == [("01", 0), ("06", 0), ("07", 0)], results
