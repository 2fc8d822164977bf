"""JupyterHub on the tests' cluster: the images, built from this clone, and everything in namespace kubeclass-hub."""

from __future__ import annotations

import hashlib
import json
import secrets
import tempfile
from pathlib import Path
from typing import Any

from cluster import Cluster, images
from cluster.engine import command
from cluster.kubectl import kubectl
from cluster.network import registry_answers
from cluster.nodeimage import docker_build
from cluster.nodes import nodes_of
from cluster.process import run
from hub import image, kubeclass_hub

HERE = Path(__file__).parent
NAMESPACE = "kubeclass-hub"
HUB_IMAGE = "kubeclass-hub-test:1"
# JupyterHub as in Zero to JupyterHub 4.
WHEELS = (image.JUPYTERHUB, "jupyterhub-kubespawner>=7,<8", "jupyterhub-idle-culler>=1.4,<2", "pip")
PROXY = "configurable-http-proxy@5"
PASSWORD = secrets.token_urlsafe(12)


def build_images() -> list[str]:
    """Build the image of a learner's server, and that of the hub and its proxy. Returns their names."""
    engine = command()
    server = image.build(engine)
    source = hashlib.sha256(f"{(HERE / 'Dockerfile').read_text()}{WHEELS}{PROXY}".encode()).hexdigest()[:16]
    if images.label(engine, HUB_IMAGE, images.SOURCE) == source:
        return [server, HUB_IMAGE]
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        (folder / "Dockerfile").write_text(f"{(HERE / 'Dockerfile').read_text()}LABEL {images.SOURCE}={source}\n")
        image.download(WHEELS, folder / "wheels")
        run(*("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), PROXY), timeout=900)
        bases = {"BASE": image.base(engine, folder)}
        if not registry_answers():
            bases["NODE"] = image.base(engine, folder, "kubeclass/root:hub-test", "python3,libstdc++6,nodejs")
        arguments = [word for name, value in bases.items() for word in ("--build-arg", f"{name}={value}")]
        docker_build(engine, folder, HUB_IMAGE, *arguments)
    return [server, HUB_IMAGE]


def load(cluster: Cluster, names: list[str]) -> None:
    """Bring the images onto the workers."""
    engine = command()
    images.load(engine, [node.name for node in nodes_of(engine, cluster) if node.role != "control-plane"], names)


def deploy(cluster: Cluster, class_name: str, server: str, cull_after: int) -> None:
    """Start JupyterHub, and wait until it is ready. cull_after: seconds without activity."""
    files = [HERE / "jupyterhub_config.py", Path(str(kubeclass_hub.__file__))]
    words = {
        "CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(32),
        "LEARNERS_PASSWORD": PASSWORD,
        "KUBECLASS_CLASS": class_name,
        "SERVER_IMAGE": server,
        "CULL_AFTER": str(cull_after),
    }
    kubectl(cluster, "apply", "-f", "-", input=(HERE / "manifest.yaml").read_text().split("---\n")[0])
    for made in (
        _in_the_namespace("ConfigMap", "files", data={file.name: file.read_text() for file in files}),
        _in_the_namespace("Secret", "words", stringData=words),
    ):
        kubectl(cluster, "apply", "-f", "-", input=json.dumps(made))
    kubectl(cluster, "apply", "-f", str(HERE / "manifest.yaml"))
    for name in ("hub", "proxy"):
        kubectl(cluster, "rollout", "restart", f"deployment/{name}", "-n", NAMESPACE)
    for name in ("hub", "proxy"):
        wait = ("rollout", "status", f"deployment/{name}", "-n", NAMESPACE, "--timeout=240s")
        kubectl(cluster, *wait, timeout=250)


def remove(cluster: Cluster) -> None:
    kubectl(cluster, "delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s", timeout=130)


def _in_the_namespace(kind: str, name: str, **content: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, **content}
