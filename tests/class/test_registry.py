"""A class whose cluster pulls the course's images from a registry: from `class images --push` to full marks.

The registry is CNCF Distribution, from the Debian package docker-registry. One container takes what is pushed, from a
user who has logged in. On each node another one gives out the same files, at the node's own localhost. containerd asks
localhost without TLS, so no node has to be set up for it. Any other registry needs TLS.
Source: https://distribution.github.io/distribution/about/configuration/
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from checker.collect.api import Api
from cluster import current, images, tools
from cluster.engine import command as engine
from cluster.nodes import nodes_of
from cluster.process import run, succeeds
from cluster.waiting import wait_until
from tests.conftest import HOME

from .conftest import command

pytestmark = [pytest.mark.cluster, pytest.mark.engine, pytest.mark.xdist_group("class")]
NAME = "class-r"
USER, PASSWORD = "teacher", "course"
HASH = "$2b$04$QktqztA/wHx3X7W3KIKujuNtzNrO58zQvcFLyaDbmMfesBbWW1HR."  # bcrypt, of the password
PROGRAM = "docker-registry"
MARK = "org.kubeclass.test"  # label of the images that the registry gives out


@dataclass(frozen=True)
class Registry:
    """prefix: of the course's images. docker_config: the folder where the engine keeps its login."""

    prefix: str
    docker_config: Path

    def login(self) -> None:
        host, _, _ = self.prefix.partition("/")
        run(engine(), "login", host, "-u", USER, "--password-stdin", input=PASSWORD, env=self.env)

    def make_its_own(self, image: str) -> None:
        """Have the registry give out an image that is not the one on the nodes.

        The kubelet keeps by the image's id what it has pulled, and from where. With the same id on the nodes already,
        it would not start other tests' Pods by the short name any more, but would pull that.
        Source: https://kubernetes.io/docs/concepts/containers/images/#ensureimagepullcredentialverification
        """
        made = run(engine(), "create", image).strip()
        run(engine(), "commit", "--change", f"LABEL {MARK}={NAME}", made, f"{self.prefix}/{image}")
        run(engine(), "rm", made)
        run(engine(), "push", f"{self.prefix}/{image}", timeout=300, env=self.env)

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "DOCKER_CONFIG": str(self.docker_config)}


def program() -> Path:
    """The registry's program: of this machine, or of the Debian package, which is kept in the tests' home."""
    if found := shutil.which(PROGRAM):
        return Path(found)
    folder = HOME / PROGRAM
    if not (folder / "usr" / "bin" / PROGRAM).exists():
        folder.mkdir(parents=True, exist_ok=True)
        run("apt-get", "download", PROGRAM, cwd=str(folder), timeout=300)
        (package,) = folder.glob("*.deb")
        run("dpkg-deb", "-x", package.name, ".", cwd=str(folder))
        package.unlink()
    return folder / "usr" / "bin" / PROGRAM


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("registry")
    shutil.copy(program(), folder / PROGRAM)
    (folder / "data").mkdir()
    (folder / "htpasswd").write_text(f"{USER}:{HASH}\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    storage = {"filesystem": {"rootdirectory": "/registry/data"}}
    auth = {"htpasswd": {"realm": "course", "path": "/registry/htpasswd"}}
    pushed_to = {"version": 0.1, "storage": storage, "http": {"addr": ":5000"}, "auth": auth}
    read_only = {**storage, "maintenance": {"readonly": {"enabled": True}}}
    pulled_from = {"version": 0.1, "storage": read_only, "http": {"addr": f"127.0.0.1:{port}"}}
    (folder / "push.yml").write_text(yaml.safe_dump(pushed_to))
    (folder / "pull.yml").write_text(yaml.safe_dump(pulled_from))
    names = [node.name for node in nodes_of(engine(), current())]
    made = Registry(f"localhost:{port}/course", folder / "docker")
    begun: list[str] = []

    def serve(name: str, configuration: str, *where: str) -> None:
        words = ("run", "-d", "--name", name, "-v", f"{folder}:/registry", *where, "python:3.13-slim")
        run(engine(), *words, f"/registry/{PROGRAM}", "serve", f"/registry/{configuration}")
        begun.append(name)

    try:
        serve(f"{NAME}-registry", "push.yml", "--network", "kind", "-p", f"127.0.0.1:{port}:5000")
        for name in names:
            serve(f"{NAME}-registry-{name}", "pull.yml", "--network", f"container:{name}")
        assert wait_until(lambda: _answers(port), 30, pause=0.2)
        yield made
    finally:
        if begun:
            run(engine(), "rm", "-f", "-v", *begun)
        for image in images.all_names():
            succeeds(engine(), "rmi", f"{made.prefix}/{image}", timeout=60)
            for name in names:
                succeeds(engine(), "exec", name, "ctr", "-n", "k8s.io", "images", "rm", f"{made.prefix}/{image}")


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_learner_does_a_lab_with_images_of_a_registry(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(registry.docker_config))
    home, at_learner, roster = tmp_path / "home", tmp_path / "at-ada", tmp_path / "roster.csv"
    for folder in (home, at_learner):
        folder.mkdir()
    (at_learner / "bin").symlink_to(tools.kubectl_path().parent)
    roster.write_text("id,name,group\nada,Ada,a\n")
    push = ("images", "--registry", registry.prefix, "--push", "--json")
    refused = command(*push, home=home)
    assert refused.returncode == 3 and "no basic auth credentials" in refused.stderr
    registry.login()
    pushed = command(*push, home=home)
    assert pushed.returncode == 0, pushed.stderr
    assert list(json.loads(pushed.stdout)["images"]) == images.all_names()
    for image in images.GUESTBOOK:
        registry.make_its_own(image)

    cluster = current()
    where = ("--context", cluster.context, "--kubeconfig", str(cluster.kubeconfig))
    created = command(
        "create", NAME, "--roster", str(roster), *where, "--registry", registry.prefix, "--yes", home=home
    )
    try:
        assert created.returncode == 0, created.stderr
        handed = command("hand-out", NAME, "--out", str(tmp_path / "out"), home=home)
        assert handed.returncode == 0, handed.stderr
        for words in (("join", str(tmp_path / "out" / "ada.yaml")), ("start", "07"), ("solve", "07")):
            done = command(*words, home=at_learner, group=())
            assert done.returncode == 0, done.stderr
        checked = command("check", "07", "--wait", "120", "--json", home=at_learner, group=())
        told = json.loads(checked.stdout)
        assert told["passed"], [task for task in told["tasks"] if task["verdict"] != "passed"]
        namespace = f"/api/v1/namespaces/{NAME}-ada"
        pods = Api(cluster).get(f"{namespace}/pods")["items"]
        used = {container["image"] for pod in pods for container in pod["spec"]["containers"]}
        assert used and all(image.startswith(f"{registry.prefix}/guestbook:v") for image in used)
        events = Api(cluster).get(f"{namespace}/events?fieldSelector=reason%3DPulled")["items"]
        assert any(f'Successfully pulled image "{registry.prefix}/guestbook:v1"' in one["message"] for one in events)
    finally:
        removed = command("remove", NAME, "--yes", *where, home=home)
    assert removed.returncode == 0, removed.stdout + removed.stderr
