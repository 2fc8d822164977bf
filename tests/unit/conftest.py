"""What several files of unit tests use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .fake_api_server import BREAK, Cluster


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """An API server of our own, which ends with the test."""
    with Cluster() as found:
        yield found
        found.awake.set()
        found.send("*", BREAK)
        found.shutdown()
