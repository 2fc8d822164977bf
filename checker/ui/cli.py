"""The command line `kubeclass`. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from checker.ui.cluster_cli import COMMANDS as CLUSTER_COMMANDS
from checker.ui.cluster_cli import as_json_option
from checker.ui.lab_cli import lab as lab_commands
from cluster.context import DEFAULT_NAMESPACE

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

STOPPED = 130  # exit status after Ctrl-C, as shells have it


class _Commands(click.Group):
    """The commands, listed in the order of their definition. Ctrl-C in any of them ends in one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        from cluster import Problem

        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Problem(
                "Stopped.", "Nothing is half-done: the same command goes on where it was", exit_code=STOPPED
            ) from None


def _namespace_option(help: str) -> Callable[[Decorated], Decorated]:
    return click.option("--namespace", "-n", metavar="NAME", default=DEFAULT_NAMESPACE, show_default=True, help=help)


lab_argument = click.argument("lab", metavar="LAB", help="The lab's number, such as 07, or its name.")
namespace_option = _namespace_option("The namespace that the lab happens in.")
any_namespace_option = _namespace_option("Any namespace.")
wait_option = click.option(
    "--wait",
    type=click.FloatRange(0, 300),
    metavar="SECONDS",
    default=10.0,
    envvar="KUBECLASS_WAIT",
    show_default=True,
    show_envvar=True,
    help="Seconds to give a change that is in progress.",
)
yes_option = click.option("--yes", "-y", is_flag=True, help="Ask nothing.")
target_argument = click.argument(
    "target",
    metavar="[KIND/NAME]",
    required=False,
    default="",
    help="One object, such as deploy/web; without it, everything there.",
)
target_name_argument = click.argument(
    "name",
    metavar="[NAME]",
    required=False,
    default="",
    help="The name, where the kind stands alone: pod web-1.",
)


