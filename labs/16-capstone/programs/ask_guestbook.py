"""Asking the guestbook about its Redis, inside its container: `python3 -c THIS QUESTION` prints the answers.

Question and answers are JSON. Only standard library, as in cluster/observer/asking.py. Nothing is written. Question:
{"names": [...]}. The answers:
  "app"      whether the guestbook's process runs in this container
  "names"    {name: {"addresses", "error"}}: what these names resolve to
  "entries"  [{"status", "text", ...}]: the answer to GET /entries, as asking.py's "http" gives it
  "redis"    {"asked": bool}: whether this Pod read a list, to give that answer, in the Redis that the REDIS_HOST of
             the guestbook's process names; or {"error": why}
"""

import json
import os
import socket
import sys
import time
from typing import Any

from checker.collect.programs.dns import look_up
from checker.collect.programs.guestbook import TIMEOUT, answer_at, app_variables


def entries(port: str) -> dict[str, Any]:
    """The app's answer to GET /entries."""
    return answer_at(port, "/entries")


def entries_watched(port: str, redis: tuple[str, int]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The app's answer, and whether this Pod read a list in that Redis meanwhile.

    Redis' command MONITOR repeats each command with the address of its client: https://redis.io/docs/latest/commands/monitor/
    """
    try:
        with socket.create_connection(redis, timeout=TIMEOUT) as connection:
            own = f"{connection.getsockname()[0]}:"
            connection.sendall(b"MONITOR\r\n")
            first = connection.recv(64)
            if not first.startswith(b"+OK"):
                return entries(port), {"error": first.decode(errors="replace").strip()}
            answer, monitored, until = entries(port), first.decode(errors="replace"), time.monotonic() + TIMEOUT
            connection.settimeout(1.0)
            while time.monotonic() < until:
                seen = any(own in line and '"lrange"' in line.lower() for line in monitored.splitlines())
                if seen:
                    return answer, {"asked": True}
                try:
                    more = connection.recv(65536)
                except TimeoutError:
                    return answer, {"asked": False}
                if not more:
                    break
                monitored += more.decode(errors="replace")
            return answer, {"asked": False}
    except OSError as error:
        return entries(port), {"error": f"{type(error).__name__}: {error}"}


def answers(question: dict[str, Any]) -> dict[str, Any]:
    app = app_variables()
    has = dict(os.environ) if app is None else app
    host, _, port = has.get("REDIS_HOST", "").partition(":")
    addresses = look_up(host)["addresses"] if host else []
    if addresses and (port or "6379").isdigit():
        answer, redis = entries_watched(has.get("PORT") or "8080", (addresses[0], int(port or 6379)))
    else:
        answer, redis = entries(has.get("PORT") or "8080"), {"asked": False}
    names = {name: look_up(name) for name in question["names"]}
    return {"app": app is not None, "names": names, "entries": [answer], "redis": redis}


if __name__ == "__main__":
    print(json.dumps(answers(json.loads(sys.argv[1]))))
