"""The command line `kubeclass`. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from checker.ui import command
from checker.ui.class_cli import class_commands
from checker.ui.cluster_cli import COMMANDS as CLUSTER_COMMANDS
from checker.ui.cluster_cli import as_json_option, context_option, kubeconfig_option
from checker.ui.course_cli import ci as ci_command
from checker.ui.course_cli import course as course_commands
from checker.ui.lab_cli import lab as lab_commands
from checker.ui.lesson_cli import lesson as lesson_commands
from checker.ui.marks_cli import hand_in, report_fault
from cluster.context import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from checker.grading.labs import Lab
    from cluster import Problem

STOPPED = 130  # exit status after Ctrl-C, as shells have it


class _Commands(command.Group):
    """The commands. Ctrl-C in any of them ends in one sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            from checker.model.catalogue import problem

            raise problem("stopped", exit_code=STOPPED) from None


def _namespace_option(help: str) -> Callable[[command.Decorated], command.Decorated]:
    """help: an id of ui.yaml."""
    return command.option("--namespace", "-n", metavar="NAME", default="", help=help)


lab_argument = command.argument("lab", metavar="LAB", help="help-lab")
namespace_option = _namespace_option("help-lab-namespace")
any_namespace_option = _namespace_option("help-namespace")
why_option = command.option("--why", is_flag=True, help="help-why")
seed_option = command.option(
    "--seed",
    metavar="SEED",
    default="",
    envvar="KUBECLASS_SEED",
    show_envvar=True,
    help="help-start-seed",
)
yes_option = command.option("--yes", "-y", is_flag=True, help="help-yes")
target_argument = command.argument("target", metavar="[KIND/NAME]", required=False, default="", help="help-target")
target_name_argument = command.argument("name", metavar="[NAME]", required=False, default="", help="help-target-name")


def _print_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        from cluster.versions import course_version

        click.echo(f"kubeclass {course_version()}")
        context.exit()


def _choose_course(context: click.Context, _: click.Parameter, folder: str | None) -> None:
    """Have this command, and what it starts, use another course. Raises Problem where a folder holds none."""
    folder = folder or os.environ.get("KUBECLASS_COURSE")
    if not folder or context.resilient_parsing:
        return
    chosen = Path(folder).expanduser().absolute()
    if not (chosen / "labs").is_dir() and not (chosen / "lessons").is_dir():
        from checker.model.catalogue import problem

        raise problem("no-course", folder=chosen)
    os.environ["KUBECLASS_COURSE"] = str(chosen)


@click.group(
    name="kubeclass",
    cls=_Commands,
    help="help",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@command.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="help-version"
)
@command.option(
    "--course", metavar="DIR", expose_value=False, callback=_choose_course, is_eager=True, help="help-use-course"
)
@command.option("--debug", is_flag=True, help="help-debug")
def app(debug: bool) -> None:
    """`debug` is read by `main` from the command line: it also concerns errors before the command runs."""


def _print_json(data: Any) -> None:
    import json

    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def _namespace(namespace: str) -> tuple[str, str]:
    """The namespace that is meant; and, for a command that is advised, the same or "" where it need not be named."""
    from checker.classroom.target import target, unless_home

    return namespace or target().namespace, unless_home(namespace)


def _confirmed(question: str, yes: bool) -> bool:
    """Whether to go ahead: with --yes always, on a terminal when the answer is yes, otherwise not."""
    return yes or (sys.stdin.isatty() and click.confirm(question))


@app.command(help="help-start")
@lab_argument
@namespace_option
@yes_option
@seed_option
def start(lab: str, namespace: str, yes: bool, seed: str) -> None:
    """Set a lab up in its namespace. Twice is safe."""
    from checker.classroom.needs import namespace_of
    from checker.model.catalogue import say
    from checker.session import Session
    from checker.ui import progress

    namespace, elsewhere = _namespace(namespace)
    session = Session(lab, namespace, seed=seed)
    session.start(lambda other: _confirmed(say("start-clear-other", other=other), yes))
    if not elsewhere:
        progress.seen(session.lab.number)
    click.echo(started(session.lab, session.environment.namespace, namespace_of(session.lab, session.cluster)))


def started(lab: Lab, namespace: str, home: str = DEFAULT_NAMESPACE) -> str:
    """What `start` says of a lab that is ready in a namespace. home: the learner's own namespace."""
    from checker.model.catalogue import say

    tasks = [
        say("start-task", task=task.id, points=task.points, text=task.text.strip())
        for task in lab.tasks(namespace, home)
    ]
    return "\n".join(
        [
            say("start-title", lab=lab.number, title=lab.spec.title, goal=lab.spec.goal),
            say("start-ready", namespace=namespace),
            *(f"  {task}" for task in tasks),
            say("start-check", lab=lab.number, elsewhere="" if namespace == home else namespace),
        ]
    )


