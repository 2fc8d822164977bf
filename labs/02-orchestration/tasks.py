"""Judging lab 02: the survey against the Node objects, and where Pods are, however they came there."""

from collections.abc import Container
from typing import Any

from checker.sdk import NotPassed, Object, State, fail, quantity, task, unknown

LEAST = 2  # workers without which the lab shows nothing


def workers(state: State) -> list[Object]:
    """The workers. Raises Unknown where they are too few, which one taint is enough for."""
    found = state.workers()
    if len(found) < LEAST:
        unknown(
            "too-few-workers", f"Only {len(found)} of the cluster's {len(state.everywhere('Node'))} nodes takes ordinary Pods.",
            expected=f"at least {LEAST} workers", observed=", ".join(node.name for node in found) or "none", object="Node",
            look="kubectl describe nodes",
        )  # fmt: skip
    return found


@task("survey")
def survey_is_right(state: State) -> None:
    survey = state.require("ConfigMap", "survey")
    said = survey.raw.get("data") or {}
    cpus = {quantity(node.status["allocatable"]["cpu"]) for node in workers(state)}
    truth: dict[str, Container[Any]] = {
        "nodes": {len(state.everywhere("Node"))},
        "workers": {len(workers(state))},
        "cpu": cpus,
    }
    for key, right in truth.items():
        state.require_key(survey, key)
        text = said.get(key, "(binary data)")
        try:
            number = quantity(text.strip())
        except ValueError:
            fail(
                "value-malformed", f"ConfigMap survey has {key}: {repr(text) if key in said else text}, which is not a number.",
                expected="a number", observed=text, object=survey.ref, look="kubectl describe configmap survey",
            )  # fmt: skip
        if number not in right:
            fail(
                "value-wrong", f"ConfigMap survey has {key}: {text}. The cluster's nodes say otherwise.",
                expected="what `kubectl describe nodes` shows", observed=text, object=survey.ref, look="kubectl describe nodes",
            )  # fmt: skip


def own_pods(state: State) -> list[Object]:
    """Pods of the learner's with the app in them, however they were made."""
    return [pod for pod in state.all("Pod") if not pod.is_terminating and pod.runs("guestbook:v1")]


def lasts(state: State, pod: Object) -> bool:
    """Whether a Pod is ready, and not only until its containers end the next time. One that has only just started is believed."""
    try:
        state.require_lasting(pod)
    except NotPassed as end:
        return end.cause == "pod-starting" and pod.is_ready
    return True


@task("on-every-worker")
def every_worker_has_a_pod(state: State) -> None:
    pods = own_pods(state)
    running = {pod.spec["nodeName"] for pod in pods if lasts(state, pod)}
    empty = [node.name for node in workers(state) if node.name not in running]
    if not empty:
        return
    # Pod heavy counts where it runs, but that it does not run is no reason for the others' absence.
    besides = [pod for pod in pods if pod.name != "heavy"]
    for pod in besides:
        state.require_lasting(pod)
    if not besides:
        for workload in state.workloads():
            if workload.name != "heavy":
                state.require_working(workload)
        others = [pod for pod in state.all("Pod") if pod.name != "heavy" and not pod.is_terminating]
        state.require_some("Pod", "guestbook:v1", pods or others)
        for other in others[:1]:
            state.require_image(other, "guestbook:v1")
    fail(
        "node-without-pod", f"No Pod of yours runs on {', '.join(sorted(empty))}.",
        expected=f"a Pod on each of {len(workers(state))} workers",
        observed=f"Pods on {', '.join(sorted(running)) or 'no node'}", object=f"Node/{min(empty)}", look="kubectl get pods -o wide",
    )  # fmt: skip


@task("reserved")
def heavy_has_its_place(state: State) -> None:
    pod = state.require("Pod", "heavy")
    for resource, least in (("cpu", "500m"), ("memory", "64Mi")):
        has = pod.requested(resource)
        if has < quantity(least):
            asked = [((c.get("resources") or {}).get("requests") or {}).get(resource, "none") for c in pod.containers]
            fail(
                "request-too-small", f"Pod heavy's requests for {resource}: {', '.join(map(str, asked))}. No more than that is set aside for it.",
                expected=f"a request for at least {least} of {resource}", observed=f"{', '.join(map(str, asked))}", object=pod.ref,
                look="kubectl describe pod heavy",
            )  # fmt: skip
    state.require_lasting(pod)
    state.require_image(pod, "guestbook:v1")
