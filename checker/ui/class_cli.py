"""`kubeclass class`: the commands for teachers, whose learners share one cluster (docs/class.md)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from checker.ui import command

if TYPE_CHECKING:
    from checker.classroom.lock import Holder
    from checker.classroom.record import Record
    from checker.collect.api import Api

HOURS = 8  # that the learners' tokens last, where nothing else is said

name_argument = command.argument("name", metavar="NAME", help="help-class-name")
context_option = command.option("--context", metavar="NAME", default="", help="help-class-context")
kubeconfig_option = command.option(
    "--kubeconfig", metavar="FILE", type=click.Path(path_type=Path), default=None, help="help-class-kubeconfig"
)
yes_option = command.option("--yes", "-y", is_flag=True, help="help-yes")
json_option = command.option("--json", "as_json", is_flag=True, help="help-json")


@click.group(name="class", cls=command.Group, help="help-class")
def class_commands() -> None:
    """A class: many learners on one cluster."""


@class_commands.command(help="help-class-create")
@name_argument
@command.option(
    "--roster", metavar="FILE.csv", type=click.Path(path_type=Path), required=True, help="help-class-roster"
)
@context_option
@kubeconfig_option
@command.option(
    "--hours",
    type=click.FloatRange(0.2, 2000),
    metavar="HOURS",
    default=float(HOURS),
    show_default=True,
    help="help-class-hours",
)
@command.option("--quota", metavar="pods=20,cpu=2,…", default="", help="help-class-quota")
@command.option("--registry", metavar="PREFIX", default="", help="help-class-registry")
@command.option("--hub", is_flag=True, help="help-class-hub")
@yes_option
@json_option
def create(
    name: str,
    roster: Path,
    context: str,
    kubeconfig: Path | None,
    hours: float,
    quota: str,
    registry: str,
    hub: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Make a class, or bring it to what the roster says. Twice changes nothing; after a stop it goes on."""
    from dataclasses import replace

    from checker.classroom import apply, offers, record, where
    from checker.classroom import hub as hub_room
    from checker.classroom.build import build, further_suffixes, labs_of_a_class, short_of
    from checker.classroom.lock import locked, require_free
    from checker.classroom.names import HUB
    from checker.classroom.needs import left_out
    from checker.classroom.quota import Quota, parse_quota
    from checker.classroom.registry import checked_prefix
    from checker.classroom.remove import remove as remove_learners
    from checker.classroom.roster import checked_name, read_roster
    from checker.collect.api import Api
    from checker.model.catalogue import problem, say
    from cluster.progress import step, tell

    labs = labs_of_a_class()
    further = further_suffixes(labs)
    learners = read_roster(roster, (*further, HUB))
    cluster = where.cluster_of_class(checked_name(name), context, kubeconfig)
    api = Api(cluster)
    seen = offers.look(api)
    offers.may(api, name)
    require_free(api, name, "create", waits_for=("create",))
    known = record.read(api, name)
    wanted = parse_quota(quota, known.quota if known else Quota())
    prefix = checked_prefix(registry) or (known.registry if known else "")
    has_hub = hub or bool(known and known.further is not None)  # once there, it stays
    cluster_facts = replace(seen.known, api_servers=offers.api_servers(api)) if has_hub else seen.known
    plan = build(name, learners, wanted, cluster_facts, labs, has_hub)
    if taken := apply.strangers(plan, apply.namespaces(api)):
        raise problem("class-namespaces-taken", name=name, namespaces=taken[:5], more=len(taken[5:]) or "")
    there = _homes(api, name)
    homes = [plan.home(one) for one in learners]
    leaving = [home for home in there if home not in homes]
    for lab, resource, needed, given in short_of(labs, wanted, seen.workers):
        tell(say("class-quota-short", lab=lab, resource=resource, needed=needed, given=given))
    most = (wanted.pods + has_hub) * len(learners)
    facts = {"name": name, "context": cluster.context, "learners": len(learners), "new": len(set(homes) - set(there))}
    tell(say("class-plan", **facts, namespaces=len(homes) * len(plan.places), each=len(plan.places)))
    tell(say("class-plan-quota", pods=wanted.pods, cpu=wanted.cpu, memory=wanted.memory, storage=wanted.storage))
    if has_hub:
        tell(say("class-plan-hub", cpu=hub_room.CPU, memory=hub_room.MEMORY, storage=hub_room.STORAGE))
    tell(say("class-plan-room", most=most, pods=seen.pods, workers=seen.workers))
    if leaving:
        tell(say("class-plan-leaving", learners=[home.removeprefix(f"{name}-") for home in leaving]))
    if not _confirmed(say("class-create-question", name=name, context=cluster.context), yes):
        raise problem("class-not-created", name=name, exit_code=1)
    where.remember(name, cluster)
    with step(say("class-step-observer")):
        _install_observer(cluster, prefix)
        is_enforced = offers.enforced(api)
    gives = (*seen.offers, *(["policies"] if is_enforced else []))
    gone_later: list[str] = []
    with locked(api, name, "create", _waits_for(name), waits_for=("create",)) as require_lock:
        if (latest := record.read(api, name)) and latest.ends > datetime.now(UTC):
            ends = latest.ends
        else:
            ends = datetime.now(UTC) + timedelta(hours=hours)
        apply.wait_for_ending(api, plan, lambda: tell(f"… {say('class-step-ending')}"))
        record.write(api, record.Record(name, ends, gives, prefix, wanted, further if has_hub else None))
        progress = _Progress(require_lock)
        done = apply.create(api, plan, progress.of_step)
        leaving = [home for home in leaving if home in _homes(api, name)]
        if leaving and (yes or _confirmed(say("class-leaving-question", learners=len(leaving)), yes)):
            gone_later = remove_learners(api, name, progress.of("class-step-leaving"), leaving)
    not_here = left_out(labs, gives)
    if as_json:
        return _print(
            {
                "class": name,
                "learners": len(learners),
                "namespaces": len(homes) * len(plan.places),
                "created": done.created,
                "changed": done.changed,
                "same": done.same,
                "offers": list(gives),
                "not_in_class": {lab: say(reason) for lab, reason in not_here.items()},
                "leaving": gone_later,
            }
        )
    click.echo(say("class-created", name=name, created=done.created, changed=done.changed, same=done.same))
    if not is_enforced:
        click.echo(say("class-no-walls" if is_enforced is False else "class-walls-unknown"))
    for lab, reason in not_here.items():
        click.echo(say("class-not-in", lab=lab, reason=say(reason)))
    click.echo(say("class-created-next-hub" if has_hub else "class-created-next", name=name))


