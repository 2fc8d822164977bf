"""A lesson's notebook as a Markdown page for MyST, with the outputs that the notebook holds.

https://myst-parser.readthedocs.io/en/latest/syntax/optional.html
"""

from __future__ import annotations

import ast
import re
from html import escape, unescape
from typing import Any

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_WRITEFILE = re.compile(r"%%writefile(?: -a)? (\S+)\n")
_LABEL = re.compile(r'aria-label="([^"]*)"')
_COLUMNS = re.compile(r"\S {3,}\S.* {3,}\S")  # kubectl puts three spaces or more between two columns
# How the body of a file is highlighted, by the end of the file's name.
_LEXERS = {"yaml": "yaml", "yml": "yaml", "py": "python", "json": "json", "sh": "bash", "Dockerfile": "docker"}


def page(notebook: dict[str, Any], number: str) -> tuple[str, dict[str, str]]:
    """The lesson as Markdown, and its pictures: the text of each SVG by its file's name.

    notebook: its JSON. number: the lesson's, such as 07. Pictures belong into the folder `pictures` beside the page.
    """
    parts: list[str] = []
    pictures: dict[str, str] = {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"]).strip("\n")
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif source.startswith("predict("):
            parts.append(_prediction(source))
        elif source:
            parts.append(_folded(source) if _is_hidden(cell) else _code(source))
            shown, drawn = _outputs(cell)
            for index, svg in enumerate(drawn):
                name = f"{number}-{cell['id']}-{index}.svg"
                pictures[name] = svg
                shown.append(f"![{_label(svg)}](pictures/{name})")
            parts += shown
    parts.insert(1, f"*This page shows the outputs of one run. To work on the lesson, run* `kubeclass study {number}`.")
    return "\n\n".join(parts) + "\n", pictures


def fenced(text: str, lexer: str, **options: str) -> str:
    """A block of code. The fence is longer than any row of backticks in the text."""
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
    lines = [f":{name}: {value}" for name, value in options.items()]
    return "\n".join([f"{fence}{{code-block}} {lexer}", *lines, "", text.strip("\n"), fence])


def _code(source: str) -> str:
    """A code cell. If it writes a file, the body is highlighted as that file, and the first line is the caption."""
    if written := _WRITEFILE.match(source):
        ending = re.split(r"[./]", written[1])[-1]
        return fenced(source[written.end() :], _LEXERS.get(ending, "text"), caption=f"`{written[0].strip()}`")
    return fenced(source, "ipython3")


def _is_hidden(cell: dict[str, Any]) -> bool:
    return bool(cell["metadata"].get("jupyter", {}).get("source_hidden"))


def _folded(source: str) -> str:
    """A cell that only waits, and whose source would tell an answer: as in JupyterLab, its first line is visible."""
    first = source.partition("\n")[0].lstrip("# ")
    return f"<details><summary>{escape(first)}</summary>\n\n{_code(source)}\n\n</details>"


def _outputs(cell: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What a cell has put out: blocks of Markdown, and pictures (SVG). Text that follows text is one block."""
    shown: list[str] = []
    drawn: list[str] = []
    text = ""
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "image/svg+xml" in data:
            drawn.append("".join(data["image/svg+xml"]))
        elif "text/html" in data:
            shown.append(f'<div class="output table">{_one_block("".join(data["text/html"]))}</div>')
        else:
            text += "".join(output.get("text") or data.get("text/plain", []))
    text = _plain(text)
    of_class = "output columns" if _COLUMNS.search(text) else "output"
    return ([fenced(text, "text", **{"class": of_class})] if text.strip() else []) + shown, drawn


def _plain(text: str) -> str:
    """Text as a terminal leaves it: no colours; of a line that was written over, the last state."""
    lines = _COLOUR.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


def _one_block(html: str) -> str:
    """HTML without blank lines, which would end the block, and with links to the pages of the site."""
    return re.sub(r'(href="\d\d-[^"]*)\.ipynb', r"\1.html", re.sub(r"\n\s*\n", "\n", html))


def _label(svg: str) -> str:
    """The text alternative of a picture, as Markdown takes it in an image."""
    found = _LABEL.search(svg)
    words = " ".join(unescape(found[1]).split()) if found else "A picture of the namespace"
    return re.sub(r"([\[\]\\`*_<>])", r"\\\1", words)


def _prediction(source: str) -> str:
    """`predict(…)` as a question with its choices, and a folded answer."""
    call = ast.parse(source).body[0]
    assert isinstance(call, ast.Expr) and isinstance(call.value, ast.Call)
    positional = [ast.literal_eval(value) for value in call.value.args]
    named = {word.arg: ast.literal_eval(word.value) for word in call.value.keywords}
    question, choices = positional[0], positional[1] if len(positional) > 1 else named.get("choices", [])
    return "\n".join(
        [
            "::::{admonition} Your prediction?",
            ":class: prediction",
            "",
            question,
            "",
            *(f"- {choice}" for choice in choices),
            "",
            "<details><summary>Answer</summary>",
            "",
            f"**{named['answer']}**",
            "",
            named["because"],
            "",
            "</details>",
            "::::",
        ]
    )
