"""Lab 09 on recordings that were altered: wrong work that looks right, and right work that looks unusual."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from checker import recording
from checker.grading.grade import judge
from checker.grading.labs import load_lab
from checker.model.state import Object
from checker.sdk import State

LAB = load_lab("09")
BLUE, GREEN = "learn-blue", "learn-green"


def causes(change: Callable[[State], Any], case: str = "solution") -> dict[str, str]:
    """The causes of the tasks that do not pass, after a change to a recorded State."""
    state, _ = recording.load(LAB.folder / "recorded" / f"{case}.json")
    change(state)
    return {task.id: task.cause for task in judge(LAB, State.from_json(state.to_json())).tasks if task.cause}


def only(state: State, kind: str, name: str, namespace: str | None = None) -> Object:
    found = state.find(kind, name, namespace)
    assert found
    return found


def command(state: State, name: str) -> list[str]:
    words: list[str] = only(state, "Deployment", name).containers[0]["command"]
    return words


def replaced(name: str, old: str, new: str) -> Callable[[State], None]:
    def change(state: State) -> None:
        words = command(state, name)
        assert old in words[-1]
        words[-1] = words[-1].replace(old, new)

    return change


def as_arguments(state: State) -> None:
    container = only(state, "Deployment", "busy").containers[0]
    container["args"] = [container["command"].pop().replace("\n", "  \n\n")]


def template_limit(name: str, **limits: str) -> Callable[[State], Any]:
    return lambda state: only(state, "Deployment", name).containers[0].update(resources={"limits": limits})


def pod_limit(state: State) -> None:
    pod = next(pod for pod in state.all("Pod") if pod.name.startswith("busy"))
    pod.containers[0]["resources"] = {"limits": {"cpu": "1"}}


def large_limit(state: State) -> None:
    state.all("Pod", GREEN)[0].containers[0]["resources"]["limits"] = {"memory": "256Mi"}


def limit_range(namespace: str | None = None, **item: Any) -> Callable[[State], None]:
    """Changes the LimitRange of a namespace; one without anything takes it away."""

    def change(state: State) -> None:
        found = next(o for o in state.everywhere("LimitRange") if o.namespace == (namespace or state.namespace))
        found.spec["limits"] = [{"type": "Container", **item}]

    return change


def quota(namespace: str = BLUE, **spec: Any) -> Callable[[State], Any]:
    return lambda state: only(state, "ResourceQuota", "budget", namespace).spec.update(spec)


def scope(name: str, operator: str = "Exists") -> dict[str, Any]:
    return {"matchExpressions": [{"scopeName": name, "operator": operator}]}


def shared(long: str, short: str, memory: str = "128Mi") -> Callable[[State], None]:
    """Blue's budget is kept by two quotas: of Pods without a deadline and of those with one. long, short: of CPU."""

    def change(state: State) -> None:
        one = only(state, "ResourceQuota", "budget", BLUE)
        other = Object("ResourceQuota", deepcopy(one.raw))
        other.raw["metadata"] |= {"name": "short", "uid": "uid-short"}
        other = Object("ResourceQuota", other.raw)
        other.status["used"] = dict.fromkeys(other.status["used"], "0")
        one.spec |= {"hard": {"cpu": long, "memory": memory}, "scopes": ["NotTerminating"]}
        other.spec |= {"hard": {"requests.cpu": short, "memory": memory}, "scopeSelector": scope("Terminating")}
        one.status["used"] = {"cpu": "20m", "memory": "96Mi"}
        state.objects["ResourceQuota"].append(other)

    return change


def best_effort(state: State) -> None:
    """Blue's Deployment requests nothing, and its quota counts only what does."""
    without_requests(state)
    quota(scopes=["NotBestEffort"])(state)


def half_effort(state: State) -> None:
    best_effort(state)
    only(state, "Deployment", "guestbook", BLUE).containers[0]["resources"] = {"requests": {"memory": "32Mi"}}


def without_requests(state: State) -> None:
    """As if Deployment and Pods had been there before the quota, and said nothing."""
    for obj in [*state.all("Pod", BLUE), *state.all("Deployment", BLUE)]:
        obj.containers[0]["resources"] = {}


