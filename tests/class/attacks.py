"""Attacks of one learner of a class on the others, on the class and on the cluster. Each is a real request.

An attack is a title and a function of the attacker's connection, which raises ApiError where it is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from checker.collect import observer
from checker.collect.api import Api, ApiError
from cluster.observer import NAMESPACE, PROXY

Manifest = dict[str, Any]
SECONDS = 30.0  # for one request, on a busy cluster
MERGE = "application/merge-patch+json"
ASK = f"/api/v1/namespaces/{NAMESPACE}/services/{PROXY}/proxy/ask"
NETWORKING = "/apis/networking.k8s.io/v1"


@dataclass(frozen=True)
class Attacker:
    """Who attacks, and whom. name: the class's. me, other: first namespaces.

    address: of a Pod in the namespace `other`, with its port.
    """

    api: Api
    name: str
    me: str
    other: str
    address: str

    def create(self, collection: str, **manifest: Any) -> None:
        self.api.request("POST", collection, manifest, SECONDS)

    def pod(self, namespace: str, container: Manifest | None = None, **spec: Any) -> None:
        one = {"name": "c", "image": "guestbook:v1", "command": ["true"]} | (container or {})
        self.create(
            f"/api/v1/namespaces/{namespace}/pods",
            apiVersion="v1",
            kind="Pod",
            metadata={"name": "attack"},
            spec={"containers": [one], "nodeSelector": {"nowhere": "true"}, **spec},
        )

    def service(self, annotations: dict[str, str] | None = None, **spec: Any) -> None:
        self.create(
            f"/api/v1/namespaces/{self.me}/services",
            apiVersion="v1",
            kind="Service",
            metadata={"name": "attack", "annotations": annotations or {}},
            spec={"ports": [{"port": 80}]} | spec,
        )

    def policy(self, labels: Manifest | None = None, **spec: Any) -> None:
        self.create(
            f"{NETWORKING}/namespaces/{self.me}/networkpolicies",
            apiVersion="networking.k8s.io/v1",
            kind="NetworkPolicy",
            metadata={"name": "attack", "labels": labels or {}},
            spec={"podSelector": {}, **spec},
        )

    def patch(self, path: str, change: Manifest) -> None:
        self.api.request("PATCH", path, change, SECONDS, content=MERGE)

    def delete(self, path: str) -> None:
        self.api.request("DELETE", path, read_timeout=SECONDS)


def _bind(who: Attacker) -> None:
    rbac = "rbac.authorization.k8s.io"
    who.create(
        f"/apis/{rbac}/v1/namespaces/{who.me}/rolebindings",
        apiVersion=f"{rbac}/v1",
        kind="RoleBinding",
        metadata={"name": "attack"},
        roleRef={"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
        subjects=[{"kind": "ServiceAccount", "name": "learner", "namespace": who.me}],
    )


def _widen_role(who: Attacker) -> None:
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{who.me}/roles/learner"
    who.patch(path, {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]})


def _slice(who: Attacker) -> None:
    who.service()
    try:
        who.create(
            f"/apis/discovery.k8s.io/v1/namespaces/{who.me}/endpointslices",
            apiVersion="discovery.k8s.io/v1",
            kind="EndpointSlice",
            metadata={"name": "attack", "labels": {"kubernetes.io/service-name": "attack"}},
            addressType="IPv4",
            endpoints=[{"addresses": ["10.244.0.99"]}],
            ports=[{"port": 8080}],
        )
    finally:
        who.delete(f"/api/v1/namespaces/{who.me}/services/attack")


def _webhook(who: Attacker) -> None:
    who.create(
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
        apiVersion="admissionregistration.k8s.io/v1",
        kind="MutatingWebhookConfiguration",
        metadata={"name": "attack"},
        webhooks=[],
    )


def _token_secret(who: Attacker) -> None:
    who.create(
        f"/api/v1/namespaces/{who.me}/secrets",
        apiVersion="v1",
        kind="Secret",
        type="kubernetes.io/service-account-token",
        metadata={"name": "attack", "annotations": {"kubernetes.io/service-account.name": "learner"}},
    )


def _token_request(who: Attacker) -> None:
    path = f"/api/v1/namespaces/{who.me}/serviceaccounts/learner/token"
    who.create(path, apiVersion="authentication.k8s.io/v1", kind="TokenRequest", spec={"expirationSeconds": 999999})


def _many_pods(who: Attacker) -> None:
    pods = f"/api/v1/namespaces/{who.me}/pods"
    try:
        for number in range(200):
            who.create(
                pods,
                apiVersion="v1",
                kind="Pod",
                metadata={"name": f"attack-{number}", "labels": {"attack": "many"}},
                spec={"containers": [{"name": "c", "image": "x"}], "nodeSelector": {"nowhere": "true"}},
            )
    finally:
        who.delete(f"{pods}?labelSelector=attack%3Dmany&gracePeriodSeconds=0")


def _many(who: Attacker, version: str, kind: str, plural: str, **content: Any) -> None:
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    path = f"{root}/namespaces/{who.me}/{plural}"
    labels = {"attack": "many"}
    try:
        for number in range(200):
            name = f"attack-{number}"
            who.create(path, apiVersion=version, kind=kind, metadata={"name": name, "labels": labels}, **content)
    finally:
        who.delete(f"{path}?labelSelector=attack%3Dmany")


def _quota_of_cpu(who: Attacker) -> None:
    who.pod(who.me, {"resources": {"requests": {"cpu": "64"}}})


def _impersonate(who: Attacker) -> None:
    import httpx

    access, _ = who.api._connection()
    answer = httpx.get(
        f"{access.server}/api/v1/namespaces/{who.other}/secrets",
        headers={"Authorization": access.authorization(), "Impersonate-User": "kubernetes-admin"},
        verify=access.tls,
        trust_env=False,
    )
    if answer.status_code >= 400:
        raise ApiError(answer.status_code, json.loads(answer.content)["message"])


def _ask_observer(who: Attacker, *namespaces: str) -> None:
    """Ask for an answer of another learner's Pod. namespaces: for which the attacker claims to speak."""
    question = {"pod": {"do": "http", "url": f"http://{who.address}/"}}
    answer = observer.ask(who.api, question, namespaces)["pod"]
    if isinstance(answer, dict) and answer.get("refused"):
        raise ApiError(403, f"the observer refuses: {answer['error']}")


