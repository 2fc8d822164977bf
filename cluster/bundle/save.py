"""`kubeclass bundle save`: everything that the course needs, into one file."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cluster import engine
from cluster.bundle import archive, contents, wheels
from cluster.bundle.archive import FORMAT, Item, Manifest, Member
from cluster.language import problem, say
from cluster.progress import detail, step
from cluster.versions import course_version

WHEELS = 150_000_000  # bytes: about what all wheels for one platform take


def save(target: Path, architecture: str = "", platforms: Sequence[str] = ()) -> Manifest:
    """Write a bundle. A stopped call leaves FILE.part, and the next call continues with it.

    architecture: of the images; by default the engine's own, and no other one can be had from it.
    platforms: keys of wheels.PLATFORMS, for which wheels are downloaded; by default this machine's.
    Raises Problem where something cannot be had or written.
    """
    command = engine.ensure()
    own = contents.architecture(command)
    if architecture and architecture != own:
        raise problem("bundle-save-architecture", wanted=architecture, engine=command, own=own)
    _require_folder(target)
    images = contents.image_items(command)
    programs = contents.tool_items()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        missing = _have_wheels(folder, platforms or wheels.for_this_machine(contents.this_platform()))
        items = [*images, *programs, *map(_wheel_item, sorted(folder.glob("*.whl")))]
        archive.write(target, items, Manifest(FORMAT, course_version(), own, (), missing))
    with archive.opened(target) as bundle:
        return bundle.manifest


def _require_folder(target: Path) -> None:
    """Before anything is pulled or built: can the file be written at all?"""
    if not target.parent.is_dir() or target.is_dir():
        why = say("bundle-target-is-folder" if target.is_dir() else "bundle-no-folder")
        raise problem("bundle-not-written", file=target, why=why, part="")


def _have_wheels(folder: Path, platforms: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Put all wheels into a folder. Returns the packages whose wheels could not be had, by platform and Python."""
    missing = {}
    with step(say("bundle-course-step")):
        wheels.put_course(folder)
    for platform in platforms:
        with step(say("bundle-wheels-step", platform=platform, pythons=wheels.PYTHONS)):
            for python in wheels.PYTHONS:
                if gone := wheels.download(folder, platform, python):
                    missing[say("bundle-platform", platform=platform, python=python)] = gone
    for where, packages in missing.items():
        detail(say("bundle-wheels-missing", where=where, packages=packages))
    return missing


def _wheel_item(wheel: Path) -> Item:
    with wheel.open("rb") as content:
        source = hashlib.file_digest(content, "sha256").hexdigest()
    member = Member(f"wheels/{wheel.name}", "wheel", source, 0, "")

    def put(place: Path) -> None:
        shutil.copyfile(wheel, place)

    return Item(member, put, wheel.stat().st_size, say("bundle-write-wheels-step"))
