"""The chain of a Service: selector → matches Pods → Pods ready → target port known → endpoints → something listens there.

Sources: https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/ and
https://kubernetes.io/docs/concepts/services-networking/service/
"""

from __future__ import annotations

from typing import Any, NoReturn

from checker.diagnosis.dns import service_named
from checker.diagnosis.network_policy import is_blocked_for_observer
from checker.diagnosis.owners import workload_of
from checker.diagnosis.walking import walk
from checker.diagnosis.workload import first_broken, root_of, walk_workload
from checker.model.durations import TIME_FOR_LOAD_BALANCER, TIME_TO_LISTEN
from checker.model.fault import Fault, Ref
from checker.model.spelling import counted, nearest, nearest_labels, pairs
from checker.model.state import REACH, Object, State
from checker.model.verdict import fail, unknown


def pods_behind(state: State, service: Object) -> list[Object]:
    """The Pods that a Service's selector matches."""
    return state.selected("Pod", service.spec.get("selector") or {}, service.namespace)


def walk_service(state: State, service: Object) -> None:
    """Return when the Service sends requests to ready Pods that accept connections. Raises Failed otherwise."""
    if service.spec.get("type") == "ExternalName":
        return
    selector = service.spec.get("selector") or {}
    if not selector:
        if state.selected("EndpointSlice", {"kubernetes.io/service-name": service.name}):
            return  # endpoints kept by hand: https://kubernetes.io/docs/concepts/services-networking/service/#services-without-selectors
        fail(
            "service-has-no-selector", f"Service {service.name} has no selector, so it has no Pods to send requests to.",
            expected="a selector", observed="none", object=service.ref, look=_look(service),
        )  # fmt: skip
    pods = [pod for pod in pods_behind(state, service) if not pod.is_terminating]
    if not pods:
        _explain_nothing_selected(state, service, selector)
    ready = [pod for pod in pods if pod.is_ready]
    if not ready:
        _explain_none_ready(state, service, pods)
    for port in service.spec.get("ports") or []:
        _walk_port(state, service, port, ready)


def _look(service: Object) -> str:
    return f"kubectl describe service {service.name}"


