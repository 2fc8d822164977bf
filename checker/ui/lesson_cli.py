"""`kubeclass lesson`: the commands for the learner's copies of the lessons."""

from __future__ import annotations

import click

from checker.ui import command


@click.group(cls=command.Group, help="help-lesson")
def lesson() -> None:
    """The learner's copies of the lessons."""


@lesson.command(help="help-lesson-reset")
@command.argument("lesson", metavar="LESSON", help="help-lesson-number")
def reset(lesson: str) -> None:
    """Put a lesson back as the course has it. What the learner has changed is kept under another name."""
    from checker.classroom.lessons import in_class
    from checker.classroom.target import target
    from checker.model.catalogue import say
    from checker.ui import copies
    from checker.ui.study import page_to_open
    from cluster import paths

    page = page_to_open(lesson)
    folder = paths.folder()
    backup = copies.reset(folder, page, in_class(target()))
    click.echo(say("lesson-reset-done", page=page, folder=folder, backup=backup))
    click.echo(say("lesson-reset-open"))
