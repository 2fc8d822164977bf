"""Requests, limits and quotas: what a quantity means, and why the API server refuses Pods because of theirs.

A refusal stands in a condition or an event of the object that creates the Pods (a ReplicaSet, a Job, …). Sources:
https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/ (units, what going over a limit does),
https://kubernetes.io/docs/concepts/policy/resource-quotas/ and https://kubernetes.io/docs/concepts/policy/limit-range/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from checker.diagnosis.owners import workload_of
from checker.model.fault import Failed, Named, Ref, fail
from checker.model.quantity import quantity
from checker.model.state import Object, State

MIB = Decimal(1024**2)
# No program runs in less memory than this. A smaller value was meant in another unit.
LEAST_MEMORY = MIB
# From so many whole CPUs on, a value without a unit was more likely meant in thousandths of a CPU.
MANY_CPUS = 100
# A program with a CPU limit up to this may be slow because of the limit.
LOW_CPU = Decimal("0.2")

# -- quantities ------------------------------------------------------------------------------------------------------


def is_memory(resource: str) -> bool:
    """Whether a resource (`memory`, `requests.memory`, `limits.memory`, …) is counted in bytes."""
    return resource.rpartition(".")[2] in ("memory", "storage", "ephemeral-storage")


def is_cpu(resource: str) -> bool:
    return resource.rpartition(".")[2] == "cpu"


def amount(resource: str, value: Decimal) -> str:
    """An amount as people write it: `180m` of CPU, `96Mi` of memory."""
    if is_memory(resource):
        return f"{_short(value / MIB)}Mi" if value else "0"
    return f"{_short(value * 1000)}m" if is_cpu(resource) and 0 < value < 1 else _short(value)


def usual_unit(resource: str, text: str | int) -> str:
    """A quantity in Mi (memory) or m (CPU); empty where it is written with such a unit: `2` CPU is `2000m`."""
    text = str(text)
    if is_memory(resource):
        return "" if text.endswith("i") else f"{_short(quantity(text) / MIB)}Mi"
    return "" if text.endswith("m") else f"{_short(quantity(text) * 1000)}m"


def is_slip(resource: str, text: str | int) -> bool:
    """Whether a quantity probably has the wrong unit: 100 instead of 100m CPU, 64 or 64m instead of 64Mi of memory."""
    value = quantity(str(text))
    if is_memory(resource):
        return 0 < value < LEAST_MEMORY
    return is_cpu(resource) and value >= MANY_CPUS and not str(text).endswith("m")


def slip_cause(resource: str) -> str:
    """The cause that stands for a slip with the unit of a resource."""
    return "memory-unit-slip" if is_memory(resource) else "cpu-unit-slip"


def slip_facts(resource: str, text: str | int) -> dict[str, Any]:
    """The facts of a slip: `value`, the quantity as it is written, and how many `bytes` or `cpus` it is."""
    return {"value": str(text), "bytes" if is_memory(resource) else "cpus": _number(quantity(str(text)))}


def fail_if_slip(resource: str, text: str | int, about: Named | str, *, form: str, **facts: Any) -> None:
    """Raises Failed where a quantity has the wrong unit.

    about: the object that holds the quantity. form: the form of the cause. facts: what its sentences use, besides the
    quantity (see `slip_facts`).
    """
    if is_slip(resource, text):
        fail(slip_cause(resource), about, form=form, **slip_facts(resource, text), **facts)


def _number(value: Decimal) -> int | float:
    """A quantity as a number for a sentence."""
    return int(value) if value == int(value) else float(value)


def _short(number: Decimal) -> str:
    return f"{number.quantize(Decimal('0.1')).normalize():f}"


def limit_of(container: dict[str, Any], resource: str, which: str = "limits") -> str | None:
    """A container's limit (or, with which="requests", its request), as it is written; None where it has none."""
    found = ((container.get("resources") or {}).get(which) or {}).get(resource)
    return None if found is None else str(found)


