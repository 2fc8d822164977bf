"""Breakages of Services, EndpointSlices, NetworkPolicies and Ingresses."""

from __future__ import annotations

from tests.breakages.breakage import Manifest, Manifests, breakage, container, pod_spec, root


def _selects(service: Manifest) -> object:
    return service["spec"].get("selector")


def _has_port_name(service: Manifest) -> bool:
    return isinstance((service["spec"].get("ports") or [{}])[0].get("targetPort"), str)


def _has_port_number(service: Manifest) -> bool:
    return isinstance((service["spec"].get("ports") or [{}])[0].get("targetPort"), int)


@breakage("web store shop")
def selector_slip(it: Manifests) -> str:
    """A label in a Service's selector has a slip."""
    service = it.one("Service", _selects)
    service["spec"]["selector"]["app"] = it.slip(service["spec"]["selector"]["app"])
    return root("service-selects-nothing", service)


@breakage("web store shop")
def selector_has_more(it: Manifests) -> str:
    """A Service's selector has a label that its Pods do not have."""
    service = it.one("Service", _selects)
    key, value = it.random.choice([("tier", "front"), ("version", "v2"), ("track", "stable")])
    service["spec"]["selector"][key] = value
    return root("service-selects-nothing", service)


@breakage("web store")
def target_port_name_slip(it: Manifests) -> str:
    """A Service's targetPort has a slip in its name."""
    service = it.one("Service", _has_port_name)
    service["spec"]["ports"][0]["targetPort"] = it.slip("http")
    return root("target-port-name-unknown", service)


@breakage("store shop")
def target_port_number(it: Manifests) -> str:
    """A Service's targetPort is another number."""
    service = it.one("Service", _has_port_number)
    service["spec"]["ports"][0]["targetPort"] += it.random.choice([1, 10, 1000])
    return root("target-port-refused|service-ports-swapped|target-port-silent|target-port-elsewhere", service)


@breakage("web")
def ports_swapped(it: Manifests) -> str:
    """A Service's port and targetPort are swapped."""
    service = it.named("Service", "web")
    service["spec"]["ports"][0] |= {"port": 8080, "targetPort": 80}
    return root("service-ports-swapped", service)


@breakage("store shop")
def service_port_moved(it: Manifests) -> tuple[str, str]:
    """A Service takes requests on another port than its client asks."""
    service = it.one("Service", _has_port_number)
    service["spec"]["ports"][0]["port"] += it.random.choice([1, 100, 8000])
    name = {"redis": "guestbook", "api": "front"}[service["metadata"]["name"]]
    return root("service-port-unknown", it.named("Deployment", name)), root("service-port-unknown", service)


@breakage("store")
def service_gone(it: Manifests) -> str:
    """The Service of a server is missing."""
    it.remove(it.named("Service", "redis"))
    return root("name-unknown", it.named("Deployment", "guestbook"))


@breakage("store")
def service_renamed(it: Manifests) -> str:
    """The Service of a server has another name than its client asks."""
    it.named("Service", "redis")["metadata"]["name"] = it.random.choice(["redis-master", "cache", "redis-svc"])
    return root("name-unknown", it.named("Deployment", "guestbook"))


@breakage("store shop")
def protocol_udp(it: Manifests) -> str:
    """A Service takes UDP only."""
    service = it.one("Service", _has_port_number)
    service["spec"]["ports"][0]["protocol"] = "UDP"
    return root("service-protocol-other", service)


@breakage("shop")
def alias_slip(it: Manifests) -> str:
    """An ExternalName names a Service with a slip."""
    service = it.named("Service", "catalog")
    service["spec"]["externalName"] = it.slip("api") + service["spec"]["externalName"].removeprefix("api")
    return root("externalname-unresolved", service)


@breakage("shop")
def alias_of_an_address(it: Manifests) -> str:
    """An externalName is an IP address."""
    service = it.named("Service", "catalog")
    service["spec"]["externalName"] = f"10.20.30.{it.random.randint(2, 250)}"
    return root("external-name-is-address", service)


@breakage("shop")
def slice_port_name(it: Manifests) -> str:
    """The port of an EndpointSlice by hand has a slip in its name."""
    it.named("EndpointSlice", "ledger-1")["ports"][0]["name"] = it.slip("books")
    return root("endpoint-port-name-differs", it.named("Service", "ledger"))


@breakage("shop")
def slice_of_nobody(it: Manifests) -> str:
    """The label of an EndpointSlice by hand names its Service with a slip."""
    labels = it.named("EndpointSlice", "ledger-1")["metadata"]["labels"]
    labels["kubernetes.io/service-name"] = it.slip("ledger")
    return root("service-has-no-selector", it.named("Service", "ledger"))


