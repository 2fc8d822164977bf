"""A running guestbook follows a change of its greeting, without a restart."""

from itertools import pairwise
from typing import Any

from checker.sdk import FirstLineInterval, State, Timeline, Traffic, fail, task, unknown

from .greeting import SHOWN, greeting_by_file
from .inside import CONFIG_MAP, GUESTBOOK, greeting_file, working_pods

TRAFFIC = Traffic("guestbook", "/")
LASTING = 5  # seconds: a new greeting counts when the observer has seen it for so long
RESTART = 10  # seconds: within this time the kubelet reports the restart of a container


@task("follows", observe=(GUESTBOOK, TRAFFIC))
def running_guestbook_follows(state: State, observed: dict[str, Any], timeline: Timeline) -> None:
    wanted, source = greeting_by_file(state, observed)
    service = state.require("Service", "guestbook")
    state.require_working(service)
    first_line, *others = (line.strip() for line in wanted.split("\n"))
    own = {pod["name"] for pod in timeline.pods_of("guestbook")}
    if any(name in own and followed(timeline, name, runs, first_line) for name, runs in timeline.first_lines().items()):
        return
    config_map = state.require("ConfigMap", CONFIG_MAP)
    deployment = state.require("Deployment", "guestbook")
    greeting = first_line[:SHOWN]
    shown = [run for runs in timeline.first_lines().values() for run in runs]
    if not any(run.text.strip() == first_line and run.last - run.first >= LASTING for run in shown):
        unknown(
            "not-observed", config_map, form="greeting-not-heard", in_progress=True, greeting=greeting, seconds=LASTING
        )
    if state.started and timeline.since - state.started.timestamp() > 60 and len(shown) < 2:
        unknown("not-observed", config_map, form="observer-restarted")
    if source.is_sub_path:
        pod = working_pods(state, deployment)[0]
        path = greeting_file(state, pod)
        fail("sub-path-does-not-follow", pod, form="follows", path=path, source=CONFIG_MAP, key=source.key)
    hostname = deployment.spec["template"]["spec"].get("hostname")
    if hostname:
        unknown("not-observed", deployment, form="same-hostname", hostname=hostname)
    if others:
        unknown("not-observed", config_map, form="first-line-only", greeting=greeting)
    if config_map.raw.get("immutable"):
        fail("config-map-immutable", config_map)
    fail("value-never-changed", config_map, greeting=greeting)


def followed(timeline: Timeline, name: str, runs: list[FirstLineInterval], wanted: str) -> bool:
    """Whether one Pod changed from another greeting to the wanted one and kept it, without a restart between."""
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
