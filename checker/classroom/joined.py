"""Classes that were joined: a folder each, `classes/NAME` in the course's own folder, and which of them is meant.

A folder holds the class's kubeconfig and class.json, both for their owner only. The file `.current` beside the folders
holds the name of the class that commands mean. A class's name never begins with a dot, so it is never a class.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec
import yaml

from checker.classroom.access import ClassAccess, read, write_private
from checker.model.catalogue import problem, say
from cluster import paths
from cluster.context import Cluster


class JoinedClass(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a class that was joined. The fields are those of ClassAccess."""

    name: str
    learner: str
    namespace: str
    expires: datetime
    namespaces: dict[str, str] = {}
    offers: list[str] = []
    registry: str = ""

    @property
    def cluster(self) -> Cluster:
        return Cluster(self.name, folder() / self.name / "kubeconfig", self.name, self.namespace, "class")


def folder() -> Path:
    """Where the classes are."""
    return paths.home() / "classes"


def join(file: Path) -> JoinedClass:
    """Take the class of a handed-out file in, and make it the one that commands mean. The same class again is renewed.

    Raises Problem for a file that is none, or where the course's folder cannot be written.
    """
    return take_in(read(file))


def take_in(access: ClassAccess) -> JoinedClass:
    """As join, of a file that was read already."""
    place = folder() / access.name
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(place / "kubeconfig", yaml.safe_dump(access.kubeconfig(), sort_keys=False))
        write_private(place / "class.json", msgspec.json.encode(_known(access)).decode())
        write_private(folder() / ".current", access.name)
    except OSError as error:
        raise problem("cannot-join", folder=folder(), why=error.strerror) from None
    return _known(access)


def _known(access: ClassAccess) -> JoinedClass:
    return JoinedClass(**{name: getattr(access, name) for name in JoinedClass.__struct_fields__})


def leave(name: str = "") -> str:
    """Forget a class, by default the one that is meant. Returns its name. What is in the class's cluster stays there.

    Raises Problem where that class was not joined.
    """
    meant = current_name()
    left = name or meant
    if not left:
        raise problem("no-class-joined")
    if left != meant and left not in names():
        raise problem("class-not-joined", name=left, classes=names())
    try:
        if left == meant:
            (folder() / ".current").unlink()
        for file in ("kubeconfig", "class.json"):
            (folder() / left / file).unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            (folder() / left).rmdir()
    except OSError as error:
        raise problem("cannot-leave", folder=folder() / left, why=error.strerror) from None
    return left


def names() -> list[str]:
    """The classes that were joined."""
    return sorted(path.parent.name for path in folder().glob("*/class.json"))


def current_name() -> str:
    """The name of the class that commands mean; empty where they mean one's own cluster."""
    try:
        return (folder() / ".current").read_text().strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise problem("class-damaged", name=".current", why=getattr(error, "strerror", say("why-not-text"))) from None


def current_class() -> JoinedClass | None:
    """The class that commands mean; None where they mean one's own cluster. Raises Problem where it cannot be read."""
    name = current_name()
    if not name:
        return None
    try:
        return msgspec.json.decode((folder() / name / "class.json").read_bytes(), type=JoinedClass)
    except OSError as error:
        raise problem("class-damaged", name=name, why=error.strerror) from None
    except msgspec.DecodeError as error:  # malformed JSON, or a field that is not as it must be
        raise problem("class-damaged", name=name, why=error) from None
