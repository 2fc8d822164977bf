"""Explaining without a cluster: the recorded cases, small worlds for faults that are hard to produce, the page."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import checker.diagnosis
from checker import recording
from checker.diagnosis.explain import examined, explained, parsed
from checker.grading.grade import judge
from checker.grading.lab_state import LabState
from checker.grading.labs import all_labs, load_lab
from checker.model.catalogue import catalogue
from checker.model.explanation import Consequence, Explanation, Finding
from checker.model.fault import Failed, NotPassed
from checker.model.kinds import ALWAYS, KINDS
from checker.model.state import LOGS, REACH, Object, Request, State
from checker.ui import causes_page
from checker.ui.explanation import ExplanationReport, html_of, text_of
from cluster import Problem
from cluster.language import load as load_yaml
from tests.explain.case import FOLDER, Case, all_cases, load, remarks, roots

from .objects import ago, container, deployment, event, node, obj, pod, replica_set, service, slice_of, state

CASES = [pytest.param(case, id=case.name) for case in all_cases()]

# Causes that no case of a lab or of explaining produces, and why.
_ON_ITS_WAY = "on its way: it is over, or has a cause of its own, before anybody could settle on it"
_EVERYBODYS = "what everybody's cases run on would have to fail"
_ONLY_REQUESTED = "only requests show it that a lab makes; explaining makes none"
FORBIDDEN = (
    'pods is forbidden: User "system:serviceaccount:learn:reader" cannot list resource "pods" in API group "" '
    'in the namespace "learn"'
)
_COMPOSE = "the Docker lab's own, before anything else is looked at"
NOT_PRODUCED = {
    "log-not-read": "takes a user with few rights: tests/unit/test_api.py and test_state.py",
    "kind-not-asked": "Only code asks for a kind that it did not list: tests/unit/test_state.py.",
    **dict.fromkeys(
        (
            "pod-starting",
            "pod-not-scheduled-yet",
            "pod-not-ready",
            "status-stale",
            "object-being-deleted",
            "rollout-in-progress",
            "endpoints-not-yet",
            "name-not-yet",
            "not-observed",
            "claim-not-bound-yet",
            "file-not-refreshed-yet",
            "nothing-saved-yet",
            "policy-not-yet-enforced",
            "quota-not-counted-yet",
            "refused-before",
            "job-running",
            "not-throttled",
            "app-says-otherwise",
            "cronjob-not-run-yet",
        ),
        _ON_ITS_WAY,
    ),
    **dict.fromkeys(
        ("claim-lost", "provisioning-failed", "volume-attached-elsewhere", "volume-missing", "volume-not-removed"),
        "takes a storage system that this cluster has not: tests/unit/test_chains_storage.py",
    ),
    **dict.fromkeys(("limit-range-ratio", "request-above-limit"), "tests/unit/test_chains_resources.py"),
    **dict.fromkeys(
        (
            "node-not-ready",
            "node-under-pressure",
            "node-cordoned",
            "all-nodes-unschedulable",
            "pod-on-lost-node",
        ),
        "takes nodes away from every other case: tests/unit/test_chains_nodes.py",
    ),
    "path-not-answering": "tests/unit/test_policy.py",
    "autoscaler-without-request": "takes metrics-server: tests/unit/test_kinds_of_faults.py",
    "too-few-workers": "takes a worker away from every other case: tests/unit/test_labs_02.py",
    "policies-not-enforced": "tests/faults opens the observer's wall",
    "claim-waits-for-pod": "no fault: a claim that no Pod uses yet",
    **dict.fromkeys(
        ("cronjob-run-failed", "job-failed", "liveness-probe-fails", "startup-probe-fails", "pod-stuck-starting"),
        "what is behind it has a cause of its own, as far as it is known: tests/unit/test_chains_*.py",
    ),
    "job-too-few-completions": "the rule of job-counts-swapped with other numbers",
    "cronjob-missed": "takes minutes without a controller: tests/unit/test_chains_jobs.py",
    **dict.fromkeys(
        (
            "engine-unreachable",
            "outside-unreachable",
            "dns-down",
            "node-port-unreachable",
            "replica-gets-no-traffic",
        ),
        _EVERYBODYS,
    ),
    **dict.fromkeys(("service-does-not-answer", "pod-not-askable"), _ONLY_REQUESTED),
    **dict.fromkeys(("app-missing", "redis-missing", "container-does-not-answer", "port-leads-elsewhere"), _COMPOSE),
    "api-unreachable": "tests/faults stops the API server",
    "observer-unreachable": "tests/faults takes the observer away",
    "observer-refused": "the tests have every right: tests/class/test_observer.py",
    "checker-crashed": "a fault of the course itself: tests/unit/test_judging.py",
    "cannot-list": "the tests have every right: tests/unit/test_state.py",
    "image-not-loaded": "an image on some nodes only would stay there for every other case: tests/unit/test_chains.py",
    "pod-unschedulable": "each of the scheduler's filters has a cause of its own: what is left is what is not known",
    "pod-unschedulable-volume": "the claim that is waited for has a cause of its own",
    "service-has-no-ready-pod": "a Pod that is not ready has a cause of its own",
    "rollout-stuck": "what keeps a rollout from moving has a cause of its own: tests/unit/test_chains.py",
}


# -- recorded cases --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_recording_is_explained_as_it_was(case: Case) -> None:
    world, explanation = load(case.recording)
    found = explained(world)
    assert json.loads(json.dumps(found.to_json())) == explanation
    assert case.as_wanted(roots(found)), repr(found)
    assert remarks(found) == list(case.remarks)


@pytest.mark.parametrize("case", CASES)
def test_recording_is_small_and_holds_no_secret_and_no_trace_of_one_machine(case: Case) -> None:
    text = case.recording.read_text()
    assert len(text) < 150_000
    for secret in json.loads(text)["state"]["objects"].get("Secret", []):
        assert set(secret.get("data", {}).values()) <= {""}
    assert not re.search("kubeclass-(test|solo|gate)", text)
    assert str(Path.home()) + "/" not in text


@pytest.mark.parametrize("case", CASES)
def test_every_finding_says_how_it_was_seen_and_where_to_look(case: Case) -> None:
    for finding in explained(load(case.recording)[0]).findings:
        assert finding.cause in catalogue()
        assert finding.message
        assert finding.command.startswith(("kubectl ", "kubeclass "))
        assert "  " not in finding.message


def test_every_case_is_recorded_and_nothing_else() -> None:
    assert {path.stem for path in (FOLDER / "recorded").glob("*.json")} == {case.name for case in all_cases()}


def test_every_cause_is_produced_by_some_case() -> None:
    """A cause that nothing has ever shown is a guess."""
    produced = {
        cause
        for case in all_cases()
        for root in (*case.finds, *case.remarks)
        for cause in root.split("@")[0].split("|")
    }
    for number in all_labs(drafts=True):
        for case in load_lab(number).cases("mistakes").values():
            produced |= {*case.fails.values(), *case.unknown.values()}
    # What labs say of a lab that has only begun (recorded/setup.json) is seen on the cluster as well.
    for path in causes_page.recordings():
        produced |= {task.get("cause", "") for task in json.loads(path.read_text()).get("tasks", [])}
    assert sorted(set(catalogue()) - produced - set(NOT_PRODUCED)) == []
    assert sorted(set(NOT_PRODUCED) - set(catalogue())) == []


def test_the_cases_alone_produce_sixty_causes() -> None:
    assert len({cause for case in all_cases() for root in case.finds for cause in root.split("@")[0].split("|")}) >= 60


# The causes that a chain can name, lab or not. All others are a lab's own demands, of which explain knows nothing.
OF_CHAINS = {
    cause
    for path in Path(checker.diagnosis.__file__).parent.glob("*.py")
    for cause in re.findall(r'"([a-z0-9-]+)"', path.read_text())
    if cause in catalogue()
}
# The graders of lab 10 know what happened before: the probe failed while the guestbook was not sick. A State tells only
# how it is now.
FROM_A_TIMELINE = {("10", "dependency-in-liveness")}


@pytest.mark.parametrize("number", [number for number in all_labs() if number != "01"])
def test_states_of_the_labs_are_explained_as_they_are_graded(number: str) -> None:
    """Nothing crashes, right answers are not called wrong, and of one object check and explain name the same cause."""
    lab = load_lab(number)
    for path in (lab.folder / "recorded").glob("*.json"):
        world, tasks = recording.load(path)
        found = explained(world)
        assert [f for f in found.unseen if f.cause == "checker-crashed"] == [], path
        if all(task["verdict"] == "passed" for task in tasks):
            assert roots(found) == [], path
        told = [*found.findings, *found.unseen]
        for task in judge(lab, world).tasks:
            if task.verdict != "failed" or task.cause not in OF_CHAINS or (number, task.cause) in FROM_A_TIMELINE:
                continue
            of_object = {one.cause for one in told if task.object in (one.object, one.seen_at)}
            assert task.cause in (of_object or {task.cause}), (path, task.id, of_object)


CHECKED = ("Pod", "Deployment", "Service", "StatefulSet", "Job")


def differences(world: State) -> list[str]:
    """The objects of which a lab's check and explain name another cause, or another object at which it sits."""
    given, found = LabState.of(world), []
    objects = [one for kind in CHECKED if world.can_see(kind) for one in world.all(kind)]
    for one in (one for one in objects if not one.is_terminating):
        try:
            given.require_working(one)
        except NotPassed as end:
            checked, explained_as = end.fault, examined(world, one)
            if explained_as is None or (explained_as.cause, explained_as.object) != (checked.cause, checked.object):
                found.append(f"{one.ref}: check {checked.cause}, explain {explained_as and explained_as.cause}")
    return found


