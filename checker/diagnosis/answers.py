"""What the Pods behind one Service answer to the same request, by the lines of their own logs.

A connection is accepted by any server. Whether the right app answers shows only in what it answers.
"""

from __future__ import annotations

import re
from collections import defaultdict

from checker.diagnosis.owners import workload_of
from checker.diagnosis.service import pods_behind, target_ports
from checker.model.fault import fail
from checker.model.state import Object, State

# A request in the log of a server: its path, and the status of the answer behind it. Two forms: `GET /price 404`, and
# the common log format of https://httpd.apache.org/docs/2.4/logs.html#common.
_REQUEST = re.compile(r"\b(?:GET|HEAD|POST|PUT|PATCH|DELETE) (/[^\s\"?]*)\S*(?: HTTP/[\d.]+)?\"? (\d{3})\b")
_KNOWN, _NO_SUCH_PAGE = range(200, 400), (404, 405, 501)
_OFTEN = 2  # answers of one kind: fewer may be an accident
# The end of a name that tells one release of an app from another: `shop-v2`, `shop-canary`.
_RELEASE = re.compile(r"[-_.]?(?:v?\d[\w.]*|blue|green|canary|stable|preview|beta|old|new|next)$", re.I)
# The labels that say which app a Pod belongs to.
_APP = ("app.kubernetes.io/name", "app", "k8s-app", "name")


def walk_answers(state: State, service: Object) -> None:
    """Raise Failed where a Service sends one request to two apps: one has the page, and the other has no such page.

    Two releases of one app behind a Service are meant to share its requests. They have the same name of their app.
    """
    if service.spec.get("clusterIP") == "None" or service.spec.get("type") == "ExternalName":
        return
    pods = [pod for pod in pods_behind(state, service) if pod.is_ready and not pod.is_terminating]
    for pod in pods:
        _explain_other_container(state, service, pod)
    apps = {_maker(state, pod): _app(pod) for pod in pods}  # by maker
    if len(set(apps.values()) - {""}) < 2:
        return
    seen: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))  # by path and maker: statuses
    for pod in pods:
        for spec in pod.lasting_containers:
            for path, status in requests_in(state.log_if_read(pod.name, spec["name"]) or ""):
                seen[path][_maker(state, pod)].append(status)
    for path, statuses in sorted(seen.items()):
        known = sorted(maker for maker, those in statuses.items() if _all_of(those, _KNOWN))
        unknown = sorted(maker for maker, those in statuses.items() if _all_of(those, _NO_SUCH_PAGE))
        if known and unknown and not {apps[maker] for maker in known} & {apps[maker] for maker in unknown}:
            status = statuses[unknown[0]][-1]
            facts = {"answering": known, "silent": unknown, "path": path, "status": status}
            selector = service.spec.get("selector") or {}
            fail("service-selects-other-pods", service, form="other-answers", selector=selector, **facts)


def requests_in(log: str) -> list[tuple[str, int]]:
    """The requests that the log of a server shows, oldest first: the path, and the status of the answer."""
    return [(path, int(status)) for path, status in _REQUEST.findall(log)]


def _explain_other_container(state: State, service: Object, pod: Object) -> None:
    """Raise Failed where a Service's port leads to a container that has no such page, and another one has its name.

    A Service's port and the port of a container that is meant for it usually have the same name.
    """
    named = {
        p["name"]: (c, p["containerPort"])
        for c in pod.lasting_containers
        for p in c.get("ports") or []
        if p.get("name")
    }
    for port in service.spec.get("ports") or []:
        number = target_ports(service, pod).get(port["port"])
        asked = next((c for c, one in named.values() if one == number), None)
        meant, meant_port = named.get(port.get("name") or "", ({}, None))
        if not asked or not meant or asked["name"] == meant["name"]:
            continue
        seen = requests_in(state.log_if_read(pod.name, asked["name"]) or "")
        for path in dict.fromkeys(path for path, _ in seen):
            statuses = [status for one, status in seen if one == path]
            if _all_of(statuses, _NO_SUCH_PAGE):
                facts = {"port": port["port"], "port_name": port["name"], "number": number, "asked": asked["name"]}
                facts |= {"meant": meant["name"], "meant_port": meant_port, "path": path, "status": statuses[-1]}
                fail("target-port-of-other-container", service, pod=pod.name, **facts)


def _all_of(statuses: list[int], wanted: range | tuple[int, ...]) -> bool:
    return len(statuses) >= _OFTEN and all(status in wanted for status in statuses)


def _app(pod: Object) -> str:
    """The name of the app that a Pod belongs to, by its labels and without a release; empty for none."""
    return _RELEASE.sub("", next((pod.labels[key] for key in _APP if key in pod.labels), ""))


def _maker(state: State, pod: Object) -> str:
    maker = workload_of(state, pod) or pod
    return f"{maker.kind} {maker.name}"
