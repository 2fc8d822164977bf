"""The guestbook: the small web app of the whole course, first as one process and later as many Pods.

    GET  /          greeting, version and host name        GET  /healthz   200, or 500 after POST /sick
    GET  /entries   the visitors' entries, one a line      GET  /readyz    200 if it can take requests
    POST /entries   write an entry                         POST /sick, /well   make it sick, and well again
                                                           POST /busy, /free   make it not ready, and ready again
    GET  /hostname  the name of this container or Pod      GET  /version   v1, v2 or v3

Environment variables set it up, as the twelve-factor app demands (https://12factor.net/config):

    GREETING, GREETING_FILE   its greeting; the file wins, and the app reads the file for every request
    PORT, HOST                where it listens (8080 on every interface)
    REDIS_HOST                the Redis for the entries, as name or name:port; without it, DATA_FILE holds the entries
    DATA_FILE                 a file for the entries (/data/entries.txt)
    STARTUP_SECONDS           how long it takes until it listens (0)
    LATENCY_MS                how many milliseconds it waits before each answer (0)
    LOSSY                     how many of a hundred requests it drops (0)
    DRAIN_SECONDS             how many seconds it still answers after the signal TERM (3)

It needs Python's standard library only. So its image can be built where no package index answers.
"""

import os
import random
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def number(name, default):
    """A number from the environment. If the value is not a number, the program ends and names the variable."""
    value = os.environ.get(name) or default
    try:
        return float(value)
    except ValueError:
        sys.exit(f"guestbook: {name} is not a number: {value!r}")


VERSION = os.environ.get("VERSION", "v1")
HOSTNAME = socket.gethostname()
health = {"sick": False, "busy": False, "ending": False}


class FileEntries:
    """Entries in a file. They are lost with the container, unless the file is on a volume."""

    def __init__(self, path):
        self.path = Path(path)
        self.lock = threading.Lock()

    def read(self):
        return self.path.read_text().splitlines() if self.path.exists() else []

    def add(self, text):
        with self.lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a") as file:
                file.write(text + "\n")


class RedisEntries:
    """Entries in a Redis list.

    The protocol of Redis: https://redis.io/docs/latest/develop/reference/protocol-spec/
    """

    def __init__(self, host, port):
        self.address = (host, port)

    def read(self):
        return self.ask("LRANGE", "entries", "0", "-1")

    def add(self, text):
        self.ask("RPUSH", "entries", text)

    def ping(self):
        self.ask("PING")

    def ask(self, *words):
        request = f"*{len(words)}\r\n" + "".join(f"${len(w.encode())}\r\n{w}\r\n" for w in words)
        with socket.create_connection(self.address, timeout=2) as connection:
            connection.sendall(request.encode())
            return self.answer(connection.makefile("rb"))

    def answer(self, stream):
        line = stream.readline().decode().strip()
        kind, rest = line[:1], line[1:]
        if kind == "*":
            return [self.answer(stream) for _ in range(int(rest))]
        if kind == "$":
            return stream.read(int(rest) + 2)[:-2].decode()
        if kind in ("+", ":"):
            return rest
        raise OSError(rest or "Redis hung up")


def entries_from_environment():
    # Not REDIS_PORT: in a namespace with a Service called redis, Kubernetes sets this variable to another value.
    host, _, port = os.environ.get("REDIS_HOST", "").partition(":")
    if host:
        return RedisEntries(host, int(port or 6379))
    return FileEntries(os.environ.get("DATA_FILE", "/data/entries.txt"))


def greeting():
    file = os.environ.get("GREETING_FILE")
    if file and Path(file).exists():
        return Path(file).read_text().strip()
    return os.environ.get("GREETING", "Welcome to the guestbook!")


class Guestbook(BaseHTTPRequestHandler):
    entries = None  # set when the server starts
    latency = 0.0  # seconds
    lossy = 0.0  # of a hundred requests

    def do_GET(self):
        if self.path not in ("/healthz", "/readyz"):
            time.sleep(self.latency)
            if random.random() * 100 < self.lossy:
                self.close_connection = True  # end the connection without an answer
                return
        pages = {"/": self.home, "/entries": self.list, "/hostname": lambda: HOSTNAME, "/version": lambda: VERSION}
        if self.path == "/healthz":
            self.say(500 if health["sick"] else 200, "sick" if health["sick"] else "ok")
        elif self.path == "/readyz":
            why = self.not_ready()
            self.say(503 if why else 200, why or "ready")
        elif self.path not in pages:
            self.say(404, f"There is no page {self.path}")
        else:
            self.try_to(pages[self.path])

    def do_POST(self):
        if self.path in ("/sick", "/well", "/busy", "/free"):
            health["sick" if self.path in ("/sick", "/well") else "busy"] = self.path in ("/sick", "/busy")
            self.say(200, self.path[1:])
        elif self.path == "/entries":
            self.try_to(self.write)
        else:
            self.say(404, f"Nothing can be sent to {self.path}")

    def home(self):
        return f"{greeting()}\nThis is {VERSION} on {HOSTNAME}."

    def list(self):
        return "\n".join(self.entries.read()) or "No entries yet."

    def write(self):
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode(errors="replace")
        self.entries.add(" ".join(text.split())[:200])
        return "Written."

    def not_ready(self):
        """Why this server cannot take requests; None if it can."""
        for state in ("ending", "busy"):
            if health[state]:
                return state
        if VERSION == "v3":
            return "v3 is never ready: this release is broken"
        if isinstance(self.entries, RedisEntries):
            try:
                self.entries.ping()
            except OSError as error:
                return f"Redis at {self.entries.address[0]} does not answer: {error}"
        return None

    def try_to(self, page):
        try:
            self.say(200, page())
        except OSError as error:
            where = f"Redis at {self.entries.address[0]}" if isinstance(self.entries, RedisEntries) else "the data file"
            self.say(503, f"Cannot use {where}: {error}")

    def say(self, status, text):
        body = (text + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Guestbook-Host", HOSTNAME)
        self.send_header("X-Guestbook-Version", VERSION)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        if not self.path.endswith("z"):  # the requests of probes would hide all others
            print(self.command, self.path, *args[1:2], flush=True)


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # many clients may connect at the same time


def end(*_):
    """On the signal TERM: not ready any more, but it answers until the nodes have updated their rules."""
    health["ending"] = True
    print("guestbook: asked to end", flush=True)
    threading.Timer(number("DRAIN_SECONDS", 3), lambda: os._exit(0)).start()


def main():
    signal.signal(signal.SIGTERM, end)
    host, port = os.environ.get("HOST", "0.0.0.0"), int(number("PORT", 8080))
    Guestbook.latency, Guestbook.lossy = number("LATENCY_MS", 0) / 1000, number("LOSSY", 0)
    Guestbook.entries = entries_from_environment()
    time.sleep(number("STARTUP_SECONDS", 0))
    try:
        server = Server((host, port), Guestbook)
    except OSError as error:
        sys.exit(f"guestbook: cannot listen on {host}:{port}: {error.strerror}")
    print(f"guestbook: {VERSION} listens on {host}:{port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
