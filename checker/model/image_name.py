"""The name of a container image, taken apart.

Source: https://kubernetes.io/docs/concepts/containers/images/#image-names
"""

from __future__ import annotations

from dataclasses import dataclass

_DOCKER_HUB = ("docker.io/library/", "index.docker.io/library/", "docker.io/", "index.docker.io/")


@dataclass(frozen=True)
class ImageName:
    """The parts of an image's name.

    `registry.example/team/guestbook:v1` has the registry `registry.example`, the repository `team/guestbook`, the tag
    `v1` and no digest.
    What an engine adds by itself is left out: `docker.io/library/redis` is the repository `redis` of no registry.
    """

    registry: str
    repository: str
    tag: str
    digest: str

    @classmethod
    def parse(cls, written: str) -> ImageName:
        prefix = next((prefix for prefix in _DOCKER_HUB if written.startswith(prefix)), "")
        name, _, digest = written.removeprefix(prefix).partition("@")
        first, slash, rest = name.partition("/")
        registry = first if slash and not prefix and ("." in first or ":" in first or first == "localhost") else ""
        repository, _, tag = (rest if registry else name).partition(":")
        return cls(registry, repository, tag, digest)

    @property
    def base(self) -> str:
        """The last part of the repository: `guestbook`."""
        return self.repository.rpartition("/")[2]

    @property
    def without_path(self) -> str:
        """The name without its registry and path, with the tag as it is written: `guestbook:v1`."""
        return self.base + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def with_tag(self) -> str:
        """The name as nodes list it: with its registry, and `latest` where no tag and no digest is written."""
        version = f"@{self.digest}" if self.digest else f":{self.tag or 'latest'}"
        return f"{self.registry}/{self.repository}{version}" if self.registry else f"{self.repository}{version}"
