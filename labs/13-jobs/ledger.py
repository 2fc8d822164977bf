"""The archive's ledger: who came, when, for what; and whether the archive is still the one that the lab made."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from checker.sdk import Answers, Http, ImageName, Object, Ref, State, fail, other_values, parse_time, unknown

ARCHIVE = list(yaml.safe_load_all((Path(__file__).parent / "setup" / "archive.yaml").read_text()))
LEDGER = Http("archive", "/ledger")
# The ledger tells ages. The checker reads it a little after the objects, so a line may seem older by so much. And the
# API server writes whole seconds.
OLDER, YOUNGER = timedelta(seconds=10), timedelta(seconds=2)


@dataclass(frozen=True)
class Line:
    """A line of the ledger: one request to the archive.

    at: when. who: the client's name, as it gave it. address: the client's IP address.
    box: the number of the box; -1 in other lines. what: of a box, `come again`, `given` or `imported`.
    """

    at: datetime
    who: str
    address: str
    box: int = -1
    what: str = ""


@dataclass(frozen=True)
class Ledger:
    """What the archive remembers. since: the start of its process; what came before is lost."""

    since: datetime
    boxes: list[Line]
    backups: list[Line]
    reports: list[Line]


def read_ledger(state: State, answers: Answers) -> Ledger:
    archive = state.require("Service", "archive")
    require_untouched(state, archive)
    state.require_answers(archive, answers)
    try:
        data = json.loads(answers[0].text)

        def at(seconds: float) -> datetime:
            return state.now - timedelta(seconds=seconds)

        def lines(name: str) -> list[Line]:
            return [
                Line(at(line["begin"]), line["who"], line["from"], line.get("box", -1), line.get("what", ""))
                for line in data[name]
            ]

        return Ledger(at(data["kept_for"]), lines("box"), lines("backup"), lines("report"))
    except (ValueError, KeyError, TypeError):
        fail("service-answers-wrong", archive, form="no-ledger", answer=answers[0].words)


def what_it_runs(kind: str, raw: dict[str, Any]) -> dict[str, Any]:
    """The part of an object of the archive that decides what the archive does."""
    if kind == "Deployment":
        pod = raw["spec"]["template"]["spec"]
        containers = [
            {key: c.get(key) for key in ("name", "command", "volumeMounts")}
            # A class may pull the image from a registry.
            | {"image": ImageName.parse(c.get("image", "")).without_path}
            for c in pod["containers"]
        ]
        return {"containers": containers, "volumes": pod.get("volumes")}
    return {"data": raw["data"]} if kind == "ConfigMap" else {"selector": raw["spec"].get("selector")}


def require_untouched(state: State, archive: Object) -> None:
    """Raise Failed where the archive is not as the lab created it: another one could write any ledger."""
    for wanted in ARCHIVE:
        live = state.require(wanted["kind"], wanted["metadata"]["name"])
        for other in other_values(what_it_runs(live.kind, wanted), what_it_runs(live.kind, live.raw), live.kind):
            fail(
                "service-answers-wrong",
                live,
                form="archive-changed",
                field=other.path.partition(".")[2],
                resource=live.kind.lower(),
            )
    deployment = state.require("Deployment", "archive")
    backends = {pod.name for pod in state.pods_of(archive)} - {pod.name for pod in state.pods_of(deployment)}
    if backends:
        fail("service-answers-wrong", archive, backends=sorted(backends), deployment=deployment.name)


def end_of(job: Object) -> datetime | None:
    """When a Job was complete; None where it is not."""
    return parse_time(job.status["completionTime"]) if job.status.get("completionTime") else None


def of_job(state: State, job: Object, lines: list[Line]) -> list[Line]:
    """The lines of a Job's Pods from while the Job was active.

    The Pods of an Indexed Job give the Job's name and their number. Any client can give a name, so the line must also
    come from the address of one of these Pods.
    """
    pods = state.owned("Pod", job)
    names = {name for pod in pods for name in (pod.name, pod.spec.get("hostname"))}
    addresses = {pod.status.get("podIP") for pod in pods}
    begin, end = parse_time(job.status["startTime"]) - OLDER, (end_of(job) or state.now) + YOUNGER
    return [
        line
        for line in lines
        if begin <= line.at <= end
        and line.address in addresses
        and (line.who in names or line.who.rpartition("-")[0] == job.name)
    ]


def not_of_others(state: State, cron_job: Object, lines: list[Line]) -> list[Line]:
    """The lines that may come from Pods of a CronJob that no longer exist: not those from addresses of other Pods."""
    own = {pod.name for job in state.owned("Job", cron_job) for pod in state.owned("Pod", job)}
    others = {pod.status.get("podIP") for pod in state.all("Pod") if pod.name not in own}
    return [line for line in lines if line.address not in others]


def require_remembered(ledger: Ledger, since: datetime, work: Object) -> None:
    """Raise Unknown where the archive was restarted after `since`, the start of a Job or of a CronJob's last run."""
    if ledger.since > since + YOUNGER:
        archive = Ref("Service", "archive", work.namespace)
        unknown("not-observed", archive, form="archive-restarted", work_kind=work.kind, work=work.name)
