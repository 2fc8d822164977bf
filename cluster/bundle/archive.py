"""The file of a bundle: a tar. Its last member is manifest.json, which lists all others with their SHA-256.

The tar is not compressed. In a plain tar, each member can be read and checked where it is, and a stopped save continues
behind the last whole member. gzip would make 0.75 of 2 GB, but it needs more than a minute of CPU for that (measured on
the machine of the README's figures). `tar` alone takes the wheels out of it, on a machine that has no course yet.

While it is written, the file is called FILE.part. Each member has a comment (a pax header) that says what it was made
from, and its SHA-256.
Source: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html (pax Extended Header, `comment`)
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import itertools
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal

import msgspec

from cluster.language import problem, say
from cluster.progress import step
from cluster.space import require_space

FORMAT = 1  # of the manifest; a bundle with a higher one was saved by a newer course
MANIFEST = "manifest.json"
LARGEST_MANIFEST = 10_000_000  # bytes
CHUNK = 1 << 20  # bytes
_BROKEN = (tarfile.TarError, ValueError, EOFError)  # what tarfile raises where a file is damaged


class Image(msgspec.Struct, frozen=True):
    """An image in a member. fingerprint: what it is, the same in every engine (contents.py). size: in bytes."""

    name: str
    fingerprint: str
    size: int


class Member(msgspec.Struct, frozen=True):
    """A member of the tar. source: what it was made from. platform: of a tool, such as `linux-amd64`."""

    name: str
    kind: Literal["images", "tool", "wheel"]
    source: str
    size: int
    sha256: str
    images: tuple[Image, ...] = ()
    platform: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """What a bundle holds. missing: for each platform and Python, the packages whose wheels could not be had."""

    kubeclass_bundle: int
    course: str
    architecture: str
    members: tuple[Member, ...]
    missing: dict[str, tuple[str, ...]] = {}


class _Version(msgspec.Struct):
    kubeclass_bundle: int


@dataclass(frozen=True)
class Item:
    """What is to become a member.

    put: writes the content into a file.
    size: about how many bytes that is.
    title: the step in which it is written.
    """

    member: Member  # size and sha256 are not known yet
    put: Callable[[Path], None]
    size: int
    title: str


# -- writing ---------------------------------------------------------------------------------------------------------


def part_of(target: Path) -> Path:
    """The file in which a bundle is written."""
    return target.with_name(f"{target.name}.part")


def write(target: Path, items: Sequence[Item], manifest: Manifest) -> None:
    """Write a bundle. What an earlier call has written into FILE.part stays, as far as it is right and wanted.

    manifest: all but its members.
    Raises Problem where the file cannot be written, or the disk has too little space.
    """
    part = part_of(target)
    try:
        with _alone(part) as file:
            members, end = _kept(file, items)
            rest = items[len(members) :]
            file.seek(end)
            file.truncate()
            # One member at a time is beside the tar until it is in it.
            require_space(part.parent, sum(item.size for item in rest) + max((item.size for item in rest), default=0))
            _append_all(file, part, rest, members, manifest)
        part.replace(target)
    except OSError as error:
        raise problem("bundle-not-written", file=target, why=error.strerror or str(error), part=part) from None


@contextmanager
def _alone(part: Path) -> Iterator[IO[bytes]]:
    """The file, open for reading and writing, and locked. Raises Problem where another save writes it."""
    with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise problem("bundle-busy", part=part) from None
        yield file


def _kept(file: IO[bytes], items: Sequence[Item]) -> tuple[list[Member], int]:
    """The members that are there, wanted and right, from the first on; and where the next one begins."""
    members: list[Member] = []
    size, end = file.seek(0, os.SEEK_END), 0
    file.seek(0)
    if not size:
        return [], 0
    with step(say("bundle-resume-step")):
        try:
            with tarfile.open(fileobj=file, mode="r:") as archive:
                for item, found in zip(items, archive, strict=False):
                    known = _comment(found)
                    wanted = (found.name, known.get("source")) == (item.member.name, item.member.source)
                    if not wanted or found.offset_data + found.size > size:
                        break
                    digest = _digest(file, found.offset_data, found.size)
                    if digest != known.get("sha256"):
                        break
                    members.append(msgspec.structs.replace(item.member, size=found.size, sha256=digest))
                    end = found.offset_data + -(-found.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        except _BROKEN:
            pass  # the rest of the file is no whole member
    return members, min(end, size)


def _comment(info: tarfile.TarInfo) -> dict[str, object]:
    try:
        known = json.loads(info.pax_headers.get("comment", ""))
    except ValueError:
        return {}
    return known if isinstance(known, dict) else {}


def _append_all(file: IO[bytes], part: Path, items: Sequence[Item], members: list[Member], manifest: Manifest) -> None:
    archive = tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115  (an end only when it is whole)
    for title, several in itertools.groupby(items, key=lambda item: item.title):
        with step(title):
            for item in several:
                members.append(_append(archive, part, item))
            file.flush()
            os.fsync(file.fileno())  # a stick is slow: what is reported as written must be on it
    text = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(manifest, members=tuple(members))))
    info = _header(MANIFEST, len(text))
    archive.addfile(info, io.BytesIO(text))
    archive.close()
    file.flush()
    os.fsync(file.fileno())


def _append(archive: tarfile.TarFile, part: Path, item: Item) -> Member:
    beside = part.with_name(f"{part.name}.member")
    try:
        item.put(beside)
        with beside.open("rb") as content:
            size = content.seek(0, os.SEEK_END)
            digest = _digest(content, 0, size)
            info = _header(item.member.name, size)
            info.pax_headers = {"comment": json.dumps({"sha256": digest, "source": item.member.source})}
            info.mode = 0o755 if item.member.kind == "tool" else 0o644
            content.seek(0)
            archive.addfile(info, content)
    finally:
        beside.unlink(missing_ok=True)
    return msgspec.structs.replace(item.member, size=size, sha256=digest)


def _header(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    return info


# -- reading ---------------------------------------------------------------------------------------------------------


class Bundle:
    """A bundle that is open for reading. Nothing in it is taken out by its name: a name cannot lead out of a folder."""

    def __init__(self, file: IO[bytes], path: Path, manifest: Manifest, offsets: dict[str, int]) -> None:
        """offsets: where the content of each member begins, in bytes."""
        self._file, self._path, self._offsets = file, path, offsets
        self.manifest = manifest

    def content(self, member: Member) -> Iterator[bytes]:
        """The content of a member, in chunks."""
        return _chunks(self._file, self._offsets[member.name], member.size)

    def check(self) -> None:
        """Compare each member with its SHA-256. Raises Problem, which names the first that differs."""
        for member in self.manifest.members:
            if _digest(self._file, self._offsets[member.name], member.size) != member.sha256:
                raise problem("bundle-member-wrong", file=self._path, member=member.name)


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """A bundle, with all of its members in place. Their content is not looked at yet (Bundle.check).

    Raises Problem where the file is no whole bundle of a version that is known here.
    """
    try:
        with path.open("rb") as file:
            manifest, offsets = _read(file, path)
            yield Bundle(file, path, manifest, offsets)
    except OSError as error:
        raise problem("bundle-not-read", file=path, why=error.strerror or str(error)) from None


def _read(file: IO[bytes], path: Path) -> tuple[Manifest, dict[str, int]]:
    found: dict[str, tarfile.TarInfo] = {}
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for info in archive:
                if _is_unsafe(info) or info.name in found:
                    raise problem("bundle-member-unsafe", file=path, member=info.name)
                found[info.name] = info
    except _BROKEN:
        if not found:
            raise problem("bundle-foreign", file=path) from None
        raise problem("bundle-cut-off", file=path) from None
    if MANIFEST not in found:
        raise problem("bundle-cut-off" if found else "bundle-foreign", file=path)
    listed = found.pop(MANIFEST)
    if listed.size > LARGEST_MANIFEST or listed.offset_data + listed.size > size:
        raise problem("bundle-cut-off", file=path)
    manifest = _manifest(b"".join(_chunks(file, listed.offset_data, listed.size)), path)
    for member in manifest.members:
        if member.name not in found:
            raise problem("bundle-member-missing", file=path, member=member.name)
        if found[member.name].size != member.size:
            raise problem("bundle-member-wrong", file=path, member=member.name)
    for name in found.keys() - {member.name for member in manifest.members}:
        raise problem("bundle-member-unlisted", file=path, member=name)
    return manifest, {name: info.offset_data for name, info in found.items()}


def _manifest(text: bytes, path: Path) -> Manifest:
    try:
        if msgspec.json.decode(text, type=_Version).kubeclass_bundle > FORMAT:
            raise problem("bundle-newer", file=path)
        return msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise problem("bundle-foreign", file=path) from None


def _is_unsafe(info: tarfile.TarInfo) -> bool:
    """Whether a member is no plain file, or `tar` would write it outside the folder in which it is called."""
    name = PurePosixPath(info.name)
    is_plain = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not info.issparse() and info.size >= 0
    return not is_plain or name.is_absolute() or ".." in name.parts


def _digest(file: IO[bytes], offset: int, size: int) -> str:
    found = hashlib.sha256()
    for chunk in _chunks(file, offset, size):
        found.update(chunk)
    return found.hexdigest()


def _chunks(file: IO[bytes], offset: int, size: int) -> Iterator[bytes]:
    while size > 0:
        file.seek(offset)
        chunk = file.read(min(CHUNK, size))
        if not chunk:
            return  # the file has become shorter: the SHA-256 will differ
        yield chunk
        offset, size = offset + len(chunk), size - len(chunk)
