"""Nothing else was changed: what the handbook says of all other objects still holds."""

from itertools import zip_longest
from typing import Any

from checker.sdk import State, fail, quantity, seed_of, selects, task

from . import setup as capstone


@task("nothing-else")
def nothing_else_was_changed(state: State) -> None:
    begun = capstone.whole(seed_of(state))
    service = state.require("Service", "guestbook")
    state.require_working(service)
    state.require_working(state.require("Deployment", "guestbook"))
    for ref in (
        "ConfigMap/handbook",  # first, since it says what all the others should be like
        "Deployment/cache",
        "Service/cache",
        "NetworkPolicy/cache",
        "ResourceQuota/house",
    ):
        kind, _, name = ref.partition("/")
        live = state.find(kind, name)
        part = "data" if kind == "ConfigMap" else "spec"
        look = f"kubectl get {kind.lower()} {name} -o yaml"
        if not live or live.is_terminating:
            fail(
                "other-workload-deleted", f"{kind} {name}, which was here when the lab began, is gone.", expected=ref, observed="none", object=ref,
                look=f"kubectl get {kind.lower()}",
            )  # fmt: skip
        difference = first_difference(
            begun[ref][part], live.raw.get(part), part, exact=kind in ("NetworkPolicy", "ResourceQuota")
        )
        if kind == "Service" and live.spec.get("type", "ClusterIP") != "ClusterIP":
            difference = ("spec.type", "ClusterIP", live.spec["type"])
        if difference:
            path, wanted, found = (word.strip()[:120] for word in difference)
            fail(
                "other-workload-changed", f"{kind} {name} is not as it should be: {path} is {found.removesuffix('.')}.",
                expected=f"{path}: {wanted}", observed=f"{path}: {found}", object=ref, look=look,
            )  # fmt: skip
    for policy in state.all("NetworkPolicy"):
        if (
            policy.name != "cache"
            and policy.spec.get("ingress")
            and selects(policy.spec.get("podSelector"), capstone.CACHE)
        ):
            fail(
                "other-workload-changed", f"NetworkPolicy {policy.name} selects the Pods of Deployment cache, too, and has rules of its own for who may reach them: policies add up.",
                expected="the rules of NetworkPolicy cache, and no others", observed=f"rules of NetworkPolicy {policy.name}", object=policy.ref,
                look="kubectl describe networkpolicies",
            )  # fmt: skip
    for node in state.objects.get("Node", []):
        system = node.labels.get("kubernetes.io/os", "linux")
        if system != "linux":
            fail(
                "other-workload-changed", f"Node {node.name} is not as it was: its label kubernetes.io/os is {system}.",
                expected="kubernetes.io/os: linux", observed=f"kubernetes.io/os: {system}", object=node.ref, look="kubectl get nodes --show-labels",
            )  # fmt: skip
    state.require_working(state.require("Deployment", "cache"))
    state.require_working(state.require("Service", "cache"))


def first_difference(wanted: Any, found: Any, path: str, exact: bool = False) -> tuple[str, str, str] | None:
    """Where an object asks for something else than it did: (path, what it did, what it does). What the API server filled in does not
    count; exact: of this kind it fills nothing in. Of selectors it never does."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            if difference := first_difference(value, found.get(key), f"{path}.{key}", exact):
                return difference
        more = sorted(set(found) - set(wanted)) if exact or path.endswith(("selector", "matchLabels")) else []
        return (f"{path}.{more[0]}", "not there", str(found[more[0]])) if more else None
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        differences = (
            first_difference(a, b, f"{path}[{i}]", exact) for i, (a, b) in enumerate(zip(wanted, found, strict=True))
        )
        return next((difference for difference in differences if difference), None)
    if wanted == found or same_quantity(wanted, found):
        return None
    if isinstance(wanted, str) and isinstance(found, str) and "\n" in wanted:
        pairs = zip_longest(wanted.splitlines(), found.splitlines(), fillvalue="")
        return next(((f"{path}, line {n}", *pair) for n, pair in enumerate(pairs, 1) if pair[0] != pair[1]), None)
    return path, str(wanted), "gone" if found is None else str(found)


def same_quantity(one: Any, other: Any) -> bool:
    try:
        return quantity(one) == quantity(other)
    except ValueError:
        return False
