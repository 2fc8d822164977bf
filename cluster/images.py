"""The images of the course, and how they get onto the nodes.

The base images are pulled, or made here. The versions of the guestbook are built here.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cluster import paths
from cluster.language import say
from cluster.network import registry_answers
from cluster.nodeimage import docker_build, make_root
from cluster.problem import Problem
from cluster.process import run, succeeds
from cluster.progress import detail, step
from cluster.versions import versions

GUESTBOOK = {"guestbook:v1": "v1", "guestbook:v2": "v2", "guestbook:v3": "v3"}
APP_FILES = ("app.py", "ask.py", "Dockerfile")  # of lessons/guestbook/
SOURCE = "org.kubeclass.source"  # label: a digest of what an image of ours was built from
STANDS_IN_FOR = "org.kubeclass.stands-in-for"  # label: of an image that was made here because it could not be pulled
MADE_FROM = "org.kubeclass.made-from"  # label: of the same, from what
LOADED = "org.kubeclass.loaded"  # label in a node's containerd: the engine's id of the image that was loaded


@dataclass(frozen=True)
class StandIn:
    """How a base image is made of Debian packages where it cannot be pulled."""

    packages: str
    dockerfile: str  # what comes after FROM
    files: dict[str, str]

    @property
    def made_from(self) -> str:
        suite = versions()["debian"]["course"]
        return f"Debian {suite}: {self.packages} ({hashlib.sha256(f'{suite} {self}'.encode()).hexdigest()[:16]})"


# What the official image has beside Redis: /data as working directory, and clients of the network let in.
_REDIS_ENTRYPOINT = """#!/bin/sh
set -e
case "$1" in -*|"") set -- redis-server "$@" ;; esac
[ "$1" = redis-server ] && set -- "$@" --protected-mode no
exec "$@"
"""
STAND_INS = {
    # The library is compiled once, not again in each container. python3-minimal compiles its own modules only, and a
    # start would take twice as long.
    "python:3.13-slim": StandIn(
        "python3-minimal,libpython3-stdlib,ca-certificates",
        'RUN python3 -m compileall -q /usr/lib/python3.13\nCMD ["python3"]',
        {},
    ),
    "redis:8": StandIn(
        "redis-server",
        "COPY entrypoint /usr/local/bin/docker-entrypoint.sh\nWORKDIR /data\nVOLUME /data\nEXPOSE 6379\n"
        'ENTRYPOINT ["docker-entrypoint.sh"]\nCMD ["redis-server"]',
        {"entrypoint": _REDIS_ENTRYPOINT},
    ),
}


def all_names() -> list[str]:
    """Every image that the course needs on the nodes."""
    return [*versions()["course_images"], *GUESTBOOK]


def prepare(engine: str) -> None:
    """Have every image of the course in the engine. What is there and up to date is not touched.

    Raises Problem where an image can neither be pulled nor made.
    """
    for name in versions()["course_images"]:
        if not _is_there(engine, name):
            _have_base(engine, name)
    _build_guestbook(engine)


def _is_there(engine: str, name: str) -> bool:
    if not succeeds(engine, "image", "inspect", name):
        return False
    return not label(engine, name, STANDS_IN_FOR) or label(engine, name, MADE_FROM) == STAND_INS[name].made_from


def _have_base(engine: str, name: str) -> None:
    if registry_answers():
        try:
            with step(say("pull-step", image=name)):
                run(engine, "pull", "-q", f"docker.io/library/{name}", timeout=900)
                run(engine, "tag", f"docker.io/library/{name}", name)
            return
        except Problem as problem:
            detail(say("not-pulled", image=name, why=problem.what))
    with step(say("make-step", image=name)), tempfile.TemporaryDirectory() as work:
        _make_base(engine, name, STAND_INS[name], Path(work))


def _make_base(engine: str, name: str, recipe: StandIn, work: Path) -> None:
    suite = versions()["debian"]["course"]
    root = f"kubeclass/root:{name.replace(':', '-')}"
    make_root(engine, root, suite, "essential", recipe.packages, work)
    for file, text in recipe.files.items():
        (work / file).write_text(text)
        (work / file).chmod(0o755)
    labels = f'LABEL {STANDS_IN_FOR}="{name}" {MADE_FROM}="{recipe.made_from}"'
    (work / "Dockerfile").write_text(f"FROM {root}\n{labels}\n{recipe.dockerfile}\n")
    docker_build(engine, work, name)


def _build_guestbook(engine: str) -> None:
    folder = paths.COURSE / "lessons" / "guestbook"
    base = run(engine, "image", "inspect", "--format", "{{.Id}}", "python:3.13-slim").strip()
    content = b"".join((folder / name).read_bytes() for name in APP_FILES) + base.encode()
    source = hashlib.sha256(content).hexdigest()[:16]
    for name, version in GUESTBOOK.items():
        if label(engine, name, SOURCE) != source:
            with step(say("build-step", image=name)), tempfile.TemporaryDirectory() as context:
                for file in APP_FILES:
                    shutil.copy(folder / file, context)
                # Separate steps, not --build-arg and --label. Podman (seen: 4.3) takes what it built with one build
                # argument for a build with another. A learner's own build would get the image that has the label.
                with (Path(context) / "Dockerfile").open("a") as dockerfile:
                    dockerfile.write(f"ENV VERSION={version}\nLABEL {SOURCE}={source}\n")
                docker_build(engine, Path(context), name)


def label(engine: str, image: str, name: str) -> str:
    """The value of an image's label; empty where there is no such image or label."""
    try:
        return run(engine, "image", "inspect", "--format", f'{{{{index .Config.Labels "{name}"}}}}', image).strip()
    except Problem:
        return ""


