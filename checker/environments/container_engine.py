"""The Docker lab's environment: the container engine of this machine. A check changes nothing there.

An `Engine` observation holds what `docker inspect` says of the lab's containers, images and volumes. It also holds what
was seen of running containers: the ports on which they listen, and the answers through their published ports. Of the
app it holds the answers that a program of the lab got inside the container, and whether its file comes from the image.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from checker.diagnosis.host_container import NUMBER, PROJECT, SERVICE, Container
from checker.environments.base import hand_over, run_script
from checker.grading.container_engine import EngineObservation
from checker.grading.labs import Lab, all_labs, load_lab
from checker.model.catalogue import problem
from checker.model.fault import reason_of
from checker.model.state import Request, State
from cluster import Problem, engine, paths, tools
from cluster.context import DEFAULT_NAMESPACE
from cluster.http_client import get, httpx
from cluster.process import DidNotEnd, finish

TIMEOUT = 10.0  # seconds for one question to the engine
REMOVAL_TIMEOUT = 120.0  # seconds for containers to end and go
HTTP_TIMEOUT = 2.0  # seconds for one request through a published port
_ENGINE_NAME = re.compile(r"[0-9a-f]{64}")  # the name that the engine gives to a volume that was given none


class ContainerEngineEnvironment:
    """The engine. In a namespace other than the default one every name of the lab has the namespace behind it."""

    def __init__(self, namespace: str = DEFAULT_NAMESPACE, work: Path | None = None) -> None:
        """Raises Problem where no engine runs, or this user may not use it."""
        self.namespace = namespace
        self.suffix = "" if namespace == DEFAULT_NAMESPACE else f"-{namespace}"
        self.command = engine.command()
        engine.require_running(self.command)
        self.work = work or paths.work()

    def folder(self, lab: Lab) -> Path:
        return self.work / f"{lab.number}{self.suffix}"

    def watch(self, lab: Lab, changed: Callable[[], None]) -> None:
        """Nobody watches the engine: it is looked at again and again."""

    def look(self, lab: Lab, listed: State | None = None) -> State:
        engine_observation = _observation_of(lab)
        try:
            seen = self._look(engine_observation)
        except Problem as problem:
            seen = {"error": reason_of(problem)}
        request = Request(frozenset(), observations=frozenset({engine_observation.key}))
        seen_by_key = {engine_observation.key: seen}
        return State(self.namespace, datetime.now(UTC), observations=seen_by_key, request=request)

    def _named(self, name: str) -> str:
        """A name of the lab's text as it is in this environment: `my-guestbook:v1` has the suffix before its tag."""
        repository, colon, tag = name.partition(":")
        return f"{repository}{self.suffix}{colon}{tag}"

    def _look(self, wanted: EngineObservation) -> dict[str, Any]:
        ids = self._ask("ps", "-aq", "--no-trunc").split()
        inspected = [c for c in self._inspect("container", ids) if not _is_node(c) and self._is_here(c)]
        names = {name for name in self._tags() if self.suffix in name}
        names |= {name for c in inspected for name in (c["Config"]["Image"], c["Image"])}
        with ThreadPoolExecutor(8) as pool:
            containers = pool.map(partial(self._see, wanted), inspected)
            images = pool.submit(self._inspect, "image", sorted(names))
            return {
                "suffix": self.suffix,
                "now": datetime.now(UTC).timestamp(),
                "containers": list(containers),
                "images": list({image["Id"]: _pruned_image(image) for image in images.result()}.values()),
            }

    def _is_here(self, inspect: dict[str, Any]) -> bool:
        """Whether a container belongs to this environment.

        All containers belong to the default environment; elsewhere a container needs the suffix in one of its names.
        """
        labels = inspect["Config"].get("Labels") or {}
        return any(
            self.suffix in name for name in (inspect["Name"], inspect["Config"]["Image"], labels.get(PROJECT, ""))
        )

    def _ask(self, *arguments: str, timeout: float = TIMEOUT) -> str:
        try:
            done = finish(self.command, *arguments, timeout=timeout)
        except Problem as away:
            how_to_start = engine.how_to_start(self.command)
            raise problem("engine-away", engine=self.command, why=away.what, how_to_start=how_to_start) from None
        if done.returncode != 0 and not done.out.strip():
            why = done.err.strip()
            raise problem("engine-command-failed", engine=self.command, command=arguments[0], why=why)
        return done.out

    def _inspect(self, kind: str, names: list[str]) -> list[dict[str, Any]]:
        """Details of several objects. One that is gone meanwhile is left out."""
        if not names:
            return []
        found: list[dict[str, Any]] = json.loads(self._ask(kind, "inspect", *names))
        for container in found if kind == "container" else []:
            container["Config"]["Image"] = _short(container["Config"]["Image"])
        return found

    def _tags(self) -> list[str]:
        listed = self._ask("images", "--format", "{{.Repository}}:{{.Tag}}").split()
        names = [_short(name) for name in listed if "<none>" not in name]
        return [name for name in names if not name.startswith(("kubeclass/", "kindest/", "registry.k8s.io/"))]

    def _see(self, wanted: EngineObservation, inspect: dict[str, Any]) -> dict[str, Any]:
        container = Container(inspect, 0.0)
        seen: dict[str, Any] = {
            "inspect": _pruned(inspect),
            "listening": None,
            "log": "",
            "answer": None,
            "asked": None,
            "began_with_data": None,
            "app_from": None,
        }
        if container.is_redis:
            seen["began_with_data"] = began_with_data(self._log(container))
        if not container.runs:
            lines = self._log(container, "--tail", "20").split("\n")
            seen["log"] = lines[-1][:300]
        elif container.is_guestbook or container.image == self._named(wanted.image):
            seen["listening"] = self._listening(container)
            seen["answer"] = _request(container)
            seen["asked"] = self._ask_within(container, wanted.program_in_app)
            seen["app_from"] = self._app_from(container)
        return seen

    def _log(self, container: Container, *options: str) -> str:
        """A container's whole log; empty where the engine takes too long."""
        try:
            return finish(self.command, "logs", *options, container.name, timeout=TIMEOUT, merged=True).out.strip()
        except DidNotEnd:
            return ""

    def _listening(self, container: Container) -> list[list[Any]] | None:
        """What listens in a container, from the kernel's own table; None where that cannot be read."""
        try:
            tables = self._ask("exec", container.name, "cat", "/proc/net/tcp", "/proc/net/tcp6")
        except Problem:
            return None
        return listening(tables)

    def _app_from(self, container: Container) -> str | None:
        """Where the app's file in a container comes from: see Container.app_from."""
        path = container.app_path
        if not path:
            return None
        mount = container.mount_at(path)
        if mount and mount["Destination"].rstrip("/") != path:
            return "mount"
        try:
            changes = self._ask("diff", container.name)
        except Problem:
            return None
        return "container" if is_added(path, changes) else "image"

    def _ask_within(self, container: Container, program: str) -> dict[str, Any] | None:
        try:
            answers: dict[str, Any] = json.loads(self._ask("exec", container.name, "python3", "-c", program))
        except (Problem, ValueError):
            return None
        return answers

    def prepare(self, lab: Lab) -> None:
        """The engine has what the lab begins with once the course's base images are there."""
        from cluster import compose, images

        images.prepare(self.command)
        compose.ensure(self.command)
        hand_over(lab.folder, self.folder(lab))

    def reset(self, lab: Lab) -> None:
        """Remove what was made for the lab, and prepare it again."""
        self.clear(lab)
        self.prepare(lab)

    def clear(self, lab: Lab) -> None:
        """Remove what was made for the lab."""
        self.empty()

    def empty(self) -> None:
        """Remove what was made for any lab of the engine.

        That is its project with its volumes, the containers made from its image, and the image.
        """
        for lab in map(load_lab, all_labs(drafts=True)):
            if lab.spec.needs.engine:
                self._remove(self._named(_observation_of(lab).project))

    def _remove(self, name: str) -> None:
        of_project = f"label={PROJECT}={name}"
        ids = [c["Id"] for c in self._inspect("container", self._ask("ps", "-aq").split()) if _belongs_to(name, c)]
        for what, found in {
            ("rm", "-f", "-v"): ids,
            ("network", "rm"): self._ask("network", "ls", "-q", "--filter", of_project).split(),
            ("volume", "rm", "-f"): self._ask("volume", "ls", "-q", "--filter", of_project).split(),
            ("rmi", "-f"): [i for i in self._tags() if i.split(":")[0] == name or i.startswith(f"{name}-")],
        }.items():
            if found:
                self._ask(*what, *dict.fromkeys(found), timeout=REMOVAL_TIMEOUT)

    def is_started(self, lab: Lab) -> bool:
        """True: the engine's lab needs nothing that `start` would set up before a check."""
        return True

    def leftovers(self, lab: Lab) -> str:
        return ""

    def run(self, lab: Lab, script: str, folder: Path, timeout: float = 120) -> str:
        """Run a script as a learner would type it.

        In the script, SUFFIX goes behind every name of the lab, and GUESTBOOK is the app's folder.
        """
        work = self.folder(lab)
        work.mkdir(parents=True, exist_ok=True)
        env = {
            "WORK": str(work),
            "SUFFIX": self.suffix,
            "GUESTBOOK": str(paths.COURSE / "lessons" / "guestbook"),
            # Where Podman is the engine, this folder holds a program called `docker`.
            "PATH": f"{tools.folder()}{os.pathsep}{os.environ['PATH']}",
        }
        return run_script(script, folder, self.namespace, env, timeout)

    def apply(self, lab: Lab, folder: str) -> None:
        raise problem("engine-has-no-manifests", folder=lab.folder / folder)


