"""Judging lab 13: what Jobs and CronJobs say of themselves, and, so that nobody is taken in by an exit code, the archive's ledger."""

from .cron_jobs import backup_runs_every_minute, report_comes_every_night
from .importing import job_imported_every_box, two_pods_at_a_time

__all__ = [
    "backup_runs_every_minute",
    "job_imported_every_box",
    "report_comes_every_night",
    "two_pods_at_a_time",
]
