"""The course as a wheel, and the wheels that it needs, for other machines than this one.

Each package has the version that this machine has, where it runs on the other machine, too.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from cluster import paths
from cluster.language import problem
from cluster.process import Finished, finish
from cluster.versions import course_version

PYTHONS = ("3.11", "3.12", "3.13", "3.14")  # for which wheels are downloaded
# The tags of wheels that run on a platform. pip adds the older ones for macOS, and not for Linux.
# Source: https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/
_GLIBC = (5, 12, 17, 24, 26, 27, 28)  # 2.28: Debian 10, RHEL 8, and everything newer


def _linux(machine: str) -> tuple[str, ...]:
    named = tuple(f"{name}_{machine}" for name in ("manylinux1", "manylinux2010", "manylinux2014", "linux"))
    return tuple(f"manylinux_2_{minor}_{machine}" for minor in reversed(_GLIBC)) + named


PLATFORMS = {
    "linux-amd64": _linux("x86_64"),
    "linux-arm64": _linux("aarch64"),
    "macos-amd64": ("macosx_13_0_x86_64",),
    "macos-arm64": ("macosx_13_0_arm64",),
}
_MACHINES = {
    "linux-amd64": "x86_64",
    "linux-arm64": "aarch64",
    "macos-amd64": "x86_64",
    "macos-arm64": "arm64",
}
MOST_MISSING = 5  # packages without a wheel, after which the others are not tried


def for_this_machine(platform: str) -> tuple[str, ...]:
    """The platform, or nothing where no tags are known for it: then only the course's own wheel is had."""
    return (platform,) if platform in PLATFORMS else ()


def requirements(platform: str, python: str) -> dict[str, list[str]]:
    """All packages that the course needs on a platform, by name: what to ask pip for, the best first.

    platform: a key of PLATFORMS. python: such as `3.12`.
    The best is the version that is installed here. It may not be one for the oldest release of this Python. Then any
    version will do that the other packages allow.
    """
    environment = _environment(platform, python)
    allowed: dict[str, SpecifierSet] = {}
    todo = [Requirement(text) for text in _of_course()]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        requirement = todo.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if not _is_wanted(requirement, environment, frozenset()):
            continue
        allowed[name] = allowed.get(name, SpecifierSet()) & requirement.specifier
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for text in _required_by(name):
            theirs = Requirement(text)
            if _is_wanted(theirs, environment, extras):
                theirs.marker = None
                todo.append(theirs)
    return {name: [*_installed(name), f"{name}{versions}"] for name, versions in sorted(allowed.items())}


def _is_wanted(requirement: Requirement, environment: dict[str, str], extras: frozenset[str]) -> bool:
    """Whether a package is required in an environment. extras: those of the package that requires it."""
    marker = requirement.marker
    return not marker or any(marker.evaluate({**environment, "extra": extra}) for extra in (extras or {""}))


def _required_by(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []  # of a package for another platform; pip on that machine says what is missing


def _installed(name: str) -> list[str]:
    try:
        return [f"{name}=={metadata.version(name)}"]
    except metadata.PackageNotFoundError:
        return []


def _of_course() -> list[str]:
    """What the course itself requires. In a clone pyproject.toml says it."""
    if paths.is_installed():
        return [text for text in metadata.requires("kubeclass") or [] if "extra ==" not in text]
    return list(tomllib.loads((paths.COURSE / "pyproject.toml").read_text())["project"]["dependencies"])


def _environment(platform: str, python: str) -> dict[str, str]:
    """What the markers of requirements are about (https://peps.python.org/pep-0508/#environment-markers)."""
    is_linux = platform.startswith("linux")
    return {
        **{key: str(value) for key, value in default_environment().items()},
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": "linux" if is_linux else "darwin",
        "platform_system": "Linux" if is_linux else "Darwin",
        "platform_machine": _MACHINES[platform],
    }


def download(folder: Path, platform: str, python: str) -> tuple[str, ...]:
    """Put the wheels for a platform and a Python into a folder. Returns the packages whose wheels could not be had.

    Raises Problem without pip.
    """
    tags = [word for tag in PLATFORMS[platform] for word in ("--platform", tag)]
    options = ("--no-deps", "--only-binary=:all:", "--dest", str(folder), "--python-version", python, *tags)
    asked = requirements(platform, python)
    missing: list[str] = []
    while asked:
        words = [choices[0] for choices in asked.values()]
        done = _pip("download", "--quiet", "--retries", "1", "--implementation", "cp", *options, *words)
        if done.returncode == 0:
            break
        found = re.search(r"No matching distribution found for ([A-Za-z0-9._-]+)", done.err + done.out)
        name = canonicalize_name(found[1]) if found else ""
        if name not in asked or len(missing) == MOST_MISSING:
            missing += asked
            break
        asked[name].pop(0)
        if not asked[name]:
            del asked[name]
            missing.append(name)
    return tuple(missing)


def put_course(folder: Path) -> None:
    """Put the wheel of the course into a folder. Raises Problem where it cannot be had."""
    if paths.is_installed():
        words = ("download", "--no-deps", "--dest", str(folder), f"kubeclass=={course_version()}")
    else:
        words = ("wheel", "--no-deps", "--wheel-dir", str(folder), str(paths.COURSE))
    done = _pip(words[0], "--quiet", *words[1:])
    if done.returncode:
        raise problem("bundle-no-course-wheel", why=(done.err or done.out).strip()[-500:])


def _pip(*words: str) -> Finished:
    uv = shutil.which("uv")
    if importlib.util.find_spec("pip"):
        pip = [sys.executable, "-m", "pip"]
    elif uv:
        pip = [uv, "tool", "run", "pip"]
    else:
        raise problem("bundle-no-pip", python=sys.executable)
    return finish(*pip, "--disable-pip-version-check", *words, timeout=900)
