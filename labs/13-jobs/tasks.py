"""Judging lab 13: what Jobs and CronJobs say of themselves, and, so that nobody is taken in by an exit code, the archive's ledger."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from checker.sdk import (
    Answers,
    Http,
    Object,
    Schedule,
    State,
    are_no,
    cron_job_has_run,
    fail,
    failure_policy_action,
    job_is_by_hand,
    job_is_complete,
    jobs_by_hand,
    most_pods_at_once,
    other_values,
    parse_time,
    read_schedule,
    require_job_complete,
    schedule_of,
    schedule_words,
    scheduled_jobs,
    task,
    tries_failed,
    unknown,
)

ARCHIVE = list(yaml.safe_load_all((Path(__file__).parent / "setup" / "archive.yaml").read_text()))
LEDGER = Http("archive", "/ledger")
BOXES = range(4)
KEPT = 24  # so many lines about boxes the archive keeps
SENT_AWAY = 75  # the exit code of import.py when the archive says: come again
INDEX = "batch.kubernetes.io/job-completion-index"
# The ledger tells ages, and is asked a little after the cluster was looked at: by so much its lines may seem too old. And the
# cluster writes whole seconds.
OLDER, YOUNGER = timedelta(seconds=10), timedelta(seconds=2)
NIGHT = read_schedule("30 3 * * *", "Europe/Oslo")


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
    strangers = {pod.name for pod in state.pods_of(archive)} - {
        pod.name for pod in state.pods_of(state.require("Deployment", "archive"))
    }
    if strangers:
        fail(
            "service-answers-wrong", f"Behind Service archive is {', '.join(sorted(strangers))} too, which {are_no(len(strangers), 'Pod')} of Deployment archive.",
            expected=expected, observed=", ".join(sorted(strangers)), object=archive.ref,
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


# -- the Job import ----------------------------------------------------------------------------------------------------


def finished_import(state: State, answers: Answers) -> tuple[Object, list[Line]]:
    """The Job import, complete and with its work done, and what its Pods came to the archive for."""
    ledger = read_ledger(state, answers)
    fail_if_gone(state, ledger)
    job = state.require("Job", "import")
    fail_if_not_numbered(state, job)
    require_job_complete(state, job)
    require_remembered(ledger, parse_time(job.status["startTime"]), "Job import")
    visits = of_job(state, job, ledger.boxes)
    number = {pod.status.get("podIP"): pod.annotations.get(INDEX) for pod in state.owned("Pod", job)}
    # A box counts when the Pod of its number has fetched it and then said that it is in the guestbook.
    given = {(visit.box, visit.address): visit.at for visit in visits if visit.what == "given"}
    brought = {
        visit.box
        for visit in visits
        if visit.what == "imported" and number[visit.address] == str(visit.box)
        and (visit.box, visit.address) in given and given[visit.box, visit.address] <= visit.at
    }  # fmt: skip
    missing = sorted(set(BOXES) - brought)
    if missing:
        require_not_pushed_out(job, ledger)
        explain_missing(job, visits, missing)
    return job, visits


def require_not_pushed_out(job: Object, ledger: Ledger) -> None:
    """What came later has not taken the place of this Job's lines."""
    if len(ledger.boxes) >= KEPT and ledger.boxes[0].at > parse_time(job.status["startTime"]):
        unknown(
            "not-observed",
            f"So many have come to the archive for boxes since Job import began (the last was {ledger.boxes[-1].who}) that the archive, which keeps {KEPT} "
            "lines, does not remember it. Run the Job once more.",
            object="Service/archive", look="kubectl get jobs,cronjobs",
        )  # fmt: skip


def fail_if_gone(state: State, ledger: Ledger) -> None:
    """A Job that was here, worked, and is gone with everything that could be looked at."""
    seen = [line for line in ledger.boxes if line.who.rpartition("-")[0] == "import" and state.age(line.at) < 600]
    others = [o for kind in ("Job", "Pod", "Deployment") for o in state.all(kind) if o.name.startswith("import")]
    if seen and not others:
        came = ", ".join(sorted({line.who for line in seen}))
        unknown(
            "job-gone",
            f"There is no Job import, but {state.age(seen[-1].at):.0f} s ago its Pods came to the archive ({came}). It was deleted, by somebody or by its own "
            "ttlSecondsAfterFinished, before anybody looked at how it went.",
            expected="Job import, finished and still there", observed="no Job import", object="Job/import", look="kubectl get jobs --watch",
        )  # fmt: skip