@breakage("shop")
def slice_not_ready(it: Manifests) -> str:
    """An EndpointSlice by hand says that its endpoint is not ready."""
    it.named("EndpointSlice", "ledger-1")["endpoints"][0]["conditions"]["ready"] = False
    return root("endpoint-not-ready", it.named("Service", "ledger"))


@breakage("shelf")
def headless_gone(it: Manifests) -> str:
    """The headless Service of a StatefulSet is missing."""
    it.remove(it.named("Service", "shelf"))
    return root("governing-service-missing", it.named("StatefulSet", "shelf"))


@breakage("shelf", remark=True)  # CoreDNS still knows the Pods' names, so nothing fails
def not_headless(it: Manifests) -> str:
    """The Service of a StatefulSet has a cluster IP."""
    del it.named("Service", "shelf")["spec"]["clusterIP"]
    return root("governing-service-not-headless", it.named("StatefulSet", "shelf"))


@breakage("shelf")
def no_such_ordinal(it: Manifests) -> str:
    """A client asks for a Pod of a StatefulSet that has fewer Pods."""
    reader = it.named("Deployment", "reader")
    container(reader)["args"] = [f"http://shelf-{it.random.randint(2, 5)}.shelf:8080/hostname"]
    return root("pod-name-unknown", reader)


@breakage("store shop")
def policy_peer_slip(it: Manifests) -> str:
    """The peer's label in a NetworkPolicy has a slip."""
    policy = it.one("NetworkPolicy", lambda p: p["spec"].get("ingress"))
    labels = policy["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    labels["app"] = it.slip(labels["app"])
    return root("policy-peer-matches-nothing|path-not-allowed", policy)


@breakage("store shop")
def policy_port(it: Manifests) -> str:
    """A NetworkPolicy allows another port than that of the Pods."""
    policy = it.one("NetworkPolicy", lambda p: p["spec"].get("ingress"))
    port = policy["spec"]["ingress"][0]["ports"][0]
    port["port"] = it.random.choice([80, port["port"] + 1])
    return root("policy-wrong-port|policy-service-port", policy)


@breakage("shop")
def policy_without_dns(it: Manifests) -> str:
    """A NetworkPolicy for egress does not allow DNS."""
    policy = it.named("NetworkPolicy", "front-out")
    del policy["spec"]["egress"][0]
    return root("dns-egress-missing", policy)


@breakage("shop", remark=True)
def policy_selects_others(it: Manifests) -> str:
    """The podSelector of a NetworkPolicy has a slip: it selects no Pod, and closes nothing."""
    policy = it.named("NetworkPolicy", "api-in")
    policy["spec"]["podSelector"]["matchLabels"]["app"] = it.slip("api")
    return root("policy-selects-nothing|policy-selects-nobody", policy)


@breakage("store")
def egress_closed(it: Manifests) -> str:
    """A NetworkPolicy allows a client no egress at all."""
    policy = it.add(
        """
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata: {name: quiet}
        spec: {podSelector: {matchLabels: {app: guestbook}}, policyTypes: [Egress]}
        """
    )
    return root("dns-egress-missing|path-not-allowed", policy)


@breakage("shop")
def ingress_service_slip(it: Manifests) -> str:
    """An Ingress names a Service with a slip."""
    ingress = it.named("Ingress", "door")
    ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] = it.slip("apis")
    return root("ingress-backend-missing", ingress)


@breakage("shop")
def ingress_port(it: Manifests) -> str:
    """An Ingress names the Pods' port, not the Service's."""
    ingress = it.named("Ingress", "door")
    ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"]["number"] = 8080
    return root("ingress-backend-missing", ingress)


@breakage("shop")
def ingress_class_slip(it: Manifests) -> str:
    """An Ingress names an IngressClass that does not exist."""
    ingress = it.named("Ingress", "door")
    ingress["spec"]["ingressClassName"] = it.random.choice(["nginx", "traefik", "haproxy"])
    return root("ingress-without-controller", ingress)


@breakage("shop")
def ingress_secret_slip(it: Manifests) -> str:
    """An Ingress names the Secret of its certificate with a slip."""
    ingress = it.named("Ingress", "door")
    ingress["spec"]["tls"][0]["secretName"] = it.slip("shop-cert")
    return root("ingress-secret-missing", ingress)


@breakage("store shop")
def host_alias(it: Manifests) -> str:
    """The hostAliases of a Pod give a Service's name another address."""
    client, server = it.random.choice([("guestbook", "redis"), ("front", "api")])
    if not it.all("Deployment", lambda d: d["metadata"]["name"] == client):
        client, server = {"guestbook": ("front", "api"), "front": ("guestbook", "redis")}[client]
    workload = it.named("Deployment", client)
    pod_spec(workload)["hostAliases"] = [{"ip": f"10.99.0.{it.random.randint(2, 250)}", "hostnames": [server]}]
    return root("host-alias-elsewhere", workload)
