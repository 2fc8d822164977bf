"""The one kind of error that a person is meant to read."""

from __future__ import annotations


class Problem(Exception):
    """Something that stops a command, told so that the reader can go on.

    what: what is wrong, one sentence.
    next_step: what to do about it, usually a command.
    kept: what was left as it was, where that is not obvious.
    exit_code: 3 unless a command documents another.
    """

    def __init__(self, what: str, next_step: str, kept: str = "", exit_code: int = 3) -> None:
        super().__init__(what)
        self.what, self.next_step, self.kept, self.exit_code = what, next_step, kept, exit_code

    def __str__(self) -> str:
        kept = f"\n  Left as it was: {self.kept}" if self.kept else ""
        return f"{self.what}{kept}\n  Next: {self.next_step}"
