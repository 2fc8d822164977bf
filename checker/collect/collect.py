"""Collecting: the only part of the checker that asks anything of anybody.

One LIST per kind, side by side; then, side by side again, what hangs on the objects: one batch for the observer, the
requests from outside, the last log lines of containers in trouble. Every call has a deadline, and what does not
answer in time becomes an "unlisted" kind or an observation with an error, from which grading concludes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from checker.collect import marks, observer
from checker.collect.api import Api, ApiError
from checker.collect.dry_run import created_in_dry_run, refusals
from checker.collect.exec import ask_inside
from checker.collect.node_ports import ask_nodes
from checker.collect.refused import is_turned_away, problem_of
from checker.grading.diagnostic import EVERY_CHECK, EXPLAIN
from checker.grading.lab_state import LabState
from checker.grading.observations import Observation
from checker.model.fault import NotPassed, Phrase, Reason, reason_of
from checker.model.kinds import ALWAYS, KINDS, Kind
from checker.model.state import (
    LOGS,
    REACH,
    START_OF_LOG,
    Object,
    Request,
    State,
    foreign_namespaces,
    parse_time,
    visible_objects,
)
from cluster import Cluster, Problem, current, tools

Logs = Literal["trouble", "all"]
MAX_LOGS = 10  # containers whose last lines are read in one look
MAX_LOGS_WHOLE = 40  # the same where a whole namespace is explained
LOG_LINES = "tailLines=10&limitBytes=4096&timestamps=true"
# Of a container that works: its other lines may stand between its complaints.
LOG_LINES_AT_WORK = "tailLines=30&limitBytes=16384&timestamps=true"
PREVIOUS = "previous=true"  # the words of the run before the one that is there now
LOG_START = f"limitBytes={START_OF_LOG}&timestamps=true"
# Seconds: older log lines of a container that works may tell of a fault that is long repaired.
RECENT_LOG = 60
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_NO_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # control characters but tab and line end
# The time that the kubelet puts before a line.
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))(?: |$)")
LOG_GONE = ("unable to retrieve container logs", "failed to try resolving symlinks")  # in the kubelet's words


def collect(
    api: Api,
    namespace: str,
    observations: Iterable[Observation[Any]] = (),
    manifests: Iterable[Path] = (),
    every_manifest: bool = False,
    kinds: Iterable[str] = ALWAYS,
    logs: Logs = "trouble",
    listed: State | None = None,
    further: Iterable[str] = (),
) -> State:
    """Look at a namespace once.

    observations: what the lab's tasks want seen.
    manifests: files of the learner's. Where a file names an object that does not exist, a dry run asks the API server
    whether it takes the file. With every_manifest, a dry run asks about each file.
    kinds: what is listed. logs: of which containers the last lines are read, those in trouble or all of them.
    listed: the objects, where a Watch has them (checker/collect/watch.py); otherwise they are listed.
    further: namespaces that are listed beside this one, where the rights of this user do not reach all of them.
    Raises Problem where a cluster that is not the course's own refuses this user altogether.
    """
    wanted = list({one.key: one for one in (*observations, *EVERY_CHECK)}.values())
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="collect") as pool:
        state = listed or _list_objects(api, namespace, kinds, pool, tuple(further))
        state.request = replace(state.request, logs=True, observations=frozenset(one.key for one in wanted))
        _observe(api, state, wanted, pool, list(manifests), every_manifest, logs)
    return state


def look(namespace: str, listed: State | None = None, api: Api | None = None, further: Iterable[str] = ()) -> State:
    """See a namespace once, with everything that `kubeclass explain` uses.

    api: of the course's own cluster by default. The rest: as for `collect`.
    Raises Problem where there is no cluster.
    """
    client = api or Api(current())
    return collect(client, namespace, EXPLAIN, kinds=KINDS, logs="all", listed=listed, further=further)


def _list_objects(
    api: Api, namespace: str, kinds: Iterable[str], pool: ThreadPoolExecutor, further: tuple[str, ...]
) -> State:
    lists = {name: pool.submit(_list, api, KINDS[name], namespace, further) for name in kinds}
    listed: dict[str, list[dict[str, Any]]] = {}
    unlisted: dict[str, Reason] = {}
    hidden: dict[str, Reason] = {}
    only_here, forbidden = set(), set()
    for name, future in lists.items():
        try:
            listed[name], everywhere, not_seen = future.result()
            only_here |= set() if everywhere else {name}
            hidden |= not_seen
        except ApiError as error:
            unlisted[name] = error.why
            forbidden |= {name} if error.status == 403 else set()
            if is_turned_away(api.cluster, namespace, name, error):
                raise problem_of(error, api.cluster) from None
            if error.status == 0 and not listed:
                # Nobody answers: the other kinds would say the same, one time limit after the other.
                for other in lists.values():
                    other.cancel()
                return State(namespace, api.now, unlisted=dict.fromkeys(KINDS, error.why))
    return State(
        namespace,
        api.now,
        *visible(listed, unlisted | hidden, namespace),
        request=request_of(lists, only_here, further, hidden),
        forbidden=frozenset(forbidden),
    )


def request_of(
    kinds: Iterable[str], only_here: Iterable[str], further: Iterable[str], hidden: Iterable[str]
) -> Request:
    """What a State was asked for, before any observation.

    only_here: the kinds that could be listed in the namespace only. further, hidden: namespaces that were listed beside
    it for these kinds, and those of them where a kind could not be listed.
    """
    here = frozenset(only_here)
    beside = frozenset(further) - frozenset(hidden) if here - {"Event"} else frozenset()
    return Request(frozenset(kinds) - here, here, logs=False, namespaces=beside)


def visible(
    listed: dict[str, list[dict[str, Any]]], unlisted: dict[str, Reason], namespace: str
) -> tuple[dict[str, list[Object]], dict[str, Reason]]:
    """The objects that may go into a State, and what could not be seen: kinds, and the namespaces of others.

    What is in a namespace of somebody else is not kept, so nothing may be concluded from not finding it.
    """
    namespaces = [Object("Namespace", raw) for raw in listed.get("Namespace", [])]
    foreign = foreign_namespaces(namespaces, namespace)
    objects = {name: list(visible_objects(name, items, namespace, foreign)) for name, items in listed.items()}
    marks.take_over(objects)
    return objects, unlisted | dict.fromkeys(sorted(foreign), Phrase("why-other-lab"))


def _list(
    api: Api, kind: Kind, namespace: str, further: tuple[str, ...] = ()
) -> tuple[list[dict[str, Any]], bool, dict[str, Reason]]:
    """All objects of a kind that the user may list, and whether these are those of all namespaces.

    And, by further namespace, why the kind could not be listed there.
    """
    *others, last = kind.paths(namespace)
    in_class = api.cluster.kind == "class"  # which lets no learner list a kind of all namespaces, nor Namespaces
    for path in () if in_class else others:
        try:
            return api.get(path)["items"], True, {}
        except ApiError as error:
            if error.status != 403:
                raise
    found: list[dict[str, Any]] | None = None
    try:
        if not (in_class and kind.name == "Namespace"):
            found = api.get(last)["items"]
    except ApiError as error:
        if kind.name != "Namespace" or error.status != 403:
            raise
    if found is None:
        found = [api.get(f"{kind.path()}/{namespace}")]  # an admin of one namespace may read that one
        return found + _elsewhere(lambda name: [api.get(f"{kind.path()}/{name}")], further)[0], False, {}
    if not kind.namespaced:
        return found, True, {}
    beside, hidden = _elsewhere(lambda name: api.get(kind.path(name))["items"], further if others else ())
    return found + beside, False, hidden


def _elsewhere(
    get: Callable[[str], list[dict[str, Any]]], namespaces: Iterable[str]
) -> tuple[list[dict[str, Any]], dict[str, Reason]]:
    """What `get` finds in each of these namespaces, and why it found nothing, by namespace."""
    found: list[dict[str, Any]] = []
    hidden: dict[str, Reason] = {}
    for name in namespaces:
        try:
            found += get(name)
        except ApiError as error:
            if error.status not in (403, 404):
                raise
            hidden[name] = error.why
    return found, hidden


def _observe(
    api: Api,
    state: State,
    observations: list[Observation[Any]],
    pool: ThreadPoolExecutor,
    manifests: list[Path],
    every_manifest: bool,
    logs: Logs,
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
        if observation.observed_by == "observer":
            questions[observation.key] = question
        elif observation.observed_by == "outside":
            jobs[observation.key] = pool.submit(ask_nodes, question)
        elif observation.observed_by == "inside" and not can_use_kubectl(api.cluster):
            state.observations[observation.key] = {"error": Phrase("why-no-kubectl")}
        elif observation.observed_by == "inside":
            jobs[observation.key] = pool.submit(ask_inside, api.cluster, question)
        elif observation.observed_by == "api":
            jobs[observation.key] = pool.submit(created_in_dry_run, api, question)
    batch = pool.submit(observer.ask, api, questions, _namespaces(state))
    containers = containers_in_trouble(state)[:MAX_LOGS]
    if logs == "all":
        at_work = containers_at_work(state)
        known = {(pod.uid, name) for pod, name, _ in at_work}
        troubled = [one for one in containers_in_trouble(state) if (one[0].uid, one[1]) not in known]
        containers = (troubled + at_work)[:MAX_LOGS_WHOLE]
    last_lines = {f"{pod.name}/{name}": pool.submit(_log, api, pod, name, which) for pod, name, which in containers}
    refusals = pool.submit(_refusals, api, state, manifests, every_manifest)
    state.observations |= batch.result()
    for key, job in jobs.items():
        try:
            state.observations[key] = job.result()
        except Problem as problem:
            state.observations[key] = {"error": reason_of(problem)}
    state.logs, state.log_ages, state.unread_logs = {}, {}, {}
    for key, job in last_lines.items():
        try:
            state.logs[key], ages = without_stamps(job.result(), state.now)
            state.log_ages |= {key: ages} if any(age is not None for age in ages) else {}
        except ApiError as error:
            state.unread_logs[key] = error.why
            state.forbidden |= {LOGS} if error.status == 403 else set()
    if logs == "all":
        silent = [*containers_behind_closed_ports(state), *containers_of_long_runs(state)][:MAX_LOGS]
        starts = {f"{pod.name}/{name}": pool.submit(_start_of_log, api, pod, name) for pod, name in silent}
        state.log_starts = {key: text for key, job in starts.items() if (text := job.result())}
    state.refusals = refusals.result()


def containers_behind_closed_ports(state: State) -> list[tuple[Object, str]]:
    """Containers that are ready, and have run for a while, in Pods where a port that a Service asks for is closed.

    What such a container said at its start, such as the address at which it listens, is not among its recent lines.
    """
    reach = state.observations.get(REACH) or {}
    addresses = {key.rpartition(":")[0] for key, seen in reach.items() if seen == "refused"}
    return [
        (pod, status["name"])
        for pod in (state.all("Pod") if state.can_see("Pod") else [])
        for status in pod.container_statuses
        if pod.status.get("podIP") in addresses
        and status.get("ready")
        and state.age(((status.get("state") or {}).get("running") or {}).get("startedAt") or state.now) > RECENT_LOG
    ]


def containers_of_long_runs(state: State) -> list[tuple[Object, str]]:
    """Containers that have run for a while in Pods of Jobs that have not ended.

    What such a container waits for, it may have said once, and not among its recent lines.
    """
    unfinished = {
        job.uid
        for job in (state.all("Job") if state.can_see("Job") else [])
        if (job.controller or "").startswith("CronJob/") and job.status.get("active")
    }
    return [
        (pod, status["name"])
        for pod in (state.all("Pod") if state.can_see("Pod") else [])
        for status in pod.container_statuses
        if {owner.get("uid") for owner in pod.metadata.get("ownerReferences") or []} & unfinished
        and state.age(((status.get("state") or {}).get("running") or {}).get("startedAt") or state.now) > RECENT_LOG
    ]


def _start_of_log(api: Api, pod: Object, container: str) -> str:
    """The first lines of a container's log; empty where they cannot be read. Then less is told."""
    try:
        text = _log_of_run(api, pod, container, LOG_START)
    except ApiError:
        return ""
    return without_stamps(text, api.now)[0]


