"""Credential plugins: programs that a kubeconfig names under `exec`, which say what to show the API server.

The `kubernetes` package runs them too, but it keeps a plugin's error to itself, and a certificate that has expired.
Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checker.model.catalogue import problem, say
from checker.model.state import parse_time

PATIENCE = 60.0  # seconds for a plugin that asks nobody


@dataclass(frozen=True)
class Credential:
    """What a plugin gave: a token, or a certificate and its key (PEM), and when they end (None: never)."""

    token: str = ""
    certificate: bytes = b""
    key: bytes = b""
    ends: datetime | None = None

    @property
    def has_ended(self) -> bool:
        return self.ends is not None and datetime.now(UTC) >= self.ends


def ask(plugin: dict[str, Any], server: dict[str, Any], folder: Path) -> Credential:
    """Run a plugin.

    plugin: what the kubeconfig says of it under `exec`. server: the kubeconfig's cluster, which the plugin gets where
    it wants it. folder: of the kubeconfig; a command with a slash in it is meant from there.
    Raises Problem, with the plugin's own words, where it is missing, fails, or gives nothing that can be used.
    """
    command, version = str(plugin["command"]), str(plugin["apiVersion"])
    program = str(folder / command) if os.sep in command else command
    spec: dict[str, Any] = {"interactive": _may_ask(plugin)}
    if plugin.get("provideClusterInfo"):
        spec["cluster"] = _cluster_info(server)
    exec_info = json.dumps({"apiVersion": version, "kind": "ExecCredential", "spec": spec})
    env = {entry["name"]: entry["value"] for entry in plugin.get("env") or []}

    def failed(why: object) -> Exception:
        return problem("plugin-failed", command=command, why=str(why).strip(), hint=plugin.get("installHint"))

    try:
        done = subprocess.run(
            [program, *map(str, plugin.get("args") or [])],
            env={**os.environ, **env, "KUBERNETES_EXEC_INFO": exec_info},
            stdin=None if spec["interactive"] else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if spec["interactive"] else subprocess.PIPE,
            timeout=None if spec["interactive"] else PATIENCE,
            text=True,
        )
    except FileNotFoundError:
        raise problem("plugin-missing", command=command, hint=plugin.get("installHint")) from None
    except OSError as error:
        raise failed(error.strerror) from None
    except subprocess.TimeoutExpired:
        raise failed(say("why-plugin-slow", seconds=round(PATIENCE))) from None
    if done.returncode != 0:
        raise failed(done.stderr or say("why-plugin-status", status=done.returncode))
    return _read(done.stdout, version, failed)


def _may_ask(plugin: dict[str, Any]) -> bool:
    """Whether the plugin may ask the person at the terminal."""
    return plugin.get("interactiveMode") != "Never" and sys.stdin is not None and sys.stdin.isatty()


def _cluster_info(server: dict[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in server.items() if name != "extensions"}
    for extension in server.get("extensions") or []:
        if extension["name"] == "client.authentication.k8s.io/exec":
            known["config"] = extension["extension"]
    return known


def _read(output: str, version: str, failed: Callable[[object], Exception]) -> Credential:
    """The credential in a plugin's output. Raises what `failed` makes where there is none."""
    try:
        answer = json.loads(output)
        status = answer["status"]
        token, ends = status.get("token") or "", status.get("expirationTimestamp")
        certificate, key = (status.get(f"client{part}Data") or "" for part in ("Certificate", "Key"))
        credential = Credential(token, certificate.encode(), key.encode(), parse_time(ends) if ends else None)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise failed(say("why-plugin-output")) from None
    if answer.get("apiVersion") != version:
        raise failed(say("why-plugin-version", given=answer.get("apiVersion"), wanted=version))
    if not token and not (certificate and key):
        raise failed(say("why-plugin-empty"))
    return credential
