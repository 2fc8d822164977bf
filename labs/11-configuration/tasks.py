"""Judging lab 11: the source of a value, its arrival in the Pods, and how a change of it arrives.

The objects show the source. Observations inside the Pods show what arrived. The timeline shows how a change arrived.
A Secret's value never leaves its container: a program compares it there (programs/compare_secrets.py).
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
