"""`kubeclass up` and `kubeclass down`: the course's cluster, from nothing or from wherever the last attempt stopped."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import yaml

from cluster import compose, course_of_cluster, engine, images, metrics_server, nodeimage, observer, up_progress
from cluster.context import DEFAULT_NAMESPACE, Cluster, current, in_namespace
from cluster.kubectl import kubectl
from cluster.language import problem, say
from cluster.network import registry_answers
from cluster.nodes import WORKERS, Node, nodes_of
from cluster.problem import Problem
from cluster.process import run, stopping_everything, succeeds, tidying_up
from cluster.progress import HEARTBEAT, detail, step
from cluster.tools import kind_path, kubectl_path
from cluster.versions import versions
from cluster.waiting import FOREVER, wait_until

NODE_PORT = 30080  # this node port is also a port of this machine, for a browser
SETTLE = 30  # seconds in which an API server that was just started may still refuse what it will allow
# Seconds in which the engine may finish containers that it was asked for before a stop: containers that `up` waits for,
# and others.
AWAITED, LATECOMERS = 30, 3
COME_BACK = 90  # seconds that stopped nodes are given to be ready again


def up(cluster: Cluster | None = None, metrics: bool = False) -> Cluster:
    """Bring the course's cluster up: engine, tools, images, nodes, observer; with `metrics`, metrics-server.

    Parts that exist already stay as they are.

    Safe to call again after it was stopped, and while another one is at work (it waits for that one).
    Raises Problem where something cannot be had, with what to do.
    """
    cluster = cluster or current()
    with _alone(cluster):
        with up_progress.reporting(cluster):
            command = _bring_up(cluster)
        compose.ensure(command)  # last: the cluster does not need it
        if metrics:
            metrics_server.ensure(cluster)
    return cluster


def _bring_up(cluster: Cluster) -> str:
    """All that the cluster needs; returns the engine's command."""
    up_progress.begin_stage("engine")
    command = engine.ensure()
    up_progress.begin_stage("tools")
    kind = kind_path()
    kubectl_path()
    nodes = _usable_nodes(command, kind, cluster)
    with ThreadPoolExecutor(1) as beside, stopping_everything(beside):
        loaded = beside.submit(_put_images_onto_nodes, command, cluster)
        if not nodes:
            up_progress.begin_stage("node-image")
            image = node_image(command)
            up_progress.begin_stage("nodes")
            _create(command, kind, cluster, image)
        up_progress.begin_stage("images")
        loaded.result()
    if not nodes:
        _wait_until_ready(cluster)
    up_progress.begin_stage("observer")
    _furnish(cluster)
    return command


def down(cluster: Cluster | None = None) -> bool:
    """Delete the cluster and its kubeconfig. Returns whether there was a cluster.

    Raises Problem where the engine does not answer.
    """
    cluster = cluster or current()
    command = engine.command()
    engine.require_running(command)
    with _alone(cluster):
        there = bool(nodes_of(command, cluster))
        if there:
            with step(say("delete-step", cluster=cluster.name)):
                _delete(kind_path(), cluster)
        cluster.kubeconfig.unlink(missing_ok=True)
    return there


@contextmanager
def _alone(cluster: Cluster) -> Iterator[None]:
    """Only one command at a time changes a cluster. A second one waits until the first is done."""
    folder = cluster.kubeconfig.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = up_progress.lock_file(cluster).open("w")
    except OSError as error:
        raise problem("folder-not-writable", folder=folder, why=error.strerror) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step(say("wait-for-other-step", cluster=cluster.name)):
                _wait_for(lock, cluster)
        yield


def _wait_for(lock: IO[str], cluster: Cluster) -> None:
    """Lock the file when the other command has ended. Until then, say every HEARTBEAT seconds how far that one is."""
    last_report = time.monotonic()

    def is_locked() -> bool:
        nonlocal last_report
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() - last_report > HEARTBEAT and (underway := up_progress.describe(cluster)):
                detail(underway)
                last_report = time.monotonic()
            return False

    wait_until(is_locked, FOREVER, pause=0.5)


def _usable_nodes(command: str, kind: Path, cluster: Cluster) -> list[Node]:
    """The nodes of a cluster that was made before, running and ready; empty where there is none."""
    nodes = nodes_of(command, cluster)
    if not nodes:
        cluster.kubeconfig.unlink(missing_ok=True)
        return []
    stopped = [node.name for node in nodes if not node.running]
    if stopped:
        with step(say("start-nodes-step", number=len(stopped))):
            run(command, "start", *stopped, timeout=60)
    if not cluster.kubeconfig.exists() and not _adopt(kind, cluster):
        # Made by an `up` that did not come to its end: nobody has worked in it.
        with step(say("remove-step", cluster=cluster.name)):
            _delete(kind, cluster)
        return []
    if stopped or not _all_ready(cluster):
        with step(say("wait-ready-step")):
            _wait_until_ready(cluster)
    return nodes_of(command, cluster)