def _observation_of(lab: Lab) -> EngineObservation:
    """What a lab observes of the engine. Raises Problem if it observes nothing of it."""
    for observation in lab.observations:
        if isinstance(observation, EngineObservation):
            return observation
    raise problem("lab-without-engine-observation", lab=lab.number, folder=lab.folder)


def is_of_project(inspect: dict[str, Any]) -> bool:
    """Whether compose created a container.

    An image that compose has built has compose's labels for the project and the service, too, and every container from
    this image gets them. Compose numbers its own containers.
    Source: https://github.com/docker/compose/blob/main/pkg/api/labels.go
    """
    return NUMBER in (inspect["Config"].get("Labels") or {})


def _belongs_to(name: str, inspect: dict[str, Any]) -> bool:
    """Whether a container was made for the lab: from its image, in its project, or by its name."""
    labels = inspect["Config"].get("Labels") or {}
    return name in (inspect["Name"].lstrip("/"), inspect["Config"]["Image"].partition(":")[0], labels.get(PROJECT))


def began_with_data(log: str) -> bool | None:
    """Whether a Redis had data to load at its first start in its container; None where its log does not say.

    Redis also loads an empty file, and logs that. With an append-only file, what was written since lies in a second
    file.
    """
    first_start, ready, _ = log.partition("Ready to accept connections")
    empty = "keys loaded: 0," in first_start and "DB loaded from incr file" not in first_start
    return "DB loaded from" in first_start and not empty if ready else None


