"""Requests, limits and quotas: what a quantity means, and why Pods are refused for theirs.

A refusal is read where it is: in the condition or an event of whatever makes the Pods (a ReplicaSet, a Job, …). Sources:
https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/ (units, what going over a limit does),
https://kubernetes.io/docs/concepts/policy/resource-quotas/ and https://kubernetes.io/docs/concepts/policy/limit-range/.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from checker.diagnosis.owners import workload_of
from checker.model.quantity import quantity
from checker.model.spelling import counted
from checker.model.state import Object, State
from checker.model.verdict import fail

MIB = Decimal(1024**2)
# Nothing runs in less than this much memory: who writes it means another unit.
LEAST_MEMORY = MIB
# Whole CPUs, written without a unit, from which on thousandths are more likely to be meant.
MANY_CPUS = 100
# A CPU limit up to which a program that takes long to answer may be held up by it.
LOW_CPU = Decimal("0.2")

# -- quantities ------------------------------------------------------------------------------------------------------


def is_memory(resource: str) -> bool:
    """Whether a resource (`memory`, `requests.memory`, `limits.memory`, …) is counted in bytes."""
    return resource.rpartition(".")[2] in ("memory", "storage", "ephemeral-storage")


def is_cpu(resource: str) -> bool:
    return resource.rpartition(".")[2] == "cpu"


def means(resource: str, text: str | int) -> str:
    """What a quantity says, in words that need no unit to be known: `64m` of memory are `64 thousandths of a byte`."""
    text = str(text)
    value = quantity(text)
    if is_memory(resource):
        if text.endswith("m"):
            return f"{text[:-1]} thousandths of a byte"
        if value < MIB:
            return f"{value:,f} byte{'' if value == 1 else 's'}"
        return f"{value:,f} bytes, which is {_short(value / MIB)}Mi"
    if is_cpu(resource):
        if value >= 1:
            return f"{_short(value)} {'whole ' if value == int(value) else ''}CPU{'' if value == 1 else 's'}"
        return f"{_short(value * 1000)} thousandths of a CPU"
    return text


def amount(resource: str, value: Decimal) -> str:
    """An amount as people write it: `180m` of CPU, `96Mi` of memory."""
    if is_memory(resource):
        return f"{_short(value / MIB)}Mi" if value else "0"
    return f"{_short(value * 1000)}m" if is_cpu(resource) and 0 < value < 1 else _short(value)


def with_meaning(resource: str, text: str | int) -> str:
    """A quantity for a message: as it is written, and what that means where the unit does not say it plainly."""
    text = str(text)
    plain = text.endswith("i") if is_memory(resource) else quantity(text) < 1
    return text if plain else f"{text}: that means {means(resource, text)}"


def slip(resource: str, text: str | int) -> str:
    """Where a quantity is hardly what its writer means (100 for 100m CPU, 64 or 64m for 64Mi of memory): what it means instead.

    Empty for any other.
    """
    text = str(text)
    value = quantity(text)
    if is_memory(resource) and 0 < value < LEAST_MEMORY:
        return means(resource, text)
    if is_cpu(resource) and value >= MANY_CPUS and not text.endswith("m"):
        return means(resource, text)
    return ""


def slip_cause(resource: str) -> str:
    """The cause that stands for a slip with the unit of a resource."""
    return "memory-unit-slip" if is_memory(resource) else "cpu-unit-slip"


def fail_if_slip(resource: str, text: str | int, where: str, **evidence: Any) -> None:
    """Raises Failed where a quantity has the wrong unit. where: what it stands in, as the beginning of a sentence."""
    meaning = slip(resource, text)
    if meaning:
        fail(
            slip_cause(resource), f"{where} is {text}: that means {meaning}.",
            **{"expected": _usual(resource), "observed": f"{text}: {meaning}", **evidence},
        )  # fmt: skip


def _usual(resource: str) -> str:
    """What quantities of a resource usually look like."""
    return "memory in Mi or Gi" if is_memory(resource) else "a share of a CPU, or as many CPUs as a node has"


def _short(number: Decimal) -> str:
    return f"{number.quantize(Decimal('0.1')).normalize():f}"


def limit_of(container: dict[str, Any], resource: str, which: str = "limits") -> str | None:
    """A container's limit (or, with which="requests", its request), as it is written; None where it has none."""
    found = ((container.get("resources") or {}).get(which) or {}).get(resource)
    return None if found is None else str(found)


