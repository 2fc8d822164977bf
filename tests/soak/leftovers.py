"""What is there of the course's: before the soak, and after it. What is there only afterwards was left behind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

from cluster import current, engine, observer
from cluster.kubectl import kubectl
from cluster.nodes import nodes_of
from cluster.process import run

MARK = "KUBECLASS_SOAK"  # in the environment of all that the soak starts, and of what that starts
# What a learner has after a lesson, too: README, "What it does to your machine". Names in the course's home.
# And what JupyterLab keeps.
KEPT = (
    *("folder/*", "work/*", "progress.json", "progress.lock", "kubeclass-*/*", "bin/*", "screenshots/*"),
    *("jupyterlab/*", "jupyter/jupyter_cookie_secret"),
)

Things = dict[str, set[str]]


def things(folders: Iterable[Path]) -> Things:
    """Namespaces, Pods, containers, volumes and networks of the engine, processes of the soak, files in folders."""
    command = engine.command()
    return {
        "namespace": names("namespaces"),
        "Pod": names("pods", "-A"),
        "container": containers(command),
        # A volume that a container uses goes with the container. A new cluster has other volumes than the old one.
        "volume": set(run(command, "volume", "ls", "--filter", "dangling=true", "--format", "{{.Name}}").split()),
        "network": set(run(command, "network", "ls", "--format", "{{.Name}}").split()),
        "process": set(processes()),
        "file": {str(path) for folder in folders for path in files_in(folder)},
    }


def containers(command: str) -> set[str]:
    """The names of the engine's containers, without the nodes of other clusters: those come and go beside the soak."""
    every = run(command, "ps", "-a", "--format", "{{.Names}}").split()
    nodes = run(command, "ps", "-a", "--filter", "label=io.x-k8s.kind.cluster", "--format", "{{.Names}}").split()
    own = {node.name for node in nodes_of(command, current())}
    return set(every) - (set(nodes) - own)


def names(*words: str) -> set[str]:
    """Namespaced names of objects of the cluster, but for Pods of the cluster's own namespaces: they are replaced."""
    listed = json.loads(kubectl(current(), "get", *words, "-o", "json"))["items"]
    found = [one["metadata"] for one in listed]
    own = ("kube-system", "local-path-storage", observer.NAMESPACE)
    return {f"{one.get('namespace', '')}/{one['name']}" for one in found if one.get("namespace") not in own}


def files_in(folder: Path) -> list[Path]:
    """The files in a folder, and in its folders, without those that a learner keeps (KEPT)."""
    found = [path for path in folder.rglob("*") if not path.is_dir()]
    return [path for path in found if not any(fnmatch(str(path.relative_to(folder)), kept) for kept in KEPT)]


def processes() -> list[str]:
    """Command lines of the processes that the soak has started, or that those have started: not the soak's own."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            marked = f"{MARK}=".encode() in (process / "environ").read_bytes()
        except OSError:  # it has ended, or is another user's
            continue
        if marked and (words := command_line(process)) and process.name != str(os.getpid()):
            found.append(f"{process.name} {words}"[:200])
    return found


def command_line(process: Path) -> str:
    """The command line of a process, by its folder in /proc; "" where it has ended."""
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def left(before: Things, after: Things) -> list[str]:
    """What is there afterwards, and was not there before: a line for each."""
    return [f"{kind} {name}" for kind in after for name in sorted(after[kind] - before.get(kind, set()))]


def threads_of_observer() -> int:
    """How many threads the observer has."""
    return number_in(status_of_observer(), "Threads")


def status_of_observer() -> str:
    """/proc/1/status in the observer's Pod, and a line with the Pod's name. Raises Problem where it cannot be read."""
    files = ("/proc/1/status", "/etc/hostname")
    words = ("exec", "-n", observer.NAMESPACE, "deployment/observer", "--", "cat", *files)
    return kubectl(current(), *words, timeout=15)


def number_in(status: str, name: str) -> int:
    """A number in the text of /proc/PID/status. Source: https://man7.org/linux/man-pages/man5/proc_pid_status.5.html"""
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{name}:"))
