"""What stands at the edges of a namespace: an Ingress in front of Services, an autoscaler behind a workload, an object that
cannot leave. And what is wrong with objects that work by their own chain.

Each function returns where all is well, and raises Failed otherwise.
"""

from __future__ import annotations

from typing import Any

from checker.diagnosis.dns import service_named
from checker.diagnosis.pod import _explain_exit, last_line
from checker.diagnosis.rbac import explain_forbidden, walk_binding
from checker.diagnosis.walking import walk
from checker.model.spelling import counted, nearest
from checker.model.state import Object, State
from checker.model.verdict import Failed, fail

# Seconds that whoever is to take a finalizer away is given, and those that are given to whoever hands out addresses.
PATIENCE_WITH_FINALIZERS, PATIENCE_WITH_ADDRESSES = 10, 15
# A container that ended badly at least so often, and lately (seconds), is not well even while it runs.
OFTEN, LATELY = 2, 600
COMING_BACK = 120  # seconds after its node has come back in which a Pod may find things missing
_IN_USE = ("kubernetes.io/pvc-protection", "kubernetes.io/pv-protection")
_WAITS_FOR_OTHERS = ("foregroundDeletion", "orphan")


def walk_deletion(state: State, obj: Object) -> None:
    """An object that was deleted, and is still there because a finalizer holds it.

    Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/
    """
    since = obj.metadata.get("deletionTimestamp")
    holding = [f for f in obj.metadata.get("finalizers") or [] if f not in _WAITS_FOR_OTHERS]
    if not since or not holding or state.age(since) < PATIENCE_WITH_FINALIZERS:
        return
    look = f"kubectl get {obj.kind.lower()} {obj.name} -o jsonpath={{.metadata.finalizers}}"
    if holding[0] in _IN_USE:
        users = sorted(
            pod.name for pod in state.objects.get("Pod", [])
            if pod.namespace == obj.namespace and pod.status.get("phase") not in ("Succeeded", "Failed")
            and any((v.get("persistentVolumeClaim") or {}).get("claimName") == obj.name for v in pod.spec.get("volumes") or [])
        )  # fmt: skip
        fail(
            "deletion-blocked-in-use",
            f"{obj.kind} {obj.name} was deleted and stays until nobody uses it any more"
            + (f": Pod {', '.join(users)} does." if users else "."),
            expected="nobody uses it", observed=f"used by {', '.join(users) or 'somebody'}", object=obj.ref, look=f"kubectl describe {obj.kind.lower()} {obj.name}",
        )  # fmt: skip
    fail(
        "deletion-blocked-by-finalizer",
        f"{obj.kind} {obj.name} was deleted and cannot go: finalizer {', '.join(holding)} says that somebody has work to do first, and nobody "
        "has done it.",
        expected="no finalizers left", observed=", ".join(holding), object=obj.ref, look=look,
    )  # fmt: skip


def walk_namespace(state: State, namespace: Object) -> None:
    """A namespace that is on its way out: what in it does not go?

    Source: https://kubernetes.io/docs/concepts/architecture/garbage-collection/ and the namespace's own conditions
    """
    if not namespace.is_terminating:
        return
    held = False
    for kind in sorted(state.objects):
        for obj in (
            state.all(kind, namespace.name) if kind not in ("Namespace", "Event") and kind not in state.unlisted else []
        ):
            if obj.namespace == namespace.name and obj.is_terminating:
                walk_deletion(state, obj)
                held = held or bool(set(obj.metadata.get("finalizers") or []) - set(_WAITS_FOR_OTHERS))
    told = [
        c.get("message", "") for c in namespace.status.get("conditions") or []
        if c.get("status") == "True" and c.get("type") in ("NamespaceContentRemaining", "NamespaceFinalizersRemaining", "NamespaceDeletionContentFailure", "NamespaceDeletionDiscoveryFailure")
    ]  # fmt: skip
    fail(
        "namespace-being-deleted",
        f"Namespace {namespace.name} is being deleted, with everything in it: nothing new can be made there. {' '.join(told)}".strip(),
        expected="a namespace that stays", observed="Terminating", object=namespace.ref, look=f"kubectl describe namespace {namespace.name}",
        pending=held or state.age(namespace.metadata["deletionTimestamp"]) < 3 * PATIENCE_WITH_FINALIZERS,
    )  # fmt: skip


