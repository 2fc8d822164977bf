"""Answers: what came back for requests, wherever they were made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What came back for one request. `error` is empty, or one word: refused, timeout, no-such-host, reset."""

    status: int
    text: str
    host: str = ""  # the Pod that says that it answered
    version: str = ""
    error: str = ""

    @property
    def ok(self) -> bool:
        return self.status == 200

    @property
    def never_arrived(self) -> bool:
        """Whether the request found no server: a fault of the way there, which may only be new, and not of the app."""
        return self.error in ("refused", "timeout", "no-such-host")

    @property
    def words(self) -> str:
        """The answer in a few words."""
        return self.error or (f"status {self.status}" if not self.ok else self.text[:80])


class Answers(list[Answer]):
    """The answers to a number of requests; the questions that tasks ask of them."""

    @property
    def hosts(self) -> set[str]:
        """The Pods that answered well."""
        return {answer.host or answer.text for answer in self if answer.ok}

    @property
    def bad(self) -> list[Answer]:
        return [answer for answer in self if not answer.ok]


def answers(seen: list[dict[str, Any]]) -> Answers:
    """Counted answers, as the observer sends them, one by one again."""
    return Answers(
        Answer(**{name: value for name, value in entry.items() if name != "count"})
        for entry in seen
        for _ in range(entry.get("count", 1))
    )
