"""Judging lab 02: the survey against the Node objects, and on which nodes Pods run, whatever created them."""

from collections.abc import Container
from typing import Any

from checker.sdk import NotPassed, Object, Ref, State, fail, nearest, quantity, task, unknown

LEAST = 2  # workers without which the lab shows nothing
OTHER_TASKS = ("heavy", "survey")  # Pods of the other tasks


def workers(state: State) -> list[Object]:
    """The nodes that take ordinary Pods. Raises Unknown where there are too few, for example because of a taint."""
    found = state.workers()
    if len(found) < LEAST:
        unknown(
            "too-few-workers",
            Ref("Node"),
            workers=[node.name for node in found],
            nodes=len(state.everywhere("Node")),
            least=LEAST,
        )
    return found


@task("survey")
def survey_is_right(state: State) -> None:
    survey = state.require("Pod", "survey")
    cpus = {quantity(node.status["allocatable"]["cpu"]) for node in workers(state)}
    truth: dict[str, Container[Any]] = {
        "nodes": {len(state.everywhere("Node"))},
        "workers": {len(workers(state))},
        "cpu": cpus,
    }
    for key, right in truth.items():
        if key not in survey.labels:
            fail(
                "key-missing",
                survey,
                form="label",
                key=key,
                near=nearest(key, survey.labels, 0.6),
                keys=sorted(survey.labels),
            )
        text = survey.labels[key]
        try:
            number = quantity(text)
        except ValueError:
            fail("value-malformed", survey, form="not-a-number", key=key, value=text)
        if number not in right:
            fail("value-wrong", survey, form="survey", key=key, value=text)


def own_pods(state: State) -> list[Object]:
    """The learner's Pods, whatever created them, without those of the other tasks."""
    return [pod for pod in state.all("Pod") if not pod.is_terminating and pod.name not in OTHER_TASKS]


def lasts(state: State, pod: Object) -> bool:
    """Whether a Pod is ready and its containers keep running. A ready Pod that has only just started counts."""
    try:
        state.require_lasting(pod)
    except NotPassed as end:
        return end.cause == "pod-starting" and pod.is_ready
    return True


@task("on-every-worker")
def every_worker_has_a_pod(state: State) -> None:
    own = own_pods(state)
    pods = [pod for pod in own if pod.runs("guestbook:v1")]
    running = {pod.spec["nodeName"] for pod in pods if lasts(state, pod)}
    empty = [node.name for node in workers(state) if node.name not in running]
    if not empty:
        return
    for pod in pods:
        state.require_lasting(pod)
    if not pods:
        for workload in state.workloads():
            if workload.name not in OTHER_TASKS:
                state.require_working(workload)
        if not own:
            fail("object-missing", Ref("Pod", "", state.namespace), form="besides", image="guestbook:v1")
        state.require_image(own[0], "guestbook:v1")
    fail(
        "node-without-pod",
        Ref("Node", min(empty)),
        empty=sorted(empty),
        running=sorted(running),
        workers=len(workers(state)),
    )


@task("reserved")
def heavy_has_its_place(state: State) -> None:
    pod = state.require("Pod", "heavy")
    for resource, least in (("cpu", "500m"), ("memory", "64Mi")):
        has = pod.requested(resource)
        if has < quantity(least):
            requests = [(container.get("resources") or {}).get("requests") or {} for container in pod.containers]
            given = [one[resource] for one in requests if resource in one]
            fail("request-too-small", pod, resource=resource, requests=given, least=least)
    state.require_lasting(pod)
    state.require_image(pod, "guestbook:v1")
