"""Judging lab 10: what the probes did, and why they did nothing.

The first comes from the timeline. The second comes from the probes' handlers, and from the apps' own answers.
"""

from .archive import slow_starter_is_left_alone
from .busy import busy_one_is_spared
from .hung_redis import hung_redis_is_restarted
from .sick import sick_one_is_restarted

__all__ = [
    "busy_one_is_spared",
    "hung_redis_is_restarted",
    "sick_one_is_restarted",
    "slow_starter_is_left_alone",
]
