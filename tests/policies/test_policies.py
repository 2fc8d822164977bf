"""NetworkPolicies proven with real packets: policies × paths.

The paths: over TCP and UDP, on one node and across nodes, to Pods and through a Service. What enforces policies on
this cluster is tested, and the checker's own evaluation (checker/diagnosis/network_policy.py) must say the same of
every path between Pods.
"""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml

from checker.collect.api import Api
from checker.collect.collect import collect
from checker.diagnosis.network_policy import PolicyPath, end_of
from cluster import Cluster, current
from cluster.engine import command
from cluster.kubectl import kubectl
from cluster.nodes import nodes_of
from cluster.process import succeeds

pytestmark = pytest.mark.cluster
IN, OUT = "t-policies", "t-policies-out"
PATIENCE = 20  # seconds until a policy is in force, on a machine that is busy with other tests
# Answers over UDP whatever it is asked.
ECHO = (
    "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 5353))\n"
    "while True: s.sendto(*s.recvfrom(99))"
)
# Tries "tcp 10.244.1.5 8080" or "udp …" or "dns": prints a list of whether each came about.
ASK = """
import json, os, socket, sys
from concurrent.futures import ThreadPoolExecutor
os.environ["RES_OPTIONS"] = "timeout:1 attempts:1"
def works(what):
    kind, host, port = what.split()
    try:
        if kind == "dns":
            socket.gethostbyname(host)
        elif kind == "tcp":
            socket.create_connection((host, int(port)), 1).close()
        else:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.settimeout(1)
            s.sendto(b"?", (host, int(port)))
            s.recvfrom(9)
        return True
    except OSError:
        return False
print(json.dumps(list(ThreadPoolExecutor(16).map(works, sys.argv[1:]))))
"""
# Who tries what. web and near are on one node, guest and crawler on another; `service` is web's Service, `api` the API
# server.
DENY = "{podSelector: {}, policyTypes: [Ingress, Egress]}"
INTO_WEB = (
    "near>web:8080 guest>web:8080 crawler>web:8080 guest>web:9090 guest>web:9095 "
    "near>web:5353/UDP guest>web:5353/UDP guest>service near>service"
)
OTHERS = "web>guest:8080 near>guest:8080 web>crawler:8080 guest>crawler:8080 web>near:8080 web>dns web>api near>api"
WAYS = [*INTO_WEB.split(), *OTHERS.split()]
# What is so: policies of namespace IN, one after the other, and which of the ways are closed then.
TABLE = [
    ("nothing is closed without a policy", "[]", ""),
    (
        "a policy that selects nothing closes nothing",
        "[{podSelector: {matchLabels: {app: nobody}}, policyTypes: [Ingress, Egress]}]",
        "",
    ),
    (
        "default deny",
        f"[{DENY}]",
        f"{INTO_WEB} web>guest:8080 near>guest:8080 web>crawler:8080 web>near:8080 web>dns web>api near>api",
    ),
    (
        "an empty rule opens everything, whatever else there is",
        f"[{DENY}, {{podSelector: {{}}, policyTypes: [Ingress, Egress], ingress: [{{}}], egress: [{{}}]}}]",
        "",
    ),
    (
        "ingress only, from own Pods",
        "[{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {}}]}]}]",
        "guest>web:8080 crawler>web:8080 guest>web:9090 guest>web:9095 guest>web:5353/UDP guest>service",
    ),
    (
        "both selectors in one item, a port by its name",
        "[{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {matchLabels: "
        f"{{kubernetes.io/metadata.name: {OUT}}}}}, podSelector: {{matchLabels: {{role: guest}}}}}}], "
        "ports: [{port: http}]}]}]",
        "near>web:8080 crawler>web:8080 guest>web:9090 guest>web:9095 "
        "near>web:5353/UDP guest>web:5353/UDP near>service",
    ),
    (
        "two items, a port by its number",
        "[{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {matchLabels: "
        f"{{kubernetes.io/metadata.name: {OUT}}}}}}}, {{podSelector: {{matchLabels: {{role: guest}}}}}}], "
        "ports: [{port: 8080}]}]}]",
        "near>web:8080 guest>web:9090 guest>web:9095 near>web:5353/UDP guest>web:5353/UDP near>service",
    ),
    (
        "UDP only, from every namespace but by a label",
        "[{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {}, podSelector: "
        "{matchExpressions: [{key: role, operator: In, values: [guest, host]}]}}], "
        "ports: [{port: 5353, protocol: UDP}]}]}]",
        "near>web:8080 guest>web:8080 crawler>web:8080 guest>web:9090 guest>web:9095 "
        "near>web:5353/UDP guest>service near>service",
    ),
    (
        "the Service's port is nobody's, a range is",
        "[{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 80}, {port: 9085, endPort: 9094}]}]}]",
        "near>web:8080 guest>web:8080 crawler>web:8080 guest>web:9095 "
        "near>web:5353/UDP guest>web:5353/UDP guest>service near>service",
    ),
    (
        "a block of addresses without one of them",
        "[{podSelector: {matchLabels: {app: web}}, ingress: "
        "[{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [CRAWLER/32, 192.0.2.0/24]}}]}]}]",
        "crawler>web:8080",
    ),
    (
        "out to names and one Pod's port by its name",
        "[{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: "
        "[{ports: [{port: 53, protocol: UDP}]}, "
        "{to: [{namespaceSelector: {}, podSelector: {matchLabels: {role: guest}}}], ports: [{port: page}]}]}]",
        "web>crawler:8080 web>near:8080 web>api",
    ),
    (
        "out to an address outside",
        "[{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: API/32}}]}]}]",
        "near>web:8080 "
        "near>web:5353/UDP near>service web>guest:8080 near>guest:8080 web>crawler:8080 web>near:8080 web>dns",
    ),
]


