"""What a bundle holds of images and tools, and what of it an engine has already."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from cluster import images, metrics_server, nodeimage, tools
from cluster.bundle.archive import Image, Item, Member
from cluster.language import say
from cluster.problem import Problem
from cluster.process import run
from cluster.up import node_image
from cluster.versions import versions

TOOLS = ("kind", "kubectl", "docker-compose")
NODE, COURSE, METRICS = "images/node.tar", "images/course.tar", "images/metrics-server.tar"
TIMEOUT = 1800  # seconds that an engine is given for an archive; a stick is slow


def architecture(engine: str) -> str:
    """The architecture of an engine's containers: `amd64`, `arm64`. Raises Problem where the engine does not say it."""
    words = (
        ("info", "--format", "{{.Host.Arch}}") if engine == "podman" else ("version", "--format", "{{.Server.Arch}}")
    )
    return run(engine, *words).strip()


def this_platform() -> str:
    """The platform of this machine's programs, such as `linux-amd64` or `macos-arm64`."""
    system = {"darwin": "macos"}.get(platform.system().lower(), platform.system().lower())
    return f"{system}-{tools.architecture()}"


def needed_images() -> tuple[set[str], set[str]]:
    """The images that `up` needs from a bundle: all of the first set, and one of the second."""
    return set(images.all_names()), {nodeimage.tag(), images.pinned_by_tag()}


def image_items(engine: str) -> list[Item]:
    """All images that `up` needs, as members. An image that the engine does not have is pulled or built.

    The images of one member share their layers. Raises Problem where an image cannot be had.
    """
    node = node_image(engine)
    if node == versions()["node_image"]["image"]:
        run(engine, "tag", node, images.pinned_by_tag())
        node = images.pinned_by_tag()
    images.prepare(engine)
    metrics_server.have_image(engine)
    named = {COURSE: images.all_names(), METRICS: [metrics_server.image()], NODE: [node]}
    return [_image_item(engine, member, names) for member, names in named.items()]


def _image_item(engine: str, name: str, names: list[str]) -> Item:
    held = tuple(described(engine, image) for image in names)
    source = hashlib.sha256("".join(image.fingerprint for image in held).encode()).hexdigest()

    def put(target: Path) -> None:
        images.save(engine, names, target, timeout=TIMEOUT)

    # The guestbook's images are those of Python and a few files more.
    size = sum(image.size for image in held if image.name not in images.GUESTBOOK)
    return Item(Member(name, "images", source, 0, "", held), put, size, say("bundle-member-step", member=name))


def described(engine: str, name: str) -> Image:
    """An image of the engine. Raises Problem where it has none of this name.

    The fingerprint is of its layers, environment and labels. The engine's own id will not do: it is another one in each
    kind of image store (https://docs.docker.com/engine/storage/containerd/).
    """
    (found,) = json.loads(run(engine, "image", "inspect", name))
    config = found.get("Config") or {}
    meant = [found["RootFS"]["Layers"], sorted(config.get("Env") or []), config.get("Labels") or {}]
    fingerprint = hashlib.sha256(json.dumps(meant, sort_keys=True).encode()).hexdigest()
    return Image(name, fingerprint, int(found.get("Size") or 0))


def absent(engine: str, held: Sequence[Image]) -> list[Image]:
    """Those of the images that the engine does not have, or has another version of."""

    def is_there(image: Image) -> bool:
        try:
            return described(engine, image.name).fingerprint == image.fingerprint
        except Problem:
            return False

    return [image for image in held if not is_there(image)]


def tool_items() -> list[Item]:
    """The tools for this machine's platform, as members. Raises Problem where one cannot be had."""
    return [_tool_item(name, tools.own(name)) for name in TOOLS]


def _tool_item(name: str, program: Path) -> Item:
    here = this_platform()
    source = hashlib.sha256(program.read_bytes()).hexdigest()
    member = Member(f"tools/{here}/{name}", "tool", source, 0, "", platform=here)

    def put(target: Path) -> None:
        shutil.copyfile(program, target)

    return Item(member, put, program.stat().st_size, say("bundle-tools-step", platform=here))
