"""The commands for marks: `kubeclass hand-in`, and `collect`, `regrade` and `report` of `kubeclass class`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from checker.ui import command
from checker.ui.class_cli import class_at, class_commands, context_option, json_option, kubeconfig_option, name_argument

if TYPE_CHECKING:
    from checker.marking.hand_in import Collected
    from checker.marking.regrade import Regraded

key_option = command.option(
    "--key", "key_file", metavar="FILE", type=click.Path(path_type=Path), default=None, help="help-class-key"
)
_file = click.Path(path_type=Path)
REPORT = Path("kubeclass-report.json")


@click.command("hand-in", cls=command.Command, help="help-hand-in")
@command.argument("lab", metavar="LAB", help="help-lab")
@command.option("--out", "file", metavar="FILE", type=_file, default=None, help="help-hand-in-out")
@command.option("--namespace", "-n", metavar="NAME", default="", help="help-lab-namespace")
@command.wait_option
@json_option
def hand_in(lab: str, file: Path | None, namespace: str, wait: float, as_json: bool) -> None:
    """Write a receipt of what a lab has reached. Exit status: as of `check`."""
    from checker.classroom.joined import current_class
    from checker.collect.api import Api
    from checker.marking import receipt
    from checker.marking.hand_in import own_receipt
    from checker.model.catalogue import say
    from checker.session import Session

    session = Session(lab, namespace)
    session.require_started()
    result, state = session.checked(wait)
    joined = current_class() if session.cluster.kind == "class" else None
    api = None if session.lab.spec.needs.engine else Api(session.cluster)
    made = own_receipt(session.lab, state, result, api, joined.name if joined else "", joined.learner if joined else "")
    place = file or Path(f"kubeclass-{made.filename}")
    receipt.write(place, made, None)
    if as_json:
        _print({"file": str(place), **{name: value for name, value in result.to_json().items() if name != "waited"}})
    else:
        click.echo(say("hand-in-done", file=place, lab=made.lab, score=made.score, max_score=made.max_score))
        click.echo(say("hand-in-means"))
    sys.exit(result.exit_code)


@click.command(cls=command.Command, help="help-report")
@command.argument("lab", metavar="[LAB]", required=False, default="", help="help-report-lab")
@command.option(
    "--out", "file", metavar="FILE", type=_file, default=Path("kubeclass-report.json"), help="help-report-out"
)
@command.option("--namespace", "-n", metavar="NAME", default="", help="help-lab-namespace")
def report_fault(lab: str, file: Path, namespace: str) -> None:
    """Write what belongs to a report of a fault into one file, and say what is in it."""
    from checker.marking.fault_report import gathered
    from checker.model.catalogue import problem, say

    parts = gathered(lab, namespace)
    try:
        file.write_text(json.dumps(parts, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise problem("receipt-unwritable", file=file, why=error.strerror) from None
    click.echo(say("report-done", file=file))
    for name, part in parts.items():
        missing = part.get("missing", "") if isinstance(part, dict) else ""
        click.echo(say("report-missing", part=name, why=missing) if missing else say(f"report-{name}"))
    click.echo(say("report-read-it"))


@class_commands.command(help="help-class-collect")
@name_argument
@command.argument("lab", metavar="LAB", help="help-lab")
@command.option("--out", "folder", metavar="DIR", type=_file, required=True, help="help-class-collect-out")
@context_option
@kubeconfig_option
@command.wait_option
@key_option
@json_option
def collect(
    name: str,
    lab: str,
    folder: Path,
    context: str,
    kubeconfig: Path | None,
    wait: float,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Write a signed receipt for each learner who has begun a lab.

    Exit status: 0 all are written, 1 one is missing, 2 something could not be checked, 3 could not run.
    """
    from checker.marking import keys
    from checker.marking.hand_in import collected
    from checker.marking.whole_class import see

    api, record = class_at(name, context, kubeconfig)
    key = keys.read(key_file) if key_file else keys.key_of(name)
    found = collected(api, name, see(api, record, [lab], wait, _report), folder, key)
    missing = any(one.status != "written" for one in found if one.status != "not-begun")
    unknown = any(task.verdict == "unknown" for one in found if one.receipt for task in one.receipt.tasks)
    _print(_collected_json(name, folder, key.id, found)) if as_json else _tell_collected(name, folder, found)
    sys.exit(1 if missing else 2 if unknown else 0)