@click.group(
    name="kubeclass",
    cls=_Commands,
    help="Learn Kubernetes hands-on: a local kind cluster, lessons in JupyterLab, and labs that are graded from the cluster.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def app(debug: bool) -> None:
    """`debug` is read by `main` from the command line: it also concerns errors before the command runs."""


def _print_json(data: Any) -> None:
    import json

    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def _confirmed(question: str, yes: bool) -> bool:
    """Whether to go ahead: with --yes always, on a terminal when the answer is yes, otherwise not."""
    return yes or (sys.stdin.isatty() and click.confirm(question))


@app.command()
@lab_argument
@namespace_option
@yes_option
@click.option(
    "--seed",
    metavar="SEED",
    default="",
    envvar="KUBECLASS_SEED",
    show_envvar=True,
    help="For a lab that is another one for each learner: which one.",
)
def start(lab: str, namespace: str, yes: bool, seed: str) -> None:
    """Set a lab up in its namespace. Twice is safe."""
    from checker.model.spelling import counted
    from checker.session import Session
    from checker.ui import progress

    session = Session(lab, namespace, seed=seed)
    session.start(lambda other: _confirmed(f"Lab {other} was begun here before. Clear what it left?", yes))
    if namespace == DEFAULT_NAMESPACE:
        progress.seen(session.lab.number)
    text = session.lab.text
    click.echo(f"Lab {session.lab.number}: {text.title}. {text.goal}")
    click.echo(f"It is ready in namespace {session.environment.namespace}. The tasks:")
    for task in session.lab.tasks(session.environment.namespace):
        click.echo(f"  {task.id} ({counted(task.points, 'point')}): {task.text.strip()}")
    click.echo(f"Check your work as often as you like: kubeclass check {session.lab.number}")


@app.command()
@lab_argument
@namespace_option
@as_json_option
@wait_option
def check(lab: str, namespace: str, as_json: bool, wait: float) -> None:
    """Grade a lab. Exit status: 0 all passed, 1 something failed, 2 something could not be checked, 3 could not run."""
    from checker.session import Session
    from checker.ui import progress
    from checker.ui.report import text_report

    result = Session(lab, namespace).check(wait)
    if namespace == DEFAULT_NAMESPACE and (unkept := progress.note(result)):
        click.echo(unkept, err=True)
    if as_json:
        _print_json(result.to_json())
    else:
        click.echo(text_report(result, colour=sys.stdout.isatty()))
    sys.exit(result.exit_code)


@app.command()
@lab_argument
@namespace_option
def watch(lab: str, namespace: str) -> None:
    """Grade a lab again whenever the cluster changes, until Ctrl-C. Exit status: as of `check`, by the last grade."""
    import threading
    from contextlib import nullcontext

    from rich.console import Console
    from rich.live import Live as Screen
    from rich.text import Text

    from checker.live import Live
    from checker.model.verdict import Result
    from checker.session import Session
    from checker.ui import progress
    from checker.ui.report import text_report

    session, console = Session(lab, namespace), Console()
    last: Result | None = None
    screen = Screen("Looking at the cluster …", console=console, auto_refresh=False) if console.is_terminal else None

    def show(result: Result) -> None:
        nonlocal last
        last = result
        if namespace == DEFAULT_NAMESPACE:
            progress.note(result, asked=False)
        if screen:
            screen.update(
                Text.from_ansi(f"{text_report(result, colour=True, live=True)}\n\nCtrl-C ends this."), refresh=True
            )
        else:
            click.echo(text_report(result, live=True))

    try:
        with screen or nullcontext(), Live(session, show):
            threading.Event().wait()
    except KeyboardInterrupt:
        sys.exit(last.exit_code if last else STOPPED)


@app.command()
@target_argument
@target_name_argument
@any_namespace_option
@click.option("--svg", "as_svg", is_flag=True, help="Print it as an SVG instead of in words.")
def picture(target: str, name: str, namespace: str, as_svg: bool) -> None:
    """Show what runs where, which Service leads to whom, and what is broken. In a notebook, `picture()` moves with the cluster."""
    from checker.ui.picture import Picture
    from checker.ui.picture.drawing import svg

    seen = Picture(target, name, namespace=namespace)
    click.echo(svg(seen.view) if as_svg else repr(seen))
    sys.exit(2 if seen.view["away"] else 0)


@app.command()
@target_argument
@target_name_argument
@any_namespace_option
@as_json_option
@wait_option
def explain(target: str, name: str, namespace: str, as_json: bool, wait: float) -> None:
    """Say what is broken at the root, lab or not. Exit status: 0 nothing is wrong, 1 something is, 2 something could not be seen, 3 could not run."""
    from checker.ui.explanation import explain as explained
    from checker.ui.explanation import text_of

    explanation = explained(target, name, namespace=namespace, wait=wait)
    if as_json:
        _print_json(explanation.to_json())
    else:
        click.echo(text_of(explanation, colour=sys.stdout.isatty()))
    sys.exit(explanation.exit_code)


@app.command()
@lab_argument
@click.argument("task", metavar="TASK", help="The task's id, as `check --json` and `start` name it.")
@click.option(
    "--level",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    default=1,
    show_default=True,
    help="1 is the gentlest hint.",
)
@namespace_option
def hint(lab: str, task: str, level: int, namespace: str) -> None:
    """Give a hint for a task, one level at a time."""
    from checker.grading.labs import hint as hint_of
    from checker.grading.labs import load_lab

    text, more = hint_of(load_lab(lab), task, level, namespace)
    click.echo(text)
    if more:
        click.echo(f"More: kubeclass hint {lab} {task} --level {level + 1}")


@app.command()
@lab_argument
@namespace_option
def solve(lab: str, namespace: str) -> None:
    """Bring about the lab's own solution, to look at what right looks like."""
    from checker.session import Session

    session = Session(lab, namespace)
    click.echo(f"Bringing about the solution of lab {session.lab.number} (from {session.lab.folder / 'solution'}) …")
    session.solve()
    click.echo(f"Done. See it graded: kubeclass check {session.lab.number}")


@app.command()
@lab_argument
@namespace_option
@yes_option
def reset(lab: str, namespace: str, yes: bool) -> None:
    """Delete what was made for a lab and set it up anew. Your files are kept."""
    from checker.session import Session
    from cluster import Problem

    session = Session(lab, namespace)
    if not _confirmed(f"Delete everything in namespace {namespace} and begin lab {session.lab.number} anew?", yes):
        raise Problem("Nothing was reset.", f"To reset without being asked: kubeclass reset {lab} --yes", exit_code=1)
    click.echo(f"Clearing namespace {namespace} and setting lab {session.lab.number} up anew …")
    session.reset()
    click.echo("Done.")


@app.command()
@namespace_option
@click.option("--engine", is_flag=True, help="And the Docker lab's containers, images and volumes.")
@yes_option
def clear(namespace: str, engine: bool, yes: bool) -> None:
    """Delete what labs and lessons left in the namespace. Your files and your progress are kept."""
    from checker.environments import environments
    from cluster import Problem

    found = environments(namespace, engine)
    if not _confirmed(f"Delete everything in namespace {namespace} and in those named after it ({namespace}-…)?", yes):
        raise Problem("Nothing was deleted.", "To clear without being asked: kubeclass clear --yes", exit_code=1)
    click.echo(f"Clearing namespace {namespace} …")
    for place in found:
        place.empty()
    click.echo("Done: it is empty.")


@app.command()
@as_json_option
def progress(as_json: bool) -> None:
    """Show what you have reached so far, and what is next."""
    from checker.ui.overview import course

    if as_json:
        return _print_json(course().to_json())
    click.echo(repr(course()))


for _command in (*CLUSTER_COMMANDS, lab_commands):
    app.add_command(_command)


def main() -> None:
    """The console script. Errors meant for people are printed as such; `--debug` shows where they come from."""
    from cluster import Problem

    try:
        app()
    except Problem as problem:
        if "--debug" in sys.argv:
            raise
        print(f"kubeclass: {problem}", file=sys.stderr)
        sys.exit(problem.exit_code)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        print(f"kubeclass: a fault of the course itself: {type(error).__name__}: {error}\n"
              "  Next: run the same command with --debug behind `kubeclass`, and report what it prints.", file=sys.stderr)  # fmt: skip
        sys.exit(3)


if __name__ == "__main__":
    main()
