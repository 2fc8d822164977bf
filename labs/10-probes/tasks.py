"""Judging lab 10: what the probes brought about, from the timeline; why they did not, from what they ask and what the apps say of themselves."""

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
