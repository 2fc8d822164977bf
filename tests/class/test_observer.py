"""The observer among many, on the real cluster: what it asks for two learners with rights in a namespace each."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from checker.collect import observer as client
from checker.collect.api import Api, ApiError
from cluster import Cluster, current, observer
from cluster.kubectl import kubectl
from cluster.observer import bounds
from cluster.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("observer")]
ANN, BOB = "t-observer-ann", "t-observer-bob"
TEXT = "hello"
OBJECTS = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: learner}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: learner}
rules:
- {apiGroups: [""], resources: [pods, services], verbs: ["*"]}
- {apiGroups: [""], resources: [serviceaccounts/token], resourceNames: [default], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: learner}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: learner}
subjects: [{kind: ServiceAccount, name: learner, namespace: NAMESPACE}]
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: python:3.13-slim
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "echo hello >/tmp/index.html && exec python3 -m http.server 8080 --directory /tmp"]
    readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: alias}
spec: {type: ExternalName, externalName: web.OTHER.svc.cluster.local}
---
apiVersion: v1
kind: Service
metadata: {name: by-hand}
spec: {ports: [{port: 80, targetPort: 8080}]}
"""


@dataclass(frozen=True)
class Learner:
    """A learner's own access to the cluster: a ServiceAccount's token."""

    namespace: str
    api: Api
    pod: str  # the address of Pod web
    service: str  # the cluster IP of Service web
    by_hand: str  # the cluster IP of Service by-hand

    def ask(self, *namespaces: str, **question: Any) -> Any:
        return client.ask(self.api, {"q": question}, namespaces or (self.namespace,))["q"]

    def get(self, host: str, port: int = 8080, *namespaces: str) -> Any:
        return self.ask(*namespaces, do="http", url=f"http://{host}:{port}/")


def get(what: str, namespace: str, *words: str) -> Any:
    return json.loads(kubectl(current(), "get", what, *words, "-n", namespace, "-o", "json"))


@pytest.fixture(scope="module")
def learners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Learner, Learner]]:
    try:
        for namespace, other in ((ANN, BOB), (BOB, ANN)):
            made = kubectl(current(), "create", "namespace", namespace, "--dry-run=client", "-o", "yaml")
            kubectl(current(), "apply", "-f", "-", input=made)
            objects = OBJECTS.replace("NAMESPACE", namespace).replace("OTHER", other)
            wait_until(partial(_has_account, namespace), 30, pause=0.2)
            kubectl(current(), "apply", "-n", namespace, "-f", "-", input=objects)
            words = ("--serviceaccount", f"{namespace}:learner", "--role", observer.USER_ROLE)
            bind = ("create", "rolebinding", namespace, *words, "--dry-run=client", "-o", "yaml")
            kubectl(current(), "apply", "-n", observer.NAMESPACE, "-f", "-", input=kubectl(current(), *bind))
        for namespace in (ANN, BOB):
            kubectl(
                current(), "wait", "pod/web", "-n", namespace, "--for=condition=Ready", "--timeout=90s", timeout=100
            )
        yield _learner(ANN, tmp_path_factory.mktemp("ann")), _learner(BOB, tmp_path_factory.mktemp("bob"))
    finally:
        client.forget(Api(current()), ANN, BOB)
        kubectl(current(), "delete", "rolebinding", ANN, BOB, "-n", observer.NAMESPACE, "--ignore-not-found")
        kubectl(current(), "delete", "namespace", ANN, BOB, "--ignore-not-found", "--wait=false")


def _has_account(namespace: str) -> bool:
    return "default" in kubectl(current(), "get", "serviceaccounts", "-n", namespace, "-o", "name")


