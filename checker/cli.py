"""The command line `kubeclass`. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from cluster.cli import app as cluster_app

from cluster.context import DEFAULT_NAMESPACE

app = typer.Typer(
    name="kubeclass",
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
def start(lab: LabName, namespace: Namespace = DEFAULT_NAMESPACE, yes: Yes = False) -> None:
    """Set a lab up in its namespace. Twice is safe."""
    from checker.session import Session

    session = Session(lab, namespace)
    session.start(lambda other: _confirmed(f"Lab {other} was begun here before. Clear what it left?", yes))
    text = session.lab.text
    typer.echo(f"Lab {session.lab.number}: {text.title}. {text.goal}")
    typer.echo(f"It is ready in namespace {session.place.namespace}. The tasks:")
    for task in text.tasks:
        typer.echo(f"  {task.id} ({task.points} points): {task.text.strip()}")
    typer.echo(f"Check your work as often as you like: kubeclass check {session.lab.number}")


@app.command()
def check(
    lab: LabName,
    namespace: Namespace = DEFAULT_NAMESPACE,
    as_json: AsJson = False,
    wait: Annotated[float, typer.Option(help="Seconds to give a change that is in progress.", min=0, max=300)] = 10.0,
) -> None:
    """Grade a lab. Exit status: 0 all passed, 1 something failed, 2 something could not be checked, 3 could not run."""
    from checker import progress
    from checker.report import text_report
    from checker.session import Session

    result = Session(lab, namespace).check(wait)
    if namespace == DEFAULT_NAMESPACE:
        progress.note(result)
    if as_json:
        _print_json(result.to_json())
    else:
        typer.echo(text_report(result, colour=sys.stdout.isatty()))
    raise typer.Exit(result.exit_code)


@app.command()
def hint(
    lab: LabName,
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task's id, as `check --json` and `start` name it.")],
    level: Annotated[int, typer.Option(help="1 is the gentlest hint.", min=1)] = 1,
) -> None:
    """Give a hint for a task, one level at a time."""
    from checker.labs import hint as hint_of
    from checker.labs import load_lab

    text, more = hint_of(load_lab(lab), task, level)
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
def progress(as_json: AsJson = False) -> None:
    """Show what you have reached so far."""
    from checker import progress as kept
    from checker.labs import all_labs, load_lab

    data = kept.read()["labs"]
    rows = [
        {"lab": number, "title": load_lab(number).text.title, "max_score": sum(t.points for t in load_lab(number).text.tasks),
         "best": data.get(number, {}).get("best", 0), "checks": data.get(number, {}).get("checks", 0),
         "passed_at": data.get(number, {}).get("passed_at")}
        for number in all_labs()
    ]  # fmt: skip
    if as_json:
        return _print_json({"labs": rows})
    for row in rows:
        word = "✔ passed" if row["passed_at"] else "… begun " if row["checks"] else "  to do "
        typer.echo(f"{word}  lab {row['lab']}  {row['title']}  {row['best']}/{row['max_score']}")
    following = next((row for row in rows if not row["passed_at"]), None)
    typer.echo(f"Next: kubeclass start {following['lab']}" if following else "Every lab is passed.")


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
    except KeyboardInterrupt:
        print("kubeclass: stopped. Nothing is half-done; the same command goes on where it was.", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        print(f"kubeclass: a fault of the course itself: {type(error).__name__}: {error}\n"
              "  Next: run the same command with --debug behind `kubeclass`, and report what it prints.", file=sys.stderr)  # fmt: skip
        sys.exit(3)


if __name__ == "__main__":
    main()
