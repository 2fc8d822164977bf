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
    schedule_words,
    scheduled_jobs,
    task,
    unknown,
)

from .ledger import LEDGER, Ledger, end_of, not_of_others, of_job, read_ledger, require_remembered

NIGHT = read_schedule("30 3 * * *", "Europe/Oslo")


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