def given_by_default(state: State, pod: Object, name: str, resource: str, which: str = "limits") -> str:
    """The LimitRange from which a Pod's container has a value that its workload's template does not name. Empty where that is
    not so, or not known."""
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
    """Raises Failed for a container that does not run because its memory limit has the wrong unit: the node cannot make it.

    What the node says to that is another thing with each container runtime, and often nothing at all.
    """
    statuses = {s["name"]: s.get("state") or {} for s in pod.status.get("containerStatuses") or []}
    for container in pod.containers:
        limit = limit_of(container, "memory")
        if limit is None or "running" in statuses.get(container["name"], {}):
            continue
        source = given_by_default(state, pod, container["name"], "memory")
        fail_if_slip(
            "memory", limit, f"The memory limit of container {container['name']} of Pod {pod.name}"
            + (f", which LimitRange {source} gives it," if source else ""),
            object=f"LimitRange/{source}" if source else pod.ref,
            look=f"kubectl describe limitrange {source}" if source else f"kubectl describe pod {pod.name}",
        )  # fmt: skip


def explain_many_cpus(pod: Object, largest: Decimal) -> None:
    """Raises Failed for a Pod that no node has CPUs enough for because a request lost its unit. largest: what a node offers at most."""
    for container in pod.containers:
        request = limit_of(container, "cpu", "requests")
        if request is None or not slip("cpu", request) or quantity(request) <= largest:
            continue
        fail(
            "cpu-unit-slip",
            f"Container {container['name']} of Pod {pod.name} requests {request} CPU: that means {means('cpu', request)}, and the largest "
            f"node has {_short(largest)}.",
            expected=f"at most {_short(largest)} CPUs", observed=f"{request}: {means('cpu', request)}", object=pod.ref,
            look=f"kubectl describe pod {pod.name}",
        )  # fmt: skip


def throttling_note(container: dict[str, Any], got: str) -> str:
    """What a low CPU limit may have to do with a probe that got no answer in time. Empty where that is not to be thought of.

    A container at its CPU limit is not killed, but made to wait: everything that it does takes longer.
    """
    limit = limit_of(container, "cpu")
    slow = "deadline exceeded" in got or "timeout" in got.lower() or "timed out" in got.lower()
    if not limit or not slow or quantity(limit) > LOW_CPU:
        return ""
    return f" (Its CPU limit is {limit}: a container that wants more is made to wait.)"


# -- refusals --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refusal:
    """Why the API server does not take a Pod: cause, in words, what would be taken, what it got, and the quota's name."""

    cause: str
    words: str
    expected: str
    observed: str
    quota: str = ""


_EXCEEDED = re.compile(r"exceeded quota: (?P<name>[^,]+), requested: (?P<requested>\S+), used: (?P<used>\S+), limited: (?P<limited>\S+)")  # fmt: skip
_MUST_SPECIFY = re.compile(r"failed quota: (?P<name>[^:]+): must specify (?P<what>.+)")
_COUNTED = re.compile(r"(?:requests\.|limits\.)?\b(?:cpu|memory|ephemeral-storage)\b")
_STATUS_UNKNOWN = re.compile(r"status unknown for quota: (?P<name>[^,]+)")
_BOUND = re.compile(r"(?P<which>minimum|maximum) (?P<resource>\S+) usage per (?P<per>\w+) is (?P<bound>[^\s,]+?)[.,]+ +(?:but (?P<kind>limit|request) is (?P<value>[^\s,\]]+)|No (?P<none>limit|request) is specified)")  # fmt: skip
_RATIO = re.compile(r"(?P<resource>\S+) max limit to request ratio per (?P<per>\w+) is (?P<bound>[^\s,]+), but (?P<rest>[^,\]]+)")  # fmt: skip
_ABOVE_LIMIT = re.compile(r"Invalid value: \"?(?P<value>[^\s\":]+)\"?: must be less than or equal to (?P<resource>\S+) limit(?: of (?P<limit>[^\s,\]]+))?")  # fmt: skip


