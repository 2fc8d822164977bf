"""The names of the course's images in a class that names a registry: `guestbook:v1` is `PREFIX/guestbook:v1` there.

The labs' files hold the short names. They are changed at the moment when a lab is set up or solved.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from checker.model.catalogue import problem

# Where manifests and commands write an image: `image: NAME`, `"image": "NAME"`, `--image=NAME`, `container=NAME`.
# One expression for Python and for `sed -E`. After a slash, the name has its prefix already.
_IMAGE = r"""("?image"?: *["']?|--image[= ]["']?|[a-z]=)((guestbook|redis|python):)"""
_IN_WORDS = re.compile(r"(?<![\w/.-])((?:guestbook|redis|python):(?=v?\d))")
_REWRITTEN = (".yaml", ".yml", ".sh")
# A host with a port, then parts of a path. Source: https://pkg.go.dev/github.com/distribution/reference
_PREFIX = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*", re.IGNORECASE)


def checked_prefix(written: str) -> str:
    """A registry's prefix without a slash at its end; empty stays empty. Raises Problem for what is no prefix."""
    prefix = written.strip().rstrip("/")
    if prefix and not _PREFIX.fullmatch(prefix):
        raise problem("class-registry", prefix=written)
    return prefix


def prefixed(text: str, prefix: str) -> str:
    """A manifest or a script, with the prefix before the names of the course's images; an empty prefix changes
    nothing."""
    return re.sub(_IMAGE, rf"\1{prefix}/\2", text) if prefix else text


def prefixed_objects(objects: list[dict[str, Any]], prefix: str) -> list[dict[str, Any]]:
    """As `prefixed`, for objects as plain data."""
    changed: list[dict[str, Any]] = json.loads(prefixed(json.dumps(objects), prefix))
    return changed


def in_words(text: str, prefix: str) -> str:
    """A task's text or hint, with the prefix before the names of the course's images."""
    return _IN_WORDS.sub(rf"{prefix}/\1", text) if prefix else text


def send_function(prefix: str) -> str:
    """A shell function `send` for a script: kubectl, but what `-f -` reads gets the prefix before the images' names."""
    if not prefix:
        return '\nsend() { command kubectl "$@"; }\n'
    changes = shlex.quote(f"s#{_IMAGE}#\\1{prefix}/\\2#g")
    with_changes = f'sed -E {changes} | command kubectl "$@"'
    return f"""
send() {{ case " $* " in *" -f - "*) {with_changes} ;; *) command kubectl "$@" ;; esac; }}
"""


@contextmanager
def prefixed_copy(folder: Path, prefix: str) -> Iterator[Path]:
    """The folder of a lab with the prefix before the images' names, as long as the block lasts.

    Yields a copy, or the folder itself where the prefix is empty.
    """
    if not prefix:
        yield folder
        return
    with TemporaryDirectory() as place:
        copy = Path(place) / folder.name
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("recorded", "__pycache__"))
        for file in copy.rglob("*"):
            if file.suffix in _REWRITTEN:
                file.write_text(prefixed(file.read_text(), prefix))
        yield copy