@class_commands.command("list", help="help-class-list")
@context_option
@kubeconfig_option
@json_option
def list_(context: str, kubeconfig: Path | None, as_json: bool) -> None:
    """List the classes that were made from this machine, or those of a context."""
    from checker.classroom import record, where
    from checker.classroom.target import target
    from checker.collect.api import Api
    from checker.model.catalogue import say

    if context:
        cluster = target(context, str(kubeconfig or ""))
        rows = [{"class": one.name, "context": context, "ends": _time(one.ends)} for one in record.all_of(Api(cluster))]
    else:
        rows = [{"class": name, "context": at.context} for name, at in where.remembered().items()]
    if as_json:
        return _print({"classes": rows})
    for row in rows:
        click.echo(say("class-row", name=row["class"], context=row["context"], ends=row.get("ends", "")))
    if not rows:
        click.echo(say("class-none"))


@class_commands.command(help="help-class-status")
@name_argument
@context_option
@kubeconfig_option
@json_option
def status(name: str, context: str, kubeconfig: Path | None, as_json: bool) -> None:
    """Show how a class is. Exit status: 0 all well, 1 something is missing, 3 could not be asked."""
    from checker.classroom.status import status_of
    from checker.model.catalogue import say

    api, record = class_at(name, context, kubeconfig)
    found = status_of(api, record)
    if as_json:
        _print(found)
    else:
        click.echo(say("class-status", name=name, learners=len(found["learners"]), ends=found["ends"]))
        for one in found["learners"]:
            click.echo(
                say(
                    "class-status-learner",
                    id=one["id"],
                    lab=one["lab"],
                    pods=one["pods"],
                    not_ready=one["not_ready"] or "",
                    missing=one["missing"],
                )
            )
        for sentence in found["not_well"]:
            click.echo(f"✘ {sentence}")
    sys.exit(1 if found["not_well"] else 0)