@pytest.mark.parametrize("number", all_labs())
def test_check_and_explain_name_the_same_cause_in_the_states_of_a_lab(number: str) -> None:
    for path in (load_lab(number).folder / "recorded").glob("*.json"):
        assert differences(recording.load(path)[0]) == [], path


@pytest.mark.parametrize("case", CASES)
def test_check_and_explain_name_the_same_cause_in_the_states_of_explain(case: Case) -> None:
    assert differences(load(case.recording)[0]) == []


# -- small worlds ----------------------------------------------------------------------------------------------------


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def app(name: str, **of_pod: Any) -> tuple[Object, Object, Object]:
    """A Deployment with one Pod: (Deployment, ReplicaSet, Pod)."""
    labels = {"app": name}
    top = deployment(name, spec={"template": {"metadata": {"labels": labels}, "spec": {"containers": [container()]}}})
    if not of_pod.get("ready", True):
        top.raw["status"]["availableReplicas"] = 0
    middle = replica_set(top, f"{name}-abc")
    return top, middle, pod(f"{name}-abc-1", owner=middle, labels=labels, **of_pod)


def service_of(name: str, **spec: Any) -> tuple[Object, Object]:
    return service(name, {"app": name}, **spec), slice_of(name)


def crashing(name: str, log: str, **of_pod: Any) -> tuple[tuple[Object, Object, Object], dict[str, str]]:
    """An app whose container ends with code 1, and its logs."""
    last = {"exitCode": 1, "reason": "Error", "finishedAt": ago(20)}
    made = app(name, ready=False, container_state=waiting("CrashLoopBackOff"), last=last, restarts=4, **of_pod)
    return made, {f"{name}-abc-1/app": log}


