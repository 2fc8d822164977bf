"""Stands in for the internet within a box: a registry and the hosts of releases, on its loopback, under the real names.

    python -m tests.machines.internet FOLDER

Serves what FOLDER has (see test_registry.py), runs `kubeclass up` and `kubeclass down`, and prints the outcome as JSON.
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
    """Every name that can be looked up, with its address."""
    names = dict.fromkeys((str(urlsplit(url).hostname) for url in RELEASES.values()), DOWNLOADS)
    return {"localhost": "127.0.0.1", str(urlsplit(REGISTRY).hostname): HUB, **names}


def serve(folder: Path) -> None:
    """The registry, and the releases' hosts."""
    subprocess.run(f"tc qdisc add dev lo root tbf rate {LINE} burst 256kb latency 100ms".split(), check=True)
    with (folder / "hub.log").open("w") as log:
        subprocess.Popen(["docker-registry", "serve", folder / "hub.yml"], stdout=log, stderr=log)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder / "releases"))
    server = ThreadingHTTPServer((DOWNLOADS, 443), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main(folder: Path) -> None:
    serve(folder)
    os.environ.update(json.loads((folder / "environment.json").read_text()))
    from cluster.engine import command
    from cluster.kubectl import kubectl
    from cluster.process import run
    from cluster.up import down, up
    from cluster.versions import versions

    versions()["node_image"]["image"] = (folder / "node-image").read_text()
    begin = time.monotonic()
    cluster = up()
    taken = time.monotonic() - begin
    nodes = kubectl(cluster, "get", "nodes", "--no-headers")
    store = run(command(), "info", "--format", "{{.DriverStatus}}")
    down()
    print(json.dumps({"seconds": taken, "nodes": nodes, "store": store}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
