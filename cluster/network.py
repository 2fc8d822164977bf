"""What can be reached from here: downloads, and whether an image registry answers."""

from __future__ import annotations

import os
from functools import cache

from cluster.http_client import get_from_internet

REGISTRY = "https://registry-1.docker.io/v2/"
PATIENCE = 4.0  # seconds that a registry is given to answer


class NoAnswer(Exception):
    """A host that does not answer, or not with what was asked for."""


def fetch(url: str, timeout: float) -> bytes:
    """The content at a URL, by the proxies that the environment names. Raises NoAnswer."""
    try:
        answer = get_from_internet(url, timeout)
    except OSError as error:
        raise NoAnswer(f"{url}: {error}") from None
    if answer.is_error:
        raise NoAnswer(f"{url}: {answer.reason_phrase}")
    return answer.content


@cache
def registry_answers(url: str = REGISTRY, patience: float = PATIENCE) -> bool:
    """Whether the registry of the course's images answers. KUBECLASS_NO_REGISTRY=1 says that it does not."""
    if os.environ.get("KUBECLASS_NO_REGISTRY"):
        return False
    try:
        answer = get_from_internet(url, patience)
    except OSError:
        return False
    # A registry answers 401 to a request without credentials.
    return not answer.is_error or answer.status_code == 401