def given_by_default(state: State, pod: Object, name: str, resource: str, which: str = "limits") -> str:
    """The name of the LimitRange that gave a container its value by default.

    Empty where the template of the workload sets the value itself, and where the workload is not known.
    """
    workload = workload_of(state, pod)
    written = next((c for c in workload.containers if c["name"] == name), {}) if workload else {}
    if not workload or limit_of(written, resource, which) is not None:
        return ""
    kind = "default" if which == "limits" else "defaultRequest"
    value = limit_of(next((c for c in pod.containers if c["name"] == name), {}), resource, which)
    for limit_range in state.all("LimitRange", pod.namespace):
        for item in limit_range.spec.get("limits") or []:
            if value is not None and str((item.get(kind) or {}).get(resource)) == value:
                return limit_range.name
    return ""


# -- containers ------------------------------------------------------------------------------------------------------


def explain_tiny_memory(state: State, pod: Object) -> None:
    """Raises Failed for a container that does not run because its memory limit has the wrong unit.

    Each container runtime reports this in another way, and some report nothing.
    """
    statuses = {s["name"]: s.get("state") or {} for s in pod.status.get("containerStatuses") or []}
    for container in pod.containers:
        limit = limit_of(container, "memory")
        if limit is None or "running" in statuses.get(container["name"], {}):
            continue
        source = given_by_default(state, pod, container["name"], "memory")
        about = Ref("LimitRange", source, pod.namespace) if source else pod
        form = "default" if source else "limit"
        fail_if_slip("memory", limit, about, form=form, container=container["name"], pod=pod.name)


def explain_many_cpus(pod: Object, largest: Decimal) -> None:
    """Raises Failed for a Pod that no node has enough CPUs for, because a request has the wrong unit.

    largest: the CPUs of the largest node.
    """
    for container in pod.containers:
        request = limit_of(container, "cpu", "requests")
        if request is not None and quantity(request) > largest:
            facts = {"container": container["name"], "largest": _number(largest)}
            fail_if_slip("cpu", request, pod, form="request", **facts)


def low_cpu_limit(container: dict[str, Any], got: str) -> str:
    """The CPU limit of a container whose probe got no answer in time; empty where it is not low enough to matter.

    The kernel does not kill a container at its CPU limit. It throttles the container: everything there takes longer.
    """
    limit = limit_of(container, "cpu")
    slow = "deadline exceeded" in got or "timeout" in got.lower() or "timed out" in got.lower()
    return limit if limit and slow and quantity(limit) <= LOW_CPU else ""


# -- refusals --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refusal:
    """Why the API server refuses a Pod: a cause, the facts that its sentences use, and the form of the cause."""

    cause: str
    facts: Mapping[str, Any]
    form: str = ""

    @property
    def quota(self) -> str:
        """The name of the ResourceQuota that refuses the Pod; empty where none does."""
        return str(self.facts.get("quota", ""))


_EXCEEDED = re.compile(
    r"exceeded quota: (?P<name>[^,]+), requested: (?P<requested>\S+), used: (?P<used>\S+), limited: (?P<limited>\S+)"
)
_MUST_SPECIFY = re.compile(r"failed quota: (?P<name>[^:]+): must specify (?P<what>.+)")
_COUNTED = re.compile(r"(?:requests\.|limits\.)?\b(?:cpu|memory|ephemeral-storage)\b")
_STATUS_UNKNOWN = re.compile(r"status unknown for quota: (?P<name>[^,]+)")
_BOUND = re.compile(
    r"(?P<which>minimum|maximum) (?P<resource>\S+) usage per (?P<per>\w+) is (?P<bound>[^\s,]+?)[.,]+ +"
    r"(?:but (?P<kind>limit|request) is (?P<value>[^\s,\]]+)|No (?P<none>limit|request) is specified)"
)
_RATIO = re.compile(
    r"(?P<resource>\S+) max limit to request ratio per (?P<per>\w+) is (?P<bound>[^\s,]+), but (?P<ratio>[^,\]]+)"
)
_ABOVE_LIMIT = re.compile(
    r"Invalid value: \"?(?P<value>[^\s\":]+)\"?: must be less than or equal to (?P<resource>\S+) limit"
    r"(?: of (?P<limit>[^\s,\]]+))?"
)