def found_in(*objects: Object, **fields: Any) -> list[str]:
    return roots(explained(state(*objects, **fields)))


def test_nothing_is_wrong_in_an_empty_namespace() -> None:
    nothing = explained(state())
    assert (nothing.exit_code, nothing.summary) == (0, "Namespace learn: nothing is wrong.")


def test_a_namespace_that_does_not_exist_is_said_so_with_the_nearest_one() -> None:
    found = explained(state(namespace="laern")).findings
    assert [f.cause for f in found] == ["namespace-missing"]
    assert "learn" in found[0].message


def test_an_api_server_that_does_not_answer_is_not_seen_rather_than_wrong() -> None:
    world = State("learn", state().now, unlisted=dict.fromkeys(("Pod", "Service"), "no answer within 5 s"))
    seen = explained(world)
    assert (seen.exit_code, [f.cause for f in seen.unseen]) == (2, ["api-unreachable"])


def test_logs_that_may_not_be_read_leave_the_general_cause_and_are_named() -> None:
    broken, logs = crashing("web", "redis: Connection refused", containers=of_redis())
    world = state(*broken)
    world.logs, world.forbidden = {}, frozenset({LOGS})
    world.unread_logs = dict.fromkeys(logs, "pods is forbidden")
    found = explained(world)
    assert roots(found) == ["container-crashes@Deployment/web"]
    assert [f.cause for f in found.unseen] == ["log-not-read"]
    assert "the logs of Pod web-abc-1: pods is forbidden" in found.unseen[0].message


def test_logs_of_pods_that_work_are_not_missed() -> None:
    world = state(pod(), forbidden=frozenset({LOGS}), unread_logs={"guestbook-1/app": "pods is forbidden"})
    assert explained(world).unseen == ()


def test_kinds_that_may_not_be_listed_are_told_once_and_the_rest_is_explained() -> None:
    broken, logs = crashing("web", "no such table")
    world = state(*broken, logs=logs, unlisted={"Secret": "forbidden", "ConfigMap": "forbidden"})
    found = explained(world)
    assert roots(found) == ["container-crashes@Deployment/web"]
    assert [f.cause for f in found.unseen] == ["cannot-list"]
    assert found.exit_code == 1


def test_what_may_not_be_listed_is_not_told_as_a_cluster_that_does_not_answer() -> None:
    world = State("learn", state().now, unlisted=dict.fromkeys(ALWAYS, "forbidden"), forbidden=ALWAYS)
    (unseen,) = explained(world).unseen
    assert unseen.cause == "cannot-list"


def test_kinds_that_only_the_cluster_has_need_not_be_seen() -> None:
    assert (
        explained(state(unlisted={"Node": "forbidden", "IngressClass": "forbidden", "Role": "forbidden"})).exit_code
        == 0
    )


def test_consequences_are_folded_under_their_root() -> None:
    redis = app("redis", ready=False, container_state=waiting("ImagePullBackOff"))
    web, logs = crashing(
        "web",
        "Redis at redis does not answer: Connection refused",
        containers=[container(env=[{"name": "REDIS_HOST", "value": "redis"}])],
    )
    found = explained(state(*redis, *service_of("redis", port=6379), *web, *service_of("web"), logs=logs))
    assert roots(found) == ["image-not-found@Deployment/redis"]
    assert [c.object for c in found.findings[0].consequences] == ["Deployment/web", "Service/redis", "Service/web"]


def test_a_program_that_tells_only_the_address_is_followed_by_the_address() -> None:
    redis = app("redis", ready=False, container_state=waiting("ImagePullBackOff"))
    web, logs = crashing("web", "dial tcp 10.96.7.7:6379: connect: connection refused")
    named = service_of("redis", port=6379, clusterIP="10.96.7.7")
    assert found_in(*redis, *named, *web, logs=logs) == ["image-not-found@Deployment/redis"]


def test_a_crash_that_says_nothing_of_others_is_a_root_of_its_own() -> None:
    redis = app("redis", ready=False, container_state=waiting("ImagePullBackOff"))
    web, logs = crashing(
        "web", "SyntaxError: invalid syntax", containers=[container(env=[{"name": "REDIS_HOST", "value": "redis"}])]
    )
    found = found_in(*redis, *service_of("redis", port=6379), *web, logs=logs)
    assert sorted(found) == ["container-crashes@Deployment/web", "image-not-found@Deployment/redis"]


def test_apps_that_need_each_other_are_explained_without_end() -> None:
    def needs(other: str) -> dict[str, Any]:
        return {"containers": [container(env=[{"name": "PEER", "value": other}])]}

    one, logs_one = crashing("one", "cannot connect to two: Connection refused", **needs("two"))
    two, logs_two = crashing("two", "cannot connect to one: Connection refused", **needs("one"))
    found = found_in(*one, *two, *service_of("one"), *service_of("two"), logs={**logs_one, **logs_two})
    assert found
    assert {root.split("@")[0] for root in found} == {"container-crashes"}


def test_a_rollout_in_progress_is_no_fault() -> None:
    top, middle, made = app("web", ready=False, container_state=waiting("ContainerCreating"), age=2)
    found = explained(state(top, middle, made))
    assert found.exit_code == 0
    assert [f.object for f in found.in_progress] == ["Deployment/web"]
    assert "nothing is wrong" in found.summary


