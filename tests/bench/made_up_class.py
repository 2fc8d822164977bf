"""A class at work on a control plane without nodes: every learner is in lab 07, as recordings of it show.

The objects are those of recordings, and their status is written as the controllers and the kubelet wrote it then.
An observer that asks nobody answers from the same recordings, over the API server's proxy.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

from checker.classroom.offers import WALL
from checker.collect import marks
from checker.collect.api import Api, ApiError
from checker.model.kinds import KINDS
from checker.model.state import LAB, STARTED
from cluster import observer, paths
from tests.unit.fake_class import recorded

LAB_NUMBER = "07"
# In each, the guestbook's Service selects ready Pods: a change of its selector changes the verdict.
CASES = ("solution", "one-node", "solution", "news-port-left", "solution")
OUTSIDE = "guestbook-outside"  # left out: nothing here listens at a node port
MADE = ("Deployment", "ReplicaSet", "Service", "EndpointSlice", "Pod")  # owners first
AT_A_TIME = 8
Raw = dict[str, Any]


def case_of(number: int) -> str:
    """The recording of a learner, by the learner's number in the class."""
    return CASES[number % len(CASES)]


# -- the objects ------------------------------------------------------------------------------------------------------


def seed(api: Api, homes: Sequence[str]) -> int:
    """Have each learner at work in the lab. Returns how many objects were made. Raises ApiError."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return sum(pool.map(lambda pair: _seed_one(api, pair[1], case_of(pair[0])), enumerate(homes)))


def _seed_one(api: Api, home: str, case: str) -> int:
    """The controllers of quotas and accounts may be behind: nothing waits for them."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    _make(api, f"/api/v1/namespaces/{home}/serviceaccounts", account)
    for quota in api.get(f"/api/v1/namespaces/{home}/resourcequotas")["items"]:
        hard = quota["spec"]["hard"]
        _write_status(
            api,
            f"/api/v1/namespaces/{home}/resourcequotas/{quota['metadata']['name']}",
            {"hard": hard, "used": dict.fromkeys(hard, "0")},
        )
    made = 0
    uids: dict[str, str] = {}  # of the recording: of the cluster
    for kind, raw in objects_of(home, case):
        old = raw["metadata"].pop("uid", "")
        for owner in raw["metadata"].get("ownerReferences", []):
            owner["uid"] = uids.get(owner["uid"], owner["uid"])
        status = raw.pop("status", None)
        path = KINDS[kind].path(home)
        uids[old] = _make(api, path, {"apiVersion": KINDS[kind].group_version, "kind": kind, **raw})
        if status and kind != "Service":
            _write_status(api, f"{path}/{raw['metadata']['name']}", status)
        made += 1
    return made