def is_added(path: str, changes: str) -> bool:
    """Whether a file is not in the image of a container. changes: the output of `docker diff`.

    For a mount of a file that the image does not have, the engine adds an empty file to the container.
    Source: https://docs.docker.com/reference/cli/docker/container/diff/
    """
    return f"A {path}" in changes.splitlines()


def listening(tables: str) -> list[list[Any]]:
    """[address, port] of every listening TCP socket in /proc/net/tcp and tcp6, without Docker's own DNS (127.0.0.11).

    Source: https://docs.kernel.org/networking/proc_net_tcp.html (state 0A is LISTEN; addresses are hexadecimal)
    """
    found = []
    for line in tables.splitlines():
        parts = line.split()
        if len(parts) > 3 and parts[3] == "0A":
            address, _, port = parts[1].partition(":")
            if len(address) == 8:
                words = ".".join(str(byte) for byte in reversed(bytes.fromhex(address)))
            else:
                words = "::1" if address.endswith("01000000") and not address[:24].strip("0") else "::"
            if words != "127.0.0.11":
                found.append([words, int(port, 16)])
    return sorted(found)


def _request(container: Container) -> dict[str, Any] | None:
    """One GET from this machine through each published port, until one is answered well.

    Returns that answer, or else the first.
    """
    answers = []
    for host, port in _ways_in(container):
        answers.append(_get(f"http://{f'[{host}]' if ':' in host else host}:{port}/hostname"))
        if answers[-1]["status"] == 200:
            return answers[-1]
    return answers[0] if answers else None


