"""What a cluster can give to a class."""

from __future__ import annotations

import json
from dataclasses import dataclass

from checker.classroom.apply import SECONDS, refused
from checker.classroom.kinds import KINDS, TIERS, VERSIONS
from checker.classroom.needs import WORKERS
from checker.classroom.plan import Cluster as Known
from checker.collect import observer
from checker.collect.api import Api, ApiError
from checker.diagnosis.taints import is_worker
from checker.model.catalogue import problem
from checker.model.state import Object
from cluster.waiting import wait_until

# ValidatingAdmissionPolicy is stable since Kubernetes 1.30, and a class cannot do without it.
# Source: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
OLDEST = (1, 30)
# A Pod beside the observer that a policy lets nobody reach (cluster/observer/manifest.yaml).
WALL = "wall.kubeclass.svc.cluster.local.:8080"


@dataclass(frozen=True)
class Seen:
    """A cluster as a teacher sees it. version: of the API server. workers: how many nodes take ordinary Pods.

    pods: how many Pods these nodes take together. offers: `policies` (enforced), `metrics`, `storage`, `tiers`
    (a kind of kinds.TIERS), and the number of workers. known: what the plan needs.
    """

    version: str
    workers: int
    pods: int
    offers: tuple[str, ...]
    known: Known


def look(api: Api) -> Seen:
    """See what a cluster can give. Raises Problem where it is too old, does not answer, or gives no rights."""
    try:
        version = api.get("/version")
        minor = (int(version["major"]), int("".join(filter(str.isdigit, version["minor"]))))
        if minor < OLDEST:
            raise problem("class-too-old", found=version["gitVersion"], oldest=".".join(map(str, OLDEST)))
        nodes = [Object("Node", raw) for raw in api.get("/api/v1/nodes")["items"]]
        classes = api.get("/apis/scheduling.k8s.io/v1/priorityclasses")["items"]
        storage = api.get("/apis/storage.k8s.io/v1/storageclasses")["items"]
        metrics = _served(api, "/apis/metrics.k8s.io/v1beta1")
        tiers = next((kind for kind in TIERS if _serves_kind(api, kind)), "")
    except ApiError as error:
        raise refused(error) from None
    workers = [node for node in nodes if is_worker(node)]
    default = "storageclass.kubernetes.io/is-default-class"
    offers = {
        "metrics": metrics,
        "storage": any((one["metadata"].get("annotations") or {}).get(default) == "true" for one in storage),
        "tiers": bool(tiers),
    }
    return Seen(
        version["gitVersion"],
        len(workers),
        sum(int((node.raw.get("status") or {}).get("allocatable", {}).get("pods", 0)) for node in workers),
        (f"{WORKERS}{len(workers)}", *(name for name, there in offers.items() if there)),
        Known(
            tuple(
                address["address"]
                for node in nodes
                for address in (node.raw.get("status") or {}).get("addresses") or []
                if address["type"] == "InternalIP"
            ),
            max([0, *(int(one["value"]) for one in classes if one.get("globalDefault"))]),
            tiers,
        ),
    )


def api_servers(api: Api) -> tuple[tuple[str, int], ...]:
    """The addresses and ports of the API server for Pods: the Service's, and those behind it. Raises Problem.

    Network plugins differ in which of the two a policy must let through.
    Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/#behavior-of-ipblock-selectors
    """
    try:
        service = api.get("/api/v1/namespaces/default/services/kubernetes")["spec"]
        query = "labelSelector=kubernetes.io%2Fservice-name%3Dkubernetes"
        slices = api.get(f"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?{query}")["items"]
    except ApiError as error:
        raise refused(error) from None
    found = [(address, port["port"]) for address in service["clusterIPs"] for port in service["ports"]]
    for one in slices:
        addresses = [address for endpoint in one.get("endpoints") or [] for address in endpoint["addresses"]]
        found += [(address, port["port"]) for address in addresses for port in one.get("ports") or []]
    return tuple(sorted(set(found)))


def may(api: Api, name: str) -> None:
    """Raises Problem where this user may not make a class: namespaces, rights and admission policies."""
    wanted = [
        ("", "namespaces"),
        ("networking.k8s.io", "networkpolicies"),
        ("rbac.authorization.k8s.io", "rolebindings"),
        ("rbac.authorization.k8s.io", "clusterrolebindings"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
    ]
    refusals = [resource for group, resource in wanted if not _allowed(api, group, resource)]
    if refusals:
        raise problem("class-may-not", name=name, resources=refusals)


def _allowed(api: Api, group: str, resource: str) -> bool:
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "create", "group": group, "resource": resource}},
    }
    try:
        answer = json.loads(
            api.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body, SECONDS)
        )
    except ApiError as error:
        raise refused(error) from None
    return bool(answer["status"]["allowed"])


def enforced(api: Api, timeout: float = 60) -> bool | None:
    """Whether the network plugin enforces policies: whether the observer fails to reach a Pod that a policy closes.

    timeout: seconds for the observer to answer. None where it cannot be told.
    """

    def answer_of_wall() -> str:
        answer = observer.ask(api, {"wall": {"do": "tcp", "to": [WALL]}})["wall"]
        return str(answer.get(WALL, ""))

    answer = wait_until(answer_of_wall, timeout, pause=2)
    return {"open": False, "timeout": True, "refused": True}.get(answer)


def _serves_kind(api: Api, kind: str) -> bool:
    path = f"/apis/{VERSIONS[kind]}"
    return _served(api, path) and any(one["name"] == KINDS[kind][0] for one in api.get(path)["resources"])


def _served(api: Api, path: str) -> bool:
    try:
        api.get(path)
    except ApiError as error:
        if error.status in (404, 503):
            return False
        raise
    return True
