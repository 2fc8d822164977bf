"""Judging lab 12: where Redis keeps its data, whether an entry is older than Redis' Pod, and who else sees the files.

Two kinds of evidence show that an entry is older than the Pod:
- Redis has more entries than commands that added entries since it started, and it started with its Pod. This does not
  count where Redis found no data in its file, or where the observer saw the guestbook without entries: one command can
  add several entries.
- Where the commands cannot be counted, the observer: the guestbook showed the entry before the Pod was created, and
  showed nothing else after that.
"""

from .backup import another_pod_sees_the_files
from .redis import redis_writes_on_a_claim
from .survival import entry_outlives_the_pod

__all__ = [
    "another_pod_sees_the_files",
    "entry_outlives_the_pod",
    "redis_writes_on_a_claim",
]
