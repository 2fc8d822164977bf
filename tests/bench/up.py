"""`kubeclass up` against bare `kind create cluster --wait` and loading the same images, on this machine, in one run.

Both begin with engine, tools and images at hand, and with no cluster. `kind load` puts the images in one archive onto
all nodes. It needs `crictl`; where the node image has none, the same archive is imported by `ctr`, as kind does.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

os.environ.setdefault("KUBECLASS_HOME", str(Path.home() / ".kubeclass-test"))
os.environ["KUBECLASS_CLUSTER"] = "kubeclass-bench"

import yaml

from cluster import images, nodeimage
from cluster.engine import ensure
from cluster.process import run, succeeds
from cluster.tools import kind_path
from cluster.up import down, up
from cluster.versions import versions
from tests.bench.measure import measured

CONFIG = {
    "kind": "Cluster",
    "apiVersion": "kind.x-k8s.io/v1alpha4",
    "nodes": [{"role": r} for r in ("control-plane", "worker", "worker")],
}


def bare(engine: str, work: Path) -> None:
    """What somebody would type who needs such a cluster and those images on it."""
    pinned = str(versions()["node_image"]["image"])
    image = pinned if succeeds(engine, "image", "inspect", pinned) else nodeimage.tag()
    kubeconfig = str(work / "kubeconfig")
    kind = str(kind_path())
    run(
        kind,
        "create",
        "cluster",
        "--name",
        "bare",
        "--image",
        image,
        "--config",
        "-",
        "--wait",
        "120s",
        "--kubeconfig",
        kubeconfig,
        input=yaml.safe_dump(CONFIG),
        timeout=600,
    )
    archive = work / "images.tar"
    run(engine, "save", "-o", str(archive), *images.all_names(), timeout=300)
    if succeeds(engine, "exec", "bare-worker", "crictl", "--version"):
        run(kind, "load", "image-archive", str(archive), "--name", "bare", timeout=600)
        return
    for node in ("bare-control-plane", "bare-worker", "bare-worker2"):
        with archive.open("rb") as stream:
            run(
                engine,
                "exec",
                "-i",
                node,
                "ctr",
                "-n",
                "k8s.io",
                "images",
                "import",
                "--digests",
                "-",
                stdin=stream,
                timeout=300,
            )


def main() -> None:
    engine = ensure()
    images.prepare(engine)
    taken: dict[str, list[float]] = {"bare": [], "up": []}
    for _ in range(2):
        with tempfile.TemporaryDirectory() as work:
            begin = time.perf_counter()
            bare(engine, Path(work))
            taken["bare"].append(time.perf_counter() - begin)
            subprocess.run(
                [str(kind_path()), "delete", "cluster", "--name", "bare", "--kubeconfig", f"{work}/kubeconfig"],
                check=True,
            )
        begin = time.perf_counter()
        up()
        taken["up"].append(time.perf_counter() - begin)
        down()
    ours, theirs = min(taken["up"]), min(taken["bare"])
    measured(
        "`kubeclass up` against bare `kind create cluster` and loading the same images",
        f"{ours:.0f} s, {ours / theirs:.2f} ×",
        "1.15 ×",
        ours <= 1.15 * theirs,
    )


if __name__ == "__main__":
    main()
