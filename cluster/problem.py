"""The one kind of error that a person is meant to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Problem(Exception):
    """Something that stops a command, told so that the reader can go on.

    It is made by `problem(id, **facts)` of cluster/language, or of the checker's catalogue.

    what: what is wrong, one sentence.
    next_step: what to do about it, usually a command.
    kept: what was left as it was, where that is not obvious.
    exit_code: 3 unless a command documents another.
    text: all of this as one text, in the language in which it was made.
    id, facts: the sentence's id, and the facts in it.
    """

    def __init__(
        self,
        what: str,
        next_step: str,
        kept: str = "",
        exit_code: int = 3,
        text: str = "",
        id: str = "",
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(what)
        self.what, self.next_step, self.kept, self.exit_code = what, next_step, kept, exit_code
        self.text = text or "\n  ".join(filter(None, (what, kept, next_step)))
        self.id, self.facts = id, facts or {}

    def __str__(self) -> str:
        return self.text
