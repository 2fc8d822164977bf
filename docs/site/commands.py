"""The commands of `kubeclass` as a Markdown page, from the same help texts that `--help` shows."""

from __future__ import annotations

from collections.abc import Iterator

import click

from checker.ui.cli import app
from docs.site.notebook import fenced

_HEAD = """# Commands

What `kubeclass` and its commands do. `kubeclass COMMAND --help` shows the same."""


def page() -> str:
    return (
        "\n\n".join([_HEAD, *_described(click.Context(app, info_name="kubeclass", **app.context_settings), 2)]) + "\n"
    )


def _described(context: click.Context, level: int) -> Iterator[str]:
    """A command and the commands below it. level: that of its heading."""
    of = context.command
    yield f"{'#' * level} `{context.command_path}`"
    yield _escaped(of.help or "")
    yield fenced(" ".join([context.command_path, *of.collect_usage_pieces(context)]), "text")
    records = [record for param in of.get_params(context) if (record := param.get_help_record(context))]
    if records:
        yield "\n".join(
            ["| | What it is |", "|---|---|", *(f"| {_code(name)} | {_cell(text)} |" for name, text in records)]
        )
    if isinstance(of, click.Group):
        for name in of.list_commands(context):
            below = of.get_command(context, name)
            if below and not below.hidden:
                yield from _described(click.Context(below, info_name=name, parent=context), level + 1)


def _code(name: str) -> str:
    return f"`{name}`".replace("|", "\\|")


def _cell(text: str) -> str:
    return _escaped(" ".join(text.split())).replace("|", "\\|")


def _escaped(text: str) -> str:
    """Help texts are plain text: what Markdown would read as a mark is not one."""
    for mark in "\\*_<>[]":
        text = text.replace(mark, f"\\{mark}")
    return text
