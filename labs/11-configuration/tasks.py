"""Judging lab 11: where a value comes from, by the objects; what arrived, asked inside the Pods; and how a change came, from the timeline.

A Secret's value never leaves its container: it is compared in there (programs/compare_secrets.py).
"""

from .follows import running_guestbook_follows
from .greeting import guestbook_reads_a_file, kiosk_has_a_variable
from .password import password_arrives

__all__ = [
    "guestbook_reads_a_file",
    "kiosk_has_a_variable",
    "password_arrives",
    "running_guestbook_follows",
]
