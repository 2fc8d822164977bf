"""Nothing else was changed: what the handbook says of all other objects still holds."""

from itertools import zip_longest
from typing import Any, NamedTuple

from checker.sdk import KINDS, ImageName, Ref, State, fail, quantity, seed_of, selects, task

from . import setup as capstone

LONGEST = 120  # characters of a value that a message shows


class Change(NamedTuple):
    """A field of an object that is not as it should be. line: of a text of several lines, the line, from 1.

    wanted, found: the values in the field; empty where the field is not set.
    """

    field: str
    wanted: str
    found: str
    line: int | None = None


@task("nothing-else")
def nothing_else_was_changed(state: State) -> None:
    begun = capstone.whole(seed_of(state))
    service = state.require("Service", "guestbook")
    state.require_working(service)
    state.require_working(state.require("Deployment", "guestbook"))
    for ref in (
        "ConfigMap/handbook",  # first, because the learner compares the other objects with it
        "Deployment/cache",
        "Service/cache",
        "NetworkPolicy/cache",
        "ResourceQuota/house",
    ):
        kind, _, name = ref.partition("/")
        live = state.find(kind, name)
        part = "data" if kind == "ConfigMap" else "spec"
        plural = KINDS[kind].plural
        if not live:
            fail("other-workload-deleted", Ref(kind, name, state.namespace), plural=plural)
        if live.is_terminating:
            fail("other-workload-deleted", live, form="terminating", plural=plural)
        change = first_difference(
            begun[ref][part], live.raw.get(part), part, exact=kind in ("NetworkPolicy", "ResourceQuota")
        )
        if kind == "Service" and live.spec.get("type", "ClusterIP") != "ClusterIP":
            change = Change("spec.type", "ClusterIP", live.spec["type"])
        if change:
            wanted, found = change.wanted.strip()[:LONGEST], change.found.strip()[:LONGEST]
            field, line = change.field, change.line
            fail("other-workload-changed", live, plural=plural, field=field, line=line, wanted=wanted, found=found)
    for policy in state.all("NetworkPolicy"):
        if (
            policy.name != "cache"
            and policy.spec.get("ingress")
            and selects(policy.spec.get("podSelector"), capstone.CACHE)
        ):
            fail("other-workload-changed", policy, form="second-policy")
    for node in state.objects.get("Node", []):
        system = node.labels.get("kubernetes.io/os", "linux")
        if system != "linux":
            fail("other-workload-changed", node, form="node-label", system=system)
    state.require_working(state.require("Deployment", "cache"))
    state.require_working(state.require("Service", "cache"))


def first_difference(wanted: Any, found: Any, path: str, exact: bool = False) -> Change | None:
    """The first field that is not as it should be, or None. path: where in the object `wanted` and `found` are.

    Fields that only `found` has do not count: the API server sets defaults. exact: they count, because the API server
    sets no defaults in objects of this kind. It sets none in selectors either.
    """
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            if difference := first_difference(value, found.get(key), f"{path}.{key}", exact):
                return difference
        more = sorted(set(found) - set(wanted)) if exact or path.endswith(("selector", "matchLabels")) else []
        return Change(f"{path}.{more[0]}", "", str(found[more[0]])) if more else None
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        differences = (
            first_difference(a, b, f"{path}[{i}]", exact) for i, (a, b) in enumerate(zip(wanted, found, strict=True))
        )
        return next((difference for difference in differences if difference), None)
    if wanted == found or same_quantity(wanted, found):
        return None
    if path.endswith(".image") and ImageName.parse(str(found)).without_path == wanted:
        return None  # a class may pull the image from a registry
    if isinstance(wanted, str) and isinstance(found, str) and "\n" in wanted:
        pairs = zip_longest(wanted.splitlines(), found.splitlines(), fillvalue="")
        return next((Change(path, one, other, n) for n, (one, other) in enumerate(pairs, 1) if one != other), None)
    return Change(path, str(wanted), "" if found is None else str(found))


def same_quantity(one: Any, other: Any) -> bool:
    """Whether both are quantities of the same amount."""
    try:
        return quantity(one) == quantity(other)
    except ValueError:
        return False