def _ways_in(container: Container) -> list[tuple[str, str]]:
    """The addresses and ports of this machine that lead into a container.

    A container on the machine's own network listens on a port of the machine.
    """
    if "host" in container.networks:
        return [("127.0.0.1", container.env.get("PORT") or "8080")]
    bound = [one for bindings in container.published.values() for one in bindings[:1]]
    local = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}
    return [(local.get(one.get("HostIp") or "", one.get("HostIp") or ""), one["HostPort"]) for one in bound]


def _get(url: str) -> dict[str, Any]:
    answer = {"status": 0, "text": "", "host": "", "version": "", "error": ""}
    try:
        got = get(url, HTTP_TIMEOUT)
    except httpx.ConnectError:
        return {**answer, "error": "refused"}
    except httpx.TimeoutException:
        return {**answer, "error": "timeout"}
    except (httpx.HTTPError, httpx.InvalidURL):
        return {**answer, "error": "reset"}
    headers = {
        "host": got.headers.get("X-Guestbook-Host", ""),
        "version": got.headers.get("X-Guestbook-Version", ""),
    }
    return {**answer, "status": got.status_code, "text": got.content[:200].decode(errors="replace").strip(), **headers}


def _short(image: str) -> str:
    """An image's name without what an engine puts in front of it: podman says localhost/ of what was built here."""
    return image.removeprefix("localhost/").removeprefix("docker.io/library/")


def _is_node(inspect: dict[str, Any]) -> bool:
    return "io.x-k8s.kind.cluster" in (inspect["Config"].get("Labels") or {})


def _pruned(inspect: dict[str, Any]) -> dict[str, Any]:
    """A container as `docker inspect` tells it, with only what grading reads.

    A learner's environment may hold what is nobody else's business.
    """
    config, network = inspect["Config"], inspect.get("NetworkSettings") or {}
    env = [e for e in config.get("Env") or [] if e.split("=")[0] in ("REDIS_HOST", "VERSION", "HOST", "PORT")]
    labels = {
        k: v for k, v in (config.get("Labels") or {}).items() if k in (PROJECT, SERVICE) and is_of_project(inspect)
    }
    networks = {
        name: {key: attached.get(key) for key in ("Aliases", "DNSNames", "Links")}
        for name, attached in (network.get("Networks") or {}).items()
    }
    mounts = [
        {k: m.get(k, "") for k in ("Type", "Name", "Destination")}
        | {"Anonymous": bool(_ENGINE_NAME.fullmatch(m.get("Name", "")))}
        for m in inspect.get("Mounts") or []
    ]
    return {
        "Id": inspect["Id"],
        "Name": inspect["Name"],
        "Created": inspect["Created"],
        "Image": inspect["Image"],
        "State": {
            k: inspect["State"].get(k) for k in ("Status", "Running", "Restarting", "ExitCode", "Error", "StartedAt")
        },
        "Config": {
            "Env": env,
            "Labels": labels,
            **{k: config.get(k) for k in ("Image", "Hostname", "Entrypoint", "Cmd", "WorkingDir")},
        },
        "HostConfig": {"PortBindings": (inspect.get("HostConfig") or {}).get("PortBindings")},
        "NetworkSettings": {"Ports": network.get("Ports"), "Networks": networks},
        "Mounts": mounts,
    }


def _pruned_image(image: dict[str, Any]) -> dict[str, Any]:
    config = image.get("Config") or {}
    return {
        "Id": image["Id"],
        "RepoTags": [_short(name) for name in image.get("RepoTags") or []],
        "Env": [e for e in config.get("Env") or [] if e.startswith(("VERSION=", "GREETING="))],
        "Cmd": config.get("Cmd"),
        "Entrypoint": config.get("Entrypoint"),
        "course": "org.kubeclass.source" in (config.get("Labels") or {}),
    }
