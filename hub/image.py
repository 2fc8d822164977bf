"""The image of a learner's server: `python -m hub.image` builds it from this clone, as the course's other images.

Where a registry answers, its base is python:3.13-slim. Elsewhere it is made from Debian packages. The course and all
that it needs come as wheels, which this machine's pip downloads: no container reaches a network for them.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cluster import engine as engines
from cluster import tools
from cluster.images import MADE_FROM, SOURCE, label
from cluster.language import say
from cluster.network import registry_answers
from cluster.nodeimage import docker_build, make_root
from cluster.paths import COURSE
from cluster.process import run
from cluster.progress import step
from cluster.versions import course_version, versions

NAME = f"kubeclass-server:{course_version()}"
PYTHON = "3.13"  # of the base, and so of the wheels
BASE = f"python:{PYTHON}-slim"
ROOT = "kubeclass/root:hub"  # the base where no registry answers
PACKAGES = "python3,libstdc++6,ca-certificates,tini,curl,less,nano,procps"
# The version of JupyterHub in Zero to JupyterHub 4, which hub/values.yaml is for.
JUPYTERHUB = "jupyterhub>=5.3,<6"
DOCKERFILE = Path(__file__).parent / "Dockerfile"
LEFT_OUT = {"recorded", "work", "__pycache__", ".ipynb_checkpoints"}  # folders that the wheel does not hold
SECONDS = 1800.0  # for all wheels, over a slow line


def build(engine: str, name: str = NAME) -> str:
    """Build the image where the engine has not got it yet, and return its name. Raises Problem where that fails."""
    if label(engine, name, SOURCE) == source():
        return name
    with tempfile.TemporaryDirectory(prefix="kubeclass-hub-") as work, step(say("build-step", image=name)):
        folder = Path(work)
        lines = f"{DOCKERFILE.read_text()}LABEL {SOURCE}={source()}\n"
        (folder / "Dockerfile").write_text(lines)
        shutil.copy(tools.kubectl_path().resolve(), folder / "kubectl")
        (folder / "kubectl").chmod(0o755)
        course = folder / "course"
        run(*_uv(), "build", "--quiet", "--wheel", "--out-dir", str(course), str(COURSE), timeout=SECONDS)
        (course / ".gitignore").unlink(missing_ok=True)  # which uv writes
        (wheel,) = course.glob("*.whl")
        download([str(wheel), JUPYTERHUB, "pip"], folder / "wheels")
        (folder / "wheels" / wheel.name).unlink()  # the course is in a layer of its own, which changes most often
        docker_build(engine, folder, name, "--build-arg", f"BASE={base(engine, folder)}")
    return name


def source() -> str:
    """A digest of all files of the clone that the image is built from."""
    files = [DOCKERFILE, Path(__file__), COURSE / "pyproject.toml"]
    for name in ("kubeclass", "checker", "cluster", "lessons", "labs"):
        files += [path for path in (COURSE / name).rglob("*") if path.is_file() and not LEFT_OUT & set(path.parts)]
    content = b"".join(str(path.relative_to(COURSE)).encode() + path.read_bytes() for path in sorted(files))
    return hashlib.sha256(content).hexdigest()[:16]


def base(engine: str, work: Path, root: str = ROOT, packages: str = PACKAGES) -> str:
    """The image that others are built from. root, packages: what is made of Debian packages without a registry."""
    if registry_answers():
        return f"docker.io/library/{BASE}"
    made_from = f"Debian {versions()['debian']['course']}: {packages}"
    if label(engine, root, MADE_FROM) != made_from:
        make_root(
            engine,
            root,
            versions()["debian"]["course"],
            "essential",
            packages,
            work,
            (f'LABEL {MADE_FROM}="{made_from}"',),
        )
    return root


def download(wanted: Sequence[str], folder: Path) -> None:
    """Download the wheels of these packages and of all that they need, for the image's Python."""
    machine = platform.machine()
    platforms = [f"--platform=manylinux{one}_{machine}" for one in ("2014", "_2_17", "_2_28")]
    run(
        *(*_uv(), "tool", "run", "pip", "download", "--quiet", "--only-binary=:all:", f"--python-version={PYTHON}"),
        *("--implementation=cp", f"--abi=cp{PYTHON.replace('.', '')}", *platforms, "--dest", str(folder), *wanted),
        timeout=SECONDS,
    )


def _uv() -> list[str]:
    """uv, which `make` brings into the virtual environment where the machine has none."""
    beside = Path(sys.executable).parent / "uv"
    return ["nice", str(beside) if os.access(beside, os.X_OK) else "uv"]


if __name__ == "__main__":
    print(build(engines.command(), *sys.argv[1:2]))