@app.command(help="help-check")
@lab_argument
@namespace_option
@context_option
@kubeconfig_option
@as_json_option
@command.wait_option
@why_option
def check(lab: str, namespace: str, context: str, kubeconfig: str, as_json: bool, wait: float, why: bool) -> None:
    """Grade a lab. Exit status: 0 all passed, 1 something failed, 2 something could not be checked, 3 could not run."""
    from checker.classroom.target import target
    from checker.session import Session
    from checker.ui import progress
    from checker.ui.report import text_debrief, text_report

    cluster = target(context, kubeconfig)
    session = Session(lab, namespace, cluster=cluster)
    if cluster.kind != "named":  # there, nobody can `start` a lab: it takes no context
        session.require_started()
    result = session.check(wait)
    at_home = cluster.kind != "named" and namespace in ("", cluster.namespace)
    if at_home and (unkept := progress.note(result)):
        click.echo(unkept, err=True)
    if as_json:
        _print_json(result.to_json())
    else:
        known = progress.suspects(result.lab, result.namespace)
        click.echo(text_report(result, colour=sys.stdout.isatty(), why=why, known=known))
        if result.passed:
            click.echo(text_debrief(session.lab))
    sys.exit(result.exit_code)


@app.command(help="help-watch")
@lab_argument
@namespace_option
@why_option
def watch(lab: str, namespace: str, why: bool) -> None:
    """Grade a lab again whenever the cluster changes, until Ctrl-C. Exit status: as of `check`, by the last grade."""
    import threading
    from contextlib import nullcontext

    from rich.console import Console
    from rich.live import Live as Screen
    from rich.text import Text

    from checker.live import Live
    from checker.model.catalogue import say
    from checker.model.verdict import Result
    from checker.session import Session
    from checker.ui import progress
    from checker.ui.report import text_report

    namespace, elsewhere = _namespace(namespace)
    session, console = Session(lab, namespace), Console()
    session.require_started()
    last: Result | None = None
    screen = Screen(say("panel-looking"), console=console, auto_refresh=False) if console.is_terminal else None

    def show(result: Result) -> None:
        nonlocal last
        last = result
        known = progress.suspects(result.lab, namespace)
        if not elsewhere:
            progress.note(result, by_learner=False)
        if screen:
            report = text_report(result, colour=True, live=True, why=why, known=known)
            screen.update(Text.from_ansi(f"{report}\n\n{say('watch-end')}"), refresh=True)
        else:
            click.echo(text_report(result, live=True, why=why, known=known))

    try:
        with screen or nullcontext(), Live(session, show):
            threading.Event().wait()
    except KeyboardInterrupt:
        sys.exit(last.exit_code if last else STOPPED)


@app.command(help="help-picture")
@target_argument
@target_name_argument
@any_namespace_option
@context_option
@kubeconfig_option
@command.option("--svg", "as_svg", is_flag=True, help="help-picture-svg")
def picture(target: str, name: str, namespace: str, context: str, kubeconfig: str, as_svg: bool) -> None:
    """Show what runs where, which Service leads to whom, and what is broken. In a notebook, `picture()` moves with the
    cluster."""
    from checker.ui.picture import picture as picture_of
    from checker.ui.picture.drawing import svg

    seen = picture_of(target, name, namespace=namespace, context=context, kubeconfig=kubeconfig)
    click.echo(svg(seen.view) if as_svg else repr(seen))
    sys.exit(2 if seen.view["away"] else 0)


@app.command(help="help-explain")
@target_argument
@target_name_argument
@any_namespace_option
@context_option
@kubeconfig_option
@as_json_option
@command.wait_option
def explain(target: str, name: str, namespace: str, context: str, kubeconfig: str, as_json: bool, wait: float) -> None:
    """Say what is broken at the root, lab or not. Exit status: 0 nothing is wrong, 1 something is,
    2 something could not be seen, 3 could not run."""
    from checker.ui.explanation import explain as explained
    from checker.ui.explanation import text_of

    explanation = explained(target, name, namespace=namespace, wait=wait, context=context, kubeconfig=kubeconfig)
    if as_json:
        _print_json(explanation.to_json())
    else:
        click.echo(text_of(explanation, colour=sys.stdout.isatty()))
    sys.exit(explanation.exit_code)


@app.command(help="help-hint")
@lab_argument
@command.argument("task", metavar="TASK", help="help-hint-task")
@command.option(
    "--level",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    default=1,
    show_default=True,
    help="help-hint-level",
)
@namespace_option
def hint(lab: str, task: str, level: int, namespace: str) -> None:
    """Give a hint for a task, one level at a time."""
    from checker.grading.labs import hint as hint_of
    from checker.grading.labs import load_lab
    from checker.model.catalogue import say

    home, _ = _namespace("")
    namespace, elsewhere = _namespace(namespace)
    text, more = hint_of(load_lab(lab), task, level, namespace, home)
    click.echo(text)
    if more:
        click.echo(say("hint-more", lab=lab, task=task, level=level + 1, elsewhere=elsewhere))


