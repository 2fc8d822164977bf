"""Refinement: from the general cause that a chain ends with to the exact one, where the objects tell it.

A chain stops at the first broken link. Often the conditions, messages and last words at that link say more: which
filter of the scheduler it was, which component refused the Pod, why a registry gave no image. Each refinement takes a
State, the object that the fault is about, and the fault. It returns a more exact fault, or None where it knows none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from checker.diagnosis.circles import refine_circle
from checker.diagnosis.images import refine_config_error, refine_image_pull
from checker.diagnosis.last_log_lines import refine_by_last_log_lines, refine_job, refine_optional
from checker.diagnosis.pod import refine_not_ready
from checker.diagnosis.pod_start import refine_evicted, refine_starting
from checker.diagnosis.probes import refine_probe_failure, refine_probe_of_https, refine_probe_refused
from checker.diagnosis.scheduling import refine_not_scheduled_yet, refine_unschedulable
from checker.diagnosis.service import refine_none_ready, refine_port_refused, refine_selects_nothing
from checker.diagnosis.workload import (
    refine_own_older_pod,
    refine_refused,
    refine_rollout_in_progress,
    refine_zero_replicas,
)
from checker.model.fault import Fault, Unknown
from checker.model.state import Object, State

Refinement = Callable[[State, Object, Fault], Fault | None]
LOOKS = 3  # how often an exact cause is looked at again: it may sit at another object, where more can be known

# By cause: the refinements, in the order in which they are tried.
REFINEMENTS: dict[str, tuple[Refinement, ...]] = {
    "pod-not-scheduled-yet": (refine_not_scheduled_yet,),
    "pod-unschedulable": (refine_unschedulable,),
    "pod-evicted": (refine_evicted,),
    "pod-starting": (refine_starting,),
    "container-config-error": (refine_config_error,),
    **dict.fromkeys(("image-not-found", "image-name-typo", "image-not-loaded"), (refine_image_pull,)),
    **dict.fromkeys(
        (
            "container-crashes",
            "container-ends",
            "container-restarts-often",
            "port-clash-in-pod",
            "liveness-probe-fails",
        ),
        (refine_by_last_log_lines, refine_optional),
    ),
    **dict.fromkeys(
        ("readiness-probe-fails", "startup-probe-fails", "probe-times-out"),
        (refine_by_last_log_lines, refine_optional, refine_probe_failure, refine_probe_refused, refine_probe_of_https),
    ),
    "init-container-runs": (refine_circle, refine_by_last_log_lines, refine_optional),
    **dict.fromkeys(
        ("host-port-taken", "claim-in-use", "pod-unschedulable-pod-affinity", "pod-unschedulable-together"),
        (refine_own_older_pod,),
    ),
    "pod-not-ready": (refine_not_ready,),
    "admission-refused": (refine_refused,),
    "zero-replicas": (refine_zero_replicas,),
    "rollout-in-progress": (refine_rollout_in_progress,),
    "target-port-refused": (refine_port_refused,),
    "target-port-silent": (refine_port_refused,),
    **dict.fromkeys(("job-backoff-limit", "job-retrying"), (refine_job,)),
    "service-selects-nothing": (refine_selects_nothing,),
    "service-has-no-ready-pod": (refine_none_ready,),
}


def refined(state: State, fault: Fault) -> Fault:
    """The most exact cause that the objects tell of a fault; the fault itself where they tell no more than it does.

    `kubeclass explain` and a lab's `check` both name this cause.
    """
    for _ in range(LOOKS):
        exact = refine(state, fault)
        if exact is fault:
            break
        fault = exact
    return fault


def refine(state: State, fault: Fault) -> Fault:
    """A more exact cause of a fault, or the fault itself."""
    about = fault.object
    named = state.index(about.kind).by_name.get(about.name, [])
    obj = next((o for o in named if o.namespace in ("", about.namespace)), None)
    if obj is None:
        return fault
    for refinement in REFINEMENTS.get(fault.cause, ()):
        try:
            exact = refinement(state, obj, fault)
        except Unknown:
            continue  # what the refinement goes by could not be listed
        if exact is not None:
            return _found_from(fault, exact)
    return fault


def _found_from(fault: Fault, exact: Fault) -> Fault:
    """An exact cause, told on the way from the same objects as the fault that it was found from."""
    if not exact.object.namespace:
        exact = exact.but(object=replace(exact.object, namespace=fault.object.namespace))
    if fault.led_elsewhere and exact.object.namespace == fault.object.namespace:
        exact = exact.but(led_elsewhere=True)
    if fault.contexts and exact.object == fault.object and not exact.contexts:
        exact = exact.but(contexts=fault.contexts)
    return exact
