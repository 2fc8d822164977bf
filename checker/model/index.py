"""Index: the objects of one kind by namespace, name, owner, label and uid, so that a question needs no walk over all.

Each part is made when it is first asked for. The order of the objects is kept.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar


class Indexed(Protocol):
    """What an index reads of an object (checker/model/state.py)."""

    name: str
    namespace: str
    uid: str
    labels: dict[str, str]
    raw: dict[str, Any]

    @property
    def owner_uids(self) -> set[str]: ...


One = TypeVar("One", bound=Indexed)


class Index(Generic[One]):
    """The index of one list of objects."""

    def __init__(self, objects: list[One]) -> None:
        self.objects = objects
        self._length = len(objects)

    def is_of(self, objects: list[One]) -> bool:
        """Whether this index was made from this list, and the list has had no object more or less since."""
        return self.objects is objects and self._length == len(objects)

    @cached_property
    def by_namespace(self) -> dict[str, list[One]]:
        found: dict[str, list[One]] = defaultdict(list)
        for one in self.objects:
            found[one.namespace].append(one)
        return dict(found)

    @cached_property
    def by_name(self) -> dict[str, list[One]]:
        """The objects of each name, of all namespaces."""
        found: dict[str, list[One]] = defaultdict(list)
        for one in self.objects:
            found[one.name].append(one)
        return dict(found)

    @cached_property
    def by_uid(self) -> dict[str, list[One]]:
        """The objects of each uid: one, where the API server wrote it."""
        found: dict[str, list[One]] = defaultdict(list)
        for one in self.objects:
            found[one.uid].append(one)
        return dict(found)

    @cached_property
    def by_owner(self) -> dict[str, list[One]]:
        """The objects of each controller, by its uid (see `Object.owner_uids`)."""
        found: dict[str, list[One]] = defaultdict(list)
        for one in self.objects:
            for uid in one.owner_uids:
                found[uid].append(one)
        return dict(found)

    @cached_property
    def by_label(self) -> dict[tuple[str, str], list[One]]:
        """The objects that carry a label, by its key and value, of all namespaces."""
        found: dict[tuple[str, str], list[One]] = defaultdict(list)
        for one in self.objects:
            for pair in one.labels.items():
                found[pair].append(one)
        return dict(found)

    @cached_property
    def events_about(self) -> dict[str | None, list[dict[str, Any]]]:
        """Of Events: what the API server returned, by the uid of the object that they are about, newest first."""
        found: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
        for one in self.objects:
            found[(one.raw.get("involvedObject") or {}).get("uid")].append(one.raw)
        for events in found.values():
            events.sort(key=lambda e: e.get("lastTimestamp") or e.get("eventTime") or "", reverse=True)
        return dict(found)
