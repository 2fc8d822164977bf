"""Asking: requests, connections and names, with nothing but Python's standard library.

The observer imports it; and it runs inside a learner's own Pod, where a question must come from there (what that Pod's
DNS says, which paths are open to it): `python3 -c THIS QUESTIONS` prints the answers, both as JSON.

A question is one of
  {"do": "http", "url": …, "times": n}         -> [{"status", "text", "host", "version", "error", "count"}]: each
                                                  answer once, with how often it came
  {"do": "each", "urls": {name: url}}          -> {name: {"status", …}}, one request each
  {"do": "tcp", "to": ["10.244.1.5:8080"]}     -> {"10.244.1.5:8080": "open" | "refused" | "timeout" | …}
  {"do": "dns", "names": […]}                  -> {name: {"addresses": […], "error": …}}
  {"do": "read", "files": […]}                 -> {path: text, or None where it cannot be read}; 4096 characters at most
  {"do": "told", "variable": NAME}             -> {"value": …, "addresses": […], "error": …}: a variable of the
                                                  container that this runs in, as its program has it, and where the
                                                  host (and port) that it names leads to
"""

import http.client
import json
import os
import socket
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

TIMEOUT = 2.0  # seconds that one request or connection may take
PROCESSES = Path("/proc")
FIRST = 16  # requests after which it shows whether anybody answers at all


def error_word(error):
    """One word for what went wrong with a connection."""
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, socket.gaierror):
        return "no-such-host"
    if isinstance(error, (ConnectionResetError, http.client.RemoteDisconnected, BrokenPipeError)):
        return "reset"
    return type(error).__name__


def addresses(name):
    """The IPv4 addresses of a name. Raises OSError where there are none."""
    return sorted({found[4][0] for found in socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)})


def fetch(url, address=None, timeout=TIMEOUT):
    """One GET over its own connection: the Service chooses a Pod anew. address: the host's, where it is known."""
    parts = urlsplit(url)
    headers = {"Host": parts.netloc, "Connection": "close", "User-Agent": "kubeclass-observer"}
    connection = None
    try:
        at = address or addresses(parts.hostname)[0]
        connection = http.client.HTTPConnection(at, parts.port or 80, timeout=timeout)
        connection.request("GET", parts.path or "/", headers=headers)
        answer = connection.getresponse()
        text = answer.read(4096).decode(errors="replace").strip()
        return {
            "status": answer.status,
            "text": text,
            "host": answer.headers.get("X-Guestbook-Host", ""),
            "version": answer.headers.get("X-Guestbook-Version", ""),
            "error": "",
        }
    except (OSError, http.client.HTTPException) as error:
        return {"status": 0, "text": "", "host": "", "version": "", "error": error_word(error)}
    finally:
        if connection:
            connection.close()


def ask_http(question, pool):
    url, times = question["url"], question.get("times", 1)
    try:
        known = addresses(
            urlsplit(url).hostname
        )  # once: many requests are not to be many questions to the cluster's DNS
    except OSError:
        known = [None]
    got = list(pool.map(lambda n: fetch(url, known[n % len(known)]), range(min(times, FIRST))))
    if any(
        not answer["error"] for answer in got
    ):  # when nobody is there, more of the same tells nothing and takes long
        got += pool.map(lambda n: fetch(url, known[n % len(known)]), range(FIRST, times))
    answers = Counter(json.dumps(answer, sort_keys=True) for answer in got)
    return [{**json.loads(answer), "count": count} for answer, count in sorted(answers.items())]


def ask_each(question, pool):
    return {
        name: {**answer, "count": 1}
        for name, answer in zip(question["urls"], pool.map(fetch, question["urls"].values()), strict=True)
    }


def knock(address):
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=TIMEOUT).close()
        return "open"
    except OSError as error:
        return error_word(error)


def ask_tcp(question, pool):
    return dict(zip(question["to"], pool.map(knock, question["to"]), strict=True))


def look_up(name):
    try:
        return {"addresses": addresses(name), "error": ""}
    except OSError as error:
        return {"addresses": [], "error": error_word(error)}


def ask_dns(question, pool):
    return dict(zip(question["names"], pool.map(look_up, question["names"]), strict=True))


def read_file(path):
    try:
        with Path(path).open(errors="replace") as file:
            return file.read(4096)
    except OSError:
        return None


def ask_read(question, pool):
    return {path: read_file(path) for path in question["files"]}


def told(name):
    """A variable as the guestbook's process has it (its command may have set it), else as the container has it."""
    value = os.environ.get(name, "")
    for process in sorted(PROCESSES.glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            runs, has = ((process / what).read_text(errors="replace").split("\0") for what in ("cmdline", "environ"))
        except OSError:  # it has ended, or is somebody else's
            continue
        if any(word.endswith("app.py") for word in runs):
            value = next((entry.partition("=")[2] for entry in has if entry.startswith(f"{name}=")), value)
    return value


def ask_told(question, pool):
    value = told(question["variable"])
    try:
        return {"value": value, **look_up(value.partition(":")[0])}
    except UnicodeError:  # what Python says of a host that cannot be a name
        return {"value": value, "addresses": [], "error": "no-name"}


ASK = {"http": ask_http, "each": ask_each, "tcp": ask_tcp, "dns": ask_dns, "read": ask_read, "told": ask_told}


def ask_one(known, question, pool):
    try:
        return known[question["do"]](question, pool)
    except Exception as error:  # a question that fails must not take the others' answers away
        return {"error": f"{type(error).__name__}: {error}"}


def ask_all(known, questions):
    """Answers to questions by key, all asked side by side."""
    # One pool for asking and one for the requests: a question waits for its requests, so one pool could lock up.
    with ThreadPoolExecutor(16) as requests, ThreadPoolExecutor(16) as askers:
        asked = {key: askers.submit(ask_one, known, question, requests) for key, question in questions.items()}
        return {key: future.result() for key, future in asked.items()}


if __name__ == "__main__":
    print(json.dumps(ask_all(ASK, json.loads(sys.argv[1]))))
