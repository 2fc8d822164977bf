"""The tests' enforcer of NetworkPolicies: its image, and putting it onto the tests' cluster, never onto a learner's.

Needed only where the cluster was built without an image registry: there a stand-in for kindnet gives Pods a network
and enforces no policy. Where the network plugin is the real one, nothing is done.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from checker import observer
from cluster import Cluster
from cluster.engine import command
from cluster.kubectl import kubectl
from cluster.nodeimage import docker_build, make_root
from cluster.nodes import nodes_of
from cluster.steps import run, step, succeeds
from cluster.versions import versions

HERE = Path(__file__).parent
PACKAGES = "python3-minimal,libpython3-stdlib,nftables"
NAME, NAMESPACE = "kubeclass-enforcer", "kube-system"
STAND_IN = "kubeclass/route-pods"  # image of the network plugin that enforces nothing (cluster/nodeimage.py)


def is_needed(cluster: Cluster) -> bool:
    """Whether the cluster's network plugin is the stand-in. Raises Problem where the cluster does not answer."""
    found = kubectl(cluster, "get", "daemonset", "kindnet", "-n", NAMESPACE, "--ignore-not-found", "-o", "json")
    containers = json.loads(found)["spec"]["template"]["spec"]["containers"] if found else []
    return any(container["image"].startswith(STAND_IN) for container in containers)


def ensure(cluster: Cluster) -> None:
    """Have policies enforced, by this version of the enforcer. What is there already is left as it is.

    Only one process at a time may do this. Raises Problem where it does not come about.
    """
    if not is_needed(cluster):
        return
    engine = command()
    image = _image(engine)
    nodes = [node.name for node in nodes_of(engine, cluster)]
    with ThreadPoolExecutor(len(nodes)) as pool:
        missing = [
            node
            for node, there in zip(nodes, pool.map(lambda n: _has(engine, n, image), nodes), strict=True)
            if not there
        ]
    if missing:
        with step("Loading the enforcer onto the nodes"), tempfile.TemporaryDirectory() as work:
            _load(engine, missing, image, Path(work) / "image.tar")
    kubectl(cluster, "apply", "-f", "-", input=(HERE / "manifest.yaml").read_text().replace("IMAGE", image))
    wait = ("rollout", "status", f"daemonset/{NAME}", "-n", NAMESPACE, "--timeout=90s")
    kubectl(cluster, *wait, timeout=100)


def take_away(cluster: Cluster) -> None:
    """From then on nothing is enforced. Raises Problem where the cluster does not answer."""
    kubectl(cluster, "delete", "daemonset", NAME, "-n", NAMESPACE, "--ignore-not-found", "--timeout=60s", timeout=70)
    gone = ("wait", "pods", "-l", f"app={NAME}", "-n", NAMESPACE, "--for=delete", "--timeout=60s")
    kubectl(cluster, *gone, timeout=70)


def _image(engine: str) -> str:
    """The image's name, which tells what it is made of. Made where the engine has not got it."""
    suite = versions()["debian"]["course"]
    base = f"kubeclass/enforcer-root:{_digest(suite, PACKAGES)}"
    files = [HERE / "enforcer.py", HERE / "Dockerfile", Path(observer.__file__).with_name("in_cluster.py")]
    name = f"kubeclass/enforcer:{_digest(base, *(file.read_text() for file in files))}"
    if not succeeds(engine, "image", "inspect", name):
        with step("Making the tests' enforcer of network policies"), tempfile.TemporaryDirectory() as work:
            if not succeeds(engine, "image", "inspect", base):
                make_root(engine, base, suite, "essential", PACKAGES, Path(work))
            for file in files:
                shutil.copy(file, work)
            docker_build(engine, Path(work), name, "--build-arg", f"BASE={base}")
    return name


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _has(engine: str, node: str, image: str) -> bool:
    listed = run(engine, "exec", node, "ctr", "-n", "k8s.io", "images", "list", "-q", f"name==docker.io/{image}")
    return bool(listed.strip())


def _load(engine: str, nodes: list[str], image: str, archive: Path) -> None:
    run(engine, "save", "-o", str(archive), image, timeout=300)

    def load(node: str) -> None:
        with archive.open("rb") as stream:
            run(engine, "exec", "-i", node, "ctr", "-n", "k8s.io", "images", "import", "-", stdin=stream, timeout=300)

    with ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(load, nodes))
