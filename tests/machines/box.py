"""A machine that reaches a registry and the hosts of releases, within this one: what `kubeclass up` does there.

    unshare --net --mount --pid --fork --mount-proc --kill-child python -m tests.machines.box FOLDER

Network, mounts and processes are its own, and so is the engine, which has nothing yet. All that it reaches are two servers on
its own loopback, under the names of the real ones: Docker Hub, and the hosts of kind's, kubectl's and compose's releases.
FOLDER has what they serve (see test_registry.py). What came of it is printed as JSON.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from cluster.network import REGISTRY
from cluster.tools import RELEASES

HUB, DOWNLOADS = "127.0.0.2", "127.0.0.3"  # addresses of the two servers
LINE = "100mbit"  # what the line to them carries, a second


def hosts() -> dict[str, str]:
    """Every name that the machine can look up, with its address."""
    names = dict.fromkeys((str(urlsplit(url).hostname) for url in RELEASES.values()), DOWNLOADS)
    return {"localhost": "127.0.0.1", str(urlsplit(REGISTRY).hostname): HUB, **names}


def lay_the_line(folder: Path) -> None:
    (folder / "hosts").write_text("".join(f"{address} {name}\n" for name, address in hosts().items()))
    (folder / "resolv.conf").write_text("")
    for words in (
        "ip link set lo up", f"tc qdisc add dev lo root tbf rate {LINE} burst 256kb latency 100ms",
        "mount -t tmpfs tmpfs /run", f"mount --bind {folder}/engine /var/lib/docker",
        f"mount --bind {folder}/hosts /etc/hosts", f"mount --bind {folder}/resolv.conf /etc/resolv.conf",
    ):  # fmt: skip
        subprocess.run(words.split(), check=True)


def serve(folder: Path) -> None:
    """The registry, and the releases' hosts."""
    subprocess.Popen(
        ["docker-registry", "serve", folder / "hub.yml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder / "releases"))
    server = ThreadingHTTPServer((DOWNLOADS, 443), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main(folder: Path) -> None:
    lay_the_line(folder)
    serve(folder)
    os.environ.update(json.loads((folder / "environment.json").read_text()))
    from cluster.kubectl import kubectl
    from cluster.up import down, up
    from cluster.versions import versions

    versions()["node_image"]["image"] = (folder / "node-image").read_text()
    begin = time.monotonic()
    cluster = up()
    taken = time.monotonic() - begin
    nodes = kubectl(cluster, "get", "nodes", "--no-headers")
    images = subprocess.run(["docker", "images", "--digests"], capture_output=True, text=True, check=True).stdout
    down()
    print(json.dumps({"seconds": taken, "nodes": nodes, "images": images}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
