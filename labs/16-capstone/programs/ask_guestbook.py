"""Asking the guestbook about its Redis, inside its container: `python3 -c THIS QUESTION` prints the answers.

Question and answers are JSON. Only standard library, as in cluster/observer/asking.py. Nothing is written. Question:
{"names": [...]}. The answers:
  "app"      whether the guestbook's process runs in this container
  "names"    {name: {"addresses", "error"}}: what these names resolve to
  "entries"  [{"status", "text", ...}]: the answer to GET /entries, as asking.py's "http" gives it
  "redis"    {"asked": bool}: whether this Pod read a list, to give that answer, in the Redis that the REDIS_HOST of
             the guestbook's process names; or {"error": why}
"""

import http.client
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

TIMEOUT = 2.0  # seconds for one connection or request
PROCESSES = Path("/proc")


def own_processes() -> list[Path]:
    """The folders below /proc of the processes of this container, in the order of their numbers.

    With shareProcessNamespace, /proc shows the processes of every container of the Pod. Each container has a mount
    namespace of its own. A process whose namespace cannot be read stays in the list.
    Source: https://kubernetes.io/docs/tasks/configure-pod-container/share-process-namespace/
    """
    own = mount_namespace(PROCESSES / "self")
    processes = sorted(PROCESSES.glob("[0-9]*"), key=lambda path: int(path.name))
    return [process for process in processes if mount_namespace(process) in (own, None)]


def mount_namespace(process: Path) -> Path | None:
    try:
        return (process / "ns" / "mnt").readlink()
    except OSError:  # another user's process, or one that has ended
        return None


def process() -> dict[str, str] | None:
    """The variables of the guestbook's process, which its command may have changed; None where it does not run here."""
    for folder in own_processes():
        try:
            runs, has = ((folder / what).read_text(errors="replace").split("\0") for what in ("cmdline", "environ"))
        except OSError:  # it has ended, or is somebody else's
            continue
        if "python" in runs[0] and any(word.endswith("app.py") for word in runs):
            return dict(entry.partition("=")[::2] for entry in has if entry)
    return None


def look_up(name: str) -> dict[str, Any]:
    try:
        found = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
        return {"addresses": sorted({str(one[4][0]) for one in found}), "error": ""}
    except UnicodeError:  # what Python says of a host that cannot be a name
        return {"addresses": [], "error": "no-name"}
    except socket.gaierror:
        return {"addresses": [], "error": "no-such-host"}
    except OSError as error:
        return {"addresses": [], "error": type(error).__name__}


def entries(port: str) -> dict[str, Any]:
    """The app's answer to GET /entries."""
    answer: dict[str, Any] = {"status": 0, "text": "", "host": "", "version": "", "error": "", "count": 1}
    try:
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=TIMEOUT)
        connection.request("GET", "/entries", headers={"Connection": "close"})
        got = connection.getresponse()
        answer |= {"status": got.status, "text": got.read(4096).decode(errors="replace").strip()}
    except ConnectionRefusedError:
        answer["error"] = "refused"
    except TimeoutError:
        answer["error"] = "timeout"
    except (OSError, ValueError, http.client.HTTPException) as error:
        answer["error"] = type(error).__name__
    return answer


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
    app = process()
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