def _collected_json(name: str, folder: Path, key: str, found: list[Collected]) -> dict[str, Any]:
    return {
        "class": name,
        "folder": str(folder),
        "key": key,
        "learners": [
            {
                "learner": one.look.learner.id,
                "lab": one.look.lab.number,
                "status": one.status,
                "why": one.why,
                "file": str(one.file) if one.file else None,
                "score": one.receipt.score if one.receipt else None,
                "max_score": one.receipt.max_score if one.receipt else None,
            }
            for one in found
        ],
    }


def _tell_collected(name: str, folder: Path, found: list[Collected]) -> None:
    from checker.marking import keys
    from checker.model.catalogue import say

    for one in found:
        learner = one.look.learner.id
        if one.receipt:
            unknown = sum(task.verdict == "unknown" for task in one.receipt.tasks)
            score, most = one.receipt.score, one.receipt.max_score
            click.echo(say("collect-row", learner=learner, score=score, max_score=most, unknown=unknown or ""))
            if one.receipt.left_out:
                click.echo(f"  ! {say(f'collect-left-out-{one.receipt.left_out}')}")
        elif one.status == "not-begun":
            click.echo(say("collect-not-begun", learner=learner))
        else:
            click.echo(f"✘ {say(f'collect-{one.status}', learner=learner, why=one.why)}")
    click.echo(say("collect-done", receipts=sum(bool(one.receipt) for one in found), folder=folder))
    click.echo(say("collect-key", file=keys.file_of(name)))


@class_commands.command(help="help-class-regrade")
@command.argument("folder", metavar="DIR", type=_file, help="help-class-regrade-dir")
@command.option("--lab", metavar="LAB", default="", help="help-class-regrade-lab")
@key_option
@json_option
def regrade(folder: Path, lab: str, key_file: Path | None, as_json: bool) -> None:
    """Judge receipts again with today's graders.

    Exit status: 0 nothing differs, 1 something differs or was tampered with, 2 something could not be judged again,
    3 could not run.
    """
    from checker.marking.regrade import exit_code
    from checker.marking.regrade import regrade as judge_again
    from checker.model.catalogue import say

    found = judge_again(folder, lab, key_file)
    if as_json:
        _print({"folder": str(folder), "receipts": [_regraded_json(one) for one in found]})
    else:
        for one in found:
            _tell_regraded(one)
        click.echo(
            say(
                "regrade-done",
                receipts=len(found),
                differ=sum(bool(one.differences) for one in found),
                troubled=sum(bool(one.trouble) for one in found),
            )
        )
    sys.exit(exit_code(found))


def _regraded_json(one: Regraded) -> dict[str, Any]:
    known = one.receipt
    return {
        "file": str(one.file),
        "by": known.by if known else None,
        "class": known.class_name if known else None,
        "learner": known.learner if known else None,
        "lab": known.lab if known else None,
        "proven": bool(known and known.by == "teacher" and not one.trouble),
        "trouble": one.trouble.id if one.trouble else None,
        "why": one.trouble.what if one.trouble else "",
        "score": known.score if known else None,
        "score_today": one.score,
        "differences": [
            {"task": each.task, "what": each.what, "before": each.before, "after": each.after}
            for each in one.differences
        ],
        "changed": {name: {"then": then, "now": now} for name, then, now in one.changed},
        "from_the_future": one.from_the_future,
    }


def _tell_regraded(one: Regraded) -> None:
    from checker.model.catalogue import say

    known = one.receipt
    who = known.learner if known else ""
    if one.trouble:
        click.echo(f"✘ {say('regrade-trouble', file=one.file, learner=who, why=one.trouble.what)}")
        click.echo(f"    {one.trouble.next_step}")
        return
    if not known:
        return
    sign = "✘" if one.differences else "✔"
    row = say("regrade-row", file=one.file, learner=who, lab=known.lab, before=known.score, after=one.score)
    click.echo(f"{sign} {row}")
    if known.by == "learner":
        click.echo(f"    {say('regrade-own')}")
    if one.from_the_future:
        click.echo(f"    {say('regrade-future', time=f'{known.time:%Y-%m-%d %H:%M UTC}')}")
    for each in one.differences:
        click.echo(f"    {say(f'regrade-{each.what}', task=each.task, before=each.before, after=each.after)}")
    if one.differences:
        changed = [say(f"regrade-changed-{name}", then=then or "-", now=now) for name, then, now in one.changed]
        click.echo(f"    {say('regrade-because', changed=changed) if changed else say('regrade-because-nothing')}")