def fail_if_not_numbered(state: State, job: Object) -> None:
    """Without numbers no Pod knows its box; that is why the tries fail, however many are allowed."""
    failing = tries_failed(state, job) or not job_is_complete(job)
    asks = any(
        "JOB_COMPLETION_INDEX is not set" in text for key, text in state.logs.items() if key.startswith("import-")
    )
    if job.spec.get("completionMode", "NonIndexed") != "Indexed" and failing and asks:
        fail(
            "job-not-indexed",
            "The Pods of Job import do not know which box is theirs: its completionMode is NonIndexed, so no JOB_COMPLETION_INDEX is set.",
            expected="a number for each Pod", observed=f"completionMode: {job.spec.get('completionMode', 'NonIndexed')}", object=job.ref,
            look="kubectl logs -l batch.kubernetes.io/job-name=import",
        )  # fmt: skip


def explain_missing(job: Object, visits: list[Line], missing: list[int]) -> None:
    fail_if_by_another(job, visits, missing)
    boxes = f"box {missing[0]} is" if len(missing) == 1 else f"boxes {', '.join(map(str, missing))} are"
    completions, parallelism = job.spec.get("completions") or 1, job.spec.get("parallelism", 1)
    evidence = {"object": job.ref, "look": "kubectl describe job import"}
    if completions < len(BOXES) and max(missing) >= completions:
        swapped = parallelism == len(BOXES)
        fail(
            "job-counts-swapped" if swapped else "job-too-few-completions",
            f"Job import is complete, and {boxes} not in the guestbook. Its completions are {completions}"
            + (f" and its parallelism is {parallelism}; the two look swapped." if swapped else f", and there are {len(BOXES)} boxes."),
            expected=f"{len(BOXES)} boxes", observed=f"completions: {completions}, parallelism: {parallelism}", **evidence,
        )  # fmt: skip
    only_said = sorted({visit.box for visit in visits if visit.what == "imported"} & set(missing))
    sent_away = sorted({visit.box for visit in visits if visit.what == "come again"} & set(missing))
    story = (
        f"The Pod that came for box {sent_away[0]} was told to come again, and its container ended with exit code 0 all the same."
        if sent_away
        else f"One of its Pods told the archive that box {only_said[0]} is, without having fetched it."
        if only_said
        else f"No Pod of this Job brought {'it' if len(missing) == 1 else 'them'} there."
    )
    fail(
        "job-without-work", f"Job import is complete, but {boxes} not in the guestbook. {story}",
        expected="all four boxes imported by its Pods", observed=f"{boxes} missing".replace(" is missing", " missing").replace(" are missing", " missing"),
        object=job.ref, look="kubectl logs -l batch.kubernetes.io/job-name=import --prefix",
    )  # fmt: skip


def fail_if_by_another(job: Object, visits: list[Line], missing: list[int]) -> None:
    """A box that is in the guestbook, but was not brought by the Pod of its number."""
    fetched = {(visit.box, visit.address) for visit in visits if visit.what == "given"}
    brought = [v for v in visits if v.what == "imported" and v.box in missing and (v.box, v.address) in fetched]
    if brought:
        mode = job.spec.get("completionMode", "NonIndexed")
        fail(
            "job-not-indexed", f"Box {brought[0].box} was brought by Pod {brought[0].who} of Job import, which is not the Pod with number {brought[0].box}"
            + (": this Job's Pods have no numbers." if mode == "NonIndexed" else "."),
            expected="a Pod of its own for each box, told its number by the Job", observed=f"completionMode: {mode}", object=job.ref,
            look="kubectl logs -l batch.kubernetes.io/job-name=import --prefix",
        )  # fmt: skip


