"""The text of a Python program for digests: without comments and line breaks, the same with every Python."""

from __future__ import annotations

import ast
from itertools import pairwise


def text_of(tree: ast.AST) -> str:
    """As `ast.unparse` of Python 3.11 writes it."""
    return with_outer_quotes(ast.unparse(tree))


def with_outer_quotes(text: str) -> str:
    """The same program, each f-string in quotes that it does not hold.

    Since PEP 701, an f-string may hold its own quotes. Python 3.12.1 and 3.13.0 write f'{a['b']}' where Python 3.11.7
    and 3.13.5 write f"{a['b']}". Source: https://peps.python.org/pep-0701/
    """
    lines = text.splitlines(keepends=True)
    for node in sorted(_outermost(ast.parse(text)), key=lambda one: (one.lineno, one.col_offset), reverse=True):
        if node.lineno != node.end_lineno:
            continue
        line = lines[node.lineno - 1].encode()  # columns count bytes
        before, found, after = (line[a:b] for a, b in pairwise((0, node.col_offset, node.end_col_offset, None)))
        inner = found[2:-1]
        if found.startswith(b"f'") and b"'" in inner and b'"' not in inner and b"\\" not in inner:
            lines[node.lineno - 1] = (before + b'f"' + inner + b'"' + after).decode()
    return "".join(lines)


def _outermost(node: ast.AST) -> list[ast.JoinedStr]:
    """The f-strings that are in no other f-string."""
    if isinstance(node, ast.JoinedStr):
        return [node]
    return [found for child in ast.iter_child_nodes(node) for found in _outermost(child)]
