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

import ipaddress
import json
import os
import sys
from typing import Any

from checker.collect.programs.dns import look_up
from checker.collect.programs.guestbook import answer_at, app_variables


def environment() -> dict[str, str]:
    """The variables of the guestbook's process, which its command may have set; else those of the container."""
    own = app_variables()
    return dict(os.environ) if own is None else own


def kind_of(host: str, addresses: list[str]) -> str:
    """In one word what a host is: no value, an IP address, a DNS name that holds its own IP address, or a name."""
    if not host:
        return "none"
    try:
        ipaddress.ip_address(host)
        return "address"
    except ValueError:
        return "address-as-name" if host.partition(".")[0].replace("-", ".") in addresses else "name"


def answers(question: dict[str, Any]) -> dict[str, Any]:
    has = environment()
    value = has.get(question["variable"], "")
    host = value.partition(":")[0]
    lookup: dict[str, Any] = look_up(host) if host else {"addresses": [], "error": ""}
    variable = {"value": "" if question["hidden"] else value, "kind": kind_of(host, lookup["addresses"]), **lookup}
    return {
        "variable": variable,
        "names": {name: look_up(name) for name in question["names"]},
        "entries": [answer_at(has.get("PORT") or "8080", "/entries")],
    }


if __name__ == "__main__":
    print(json.dumps(answers(json.loads(sys.argv[1]))))
