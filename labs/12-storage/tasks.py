"""Judging lab 12: on what Redis keeps its data, whether an entry is older than the Pod that holds it, and who else sees the files.

That an entry is older is told by Redis: it has more entries than commands that wrote one since it began, and it began with its
Pod; unless it found nothing in its file then, or the observer was there when the guestbook had none, for one command can write
many. Where that cannot be told, by the
observer: it was answered before this Pod was made, and nothing else ever since.
"""

from .backup import another_pod_sees_the_files
from .redis import redis_writes_on_a_claim
from .survival import entry_outlives_the_pod

__all__ = [
    "another_pod_sees_the_files",
    "entry_outlives_the_pod",
    "redis_writes_on_a_claim",
]
