"""Asking, inside a container of the guestbook: is it ready, and what does the Redis that it was given say?

`python3 -c THIS` prints the answers as JSON: {"ready": [status, text], "redis": …}. The status is 0 if there was no
answer. redis is None if the guestbook was given no Redis; otherwise {"entries", "written", "dir"}, or {"error": why}.
written: how many commands added entries since this Redis process began. Only standard library. Nothing is written.
"""

import json
import os
import socket
import urllib.error
import urllib.request
from typing import Any


class Redis:
    """One connection, in Redis' own protocol: https://redis.io/docs/latest/develop/reference/protocol-spec/"""

    def __init__(self, host: str, port: int) -> None:
        self.stream = socket.create_connection((host, port), timeout=2).makefile("rwb")

    def ask(self, *words: str) -> Any:
        encoded = [word.encode() for word in words]
        self.stream.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded))
        self.stream.flush()
        return self.answer()

    def answer(self) -> Any:
        line = self.stream.readline().decode().strip()
        if line[:1] == "*":
            return [self.answer() for _ in range(int(line[1:]))]
        if line[:1] == "$":
            return self.stream.read(int(line[1:]) + 2)[:-2].decode()
        if line[:1] == "-":
            raise OSError(line[1:])
        return line[1:]


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
        calls = [
            line.split("calls=")[1].split(",")[0]
            for line in connection.ask("INFO", "commandstats").splitlines()
            if line.startswith(("cmdstat_rpush:", "cmdstat_lpush:"))
        ]
        return {
            "entries": int(connection.ask("LLEN", "entries")),
            "written": sum(map(int, calls)),
            "dir": connection.ask("CONFIG", "GET", "dir")[1],
        }
    except (OSError, ValueError, IndexError) as error:
        return {"error": str(error)}


if __name__ == "__main__":
    print(json.dumps({"ready": ready(), "redis": redis()}))
