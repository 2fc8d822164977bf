"""What is worth a remark, and is no fault: it may be as somebody wants it, and nothing needs it at the moment.

Each function takes a State and an object, and yields faults whose cause has `remark: true` in the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from checker.diagnosis.configuration import optional_and_missing, volume_references
from checker.diagnosis.network_policy import directions, rules_of
from checker.diagnosis.owners import pods_owned, workload_of
from checker.diagnosis.selectors import selector_words, selects
from checker.diagnosis.service import pods_behind
from checker.diagnosis.taints import is_worker
from checker.diagnosis.traffic_policy import is_local
from checker.diagnosis.variables import changed_at, sources_changed_since, started_at
from checker.diagnosis.workload import waiting_for_deletion
from checker.model.fault import Fault, NotPassed, Ref
from checker.model.spelling import nearest_labels, pairs
from checker.model.state import WORKLOADS, Object, State, parse_time

Remark = Callable[[State, Object], Iterator[Fault]]
_SCALED_DOWN = re.compile(r"[Ss]caled down replica set (\S+?)(?: from (\d+))? to 0\b")


def remarks_about(state: State, obj: Object) -> list[Fault]:
    """The remarks about one object. What could not be listed gives no remark."""
    found: list[Fault] = []
    for remark in REMARKS.get(obj.kind, ()):
        try:
            found += remark(state, obj)
        except NotPassed:
            continue
    return found


def _scaled_to_nothing(state: State, deployment: Object) -> Iterator[Fault]:
    """A Deployment that had Pods and was scaled to none by hand, and one that is alone in its namespace."""
    if deployment.spec.get("replicas", 1) != 0:
        return
    scaled = next(
        (f for e in state.events(deployment, "ScalingReplicaSet") if (f := _SCALED_DOWN.search(e["message"]))), None
    )
    if scaled:
        facts = {"replicas": int(scaled[2] or 0) or None, "replica_set": scaled[1]}
        yield Fault("scaled-to-nothing", Ref.of(deployment), facts)
        return
    others = [o for kind in WORKLOADS for o in state.all(kind) if not o.controller and o.uid != deployment.uid]
    if not others:
        yield Fault("scaled-to-nothing", Ref.of(deployment), {"replicas": None}, form="alone")


def _governing_service(state: State, stateful_set: Object) -> Iterator[Fault]:
    """The Service that a StatefulSet names has a cluster IP, so the Pods have no names of their own."""
    name = stateful_set.spec.get("serviceName")
    service = state.find("Service", name, stateful_set.namespace) if name else None
    if service and service.spec.get("clusterIP") != "None" and service.spec.get("type") != "ExternalName":
        facts = {"service": service.name, "first": f"{stateful_set.name}-0.{service.name}"}
        yield Fault("governing-service-not-headless", Ref.of(stateful_set), facts)


def _left_over(state: State, pod: Object) -> Iterator[Fault]:
    """A Pod that was ended, and whose workload has as many ready Pods as it wants."""
    if not is_replaced(state, pod):
        return
    owner = workload_of(state, pod)
    reason, message = pod.status.get("reason") or "Failed", pod.status.get("message", "").strip()
    kind, workload = (owner.kind, owner.name) if owner else ("", "")
    facts = {"reason": reason, "quote": message, "workload_kind": kind, "workload": workload}
    yield Fault("failed-pod-replaced", Ref.of(pod), facts)


def is_replaced(state: State, pod: Object) -> bool:
    """Whether a Pod has failed, and its workload has made another Pod in its place.

    The kubelet does not delete a Pod that it evicted.
    Source: https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
    """
    if pod.kind != "Pod" or pod.status.get("phase") != "Failed" or not pod.controller:
        return False
    if any(kind in state.unlisted for kind in ("Pod", "ReplicaSet", "StatefulSet", "DaemonSet", "Deployment")):
        return False
    owner = workload_of(state, pod)
    if owner is None or owner.kind not in ("Deployment", "ReplicaSet", "DaemonSet"):
        return False
    others = [one for one in pods_owned(state, owner) if one.status.get("phase") != "Failed" and not one.is_terminating]
    wanted = owner.spec.get("replicas", owner.status.get("desiredNumberScheduled", 1))
    return bool(len(others) >= wanted)


def _older_than_source(state: State, pod: Object) -> Iterator[Fault]:
    """A container that was started before a change of a ConfigMap or Secret whose values do not follow."""
    for spec in pod.lasting_containers:
        for source in sources_changed_since(state, pod, spec):
            yield _older(state, pod, spec, source, "")
        began = started_at(pod, spec["name"])
        mounts = {m["name"]: m for m in spec.get("volumeMounts") or [] if m.get("subPath") or m.get("subPathExpr")}
        for volume in pod.spec.get("volumes") or []:
            for reference in volume_references(volume) if volume["name"] in mounts and began else []:
                file = state.find(reference.kind, reference.name, pod.namespace)
                changed = changed_at(file) if file else ""
                if file and changed and parse_time(changed) > parse_time(began) > file.created:
                    yield _older(state, pod, spec, file, mounts[volume["name"]]["mountPath"])
                    break


def _older(state: State, pod: Object, spec: dict[str, Any], source: Object, path: str) -> Fault:
    seconds = round(state.age(started_at(pod, spec["name"])) - state.age(changed_at(source)))
    facts = {
        "container": spec["name"],
        "source_kind": source.kind,
        "source": source.name,
        "seconds": seconds,
        "path": path,
    }
    return Fault("container-older-than-source", Ref.of(pod), facts, form="sub-path" if path else "")


def _optional_slip(state: State, pod: Object) -> Iterator[Fault]:
    """An optional reference to a name that does not exist, where a very similar one does."""
    for spec in pod.lasting_containers:
        for end in optional_and_missing(state, pod, spec):
            if end.fault.facts.get("near"):
                yield end.fault.but(cause="optional-reference-slip", form="")


def _peer_matches_nobody(state: State, policy: Object) -> Iterator[Fault]:
    """A rule whose peers match no Pod of the namespace that they name, and a policy that closes a Service for all."""
    pods = [pod for pod in state.all("Pod", policy.namespace) if not pod.is_terminating]
    for direction in sorted(directions(policy)):
        for rule in rules_of(policy, direction):
            items = [item for item in rule.peers if set(item) == {"podSelector"} and item["podSelector"]]
            if (
                items
                and len(items) == len(rule.peers)
                and not any(selects(item["podSelector"], pod.labels) for item in items for pod in pods)
            ):
                selector = " or ".join(selector_words(item["podSelector"]) for item in items)
                facts = {"direction": direction, "rule": rule.number, "selector": selector}
                yield Fault("policy-peer-matches-nobody", Ref.of(policy), facts)
            elif rule.peers and all(_names_no_namespace(state, item) for item in rule.peers):
                selector = " or ".join(selector_words(item["namespaceSelector"]) for item in rule.peers)
                facts = {"direction": direction, "rule": rule.number, "selector": selector}
                yield Fault("policy-peer-matches-nobody", Ref.of(policy), facts, form="namespaces")


def _names_no_namespace(state: State, item: dict[str, Any]) -> bool:
    """Whether an item of a rule selects namespaces, and no namespace has these labels."""
    if not item.get("namespaceSelector") or state.rights_end("Namespace"):
        return False
    return not any(selects(item["namespaceSelector"], one.labels) for one in state.everywhere("Namespace"))


def _selects_nobody(state: State, policy: Object) -> Iterator[Fault]:
    """A policy whose podSelector matches no Pod of its namespace: it isolates nothing."""
    selector = policy.spec.get("podSelector")
    seen = [pod.labels for pod in state.all("Pod", policy.namespace)]
    to_come = []  # the labels of Pods that a workload may have at another time
    for workload in [one for kind in WORKLOADS for one in state.all(kind, policy.namespace)]:
        spec = (workload.spec.get("jobTemplate") or {}).get("spec") or workload.spec
        to_come.append(((spec.get("template") or {}).get("metadata") or {}).get("labels") or {})
    if not selector or any(selects(selector, labels) for labels in [*seen, *to_come]):
        return
    wanted = selector.get("matchLabels") or {}
    labels = nearest_labels(wanted, seen) or {}
    near = {key: labels[key] for key in wanted if key in labels}
    facts = {"selector": selector_words(selector), "near": pairs(near) if near else ""}
    yield Fault("policy-selects-nobody", Ref.of(policy), facts)


def _nobody_may_reach(state: State, service: Object) -> Iterator[Fault]:
    """A Service whose Pods no policy lets anybody reach."""
    pods = [pod for pod in pods_behind(state, service) if not pod.is_terminating]
    policies = [p for p in state.all("NetworkPolicy", service.namespace) if "ingress" in directions(p)]
    around = [[p for p in policies if selects(p.spec.get("podSelector"), pod.labels)] for pod in pods]
    if pods and all(around) and not any(rules_of(p, "ingress") for those in around for p in those):
        names = sorted({p.name for those in around for p in those})
        yield Fault("service-closed-to-everybody", Ref.of(service), {"policies": names})


def _local_node_port(state: State, service: Object) -> Iterator[Fault]:
    """A NodePort Service that answers requests from outside only on some nodes.

    Source: https://kubernetes.io/docs/tutorials/services/source-ip/#source-ip-for-services-with-type-nodeport
    """
    if service.spec.get("type") != "NodePort" or service.spec.get("externalTrafficPolicy") != "Local":
        return
    ready = {str(p.spec.get("nodeName")) for p in pods_behind(state, service) if p.is_ready}
    others = {node.name for node in state.everywhere("Node") if is_worker(node)} - ready
    if ready and others:
        facts = {"nodes": sorted(ready), "others": sorted(others)}
        yield Fault("service-silent-on-nodes", Ref.of(service), facts, form="node-port")


def _waits_for_deletion(state: State, workload: Object) -> Iterator[Fault]:
    """A rollout waits until somebody deletes Pods, as the update strategy OnDelete asks for."""
    if fault := waiting_for_deletion(state, workload):
        yield fault


def _local_traffic(state: State, service: Object) -> Iterator[Fault]:
    """A Service that only answers on some of the nodes where the namespace has Pods."""
    if not is_local(service):
        return
    ready = {str(p.spec.get("nodeName")) for p in pods_behind(state, service) if p.is_ready}
    used = {str(p.spec.get("nodeName")) for p in state.all("Pod", service.namespace) if p.is_ready}
    if ready and used - ready:
        facts = {"nodes": sorted(ready), "others": sorted(used - ready)}
        yield Fault("service-silent-on-nodes", Ref.of(service), facts)


REMARKS: dict[str, tuple[Remark, ...]] = {
    "Deployment": (_scaled_to_nothing,),
    "StatefulSet": (_governing_service, _waits_for_deletion),
    "DaemonSet": (_waits_for_deletion,),
    "Pod": (_left_over, _older_than_source, _optional_slip),
    "NetworkPolicy": (_selects_nobody, _peer_matches_nobody),
    "Service": (_nobody_may_reach, _local_traffic, _local_node_port),
}
