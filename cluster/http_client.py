"""httpx, the one HTTP client of the course. Import it from here: `from cluster.http_client import httpx`.

Where click, rich and pygments are installed, httpx also imports its own command line and these three. That takes longer
than httpx itself (measured: 170 of 310 ms). None in sys.modules makes that import fail, and httpx goes on without it.
Source: https://docs.python.org/3/reference/import.html#the-module-cache
"""

from __future__ import annotations

import ssl
import sys

_COMMAND_LINE = "httpx._main"
if "httpx" not in sys.modules:
    sys.modules[_COMMAND_LINE] = None  # type: ignore[assignment]
import httpx  # noqa: E402

if sys.modules.get(_COMMAND_LINE, httpx) is None:
    del sys.modules[_COMMAND_LINE]

__all__ = ["get", "get_from_internet", "httpx"]


def get(url: str, timeout: float) -> httpx.Response:
    """One GET of an http:// URL. It uses no proxy and follows no redirect.

    timeout: in seconds, for connecting and for each read.
    Raises httpx.HTTPError, and httpx.InvalidURL.
    """
    # Not used for http://. The default would load the trusted certificates, which takes time.
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with httpx.Client(verify=no_tls, trust_env=False, timeout=timeout) as client:
        return client.get(url, headers={"Accept-Encoding": "identity"})


def get_from_internet(url: str, timeout: float) -> httpx.Response:
    """One GET. It uses the proxies that the environment names, trusts what this machine trusts, and follows redirects.

    timeout: in seconds, for connecting and for each read.

    Raises OSError where no answer comes. An answer with an error status is an answer.
    """
    try:
        with httpx.Client(verify=ssl.create_default_context(), follow_redirects=True, timeout=timeout) as client:
            return client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL, ImportError, ValueError) as error:  # ImportError: for a SOCKS proxy
        raise OSError(str(error) or type(error).__name__) from None
