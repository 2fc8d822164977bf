"""httpx, the one HTTP client of the course. Import it from here: `from cluster.http_client import httpx`.

Where click is installed, httpx imports its own command line as well, and with it rich and pygments. That takes longer than httpx
itself (measured: 170 of 310 ms). An entry of None in sys.modules makes that import fail, and httpx goes on without it.
Source: https://docs.python.org/3/reference/import.html#the-module-cache
"""

from __future__ import annotations

import sys

_COMMAND_LINE = "httpx._main"
if "httpx" not in sys.modules:
    sys.modules[_COMMAND_LINE] = None  # type: ignore[assignment]
import httpx  # noqa: E402

if sys.modules.get(_COMMAND_LINE, httpx) is None:
    del sys.modules[_COMMAND_LINE]

__all__ = ["httpx"]
