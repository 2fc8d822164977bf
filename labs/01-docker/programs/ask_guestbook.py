"""Asking, inside a container of the guestbook: is it ready, and what does the Redis that it was given say?

`python3 -c THIS` prints the answers as JSON: {"ready": [status, text], "redis": …}. The status is 0 if there was no
answer. redis is None if the guestbook was given no Redis; otherwise {"entries", "written", "dir"}, or {"error": why}.
written: how many commands added entries since this Redis process began. Only standard library. Nothing is written.
"""

import json
import os
import urllib.error
import urllib.request
from typing import Any

from checker.collect.programs.redis import Redis


def ready() -> list[Any]:
    """[status, text] of the guestbook's page /readyz."""
    port = os.environ.get("PORT", "8080")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=3) as answer:
            return [answer.status, answer.read().decode().strip()]
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode().strip()]
    except OSError as error:
        return [0, str(error)]


def redis() -> dict[str, Any] | None:
    """What the Redis says that REDIS_HOST names (see the module's text)."""
    host, _, port = os.environ.get("REDIS_HOST", "").partition(":")
    if not host:
        return None
    try:
        connection = Redis(host, int(port or 6379))
        calls = connection.calls()
        return {
            "entries": int(connection.ask("LLEN", "entries")),
            "written": sum(calls.get(name, 0) for name in ("rpush", "lpush")),
            "dir": connection.settings("dir")["dir"],
        }
    except (OSError, ValueError, KeyError) as error:
        return {"error": str(error)}


if __name__ == "__main__":
    print(json.dumps({"ready": ready(), "redis": redis()}))
