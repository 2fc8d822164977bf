"""How a class is: what each learner has, and what is missing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from checker.classroom import hub
from checker.classroom.apply import SECONDS, listed, refused
from checker.classroom.names import LEARNER
from checker.classroom.record import Record
from checker.classroom.tokens import homes_in
from checker.classroom.walls import WALL, WAY_OUT
from checker.collect.api import Api, ApiError
from checker.model.catalogue import say
from checker.model.state import LAB, Object

# What each learner's first namespace holds of the class.
EXPECTED = (
    ("NetworkPolicy", WALL),
    ("NetworkPolicy", WAY_OUT),
    ("ResourceQuota", "class"),
    ("LimitRange", "class"),
    ("ServiceAccount", "learner"),
    ("Role", "learner"),
    ("RoleBinding", "learner"),
)


def status_of(api: Api, record: Record) -> dict[str, Any]:
    """Facts about a class, and `not_well`: a sentence for each thing that is wrong. Raises Problem."""
    found = listed(api, record.name)
    namespaces = {key[2]: one for key, one in found.items() if key[0] == "Namespace"}
    home_of = {name: one["metadata"]["labels"].get(LEARNER, "") for name, one in namespaces.items()}
    pods = _pods(api)
    learners, not_well = [], []
    for home, further in homes_in(list(namespaces.values())).items():
        missing = [f"{kind} {name}" for kind, name in EXPECTED if (kind, home, name) not in found]
        if record.further is not None:
            place = hub.namespace_of(home)
            missing += [f"{kind} {place}/{name}" for kind, name in hub.EXPECTED if (kind, place, name) not in found]
        own = [pod for pod in pods if home_of.get(pod.namespace) == home]
        labels = namespaces[home]["metadata"]["labels"] if home in namespaces else {}
        learner = home.removeprefix(f"{record.name}-")
        learners.append(
            {
                "id": learner,
                "namespace": home,
                "namespaces": 1 + len(further),
                "lab": labels.get(LAB, ""),
                "pods": len(own),
                "not_ready": sum(pod.condition("Ready").get("status") != "True" for pod in own),
                "missing": missing,
            }
        )
        if missing:
            not_well.append(say("class-missing", learner=learner, missing=missing, name=record.name))
    if record.ends < datetime.now(UTC):
        not_well.append(say("class-ended", name=record.name))
    if "policies" not in record.offers:
        not_well.append(say("class-no-walls"))
    return {
        "class": record.name,
        "context": api.cluster.context,
        "ends": record.ends.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "offers": list(record.offers),
        "registry": record.registry,
        "learners": learners,
        "not_well": not_well,
    }


def _pods(api: Api) -> list[Object]:
    try:
        items = json.loads(api.request("GET", "/api/v1/pods", read_timeout=SECONDS))["items"]
    except ApiError as error:
        raise refused(error) from None
    return [Object("Pod", raw) for raw in items]
