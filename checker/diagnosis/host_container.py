"""Why a container on one host does not answer, from the container engine's own records: the chain of lesson 01.

exists → was started → keeps running → its port is published → a process listens there, on every interface → answers.
And for two containers: both run → share a network → the name that the one uses is the other's → it answers.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from checker.model.answers import Answer
from checker.model.durations import TIME_FOR_ENGINE_CONTAINER_TO_LISTEN
from checker.model.fault import fail
from checker.model.image_name import ImageName
from checker.model.spelling import is_address, nearest

PROJECT, SERVICE, NUMBER = (f"com.docker.compose.{name}" for name in ("project", "service", "container-number"))
STARTS_APP = re.compile(r"\S*app\.py\b|(?<!\S)-m app\b")  # `python3 app.py`, `python3 -m app`


@dataclass(frozen=True)
class Container:
    """One container: what `docker inspect` says (`raw`), and what was observed.

    listening: [address, port] pairs, or None where that could not be read. log: its last line.
    answer: the answer from its first published port, or None.
    answers_inside: what a guestbook answers from within; None where it was not asked.
    began_with_data: of a Redis, whether it found data when its container was new; None where that is not known.
    app_from: where the app's file comes from: "image", "container" (it was mounted there, or copied into the container,
    and the image has no such file), or "mount" (a mount covers its folder). None where that is not known.
    """

    raw: dict[str, Any]
    now: float
    listening: list[list[Any]] | None = None
    log: str = ""
    answer: Answer | None = None
    answers_inside: dict[str, Any] | None = None
    began_with_data: bool | None = None
    app_from: str | None = None

    @property
    def name(self) -> str:
        return str(self.raw["Name"]).lstrip("/")

    @property
    def kind(self) -> str:
        """What reports call it; see `ref`."""
        return "Container"

    @property
    def namespace(self) -> str:
        """Empty: a container of the engine has none."""
        return ""

    @property
    def ref(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def image(self) -> str:
        return str(self.raw["Config"]["Image"])

    @property
    def image_id(self) -> str:
        return str(self.raw["Image"])

    @property
    def hostname(self) -> str:
        return str(self.raw["Config"].get("Hostname", ""))

    @property
    def labels(self) -> dict[str, str]:
        return self.raw["Config"].get("Labels") or {}

    @property
    def project(self) -> str:
        return self.labels.get(PROJECT, "")

    @property
    def service(self) -> str:
        return self.labels.get(SERVICE, "")

    @property
    def env(self) -> dict[str, str]:
        return dict(entry.partition("=")[::2] for entry in self.raw["Config"].get("Env") or [])

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.raw["State"]
        return state

    @property
    def runs(self) -> bool:
        return bool(self.state.get("Running")) and not self.state.get("Restarting")

    @property
    def command(self) -> list[str]:
        return [*(self.raw["Config"].get("Entrypoint") or []), *(self.raw["Config"].get("Cmd") or [])]

    @property
    def is_guestbook(self) -> bool:
        """Whether the app of the course runs in it (or was meant to)."""
        return bool(STARTS_APP.search(" ".join(self.command))) or self.service == "guestbook"

    @property
    def app_path(self) -> str:
        """The absolute path of the app's file in the container; empty if the command does not name it."""
        found = STARTS_APP.search(" ".join(self.command))
        if not found:
            return ""
        file = "app.py" if found[0].startswith("-m") else found[0]
        return posixpath.join("/", self.raw["Config"].get("WorkingDir") or "", file)

    @property
    def is_redis(self) -> bool:
        repository = ImageName.parse(self.image).base
        return any("redis-server" in word or "valkey-server" in word for word in self.command) or repository in (
            "redis",
            "valkey",
        )

    @property
    def published(self) -> dict[str, list[dict[str, str]]]:
        """Container port (`8080/tcp`) to the host's addresses and ports."""
        ports = (self.raw.get("NetworkSettings") or {}).get("Ports") or {}
        return {port: bound for port, bound in ports.items() if bound}

    @property
    def wished_ports(self) -> dict[str, list[dict[str, str]]]:
        """The ports that were to be published, even where the container did not start."""
        return (self.raw.get("HostConfig") or {}).get("PortBindings") or {}

    @cached_property
    def networks(self) -> dict[str, dict[str, Any]]:
        return (self.raw.get("NetworkSettings") or {}).get("Networks") or {}

    def names_on(self, network: str) -> set[str]:
        """The names by which other containers of a network reach this one."""
        attached = self.networks[network]
        return {self.name, *(attached.get("Aliases") or []), *(attached.get("DNSNames") or [])}

    def mount_at(self, path: str) -> dict[str, Any] | None:
        """The mount that holds a path of the container, or None where that is in the container's own layer."""
        around = [
            m
            for m in self.raw.get("Mounts") or []
            if path == m["Destination"] or path.startswith(m["Destination"].rstrip("/") + "/")
        ]
        return max(around, key=lambda mount: len(mount["Destination"]), default=None)