@class_commands.command(help="help-class-extend")
@name_argument
@command.option("--hours", type=click.FloatRange(0.2, 2000), metavar="HOURS", required=True, help="help-class-more")
@context_option
@kubeconfig_option
@json_option
def extend(name: str, hours: float, context: str, kubeconfig: Path | None, as_json: bool) -> None:
    """Let a class end later: from now on so many hours. The learners need new files."""
    from dataclasses import replace

    from checker.classroom import record as records
    from checker.model.catalogue import say

    api, record = class_at(name, context, kubeconfig)
    longer = replace(record, ends=datetime.now(UTC) + timedelta(hours=hours))
    records.write(api, longer)
    if as_json:
        return _print({"class": name, "ends": _time(longer.ends)})
    click.echo(say("class-extended", name=name, ends=_time(longer.ends)))


@class_commands.command("hand-out", help="help-class-hand-out")
@name_argument
@command.option("--out", "folder", metavar="DIR", type=click.Path(path_type=Path), required=True, help="help-class-out")
@context_option
@kubeconfig_option
@json_option
def hand_out(name: str, folder: Path, context: str, kubeconfig: Path | None, as_json: bool) -> None:
    """Write one file for each learner, with a new token."""
    from checker.classroom import tokens
    from checker.model.catalogue import say

    api, record = class_at(name, context, kubeconfig)
    progress = _Progress()
    files = tokens.hand_out(
        api,
        name,
        _homes(api, name),
        folder,
        record.ends,
        list(record.offers),
        record.registry,
        progress.of("class-step-files"),
    )
    earliest = min((end for _, end in files), default=record.ends)
    if as_json:
        return _print({"class": name, "files": [str(file) for file, _ in files], "ends": _time(earliest)})
    click.echo(say("class-handed-out", files=len(files), folder=folder, ends=_time(earliest)))
    if earliest < record.ends - timedelta(minutes=1):
        click.echo(say("class-ends-early", ends=_time(record.ends)))


@class_commands.command(help="help-class-remove")
@name_argument
@context_option
@kubeconfig_option
@yes_option
@json_option
def remove(name: str, context: str, kubeconfig: Path | None, yes: bool, as_json: bool) -> None:
    """Delete exactly what carries the class's label."""
    from checker.classroom import where
    from checker.classroom.apply import listed
    from checker.classroom.lock import locked, require_free
    from checker.classroom.remove import leftovers, stays
    from checker.classroom.remove import remove as remove_class
    from checker.collect.api import Api
    from checker.model.catalogue import problem, say

    cluster = where.cluster_of_class(name, context, kubeconfig)
    api = Api(cluster)
    require_free(api, name, "remove")
    found = listed(api, name)
    if not found:
        where.remember(name, None)
        raise problem("class-not-there", name=name, context=cluster.context, exit_code=1)
    namespaces = sum(kind == "Namespace" for kind, _, _ in found)
    question = say("class-remove-question", name=name, context=cluster.context, namespaces=namespaces)
    if not _confirmed(question, yes):
        raise problem("class-not-removed", name=name, exit_code=1)
    with locked(api, name, "remove", _waits_for(name)) as require_lock:
        remaining = remove_class(api, name, _Progress(require_lock).of("class-step-remove"))
        left = leftovers(api, name)
    if not left:
        where.remember(name, None)
    if as_json:
        _print({"class": name, "removed": not left, "left": left, "stays": stays(api)})
    elif left:
        click.echo(say("class-removing", name=name, namespaces=remaining, left=len(left)))
    else:
        click.echo(say("class-removed", name=name, stays=stays(api)))
    sys.exit(1 if left else 0)


