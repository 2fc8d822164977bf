"""`docker compose`, which lesson 01 uses: part of Docker's own packages, but not of Debian's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cluster.problem import Problem
from cluster.steps import say, succeeds
from cluster.tools import fetch_tool


def ensure(engine: str) -> None:
    """Have `docker compose` work. Where it cannot be had, say so and go on: one lesson of many needs it."""
    if succeeds(engine, "compose", "version"):
        return
    plugin = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "cli-plugins" / "docker-compose"
    if engine != "docker":
        say("  podman has no compose here; lesson 01 needs it. Install podman-compose.")
        return
    try:
        program = fetch_tool("docker-compose")
        plugin.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(program, new := plugin.with_suffix(".new"))
        new.chmod(0o755)
        new.rename(plugin)
        say(f"  `docker compose` was missing: installed as {plugin}")
    except (Problem, OSError) as problem:
        say(f"  `docker compose` is missing, and lesson 01 needs it: {problem}")
