"""The observer among thirty learners: each has a stream of requests, and checks every ten seconds.

All on the tests' cluster. The learners' checks are spread over the ten seconds. A learner is a namespace with one
guestbook Pod and a Service, and a ServiceAccount with the rights to edit that namespace and to ask the observer. A
check is lab 05's: what it lists, what it asks the observer, and the judgement. Counted are the tasks that are unknown
because of the observer.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from checker.collect import observer as client
from checker.collect.api import Api
from checker.collect.collect import collect
from checker.grading.grade import judge
from checker.grading.labs import load_lab
from cluster import Cluster, current, observer
from cluster.kubectl import kubectl
from tests.bench.measure import measured

LEARNERS = 30
EVERY = 10.0  # seconds from a learner's check to the next
CHECKS = 6  # of each learner
LABEL = "kubeclass-bench=observer"
OF_THE_OBSERVER = ("observer-unreachable", "observer-refused")


def name_of(number: int) -> str:
    return f"bench-observer-{number:02}"


def objects(namespace: str) -> list[dict[str, Any]]:
    """What a learner has."""
    label, _, value = LABEL.partition("=")
    labels = {"app": "guestbook"}
    account = {"kind": "ServiceAccount", "name": "learner", "namespace": namespace}
    container = {
        "name": "guestbook",
        "image": "guestbook:v1",
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": 8080}],
        "resources": {"requests": {"cpu": "5m", "memory": "24Mi"}},
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 5},
    }

    def one(group: str, kind: str, name: str, where: str = namespace, **parts: Any) -> dict[str, Any]:
        place = {} if kind == "Namespace" else {"namespace": where}
        metadata = {"name": name, "labels": {label: value}, **place}
        return {"apiVersion": group, "kind": kind, "metadata": metadata, **parts}

    def bound(where: str, kind: str, role: str) -> dict[str, Any]:
        rbac = "rbac.authorization.k8s.io"
        ref = {"apiGroup": rbac, "kind": kind, "name": role}
        return one(f"{rbac}/v1", "RoleBinding", namespace, where, roleRef=ref, subjects=[account])

    template = {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}}
    return [
        one("v1", "Namespace", namespace),
        one("v1", "ServiceAccount", "learner"),
        bound(namespace, "ClusterRole", "edit"),
        bound(observer.NAMESPACE, "Role", observer.USER_ROLE),
        one("apps/v1", "Deployment", "guestbook", spec={"selector": {"matchLabels": labels}, "template": template}),
        one("v1", "Service", "guestbook", spec={"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}),
    ]


def access(namespace: str, folder: Path) -> Api:
    """The API server as the learner reaches it."""
    config = yaml.safe_load(current().kubeconfig.read_text())
    token = kubectl(current(), "create", "token", "learner", "-n", namespace, "--duration=1h").strip()
    config["users"] = [{"name": "learner", "user": {"token": token}}]
    for one in config["contexts"]:
        one["context"]["user"] = "learner"
    path = folder / namespace
    path.write_text(yaml.safe_dump(config))
    return Api(Cluster(current().name, path, current().context, namespace, "class"))


def check(api: Api, namespace: str) -> tuple[float, list[str]]:
    """Seconds that one check takes, and the reasons of tasks that are unknown because of the observer."""
    lab = load_lab("05")
    begin = time.perf_counter()
    result = judge(lab, collect(api, namespace, lab.observations, kinds=lab.kinds))
    taken = time.perf_counter() - begin
    return taken, [task.message for task in result.tasks if task.cause in OF_THE_OBSERVER]


def learn(number: int, api: Api, begin: float) -> list[tuple[float, list[str]]]:
    """A learner's checks, each at its moment."""
    found = []
    for turn in range(CHECKS):
        at = begin + EVERY * (turn + number / LEARNERS)
        time.sleep(max(0.0, at - time.monotonic()))
        found.append(check(api, name_of(number)))
    return found


def main() -> None:
    names = [name_of(number) for number in range(LEARNERS)]
    try:
        wanted = {"apiVersion": "v1", "kind": "List", "items": [one for name in names for one in objects(name)]}
        kubectl(current(), "apply", "--server-side", "-f", "-", input=json.dumps(wanted), timeout=180)
        for name in names:
            available = ("wait", "deployment/guestbook", "-n", name, "--for=condition=Available", "--timeout=180s")
            kubectl(current(), *available, timeout=190)
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(LEARNERS) as pool:
            apis = [access(name, Path(folder)) for name in names]
            for api, name in zip(apis, names, strict=True):
                check(api, name)  # begins the stream, as a lab's start does
            begin = time.monotonic() + 5
            runs = [pool.submit(learn, number, api, begin) for number, api in enumerate(apis)]
            checks = [one for run in runs for one in run.result()]
        streams = [client.ask(Api(current()), {"q": _stream(name)}, [name])["q"] for name in names]
    finally:
        client.forget(Api(current()), *names)
        kubectl(current(), "delete", "namespace", "-l", LABEL, "--wait=false", timeout=120)
        kubectl(current(), "delete", "rolebinding", "-n", observer.NAMESPACE, "-l", LABEL, timeout=120)
    taken = sorted(seconds for seconds, _ in checks)
    unknown = Counter(why for _, reasons in checks for why in reasons)
    for why, times in unknown.most_common(5):
        print(f"  {times} × {why}")
    p95 = statistics.quantiles(taken, n=20)[-1]
    lost = sum(count for stream in streams for _, _, count, _ in stream["lost"])
    measured(
        f"{LEARNERS} learners, a stream and a check every {EVERY:.0f} s each",
        f"{len(checks)} checks, {unknown.total()} tasks unknown for the observer, "
        f"a check {statistics.median(taken):.2f} s, 95 of 100 within {p95:.2f} s; "
        f"{sum(stream['sent'] for stream in streams)} requests of streams, {lost} lost",
        "none unknown, 2 s",
        not unknown and p95 < 2,
    )


def _stream(namespace: str) -> dict[str, Any]:
    url = next(one for one in load_lab("05").observations if type(one).__name__ == "Traffic")
    path = getattr(url, "path", "/")
    return {
        "do": "timeline",
        "url": f"http://guestbook.{namespace}.svc.cluster.local.:80{path}",
        "namespace": namespace,
    }


if __name__ == "__main__":
    main()
