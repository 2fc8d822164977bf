"""Pods whose init containers wait for one another. No one of them starts, so no one of them is ready.

Source: https://kubernetes.io/docs/concepts/workloads/pods/init-containers/
"""

from __future__ import annotations

from collections.abc import Iterator

from checker.diagnosis.addresses import configured_addresses
from checker.diagnosis.connections import hosts_asked
from checker.diagnosis.containers import container_spec
from checker.diagnosis.dns import service_named
from checker.diagnosis.owners import workload_of
from checker.diagnosis.service import pods_behind
from checker.model.durations import TIME_FOR_INIT_CONTAINER_IN_EXPLAIN
from checker.model.fault import Fault, Ref
from checker.model.state import Object, State

LONGEST = 6  # workloads of a circle


def refine_circle(state: State, pod: Object, fault: Fault) -> Fault | None:
    """The circle that a Pod is in, where its init container waits for Pods that wait for it; None for any other."""
    for service, circle in _circles(state, pod, [pod]):
        facts = {
            "container": fault.facts.get("container"),
            "service": service.name,
            "maker": _maker(state, pod),
            "circle": sorted({_maker(state, one) for one in circle}),
        }
        pending = fault.facts.get("seconds", 0) < TIME_FOR_INIT_CONTAINER_IN_EXPLAIN
        return Fault("init-containers-wait-in-circle", Ref.of(pod), facts, in_progress=pending)
    return None


def _circles(state: State, pod: Object, path: list[Object]) -> Iterator[tuple[Object, list[Object]]]:
    """The circles that lead from the last Pod of a path back to the first, each with the Service that it waits for."""
    for service, other in _waited_for(state, pod):
        if _maker(state, other) == _maker(state, path[0]):
            yield service, path
        elif len(path) < LONGEST and _maker(state, other) not in {_maker(state, one) for one in path}:
            for _, circle in _circles(state, other, [*path, other]):
                yield service, circle


def _waited_for(state: State, pod: Object) -> Iterator[tuple[Object, Object]]:
    """The Services without a ready Pod that a running init container asks, each with one of its Pods."""
    for status in pod.status.get("initContainerStatuses") or []:
        spec = container_spec(pod, status["name"])
        if "running" not in (status.get("state") or {}) or spec.get("restartPolicy") == "Always":
            continue
        hosts = [one.host for one in configured_addresses(state, pod, spec)] + hosts_asked(spec)
        for name, namespace in dict.fromkeys(service_named(host, pod.namespace) for host in hosts):
            service = state.find("Service", name, namespace) if namespace == pod.namespace else None
            behind = [one for one in pods_behind(state, service) if not one.is_terminating] if service else []
            if service and behind and not any(one.is_ready or one.uid == pod.uid for one in behind):
                yield service, behind[0]


def _maker(state: State, pod: Object) -> str:
    owner = workload_of(state, pod) or pod
    return f"{owner.kind} {owner.name}"
