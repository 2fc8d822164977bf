"""A guestbook that runs follows a change of its greeting, without a restart."""

from itertools import pairwise
from typing import Any

from checker.sdk import FirstLineInterval, State, Timeline, Traffic, fail, task, unknown

from .asked import CONFIG_MAP, GUESTBOOK, greeting_file, working_pods
from .greeting import fail_by_sub_path, greeting_by_file

TRAFFIC = Traffic("guestbook", "/")
LASTING = 5.0  # seconds that a new greeting is heard before it counts
RESTART = 10.0  # seconds within which the kubelet has told of a container's restart


@task("follows", observe=(GUESTBOOK, TRAFFIC))
def running_guestbook_follows(state: State, asked: dict[str, Any], timeline: Timeline) -> None:
    wanted, source = greeting_by_file(state, asked)
    service = state.require("Service", "guestbook")
    state.require_working(service)
    first_line, *others = (line.strip() for line in wanted.split("\n"))
    own = {pod["name"] for pod in timeline.pods_of("guestbook")}
    if any(name in own and followed(timeline, name, runs, first_line) for name, runs in timeline.said().items()):
        return
    evidence = {"object": f"ConfigMap/{CONFIG_MAP}", "look": f"kubectl describe configmap {CONFIG_MAP}"}
    heard = [run for runs in timeline.said().values() for run in runs]
    if not any(run.text.strip() == first_line and run.last - run.first >= LASTING for run in heard):
        unknown(
            "not-observed", f"The observer has not heard the greeting “{first_line[:80]}” from Service guestbook for long enough yet.",
            pending=True, **evidence,
        )  # fmt: skip
    if state.started and timeline.since - state.started.timestamp() > 60 and len(heard) < 2:
        unknown(
            "not-observed",
            "The observer was restarted after the lab was started, and has not seen everything. Change the greeting once more.",
            **evidence,
        )
    if source.is_sub_path:
        pod = working_pods(state, state.require("Deployment", "guestbook"))[0]
        fail_by_sub_path(
            pod,
            greeting_file(state, pod),
            source,
            expected="another greeting from the same Pods",
            observed="always the same from each",
        )
    called = state.require("Deployment", "guestbook").spec["template"]["spec"].get("hostname")
    if called:
        unknown(
            "not-observed", f"All Pods of Deployment guestbook call themselves {called} (spec.hostname), so the observer cannot tell one from another by what "
            "they answer. Without that name it can.",
            object="Deployment/guestbook", look="kubectl get deployment guestbook -o yaml",
        )  # fmt: skip
    if others:
        unknown(
            "not-observed", f"The greeting has several lines, and the observer hears the first of them only, “{first_line[:80]}”: no running Pod was seen to take "
            "to another first line. Change the first line.",
            **evidence,
        )  # fmt: skip
    evidence["expected"] = "another greeting from the same Pods"
    if state.require("ConfigMap", CONFIG_MAP).raw.get("immutable"):
        fail("config-map-immutable", f"ConfigMap {CONFIG_MAP} is marked as immutable, and no running Pod was seen with another greeting before.",
             observed="immutable: true", **{**evidence, "look": f"kubectl get configmap {CONFIG_MAP} -o yaml"})  # fmt: skip
    fail(
        "value-never-changed",
        f"The greeting “{first_line[:80]}” came with new Pods of the guestbook, and since then no running Pod was seen to take to another one.",
        observed="each Pod has said one and the same", **evidence,
    )  # fmt: skip


def followed(timeline: Timeline, name: str, runs: list[FirstLineInterval], wanted: str) -> bool:
    """Whether this one Pod took to the wanted greeting after another one, and kept to it, without being restarted between the two."""
    again = [time for pod in timeline.pods() if pod["name"] == name for time in restarts(pod)]
    return any(
        new.text.strip() == wanted
        and new.last - new.first >= LASTING
        and not any(old.last < time < new.first + RESTART for time in again)
        for old, new in pairwise(runs)
    )


def restarts(pod: dict[str, Any]) -> list[float]:
    """When containers of a Pod were restarted."""
    return [after[0] for before, after in pairwise(pod["changes"]) if after[2] > before[2]]
