"""What comes from outside, made at random: it crashes nothing, passes nothing, and there is always a word for it.

`make test` tries the same examples each time, and few. `make fuzz` tries others, and many; KUBECLASS_FUZZ says how many
of each. An example that fails is printed. Add it to the test as an @example.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

FEW = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
MANY = settings(FEW, derandomize=False, max_examples=int(os.environ.get("KUBECLASS_FUZZ", "0")) or 1, print_blob=True)
settings.register_profile("kubeclass", MANY if os.environ.get("KUBECLASS_FUZZ") else FEW)
settings.load_profile("kubeclass")


def examples(few: int) -> int:
    """How many examples a test tries that needs another number than most."""
    return settings().max_examples if os.environ.get("KUBECLASS_FUZZ") else few
