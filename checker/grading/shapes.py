"""The shapes of answers: what the observer, and the programs that ask in a learner's Pods, send back.

An observation names the shape of its answer. A Pod is the learner's, so its answer can be anything. An answer of
another shape cannot be read, and a task that needs it is unknown. Numbers have bounds: answers are counted one by one,
and infinity cannot be rounded.
"""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, TypedDict

import msgspec

Number = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class AnswerShape(TypedDict):
    """One answer to a request, or `count` equal ones."""

    status: Count
    text: str
    host: NotRequired[str]
    version: NotRequired[str]
    error: NotRequired[str]
    count: NotRequired[Annotated[int, msgspec.Meta(ge=1, le=100_000)]]


class LookupShape(TypedDict):
    """What a name leads to."""

    addresses: list[str]
    error: str


class PodShape(TypedDict):
    """A Pod in the observer's timeline. Times are 0 where something has not happened."""

    name: str
    node: str
    owner: str
    added: Number
    ready: Number
    deleted: Number
    gone: Number
    changes: NotRequired[list[tuple[Number, bool, Count]]]


class ReplicasShape(TypedDict):
    """A Deployment or ReplicaSet in the observer's timeline: its number of replicas, each time that it changed."""

    name: str
    kind: str
    images: NotRequired[list[str]]
    changes: list[tuple[Number, Count]]


class TimelineShape(TypedDict):
    """The observer's stream of requests, and what it watched (cluster/observer/server.py)."""

    since: Number
    until: Number
    sent: Count
    hosts: dict[str, list[tuple[Number, Number, Count, str]]]
    lost: list[tuple[Number, str, Count, Number]]
    pods: dict[str, PodShape]
    replicas: dict[str, ReplicasShape]
    nodes: NotRequired[dict[str, list[tuple[Number, bool, bool]]]]
    said: dict[str, list[tuple[Number, Number, str]]]
    texts: list[tuple[Number, str]]


Counted = Annotated[list[AnswerShape], msgspec.Meta(min_length=1)]
Lookups = dict[str, LookupShape]


def conforms(data: Any, shapes: tuple[Any, ...]) -> bool:
    """Whether data is of one of these shapes; of no shape, everything is."""
    return not shapes or any(_conforms(data, shape) for shape in shapes)


def _conforms(data: Any, shape: Any) -> bool:
    try:
        msgspec.convert(data, shape)
    except (msgspec.ValidationError, UnicodeEncodeError, RecursionError):  # half of a surrogate pair is no UTF-8
        return False
    return True
