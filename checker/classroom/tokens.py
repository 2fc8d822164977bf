"""The learners' tokens: each has an end, and is bound to the learner's account.

Source: https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from checker.classroom.access import ClassAccess, write
from checker.classroom.apply import AT_A_TIME, SECONDS, refused
from checker.classroom.kinds import collection
from checker.classroom.names import ACCOUNT, HUB, LEARNER, ROLE
from checker.classroom.plan import HOME
from checker.collect.api import Api, ApiError
from checker.model.catalogue import problem
from checker.model.state import parse_time
from cluster import Cluster

Manifest = dict[str, Any]
SHORTEST = 600  # seconds; the API server gives no token for less


def token(api: Api, home: str, seconds: int) -> tuple[str, datetime]:
    """A new token for a learner's account, and when it ends: the API server may end it earlier than asked."""
    path = f"{collection('ServiceAccount', home)}/{ACCOUNT}/token"
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": max(SHORTEST, seconds)},
    }
    try:
        status = json.loads(api.request("POST", path, body, SECONDS))["status"]
    except ApiError as error:
        raise refused(error, f"ServiceAccount {home}/{ACCOUNT}") from None
    return status["token"], parse_time(status["expirationTimestamp"])


def homes_in(namespaces: list[Manifest]) -> dict[str, dict[str, str]]:
    """The learners of a class by their first namespace: {suffix: further namespace}. namespaces: the class's.

    The namespace of a learner's server in JupyterHub is left out, as no lab is in it.
    """
    found: dict[str, dict[str, str]] = {}
    for one in namespaces:
        labels = one["metadata"]["labels"]
        further = found.setdefault(labels.get(LEARNER, ""), {})
        if labels.get(ROLE) not in (HOME, HUB):
            further[labels.get(ROLE, "")] = one["metadata"]["name"]
    found.pop("", None)
    return dict(sorted(found.items()))


def hand_out(
    api: Api,
    name: str,
    homes: dict[str, dict[str, str]],
    folder: Path,
    ends: datetime,
    offers: list[str],
    registry: str,
    report: Callable[[int, int], None],
) -> list[tuple[Path, datetime]]:
    """Write one file for each learner (mode 0600), with a new token. Returns the files, and when each token ends.

    ends: when the tokens are to end. Raises Problem where the folder cannot be written, or the API server refuses.
    """
    server, authority = reached_at(api.cluster)
    seconds = round((ends - datetime.now(UTC)).total_seconds())
    if seconds < SHORTEST:
        raise problem("class-has-ended", name=name, ends=ends.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"))
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise problem("class-cannot-write", file=folder, why=error.strerror) from None

    def one(home: str) -> tuple[Path, datetime]:
        learner = home.removeprefix(f"{name}-")
        secret, end = token(api, home, seconds)
        file = folder / f"{learner}.yaml"
        access = ClassAccess(
            name=name,
            learner=learner,
            namespace=home,
            namespaces=homes[home],
            offers=offers,
            registry=registry,
            expires=end,
            server=server,
            authority=authority,
            token=secret,
        )
        try:
            write(file, access)
        except OSError as error:
            raise problem("class-cannot-write", file=file, why=error.strerror) from None
        return file, end

    written = []
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for number, done in enumerate(pool.map(one, homes), 1):
            written.append(done)
            report(number, len(homes))
    return written


def reached_at(cluster: Cluster) -> tuple[str, str]:
    """The API server's address and the certificates that vouch for it (PEM in base64; empty: the machine's own)."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    context = next(one["context"] for one in config["contexts"] if one["name"] == cluster.context)
    entry = next(one["cluster"] for one in config["clusters"] if one["name"] == context["cluster"])
    authority = entry.get("certificate-authority-data") or ""
    if not authority and entry.get("certificate-authority"):
        authority = b64encode((cluster.kubeconfig.parent / entry["certificate-authority"]).read_bytes()).decode()
    return str(entry["server"]).rstrip("/"), authority
