"""A Pod's own DNS name: HOSTNAME.SUBDOMAIN, where SUBDOMAIN is a headless Service of the Pod's namespace.

Source: https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-s-hostname-and-subdomain-fields
"""

from __future__ import annotations

from checker.diagnosis.owners import workload_of
from checker.diagnosis.stateful_set import walk_governing_service
from checker.diagnosis.walking import walk
from checker.model.spelling import nearest
from checker.model.state import Object, State
from checker.model.verdict import fail


def explain_pod_name(state: State, host: str, client: Object, variable: str = "", container: str = "") -> None:
    """Raise Failed where a name is meant as a Pod's own name, and does not resolve.

    Returns where the name has one part only, and where its second part is a namespace or neither a Service nor a
    subdomain.
    """
    labels = host.rstrip(".").removesuffix(".svc.cluster.local").removesuffix(".svc").split(".")
    if len(labels) not in (2, 3):
        return
    name, subdomain = labels[:2]
    namespace = labels[2] if len(labels) == 3 else client.namespace
    if namespace in state.unlisted or (len(labels) == 2 and state.namespace_exists(subdomain)):
        return
    pods = [pod for pod in state.all("Pod", namespace) if not pod.is_terminating]
    named = [pod for pod in pods if pod.spec.get("subdomain") == subdomain]
    service = state.find("Service", subdomain, namespace)
    facts = {
        "host": host,
        "hostname": name,
        "subdomain": subdomain,
        "service_namespace": namespace,
        "variable": variable,
        "container": container,
    }
    if not service:
        if named:
            _explain_no_service(state, named, facts)
        if len(labels) == 2:
            _explain_slip(state, client, facts)
        return
    if service.spec.get("clusterIP") != "None" and not named:
        return  # with it as their subdomain, CoreDNS gives names also to Pods behind a Service with a cluster IP
    meant = [pod for pod in named if hostname_of(pod) == name]
    if not meant:
        _walk_owner_to_be(state, name, subdomain, namespace)
        known = sorted(hostname_of(pod) for pod in named if hostname_of(pod))
        near = nearest(name, known, cutoff=0.6)
        fail("pod-name-unknown", client, **facts, known=known, near=near)
    selector = service.spec.get("selector") or {}
    if selector and not selector.items() <= meant[0].labels.items():
        fail("pod-name-unknown", service, form="not-selected", pod=meant[0].name, selector=selector, **facts)
    if not service.spec.get("publishNotReadyAddresses"):
        walk(state, meant[0])


def _walk_owner_to_be(state: State, name: str, subdomain: str, namespace: str) -> None:
    """Raise the fault of a StatefulSet that should have a Pod of this name, and does not have it at the moment."""
    for stateful_set in state.all("StatefulSet", namespace):
        first = (stateful_set.spec.get("ordinals") or {}).get("start", 0)
        wanted = [f"{stateful_set.name}-{first + n}" for n in range(stateful_set.spec.get("replicas", 1))]
        if stateful_set.spec.get("serviceName") == subdomain and name in wanted:
            walk(state, stateful_set)


def pod_of_slip(state: State, name: str, subdomain: str, namespace: str) -> Object | None:
    """The Pod of a namespace that has this hostname, and a subdomain that is like this one."""
    for pod in state.all("Pod", namespace) if name else []:
        if hostname_of(pod) == name and nearest(subdomain, [pod.spec.get("subdomain") or ""], cutoff=0.6):
            return pod
    return None


def _explain_slip(state: State, client: Object, facts: dict[str, str]) -> None:
    """Raises Failed where a name has the hostname of a Pod, and a slip in the subdomain."""
    pod = pod_of_slip(state, facts["hostname"], facts["subdomain"], client.namespace)
    if pod:
        services = sorted(service.name for service in state.all("Service", client.namespace))
        more = {"service": facts["subdomain"], "pod": pod.name, "services": services, "near": pod.spec["subdomain"]}
        fail("name-unknown", client, form="of-pod", **{**facts, **more})


def hostname_of(pod: Object) -> str:
    """The hostname with which a Pod has a name of its own; empty where it has none."""
    return str(pod.spec.get("hostname") or "")


def _explain_no_service(state: State, named: list[Object], facts: dict[str, str]) -> None:
    pod = named[0]
    workload = workload_of(state, pod)
    if workload and workload.kind == "StatefulSet":
        walk_governing_service(state, workload)
    headless = sorted(
        service.name
        for service in state.all("Service", pod.namespace)
        if service.spec.get("clusterIP") == "None"
        and service.spec.get("selector")
        and service.spec["selector"].items() <= pod.labels.items()
    )
    fail("subdomain-without-service", pod, **facts, headless=headless)