def _adopt(kind: Path, cluster: Cluster) -> bool:
    """Write the kubeconfig of a whole cluster that has lost its own. False where the cluster is not whole."""
    with _new_kubeconfig(cluster) as new:
        if not succeeds(str(kind), "export", "kubeconfig", "--name", cluster.name, "--kubeconfig", str(new.kubeconfig)):
            return False
        if not _all_ready(new):
            return False
        _put_in_place(new, cluster)
    return True


def _ready_nodes(cluster: Cluster) -> list[str]:
    """The names of the nodes that the API server calls ready. Raises Problem where it does not answer."""
    listed = json.loads(kubectl(cluster, "get", "nodes", "-o", "json", "--request-timeout=5s", timeout=20))
    return [
        node["metadata"]["name"]
        for node in listed["items"]
        if any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])
    ]


def _all_ready(cluster: Cluster) -> bool:
    try:
        return len(_ready_nodes(cluster)) == 1 + WORKERS
    except Problem:
        return False


def _wait_until_ready(cluster: Cluster) -> None:
    if not wait_until(lambda: _all_ready(cluster), COME_BACK, pause=1):
        raise problem("nodes-not-ready", cluster=cluster.name, seconds=COME_BACK)


def node_image(command: str) -> str:
    """The node image: the pinned one where it is here or can be pulled, otherwise one that is built here.

    Raises Problem where none can be had.
    """
    pinned = str(versions()["node_image"]["image"])
    for name in (pinned, images.pinned_by_tag()):
        if succeeds(command, "image", "inspect", name):
            return name if name == pinned else _by_whole_name(command, name)
    if not succeeds(command, "image", "inspect", nodeimage.tag()) and registry_answers():
        try:
            with step(say("pull-node-step", image=pinned.split("@")[0])):
                run(command, "pull", "-q", pinned, timeout=1800)
            return pinned
        except Problem as why:
            detail(say("not-pulled", image=pinned.split("@")[0], why=why.what))
    return _by_whole_name(command, nodeimage.build(command))


def _by_whole_name(command: str, image: str) -> str:
    """The same name. Podman has the image as localhost/…, and kind asks for it by its whole name."""
    if command == "podman":
        run(command, "tag", image, f"docker.io/{image}")
    return image


def _put_images_onto_nodes(command: str, cluster: Cluster) -> None:
    """The image work, while the nodes come up: a node takes images as soon as its containerd answers."""
    images.prepare(command)
    images.load(command, wait_until(lambda: _nodes_with_containerd(command, cluster), FOREVER, pause=1))


def _nodes_with_containerd(command: str, cluster: Cluster) -> list[str]:
    """The names of all nodes, once all of them take images; none before that."""
    names = [node.name for node in nodes_of(command, cluster) if node.running]
    if len(names) < 1 + WORKERS or not all(succeeds(command, "exec", name, "ctr", "version") for name in names):
        return []
    return names


# On cgroup v1, the kubelet and runc make cgroups themselves, instead of systemd. With systemd, runc freezes a container
# before systemd sets its devices. Where the machine is too busy for that within a moment, the container fails (“unable
# to freeze”) and is started again.
# Sources: https://kubernetes.io/docs/setup/production-environment/container-runtimes/#cgroup-drivers;
# systemd/v1.go of opencontainers/cgroups.
_CGROUPFS = {
    "containerdConfigPatches": [
        '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]\nSystemdCgroup = false\n'
    ],
    "kubeadmConfigPatches": [
        "kind: KubeletConfiguration\napiVersion: kubelet.config.k8s.io/v1beta1\ncgroupDriver: cgroupfs\n"
    ],
}


def _create(command: str, kind: Path, cluster: Cluster, image: str) -> None:
    """Create the nodes. Leaves nothing behind where that fails or is stopped."""
    config = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{"role": "control-plane", **_port_mapping()}, *[{"role": "worker"} for _ in range(WORKERS)]],
        **(_CGROUPFS if engine.cgroup_version() == 1 else {}),
    }
    with _new_kubeconfig(cluster) as new:
        try:
            with step(say("create-step", number=1 + WORKERS)):
                create = (str(kind), "create", "cluster", "--name", cluster.name, "--image", image)
                options = ("--config", "-", "--wait", "120s", "--kubeconfig", str(new.kubeconfig))
                text, environment = yaml.safe_dump(config), _environment(command)
                run(*create, *options, input=text, timeout=600, env=environment, children=AWAITED)
            _put_in_place(new, cluster)
        except BaseException as why:
            with tidying_up():
                detail(say("create-stopped" if isinstance(why, KeyboardInterrupt) else "create-failed"))
                with step(say("tidy-step")):
                    _delete(kind, cluster)
                    time.sleep(LATECOMERS)
                    if nodes_of(command, cluster):
                        _delete(kind, cluster)
            raise


