"""The commands for the cluster. checker/ui/cli.py joins them with those for the labs to the one command `kubeclass`."""

from __future__ import annotations

import json
import sys

import click

from checker.ui import command

as_json_option = command.option("--json", "as_json", is_flag=True, help="help-json")


@click.command(cls=command.Command, help="help-up")
@command.option("--metrics", is_flag=True, help="help-up-metrics")
def up(metrics: bool) -> None:
    """Bring the course's cluster up, or back up. Safe to repeat; a stopped attempt goes on where it was."""
    from checker.model.catalogue import say
    from cluster.progress import tell
    from cluster.up import stop_as_by_ctrl_c
    from cluster.up import up as bring_up

    stop_as_by_ctrl_c()
    cluster = bring_up(metrics=metrics)
    tell(say("up-ready", cluster=cluster.name))
    tell(say("up-kubectl", kubeconfig=cluster.kubeconfig))


@click.command(cls=command.Command, help="help-down")
def down() -> None:
    """Delete the course's cluster. Your files, your progress and the images are kept."""
    from checker.model.catalogue import say
    from cluster.progress import tell
    from cluster.up import down as take_down

    tell(say("down-done" if take_down() else "down-nothing"))


@click.command(cls=command.Command, help="help-status")
@as_json_option
def status(as_json: bool) -> None:
    """Show how the cluster is, and what is not well. Exit status: 0 ready, 1 not ready, 3 could not be asked."""
    from cluster.status import as_text
    from cluster.status import status as facts

    found = facts()
    click.echo(json.dumps(found, indent=2) if as_json else as_text(found))
    sys.exit(0 if found["ready"] else 1)


@click.command(cls=command.Command, help="help-doctor")
@as_json_option
def doctor(as_json: bool) -> None:
    """Find out whether this machine is fit for the course. Exit status: 0 fit, 1 something will not work."""
    from cluster import doctor as physician

    found = physician.doctor()
    click.echo(json.dumps(physician.as_json(found), indent=2) if as_json else physician.as_text(found))
    sys.exit(physician.exit_code(found))


@click.command(cls=command.Command, help="help-study")
@command.argument("lesson", required=False, default="00", help="help-study-lesson")
@command.option("--no-browser", is_flag=True, help="help-study-no-browser")
@command.option(
    "--port",
    type=click.IntRange(1024, 65000),
    metavar="NUMBER",
    default=8888,
    show_default=True,
    help="help-study-port",
)
@command.option("--plain", is_flag=True, help="help-study-plain")
def study(lesson: str, no_browser: bool, port: int, plain: bool) -> None:
    """Open JupyterLab at a lesson, by default the first; the cluster comes up behind it."""
    from checker.ui import study as jupyter
    from cluster.context import current
    from cluster.up import stop_as_by_ctrl_c

    stop_as_by_ctrl_c()
    jupyter.study(current(), jupyter.page_to_open(lesson), browser=not no_browser, port=port, plain=plain)


COMMANDS = (up, down, status, doctor, study)
