"""What the Pods behind one Service answer to the same request, by the lines of their own logs.

A connection is accepted by any server. Whether the right app answers shows only in what it answers.
"""

from __future__ import annotations

import re
from collections import defaultdict

from checker.diagnosis.owners import workload_of
from checker.diagnosis.service import pods_behind
from checker.model.fault import fail
from checker.model.state import Object, State

# A request in the log of a server: its path, and the status of the answer behind it. Two forms: `GET /price 404`, and
# the common log format of https://httpd.apache.org/docs/2.4/logs.html#common.
_REQUEST = re.compile(r"\b(?:GET|HEAD|POST|PUT|PATCH|DELETE) (/[^\s\"?]*)\S*(?: HTTP/[\d.]+)?\"? (\d{3})\b")
_KNOWN, _NO_SUCH_PAGE = range(200, 400), (404, 405, 501)
_OFTEN = 2  # answers of one kind: fewer may be an accident
# The labels that say which app a Pod belongs to.
_APP = ("app.kubernetes.io/name", "app", "k8s-app", "name")


def walk_answers(state: State, service: Object) -> None:
    """Raise Failed where a Service sends one request to two apps: one has the page, and the other has no such page.

    Two releases of one app behind a Service are meant to share its requests. They have the same name of their app.
    """
    if service.spec.get("clusterIP") == "None" or service.spec.get("type") == "ExternalName":
        return
    pods = [pod for pod in pods_behind(state, service) if pod.is_ready and not pod.is_terminating]
    apps = {_maker(state, pod): _app(pod) for pod in pods}  # by maker
    if len(set(apps.values()) - {""}) < 2:
        return
    seen: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))  # by path and maker: statuses
    for pod in pods:
        for spec in pod.lasting_containers:
            for path, status in _REQUEST.findall(state.log_if_read(pod.name, spec["name"]) or ""):
                seen[path][_maker(state, pod)].append(int(status))
    for path, statuses in sorted(seen.items()):
        known = sorted(maker for maker, those in statuses.items() if _all_of(those, _KNOWN))
        unknown = sorted(maker for maker, those in statuses.items() if _all_of(those, _NO_SUCH_PAGE))
        if known and unknown and not {apps[maker] for maker in known} & {apps[maker] for maker in unknown}:
            status = statuses[unknown[0]][-1]
            facts = {"answering": known, "silent": unknown, "path": path, "status": status}
            selector = service.spec.get("selector") or {}
            fail("service-selects-other-pods", service, form="other-answers", selector=selector, **facts)


def _all_of(statuses: list[int], wanted: range | tuple[int, ...]) -> bool:
    return len(statuses) >= _OFTEN and all(status in wanted for status in statuses)


def _app(pod: Object) -> str:
    """The name of the app that a Pod belongs to, by its labels; empty where no usual label names it."""
    return next((pod.labels[key] for key in _APP if key in pod.labels), "")


def _maker(state: State, pod: Object) -> str:
    maker = workload_of(state, pod) or pod
    return f"{maker.kind} {maker.name}"
