"""Judging lab 13: the status of Jobs and CronJobs, and the archive's ledger, as exit code 0 alone proves no work."""

from .cron_jobs import backup_runs_every_minute, report_comes_every_night
from .importing import job_imported_every_box, two_pods_at_a_time

__all__ = [
    "backup_runs_every_minute",
    "job_imported_every_box",
    "report_comes_every_night",
    "two_pods_at_a_time",
]
