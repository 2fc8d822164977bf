"""The file that a teacher hands out: how one learner reaches their part of a class's cluster.

The file is YAML, and only its owner may read it:

    apiVersion: kubeclass.dev/v1
    kind: ClassAccess
    metadata: {name: autumn}                # the class
    learner: ada
    namespace: autumn-ada                   # where the learner's labs are
    namespaces: {data: autumn-ada-data}     # further namespaces, by the suffix that labs know them by
    offers: [policies, metrics]             # what the class's cluster can give
    registry: registry.example/course       # where the course's images are; empty where the nodes have them
    expires: 2026-12-01T18:00:00Z           # when the token ends
    kubeconfig: {…}                         # with one context, which has the class's name

The kubeconfig holds an address, trusted certificates and a token, and nothing else. A program to run (`exec`) or the
name of a file is refused: a file that somebody hands out must not act on the learner's machine.
Source: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from checker.model.catalogue import problem, say
from cluster.files import in_one_step
from cluster.language.not_yaml import NOT_YAML

# A namespace's name. Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z", max_length=63)]
Text = Annotated[str, msgspec.Meta(min_length=1)]


class ClassAccess(msgspec.Struct, frozen=True, kw_only=True):
    """How one learner reaches their part of a class.

    name: the class's. learner: the learner's id. namespace: where the learner's labs are. namespaces: the further ones,
    by suffix (`data` for what is `learn-data` at home). offers: what the class's cluster can give. registry: the prefix
    of the course's images there; empty where the nodes have them. expires: when the token ends, with a time zone.
    server: the API server's address. authority: the certificates that vouch for it (PEM, in base64), empty for those
    that the machine trusts. token: what the learner shows. token_file: a file that holds the token instead, and that
    the kubelet keeps up to date (mounted.py); a file that is handed out never names one.
    """

    name: Name
    learner: Text
    namespace: Name
    expires: Annotated[datetime, msgspec.Meta(tz=True)]
    server: Annotated[str, msgspec.Meta(pattern=r"^https://")]
    token: str = ""
    token_file: str = ""
    authority: str = ""
    namespaces: dict[str, Name] = {}
    offers: list[str] = []
    registry: str = ""

    def kubeconfig(self) -> dict[str, Any]:
        """A kubeconfig with one context. Context, cluster and user have the class's name."""
        authority = {"certificate-authority-data": self.authority} if self.authority else {}
        shown = {"tokenFile": self.token_file} if self.token_file else {"token": self.token}
        context = {"cluster": self.name, "user": self.name, "namespace": self.namespace}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": self.name, "cluster": {"server": self.server, **authority}}],
            "users": [{"name": self.name, "user": shown}],
            "contexts": [{"name": self.name, "context": context}],
            "current-context": self.name,
        }


def write(path: Path, access: ClassAccess) -> None:
    """Write the file whole or not at all, so that only its owner may read it. Raises OSError."""
    values = msgspec.to_builtins(access)
    document = {
        "apiVersion": "kubeclass.dev/v1",
        "kind": "ClassAccess",
        "metadata": {"name": access.name},
        **{field: values[field] for field in ("learner", "namespace", "namespaces", "offers", "registry")},
        "expires": access.expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "kubeconfig": access.kubeconfig(),
    }
    write_private(path, yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 0600 and put it in place in one step. Raises OSError."""
    with in_one_step(path, 0o600) as new:
        new.write_text(text)


def read(path: Path) -> ClassAccess:
    """Read a file that was handed out. Raises Problem with the place in it where it is not as it must be."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise problem("access-unreadable", file=path, why=getattr(error, "strerror", say("why-not-text"))) from None
    try:
        document = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except NOT_YAML:
        document = None
    if not isinstance(document, dict) or document.get("kind") != "ClassAccess":
        raise problem("access-other-file", file=path)
    if (version := document.get("apiVersion")) != "kubeclass.dev/v1":
        raise problem("access-other-version", file=path, version=version)
    try:
        file = msgspec.convert(document, _File)
        return _access(file)
    except msgspec.ValidationError as error:
        raise problem("access-malformed", file=path, why=error) from None


# -- the file as it is written ----------------------------------------------------------------------------------------


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What has no other fields than these."""


class _Server(_Strict, rename="kebab"):
    server: str
    certificate_authority_data: str = ""


class _User(_Strict):
    token: Text


class _Context(_Strict):
    cluster: str
    user: str
    namespace: str


class _NamedServer(_Strict):
    name: str
    cluster: _Server


class _NamedUser(_Strict):
    name: str
    user: _User


class _NamedContext(_Strict):
    name: str
    context: _Context


class _Kubeconfig(_Strict, rename={"current_context": "current-context"}):
    apiVersion: Literal["v1"]
    kind: Literal["Config"]
    clusters: Annotated[list[_NamedServer], msgspec.Meta(min_length=1, max_length=1)]
    users: Annotated[list[_NamedUser], msgspec.Meta(min_length=1, max_length=1)]
    contexts: Annotated[list[_NamedContext], msgspec.Meta(min_length=1, max_length=1)]
    current_context: str = ""


class _Metadata(_Strict):
    name: str


class _File(_Strict):
    apiVersion: str
    kind: str
    metadata: _Metadata
    learner: str
    namespace: str
    expires: Annotated[datetime, msgspec.Meta(tz=True)]
    kubeconfig: _Kubeconfig
    namespaces: dict[str, str] = {}
    offers: list[str] = []
    registry: str = ""


def _access(file: _File) -> ClassAccess:
    """Raises ValidationError for what ClassAccess does not allow."""
    server, user = file.kubeconfig.clusters[0].cluster, file.kubeconfig.users[0].user
    return msgspec.convert(
        {
            "name": file.metadata.name,
            **{name: getattr(file, name) for name in ("learner", "namespace", "expires", "namespaces", "offers")},
            "registry": file.registry,
            "server": server.server,
            "authority": server.certificate_authority_data,
            "token": user.token,
        },
        ClassAccess,
    )
