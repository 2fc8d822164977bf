"""Lab 14 judged on its solution's recording with other policies in it.

What they would do to Pods that are not there is read from the policies, so that no cluster is needed.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from checker import recording
from checker.grading.grade import judge
from checker.grading.labs import load_lab

LAB = load_lab("14")
STATE, _ = recording.load(LAB.folder / "recorded" / "solution.json")
ALL = {task.id: "passed" for task in LAB.spec.tasks}
ADDRESSES = {pod.labels.get("app") or pod.labels["role"]: pod.status["podIP"] for pod in STATE.objects["Pod"]}
GUESTS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "learn-visitors"}}}
VISITORS = {**GUESTS, "podSelector": {"matchLabels": {"role": "visitor"}}}
TO_REDIS = {"to": [{"podSelector": {"matchLabels": {"app": "redis"}}}], "ports": [{"port": 6379}]}
AT_53 = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]}
KUBE_SYSTEM = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]
NAMES: dict[str, Any] = {"to": KUBE_SYSTEM, **AT_53}


def labels(**pairs: str) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": pairs}}


def but(**pair: str) -> dict[str, Any]:
    """Pods that have this label, and another value of it."""
    return {
        "podSelector": {
            "matchExpressions": [
                e
                for key, value in pair.items()
                for e in ({"key": key, "operator": "NotIn", "values": [value]}, {"key": key, "operator": "Exists"})
            ]
        }
    }


def block(address: str, bits: int = 32) -> dict[str, Any]:
    return {"ipBlock": {"cidr": f"{address}/{bits}"}}


def causes(policy: str = "", hand: dict[str, dict[str, str]] | None = None, /, **spec: Any) -> dict[str, str]:
    """The causes where this policy of the solution has another spec.

    hand: labels that were given to Pods, by the Pods' first label.
    """
    objects = copy.deepcopy(STATE.objects)
    for one in objects["NetworkPolicy"]:
        if one.name == policy:
            one.raw["spec"] |= spec
    for pod in objects["Pod"]:
        one = pod.labels.get("app") or pod.labels["role"]
        pod.raw["metadata"]["labels"] |= (hand or {}).get(one, {})
    state = copy.copy(STATE)
    state.objects = objects
    return {task.id: task.cause or task.verdict for task in judge(LAB, state).tasks}


def test_the_solution_passes() -> None:
    assert causes() == ALL


OPEN_NOW_ONLY: list[tuple[set[str], str, dict[str, dict[str, str]], dict[str, Any]]] = [
    ({"redis", "egress"}, "redis", {}, {"ingress": [{"from": [block(ADDRESSES["guestbook"])]}]}),
    (
        {"redis", "egress"},
        "guestbook",
        {},
        {"egress": [{"to": [block(ADDRESSES["redis"])], "ports": [{"port": 6379}]}, NAMES]},
    ),
    ({"visitors"}, "guestbook", {}, {"ingress": [{"from": [block(ADDRESSES["visitor"])], "ports": [{"port": 8080}]}]}),
    (
        {"redis", "egress"},
        "redis",
        {"guestbook": {"access": "redis"}},
        {"ingress": [{"from": [labels(access="redis")]}]},
    ),
    ({"redis", "egress"}, "redis", {"redis": {"tier": "data"}}, labels(tier="data")),
]


@pytest.mark.parametrize("tasks, policy, hand, spec", OPEN_NOW_ONLY)
def test_what_is_open_for_the_pods_of_today_only_does_not_count(
    tasks: set[str], policy: str, hand: dict[str, dict[str, str]], spec: dict[str, Any]
) -> None:
    assert causes(policy, hand, **spec) == ALL | dict.fromkeys(tasks, "path-not-allowed")


EVERYWHERE: dict[str, Any] = {"namespaceSelector": {}}
TEAMS = {"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]}}
SYSTEM = {
    "namespaceSelector": {
        "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["default", "learn-x"]}]
    }
}
BOTH = {
    "namespaceSelector": {
        "matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["learn", "learn-visitors"]}
        ]
    }
}
TOO_MUCH: list[tuple[str, str, dict[str, Any]]] = [
    (
        "visitors",
        "guestbook",
        {"ingress": [{"from": [EVERYWHERE | labels(role="visitor")], "ports": [{"port": 8080}]}]},
    ),
    ("visitors", "guestbook", {"ingress": [{"from": [VISITORS, labels(role="visitor")], "ports": [{"port": 8080}]}]}),
    ("redis", "redis", {"ingress": [{"from": [BOTH | labels(app="guestbook")], "ports": [{"port": 6379}]}]}),
    ("egress", "guestbook", {"egress": [TO_REDIS, {"ports": [*NAMES["ports"], {"port": 80}]}]}),
    ("egress", "guestbook", {"egress": [TO_REDIS, NAMES, {"ports": [{"port": 1000, "endPort": 2000}]}]}),
    ("egress", "guestbook", {"egress": [TO_REDIS, {"ports": [{"protocol": "UDP"}]}]}),
    ("egress", "guestbook", {"egress": [TO_REDIS, AT_53]}),
    ("egress", "guestbook", {"egress": [TO_REDIS, {"to": [EVERYWHERE], **AT_53}]}),
    ("egress", "guestbook", {"egress": [TO_REDIS, {"to": [block("0.0.0.0", 1), block("128.0.0.0", 1)], **AT_53}]}),
    ("egress", "guestbook", {"egress": [TO_REDIS, NAMES, {"to": KUBE_SYSTEM}]}),
    ("egress", "guestbook", {"egress": [NAMES, {"ports": [{"port": 6379}]}]}),
    ("egress", "guestbook", {"egress": [NAMES, {"to": [{"podSelector": {}}], "ports": [{"port": 6379}]}]}),
    (
        "egress",
        "guestbook",
        {"egress": [NAMES, TO_REDIS, {"to": [EVERYWHERE | labels(app="redis")], "ports": [{"port": 6379}]}]},
    ),
    ("egress", "guestbook", {"egress": [NAMES, TO_REDIS, {"to": [GUESTS | labels(role="crawler")]}]}),
    ("egress", "guestbook", {"egress": [NAMES, TO_REDIS, {"to": [SYSTEM]}]}),
    ("egress", "guestbook", {"egress": [NAMES, TO_REDIS, {"to": [block("172.16.0.0", 12)]}]}),
    ("egress", "guestbook", {"egress": [NAMES, {"to": [block("10.244.0.0", 16)], "ports": [{"port": 6379}]}]}),
    ("redis", "redis", {"ingress": [{"from": [labels(app="guestbook"), but(app="reports")]}]}),
    ("redis", "redis", {"ingress": [{"from": [labels(app="guestbook"), EVERYWHERE | labels(role="admin")]}]}),
    ("redis", "redis", {"ingress": [{"from": [labels(app="guestbook"), BOTH | labels(role="nobody")]}]}),
    ("redis", "redis", {"ingress": [{"from": [labels(app="guestbook"), TEAMS | labels(app="guestbook")]}]}),
    (
        "redis",
        "redis",
        {
            "ingress": [
                {"from": [labels(app="guestbook"), {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]}
            ]
        },
    ),
    (
        "visitors",
        "guestbook",
        {"ingress": [{"from": [VISITORS, EVERYWHERE | labels(app="monitoring")], "ports": [{"port": 8080}]}]},
    ),
    (
        "visitors",
        "guestbook",
        {"ingress": [{"from": [VISITORS, GUESTS | but(role="crawler")], "ports": [{"port": 8080}]}]},
    ),
]


@pytest.mark.parametrize("task, policy, spec", TOO_MUCH)
def test_what_is_open_for_pods_that_are_not_there_is_open(task: str, policy: str, spec: dict[str, Any]) -> None:
    assert causes(policy, **spec) == ALL | {task: "policy-allows-too-much"}


DNS = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
ENOUGH: list[tuple[str, dict[str, Any]]] = [
    ("guestbook", {"egress": [TO_REDIS, {"to": [DNS], "ports": [{"port": 53, "endPort": 53, "protocol": "UDP"}]}]}),
    ("guestbook", {"egress": [TO_REDIS, {"to": [DNS], "ports": [{"port": "dns", "protocol": "UDP"}]}]}),
    ("guestbook", {"egress": [TO_REDIS, {"to": [DNS]}]}),
    ("guestbook", {"egress": [TO_REDIS, NAMES]}),
    ("guestbook", {"egress": [TO_REDIS, {"to": [block("10.96.0.10"), block("10.244.0.2")], **AT_53}]}),
    ("redis", {"ingress": [{"from": [labels(app="guestbook")], "ports": [{"port": 6000, "endPort": 7000}]}]}),
    ("redis", {"ingress": [{"from": [labels(app="guestbook"), labels(app="guestbook-v2")]}]}),
    ("default-deny", {"podSelector": None}),
    ("default-deny", {"podSelector": {"matchLabels": {}, "matchExpressions": []}, "ingress": [], "egress": []}),
]


@pytest.mark.parametrize("policy, spec", ENOUGH)
def test_unusual_spellings_pass(policy: str, spec: dict[str, Any]) -> None:
    assert causes(policy, **spec) == ALL


@pytest.mark.parametrize(
    "tasks, policy, spec",
    [
        (
            {"redis", "egress"},
            "redis",
            {"ingress": [{"from": [labels(app="guestbook")], "ports": [{"port": "redis"}]}]},
        ),
        ({"redis", "egress"}, "guestbook", {"egress": [NAMES, TO_REDIS | {"ports": [{"port": "redis"}]}]}),
        ({"visitors"}, "guestbook", {"ingress": [{"from": [VISITORS], "ports": [{"port": "web"}]}]}),
    ],
)
def test_a_port_that_nobody_has_a_name_for_is_closed_whatever_the_network_makes_of_it(
    tasks: set[str], policy: str, spec: dict[str, Any]
) -> None:
    assert causes(policy, **spec) == ALL | dict.fromkeys(tasks, "policy-wrong-port")


@pytest.mark.parametrize("question", ["tcp", "names", "page"])
def test_a_question_that_failed_in_the_pod_is_unknown(question: str) -> None:
    state = copy.copy(STATE)
    state.observations = copy.deepcopy(STATE.observations)
    key = next(key for key in state.observations if key.startswith("Matrix"))
    state.observations[key]["guestbook"][question] = {"error": "RuntimeError: can't start new thread"}
    egress = next(task for task in judge(LAB, state).tasks if task.id == "egress")
    assert (egress.verdict, egress.cause) == ("unknown", "pod-not-askable")


def test_an_answer_without_a_name_that_was_asked_for_is_unknown() -> None:
    state = copy.copy(STATE)
    state.observations = copy.deepcopy(STATE.observations)
    key = next(key for key in state.observations if key.startswith("Matrix"))
    del state.observations[key]["guestbook"]["names"]["redis"]
    egress = next(task for task in judge(LAB, state).tasks if task.id == "egress")
    assert (egress.verdict, egress.cause) == ("unknown", "pod-not-askable")
