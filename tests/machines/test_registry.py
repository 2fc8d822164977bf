"""`kubeclass up` on a machine with a registry: tools are downloaded and checked, images are pulled, nothing is built.

What is served is what the tests' own engine and home have; only the node image's digest differs from the pinned one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from cluster import nodeimage, programs, tools
from cluster.engine import command, install_packages
from cluster.process import run, succeeds
from cluster.versions import versions
from tests.machines import internet
from tests.machines.box import in_a_box

pytestmark = [pytest.mark.cluster, pytest.mark.alone("engine", "cluster")]
SERVED = {f"library/{name}": name for name in versions()["course_images"]}


# What is built for the newest Docker: package, version. From 29 on a new install keeps its images in containerd's image
# store (https://docs.docker.com/engine/storage/containerd/).
NEWEST_DOCKER = {
    f"github.com/moby/moby/v2/cmd/{name}": "v2.0.0-beta.24" for name in ("dockerd", "docker-proxy")
}  # the module of Docker 29
CONTAINERD = ("containerd", "containerd-shim-runc-v2", "runc")


def newest_docker(folder: Path) -> Path:
    """A folder with the programs of the newest engine."""
    env = {**os.environ, "GOBIN": str(folder), "GOFLAGS": "-buildvcs=false", "CGO_ENABLED": "0"}
    for package, version in NEWEST_DOCKER.items():
        run("go", "install", "-trimpath", "-ldflags", "-s -w", f"{package}@{version}", timeout=1800, env=env)
    programs.build(*CONTAINERD)
    for name in CONTAINERD:
        shutil.copy(programs.place(name), folder / name)
    return folder


@pytest.mark.parametrize("newest", [False, True], ids=["the engine of this machine", "the newest Docker"])
def test_up_pulls_and_downloads_what_can_be_had(newest: bool, tmp_path: Path) -> None:
    fill_the_registry(tmp_path)
    lay_out_the_releases(tmp_path)
    certify(tmp_path)
    (tmp_path / "engine").mkdir()
    home = tmp_path / "home"
    home.mkdir()
    without_go = [part for part in os.environ["PATH"].split(os.pathsep) if not (Path(part) / "go").exists()]
    (tmp_path / "programs").mkdir()
    path = [str(newest_docker(tmp_path / "programs")), *without_go] if newest else without_go
    (tmp_path / "environment.json").write_text(
        json.dumps(
            {
                "HOME": str(home),
                "KUBECLASS_HOME": str(home / ".kubeclass"),
                "KUBECLASS_CACHE": str(home / ".cache"),
                "KUBECLASS_CLUSTER": "kubeclass-pulls",
                "SSL_CERT_FILE": str(tmp_path / "ca.pem"),
                "PATH": os.pathsep.join(path),
            }
        )
    )
    (tmp_path / "hosts").write_text("".join(f"{address} {name}\n" for name, address in internet.hosts().items()))
    (tmp_path / "resolv.conf").touch()
    over = {"/var/lib/docker": "engine", "/etc/hosts": "hosts", "/etc/resolv.conf": "resolv.conf"}
    done = in_a_box(
        sys.executable,
        "-m",
        "tests.machines.internet",
        tmp_path,
        over={path: tmp_path / ours for path, ours in over.items()},
    )
    assert done.returncode == 0, done.stderr
    for name in tools.RELEASES:
        assert f"Downloading {name}" in done.stderr
    for name in ("the node image", *versions()["course_images"]):
        assert f"✔ Pulling {name}" in done.stderr
    assert "from source" not in done.stderr and "Making" not in done.stderr
    assert "cannot be" not in done.stderr
    came = json.loads(done.stdout.splitlines()[-1])
    assert came["nodes"].count(" Ready ") == 3
    assert ("containerd.snapshotter" in came["store"]) == newest
    print(f"up took {came['seconds']:.0f} s by a line of {internet.LINE} a second:\n{done.stderr}")


def fill_the_registry(folder: Path) -> None:
    """Push what the tests' engine has, under the names of Docker Hub, and keep the node image's reference by digest."""
    if not shutil.which("docker-registry"):
        install_packages("docker-registry")
    pinned, digest = str(versions()["node_image"]["image"]).split("@")
    here = f"{pinned}@{digest}"
    images = {pinned: here if succeeds(command(), "image", "inspect", here) else nodeimage.tag(), **SERVED}
    with registry(folder) as address:
        for name, image in images.items():
            run(command(), "tag", image, f"{address}/{name}")
            run(command(), "push", f"{address}/{name}", timeout=600)
            run(command(), "rmi", f"{address}/{name}")
            digest = for_two_platforms(address, *name.split(":"))
            if name == pinned:
                (folder / "node-image").write_text(f"{pinned}@{digest}")
    settings = _settings(folder, f"{internet.HUB}:443")
    settings["http"]["tls"] = {"certificate": str(folder / "server.pem"), "key": str(folder / "server.key")}
    (folder / "hub.yml").write_text(yaml.safe_dump(settings))


def for_two_platforms(address: str, repository: str, tag: str) -> str:
    """Have a registry's tag stand for this platform and another, as images of Docker Hub do. Returns its digest."""
    kind = "application/vnd.docker.distribution.manifest"

    def digest_of(content: bytes) -> str:
        return f"sha256:{hashlib.sha256(content).hexdigest()}"

    with httpx.Client(base_url=f"http://{address}/v2/{repository}", follow_redirects=True) as hub:

        def put(reference: str, content: bytes, media_type: str) -> str:
            hub.put(f"manifests/{reference}", content=content, headers={"Content-Type": media_type}).raise_for_status()
            return digest_of(content)

        ours = hub.get(f"manifests/{tag}", headers={"Accept": f"{kind}.v2+json"}).content
        config = hub.get(f"blobs/{json.loads(ours)['config']['digest']}").json()
        platform = {"os": config["os"], "architecture": config["architecture"]}
        other = {**platform, "architecture": "s390x"}
        blob = json.dumps({**config, **other}).encode()
        place = hub.post("blobs/uploads/").headers["Location"]
        hub.put(f"{place}&digest={digest_of(blob)}", content=blob).raise_for_status()
        theirs = json.loads(ours)
        theirs["config"] |= {"digest": digest_of(blob), "size": len(blob)}
        manifests = []
        for content, of in ((ours, platform), (json.dumps(theirs).encode(), other)):
            digest = put(digest_of(content), content, f"{kind}.v2+json")
            manifests.append({"mediaType": f"{kind}.v2+json", "digest": digest, "size": len(content), "platform": of})
        media_type = f"{kind}.list.v2+json"
        index = {"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}
        return put(tag, json.dumps(index).encode(), media_type)


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """A registry on this machine's loopback, to push to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (folder / "push.yml").write_text(yaml.safe_dump(_settings(folder, address)))
    serving = subprocess.Popen(["docker-registry", "serve", folder / "push.yml"], stderr=subprocess.DEVNULL)
    try:
        while True:
            assert serving.poll() is None
            with socket.socket() as probe:
                if not probe.connect_ex((address.split(":")[0], int(address.split(":")[1]))):
                    break
            time.sleep(0.2)
        yield address
    finally:
        serving.terminate()
        serving.wait()


def _settings(folder: Path, address: str) -> dict[str, dict[str, object]]:
    storage = {"filesystem": {"rootdirectory": str(folder / "registry")}}
    return {"version": 0.1, "log": {"level": "error"}, "storage": storage, "http": {"addr": address}}  # type: ignore[dict-item]


def lay_out_the_releases(folder: Path) -> None:
    """The tools, each under its release's path, and its checksum beside it."""
    for name in tools.RELEASES:
        program = tools.found(name) or tools.fetch_tool(name)
        file = folder / "releases" / urlsplit(tools.release(name)).path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(program, file)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        Path(f"{file}{tools.CHECKSUM_ENDING[name]}").write_text(f"{digest}  {file.name}\n")


def certify(folder: Path) -> None:
    """An authority, and a certificate by it for all names."""
    names = ",".join(f"DNS:{name}" for name in internet.hosts())
    (folder / "extensions").write_text(f"subjectAltName={names}\nauthorityKeyIdentifier=keyid\n")
    for words in (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem",
        "req -newkey rsa:2048 -nodes -subj /CN=server -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out server.pem",
    ):
        run("openssl", *words.split(), cwd=str(folder))