def test_pods_of_a_revision_that_is_being_replaced_are_not_mentioned() -> None:
    top, old, made = app("web", ready=False, container_state=waiting("ImagePullBackOff"))
    new = replica_set(top, "web-new")
    new.annotations["deployment.kubernetes.io/revision"] = "2"
    fresh = pod(
        "web-new-1", owner=new, labels={"app": "web"}, ready=False, container_state=waiting("ContainerCreating"), age=1
    )
    assert found_in(top, old, made, new, fresh) == []


def test_a_container_that_has_come_back_again_and_again_is_not_believed_when_it_runs() -> None:
    last = {"exitCode": 3, "reason": "Error", "finishedAt": ago(40)}
    young = pod(since=3, last=last, restarts=5, ready=True)
    old = pod(since=30, last=last, restarts=5, ready=True)
    assert found_in(young) == ["container-crashes@Pod/guestbook-1"]
    assert found_in(old) == ["container-restarts-often@Pod/guestbook-1"]
    sidecar = pod(since=30)
    sidecar.spec["initContainers"] = [container("clock", restartPolicy="Always")]
    sidecar.status["initContainerStatuses"] = [{**old.status["containerStatuses"][0], "name": "clock"}]
    assert found_in(sidecar) == ["container-restarts-often@Pod/guestbook-1"]


@pytest.mark.parametrize(
    ("runs", "start", "found"),
    [
        (90, 20, []),  # it ended twice in the first twenty seconds, and has run for much longer since
        (50, 10, ["container-restarts-often@Pod/guestbook-1"]),
        (90, 40, ["container-restarts-often@Pod/guestbook-1"]),
    ],
)
def test_a_container_that_ended_only_at_the_start_of_its_pod_is_well_after_a_while(
    runs: float, start: float, found: list[str]
) -> None:
    last = {"exitCode": 1, "reason": "Error", "finishedAt": ago(runs)}
    late = pod(since=runs - 10, last=last, restarts=2, age=runs + start)
    late.status["startTime"] = ago(runs + start)
    assert found_in(late) == found


@pytest.mark.parametrize(
    ("last_words", "found"),
    [
        ("ConnectionRefusedError: [Errno 111] Connection refused", []),
        ("ValueError: no such page", ["container-restarts-often@Pod/guestbook-1"]),
    ],
)
def test_a_container_that_waited_for_another_server_is_well_when_it_runs_longer_than_its_start(
    last_words: str, found: list[str]
) -> None:
    last = {"exitCode": 1, "reason": "Error", "finishedAt": ago(85)}
    late = pod(since=85, last=last, restarts=3, age=119)
    late.status["startTime"] = ago(119)
    code = "import socket\nsocket.create_connection((host, int(port)), timeout=2)"
    late.spec["containers"][0]["command"] = ["python3", "-c", code]
    log = f"    socket.create_connection((host, int(port)), timeout=2)\n{last_words}\n"
    assert found_in(late, logs={"guestbook-1/app": log}) == found


@pytest.mark.parametrize("log, cause", [(FORBIDDEN, "rbac-forbidden"), ("bye", "container-restarts-often")])
def test_a_lab_names_the_same_cause_of_restarts_as_explain(log: str, cause: str) -> None:
    again = pod(since=30, last={"exitCode": 3, "reason": "Error", "finishedAt": ago(40)}, restarts=5, ready=True)
    world = state(again, logs={"guestbook-1/app": log})
    with pytest.raises(Failed) as end:
        world.require_lasting(again)
    assert [f"{end.value.cause}@Pod/guestbook-1"] == roots(explained(world)) == [f"{cause}@Pod/guestbook-1"]


def test_what_ended_while_its_node_was_coming_up_again_is_no_fault() -> None:
    back = pod(since=30, last={"exitCode": 1, "reason": "Error", "finishedAt": ago(40)}, restarts=5, ready=True)
    back.status["startTime"] = ago(9000)
    sandbox = {"type": "PodReadyToStartContainers", "status": "True", "lastTransitionTime": ago(70)}
    back.status["conditions"].append(sandbox)
    assert found_in(back) == []
    sandbox["lastTransitionTime"] = ago(9000)
    assert found_in(back) == ["container-restarts-often@Pod/guestbook-1"]


def test_what_was_lost_with_its_node_is_no_fault() -> None:
    last = {"exitCode": 255, "reason": "Unknown", "finishedAt": ago(40)}
    assert found_in(pod(since=30, last=last, restarts=5, ready=True)) == []
    assert found_in(pod(since=30, last={**last, "reason": "Error"}, restarts=5, ready=True)) == [
        "container-restarts-often@Pod/guestbook-1"
    ]


@pytest.mark.parametrize(
    "hours, restarts, found",
    [
        ([9, 2], 4, True),  # it has run for about two hours each time, and does so again
        ([9, 5], 4, False),  # and now for five hours
        ([9, 2], 2, False),  # twice is not yet often
        ([5, 4.9], 4, False),  # it ended four times when it was new
        ([300, 20], 10, True),
        ([300, 25], 10, False),  # a day without an end
    ],
)
def test_restarts_at_long_intervals_are_a_fault_until_it_has_run_for_longer(
    hours: list[float], restarts: int, found: bool
) -> None:
    """hours: since the Pod was made, and since its container ended last."""
    age, since = (3600 * number for number in hours)
    last = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": ago(since)}
    wanted = ["container-oom-killed@Pod/guestbook-1"] if found else []
    assert found_in(pod(since=since - 5, age=age, last=last, restarts=restarts)) == wanted


def test_one_restart_long_ago_is_forgotten() -> None:
    assert found_in(pod(since=900, last={"exitCode": 1, "finishedAt": ago(905)}, restarts=3)) == []


