"""The chain of a Service.

Selector → matches Pods → Pods ready → target port known → endpoints → the port accepts connections.

Sources: https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/ and
https://kubernetes.io/docs/concepts/services-networking/service/
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from checker.diagnosis.deletion import walk_deletion
from checker.diagnosis.dns import service_named
from checker.diagnosis.loopback import explain_bound_to_loopback
from checker.diagnosis.network_policy import is_blocked_for_observer
from checker.diagnosis.owners import workload_of
from checker.diagnosis.pod_addresses import is_a_pods, pod_with
from checker.diagnosis.probes import on_loopback
from checker.diagnosis.restarts import walk_restarts
from checker.diagnosis.walking import walk
from checker.diagnosis.workload import first_broken, roots_of, walk_workload
from checker.model.durations import TIME_FOR_LOAD_BALANCER, TIME_TO_LISTEN
from checker.model.fault import Fault, Ref, is_late
from checker.model.spelling import is_address, nearest, nearest_labels, pairs
from checker.model.state import REACH, Object, State
from checker.model.verdict import fail, unknown

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"  # label of an EndpointSlice: the controller that writes it


def pods_behind(state: State, service: Object) -> list[Object]:
    """The Pods that a Service's selector matches."""
    return state.selected("Pod", service.spec.get("selector") or {}, service.namespace)


def walk_service(state: State, service: Object) -> None:
    """Return when the Service sends requests to ready Pods that accept connections. Raises Failed otherwise."""
    if service.spec.get("type") == "ExternalName":
        return
    selector = service.spec.get("selector") or {}
    if not selector:
        slices = state.selected("EndpointSlice", {"kubernetes.io/service-name": service.name}, service.namespace)
        if slices:
            _walk_slices_by_hand(state, service, slices)
            return
        if service.spec.get("clusterIP") == "None" and not service.spec.get("ports"):
            return  # it takes no requests: it holds a name, or a program's own annotations
        fail("service-has-no-selector", service)
    pods = [pod for pod in pods_behind(state, service) if not pod.is_terminating]
    if not pods:
        for pod in pods_behind(state, service):
            walk_deletion(state, pod)  # its Pods are terminating, and a finalizer keeps them
        _explain_nothing_selected(state, service, selector)
    ready = [pod for pod in pods if pod.is_ready]
    if not ready:
        _explain_none_ready(state, service, pods)
    for port in service.spec.get("ports") or []:
        _walk_port(state, service, port, ready)
    _walk_added_slices(state, service, pods)


def _walk_added_slices(state: State, service: Object, pods: list[Object]) -> None:
    """Raises Failed where an EndpointSlice made by hand leads a part of the requests away from a Service's own Pods.

    pods: those that the selector matches. kube-proxy takes all EndpointSlices with the label of a Service.

    Source: https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#management
    """
    slices = state.selected("EndpointSlice", {"kubernetes.io/service-name": service.name}, service.namespace)
    added = [piece for piece in slices if not piece.labels.get(MANAGED_BY, "").endswith("controller.k8s.io")]
    endpoints = [
        one
        for piece in added
        for one in piece.raw.get("endpoints") or []
        if (one.get("conditions") or {}).get("ready") is not False
    ]
    facts: dict[str, Any] = {"slices": sorted(piece.name for piece in added)}
    if not endpoints:
        return
    _walk_addresses_by_hand(state, service, endpoints, facts)
    own = {pod.status.get("podIP") for pod in pods}
    given = {address for one in endpoints for address in one.get("addresses") or [] if is_address(address)} - own
    others = {address: found for address in sorted(given) if (found := pod_with(state, address))}
    if others:
        names = sorted({pod.name for pod in others.values()})
        fail("endpoint-of-other-pod", service, addresses=list(others), pods=names, **facts)


