"""The learner's own copies of the lessons, and of the files that lessons refer to. A copy has no outputs.

The copies are in the learner's folder (paths.folder), so that the clone stays as it is. A newer course replaces a copy
that the learner has not changed. It keeps a copy that the learner has changed, and lays the newer file beside it.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from checker.classroom.lessons import InClass
from checker.model.catalogue import problem, say
from checker.ui.lesson_files import (
    UNREADABLE,
    course_files,
    digest,
    digest_of,
    is_changed_in_the_clone,
    lesson,
)
from cluster import paths
from cluster.versions import course_version

MANIFEST = ".kubeclass.json"
OWN = InClass()  # the learner's own cluster
LINKED = ("guestbook", "work")


class Laid(msgspec.Struct):
    """A file that the course has put into the folder. digest: of what was put there. course: its version."""

    digest: str
    course: str


class Manifest(msgspec.Struct):
    """MANIFEST, in the learner's folder. Names are paths in the folder.

    beside: a file that was kept, and the name of the newer one. old_work: whether lessons/work of the clone was copied.
    """

    files: dict[str, Laid] = {}
    beside: dict[str, str] = {}
    old_work: bool = False


def bring_up_to_date(folder: Path, pages: Iterable[str], here: InClass = OWN) -> list[str]:
    """Put the course's files into the learner's folder. No file that the learner has changed is overwritten.

    pages: the files of the lessons. here: how a class names images and namespaces in them. Returns what to tell the
    learner, in sentences. Raises Problem where the folder cannot be used or the disk is full; then every
    file is either the old one or the new one.
    """
    with _problems_of(folder):
        opened = _Folder(folder)
        wanted = course_files(pages, here)
        told = [] if opened.is_known else [say("copies-first", folder=folder), *opened.take_over_old_lessons(wanted)]
        told += [sentence for name, content in wanted.items() if (sentence := opened.update(name, content))]
        opened.forget_all_but(wanted)
        told += opened.take_over_old_work()
        opened.link_old_paths()
        opened.save()
        return told


def reset(folder: Path, page: str, here: InClass = OWN) -> str:
    """Put a lesson back as the course has it. here: as for bring_up_to_date.

    Returns the name of the file that keeps what the learner had changed, or "" where nothing was changed. Raises
    Problem as bring_up_to_date.
    """
    with _problems_of(folder):
        opened = _Folder(folder)
        backup = opened.put_back(page, lesson(page, here))
        opened.save()
        return backup


def choose(folder: Path) -> None:
    """Keep the folder for later calls. Raises Problem where that fails."""
    with _problems_of(paths.home()):
        paths.choose_folder(folder)


def never_shown(folder: Path) -> list[str]:
    """What JupyterLab's list of files leaves out: `lessons`, where it holds only links for old paths."""
    links = folder / "lessons"
    return [links.name] if links.is_dir() and all(path.is_symlink() for path in links.iterdir()) else []


def newer_files(folder: Path) -> dict[str, str]:
    """The learner's files that a newer course has not replaced, each with the name of the newer file beside it."""
    found = _read_manifest(folder).beside
    return {name: newer for name, newer in found.items() if (folder / newer).exists()}


def file_to_open(folder: Path, page: str) -> str:
    """The file of a lesson that JupyterLab can open: the learner's own, or the newer one where that is unreadable."""
    return newer_files(folder).get(page, page) if digest_of(folder / page) == UNREADABLE else page