def _learner(namespace: str, folder: Path) -> Learner:
    config = yaml.safe_load(current().kubeconfig.read_text())
    token = kubectl(current(), "create", "token", "learner", "-n", namespace, "--duration=1h").strip()
    config["users"] = [{"name": "learner", "user": {"token": token}}]
    for one in config["contexts"]:
        one["context"]["user"] = "learner"
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    api = Api(Cluster(current().name, folder / "kubeconfig"))
    addresses = [get("service", namespace, name)["spec"]["clusterIP"] for name in ("web", "by-hand")]
    return Learner(namespace, api, get("pod", namespace, "web")["status"]["podIP"], *addresses)


def texts(answers: Any) -> set[str]:
    assert isinstance(answers, list), answers
    return {answer["text"] for answer in answers}


def refusal(answer: Any) -> str:
    assert isinstance(answer, dict) and answer.get("refused") is True, answer
    return str(answer["error"])


def test_a_learner_asks_their_own_pods_and_services(learners: tuple[Learner, Learner]) -> None:
    for learner in learners:
        for host, port in (
            (learner.pod, 8080),
            (learner.service, 80),
            (f"web.{learner.namespace}.svc.cluster.local.", 80),
        ):
            assert texts(learner.get(host, port)) == {TEXT}
        word = learner.ask(do="tcp", to=[f"{learner.pod}:8080"])
        assert word == {f"{learner.pod}:8080": "open"}
        assert learner.ask(do="dns", names=["kubernetes.default"])["kubernetes.default"]["addresses"]


def test_a_learner_asks_nothing_of_another(learners: tuple[Learner, Learner]) -> None:
    for ann, bob in (learners, learners[::-1]):
        for host, port in ((bob.pod, 8080), (bob.service, 80)):
            assert refusal(ann.get(host, port)) == f"{host} is no Pod and no Service of namespace {ann.namespace}"
        name = f"web.{bob.namespace}.svc.cluster.local."
        assert refusal(ann.get(name, 80)) == f"the name {name} is not of namespace {ann.namespace}"
        assert refusal(ann.get(f"alias.{ann.namespace}.svc.cluster.local.", 80)).startswith(bob.service)
        good = f"no token that was shown is good for Pods of namespace {bob.namespace}"
        assert refusal(ann.get(bob.pod, 8080, bob.namespace)) == good
        url = f"http://{bob.pod}:8080/"
        assert refusal(ann.ask(do="timeline", url=url, namespace=bob.namespace)) == good
        assert refusal(ann.ask(do="forget", namespace=bob.namespace)) == good


def test_a_service_with_anothers_endpoints_is_not_asked(learners: tuple[Learner, Learner]) -> None:
    ann, bob = learners
    by_hand = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "by-hand", "labels": {"kubernetes.io/service-name": "by-hand"}},
        "addressType": "IPv4",
        "ports": [{"port": 8080}],
        "endpoints": [{"addresses": [bob.pod]}],
    }
    kubectl(current(), "apply", "-n", ann.namespace, "-f", "-", input=json.dumps(by_hand))
    time.sleep(3)  # kube-proxy, and the observer's list of before
    why = f"a Service leads to {bob.pod}, which is no Pod of namespace {ann.namespace}"
    assert refusal(ann.get(ann.by_hand, 80)) == why
    admin = client.ask(Api(current()), {"q": {"do": "http", "url": f"http://{ann.by_hand}/"}}, (ann.namespace,))
    assert texts(admin["q"]) == {TEXT}  # so the path itself is open


def test_nothing_of_the_cluster_itself_is_asked(learners: tuple[Learner, Learner]) -> None:
    ann, _ = learners
    nodes = [
        address["address"]
        for node in get("nodes", "default")["items"]
        for address in node["status"]["addresses"]
        if address["type"] == "InternalIP"
    ]
    server = get("service", "default", "kubernetes")["spec"]["clusterIP"]
    own = get("service", observer.NAMESPACE, "observer")["spec"]["clusterIP"]
    for host in (*nodes, server, own, "169.254.169.254", "127.0.0.1", "0x7f.1", "localhost"):
        assert refusal(ann.ask(do="tcp", to=[f"{host}:8080"]))
        assert refusal(ann.get(host, 10250))
    wall = f"wall.{observer.NAMESPACE}.svc.cluster.local.:8080"
    assert set(ann.ask(do="tcp", to=[wall])) == {wall}  # lab 14 asks it for everybody