@app.command(help="help-suspect")
@lab_argument
@command.argument("target", metavar="KIND/NAME", help="help-suspect-target")
@command.argument("what", metavar="WHAT", required=False, default="", help="help-suspect-what")
@namespace_option
def suspect(lab: str, target: str, what: str, namespace: str) -> None:
    """Name what is wrong, in a lab that asks to find out. Exit status: 0 that is it, 1 that is not it,
    3 could not run."""
    from checker.model.catalogue import problem
    from checker.session import Session
    from checker.ui import suspects

    if not what:
        raise problem(
            "suspect-of-what", choices="".join(f"\n    {choice}: {words}" for choice, words in suspects.choices())
        )
    session = Session(lab, namespace)
    is_right, answer = suspects.named(session.lab, *session.checked(), target, what)
    click.echo(answer)
    sys.exit(0 if is_right else 1)


@app.command(help="help-solve")
@lab_argument
@namespace_option
def solve(lab: str, namespace: str) -> None:
    """Bring about the lab's own solution, to look at what right looks like."""
    from checker.model.catalogue import say
    from checker.session import Session

    namespace, elsewhere = _namespace(namespace)
    session = Session(lab, namespace)
    click.echo(say("solve-begin", lab=session.lab.number, folder=session.lab.folder / "solution"))
    session.solve()
    click.echo(say("solve-done", lab=session.lab.number, elsewhere=elsewhere))


@app.command(help="help-reset")
@lab_argument
@namespace_option
@yes_option
@seed_option
def reset(lab: str, namespace: str, yes: bool, seed: str) -> None:
    """Delete what was made for a lab and set it up again. Your files are kept."""
    from checker.model.catalogue import problem, say
    from checker.session import Session
    from checker.ui import progress

    namespace, elsewhere = _namespace(namespace)
    session = Session(lab, namespace, seed=seed)
    number = session.lab.number
    if not _confirmed(say("reset-question", namespace=namespace, lab=number), yes):
        raise problem("not-reset", lab=lab, elsewhere=elsewhere, exit_code=1)
    click.echo(say("reset-begin", namespace=namespace, lab=number))
    session.reset()
    progress.forget_suspects(number, namespace)
    click.echo(say("reset-done"))


@app.command(help="help-clear")
@namespace_option
@command.option("--engine", is_flag=True, help="help-clear-engine")
@yes_option
def clear(namespace: str, engine: bool, yes: bool) -> None:
    """Delete what labs and lessons left in the namespace. Your files and your progress are kept."""
    from checker.environments import environments
    from checker.model.catalogue import problem, say

    namespace, elsewhere = _namespace(namespace)
    found = environments(namespace, engine)
    if not _confirmed(say("clear-question", namespace=namespace), yes):
        raise problem("not-cleared", elsewhere=elsewhere, exit_code=1)
    click.echo(say("clear-begin", namespace=namespace))
    for place in found:
        place.empty()
    click.echo(say("clear-done"))


@app.command(help="help-progress")
@as_json_option
def progress(as_json: bool) -> None:
    """Show what you have reached so far, and what is next."""
    from checker.ui.overview import course

    if as_json:
        return _print_json(course().to_json())
    click.echo(repr(course()))


@app.command(help="help-hand")
@command.option("--down", is_flag=True, help="help-hand-down")
def hand(down: bool) -> None:
    """Raise a hand in a class, or take it down. Twice is safe. Exit status: 0 done, 3 could not run."""
    from checker.classroom import hand as hands
    from checker.classroom.target import target
    from checker.collect.api import Api
    from checker.model.catalogue import problem, say

    cluster = target()
    if cluster.kind != "class":
        raise problem("hand-no-class")
    (hands.take_down if down else hands.put_up)(Api(cluster), cluster.namespace)
    click.echo(say("hand-down" if down else "hand-up"))


app.add_command(report_fault, "report")
for _command in (
    *CLUSTER_COMMANDS,
    lesson_commands,
    hand_in,
    class_commands,
    lab_commands,
    course_commands,
    ci_command,
):
    app.add_command(_command)


def main() -> None:
    """The console script. Errors meant for people are printed as such; `--debug` shows where they come from."""
    from cluster import Problem

    try:
        app()
    except Problem as problem:
        if "--debug" in sys.argv:
            raise
        _end(problem)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        from checker.model.catalogue import problem as problem_of

        _end(problem_of("course-fault", error=f"{type(error).__name__}: {error}"))


def _end(problem: Problem) -> NoReturn:
    """Print a Problem, and end with its exit status."""
    print(f"kubeclass: {problem}", file=sys.stderr)
    sys.exit(problem.exit_code)


if __name__ == "__main__":
    main()
