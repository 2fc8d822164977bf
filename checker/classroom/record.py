"""What a class keeps of itself on its cluster: a ConfigMap in the course's own namespace."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from checker.classroom.apply import MANAGER, SECONDS, refused
from checker.classroom.kinds import collection, path_of
from checker.classroom.names import OBSERVER, labelled, shared
from checker.classroom.quota import Quota
from checker.collect.api import Api, ApiError
from checker.model.catalogue import say
from checker.model.state import CLASS, parse_time


@dataclass(frozen=True)
class Record:
    """ends: when the learners' tokens end. offers: what the cluster can give to labs. registry: the images' prefix.

    further: the suffixes of the learners' further namespaces, where the class has a JupyterHub; else None. The hub
    reads this object, too (hub/kubeclass_hub.py).
    """

    name: str
    ends: datetime
    offers: tuple[str, ...] = ()
    registry: str = ""
    quota: Quota = field(default_factory=Quota)
    further: tuple[str, ...] | None = None

    def manifest(self) -> dict[str, Any]:
        data = {
            "ends": self.ends.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "offers": json.dumps(self.offers),
            "registry": self.registry,
            "quota": json.dumps(asdict(self.quota)),
        }
        if self.further is not None:
            refusals = {"not-in-class": say("hub-not-in-class", name=self.name), "ended": say("hub-class-ended")}
            data["hub"] = json.dumps({"further": self.further, "refusals": refusals})
        return labelled("v1", "ConfigMap", shared(self.name), self.name, OBSERVER, data=data)


def read(api: Api, name: str) -> Record | None:
    """What the cluster keeps of a class; None where there is no such class. Raises Problem."""
    try:
        found = api.get(path_of(Record(name, datetime.now(UTC)).manifest()))
    except ApiError as error:
        if error.status == 404:
            return None
        raise refused(error) from None
    return of_manifest(name, found)


def all_of(api: Api) -> list[Record]:
    """What the cluster keeps of all its classes. Raises Problem."""
    try:
        items = api.get(f"{collection('ConfigMap', OBSERVER)}?labelSelector={CLASS}")["items"]
    except ApiError as error:
        raise refused(error) from None
    return [of_manifest(one["metadata"]["labels"][CLASS], one) for one in items]


def of_manifest(name: str, found: dict[str, Any]) -> Record:
    data = found.get("data") or {}
    return Record(
        name,
        parse_time(data["ends"]),
        tuple(json.loads(data.get("offers") or "[]")),
        data.get("registry") or "",
        Quota(**json.loads(data.get("quota") or "{}")),
        tuple(json.loads(data["hub"])["further"]) if data.get("hub") else None,
    )


def write(api: Api, record: Record) -> None:
    """Raises Problem."""
    manifest = record.manifest()
    try:
        api.request(
            "PATCH",
            f"{path_of(manifest)}?fieldManager={MANAGER}&force=true",
            manifest,
            SECONDS,
            content="application/apply-patch+yaml",
        )
    except ApiError as error:
        raise refused(error, "ConfigMap") from None