def test_a_right_to_reach_the_pods_of_another_namespace_counts(learners: tuple[Learner, Learner]) -> None:
    ann, bob = learners
    make = ("create", "-n", bob.namespace)
    kubectl(current(), *make, "role", "reach", "--verb=create", "--resource=pods/portforward")
    try:
        account = f"--serviceaccount={ann.namespace}:default"
        kubectl(current(), *make, "rolebinding", "reach", "--role=reach", account)
        both = (ann.namespace, bob.namespace)
        assert wait_until(lambda: isinstance(ann.get(bob.pod, 8080, *both), list), 15, pause=1)
        assert texts(ann.get(bob.service, 80, *both)) == {TEXT}
    finally:
        kubectl(current(), "delete", "role,rolebinding", "reach", "-n", bob.namespace)
    assert wait_until(lambda: isinstance(ann.get(bob.pod, 8080, *both), dict), 15, pause=1)


def test_a_learner_reaches_the_observer_and_nothing_else_of_its_namespace(learners: tuple[Learner, Learner]) -> None:
    ann, _ = learners
    place = f"/api/v1/namespaces/{observer.NAMESPACE}"
    pod = get("pods", observer.NAMESPACE, "-l", "app=observer")["items"][0]["metadata"]["name"]
    assert json.loads(ann.api.request("GET", f"{place}/services/{observer.PROXY}/proxy/healthz")) == {"ok": True}
    for path in (
        "services/http:wall:8080/proxy/",
        "services/observer:8080/proxy/healthz",
        f"pods/{pod}:8080/proxy/healthz",
        f"pods/{pod}",
        "configmaps/observer",
        "secrets",
    ):
        with pytest.raises(ApiError) as end:
            ann.api.request("GET", f"{place}/{path}")
        assert end.value.status == 403
    with pytest.raises(ApiError) as end:
        ann.api.request(
            "POST", f"{place}/serviceaccounts/default/token", {"spec": {"audiences": ["kubeclass-observer"]}}
        )
    assert end.value.status == 403


def test_the_observers_namespace_takes_no_privileged_pod() -> None:
    words = ("run", "greedy", "-n", observer.NAMESPACE, "--image=python:3.13-slim", "--privileged", "--dry-run=server")
    with pytest.raises(Exception, match='violates PodSecurity "restricted'):
        kubectl(current(), *words)


def test_one_learners_hundred_streams_and_slow_questions_hold_up_nobody(learners: tuple[Learner, Learner]) -> None:
    ann, bob = learners
    url = f"http://web.{ann.namespace}.svc.cluster.local.:80/"
    streams = {
        str(n): {"do": "timeline", "url": f"{url}?{n}", "namespace": ann.namespace} for n in range(bounds.QUESTIONS)
    }
    answers = client.ask(ann.api, streams, (ann.namespace,))
    begun = [one for one in answers.values() if "sent" in one]
    assert len(begun) == bounds.STREAMS_EACH
    assert {str(one["error"]) for one in answers.values() if "sent" not in one} == {
        f"the observer did not answer: namespace {ann.namespace} has {bounds.STREAMS_EACH} streams of requests already"
    }
    each = bounds.REQUESTS // 10
    slow = {str(n): {"do": "tcp", "to": [f"{ann.pod}:{9000 + n}"] * each} for n in range(10)}
    with ThreadPoolExecutor(8) as crowd:
        busy = [crowd.submit(client.ask, ann.api, slow, (ann.namespace,)) for _ in range(8)]
        taken = []
        for _ in range(10):
            begin = time.monotonic()
            answers = bob.ask(do="http", url=f"http://{bob.service}/", times=20)
            assert texts(answers) == {TEXT}, answers
            taken.append(time.monotonic() - begin)
        assert max(taken) < 2, taken
        for one in busy:
            one.result()