def telling(message: str) -> str:
    """The API server's own words about a refused object, without the object's name in front of them."""
    return re.sub(r'^.*?[\w.]+ "[^"]*" is (?:forbidden|invalid): ', "", message.strip(), flags=re.DOTALL)


def read_refusal(message: str) -> Refusal:
    """The cause and the facts of an API server's refusal. One that is about no resource is `admission-refused`."""
    refusal = telling(message)
    if found := _EXCEEDED.search(message):
        return _exceeded(found)
    if "exceeded quota" in message:
        return Refusal("quota-exceeded", {"quota": "", "quote": refusal}, "unread")
    if found := _STATUS_UNKNOWN.search(message):
        return Refusal("quota-not-counted-yet", {"quota": found["name"], "quote": refusal})
    if found := _MUST_SPECIFY.search(message):
        fields = sorted(set(_COUNTED.findall(found["what"])))
        return Refusal(
            "quota-needs-requests", {"quota": found["name"], "fields": fields, "quote": found["what"].strip()}
        )
    if found := _BOUND.search(message):
        return _out_of_bounds(found)
    if found := _RATIO.search(message):
        facts = {"resource": found["resource"], "per": found["per"], "quote": found["ratio"]}
        return Refusal("limit-range-ratio", {**facts, "most": _number(quantity(found["bound"]))})
    if found := _ABOVE_LIMIT.search(message):
        return Refusal("request-above-limit", found.groupdict())
    return Refusal("admission-refused", {"quote": refusal})


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.partition("=")[::2] for pair in text.split(","))


def _exceeded(found: re.Match[str]) -> Refusal:
    requested, used, limited = _pairs(found["requested"]), _pairs(found["used"]), _pairs(found["limited"])
    for resource, allowed in limited.items():
        amount = requested.get(resource, "0")
        facts = {"quota": found["name"], "field": resource, "allowed": allowed}
        if is_slip(resource, allowed):
            return Refusal(slip_cause(resource), {**facts, **slip_facts(resource, allowed)}, "quota-limit")
        # A request for many times the CPUs that the quota allows is the same slip.
        many = is_cpu(resource) and quantity(amount) > 10 * max(quantity(allowed), Decimal(1))
        if many or is_slip(resource, amount):
            return Refusal(slip_cause(resource), {**facts, **slip_facts(resource, amount)}, "quota-request")
    of_claims = all(resource.endswith(("requests.storage", "persistentvolumeclaims")) for resource in requested)
    facts = {"quota": found["name"], "limited": limited, "used": used, "requested": requested}
    return Refusal("quota-exceeded", facts, "claim" if of_claims else "")


def _out_of_bounds(found: re.Match[str]) -> Refusal:
    resource, value = found["resource"], found["value"]
    facts = {"field": f"{found['kind'] or found['none']}s.{resource}"}
    if value and is_slip(resource, value):
        return Refusal(slip_cause(resource), {**facts, **slip_facts(resource, value)}, "bounds")
    cause = "above-limit-range" if found["which"] == "maximum" else "below-limit-range"
    facts |= {"bound": found["bound"], "resource": resource, "per": found["per"]}
    return Refusal(cause, {**facts, "value": value}) if value else Refusal(cause, facts, "unset")


def refusal_cause(message: str) -> str:
    """The cause of a refusal that is about resources; empty for any other."""
    cause = read_refusal(message).cause
    return "" if cause == "admission-refused" else cause


