"""What a kubeconfig says about a cluster's context: the API server's address, trusted certificates, credentials.

The `kubernetes` package reads every kind of kubeconfig, but its import takes a third of a second. It is used only where
the user has an auth provider (OIDC). A client certificate (kind writes one), a token, a token's file and a password are
read here. exec_plugin.py asks plugins. Source: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
"""

from __future__ import annotations

import base64
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from checker.collect import exec_plugin
from checker.model.catalogue import problem, say
from cluster import Cluster, Problem, up_progress

# Fields of a user whose credentials may be others the next time they are asked for.
RENEWED = ("exec", "auth-provider", "tokenFile")


@dataclass(frozen=True)
class Access:
    """How an API server is reached.

    server: its address, without a slash at the end.
    tls: for requests to it; unused where the address begins with http://.
    authorization: called for each request; the value of the header Authorization, empty for none.
    server_name: the name in the server's certificate, where it is not the address's; else empty.
    has_ended: whether the credentials have ended by their own word, so that they must be asked for again.
    is_renewed: whether credentials that the API server refuses may be others when they are asked for again.
    """

    server: str
    tls: ssl.SSLContext
    authorization: Callable[[], str]
    server_name: str = ""
    has_ended: Callable[[], bool] = lambda: False
    is_renewed: bool = False


def access_of(cluster: Cluster) -> Access:
    """Read the cluster's kubeconfig and context, whatever a current context or KUBECONFIG says.

    Raises Problem where the kubeconfig is missing, cannot be read, or has no usable context of this cluster, and where
    a plugin gives no credentials.
    """
    of_kind = "" if cluster.kind == "own" else f"-{cluster.kind}"
    if not cluster.kubeconfig.exists() and cluster.kind == "own":
        what = up_progress.describe(cluster) or say("no-kubeconfig", cluster=cluster.name, file=cluster.kubeconfig)
        raise problem("coming-up" if up_progress.is_running(cluster) else "not-there", what=what)
    try:
        content = cluster.kubeconfig.read_bytes()
    except OSError as error:
        raise problem(f"kubeconfig-unreadable{of_kind}", file=cluster.kubeconfig, why=error.strerror) from None
    try:
        return _access(content, cluster)
    except Problem:  # a plugin's
        raise
    except Exception:  # malformed in one of many ways, each with an exception of its own
        raise problem(f"kubeconfig-broken{of_kind}", file=cluster.kubeconfig, context=cluster.context) from None


def _access(content: bytes, cluster: Cluster) -> Access:
    """Raises one of many exceptions where the content is malformed."""
    config = yaml.load(content, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    context = _named(config["contexts"], cluster.context)["context"]
    server = _named(config["clusters"], context["cluster"])["cluster"]
    users = {entry["name"]: entry.get("user") for entry in config.get("users") or []}
    user = users.get(context.get("user")) or {}
    if "auth-provider" in user:
        return _access_by_package(cluster)
    address = str(server["server"]).rstrip("/")
    folder = cluster.kubeconfig.parent
    given = exec_plugin.Credential()
    if "exec" in user:
        given = exec_plugin.ask(user["exec"], server, folder)
    if address.startswith("https"):
        authority = _content(server, "certificate-authority", folder)
        certificate, key = _content(user, "client-certificate", folder), _content(user, "client-key", folder)
        certificate, key = given.certificate or certificate, given.key or key
        tls = _tls(authority, certificate, key, verify=not server.get("insecure-skip-tls-verify"))
    else:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return Access(
        address,
        tls,
        _authorization(user | ({"token": given.token} if given.token else {}), folder),
        server.get("tls-server-name") or "",
        lambda: given.has_ended,
        any(field in user for field in RENEWED),
    )


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _content(entry: dict[str, Any], field: str, folder: Path) -> bytes:
    """What `field`-data holds, else the content of the file that `field` names (relative to `folder`), else nothing."""
    if data := entry.get(f"{field}-data"):
        return base64.b64decode(data)
    return (folder / entry[field]).read_bytes() if entry.get(field) else b""


def _authorization(user: dict[str, Any], folder: Path) -> Callable[[], str]:
    """What to show for each request. A token's file is read each time: somebody else keeps it up to date."""
    header = ""
    if user.get("token"):
        header = f"Bearer {user['token']}"
    elif "username" in user and "password" in user:
        header = "Basic " + base64.b64encode(f"{user['username']}:{user['password']}".encode()).decode()
    if not user.get("tokenFile"):
        return lambda: header
    file = folder / user["tokenFile"]

    def read() -> str:
        try:
            return f"Bearer {file.read_text().strip()}"
        except (OSError, UnicodeDecodeError):  # as if there were none: the API server refuses, and that is told
            return header

    return read


def _tls(authority: bytes, certificate: bytes, key: bytes, verify: bool) -> ssl.SSLContext:
    """A context that shows the client's certificate.

    authority: the trusted certificates (PEM); where it is empty, those that this machine trusts.
    """
    context = ssl.create_default_context(cadata=authority.decode() or None)
    if certificate:
        with (
            tempfile.TemporaryDirectory() as folder
        ):  # which nobody else may enter; Python reads certificates from files only
            chain = Path(folder) / "client.pem"
            chain.write_bytes(certificate + b"\n" + key)
            context.load_cert_chain(chain)
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _access_by_package(cluster: Cluster) -> Access:
    """The same by the `kubernetes` package, which gets a token that has expired anew."""
    from kubernetes import client, config

    found = client.Configuration()
    config.load_kube_config(  # type: ignore[no-untyped-call]
        config_file=str(cluster.kubeconfig), context=cluster.context, client_configuration=found, persist_config=False
    )
    files = (found.ssl_ca_cert, found.cert_file, found.key_file)
    authority, certificate, key = (Path(file).read_bytes() if file else b"" for file in files)
    return Access(
        str(found.host).rstrip("/"),
        _tls(authority, certificate, key, found.verify_ssl),
        lambda: found.get_api_key_with_prefix("BearerToken", alias="authorization") or "",
        found.tls_server_name or "",
        is_renewed=True,
    )