def telling(message: str) -> str:
    """The API server's own words about a refused object, without the object's name in front of them."""
    return re.sub(r'^.*?[\w.]+ "[^"]*" is (?:forbidden|invalid): ', "", message.strip(), flags=re.DOTALL)


def read_refusal(message: str) -> Refusal:
    """What the API server says against an object, understood. Anything that is about no resource is `admission-refused`."""
    found = _EXCEEDED.search(message)
    if found:
        return _exceeded(found)
    if "exceeded quota" in message:
        words = telling(message)
        return Refusal("quota-exceeded", words, "Pods that fit into the namespace's quota", words)
    found = _STATUS_UNKNOWN.search(message)
    if found:
        return Refusal(
            "quota-not-counted-yet", f"quota {found['name']} is new, and what is in use was not counted yet",
            "a quota that has been counted", telling(message), found["name"],
        )  # fmt: skip
    found = _MUST_SPECIFY.search(message)
    if found:
        missing = found["what"].strip().replace(" for: ", " of container ")
        return Refusal(
            "quota-needs-requests",
            f"quota {found['name']} counts what containers say that they need, and these do not say it (missing: {missing})",
            f"a value for {', '.join(sorted(set(_COUNTED.findall(missing))))}", "none", found["name"],
        )  # fmt: skip
    found = _BOUND.search(message)
    if found:
        return _out_of_bounds(found)
    found = _RATIO.search(message)
    if found:
        most = _short(quantity(found["bound"]))
        return Refusal(
            "limit-range-ratio",
            f"the namespace's LimitRange allows a {found['resource']} limit of at most {most} times the request per {found['per']}, but {found['rest']}",
            f"at most {most} times the request", found["rest"],
        )  # fmt: skip
    found = _ABOVE_LIMIT.search(message)
    if found:
        limit = found["limit"] or "the limit"
        return Refusal(
            "request-above-limit",
            f"a container requests {found['value']} {found['resource']}, and its limit is {limit}: no request may be above its limit",
            f"a request of at most {limit}", f"a request of {found['value']}",
        )  # fmt: skip
    words = telling(message)
    return Refusal("admission-refused", words, "Pods that the API server accepts", words)


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.partition("=")[::2] for pair in text.split(","))


def _exceeded(found: re.Match[str]) -> Refusal:
    name = found["name"]
    requested, used, limited = _pairs(found["requested"]), _pairs(found["used"]), _pairs(found["limited"])
    for resource, allowed in limited.items():
        asked = requested.get(resource, "0")
        for value, words in (
            (allowed, f"quota {name} allows {resource}={allowed}"),
            (asked, f"a Pod asks for {resource}={asked}"),
        ):
            # Whole CPUs beside a quota of less than one each are the same slip in smaller numbers.
            small = is_cpu(resource) and value == asked and quantity(asked) > 10 * max(quantity(allowed), Decimal(1))
            meaning = means(resource, value) if small else slip(resource, value)
            if meaning:
                return Refusal(
                    slip_cause(resource), f"{words}, and that means {meaning}",
                    _usual(resource), f"{value}: {meaning}", name,
                )  # fmt: skip
    parts = [
        f"{resource}: {allowed} allowed, {used.get(resource, '0')} in use, {requested.get(resource, '0')} more asked for"
        for resource, allowed in limited.items()
    ]
    return Refusal(
        "quota-exceeded", f"quota {name} has no room ({'; '.join(parts)})", "Pods that fit into the namespace's quota",
        f"requested {found['requested']}, used {found['used']}, limited {found['limited']}", name,
    )  # fmt: skip


def _out_of_bounds(found: re.Match[str]) -> Refusal:
    most = found["which"] == "maximum"
    resource, bound, value = found["resource"], found["bound"], found["value"]
    kind = found["kind"] or found["none"]
    meaning = slip(resource, value) if value else ""
    if meaning:
        return Refusal(
            slip_cause(resource), f"a {kind} of {resource} is {value}, and that means {meaning}",
            _usual(resource), f"{value}: {meaning}",
        )  # fmt: skip
    bounds = f"{bound} {resource} per {found['per']}"
    has = f"a {kind} of {value}" if value else f"no {kind}"
    return Refusal(
        "above-limit-range" if most else "below-limit-range",
        f"the namespace's LimitRange {f'allows at most {bounds}' if most else f'wants at least {bounds}'}, and there is {has}",
        f"at {'most' if most else 'least'} {bounds}", has,
    )  # fmt: skip


