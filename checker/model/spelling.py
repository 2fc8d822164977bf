"""Names: the nearest of some known ones (did you mean?), and how several are written."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches


def nearest(name: str, known: Iterable[str], cutoff: float = 0.7) -> str | None:
    """The known name that is most like `name`, or None where none is much like it. Case never matters."""
    by_lower = {candidate.lower(): candidate for candidate in known if candidate != name}
    matches = get_close_matches(name.lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[matches[0]] if matches else None


def nearest_labels(wanted: dict[str, str], candidates: Iterable[dict[str, str]]) -> dict[str, str] | None:
    """Of some label sets the one most like `wanted`: the most pairs in common, then the likest in spelling.

    Returns None where no set has anything in common with it, neither a key nor a similar pair.
    """

    def likeness(labels: dict[str, str]) -> float:
        score = 0.0
        for key, value in wanted.items():
            if labels.get(key) == value:
                score += 1
            elif key in labels and nearest(value, [labels[key]], 0.5):
                score += 0.75 + SequenceMatcher(None, value, labels[key]).ratio() / 10
            elif key in labels or value in labels.values() or nearest(f"{key}={value}", map("=".join, labels.items())):
                score += 0.5
        return score

    different: dict[frozenset[tuple[str, str]], dict[str, str]] = {}
    for labels in candidates:
        different.setdefault(frozenset(labels.items()), labels)
    scored = [(likeness(labels), labels) for labels in different.values()]
    best = max(scored, key=lambda pair: pair[0], default=(0.0, {}))
    return best[1] if best[0] > 0 else None


def pairs(labels: dict[str, str]) -> str:
    """Labels as kubectl writes them: `app=guestbook,tier=web`."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "(none)"


def is_address(host: str) -> bool:
    """Whether a host is written as an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
