"""`kubeclass bundle use`: what a bundle holds, onto this machine. After it, `kubeclass up` needs no network."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cluster import engine, tools
from cluster.bundle import archive, contents
from cluster.bundle.archive import Bundle, Manifest, Member
from cluster.files import in_one_step
from cluster.language import problem, say
from cluster.process import run
from cluster.progress import step
from cluster.space import require_space
from cluster.versions import course_version


@dataclass(frozen=True)
class Used:
    """What a bundle brought: the images that were loaded and the tools that were put in place; both may be empty."""

    images: tuple[str, ...]
    tools: tuple[str, ...]


def use(path: Path) -> Used:
    """Load the images and the tools of a bundle that this machine does not have yet.

    Raises Problem where the bundle is not whole, or is not for this machine or this course; nothing was loaded then.
    """
    command = engine.ensure()
    with archive.opened(path) as bundle:
        manifest = bundle.manifest
        _require_for_this_course(path, manifest)
        _require_for_this_machine(path, manifest, contents.architecture(command))
        with step(say("bundle-check-step", file=path)):
            bundle.check()
        wanted = [one for one in _of_kind(manifest, "images") if contents.absent(command, one.images)]
        _require_space_for(command, wanted)
        for member in wanted:
            _load(command, bundle, member)
        placed = [_place(bundle, member) for member in _missing_tools(manifest)]
    return Used(tuple(image.name for member in wanted for image in member.images), tuple(placed))


def _of_kind(manifest: Manifest, kind: str) -> list[Member]:
    return [member for member in manifest.members if member.kind == kind]


def _require_for_this_course(path: Path, manifest: Manifest) -> None:
    """Raises Problem where the bundle lacks an image that `up` would ask for."""
    held = {image.name for member in manifest.members for image in member.images}
    all_of, one_of = contents.needed_images()
    if not all_of <= held or not one_of & held:
        raise problem("bundle-other-course", file=path, bundle=manifest.course, course=course_version())


def _require_for_this_machine(path: Path, manifest: Manifest, own: str) -> None:
    if manifest.architecture != own:
        raise problem("bundle-other-architecture", file=path, bundle=manifest.architecture, own=own)
    here = contents.this_platform()
    held = {_tool(member) for member in _of_kind(manifest, "tool") if member.platform == here}
    lacking = [name for name in ("kind", "kubectl") if name not in held and not tools.found(name)]
    if lacking:
        raise problem("bundle-no-tools", file=path, tools=lacking, platform=here)


def _tool(member: Member) -> str:
    return member.name.rpartition("/")[2]


def _missing_tools(manifest: Manifest) -> Iterator[Member]:
    """The tools for this platform that this machine does not have. Their names are the course's own, no one else's."""
    for member in _of_kind(manifest, "tool"):
        name = _tool(member)
        if member.platform == contents.this_platform() and name in contents.TOOLS and not tools.found(name):
            yield member


def _require_space_for(command: str, members: Iterable[Member]) -> None:
    """Raises Problem where the engine's disk is too small. An engine in a virtual machine has a disk of its own."""
    word = "{{.Store.GraphRoot}}" if command == "podman" else "{{.DockerRootDir}}"
    folder = Path(run(command, "info", "--format", word).strip())
    with suppress(OSError):
        require_space(folder, sum(member.size for member in members))


def _load(command: str, bundle: Bundle, member: Member) -> None:
    with step(say("bundle-load-step", member=member.name)), _as_file(bundle.content(member)) as content:
        run(command, "load", stdin=content, timeout=contents.TIMEOUT)
    if lacking := contents.absent(command, member.images):
        raise problem("bundle-not-loaded", member=member.name, images=[image.name for image in lacking])


@contextmanager
def _as_file(chunks: Iterable[bytes]) -> Iterator[IO[bytes]]:
    """The chunks as a file that a program can read."""
    read, write = os.pipe()

    def feed() -> None:
        with suppress(BrokenPipeError), os.fdopen(write, "wb") as end:
            for chunk in chunks:
                end.write(chunk)

    feeding = threading.Thread(target=feed, daemon=True)
    feeding.start()
    try:
        with os.fdopen(read, "rb") as content:
            yield content
    finally:
        feeding.join()  # the reading end is closed: if the program has not read all, `feed` ends by BrokenPipeError


def _place(bundle: Bundle, member: Member) -> str:
    name = _tool(member)
    target = tools.folder() / name
    with step(say("bundle-place-step", tool=name)):
        target.parent.mkdir(parents=True, exist_ok=True)
        with in_one_step(target, 0o755) as new, new.open("wb") as file:
            file.writelines(bundle.content(member))
    return name
