"""Removing a class, or some of its learners: exactly what carries the class's label."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from checker.classroom.apply import AT_A_TIME, SECONDS, Key, listed, refused
from checker.classroom.kinds import TIERS, collection
from checker.classroom.names import LEARNER, OBSERVER
from checker.collect.api import Api, ApiError
from checker.model.state import CLASS
from cluster.waiting import wait_until

Manifest = dict[str, Any]
ORDER = ("RoleBinding", "ClusterRoleBinding", "Role", "ClusterRole", "ConfigMap", "Namespace")


def to_delete(name: str, found: dict[Key, Manifest], homes: Iterable[str] | None = None) -> list[Manifest]:
    """Which of these objects are deleted, in this order: the rights first, the namespaces, and the guards last.

    What is in a namespace of the class goes with the namespace. An object without this class's label stays.
    homes: the first namespaces of the learners who leave; None where the whole class is removed.
    """
    ours = [one for one in found.values() if (one["metadata"].get("labels") or {}).get(CLASS) == name]
    namespaces = [one for one in ours if one["kind"] == "Namespace"]
    if homes is not None:
        leaving = set(homes)
        return [one for one in namespaces if one["metadata"]["labels"].get(LEARNER) in leaving]
    inside = {one["metadata"]["name"] for one in namespaces}
    gone = [one for one in ours if one["kind"] == "RoleBinding" or one["metadata"].get("namespace") not in inside]
    return sorted(gone, key=lambda one: ORDER.index(one["kind"]) if one["kind"] in ORDER else len(ORDER))


def remove(
    api: Api,
    name: str,
    report: Callable[[int, int], None],
    homes: Iterable[str] | None = None,
    timeout: float = 300,
) -> list[str]:
    """Delete a class, and wait until its namespaces are gone. timeout: in seconds, for that.

    told: called with how many of how many objects are deleted. Returns the names of namespaces that are not gone yet.
    Raises Problem where the API server refuses.
    """
    found = {key: one | {"kind": key[0]} for key, one in listed(api, name).items()}
    doomed = to_delete(name, found, homes)
    guards = [one for one in doomed if one["kind"].startswith("Validating") or one["kind"] in TIERS]
    first = [one for one in doomed if one not in guards]
    done = 0

    def delete_all(manifests: list[Manifest]) -> None:
        nonlocal done
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            for future in as_completed([pool.submit(_delete, api, one) for one in manifests]):
                future.result()
                done += 1
                report(done, len(doomed))

    for kind in dict.fromkeys(one["kind"] for one in first):  # in their order: the rights before the namespaces
        delete_all([one for one in first if one["kind"] == kind])
    namespaces = {one["metadata"]["name"] for one in doomed if one["kind"] == "Namespace"}

    def left() -> list[str]:
        still = listed(api, name, ["Namespace"])
        return sorted(key[2] for key in still if key[2] in namespaces)

    wait_until(lambda: not left(), timeout, pause=1)
    remaining = left()
    if not remaining:
        delete_all(guards)
    return remaining


def leftovers(api: Api, name: str) -> list[str]:
    """What of a removed class is still on the cluster: `Kind name`, or `Kind namespace/name`."""
    return [f"{kind} {namespace}/{one}" if namespace else f"{kind} {one}" for kind, namespace, one in listed(api, name)]


def stays(api: Api) -> list[str]:
    """What `class remove` leaves, as it belongs to no class: the course's own namespace, where it is there."""
    try:
        api.get(f"/api/v1/namespaces/{OBSERVER}")
    except ApiError:
        return []
    return [f"Namespace {OBSERVER}"]


def _delete(api: Api, one: Manifest) -> None:
    metadata = one["metadata"]
    path = f"{collection(one['kind'], metadata.get('namespace', ''))}/{metadata['name']}"
    # By uid: a namespace that was deleted and made anew by somebody else meanwhile is not ours.
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": metadata["uid"]}}
    try:
        api.request("DELETE", path, body, SECONDS)
    except ApiError as error:
        if error.status not in (404, 409):
            raise refused(error, f"{one['kind']} {metadata['name']}") from None