def init_container(**resources: Any) -> Callable[[State], Any]:
    first = {"name": "first", "image": "guestbook:v1", "resources": resources}
    return lambda state: (
        only(state, "Deployment", "guestbook", GREEN).spec["template"]["spec"].update(initContainers=[first])
    )


DEFAULTS = {
    "default": {"memory": "64Mi"},
    "defaultRequest": {"cpu": "10m", "memory": "32Mi"},
    "max": {"memory": "128Mi"},
}
ALTERED: dict[str, tuple[dict[str, str], Callable[[State], Any], str]] = {
    "the line as a comment": ({"killed": "program-changed"}, replaced("report", 'b"7"', 'b"7"  #'), "solution"),
    "the line in a string": (
        {"throttled": "program-changed"},
        replaced("busy", "sum(range(1000))", "pass"),
        "solution",
    ),
    "the program as arguments, with empty lines": ({}, as_arguments, "solution"),
    "a limit of the Pod alone": ({"throttled": "cpu-limit-missing"}, template_limit("busy", memory="48Mi"), "solution"),
    "another limit in the template": (
        {"killed": "limit-too-large"},
        template_limit("report", memory="1Gi"),
        "solution",
    ),
    "another limit of the Pod": ({"throttled": "limit-too-large"}, pod_limit, "solution"),
    "the default limit has gone": (
        {"throttled": "cpu-limit-missing"},
        limit_range(max={"memory": "1Gi"}),
        "imperative",
    ),
    "the default limit was raised": ({"throttled": "limit-too-large"}, limit_range(default={"cpu": "1"}), "imperative"),
    "a limit from before the maximum": ({"defaults": "defaults-came-later"}, large_limit, "solution"),
    "other defaults than when the Pods were made": (
        {},
        limit_range(GREEN, **{**DEFAULTS, "default": {"memory": "96Mi"}}),
        "solution",
    ),
    "no defaults any more": ({"defaults": "defaults-missing"}, limit_range(GREEN, max={"memory": "128Mi"}), "solution"),
    "numbers of an init container": (
        {"defaults": "defaults-not-used"},
        init_container(limits={"memory": "64Mi"}),
        "solution",
    ),
    "an init container without numbers": ({}, init_container(), "solution"),
    "not Pods with a deadline": ({"budget": "quota-does-not-bind"}, quota(scopes=["NotTerminating"]), "solution"),
    "only Pods of a priority": (
        {"budget": "quota-does-not-bind"},
        quota(scopeSelector=scope("PriorityClass")),
        "solution",
    ),
    "two quotas share all Pods": ({}, shared("100m", "50m"), "solution"),
    "two quotas share all Pods, and allow too much": ({"budget": "quota-too-large"}, shared("100m", "60m"), "solution"),
    "two quotas share all Pods, in a wrong unit": (
        {"budget": "memory-unit-slip"},
        shared("100m", "50m", "128"),
        "solution",
    ),
    "two quotas share all Pods, which are older": ({"budget": "quota-came-later"}, shared("10m", "5m"), "solution"),
    "Pods that request nothing, which the quota leaves out": ({}, best_effort, "solution"),
    "Pods that name a half of what is counted": ({"budget": "quota-needs-requests"}, half_effort, "solution"),
    "all Pods that request something": ({}, quota(scopeSelector=scope("NotBestEffort")), "solution"),
    "one resource for some Pods only": (
        {"budget": "quota-does-not-bind"},
        lambda state: only(state, "ResourceQuota", "memory", BLUE).spec.update(scopes=["NotTerminating"]),
        "other-spelling",
    ),
    "Pods older than the quota, without requests": ({"budget": "quota-needs-requests"}, without_requests, "solution"),
    "a quota that has not counted yet": (
        {"budget": "quota-not-counted-yet"},
        lambda state: only(state, "ResourceQuota", "budget", BLUE).status.clear(),
        "solution",
    ),
}


@pytest.mark.parametrize("expected, change, case", ALTERED.values(), ids=list(ALTERED))
def test_an_altered_recording(expected: dict[str, str], change: Callable[[State], Any], case: str) -> None:
    assert causes(change, case) == expected


def test_memory_of_the_running_pod_alone_does_not_repair_the_deployment() -> None:
    assert causes(template_limit("report", memory="40Mi")) == {"killed": "limit-too-small"}
    assert causes(template_limit("report", memory="128Mi")) == {}
