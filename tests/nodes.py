"""The cluster's nodes, for tests that close or stop some."""

from __future__ import annotations

import pytest

from cluster import current, engine
from cluster.nodes import nodes_of
from tests.conftest import SOLO, TESTS

# On the second cluster (tests/conftest.py), one after the other.
# Where there is no second cluster, these tests and the lessons share the namespace `learn`: then they take turns.
ON_THE_SECOND_CLUSTER = [
    pytest.mark.cluster,
    pytest.mark.solo,
    pytest.mark.xdist_group("solo" if SOLO != TESTS else "lessons"),
]


def control_plane() -> str:
    return next(node.name for node in nodes_of(engine.command(), current()) if node.role == "control-plane")
