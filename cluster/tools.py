"""kind and kubectl: from PATH when the version will do, else the pinned release, checked, else built from source."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
from functools import cache
from pathlib import Path

from cluster import paths, programs
from cluster.files import in_one_step
from cluster.language import problem, say
from cluster.network import NoAnswer, fetch
from cluster.problem import Problem
from cluster.process import finish
from cluster.progress import detail, step
from cluster.versions import versions

RELEASES = {
    "kind": "https://github.com/kubernetes-sigs/kind/releases/download/{version}/kind-{os}-{arch}",
    "kubectl": "https://dl.k8s.io/release/{version}/bin/{os}/{arch}/kubectl",
    "docker-compose": "https://github.com/docker/compose/releases/download/{version}/docker-compose-{os}-{machine}",
}
VERSION_OPTIONS = {
    "kind": ["-q"],
    "kubectl": ["--client", "-o", "json"],
    "docker-compose": ["--short"],
}  # these print the version alone
CHECKSUM_ENDING = {"kind": ".sha256sum", "kubectl": ".sha256", "docker-compose": ".sha256"}


@cache
def kubectl_path() -> Path:
    """A kubectl that is at most one minor version away from the cluster's.

    Source: https://kubernetes.io/releases/version-skew-policy/#kubectl
    Raises Problem where none can be had.
    """
    return _tool("kubectl")


@cache
def kind_path() -> Path:
    """A kind of the pinned version or a later one of the same major version. Raises Problem where none can be had."""
    return _tool("kind")


def _tool(name: str) -> Path:
    return found(name) or fetch_tool(name)


def folder() -> Path:
    """Where the course keeps its own tools."""
    return paths.home() / "bin"


def found(name: str) -> Path | None:
    """A tool of a version that will do, the course's own or one on PATH; None where it has yet to be had."""
    for candidate in (folder() / name, *_on_path(name)):
        if candidate.exists() and will_do(name, version_of(candidate, name)):
            return candidate
    return None


def own(name: str) -> Path:
    """The course's own copy of a tool, which needs nothing else of this machine. Raises Problem where it cannot be had.

    One on PATH may be a script, or a part of a package.
    """
    place = folder() / name
    return place if place.exists() and will_do(name, version_of(place, name)) else fetch_tool(name)


def _on_path(name: str) -> list[Path]:
    folders = os.environ.get("PATH", "").split(os.pathsep)
    return [Path(folder) / name for folder in folders if folder and os.access(Path(folder) / name, os.X_OK)]


def version_of(program: Path, name: str) -> str:
    """What a program says its version is, as `v1.2.3`; empty where it does not say."""
    try:
        output = finish(str(program), "version", *VERSION_OPTIONS[name], timeout=15).out
        if name == "kubectl":
            output = json.loads(output)["clientVersion"]["gitVersion"]
    except (Problem, ValueError, KeyError):
        return ""
    found = re.search(r"\d+\.\d+\.\d+", output)
    return f"v{found.group()}" if found else ""


def will_do(name: str, version: str) -> bool:
    """Whether a program of this version serves the course's pinned versions."""
    if not version:
        return False
    have, want = _numbers(version), _numbers(versions()[name]["version"])
    if name == "kubectl":
        return have[0] == want[0] and abs(have[1] - want[1]) <= 1
    return have[0] == want[0] and have[1:] >= want[1:]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.lstrip("v").split("."))


def architecture() -> str:
    """The architecture of this machine, as Go and the engines name it: `amd64`, `arm64`."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def release(name: str) -> str:
    """Where the pinned release of a tool is, for this machine."""
    arch = architecture()
    machine = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
    version = versions()[name]["version"]
    return RELEASES[name].format(version=version, os=platform.system().lower(), arch=arch, machine=machine)


def fetch_tool(name: str) -> Path:
    """Put the pinned release of a tool into the course's own folder, and return its path.

    Where the release cannot be downloaded, the tool is built.
    Raises Problem where neither works.
    """
    version, url = versions()[name]["version"], release(name)
    target = folder() / name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with step(say("tool-downloading", tool=name, version=version)):
            download(url, url + CHECKSUM_ENDING[name], target)
        return target
    except NoAnswer as why:
        detail(say("tool-not-downloaded", tool=name, why=why))
        if not programs.place(name).exists() and not shutil.which("go"):
            raise problem("tool-unavailable", tool=name, version=version, why=why) from None
    built = programs.build(name)  # Go's checksum database vouches for the source
    with in_one_step(target, 0o755) as new:
        shutil.copyfile(built, new)
    return target


def download(url: str, checksum_url: str, target: Path) -> None:
    """Fetch a file, check it against the release's published SHA-256, and only then put it in place.

    Raises NoAnswer where the host does not answer, and Problem where the sum is not the published one.
    """
    published = fetch(checksum_url, timeout=10).decode().split()[0].strip()
    content = fetch(url, timeout=300)
    found = hashlib.sha256(content).hexdigest()
    if found != published:
        raise problem("checksum-differs", url=url, found=found, published=published)
    with in_one_step(target, 0o755) as new:
        new.write_bytes(content)
