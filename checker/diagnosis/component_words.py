"""The words of a component about an object, unchanged.

The component is the scheduler, the API server, the kubelet, or a program in a container.
"""

from __future__ import annotations

import re

from checker.model.fault import Fault

# The facts that hold such words, by name.
_FACTS = ("message", "answer", "quote")


def words_of(fault: Fault) -> str:
    """The component's own words in a fault; empty where no fact holds them."""
    return next((str(fault.facts[name]) for name in _FACTS if fault.facts.get(name)), "")


def in_one_line(words: str, length: int) -> str:
    """Words with every white space as one blank, cut after `length` characters."""
    return re.sub(r"\s+", " ", words).strip()[:length]
