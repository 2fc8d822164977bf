"""The command line `kubeclass`. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from checker.ui.cluster_cli import app as cluster_app
from cluster.context import DEFAULT_NAMESPACE

STOPPED = 130  # exit status after Ctrl-C, as shells have it


class _Commands(TyperGroup):
    """The commands. Ctrl-C in any of them ends in one sentence."""

    def invoke(self, ctx: Any) -> Any:
        from cluster import Problem

        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Problem(
                "Stopped.", "Nothing is half-done: the same command goes on where it was", exit_code=STOPPED
            ) from None


app = typer.Typer(
    name="kubeclass",
    cls=_Commands,
    help="Learn Kubernetes hands-on: a local kind cluster, lessons in JupyterLab, and labs that are graded from the cluster.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(cluster_app)

LabName = Annotated[str, typer.Argument(metavar="LAB", help="The lab's number, such as 07, or its name.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="The namespace that the lab happens in.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]
Wait = Annotated[
    float, typer.Option(help="Seconds to give a change that is in progress.", envvar="KUBECLASS_WAIT", min=0, max=300)
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")]


@app.callback()
def _main(debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False) -> None:
    pass


def _print_json(data: Any) -> None:
    import json

    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


def _confirmed(question: str, yes: bool) -> bool:
    """Whether to go ahead: with --yes always, on a terminal when the answer is yes, otherwise not."""
    return yes or (sys.stdin.isatty() and typer.confirm(question))


@app.command()
def start(
    lab: LabName,
    namespace: Namespace = DEFAULT_NAMESPACE,
    yes: Yes = False,
    seed: Annotated[
        str,
        typer.Option(help="For a lab that is another one for each learner: which one.", envvar="KUBECLASS_SEED"),
    ] = "",
) -> None:
    """Set a lab up in its namespace. Twice is safe."""
    from checker.model.spelling import counted
    from checker.session import Session
    from checker.ui import progress

    session = Session(lab, namespace, seed=seed)
    session.start(lambda other: _confirmed(f"Lab {other} was begun here before. Clear what it left?", yes))
    if namespace == DEFAULT_NAMESPACE:
        progress.seen(session.lab.number)
    text = session.lab.text
    typer.echo(f"Lab {session.lab.number}: {text.title}. {text.goal}")
    typer.echo(f"It is ready in namespace {session.environment.namespace}. The tasks:")
    for task in session.lab.tasks(session.environment.namespace):
        typer.echo(f"  {task.id} ({counted(task.points, 'point')}): {task.text.strip()}")
    typer.echo(f"Check your work as often as you like: kubeclass check {session.lab.number}")


@app.command()
def check(
    lab: LabName,
    namespace: Namespace = DEFAULT_NAMESPACE,
    as_json: AsJson = False,
    wait: Wait = 10.0,
) -> None:
    """Grade a lab. Exit status: 0 all passed, 1 something failed, 2 something could not be checked, 3 could not run."""
    from checker.session import Session
    from checker.ui import progress
    from checker.ui.report import text_report

    result = Session(lab, namespace).check(wait)
    if namespace == DEFAULT_NAMESPACE and (unkept := progress.note(result)):
        typer.echo(unkept, err=True)
    if as_json:
        _print_json(result.to_json())
    else:
        typer.echo(text_report(result, colour=sys.stdout.isatty()))
    raise typer.Exit(result.exit_code)


@app.command()
def watch(lab: LabName, namespace: Namespace = DEFAULT_NAMESPACE) -> None:
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
            typer.echo(text_report(result, live=True))

    try:
        with screen or nullcontext(), Live(session, show):
            threading.Event().wait()
    except KeyboardInterrupt:
        raise typer.Exit(last.exit_code if last else STOPPED) from None


Target = Annotated[
    str, typer.Argument(metavar="[KIND/NAME]", help="One object, such as deploy/web; without it, everything there.")
]
TargetName = Annotated[str, typer.Argument(metavar="[NAME]", help="The name, where the kind stands alone: pod web-1.")]
AnyNamespace = Annotated[str, typer.Option("--namespace", "-n", help="Any namespace.")]


@app.command()
def picture(
    target: Target = "",
    name: TargetName = "",
    namespace: AnyNamespace = DEFAULT_NAMESPACE,
    as_svg: Annotated[bool, typer.Option("--svg", help="Print it as an SVG instead of in words.")] = False,
) -> None:
    """Show what runs where, which Service leads to whom, and what is broken. In a notebook, `picture()` moves with the cluster."""
    from checker.ui.picture import Picture
    from checker.ui.picture.drawing import svg

    seen = Picture(target, name, namespace=namespace)
    typer.echo(svg(seen.view) if as_svg else repr(seen))
    raise typer.Exit(2 if seen.view["away"] else 0)


@app.command()
def explain(
    target: Target = "",
    name: TargetName = "",
    namespace: AnyNamespace = DEFAULT_NAMESPACE,
    as_json: AsJson = False,
    wait: Wait = 10.0,
) -> None:
    """Say what is broken at the root, lab or not. Exit status: 0 nothing is wrong, 1 something is, 2 something could not be seen, 3 could not run."""
    from checker.ui.explanation import explain as explained
    from checker.ui.explanation import text_of

    explanation = explained(target, name, namespace=namespace, wait=wait)
    if as_json:
        _print_json(explanation.to_json())
    else:
        typer.echo(text_of(explanation, colour=sys.stdout.isatty()))
    raise typer.Exit(explanation.exit_code)


@app.command()
def hint(
    lab: LabName,
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task's id, as `check --json` and `start` name it.")],
    level: Annotated[int, typer.Option(help="1 is the gentlest hint.", min=1)] = 1,
    namespace: Namespace = DEFAULT_NAMESPACE,
) -> None:
    """Give a hint for a task, one level at a time."""
    from checker.grading.labs import hint as hint_of
    from checker.grading.labs import load_lab

    text, more = hint_of(load_lab(lab), task, level, namespace)
    typer.echo(text)
    if more:
        typer.echo(f"More: kubeclass hint {lab} {task} --level {level + 1}")


@app.command()
def solve(lab: LabName, namespace: Namespace = DEFAULT_NAMESPACE) -> None:
    """Bring about the lab's own solution, to look at what right looks like."""
    from checker.session import Session

    session = Session(lab, namespace)
    typer.echo(f"Bringing about the solution of lab {session.lab.number} (from {session.lab.folder / 'solution'}) …")
    session.solve()
    typer.echo(f"Done. See it graded: kubeclass check {session.lab.number}")


