"""The objects of a whole class, and of them the State that one learner's own check would see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from checker.classroom.names import POLICIES
from checker.classroom.tokens import homes_in
from checker.collect import marks
from checker.collect.collect import request_of, visible
from checker.grading.labs import Lab
from checker.model.fault import Reason
from checker.model.kinds import KINDS
from checker.model.state import LAB, STARTED, State

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Learner:
    """A learner as the cluster knows one. home: the first namespace. further: by suffix. uid: of the first."""

    id: str
    home: str
    further: dict[str, str] = field(default_factory=dict)
    uid: str = ""

    def place_of(self, lab: Lab) -> str:
        """The namespace of a lab. A lab about network policies has one of its own."""
        return self.further.get(POLICIES, "") if lab.spec.needs.policies else self.home

    @property
    def namespaces(self) -> tuple[str, ...]:
        return (self.home, *self.further.values())


def learners_of(name: str, namespaces: Mapping[str, Manifest]) -> list[Learner]:
    """The learners of a class. namespaces: those of the class that are not terminating, by name."""
    homes = homes_in(list(namespaces.values()))
    return [
        Learner(home.removeprefix(f"{name}-"), home, further, namespaces[home]["metadata"].get("uid", ""))
        for home, further in homes.items()
        if home in namespaces
    ]


class ClassObjects(Protocol):
    """Where the objects of a class come from: they were listed once, or they are watched.

    namespaces: those of the class that are not terminating, by name. unlisted: why a kind could not be listed.
    now: by the API server's clock.
    """

    @property
    def namespaces(self) -> Mapping[str, Manifest]: ...
    @property
    def unlisted(self) -> Mapping[str, Reason]: ...
    @property
    def now(self) -> datetime: ...
    def of(self, kind: str, namespace: str) -> list[Manifest]:
        """The objects of a kind in a namespace, to be read only. In namespace "": those of the whole cluster."""
        ...


def is_begun(objects: ClassObjects, learner: Learner, lab: Lab) -> bool:
    """Whether `kubeclass start` has set this lab up at the learner's, and no other lab since."""
    place = learner.place_of(lab)
    namespace = objects.namespaces.get(place)
    if not namespace:
        return False
    mark = next((one for one in objects.of("ConfigMap", place) if marks.is_mark(one)), None)
    found = marks.with_marks(namespace, mark)["metadata"]
    is_started = STARTED in (found.get("annotations") or {})
    return is_started and (found.get("labels") or {}).get(LAB) == lab.number


def state_of(objects: ClassObjects, learner: Learner, lab: Lab) -> State:
    """The objects as this learner's own check would list them."""
    place = learner.place_of(lab)
    return state_at(objects, place, lab.namespaces(place).values(), lab.kinds)


def state_at(objects: ClassObjects, place: str, beside: Iterable[str], kinds: Iterable[str]) -> State:
    """The objects of these kinds in a namespace, and in those beside it as far as the class has them."""
    kinds = frozenset(kinds)
    further = [name for name in beside if name in objects.namespaces]
    unlisted = {kind: why for kind, why in objects.unlisted.items() if kind in kinds}
    found: dict[str, list[Manifest]] = {}
    for kind in kinds - unlisted.keys():
        if kind == "Namespace":
            known = [objects.namespaces.get(name) for name in (place, *further)]
            found[kind] = [_copy(raw) for raw in known if raw]
        elif KINDS[kind].namespaced:
            here = [place] if kind == "Event" else [place, *further]
            found[kind] = [_copy(raw) for name in here for raw in objects.of(kind, name)]
        else:
            found[kind] = [_copy(raw) for raw in objects.of(kind, "") if _is_for(raw, (place, *further))]
    here_only = [kind for kind in kinds if KINDS[kind].namespaced or kind == "Namespace"]
    objects_by_kind, unseen = visible(found, unlisted, place)
    return State(place, objects.now, objects_by_kind, unseen, request=request_of(kinds, here_only, further, ()))


def _copy(raw: Manifest) -> Manifest:
    """An object that a State may write to, as far as `visible_objects` does."""
    metadata = dict(raw["metadata"])
    if metadata.get("annotations"):
        metadata["annotations"] = dict(metadata["annotations"])
    return {**raw, "metadata": metadata}


def _is_for(raw: Manifest, namespaces: Sequence[str]) -> bool:
    """Whether an object of the whole cluster is bound to no other namespace, as a PersistentVolume may be."""
    owner = (raw.get("spec") or {}).get("claimRef") or {}
    return not owner or owner.get("namespace") in namespaces