@class_commands.command(help="help-class-preflight")
@context_option
@kubeconfig_option
@command.option("--registry", metavar="PREFIX", default="", help="help-class-registry")
@json_option
def preflight(context: str, kubeconfig: Path | None, registry: str, as_json: bool) -> None:
    """Try a cluster with one made-up learner and one lab, and remove it all. Exit status: 0 all passed, 1 not."""
    from checker.classroom.preflight import Preflight, Tried
    from checker.classroom.preflight import preflight as try_out
    from checker.classroom.registry import checked_prefix
    from checker.classroom.remove import stays
    from checker.classroom.target import options, target
    from checker.collect.api import Api
    from checker.model.catalogue import problem, say
    from cluster.progress import tell
    from cluster.up import stop_as_by_ctrl_c

    if not context:
        raise problem("class-preflight-where")
    stop_as_by_ctrl_c()
    cluster = target(context, str(kubeconfig or ""))
    api, found, prefix = Api(cluster), Preflight(), checked_prefix(registry)
    tell(say("class-preflight-begin", context=context))

    def told(one: Tried) -> None:
        sign = "✘" if one.why else "✔"
        tell(
            f"{sign} {say('class-tried', what=say(f'class-tried-{one.step}'), seconds=round(one.seconds), why=one.why)}"
        )

    try:
        try_out(api, prefix, found, told, lambda: tell(say("class-preflight-stopping")))
    finally:
        if not found.is_removed:
            tell(say("class-preflight-remove", name=found.name, options=options(cluster)))
        if stays(api):
            tell(say("class-preflight-stays", options=options(cluster)))
    if as_json:
        _print(
            {
                "context": context,
                "passed": found.passed,
                "lab": found.lab,
                "policies_enforced": found.enforced,
                "steps": [
                    {"step": one.step, "seconds": round(one.seconds, 1), "passed": not one.why, "why": one.why}
                    for one in found.tried
                ],
                "left": found.left,
            }
        )
    elif found.passed:
        click.echo(say("class-preflight-passed", context=context, lab=found.lab))
        if not found.enforced:
            click.echo(say("class-no-walls"))
    else:
        click.echo(say("class-preflight-failed", context=context))
    sys.exit(0 if found.passed else 1)


@class_commands.command(help="help-class-images")
@command.option("--registry", metavar="PREFIX", required=True, help="help-class-registry")
@command.option("--push", "pushes", is_flag=True, help="help-class-push")
@json_option
def images(registry: str, pushes: bool, as_json: bool) -> None:
    """List the course's images as they are named in a registry, or push them there."""
    from checker.classroom.images import names_in, push
    from checker.classroom.registry import checked_prefix
    from checker.model.catalogue import problem, say
    from cluster import engine
    from cluster.progress import tell

    prefix = checked_prefix(registry)
    if not prefix:
        raise problem("class-registry", prefix=registry)
    named = names_in(prefix)
    if pushes:
        push(engine.ensure(), prefix, lambda image: tell(say("class-pushing", image=image)))
    if as_json:
        return _print({"registry": prefix, "images": named, "pushed": pushes})
    for name, full in named.items():
        click.echo(say("class-image", name=name, full=full))


def class_at(name: str, context: str, kubeconfig: Path | None) -> tuple[Api, Record]:
    """A class that is there. Raises Problem where it is not."""
    from checker.classroom import record, where
    from checker.collect.api import Api
    from checker.model.catalogue import problem

    cluster = where.cluster_of_class(name, context, kubeconfig)
    api = Api(cluster)
    found = record.read(api, name)
    if not found:
        raise problem("class-not-there", name=name, context=cluster.context)
    return api, found


def _homes(api: Api, name: str) -> dict[str, dict[str, str]]:
    from checker.classroom.apply import listed
    from checker.classroom.tokens import homes_in

    return homes_in(list(listed(api, name, ["Namespace"]).values()))


def _install_observer(cluster: Any, registry: str) -> None:
    from cluster import observer

    if not observer.is_current(cluster):
        observer.install(cluster, registry=registry)


def _waits_for(name: str) -> Callable[[Holder], None]:
    """Tells that this command waits for another one."""
    from checker.model.catalogue import say
    from cluster.progress import tell

    return lambda holder: tell(
        say("class-waits-for", name=name, who=holder.who, since=f"{holder.since.astimezone(UTC):%H:%M:%S UTC}")
    )


class _Progress:
    """Tells how far a step is: at its first and last object, and every few seconds."""

    PAUSE = 3.0  # seconds between two lines

    def __init__(self, require: Callable[[], None] = lambda: None) -> None:
        """require: raises Problem where the step must not go on."""
        self._last_report, self._require = 0.0, require

    def of_step(self, step: str, done: int, of: int) -> None:
        self._tell(f"class-step-{step}", done, of)

    def of(self, sentence: str) -> Callable[[int, int], None]:
        """sentence: an id of ui.yaml."""
        return lambda done, of: self._tell(sentence, done, of)

    def _tell(self, sentence: str, done: int, of: int) -> None:
        import time

        from checker.model.catalogue import say
        from cluster.progress import tell

        self._require()
        if done == of or time.monotonic() - self._last_report > self.PAUSE:
            self._last_report = time.monotonic()
            tell(f"{'✔' if done == of else '…'} {say(sentence)} ({done}/{of})")


def _confirmed(question: str, yes: bool) -> bool:
    return yes or (sys.stdin.isatty() and click.confirm(question))


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _print(data: Any) -> None:
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))