def load(engine: str, nodes: list[str], names: list[str] | None = None) -> None:
    """Load images onto the nodes, on all nodes at once. A node gets only the images that it does not have yet.

    names: by default all images of the course.
    Raises Problem where a node does not take them.
    """
    ids = {name: run(engine, "image", "inspect", "--format", "{{.Id}}", name).strip() for name in names or all_names()}
    with ThreadPoolExecutor(len(nodes)) as pool:
        missing = dict(zip(nodes, pool.map(lambda node: _missing(engine, node, ids), nodes), strict=True))
    wanted = [name for name in ids if any(name in names for names in missing.values())]
    if not wanted:
        return
    with step(say("load-step", number=len(wanted))), tempfile.TemporaryDirectory() as work:
        archive = Path(work) / "images.tar"
        save(engine, wanted, archive, timeout=300)
        with ThreadPoolExecutor(len(nodes)) as pool:
            list(
                pool.map(
                    lambda node: _load_one(engine, node, archive, missing[node], ids), [n for n in nodes if missing[n]]
                )
            )


def save(engine: str, names: list[str], archive: Path, timeout: float) -> None:
    """Write images of the engine into one archive, as `docker save` does.

    timeout: in seconds.
    Raises Problem where the engine does not write it.
    """
    several = ["--multi-image-archive"] if engine == "podman" else []
    for name in names if engine == "podman" else []:
        run(engine, "tag", name, full_name(name))  # podman would save it as localhost/…
    written = [full_name(name) if engine == "podman" else name for name in names]
    run(engine, "save", *several, "-o", str(archive), *written, timeout=timeout)


def pinned_by_tag() -> str:
    """The name under which a bundle holds the pinned node image.

    The versions pin it by the digest of a registry. An engine that loads an archive does not know this digest.
    """
    digest = str(versions()["node_image"]["image"]).partition("@sha256:")[2]
    return f"kubeclass/node:pulled-{digest[:12]}"


def full_name(name: str) -> str:
    """An image's name as containerd keeps it."""
    return name if "/" in name else f"docker.io/library/{name}"


def on_node(engine: str, node: str) -> dict[str, str]:
    """What a node has of the course's images: name to the engine's id of what was loaded. Raises Problem."""
    listed = run(engine, "exec", node, "ctr", "-n", "k8s.io", "images", "list", f"labels.{LOADED}").splitlines()
    found = {}
    for line in listed[1:]:
        name = line.split(" ", 1)[0].removeprefix("docker.io/library/")
        label = re.search(rf"{LOADED}=([^,\s]*)", line)
        found[name] = label.group(1) if label else ""
    return found


def _missing(engine: str, node: str, ids: dict[str, str]) -> list[str]:
    have = on_node(engine, node)
    return [name for name, id in ids.items() if have.get(name) != id]


def _load_one(engine: str, node: str, archive: Path, names: list[str], ids: dict[str, str]) -> None:
    with archive.open("rb") as stream:
        # Without --all-platforms: of an image for many platforms the engine holds the content for one.
        run(engine, "exec", "-i", node, "ctr", "-n", "k8s.io", "images", "import", "-", stdin=stream, timeout=300)
    labels = " && ".join(f"ctr -n k8s.io images label {full_name(name)} {LOADED}={ids[name]}" for name in names)
    run(engine, "exec", node, "sh", "-c", f"({labels}) > /dev/null")
