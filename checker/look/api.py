"""The one way in which the checker talks to the API server: the course's kubeconfig, its one context, every call with a deadline.

urllib3 rather than the `kubernetes` package: importing that takes longer than a whole check (see tests/bench).
"""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3
import yaml

from cluster import Cluster, Problem

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT, READ_TIMEOUT = 2.0, 5.0  # seconds; a paused API server accepts connections and then says nothing


class ApiError(Exception):
    """The API server did not answer (status 0), or answered with an error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Api:
    """Calls to the API server of one cluster. Safe to use from several threads; connections are kept."""

    def __init__(self, cluster: Cluster) -> None:
        """Raises Problem where the cluster has no kubeconfig, or the kubeconfig is not for this cluster."""
        self.cluster = cluster
        self._user, self._cluster = _read_kubeconfig(cluster)
        self.server: str = self._cluster["server"].rstrip("/")
        self.now = datetime.now(UTC)  # the API server's clock, as of the newest answer

    @cached_property
    def _pool(self) -> urllib3.PoolManager:
        # PoolManager, not ProxyManager: a proxy in the environment is never asked for the course's own cluster.
        return urllib3.PoolManager(
            maxsize=8, ssl_context=self._tls(), retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT),
        )  # fmt: skip

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=_decoded(self._cluster, "certificate-authority-data"))
        if "client-certificate-data" in self._user:
            # OpenSSL loads a key from a file only; the file lives for these two lines, readable by its owner alone.
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as pem:
                pem.write(_decoded(self._user, "client-certificate-data") + _decoded(self._user, "client-key-data"))
                pem.flush()
                context.load_cert_chain(pem.name)
        return context

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if "token" in self._user:
            headers["Authorization"] = f"Bearer {self._user['token']}"
        return headers

    def streaming(self) -> httpx.AsyncClient:
        """A client for many answers that go on and on, all from one event loop; for the same cluster, and past any proxy, too."""
        import httpx

        return httpx.AsyncClient(
            base_url=self.server, headers=self._headers(), verify=self._tls(), trust_env=False,
            timeout=httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT), limits=httpx.Limits(max_connections=None),
        )  # fmt: skip

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        read_timeout: float = READ_TIMEOUT,
        content: str = "application/json",
    ) -> bytes:
        """The answer's body. Raises ApiError for an error status, and with status 0 where no answer came in time."""
        try:
            answer = self._pool.request(
                method, self.server + path, headers=self._headers() | {"Content-Type": content},
                body=None if body is None else json.dumps(body),
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=read_timeout),
            )  # fmt: skip
        except urllib3.exceptions.TimeoutError:
            raise ApiError(0, f"no answer from {self.server} within {read_timeout:.0f} s") from None
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(0, f"{self.server} cannot be reached ({_short(error)})") from None
        if "Date" in answer.headers:
            self.now = parsedate_to_datetime(answer.headers["Date"])
        if answer.status >= 400:
            raise ApiError(answer.status, status_message(answer.data) or f"HTTP status {answer.status}")
        return answer.data

    def get(self, path: str) -> Any:
        """The JSON at a path. Raises ApiError."""
        return json.loads(self.request("GET", path))

    def apply(self, path: str, wanted: dict[str, Any]) -> None:
        """Make the object at a path, or make it as wanted, as far as `wanted` says. Raises ApiError.

        Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/
        """
        self.request(
            "PATCH", f"{path}?fieldManager=kubeclass&force=true", wanted, content="application/apply-patch+yaml"
        )


def _read_kubeconfig(cluster: Cluster) -> tuple[dict[str, Any], dict[str, Any]]:
    start = "Start the course's cluster: kubeclass up"
    try:
        text = Path(cluster.kubeconfig).read_text()
    except FileNotFoundError:
        raise Problem(
            f"The cluster {cluster.name} is not there: it has no kubeconfig ({cluster.kubeconfig}).", start
        ) from None
    except OSError as error:
        raise Problem(f"The kubeconfig {cluster.kubeconfig} cannot be read: {error.strerror}.", start) from None
    try:
        config = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        context = next(c["context"] for c in config["contexts"] if c["name"] == cluster.context)
        user = next(u["user"] for u in config["users"] if u["name"] == context["user"])
        server = next(c["cluster"] for c in config["clusters"] if c["name"] == context["cluster"])
    except (yaml.YAMLError, KeyError, TypeError, StopIteration):
        raise Problem(
            f"The kubeconfig {cluster.kubeconfig} has no usable context {cluster.context}.",
            "Write it anew: kubeclass up",
            kept="nothing was asked of any cluster",
        ) from None
    return user, server


def _decoded(source: dict[str, Any], name: str) -> str:
    return base64.b64decode(source.get(name, "")).decode()


def status_message(data: bytes) -> str:
    """The message of the Status object that the API server sends with an error."""
    try:
        message = json.loads(data).get("message", "")
    except (ValueError, AttributeError):
        return data.decode(errors="replace")[:200]
    return str(message)


def _short(error: Exception) -> str:
    text = str(error)
    for known in ("Connection refused", "timed out", "reset by peer", "certificate verify failed", "No route to host"):
        if known.lower() in text.lower():
            return known.lower()
    return type(error).__name__