def objects_of(home: str, case: str) -> Iterator[tuple[str, Raw]]:
    """Kind and manifest of each object of one learner, in an order in which they can be made."""
    state = recorded(LAB_NUMBER, case, home)["objects"]
    marked = state["Namespace"][0]["metadata"]
    metadata = {
        "name": marks.NAME,
        "labels": {LAB: LAB_NUMBER},
        "annotations": {STARTED: marked["annotations"][STARTED]},
    }
    yield "ConfigMap", {"metadata": metadata}
    for kind in MADE:
        for recorded_one in state.get(kind, []):
            raw = deepcopy(recorded_one)
            service = (raw["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
            if raw["metadata"].get("namespace") == home and OUTSIDE not in (raw["metadata"]["name"], service):
                yield kind, _as_made(raw)


def _as_made(raw: Raw) -> Raw:
    """A recorded object without what the API server gives it."""
    for part in ("creationTimestamp", "resourceVersion", "generation"):
        raw["metadata"].pop(part, None)
    spec = raw.get("spec") or {}
    for part in ("clusterIP", "clusterIPs", "healthCheckNodePort"):
        if spec.get(part) != "None":
            spec.pop(part, None)
    for port in spec.get("ports") or []:
        port.pop("nodePort", None)
    return raw


def make_nodes(api: Api) -> None:
    """The nodes of the recordings. Raises ApiError."""
    for recorded_one in recorded(LAB_NUMBER, "solution", "x")["objects"]["Node"]:
        raw = _as_made(deepcopy(recorded_one))
        raw["metadata"].pop("uid", None)
        status = raw.pop("status")
        status["allocatable"] = {name: status["allocatable"][name] for name in ("cpu", "memory", "pods")}
        path = f"/api/v1/nodes/{raw['metadata']['name']}"
        _make(api, "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", **raw})
        _write_status(api, path, status)
        # The API server gives each new node the taint of one that is not ready, and a controller takes it away.
        ready = {"spec": {"taints": (raw.get("spec") or {}).get("taints")}}
        api.request("PATCH", path, ready, 30, content="application/merge-patch+json")


def _make(api: Api, path: str, manifest: Raw) -> str:
    """Make an object. Returns its uid; empty where it was there. Raises ApiError.

    The API server answers 409 also where two requests count in one quota at the same time: then it is asked again.
    """
    for _ in range(10):
        try:
            made: Raw = json.loads(api.request("POST", path, manifest, 30))
        except ApiError as error:
            if error.status != 409:
                raise
            if "already exists" in str(error.why):
                return ""
        else:
            return str(made["metadata"]["uid"])
    raise ApiError(409, f"{path}: the quota is counted by others all the time")


def _write_status(api: Api, path: str, status: Raw) -> None:
    api.request("PATCH", f"{path}/status", {"status": status}, 30, content="application/merge-patch+json")


# -- the observer -----------------------------------------------------------------------------------------------------


@contextmanager
def observing(api: Api, homes: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that answers as the observer, for the length of a block, and the objects that lead to it."""
    address = _own_address()
    listening = socket.socket()
    listening.bind((address, 0))
    listening.listen(128)
    port = listening.getsockname()[1]
    install_observer(api, address, port)
    words = [sys.executable, "-m", "tests.bench.made_up_class", str(listening.fileno()), json.dumps(list(homes))]
    process = subprocess.Popen(words, pass_fds=[listening.fileno()], cwd=paths.COURSE)
    listening.close()
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def install_observer(api: Api, address: str, port: int) -> None:
    """The observer's objects, as if it were up to date and ready. Raises ApiError."""
    for made in yaml.safe_load_all(observer.manifests()):
        if made["kind"] in ("NetworkPolicy", "ClusterRole", "ClusterRoleBinding", "Role"):
            continue
        if made["kind"] == "Service" and made["metadata"]["name"] == "observer":
            del made["spec"]["selector"]
        group = made["apiVersion"]
        kind = KINDS[made["kind"]]
        _make(api, kind.path(observer.NAMESPACE if kind.namespaced else None), made)
        if made["kind"] == "Deployment":
            path = f"/apis/{group}/namespaces/{observer.NAMESPACE}/deployments/{made['metadata']['name']}"
            generation = api.get(path)["metadata"]["generation"]
            status = {"observedGeneration": generation, "replicas": 1, "readyReplicas": 1, "availableReplicas": 1}
            _write_status(api, path, {**status, "updatedReplicas": 1})
    # The API server's proxy connects to an address only where a Pod has it.
    pods = KINDS["Pod"].path(observer.NAMESPACE)
    container = {"name": "observer", "image": "made-up"}
    spec = {"containers": [container], "serviceAccountName": "observer", "nodeName": "kubeclass-control-plane"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "observer-1", "labels": {"app": "observer"}}}
    uid = _make(api, pods, {**pod, "spec": spec})
    _write_status(api, f"{pods}/observer-1", {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]})
    # Both: which one it goes by depends on its version.
    target = {"kind": "Pod", "namespace": observer.NAMESPACE, "name": "observer-1", "uid": uid}
    addresses = [{"ip": address, "targetRef": target}]
    subset = {"addresses": addresses, "ports": [{"name": "http", "port": port}]}
    endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "observer"}, "subsets": [subset]}
    _make(api, f"/api/v1/namespaces/{observer.NAMESPACE}/endpoints", endpoints)
    one_slice = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "observer-1", "labels": {"kubernetes.io/service-name": "observer"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}, "targetRef": target}],
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
    }
    _make(api, KINDS["EndpointSlice"].path(observer.NAMESPACE), one_slice)


def _own_address() -> str:
    """An address of this machine to which the API server's proxy connects: it refuses loopback. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


def answers(questions: Raw, namespaces: Sequence[str], numbers: dict[str, int]) -> Raw:
    """What the observer answers. numbers: of the learners, by their first namespaces."""
    if "wall" in questions:
        return {"wall": {WALL: "timeout"}}
    number = numbers.get(namespaces[0])
    known = _recorded_answers(namespaces[0], case_of(number)) if number is not None else {}
    return {key: known[key] for key in questions if key in known}


@cache
def _recorded_answers(home: str, case: str) -> Raw:
    """Those of the recording. What was not asked then is answered as in the solution: a learner may mend a mistake."""
    return {
        **recorded(LAB_NUMBER, "solution", home)["observations"],
        **recorded(LAB_NUMBER, case, home)["observations"],
    }


def answering(numbers: dict[str, int]) -> Callable[..., BaseHTTPRequestHandler]:
    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            text = json.dumps(answers(asked["questions"], asked["namespaces"], numbers)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *words: Any) -> None:
            """Nothing is logged."""

    return Answering


def main() -> None:
    """Serve as the observer. Arguments: the listening socket's number, and the learners' first namespaces as JSON."""
    number, homes = sys.argv[1:]
    numbers = {home: n for n, home in enumerate(json.loads(homes))}
    server = ThreadingHTTPServer(("", 0), answering(numbers), bind_and_activate=False)
    server.socket = socket.socket(fileno=int(number))
    server.serve_forever()


if __name__ == "__main__":
    main()