class _Folder:
    """A learner's folder and its manifest."""

    def __init__(self, folder: Path) -> None:
        """Create the folder where there is none. Raises OSError where nothing can be written to it."""
        _require_outside_the_clone(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        self.folder = folder
        self.known = _read_manifest(folder)
        self.is_known = bool(self.known.files)
        self.saved = msgspec.json.encode(self.known) if self.is_known else b""

    def update(self, name: str, content: bytes) -> str:
        """Put one file of the course there, as new as it is. Returns what to tell about it, or ""."""
        wanted, now = digest(name, content), digest_of(self.folder / name)
        before = self.known.files.get(name)
        if now in ("", wanted) or (before and now == before.digest):
            if now != wanted:
                self._write(name, content)
            self._note(name, wanted)
            self._withdraw(name)
            return ""
        if now != UNREADABLE and before and before.digest == wanted:  # the learner's changes, and no newer course
            self._withdraw(name)
            return ""
        newer, is_new = self._lay_beside(name, content, wanted)
        if now == UNREADABLE:
            return say("copies-unreadable", file=name, newer=newer)
        return say("copies-kept" if before else "copies-foreign", file=name, newer=newer) if is_new else ""

    def _lay_beside(self, name: str, content: bytes, wanted: str) -> tuple[str, bool]:
        """Lay the course's file beside the learner's. Returns its name, and whether it was not offered before."""
        newer = self.known.beside.get(name, "")
        offered, there = self.known.files.get(newer), digest_of(self.folder / newer) if newer else ""
        if offered and offered.digest == wanted and (there or digest_of(self.folder / name) != UNREADABLE):
            return newer, False  # perhaps the learner has deleted it: then it is not wanted
        if not newer or (there and not (offered and there == offered.digest)):
            newer = self._free_name(name, "new")
        self._write(newer, content)
        self._note(newer, wanted)
        self.known.beside[name] = newer
        return newer, True

    def put_back(self, page: str, content: bytes) -> str:
        """See `reset`."""
        path, wanted = self.folder / page, digest(page, content)
        now, before = digest_of(path), self.known.files.get(page)
        changed = now not in ("", wanted) and not (before and now == before.digest)
        backup = self._free_name(page, "backup") if changed else ""
        self._write(page, content, backup)
        self._note(page, wanted)
        self._withdraw(page)
        return backup

    def forget_all_but(self, wanted: Iterable[str]) -> None:
        """Delete files that the course no longer has, where the learner has not changed them."""
        for name in self.known.files.keys() - set(wanted) - set(self.known.beside.values()):
            self._delete_unchanged(name)

    def take_over_old_lessons(self, names: Iterable[str]) -> list[str]:
        """Keep a copy of each lesson that was changed in the clone, where an earlier course opened it.

        The copy is the learner's own: no newer course replaces it. Returns what to tell.
        """
        changed = [name for name in names if name.endswith(".ipynb") and is_changed_in_the_clone(name)]
        kept = {name: self._free_name(name, "backup") for name in changed}
        for name, backup in kept.items():
            self._write(backup, (paths.lessons() / name).read_bytes())
        return [say("copies-clone", file=name, backup=backup) for name, backup in kept.items()]

    def take_over_old_work(self) -> list[str]:
        """Copy lessons/work of the clone, where an earlier course kept the learner's files; once. Returns what to tell.

        A file that may not be read (root's, of a container) stays where it is.
        """
        old, work = paths.lessons() / "work", Path(os.path.realpath(self.folder / "work"))
        is_due = not self.known.old_work and not os.environ.get("KUBECLASS_WORK")
        self.known.old_work = True
        _require_outside_the_clone(work)
        work.mkdir(exist_ok=True)
        if not is_due or any(work.iterdir()) or not any(path.is_file() for path in old.rglob("*")):
            return []
        part, unread = work.with_name(f".{work.name}.{os.getpid()}.part"), []
        try:
            part.mkdir()
            for path in sorted(old.rglob("*")):
                copy = part / path.relative_to(old)
                if path.exists() and not os.access(path, os.R_OK):
                    unread.append(str(path.relative_to(old)))
                elif path.is_file():
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, copy)
            part.replace(work)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        return [say("copies-work", old=old, new=work, unread=unread)]

    def link_old_paths(self) -> None:
        """Have `lessons/work/03` and `lessons/guestbook`, the names in earlier courses, lead to the same files here."""
        links = self.folder / "lessons"
        if not os.path.lexists(links):
            with suppress(OSError):  # not every file system has symbolic links
                links.mkdir()
                for name in LINKED:
                    (links / name).symlink_to(Path("..") / name)

    def save(self) -> None:
        """Write the manifest, where it has changed."""
        data = msgspec.json.encode(self.known)
        if data != self.saved:
            self._write(MANIFEST, msgspec.json.format(data) + b"\n")

    def _note(self, name: str, digest: str) -> None:
        before = self.known.files.get(name)
        if not before or before.digest != digest:
            self.known.files[name] = Laid(digest, course_version())

    def _withdraw(self, name: str) -> None:
        """Delete the newer file beside a file, which is not needed any more, where the learner has not changed it."""
        if newer := self.known.beside.pop(name, ""):
            self._delete_unchanged(newer)

    def _delete_unchanged(self, name: str) -> None:
        before = self.known.files.pop(name, None)
        if before and digest_of(self.folder / name) == before.digest:
            (self.folder / name).unlink()

    def _free_name(self, name: str, word: str) -> str:
        """07-services.new.ipynb, 07-services.new2.ipynb, …: the first that no file has."""
        path = Path(name)
        names = (str(path.with_name(f"{path.stem}.{word}{number}{path.suffix}")) for number in ("", *range(2, 1000)))
        return next(free for free in names if not os.path.lexists(self.folder / free))

    def _write(self, name: str, content: bytes, backup: str = "") -> None:
        """Write a file whole or not at all. backup: the name under which the file of before is kept, if any."""
        path = self.folder / name
        _require_outside_the_clone(path.parent)  # a symbolic link may lead there
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            part.write_bytes(content)
            if backup:
                path.rename(self.folder / backup)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _require_outside_the_clone(folder: Path) -> None:
    """Raises Problem for a folder in a clone, also by a symbolic link: `git status` would show the copies."""
    if clone := paths.clone_around(folder):
        raise problem("folder-in-clone", folder=folder, clone=clone)


def _read_manifest(folder: Path) -> Manifest:
    """The manifest; an empty one where there is none, or a damaged one: then no file counts as the course's."""
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError):
        return Manifest()


@contextmanager
def _problems_of(folder: Path) -> Iterator[None]:
    """An OSError in this block becomes a Problem with the next step."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        at = str(error.filename or folder)
        raise problem(
            "folder-full" if full else "folder-unusable",
            folder=folder,
            file="" if at == str(folder) else at,
            why=error.strerror or str(error),
        ) from error
