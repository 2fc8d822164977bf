"""Collecting: the only part of the checker that asks anything of anybody.

One LIST per kind, side by side; then, side by side again, what hangs on the objects: one batch for the observer, the
requests from outside, the last log lines of containers in trouble. Every call has a deadline, and what does not
answer in time becomes an "unlisted" kind or an observation with an error, from which judging concludes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from checker.collect import observer
from checker.collect.api import Api, ApiError
from checker.collect.dry_run import refusals
from checker.collect.exec import ask_inside
from checker.collect.node_ports import ask_nodes
from checker.diagnosis.dns import CONTROL
from checker.diagnosis.pod import container_spec
from checker.diagnosis.refine import DNS_CONTROL, PROBED
from checker.diagnosis.service import declared_ports, pods_behind, target_ports
from checker.grading.lab_state import LabState
from checker.grading.observations import Observation
from checker.model.kinds import KINDS, Kind
from checker.model.state import REACH, Object, State, foreign_namespaces, visible_objects
from checker.model.verdict import NotPassed
from cluster import Problem, current

MAX_LOGS = 10  # containers whose last lines are read in one look
MAX_LOGS_WHOLE = 40  # the same where a whole namespace is explained
LOG_LINES = "tailLines=10&limitBytes=4096"
PREVIOUS = "previous=true"  # the words of the run before the one that is there now
LATELY = 60  # seconds: what a container that is well has said before that may long be put right
LOG_GONE = ("unable to retrieve container logs", "failed to try resolving symlinks")  # in the kubelet's words


def collect(
    api: Api,
    namespace: str,
    observations: Iterable[Observation] = (),
    manifests: Iterable[Path] = (),
    every_manifest: bool = False,
    whole: bool = False,
    listed: State | None = None,
) -> State:
    """Look at a namespace once.

    observations: what the lab's tasks want seen. manifests: files of the learner's; where one speaks of an object that is
    not there (with every_manifest, of any object), the API server is asked, by a dry run, what it has against it.
    listed: the objects, where somebody watches them (checker/collect/watch.py); otherwise they are listed.
    whole: everything that `kubeclass explain` goes by: the kinds that no lab reads, and the words of containers that seem well.
    Raises Problem where the API server cannot be reached at all.
    """
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="collect") as pool:
        state = listed or _list_objects(api, namespace, pool, whole)
        _observe(api, state, list(observations), pool, list(manifests), every_manifest, whole)
    return state


def look(namespace: str) -> State:
    """See a namespace of the course's cluster once, with everything that explaining goes by. Raises Problem where there is no cluster."""
    return collect(Api(current()), namespace, whole=True)


def _list_objects(api: Api, namespace: str, pool: ThreadPoolExecutor, whole: bool) -> State:
    wanted = {name: kind for name, kind in KINDS.items() if kind.graded or whole}
    lists = {name: pool.submit(_list, api, kind, namespace) for name, kind in wanted.items()}
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
    if whole:  # what is in these was not looked at, so nothing is concluded from not finding it
        unlisted |= dict.fromkeys(sorted(foreign), "it is somebody else's, or on its way out")
    return State(namespace, api.now, objects, unlisted)


def _list(api: Api, kind: Kind, namespace: str) -> list[dict[str, Any]]:
    """All objects of a kind that the learner may list."""
    *others, last = kind.paths(namespace)
    for path in others:
        try:
            items: list[dict[str, Any]] = api.get(path)["items"]
            return items
        except ApiError as error:
            if error.status != 403:
                raise
    items = api.get(last)["items"]
    return items


def _observe(
    api: Api,
    state: State,
    observations: list[Observation],
    pool: ThreadPoolExecutor,
    manifests: list[Path],
    every_manifest: bool,
    whole: bool,
) -> None:
    if not state.objects:
        return
    questions: dict[str, dict[str, Any]] = {}
    jobs: dict[str, Future[Any]] = {}
    seen = LabState.of(state)  # a lab's own observations may ask of it what its tasks ask
    for observation in observations:
        try:
            question = observation.question(seen)
        except NotPassed:
            continue  # what it would go by could not be listed: the tasks that read it find out the same
        if question is None:
            continue
        if observation.asked_by == "observer":
            questions[observation.key] = question
        elif observation.asked_by == "outside":
            jobs[observation.key] = pool.submit(ask_nodes, question)
        elif observation.asked_by == "inside":
            jobs[observation.key] = pool.submit(ask_inside, api.cluster, question)
    if addresses := _service_targets(state):
        questions[REACH] = {"do": "tcp", "to": addresses}
    if whole:
        if urls := _probed(state):
            questions[PROBED] = {"do": "each", "urls": urls}
        questions[DNS_CONTROL] = {"do": "dns", "names": [CONTROL]}
    batch = pool.submit(observer.ask, api, questions)
    logs = {
        f"{pod.name}/{container}": pool.submit(_log, api, pod, container, which)
        for pod, container, which in (
            (containers_in_trouble(state) + containers_at_work(state))[:MAX_LOGS_WHOLE]
            if whole
            else containers_in_trouble(state)[:MAX_LOGS]
        )
    }
    refusals = pool.submit(_refusals, api, state, manifests, every_manifest)
    state.observations |= batch.result()
    for key, job in jobs.items():
        try:
            state.observations[key] = job.result()
        except Problem as problem:
            state.observations[key] = {"error": problem.what}
    state.logs = {key: text for key, job in logs.items() if (text := job.result())}
    state.refusals = refusals.result()


