"""The guestbook in this container: its processes, their variables, and its answer to a request."""

import http.client
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
    """The mount namespace of a process; None if it cannot be read."""
    try:
        return (process / "ns" / "mnt").readlink()
    except OSError:  # the process of another user, or one that has ended
        return None


def app_processes() -> list[Path]:
    """The folders below /proc of the processes of this container that run the guestbook, in the order of their
    numbers."""
    found = []
    for process in own_processes():
        try:
            words = (process / "cmdline").read_text(errors="replace").split("\0")
        except OSError:  # it has ended
            continue
        if "python" in words[0] and any(word.endswith("app.py") for word in words):
            found.append(process)
    return found


def variables_of(process: Path) -> dict[str, str]:
    """The environment variables of a process. Raises OSError if they cannot be read."""
    entries = (process / "environ").read_text(errors="replace").split("\0")
    return dict(entry.partition("=")[::2] for entry in entries if entry)


def app_variables() -> dict[str, str] | None:
    """The environment variables of the guestbook's process, which its command may have changed.

    None if the guestbook does not run in this container, or if the variables of its process cannot be read.
    """
    for process in app_processes():
        try:
            return variables_of(process)
        except OSError:  # it has ended, or it is the process of another user
            continue
    return None


def answer_at(port: int | str, path: str) -> dict[str, Any]:
    """The guestbook's answer to one GET at 127.0.0.1, with the keys of an answer of cluster/observer/asking.py.

    error: "" if there was an answer; "refused", "timeout" or the name of the error if there was none.
    """
    answer: dict[str, Any] = {"status": 0, "text": "", "host": "", "version": "", "error": "", "count": 1}
    try:
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=TIMEOUT)
        connection.request("GET", path, headers={"Connection": "close"})
        got = connection.getresponse()
        host, version = (got.headers.get(f"X-Guestbook-{name}", "") for name in ("Host", "Version"))
        answer |= {"status": got.status, "text": got.read(4096).decode(errors="replace").strip()}
        answer |= {"host": host, "version": version}
    except ConnectionRefusedError:
        answer["error"] = "refused"
    except TimeoutError:
        answer["error"] = "timeout"
    except (OSError, ValueError, http.client.HTTPException) as error:
        answer["error"] = type(error).__name__
    return answer
