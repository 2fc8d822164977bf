"""Asking on localhost, and watching who writes the app's file, inside a container that has python3.

`python3 -c THIS QUESTION` prints the answers, both as JSON. Only standard library, as in cluster/observer/asking.py.
Nothing is written. The question is {"port": number, "path": text}. The answers are "app": [{"status", "text", ...}],
the answer to GET at this port of 127.0.0.1, as asking.py's "http" gives it; and "watched":
  "app"      whether the guestbook's process runs in this container
  "wrote"    in how many looks the other processes of this container had written since the look before; null where that
             cannot be read
The following are there only where the app runs:
  "file"     the path in the GREETING_FILE of the app's process, from the root; empty where it has no such variable
  "changed"  when the file was changed, in seconds since 1970: the last change before the first look, and each one
             after it
  "last"     the last line of the file, at most 200 characters
  "now"      the time when that line was read, in seconds since 1970
  "time"     whether that line tells the time of day
  "said"     the first line of the app's answer to GET /, at most 200 characters
  "same"     whether that answer is the text of the file
"""

import http.client
import json
import os
import re
import socket
import sys
import time
from pathlib import Path
from typing import Any

from checker.collect.programs.guestbook import TIMEOUT, answer_at, app_processes, own_processes, variables_of

SECONDS, PAUSE = 3.3, 0.15  # for which the file is watched, and between two looks
TOGETHER = 0.4  # seconds: changes that are nearer to each other are one, as of a shell that empties a file and fills it
LONGEST = 200  # characters of a line
ZONES = 15 * 60  # seconds: time zones differ by whole quarters of an hour
CLOCK = re.compile(r"(?<!\d)(?<!\d[:.hm-])([01]?\d|2[0-3])[:.h-]([0-5]\d)(?:[:.m-]([0-5]\d))?(?!\d)")
DIGITS = re.compile(r"(?<!\d)([01]\d|2[0-3])([0-5]\d)([0-5]\d)(?!\d)")
SINCE_1970 = re.compile(r"(?<!\d)(\d{10})(?:\d{3}|\d{6}|\d{9})?(?!\d)")


def written(without: set[str]) -> dict[str, int] | None:
    """How many characters each process has written, and those that it has waited for; None where that cannot be read.

    Source: https://docs.kernel.org/filesystems/proc.html (3.3, /proc/<pid>/io)
    """
    found = {}
    for process in own_processes():
        if process.name in without:
            continue
        try:
            lines = dict(line.split(": ") for line in (process / "io").read_text().splitlines())
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        except OSError:
            return None
        found[process.name] = int(lines["wchar"])
    return found


def changed_at(file: Path) -> float | None:
    try:
        return file.stat().st_mtime
    except OSError:
        return None


def text_of(file: Path) -> str | None:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return None


def has_time(text: str, now: float) -> bool:
    """Whether a text holds the time of day in any time zone: hours, minutes, perhaps seconds; or seconds since 1970.

    now: in seconds since 1970.
    """
    if any(abs(int(found[1]) - now) <= 5 for found in SINCE_1970.finditer(text)):
        return True
    for hours, minutes, seconds in (found.groups() for pattern in (CLOCK, DIGITS) for found in pattern.finditer(text)):
        late = (now - (int(hours) * 3600 + int(minutes) * 60 + int(seconds or 0))) % ZONES
        if min(late, ZONES - late) <= 5 or (seconds is None and late <= 65):
            return True
    return False


def greeting(port: str) -> str | None:
    """The app's answer to GET /, without its last line, which says the version and the host.

    An app that listens only at the Pod's own address is asked there.
    """
    for host in ("127.0.0.1", socket.gethostname()):
        try:
            connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT)
            connection.request("GET", "/", headers={"Connection": "close"})
            return connection.getresponse().read().decode(errors="replace").strip().rpartition("\n")[0]
        except ConnectionRefusedError:
            continue
        except (OSError, ValueError, http.client.HTTPException):
            return None
    return None


def compared(file: Path, port: str) -> dict[str, Any]:
    """Whether the app says the text of the file.

    The file may be empty in one look, or change between two looks: then they are repeated. The last line is of the look
    with the text that the app said, else of one in which the file was not empty.
    """
    answer, text, same = None, "", False
    for _ in range(6):
        before, answer, after = text_of(file), greeting(port), text_of(file)
        texts = [one for one in (before, after) if one]
        equal = [one for one in texts if answer is not None and one.strip() == answer.strip()]
        text, same = next(iter(equal or texts), ""), bool(equal)
        if same and text.strip():
            break
        time.sleep(0.05)
    last = text.strip().rpartition("\n")[2]
    first = (answer or "").strip().partition("\n")[0]
    now = time.time()
    return {
        "last": last[-LONGEST:],
        "now": now,
        "time": has_time(last, now),
        "said": first[:LONGEST],
        "same": same,
    }


def watched() -> dict[str, Any]:
    """What is seen of the app's file, and of who writes it."""
    app = next(iter(app_processes()), None)
    variables = variables_of(app) if app else {}
    name = variables.get("GREETING_FILE", "")
    file = Path(os.path.normpath((app / "cwd").readlink() / name)) if app and name else None
    without = {str(os.getpid()), *([app.name] if app else [])}
    wrote: int | None = 0
    changed: list[float] = []
    before, until = written(without), time.monotonic() + SECONDS
    while time.monotonic() < until:
        at = changed_at(file) if file else None
        if at is not None and (not changed or at - changed[-1] > TOGETHER):
            changed.append(at)
        time.sleep(PAUSE)
        now = written(without)
        if before is None or now is None:
            wrote = None
        elif wrote is not None:
            wrote += any(count > before.get(process, count) for process, count in now.items())
        before = now
    found: dict[str, Any] = {"app": bool(app), "wrote": wrote}
    if app:
        found |= {"file": str(file or ""), "changed": changed}
        found |= compared(file or Path("/nonexistent"), variables.get("PORT") or "8080")
    return found


if __name__ == "__main__":
    question = json.loads(sys.argv[1])
    print(json.dumps({"app": [answer_at(question["port"], question["path"])], "watched": watched()}))
