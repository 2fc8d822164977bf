"""The one way in which the checker talks to the API server: the course's kubeconfig, its one context, every call with a deadline.

Kubeconfig, TLS, tokens and exec plugins are the `kubernetes` package's business. Requests go raw over its connection pool: its
models cost more time than the network. Importing it takes a third of a second, so that is left to those who talk to a cluster.
"""

from __future__ import annotations

import json
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import urllib3

from cluster import Cluster, Problem, coming

if TYPE_CHECKING:
    import httpx
    from kubernetes.client import ApiClient

CONNECT_TIMEOUT, READ_TIMEOUT = 2.0, 5.0  # seconds; a paused API server accepts connections and then says nothing


class ApiError(Exception):
    """The API server did not answer (status 0), or answered with an error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Api:
    """Calls to the API server of one cluster, also when it is deleted and made anew meanwhile: it then has another address, and
    other certificates. Safe to use from several threads; connections are kept."""

    def __init__(self, cluster: Cluster) -> None:
        """Raises Problem where the cluster has no kubeconfig, or the kubeconfig is not for this cluster."""
        self.cluster = cluster
        self._lock = threading.Lock()
        self._known = (self.edition(), _client_of(cluster))
        self.now = datetime.now(UTC)  # the API server's clock, as of the newest answer

    def edition(self) -> tuple[int, int]:
        """Another one whenever the cluster's kubeconfig was written anew; (0, 0) while there is none."""
        try:
            found = self.cluster.kubeconfig.stat()
        except OSError:
            return 0, 0
        return found.st_ino, found.st_mtime_ns

    @property
    def _client(self) -> ApiClient:
        """The client by the kubeconfig as it is now; as it was before, while there is none."""
        with self._lock:
            edition = self.edition()
            if edition not in ((0, 0), self._known[0]):
                with suppress(Problem):
                    self._known = (edition, _client_of(self.cluster))
            return self._known[1]

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self._client.configuration.host).rstrip("/")

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        token = self._client.configuration.get_api_key_with_prefix(
            "BearerToken", alias="authorization"
        )  # a token that has expired is had anew
        return headers | ({"Authorization": token} if token else {})

    def streaming(self) -> httpx.AsyncClient:
        """A client for many answers that go on and on, all from one event loop; for the same cluster, and past any proxy, too."""
        import httpx

        return httpx.AsyncClient(
            base_url=self.server, headers=self._headers(), verify=self._tls(), trust_env=False,
            timeout=httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT), limits=httpx.Limits(max_connections=None),
        )  # fmt: skip

    def _tls(self) -> ssl.SSLContext:
        configuration = self._client.configuration
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
        if not configuration.verify_ssl:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

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
            answer = self._client.rest_client.pool_manager.request(
                method, self.server + path, headers=self._headers() | {"Content-Type": content},
                body=None if body is None else json.dumps(body), retries=False,
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
        data: bytes = answer.data
        return data

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


def _client_of(cluster: Cluster) -> ApiClient:
    """A client by the course's own kubeconfig and context, whatever a current context or KUBECONFIG says, and by no proxy."""
    if not cluster.kubeconfig.exists():
        underway = coming.sentence(cluster)
        raise Problem(
            underway or f"The cluster {cluster.name} is not there: it has no kubeconfig ({cluster.kubeconfig}).",
            "See how far it is: kubeclass status"
            if coming.is_at_work(cluster)
            else "Start the course's cluster: kubeclass up",
        )
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=str(cluster.kubeconfig), context=cluster.context, client_configuration=configuration, persist_config=False
        )  # fmt: skip
    except OSError as error:
        raise Problem(
            f"The kubeconfig {cluster.kubeconfig} cannot be read: {error.strerror}.", "Write it anew: kubeclass up"
        ) from None
    except Exception:  # malformed in one of many ways, each with an exception of its own
        raise Problem(
            f"The kubeconfig {cluster.kubeconfig} has no usable context {cluster.context}.",
            "Write it anew: kubeclass up",
            kept="nothing was asked of any cluster",
        ) from None
    configuration.proxy = None
    configuration.connection_pool_maxsize = 8
    return client.ApiClient(configuration)


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
