"""Collecting: the only part of the checker that asks anything of anybody.

One LIST per kind, side by side; then, side by side again, what hangs on the objects: one batch for the observer, the
requests from outside, the last log lines of containers in trouble. Every call has a deadline, and what does not
answer in time becomes an "unlisted" kind or an observation with an error, from which judging concludes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from checker import observer
from checker.api import Api, ApiError
from checker.chains.service import REACH, declared_ports, pods_behind, target_ports
from checker.kinds import KINDS, SYSTEM_NAMESPACES, Kind
from checker.observe import Observation
from checker.state import Object, State, foreign_namespaces, visible_objects
from cluster import Problem

# Objects of the cluster's own namespaces are not asked for in the first place.
_NOT_SYSTEM = ",".join(f"metadata.namespace!={name}" for name in SYSTEM_NAMESPACES)
MAX_LOGS = 10  # containers whose last lines are read in one look
LOG_LINES = "tailLines=10&limitBytes=4096"


def collect(
    api: Api, namespace: str, observations: Iterable[Observation] = (), manifests: Iterable[Path] = ()
) -> State:
    """Look at a namespace once.

    observations: what the lab's tasks want seen. manifests: files of the learner's; where one speaks of an object that is
    not there, the API server is asked, by a dry run, what it has against it.
    Raises Problem where the API server cannot be reached at all.
    """
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="collect") as pool:
        state = _list_objects(api, namespace, pool)
        _observe(api, state, list(observations), list(manifests), pool)
    return state


def _list_objects(api: Api, namespace: str, pool: ThreadPoolExecutor) -> State:
    lists = {name: pool.submit(_list, api, kind, namespace) for name, kind in KINDS.items()}
    listed: dict[str, list[dict[str, Any]]] = {}
    unlisted: dict[str, str] = {}
    for name, future in lists.items():
        try:
            listed[name] = future.result()
        except ApiError as error:
            unlisted[name] = error.message
            if error.status == 0 and not listed:
                # Nobody there: the other kinds would say the same, one time limit after the other.
                for other in lists.values():
                    other.cancel()
                return State(namespace, api.now, unlisted=dict.fromkeys(KINDS, error.message))
    namespaces = [Object("Namespace", raw) for raw in listed.get("Namespace", [])]
    foreign = foreign_namespaces(namespaces, namespace)
    objects = {name: list(visible_objects(name, items, namespace, foreign)) for name, items in listed.items()}
    return State(namespace, api.now, objects, unlisted)


def _list(api: Api, kind: Kind, namespace: str) -> list[dict[str, Any]]:
    """All objects of a kind outside the system's namespaces; only the lab's where the learner's rights end there."""
    if kind.name == "Event":
        items: list[dict[str, Any]] = api.get(kind.path(namespace))["items"]
        return items
    try:
        items = api.get(kind.path() + (f"?fieldSelector={_NOT_SYSTEM}" if kind.namespaced else ""))["items"]
    except ApiError as error:
        if error.status != 403 or not kind.namespaced:
            raise
        items = api.get(kind.path(namespace))["items"]
    return items


def _observe(
    api: Api, state: State, observations: list[Observation], manifests: list[Path], pool: ThreadPoolExecutor
) -> None:
    if not state.objects:
        return
    questions: dict[str, dict[str, Any]] = {}
    jobs: dict[str, Future[Any]] = {}
    for observation in observations:
        question = observation.question(state)
        if question is None:
            continue
        if observation.asked_by == "observer":
            questions[observation.key] = question
        else:
            jobs[observation.key] = pool.submit(_asker(observation), question)
    if addresses := _service_targets(state):
        questions[REACH] = {"do": "tcp", "to": addresses}
    batch = pool.submit(observer.ask, api, questions)
    logs = {
        f"{pod.name}/{container}": pool.submit(_log, api, pod, container, previous)
        for pod, container, previous in containers_in_trouble(state)[:MAX_LOGS]
    }
    refusals = pool.submit(_refusals, api, state, manifests)
    state.observations |= batch.result()
    for key, job in jobs.items():
        try:
            state.observations[key] = job.result()
        except Problem as problem:
            state.observations[key] = {"error": problem.what}
    state.logs = {key: text for key, job in logs.items() if (text := job.result())}
    state.refusals = refusals.result()


def _asker(observation: Observation) -> Callable[[dict[str, Any]], Any]:
    if observation.asked_by == "outside":
        from checker.outside import ask_nodes

        return ask_nodes
    from checker.docker import ask_engine

    return ask_engine


def _service_targets(state: State) -> list[str]:
    """Every address that a Service of the namespace sends to, and, for comparison, the other ports of those Pods."""
    targets: set[str] = set()
    for service in state.all("Service") if "Service" not in state.unlisted and "Pod" not in state.unlisted else []:
        for pod in pods_behind(state, service):
            address = pod.status.get("podIP")
            if address and pod.is_ready:
                ports = {*target_ports(service, pod), *target_ports(service, pod).values(), *declared_ports(pod)}
                targets |= {f"{address}:{port}" for port in ports}
    return sorted(targets)


def containers_in_trouble(state: State) -> list[tuple[Object, str, bool]]:
    """Containers of the namespace whose last words matter: (Pod, container, whether those of the previous run are meant)."""
    found = []
    for pod in state.all("Pod") if "Pod" not in state.unlisted else []:
        for status in [*(pod.status.get("initContainerStatuses") or []), *(pod.status.get("containerStatuses") or [])]:
            current = status.get("state") or {}
            ended = (current.get("terminated") or {}).get("exitCode", 0) != 0
            restarted = status.get("restartCount", 0) > 0 and not ended
            if ended or restarted or "CrashLoop" in (current.get("waiting") or {}).get("reason", ""):
                found.append((pod, status["name"], restarted))
    return found


def _log(api: Api, pod: Object, container: str, previous: bool) -> str:
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/log?container={container}&{LOG_LINES}"
    try:
        return api.request("GET", path + ("&previous=true" if previous else "")).decode(errors="replace")
    except ApiError:
        return ""  # the container's log is gone with it: the verdict does without its last words


def _refusals(api: Api, state: State, manifests: list[Path]) -> list[dict[str, str]]:
    from checker.manifests import refusals

    return refusals(api.cluster, state, manifests) if manifests else []