@task("imported", observe=LEDGER)
def job_imported_every_box(state: State, answers: Answers) -> None:
    job, visits = finished_import(state, answers)
    state.require_image(job, "guestbook:v1")
    # Only what was surely this Job's: another Job import, that was there a moment before, may have been sent away, too.
    begin = parse_time(job.status["startTime"]) - timedelta(seconds=1)
    sent_away = [visit for visit in visits if visit.what == "come again" and visit.at >= begin]
    if sent_away and not tries_failed(state, job):
        fail(
            "job-never-retried",
            f"Box {sent_away[0].box} was refused at first, yet no try of Job import failed: the container went on asking by itself, and the Job knew "
            "nothing of it.",
            expected="a try that fails, and another one by the Job", observed="0 failed tries", object=job.ref, look="kubectl describe job import",
        )  # fmt: skip
    limit = limit_of_tries(job)
    if limit and not tries_failed(state, job):
        fail(
            "job-never-retried", f"No try of Job import has failed this time, and after one that fails it would have given up: {limit}.",
            expected="a Job that tries again", observed=limit, object=job.ref, look="kubectl describe job import",
        )  # fmt: skip


def limit_of_tries(job: Object) -> str:
    """What keeps a Job from trying again when its program was sent away; empty where nothing does."""
    action = failure_policy_action(job, SENT_AWAY)
    if action in ("FailJob", "FailIndex"):
        return f"podFailurePolicy: {action} at exit code {SENT_AWAY}"
    if action == "Ignore":  # such a try is made again and not counted
        return ""
    return next((f"{field}: 0" for field in ("backoffLimit", "backoffLimitPerIndex") if job.spec.get(field) == 0), "")


@task("two-at-a-time", observe=LEDGER)
def two_pods_at_a_time(state: State, answers: Answers) -> None:
    job, _ = finished_import(state, answers)
    pods = state.owned("Pod", job)
    if len(pods) < len(BOXES):
        unknown(
            "not-observed", f"Only {len(pods)} Pods of Job import are left: when they ran cannot be seen any more. Run the Job once more.",
            object=job.ref, look="kubectl get pods -l batch.kubernetes.io/job-name=import",
        )  # fmt: skip
    most, parallelism = most_pods_at_once(state, job), job.spec.get("parallelism", 1)
    evidence = {
        "expected": "two at a time", "observed": f"at most {most} at a time; parallelism: {parallelism}", "object": job.ref,
        "look": "kubectl get pods -l batch.kubernetes.io/job-name=import --sort-by=.status.startTime",
    }  # fmt: skip
    if most < 2:
        fail("job-one-at-a-time", f"The {len(pods)} Pods of Job import ran one after the other.", **evidence)
    if most > 2:
        fail("job-too-many-at-once", f"{most} Pods of Job import were at work at the same time.", **evidence)


# -- the CronJobs ------------------------------------------------------------------------------------------------------


def next_words(state: State, cron_job: Object) -> str:
    schedule = schedule_of(cron_job)
    if schedule is None:
        return "that is not a time of the day"
    due = schedule.after(state.now)
    return f"the next time is {due:%Y-%m-%d %H:%M} UTC" if due else "it is never due"


def first_difference(one: Schedule | None, other: Schedule, now: datetime) -> tuple[datetime | None, datetime | None]:
    """When the two are due next, from the first time on at which they differ (summer time may be months away)."""
    for _ in range(400):
        due, night = one.after(now) if one else None, other.after(now)
        if due is None or due != night:
            break
        now = due
    return due, night


