"""What probes do to a container, told apart; and what the timeline keeps of restarts and of times out of rotation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from checker.diagnosis.probes import describe_probe, fail_if_void, handler, notice, patience, result_of, soonest, timing
from checker.diagnosis.refine import refined
from checker.grading.timeline import Rollout, Timeline
from checker.model.state import REACH, Object
from checker.model.verdict import NotPassed
from checker.sdk import State

from .objects import NOW, ago, container, deployment, event, pod, replica_set, service, state

REFUSED = 'Get "http://10.244.1.1:8080/healthz": dial tcp 10.244.1.1:8080: connect: connection refused'
LATE = 'Get "http://10.244.1.1:8080/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
NO_COMMAND = (
    "Readiness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec in "
    "container: OCI runtime exec failed: exec failed: unable to start container process: "
    'exec: "redis-client": executable file not found in $PATH'
)


def http(path: str = "/healthz", port: int | str = 8080, **fields: Any) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": port}, "periodSeconds": 1, **fields}


def killed(code: int = 137, after: float = 40) -> dict[str, Any]:
    return {"exitCode": code, "reason": "Error", "startedAt": ago(60 + after), "finishedAt": ago(60)}


def looping(
    which: str = "liveness", probe: dict[str, Any] | None = None, last: dict[str, Any] | None = None, **spec: Any
) -> Object:
    """A Pod whose container a probe has ended, waiting to be started again."""
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": ""}}
    made = [container(**{f"{which}Probe": probe or http(), **spec})]
    return pod(ready=False, containers=made, container_state=waiting, last=last or killed(), restarts=3)


def seen(sick: Object, message: str, which: str = "Liveness", **fields: Any) -> State:
    """The world of that Pod, in which the kubelet says what its probe got."""
    return state(sick, event(sick, "Unhealthy", f"{which} probe failed: {message}"), **fields)


def fault(world: State, kind: str = "Pod", name: str = "guestbook-1") -> NotPassed | None:
    found = world.find(kind, name)
    assert found
    try:
        world.require_working(found)
    except NotPassed as end:
        return end
    return None


WORLDS: dict[str, tuple[str, State]] = {
    "no such page": (
        "probe-path-not-found",
        seen(looping(probe=http("/health")), "HTTP probe failed with statuscode: 404"),
    ),
    "the log tells another port": (
        "probe-port-refused",
        seen(
            looping(probe=http(port=8081), ports=[]),
            REFUSED.replace("8080", "8081"),
            logs={"guestbook-1/app": "guestbook: v1 listens on 0.0.0.0:8080"},
        ),
    ),
    "another port was seen open": (
        "probe-port-refused",
        seen(
            looping(probe=http(port=8081), ports=[]),
            REFUSED.replace("8080", "8081"),
            observations={REACH: {"10.244.1.1:8080": "open", "10.244.1.2:9": "open"}},
        ),
    ),
    "the container declares another port": (
        "probe-port-refused",
        seen(looping(probe=http(port=8081)), REFUSED.replace("8080", "8081")),
    ),
    "it has not started yet": ("no-startup-budget", seen(looping(), REFUSED)),
    "it has not started yet, and the port has a name": (
        "no-startup-budget",
        seen(looping(probe=http(port="http")), REFUSED),
    ),
    "the startup probe gives up": ("startup-budget-too-short", seen(looping("startup"), REFUSED, "Startup")),
    "the startup probe gets an error": (
        "startup-probe-fails",
        seen(looping("startup"), "HTTP probe failed with statuscode: 500", "Startup"),
    ),
    "no answer in time": ("probe-times-out", seen(looping(probe=http("/")), LATE)),
    "a command takes too long": (
        "probe-times-out",
        seen(
            looping(probe={"exec": {"command": ["redis-cli", "ping"]}}),
            'command timed out: "redis-cli ping" timed out after 1s',
        ),
    ),
    "the app says that it is sick": ("liveness-probe-fails", seen(looping(), "HTTP probe failed with statuscode: 500")),
    "a command fails without a word": (
        "liveness-probe-never-succeeds",
        seen(looping(probe={"exec": {"command": ["false"]}}), ""),
    ),
    "it asks somebody who is not there": (
        "dependency-in-liveness",
        seen(looping(env=[{"name": "REDIS_HOST", "value": "redis"}]), "HTTP probe failed with statuscode: 503"),
    ),
    "it listened, and does not any more": (
        "liveness-probe-fails",
        seen(looping(), REFUSED, logs={"guestbook-1/app": "Listening on port 8080"}),
    ),
    "it crashes by itself": ("container-crashes", seen(looping(last=killed(1)), REFUSED)),
}


@pytest.mark.parametrize("cause, world", WORLDS.values(), ids=list(WORLDS))
def test_what_a_probe_does_to_a_container(cause: str, world: State) -> None:
    end = fault(world)
    assert end
    assert (end.cause, end.in_progress) == (cause, False), end
    assert end.words.observed and end.words.expected and end.words.look


def test_a_refused_probe_says_where_the_process_listens_or_how_long_it_had() -> None:
    port = fault(WORLDS["the log tells another port"][1])
    assert port and (port.facts["port"], port.facts["ports"], port.fault.form) == (8081, [8080], "logged")
    start = fault(WORLDS["it has not started yet"][1])
    assert start and "3 seconds after the start of the container (periodSeconds 1 × failureThreshold 3)" in str(start)


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        ("guestbook: v1 listens on 0.0.0.0:9090", "probe-port-refused"),
        ("guestbook: v1 listens on 127.0.0.1:8080", "listens-on-loopback"),
        ("Listening on [::1]:8080", "listens-on-loopback"),
        ("guestbook: v1 listens on 0.0.0.0:8080", "readiness-probe-fails"),
        ("", "readiness-probe-fails"),
    ],
)
def test_a_readiness_probe_that_is_refused_says_where_the_process_listens(log: str, cause: str) -> None:
    made = pod(ready=False, containers=[container(readinessProbe=http("/readyz"))])
    world = seen(made, REFUSED, "Readiness", logs={"guestbook-1/app": log})
    found = fault(world)
    assert isinstance(found, NotPassed)
    exact = refined(world, found.fault)
    assert exact.cause == cause
    assert not exact.in_progress
    if log and cause != "readiness-probe-fails":
        assert log in exact.words().message or "listens on port 9090" in exact.words().message


@pytest.mark.parametrize(
    ("runs", "event_is_old", "in_progress"),
    [(24, 24, True), (24, 20, False), (70, 70, False), (24, 3, False)],
)
def test_a_refusal_at_the_start_does_not_count_while_the_kubelets_later_events_may_come(
    runs: int, event_is_old: int, in_progress: bool
) -> None:
    made = pod(ready=False, since=runs, containers=[container(readinessProbe=http("/readyz"))])
    refused = event(made, "Unhealthy", f"Readiness probe failed: {REFUSED}")
    refused.raw["lastTimestamp"] = ago(event_is_old)
    found = fault(state(made, refused))
    assert found and (found.cause, found.in_progress) == ("readiness-probe-fails", in_progress)


@pytest.mark.parametrize(
    ("scheme", "answer", "is_told"),
    [("HTTPS", "EOF", True), ("HTTPS", "remote error: tls: bad certificate", False), ("HTTP", "EOF", False)],
)
def test_a_probe_by_https_that_the_server_closes_says_that_the_kubelet_speaks_tls(
    scheme: str, answer: str, is_told: bool
) -> None:
    asked = {"httpGet": {"path": "/readyz", "port": 8080, "scheme": scheme}}
    made = pod(ready=False, containers=[container(readinessProbe=asked)])
    result = f'Get "{scheme.lower()}://10.244.1.1:8080/readyz": {answer}'
    world = seen(made, result, "Readiness")
    found = fault(world)
    assert isinstance(found, NotPassed)
    exact = refined(world, found.fault)
    assert exact.cause == "readiness-probe-fails"
    message = exact.words().message
    assert result in message and ("the kubelet speaks TLS" in message) == is_told


def test_a_dependency_is_named_as_what_it_is() -> None:
    end = fault(WORLDS["it asks somebody who is not there"][1])
    assert end and end.facts["root"].cause == "name-unknown" and "redis" in str(end)


def test_a_command_that_the_image_does_not_have() -> None:
    probe = {"exec": {"command": ["redis-client", "ping"]}, "periodSeconds": 1}
    unready = pod(ready=False, containers=[container(readinessProbe=probe)])
    end = fault(state(unready, event(unready, "Unhealthy", NO_COMMAND)))
    assert end and end.cause == "probe-command-missing"
    ran = pod(ready=False, containers=[container(readinessProbe={"exec": {"command": ["sh", "-c", "cat /tmp/x"]}})])
    message = "Readiness probe failed: cat: /tmp/x: No such file or directory"
    end = fault(state(ran, event(ran, "Unhealthy", message)))
    assert end and end.cause == "readiness-probe-fails"


def test_the_kubelets_word_for_which_probe_it_was_counts_most() -> None:
    both = looping(startupProbe=http(failureThreshold=5))
    killing = event(both, "Killing", "Container app failed startup probe, will be restarted")
    world = state(both, event(both, "Unhealthy", f"Startup probe failed: {REFUSED}"), killing)
    end = fault(world)
    assert end and end.cause == "startup-budget-too-short"


def test_a_probe_that_had_no_time_to_give_up_did_not_end_the_container() -> None:
    sick = looping(
        probe=http("/health"), startupProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 60}
    )
    starting = event(sick, "Unhealthy", f"Startup probe failed: {REFUSED}")
    answered = event(sick, "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 404")
    answered.raw["lastTimestamp"] = ago(20)
    end = fault(state(sick, answered, starting))
    assert end and end.cause == "probe-path-not-found"


def test_another_containers_probe_is_not_to_blame() -> None:
    crashing = looping(last=killed(0))
    other = event(crashing, "Unhealthy", f"Liveness probe failed: {REFUSED}")
    other.raw["involvedObject"]["fieldPath"] = "spec.containers{helper}"
    end = fault(state(crashing, other))
    assert end and end.cause == "container-ends"


def since(seconds: float, of: Object, message: str = "HTTP probe failed with statuscode: 500") -> Object:
    failure = event(of, "Unhealthy", f"Liveness probe failed: {message}")
    failure.raw["lastTimestamp"] = ago(seconds)
    return failure


def test_a_probe_that_fails_at_this_moment_is_not_passed_over() -> None:
    sick = pod(containers=[container(livenessProbe=http())])
    end = fault(state(sick, since(1, sick)))
    assert end and end.cause == "liveness-probe-fails" and end.in_progress
    assert end.facts["restarts"] is None and "restart" not in str(end)


def test_a_probe_that_failed_long_ago_is() -> None:
    well = pod(containers=[container(livenessProbe=http())])
    assert fault(state(well, since(30, well))) is None
    healed = pod(containers=[container(livenessProbe=http())], last=killed(), restarts=1, since=40)
    assert fault(state(healed, since(62, healed))) is None


def test_after_a_restart_the_probe_is_waited_for() -> None:
    slowly = http(periodSeconds=30)
    restarted = pod(containers=[container(livenessProbe=slowly)], last=killed(after=95), restarts=1, since=20)
    end = fault(state(restarted, since(62, restarted, "HTTP probe failed with statuscode: 404")))
    assert end and end.cause == "probe-path-not-found" and end.in_progress


def test_a_start_that_goes_on_after_a_restart_is_still_the_startup_probes_doing() -> None:
    starting = pod(
        ready=False, containers=[container(startupProbe=http(failureThreshold=20))], last=killed(), restarts=2, since=15
    )
    starting.status["containerStatuses"][0]["started"] = False
    end = fault(seen(starting, REFUSED, "Startup"))
    assert end and (end.cause, end.in_progress) == ("startup-budget-too-short", True)


def test_a_probe_that_cannot_be_asked_is_found_out() -> None:
    spec = container(livenessProbe=http(port="htpp"))
    with pytest.raises(NotPassed, match="port named htpp"):
        fail_if_void(state(), pod(containers=[spec]), spec, "liveness")
    fail_if_void(state(), pod(), container(livenessProbe=http(port="http")), "liveness")


def test_an_answer_tells_more_than_a_connection_refused_on_the_way() -> None:
    sick = looping(probe=http("/health"))
    answered = event(sick, "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 404")
    answered.raw["lastTimestamp"] = ago(9)
    end = fault(state(sick, answered, event(sick, "Unhealthy", f"Liveness probe failed: {REFUSED}")))
    assert end and end.cause == "probe-path-not-found"


def test_of_no_answers_those_tell_that_came_most_often() -> None:
    sick = looping(probe=http("/"))
    late, refused = (event(sick, "Unhealthy", f"Liveness probe failed: {words}") for words in (LATE, REFUSED))
    late.raw["count"], refused.raw["count"] = 9, 2
    end = fault(state(sick, late, refused))
    assert end and end.cause == "probe-times-out"


def test_an_end_of_which_the_kubelet_has_not_told_yet_is_not_settled() -> None:
    just = {"exitCode": 0, "startedAt": ago(10), "finishedAt": ago(4)}
    assert (end := fault(state(looping(last=just)))) and (end.cause, end.in_progress) == ("container-ends", True)
    before = {**just, "startedAt": ago(999), "finishedAt": ago(900)}
    assert (end := fault(state(looping(last=before)))) and (end.cause, end.in_progress) == ("container-ends", False)


def test_a_workload_tells_it_too() -> None:
    owner = deployment(status={"availableReplicas": 0})
    made = replica_set(owner)
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    sick = pod(
        owner=made,
        ready=False,
        containers=[container(livenessProbe=http("/health"))],
        container_state=waiting,
        last=killed(),
    )
    failure = event(sick, "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 404")
    for kind in ("Deployment", "Service"):
        end = fault(state(owner, made, sick, failure, service()), kind, "guestbook")
        assert end and end.cause == "probe-path-not-found"


def test_fields_in_seconds() -> None:
    assert (notice({}), patience({"initialDelaySeconds": 5, "periodSeconds": 2})) == (30, 11)
    assert (soonest({}), soonest({"periodSeconds": 15, "failureThreshold": 2})) == (20, 15)
    assert timing({}) == {"seconds": 30, "delay": None, "period": 10, "threshold": 3}
    assert timing({"initialDelaySeconds": 5}) == {"seconds": 35, "delay": 5, "period": 10, "threshold": 3}


def test_probes_in_words() -> None:
    assert describe_probe(http()) == "http-get http://:8080/healthz"
    assert describe_probe({"tcpSocket": {"port": "redis"}}) == "tcp-socket :redis"
    assert describe_probe({"exec": {"command": ["redis-cli", "ping"]}}) == "exec [redis-cli ping]"
    assert handler(http(failureThreshold=9)) == handler(http())
    assert (
        result_of("Liveness probe failed: HTTP probe failed with statuscode: 404")
        == "HTTP probe failed with statuscode: 404"
    )
    assert result_of(NO_COMMAND) == 'exec: "redis-client": executable file not found in $PATH'
    assert result_of(f"(combined from similar events): {NO_COMMAND}").startswith("exec: ")


# -- the timeline ----------------------------------------------------------------------------------------------------

T = NOW.timestamp()


def timeline(*changes: list[list[Any]], deleted: float = 0) -> Timeline:
    """A timeline of Pods p0, p1, … with these changes: [seconds from T, is ready, restarts]."""
    pods = {
        f"uid{n}": {
            "name": f"p{n}",
            "node": "worker",
            "owner": f"set{n}",
            "added": T,
            "ready": T,
            "deleted": deleted and T + deleted,
            "changes": [[T + at, ready, restarts] for at, ready, restarts in noted],
        }
        for n, noted in enumerate(changes)
    }
    lost = [[T + 3.1, "status 500", 2, T + 3.8], [T + 4.5, "refused", 1, T + 4.5]]
    return Timeline({"since": T, "until": T + 100, "sent": 9, "hosts": {}, "lost": lost, "pods": pods, "replicas": {}})


def test_restarts_are_read_from_the_noted_changes() -> None:
    seen = timeline(
        [[0, False, 0], [1, True, 0], [5, False, 0], [6, False, 1], [7, True, 1], [9, True, 3]], [[0, True, 2]]
    )
    assert [(r.pod, r.uid, r.at - T) for r in seen.restarts()] == [
        ("p0", "uid0", 6),
        ("p0", "uid0", 9),
        ("p0", "uid0", 9),
    ]
    assert seen.restarts({"set1"}) == []


def test_a_restart_of_what_never_ran_is_told_from_one_of_what_did() -> None:
    seen = timeline([[0, False, 0], [3, False, 1], [5, True, 1], [9, True, 2]])
    assert [(r.at - T, r.had_been_ready) for r in seen.restarts()] == [(3, False), (9, True)]


def test_times_out_of_rotation_begin_when_a_pod_was_ready() -> None:
    seen = timeline(
        [
            [0, False, 0],
            [1, True, 0],
            [5, False, 0],
            [15, True, 0],
            [20, False, 0],
            [21, False, 1],
            [22, True, 1],
            [50, False, 1],
        ]
    )
    found = [(a.begin - T, a.end and a.end - T, a.restarted) for a in seen.absences()]
    assert found == [(5, 15, False), (20, 22, True), (50, None, False)]


def test_a_pod_on_its_way_out_is_not_out_of_rotation() -> None:
    assert timeline([[0, True, 0], [6, False, 0]], deleted=5).absences() == []


def test_who_was_ready_throughout() -> None:
    seen = timeline([[0, True, 0]], [[0, True, 0], [6, False, 0], [7, True, 0]], [[8, True, 0]])
    assert seen.ready_throughout(T + 5, T + 10) == {"p0"}
    assert seen.ready_throughout(T + 7, T + 10) == {"p0", "p1"}
    assert seen.ready_throughout(T + 7, T + 10, {"set1"}) == {"p1"}


def test_losses_by_their_kind() -> None:
    assert timeline().times_lost("status 500") == [T + 3.1]


def test_a_release_lasts_until_the_old_pods_have_gone_and_not_only_been_told_to() -> None:
    def rollout(gone: float) -> Rollout | None:
        old = {
            "name": "web-1-a",
            "owner": "old",
            "added": T - 60,
            "ready": T - 50,
            "deleted": T,
            "gone": gone,
            "changes": [],
        }
        sets = {
            "old": {"kind": "ReplicaSet", "name": "web-1", "images": ["web:v1"], "changes": [[T - 60, 1], [T, 0]]},
            "new": {"kind": "ReplicaSet", "name": "web-2", "images": ["web:v2"], "changes": [[T + 5, 1]]},
        }
        seen = {
            "since": T - 60,
            "until": T + 30,
            "sent": 900,
            "hosts": {},
            "lost": [],
            "pods": {"a": old},
            "replicas": sets,
        }
        return Timeline(seen).last_rollout("web", "web:v2", since="web:v1")

    assert rollout(T + 4) == Rollout(T, T + 7)
    assert rollout(0) == Rollout(T, math.inf), "a Pod that has been told to go, and is still there"


def test_the_way_back_is_to_a_new_template_or_to_one_that_had_gone_altogether() -> None:
    def rollback(v2: list[list[float]], anew: list[list[float]], v1: Sequence[list[float]] = ()) -> Rollout | None:
        pods = [
            {"name": "web-2-a", "owner": "v2", "added": T - 60, "ready": T - 50, "deleted": T + 12, "gone": T + 15},
            {"name": "web-3-a", "owner": "v3", "added": T, "ready": 0, "deleted": T + 10, "gone": T + 13},
        ]
        sets = {
            "v2": {"kind": "ReplicaSet", "name": "web-2", "images": ["web:v2"], "changes": [[T - 60, 1], *v2]},
            "v3": {"kind": "ReplicaSet", "name": "web-3", "images": ["web:v3"], "changes": [[T, 1], [T + 10, 0]]},
            "anew": {"kind": "ReplicaSet", "name": "web-4", "images": ["web:v2"], "changes": anew},
            "v1": {
                "kind": "ReplicaSet",
                "name": "web-1",
                "images": ["web:v1"],
                "changes": [[T - 90, 1], [T - 60, 0], *v1],
            },
        }
        seen = {"pods": {pod["name"]: {**pod, "changes": []} for pod in pods}, "replicas": sets}
        return Timeline({"since": T - 60, "until": T + 90, "sent": 900, "hosts": {}, "lost": [], **seen}).rollback(
            "web", "web:v2", "web:v3", T
        )

    assert rollback([], []) is None, "v3 undone, while v2 had its Pods"
    assert rollback([[T + 12, 0]], [[T + 10, 1]]) == Rollout(T + 10, T + 18), (
        "until the Pods of v2's old template have gone"
    )
    assert rollback([[T + 1, 0], [T + 10, 1]], []) == Rollout(T + 10, T + 16)
    assert rollback([[T + 60, 0]], [[T + 50, 1]]) is None, "a new template, long after v3 had gone"
    assert rollback([[T + 12, 0], [T + 50, 1]], [], [[T + 11, 1], [T + 52, 0]]) == Rollout(T + 50, T + 53), (
        "v3 undone as far as v1, and from there to v2"
    )
    assert rollback([[T + 42, 0], [T + 50, 1]], [], [[T + 40, 1], [T + 52, 0]]) is None, "v1, long after v3 had gone"


def test_a_release_by_way_of_another_image_does_not_replace_the_first_one() -> None:
    def begin(v3: list[list[float]], v1: list[list[float]]) -> float | None:
        changes = {"v1": [[T - 60, 3], *v1, [T + 40, 0]], "v3": [[T, 1], *v3], "v2": [[T + 20, 1], [T + 30, 3]]}
        sets = {
            uid: {"kind": "ReplicaSet", "name": f"web-{number}", "images": [f"web:{uid}"], "changes": some}
            for number, (uid, some) in enumerate(changes.items())
        }
        seen = {"since": T - 60, "until": T + 90, "sent": 900, "hosts": {}, "lost": [], "pods": {}, "replicas": sets}
        rollout = Timeline(seen).last_rollout("web", "web:v2", since="web:v1")
        return rollout.begin if rollout else None

    assert begin([[T + 19.9, 0]], []) is None, "v3 never became ready, and v2 was next"
    assert begin([[T + 20.1, 0]], []) is None
    assert begin([[T + 18, 0]], []) == T + 20, "v3 was undone, and v1 had kept its Pods"
    assert begin([[T + 19.9, 0]], [[T + 5, 0], [T + 15, 3]]) == T + 20, "v1 was there again"


def test_what_was_taken_away_for_another_template_before_is_no_part_of_a_release() -> None:
    changes = {"v1": [[T - 60, 3], [T, 0]], "v1-anew": [[T + 2, 3], [T + 30, 0]], "v2": [[T + 32, 3]]}
    sets = {
        uid: {"kind": "ReplicaSet", "name": f"web-{number}", "images": [f"web:{uid[:2]}"], "changes": some}
        for number, (uid, some) in enumerate(changes.items())
    }
    seen = {"since": T - 60, "until": T + 90, "sent": 900, "hosts": {}, "lost": [], "pods": {}, "replicas": sets}
    rollout = Timeline(seen).last_rollout("web", "web:v2", since="web:v1")
    assert rollout and rollout.begin == T + 30
