"""Every replica works, and a readiness probe tells when it does not."""

import re
import shlex
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

from checker.sdk import Object, State, fail, quantity, running_pods, seed_of, task, unknown

from . import setup as capstone
from .capstone_app import app, secret_with, variable
from .capstone_redis import REDIS

LOCAL = ("localhost", "127.0.0.1", "::1")
URL = re.compile(r"https?://[^\s'\"]+")
PATIENCE = 120  # seconds within which failures of a readiness probe must make the Pod not ready


@task("every-replica", observe=REDIS)
def every_replica_works(state: State, reports: dict[str, Any]) -> None:
    right = capstone.plan(seed_of(state))
    deployment = state.require("Deployment", "guestbook")
    state.require_working(deployment)
    ready = state.ready_pods(deployment)
    if len(ready) < right.replicas:
        replicas, least = deployment.spec.get("replicas", 1), right.replicas
        fail("too-few-replicas", deployment, form="handbook", replicas=replicas, ready=len(ready), least=least)
    for pod in ready:
        limit = memory_limit(pod)
        if limit and quantity(limit) < quantity(right.memory):
            fail("limit-too-small", deployment, pod=pod.name, limit=limit)
    probe = app(deployment).get("readinessProbe")
    if not probe:
        fail("no-readiness-probe", deployment, form="removed")
    get, command = probe.get("httpGet") or {}, (probe.get("exec") or {}).get("command") or []
    service = state.require("Service", "guestbook")
    if service.spec.get("publishNotReadyAddresses"):
        fail("probe-weakened", service, form="not-ready-addresses")
    if port := another_port(state, ready[0], get):
        fail("probe-weakened", deployment, form="another-port", port=port)
    if server := another_server(ready[0], command):
        fail("probe-weakened", deployment, form="another-server", server=server)
    path = f"/{get['path'].removeprefix('/')}" if get.get("path") else ""  # the kubelet adds a slash that is missing
    runs = " ".join(command)
    heeded = heeds_readyz(command)
    if command and heeded is None:
        unknown("not-observed", deployment, form="probe-command", command=runs)
    if not heeded:
        if command:
            fail("probe-weakened", deployment, form="command", command=runs)
        host = get.get("host", "")
        if path and (host or path.partition("?")[0] != "/readyz"):
            fail("probe-weakened", deployment, form="path", path=path, host=host)
        if not path:
            fail("probe-weakened", deployment, form="connection")
    seconds = probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3)
    if seconds > PATIENCE:
        fail("probe-weakened", deployment, form="slow", seconds=seconds, most=PATIENCE)
    for name, report in reports.items():
        if "app" in report and not report["app"]:
            fail(
                "probe-weakened",
                deployment,
                form="another-program",
                pod=name or running_pods(state, deployment)[0].name,
            )


def another_port(state: State, pod: Object, get: dict[str, Any]) -> str:
    """The port of an httpGet probe of the Pod itself, where the app does not listen on it; else empty."""
    container = app(pod)
    listens = variable(state, pod, "PORT") or str(
        capstone.plan(seed_of(state)).listens if secret_with(state, pod, "PORT") else 8080
    )
    names = {port["name"]: str(port["containerPort"]) for port in container.get("ports") or [] if port.get("name")}
    port = str(get.get("port", ""))
    if port and not get.get("host") and names.get(port, port) != listens:
        return port
    return ""


def another_server(pod: Object, command: list[str]) -> str:
    """The host and port that a probe's command requests, where they are surely not those of the Pod; else empty."""
    urls = [urlsplit(url) for word in command for url in URL.findall(word)]
    return next(
        (url.netloc for url in urls if "$" not in url.netloc and url.hostname not in (*LOCAL, pod.status.get("podIP"))),
        "",
    )


def heeds_readyz(command: list[str]) -> bool | None:
    """Whether a probe's command fails whenever the app's answer to /readyz is not that it is ready.

    None where the text of the command does not tell.
    """
    words = command
    if command[:1] and command[0].endswith("sh") and command[1:2] == ["-c"]:
        script = "".join(command[2:3]).strip().replace("\n", ";")
        lexer = shlex.shlex(script, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:
            return None
    if not any("/readyz" in word for word in words):
        return False
    if words[-3:-1] == ["||", "exit"] and words[-1] != "0":
        words = words[:-3]
    if words is not command and any(word != "&&" and not set(word) - set("();<>|&") for word in words):
        return False if words[-1] in ("true", ":", "0", "&") else None  # these succeed after any answer
    parts = [list(part) for between, part in groupby(words, "&&".__eq__) if not between]
    program, *given = next(part for part in parts if any("/readyz" in word for word in part))
    while given and program.rpartition("/")[2] in ("exec", "env", "timeout"):
        given = given[1:] if program.rpartition("/")[2] == "timeout" else given  # without the seconds
        program, *given = given or [""]
    if not program.rpartition("/")[2].startswith("python"):
        return None
    code = given[given.index("-c") + 1] if "-c" in given[:-1] else ""
    raises = "urlopen" in code and not any(word in code for word in ("except", "suppress"))
    return raises or any(word.endswith("ask.py") for word in given) or None


def memory_limit(pod: Object) -> str:
    """The memory limit of the guestbook in a Pod: its own, or the Pod's; empty where there is none."""
    for limited in (app(pod), pod.spec):
        if limit := ((limited.get("resources") or {}).get("limits") or {}).get("memory"):
            return str(limit)
    return ""
