"""`kubeclass lab`: the commands for people who write labs (docs/writing-a-lab.md)."""

from __future__ import annotations

import sys

import click

from checker.ui import command


@click.group(cls=command.Group, help="help-author")
def lab() -> None:
    """Write a lab: make its folder, and check it without a cluster."""


@lab.command(help="help-author-new")
@command.argument("number", metavar="NUMBER", help="help-author-number")
@command.argument("name", metavar="NAME", help="help-author-name")
def new(number: str, name: str) -> None:
    """Make the folder of a new lab: a small one that works, with comments, to be changed."""
    from checker.authoring.new import new_lab
    from checker.model.catalogue import say

    folder = new_lab(number, name)
    click.echo(say("author-new-done", folder=folder))
    click.echo(say("author-new-check", lab=number))


@lab.command(help="help-author-check")
@command.argument("lab", metavar="LAB", help="help-lab")
def check(lab: str) -> None:
    """Say everything that is missing or wrong in a lab's folder. Needs no cluster."""
    from checker.authoring.check import check_lab
    from checker.grading.labs import load_lab
    from checker.model.catalogue import say

    found = load_lab(lab)
    wrong = check_lab(found)
    for sentence in wrong:
        click.echo(f"✘ {sentence}")
    if not wrong:
        click.echo(say("author-draft-complete" if found.spec.draft else "author-complete", lab=found.number))
    sys.exit(1 if wrong else 0)
