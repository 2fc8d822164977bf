"""How long `explain` thinks about a big namespace: 300 Pods and 100 Services, half of them broken.

No cluster: the State is made from plain objects. The ratio is to a namespace of a tenth of that size. Ten times as many
objects should take about ten times as long.
"""

from __future__ import annotations

from typing import Any

from checker.diagnosis.explain import explained
from checker.model.state import REACH, Object, State
from checker.ui.explanation import text_of
from tests.bench.measure import measured, seconds
from tests.unit.objects import container, deployment, event, node, obj, pod, replica_set, service, slice_of, state

REPLICAS = 3  # Pods of each Deployment, behind one Service
BREAKAGES = ("image-typo", "crash", "missing-key", "selector-typo", "not-ready", "refused", "unschedulable", "database")


def main() -> None:
    small, big = crowded(10), crowded(100)
    taken, before = seconds(lambda: explained(big), 5), seconds(lambda: explained(small), 15)
    found = explained(big)
    written = seconds(lambda: text_of(found), 5)
    measured(
        "`explain` of 300 Pods and 100 Services, half of them broken, without the cluster's part",
        f"{taken + written:.2f} s, {taken / before:.0f} × as long as 30 Pods and 10 Services; "
        f"{len(found.findings)} findings in {len(text_of(found).splitlines())} lines",
        "3 s, 20 ×",
        taken + written <= 3 and taken / before <= 20,
    )


def crowded(number: int) -> State:
    """A namespace with so many Deployments, each of three Pods behind a Service. Every second one is broken."""
    objects: list[Object] = [node("worker"), node("worker2"), obj("ConfigMap", "settings", data={"GREETING": "hello"})]
    reach: dict[str, str] = {}
    logs: dict[str, str] = {}
    for n in range(number):
        name = f"app-{n:03}"
        objects += _application(name, n, BREAKAGES[n // 2 % len(BREAKAGES)] if n % 2 else "", reach, logs)
    return state(*objects, observations={REACH: reach}, logs=logs)


def _application(name: str, n: int, breakage: str, reach: dict[str, str], logs: dict[str, str]) -> list[Object]:
    """One Deployment with everything of it. Adds what the observer and the logs say of it."""
    labels = {"app": name}
    spec: dict[str, Any] = {"image": "gestbook:v1" if breakage == "image-typo" else "guestbook:v1"}
    spec["env"] = [{"name": "BACKEND", "value": f"http://app-{max(0, n - 2):03}:80"}]
    if breakage == "missing-key":
        key = {"name": "settings", "key": "GREETINGS"}
        spec["env"].append({"name": "GREETING", "valueFrom": {"configMapKeyRef": key}})
    if breakage == "unschedulable":
        spec["resources"] = {"requests": {"cpu": "64"}}
    if breakage == "not-ready":
        spec["readinessProbe"] = {"httpGet": {"path": "/healthy", "port": 8080}}
    containers = [container(**spec)]
    works = breakage in ("", "selector-typo", "refused", "database")
    app = deployment(
        name,
        REPLICAS,
        spec={
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
        status={} if works else {"readyReplicas": 0, "availableReplicas": 0},
    )
    owner = replica_set(app, f"{name}-abc", spec={"replicas": REPLICAS, "template": app.spec["template"]})
    found = [app, owner, service(name, {"app": f"{name}x"} if breakage == "selector-typo" else labels)]
    ready = []
    for replica in range(REPLICAS):
        ip = f"10.{244 + n // 200}.{n % 200}.{replica + 1}"
        one = pod(
            f"{name}-abc-{replica}",
            owner=owner,
            labels=labels,
            ip=ip,
            ready=works,
            node="" if breakage == "unschedulable" else f"worker{'2' * (replica % 2)}",
            containers=containers,
            **_status(breakage),
        )
        found.append(one)
        ready += [ip] if works else []
        reach[f"{ip}:8080"] = "open" if works and breakage != "refused" else "refused"
        logs[f"{one.name}/app"] = _log(breakage)
        if breakage == "not-ready":
            found.append(event(one, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"))
        if breakage == "image-typo":
            found.append(event(one, "Failed", 'Failed to pull image "gestbook:v1": not found'))
    piece = slice_of(name)
    piece.raw["endpoints"] = [{"addresses": [ip], "conditions": {"ready": True}} for ip in ready]
    return [*found, piece]


def _status(breakage: str) -> dict[str, Any]:
    """What a Pod's status says of a breakage."""
    if breakage == "image-typo":
        message = 'Back-off pulling image "gestbook:v1": ErrImagePull: pull access denied, repository does not exist'
        return {"container_state": {"waiting": {"reason": "ImagePullBackOff", "message": message}}}
    if breakage == "crash":
        ended = {"exitCode": 1, "reason": "Error", "finishedAt": "2026-01-01T11:59:00Z"}
        waiting = {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}
        return {"container_state": {"waiting": waiting}, "last": ended, "restarts": 4}
    if breakage == "missing-key":
        message = "couldn't find key GREETINGS in ConfigMap learn/settings"
        return {"container_state": {"waiting": {"reason": "CreateContainerConfigError", "message": message}}}
    if breakage == "unschedulable":
        message = "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available"
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        return {"conditions": [condition]}
    return {}


def _log(breakage: str) -> str:
    """The last lines of a container."""
    if breakage == "crash":
        return "starting\nTraceback (most recent call last):\nKeyError: 'PORT'\n"
    if breakage == "database":
        return (
            "GET /\nConnectionRefusedError: [Errno 111] connect to databse:5432 failed: Name or service not known\n"
            * 20
        )
    return "GET / 200\n" * 40


if __name__ == "__main__":
    main()