def _service_targets(state: State) -> list[str]:
    """Every address that a Service of the lab's namespaces sends to, and, for comparison, the other ports of those Pods."""
    targets: set[str] = set()
    for service in state.in_lab("Service") if "Service" not in state.unlisted and "Pod" not in state.unlisted else []:
        for pod in pods_behind(state, service):
            address = pod.status.get("podIP")
            if address and pod.is_ready:
                ports = {*target_ports(service, pod), *target_ports(service, pod).values(), *declared_ports(pod)}
                targets |= {f"{address}:{port}" for port in ports}
    return sorted(targets)


def _probed(state: State) -> dict[str, str]:
    """What the HTTP probes of containers that run and are not ready ask: "pod/container" to a URL. The kubelet keeps only a status
    of what it gets, and in an event, which may come late or never."""
    urls: dict[str, str] = {}
    for pod in state.all("Pod") if "Pod" not in state.unlisted else []:
        for status in pod.status.get("containerStatuses") or []:
            spec = container_spec(pod, status["name"])
            probe = spec.get("startupProbe") if status.get("started") is False else None
            get = (probe or spec.get("readinessProbe") or {}).get("httpGet")
            if (
                not get
                or status.get("ready")
                or "running" not in (status.get("state") or {})
                or not pod.status.get("podIP")
            ):
                continue
            named = {port.get("name"): port["containerPort"] for port in spec.get("ports") or []}
            port = named.get(get.get("port"), get.get("port"))
            if get.get("scheme", "HTTP") == "HTTP" and str(port).isdigit() and not get.get("host"):
                urls[f"{pod.name}/{status['name']}"] = (
                    f"http://{pod.status['podIP']}:{port}/{get.get('path', '/').lstrip('/')}"
                )
    return urls


def containers_in_trouble(state: State) -> list[tuple[Object, str, str]]:
    """Containers of the lab's namespaces whose last words matter: (Pod, container, which of its words)."""
    found = []
    for pod in state.in_lab("Pod") if "Pod" not in state.unlisted else []:
        for status in pod.container_statuses:
            current = status.get("state") or {}
            ended = (current.get("terminated") or {}).get("exitCode", 0) != 0
            restarted = status.get("restartCount", 0) > 0 and not ended
            if ended or restarted or "CrashLoop" in (current.get("waiting") or {}).get("reason", ""):
                found.append((pod, status["name"], PREVIOUS if restarted else ""))
    return found


def containers_at_work(state: State) -> list[tuple[Object, str, str]]:
    """Containers that run and were never restarted, those that are not ready first: one of each name for each owner."""
    found: dict[tuple[str, str], tuple[bool, Object, str]] = {}
    for pod in state.all("Pod") if "Pod" not in state.unlisted else []:
        for status in pod.container_statuses:
            if "running" in (status.get("state") or {}) and not status.get("restartCount"):
                key = (min(pod.owner_uids, default=pod.uid), status["name"])
                ready = bool(status.get("ready"))
                if key not in found or (found[key][0] and not ready):
                    found[key] = (ready, pod, status["name"])
    return [
        (pod, name, f"sinceSeconds={LATELY}" if ready else "")
        for ready, pod, name in sorted(found.values(), key=lambda one: one[0])
    ]


def _log(api: Api, pod: Object, container: str, which: str) -> str:
    """The last lines that a container said. Where its first run ended and nothing is said, the kubelet may have started it again
    since it was listed: the words are those of the run before. (Later runs wait for their turn for ten seconds and more.)"""
    said = _log_of_run(api, pod, container, which)
    first = not any(s["name"] == container and s.get("restartCount") for s in pod.container_statuses)
    return _log_of_run(api, pod, container, PREVIOUS) if first and not said and not which else said


def _log_of_run(api: Api, pod: Object, container: str, which: str) -> str:
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/log?container={container}&{LOG_LINES}&{which}"
    try:
        said = api.request("GET", path).decode(errors="replace")
        return "" if said.startswith(LOG_GONE) else said
    except ApiError:
        return ""  # the container's log is gone with it: the verdict does without its last words


def _refusals(api: Api, state: State, manifests: list[Path], every: bool) -> list[dict[str, str]]:
    return refusals(api.cluster, state, manifests, every) if manifests else []