def test_no_replicas_are_a_fault_only_where_something_needs_them() -> None:
    asleep = deployment(
        "web", 0, spec={"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container()]}}}
    )
    assert found_in(asleep) == []
    assert found_in(asleep, *service_of("web")) == ["zero-replicas@Deployment/web"]
    assert roots(explained(state(asleep), "Deployment", "web")) == ["zero-replicas@Deployment/web"]


def test_names_that_nobody_can_look_up_are_the_dns_s_fault() -> None:
    env = [{"name": "REDIS_HOST", "value": "redis"}]
    web, logs = crashing("web", "redis: Temporary failure in name resolution", containers=[container(env=env)])
    redis = app("redis")
    down = {
        "dns-control": {"kubernetes.default": {"addresses": [], "error": "no-such-host"}},
        REACH: {"10.244.1.1:8080": "open"},
    }
    found = explained(state(*web, *redis, *service_of("redis"), logs=logs, observations=down))
    assert roots(found) == ["dns-down@Deployment/coredns"]
    assert [c.object for c in found.findings[0].consequences] == ["Deployment/web"]


def test_somebody_elses_namespace_was_not_looked_into() -> None:
    env = [{"name": "REDIS_HOST", "value": "redis.theirs"}]
    web, logs = crashing("web", "redis.theirs does not answer: timed out", containers=[container(env=env)])
    theirs = obj("Namespace", "theirs", namespace="")
    found = found_in(*web, theirs, logs=logs, unlisted={"theirs": "it is somebody else's"})
    assert found == ["container-crashes@Deployment/web"]


def test_a_pod_of_a_controller_that_is_not_known_speaks_for_itself() -> None:
    rollout = obj("Rollout", "web")
    broken = pod("web-1", owner=rollout, ready=False, container_state=waiting("ImagePullBackOff"))
    assert found_in(broken) == ["image-not-found@Pod/web-1"]


def test_an_examination_that_fails_itself_is_not_seen_rather_than_wrong() -> None:
    odd = pod()
    odd.raw["status"]["containerStatuses"] = odd.status["containerStatuses"] = [
        {"name": "app", "state": {"running": {"since": 1}}}
    ]
    found = explained(state(odd))
    assert (found.exit_code, [f.cause for f in found.unseen]) == (2, ["checker-crashed"])


def test_a_held_pod_is_named_itself_and_not_the_workload_that_made_it() -> None:
    top, middle, made = app("web")
    made.metadata.update(deletionTimestamp=ago(60), finalizers=["example.com/hold"])
    top.status.update(availableReplicas=0, conditions=[{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}])
    found = explained(state(top, middle, made))
    assert roots(found) == ["deletion-blocked-by-finalizer@Pod/web-abc-1"]
    assert [c.object for c in found.findings[0].consequences] == ["Deployment/web"]


@pytest.mark.parametrize(
    "message, cause",
    [
        (
            'failed to do request: Head "https://shop.example/v2/cart": dial tcp: lookup shop.example: no such host',
            "registry-unreachable",
        ),
        ("failed to authorize: unexpected status from HEAD request: 401 Unauthorized", "image-pull-denied"),
        ("failed to resolve image: shop.example/cart:1: not found", "image-not-found"),
    ],
)
def test_what_a_registry_says_is_told_apart(message: str, cause: str) -> None:
    event = (
        f'Failed to pull image "shop.example/cart:1": failed to pull and unpack image "shop.example/cart:1": {message}'
    )
    made = pod(
        ready=False,
        containers=[container(image="shop.example/cart:1")],
        container_state=waiting("ImagePullBackOff", event),
    )
    assert found_in(made, node()) == [f"{cause}@Pod/guestbook-1"]


# -- refinement ------------------------------------------------------------------------------------------------------


def of_redis(value: str = "redis", **more: Any) -> list[dict[str, Any]]:
    return [container(env=[{"name": "REDIS_HOST", "value": value}], **more)]


@pytest.mark.parametrize(
    "log, containers, of_pod, cause",
    [
        (
            "OSError: [Errno 30] Read-only file system: '/x'",
            [container(securityContext={"readOnlyRootFilesystem": True})],
            {},
            "file-system-read-only",
        ),
        (
            "PermissionError: [Errno 13] Permission denied: '/x'",
            [container(securityContext={"runAsUser": 1})],
            {},
            "container-not-permitted",
        ),
        ("PermissionError: [Errno 13] Permission denied: '/x'", [container()], {}, "container-crashes"),
        ("bind: address already in use", [container()], {"hostNetwork": True}, "host-port-taken"),
        ("redis: Name or service not known", of_redis(), {"dnsPolicy": "Default"}, "dns-policy-outside"),
        (
            "redis: Name or service not known",
            of_redis(),
            {"dnsPolicy": "ClusterFirst", "hostNetwork": True},
            "dns-policy-outside",
        ),
        ("redis: Name or service not known", of_redis(), {"dnsPolicy": "ClusterFirst"}, "container-crashes"),
        ("redis:6380: Connection refused", of_redis("redis:6380"), {}, "service-port-unknown"),
        (FORBIDDEN, [container()], {"serviceAccountName": "reader"}, "rbac-forbidden"),
        (
            "open /var/run/secrets/kubernetes.io/serviceaccount/token: no such file or directory",
            [container()],
            {},
            "token-not-mounted",
        ),
    ],
)
def test_last_words_tell_what_is_wrong_with_the_place(
    log: str, containers: Any, of_pod: dict[str, Any], cause: str
) -> None:
    web, logs = crashing("web", log, containers=containers)
    web[2].spec.update(of_pod)
    redis = app("redis")
    reach = {REACH: {"10.244.1.1:8080": "open"}}
    found = explained(state(*web, *redis, *service_of("redis", port=6379), logs=logs, observations=reach))
    assert roots(found) == [f"{cause}@Deployment/web"], repr(found)


def binding(role: str, account: str) -> Object:
    subjects = [{"kind": "ServiceAccount", "name": account, "namespace": "learn"}]
    return obj("RoleBinding", "readers", roleRef={"kind": "Role", "name": role}, subjects=subjects)


@pytest.mark.parametrize(
    "role, account, root",
    [
        ("raeder", "reader", "role-missing@RoleBinding/readers"),
        ("reader", "readr", "binding-subject-missing@RoleBinding/readers"),
        ("reader", "reader", "rbac-forbidden@Deployment/web"),
    ],
)
def test_a_refusal_may_have_its_root_in_a_role_binding(role: str, account: str, root: str) -> None:
    web, logs = crashing("web", FORBIDDEN)
    known = (obj("Role", "reader"), obj("ServiceAccount", "reader"), binding(role, account))
    assert found_in(*web, *known, logs=logs) == [root]


def test_a_container_that_runs_and_is_refused_is_not_well() -> None:
    assert found_in(pod(), logs={"guestbook-1/app": FORBIDDEN}) == ["rbac-forbidden@Pod/guestbook-1"]


def waits(command: str) -> Object:
    made = pod(ready=False, container_state=waiting("PodInitializing"))
    made.spec["initContainers"] = [{"name": "wait", "image": "guestbook:v1", "command": ["sh", "-c", command]}]
    made.status["initContainerStatuses"] = [
        {"name": "wait", "ready": False, "restartCount": 0, "state": {"running": {"startedAt": ago(30)}}}
    ]
    return made


@pytest.mark.parametrize(
    "command",
    [
        "until nslookup database; do sleep 1; done",
        "until nc -z database 5432; do sleep 1; done",
        "python3 -c \"import socket; socket.create_connection(('database', 1))\"",
    ],
)
def test_an_init_container_that_waits_without_a_word_is_asked_whom_it_waits_for(command: str) -> None:
    assert found_in(waits(command)) == ["name-unknown@Pod/guestbook-1"]
    broken = app("database", ready=False, container_state=waiting("ImagePullBackOff"))
    assert found_in(waits(command), *broken, *service_of("database")) == ["image-not-found@Deployment/database"]


@pytest.mark.parametrize(
    ("command", "env"),
    [
        ("python3 -c \"import socket; socket.create_connection(('database', 5432))\"", {}),
        ("until nc -z $DB_HOST ${DB_PORT}; do sleep 1; done", {"DB_HOST": "database", "DB_PORT": "5432"}),
    ],
)
def test_an_init_container_that_waits_for_a_port_that_its_service_does_not_have(
    command: str, env: dict[str, str]
) -> None:
    made = waits(command)
    made.spec["initContainers"][0]["env"] = [{"name": name, "value": value} for name, value in env.items()]
    world = state(made, *app("database"), *service_of("database"), observations={REACH: {"10.244.1.1:8080": "open"}})
    (found,) = explained(world).findings
    assert found.root == "service-port-unknown@Pod/guestbook-1"
    assert "waits for port 5432 of Service database. The Service has only port 80." in found.message


def test_an_init_container_that_works_is_given_time() -> None:
    found = explained(state(waits("python3 migrate.py")))
    assert (roots(found), [f.cause for f in found.in_progress]) == ([], ["init-container-runs"])


def test_a_service_that_selects_pods_of_another_app() -> None:
    web, cache = app("web", ip="10.244.1.1"), app("cache", ip="10.244.1.2")
    for made in (web[2], cache[2]):
        made.labels["part-of"] = "shop"
    reach = {REACH: {"10.244.1.1:8080": "open", "10.244.1.2:8080": "refused"}}
    found = found_in(*web, *cache, service("web", {"part-of": "shop"}), slice_of("web"), observations=reach)
    assert found == ["service-selects-other-pods@Service/web"]
    del reach[REACH]["10.244.1.1:8080"]  # a Pod that was not tried is not one that does not answer
    found = found_in(*web, *cache, service("web", {"part-of": "shop"}), slice_of("web"), observations=reach)
    assert "service-selects-other-pods@Service/web" not in found


def test_two_deployments_behind_one_service_are_not_surely_a_fault() -> None:
    web, canary = app("web", ip="10.244.1.1"), app("canary", ip="10.244.1.2")
    for made in (web[2], canary[2]):
        made.labels["part-of"] = "shop"
    reach = {REACH: {"10.244.1.1:8080": "open", "10.244.1.2:8080": "open"}}
    assert found_in(*web, *canary, service("web", {"part-of": "shop"}), slice_of("web"), observations=reach) == []


def workload(kind: str, strategy: dict[str, Any], **status: Any) -> Object:
    spec = {"replicas": 2, "updateStrategy": strategy, "template": {"spec": {"containers": [container()]}}}
    return obj(kind, "db", spec=spec, status={"observedGeneration": 1, **status})


def test_an_update_that_stops_where_it_was_told_to_is_no_fault() -> None:
    done = {"replicas": 2, "updatedReplicas": 1, "availableReplicas": 2}
    canary = workload("StatefulSet", {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}, **done)
    pods = [pod(f"db-{n}", owner=canary) for n in range(2)]
    assert explained(state(canary, *pods)).summary == "Namespace learn: nothing is wrong."
    held = workload("StatefulSet", {"type": "OnDelete"}, **done)
    told = explained(state(held, *pods))
    assert not told.findings and [one.root for one in told.remarks] == ["rollout-on-delete@StatefulSet/db"]


def test_a_daemon_set_that_wants_no_node_is_not_one_that_was_put_to_sleep() -> None:
    assert found_in(workload("DaemonSet", {}, desiredNumberScheduled=0)) == ["daemonset-has-no-node@DaemonSet/db"]


def test_a_probe_of_which_no_event_tells_is_asked_again() -> None:
    probe = {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1}
    made = pod(ready=False, containers=[container(readinessProbe=probe)], since=600)
    seen = {"probed": {"guestbook-1/app": {"status": 503, "text": "busy", "host": "", "version": "", "error": ""}}}
    found = explained(state(made, observations=seen)).findings[0]
    assert (found.root, found.observed) == ("readiness-probe-fails@Pod/guestbook-1", "statuscode: 503, busy")


def test_a_claim_that_is_used_stays() -> None:
    claim = obj(
        "PersistentVolumeClaim",
        "data",
        metadata={"deletionTimestamp": ago(60), "finalizers": ["kubernetes.io/pvc-protection"]},
    )
    user = pod("user")
    user.spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    found = explained(state(claim, user)).findings
    assert [f.root for f in found] == ["deletion-blocked-in-use@PersistentVolumeClaim/data"]
    assert "user" in found[0].message


def test_a_rollout_that_waits_for_a_leaving_claim_is_not_a_log_that_complains() -> None:
    claim = obj(
        "PersistentVolumeClaim",
        "data",
        metadata={"deletionTimestamp": ago(60), "finalizers": ["kubernetes.io/pvc-protection"]},
    )
    top = deployment("wiki", status={"updatedReplicas": 1, "replicas": 2, "unavailableReplicas": 1})
    old, new = replica_set(top, "wiki-1"), replica_set(top, "wiki-2")
    new.annotations["deployment.kubernetes.io/revision"] = "2"
    message = 'persistentvolumeclaim "data" is being deleted'
    unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    pods = [pod("wiki-1-a", owner=old), pod("wiki-2-b", owner=new, node="", ready=False, conditions=[unplaced])]
    for one in pods:
        one.spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    (found,) = explained(state(claim, top, old, new, *pods)).findings
    assert found.root == "deletion-blocked-in-use@PersistentVolumeClaim/data"
    assert "Pod wiki-1-a uses it. Pod wiki-2-b wants it, too" in found.message
    assert [(one.object, one.observed) for one in found.consequences] == [("Deployment/wiki", "1 of 2 Pods available")]


def test_what_was_deleted_a_moment_ago_is_no_fault() -> None:
    leaving = obj("ConfigMap", "kept", metadata={"deletionTimestamp": ago(1), "finalizers": ["example.com/hold"]})
    assert found_in(leaving) == []


# -- one object ------------------------------------------------------------------------------------------------------


def test_of_one_object_only_what_concerns_it_is_told() -> None:
    broken = app("redis", ready=False, container_state=waiting("ImagePullBackOff"))
    other = pod("other", ready=False, container_state=waiting("InvalidImageName"), labels={"app": "other"})
    well = app("web")
    world = state(*broken, *service_of("redis"), other, *well)
    for kind, name in (
        ("Deployment", "redis"),
        ("Service", "redis"),
        ("ReplicaSet", "redis-abc"),
        ("Pod", "redis-abc-1"),
    ):
        assert roots(explained(world, kind, name)) == ["image-not-found@Deployment/redis"], kind
    assert roots(explained(world, "Pod", "other")) == ["image-name-invalid@Pod/other"]
    assert explained(world, "Deployment", "web").summary == "Deployment/web in namespace learn: nothing is wrong."


def test_an_object_that_is_not_there_is_said_so_with_the_nearest_name() -> None:
    found = explained(state(*app("web")), "Deployment", "wbe")
    assert [f.cause for f in found.findings] == ["wrong-name"]
    assert found.exit_code == 1


@pytest.mark.parametrize(
    "words, meant",
    [
        (("deploy/web",), ("Deployment", "web")),
        (("deployments.apps/web",), ("Deployment", "web")),
        (("Deployment/web",), ("Deployment", "web")),
        (("svc", "web"), ("Service", "web")),
        (("pod", "web-1"), ("Pod", "web-1")),
        (("ingresses/web",), ("Ingress", "web")),
        (("no/worker",), ("Node", "worker")),
    ],
)
def test_kinds_are_written_as_for_kubectl(words: tuple[str, ...], meant: tuple[str, str]) -> None:
    assert parsed(*words) == meant


@pytest.mark.parametrize("words", ["cat/tom", "web", "deploy", "deploy/", "deploy/a/b"])
def test_what_nobody_can_mean_is_a_problem(words: str) -> None:
    with pytest.raises(Problem):
        parsed(words)


# -- words -----------------------------------------------------------------------------------------------------------

EXPLANATION = Explanation(
    "shop",
    "",
    (
        Finding(
            "container-crashes",
            "Container app exits with <code> 1.",
            "Deployment/web",
            "shop",
            "a process that keeps running",
            "exit code 1",
            "kubectl logs web-1",
            "Pod/web-1",
            (Consequence("Service/web", "0 of 1 Pods ready", "shop"),),
        ),
    ),
    (Finding("cannot-list", "Secret objects could not be listed.", "Namespace/shop", "shop"),),
    (Finding("pod-starting", "Pod api-1 is starting.", "Deployment/api", "shop"),),
)


def test_the_text_names_the_root_first_then_evidence_then_what_follows() -> None:
    lines = text_of(EXPLANATION).splitlines()
    assert lines[0] == "Namespace shop: 1 thing is wrong."
    assert lines[1].startswith("  ✘ Deployment/web  The container exits with an error  [container-crashes]")
    text = "\n".join(lines)
    in_order = [
        "exits with <code> 1",
        "Expected: a process",
        "Look: kubectl -n shop logs web-1",
        "What follows from it:",
        "Service/web: 0 of 1 Pods ready",
        "? not seen",
        "… in progress: Pod api-1",
    ]
    assert [text.index(words) for words in in_order] == sorted(text.index(words) for words in in_order)
    assert "\033[" not in text
    assert "\033[" in text_of(EXPLANATION, colour=True)


def test_the_html_has_the_same_words_and_nothing_that_a_message_could_run() -> None:
    shown = html_of(EXPLANATION)
    for words in (
        "Deployment/web",
        "Service/web: 0 of 1 Pods ready",
        "kubectl -n shop logs web-1",
        "not seen",
        "in progress",
    ):
        assert words in shown
    assert "&lt;code&gt;" in shown
    assert ExplanationReport(**vars(EXPLANATION))._repr_html_() == shown


def test_a_command_says_where_only_where_it_has_to() -> None:
    def look(command: str, namespace: str = "shop") -> str:
        return Finding("container-crashes", "", "Pod/x", namespace, look=command).command

    assert look("kubectl logs x") == "kubectl -n shop logs x"
    assert look("kubectl logs x", "learn") == "kubectl logs x"
    assert look("kubectl get nodes") == "kubectl get nodes"
    assert look("kubectl get services -n other") == "kubectl get services -n other"


def test_the_json_holds_everything() -> None:
    data = EXPLANATION.to_json()
    assert (data["healthy"], data["summary"]) == (False, "Namespace shop: 1 thing is wrong.")
    assert data["findings"][0]["consequences"] == [
        {"object": "Service/web", "namespace": "shop", "observed": "0 of 1 Pods ready"}
    ]
    assert {
        "cause",
        "title",
        "message",
        "expected",
        "observed",
        "object",
        "namespace",
        "seen_at",
        "look",
        "meaning",
        "lesson",
    } < set(data["findings"][0])


# -- the page --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page() -> str:
    return causes_page.page()


def test_the_page_of_causes_is_up_to_date(page: str) -> None:
    assert causes_page.PAGE.read_text() == page, "write it anew: make docs"


def test_the_page_has_every_cause_once(page: str) -> None:
    for cause in catalogue():
        assert page.count(f"<br>`{cause}` |") == 1, cause


def test_the_page_links_to_the_section_of_the_lesson_that_teaches_a_cause(page: str) -> None:
    rows = {line.partition("<br>`")[2].partition("`")[0]: line for line in page.splitlines() if "<br>`" in line}
    assert rows["service-selects-nothing"].endswith(
        "| [A Service: one name for many Pods](../lessons/07-services.ipynb#A-Service%3A-one-name-for-many-Pods) |"
    )
    assert rows["engine-unreachable"].endswith("|  |"), "no section covers it"
    for id, cause in catalogue().items():
        assert (f"| [{cause.section}](" in rows[id]) == bool(cause.section), id


@pytest.mark.parametrize("number", all_labs(drafts=True))
def test_the_page_has_the_causes_and_forms_of_each_lab(number: str, page: str) -> None:
    lab = load_lab(number)
    section = page.partition(f"## [Lab {number}: ")[2].partition("\n## ")[0]
    entries = load_yaml((lab.folder / "causes.yaml").read_text())
    own = {id for id in entries if section.count(f"<br>`{id}` |") == 1}
    assert own == set(entries) - set(catalogue())
    for id, entry in entries.items():
        assert section.count(f"| `{id}` | ") == (id not in own and "message" in entry), id
        for form in entry.get("forms", {}):
            assert section.count(f"| `{id}`, {form} |") == 1, (id, form)


def test_the_command_explains_itself() -> None:
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "checker.ui.cli", "explain", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for words in ("--namespace", "--json", "--wait", "Exit status"):
        assert words in done.stdout


def test_events_alone_do_not_make_a_fault() -> None:
    well = pod()
    assert (
        found_in(
            well, event(well, "FailedMount", "MountVolume.SetUp failed"), event(well, "BackOff", "Back-off restarting")
        )
        == []
    )


CLUSTER_SCOPED = {kind for kind, what in KINDS.items() if not what.namespaced}


def as_admin_of_the_namespace(seen: State) -> State:
    """The same State with the rights of a namespace's admin: its objects, and nothing of the cluster's."""
    return replace(
        seen,
        objects={
            kind: [o for o in found if o.namespace == seen.namespace]
            for kind, found in seen.objects.items()
            if kind not in CLUSTER_SCOPED
        },
        unlisted={**seen.unlisted, **{kind: f"{KINDS[kind].plural} is forbidden" for kind in CLUSTER_SCOPED}},
        forbidden=frozenset(CLUSTER_SCOPED),
        request=Request(frozenset(CLUSTER_SCOPED), frozenset(KINDS) - CLUSTER_SCOPED),
    )


@pytest.mark.parametrize("case", CASES)
def test_with_the_rights_of_a_namespaces_admin_no_object_that_is_not_well_is_dropped(case: Case) -> None:
    """A chain degrades to what can be seen: another cause, or what could not be seen; never silence."""
    seen = load(case.recording)[0]
    less = explained(as_admin_of_the_namespace(seen))
    explanation = {one.object for one in less.findings} | {c.object for one in less.findings for c in one.consequences}
    explanation |= {one.object for one in (*less.unseen, *less.in_progress)}
    for finding in explained(seen).findings:
        if not finding.object.startswith("Namespace/"):  # its own conditions are the cluster's
            concerned = {finding.object, *(one.object for one in finding.consequences)}
            assert concerned & explanation or less.unseen, finding.root
