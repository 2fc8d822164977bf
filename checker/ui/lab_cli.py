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

    folder = new_lab(number, name)
    click.echo(f"{folder} is a lab of one task. It is a draft: learners do not see it.")
    click.echo(f"See what is missing: kubeclass lab check {number}. How to go on: docs/writing-a-lab.md")


@lab.command(help="help-author-check")
@command.argument("lab", metavar="LAB", help="help-lab")
def check(lab: str) -> None:
    """Say everything that is missing or wrong in a lab's folder. Needs no cluster."""
    from checker.authoring.check import check_lab
    from checker.grading.labs import load_lab

    found = load_lab(lab)
    wrong = check_lab(found)
    for sentence in wrong:
        click.echo(f"✘ {sentence}")
    if not wrong:
        click.echo(f"Lab {found.number} is complete." + (" It is a draft." if found.spec.draft else ""))
    sys.exit(1 if wrong else 0)
