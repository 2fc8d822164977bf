"""The tables in docs/class-security.md, which tests/class writes from what it met on a real cluster."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from cluster import paths

DOCUMENT = paths.COURSE / "docs" / "class-security.md"


def written(text: str, name: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """The document with this table between its two marks, `<!-- NAME -->` and `<!-- end -->`."""
    lines = [heads, tuple("---" for _ in heads), *rows]
    table = "\n".join("| " + " | ".join(row) + " |" for row in lines)
    begin, end = f"<!-- {name} -->\n", "\n<!-- end -->"
    assert text.count(begin) == 1, f"docs/class-security.md has no place for the table {name}"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return before + begin + table + end + after


def test_a_table_replaces_the_one_before() -> None:
    text = "a\n<!-- t -->\nold\n<!-- end -->\nb\n"
    new = written(text, "t", ("A", "B"), [("1", "2")])
    assert new == "a\n<!-- t -->\n| A | B |\n| --- | --- |\n| 1 | 2 |\n<!-- end -->\nb\n"
    assert written(new, "t", ("A", "B"), [("1", "2")]) == new


@pytest.mark.parametrize(("name", "least"), [("attacks", 20), ("packets", 20)])
def test_the_document_holds_what_was_met(name: str, least: int) -> None:
    table = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end -->", DOCUMENT.read_text(), re.DOTALL)
    assert table and len(table[1].splitlines()) >= least + 2
    assert "| nothing |" not in table[1]
