"""`kubeclass course` and `kubeclass ci`: the commands for people who write a course on this checker."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from checker.ui import command


@click.group(cls=command.Group, help="help-course")
def course() -> None:
    """Write a course."""


@course.command(help="help-course-new")
@command.argument("name", metavar="NAME", help="help-course-name")
def new(name: str) -> None:
    """Make the folder of a new course: one lesson and one lab that work."""
    from checker.authoring.new import new_course
    from checker.model.catalogue import say

    folder = new_course(Path(name).expanduser().absolute())
    click.echo(say("course-new-done", folder=folder))
    click.echo(say("course-new-next", folder=folder))


@click.command(cls=command.Command, help="help-ci")
@command.option("--lab", "labs", metavar="LAB", multiple=True, help="help-ci-lab")
@command.option("--junit", metavar="FILE", default="", help="help-ci-junit")
@command.option("--keep", is_flag=True, help="help-ci-keep")
def ci(labs: tuple[str, ...], junit: str, keep: bool) -> None:
    """Prove labs and lessons on a cluster. Exit status: 0 all as they say, 1 something is not, 3 could not be tried."""
    from checker.authoring import ci as proof
    from checker.authoring.notebooks import require_nbval
    from checker.grading.labs import all_labs, load_lab
    from checker.model.catalogue import say
    from checker.ui.study import environment
    from cluster import engine
    from cluster.nodes import nodes_of
    from cluster.progress import tell
    from cluster.up import down, stop_as_by_ctrl_c, up

    stop_as_by_ctrl_c()
    numbers = [load_lab(lab).number for lab in labs] or all_labs()
    lessons = proof.lessons_of(numbers if labs else [])
    proof.require_something(numbers, lessons)
    if lessons:
        require_nbval()
    cluster = proof.own_cluster()
    was_there = bool(nodes_of(engine.ensure(), cluster))
    outcomes = []
    try:
        up(cluster, metrics=any(load_lab(number).spec.needs.metrics for number in numbers))
        for one in proof.prove(numbers, lessons, environment(cluster)):
            outcomes.append(one)
            tell(
                say(
                    "ci-failed" if one.why else "ci-passed",
                    subject=one.subject,
                    name=one.name,
                    seconds=round(one.seconds),
                )
            )
            if one.why:
                tell(one.why)
    finally:
        if junit:
            Path(junit).write_text(proof.junit(outcomes))
        if not keep and not was_there:
            down(cluster)
    failed = sum(bool(one.why) for one in outcomes)
    click.echo(say("ci-done", outcomes=len(outcomes), failed=failed))
    sys.exit(1 if failed else 0)
