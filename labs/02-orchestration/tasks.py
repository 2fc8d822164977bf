"""Judging lab 02: the survey against the Node objects, and where Pods are, however they came there."""

from checker import Object, State, fail, task
from checker.judge.quantity import quantity


@task("survey")
def survey_is_right(state: State) -> None:
    survey = state.require("ConfigMap", "survey")
    said = survey.raw.get("data") or {}
    cpus = {quantity(node.status["allocatable"]["cpu"]) for node in state.workers()}
    truth = {"nodes": {len(state.everywhere("Node"))}, "workers": {len(state.workers())}, "cpu": cpus}
    for key, right in truth.items():
        state.require_key(survey, key)
        try:
            number = quantity(said[key].strip())
        except ValueError:
            fail(
                "value-malformed", f"ConfigMap survey has {key}: {said[key]!r}, which is not a number.",
                expected="a number", observed=said[key], object=survey.ref, look="kubectl describe configmap survey",
            )  # fmt: skip
        if number not in right:
            fail(
                "value-wrong", f"ConfigMap survey has {key}: {said[key]}. The cluster's nodes say otherwise.",
                expected="what `kubectl describe nodes` shows", observed=said[key], object=survey.ref, look="kubectl describe nodes",
            )  # fmt: skip


def own_pods(state: State) -> list[Object]:
    """Pods of the learner's with the app in them, however they were made."""
    return [pod for pod in state.all("Pod") if not pod.is_terminating and pod.runs("guestbook:v1")]


@task("on-every-worker")
def every_worker_has_a_pod(state: State) -> None:
    pods = [pod for pod in own_pods(state) if pod.name != "heavy"]
    if not pods:
        for workload in state.workloads():
            state.require_working(workload)
        others = [pod for pod in state.all("Pod") if pod.name != "heavy" and not pod.is_terminating]
        state.require_some("Pod", "from the image guestbook:v1", others)
        state.require_image(others[0], "guestbook:v1")
    running = {pod.spec["nodeName"] for pod in pods if pod.is_ready}
    empty = [node.name for node in state.workers() if node.name not in running]
    if not empty:
        return
    for pod in pods:
        state.require_working(pod)
    fail(
        "node-without-pod", f"No Pod of yours runs on {', '.join(sorted(empty))}.",
        expected=f"a Pod on each of {len(state.workers())} workers",
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
                "request-too-small", f"Of {resource} Pod heavy requests {', '.join(map(str, asked))}: no more than that is set aside for it.",
                expected=f"a request of at least {least} {resource}", observed=f"{', '.join(map(str, asked))}", object=pod.ref,
                look="kubectl describe pod heavy",
            )  # fmt: skip
    state.require_working(pod)
    state.require_image(pod, "guestbook:v1")