def walk_ingress(state: State, ingress: Object) -> None:
    """An Ingress: the Services that it leads to exist, with those ports → they work → a controller takes care of it.

    Source: https://kubernetes.io/docs/concepts/services-networking/ingress/
    """
    look = f"kubectl describe ingress {ingress.name}"
    backends = [
        path.get("backend") or {}
        for rule in ingress.spec.get("rules") or []
        for path in (rule.get("http") or {}).get("paths") or []
    ]
    backends += [ingress.spec["defaultBackend"]] if ingress.spec.get("defaultBackend") else []
    services = [backend["service"] for backend in backends if backend.get("service")]
    for wanted in services:
        service = state.find("Service", wanted["name"], ingress.namespace)
        known = sorted(s.name for s in state.all("Service", ingress.namespace))
        if not service:
            near = nearest(wanted["name"], known, cutoff=0.6)
            fail(
                "ingress-backend-missing",
                f"Ingress {ingress.name} leads to Service {wanted['name']}, which does not exist in namespace {ingress.namespace}."
                + (f" There is one called {near}." if near else ""),
                expected=f"Service {wanted['name']}", observed=f"Services there: {', '.join(known) or 'none'}", object=ingress.ref, look=look,
            )  # fmt: skip
        port = wanted.get("port") or {}
        ports = service.spec.get("ports") or []
        if ports and not any(
            port.get("number") == p["port"] or (port.get("name") and port["name"] == p.get("name")) for p in ports
        ):
            has = ", ".join(str(p["port"]) + (f" ({p['name']})" if p.get("name") else "") for p in ports)
            asked = port.get("number") or port.get("name")
            fail(
                "ingress-backend-missing", f"Ingress {ingress.name} leads to port {asked} of Service {service.name}, which has port {has}.",
                expected=f"port {asked} of Service {service.name}", observed=f"its ports: {has}", object=ingress.ref, look=look,
            )  # fmt: skip
    for wanted in services:
        service = state.find("Service", wanted["name"], ingress.namespace)
        if service:
            walk(state, service)
    if "IngressClass" in state.unlisted or ingress.status.get("loadBalancer", {}).get("ingress"):
        return
    classes = sorted(c.name for c in state.objects.get("IngressClass", []))
    name = ingress.spec.get("ingressClassName") or ingress.annotations.get("kubernetes.io/ingress.class", "")
    if name not in classes and (name or not classes):
        wanted_class = f"an ingress controller for class {name}" if name else "an ingress controller"
        fail(
            "ingress-without-controller",
            f"Nobody takes care of Ingress {ingress.name}: there is no IngressClass{f' {name}' if name else ' in this cluster'}, so no controller acts on it.",
            expected=wanted_class, observed=f"IngressClasses: {', '.join(classes) or 'none'}", object=ingress.ref, look="kubectl get ingressclasses",
        )  # fmt: skip


def walk_autoscaler(state: State, scaler: Object) -> None:
    """A HorizontalPodAutoscaler: its target exists → it can be scaled → there is something to go by.

    Source: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
    """
    target = scaler.spec.get("scaleTargetRef") or {}
    evidence: dict[str, Any] = {"object": scaler.ref, "look": f"kubectl describe hpa {scaler.name}"}
    kind, name = target.get("kind", ""), target.get("name", "")
    known = sorted(o.name for o in state.all(kind, scaler.namespace)) if kind in state.objects else []
    if kind in ("Deployment", "StatefulSet", "ReplicaSet") and name not in known:
        near = nearest(name, known, cutoff=0.6)
        fail(
            "autoscaler-target-missing", f"HorizontalPodAutoscaler {scaler.name} is to scale {kind} {name}, which does not exist."
            + (f" There is one called {near}." if near else ""),
            expected=f"{kind} {name}", observed=f"{kind} objects there: {', '.join(known) or 'none'}", **evidence,
        )  # fmt: skip
    found = state.find(kind, name, scaler.namespace) if kind in state.objects else None
    if found:
        walk(state, found)
    for condition, cause in (
        ("AbleToScale", "autoscaler-target-missing"),
        ("ScalingActive", "autoscaler-without-metrics"),
    ):
        told = scaler.condition(condition)
        if told.get("status") == "False" and told.get("reason") != "ScalingDisabled":
            fail(
                cause, f"HorizontalPodAutoscaler {scaler.name} cannot do its work: {told.get('reason')}. {told.get('message', '')}".strip(),
                expected=f"condition {condition} is True", observed=told.get("reason", ""), **evidence,
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
        pending=state.age(service.created) < PATIENCE_WITH_ADDRESSES,
    )  # fmt: skip