def explain_creation(state: State, workload: Object, maker: Object) -> None:
    """Raises Failed where the API server refuses Pods of a workload.

    workload: what the learner created. maker: what creates its Pods (a Deployment's ReplicaSet, else the workload).
    A ReplicaSet holds the refusal in its condition ReplicaFailure. StatefulSets, DaemonSets and Jobs have no such
    condition: only an event holds it.
    """
    condition = maker.condition("ReplicaFailure")  # the Deployment's own is a copy, which is removed a moment later
    message = condition.get("message", "") if condition.get("status") == "True" else ""
    if not message and maker.kind in ("StatefulSet", "DaemonSet", "Job") and _lacks_pods(state, maker):
        newest = next((e for e in state.events(maker) if e.get("reason") in ("FailedCreate", "SuccessfulCreate")), {})
        message = newest.get("message", "") if newest.get("reason") == "FailedCreate" else ""
    if message:
        explain_refusal(state, workload, maker, message)


def _lacks_pods(state: State, maker: Object) -> bool:
    wanted: dict[str, int] = {
        "StatefulSet": maker.spec.get("replicas", 1),
        "DaemonSet": maker.status.get("desiredNumberScheduled", 1),
        "Job": min(maker.spec.get("parallelism", 1), maker.spec.get("completions", 1)),
    }
    return len(state.owned("Pod", maker)) < wanted[maker.kind]


def _given_beyond_quota(state: State, maker: Object, refusal: Refusal) -> tuple[Object | None, dict[str, str]]:
    """The LimitRange whose defaults are a part of what a quota has no room for, and those defaults.

    The containers of the template state no such value themselves.

    Source: https://kubernetes.io/docs/concepts/policy/limit-range/
    """
    if "LimitRange" in state.unlisted:
        return None, {}
    for limit_range in state.all("LimitRange", maker.namespace):
        given: dict[str, str] = {}
        for resource in refusal.facts["requested"]:
            which, _, name = resource.rpartition(".")
            which = which or "requests"
            unset = [c for c in maker.containers if limit_of(c, name, which) is None and limit_of(c, name) is None]
            for item in limit_range.spec.get("limits") or [] if unset and which in ("limits", "requests") else []:
                value = (item.get("default" if which == "limits" else "defaultRequest") or {}).get(name)
                given |= {f"{which}.{name}": str(value)} if value is not None else {}
        if given:
            return limit_range, given
    return None, {}


def _fits_alone(refusal: Refusal) -> bool:
    """Whether a quota has room for a Pod that it refuses, as soon as no other Pod uses the quota."""
    requested, limited = refusal.facts["requested"], refusal.facts["limited"]
    return all(quantity(requested[name]) <= quantity(most) for name, most in limited.items() if name in requested)


def explain_refusal(state: State, workload: Object, maker: Object, message: str) -> NoReturn:
    """Raise Failed for Pods that the API server refuses with this message.

    A refusal whose reason is gone is in progress (`refused-before`): the controller tries again after longer pauses.
    """
    refusal = read_refusal(message)
    have = [pod for pod in state.owned("Pod", maker) if not pod.is_terminating]
    about: Named = maker
    facts: dict[str, Any] = {"workload_kind": workload.kind, "workload": workload.name, "pods": len(have)}
    facts["old"] = _ready_of_older(state, workload, maker) or None
    if refusal.cause != "admission-refused" and _is_over(state, maker, message, refusal):
        fail("refused-before", maker, in_progress=True, quote=telling(message), **facts)
    if refusal.cause == "request-above-limit" and (given := _limit_by_default(state, maker, refusal.facts)):
        raise Failed(refusal.cause, about, form="by-default", **{**refusal.facts, **facts, **given})
    if refusal.cause == "memory-unit-slip" and refusal.form == "quota-limit":
        about = Ref("ResourceQuota", refusal.quota, maker.namespace)
    if refusal.cause == "quota-exceeded" and not refusal.form:
        limit_range, given = _given_beyond_quota(state, maker, refusal)
        facts |= {"limit_range": limit_range.name if limit_range else "", "given": given}
        about = limit_range if limit_range and not _fits_alone(refusal) else maker
    pending = refusal.cause == "quota-not-counted-yet"
    raise Failed(refusal.cause, about, form=refusal.form, in_progress=pending, **refusal.facts, **facts)