def _walk_slices_by_hand(state: State, service: Object, slices: list[Object]) -> None:
    """Raises Failed where the EndpointSlices of a Service without a selector cannot serve it.

    Source: https://kubernetes.io/docs/concepts/services-networking/service/#services-without-selectors
    """
    facts: dict[str, Any] = {"slices": sorted(piece.name for piece in slices)}
    endpoints = [one for piece in slices for one in piece.raw.get("endpoints") or []]
    if endpoints and all((one.get("conditions") or {}).get("ready") is False for one in endpoints):
        fail("endpoint-not-ready", service, **facts)
    names = sorted({port.get("name") or "" for piece in slices for port in piece.raw.get("ports") or []})
    for port in service.spec.get("ports") or []:
        if names and (port.get("name") or "") not in names:
            named = [name for name in names if name]
            fail(
                "endpoint-port-name-differs",
                service,
                port=port["port"],
                port_name=port.get("name"),
                names=named,
                **facts,
            )
    _walk_addresses_by_hand(state, service, endpoints, facts)
    _walk_ports_by_hand(state, service, facts)


def pods_by_hand(state: State, service: Object) -> list[tuple[Object, int]]:
    """The Pods whose addresses stand in a Service's EndpointSlices, each with a port of the slice."""
    slices = state.selected("EndpointSlice", {"kubernetes.io/service-name": service.name}, service.namespace)
    return [
        (pod, port["port"])
        for piece in slices
        for port in piece.raw.get("ports") or []
        if port.get("port") and port.get("protocol", "TCP") == "TCP"
        for one in piece.raw.get("endpoints") or []
        for address in one.get("addresses") or []
        if is_address(address) and (pod := pod_with(state, address))
    ]


def _walk_ports_by_hand(state: State, service: Object, facts: dict[str, Any]) -> None:
    """Raises Failed where Pods whose addresses were written by hand refuse connections to the port of the slice."""
    reach = state.observations.get(REACH) or {}
    for pod, number in pods_by_hand(state, service):
        address = pod.status.get("podIP")
        if reach.get(f"{address}:{number}") == "refused" and not is_blocked_for_observer(state, pod, number):
            listening = sorted(port for port in declared_ports(pod) if reach.get(f"{address}:{port}") == "open")
            own = {"port": number, "pod": pod.name, "listening": listening}
            starting = not listening and state.changed_within(TIME_TO_LISTEN, pod)
            fail("target-port-refused", service, form="by-hand", in_progress=starting, **own, **facts)


def _walk_addresses_by_hand(
    state: State, service: Object, endpoints: list[dict[str, Any]], facts: dict[str, Any]
) -> None:
    """Raises Failed where an EndpointSlice made by hand holds a Pod's address that no Pod has any more."""
    if not state.can_see("Pod") or state.rights_end("Pod"):
        return
    given = {address for one in endpoints for address in one.get("addresses") or [] if is_address(address)}
    gone = sorted(one for one in given if is_a_pods(state, one) and not pod_with(state, one))
    if gone:
        fail("endpoint-address-of-nobody", service, addresses=gone, **facts)


