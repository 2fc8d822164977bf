"""metrics-server, for `kubectl top` and for the HorizontalPodAutoscaler: an addition to the cluster, on request."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from cluster import engine, images, programs
from cluster.context import Cluster
from cluster.kubectl import kubectl
from cluster.language import problem, say
from cluster.network import registry_answers
from cluster.nodeimage import docker_build
from cluster.nodes import nodes_of
from cluster.problem import Problem
from cluster.process import run, succeeds
from cluster.progress import detail, step
from cluster.versions import versions
from cluster.waiting import wait_until

MEASURED_WITHIN = 120  # seconds until every node was measured once


def image() -> str:
    """The name of metrics-server's image."""
    return f"registry.k8s.io/metrics-server/metrics-server:{versions()['metrics-server']['version']}"


def ensure(cluster: Cluster) -> None:
    """Have metrics-server run in a cluster that is up, and every node measured. The same call twice is safe.

    Raises Problem where it cannot be had.
    """
    command = engine.command()
    have_image(command)
    images.load(command, [node.name for node in nodes_of(command, cluster) if node.running], [image()])
    manifest = (Path(__file__).parent / "metrics-server.yaml").read_text().replace("IMAGE", image())
    with step(say("metrics-step")):
        kubectl(
            cluster, "apply", "--server-side", "--field-manager=kubeclass-up", "-f", "-", input=manifest, timeout=30
        )
        kubectl(
            cluster,
            "rollout",
            "status",
            "deployment",
            "metrics-server",
            "-n",
            "kube-system",
            "--timeout=90s",
            timeout=100,
        )
        _wait_until_measured(cluster)


def have_image(command: str) -> None:
    """Have the image in the engine: it is pulled, or built. Raises Problem where neither works."""
    if succeeds(command, "image", "inspect", image()):
        return
    if registry_answers():
        try:
            with step(say("pull-step", image=image())):
                run(command, "pull", "-q", image(), timeout=600)
            return
        except Problem as why:
            detail(say("not-pulled", image=image(), why=why.what))
    program = programs.build("metrics-server")
    with tempfile.TemporaryDirectory() as work:
        shutil.copy(program, Path(work) / "metrics-server")
        lines = (
            "FROM scratch",
            "COPY metrics-server /metrics-server",
            f'LABEL {images.STANDS_IN_FOR}="{image()}"',
            'ENTRYPOINT ["/metrics-server"]',
        )
        (Path(work) / "Dockerfile").write_text("\n".join(lines) + "\n")
        docker_build(command, Path(work), image())


def _wait_until_measured(cluster: Cluster) -> None:
    why = ""

    def is_measured() -> bool:
        nonlocal why
        try:
            unmeasured = "<unknown>" in kubectl(cluster, "top", "nodes", timeout=20)
            why = say("metrics-node-unmeasured") if unmeasured else ""
        except Problem as silent:
            why = silent.what
        return not why

    if not wait_until(is_measured, MEASURED_WITHIN, pause=2):
        raise problem("metrics-silent", why=why)
