"""Why a container on one host does not answer, from the container engine's own records: the chain of lesson 01.

exists → was started → keeps running → its port is published → a process listens there, on every interface → answers.
And for two containers: both run → share a network → the name that the one uses is the other's → it answers.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from checker.model.answers import Answer
from checker.model.spelling import nearest
from checker.model.verdict import fail

STARTING = 5.0  # seconds in which a container that was just started may not listen yet
PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"


@dataclass(frozen=True)
class Container:
    """One container: what `docker inspect` says of it (`raw`), and what was seen in it and of it.

    listening: [address, port] pairs, or None where that could not be read. log: its last line.
    answer: what came back through its first published port, or None. asked: what a guestbook says when asked from within.
    began_with_data: of a Redis, whether it found data when its container was new; None where that is not known.
    """

    raw: dict[str, Any]
    now: float
    listening: list[list[Any]] | None = None
    log: str = ""
    answer: Answer | None = None
    asked: dict[str, Any] | None = None
    began_with_data: bool | None = None

    @property
    def name(self) -> str:
        return str(self.raw["Name"]).lstrip("/")

    @property
    def ref(self) -> str:
        return f"Container/{self.name}"

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
        return any("app.py" in word for word in self.command) or self.service == "guestbook"

    @property
    def is_redis(self) -> bool:
        repository = self.image.rpartition("/")[2].partition(":")[0]
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
        """What was asked to be published, whether or not it came about."""
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
    state = container.state
    look = f"docker logs {container.name}"
    error = state.get("Error") or ""
    if not container.runs and ("port is already allocated" in error or "address already in use" in error):
        ports = ", ".join(
            b["HostPort"] for bound in container.wished_ports.values() for b in bound or [] if b.get("HostPort")
        )
        fail(
            "port-taken",
            f"Container {container.name} was not started: port {ports or '?'} of this machine is in use by something else.",
            expected="a free port", observed=error.strip()[-200:], object=container.ref, look="docker ps --format '{{.Names}} {{.Ports}}'",
        )  # fmt: skip
    if container.runs:
        return
    if error:
        fail(
            "container-start-error", f"Container {container.name} could not be started: {error.strip()[-300:]}",
            observed=error.strip()[-200:], object=container.ref, look=f"docker inspect {container.name}",
        )  # fmt: skip
    if state.get("Status") == "created":
        fail(
            "container-not-started", f"Container {container.name} was created, but not started.",
            expected="running", observed="created", object=container.ref, look="docker ps --all",
        )  # fmt: skip
    code = state.get("ExitCode", 0)
    last = f" Its last words: {container.log}" if container.log else ""
    if code == 0 or code in (137, 143):
        word = {0: "by itself, without an error"}.get(code, f"by a signal (exit code {code})")
        fail(
            "container-ends", f"Container {container.name} has ended {word}.{last}",
            expected="running", observed=f"exit code {code}", object=container.ref, look=look,
        )  # fmt: skip
    fail(
        "container-crashes", f"Container {container.name} ended with exit code {code}.{last}",
        expected="running", observed=f"exit code {code}", object=container.ref, look=look,
    )  # fmt: skip


def require_answering(container: Container) -> None:
    """Raises Failed with the first broken link between a port of this machine and the app in the container."""
    require_running(container)
    look = f"docker port {container.name}"
    listening = sorted({port for _address, port in container.listening or []})
    if not container.published:
        fail(
            "port-not-published", f"Container {container.name} runs, but publishes no port: nothing outside its network reaches it.",
            expected="a port of this machine that leads into the container", observed="none", object=container.ref, look=look,
        )  # fmt: skip
    starting = container.now - started(container) < STARTING
    ports = [int(port.split("/")[0]) for port in container.published]
    if container.listening is not None and not set(ports) & set(listening):
        fail(
            "published-port-refused",
            f"Container {container.name} publishes its port {', '.join(map(str, ports))}, where nothing listens in it.",
            expected=f"port {', '.join(map(str, listening)) or '?'}, where the app listens", observed=f"port {', '.join(map(str, ports))}",
            object=container.ref, look=look, pending=starting,
        )  # fmt: skip
    everywhere = [port for address, port in container.listening or [] if not _is_loopback(address)]
    if container.listening is not None and not set(ports) & set(everywhere):
        fail(
            "listens-on-loopback",
            f"In container {container.name} the app listens on 127.0.0.1 only, so nothing outside the container reaches it, although the port is published.",
            expected="listening on every interface (0.0.0.0)", observed=f"127.0.0.1:{', '.join(map(str, listening))}",
            object=container.ref, look=f"docker logs {container.name}",
        )  # fmt: skip
    answer = container.answer
    if answer is None or not answer.ok:
        fail(
            "container-does-not-answer", f"Container {container.name} gives no good answer through its published port: {answer.words if answer else 'not asked'}.",
            expected="status 200", observed=answer.words if answer else "not asked", object=container.ref, look=look, pending=starting,
        )  # fmt: skip
    if answer.host != container.hostname:
        fail(
            "port-leads-elsewhere", f"The published port of container {container.name} is answered by {answer.host or 'another program'}.",
            expected=f"an answer from {container.hostname}", observed=answer.host or "something that is no guestbook", object=container.ref, look=look,
        )  # fmt: skip


def require_reaches(app: Container, other: Container, name: str) -> None:
    """Raises Failed where `app` cannot reach `other` by the name that it was given."""
    require_running(app)
    require_running(other)
    shared = sorted(set(app.networks) & set(other.networks))
    if not shared:
        fail(
            "not-same-network", f"Containers {app.name} and {other.name} share no network, so {app.name} does not find {other.name}.",
            expected="one network that both are on", observed=f"{', '.join(sorted(app.networks))} and {', '.join(sorted(other.networks))}",
            object=app.ref, look=f"docker inspect {app.name} {other.name}",
        )  # fmt: skip
    names: set[str] = set().union(*(other.names_on(network) for network in shared))
    if _is_address(name):
        fail(
            "redis-by-address", f"Container {app.name} was given the address {name}; that changes when {other.name} is made again.",
            expected="a name", observed=name, object=app.ref, look=f"docker inspect {app.name}",
        )  # fmt: skip
    if name not in names:
        similar = nearest(name, names)
        fail(
            "host-name-unknown",
            f"Container {app.name} looks for {name}, but no container on its network has that name." + (f" There is {similar}." if similar else ""),
            expected=f"a name of {other.name}", observed=name, object=app.ref, look=f"docker inspect {app.name} {other.name}",
        )  # fmt: skip


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


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