def _environment(command: str) -> dict[str, str]:
    return {**os.environ, "KIND_EXPERIMENTAL_PROVIDER": command} if command == "podman" else dict(os.environ)


def _port_mapping() -> dict[str, object]:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", NODE_PORT))
        except OSError:
            detail(say("port-taken", port=NODE_PORT))
            return {}
    return {"extraPortMappings": [{"containerPort": NODE_PORT, "hostPort": NODE_PORT, "listenAddress": "127.0.0.1"}]}


@contextmanager
def _new_kubeconfig(cluster: Cluster) -> Iterator[Cluster]:
    """The same cluster by a kubeconfig that is not in place yet; only a whole cluster gets one in place."""
    new = Cluster(cluster.name, cluster.kubeconfig.with_suffix(".new"))
    new.kubeconfig.unlink(missing_ok=True)
    new.kubeconfig.touch(mode=0o600)
    try:
        yield new
    finally:
        new.kubeconfig.unlink(missing_ok=True)


def _put_in_place(new: Cluster, cluster: Cluster) -> None:
    new.kubeconfig.write_text(in_namespace(new.kubeconfig.read_text(), DEFAULT_NAMESPACE))
    new.kubeconfig.chmod(0o600)
    new.kubeconfig.rename(cluster.kubeconfig)


def _delete(kind: Path, cluster: Cluster) -> None:
    # kind also takes the cluster out of a kubeconfig: that must be ours.
    run(
        str(kind),
        "delete",
        "cluster",
        "--name",
        cluster.name,
        "--kubeconfig",
        str(cluster.kubeconfig.with_suffix(".new")),
        timeout=300,
    )
    cluster.kubeconfig.with_suffix(".new").unlink(missing_ok=True)


def _furnish(cluster: Cluster) -> None:
    """What the course needs in the cluster: the learner's namespace, a prompt kube-proxy, and the observer."""
    _make_default_namespace(cluster)
    # kubeadm requests no CPU for kube-proxy: on a busy machine Services would then follow their Pods many seconds late.
    proxy = ("daemonset", "kube-proxy", "-n", "kube-system")
    kubectl(cluster, "set", "resources", *proxy, "--requests=cpu=100m", timeout=20)
    if not observer.is_current(cluster):
        with step(say("observer-step")):
            observer.install(cluster)
    kubectl(cluster, "rollout", "status", *proxy, "--timeout=90s", timeout=100)
    _wait_for_names(cluster)
    course_of_cluster.note(cluster)


def _make_default_namespace(cluster: Cluster) -> None:
    """Raises Problem, with kubectl's words, where the API server refuses it for longer than SETTLE seconds."""
    namespace = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": DEFAULT_NAMESPACE}})
    words = ("apply", "--server-side", "--field-manager=kubeclass-up", "-f", "-")
    refusal: Problem | None = None

    def is_made() -> bool:
        nonlocal refusal
        try:
            kubectl(cluster, *words, input=namespace, timeout=20)
            refusal = None
        except Problem as refused:
            refusal = refused
        return refusal is None

    wait_until(is_made, SETTLE, pause=1)
    if refusal:
        raise refusal


def _wait_for_names(cluster: Cluster) -> None:
    """Wait until Pods can look names up.

    After a power cut the nodes report for a while that all is ready, as it was before, but the cluster's DNS is not.
    """
    if _names_are_found(cluster):
        return
    with step(say("dns-step")):
        if not wait_until(lambda: _names_are_found(cluster), COME_BACK, pause=1):
            detail(say("dns-silent"))


def _names_are_found(cluster: Cluster) -> bool:
    lookup = ("python3", "-c", "import socket; socket.gethostbyname('kubernetes.default')")
    try:
        kubectl(cluster, "exec", "-n", "kubeclass", "deployment/observer", "--", *lookup, timeout=15)
    except Problem:
        return False
    return True


def stop_as_by_ctrl_c() -> None:
    """Let a request to end (SIGTERM) be handled as Ctrl-C is: by tidying up."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
