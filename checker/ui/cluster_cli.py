"""The commands for the cluster. checker/ui/cli.py joins them with those for the labs to the one command `kubeclass`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

app = typer.Typer()

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]


@app.command()
def up(
    metrics: Annotated[bool, typer.Option("--metrics", help="With metrics-server, for `kubectl top`.")] = False,
) -> None:
    """Bring the course's cluster up, or back up. Safe to repeat; a stopped attempt goes on where it was."""
    from cluster.steps import say
    from cluster.up import stop_as_by_ctrl_c
    from cluster.up import up as bring_up

    stop_as_by_ctrl_c()
    cluster = bring_up(metrics=metrics)
    say(f"Cluster {cluster.name} is ready. Go on with `kubeclass study`.")
    say(f"For kubectl in this terminal: export KUBECONFIG={cluster.kubeconfig}")


@app.command()
def down() -> None:
    """Delete the course's cluster. Your files, your progress and the images are kept."""
    from cluster.steps import say
    from cluster.up import down as take_down

    say("Deleted. Your files and your progress are kept." if take_down() else "There is no cluster to delete.")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show how the cluster is, and what is not well. Exit status: 0 ready, 1 not ready, 3 could not be asked."""
    from cluster.status import as_text
    from cluster.status import status as facts

    found = facts()
    typer.echo(json.dumps(found, indent=2) if as_json else as_text(found))
    raise typer.Exit(0 if found["ready"] else 1)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Find out whether this machine is fit for the course. Exit status: 0 fit, 1 something will not work."""
    from cluster import doctor as physician

    found = physician.doctor()
    typer.echo(json.dumps(physician.as_json(found), indent=2) if as_json else physician.as_text(found))
    raise typer.Exit(physician.exit_code(found))


@app.command()
def study(
    lesson: Annotated[str, typer.Argument(help="The lesson to open, by its number.")] = "00",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser, only print the address.")] = False,
    port: Annotated[int, typer.Option(help="The port to listen on.", min=1024, max=65000)] = 8888,
    plain: Annotated[
        bool, typer.Option("--plain", help="Arrange nothing: no picture and no terminal beside the lesson.")
    ] = False,
) -> None:
    """Open JupyterLab at a lesson, by default the first; the cluster comes up behind it."""
    from checker.ui import study as jupyter
    from cluster.context import current
    from cluster.up import stop_as_by_ctrl_c

    stop_as_by_ctrl_c()
    jupyter.study(current(), jupyter.page_to_open(lesson), browser=not no_browser, port=port, plain=plain)
