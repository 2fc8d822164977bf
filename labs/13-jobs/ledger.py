"""The archive's ledger: who came, when, for what; and whether the archive is still the one that the lab made."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from checker.sdk import Answers, Http, Object, State, are_no, fail, other_values, parse_time, unknown

ARCHIVE = list(yaml.safe_load_all((Path(__file__).parent / "setup" / "archive.yaml").read_text()))
LEDGER = Http("archive", "/ledger")
# The ledger tells ages, and is asked a little after the cluster was looked at: by so much its lines may seem too old. And the
# cluster writes whole seconds.
OLDER, YOUNGER = timedelta(seconds=10), timedelta(seconds=2)


@dataclass(frozen=True)
class Line:
    """A line of the ledger: who came (as they call themselves), when, from which address, and (of boxes) for which box and what came
    of it: come again, given or imported."""

    at: datetime
    who: str
    address: str
    box: int = -1
    what: str = ""


@dataclass(frozen=True)
class Ledger:
    """What the archive remembers. since: from when on; it forgets when its Pod is started anew."""

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
        fail(
            "service-answers-wrong", "Service archive is not answered by the archive that this lab began with.",
            expected="the archive's ledger", observed=answers[0].words, object=archive.ref, look="kubectl get pods --show-labels",
        )  # fmt: skip


def what_it_runs(kind: str, raw: dict[str, Any]) -> dict[str, Any]:
    """The part of an object of the archive's by which it is this archive."""
    if kind == "Deployment":
        pod = raw["spec"]["template"]["spec"]
        containers = [
            {key: c.get(key) for key in ("name", "image", "command", "volumeMounts")} for c in pod["containers"]
        ]
        return {"containers": containers, "volumes": pod.get("volumes")}
    return {"data": raw["data"]} if kind == "ConfigMap" else {"selector": raw["spec"].get("selector")}


def require_untouched(state: State, archive: Object) -> None:
    """The archive is the one that the lab made: whoever writes its ledger could write anything."""
    expected = "the archive as the lab began with it"
    for wanted in ARCHIVE:
        live = state.require(wanted["kind"], wanted["metadata"]["name"])
        for other in other_values(what_it_runs(live.kind, wanted), what_it_runs(live.kind, live.raw), live.kind):
            fail(
                "service-answers-wrong", f"{live.kind} {live.name} is not as the lab made it, so nothing is believed that the archive says.",
                expected=expected, observed=f"another {other.path.partition('.')[2]}", object=live.ref, look=f"kubectl get {live.kind.lower()} {live.name} -o yaml",
            )  # fmt: skip
    other_backends = {pod.name for pod in state.pods_of(archive)} - {
        pod.name for pod in state.pods_of(state.require("Deployment", "archive"))
    }
    if other_backends:
        fail(
            "service-answers-wrong", f"Behind Service archive is {', '.join(sorted(other_backends))} too, which {are_no(len(other_backends), 'Pod')} of Deployment archive.",
            expected=expected, observed=", ".join(sorted(other_backends)), object=archive.ref,
            look="kubectl get endpointslices -l kubernetes.io/service-name=archive -o yaml",
        )  # fmt: skip


def end_of(job: Object) -> datetime | None:
    """When a Job was done."""
    return parse_time(job.status["completionTime"]) if job.status.get("completionTime") else None


def of_job(state: State, job: Object, lines: list[Line]) -> list[Line]:
    """What a Job's Pods came for while it was at work. The Pods of an Indexed Job call themselves by their number; a name can be
    borrowed, so they must have come from these Pods' addresses too."""
    pods = state.owned("Pod", job)
    names = {name for pod in pods for name in (pod.name, pod.spec.get("hostname"))}
    addresses = {pod.status.get("podIP") for pod in pods}
    begin, end = parse_time(job.status["startTime"]) - OLDER, (end_of(job) or state.now) + YOUNGER
    return [
        line for line in lines
        if begin <= line.at <= end and line.address in addresses and (line.who in names or line.who.rpartition("-")[0] == job.name)
    ]  # fmt: skip


def not_of_others(state: State, cron_job: Object, lines: list[Line]) -> list[Line]:
    """Lines that may be of a CronJob's Pods, which are gone: those that came from a Pod that is there, and is none of its, are not."""
    own = {pod.name for job in state.owned("Job", cron_job) for pod in state.owned("Pod", job)}
    others = {pod.status.get("podIP") for pod in state.all("Pod") if pod.name not in own}
    return [line for line in lines if line.address not in others]


def require_remembered(ledger: Ledger, since: datetime, what: str) -> None:
    if ledger.since > since + YOUNGER:
        unknown(
            "not-observed", f"The archive was started anew after {what}, and does not remember it. Do it once more.",
            object="Service/archive", look="kubectl get pods",
        )  # fmt: skip