@task("backup-runs", observe=LEDGER)
def backup_runs_every_minute(state: State, answers: Answers) -> None:
    cron_job = state.require("CronJob", "backup")
    evidence = {"object": cron_job.ref, "look": "kubectl get cronjob backup"}
    schedule, policy = schedule_of(cron_job), cron_job.spec.get("concurrencyPolicy", "Allow")
    every_minute = schedule.every_minute() if schedule else cron_job.spec.get("schedule") in ("@every 1m", "@every 60s")
    if not every_minute:
        fail(
            "cronjob-wrong-schedule",
            f"The schedule of CronJob backup, {schedule_words(cron_job)}, does not mean every minute: {next_words(state, cron_job)}.",
            expected="a run at every full minute", observed=f"schedule {schedule_words(cron_job)}", **evidence,
        )  # fmt: skip
    if not cron_job.spec.get("suspend"):
        require_one_at_a_time(state, cron_job, policy)
    state.require_working(cron_job)
    if not cron_job_has_run(state, cron_job):
        for job in scheduled_jobs(state, cron_job):
            require_job_complete(state, job)
        by_hand = [job.name for job in jobs_by_hand(state, cron_job)]
        fail(
            "cronjob-not-run-yet",
            f"CronJob backup has not had a run of its schedule that ended well; {next_words(state, cron_job)}."
            + (f" Job {by_hand[0]} was made from it by hand: that is no run of its schedule." if by_hand else ""),
            expected="a run at a full minute", observed=f"lastScheduleTime: {cron_job.status.get('lastScheduleTime', 'none')}", pending=True, **evidence,
        )  # fmt: skip
    ledger = read_ledger(state, answers)
    done = [job for job in scheduled_jobs(state, cron_job) if job_is_complete(job)]
    ended = (end_of(done[0]) if done else None) or parse_time(cron_job.status["lastSuccessfulTime"])
    began = parse_time(done[0].status["startTime"]) if done else ended
    require_remembered(ledger, began, "the last run of CronJob backup")
    brought = (
        of_job(state, done[0], ledger.backups)
        if done
        else [
            line
            for line in not_of_others(state, cron_job, ledger.backups)
            if line.who.startswith("backup-") and abs(line.at - ended) < timedelta(minutes=1)
        ]
    )
    if not brought:
        fail(
            "job-without-work",
            f"{f'Job {done[0].name}' if done else 'The last run'} of CronJob backup ended with exit code 0, but no backup came from it to the archive.",
            expected="a backup in the archive from each run", observed="no backup from that run", object=(done[0] if done else cron_job).ref,
            look=f"kubectl logs job/{done[0].name}" if done else "kubectl describe cronjob backup",
        )  # fmt: skip


def require_one_at_a_time(state: State, cron_job: Object, policy: str) -> None:
    evidence = {"object": cron_job.ref, "look": "kubectl explain cronjob.spec.concurrencyPolicy"}
    if policy == "Allow":
        active = cron_job.status.get("active") or []
        fail(
            "cronjob-runs-overlap",
            "A backup of CronJob backup begins at its time also when the last one is still at work: its concurrencyPolicy is Allow"
            + (f". {len(active)} are at work now." if len(active) > 1 else "."),
            expected="at most one backup at a time", observed="concurrencyPolicy: Allow", **evidence,
        )  # fmt: skip
    job = cron_job.spec["jobTemplate"]["spec"]
    at_once = min(job.get("parallelism", 1), job.get("completions") or job.get("parallelism", 1))
    if at_once > 1:
        fail(
            "cronjob-runs-overlap", f"Each run of CronJob backup has {at_once} Pods that do the same backup at the same time.",
            expected="at most one backup at a time", observed=f"parallelism: {job['parallelism']}", **{**evidence, "look": "kubectl get cronjob backup -o yaml"},
        )  # fmt: skip
    limit = job.get("activeDeadlineSeconds") or job["template"]["spec"].get("activeDeadlineSeconds")
    if limit:
        fail(
            "cronjob-replaces-runs", f"A backup of CronJob backup that takes longer than {limit} s is broken off: its activeDeadlineSeconds is {limit}.",
            expected="a backup that has begun goes on", observed=f"activeDeadlineSeconds: {limit}", **{**evidence, "look": "kubectl get cronjob backup -o yaml"},
        )  # fmt: skip
    if policy == "Replace":
        fail(
            "cronjob-replaces-runs", "A backup of CronJob backup that is still at work when the next one is due is broken off: its concurrencyPolicy is Replace.",
            expected="a backup that has begun goes on", observed="concurrencyPolicy: Replace", **evidence,
        )  # fmt: skip