def refusal_cause(message: str) -> str:
    """The cause of a refusal that is about resources; empty for any other."""
    cause = read_refusal(message).cause
    return "" if cause == "admission-refused" else cause


def explain_creation(state: State, workload: Object, maker: Object) -> None:
    """Raises Failed where the API server refuses Pods to what makes them.

    workload: what the learner made; maker: what makes its Pods (the ReplicaSet of a Deployment, else the workload itself). A
    ReplicaSet says so in its condition ReplicaFailure; StatefulSets, DaemonSets and Jobs have none: there an event is the only place.
    """
    condition = maker.condition("ReplicaFailure")  # a Deployment's own is a copy, which goes a moment later
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


def explain_refusal(state: State, workload: Object, maker: Object, message: str) -> NoReturn:
    """Raise Failed for Pods that are refused with this message. One that no longer holds says so, and is pending: controllers
    try again after ever longer pauses."""
    refusal = read_refusal(message)
    evidence: dict[str, Any] = {"object": maker.ref, "look": f"kubectl describe {maker.kind.lower()} {maker.name}"}
    who = f"{workload.kind} {workload.name}"
    if refusal.cause == "admission-refused":
        fail(
            refusal.cause, f"The API server refuses the Pods of {who}: {refusal.words}",
            expected=refusal.expected, observed=refusal.observed, **evidence,
        )  # fmt: skip
    if _is_over(state, maker, message, refusal):
        fail(
            "refused-before",
            f"{who} got no Pods, because {refusal.words}. That is no longer so; {maker.kind} {maker.name} tries again by itself, after ever longer pauses.",
            expected="Pods that are made", observed="not tried again yet", pending=True, **evidence,
        )  # fmt: skip
    if refusal.cause == "memory-unit-slip" and refusal.quota and refusal.words.startswith("quota"):
        evidence = {
            "object": f"ResourceQuota/{refusal.quota}",
            "look": f"kubectl describe resourcequota {refusal.quota}",
        }
    have = len([pod for pod in state.owned("Pod", maker) if not pod.is_terminating])
    number = f"no more than {counted(have, 'Pod')}" if have else "no Pods"
    fail(
        refusal.cause, f"{who} gets {number}: {refusal.words}.",
        expected=refusal.expected, observed=refusal.observed, pending=refusal.cause == "quota-not-counted-yet", quota=refusal.quota, **evidence,
    )  # fmt: skip


def _is_over(state: State, maker: Object, message: str, refusal: Refusal) -> bool:
    """Whether the reason of a refusal is gone: the quota has room now, or the LimitRange allows it, or gives what was missing."""
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
    """Whether a quota has room now for what was asked for. What is in use is counted anew a moment after the quota changed."""
    hard, used = quota.spec.get("hard") or {}, quota.status.get("used") or {}
    if quota.status.get("hard") != hard:
        return False
    for resource, value in requested.items():
        if resource in hard and quantity(value) + quantity(used.get(resource, 0)) > quantity(hard[resource]):
            return False
    return True


def gives_defaults(state: State, namespace: str, missing: set[str]) -> bool:
    """Whether the LimitRanges of a namespace give all that is missing (`requests.cpu`, `limits.memory`, …) to new containers."""
    return bool(missing) and all(defaults_of(state, namespace, name) for name in missing)


def defaults_of(state: State, namespace: str, name: str) -> list[str]:
    """What the LimitRanges of a namespace give to a new container that does not name it (`requests.cpu`, `limits.memory`, …).

    Where several give something, any of them may be the first to do so.
    """
    which, _, resource = name.rpartition(".")
    # Where only a maximum (or a minimum) is named, it is the default as well.
    kinds = ("default", "max") if which == "limits" else ("defaultRequest", "default", "max", "min")
    given = [
        [str(item[kind][resource]) for kind in kinds if resource in (item.get(kind) or {})]
        for limit_range in state.all("LimitRange", namespace)
        for item in limit_range.spec.get("limits") or []
        if item.get("type") == "Container"
    ]
    return [values[0] for values in given if values]
