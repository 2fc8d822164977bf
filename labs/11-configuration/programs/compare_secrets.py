"""Comparing: whether what a container was given is what it should be, without its value leaving the container.

It runs inside a learner's own Pod (see checker/collect/exec.py): `python3 -c THIS QUESTIONS` prints the answers, both
as JSON. The values of a Secret never get into a State: an answer describes a value, and does not hold it.

A question is {"variable": NAME, "expected": text} or {"file": PATH, "expected": text}. Its answer:
  {"there": False}                     there is no such variable or file, or it cannot be read
  {"there": True, "length": n, "is": "equal" | "blank" | "encoded" | "other"}
blank: right but for white space around it; encoded: the right value in base64, once or twice.
"""

import base64
import binascii
import json
import os
import sys
from pathlib import Path
from typing import Any


def decoded(value: bytes) -> bytes:
    """What base64 stands for, or nothing where it is no base64."""
    try:
        return base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def value_of(question: dict[str, Any]) -> bytes | None:
    """The value that a question is about, or None where it is not there."""
    if "variable" in question:
        value = os.environ.get(question["variable"])
        return None if value is None else os.fsencode(value)
    try:
        return Path(question["file"]).read_bytes()
    except OSError:
        return None


def compare(value: bytes, expected: bytes) -> str:
    """One word for how a value is like the expected one."""
    if value == expected:
        return "equal"
    if value.strip() == expected.strip():
        return "blank"
    if expected.strip() in (decoded(value).strip(), decoded(decoded(value)).strip()):
        return "encoded"
    return "other"


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """The answer to one question (see the module's text)."""
    value = value_of(question)
    if value is None:
        return {"there": False}
    return {
        "there": True,
        "length": len(value.decode(errors="replace")),
        "is": compare(value, question["expected"].encode()),
    }


if __name__ == "__main__":
    print(json.dumps({key: answer(question) for key, question in json.loads(sys.argv[1]).items()}))
