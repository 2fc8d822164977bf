"""Asking an app about its Redis, inside a container that has python3: `python3 -c THIS QUESTION` prints the answers.

Question and answers are JSON. Only standard library, as in cluster/observer/asking.py. Nothing is written. Question:
  {"variable": NAME, "hidden": bool, "names": [...]}
The answers:
  "variable" {"value", "kind", "addresses", "error"}: the variable as the app's process has it, and what its host
             resolves to. kind: "none", "name", "address", or "address-as-name". Where `hidden` is true, the value stays
             here: "value" is empty.
  "names"    {name: {"addresses", "error"}}: what other names resolve to
  "entries"  [{"status", "text", ...}]: the app's answer to GET /entries, as asking.py's "http" gives it
"""

import http.client
import ipaddress
import json
import os
import socket
import sys
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


def environment() -> dict[str, str]:
    """The variables of the guestbook's process, which its command may have set; else those of the container."""
    for process in own_processes():
        try:
            runs, has = ((process / what).read_text(errors="replace").split("\0") for what in ("cmdline", "environ"))
        except OSError:  # it has ended, or is somebody else's
            continue
        if "python" in runs[0] and any(word.endswith("app.py") for word in runs):
            return dict(entry.partition("=")[::2] for entry in has if entry)
    return dict(os.environ)


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


def kind_of(host: str, addresses: list[str]) -> str:
    """In one word what a host is: no value, an IP address, a DNS name that holds its own IP address, or a name."""
    if not host:
        return "none"
    try:
        ipaddress.ip_address(host)
        return "address"
    except ValueError:
        return "address-as-name" if host.partition(".")[0].replace("-", ".") in addresses else "name"


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


def answers(question: dict[str, Any]) -> dict[str, Any]:
    has = environment()
    value = has.get(question["variable"], "")
    host = value.partition(":")[0]
    lookup: dict[str, Any] = look_up(host) if host else {"addresses": [], "error": ""}
    variable = {"value": "" if question["hidden"] else value, "kind": kind_of(host, lookup["addresses"]), **lookup}
    return {
        "variable": variable,
        "names": {name: look_up(name) for name in question["names"]},
        "entries": [entries(has.get("PORT") or "8080")],
    }


if __name__ == "__main__":
    print(json.dumps(answers(json.loads(sys.argv[1]))))