def _ask_observer_without_token(who: Attacker) -> None:
    asked = {"questions": {"pod": {"do": "tcp", "to": [who.address]}}, "namespaces": [who.other], "tokens": []}
    who.api.request("POST", ASK, asked, SECONDS)


EVERYWHERE: list[dict[str, Any]] = [{"to": [{"namespaceSelector": {}}]}]
ATTACKS: dict[str, Callable[[Attacker], object]] = {
    "Create a privileged Pod": lambda w: w.pod(w.me, {"securityContext": {"privileged": True}}),
    "Create a Pod with a hostPath volume": lambda w: w.pod(w.me, volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
    "Create a Pod in the node's network": lambda w: w.pod(w.me, hostNetwork=True),
    "Create a Pod that sees the node's processes": lambda w: w.pod(w.me, hostPID=True),
    "Create a Pod of the highest priority": lambda w: w.pod(w.me, priorityClassName="system-node-critical"),
    "Create a Pod that runs as the learner's own account": lambda w: w.pod(w.me, serviceAccountName="learner"),
    "Create a Pod in another learner's namespace, which mounts a Secret there": lambda w: w.pod(
        w.other, volumes=[{"name": "v", "secret": {"secretName": "login"}}]
    ),
    "Read another learner's Secrets": lambda w: w.api.get(f"/api/v1/namespaces/{w.other}/secrets"),
    "Read another learner's ConfigMap with the handbook of the capstone": lambda w: w.api.get(
        f"/api/v1/namespaces/{w.other}/configmaps/handbook"
    ),
    "Read another learner's namespace, with the seed of the capstone": lambda w: w.api.get(
        f"/api/v1/namespaces/{w.other}"
    ),
    "Run a command in another learner's Pod": lambda w: w.api.request(
        "POST", f"/api/v1/namespaces/{w.other}/pods/server/exec?command=id&stdout=true"
    ),
    "Forward a port to another learner's Pod": lambda w: w.api.request(
        "POST", f"/api/v1/namespaces/{w.other}/pods/server/portforward?ports=8080"
    ),
    "Reach another learner's Pod through the API server's proxy": lambda w: w.api.get(
        f"/api/v1/namespaces/{w.other}/pods/server:8080/proxy/"
    ),
    "Reach a Service of one's own through the API server's proxy": lambda w: w.api.get(
        f"/api/v1/namespaces/{w.me}/services/attack/proxy/"
    ),
    "Run a command in the observer": lambda w: w.api.request(
        "POST", "/api/v1/namespaces/kubeclass/pods/observer/exec?command=id&stdout=true"
    ),
    "Ask the observer for the address of another learner's Pod": lambda w: _ask_observer(w, w.me),
    "Ask the observer for it in the name of the other learner's namespace": lambda w: _ask_observer(w, w.me, w.other),
    "Ask the observer without a token": _ask_observer_without_token,
    "Bind oneself to the role cluster-admin": _bind,
    "Widen one's own role": _widen_role,
    "Act as another user (impersonation)": _impersonate,
    "Make a token that does not end": _token_secret,
    "Ask for another token of one's own account": _token_request,
    "Raise the quota of the class": lambda w: w.patch(
        f"/api/v1/namespaces/{w.me}/resourcequotas/class", {"spec": {"hard": {"pods": "1000"}}}
    ),
    "Delete the quota of the class": lambda w: w.delete(f"/api/v1/namespaces/{w.me}/resourcequotas/class"),
    "Delete all quotas at once": lambda w: w.delete(f"/api/v1/namespaces/{w.me}/resourcequotas"),
    "Delete the limit range of the class": lambda w: w.delete(f"/api/v1/namespaces/{w.me}/limitranges/class"),
    "Delete the wall": lambda w: w.delete(f"{NETWORKING}/namespaces/{w.me}/networkpolicies/class-way-out"),
    "Change the wall": lambda w: w.patch(
        f"{NETWORKING}/namespaces/{w.me}/networkpolicies/class-way-out", {"spec": {"egress": [{}]}}
    ),
    "Let the garbage collector delete the wall, by an owner that does not exist": lambda w: w.patch(
        f"{NETWORKING}/namespaces/{w.me}/networkpolicies/class-way-out",
        {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "none", "uid": "0-0"}]}},
    ),
    "Take the class's label from the wall": lambda w: w.patch(
        f"{NETWORKING}/namespaces/{w.me}/networkpolicies/class-way-out",
        {"metadata": {"labels": {"kubeclass.dev/class": None}}},
    ),
    "Add a network policy that lets Pods out to all namespaces": lambda w: w.policy(egress=EVERYWHERE),
    "Add a network policy that lets Pods out to an address": lambda w: w.policy(
        egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]
    ),
    "Add a network policy that lets Pods out to everybody": lambda w: w.policy(egress=[{}]),
    "Create an object with the class's label": lambda w: w.policy({"kubeclass.dev/class": w.name}),
    "Take the class's label from one's namespace": lambda w: w.patch(
        f"/api/v1/namespaces/{w.me}", {"metadata": {"labels": {"kubeclass.dev/class": None}}}
    ),
    "Give one's namespace another learner's label": lambda w: w.patch(
        f"/api/v1/namespaces/{w.me}", {"metadata": {"labels": {"kubeclass.dev/learner": w.other}}}
    ),
    "Lift Pod Security in one's namespace": lambda w: w.patch(
        f"/api/v1/namespaces/{w.me}", {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    ),
    "Delete one's namespace": lambda w: w.delete(f"/api/v1/namespaces/{w.me}"),
    "Create a namespace": lambda w: w.create(
        "/api/v1/namespaces", apiVersion="v1", kind="Namespace", metadata={"name": f"{w.name}-attack"}
    ),
    "Create an EndpointSlice with another learner's address": _slice,
    "Create a Service with an external IP": lambda w: w.service(externalIPs=["10.96.0.10"]),
    "Create a Service of type LoadBalancer": lambda w: w.service(type="LoadBalancer"),
    "Create an ExternalName that leads to another learner's Service": lambda w: w.service(
        type="ExternalName", externalName=f"guestbook.{w.other}.svc.cluster.local"
    ),
    "Use a node's proxy": lambda w: w.api.get(f"/api/v1/nodes/{w.name}-node/proxy/pods"),
    "Register an admission webhook": _webhook,
    "Delete the class's admission policy": lambda w: w.delete(
        f"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/kubeclass-class-{w.name}-kept"
    ),
    "Create Pods until the cluster is full": _many_pods,
    "Create ConfigMaps until the cluster's store is full": lambda w: _many(w, "v1", "ConfigMap", "configmaps"),
    "Create disruption budgets until the cluster's store is full": lambda w: _many(
        w, "policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", spec={"minAvailable": 0, "selector": {}}
    ),
    "Create a ConfigMap of 200 kB": lambda w: w.create(
        f"/api/v1/namespaces/{w.me}/configmaps",
        apiVersion="v1",
        kind="ConfigMap",
        metadata={"name": "attack"},
        data={f"{number}": "x" * 20_000 for number in range(10)},
    ),
    "Create a Secret of 200 kB": lambda w: w.create(
        f"/api/v1/namespaces/{w.me}/secrets",
        apiVersion="v1",
        kind="Secret",
        metadata={"name": "attack"},
        stringData={"attack": "x" * 200_000},
    ),
    "Write 200 kB into the annotations of a Service": lambda w: w.service(annotations={"attack": "x" * 200_000}),
    "Reserve the CPU of the whole cluster": _quota_of_cpu,
}


def by_what(error: ApiError) -> str:
    """What refused a request, by the words of the API server's answer."""
    if error.status not in (403, 422):
        return f"nothing: {error.status} {error.why!s}"
    for words, what in (
        ("is no Pod and no Service of namespace", "observer"),
        ("no token that was shown is good", "observer"),
        ("ValidatingAdmissionPolicy", "admission policy"),
        ("violates PodSecurity", "Pod Security baseline"),
        ("exceeded quota", "quota"),
        ("cannot impersonate", "RBAC"),
        ("is forbidden: User", "RBAC"),
        (" cannot ", "RBAC"),
    ):
        if words in str(error.why):
            return what
    return f"something else: {error.why!s}"
