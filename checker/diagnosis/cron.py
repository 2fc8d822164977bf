"""Cron schedules: when a CronJob is due, as the CronJob controller reads a schedule.

This module only tells what a schedule means. The API server says whether a schedule is valid; status and times say
whether the CronJob ran.
Source: https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ANY = re.compile(r"[*?](/0*1)?")  # to the controller a star is a star with a step of one, too
_HORIZON = timedelta(days=5 * 366)  # a schedule that is not due within this time (the 30th of February) never is
_LOOK_BACK = timedelta(days=366)


@dataclass(frozen=True)
class Schedule:
    """The five fields as sets of numbers (weekdays: 0 is Sunday), and the time zone in which they are meant."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool  # day of month and day of week are both given: then either of them is enough
    zone: tzinfo

    def after(self, moment: datetime) -> datetime | None:
        """The first time at which it is due after a moment; None where that is not within five years."""
        end = moment + _HORIZON
        begin = moment.astimezone(self.zone).date()
        days = (begin + timedelta(days=n) for n in range((end - moment).days + 2))
        return next((due for day in days for due in self._on(day) if due > moment), None)

    def before(self, moment: datetime, since: datetime) -> datetime | None:
        """The last time at which it was due up to a moment, but after `since`; None where there was none."""
        end, earliest = moment.astimezone(self.zone).date(), max(since, moment - _LOOK_BACK)
        days = (end - timedelta(days=n) for n in range((moment - earliest).days + 2))
        return next((due for day in days for due in reversed(list(self._on(day))) if earliest < due <= moment), None)

    def every_minute(self) -> bool:
        """Whether it is due at every full minute."""
        whole = (len(self.minutes), len(self.hours), len(self.days), len(self.months), len(self.weekdays))
        return whole == (60, 24, 31, 12, 7)

    def same_as(self, other: Schedule, since: datetime) -> bool:
        """Whether both are due at the same times in the year that follows.

        They may differ in spelling, and in time zones with the same clock.
        """
        end = since + timedelta(days=366)
        return list(self._between(since, end)) == list(other._between(since, end))

    def _between(self, begin: datetime, end: datetime) -> Iterator[datetime]:
        first = begin.astimezone(self.zone).date()
        for n in range((end - begin).days + 2):
            yield from (due for due in self._on(first + timedelta(days=n)) if begin < due <= end)

    def _on(self, day: date) -> Iterator[datetime]:
        """The times of one day, in UTC."""
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if day.month not in self.months or not (in_month or in_week if self.either_day else in_month and in_week):
            return
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                local = datetime.combine(day, time(hour, minute), self.zone)
                due = local.astimezone(UTC)
                if due.astimezone(self.zone).replace(tzinfo=None) == local.replace(tzinfo=None):
                    yield due  # and not a time that the clocks leave out in spring


def read_schedule(text: str, zone: str = "") -> Schedule | None:
    """A schedule; None where this module cannot read it.

    zone: its time zone. Empty is the controller's time zone, which is UTC in most clusters.
    """
    fields = _MACROS.get(text.strip(), text).split()
    try:
        if len(fields) != 5:
            return None
        minutes, hours = _numbers(fields[0], 0, 59), _numbers(fields[1], 0, 23)
        days, months = _numbers(fields[2], 1, 31), _numbers(fields[3], 1, 12, _MONTHS, 1)
        weekdays = _numbers(fields[4], 0, 6, _WEEKDAYS, 0)
        either = not any(_ANY.fullmatch(part) for field in (fields[2], fields[4]) for part in field.split(","))
        return Schedule(minutes, hours, days, months, weekdays, either, ZoneInfo(zone) if zone else UTC)
    except (ValueError, OSError, KeyError):
        return None


def _numbers(field: str, low: int, high: int, names: tuple[str, ...] = (), first: int = 0) -> frozenset[int]:
    """A field's numbers: `*`, `5`, `1-5`, `*/15`, `10-40/10`, `mon-fri`, and lists of those. Raises ValueError."""

    def number(word: str) -> int:
        return names.index(word.lower()) + first if word.lower() in names else int(word)

    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        begin, dash, end = span.partition("-")
        if span in ("*", "?"):
            numbers = range(low, high + 1)
        elif dash:
            numbers = range(number(begin), number(end) + 1)
        else:  # `5/10` means from 5 on
            numbers = range(number(begin), (high if step else number(begin)) + 1)
        if not numbers or numbers[0] < low or numbers[-1] > high:
            raise ValueError(part)
        found |= set(numbers[:: int(step or 1)])
    return frozenset(found)
