"""The tasks of lab 16.

Failover is judged from the observer's timeline: cordoned, drained and lost nodes, and lost requests. The capstone is
judged by its present state and by what its seed says is right: nothing is read that a learner could have written.
"""

from .capstone_guestbook import greeting_is_right, guestbook_answers
from .capstone_policy import nothing_else_was_changed
from .capstone_redis import entries_are_kept_in_redis
from .capstone_replicas import every_replica_works
from .drain import a_worker_was_drained
from .node_loss import a_worker_was_lost_and_came_back

__all__ = [
    "a_worker_was_drained",
    "a_worker_was_lost_and_came_back",
    "entries_are_kept_in_redis",
    "every_replica_works",
    "greeting_is_right",
    "guestbook_answers",
    "nothing_else_was_changed",
]