def require_running(container: Container) -> None:
    """Raises Failed where a container was never started, or does not keep running."""
    if container.runs:
        return
    state = container.state
    error = (state.get("Error") or "").strip()
    if "port is already allocated" in error or "address already in use" in error:
        bound = [b for some in container.wished_ports.values() for b in some or []]
        ports = [b["HostPort"] for b in bound if b.get("HostPort")]
        fail("port-taken", container, ports=ports, quote=error[-200:])
    if error:
        fail("container-start-error", container, form="engine", quote=error[-300:])
    if state.get("Status") == "created":
        fail("container-not-started", container)
    code = state.get("ExitCode", 0)
    if code == 0:
        fail("container-ends", container, form="engine", quote=container.log)
    if code in (137, 143):
        fail("container-ends", container, form="engine-signal", code=code, quote=container.log)
    fail("container-crashes", container, form="engine", code=code, quote=container.log)


def require_answering(container: Container) -> None:
    """Raises Failed with the first broken link between a port of this machine and the app in the container."""
    require_running(container)
    listening = sorted({port for _address, port in container.listening or []})
    if not container.published:
        fail("port-not-published", container)
    starting = container.now - started(container) < TIME_FOR_ENGINE_CONTAINER_TO_LISTEN
    ports = [int(port.split("/")[0]) for port in container.published]
    if container.listening is not None and not set(ports) & set(listening):
        fail("published-port-refused", container, in_progress=starting, ports=ports, listening=listening)
    everywhere = [port for address, port in container.listening or [] if not _is_loopback(address)]
    if container.listening is not None and not set(ports) & set(everywhere):
        fail("listens-on-loopback", container, ports=listening)
    answer = container.answer
    if answer is None:
        fail("container-does-not-answer", container, form="not-asked", in_progress=starting)
    if not answer.ok:
        status = None if answer.error else answer.status
        fail("container-does-not-answer", container, in_progress=starting, status=status, error=answer.error)
    if answer.host != container.hostname:
        fail("port-leads-elsewhere", container, host=answer.host, hostname=container.hostname)


def require_reaches(app: Container, other: Container, name: str) -> None:
    """Raises Failed where `app` cannot reach `other` by the name that it was given."""
    require_running(app)
    require_running(other)
    shared = sorted(set(app.networks) & set(other.networks))
    if not shared:
        networks, other_networks = sorted(app.networks), sorted(other.networks)
        fail("not-same-network", app, other=other.name, networks=networks, other_networks=other_networks)
    names: set[str] = set().union(*(other.names_on(network) for network in shared))
    if is_address(name):
        fail("redis-by-address", app, other=other.name, address=name)
    if name not in names:
        fail("host-name-unknown", app, other=other.name, host=name, near=nearest(name, names))


def started(container: Container) -> float:
    """When a container was last started, in seconds since 1970."""
    return seconds(container.state.get("StartedAt", ""))


def seconds(text: str) -> float:
    """The engine's times (RFC 3339, with nanoseconds) in whole seconds since 1970; 0 for none."""
    try:
        return datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"