def _namespaces(state: State) -> list[str]:
    """The lab's namespaces, as far as they are seen."""
    seen = {one.namespace for kind in ("Pod", "Service") if state.can_see(kind) for one in state.in_lab(kind)}
    return [state.namespace, *sorted(seen - {state.namespace})]


def containers_in_trouble(state: State) -> list[tuple[Object, str, str]]:
    """Containers of the lab's namespaces whose last words matter: (Pod, container, which of its words)."""
    found = []
    for pod in state.in_lab("Pod") if state.can_see("Pod") else []:
        for status in pod.container_statuses:
            current = status.get("state") or {}
            ended = (current.get("terminated") or {}).get("exitCode", 0) != 0
            restarted = status.get("restartCount", 0) > 0 and not ended
            if ended or restarted or "CrashLoop" in (current.get("waiting") or {}).get("reason", ""):
                found.append((pod, status["name"], PREVIOUS if restarted else ""))
    return found


def containers_at_work(state: State) -> list[tuple[Object, str, str]]:
    """Containers that run, those that are not ready first: one of each name for each owner.

    They were never restarted, or once, and have been ready for a while since.
    """
    found: dict[tuple[str, str], tuple[bool, Object, str]] = {}
    for pod in state.all("Pod") if state.can_see("Pod") else []:
        for status in pod.container_statuses:
            running = (status.get("state") or {}).get("running")
            if running and (not status.get("restartCount") or _has_recovered(state, status, running)):
                key = (min(pod.owner_uids, default=pod.uid), status["name"])
                ready = bool(status.get("ready"))
                if key not in found or (found[key][0] and not ready):
                    found[key] = (ready, pod, status["name"])
    return [
        (pod, name, f"sinceSeconds={RECENT_LOG}" if ready else "")
        for ready, pod, name in sorted(found.values(), key=lambda one: one[0])
    ]


