"""The CronJobs backup and report: one every minute, one every night."""

from datetime import datetime, timedelta
from typing import Any

from checker.sdk import (
    Answers,
    Object,
    Schedule,
    State,
    cron_job_has_run,
    fail,
    job_is_by_hand,
    job_is_complete,
    jobs_by_hand,
    parse_time,
    read_schedule,
    require_job_complete,
    schedule_of,
    scheduled_jobs,
    task,
    unknown,
)

from .ledger import LEDGER, Ledger, end_of, not_of_others, of_job, read_ledger, require_remembered

NIGHT = read_schedule("30 3 * * *", "Europe/Oslo")


def next_run(state: State, schedule: Schedule | None) -> str:
    """When a schedule is due next: `2026-01-02 03:30 UTC`; empty where that is not known, or never."""
    return time_text(schedule.after(state.now) if schedule else None)


def time_text(moment: datetime | None) -> str:
    """A moment in UTC as the sentences show it; empty for none."""
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else ""


def first_difference(one: Schedule | None, other: Schedule, now: datetime) -> tuple[datetime | None, datetime | None]:
    """The first times after `now` at which the two schedules differ (the change to summer time may be months away)."""
    for _ in range(400):
        due, night = one.after(now) if one else None, other.after(now)
        if due is None or due != night:
            break
        now = due
    return due, night


@task("backup-runs", observe=LEDGER)
def backup_runs_every_minute(state: State, answers: Answers) -> None:
    cron_job = state.require("CronJob", "backup")
    schedule, policy = schedule_of(cron_job), cron_job.spec.get("concurrencyPolicy", "Allow")
    every_minute = schedule.every_minute() if schedule else cron_job.spec.get("schedule") in ("@every 1m", "@every 60s")
    if not every_minute:
        due = next_run(state, schedule)
        fail(
            "cronjob-wrong-schedule",
            cron_job,
            form="never" if schedule and not due else "every-minute",
            schedule=cron_job.spec.get("schedule", ""),
            zone=cron_job.spec.get("timeZone"),
            due=due,
        )
    if not cron_job.spec.get("suspend"):
        require_one_at_a_time(cron_job, policy)
    state.require_working(cron_job)
    if not cron_job_has_run(state, cron_job):
        for job in scheduled_jobs(state, cron_job):
            require_job_complete(state, job)
        fail(
            "cronjob-not-run-yet",
            cron_job,
            in_progress=True,
            due=next_run(state, schedule),
            last=cron_job.status.get("lastScheduleTime"),
            by_hand=[job.name for job in jobs_by_hand(state, cron_job)],
        )
    ledger = read_ledger(state, answers)
    done = [job for job in scheduled_jobs(state, cron_job) if job_is_complete(job)]
    ended = (end_of(done[0]) if done else None) or parse_time(cron_job.status["lastSuccessfulTime"])
    began = parse_time(done[0].status["startTime"]) if done else ended
    require_remembered(ledger, began, cron_job)
    brought = (
        of_job(state, done[0], ledger.backups)
        if done
        else [
            line
            for line in not_of_others(state, cron_job, ledger.backups)
            if line.who.startswith("backup-") and abs(line.at - ended) < timedelta(minutes=1)
        ]
    )
    if not brought and done:
        fail("job-without-work", done[0], form="backup-of-job", cronjob=cron_job.name)
    if not brought:
        fail("job-without-work", cron_job, form="backup-of-run")


def require_one_at_a_time(cron_job: Object, policy: str) -> None:
    """Raise Failed where two runs can be active at the same time, or where an active run is stopped."""
    if policy == "Allow":
        active = len(cron_job.status.get("active") or [])
        fail("cronjob-runs-overlap", cron_job, form="allow", active=active if active > 1 else None)
    job = cron_job.spec["jobTemplate"]["spec"]
    at_once = min(job.get("parallelism", 1), job.get("completions") or job.get("parallelism", 1))
    if at_once > 1:
        fail("cronjob-runs-overlap", cron_job, form="parallelism", pods=at_once, parallelism=job["parallelism"])
    limit = job.get("activeDeadlineSeconds") or job["template"]["spec"].get("activeDeadlineSeconds")
    if limit:
        fail("cronjob-replaces-runs", cron_job, form="deadline", limit=limit)
    if policy == "Replace":
        fail("cronjob-replaces-runs", cron_job, form="replace")


@task("nightly-report", observe=LEDGER)
def report_comes_every_night(state: State, answers: Answers) -> None:
    cron_job = state.require("CronJob", "report")
    schedule = schedule_of(cron_job)
    if NIGHT is None:
        unknown("not-observed", cron_job, form="no-time-zones")
    if schedule is None or not schedule.same_as(NIGHT, state.now):
        due, night = first_difference(schedule, NIGHT, state.now)
        fail(
            "cronjob-wrong-schedule",
            cron_job,
            form="every-night",
            schedule=cron_job.spec.get("schedule", ""),
            zone=cron_job.spec.get("timeZone"),
            due=time_text(due),
            night=time_text(night),
        )
    tried = [job for job in state.owned("Job", cron_job) if job_is_by_hand(job) or job_is_complete(job)]
    if not tried and not cron_job.spec.get("suspend") and cron_job.status.get("lastSuccessfulTime"):
        require_report_of_a_job_that_is_gone(state, cron_job, read_ledger(state, answers))
        return
    if not cron_job.spec.get("suspend") and not tried:
        others = [job.name for job in state.all("Job") if "report" in job.name and not job.owner_uids]
        fail("cronjob-never-tried", cron_job, others=others)
    state.require_working(cron_job)
    job = max(tried, key=lambda job: (job_is_complete(job), job.created))
    require_job_complete(state, job)
    fail_if_changed_since(cron_job, job)
    ledger = read_ledger(state, answers)
    require_remembered(ledger, parse_time(job.status["startTime"]), job)
    if not of_job(state, job, ledger.reports):
        fail("job-without-work", job, form="report-of-job", cronjob=cron_job.name)


def fail_if_changed_since(cron_job: Object, job: Object) -> None:
    """Raise Failed where a run of the CronJob does something else now than this Job did."""

    def does(spec: dict[str, Any]) -> dict[str, list[str]]:
        return {
            c["name"]: [c.get("image", ""), *(c.get("command") or []), *(c.get("args") or [])]
            for c in spec["template"]["spec"]["containers"]
        }

    tried, now = does(job.spec), does(cron_job.spec["jobTemplate"]["spec"])
    if tried != now:
        runs, ran = ([" ".join(command) for command in one.values()] for one in (now, tried))
        fail("cronjob-never-tried", cron_job, form="changed", job=job.name, runs=runs, ran=ran)


def require_report_of_a_job_that_is_gone(state: State, cron_job: Object, ledger: Ledger) -> None:
    """Raise Failed where no report came from the last Job of a CronJob, by the CronJob's lastSuccessfulTime.

    With successfulJobsHistoryLimit 0 the CronJob controller deletes complete Jobs, also those that a user created.
    """
    ended = parse_time(cron_job.status["lastSuccessfulTime"])
    require_remembered(ledger, ended, cron_job)
    lines = not_of_others(state, cron_job, ledger.reports)
    if not [line for line in lines if abs(line.at - ended) < timedelta(minutes=1)]:
        fail("job-without-work", cron_job, form="report-of-run")
