"""Judging lab 09: what a namespace's quota and defaults do to its Pods, and what the kernel does to two programs."""

from checker.sdk import Object, Ref, State, fail, task

from .budgets import (
    fail_if_elsewhere,
    fail_if_over_budget,
    require_budget,
    require_counted,
    require_namespace,
    require_numbers,
)
from .cgroup import CpuAccount, CpuStatInside
from .defaults import (
    MOST_CPU,
    MOST_MEMORY,
    require_defaults,
    require_memory_maximum,
    require_memory_within,
    require_no_numbers,
)
from .limits import fail_if_only_resized, require_limit, require_program

CPU_OF_BUSY = CpuStatInside("busy")
OFTEN = 10  # times that a container is made to wait before it counts as slowed down: the start alone brings a few
STARTING = 20  # seconds in which it may not have come to that yet


@task("budget")
def blue_keeps_to_its_budget(state: State) -> None:
    namespace = f"{state.namespace}-blue"
    require_namespace(state, namespace)
    require_budget(state, namespace)
    deployment = state.require("Deployment", "guestbook", namespace)
    fail_if_over_budget(state, namespace)
    state.require_working(deployment)
    state.require_image(deployment, "guestbook:v1")
    require_replicas(state, deployment, 2)
    require_numbers(state, deployment)
    require_counted(state, deployment)


@task("defaults")
def green_has_defaults(state: State) -> None:
    namespace = f"{state.namespace}-green"
    require_namespace(state, namespace)
    require_budget(state, namespace)
    deployment = state.require("Deployment", "guestbook", namespace)
    require_no_numbers(deployment)
    if not state.all("LimitRange", namespace):
        fail_if_elsewhere(state, "LimitRange", namespace)
    fail_if_over_budget(state, namespace)
    state.require_working(deployment)
    state.require_image(deployment, "guestbook:v1")
    require_defaults(state, deployment)
    require_numbers(state, deployment)
    require_counted(state, deployment)
    require_memory_maximum(state, namespace)
    require_memory_within(state, deployment)


def require_replicas(state: State, deployment: Object, wanted: int) -> None:
    ready = state.ready_pods(deployment)
    if len(ready) < wanted:
        fail("too-few-replicas", deployment, ready=len(ready), wanted=wanted)


@task("killed")
def report_has_the_memory_that_it_needs(state: State) -> None:
    deployment = state.require("Deployment", "report")
    require_program(deployment)
    state.require_working(deployment)
    require_limit(state, deployment, "memory", MOST_MEMORY)
    fail_if_only_resized(state, deployment)


@task("throttled", observe=CPU_OF_BUSY)
def busy_is_slowed_down(state: State, account: CpuAccount) -> None:
    deployment = state.require("Deployment", "busy")
    require_program(deployment)
    state.require_working(deployment)
    require_limit(state, deployment, "cpu", MOST_CPU)
    newest = state.pods_of(deployment)
    stat = account.of([pod.name for pod in newest])
    if stat.throttled < OFTEN:
        fail(
            "not-throttled",
            Ref("Pod", stat.pod, state.namespace),
            throttled=stat.throttled,
            periods=stat.periods,
            least=OFTEN,
            file=stat.file,
            in_progress=state.changed_within(STARTING, *newest),
        )
