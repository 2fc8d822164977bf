"""Quotas, limits and units: what refusals are understood as, and what a container over its limit is told to be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from checker.diagnosis import resources
from checker.diagnosis.resources import explain_creation, explain_refusal, is_slip, low_cpu_limit, read_refusal
from checker.grading.labs import load_lab, load_module
from checker.model.fault import Fault, Ref
from checker.model.state import Object
from checker.model.verdict import Failed, NotPassed, Result, Unknown, Verdict
from checker.sdk import State
from checker.ui.report import same_roots

from .objects import ago, container, deployment, event, node, obj, pod, replica_set, state

cgroup = load_module(load_lab("09").folder, "cgroup")


@pytest.mark.parametrize(
    "resource, text, slip",
    [
        ("memory", "64", True),
        ("memory", "64m", True),
        ("memory", "512Ki", True),
        ("requests.memory", "256k", True),
        ("memory", "64M", False),
        ("memory", "4Mi", False),
        ("memory", "0", False),
        ("memory", "134217728000m", False),
        ("cpu", "100", True),
        ("limits.cpu", "200", True),
        ("cpu", "100m", False),
        ("cpu", "0.1", False),
        ("cpu", "64", False),
        ("cpu", "100000m", False),
        ("pods", "1", False),
    ],
)
def test_which_quantities_have_hardly_the_unit_that_was_meant(resource: str, text: str, slip: bool) -> None:
    assert is_slip(resource, text) == slip


FORBIDDEN = 'pods "guestbook-abc-x7f2p" is forbidden: '
REFUSALS = {
    "the sum is used up": (
        "quota-exceeded",
        FORBIDDEN
        + "exceeded quota: budget, requested: requests.cpu=100m, used: requests.cpu=100m, limited: requests.cpu=150m",
    ),
    "the sum, without numbers": ("quota-exceeded", FORBIDDEN + "exceeded quota: budget"),
    "whole CPUs": (
        "cpu-unit-slip",
        FORBIDDEN
        + "exceeded quota: budget, requested: requests.cpu=50, used: requests.cpu=0, limited: requests.cpu=150m",
    ),
    "bytes": (
        "memory-unit-slip",
        FORBIDDEN
        + "exceeded quota: budget, "
        + "requested: requests.memory=48Mi, used: requests.memory=0, limited: requests.memory=256",
    ),
    "no numbers for the sum": (
        "quota-needs-requests",
        FORBIDDEN + "failed quota: budget: must specify requests.cpu for: guestbook; requests.memory for: guestbook",
    ),
    "no numbers for the sum, by the short names": (
        "quota-needs-requests",
        FORBIDDEN + "failed quota: budget: must specify cpu for: app; memory for: app",
    ),
    "nothing is counted yet": (
        "quota-not-counted-yet",
        FORBIDDEN + "status unknown for quota: budget, resources: requests.cpu",
    ),
    "above a maximum": (
        "above-limit-range",
        FORBIDDEN + "maximum memory usage per Container is 50Mi, but limit is 64Mi",
    ),
    "above two": (
        "above-limit-range",
        FORBIDDEN
        + "[maximum memory usage per Container is 50Mi, but limit is 64Mi, "
        + "maximum cpu usage per Container is 0.5, but limit is 1]",
    ),
    "a maximum, and nothing said": (
        "above-limit-range",
        FORBIDDEN + "maximum memory usage per Pod is 50Mi.  No limit is specified",
    ),
    "a maximum, and whole CPUs": (
        "cpu-unit-slip",
        FORBIDDEN + "maximum cpu usage per Container is 1, but limit is 100",
    ),
    "below a minimum": ("below-limit-range", FORBIDDEN + "minimum cpu usage per Container is 20m, but request is 10m"),
    "below a minimum by its unit": (
        "memory-unit-slip",
        FORBIDDEN + "minimum memory usage per Container is 16Mi, but request is 64",
    ),
    "too far apart": (
        "limit-range-ratio",
        FORBIDDEN + "memory max limit to request ratio per Container is 1500m, but provided ratio is 2.000000",
    ),
    "a request above the limit": (
        "request-above-limit",
        'Pod "guestbook-abc-x7f2p" is invalid: spec.containers[0].resources.requests: Invalid value: "48Mi": '
        "must be less than or equal to memory limit of 32Mi",
    ),
    "something else": ("admission-refused", FORBIDDEN + 'violates PodSecurity "restricted:latest"'),
}


@pytest.mark.parametrize("cause, message", REFUSALS.values(), ids=list(REFUSALS))
def test_a_refusal_is_understood_and_told(cause: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_refusal(message).cause == cause
    monkeypatch.setattr(resources, "_is_over", lambda *_: False)
    top = deployment()
    with pytest.raises(Failed) as end:
        explain_refusal(state(top), top, replica_set(top), message)
    words = end.value.fault.words()
    assert end.value.cause == cause
    assert words.message and words.expected and words.observed and words.look
    assert "forbidden" not in words.message


@pytest.mark.parametrize("cause, message", REFUSALS.values(), ids=list(REFUSALS))
def test_a_refused_manifest_has_the_same_cause(cause: str, message: str) -> None:
    world = state(
        refusals=[{"file": "a.yaml", "kind": "Pod", "name": "heavy", "message": f"Error from server: {message}"}]
    )
    with pytest.raises(Failed) as end:
        world.require("Pod", "heavy")
    assert end.value.cause == ("manifest-refused" if cause == "admission-refused" else cause)


def quota(hard: dict[str, str], used: dict[str, str] | None = None, counted: dict[str, str] | None = None) -> Object:
    return obj("ResourceQuota", "budget", spec={"hard": hard}, status={"hard": counted or hard, "used": used or {}})


def limit_range(*items: dict[str, Any]) -> Object:
    return obj("LimitRange", "defaults", spec={"limits": [{"type": "Container", **item} for item in items]})


def refused(message: str, *others: Object) -> State:
    """A Deployment whose ReplicaSet is refused all Pods with this message."""
    top = deployment(status={"updatedReplicas": 0, "availableReplicas": 0})
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    return state(top, replica_set(top, status={"conditions": [condition]}), *others)


def end_of(world: State, kind: str, name: str = "guestbook") -> NotPassed:
    with pytest.raises(NotPassed) as end:
        world.require_working(world.require(kind, name))
    return end.value


OVER = REFUSALS["the sum is used up"][1]
UNSAID = REFUSALS["no numbers for the sum"][1]
TOO_MUCH = REFUSALS["above a maximum"][1]
STALE = {
    "no room": ("quota-exceeded", OVER, [quota({"requests.cpu": "150m"}, {"requests.cpu": "100m"})]),
    "room now": ("refused-before", OVER, [quota({"requests.cpu": "300m"}, {"requests.cpu": "100m"})]),
    "larger, and not counted yet": (
        "quota-exceeded",
        OVER,
        [quota({"requests.cpu": "300m"}, {"requests.cpu": "100m"}, {"requests.cpu": "150m"})],
    ),
    "the quota is gone": ("refused-before", OVER, []),
    "no defaults": ("quota-needs-requests", UNSAID, [quota({"requests.cpu": "1"})]),
    "defaults for one of two": (
        "quota-needs-requests",
        UNSAID,
        [quota({"requests.cpu": "1"}), limit_range({"defaultRequest": {"cpu": "10m"}})],
    ),
    "defaults now": (
        "refused-before",
        UNSAID,
        [quota({"requests.cpu": "1"}), limit_range({"defaultRequest": {"cpu": "10m"}, "max": {"memory": "64Mi"}})],
    ),
    "the maximum stands": ("above-limit-range", TOO_MUCH, [limit_range({"max": {"memory": "50Mi"}})]),
    "the maximum was raised": ("refused-before", TOO_MUCH, [limit_range({"max": {"memory": "64Mi"}})]),
}


@pytest.mark.parametrize("cause, message, others", STALE.values(), ids=list(STALE))
def test_a_refusal_that_no_longer_holds_is_pending(cause: str, message: str, others: list[Object]) -> None:
    end = end_of(refused(message, *others), "Deployment")
    assert (end.cause, end.in_progress) == (cause, cause == "refused-before")
    assert end.object == "ReplicaSet/guestbook-abc"


@pytest.mark.parametrize(("own", "is_named"), [({}, True), ({"limits": {"memory": "32Mi"}}, False)])
def test_a_limit_below_a_request_is_told_with_the_limit_range_that_gave_it(own: dict[str, Any], is_named: bool) -> None:
    asks = container(resources={"requests": {"memory": "48Mi"}, **own})
    top = deployment(containers=[asks])
    made = replica_set(top, spec={"template": {"spec": {"containers": [asks]}}})
    world = state(top, made, limit_range({"default": {"memory": "32Mi"}}))
    with pytest.raises(Failed) as end:
        explain_refusal(world, top, made, REFUSALS["a request above the limit"][1])
    assert end.value.cause == "request-above-limit"
    assert ("LimitRange defaults gives it its default limit of 32Mi" in end.value.message) == is_named


def test_a_quota_with_the_wrong_unit_is_the_root_of_what_it_refuses() -> None:
    hard = {"requests.memory": "256"}
    end = end_of(refused(REFUSALS["bytes"][1], quota(hard)), "Deployment")
    assert (end.cause, end.object) == ("memory-unit-slip", "ResourceQuota/budget")
    assert "256 bytes" in end.message


@pytest.mark.parametrize(
    "kind, spec", [("StatefulSet", {"replicas": 2}), ("DaemonSet", {}), ("Job", {"parallelism": 1})]
)
def test_what_has_no_condition_is_read_from_its_events(kind: str, spec: dict[str, Any]) -> None:
    maker = obj(kind, "store", spec=spec, status={"observedGeneration": 1, "replicas": 0, "desiredNumberScheduled": 1})
    refused = event(maker, "FailedCreate", f"Create Pod store-0 in {kind} store failed error: {OVER}")
    world = state(maker, refused, quota({"requests.cpu": "150m"}, {"requests.cpu": "100m"}))
    with pytest.raises(Failed) as end:
        explain_creation(world, maker, maker)
    assert end.value.cause == "quota-exceeded"
    later = event(maker, "SuccessfulCreate", "create Pod store-0 successful")
    later.raw["lastTimestamp"] = ago(1)
    explain_creation(state(maker, refused, later), maker, maker)  # a refusal that was overcome
    enough = [pod(f"store-{n}", owner=maker) for n in range(2)]
    explain_creation(state(maker, refused, *enough), maker, maker)


def limited(name: str = "app", which: str = "limits", **resources: str) -> dict[str, Any]:
    return container(name, resources={which: resources})


CREATING = {"waiting": {"reason": "ContainerCreating"}}


def test_a_memory_limit_without_its_unit_is_named_whatever_the_node_says() -> None:
    end = end_of(
        state(pod(ready=False, containers=[limited(memory="64")], container_state=CREATING)), "Pod", "guestbook-1"
    )
    assert (end.cause, end.object) == ("memory-unit-slip", "Pod/guestbook-1")
    assert "64 bytes" in end.message


def test_a_default_without_its_unit_is_the_limit_ranges_fault() -> None:
    top = deployment()
    middle = replica_set(top)
    below = pod(owner=middle, ready=False, containers=[limited(memory="64")], container_state=CREATING)
    end = end_of(state(top, middle, below, limit_range({"default": {"memory": "64"}})), "Deployment")
    assert (end.cause, end.object) == ("memory-unit-slip", "LimitRange/defaults")


def test_whole_cpus_that_no_node_has() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient cpu.",
    }
    waits = pod(node="", ready=False, conditions=[condition], containers=[limited(which="requests", cpu="100")])
    end = end_of(state(waits, node()), "Pod", "guestbook-1")
    assert end.cause == "cpu-unit-slip"
    assert end.facts["cpus"] == 100 and end.facts["largest"] == 4


def killed(message: str = "", reason: str = "OOMKilled", limit: str = "32M") -> Object:
    last = {"exitCode": 137, "reason": reason, "message": message}
    return pod(
        ready=False,
        container_state={"waiting": {"reason": "CrashLoopBackOff"}},
        last=last,
        restarts=2,
        containers=[limited(memory=limit)],
    )


def test_a_kill_for_memory_says_what_the_limit_means() -> None:
    end = end_of(state(killed()), "Pod", "guestbook-1")
    assert end.cause == "container-oom-killed"
    assert (end.facts["limit"], end.facts["bytes"], end.facts["mebibytes"]) == ("32M", 32_000_000, "30.5Mi")
    assert "32M (32000000 bytes), which is 30.5Mi" in end.message


@pytest.mark.parametrize("ready, cause", [(False, "container-oom-killed"), (True, "")])
def test_a_container_that_was_killed_for_memory_and_is_not_ready_again(ready: bool, cause: str) -> None:
    probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    again = pod(
        ready=ready,
        since=40,
        restarts=1,
        last={"exitCode": 137, "reason": "OOMKilled"},
        containers=[{**limited(memory="64M"), "readinessProbe": probe}],
    )
    if not cause:
        state(again).require_working(again)
    else:
        assert end_of(state(again), "Pod", "guestbook-1").cause == cause


def test_a_limit_in_which_not_even_the_first_process_fits() -> None:
    message = (
        "failed to create containerd task: OCI runtime create failed: runc create failed: "
        "unable to start container process: container init was OOM-killed (memory limit too low?)"
    )
    end = end_of(state(killed(message, "StartError", "2Mi")), "Pod", "guestbook-1")
    assert end.cause == "container-oom-killed"


@pytest.mark.parametrize(
    "limit, got, noted",
    [
        ("50m", 'Get "http://10.244.1.1:8080/readyz": context deadline exceeded', True),
        ("50m", "HTTP probe failed with statuscode: 503", False),
        ("2", "context deadline exceeded", False),
    ],
)
def test_a_probe_that_got_no_answer_in_time_is_told_of_a_low_cpu_limit(limit: str, got: str, noted: bool) -> None:
    assert bool(low_cpu_limit(limited(cpu=limit), got)) == noted
    assert low_cpu_limit(container(), got) == ""


V2 = "usage_usec 812345\nuser_usec 700000\nnr_periods 40\nnr_throttled 31\nthrottled_usec 2500000\n"
V1 = "nr_periods 40\nnr_throttled 31\nthrottled_time 2500000000\n"


@pytest.mark.parametrize("text, count", [(V2, 31), (V1, 31), ("usage_usec 812345\n", 0)])
def test_cpu_stat_of_both_versions(text: str, count: int) -> None:
    assert cgroup.read_cpu_stat("busy-1", text).throttled == count


def test_the_account_is_asked_in_a_running_pod_and_read_where_it_is() -> None:
    top = deployment("busy")
    middle = replica_set(top, "busy-abc")
    observation = cgroup.CpuStatInside("busy")
    question = observation.question(state(top, middle, pod("busy-1", owner=middle)))
    assert question and list(question["asks"]) == ["busy-1"]
    assert observation.question(state(top)) is None
    seen = observation.read({"busy-1": {"cpu": {cgroup.CPU_STAT: None, cgroup.CPU_STAT_V1[0]: V1}}})
    assert seen.of(["busy-1"]).throttled == 31


def test_an_account_that_could_not_be_read_is_unknown() -> None:
    for seen in (
        {},
        {"busy-1": {"error": "Pod busy-1 could not be asked"}},
        {"busy-1": {"cpu": {cgroup.CPU_STAT: None}}},
    ):
        with pytest.raises(Unknown):
            cgroup.CpuAccount(seen).of(["busy-1"])


def test_two_objects_of_one_name_in_two_namespaces_are_two_roots() -> None:
    def verdict(team: str) -> Verdict:
        fault = Fault("quota-too-large", Ref("ResourceQuota", "budget", f"learn-{team}"))
        return Verdict(team, team, 1, "failed", fault.cause, "Why.", object=str(fault.object), fault=fault)

    blue, green = verdict("blue"), verdict("green")
    assert same_roots(Result("09", "Lab", "learn", (blue, green))) == {}
    assert same_roots(Result("09", "Lab", "learn", (blue, replace(blue, id="again")))) == {"again": blue}
