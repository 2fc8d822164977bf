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
"""

import http.client
import json
import socket
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

TIMEOUT = 2.0  # seconds that one request or connection may take
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


def fetch(url, address=None, timeout=TIMEOUT, resolve=addresses):
    """One GET over its own connection: the Service chooses a Pod anew.

    address: the host's, where it is known. resolve: gives a host's addresses; it raises OSError where there are none.
    """
    parts = urlsplit(url)
    headers = {"Host": parts.netloc, "Connection": "close", "User-Agent": "kubeclass-observer"}
    connection = None
    try:
        at = address or resolve(parts.hostname)[0]
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


def ask_http(question, pool, resolve=addresses):
    url, times = question["url"], question.get("times", 1)
    try:
        known = resolve(urlsplit(url).hostname)  # once: many requests are not to be many questions to the cluster's DNS
    except OSError:
        known = [None]

    def get(n):
        return fetch(url, known[n % len(known)], resolve=resolve)

    got = list(pool.map(get, range(min(times, FIRST))))
    if any(
        not answer["error"] for answer in got
    ):  # when nobody is there, more of the same tells nothing and takes long
        got += pool.map(get, range(FIRST, times))
    answers = Counter(json.dumps(answer, sort_keys=True) for answer in got)
    return [{**json.loads(answer), "count": count} for answer, count in sorted(answers.items())]


def ask_each(question, pool, resolve=addresses):
    got = pool.map(lambda url: fetch(url, resolve=resolve), question["urls"].values())
    return {name: {**answer, "count": 1} for name, answer in zip(question["urls"], got, strict=True)}


def knock(address, resolve=addresses):
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((resolve(host)[0], int(port)), timeout=TIMEOUT).close()
        return "open"
    except OSError as error:
        return error_word(error)


def ask_tcp(question, pool, resolve=addresses):
    words = pool.map(lambda address: knock(address, resolve), question["to"])
    return dict(zip(question["to"], words, strict=True))


def look_up(name):
    try:
        return {"addresses": addresses(name), "error": ""}
    except OSError as error:
        return {"addresses": [], "error": error_word(error)}


def ask_dns(question, pool, resolve=addresses):
    return dict(zip(question["names"], pool.map(look_up, question["names"]), strict=True))


def read_file(path):
    try:
        with Path(path).open(errors="replace") as file:
            return file.read(4096)
    except OSError:
        return None


def ask_read(question, pool, resolve=addresses):
    return {path: read_file(path) for path in question["files"]}


ASK = {"http": ask_http, "each": ask_each, "tcp": ask_tcp, "dns": ask_dns, "read": ask_read}


def ask_one(known, question, pool, resolve):
    try:
        return known[question["do"]](question, pool, resolve)
    except Exception as error:  # a question that fails must not take the others' answers away
        return {"error": f"{type(error).__name__}: {error}"}


def ask_all(known, questions, resolve=addresses):
    """Answers to questions by key, all asked side by side."""
    with ThreadPoolExecutor(16) as requests:
        return ask_with(requests, known, questions, resolve)


def ask_with(requests, known, questions, resolve):
    """The same with a pool of threads for the requests.

    The questions have another pool: a question waits for its requests, so one pool could lock up.
    """
    with ThreadPoolExecutor(16) as askers:
        asked = {key: askers.submit(ask_one, known, question, requests, resolve) for key, question in questions.items()}
        return {key: future.result() for key, future in asked.items()}


if __name__ == "__main__":
    print(json.dumps(ask_all(ASK, json.loads(sys.argv[1]))))
