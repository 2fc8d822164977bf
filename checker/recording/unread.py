"""What recordings leave out of objects, because no judgement reads it: declared here, and nowhere else.

A judgement that comes to read such a field would pass on a real cluster and see nothing in a recording. So an object
that is loaded from a recording raises NotRecorded as soon as such a field is read. To judge a new field: take it out of
the list, and record anew the cases that need it (make prove).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Never

from checker.grading.applied import APPLIED
from checker.model.state import Object, State


@dataclass(frozen=True)
class Unread:
    """Fields of one part of an object that recordings do not keep.

    path: to that part, of the object's own fields; `[]` is each item of a list. fields: those that are left out. kept:
    if there are any, these are kept, and everything else is left out. kinds: of which objects; empty: of all but those
    in `but`.
    """

    path: str
    fields: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    but: tuple[str, ...] = ()

    def is_about(self, kind: str) -> bool:
        return kind in self.kinds if self.kinds else kind not in self.but

    def leaves_out(self, field: str) -> bool:
        return field in self.fields or bool(self.kept and field not in self.kept)


def _of_pod_spec(path: str, kinds: tuple[str, ...], but: tuple[str, ...] = ()) -> Iterator[Unread]:
    """What is left out of the spec of a Pod, or of a Pod template, which is at this path."""
    of_pod = ("enableServiceLinks", "preemptionPolicy", "priority", "serviceAccount")
    of_container = ("terminationMessagePath", "terminationMessagePolicy")
    yield Unread(path, of_pod, kinds=kinds, but=but)
    for containers in ("containers", "initContainers"):
        yield Unread(f"{path}.{containers}[]", of_container, kinds=kinds, but=but)


_OF_EVENT = (
    *("metadata", "involvedObject", "reason", "message", "count", "lastTimestamp", "eventTime", "type"),
    *("spec", "status"),  # an Event has neither, and Object asks for them whatever the kind
)
UNREAD = (
    Unread("metadata", ("resourceVersion", "generateName", "selfLink")),
    Unread("metadata", ("annotations",), kinds=("Node",)),
    Unread("metadata", ("annotations", "labels", "creationTimestamp"), kinds=("StorageClass",)),
    Unread("metadata", ("creationTimestamp",), kinds=("Event",)),
    Unread("metadata.annotations", (APPLIED,), but=("Deployment", "ConfigMap")),
    Unread("metadata.managedFields[]", kept=("manager", "operation", "subresource", "fieldsV1"), kinds=("Deployment",)),
    *_of_pod_spec("spec", kinds=("Pod",)),
    *_of_pod_spec("spec.template.spec", kinds=(), but=("Pod",)),
    Unread("status", ("hostIP", "hostIPs", "podIPs", "qosClass", "observedGeneration"), kinds=("Pod",)),
    *(
        Unread(f"status.{statuses}[]", ("volumeMounts", "user", "resources", "allocatedResources"), kinds=("Pod",))
        for statuses in ("containerStatuses", "initContainerStatuses")
    ),
    Unread("status", kept=("allocatable", "addresses", "conditions", "images"), kinds=("Node",)),
    Unread("spec.hostPath", ("path",), kinds=("PersistentVolume",)),  # the folder's name holds the namespace's
    Unread("spec.local", ("path",), kinds=("PersistentVolume",)),
    Unread("spec.claimRef", ("resourceVersion",), kinds=("PersistentVolume",)),
    Unread("", kept=_OF_EVENT, kinds=("Event",)),
    Unread("involvedObject", kept=("kind", "name", "uid", "fieldPath"), kinds=("Event",)),
)

ALL_UNREAD = Unread("", kept=("nothing",))


def leave_out(kind: str, raw: dict[str, Any]) -> None:
    """Take out of an object what recordings do not keep."""
    for unread in UNREAD:
        if unread.is_about(kind):
            for part in _parts(raw, unread.path):
                for field in [field for field in part if unread.leaves_out(field)]:
                    del part[field]


def _parts(value: Any, path: str) -> Iterator[dict[str, Any]]:
    """The dicts at a path; none where there is nothing."""
    if not path:
        if isinstance(value, dict):
            yield value
        return
    step, _, rest = path.partition(".")
    below = (value or {}).get(step.removesuffix("[]")) or []
    for item in below if step.endswith("[]") else [below]:
        yield from _parts(item, rest)


class NotRecorded(BaseException):
    """A judgement read a field that recordings do not keep. No Exception: the checker turns those into verdicts."""


class Recorded(dict[str, Any]):
    """A part of an object out of a recording: to read a field that recordings leave out raises NotRecorded. What a test
    writes into it can be read."""

    def __init__(self, fields: dict[str, Any], part: str, unread: tuple[Unread, ...]) -> None:
        super().__init__(fields)
        self.part, self.unread = part, unread

    def __missing__(self, field: str) -> Never:
        self._check(field)
        raise KeyError(field)

    def get(self, field: str, default: Any = None) -> Any:
        there = field in self  # raises where recordings leave it out
        return super().get(field, default) if there else default

    def __contains__(self, field: object) -> bool:
        there = super().__contains__(field)
        if not there:
            self._check(str(field))
        return there

    def _check(self, field: str) -> None:
        if any(unread.leaves_out(field) for unread in self.unread):
            raise NotRecorded(
                f"{self.part}.{field} is not in recordings: "
                "checker/recording/unread.py declares it as read by no judgement. "
                "Take it out of UNREAD there, and record anew what needs it (make prove)."
            )


def watched(state: State) -> State:
    """The same State, out of a recording: reading what recordings leave out raises NotRecorded."""
    for objects in state.objects.values():
        for obj in objects:
            _watch(obj)
    return state


def _watch(obj: Object) -> None:
    rules = tuple(unread for unread in UNREAD if unread.is_about(obj.kind))
    obj.raw = _watched(obj.raw, obj.kind, "", rules)
    obj.spec, obj.status = obj.raw.get("spec") or {}, obj.raw.get("status") or {}
    metadata = obj.raw.get("metadata") or {}
    for name in (
        "labels",
        "annotations",
    ):  # every Object has them: where they are left out, with nothing in them that can be read
        if any(rule.path == "metadata" and rule.leaves_out(name) for rule in rules):
            metadata[name] = Recorded({}, f"{obj.kind} metadata.{name}", (ALL_UNREAD,))
        setattr(obj, name, metadata.get(name, {}))


def _watched(value: Any, kind: str, path: str, rules: tuple[Unread, ...]) -> Any:
    """The same value, with dicts that watch what is read of them where recordings leave something out."""
    if isinstance(value, list):
        return [_watched(item, kind, f"{path}[]", rules) for item in value]
    if not isinstance(value, dict):
        return value
    below = {name: _watched(item, kind, f"{path}.{name}".lstrip("."), rules) for name, item in value.items()}
    here = tuple(rule for rule in rules if rule.path == path)
    return Recorded(below, f"{kind} {path}".strip(), here) if here else below
