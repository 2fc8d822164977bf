"""`kubeclass doctor`: is this machine fit for the course? Facts are gathered first; findings do no I/O."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from cluster import engine, paths
from cluster.http_client import get_from_internet
from cluster.network import REGISTRY, registry_answers
from cluster.problem import Problem
from cluster.process import finish
from cluster.up import NODE_PORT

GIB = 1024**3
LEAST_MEMORY, GOOD_MEMORY = 3 * GIB, 6 * GIB
LEAST_DISK, GOOD_DISK = 6 * GIB, 12 * GIB
# kind's own advice for clusters of several nodes: https://kind.sigs.k8s.io/docs/user/known-issues/#pod-errors-due-to-too-many-open-files
INOTIFY = {"max_user_watches": 65536, "max_user_instances": 256}
LEAST_ENGINE = (20, 10)
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")


@dataclass(frozen=True)
class Finding:
    """The result of one check of this machine.

    level: `well`, `warning` (the course may be slow or partly fail) or `bad` (it will not work).
    """

    id: str
    level: str
    observed: str
    remedy: str = ""


def doctor() -> list[Finding]:
    """Look at this machine. Changes nothing."""
    return findings(facts())


def exit_code(found: list[Finding]) -> int:
    """0: fit; 1: something will not work."""
    return 1 if any(finding.level == "bad" for finding in found) else 0


def facts() -> dict[str, Any]:
    """What is known of this machine; None where it cannot be known."""
    command = engine.command()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(_engine_problem, command)
        answers, clock, names = pool.submit(registry_answers), pool.submit(_clock_offset), pool.submit(_resolves)
        problem = running.result()
        return {
            "engine": command,
            "engine_problem": problem,
            "engine_version": "" if problem else _engine_version(command),
            "docker_beside": command == "podman" and _is_there("docker"),
            "memory": _memory(command, problem),
            "disk": _disk_free(),
            "disk_folder": str(paths.home()),
            "cgroup": engine.cgroup_version(),
            "inotify": {name: _number(Path("/proc/sys/fs/inotify") / name) for name in INOTIFY},
            "ports": {8888: _port_free(8888), NODE_PORT: _port_free(NODE_PORT)},
            "proxy": next((name for name in PROXIES if os.environ.get(name)), ""),
            "no_proxy": os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or "",
            "registry": answers.result(),
            "resolves": names.result(),
            "clock_offset": clock.result(),
            "go": bool(shutil.which("go")),
            "lacks_capabilities": engine.lacks_capabilities(),
        }


def findings(facts: dict[str, Any]) -> list[Finding]:
    """The findings from the facts. No I/O."""
    return [
        _engine(facts),
        _memory_finding(facts),
        _disk(facts),
        _cgroup_finding(facts),
        *_inotify(facts),
        *_ports(facts),
        _proxy(facts),
        _names(facts),
        _registry(facts),
        _clock(facts),
        _capabilities(facts),
    ]


def _engine(facts: dict[str, Any]) -> Finding:
    problem: Problem | None = facts["engine_problem"]
    if problem:
        return Finding("engine", "bad", problem.what, problem.next_step)
    version = facts["engine_version"]
    if facts["engine"] == "docker" and _numbers(version) < LEAST_ENGINE:
        return Finding("engine", "warning", f"docker {version} is old", "Install Docker Engine 20.10 or later")
    if facts["docker_beside"]:
        return Finding(
            "engine",
            "warning",
            f"podman {version} runs, and beside it a Docker engine, "
            "whose firewall drops what goes between Podman's nodes",
            "Stop the Docker engine (sudo systemctl stop docker) and restart this machine; "
            "or use it: unset KIND_EXPERIMENTAL_PROVIDER",
        )
    return Finding("engine", "well", f"{facts['engine']} {version} runs, and you may use it")


def _memory_finding(facts: dict[str, Any]) -> Finding:
    remedy = "Give the engine more memory (Docker Desktop: Settings, Resources), or close what uses much"
    return _at_least("memory", facts["memory"], LEAST_MEMORY, GOOD_MEMORY, "of memory for the engine", remedy)


def _disk(facts: dict[str, Any]) -> Finding:
    remedy = "Free some space: `docker system df` shows what images take"
    return _at_least("disk", facts["disk"], LEAST_DISK, GOOD_DISK, f"free at {facts['disk_folder']}", remedy)


def _at_least(id: str, value: int | None, least: int, good: int, words: str, remedy: str) -> Finding:
    if value is None:
        return Finding(id, "warning", "could not be found out", remedy)
    level = "bad" if value < least else "warning" if value < good else "well"
    return Finding(
        id,
        level,
        f"{value / GIB:.1f} GiB {words}",
        "" if level == "well" else f"{good // GIB} GiB are comfortable. {remedy}",
    )


def _cgroup_finding(facts: dict[str, Any]) -> Finding:
    if facts["cgroup"] == 1:
        return Finding(
            "cgroup",
            "warning",
            "cgroup v1: Kubernetes 1.35 and later run on it only by a special setting",
            "Where you can, boot with systemd.unified_cgroup_hierarchy=1; the course still works without",
        )
    return Finding(
        "cgroup", "well", "cgroup v2" if facts["cgroup"] else "not on Linux: the engine's own virtual machine decides"
    )


def _inotify(facts: dict[str, Any]) -> list[Finding]:
    return [_inotify_finding(name, value) for name, value in facts["inotify"].items()]


def _inotify_finding(name: str, value: int | None) -> Finding:
    id = f"inotify-{name.removeprefix('max_user_')}"
    if value is None:
        return Finding(id, "well", "not on Linux")
    known = f"fs.inotify.{name} is {value}"
    if value >= INOTIFY[name]:
        return Finding(id, "well", known)
    known += ": beside another cluster, nodes may not become ready"
    return Finding(id, "warning", known, f"sudo sysctl fs.inotify.{name}={INOTIFY[name] * 8}")


def _ports(facts: dict[str, Any]) -> list[Finding]:
    use = {
        8888: "JupyterLab then takes the next free one",
        NODE_PORT: "node port 30080 is then not reachable from a browser here",
    }
    found = []
    for port, free in facts["ports"].items():
        if free:
            found.append(Finding(f"port-{port}", "well", f"port {port} is free"))
        else:
            remedy = f"Nothing needs doing ({use[port]}); after `kubeclass up` the course itself uses {NODE_PORT}"
            found.append(Finding(f"port-{port}", "warning", f"port {port} is in use", remedy))
    return found


def _proxy(facts: dict[str, Any]) -> Finding:
    if facts["proxy"] and "127.0.0.1" not in facts["no_proxy"]:
        return Finding(
            "proxy",
            "warning",
            f"{facts['proxy']} is set, and NO_PROXY does not name 127.0.0.1",
            "kubectl would ask the proxy for the cluster: "
            "export NO_PROXY=127.0.0.1,localhost,10.96.0.0/12,10.244.0.0/16",
        )
    return Finding(
        "proxy", "well", f"{facts['proxy']} is set, and leaves the cluster out" if facts["proxy"] else "no proxy is set"
    )


def _names(facts: dict[str, Any]) -> Finding:
    if facts["resolves"]:
        return Finding("dns", "well", "names of the internet resolve")
    return Finding(
        "dns",
        "warning",
        "names of the internet do not resolve here",
        "Check the network; without one the course builds what it cannot pull",
    )


def _registry(facts: dict[str, Any]) -> Finding:
    if facts["registry"]:
        return Finding("registry", "well", "the image registry answers: images are pulled")
    if facts["go"]:
        return Finding(
            "registry",
            "warning",
            "no image registry answers: images are built here, from source",
            "Nothing needs doing; the first `kubeclass up` takes about 20 minutes",
        )
    return Finding(
        "registry",
        "warning",
        "no image registry answers, and there is no Go to build images with",
        "Use a network with a registry, or install Go 1.26, unless the images are here already",
    )


def _clock(facts: dict[str, Any]) -> Finding:
    offset = facts["clock_offset"]
    if offset is not None and abs(offset) > 60:
        return Finding(
            "clock",
            "warning",
            f"the clock is {abs(offset):.0f} s off",
            "Set it by the network (timedatectl set-ntp true): certificates are valid by the clock",
        )
    return Finding(
        "clock", "well", "could not be compared" if offset is None else f"right to within {max(abs(offset), 1):.0f} s"
    )


def _capabilities(facts: dict[str, Any]) -> Finding:
    if facts["lacks_capabilities"]:
        return Finding(
            "capabilities",
            "warning",
            "this machine withholds CAP_SYS_RESOURCE",
            "Nothing needs doing where `kubeclass up` starts the engine: it asks for less then",
        )
    return Finding("capabilities", "well", "none that a node needs is withheld")


def _engine_problem(command: str) -> Problem | None:
    try:
        engine.require_running(command)
    except Problem as problem:
        return problem
    return None


def _is_there(command: str) -> bool:
    return bool(shutil.which(command)) and _engine_problem(command) is None


def _output(*command: str) -> str:
    try:
        return finish(*command, timeout=15).out.strip()
    except Problem:
        return ""


def _engine_version(command: str) -> str:
    return _output(command, "version", "--format", "{{.Server.Version}}")


def _memory(command: str, problem: Problem | None) -> int | None:
    said = (
        ""
        if problem
        else _output(command, "info", "--format", "{{.MemTotal}}" if command == "docker" else "{{.Host.MemTotal}}")
    )
    if said.isdigit():
        return int(said)
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if sys.platform == "linux" else None


def _disk_free() -> int:
    folder = paths.home()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _number(path: Path) -> int | None:
    return int(path.read_text()) if path.exists() else None


def _port_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _resolves() -> bool:
    try:
        return bool(socket.getaddrinfo(REGISTRY.split("/")[2], 443))
    except OSError:
        return False


def _clock_offset() -> float | None:
    """This machine's clock against that of the registry, in seconds; None where it does not answer."""
    try:
        headers = get_from_internet(REGISTRY, 4).headers
    except OSError:
        return None
    return time.time() - parsedate_to_datetime(headers["Date"]).timestamp() if headers.get("Date") else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def as_json(found: list[Finding]) -> dict[str, Any]:
    """The findings for scripts: `fit` and `findings`."""
    return {"fit": exit_code(found) == 0, "findings": [asdict(finding) for finding in found]}


def as_text(found: list[Finding]) -> str:
    """The findings for people, those with a remedy last in each line."""
    symbols = {"well": "✔ well   ", "warning": "! warning", "bad": "✘ bad    "}
    lines = []
    for finding in found:
        lines.append(f"{symbols[finding.level]}  {finding.id}: {finding.observed}")
        if finding.remedy:
            lines.append(f"             → {finding.remedy}")
    return "\n".join(
        [
            *lines,
            "This machine is fit for the course."
            if exit_code(found) == 0
            else "Something above must be put right first.",
        ]
    )
