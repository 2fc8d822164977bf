"""`kubeclass doctor`: is this machine fit for the course? Facts are gathered first; findings do no I/O."""

from __future__ import annotations

import json
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
from cluster.language import say
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
        _tried(facts),
    ]


def tried() -> list[dict[str, Any]]:
    """The machines on which the course was really tried: engine, version, cgroup, images, network, by."""
    machines: list[dict[str, Any]] = json.loads((Path(__file__).parent / "tried.json").read_text())["machines"]
    return machines


def _tried(facts: dict[str, Any]) -> Finding:
    """Whether the course was tried on a machine like this: the same engine and version, cgroup, and way to images."""
    images, known = "pulled" if facts["registry"] else "built", facts["engine_version"]
    this = {
        "engine": facts["engine"],
        "version": known,
        "cgroup": facts["cgroup"],
        "images": images,
    }
    for machine in tried():
        same = all(machine[key] == this[key] for key in ("engine", "cgroup", "images"))
        if known and same and _numbers(known)[: len(_numbers(machine["version"]))] == _numbers(machine["version"]):
            return _found("tried", "well", "machine-tried", **{**this, "images": say(f"images-{images}")})
    return _found("tried", "warning", "machine-untried", **{**this, "images": say(f"images-{images}")})


def _found(id: str, level: str, sentence: str, **facts: Any) -> Finding:
    """A finding: what was observed (`SENTENCE`), and unless all is well, what to do about it (`SENTENCE-next`)."""
    return Finding(id, level, say(sentence, **facts), say(f"{sentence}-next", **facts) if level != "well" else "")


def _engine(facts: dict[str, Any]) -> Finding:
    problem: Problem | None = facts["engine_problem"]
    if problem:
        return Finding("engine", "bad", problem.what, problem.next_step)
    version = facts["engine_version"]
    if facts["engine"] == "docker" and _numbers(version) < LEAST_ENGINE:
        return _found("engine", "warning", "engine-old", version=version)
    if facts["docker_beside"]:
        return _found("engine", "warning", "engine-beside", version=version)
    return _found("engine", "well", "engine-well", engine=facts["engine"], version=version)


def _memory_finding(facts: dict[str, Any]) -> Finding:
    return _at_least("memory", facts["memory"], LEAST_MEMORY, GOOD_MEMORY)


def _disk(facts: dict[str, Any]) -> Finding:
    return _at_least("disk", facts["disk"], LEAST_DISK, GOOD_DISK, folder=facts["disk_folder"])


def _at_least(id: str, value: int | None, least: int, good: int, **facts: Any) -> Finding:
    if value is None:
        return Finding(id, "warning", say("not-measured"), say(f"{id}-next", good=None))
    level = "bad" if value < least else "warning" if value < good else "well"
    observed = say(f"{id}-found", gib=f"{value / GIB:.1f}", **facts)
    return Finding(id, level, observed, "" if level == "well" else say(f"{id}-next", good=good // GIB))


def _cgroup_finding(facts: dict[str, Any]) -> Finding:
    if facts["cgroup"] == 1:
        return _found("cgroup", "warning", "cgroup-v1")
    return _found("cgroup", "well", "cgroup-v2" if facts["cgroup"] else "cgroup-not-linux")


def _inotify(facts: dict[str, Any]) -> list[Finding]:
    return [_inotify_finding(name, value) for name, value in facts["inotify"].items()]


def _inotify_finding(name: str, value: int | None) -> Finding:
    id = f"inotify-{name.removeprefix('max_user_')}"
    if value is None:
        return _found(id, "well", "not-linux")
    known = {"setting": f"fs.inotify.{name}", "value": value}
    if value >= INOTIFY[name]:
        return _found(id, "well", "inotify-well", **known)
    return _found(id, "warning", "inotify-low", wanted=INOTIFY[name] * 8, **known)


def _ports(facts: dict[str, Any]) -> list[Finding]:
    return [
        _found(f"port-{port}", "well", "port-free", port=port)
        if free
        else _found(f"port-{port}", "warning", f"port-{port}-used")
        for port, free in facts["ports"].items()
    ]


def _proxy(facts: dict[str, Any]) -> Finding:
    if not facts["proxy"]:
        return _found("proxy", "well", "proxy-none")
    if "127.0.0.1" not in facts["no_proxy"]:
        return _found("proxy", "warning", "proxy-takes-all", variable=facts["proxy"])
    return _found("proxy", "well", "proxy-well", variable=facts["proxy"])


def _names(facts: dict[str, Any]) -> Finding:
    if facts["resolves"]:
        return _found("dns", "well", "names-resolve")
    return _found("dns", "warning", "names-do-not-resolve")


def _registry(facts: dict[str, Any]) -> Finding:
    if facts["registry"]:
        return _found("registry", "well", "registry-answers")
    return _found("registry", "warning", "registry-silent" if facts["go"] else "registry-silent-no-go")


def _clock(facts: dict[str, Any]) -> Finding:
    offset = facts["clock_offset"]
    if offset is None:
        return _found("clock", "well", "clock-unknown")
    if abs(offset) > 60:
        return _found("clock", "warning", "clock-wrong", seconds=round(abs(offset)))
    return _found("clock", "well", "clock-right", seconds=round(max(abs(offset), 1)))


def _capabilities(facts: dict[str, Any]) -> Finding:
    if facts["lacks_capabilities"]:
        return _found("capabilities", "warning", "capabilities-withheld")
    return _found("capabilities", "well", "capabilities-all")


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
    output = (
        ""
        if problem
        else _output(command, "info", "--format", "{{.MemTotal}}" if command == "docker" else "{{.Host.MemTotal}}")
    )
    if output.isdigit():
        return int(output)
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
    """For scripts: `fit`, `findings`, and `tried`, the machines on which the course was tried."""
    return {"fit": exit_code(found) == 0, "findings": [asdict(finding) for finding in found], "tried": tried()}


def as_text(found: list[Finding], short: bool = False) -> str:
    """The findings for people, a remedy below its finding.

    short: for a machine that is fit, one line, and a second one that says whether the course was tried on a machine
        like it. A machine that is not fit needs all its findings.
    """
    if short and exit_code(found) == 0:
        return "\n".join([say("doctor-fit-short"), *(finding.observed for finding in found if finding.id == "tried")])
    lines = []
    for finding in found:
        lines.append(f"{say(f'level-{finding.level}'):<9}  {finding.id}: {finding.observed}")
        if finding.remedy:
            lines.append(f"             → {finding.remedy}")
    return "\n".join([*lines, say("doctor-fit" if exit_code(found) == 0 else "doctor-not-fit")])
