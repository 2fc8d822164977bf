"""Strategies of hypothesis: data that is like what is expected, and wrong in a place."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

# What has been trouble elsewhere: control characters, half of a surrogate pair, other scripts, numbers in disguise.
TEXTS = [
    "",
    " ",
    "\0",
    "\x1b[2J",
    "\ud800",
    "ä",
    "🙂",
    "-1",
    "1e999",
    "0x1",
    "null",
    "{}",
    "[]",
    "a\nb",
    "{x}",
    "[x]",
    "%s",
]
TEXTS += ["2026-13-45", "2026-01-01", "9" * 5000, "../x", "${HOME}", "\u2028", "٣", "²"]
texts = st.sampled_from(TEXTS) | st.text(max_size=20)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0, -1, 2**63, 1e308])
leaves = st.none() | st.booleans() | numbers | texts
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
Place = tuple[Any, ...]


def places(data: Any, at: Place = ()) -> Iterator[Place]:
    """The way to every value of JSON-like data, the whole first."""
    yield at
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in entries:
        yield from places(value, (*at, key))


@st.composite
def changed(draw: Callable[[Any], Any], data: Any, of: list[Place] | None = None, by: Any = anything) -> Any:
    """A copy of the data with one to three values replaced, or left out.

    of: the places that may be changed; by default all. by: what comes in place of a value.
    """
    made = copy.deepcopy(data)
    for place in draw(st.lists(st.sampled_from(of or list(places(data))), min_size=1, max_size=3)):
        if not place:
            return draw(by)
        *way, last = place
        try:
            inner = made
            for key in way:
                inner = inner[key]
            if by is anything and draw(st.booleans()) and isinstance(inner, dict):
                inner.pop(last, None)
            else:
                inner[last] = draw(by)
        except (KeyError, IndexError, TypeError):  # an earlier change has removed this place
            continue
    return made
