"""Refinement: which exact cause the messages at a broken link name, and that each has a sentence for it."""

from __future__ import annotations

from typing import Any

import pytest

from checker.diagnosis.refine import refine, refined
from checker.model.fault import Fault, Ref
from checker.model.state import Object

from .objects import container, deployment, event, obj, pod, replica_set, state


def exact(fault: Fault, about: Object, *others: Object, **world: Any) -> Fault:
    """What a fault is refined to. Every word of it can be written."""
    found = refined(state(about, *others, **world), fault)
    words = found.words()
    assert words.message
    assert words.look.startswith("kubectl ")
    assert "  " not in words.message
    return found


REFUSED = {
    'error looking up service account learn/x: serviceaccount "bilder" not found': "service-account-missing",
    "no PriorityClass with name urgent was found": "priority-class-unknown",
    'pod rejected: RuntimeClass "gvisor" not found': "runtime-class-unknown",
    'Internal error occurred: failed calling webhook "gate.example.com": timeout': "webhook-unreachable",
    'admission webhook "gate.example.com" denied the request: no owner': "admission-policy-refused",
    "ValidatingAdmissionPolicy 'owner' with binding 'owner' denied request: no owner": "admission-policy-refused",
    "unable to create new content in namespace learn because it is being terminated": "namespace-being-deleted",
    "something that nobody knows": "admission-refused",
}


@pytest.mark.parametrize("message, cause", REFUSED.items(), ids=REFUSED.values())
def test_who_refuses_the_pods_of_a_workload(message: str, cause: str) -> None:
    maker = replica_set(deployment())
    found = refine(state(maker), Fault("admission-refused", Ref.of(maker), {"message": message}))
    assert (found.cause, found.object) == (cause, Ref.of(maker))
    if cause != "admission-refused":
        assert "Deployment guestbook" in found.words().message
        assert found.words().observed == message


def test_a_service_account_of_almost_that_name_is_named() -> None:
    maker = replica_set(deployment())
    fault = Fault("admission-refused", Ref.of(maker), {"message": 'serviceaccount "bilder" not found'})
    found = exact(fault, maker, obj("ServiceAccount", "builder"))
    assert found.words().message.endswith("There is a ServiceAccount builder.")


ONE_OF = {
    "matchExpressions": [
        {"key": "disk", "operator": "In", "values": ["ssd", "nvme"]},
        {"key": "spot", "operator": "DoesNotExist"},
    ]
}
SCHEDULED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a device": ("0/3 nodes: 3 Insufficient example.com/gpu", {}, "pod-unschedulable-device"),
    "a port": (
        "0/3 nodes: 3 node(s) didn't have free ports",
        {"ports": [{"hostPort": 80}, {"hostPort": 81}]},
        "host-port-taken",
    ),
    "a spread": ("0/3 nodes: 3 didn't match pod topology spread constraints", {}, "pod-unschedulable-spread"),
    "beside others": ("0/3 nodes: 3 didn't match pod affinity rules", {}, "pod-unschedulable-pod-affinity"),
    "away from others": ("0/3 nodes: 3 didn't match pod anti-affinity rules", {}, "pod-unschedulable-pod-affinity"),
    "labels": ("0/3 nodes: 3 didn't match Pod's node affinity/selector", {}, "pod-unschedulable-affinity"),
    "nothing known": ("0/3 nodes: 3 something else", {}, "pod-unschedulable"),
}


@pytest.mark.parametrize("message, of_container, cause", SCHEDULED.values(), ids=SCHEDULED)
def test_which_filter_of_the_scheduler_it_was(message: str, of_container: dict[str, Any], cause: str) -> None:
    waits = pod(node="", containers=[container(**of_container)])
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [ONE_OF]}}
    waits.spec["affinity"] = {"nodeAffinity": required}
    waits.spec["topologySpreadConstraints"] = [{"topologyKey": "zone"}]
    found = refine(state(waits), Fault("pod-unschedulable", Ref.of(waits), {"message": message}))
    assert found.cause == cause
    if cause != "pod-unschedulable":
        assert found.words().observed == message
    if cause == "pod-unschedulable-affinity":
        assert found.facts["terms"] == ["disk in (ssd,nvme),!spot"]


def test_an_exact_cause_is_told_on_the_way_from_the_same_objects() -> None:
    maker = replica_set(deployment())
    fault = Fault("admission-refused", Ref.of(maker), {"message": "no PriorityClass with name urgent was found"})
    fault = fault.within("elsewhere", namespace="x").but(led_elsewhere=True)
    found = exact(fault, maker)
    assert (found.contexts, found.led_elsewhere) == (fault.contexts, True)


def test_what_a_refinement_goes_by_may_not_be_listed() -> None:
    waits = pod(ready=False, container_state={"waiting": {"reason": "ImagePullBackOff"}})
    waits.spec["imagePullSecrets"] = [{"name": "registry-key"}]
    fault = Fault("image-not-found", Ref.of(waits), {})
    assert refine(state(waits), fault).cause == "pull-secret-missing"
    assert refine(state(waits, unlisted={"Secret": "forbidden"}, forbidden=frozenset({"Secret"})), fault) is fault


def test_what_failed_before_a_container_started_is_over() -> None:
    starts = pod(since=1)
    failed = event(starts, "FailedCreatePodSandBox", "no network")
    fault = Fault("pod-starting", Ref.of(starts), in_progress=True)
    assert refine(state(starts, failed), fault) is fault
    waits = pod(ready=False, container_state={"waiting": {"reason": "ContainerCreating"}})
    failed = event(waits, "FailedCreatePodSandBox", "no network")
    assert refine(state(waits, failed), fault).cause == "pod-stuck-starting"
    retried = fault.but(facts={"message": 'configmap "settings" not found'})
    assert refine(state(waits, failed), retried) is retried


def test_a_probe_without_an_event_is_told_with_what_answers_now() -> None:
    waits = pod(ready=False, since=600)
    seen = {"probed": {"guestbook-1/app": {"status": 503, "text": "busy", "error": ""}}}
    fault = Fault("readiness-probe-fails", Ref.of(waits), {"answer": ""})
    assert refine(state(waits, observations=seen), fault).facts["answer"] == "statuscode: 503, busy"


def test_the_container_whose_port_is_in_use_on_the_node_is_quoted() -> None:
    ended = pod(ready=False, container_state={"waiting": {"reason": "CrashLoopBackOff"}}, last={"exitCode": 1})
    ended.spec["hostNetwork"] = True
    logs = {"guestbook-1/app": "starting\nbind: Address already in use\nbye"}
    found = exact(Fault("container-crashes", Ref.of(ended), {"quote": "bye"}), ended, logs=logs)
    assert (found.cause, found.facts["quote"]) == ("host-port-taken", "bind: Address already in use")
