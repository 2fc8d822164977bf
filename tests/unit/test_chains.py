"""For every cause that a chain can name: a small world that has that fault, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from checker.diagnosis.dns import CONTROL, explain_name
from checker.diagnosis.pod import endless_command
from checker.grading.observations import DnsInside, Http, NodePorts, Observation, seen
from checker.model.state import REACH, Object
from checker.model.verdict import Failed, NotPassed, Unknown
from checker.sdk import State

from .objects import ago, container, deployment, event, node, obj, pod, replica_set, service, slice_of, state

PROBE = {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1}
OPEN = {"10.244.1.1:8080": "open"}


def broken(world: State, kind: str, name: str = "guestbook") -> tuple[str, bool]:
    """The cause that walking an object's chain ends with, and whether it is pending; nothing where it works."""
    found = world.find(kind, name)
    assert found
    try:
        world.require_working(found)
    except NotPassed as end:
        assert end.message, end.cause
        return end.cause, end.in_progress
    return "", False


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def ended(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return {"exitCode": code, "reason": reason, "message": message}


def crash(code: int, reason: str = "Error", message: str = "", **more: Any) -> Object:
    return pod(
        ready=False, container_state=waiting("CrashLoopBackOff"), last=ended(code, reason, message), restarts=3, **more
    )


def unscheduled(message: str, **spec: Any) -> Object:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    found = pod(node="", ready=False, conditions=[condition])
    found.spec.update(spec)
    return found


def not_started(found: Object) -> Object:
    found.status["containerStatuses"][0]["started"] = False
    return found


def from_config(kind: str, key: str = "GREETING") -> list[dict[str, Any]]:
    return [container(env=[{"name": "GREETING", "valueFrom": {f"{kind}KeyRef": {"name": "settings", "key": key}}}])]


BIG = [container(resources={"requests": {"cpu": "64"}})]
CONFIG_ERROR = waiting("CreateContainerConfigError", "not found")
settings = obj("ConfigMap", "settings", data={"GREETING": "hello"})

POD_WORLDS: dict[str, tuple[str, bool, Callable[[], State]]] = {
    "it works": ("", False, lambda: state(pod())),
    "it has done its work": ("", False, lambda: state(pod(phase="Succeeded", ready=False))),
    "no node has room": (
        "pod-unschedulable-resources",
        False,
        lambda: state(unscheduled("0/1 nodes are available: 1 Insufficient cpu.", containers=BIG), node()),
    ),
    "no node has the label": (
        "pod-unschedulable-selector",
        False,
        lambda: state(
            unscheduled(
                "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
                nodeSelector={"disk": "ssd"},
            ),
            node(),
        ),
    ),
    "every node keeps it away": (
        "pod-unschedulable-taint",
        False,
        lambda: state(
            unscheduled("0/1 nodes are available: 1 node(s) had untolerated taint(s)."),
            node(taints=[{"key": "gpu", "effect": "NoSchedule"}]),
        ),
    ),
    "its claim is not bound": (
        "pod-unschedulable-volume",
        False,
        lambda: state(
            unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."), node()
        ),
    ),
    "the scheduler has not looked yet": (
        "pod-not-scheduled-yet",
        True,
        lambda: state(pod(node="", ready=False, age=1)),
    ),
    "the image is one letter off": (
        "image-name-typo",
        False,
        lambda: state(
            pod(ready=False, containers=[container(image="guestbok:v1")], container_state=waiting("ErrImagePull")),
            node(),
        ),
    ),
    "the tag does not exist": (
        "image-name-typo",
        False,
        lambda: state(
            pod(ready=False, containers=[container(image="guestbook:v9")], container_state=waiting("ImagePullBackOff")),
            node(),
        ),
    ),
    "the image is on another node": (
        "image-not-loaded",
        False,
        lambda: state(
            pod(ready=False, container_state=waiting("ErrImageNeverPull")), node("worker", images=()), node("worker2")
        ),
    ),
    "the image is nowhere": (
        "image-not-found",
        False,
        lambda: state(
            pod(
                ready=False,
                containers=[container(image="shop.example/cart:1")],
                container_state=waiting("ImagePullBackOff"),
            ),
            node(),
        ),
    ),
    "that is no image name": (
        "image-name-invalid",
        False,
        lambda: state(
            pod(ready=False, containers=[container(image="Guest Book")], container_state=waiting("InvalidImageName")),
            node(),
        ),
    ),
    "the ConfigMap is missing": (
        "config-object-missing",
        False,
        lambda: state(pod(ready=False, containers=from_config("configMap"), container_state=CONFIG_ERROR)),
    ),
    "its key is missing": (
        "config-key-missing",
        False,
        lambda: state(
            pod(ready=False, containers=from_config("configMap", "GREETINGS"), container_state=CONFIG_ERROR), settings
        ),
    ),
    "the Secret is missing": (
        "config-object-missing",
        False,
        lambda: state(pod(ready=False, containers=from_config("secret"), container_state=CONFIG_ERROR)),
    ),
    "another fault of its configuration": (
        "container-config-error",
        False,
        lambda: state(pod(ready=False, containers=from_config("configMap"), container_state=CONFIG_ERROR), settings),
    ),
    "the container is being made": (
        "pod-starting",
        True,
        lambda: state(pod(ready=False, container_state=waiting("ContainerCreating"))),
    ),
    "its command does not exist": (
        "command-not-runnable",
        False,
        lambda: state(crash(128, "StartError", 'exec: "pyhton3": executable file not found in $PATH')),
    ),
    "the node fails to start it": (
        "container-start-error",
        False,
        lambda: state(crash(128, "StartError", "runc create failed: no such device")),
    ),
    "it crashes": ("container-crashes", False, lambda: state(crash(1))),
    "its command may not be executed": ("container-crashes", False, lambda: state(crash(126))),
    "it comes to its end": ("container-ends", False, lambda: state(crash(0, "Completed"))),
    "it needs too much memory": ("container-oom-killed", False, lambda: state(crash(137, "OOMKilled"))),
    "it was restarted a moment ago": (
        "container-crashes",
        True,
        lambda: state(pod(since=2, last=ended(1), restarts=1)),
    ),
    "it was restarted long ago": ("", False, lambda: state(pod(since=60, last=ended(1), restarts=1))),
    "its liveness probe restarts it": (
        "liveness-probe-fails",
        False,
        lambda: (
            lambda p: state(p, event(p, "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500"))
        )(crash(137, containers=[container(livenessProbe=PROBE)])),
    ),
    "its readiness probe fails": (
        "readiness-probe-fails",
        False,
        lambda: (
            lambda p: state(p, event(p, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"))
        )(pod(ready=False, containers=[container(readinessProbe=PROBE)])),
    ),
    "its readiness probe has time left": (
        "readiness-probe-fails",
        True,
        lambda: state(pod(ready=False, since=2, containers=[container(readinessProbe=PROBE)])),
    ),
    "it has only just started": ("pod-starting", True, lambda: state(pod(ready=False))),
    "its startup probe has time left": (
        "startup-probe-fails",
        True,
        lambda: state(not_started(pod(ready=False, since=2, containers=[container(startupProbe=PROBE)]))),
    ),
    "its probe asks an unknown port": (
        "probe-port-unknown",
        False,
        lambda: state(
            pod(ready=False, containers=[container(readinessProbe={"httpGet": {"path": "/", "port": "web"}})])
        ),
    ),
    "the cluster ended it": ("pod-evicted", False, lambda: state(pod(phase="Failed", reason="Evicted", ready=False))),
    "it is on its way out": (
        "object-being-deleted",
        True,
        lambda: (lambda p: (p.metadata.update(deletionTimestamp=ago(1)), state(p))[1])(pod()),
    ),
}


@pytest.mark.parametrize("cause, pending, world", POD_WORLDS.values(), ids=list(POD_WORLDS))
def test_pod_chain(cause: str, pending: bool, world: Callable[[], State]) -> None:
    assert broken(world(), "Pod", "guestbook-1") == (cause, pending)


def test_a_pod_without_a_node_is_told_by_the_scheduler_where_nodes_may_not_be_listed() -> None:
    line = "0/1 nodes are available: 1 node(s) had untolerated taint {gpu: }."
    world = state(unscheduled(f"{line} preemption: 0/1 nodes are available"), unlisted={"Node": "nodes is forbidden"})
    with pytest.raises(Failed) as end:
        world.require_working(world.require("Pod", "guestbook-1"))
    assert (end.value.cause, end.value.object, end.value.in_progress) == ("pod-unschedulable", "Pod/guestbook-1", False)
    assert end.value.facts["message"] == line.rstrip(".")
    assert "nodes is forbidden" in end.value.message


def test_not_ready_says_what_the_probe_got() -> None:
    sick = pod(ready=False, containers=[container(readinessProbe=PROBE)])
    world = state(sick, event(sick, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"))
    with pytest.raises(NotPassed) as end:
        world.require_working(sick)
    assert "503" in end.value.words.observed
    assert "/readyz" in end.value.words.expected


def test_a_crash_says_its_exit_code_and_last_words() -> None:
    sick = crash(1)
    world = state(sick, logs={"guestbook-1/app": "starting\nguestbook: PORT is not a number: 'eighty'\n"})
    with pytest.raises(NotPassed) as end:
        world.require_working(sick)
    assert "PORT is not a number" in end.value.message
    assert "1" in end.value.words.observed


def with_pods(
    count: int = 1,
    *,
    set_raw: dict[str, Any] | None = None,
    pods: Callable[[Object], list[Object]] | None = None,
    **changes: Any,
) -> State:
    """A Deployment with one ReplicaSet and its Pods."""
    top = deployment(replicas=changes.pop("replicas", count), **changes)
    middle = replica_set(top, **(set_raw or {}))
    return state(
        top, middle, *(pods(middle) if pods else [pod(f"guestbook-{i}", owner=middle) for i in range(count)]), node()
    )


REFUSED = {"type": "ReplicaFailure", "status": "True"}
WORKLOAD_WORLDS: dict[str, tuple[str, bool, Callable[[], State]]] = {
    "it works": ("", False, lambda: with_pods(2)),
    "nothing has acted on it yet": ("status-stale", True, lambda: with_pods(metadata={"generation": 2})),
    "it asks for nothing": ("zero-replicas", False, lambda: with_pods(0)),
    "it is paused half-way": (
        "rollout-paused",
        False,
        lambda: with_pods(1, spec={"paused": True}, status={"updatedReplicas": 0}),
    ),
    "paused, with nothing left to do": ("", False, lambda: with_pods(1, spec={"paused": True})),
    "no ReplicaSet yet": ("rollout-in-progress", True, lambda: state(deployment())),
    "the quota is used up": (
        "quota-exceeded",
        False,
        lambda: with_pods(
            0,
            replicas=1,
            set_raw={
                "status": {
                    "conditions": [{**REFUSED, "message": 'pods "guestbook-" is forbidden: exceeded quota: few'}]
                }
            },
        ),
    ),
    "a rule forbids its Pods": (
        "admission-refused",
        False,
        lambda: with_pods(
            0,
            replicas=1,
            set_raw={
                "status": {
                    "conditions": [{**REFUSED, "message": 'pods "guestbook-" is forbidden: violates PodSecurity'}]
                }
            },
        ),
    ),
    "a Pod below it is broken": ("container-crashes", False, lambda: with_pods(pods=lambda rs: [crash(1, owner=rs)])),
    "a settled fault comes before a passing one": (
        "image-not-found",
        False,
        lambda: with_pods(
            replicas=2,
            pods=lambda rs: [
                pod("guestbook-1", owner=rs, ready=False, container_state=waiting("ContainerCreating")),
                pod(
                    "guestbook-2",
                    owner=rs,
                    ready=False,
                    containers=[container(image="shop.example/cart:1")],
                    container_state=waiting("ErrImagePull"),
                ),
            ],
        ),
    ),
    "a Pod is missing": (
        "rollout-in-progress",
        True,
        lambda: with_pods(1, replicas=2, status={"updatedReplicas": 1, "availableReplicas": 1}),
    ),
    "nothing moves any more": (
        "rollout-stuck",
        False,
        lambda: with_pods(
            1,
            replicas=2,
            status={
                "updatedReplicas": 1,
                "availableReplicas": 1,
                "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}],
            },
        ),
    ),
}


@pytest.mark.parametrize("cause, pending, world", WORKLOAD_WORLDS.values(), ids=list(WORKLOAD_WORLDS))
def test_workload_chain(cause: str, pending: bool, world: Callable[[], State]) -> None:
    assert broken(world(), "Deployment") == (cause, pending)


def reach(**seen: str) -> dict[str, Any]:
    return {REACH: seen}


def behind(*objects: Object, seen: dict[str, str] | None = OPEN) -> State:
    """A Service's world: these objects, and what the observer saw of the Pods' ports."""
    return state(*objects, observations={REACH: seen} if seen is not None else {})


SERVICE_WORLDS: dict[str, tuple[str, bool, Callable[[], State]]] = {
    "it works": ("", False, lambda: behind(service(), pod(), slice_of())),
    "by the port's name": ("", False, lambda: behind(service(target="http"), pod(), slice_of())),
    "by another label": (
        "",
        False,
        lambda: behind(service(selector={"tier": "web"}), pod(labels={"tier": "web"}), slice_of()),
    ),
    "no selector": ("service-has-no-selector", False, lambda: behind(service(selector={}), pod())),
    "no selector, endpoints kept by hand": ("", False, lambda: behind(service(selector={}), slice_of())),
    "a name outside the cluster": ("", False, lambda: behind(service(selector={}, type="ExternalName"))),
    "a letter of the selector": (
        "service-selects-nothing",
        False,
        lambda: behind(service(selector={"app": "guestbok"}), pod()),
    ),
    "a letter of the selector, and its Pod is not ready": (
        "service-selects-nothing",
        False,
        lambda: behind(service(selector={"app": "guestbok"}), crash(1)),
    ),
    "nothing to select": ("service-selects-nothing", False, lambda: behind(service())),
    "the Pods are elsewhere": ("pods-in-other-namespace", False, lambda: behind(service(), pod(namespace="other"))),
    "the workload behind it asks for nothing": (
        "zero-replicas",
        False,
        lambda: behind(service(), deployment(replicas=0), replica_set(deployment())),
    ),
    "no Pod is ready": ("container-crashes", False, lambda: behind(service(), crash(1))),
    "a port name that no Pod has": (
        "target-port-name-unknown",
        False,
        lambda: behind(service(target="web"), pod(), slice_of()),
    ),
    "the endpoints are not there yet": ("endpoints-not-yet", True, lambda: behind(service(), pod())),
    "nothing listens there": (
        "target-port-refused",
        False,
        lambda: behind(
            service(target=9090),
            pod(),
            slice_of(),
            seen={**OPEN, "10.244.1.1:9090": "refused", "10.244.1.1:80": "refused"},
        ),
    ),
    "port and targetPort are swapped": (
        "service-ports-swapped",
        False,
        lambda: behind(service(port=8080, target=80), pod(), slice_of(), seen={**OPEN, "10.244.1.1:80": "refused"}),
    ),
    "nothing comes back": (
        "target-port-silent",
        False,
        lambda: behind(
            service(target=9090),
            pod(),
            slice_of(),
            seen={**OPEN, "10.244.1.1:9090": "timeout", "10.244.1.1:80": "refused"},
        ),
    ),
    "the app is still starting": (
        "target-port-refused",
        True,
        lambda: behind(
            service(), pod(since=3, age=5), slice_of(), seen={"10.244.1.1:8080": "refused", "10.244.1.1:80": "refused"}
        ),
    ),
    "the observer cannot be asked": (
        "observer-unreachable",
        False,
        lambda: behind(service(), pod(), slice_of(), seen={"error": "its Pod is not ready"}),
    ),
    "the observer refuses": (
        "observer-refused",
        False,
        lambda: behind(
            service(), pod(), slice_of(), seen={"error": "no token that was shown is good", "refused": True}
        ),
    ),
    "the Pod is newer than the look": ("not-observed", True, lambda: behind(service(), pod(), slice_of(), seen={})),
}


@pytest.mark.parametrize("cause, pending, world", SERVICE_WORLDS.values(), ids=list(SERVICE_WORLDS))
def test_service_chain(cause: str, pending: bool, world: Callable[[], State]) -> None:
    assert broken(world(), "Service") == (cause, pending)


NO_DNS = {CONTROL: {"addresses": [], "error": "no-answer"}}
NAMES: dict[str, tuple[str, bool, str, State, dict[str, Any]]] = {
    "a Service that is not there": ("name-unknown", False, "redos", state(service("redis")), {}),
    "another name for nothing": (
        "name-unknown",
        False,
        "shop",
        state(service("shop", type="ExternalName", externalName="shop.example")),
        {},
    ),
    "a Service that works": ("name-not-yet", True, "guestbook", behind(service(), pod(), slice_of()), {}),
    "a namespace that is not there": ("name-namespace-unknown", False, "redis.learm", state(service("redis")), {}),
    "no name leads anywhere": ("dns-down", False, "redis", state(), NO_DNS),
}


@pytest.mark.parametrize("cause, pending, host, world, lookups", NAMES.values(), ids=list(NAMES))
def test_name_chain(cause: str, pending: bool, host: str, world: State, lookups: dict[str, Any]) -> None:
    with pytest.raises(NotPassed) as end:
        explain_name(world, host, pod("asking"), lookups)
    assert (end.value.cause, end.value.in_progress, end.value.object) == (cause, pending, "Pod/asking")
    assert host in end.value.words.expected


def test_a_pod_that_asks_another_dns_is_told_by_its_policy() -> None:
    asking = deployment("asking")
    asking.spec["template"]["spec"] |= {"dnsPolicy": "ClusterFirst", "hostNetwork": True}
    with pytest.raises(Failed) as end:
        explain_name(state(), "redis", asking, NO_DNS)
    assert (end.value.cause, end.value.object) == ("dns-policy-outside", "Deployment/asking")
    assert end.value.words.observed == "dnsPolicy ClusterFirst, hostNetwork"


NOT_OBSERVED = (
    (Http("guestbook"), "observer-unreachable"),
    (NodePorts(), "outside-unreachable"),
    (DnsInside("app", ("redis",)), "pod-not-askable"),
)


@pytest.mark.parametrize("observation, cause", NOT_OBSERVED)
def test_an_observation_that_could_not_be_made_is_told_when_it_is_used(observation: Observation, cause: str) -> None:
    for observations, expected in ({observation.key: {"error": "no answer"}}, cause), ({}, "not-observed"):
        with pytest.raises(Unknown) as end:
            len(seen(state(observations=observations), observation))
        assert end.value.cause == expected
        assert ("no answer" if observations else observation.key) in end.value.message


def test_a_selector_that_matches_nothing_shows_the_nearest_labels() -> None:
    world = behind(
        service(selector={"app": "guestbok"}),
        pod(),
        pod("b", labels={"app": "guestbook", "x": "y"}),
        pod("c", labels={"app": "redis"}),
    )
    with pytest.raises(NotPassed) as end:
        world.require_working(world.require("Service", "guestbook"))
    assert "Its selector is app=guestbok. 2 ready Pods have app=guestbook." in end.value.message
    assert end.value.words.look == "kubectl get pods --show-labels"


def test_a_selector_that_matches_nothing_shows_what_pods_there_would_be() -> None:
    none = deployment(replicas=0)
    world = behind(service(selector={"app": "guestbok"}), none, pod("c", labels={"app": "cache"}))
    with pytest.raises(NotPassed) as end:
        world.require_working(world.require("Service", "guestbook"))
    assert (end.value.fault.form, end.value.facts["workload"]) == ("no-pods-of-workload", "guestbook")
    assert end.value.facts["labels"] == {"app": "guestbook"}


def test_a_daemon_set_that_no_controller_has_looked_at_wants_nodes_all_the_same() -> None:
    """Its status has zeros from the beginning: they are nobody's finding before there is an observedGeneration."""
    status = {"desiredNumberScheduled": 0, "currentNumberScheduled": 0, "numberReady": 0, "numberMisscheduled": 0}
    agent = obj(
        "DaemonSet", "agent", metadata={"generation": 1}, spec={"template": {"spec": {"containers": []}}}, status=status
    )
    assert broken(state(agent), "DaemonSet", "agent") == ("status-stale", True)


def test_the_counts_beside_a_broken_pod_are_of_its_own_revision() -> None:
    """What the Deployment says is available are Pods of all its revisions."""
    top = deployment(replicas=2)
    older, newest = replica_set(top, "guestbook-old"), replica_set(top, "guestbook-new")
    newest.annotations["deployment.kubernetes.io/revision"] = "2"
    sick = [pod(f"guestbook-new-{i}", owner=newest, ready=False, container_state=waiting("ErrImagePull")) for i in "ab"]
    old = [pod(f"guestbook-old-{i}", owner=older) for i in "ab"]
    for there, counts in (
        (old, "(Deployment guestbook: 2 Pods of the newest revision, 0 of 2 ready; 2 ready Pods of older revisions)"),
        ([], "(Deployment guestbook: 2 Pods of the newest revision, 0 of 2 ready)"),
    ):
        with pytest.raises(NotPassed) as end:
            state(top, older, newest, *sick, *there, node()).require_working(top)
        assert end.value.message.endswith(counts)


def test_a_rollout_that_waits_for_its_old_pods_names_them() -> None:
    top = deployment(replicas=1)
    older, newest = replica_set(top, "guestbook-old"), replica_set(top, "guestbook-new")
    newest.annotations["deployment.kubernetes.io/revision"] = "2"
    with pytest.raises(NotPassed) as end:
        state(top, older, newest, pod("a", owner=older), pod("b", owner=newest), node()).require_working(top)
    assert end.value.cause == "rollout-in-progress"
    assert {"updated": 1, "wanted": 1, "available": 1, "old": 1}.items() <= end.value.facts.items()


@pytest.mark.parametrize(
    ("command", "endless"),
    [
        (["tail", "-F", "/var/log/app.log"], "tail -F /var/log/app.log"),
        (["sh", "-c", "touch /x; tail -n 5 -f /var/log/app.log"], "tail -n 5 -f /var/log/app.log"),
        (["sleep", "infinity"], "sleep infinity"),
        (["sh", "-c", "while true; do date; sleep 1; done"], "while true; do date; sleep 1; done"),
        (["sh", "-c", "while true; do nc -z db 5432 && break; sleep 1; done"], ""),
        (["sh", "-c", "until nc -z db 5432; do sleep 1; done"], ""),
        (["tail", "-n", "5", "/etc/foo"], ""),
        (["sh", "-c", "tail -n 1 /x && rm -f /y"], ""),
        (["sleep", "3600"], ""),
    ],
)
def test_a_command_that_does_not_end_by_itself(command: list[str], endless: str) -> None:
    assert endless_command({"command": command}) == endless
