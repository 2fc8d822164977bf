"""`kubeclass up` on a cluster of its own: stopped half-way, run twice at once, beside a learner's own kubeconfig."""

from __future__ import annotations

import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from cluster import Cluster
from cluster.engine import command
from cluster.nodes import nodes_of
from tests.conftest import ctrl_c_counts

NAME = "kubeclass-fault"
DISK = (
    240  # seconds: for each node the engine copies a gigabyte, and removes what it has begun only when it has copied it
)
# Creating a cluster takes all that a small machine has: nothing that is timed goes on beside it.
pytestmark = [pytest.mark.engine, pytest.mark.alone("engine", "cluster")]


class Decoy(socketserver.ThreadingTCPServer):
    """A cluster that must not be asked anything: it counts connections."""

    allow_reuse_address, daemon_threads = True, True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.requests = 0

    def verify_request(self, request: object, client_address: object) -> bool:
        self.requests += 1
        return False


@pytest.fixture
def decoy() -> Iterator[Decoy]:
    with Decoy() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def learner(tmp_path: Path, decoy: Decoy) -> Iterator[dict[str, str]]:
    """The environment of somebody who has a cluster of their own, as current context of their own kubeconfig."""
    from cluster import paths

    own = tmp_path / ".kube" / "config"
    own.parent.mkdir()
    own.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "work",
                "clusters": [{"name": "work", "cluster": {"server": f"https://127.0.0.1:{decoy.server_address[1]}"}}],
                "users": [{"name": "me", "user": {"token": "x"}}],
                "contexts": [{"name": "work", "context": {"cluster": "work", "user": "me"}}],
            }
        )
    )
    # The tools that are there already serve this home too: getting them is tested elsewhere.
    home = tmp_path / ".kubeclass"
    (home / "bin").mkdir(parents=True)
    for tool in (paths.home() / "bin").iterdir():
        (home / "bin" / tool.name).symlink_to(tool)
    (tmp_path / ".docker").symlink_to(Path.home() / ".docker")
    yield {
        **os.environ,
        "HOME": str(tmp_path),
        "KUBECONFIG": str(own),
        "KUBECLASS_HOME": str(home),
        "KUBECLASS_CACHE": str(paths.cache()),
        "KUBECLASS_CLUSTER": NAME,
    }
    kubeclass({**os.environ, "KUBECLASS_HOME": str(home), "KUBECLASS_CLUSTER": NAME}, "down").wait(DISK)


def kubeclass(env: dict[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "checker.ui.cli", *words],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell that starts CI in the background makes everything below it deaf to Ctrl-C; this one is to hear it.
        preexec_fn=ctrl_c_counts,
    )


def wait_for(condition: Callable[[], object], seconds: float, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            process.kill()
            pytest.fail(f"did not come about in {seconds} s: {process.communicate()}")
        time.sleep(0.1)


def test_up_stopped_and_up_twice_at_once_beside_another_kubeconfig(learner: dict[str, str], decoy: Decoy) -> None:
    cluster = Cluster(NAME, Path(learner["KUBECLASS_HOME"]) / NAME / "kubeconfig")
    before = Path(learner["KUBECONFIG"]).read_bytes()

    # Ctrl-C while nodes are being created: nothing is left, and the message says that the same command goes on.
    stopped = kubeclass(learner, "up")
    wait_for(lambda: stopped.poll() is not None or nodes_of(command(), cluster), DISK, stopped)
    time.sleep(3)
    stopped.send_signal(signal.SIGINT)
    _, output = stopped.communicate(timeout=DISK)
    assert stopped.returncode == 130, output
    assert "the same command goes on" in output
    assert nodes_of(command(), cluster) == []
    assert not cluster.kubeconfig.exists()

    # Two at once: one works, the other waits for it; both end well, with one cluster.
    both = [kubeclass(learner, "up"), kubeclass(learner, "up")]
    output = "".join(one.communicate(timeout=2 * DISK)[1] for one in both)
    assert [one.returncode for one in both] == [0, 0], output
    assert output.count("✔ Creating 3 nodes with kind") == 1
    assert "Waiting for another kubeclass" in output
    assert len(nodes_of(command(), cluster)) == 3
    assert cluster.kubeconfig.stat().st_mode & 0o777 == 0o600

    # A whole lab, a stopped node, and the end of it: the other cluster is never asked, and its file stays as it is.
    for words, code in ((("start", "05"), 0), (("check", "05", "--json"), 1), (("status",), 0)):
        one = kubeclass(learner, *words)
        out, err = one.communicate(timeout=60)
        assert one.returncode == code, out + err
    subprocess.run([command(), "stop", f"{NAME}-worker"], check=True, capture_output=True, timeout=60)
    stopped = kubeclass(learner, "status")
    out, _ = stopped.communicate(timeout=60)
    assert stopped.returncode == 1
    assert f"Node {NAME}-worker is stopped" in out
    again = kubeclass(learner, "up")
    _, output = again.communicate(timeout=DISK)
    assert again.returncode == 0, output
    assert "✔ Starting 1 stopped nodes" in output
    down = kubeclass(learner, "down")
    _, output = down.communicate(timeout=DISK)
    assert down.returncode == 0, output
    assert nodes_of(command(), cluster) == []
    assert Path(learner["KUBECONFIG"]).read_bytes() == before
    assert decoy.requests == 0
