"""Grading of lab 15.

The autoscaler is graded from its own status, its effect from the timeline of the Deployment's replicas.
"""

from typing import Any

from checker.sdk import Object, Scaling, State, Timeline, Traffic, fail, quantity, task, unknown

LEAST, MOST = 2, 4
FIRST_READING = 60  # seconds in which a new autoscaler may have read nothing yet
SAME = 5  # seconds between the autoscaler's note of a change and the observer's


def target_of(scaler: Object) -> tuple[str, str]:
    target = scaler.spec["scaleTargetRef"]
    return target["kind"], target["name"]


def require_autoscaler(state: State) -> Object:
    """The autoscaler `guestbook`, which alone scales Deployment guestbook and reads its metrics."""
    deployment = state.require("Deployment", "guestbook")
    scaler = state.require("HorizontalPodAutoscaler", "guestbook")
    kind, name = target_of(scaler)
    is_there = kind != "Deployment" or state.find(kind, name)  # what is not there is the chain's to explain
    if (kind, name) != ("Deployment", deployment.name) and is_there:
        fail("autoscaler-target-missing", scaler, form="other-target", target_kind=kind, target=name)
    state.require_working(scaler)
    if scaler.condition("ScalingActive").get("status") != "True":
        age = state.age(scaler.created)
        fail("autoscaler-has-not-read", scaler, age=round(age), in_progress=age < FIRST_READING)
    return scaler


@task("reads-metrics")
def autoscaler_reads_metrics(state: State) -> None:
    require_autoscaler(state)


@task("limits")
def autoscaler_keeps_within_limits(state: State) -> None:
    scaler = state.require("HorizontalPodAutoscaler", "guestbook")
    least, most = scaler.spec.get("minReplicas", 1), scaler.spec["maxReplicas"]
    if (least, most) != (LEAST, MOST):
        fail("autoscaler-limits", scaler, least=least, most=most)


@task("scales-out", observe=Traffic("guestbook", "/hostname"))
def autoscaler_adds_replicas(state: State, timeline: Timeline) -> None:
    scaler = require_autoscaler(state)
    deployment = state.require("Deployment", "guestbook")
    made = scaler.created.timestamp()
    raised = [s for s in timeline.scalings(deployment) if s.at >= made - SAME and s.after > LEAST]
    if not raised:
        timeline.require_watched(state)
        fail("replicas-not-scaled", scaler, replicas=deployment.spec["replicas"], **readings(scaler))
    ago = round(state.now.timestamp() - raised[-1].at)
    facts = {"most": max(int(s.after) for s in raised), "ago": ago}
    if not scaler.status.get("lastScaleTime"):
        fail("replicas-not-scaled", scaler, form="by-hand", changed="", **facts)
    changed = state.age(scaler.status["lastScaleTime"])
    last = change_of_autoscaler(timeline.replica_changes(deployment), state.now.timestamp() - changed)
    if last and last.after > max(last.before, LEAST):
        return
    if (last and last.at > raised[-1].at) or changed < ago - SAME:  # its status tells of its last change only
        if min(deployment.spec["replicas"], replicas_asked_for(scaler, deployment)) > LEAST:
            return
        unknown("replicas-not-scaled", scaler, form="changed-since", changed=round(changed), **facts)
    fail("replicas-not-scaled", scaler, form="by-hand", changed=round(changed), **facts)


def change_of_autoscaler(changes: list[Scaling], at: float) -> Scaling | None:
    """The change that the autoscaler notes as its last one, at this time (in seconds since 1970); None if the observer
    saw no change then."""
    near = [change for change in changes if abs(change.at - at) <= SAME]
    return min(near, key=lambda change: abs(change.at - at), default=None)


def replicas_asked_for(scaler: Object, deployment: Object) -> float:
    """For how many replicas the autoscaler's last readings ask, before it rounds up; 0 if it has read nothing.

    Source: https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#algorithm-details
    """
    ratios = [0.0]
    for metric, read in zip(scaler.spec.get("metrics") or [], scaler.status.get("currentMetrics") or [], strict=False):
        target, reading = source_of(metric).get("target") or {}, source_of(read).get("current") or {}
        key = next((key for key in ("averageUtilization", "averageValue", "value") if key in target), "")
        if key in reading and quantity(target[key]) > 0:
            ratios.append(float(quantity(reading[key]) / quantity(target[key])))
    return float(deployment.spec["replicas"]) * max(ratios)


def readings(scaler: Object) -> dict[str, str]:
    """What the autoscaler has read last, its target, and what limits it, each as words; empty where it says nothing."""
    limited = scaler.condition("ScalingLimited")
    limit = limited.get("message", "") if limited.get("status") == "True" else ""
    return {
        "reading": value_of(scaler.status.get("currentMetrics"), "current"),
        "target": value_of(scaler.spec.get("metrics"), "target"),
        "limited": limit,
    }


def source_of(metric: dict[str, Any]) -> dict[str, Any]:
    """The part of a metric that says what is read: its `resource`, `containerResource`, `pods` or another one."""
    return next((part for part in metric.values() if isinstance(part, dict)), {})


def value_of(metrics: list[dict[str, Any]] | None, which: str) -> str:
    """The first metric's value in words: `cpu 40%`."""
    for metric in metrics or []:
        source = source_of(metric)
        value = source.get(which) or {}
        name = source.get("name") or (source.get("metric") or {}).get("name", "")
        if "averageUtilization" in value:
            return f"{name} {value['averageUtilization']}%"
        if amount := value.get("averageValue") or value.get("value"):
            return f"{name} {amount}"
    return ""
