"""A namespace's LimitRange gives numbers to Pods that have none, and bounds what a container may ask for."""

from checker.sdk import (
    Object,
    State,
    fail,
    limit_of,
    limit_range_defaults,
    limit_ranges_give,
    quantity,
    quantity_with_meaning,
)

MOST_MEMORY, MOST_CPU = "128Mi", "200m"


def require_no_numbers(deployment: Object) -> None:
    pod_spec = (deployment.spec.get("template") or {}).get("spec") or {}
    containers = [*(pod_spec.get("initContainers") or []), *deployment.containers]
    holders = {f"container {container['name']}": container for container in containers} | {"the Pod": pod_spec}
    for holder, spec in holders.items():
        named = [which for which in ("requests", "limits") if (spec.get("resources") or {}).get(which)]
        if named:
            fail(
                "defaults-not-used", f"The manifest of Deployment {deployment.name} in namespace {deployment.namespace} names {' and '.join(named)} itself.",
                expected="a template without resources", observed=f"{' and '.join(named)} of {holder}", object=deployment.ref,
                look=f"kubectl get deployment {deployment.name} -n {deployment.namespace} -o yaml",
            )  # fmt: skip


def require_defaults(state: State, deployment: Object) -> None:
    """The Pods have what their template does not name: a LimitRange gave it to them, and gives it still."""
    namespace = deployment.namespace
    wanted = {"requests.cpu": "a CPU request", "requests.memory": "a memory request", "limits.memory": "a memory limit"}
    for pod in state.pods_of(deployment):
        for container in pod.containers:
            values = {name: limit_of(container, name.partition(".")[2], name.partition(".")[0]) for name in wanted}
            missing = {name for name, value in values.items() if value is None}
            if not missing:
                require_still_given(state, pod, container["name"], values)
                continue
            words = " or ".join(wanted[name] for name in wanted if name in missing)
            late = limit_ranges_give(state, namespace, missing)
            fail(
                "defaults-came-later" if late else "defaults-missing",
                f"Container {container['name']} of Pod {pod.name} in namespace {namespace} was not given {words}"
                + (": the Pod was made before a LimitRange gave that." if late else ", and no LimitRange there gives that."),
                expected=", ".join(wanted.values()), observed=f"without {words}", object=pod.ref,
                look=f"kubectl get pods,limitranges -n {namespace}" if late else f"kubectl describe limitrange -n {namespace}",
            )  # fmt: skip


def require_still_given(state: State, pod: Object, name: str, values: dict[str, str | None]) -> None:
    """A LimitRange may have been changed, or have gone, since a Pod was made."""
    for which, value in values.items():
        if not limit_range_defaults(state, pod.namespace, which):
            fail(
                "defaults-missing",
                f"Container {name} of Pod {pod.name} in namespace {pod.namespace} has {which} {value}, and no LimitRange there gives that to a Pod that is made now.",
                expected=f"a LimitRange that gives {which}", observed="none", object=pod.ref,
                look=f"kubectl describe limitrange -n {pod.namespace}",
            )  # fmt: skip


def require_memory_maximum(state: State, namespace: str) -> None:
    found = [
        (quantity(item["max"]["memory"]), limit_range, str(item["max"]["memory"]))
        for limit_range in state.all("LimitRange", namespace)
        for item in limit_range.spec.get("limits") or []
        if item.get("type") in ("Container", "Pod") and "memory" in (item.get("max") or {})
    ]
    look = f"kubectl describe limitrange -n {namespace}"
    there = state.all("LimitRange", namespace)
    if not found:
        fail(
            "limit-range-without-max", f"In namespace {namespace} a container that names a memory limit itself may name any.",
            expected=f"no container above {MOST_MEMORY}", observed="no maximum", object=there[0].ref if there else "LimitRange", look=look,
        )  # fmt: skip
    smallest, limit_range, text = min(found, key=lambda entry: entry[0])
    if smallest > quantity(MOST_MEMORY):
        fail(
            "limit-range-without-max", f"LimitRange {limit_range.name} of namespace {namespace} allows a container a memory limit up to {quantity_with_meaning('memory', text)}.",
            expected=f"at most {MOST_MEMORY}", observed=text, object=limit_range.ref, look=look,
        )  # fmt: skip


def require_memory_within(state: State, deployment: Object) -> None:
    """A maximum does not change the Pods that are older."""
    for pod in state.pods_of(deployment):
        for container in pod.containers:
            limit = limit_of(container, "memory") or "0"
            if quantity(limit) > quantity(MOST_MEMORY):
                fail(
                    "defaults-came-later",
                    f"Container {container['name']} of Pod {pod.name} in namespace {pod.namespace} has a memory limit of {quantity_with_meaning('memory', limit)}: the Pod "
                    "is older than the namespace's maximum.",
                    expected=f"at most {MOST_MEMORY}", observed=limit, object=pod.ref, look=f"kubectl describe pod {pod.name} -n {pod.namespace}",
                )  # fmt: skip