def _explain_nothing_selected(state: State, service: Object, selector: dict[str, str]) -> NoReturn:
    made: list[tuple[Object, dict[str, str]]] = []  # workloads, and the labels that they give to their Pods
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"):
        for workload in state.all(kind, service.namespace):
            labels = ((workload.spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
            if selector.items() <= labels.items() and not workload.controller:
                _explain_other_release(state, service, selector, workload)
                walk_workload(state, workload)  # its Pods would match, if there were any: that is the root
            made += [] if workload.controller else [(workload, labels)]
    pods = [pod for pod in state.all("Pod", service.namespace) if not pod.is_terminating]
    near = nearest_labels(selector, [*(pod.labels for pod in pods), *(labels for _, labels in made)])
    if near is not None:
        own = {k: v for k, v in near.items() if k in selector or v in selector.values()} or near
        alike = [pod for pod in pods if own.items() <= pod.labels.items()]
        if not alike:
            workload = next(workload for workload, labels in made if labels == near)
            facts: dict[str, Any] = {"workload_kind": workload.kind, "workload": workload.name}
            fail("service-selects-nothing", service, form="no-pods-of-workload", selector=selector, labels=own, **facts)
        ready = sum(pod.is_ready for pod in alike)
        form = "ready-pods" if ready else "pods"
        fail("service-selects-nothing", service, form=form, selector=selector, labels=own, pods=ready or len(alike))
    elsewhere = {
        p.namespace
        for p in state.everywhere("Pod")
        if p.namespace != service.namespace and selector.items() <= p.labels.items()
    }
    if elsewhere:
        fail("pods-in-other-namespace", service, selector=selector, namespaces=sorted(elsewhere))
    if not pods:
        fail("service-selects-nothing", service, form="no-pods", selector=selector)
    labels = {pairs(pod.labels): pod.labels for pod in pods if pod.labels}
    seen = [labels[written] for written in sorted(labels)]
    fail("service-selects-nothing", service, form="other-labels", selector=selector, labels=seen, pods=len(pods))


# What tells one release of an app from another one that takes its place: `track: blue` and `track: green`.
_RELEASE_KEY = re.compile(r"(?:.*/)?(?:version|track|colou?r|release|slot|variant|revision)", re.I)
_RELEASE = re.compile(r"blue|green|red|black|canary|stable|old|new|live|idle|v?\d[\w.-]*", re.I)


def _explain_other_release(state: State, service: Object, selector: dict[str, str], workload: Object) -> None:
    """Raise Failed where a Service selects one release of an app, which was scaled to 0, and another one is ready."""
    if workload.spec.get("replicas", 1) != 0:
        return
    for pod in state.all("Pod", service.namespace):
        own = {key: pod.labels[key] for key in selector if key in pod.labels}
        other = [key for key in own if own[key] != selector[key]]
        if not pod.is_ready or pod.is_terminating or len(own) < len(selector) or len(other) != 1 or len(own) < 2:
            continue
        values = own[other[0]], selector[other[0]]
        if _RELEASE_KEY.fullmatch(other[0]) or all(map(_RELEASE.fullmatch, values)):
            alike = state.selected("Pod", own, service.namespace)
            facts = {"workload_kind": workload.kind, "workload": workload.name, "labels": own}
            ready = sum(one.is_ready for one in alike)
            fail("service-selects-nothing", service, form="other-release", selector=selector, pods=ready, **facts)


def _explain_none_ready(state: State, service: Object, pods: list[Object]) -> NoReturn:
    roots = roots_of(state, pods)
    if roots:
        raise min(roots, key=lambda root: bool(root.in_progress))
    fail("service-has-no-ready-pod", service, in_progress=True, pods=len(pods))


def _named_ports(pod: Object) -> dict[str, int]:
    return {
        p["name"]: p["containerPort"] for c in pod.lasting_containers for p in c.get("ports") or [] if p.get("name")
    }


def declared_ports(pod: Object) -> set[int]:
    """The TCP ports that a Pod's containers declare. Declaring is for information: a port can listen undeclared."""
    return {
        p["containerPort"]
        for c in pod.lasting_containers
        for p in c.get("ports") or []
        if p.get("protocol", "TCP") == "TCP"
    }


def target_ports(service: Object, pod: Object) -> dict[int, int]:
    """For each TCP port of a Service, by number, the port of this Pod that it goes to, where that is known."""
    found = {}
    for port in service.spec.get("ports") or []:
        target = port.get("targetPort", port["port"])
        number = _named_ports(pod).get(target) if isinstance(target, str) else target
        if number and port.get("protocol", "TCP") == "TCP":
            found[port["port"]] = number
    return found


def _walk_port(state: State, service: Object, port: dict[str, Any], ready: list[Object]) -> None:
    target = port.get("targetPort", port["port"])
    if isinstance(target, str) and not any(target in _named_ports(pod) for pod in ready):
        names = sorted({name for pod in ready for name in _named_ports(pod)})
        near = nearest(target, names, cutoff=0.5)
        fail("target-port-name-unknown", service, port=target, names=names, near=near)
    if not state.endpoints(service):
        fail("endpoints-not-yet", service, in_progress=True)
    if port.get("protocol", "TCP") != "TCP":
        return
    reach = state.observations.get(REACH) or {}
    if "error" in reach:
        cause = "observer-refused" if reach.get("refused") else "observer-unreachable"
        unknown(cause, service, form="pods-of-service", in_progress=is_late(reach["error"]), why=reach["error"])
    refused = {}
    for pod in ready:
        number = target_ports(service, pod).get(port["port"])
        seen = reach.get(f"{pod.status.get('podIP')}:{number}") if number else None
        if number and seen != "open" and not (seen and is_blocked_for_observer(state, pod, number)):
            refused[pod.name] = (number, seen, pod)
    if not refused or (service.spec.get("clusterIP") == "None" and len(refused) < len(ready)):
        return  # a headless Service is a list of names: its clients choose the Pod, such as the leader of a quorum
    number, seen, pod = next(iter(refused.values()))
    if seen is None:
        unknown("not-observed", pod, form="port-of-pod", in_progress=True, port=number)
    settled = first_broken(state, [pod])
    if settled:
        raise settled  # a Pod that was ready a moment ago and is not well now
    walk_restarts(state, pod)  # nor is one that is ready only between two restarts
    listening = sorted(
        p for p in declared_ports(pod) | {port["port"]} if reach.get(f"{pod.status.get('podIP')}:{p}") == "open"
    )
    if not listening:
        _explain_other_protocol(service, port, pod)
    # A process that listens nowhere yet may still be starting; one that listens elsewhere has started.
    starting = not listening and state.changed_within(TIME_TO_LISTEN, pod)
    if seen == "timeout":
        fail("target-port-silent", service, in_progress=starting, port=number)
    facts: dict[str, Any] = {"port": number, "listening": listening}
    # A targetPort such as 80 is what people mean by a Service's own port; another wrong number is just a wrong number.
    if listening == [port["port"]] and port["port"] != number and number < 1024:
        fail("service-ports-swapped", service, in_progress=starting, **facts)
    for spec in [] if listening else pod.lasting_containers:
        if line := on_loopback(state.log_of_server(pod.name, spec["name"])):
            own = {"container": spec["name"], "port": number, "quote": line, "service": service.name}
            fail("listens-on-loopback", pod, form="behind-service", in_progress=starting, **own)
    if not listening and not starting:
        explain_bound_to_loopback(state, pod, number, service=service.name)
    form = "" if listening else "declared-closed" if declared_ports(pod) else "none-declared"
    facts |= {"pod": pod.name, "refusing": len(refused), "ready": len(ready), **_loopback_setting(state, pod)}
    fail("target-port-refused", service, form=form, in_progress=starting, **facts)


_LISTENS_AT = re.compile(r"(?:\w+_)?(?:HOST|BIND|LISTEN|ADDR)(?:_\w+)?", re.I)
_LOOPBACK = re.compile(r"(?:127(?:\.\d+){3}|localhost|\[?::1\]?)(?::\d+)?")


def _loopback_setting(state: State, pod: Object) -> dict[str, str]:
    """The variable that may tell a Pod's process to listen on a loopback address, and its value; empty for none."""
    for spec in pod.lasting_containers:
        for variable, value in state.env(pod, spec).items():
            if _LISTENS_AT.fullmatch(variable) and _LOOPBACK.fullmatch(value):
                return {"container": spec["name"], "variable": variable, "value": value}
    return {"container": "", "variable": "", "value": ""}


def _explain_other_protocol(service: Object, port: dict[str, Any], pod: Object) -> None:
    """Raise Failed where a Service takes TCP at a port for which a Pod declares only UDP or SCTP.

    Source: https://kubernetes.io/docs/reference/networking/service-protocols/
    """
    number = target_ports(service, pod).get(port["port"])
    declared = [p for c in pod.lasting_containers for p in c.get("ports") or [] if p["containerPort"] == number]
    protocols = sorted({p.get("protocol", "TCP") for p in declared})
    if protocols and "TCP" not in protocols:
        facts = {"port": port["port"], "number": number, "pod": pod.name, "protocols": protocols}
        fail("service-protocol-other", service, form="declared", **facts)


def walk_alias(state: State, service: Object) -> None:
    """An ExternalName Service: its target is no IP address, and where it is a Service of this cluster, that one works.

    Source: https://kubernetes.io/docs/concepts/services-networking/service/#externalname
    """
    target = service.spec.get("externalName", "").rstrip(".")
    if service.spec.get("type") == "ExternalName" and is_address(target):
        fail("external-name-is-address", service, target=target)
    if service.spec.get("type") != "ExternalName" or not target.endswith(".svc.cluster.local"):
        return
    name, namespace = service_named(target, service.namespace)
    if namespace in state.unlisted:
        return
    found = state.find("Service", name, namespace)
    if not found:
        known = sorted(s.name for s in state.all("Service", namespace))
        facts: dict[str, Any] = {"target": target, "service": name, "service_namespace": namespace, "services": known}
        fail("externalname-unresolved", service, **facts, near=nearest(name, known, cutoff=0.6))
    if found.uid != service.uid:
        walk(state, found)


def walk_address(state: State, service: Object) -> None:
    """A Service of type LoadBalancer has been given an address.

    Source: https://kubernetes.io/docs/concepts/services-networking/service/#loadbalancer
    """
    if service.spec.get("type") != "LoadBalancer" or (service.status.get("loadBalancer") or {}).get("ingress"):
        return
    fail("load-balancer-missing", service, in_progress=state.age(service.created) < TIME_FOR_LOAD_BALANCER)


def refine_port_refused(state: State, service: Object, fault: Fault) -> Fault | None:
    """A Service whose selector also matches the Pods of another workload, which listen elsewhere."""
    reach = state.observations.get(REACH) or {}
    ready = [pod for pod in pods_behind(state, service) if pod.is_ready]
    groups: dict[str, list[bool]] = {}
    for pod in ready:
        maker = workload_of(state, pod) or pod
        words = [reach.get(f"{pod.status.get('podIP')}:{number}") for number in target_ports(service, pod).values()]
        if None in words:
            return None  # the observer did not try this Pod's port
        groups.setdefault(f"{maker.kind} {maker.name}", []).append(
            bool(words) and all(word == "open" for word in words)
        )
    silent = sorted(maker for maker, answers in groups.items() if not any(answers))
    if not silent or len(silent) == len(groups):
        return None
    return Fault(
        "service-selects-other-pods",
        Ref.of(service),
        {
            "selector": service.spec.get("selector") or {},
            "answering": sorted(set(groups) - set(silent)),
            "silent": silent,
        },
    )


def refine_selects_nothing(state: State, service: Object, fault: Fault) -> Fault | None:
    """A Service whose selector is like nothing here, and exactly what Pods of another namespace have."""
    selector = service.spec.get("selector") or {}
    here = [pod for pod in state.all("Pod", service.namespace) if not pod.is_terminating]
    alike = any(nearest(value, {pod.labels.get(key, "") for pod in here}, 0.5) for key, value in selector.items())
    elsewhere = sorted(
        {p.namespace for p in state.everywhere("Pod") if selector.items() <= p.labels.items()} - {service.namespace}
    )
    if alike or not elsewhere or not selector:
        return None
    return Fault("pods-in-other-namespace", Ref.of(service), {"selector": selector, "namespaces": elsewhere})


def refine_none_ready(state: State, service: Object, fault: Fault) -> Fault | None:
    """A Service that selects only Pods that have ended."""
    pods = pods_behind(state, service)
    if not pods or any(pod.status.get("phase") not in ("Succeeded", "Failed") for pod in pods):
        return None
    phases = sorted({pod.status.get("phase", "") for pod in pods})
    return Fault("service-selects-finished-pods", Ref.of(service), {"pods": len(pods), "phases": phases})
