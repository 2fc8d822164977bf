"""`kubeclass bundle save`: everything that the course needs, into one file."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from cluster import engine
from cluster.bundle import archive, contents, wheels
from cluster.bundle.archive import FORMAT, Item, Manifest, Member
from cluster.language import problem, say
from cluster.progress import detail, step
from cluster.versions import course_version


def save(target: Path, architecture: str = "", platforms: Sequence[str] = ()) -> Manifest:
    """Write a bundle. A stopped call leaves FILE.part and FILE.wheels, and the next call continues with them.

    architecture: of the images; by default the engine's own, and no other one can be had from it.
    platforms: keys of wheels.PLATFORMS, for which wheels are downloaded; by default this machine's.
    Raises Problem where something cannot be had or written.
    """
    command = engine.ensure()
    own = contents.architecture(command)
    if architecture and architecture != own:
        raise problem("bundle-save-architecture", wanted=architecture, engine=command, own=own)
    folder = _wheels_folder(target)
    images = contents.image_items(command)
    programs = contents.tool_items()
    missing = _have_wheels(folder, platforms or wheels.for_this_machine(contents.this_platform()))
    items = [*images, *programs, *map(_wheel_item, sorted(folder.glob("*.whl")))]
    archive.write(target, items, Manifest(FORMAT, course_version(), own, (), missing))
    shutil.rmtree(folder, ignore_errors=True)
    with archive.opened(target) as bundle:
        return bundle.manifest


def _wheels_folder(target: Path) -> Path:
    """The folder in which wheels are kept until the bundle is whole.

    Raises Problem where the bundle's folder cannot be written: before anything is pulled or built.
    """
    folder, why = target.with_name(f"{target.name}.wheels"), ""
    if target.is_dir():
        why = say("bundle-target-is-folder")
    elif not target.parent.is_dir():
        why = say("bundle-no-folder")
    else:
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            why = error.strerror or str(error)
    if why:
        raise problem("bundle-not-written", file=target, why=why, part="")
    return folder


def _have_wheels(folder: Path, platforms: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Put all wheels into a folder. Returns the packages whose wheels could not be had, by platform and Python.

    What an earlier call has put there stays, if the same is wanted now.
    """
    pairs = [(platform, python) for platform in platforms for python in wheels.PYTHONS]
    asked = {_done(folder, *pair): json.dumps(wheels.requirements(*pair)) for pair in pairs}
    if any(asked.get(file) != file.read_text() for file in folder.glob("*.json")):
        for file in folder.iterdir():
            file.unlink()
    with step(say("bundle-course-step")):
        for older in folder.glob("kubeclass-*.whl"):
            older.unlink()
        wheels.put_course(folder)
    missing = {}
    for platform, python in pairs:
        done = _done(folder, platform, python)
        if done.exists():
            continue
        with step(say("bundle-wheels-step", platform=platform, python=python)):
            if gone := wheels.download(folder, platform, python):
                missing[say("bundle-platform", platform=platform, python=python)] = gone
            else:
                done.write_text(asked[done])
    for where, packages in missing.items():
        detail(say("bundle-wheels-missing", where=where, packages=packages))
    return missing


def _done(folder: Path, platform: str, python: str) -> Path:
    """The file that says that all wheels for a platform and a Python are in the folder, and what was asked for."""
    return folder / f"{platform}-{python}.json"


def _wheel_item(wheel: Path) -> Item:
    with wheel.open("rb") as content:
        source = hashlib.file_digest(content, "sha256").hexdigest()
    member = Member(f"wheels/{wheel.name}", "wheel", source, 0, "")

    def put(place: Path) -> None:
        shutil.copyfile(wheel, place)

    return Item(member, put, wheel.stat().st_size, say("bundle-write-wheels-step"))
