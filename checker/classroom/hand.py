"""A raised hand: a ConfigMap in the first namespace of a learner, who may create and delete it. It holds nothing.

Its time is the creationTimestamp, which the API server sets; no learner can set it. Teacher and learner may delete it.
Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from checker.classroom.apply import refused
from checker.collect.api import Api, ApiError
from checker.collect.marks import HAND
from checker.collect.refused import problem_of
from checker.model.state import parse_time


@dataclass(frozen=True)
class Hand:
    """home: the learner's first namespace. since: by the API server's clock. uid: new each time a hand is raised."""

    home: str
    since: datetime
    uid: str


def hand_in(home: str, config_maps: Iterable[dict[str, Any]]) -> Hand | None:
    """The hand among the ConfigMaps of a learner's first namespace; None where none is up."""
    for raw in config_maps:
        metadata = raw["metadata"]
        if metadata["name"] == HAND and "deletionTimestamp" not in metadata:
            return Hand(home, parse_time(metadata["creationTimestamp"]), metadata["uid"])
    return None


def is_up(api: Api, home: str) -> bool:
    """Whether the learner's hand is up. Raises Problem where that cannot be seen."""
    try:
        return hand_in(home, [api.get(f"{_path(home)}/{HAND}")]) is not None
    except ApiError as error:
        if error.status == 404:
            return False
        raise problem_of(error, api.cluster) from None


def put_up(api: Api, home: str) -> None:
    """Raise the learner's hand. One that is up keeps its time. Raises Problem."""
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": HAND, "namespace": home}}
    try:
        api.request("POST", _path(home), manifest)
    except ApiError as error:
        if error.status != 409:
            raise problem_of(error, api.cluster) from None


def take_down(api: Api, home: str) -> None:
    """Take the learner's own hand down. Twice is safe. Raises Problem."""
    try:
        api.request("DELETE", f"{_path(home)}/{HAND}")
    except ApiError as error:
        if error.status != 404:
            raise problem_of(error, api.cluster) from None


def take_down_as_teacher(api: Api, hand: Hand) -> None:
    """Take this hand down, and none that the learner has raised since then. Raises Problem."""
    body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": hand.uid}}
    try:
        api.request("DELETE", f"{_path(hand.home)}/{HAND}", body)
    except ApiError as error:
        if error.status not in (404, 409):  # it is down already, or it is another one
            raise refused(error) from None


def _path(home: str) -> str:
    return f"/api/v1/namespaces/{home}/configmaps"