@class_commands.command(help="help-class-report")
@name_argument
@command.argument("labs", metavar="[LAB]…", nargs=-1, help="help-class-report-labs")
@command.option("--html", "form", flag_value="html", help="help-class-report-html")
@command.option("--csv", "form", flag_value="csv", help="help-class-report-csv")
@command.option("--json", "form", flag_value="json", help="help-class-report-json")
@command.option("--out", "file", metavar="FILE", type=_file, default=None, help="help-class-report-out")
@command.option("--roster", metavar="FILE.csv", type=_file, default=None, help="help-class-report-roster")
@command.option("--hide-names", is_flag=True, help="help-class-hide-names")
@context_option
@kubeconfig_option
def report(
    name: str,
    labs: tuple[str, ...],
    form: str | None,
    file: Path | None,
    roster: Path | None,
    hide_names: bool,
    context: str,
    kubeconfig: Path | None,
) -> None:
    """Write how a class is at this moment into one file.

    Exit status: 0 all could be checked, 2 something could not, 3 could not run.
    """
    from checker.classroom.roster import read_roster
    from checker.marking.report import report_of
    from checker.marking.whole_class import see
    from checker.model.catalogue import problem, say
    from cluster.progress import tell

    if not form:
        raise problem("report-no-form", name=name)
    enrolled = read_roster(roster) if roster else []
    api, record = class_at(name, context, kubeconfig)
    made = report_of(name, see(api, record, labs, report=_report), enrolled, hide_names)
    if form == "html":
        from checker.ui.marks_page import html_of

        text = html_of(made)
    else:
        from checker.marking.exports import csv_of, json_of

        text = csv_of(made) if form == "csv" else json.dumps(json_of(made), indent=2, ensure_ascii=False) + "\n"
    if file:
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise problem("report-unwritable", file=file, why=error.strerror) from None
        tell(say("report-written", file=file, learners=len(made.learners), labs=[one.lab.number for one in made.labs]))
    else:
        click.echo(text, nl=False)
    for note in made.notes:
        tell(f"! {note}")
    if made.unknown:
        tell(f"? {say('report-unknown', tasks=made.unknown)}")
    sys.exit(2 if made.unknown else 0)


@class_commands.command(help="help-class-watch")
@name_argument
@command.option("--roster", metavar="FILE.csv", type=_file, default=None, help="help-class-report-roster")
@command.option(
    "--port",
    type=click.IntRange(1024, 65000),
    metavar="PORT",
    default=8931,
    show_default=True,
    help="help-class-watch-port",
)
@command.option("--browser/--no-browser", default=True, help="help-class-watch-browser")
@context_option
@kubeconfig_option
def watch(name: str, roster: Path | None, port: int, browser: bool, context: str, kubeconfig: Path | None) -> None:
    """Show a class live on a page, until Ctrl-C."""
    import asyncio
    import threading
    import webbrowser

    from checker.classroom.roster import read_roster
    from checker.model.catalogue import say
    from checker.ui.watch.server import serve
    from cluster.progress import tell

    enrolled = read_roster(roster) if roster else []
    api, record = class_at(name, context, kubeconfig)

    def is_up(address: str) -> None:
        click.echo(say("watch-address", address=address))
        tell(say("watch-stop"))
        if browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    asyncio.run(serve(api, record, enrolled, port, is_up))
    tell(say("watch-ended"))


def _report(done: int, of: int) -> None:
    from checker.model.catalogue import say
    from cluster.progress import tell

    if done == of or done % 25 == 0:
        tell(f"{'✔' if done == of else '…'} {say('marking-step')} ({done}/{of})")


def _print(data: Any) -> None:
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))
