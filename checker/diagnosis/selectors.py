"""Label selectors: what one matches, the labels that several can tell apart, and how one is written.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, product
from typing import Any

from checker.model.spelling import pairs

ANOTHER = "another"  # a label's value that no selector names
MOST_SETS = 4096  # of labels that are tried


def selects(selector: dict[str, Any] | None, labels: dict[str, str]) -> bool:
    """Whether a label selector matches these labels. An empty one matches everything.

    Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#resources-that-support-set-based-requirements
    """
    selector = selector or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for wanted in selector.get("matchExpressions") or []:
        key, values = wanted["key"], wanted.get("values") or []
        met = {
            "In": key in labels and labels[key] in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not met[wanted["operator"]]:
            return False
    return True


def label_sets(selectors: Iterable[dict[str, Any] | None]) -> Iterator[dict[str, str]]:
    """Labels that a Pod may have: one set for each case that these selectors can tell apart (of very many, the first).

    In a set, each key that the selectors name is missing, has a value that they name, or has another value.
    """
    values: dict[str, list[str | None]] = {}
    for selector in (selector or {} for selector in selectors):
        for key, value in (selector.get("matchLabels") or {}).items():
            values.setdefault(key, [None, ANOTHER]).append(value)
        for wanted in selector.get("matchExpressions") or []:
            values.setdefault(wanted["key"], [None, ANOTHER]).extend(wanted.get("values") or [])
    choices = product(*(dict.fromkeys(those) for those in values.values()))
    for chosen in islice(choices, MOST_SETS):
        yield {key: value for key, value in zip(values, chosen, strict=True) if value is not None}


def wished(selector: dict[str, Any] | None) -> dict[str, str]:
    """The labels that a selector asks for, as far as it asks for certain values: for a did-you-mean."""
    selector = selector or {}
    one = {
        wanted["key"]: wanted["values"][0]
        for wanted in selector.get("matchExpressions") or []
        if wanted["operator"] == "In" and wanted.get("values")
    }
    return one | (selector.get("matchLabels") or {})


def selector_words(selector: dict[str, Any] | None) -> str:
    """A selector as kubectl writes it: `app=redis,tier in (a,b)`. For an empty selector the caller says `every …`."""
    selector = selector or {}
    words = [pairs(selector["matchLabels"])] if selector.get("matchLabels") else []
    for wanted in selector.get("matchExpressions") or []:
        key, values = wanted["key"], ",".join(wanted.get("values") or [])
        by_operator = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        words.append(by_operator[wanted["operator"]])
    return ",".join(words)