def _has_recovered(state: State, status: dict[str, Any], running: dict[str, Any]) -> bool:
    """Whether a container was restarted once, and has run for longer than its recent log lines are old."""
    since = running.get("startedAt")
    once = status.get("restartCount") == 1 and status.get("ready")
    return bool(once and since and state.age(since) > RECENT_LOG)


def _log(api: Api, pod: Object, container: str, which: str) -> str:
    """The last lines of a container's log, each behind its time. Raises ApiError where it cannot be read.

    Where the container's first run has ended and the log is empty, the kubelet may have started the container again
    since it was listed. Then the lines are those of the run before. (The kubelet waits ten seconds and more before a
    later run.)
    """
    first = not any(s["name"] == container and s.get("restartCount") for s in pod.container_statuses)
    text, failed = "", None
    try:
        text = _log_of_run(api, pod, container, which)
    except ApiError as error:
        failed = error
    if not text and first and not which and not (failed and failed.status == 403):
        with suppress(ApiError):  # there may be no run before
            text = _log_of_run(api, pod, container, PREVIOUS)
    if failed and not text:
        raise failed
    return text


def _log_of_run(api: Api, pod: Object, container: str, which: str) -> str:
    """The last lines of one run, or with LOG_START the first. Raises ApiError, also where the log was deleted."""
    lines = LOG_LINES_AT_WORK if which.startswith("sinceSeconds") else LOG_LINES
    asked = which if which == LOG_START else f"{lines}&{which}"
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/log?container={container}&{asked}"
    text = readable(api.request("GET", path))
    if text.startswith(LOG_GONE):
        raise ApiError(404, text.strip())
    return text


def readable(log: bytes) -> str:
    """Bytes of a log as text that any terminal may show: without colours, and with a mark for what is no text."""
    return _NO_TEXT.sub(
        "\N{REPLACEMENT CHARACTER}", _COLOURS.sub("", log.decode(errors="replace").replace("\r\n", "\n"))
    )


def without_stamps(text: str, now: datetime) -> tuple[str, list[float | None]]:
    """The lines of a log without the kubelet's times, and how many seconds before `now` each was written.

    None of a line without a time.
    """
    lines, ages = [], []
    for line in text.split("\n"):
        stamp = _STAMP.match(line)
        lines.append(line[stamp.end() :] if stamp else line)
        ages.append(round((now - parse_time(stamp[1])).total_seconds(), 1) if stamp else None)
    return "\n".join(lines), ages


def _refusals(api: Api, state: State, manifests: list[Path], every: bool) -> list[dict[str, str]]:
    return refusals(api.cluster, state, manifests, every) if manifests and can_use_kubectl(api.cluster) else []


def can_use_kubectl(cluster: Cluster) -> bool:
    """Whether kubectl may be used. For a context that was named, none is downloaded."""
    return cluster.kind != "named" or tools.found("kubectl") is not None
