"""Lab 10 on altered recordings: what restarted a container, also where the kubelet's events are late, lost or gone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from checker import recording
from checker.grading.grade import judge
from checker.grading.labs import load_lab
from checker.model.state import Object
from checker.model.verdict import Verdict
from checker.sdk import State

LAB = load_lab("10")
Change = Callable[[State], object]


def judged(task: str, *changes: Change, of: str = "solution") -> Verdict:
    state, _ = recording.load(LAB.folder / "recorded" / f"{of}.json")
    for change in changes:
        change(state)
    return next(verdict for verdict in judge(LAB, state).tasks if verdict.id == task)


def cause(task: str, *changes: Change, of: str = "solution") -> str:
    return judged(task, *changes, of=of).cause


def template(app: str, **spec: Any) -> Change:
    """The container of an app is another one, in its Deployment and all its ReplicaSets."""

    def change(state: State) -> None:
        for obj in [*state.all("Deployment"), *state.all("ReplicaSet")]:
            if obj.name.partition("-")[0] == app:
                obj.containers[0].update(spec)

    return change


def without_events(*words: str) -> Change:
    def change(state: State) -> None:
        kept = [e for e in state.all("Event") if not any(word in e.raw.get("message", "") for word in words)]
        state.objects["Event"] = kept

    return change


def kubelet(pod: str, reason: str, message: str) -> Change:
    """The kubelet says this of every Pod whose name begins so."""

    def change(state: State) -> None:
        for event in state.all("Event"):
            if event.raw["involvedObject"]["name"].startswith(pod) and event.raw["reason"] == reason:
                event.raw["message"] = message

    return change


def one_failure(state: State) -> None:
    """Each liveness probe failed once, as a command does whose container ends meanwhile. No event tells of the kill."""
    without_events("failed liveness probe")(state)
    for event in state.all("Event"):
        if event.raw["reason"] == "Unhealthy" and "Liveness" in event.raw["message"]:
            event.raw |= {"message": "Liveness probe failed: ", "count": 1}


def seen(state: State) -> dict[str, Any]:
    found: dict[str, Any] = next(seen for key, seen in state.observations.items() if key.startswith("Traffic"))
    return found


def later(state: State) -> None:
    object.__setattr__(state, "now", state.now + timedelta(hours=2))


def never_busy(state: State) -> None:
    """No guestbook was out of rotation: nobody missed Redis either."""
    for pod in seen(state)["pods"].values():
        if pod["name"].startswith("guestbook"):
            pod["changes"] = [[at, True, restarts] for at, _, restarts in pod["changes"]]


def never_sick(state: State) -> None:
    seen(state)["lost"] = [entry for entry in seen(state)["lost"] if entry[1] != "status 500"]


def command(*words: str) -> dict[str, Any]:
    return {"exec": {"command": [*words]}, "periodSeconds": 1, "failureThreshold": 2}


def page(path: str, **fields: Any) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": 8080}, "periodSeconds": 1, **fields}


SCRIPT, FILE = command("sh", "/probes/well.sh"), command("test", "-e", "/tmp/well")
CONNECTION = {"tcpSocket": {"port": "http"}, "periodSeconds": 1}


def test_a_sick_guestbook_was_restarted_by_a_probe_that_sees_it() -> None:
    assert cause("sick-restarted", without_events("liveness probe")) == ""
    assert cause("sick-restarted", never_sick) == ""
    blind = template("guestbook", livenessProbe=CONNECTION)
    assert cause("sick-restarted", blind, without_events("iveness probe")) == "probe-sees-nothing"
    slow = template("guestbook", livenessProbe=page("/healthz", failureThreshold=15))
    assert cause("sick-restarted", slow) == "", "the kubelet says that it was the probe"
    by_hand = judged("sick-restarted", slow, without_events("liveness probe"))
    assert (by_hand.cause, by_hand.in_progress) == ("restarted-otherwise", True)
    assert by_hand.fault
    assert (by_hand.fault.facts["least"], by_hand.fault.facts["threshold"]) == (14, 15)


def test_a_script_is_judged_by_what_came_of_it() -> None:
    script = template("guestbook", livenessProbe=SCRIPT)
    assert cause("sick-restarted", script) == ""
    assert cause("sick-restarted", script, without_events("liveness probe")) == "probe-sees-nothing"
    gone = judged("sick-restarted", script, without_events("iveness probe"), later)
    assert (gone.verdict, gone.cause) == ("unknown", "not-observed")


def test_a_guestbook_that_is_not_ready_for_another_reason_is_not_busy() -> None:
    for probe in (FILE, page("/healthz")):
        other = template("guestbook", readinessProbe=probe)
        assert cause("busy-spared", other, without_events("503")) == "probe-sees-nothing"
    script = template("guestbook", readinessProbe=SCRIPT)
    assert (
        cause("busy-spared", script, kubelet("guestbook", "Unhealthy", "Readiness probe failed: status 503: busy"))
        == ""
    )
    assert judged("busy-spared", script, without_events("503"), later).verdict == "unknown"


def test_a_redis_was_restarted_because_it_hung() -> None:
    assert cause("hung-restarted", without_events("iveness probe")) == "", "the guestbook missed it for long enough"
    assert cause("hung-restarted", never_busy) == "", "the kubelet says that it was the probe"
    for probe in (SCRIPT, FILE):
        other = template("redis", livenessProbe=probe)
        assert cause("hung-restarted", other) == "", "it hung, and the kubelet says that it was the probe"
        assert cause("hung-restarted", other, never_busy) == "probe-sees-nothing"
        assert cause("hung-restarted", other, without_events("liveness probe")) == "probe-sees-nothing"
    patient = template("redis", livenessProbe={**command("redis-cli", "ping"), "periodSeconds": 30})
    assert cause("hung-restarted", patient, without_events("liveness probe")) == "restarted-otherwise"


@pytest.mark.parametrize(
    "words", [("sh", "-c", "timeout 1 redis-cli ping | cat"), ("/bin/bash", "/probes/redis-cli.sh")]
)
def test_a_command_that_may_hide_its_failure_must_have_been_seen_to_fail(words: tuple[str, ...]) -> None:
    hidden = template("redis", livenessProbe=command(*words))
    assert cause("hung-restarted", hidden, without_events("liveness probe")) == "", "an event says that it failed"
    assert cause("hung-restarted", hidden, without_events("iveness probe")) == "restarted-otherwise"
    assert cause("hung-restarted", hidden, one_failure) == "restarted-otherwise"
    assert cause("hung-restarted", hidden, without_events("iveness probe"), later) == ""
    code = "python3 ask.py http://127.0.0.1:8080/healthz | cat"
    well = template("guestbook", livenessProbe={**command("sh", "-c", code), "failureThreshold": 3})
    assert cause("sick-restarted", well, without_events("liveness probe")) == ""
    for change in (without_events("iveness probe"), one_failure):
        by_hand = judged("sick-restarted", well, change)
        assert by_hand.fault
        assert (by_hand.cause, by_hand.fault.form) == ("restarted-otherwise", "no-failure")


def test_of_a_restart_long_ago_nothing_is_known_but_what_was_seen() -> None:
    gone = without_events("iveness probe")
    assert cause("hung-restarted", gone, later) == ""
    assert judged("hung-restarted", gone, later, never_busy).verdict == "unknown"
    assert cause("hung-restarted", later, of="good-days-only") == "restarted-otherwise", "its last words tell"


@pytest.mark.parametrize(
    "fields, enough",
    [
        ({"failureThreshold": 31}, True),
        ({"failureThreshold": 30}, False),
        ({"periodSeconds": 15, "failureThreshold": 2}, False),
        ({"periodSeconds": 15, "failureThreshold": 3}, True),
        ({"periodSeconds": 10, "failureThreshold": 3, "initialDelaySeconds": 10}, True),
    ],
)
def test_a_startup_probe_may_begin_to_count_at_once(fields: dict[str, Any], enough: bool) -> None:
    verdict = judged("slow-spared", template("archive", startupProbe=page("/healthz", **fields)))
    assert verdict.cause == ("" if enough else "startup-budget-too-short")


@pytest.mark.parametrize(
    "value, shortened", [("1e0", True), ("1_1", True), (" 11 ", True), ("1.2e1", False), ("1_2", False)]
)
def test_the_archives_seconds_are_read_as_it_reads_them(value: str, shortened: bool) -> None:
    verdict = judged("slow-spared", template("archive", env=[{"name": "STARTUP_SECONDS", "value": value}]))
    assert verdict.cause == ("slow-start-removed" if shortened else "")


def from_secret(state: State) -> None:
    state.objects["Secret"] = [
        Object("Secret", {"metadata": {"name": "times", "namespace": state.namespace}, "data": {"STARTUP_SECONDS": ""}})
    ]
    ref = {"name": "times", "key": "STARTUP_SECONDS"}
    template("archive", env=[{"name": "STARTUP_SECONDS", "valueFrom": {"secretKeyRef": ref}}])(state)


def test_what_the_archive_is_told_by_a_secret_is_not_known() -> None:
    verdict = judged("slow-spared", from_secret)
    assert (verdict.verdict, verdict.cause) == ("unknown", "not-observed")
    whole = template("archive", env=[], envFrom=[{"secretRef": {"name": "times"}}])
    assert judged("slow-spared", from_secret, whole).verdict == "unknown"
    ended = judged("slow-spared", from_secret, template("archive", startupProbe=None))
    assert ended.fault
    assert (ended.cause, ended.fault.facts["takes"]) == ("no-startup-budget", 12)


@pytest.mark.parametrize("value, shortened", [("12", False), ("2", True)])
def test_what_the_archive_is_told_by_a_config_map_is_known(value: str, shortened: bool) -> None:
    def from_config_map(state: State) -> None:
        named = {"metadata": {"name": "times", "namespace": state.namespace}, "data": {"STARTUP_SECONDS": value}}
        state.objects["ConfigMap"] = [Object("ConfigMap", named)]
        template("archive", env=[], envFrom=[{"configMapRef": {"name": "times"}}])(state)

    assert cause("slow-spared", from_config_map) == ("slow-start-removed" if shortened else "")


def test_an_archive_that_was_taken_for_started_too_early() -> None:
    def early(state: State) -> None:
        for pod in seen(state)["pods"].values():
            if pod["name"].startswith("archive") and pod["ready"]:
                pod["ready"] = pod["added"] + 2

    assert cause("slow-spared", early) == "slow-start-removed"
    blind = template("archive", startupProbe={**command("true"), "failureThreshold": 40})
    assert cause("slow-spared", early, blind) == "probe-sees-nothing"


def test_an_archive_that_runs_is_watched_at_once() -> None:
    late = page("/healthz", failureThreshold=4, initialDelaySeconds=19)
    assert cause("slow-spared", template("archive", livenessProbe=late)) == "probe-too-slow"
    soon = page("/healthz", failureThreshold=4, initialDelaySeconds=18)
    assert cause("slow-spared", template("archive", livenessProbe=soon)) == ""


def test_a_guestbook_that_is_free_again_is_waited_for_until_its_probe_has_heard() -> None:
    def unready(state: State) -> None:
        pod = next(pod for pod in state.all("Pod") if pod.name.startswith("guestbook"))
        for condition in pod.status["conditions"]:
            if condition["type"] in ("Ready", "ContainersReady"):
                condition["status"] = "False"
        pod.status["containerStatuses"][0]["ready"] = False

    verdict = judged("busy-spared", unready)
    assert (verdict.cause, verdict.in_progress) == ("readiness-probe-fails", True)