def _explain_nothing_selected(state: State, service: Object, selector: dict[str, str]) -> NoReturn:
    made: list[tuple[Object, dict[str, str]]] = []  # workloads, and the labels that they give to their Pods
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"):
        for workload in state.all(kind, service.namespace):
            labels = ((workload.spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
            if selector.items() <= labels.items() and not workload.controller:
                walk_workload(state, workload)  # its Pods would match, if there were any: that is the root
            made += [] if workload.controller else [(workload, labels)]
    expected = f"Pods with {pairs(selector)}"
    pods = [pod for pod in state.all("Pod", service.namespace) if not pod.is_terminating]
    near = nearest_labels(selector, [*(pod.labels for pod in pods), *(labels for _, labels in made)])
    if near is not None:
        own = {k: v for k, v in near.items() if k in selector or v in selector.values()} or near
        alike = [pod for pod in pods if own.items() <= pod.labels.items()]
        if not alike:
            workload = next(workload for workload, labels in made if labels == near)
            fail(
                "service-selects-nothing",
                f"Service {service.name} selects no Pod. Its selector is {pairs(selector)}; {workload.kind} {workload.name} gives its Pods {pairs(own)}, "
                "and has none now.",
                expected=expected, observed=f"{workload.kind} {workload.name}: {pairs(own)}", object=service.ref, look="kubectl describe deployments,services",
            )  # fmt: skip
        ready = sum(pod.is_ready for pod in alike)
        fail(
            "service-selects-nothing",
            f"Service {service.name} selects no Pod. Its selector is {pairs(selector)}; "
            f"{counted(ready, 'ready Pod') if ready else counted(len(alike), 'Pod')} {'has' if (ready or len(alike)) == 1 else 'have'} {pairs(own)}.",
            expected=expected, observed=f"Pods with {pairs(own)}", object=service.ref, look="kubectl get pods --show-labels",
        )  # fmt: skip
    elsewhere = [
        p for p in state.everywhere("Pod") if p.namespace != service.namespace and selector.items() <= p.labels.items()
    ]
    if elsewhere:
        where = ", ".join(sorted({pod.namespace for pod in elsewhere}))
        fail(
            "pods-in-other-namespace",
            f"Service {service.name} selects no Pod: the Pods with {pairs(selector)} are in namespace {where}, and a Service "
            f"selects only in its own, {service.namespace}.",
            expected=f"{expected} in namespace {service.namespace}", observed=f"in namespace {where}",
            object=service.ref, look="kubectl get pods --all-namespaces --show-labels",
        )  # fmt: skip
    seen = "; ".join(sorted({pairs(pod.labels) if pod.labels else "no labels" for pod in pods}))
    here = "the only Pod here has" if len(pods) == 1 else "the Pods here have"
    fail(
        "service-selects-nothing",
        f"Service {service.name} selects no Pod. Its selector is {pairs(selector)}, and "
        + (f"{here} {seen}." if seen else f"there is no Pod in namespace {service.namespace}."),
        expected=expected, observed=f"Pods with {seen}" if seen else "no Pods", object=service.ref, look="kubectl get pods --show-labels",
    )  # fmt: skip


def _explain_none_ready(state: State, service: Object, pods: list[Object]) -> NoReturn:
    roots = [root for pod in pods if (root := root_of(state, pod))]
    if roots:
        raise min(roots, key=lambda root: root.pending)
    fail(
        "service-has-no-ready-pod", f"None of the {counted(len(pods), 'Pod')} of Service {service.name} is ready.",
        expected="a ready Pod", observed="none", object=service.ref, look="kubectl get pods", pending=True,
    )  # fmt: skip


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
        similar = nearest(target, names, cutoff=0.5)
        fail(
            "target-port-name-unknown",
            f"Service {service.name} sends to the port named {target!r}, and its Pods have no port of that name."
            + (f" They have {similar!r}." if similar else ""),
            expected=f"a container port named {target}", observed=f"port names: {', '.join(names) or 'none'}",
            object=service.ref, look=_look(service),
        )  # fmt: skip
    if not state.endpoints(service):
        fail(
            "endpoints-not-yet", f"Service {service.name} has ready Pods, but no endpoints yet.",
            expected="endpoints", observed="none", object=service.ref, look="kubectl get endpointslices", pending=True,
        )  # fmt: skip
    if port.get("protocol", "TCP") != "TCP":
        return
    reach = state.observations.get(REACH) or {}
    if "error" in reach:
        unknown(
            "observer-unreachable", f"Whether the Pods of Service {service.name} answer could not be seen: {reach['error']}",
            object=service.ref, look="kubeclass status",
        )  # fmt: skip
    refused = {}
    for pod in ready:
        number = target_ports(service, pod).get(port["port"])
        seen = reach.get(f"{pod.status.get('podIP')}:{number}") if number else None
        if number and seen != "open" and not (seen and is_blocked_for_observer(state, pod, number)):
            refused[pod.name] = (number, seen, pod)
    if not refused:
        return
    number, seen, pod = next(iter(refused.values()))
    if seen is None:
        unknown(
            "not-observed", f"Whether Pod {pod.name} answers on port {number} was not seen: it is newer than the look.",
            object=pod.ref, look="kubeclass check", pending=True,
        )  # fmt: skip
    settled = first_broken(state, [pod])
    if settled:
        raise settled  # a Pod that was ready a moment ago and is not well now
    listening = sorted(
        p for p in declared_ports(pod) | {port["port"]} if reach.get(f"{pod.status.get('podIP')}:{p}") == "open"
    )
    # A process that listens nowhere yet may still be starting; one that listens elsewhere has started.
    starting = not listening and state.changed_within(TIME_TO_LISTEN, pod)
    evidence: dict[str, Any] = {"object": service.ref, "look": _look(service), "pending": starting}
    if seen == "timeout":
        fail(
            "target-port-silent",
            f"Service {service.name} sends to port {number} of its Pods, and nothing comes back from there within 2 s.",
            expected=f"port {number} accepts connections", observed="no answer", **evidence,
        )  # fmt: skip
    # A targetPort such as 80 is what people mean by a Service's own port; another wrong number is just a wrong number.
    if listening == [port["port"]] and port["port"] != number and number < 1024:
        fail(
            "service-ports-swapped",
            f"Service {service.name} takes requests on port {port['port']} and sends them to port {number} of its Pods, which is "
            f"refused; the Pods listen on {port['port']}. port and targetPort look swapped.",
            expected=f"something listens on the targetPort {number}", observed=f"the Pods listen on {port['port']}", **evidence,
        )  # fmt: skip
    whose, listen, declare = (
        ("its Pods", "they listen", "they declare") if len(refused) == len(ready)
        else (f"its Pod {pod.name}", "it listens", "it declares")
    )  # fmt: skip
    known = (
        f"{listen} on {', '.join(map(str, listening))}" if listening
        else f"no port that {declare} is open" if declared_ports(pod)
        else f"{declare} no port at all"
    )  # fmt: skip
    fail(
        "target-port-refused",
        f"Service {service.name} sends to port {number} of {whose}, where nothing listens (connection refused); {known}.",
        expected=f"something listens on port {number}", observed=known, **evidence,
    )  # fmt: skip


def walk_alias(state: State, service: Object) -> None:
    """An ExternalName Service that is another name for a Service of this cluster: that one exists and works.

    Source: https://kubernetes.io/docs/concepts/services-networking/service/#externalname
    """
    target = service.spec.get("externalName", "").rstrip(".")
    if service.spec.get("type") != "ExternalName" or not target.endswith(".svc.cluster.local"):
        return
    name, namespace = service_named(target, service.namespace)
    if namespace in state.unlisted:
        return
    found = state.find("Service", name, namespace)
    if not found:
        known = sorted(s.name for s in state.all("Service", namespace))
        near = nearest(name, known, cutoff=0.6)
        fail(
            "externalname-unresolved",
            f"Service {service.name} is another name for {target}, and there is no Service {name} in namespace {namespace}."
            + (f" There is one called {near}." if near else ""),
            expected=f"Service {name} in namespace {namespace}", observed=f"Services there: {', '.join(known) or 'none'}",
            object=service.ref, look=f"kubectl get service {service.name}",
        )  # fmt: skip
    if found.uid != service.uid:
        walk(state, found)


def walk_address(state: State, service: Object) -> None:
    """A Service of type LoadBalancer has been given an address.

    Source: https://kubernetes.io/docs/concepts/services-networking/service/#loadbalancer
    """
    if service.spec.get("type") != "LoadBalancer" or (service.status.get("loadBalancer") or {}).get("ingress"):
        return
    fail(
        "load-balancer-missing",
        f"Service {service.name} asks for a load balancer outside the cluster, and nobody gives it an address (EXTERNAL-IP is <pending>).",
        expected="an external address", observed="<pending>", object=service.ref, look=f"kubectl get service {service.name}",
        pending=state.age(service.created) < TIME_FOR_LOAD_BALANCER,
    )  # fmt: skip


def refine_port_refused(state: State, service: Object, fault: Fault) -> Fault | None:
    """A Service whose selector also matches the Pods of another workload, which listen elsewhere."""
    reach = state.observations.get(REACH) or {}
    ready = [pod for pod in pods_behind(state, service) if pod.is_ready]
    groups: dict[str, list[bool]] = {}
    for pod in ready:
        maker = workload_of(state, pod) or pod
        words = [reach.get(f"{pod.status.get('podIP')}:{number}") for number in target_ports(service, pod).values()]
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
    alike = [
        pod for pod in here if any(nearest(value, [pod.labels.get(key, "")], 0.5) for key, value in selector.items())
    ]
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