def world(workers: list[str]) -> str:
    """Two namespaces with two Pods each, and two Services, of which one has no Pods."""

    def pod(name: str, namespace: str, labels: dict[str, str], node: str, **ports: int) -> dict[str, Any]:
        containers = [
            {
                "name": key,
                "image": "guestbook:v1",
                "env": [{"name": "PORT", "value": str(number)}],
                "ports": [{"name": key, "containerPort": number}],
                "resources": {"requests": {"cpu": "1m"}},
            }
            for key, number in ports.items()
        ]
        containers[0]["readinessProbe"] = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
        if name == "web":
            containers.append({"name": "echo", "image": "guestbook:v1", "command": ["python3", "-c", ECHO]})
        spec = {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": containers}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": spec,
        }

    def service(name: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": IN},
            "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
        }

    return yaml.safe_dump_all(
        [
            *[{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in (IN, OUT)],
            pod("web", IN, {"app": "web"}, workers[0], http=8080, admin=9090, more=9095),
            pod("near", IN, {"app": "near"}, workers[0], page=8080),
            pod("guest", OUT, {"role": "guest"}, workers[-1], page=8080),
            pod("crawler", OUT, {"role": "crawler"}, workers[-1], page=8080),
            service("web"),
            service("nobody"),
        ]
    )


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = current()
    kubectl(cluster, "delete", "namespace", IN, OUT, "--ignore-not-found", "--timeout=180s", timeout=190)
    workers = [node.name for node in nodes_of(command(), cluster) if node.role == "worker"]
    try:
        kubectl(cluster, "apply", "-f", "-", input=world(workers))
        for namespace in (IN, OUT):
            kubectl(
                cluster, "wait", "pods", "--all", "-n", namespace, "--for=condition=Ready", "--timeout=60s", timeout=70
            )
        yield cluster
    finally:
        kubectl(cluster, "delete", "namespace", IN, OUT, "--ignore-not-found", "--wait=false")


def closed_ways(cluster: Cluster, where: dict[str, str]) -> set[str]:
    """The paths on which no connection is made, all tried at once."""

    def ask(source: str) -> set[str]:
        mine = [way for way in WAYS if way.startswith(f"{source}>")]
        namespace = IN if source in ("web", "near") else OUT
        output = kubectl(
            cluster,
            "exec",
            "-n",
            namespace,
            source,
            "-c",
            "http" if source == "web" else "page",
            "--",
            "python3",
            "-c",
            ASK,
            *[attempt(way, where) for way in mine],
            timeout=20,
        )
        return {way for way, works in zip(mine, json.loads(output), strict=True) if not works}

    with ThreadPoolExecutor(4) as pool:
        return set().union(*pool.map(ask, ("web", "near", "guest", "crawler")))


def attempt(way: str, where: dict[str, str]) -> str:
    target = way.partition(">")[2]
    if target == "dns":
        return "dns kubernetes.default.svc.cluster.local. 53"
    if target in ("service", "api"):
        return f"tcp {where[target]} {80 if target == 'service' else 443}"
    name, _, port = target.partition(":")
    number, _, protocol = port.partition("/")
    return f"{protocol.lower() or 'tcp'} {where[name]} {number}"


def test_policies_and_paths(cluster: Cluster) -> None:
    api = Api(cluster)
    where = {
        pod["metadata"]["name"]: pod["status"]["podIP"]
        for namespace in (IN, OUT)
        for pod in api.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    }
    where["service"] = api.get(f"/api/v1/namespaces/{IN}/services/web")["spec"]["clusterIP"]
    where["api"] = api.get("/api/v1/namespaces/default/services/kubernetes")["spec"]["clusterIP"]
    slices = api.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")
    outside = slices["endpoints"][0]["addresses"][0]
    for title, policies, closed in TABLE:
        put(cluster, policies.replace("CRAWLER", where["crawler"]).replace("API", outside))
        deadline = time.monotonic() + PATIENCE
        while (seen := closed_ways(cluster, where)) != set(closed.split()) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert sorted(seen) == sorted(closed.split()), title
        assert sorted(closed_by_evaluation(api)) == sorted(way for way in closed.split() if ":" in way), title
        if title == "default deny":
            node_still_reaches_its_pods(cluster, where)


@pytest.mark.parametrize("policies", ["[]", "[{podSelector: {}, policyTypes: [Egress], egress: [{}]}]"])
def test_a_service_without_pods_refuses_connections(cluster: Cluster, policies: str) -> None:
    """No enforcer of policies lets these connections leave the cluster: another server could answer them there."""
    put(cluster, policies)
    ask = "import socket; print(socket.socket().connect_ex(('nobody', 80)))"
    deadline = time.monotonic() + PATIENCE
    while (output := kubectl(cluster, "exec", "-n", IN, "near", "--", "python3", "-c", ask, timeout=20).strip()) != str(
        errno.ECONNREFUSED
    ):
        assert time.monotonic() < deadline, output
        time.sleep(0.2)


def put(cluster: Cluster, policies: str) -> None:
    """Have exactly these policies in namespace IN."""
    specs = yaml.safe_load(policies)
    wanted = [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": f"p{n}", "namespace": IN},
            "spec": spec,
        }
        for n, spec in enumerate(specs)
    ]
    kubectl(cluster, "delete", "networkpolicies", "--all", "-n", IN)
    if wanted:
        kubectl(cluster, "apply", "-f", "-", input=yaml.safe_dump_all(wanted))


def closed_by_evaluation(api: Api) -> set[str]:
    """The ways between Pods that are closed by what the policies say."""
    state = collect(api, IN)
    ends = {pod.name: end_of(state, pod) for pod in state.in_lab("Pod")}
    closed = set()
    for way in WAYS:
        source, _, target = way.partition(">")
        name, _, port = target.partition(":")
        number, _, protocol = port.partition("/")
        if port and not PolicyPath(state, ends[source], ends[name], int(number), protocol or "TCP").is_open:
            closed.add(way)
    return closed


def node_still_reaches_its_pods(cluster: Cluster, where: dict[str, str]) -> None:
    """The kubelet's probes must get through, or a default deny would take every Pod out of rotation."""
    worker = next(node.name for node in nodes_of(command(), cluster) if node.role == "worker")
    assert succeeds(command(), "exec", worker, "curl", "-s", "-m", "2", f"http://{where['web']}:8080/healthz")
    kubectl(cluster, "wait", "pods", "--all", "-n", IN, "--for=condition=Ready", "--timeout=0s")
