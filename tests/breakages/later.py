"""Breakages that were added later: seeds from 28 on draw them, too."""

from __future__ import annotations

from tests.breakages.breakage import Manifests, breakage, container, pod_spec, root, variable


@breakage("store", since=28)
def host_of_secret_slip(it: Manifests) -> str:
    """A variable comes from a Secret whose value names a Service with a slip."""
    client = it.named("Deployment", "guestbook")
    entry = variable(client, "REDIS_HOST")
    secret = it.add("{apiVersion: v1, kind: Secret, metadata: {name: address}}")
    secret["stringData"] = {"value": it.slip(entry.pop("value"))}
    entry["valueFrom"] = {"secretKeyRef": {"name": "address", "key": "value"}}
    return root("name-unknown", client)


@breakage("shop", since=28)
def url_without_scheme(it: Manifests) -> str:
    """A variable for a URL holds a host."""
    front = it.named("Deployment", "front")
    variable(front, "API_URL")["value"] = it.random.choice(["api", "http//api", "api:80"])
    return root("variable-is-no-url", front)


@breakage("shop", since=28)
def url_of_https(it: Manifests) -> str:
    """A URL names the scheme of TLS, and the Service has only the port of HTTP."""
    front = it.named("Deployment", "front")
    variable(front, "API_URL")["value"] = "https://api"
    return root("service-port-unknown", front)


@breakage("shop", since=28)
def domain_slip(it: Manifests) -> str:
    """The domain of the cluster has a slip in a variable."""
    front, full = it.named("Deployment", "front"), it.named("Service", "catalog")["spec"]["externalName"]
    variable(front, "API_URL")["value"] = "http://" + full.removesuffix("local") + it.slip("local")
    return root("name-unknown", front)


@breakage("shelf", since=28)
def argument_not_replaced(it: Manifests) -> str:
    """An argument refers to a variable that the container does not have."""
    reader = it.named("Deployment", "reader")
    container(reader)["args"] = ["http://$(SHELF_HOST):8080/hostname"]
    return root("variable-not-replaced", reader)


@breakage("store shop", since=28)
def command_in_one_word(it: Manifests) -> str:
    """A command is one word with blanks."""
    workload = it.one("Deployment", lambda d: container(d).get("command"))
    container(workload)["command"] = [" ".join(container(workload)["command"])]
    return root("command-not-runnable", workload)


@breakage("web store shelf shop", since=28)
def probe_host(it: Manifests) -> str:
    """A probe names a host: the kubelet asks there, and not at the Pod."""
    server = it.server()
    container(server)["readinessProbe"]["httpGet"]["host"] = it.random.choice(["localhost", "127.0.0.1"])
    return root("probe-asks-other-host", server)


@breakage("batch", since=28)
def schedule_without_a_date(it: Manifests) -> str:
    """No date fits a CronJob's schedule."""
    cron = it.named("CronJob", "tick")
    cron["spec"]["schedule"] = it.random.choice(["0 0 31 2 *", "0 3 30 2 *", "0 0 31 4 *"])
    return root("cronjob-never-due", cron)


@breakage("web", since=28)
def slice_added(it: Manifests) -> str:
    """An EndpointSlice by hand adds the address of a Pod that is gone to a Service with a selector."""
    added = it.add(
        """
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: added, labels: {kubernetes.io/service-name: web}}
        addressType: IPv4
        ports: [{name: http, port: 8080}]
        """
    )
    added["endpoints"] = [{"addresses": [f"10.244.250.{it.random.randint(2, 250)}"], "conditions": {"ready": True}}]
    return root("endpoint-address-of-nobody", it.named("Service", "web"))


@breakage("batch", since=28)
def api_server_closed(it: Manifests) -> str:
    """A NetworkPolicy allows a client of the API server only DNS."""
    policy = it.add(
        """
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata: {name: quiet}
        spec:
          podSelector: {matchLabels: {app: watcher}}
          policyTypes: [Egress]
          egress: [{ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}]
        """
    )
    return root("path-not-allowed", policy)


@breakage("store", since=28)
def policy_of_no_namespace(it: Manifests) -> str:
    """A NetworkPolicy allows the Pods of namespaces with a label that no namespace has."""
    policy = it.named("NetworkPolicy", "redis-in")
    peer = policy["spec"]["ingress"][0]["from"][0]
    peer["namespaceSelector"] = {"matchLabels": {"team": it.random.choice(["guests", "frontend"])}}
    return root("namespace-label-missing|path-not-allowed", policy)


@breakage("web store shop", since=28)
def spread_over_nothing(it: Manifests) -> str:
    """Pods are to be spread over a label that no node has."""
    workload = it.one("Deployment")
    labels = {"matchLabels": {"app": workload["metadata"]["name"]}}
    rule = {"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": labels}
    pod_spec(workload)["topologySpreadConstraints"] = [rule]
    return root("pod-unschedulable-spread", workload)
