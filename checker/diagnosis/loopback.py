"""Where a program is told to listen on a loopback address only: in its command, or in a file of a ConfigMap.

Such a program takes no connections from outside its Pod. Many programs, such as Redis, do not log the address.

Sources: https://redis.io/docs/latest/operate/oss_and_stack/management/security/ (bind),
https://www.postgresql.org/docs/current/runtime-config-connection.html (listen_addresses)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from checker.diagnosis.addresses import LONGEST_FILE, files_of
from checker.model.fault import fail
from checker.model.state import Object, State

_VALUE = r"(?P<value>[^#;\n]+)"
# A line of a file of settings: `bind 127.0.0.1 -::1`, `listen_addresses = 'localhost'`, `bind-address: 127.0.0.1`.
_SETTING = re.compile(
    rf"^[ \t]*[\"']?(?:bind|listen)(?:[-_]?(?:addr|address|addresses|ip|host))?[\"']?[ \t=:]+{_VALUE}", re.I | re.M
)
# An option of a server: `--bind 127.0.0.1`, `--host=localhost`, `-b 127.0.0.1:8000`.
_OPTION = re.compile(
    r"(?:^|\s)(?:--(?:bind|listen|host|addr|address)(?:[-_](?:addr|address|ip|host))?|-b)[\s=]+(?P<value>[^\s\"']+)",
    re.I,
)
# A call in a script: `HTTPServer(("127.0.0.1", 8080), Handler)`, `app.run(host="localhost")`, `bind(("::1", 80))`.
_CALL = re.compile(
    r"(?:Server|\.bind|\.listen|app\.run|listen_and_serve|ListenAndServe)\s*\([^)\n]*?[\"'](?P<value>[^\"'\s,]+)[\"']"
)
_LOOPBACK = re.compile(r"-?(?:127(?:\.\d+){3}|localhost|\[?::1\]?)(?::\d+)?", re.I)


def explain_bound_to_loopback(state: State, pod: Object, number: int, *, service: str = "", which: str = "") -> None:
    """Raise Failed where a Pod's container, by its command or a file, listens on a loopback address only.

    Called where nothing answers at the port `number` of the Pod's IP address, and at no other port that it declares.
    service: the Service that sends requests there. which: the probe that asks there. The other one is empty.
    """
    every = pod.lasting_containers
    declaring = [one for one in every if number in {port["containerPort"] for port in one.get("ports") or []}]
    for spec in declaring or (every if len(every) == 1 else []):
        for source, line in _told(state, pod, spec):
            kind, _, rest = source.partition("/")
            name, _, key = rest.partition(":")
            found = state.find(kind, name, pod.namespace) if kind else None
            own = {"container": spec["name"], "pod": pod.name, "port": number, "setting": line, "key": key}
            form = "told-by-file" if found else "told"
            fail("listens-on-loopback", found or pod, form=form, service=service, which=which, **own)


def _told(state: State, pod: Object, spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The lines that tell a container to listen on a loopback address only, each with the file that holds it.

    The file is written as `ConfigMap/name:key`, and is empty for the command. Where another line of the same text names
    another address, too, the container listens there as well, and nothing is told.
    """
    words = [*(spec.get("command") or []), *(spec.get("args") or [])]
    texts = [("", _OPTION, " ".join(words)), ("", _CALL, "\n".join(words))]
    for file, text in files_of(state, pod, spec):
        texts += [(file, _SETTING, text), (file, _CALL, text)]
    for file, pattern, text in texts:
        found = list(pattern.finditer(text[:LONGEST_FILE]))
        if found and all(_is_loopback(one["value"]) for one in found):
            yield file, found[0][0].strip()


def _is_loopback(value: str) -> bool:
    """Whether a value names loopback addresses only."""
    named = [word for word in re.split(r"[\s,]+", value.strip().strip("\"'[] ")) if word.strip("\"'")]
    return bool(named) and all(_LOOPBACK.fullmatch(word.strip("\"'")) for word in named)
