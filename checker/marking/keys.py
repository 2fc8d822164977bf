"""The key with which a teacher signs the receipts of a class. It is in the teacher's own folder, never on the cluster.

The signature is an HMAC: only who has the key can make one, and only who has the key can check one.
Source: https://www.rfc-editor.org/rfc/rfc2104
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from checker.classroom.roster import checked_name
from checker.model.catalogue import problem, say
from cluster import paths

KIND = "kubeclass.dev/class-key"
BYTES = 32  # of a secret: as many as SHA-256 has


@dataclass(frozen=True)
class Key:
    """secret: what signs. id: tells two keys apart, and says nothing of the secret."""

    secret: bytes

    @property
    def id(self) -> str:
        return hashlib.sha256(b"kubeclass key id\0" + self.secret).hexdigest()[:16]

    def sign(self, data: bytes) -> str:
        """The HMAC (SHA-256) of these bytes, in hexadecimal."""
        return hmac.new(self.secret, data, hashlib.sha256).hexdigest()

    def has_signed(self, data: bytes, signature: str) -> bool:
        return hmac.compare_digest(self.sign(data).encode(), signature.encode())


def file_of(name: str) -> Path:
    """Where the key of a class is. Raises Problem for what cannot be a class's name."""
    return paths.home() / "class-keys" / f"{checked_name(name)}.json"


def key_of(name: str) -> Key:
    """The key of a class. It is made where there is none. Raises Problem.

    Two commands that make it at the same time end with the same key.
    """
    file = file_of(name)
    if not file.exists():
        _make(file, name)
    return read(file)


def known_key(name: str) -> Key | None:
    """The key of a class; None where this machine has none. Raises Problem for a file that is not as it must be."""
    file = file_of(name)
    return read(file) if file.exists() else None


def read(file: Path) -> Key:
    """The key in a file. Raises Problem where it cannot be read, or where others may read it."""
    try:
        if file.stat().st_mode & 0o077:
            raise problem("key-open", file=file)
        data = json.loads(file.read_text())
        secret = bytes.fromhex(data["secret"]) if data["kind"] == KIND else b""
    except OSError as error:
        raise problem("key-unreadable", file=file, why=error.strerror) from None
    except (ValueError, KeyError, TypeError):
        secret = b""
    if len(secret) != BYTES:
        raise problem("key-unreadable", file=file, why=say("why-no-key"))
    return Key(secret)


def _make(file: Path, name: str) -> None:
    text = json.dumps({"kind": KIND, "class": name, "secret": secrets.token_hex(BYTES)}) + "\n"
    new = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
            made.write(text)
        with suppress(FileExistsError):  # another command was quicker: its key is the class's
            file.hardlink_to(new)
    except OSError as error:
        raise problem("key-unwritable", file=file, why=error.strerror) from None
    finally:
        with suppress(OSError):
            new.unlink()
