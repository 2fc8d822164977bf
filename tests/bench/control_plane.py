"""A control plane without nodes: etcd, kube-apiserver and kube-controller-manager as plain processes of this machine.

It costs some seconds and half a gigabyte, where a kind cluster costs a minute and three. No kubelet runs, so no Pod
ever starts: what a kubelet would write, a benchmark writes. The programs are taken from the images that kind's node
image is made of; `kubeclass up` leaves them in the container engine.
Source: https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/
"""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cluster import Cluster, engine, paths
from cluster.process import finish, run

TOKEN = "bench"  # the API server listens on loopback only, and ends with the benchmark
CONTEXT = "kubeclass-bench"
# What a class needs to be made. No other controller runs: the benchmark writes what those would write.
# Source: https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/
CONTROLLERS = (
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "root-ca-certificate-publisher-controller",
    "resourcequota-controller",
    "namespace-controller",
    "clusterrole-aggregation-controller",
)
IMAGES = {"kube-apiserver": "kubernetes", "kube-controller-manager": "kubernetes", "etcd": "etcd"}


@dataclass
class ControlPlane:
    """One that runs. processes: by the program's name."""

    folder: Path
    cluster: Cluster
    server: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def get(self, path: str) -> str:
        """What the API server answers, as text. Raises OSError."""
        asked = urllib.request.Request(self.server + path, headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(asked, timeout=30, context=_unverified()) as answer:
            return str(answer.read().decode())

    def cpu(self, program: str) -> float:
        """Seconds of CPU that a program has used."""
        return cpu_of(self.processes[program].pid)

    def memory(self, program: str) -> float:
        """MB of memory that a program has now."""
        status = Path(f"/proc/{self.processes[program].pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def stop(self, program: str) -> None:
        process = self.processes.pop(program)
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used. Source: proc(5), fields utime and stime."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def programs(folder: Path) -> dict[str, Path]:
    """The programs by name, copied out of their images into a folder; those that are there already stay."""
    folder.mkdir(parents=True, exist_ok=True)
    return {name: _copied(folder, name, module) for name, module in IMAGES.items()}


def _copied(folder: Path, name: str, module: str) -> Path:
    version = json.loads((paths.COURSE / "cluster" / "versions.json").read_text())["modules"][module]
    there = folder / f"{name}-{version}"
    if there.exists():
        return there
    tag = f"{version.removeprefix('v')}-0" if module == "etcd" else version
    container = run(engine.command(), "create", f"registry.k8s.io/{name}:{tag}", "none", timeout=120).split()[-1]
    try:
        run(engine.command(), "cp", f"{container}:/usr/local/bin/{name}", f"{there}.new", timeout=120)
    finally:
        finish(engine.command(), "rm", container, timeout=60)
    Path(f"{there}.new").replace(there)
    return there


@contextmanager
def control_plane(folder: Path, tools: dict[str, Path]) -> Iterator[ControlPlane]:
    """A control plane for the length of a block. folder: for its data; must be empty. tools: see `programs`.

    Raises RuntimeError with a program's last words where it does not come up.
    """
    etcd, peer, secure, health = _free_ports(4)
    key, tokens = folder / "service-accounts.key", folder / "tokens.csv"
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key))
    tokens.write_text(f"{TOKEN},bench,bench,system:masters\n")
    kubeconfig = folder / "kubeconfig"
    server = f"https://127.0.0.1:{secure}"
    kubeconfig.write_text(_kubeconfig(server))
    made = ControlPlane(folder, Cluster(CONTEXT, kubeconfig, CONTEXT, kind="named"), server)
    etcd_url, peer_url = f"http://127.0.0.1:{etcd}", f"http://127.0.0.1:{peer}"
    try:
        _start(
            made,
            tools,
            "etcd",
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls={etcd_url}",
            f"--advertise-client-urls={etcd_url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster=default={peer_url}",
            "--unsafe-no-fsync",  # as kind has it
            "--log-level=error",
        )
        _start(
            made,
            tools,
            "kube-apiserver",
            f"--etcd-servers={etcd_url}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--secure-port={secure}",
            f"--cert-dir={folder / 'certificates'}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",  # beside the usual ones, as kubeadm has it
            "--allow-privileged=true",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
        )
        _await(made, "kube-apiserver", "/readyz")
        _start(
            made,
            tools,
            "kube-controller-manager",
            f"--kubeconfig={kubeconfig}",
            f"--controllers={','.join(CONTROLLERS)}",
            f"--service-account-private-key-file={key}",
            f"--root-ca-file={folder / 'certificates' / 'apiserver.crt'}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={health}",
            f"--cert-dir={folder / 'certificates-of-controllers'}",
        )
        _await(made, "kube-controller-manager", "/api/v1/namespaces/default/serviceaccounts/default")
        yield made
    finally:
        for program in reversed(tuple(made.processes)):
            made.stop(program)


def _start(plane: ControlPlane, tools: dict[str, Path], name: str, *options: str) -> None:
    with (plane.folder / f"{name}.log").open("w") as log:
        plane.processes[name] = subprocess.Popen([str(tools[name]), *options], stdout=log, stderr=log, cwd=plane.folder)


def _await(plane: ControlPlane, name: str, path: str) -> None:
    """Wait until the API server answers at this path. Raises RuntimeError."""
    end = time.monotonic() + 60
    while time.monotonic() < end and plane.processes[name].poll() is None:
        with suppress(OSError):
            plane.get(path)
            return
        time.sleep(0.1)
    raise RuntimeError(f"{name} is not up:\n{(plane.folder / f'{name}.log').read_text()[-3000:]}")


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _kubeconfig(server: str) -> str:
    """The certificate is made anew with each API server, on loopback, so it is not verified."""
    cluster = {"server": server, "insecure-skip-tls-verify": True}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": CONTEXT, "cluster": cluster}],
            "users": [{"name": CONTEXT, "user": {"token": TOKEN}}],
            "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
            "current-context": CONTEXT,
        }
    )


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
