"""`docker compose`, which lesson 01 uses: part of Docker's own packages, but not of Debian's, and not of Podman's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cluster import tools
from cluster.files import in_one_step
from cluster.language import say
from cluster.problem import Problem
from cluster.process import succeeds
from cluster.progress import detail

SHIM = Path(__file__).parent / "podman-as-docker"


def ensure(engine: str) -> None:
    """Make `docker` and `docker compose` work. Where that fails, say so and go on: only one lesson needs them."""
    shim = tools.folder() / "docker"
    if engine == "podman":
        wanted, works = shim, tools.found("docker-compose") and shim.exists() and shim.read_bytes() == SHIM.read_bytes()
    else:
        wanted = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "cli-plugins" / "docker-compose"
        shim.unlink(missing_ok=True)
        works = succeeds(engine, "compose", "version")
    if works:
        return
    try:
        program = tools.found("docker-compose") or tools.fetch_tool("docker-compose")
        _put(SHIM if engine == "podman" else program, wanted)
        detail(say("compose-installed", place=wanted))
    except (Problem, OSError) as problem:
        detail(say("compose-missing", why=problem))


def _put(program: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with in_one_step(place, 0o755) as new:
        shutil.copyfile(program, new)
