"""The commands for the cluster. checker/ui/cli.py joins them with those for the labs to the one command `kubeclass`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from checker.ui import command

context_option = command.option("--context", metavar="NAME", default="", help="help-context")
kubeconfig_option = command.option("--kubeconfig", metavar="FILE", default="", help="help-kubeconfig")
as_json_option = command.option("--json", "as_json", is_flag=True, help="help-json")


@click.command(cls=command.Command, help="help-up")
@command.option("--metrics", is_flag=True, help="help-up-metrics")
def up(metrics: bool) -> None:
    """Bring the course's cluster up, or back up. Safe to repeat; a stopped attempt goes on where it was."""
    from checker.model.catalogue import say
    from cluster.progress import tell
    from cluster.up import stop_as_by_ctrl_c
    from cluster.up import up as bring_up

    _require_own("up-in-class")
    stop_as_by_ctrl_c()
    cluster = bring_up(metrics=metrics)
    if os.environ.get("KUBECONFIG") == str(cluster.kubeconfig):  # a lesson, or a terminal beside it (study.environment)
        tell(say("up-ready-here", cluster=cluster.name))
        return
    tell(say("up-ready", cluster=cluster.name))
    tell(say("up-kubectl", kubeconfig=cluster.kubeconfig))


@click.command(cls=command.Command, help="help-down")
def down() -> None:
    """Delete the course's cluster. Your files, your progress and the images are kept."""
    from checker.model.catalogue import say
    from cluster.progress import tell
    from cluster.up import down as take_down

    _require_own("down-in-class")
    tell(say("down-done" if take_down() else "down-nothing"))


def _require_own(problem_id: str) -> None:
    """Raises Problem where commands mean the cluster of a class."""
    from checker.classroom.target import target
    from checker.model.catalogue import problem

    if (cluster := target()).kind == "class":
        raise problem(problem_id, cluster=cluster.name)


@click.command(cls=command.Command, help="help-status")
@context_option
@kubeconfig_option
@as_json_option
def status(context: str, kubeconfig: str, as_json: bool) -> None:
    """Show how the cluster is, and what is not well. Exit status: 0 ready, 1 not ready, 3 could not be asked."""
    from checker.classroom.target import target

    cluster = target(context, kubeconfig)
    if cluster.kind == "own":
        from cluster import status as own

        found = own.status(cluster)
        text = own.as_text(found)
    else:
        from checker.ui import cluster_status

        found = cluster_status.facts(cluster)
        text = cluster_status.as_text(found)
    click.echo(json.dumps(found, indent=2) if as_json else text)
    sys.exit(0 if found["ready"] else 1)


@click.command(cls=command.Command, help="help-join")
@command.argument("file", metavar="FILE", help="help-join-file")
def join(file: str) -> None:
    """Join a class: from now on commands mean its cluster."""
    from checker.classroom.joined import join as join_class
    from checker.model.catalogue import say

    joined = join_class(Path(file))
    click.echo(
        say(
            "join-done",
            cluster=joined.name,
            learner=joined.learner,
            namespace=joined.namespace,
            further=sorted(joined.namespaces.values()),
            ends=f"{joined.expires.astimezone():%Y-%m-%d %H:%M}",
        )
    )
    click.echo(say("join-next"))


@click.command(cls=command.Command, help="help-leave")
@command.argument("name", metavar="[NAME]", required=False, default="", help="help-leave-name")
def leave(name: str) -> None:
    """Leave a class: from now on commands mean one's own cluster."""
    from checker.classroom.joined import current_name
    from checker.classroom.joined import leave as leave_class
    from checker.model.catalogue import say

    click.echo(say("leave-done", cluster=leave_class(name)))
    still = current_name()
    click.echo(say("leave-other", cluster=still) if still else say("leave-own"))


@click.command(cls=command.Command, help="help-doctor")
@command.option("--all", "everything", is_flag=True, help="help-doctor-all")
@as_json_option
def doctor(everything: bool, as_json: bool) -> None:
    """Find out whether this machine is fit for the course. Exit status: 0 fit, 1 something will not work."""
    from cluster import doctor as physician

    found = physician.doctor()
    text = physician.as_text(found, short=not everything)
    click.echo(json.dumps(physician.as_json(found), indent=2) if as_json else text)
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
@command.option("--folder", metavar="DIR", default="", help="help-study-folder")
def study(lesson: str, no_browser: bool, port: int, plain: bool, folder: str) -> None:
    """Open the learner's copy of a lesson in JupyterLab, by default the first; the cluster comes up behind it."""
    from checker.classroom.target import target
    from checker.ui import study as jupyter
    from cluster.up import stop_as_by_ctrl_c

    stop_as_by_ctrl_c()
    page = jupyter.page_to_open(lesson)
    own = jupyter.learners_folder(folder)
    jupyter.study(target(), page, own, browser=not no_browser, port=port, plain=plain)


@click.command("hub-server", cls=command.Command, help="help-hub-server")
def hub_server() -> None:
    """What a learner's server in JupyterHub runs: join the class, bring the copies up to date, and serve them."""
    from checker.classroom.joined import take_in
    from checker.classroom.mounted import mounted
    from checker.ui import study as jupyter

    joined = take_in(mounted())
    jupyter.serve_in_hub(joined.cluster, jupyter.page_to_open("00"), jupyter.learners_folder())


COMMANDS = (up, down, status, doctor, study, join, leave, hub_server)
