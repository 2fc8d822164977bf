"""A namespace's LimitRange gives numbers to Pods that have none, and bounds what a container may ask for."""

from checker.sdk import (
    Object,
    Ref,
    State,
    fail,
    limit_of,
    limit_range_defaults,
    limit_ranges_give,
    quantity,
    usual_unit,
)

MOST_MEMORY, MOST_CPU = "128Mi", "200m"
DEFAULTS = ("requests.cpu", "requests.memory", "limits.memory")


def require_no_numbers(deployment: Object) -> None:
    pod_spec = (deployment.spec.get("template") or {}).get("spec") or {}
    containers = [*(pod_spec.get("initContainers") or []), *deployment.containers]
    holders = [*((container["name"], container) for container in containers), ("", pod_spec)]
    for name, spec in holders:
        fields = [which for which in ("requests", "limits") if (spec.get("resources") or {}).get(which)]
        if fields:
            fail("defaults-not-used", deployment, form="" if name else "pod", container=name, fields=fields)


def require_defaults(state: State, deployment: Object) -> None:
    """The Pods have what their template does not name: a LimitRange gave it to them, and gives it still."""
    namespace = deployment.namespace
    for pod in state.pods_of(deployment):
        for container in pod.containers:
            values = {name: limit_of(container, name.partition(".")[2], name.partition(".")[0]) for name in DEFAULTS}
            missing = {name for name, value in values.items() if value is None}
            if not missing:
                require_still_given(state, pod, container["name"], values)
                continue
            late = limit_ranges_give(state, namespace, missing)
            fail(
                "defaults-came-later" if late else "defaults-missing",
                pod,
                container=container["name"],
                missing=[name for name in DEFAULTS if name in missing],
                wanted=DEFAULTS,
            )


def require_still_given(state: State, pod: Object, name: str, values: dict[str, str | None]) -> None:
    """A LimitRange may have been changed, or have gone, since a Pod was made."""
    for which, value in values.items():
        if not limit_range_defaults(state, pod.namespace, which):
            fail("defaults-missing", pod, form="no-longer", container=name, field=which, value=value)


def require_memory_maximum(state: State, namespace: str) -> None:
    found = [
        (quantity(item["max"]["memory"]), limit_range, str(item["max"]["memory"]))
        for limit_range in state.all("LimitRange", namespace)
        for item in limit_range.spec.get("limits") or []
        if item.get("type") in ("Container", "Pod") and "memory" in (item.get("max") or {})
    ]
    if not found:
        there = state.all("LimitRange", namespace)
        fail("limit-range-without-max", there[0] if there else Ref("LimitRange", "", namespace), most=MOST_MEMORY)
    smallest, limit_range, text = min(found, key=lambda entry: entry[0])
    if smallest > quantity(MOST_MEMORY):
        usual = usual_unit("memory", text)
        fail("limit-range-without-max", limit_range, form="too-high", value=text, usual=usual, most=MOST_MEMORY)


def require_memory_within(state: State, deployment: Object) -> None:
    """A maximum does not change the Pods that are older."""
    for pod in state.pods_of(deployment):
        for container in pod.containers:
            limit = limit_of(container, "memory") or "0"
            if quantity(limit) > quantity(MOST_MEMORY):
                fail(
                    "defaults-came-later",
                    pod,
                    form="maximum",
                    container=container["name"],
                    value=limit,
                    usual=usual_unit("memory", limit),
                    most=MOST_MEMORY,
                )
