"""`kubeclass course` and `kubeclass ci`: the commands for people who write a course on this checker."""

from __future__ import annotations

import sys
from collections.abc import Iterable
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
@command.option("--keep", "keep_cluster", is_flag=True, help="help-ci-keep")
def ci(labs: tuple[str, ...], junit: str, keep_cluster: bool) -> None:
    """Prove labs and lessons on a cluster. Exit status: 0 all as they say, 1 something is not, 3 could not be tried."""
    from checker.authoring import ci as proof
    from checker.authoring.notebooks import require_nbval, wrong_with
    from checker.grading.labs import all_labs, load_lab
    from checker.model.catalogue import say
    from checker.ui.study import environment
    from cluster import engine
    from cluster.nodes import nodes_of
    from cluster.progress import tell
    from cluster.up import down, stop_as_by_ctrl_c, up

    stop_as_by_ctrl_c()
    found = [load_lab(lab) for lab in labs or all_labs()]
    lessons = proof.lessons_of([lab.number for lab in found] if labs else [])
    proof.require_something(found, lessons)
    if lessons:
        require_nbval()
    if junit:
        proof.require_writable(Path(junit))
    outcomes: list[proof.Outcome] = []

    def keep(more: Iterable[proof.Outcome]) -> None:
        for one in more:
            outcomes.append(one)
            seconds = round(one.seconds)
            tell(say("ci-failed" if one.why else "ci-passed", subject=one.subject, name=one.name, seconds=seconds))
            if one.why:
                tell(one.why)

    try:
        keep(proof.prove_files(found, lessons))
        found = [lab for lab in found if proof.has_cases(lab)]
        lessons = [lesson for lesson in lessons if not wrong_with(lesson)]
        if found or lessons:
            cluster = proof.own_cluster()
            was_there = bool(nodes_of(engine.ensure(), cluster))
            try:
                up(cluster, metrics=any(lab.spec.needs.metrics for lab in found))
                keep(proof.prove(found, lessons, environment(cluster)))
            finally:
                if not keep_cluster and not was_there:
                    down(cluster)
    finally:
        if junit:
            Path(junit).write_text(proof.junit(outcomes))
    failed = sum(bool(one.why) for one in outcomes)
    click.echo(say("ci-done", outcomes=len(outcomes), failed=failed))
    sys.exit(1 if failed else 0)
