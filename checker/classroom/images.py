"""The course's images in a registry, for a class whose cluster pulls them from there."""

from __future__ import annotations

from collections.abc import Callable

from cluster import images
from cluster.process import run

PUSH_SECONDS = 900.0  # for one image, over a slow line


def names_in(registry: str) -> dict[str, str]:
    """Each image of the course with its name in the registry. registry: the prefix, which is not empty."""
    return {name: f"{registry}/{name}" for name in images.all_names()}


def push(engine: str, registry: str, pushing: Callable[[str], None]) -> None:
    """Push the course's images with the engine's own login, one after the other. Those that it lacks are made first.

    engine: the container engine's command. pushing: called with the name in the registry before each.
    Raises Problem where an image cannot be made, and where the registry does not take it.
    """
    images.prepare(engine)
    for name, full in names_in(registry).items():
        pushing(full)
        run(engine, "tag", name, full)
        run(engine, "push", full, timeout=PUSH_SECONDS)
