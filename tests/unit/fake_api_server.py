"""An API server of our own that lists, streams, hangs up, and falls silent; and waiting until something is so."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

END, BREAK = (
    "end",
    "break",
)  # of a watch: as the API server ends each one after some minutes, and as a connection breaks


class Answering(BaseHTTPRequestHandler):
    """Answers requests in JSON, and logs nothing."""

    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: Any) -> None:
        """body: bytes are sent as they are, None is an empty answer, everything else is sent as JSON."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


class Listening(ThreadingHTTPServer):
    """A server at `url`, a free port of 127.0.0.1, that answers as soon as it is made."""

    daemon_threads = True

    def __init__(self, handler: type[Answering]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(Answering):
    server: Cluster

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        plural = url.path.rpartition("/")[2]
        self.server.requests.append(self.path)
        self.server.awake.wait()
        if plural in self.server.forbidden or (plural, "fieldSelector" in url.query) in self.server.forbidden:
            self.answer(403, {"message": f"{plural} is forbidden"})
        elif "watch" in parse_qs(url.query):
            self.stream(plural)
        else:
            with self.server.lock:
                items = list(self.server.objects.get(plural, {}).values())
                version = str(self.server.version)
            self.answer(200, {"metadata": {"resourceVersion": version}, "items": items})

    def stream(self, plural: str) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        events: queue.Queue[Any] = queue.Queue()
        self.server.watchers.append((plural, events))
        while (event := events.get()) not in (END, BREAK):
            line = json.dumps(event).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()
        if event == END:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True


class Cluster(Listening):
    def __init__(self) -> None:
        self.requests: list[str] = []
        self.objects: dict[str, dict[str, Any]] = {}
        self.watchers: list[tuple[str, queue.Queue[Any]]] = []
        self.forbidden: set[Any] = set()
        self.lock, self.version = threading.Lock(), 1
        self.awake = threading.Event()
        self.awake.set()
        super().__init__(Handler)

    def put(self, plural: str, name: str, namespace: str = "learn", event: str = "ADDED", **content: Any) -> None:
        with self.lock:
            self.version += 1
            raw = {
                "metadata": {"name": name, "namespace": namespace, "uid": name, "resourceVersion": str(self.version)},
                **content,
            }
            known = self.objects.setdefault(plural, {})
            known.pop(name, None)
            if event != "DELETED":
                known[name] = raw
        self.send(plural, {"type": event, "object": raw})

    def send(self, plural: str, event: Any) -> None:
        """To everybody who watches a kind (all kinds: *)."""
        for watched, events in self.watchers:
            if plural in (watched, "*"):
                events.put(event)
        if event in (END, BREAK) or event["type"] == "ERROR":
            self.watchers = [one for one in self.watchers if plural not in (one[0], "*")]


def until(what: Callable[[], Any], timeout: float = 30) -> Any:
    """Wait until something is so; what it was then."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.01)
    raise AssertionError("it never was so")
