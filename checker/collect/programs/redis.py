"""Asking a Redis from this container."""

import socket
from typing import Any


class Redis:
    """One connection, in Redis' own protocol: https://redis.io/docs/latest/develop/reference/protocol-spec/

    Each method raises OSError if Redis does not answer in time, hangs up, or answers with an error.
    """

    def __init__(self, host: str, port: int, timeout: float = 2.0) -> None:
        """timeout: in seconds, for the connection and for each answer."""
        self.stream = socket.create_connection((host, port), timeout=timeout).makefile("rwb")

    def ask(self, *words: str) -> Any:
        """The answer to one command: a text, or a list of answers."""
        encoded = [word.encode() for word in words]
        self.stream.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded))
        self.stream.flush()
        return self.answer()

    def answer(self) -> Any:
        line = self.stream.readline().decode().strip()
        kind, rest = line[:1], line[1:]
        if kind == "*":
            return [self.answer() for _ in range(int(rest))]
        if kind == "$":
            return self.stream.read(int(rest) + 2)[:-2].decode(errors="replace")
        if kind in ("+", ":"):
            return rest
        raise OSError(rest or "Redis hung up")

    def settings(self, *names: str) -> dict[str, str]:
        """Some of its settings, by name."""
        answered = self.ask("CONFIG", "GET", *names)
        return dict(zip(answered[::2], answered[1::2], strict=True))

    def info(self, section: str) -> dict[str, str]:
        """One section of what it tells of itself: {name: text}."""
        lines = self.ask("INFO", section).splitlines()
        return dict(line.partition(":")[::2] for line in lines if ":" in line)

    def calls(self) -> dict[str, int]:
        """How often each command was run since this process began, by the command's name in small letters."""
        return {
            name.removeprefix("cmdstat_").lower(): int(line.partition("calls=")[2].partition(",")[0])
            for name, line in self.info("commandstats").items()
            if name.startswith("cmdstat_")
        }