def walk_governing_service(state: State, stateful_set: Object) -> None:
    """The Service that gives a StatefulSet's Pods their names exists.

    Source: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-network-id
    """
    name = stateful_set.spec.get("serviceName")
    if not name or state.find("Service", name, stateful_set.namespace):
        return
    known = sorted(s.name for s in state.all("Service", stateful_set.namespace))
    near = nearest(name, known, cutoff=0.6)
    fail(
        "governing-service-missing",
        f"The Pods of StatefulSet {stateful_set.name} take their names from Service {name}, which does not exist: no name leads to any one of them."
        + (f" There is one called {near}." if near else ""),
        expected=f"Service {name}", observed=f"Services there: {', '.join(known) or 'none'}", object=stateful_set.ref,
        look=f"kubectl describe statefulset {stateful_set.name}",
    )  # fmt: skip


def walk_restarts(state: State, pod: Object) -> None:
    """A container that runs at the moment, and has ended badly again and again."""
    for status in pod.container_statuses:
        ended = (status.get("lastState") or {}).get("terminated") or {}
        running = (status.get("state") or {}).get("running")
        if (
            not running
            or status.get("restartCount", 0) < OFTEN
            or not ended.get("finishedAt")
            or state.age(ended["finishedAt"]) > LATELY
            or _lost_with_its_node(ended)
            or _node_came_back(state, pod, ended["finishedAt"])
        ):
            continue
        if ended.get("exitCode") == 0 and pod.spec.get("restartPolicy") == "OnFailure":
            continue
        try:
            _explain_exit(state, pod, status, ended)
        except Failed as fault:
            if fault.cause not in ("container-crashes", "container-ends"):
                raise
            said = last_line(state.logs.get(f"{pod.name}/{status['name']}", ""))
            fail(
                "container-restarts-often",
                f"Container {status['name']} of Pod {pod.name} runs at the moment, but has been started again "
                f"{counted(status['restartCount'], 'time')}; it ended last with exit code {ended.get('exitCode')} ({ended.get('reason', '')})."
                + (f" Its last words: {said}" if said else ""),
                expected="a process that keeps running", observed=f"{status['restartCount']} restarts, exit code {ended.get('exitCode')}",
                object=pod.ref, look=fault.look,
            )  # fmt: skip


def _lost_with_its_node(ended: dict[str, Any]) -> bool:
    """Whether nobody knows how a container ended: its node went down with it, or was stopped.

    containerd says so when it finds it dead at its own start (unknownExitReason and unknownExitCode in its
    internal/cri/server/helpers.go), the kubelet when it finds no trace of it.
    """
    return ended.get("reason") in ("Unknown", "ContainerStatusUnknown")


def _node_came_back(state: State, pod: Object, ended: str) -> bool:
    """Whether a container ended while its node was coming up again, when what it needs may not have been there yet.

    Told by the Pod's sandbox, which was made anew: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-has-network
    """
    made = pod.condition("PodReadyToStartContainers").get("lastTransitionTime")
    began = pod.status.get("startTime")
    if not made or not began:
        return False
    return state.age(began) - state.age(made) > COMING_BACK and state.age(made) - state.age(ended) < COMING_BACK


def walk_words(state: State, pod: Object) -> None:
    """A container that runs, and says that the API server refuses what it asks."""
    for container in pod.containers:
        found = explain_forbidden(state, pod, state.logs.get(f"{pod.name}/{container['name']}", ""))
        if isinstance(found, Failed):
            raise found


def walk_extras(state: State, obj: Object) -> None:
    """What may be wrong with an object although its own chain holds, or because it has none."""
    for walk_extra in EXTRAS.get(obj.kind, ()):
        walk_extra(state, obj)


EXTRAS = {
    "Namespace": (walk_namespace,),
    "Pod": (walk_restarts, walk_words),
    "Service": (walk_alias, walk_address),
    "StatefulSet": (walk_governing_service,),
    "RoleBinding": (walk_binding,),
    "Ingress": (walk_ingress,),
    "HorizontalPodAutoscaler": (walk_autoscaler,),
}

__all__ = ["EXTRAS", "walk_deletion", "walk_extras"]