@app.command()
def reset(lab: LabName, namespace: Namespace = DEFAULT_NAMESPACE, yes: Yes = False) -> None:
    """Delete what was made for a lab and set it up anew. Your files are kept."""
    from checker.session import Session
    from cluster import Problem

    session = Session(lab, namespace)
    if not _confirmed(f"Delete everything in namespace {namespace} and begin lab {session.lab.number} anew?", yes):
        raise Problem("Nothing was reset.", f"To reset without being asked: kubeclass reset {lab} --yes", exit_code=1)
    typer.echo(f"Clearing namespace {namespace} and setting lab {session.lab.number} up anew …")
    session.reset()
    typer.echo("Done.")


@app.command()
def clear(
    namespace: Namespace = DEFAULT_NAMESPACE,
    engine: Annotated[
        bool, typer.Option("--engine", help="And the Docker lab's containers, images and volumes.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Delete what labs and lessons left in the namespace. Your files and your progress are kept."""
    from checker.environments import environments
    from cluster import Problem

    found = environments(namespace, engine)
    if not _confirmed(f"Delete everything in namespace {namespace} and in those named after it ({namespace}-…)?", yes):
        raise Problem("Nothing was deleted.", "To clear without being asked: kubeclass clear --yes", exit_code=1)
    typer.echo(f"Clearing namespace {namespace} …")
    for place in found:
        place.empty()
    typer.echo("Done: it is empty.")


@app.command()
def progress(as_json: AsJson = False) -> None:
    """Show what you have reached so far, and what is next."""
    from checker.ui.overview import course

    if as_json:
        return _print_json(course().to_json())
    typer.echo(repr(course()))


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
