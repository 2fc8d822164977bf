"""Every replica works, and a readiness probe tells when it does not."""

import re
import shlex
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

from checker.sdk import Object, State, counted, fail, quantity, seed_of, task, unknown

from . import setup as capstone
from .capstone_app import app, secret_with, variable

LOCAL = ("localhost", "127.0.0.1", "::1")
URL = re.compile(r"https?://[^\s'\"]+")
PATIENCE = 120  # seconds of failures that a readiness probe may take to be believed


@task("every-replica")
def every_replica_works(state: State) -> None:
    right = capstone.plan(seed_of(state))
    deployment = state.require("Deployment", "guestbook")
    state.require_working(deployment)
    ready = state.ready_pods(deployment)
    if len(ready) < right.replicas:
        fail(
            "too-few-replicas", f"Deployment guestbook asks for {counted(deployment.spec.get('replicas', 1), 'replica')}; ready: {len(ready)}.",
            expected=f"at least {right.replicas}, as the handbook says", observed=str(len(ready)), object=deployment.ref,
        )  # fmt: skip
    for pod in ready:
        limit = memory_limit(pod)
        if limit and quantity(limit) < quantity(right.memory):
            fail(
                "limit-too-small", f"The guestbook of Pod {pod.name} is killed when it uses more than {limit} of memory, and the handbook says that it may need more.",
                expected="as much as the handbook says that it may need", observed=f"limits.memory: {limit}", object=deployment.ref,
                look="kubectl describe deployment guestbook",
            )  # fmt: skip
    probe = app(deployment).get("readinessProbe")
    evidence = {
        "expected": "a readiness probe that asks for /readyz",
        "object": deployment.ref,
        "look": "kubectl describe deployment guestbook",
    }
    if not probe:
        fail(
            "no-readiness-probe", "The Pods of Deployment guestbook have no readiness probe any more: they count as ready, whatever they say.",
            observed="none", **evidence,
        )  # fmt: skip
    get, command = probe.get("httpGet") or {}, (probe.get("exec") or {}).get("command") or []
    service = state.require("Service", "guestbook")
    if service.spec.get("publishNotReadyAddresses"):
        fail(
            "probe-weakened", "Service guestbook sends requests to its Pods whether they are ready or not (publishNotReadyAddresses): what /readyz says changes nothing.",
            observed="publishNotReadyAddresses: true", expected="requests for ready Pods only", object=service.ref, look="kubectl get service guestbook -o yaml",
        )  # fmt: skip
    elsewhere = asks_elsewhere(state, ready[0], get, command)
    if elsewhere:
        fail(
            "probe-weakened", f"The readiness probe of Deployment guestbook does not ask the app of its own Pod: it asks {elsewhere}.",
            observed=elsewhere, **evidence,
        )  # fmt: skip
    path = f"/{get['path'].removeprefix('/')}" if get.get("path") else ""  # the kubelet adds a slash that is missing
    asks = path + " ".join(command)
    heeded = heeds_readyz(command)
    if command and heeded is None:
        unknown(
            "not-observed", f"The readiness probe of Deployment guestbook runs {asks!r}, and from that the checker cannot tell whether it fails when the app "
            "does not say at /readyz that it is ready. A plainer command, or a probe of kind httpGet, it understands.",
            observed=asks, **evidence,
        )  # fmt: skip
    does = (
        f"it runs {asks}"
        if command
        else " ".join(filter(None, ("it asks", get.get("host"), "for", path)))
        if path
        else "it only connects"
    )
    if not heeded and (get.get("host") or asks.partition("?")[0] != "/readyz"):
        fail(
            "probe-weakened", f"The readiness probe of Deployment guestbook does not depend on what the app says at /readyz: {does}.",
            observed=asks or "a connection, and nothing more", **evidence,
        )  # fmt: skip
    patience = probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3)
    if patience > PATIENCE:
        fail(
            "probe-weakened", f"The readiness probe of Deployment guestbook is only believed after {patience} s of failures: until then a replica that cannot take requests gets them.",
            observed=f"{patience} s", **evidence,
        )  # fmt: skip


def asks_elsewhere(state: State, pod: Object, get: dict[str, Any], command: list[str]) -> str:
    """Whom a probe asks, where that is surely not the app in the same Pod; else empty."""
    container = app(pod)
    told = variable(state, pod, "PORT") or str(
        capstone.plan(seed_of(state)).listens if secret_with(state, pod, "PORT") else 8080
    )
    names = {port["name"]: str(port["containerPort"]) for port in container.get("ports") or [] if port.get("name")}
    port = str(get.get("port", ""))
    if port and not get.get("host") and names.get(port, port) != told:
        return f"port {port}"
    urls = [urlsplit(url) for word in command for url in URL.findall(word)]
    return next(
        (url.netloc for url in urls if "$" not in url.netloc and url.hostname not in (*LOCAL, pod.status.get("podIP"))),
        "",
    )


def heeds_readyz(command: list[str]) -> bool | None:
    """Whether a probe's command fails whenever the app does not say at /readyz that it is ready; None where its text does not tell."""
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
        return False if words[-1] in ("true", ":", "0", "&") else None  # these make light of any answer
    parts = [list(part) for between, part in groupby(words, "&&".__eq__) if not between]
    program, *given = next(part for part in parts if any("/readyz" in word for word in part))
    while given and program.rpartition("/")[2] in ("exec", "env", "timeout"):
        given = given[1:] if program.rpartition("/")[2] == "timeout" else given  # how long
        program, *given = given or [""]
    if not program.rpartition("/")[2].startswith("python"):
        return None
    code = given[given.index("-c") + 1] if "-c" in given[:-1] else ""
    raises = "urlopen" in code and not any(word in code for word in ("except", "suppress"))
    return raises or any(word.endswith("ask.py") for word in given) or None


def memory_limit(pod: Object) -> str:
    """What the guestbook in a Pod may use, by its own limit or by the Pod's; empty where there is none."""
    for limited in (app(pod), pod.spec):
        if limit := ((limited.get("resources") or {}).get("limits") or {}).get("memory"):
            return str(limit)
    return ""
