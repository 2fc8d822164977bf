"""The app of the course, run as a process, and against a Redis that speaks just enough."""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from cluster import paths

APP = paths.COURSE / "lessons" / "guestbook" / "app.py"
Start = Callable[..., str]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a guestbook with some environment, and returns its address."""
    running: list[subprocess.Popen[str]] = []

    def begin(**env: str) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = {
            "PORT": str(port),
            "HOST": "127.0.0.1",
            "DATA_FILE": str(tmp_path / "entries"),
            "DRAIN_SECONDS": "0.5",
            **env,
        }
        running.append(
            subprocess.Popen(
                [sys.executable, APP], env={"PATH": os.environ["PATH"], **settings}, stdout=subprocess.DEVNULL
            )
        )
        begin.process = running[-1]  # type: ignore[attr-defined]
        end = time.monotonic() + 10
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < end:
            time.sleep(0.02)
        return f"http://127.0.0.1:{port}"

    yield begin
    for process in running:
        process.kill()
        process.wait()


def get(url: str, data: bytes | None = None) -> tuple[int, str]:
    try:
        with urlopen(Request(url, data=data), timeout=5) as answer:
            return answer.status, answer.read().decode().strip()
    except HTTPError as error:
        return error.code, error.read().decode().strip()


def test_it_greets_and_says_who_and_which_version(start: Start) -> None:
    url = start(VERSION="v2", GREETING="Hello")
    assert get(url) == (200, f"Hello\nThis is v2 on {socket.gethostname()}.")
    assert get(url + "/version") == (200, "v2")
    assert get(url + "/hostname") == (200, socket.gethostname())
    assert get(url + "/no-such-page")[0] == 404


def test_a_greeting_from_a_file_follows_the_file(start: Start, tmp_path: Path) -> None:
    (tmp_path / "greeting").write_text("Good morning\n")
    url = start(GREETING="Hello", GREETING_FILE=str(tmp_path / "greeting"))
    assert get(url)[1].startswith("Good morning\n")
    (tmp_path / "greeting").write_text("Good evening\n")
    assert get(url)[1].startswith("Good evening\n")


def test_entries_are_kept_in_the_file(start: Start) -> None:
    assert get(start() + "/entries") == (200, "No entries yet.")
    assert get(start() + "/entries", b"Ada  was\nhere") == (200, "Written.")
    assert get(start() + "/entries") == (200, "Ada was here")


def test_sick_and_well(start: Start) -> None:
    url = start()
    assert get(url + "/healthz") == (200, "ok")
    get(url + "/sick", b"")
    assert get(url + "/healthz") == (500, "sick")
    get(url + "/well", b"")
    assert get(url + "/healthz") == (200, "ok")


def test_busy_and_free(start: Start) -> None:
    url = start()
    get(url + "/busy", b"")
    assert get(url + "/readyz") == (503, "busy")
    assert get(url + "/healthz") == (200, "ok")
    assert get(url + "/version") == (200, "v1")  # it serves what still arrives
    get(url + "/free", b"")
    assert get(url + "/readyz") == (200, "ready")


def test_v3_is_never_ready_and_v1_is(start: Start) -> None:
    assert get(start() + "/readyz") == (200, "ready")
    assert get(start(VERSION="v3") + "/readyz")[0] == 503


def test_asked_to_end_it_is_unready_still_serves_and_ends_well(start: Start) -> None:
    url = start(DRAIN_SECONDS="4")  # a busy machine takes its time for what is asked below
    start.process.send_signal(signal.SIGTERM)  # type: ignore[attr-defined]
    time.sleep(0.1)
    assert get(url + "/readyz") == (503, "ending")
    assert get(url + "/version") == (200, "v1")
    assert start.process.wait(10) == 0  # type: ignore[attr-defined]


def test_lossy_drops_and_slow_is_slow(start: Start) -> None:
    with pytest.raises(OSError):
        urlopen(start(LOSSY="100"), timeout=5)
    begin = time.monotonic()
    assert get(start(LATENCY_MS="300"))[0] == 200
    assert time.monotonic() - begin > 0.3


@pytest.mark.parametrize("name", ["PORT", "LATENCY_MS", "STARTUP_SECONDS"])
def test_nonsense_in_the_environment_is_named(name: str) -> None:
    done = subprocess.run(
        [sys.executable, APP],
        env={"PATH": os.environ["PATH"], name: "eighty"},
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, f"guestbook: {name} is not a number: 'eighty'\n")


class Redis(socketserver.StreamRequestHandler):
    entries: ClassVar[list[bytes]] = []

    def handle(self) -> None:
        while line := self.rfile.readline():
            words = [self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2] for _ in range(int(line[1:]))]
            if words[0] == b"RPUSH":
                self.entries.append(words[2])
                self.wfile.write(b":%d\r\n" % len(self.entries))
            elif words[0] == b"LRANGE":
                self.wfile.write(
                    b"*%d\r\n" % len(self.entries) + b"".join(b"$%d\r\n%s\r\n" % (len(e), e) for e in self.entries)
                )
            else:
                self.wfile.write(b"+PONG\r\n")


def test_entries_in_redis_and_readiness_with_it(start: Start) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Redis) as redis:
        threading.Thread(target=redis.serve_forever, daemon=True).start()
        url = start(REDIS_HOST=f"127.0.0.1:{redis.server_address[1]}")
        assert get(url + "/readyz") == (200, "ready")
        assert get(url + "/entries", "Grüße".encode()) == (200, "Written.")
        assert get(url + "/entries") == (200, "Grüße")
        redis.shutdown()
    status, said = get(url + "/readyz")
    assert (status, said.split(":")[0]) == (503, "Redis at 127.0.0.1 does not answer")
    assert get(url + "/entries")[0] == 503
    assert get(url + "/healthz") == (200, "ok")  # a sick Redis is no reason to restart the guestbook