def _limit_by_default(state: State, maker: Object, refused: Mapping[str, Any]) -> dict[str, str]:
    """The container without a limit of its own whose request is refused, and the LimitRange that gave it its limit.

    refused: the facts of the refusal. Returns facts; empty where the limit stands in the template, or is not known.
    """
    resource, value = refused["resource"], refused["value"]
    if "LimitRange" in state.unlisted:
        return {}
    for container in maker.containers:
        request = limit_of(container, resource, "requests")
        if request is None or quantity(request) != quantity(value) or limit_of(container, resource) is not None:
            continue
        for limit_range in state.all("LimitRange", maker.namespace):
            for item in limit_range.spec.get("limits") or []:
                given = (item.get("default") or {}).get(resource) or (item.get("max") or {}).get(resource)
                if given is not None and quantity(str(given)) < quantity(value):
                    return {"container": container["name"], "limit_range": limit_range.name, "limit": str(given)}
    return {}


def _ready_of_older(state: State, workload: Object, maker: Object) -> int:
    """How many ready Pods a Deployment has of other revisions than the one that is refused."""
    if workload.kind != "Deployment":
        return 0
    older = [one for one in state.owned("ReplicaSet", workload) if one.uid != maker.uid]
    return sum(pod.is_ready for one in older for pod in state.owned("Pod", one))


def _is_over(state: State, maker: Object, message: str, refusal: Refusal) -> bool:
    """Whether the reason of a refusal is gone: the quota has room, or the LimitRange allows or sets the value."""
    namespace = maker.namespace
    if refusal.quota:
        quota = state.find("ResourceQuota", refusal.quota, namespace)
        if quota is None or quota.is_terminating:
            return True
        if refusal.cause == "quota-needs-requests":
            found = _MUST_SPECIFY.search(message)
            return gives_defaults(state, namespace, set(_COUNTED.findall(found["what"])) if found else set())
        found = _EXCEEDED.search(message)
        return bool(found) and _has_room(quota, _pairs(found["requested"]) if found else {})
    bound = _BOUND.search(message) or _RATIO.search(message)
    if not bound:
        return False
    name = {"minimum": "min", "maximum": "max"}.get(bound.groupdict().get("which") or "", "maxLimitRequestRatio")
    bounds = [
        quantity((item.get(name) or {}).get(bound["resource"], -1))
        for limit_range in state.all("LimitRange", namespace)
        for item in limit_range.spec.get("limits") or []
        if item.get("type") == bound["per"]
    ]
    return quantity(bound["bound"]) not in bounds


def _has_room(quota: Object, requested: dict[str, str]) -> bool:
    """Whether a quota has room for a request. After a change of the quota, its use is counted anew a moment later."""
    hard, used = quota.spec.get("hard") or {}, quota.status.get("used") or {}
    if quota.status.get("hard") != hard:
        return False
    for resource, value in requested.items():
        if resource in hard and quantity(value) + quantity(used.get(resource, 0)) > quantity(hard[resource]):
            return False
    return True


def gives_defaults(state: State, namespace: str, missing: set[str]) -> bool:
    """Whether LimitRanges of a namespace have defaults for all missing values (`requests.cpu`, `limits.memory`, …)."""
    return bool(missing) and all(defaults_of(state, namespace, name) for name in missing)


def defaults_of(state: State, namespace: str, name: str) -> list[str]:
    """The defaults of a namespace's LimitRanges for one value of a new container (`requests.cpu`, `limits.memory`, …).

    Where several LimitRanges have a default, any of them may be applied.
    """
    which, _, resource = name.rpartition(".")
    # A LimitRange that sets only a maximum (or a minimum) uses it as the default, too.
    kinds = ("default", "max") if which == "limits" else ("defaultRequest", "default", "max", "min")
    given = [
        [str(item[kind][resource]) for kind in kinds if resource in (item.get(kind) or {})]
        for limit_range in state.all("LimitRange", namespace)
        for item in limit_range.spec.get("limits") or []
        if item.get("type") == "Container"
    ]
    return [values[0] for values in given if values]