@task("nightly-report", observe=LEDGER)
def report_comes_every_night(state: State, answers: Answers) -> None:
    cron_job = state.require("CronJob", "report")
    evidence = {"object": cron_job.ref, "look": "kubectl get cronjob report"}
    schedule = schedule_of(cron_job)
    if NIGHT is None:
        unknown(
            "not-observed",
            "This machine does not know the time zones of the world, so the schedule could not be judged.",
            **evidence,
        )
    if schedule is None or not schedule.same_as(NIGHT, state.now):
        due, night = first_difference(schedule, NIGHT, state.now)
        often = "always " if schedule and schedule.after(state.now) == NIGHT.after(state.now) else ""
        fail(
            "cronjob-wrong-schedule",
            f"CronJob report is not {often}due at half past three by the clocks of Oslo: its schedule is {schedule_words(cron_job)}"
            + ("" if cron_job.spec.get("timeZone") else ", with no time zone")
            + f"; {next_words(state, cron_job)}.",
            expected=f"a run at {night:%H:%M} UTC on {night:%Y-%m-%d}, and every night", observed=f"{due:%H:%M} UTC on {due:%Y-%m-%d}" if due else "never", **evidence,
        )  # fmt: skip
    tried = [job for job in state.owned("Job", cron_job) if job_is_by_hand(job) or job_is_complete(job)]
    if not tried and not cron_job.spec.get("suspend") and cron_job.status.get("lastSuccessfulTime"):
        require_report_of_a_job_that_is_gone(state, cron_job, read_ledger(state, answers))
        return
    if not cron_job.spec.get("suspend") and not tried:
        loose = [job.name for job in state.all("Job") if "report" in job.name and not job.owner_uids]
        fail(
            "cronjob-never-tried", "No Job was made from CronJob report so far."
            + (f" Job {loose[0]} was not made from it." if loose else ""),
            expected="a Job made from the CronJob, done", observed=", ".join(loose) or "none", object=cron_job.ref, look="kubectl get jobs",
        )  # fmt: skip
    state.require_working(cron_job)
    job = max(tried, key=lambda job: (job_is_complete(job), job.created))
    require_job_complete(state, job)
    fail_if_changed_since(cron_job, job)
    ledger = read_ledger(state, answers)
    require_remembered(ledger, parse_time(job.status["startTime"]), f"Job {job.name}")
    if not of_job(state, job, ledger.reports):
        fail(
            "job-without-work", f"Job {job.name}, made from CronJob report, is complete, but no report came from it to the archive.",
            expected="a report in the archive", observed="none from this Job", object=job.ref, look=f"kubectl logs job/{job.name}",
        )  # fmt: skip


def fail_if_changed_since(cron_job: Object, job: Object) -> None:
    """What was tried out is what the CronJob does now."""

    def does(spec: dict[str, Any]) -> dict[str, list[str]]:
        return {
            c["name"]: [c.get("image", ""), *(c.get("command") or []), *(c.get("args") or [])]
            for c in spec["template"]["spec"]["containers"]
        }

    tried, now = does(job.spec), does(cron_job.spec["jobTemplate"]["spec"])
    if tried != now:
        words, then = (" and ".join(" ".join(what) for what in one.values()) for one in (now, tried))
        fail(
            "cronjob-never-tried", f"CronJob report was changed after Job {job.name} was made from it: a run is {words} now, and was {then}.",
            expected="a Job made from the CronJob as it is", observed=f"{job.name}, made from what it was before", object=cron_job.ref, look=f"kubectl describe cronjob/report job/{job.name}",
        )  # fmt: skip


def require_report_of_a_job_that_is_gone(state: State, cron_job: Object, ledger: Ledger) -> None:
    """A CronJob that keeps no Jobs (successfulJobsHistoryLimit 0) deletes also those made from it; its status remembers them."""
    ended = parse_time(cron_job.status["lastSuccessfulTime"])
    require_remembered(ledger, ended, "the last Job of CronJob report")
    lines = not_of_others(state, cron_job, ledger.reports)
    if not [line for line in lines if abs(line.at - ended) < timedelta(minutes=1)]:
        fail(
            "job-without-work", "The last Job of CronJob report ended with exit code 0, but no report came to the archive then.",
            expected="a report in the archive", observed="none from that Job", object=cron_job.ref, look="kubectl describe cronjob report",
        )  # fmt: skip
