"""The one way in which the checker talks to the API server.

It goes by a cluster's kubeconfig and its one context. Every call has a deadline. No call uses a proxy.
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from checker.collect.kubeconfig import Access, access_of
from checker.model.fault import Phrase, Reason, reason_of
from cluster import Cluster, Problem
from cluster.http_client import httpx

CONNECT_TIMEOUT, READ_TIMEOUT = 2.0, 5.0  # seconds; a paused API server accepts connections and then says nothing


class ApiError(Exception):
    """The API server did not answer (status 0), or answered with an error status."""

    def __init__(self, status: int, why: Reason) -> None:
        """why: the API server's own message, or why there is none."""
        super().__init__(why)
        self.status, self.why = status, why


class Api:
    """Calls to the API server of one cluster. Safe to use from several threads; connections are kept.

    The cluster may be deleted and created again meanwhile. It then has another address and other certificates.
    """

    def __init__(self, cluster: Cluster) -> None:
        """Raises Problem where the cluster has no kubeconfig, or the kubeconfig is not for this cluster."""
        self.cluster = cluster
        self._lock = threading.Lock()
        self._known = (self.edition(), *_connect(cluster))
        self.now = datetime.now(UTC)  # the API server's clock, as of the newest answer

    def edition(self) -> tuple[int, int]:
        """Another one whenever the cluster's kubeconfig was written anew; (0, 0) while there is none."""
        try:
            found = self.cluster.kubeconfig.stat()
        except OSError:
            return 0, 0
        return found.st_ino, found.st_mtime_ns

    def _connection(self) -> tuple[Access, httpx.Client]:
        """The connections by the kubeconfig as it is now; as it was before, while there is none.

        Raises ApiError where credentials that have ended cannot be had again.
        """
        with self._lock:
            edition = self.edition()
            if edition not in ((0, 0), self._known[0]):
                with suppress(Problem):
                    self._known = (edition, *_connect(self.cluster))
            if self._known[1].has_ended():
                self._connect_again()
            return self._known[1:]

    def _connect_again(self) -> None:
        try:
            self._known = (self.edition(), *_connect(self.cluster))
        except Problem as problem:
            raise ApiError(401, reason_of(problem)) from None

    def renewed(self, refused: Access) -> bool:
        """After the API server has refused credentials: whether there may be others now, to be tried once.

        They are asked for once, also where many calls were refused at the same time. Raises ApiError as _connection.
        """
        with self._lock:
            if refused.is_renewed and self._known[1] is refused:
                self._connect_again()
            return refused.is_renewed

    @property
    def server(self) -> str:
        """The API server's address."""
        return self._known[1].server

    @property
    def access(self) -> Access:
        """How the API server was reached the last time."""
        return self._known[1]

    def streaming(self) -> httpx.AsyncClient:
        """A client for many watches of the same cluster in one event loop. It, too, uses no proxy.

        Each of its requests shows the token that is valid then. The certificate is that of `access`, as it is now.
        """
        import asyncio  # slow to import, and only a watch needs it

        with suppress(ApiError):  # its requests will say so
            self._connection()
        access = self.access

        async def show_credentials(request: httpx.Request) -> None:
            now, _ = await asyncio.to_thread(self._connection)  # which may have to ask a plugin
            request.headers.update(_headers(now))
            if now.server_name:
                request.extensions["sni_hostname"] = now.server_name

        return httpx.AsyncClient(
            base_url=access.server,
            verify=access.tls,
            trust_env=False,
            timeout=httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
            limits=httpx.Limits(max_connections=None),
            event_hooks={"request": [show_credentials]},
        )

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        read_timeout: float = READ_TIMEOUT,
        content: str = "application/json",
    ) -> bytes:
        """The answer's body. Raises ApiError for an error status, and with status 0 where no answer came in time."""
        access, client = self._connection()
        answer = self._answer(access, client, method, path, body, read_timeout, content)
        if answer.status_code == 401 and self.renewed(access):
            answer = self._answer(*self._connection(), method, path, body, read_timeout, content)
        if "Date" in answer.headers:
            self.now = parsedate_to_datetime(answer.headers["Date"])
        if answer.status_code >= 400:
            raise ApiError(answer.status_code, status_message(answer.content, answer.status_code))
        return answer.content

    def _answer(
        self,
        access: Access,
        client: httpx.Client,
        method: str,
        path: str,
        body: Any,
        read_timeout: float,
        content: str,
    ) -> httpx.Response:
        """Raises ApiError with status 0 where no answer came in time."""
        try:
            return client.request(
                method,
                access.server + path,
                headers=_headers(access) | {"Content-Type": content},
                content=None if body is None else json.dumps(body),
                timeout=httpx.Timeout(read_timeout, connect=CONNECT_TIMEOUT),
                extensions={"sni_hostname": access.server_name} if access.server_name else None,
            )
        except httpx.TimeoutException:
            raise ApiError(0, no_answer(access.server, read_timeout)) from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError) as error:  # also an odd address or token
            raise ApiError(0, unreachable(access.server, _short(error))) from None

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


def _connect(cluster: Cluster) -> tuple[Access, httpx.Client]:
    """How the cluster is reached, and a client that keeps its connections. Raises Problem (see access_of)."""
    access = access_of(cluster)
    # Not compressed: the API server is on this machine. As many connections as there are calls at a time.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=8, keepalive_expiry=None)
    client = httpx.Client(
        verify=access.tls, trust_env=False, limits=limits, headers={"Accept-Encoding": "identity"}, timeout=READ_TIMEOUT
    )
    return access, client


def _headers(access: Access) -> dict[str, str]:
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    authorization = access.authorization()
    return headers | ({"Authorization": authorization} if authorization else {})


def status_message(data: bytes, status: int) -> Reason:
    """The message of the Status object that the API server sends with an error. Without one, the HTTP status."""
    try:
        message = str(json.loads(data).get("message", ""))
    except (ValueError, AttributeError):
        message = data.decode(errors="replace")[:200]
    return message or Phrase("why-http-status", {"status": status})


def no_answer(server: str, seconds: float) -> Reason:
    """Why nothing is known: the API server at this address did not answer in time."""
    return Phrase("why-api-silent", {"server": server, "seconds": round(seconds)})


def unreachable(server: str, error: str) -> Reason:
    """Why nothing is known: there is no connection to this address. error: in the words of the library."""
    return Phrase("why-api-unreachable", {"server": server, "error": error})


def _short(error: Exception) -> str:
    text = str(error)
    for known in ("Connection refused", "timed out", "reset by peer", "certificate verify failed", "No route to host"):
        if known.lower() in text.lower():
            return known.lower()
    return type(error).__name__
