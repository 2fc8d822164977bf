"""Lab 08 on its solution's recording, altered: the host that an app has, where it leads, and what no case produces."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from checker import recording
from checker.grading.grade import judge
from checker.grading.labs import load_lab
from checker.grading.observations import answered
from checker.model.fault import Phrase
from checker.model.state import Object, State
from checker.model.verdict import Unknown, Verdict

from .objects import container, obj, pod, service, state
from .programs import as_sent

LAB = load_lab("08")
ASKING = as_sent(LAB, "ask_app")
CONTROL = {"kubernetes.default": {"addresses": ["10.96.0.1"], "error": ""}}


def set_answer(
    seen: State,
    deployment: str,
    value: str,
    *addresses: str,
    error: str = "",
    kind: str = "",
) -> None:
    """What the app of a Deployment was told. kind: by default what programs/ask_app.py says of this value."""
    answer = {"status": 200, "text": "No entries yet.", "host": "", "version": "v1", "error": "", "count": 1}
    kind = kind or ASKING.kind_of(value.partition(":")[0], list(addresses))
    lookup = {"value": value, "kind": kind, "addresses": list(addresses), "error": error}
    seen.observations[f"RedisAddress(deployment='{deployment}')"] = {
        "": {"variable": lookup, "names": CONTROL, "entries": [answer]}
    }


def found(seen: State, kind: str, name: str, namespace: str = "") -> Object:
    one = seen.find(kind, name, namespace or seen.namespace)
    assert one
    return one


def pods(seen: State, deployment: str) -> list[Object]:
    return [one for one in seen.all("Pod") if one.name.startswith(f"{deployment}-") and one.is_ready]


@pytest.fixture
def solved() -> State:
    seen = recording.load(LAB.folder / "recorded" / "solution.json")[0]
    set_answer(seen, "guestbook", "redis", found(seen, "Service", "redis").spec["clusterIP"])
    set_answer(seen, "archive", "redis.learn-data", found(seen, "Service", "redis", "learn-data").spec["clusterIP"])
    return seen


def judged(seen: State) -> dict[str, Verdict]:
    return {task.id: task for task in judge(LAB, seen).tasks}


def causes(seen: State) -> dict[str, str]:
    return {id: task.cause for id, task in judged(seen).items() if task.verdict != "passed"}


def test_the_solution_passes(solved: State) -> None:
    assert causes(solved) == {}


def test_what_cannot_be_a_name_is_said_to_be_none(solved: State) -> None:
    set_answer(solved, "guestbook", "redis..x", error="no-name")
    assert causes(solved) == {"by-name": "name-unknown"}
    assert "redis..x" in judged(solved)["by-name"].message


def process(folder: Path, number: int, command: str, environment: str = "") -> None:
    (folder / str(number)).mkdir()
    (folder / str(number) / "cmdline").write_text(command.replace(" ", "\0"))
    (folder / str(number) / "environ").write_text(environment.replace(" ", "\0"))


def test_a_name_of_the_pods_own_hosts_file_is_an_address(solved: State) -> None:
    for one in pods(solved, "guestbook"):
        one.spec["hostAliases"] = [{"ip": "10.96.0.5", "hostnames": ["redis"]}]
    assert causes(solved) == {"by-name": "redis-by-address"}


def test_an_address_that_is_written_as_a_name_is_an_address(solved: State) -> None:
    (redis,) = pods(solved, "redis")
    address = redis.status["podIP"]
    for suffix in ("learn.pod.cluster.local", "redis"):
        set_answer(solved, "guestbook", f"{address.replace('.', '-')}.{suffix}", address)
        assert causes(solved) == {"by-name": "redis-by-address"}


def test_the_dns_of_the_node_is_not_the_clusters(solved: State) -> None:
    set_answer(solved, "archive", "redis.learn-data", error="no-such-host")
    lost = {"kubernetes.default": {"addresses": [], "error": "no-such-host"}}
    solved.observations["RedisAddress(deployment='archive')"][""]["names"] = lost
    assert (judged(solved)["across"].verdict, causes(solved)) == ("unknown", {"across": "dns-down"})
    found(solved, "Deployment", "archive").spec["template"]["spec"]["hostNetwork"] = True
    assert (judged(solved)["across"].verdict, causes(solved)) == ("failed", {"across": "dns-policy-outside"})


def test_a_pod_of_an_older_revision_does_not_answer_for_the_newest(solved: State) -> None:
    (observation,) = (o for o in LAB.observations if repr(o) == "RedisAddress(deployment='archive')")
    assert observation.question(solved)
    (old,) = pods(solved, "archive")
    (replica_set,) = (o for o in solved.all("ReplicaSet") if o.uid in old.owner_uids)
    newer, new = deepcopy(replica_set.raw), deepcopy(old.raw)
    newer["metadata"] |= {"name": "archive-new", "uid": "new"}
    newer["metadata"]["annotations"] = {**replica_set.annotations, "deployment.kubernetes.io/revision": "99"}
    new["metadata"] |= {"name": "archive-new-x", "uid": "new-x"}
    new["metadata"]["ownerReferences"] = [{**new["metadata"]["ownerReferences"][0], "uid": "new"}]
    new["status"]["containerStatuses"][0] |= {"ready": False, "state": {"waiting": {"reason": "ContainerCreating"}}}
    solved.objects["ReplicaSet"].append(Object("ReplicaSet", newer))
    solved.objects["Pod"].append(Object("Pod", new))
    assert observation.question(solved) is None


@pytest.mark.parametrize("why, pending", [("container not found", True), ("python3: not found", False)])
def test_a_container_that_ended_meanwhile_may_be_asked_a_moment_later(why: str, pending: bool) -> None:
    with pytest.raises(Unknown) as end:
        answered({"error": Phrase("why-pod-not-asked", {"pod": "archive", "message": why})})
    assert end.value.in_progress is pending


def test_a_name_may_be_made_to_lead_to_pods_that_are_not_ready_while_all_are(solved: State) -> None:
    found(solved, "Service", "guestbook-pods").spec["publishNotReadyAddresses"] = True
    assert causes(solved) == {}


def test_a_command_may_have_removed_the_variable(solved: State) -> None:
    set_answer(solved, "guestbook", "")
    assert causes(solved) == {"by-name": "redis-not-configured"}
    assert "the process of the app" in judged(solved)["by-name"].message, "its container is given the variable"


def test_addresses_written_down_by_hand_lead_to_no_later_pod(solved: State) -> None:
    for name in ("redis", "guestbook-pods"):
        del found(solved, "Service", name).spec["selector"]
    assert causes(solved) == dict.fromkeys(("by-name", "every-address"), "service-has-no-selector")


def second_service(seen: State, selector: dict[str, str]) -> None:
    seen.objects["Service"].append(service("store", selector, 6379, 6379, clusterIP="10.96.0.77"))
    seen.objects["EndpointSlice"].append(
        obj(
            "EndpointSlice",
            "store-x",
            metadata={"labels": {"kubernetes.io/service-name": "store"}},
            endpoints=[{"addresses": [one.status["podIP"]]} for one in seen.selected("Pod", selector)],
        )
    )
    set_answer(seen, "guestbook", "store", "10.96.0.77")


def test_a_second_service_for_the_same_redis_is_as_right(solved: State) -> None:
    second_service(solved, {"app": "redis"})
    assert causes(solved) == {}


def test_a_name_may_be_an_alias_of_it(solved: State) -> None:
    second_service(solved, {"app": "redis"})
    alias = found(solved, "Service", "redis").spec
    alias.clear()
    alias |= {"type": "ExternalName", "externalName": "store.learn.svc.cluster.local"}
    slices = solved.objects["EndpointSlice"]
    own = solved.selected("EndpointSlice", {"kubernetes.io/service-name": "redis"})
    solved.objects["EndpointSlice"] = [s for s in slices if s not in own]
    set_answer(solved, "guestbook", "redis", "10.96.0.77")
    assert causes(solved) == {}


def test_a_second_service_is_looked_into_before_it_is_said_to_lead_elsewhere(solved: State) -> None:
    second_service(solved, {"app": "rediss"})
    assert causes(solved) == {"by-name": "service-selects-nothing"}


def test_only_the_apps_own_container_counts(solved: State) -> None:
    for one in pods(solved, "guestbook"):
        helper = container("helper", image="busybox", env=[{"name": "REDIS_HOST", "value": "redis"}])
        del one.containers[0]["env"]
        one.containers.insert(0, helper)
    (observation,) = (o for o in LAB.observations if repr(o) == "RedisAddress(deployment='guestbook')")
    question: dict[str, Any] = observation.question(solved) or {}
    assert question["asks"][""]["container"] == "guestbook"
    set_answer(solved, "guestbook", "", error="no-such-host")
    assert causes(solved) == {"by-name": "redis-not-configured"}


def test_what_the_process_was_started_with_counts(solved: State) -> None:
    reference = {"name": "REDIS_HOST", "valueFrom": {"configMapKeyRef": {"name": "where", "key": "redis"}}}
    for one in pods(solved, "guestbook"):
        one.containers[0]["env"] = [reference]
    solved.objects["ConfigMap"] = [obj("ConfigMap", "where", data={"redis": "redis"})]
    assert causes(solved) == {}
    set_answer(solved, "guestbook", "redis.learn-data", "10.96.0.4")
    assert causes(solved) == {"by-name": "environment-not-refreshed"}
    solved.objects["ConfigMap"][0].raw["data"]["redis"] = "redis.learn-data"
    assert causes(solved) == {"by-name": "name-resolves-elsewhere"}


def in_a_secret(seen: State, deployment: str) -> dict[str, Any]:
    """Have the name come from a Secret. Returns what is asked in the Pod then."""
    reference = {"name": "REDIS_HOST", "valueFrom": {"secretKeyRef": {"name": "where", "key": "redis"}}}
    owner = found(seen, "Deployment", deployment)
    for one in (owner, *pods(seen, deployment)):
        one.containers[0]["env"] = [reference]
    (observation,) = (o for o in LAB.observations if repr(o) == f"RedisAddress(deployment='{deployment}')")
    question: dict[str, Any] = observation.question(seen)["asks"][""]["questions"]
    return question


def test_where_a_name_in_a_secret_leads_is_asked_and_the_name_is_not(solved: State) -> None:
    assert in_a_secret(solved, "guestbook")["hidden"] is True
    redis, other = (found(solved, "Service", "redis", n).spec["clusterIP"] for n in ("learn", "learn-data"))
    set_answer(solved, "guestbook", "", redis, kind="name")
    assert causes(solved) == {}
    set_answer(solved, "guestbook", "", other, kind="name")
    assert causes(solved) == {"by-name": "name-resolves-elsewhere"}
    assert "$REDIS_HOST" in judged(solved)["by-name"].message
    set_answer(solved, "guestbook", "", redis, kind="address")
    assert causes(solved) == {"by-name": "redis-by-address"}
    set_answer(solved, "guestbook", "", error="no-such-host", kind="name")
    assert causes(solved) == {"by-name": "name-unknown"}
    set_answer(solved, "guestbook", "")
    assert causes(solved) == {"by-name": "redis-not-configured"}


def test_a_secret_that_says_nothing_of_redis_is_no_hindrance(solved: State) -> None:
    solved.objects["Secret"] = [obj("Secret", "other", data={"TOKEN": ""})]
    for one in pods(solved, "guestbook"):
        one.containers[0]["envFrom"] = [{"secretRef": {"name": "other"}}]
    assert causes(solved) == {}


def test_pods_of_an_earlier_template_are_told_of_as_such(solved: State) -> None:
    deployment = found(solved, "Deployment", "guestbook")
    deployment.spec["paused"] = True
    deployment.containers[0]["env"] = [{"name": "REDIS_HOST", "value": "redis.learn"}]
    deployment.status |= {"updatedReplicas": 0}
    assert causes(solved) == {"by-name": "rollout-paused"}


def test_the_program_that_asks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ASKING, "PROCESSES", tmp_path)
    monkeypatch.setenv("REDIS_HOST", "127.0.0.1:1")
    assert ASKING.environment()["REDIS_HOST"] == "127.0.0.1:1"
    process(tmp_path, 1, "sh -c unset\tREDIS_HOST;python3\tapp.py", "REDIS_HOST=given")
    process(tmp_path, 8, "sleep app.py", "REDIS_HOST=another")
    (tmp_path / "7").mkdir()  # it has ended
    process(tmp_path, 9, "python3 -u app.py", "REDIS_HOST=localhost:1 PORT=1")
    assert ASKING.environment()["REDIS_HOST"] == "localhost:1"
    seen = ASKING.answers({"variable": "REDIS_HOST", "hidden": True, "names": []})
    assert (seen["variable"]["value"], seen["variable"]["kind"], seen["variable"]["addresses"]) == (
        "",
        "name",
        ["127.0.0.1"],
    )
    assert seen["entries"][0]["error"] == "refused"
    assert ASKING.look_up("redis..x") == {"addresses": [], "error": "no-name"}
    assert [ASKING.kind_of(host, ["10.1.2.3"]) for host in ("", "10.1.2.3", "10-1-2-3.x.pod", "redis")] == [
        "none",
        "address",
        "address-as-name",
        "name",
    ]


def test_processes_of_the_pods_other_containers_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With shareProcessNamespace, /proc shows the processes of all containers of the Pod."""
    monkeypatch.setattr(ASKING, "PROCESSES", tmp_path)
    process(tmp_path, 7, "python3 app.py", "REDIS_HOST=another")
    process(tmp_path, 8, "python3 app.py", "REDIS_HOST=own")
    for number, namespace in {"self": "mnt:[1]", "7": "mnt:[2]", "8": "mnt:[1]"}.items():
        (tmp_path / number / "ns").mkdir(parents=True)
        (tmp_path / number / "ns" / "mnt").symlink_to(namespace)
    assert ASKING.environment()["REDIS_HOST"] == "own"
    (tmp_path / "7" / "ns" / "mnt").unlink()
    assert ASKING.environment()["REDIS_HOST"] == "another", "the namespace of process 7 cannot be read"


def test_fields_of_the_pod_are_known_as_variables() -> None:
    fields = (
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "metadata.labels['app']",
        "metadata.annotations['a.b/c']",
        "spec.nodeName",
        "status.podIP",
        "status.hostIP",
    )
    env: list[dict[str, Any]] = [
        {"name": f"V{n}", "valueFrom": {"fieldRef": {"fieldPath": path}}} for n, path in enumerate(fields)
    ]
    env.append({"name": "REDIS_HOST", "value": "redis.$(V1).svc"})
    one = pod(hostIP="172.18.0.3")
    given = state().env(one, {"name": "app", "env": env})
    assert list(given.values()) == [
        "guestbook-1",
        "learn",
        one.uid,
        "guestbook",
        "",
        "worker",
        "10.244.1.1",
        "172.18.0.3",
        "redis.learn.svc",
    ]
