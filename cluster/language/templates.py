"""Templates: sentences with named slots, as the files of sentences hold them, and how facts are written into them.

A template is plain text with these marks:

    {name}            the fact `name`. A list is written `a, b`; labels are written `key=value,key=value`
    {name&}           a list as `a, b and c`;  {name/} as `a, b or c`
    {name?none}       the fact, or the word `none` where the fact is empty
    {name:Pod}        a number with its noun: `1 Pod`, `3 Pods`. A list counts as its length
    {name:entry|entries}   a number with its noun, where the plural takes more than an s
    {#name:is|are}    only the word: the first for one, the second for any other number
    [ … ]             a part that is left out where one of the facts in it is empty
    {{ }} [[ ]]       the characters themselves

So singular, plural and lists are handled here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from typing import Any

# What a terminal takes as a command, and what no file can hold: a fact may be what a stranger wrote.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_SLOT = re.compile(r"(#?)([a-z_][a-z0-9_]*)([&/]?)(?:\?([^:}]*))?(?::([^}|]+)(?:\|([^}]*))?)?")


class TemplateError(ValueError):
    """A template that cannot be read, or that names a fact which is not there."""


@dataclass(frozen=True)
class Slot:
    """One slot of a template: which fact, and how it is written."""

    name: str
    only_word: bool = False
    joined_by: str = ""  # "&" or "/"
    default: str = ""
    one: str = ""
    many: str = ""


Part = str | Slot | tuple["Part", ...]  # a tuple is an optional part


@cache
def parse(template: str) -> tuple[Part, ...]:
    """The parts of a template. Raises TemplateError, which says what is wrong where."""
    parts, end = _parse(template, 0, inside=False)
    if end != len(template):
        raise TemplateError(f"a ] without its [ at character {end + 1}: {template}")
    return parts


def _parse(template: str, at: int, inside: bool) -> tuple[tuple[Part, ...], int]:
    parts: list[Part] = []
    text = ""
    while at < len(template):
        mark = template[at]
        if mark in "{}[]" and template[at : at + 2] == mark * 2 and not (mark == "]" and inside):
            text, at = text + mark, at + 2
        elif mark == "{":
            end = template.find("}", at)
            found = _SLOT.fullmatch(template[at + 1 : end]) if end > 0 else None
            if not found:
                raise TemplateError(f"a slot that cannot be read at character {at + 1}: {template}")
            only_word, name, joined, default, one, many = found.groups()
            parts += [text] if text else []
            parts.append(
                Slot(name, bool(only_word), joined, default or "", one or "", many or (f"{one}s" if one else ""))
            )
            text, at = "", end + 1
        elif mark == "[":
            if inside:
                raise TemplateError(f"a [ inside an optional part at character {at + 1}: {template}")
            parts += [text] if text else []
            optional, end = _parse(template, at + 1, inside=True)
            if end >= len(template):
                raise TemplateError(f"a [ without its ] at character {at + 1}: {template}")
            parts.append(optional)
            text, at = "", end + 1
        elif mark in "]}":
            if mark == "}":
                raise TemplateError(f"a }} without its {{ at character {at + 1}: {template}")
            break
        else:
            text, at = text + mark, at + 1
    return (*parts, text) if text else tuple(parts), at


def slots(template: str) -> set[str]:
    """The names of all facts that a template uses."""

    def names(parts: tuple[Part, ...]) -> set[str]:
        found: set[str] = set()
        for part in parts:
            found |= {part.name} if isinstance(part, Slot) else names(part) if isinstance(part, tuple) else set()
        return found

    return names(parse(template))


def fill(template: str, facts: Mapping[str, Any], conjunctions: tuple[str, str] = ("and", "or")) -> str:
    """A template with the facts written into it. Raises TemplateError for a slot without a fact.

    conjunctions: the words between the last two items of a list, in the template's language.
    A fact that ends with a full stop, such as a quoted line of a log, brings no second one to the end of the sentence.
    """
    written = ""
    for part in parse(template):
        text = _written(part, facts, conjunctions)
        is_second_stop = re.match(r"\.(?:\s|$)", text) and re.search(r"[^.]\.$", written)
        written += text[1:] if is_second_stop else text
    return written


def _written(part: Part, facts: Mapping[str, Any], conjunctions: tuple[str, str]) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, tuple):
        names = {slot.name for slot in part if isinstance(slot, Slot) and not slot.default}
        if any(is_empty(_fact(facts, name)) for name in names):
            return ""
        return "".join(_written(inner, facts, conjunctions) for inner in part)
    value = _fact(facts, part.name)
    if part.one:
        number = len(value) if isinstance(value, Sequence | Set) and not isinstance(value, str) else value
        noun = part.one if number == 1 else part.many
        return noun if part.only_word else f"{number} {noun}"
    return (as_text(value, part.joined_by, conjunctions) if not is_empty(value) else "") or part.default


def _fact(facts: Mapping[str, Any], name: str) -> Any:
    if name not in facts:
        raise TemplateError(f"there is no fact {name!r}; there are {', '.join(sorted(facts)) or 'none'}")
    return facts[name]


def is_empty(value: Any) -> bool:
    """Whether a fact holds nothing that could be written. 0 is something."""
    return value is None or (isinstance(value, str | Sequence | Set | Mapping) and not value)


def as_text(value: Any, joined_by: str = "", conjunctions: tuple[str, str] = ("and", "or")) -> str:
    """A fact as it is written: text and numbers as they are, a list with commas, labels as kubectl writes them."""
    if isinstance(value, Mapping):
        return ",".join(f"{key}={one}" for key, one in sorted(value.items()))
    if isinstance(value, Sequence | Set) and not isinstance(value, str):
        items = [as_text(one) for one in (sorted(value) if isinstance(value, Set) else value)]
        if joined_by and len(items) > 1:
            return f"{', '.join(items[:-1])} {conjunctions[joined_by == '/']} {items[-1]}"
        return ", ".join(items)
    if isinstance(value, float):
        return f"{value:g}"
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(value).replace("\r\n", "\n"))
