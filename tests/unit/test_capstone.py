"""The capstone's generator, its seeds, and the judging of failover: what needs no cluster to be shown."""

from __future__ import annotations

import copy
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from checker.environments.namespace import default_seed
from checker.grading.grade import judge
from checker.grading.labs import load_lab, load_module
from checker.grading.observations import seen as seen_of
from checker.grading.seeds import SEED, bound, checked, seed_in, seed_of
from checker.model.catalogue import catalogue
from checker.model.state import STARTED, Object
from checker.model.verdict import Failed
from checker.recording.normalize import normalised
from checker.sdk import State
from cluster import Problem
from tests.unit.objects import NOW, ago, deployment, node, obj, pod, replica_set, service, slice_of, state
from tests.unit.programs import as_sent

LAB = load_lab("16")
capstone = load_module(LAB.folder, "setup")
SEEDS = [str(number) for number in range(400)]


# -- the generator ---------------------------------------------------------------------------------------------------


def test_the_same_seed_breaks_the_same_way() -> None:
    assert capstone.broken("7") == capstone.broken("7")


def test_every_seed_breaks_four_places_of_at_least_ten_kinds_so_that_nothing_works() -> None:
    kinds: set[str] = set()
    for seed in SEEDS:
        chosen = capstone.faults(seed)
        kinds |= {fault.id for fault in chosen}
        assert len({fault.id for fault in chosen}) == capstone.BROKEN == 4
        assert {fault.group for fault in chosen} & {"Pods", "Redis"}
    assert kinds == set(capstone.FAULTS)
    assert len(kinds) >= 10


@pytest.mark.parametrize("fault", capstone.FAULTS)
def test_every_fault_changes_what_is_there_and_nothing_that_belongs_to_others(fault: str) -> None:
    for seed in SEEDS[:50]:
        whole, broken = capstone.with_faults(seed, []), capstone.with_faults(seed, [fault])
        assert whole != broken
        for suffix in broken:
            for one in broken[suffix]:
                if one["metadata"]["name"] in ("cache", "handbook"):
                    assert one in whole[""]


def test_faults_do_not_undo_each_other() -> None:
    for seed in SEEDS:
        broken = capstone.broken(seed)
        for fault in capstone.faults(seed):
            others = [other.id for other in capstone.faults(seed) if other is not fault]
            assert capstone.with_faults(seed, others) != broken, (seed, fault.id)


def test_no_manifest_is_the_answer_of_two_seeds() -> None:
    answers = {json.dumps(capstone.whole(seed), sort_keys=True) for seed in SEEDS}
    greetings = {capstone.plan(seed).greeting for seed in SEEDS}
    assert len(answers) == len(greetings) == len(SEEDS)


def test_the_handbook_says_what_is_right_and_nothing_of_what_is_broken() -> None:
    for seed in SEEDS[:50]:
        right = capstone.plan(seed)
        text = capstone.handbook(right)
        for value in (
            right.greeting,
            right.config,
            right.key,
            str(right.port),
            right.version,
            str(right.replicas),
            right.store,
            str(right.store_port),
            right.quota,
            right.memory,
            str(right.listens),
        ):
            assert value in text
        broken = {o["metadata"]["name"]: o for o in capstone.broken(seed)[""] if o["kind"] == "ConfigMap"}
        assert broken["handbook"]["data"]["handbook.txt"] == text


def test_a_slip_is_near_and_never_the_word_itself() -> None:
    for seed in SEEDS:
        slipped = capstone.slip("guestbook", seed, "test")
        assert slipped != "guestbook"
        assert slipped[0] == "g"
        assert len(slipped) in (8, 9)


def test_the_program_prints_what_kubectl_can_apply() -> None:
    program = [sys.executable, str(LAB.folder / "setup.py"), "7", "--leave", "image"]
    listed = json.loads(subprocess.run(program, capture_output=True, text=True, check=True).stdout)
    assert listed["items"] == capstone.with_faults("7", ["image"])[""]


def test_every_fault_has_a_mistake_in_which_it_is_left_and_named() -> None:
    mistakes = LAB.cases("mistakes")
    for fault in capstone.FAULTS.values():
        case = mistakes[f"left-{fault.id}"]
        assert fault.id in {chosen.id for chosen in capstone.faults(case.seed)}
        assert fault.cause in catalogue()
        assert set(case.fails.values()) == {fault.cause, "node-never-drained", "node-never-lost"}


# -- what one seed's answer is worth for another -----------------------------------------------------------------------

CAPSTONE = [task for task in LAB.code if task not in ("drained", "node-back")]


def world(answer: str, begun: str) -> State:
    """What a cluster would be like in which the lab was begun with one seed, and put right as another one says."""
    objects, reach, number = [node("worker")], {}, 0
    for raw in capstone.whole(answer).values():
        one = Object(raw["kind"], json.loads(json.dumps(raw)))
        one.raw["metadata"] |= {
            "namespace": "learn",
            "uid": f"uid-{one.ref}",
            "creationTimestamp": ago(300),
            "generation": 1,
        }
        one = Object(one.kind, one.raw)
        objects.append(one)
        if one.kind == "Service":
            one.spec["clusterIP"] = f"10.96.0.{len(objects)}"
            objects.append(slice_of(one.name))
        if one.kind == "Deployment":
            wanted = one.spec["replicas"]
            counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), wanted)
            one.raw["status"] = {"observedGeneration": 1, **counts}
            objects[-1] = one = Object(one.kind, one.raw)
            made = replica_set(one, f"{one.name}-abc")
            objects.append(made)
            for _ in range(wanted):
                number += 1
                template = one.spec["template"]
                address = f"10.244.1.{number}"
                objects.append(
                    pod(
                        f"{made.name}-{number}",
                        owner=made,
                        ip=address,
                        labels=template["metadata"]["labels"],
                        containers=template["spec"]["containers"],
                    )
                )
                reach |= {f"{address}:{port}": "open" for port in (capstone.plan(answer).listens, 6379)}
    right = capstone.plan(answer)
    names = [one.name for one in objects if one.kind == "Pod" and one.name.startswith("guestbook-")]
    store = next(one for one in objects if one.ref == f"Service/{right.store}")
    answers = [
        {
            "status": 200,
            "text": f"{right.greeting}\nThis is {right.version} on {name}.",
            "host": name,
            "version": right.version,
            "error": "",
            "count": 20,
        }
        for name in names
    ]
    inside = {
        "names": {right.store: {"addresses": [store.spec["clusterIP"]], "error": ""}},
        "entries": [{"status": 200, "text": "No entries yet.", "host": "", "version": "", "error": ""}],
    }
    seen = {
        "CapstoneAnswers(path='/', per_pod=True, service='guestbook', times=20)": answers,
        "RedisEntries(deployment='guestbook')": {"": inside},
        "reach": reach,
    }
    whole = state(*objects, observations=seen)
    whole.objects["Namespace"][0] = namespace(bound(begun, "uid-7"))
    return whole


def capstone_causes(seen: State) -> dict[str, str]:
    return {task.id: task.cause for task in judge(LAB, seen).tasks if task.id in CAPSTONE and task.verdict != "passed"}


@pytest.mark.parametrize("seed", SEEDS[:12])
def test_a_seeds_own_answer_passes_and_is_none_of_another(seed: str) -> None:
    assert capstone_causes(world(seed, seed)) == {}
    for other in SEEDS[12:30]:
        causes = capstone_causes(world(seed, other))
        assert "says" in causes, (seed, other, causes)  # the words are never the same; a port may be
        assert "checker-crashed" not in causes.values()


def changed(seed: str, change: Callable[[State], None]) -> dict[str, str]:
    seen = world(seed, seed)
    change(seen)
    return capstone_causes(seen)


def test_what_was_put_right_at_the_cost_of_others_is_named() -> None:
    def quota(seen: State) -> None:
        seen.require("ResourceQuota", "house").spec["hard"]["limits.memory"] = "64Gi"

    def policy(seen: State) -> None:
        seen.objects["NetworkPolicy"] = []

    def wider(seen: State) -> None:
        seen.require("NetworkPolicy", "cache").spec["ingress"].append({})

    def same_quota(seen: State) -> None:
        hard = seen.require("ResourceQuota", "house").spec["hard"]
        hard["limits.memory"] = str(int(hard["limits.memory"][:-2]) * 1024) + "Ki"

    def opened(seen: State) -> None:
        seen.objects["NetworkPolicy"].append(obj("NetworkPolicy", "all", spec={"podSelector": {}, "ingress": [{}]}))

    def closed(seen: State) -> None:
        seen.objects["NetworkPolicy"].append(
            obj("NetworkPolicy", "none", spec={"podSelector": {}, "policyTypes": ["Ingress"]})
        )

    def own(seen: State) -> None:
        selector = {"matchLabels": capstone.plan("1").labels}
        seen.objects["NetworkPolicy"].append(
            obj("NetworkPolicy", "own", spec={"podSelector": selector, "ingress": [{}]})
        )

    def handbook(seen: State) -> None:
        seen.require("ConfigMap", "handbook").raw["data"]["handbook.txt"] = "All is well.\n"

    def relabelled(seen: State) -> None:
        seen.require("Node", "worker").labels["kubernetes.io/os"] = "lniux"

    for damage in (opened, handbook, relabelled):
        assert changed("1", damage) == {"nothing-else": "other-workload-changed"}, damage.__name__
    assert changed("1", closed) == changed("1", own) == {}
    assert changed("1", quota) == {"nothing-else": "other-workload-changed"}
    assert changed("1", policy) == {"nothing-else": "other-workload-deleted"}
    assert changed("1", wider) == {"nothing-else": "other-workload-changed"}
    assert changed("1", same_quota) == {}


def test_a_symptom_that_was_repaired_with_the_cause_left_is_named() -> None:
    def probe(path: str | None) -> Callable[[State], None]:
        def put(seen: State) -> None:
            container = seen.require("Deployment", "guestbook").containers[0]
            container.pop("readinessProbe")
            if path:
                container["readinessProbe"] = {"httpGet": {"path": path, "port": 1}}

        return put

    def variable(name: str, value: str) -> Callable[[State], None]:
        def put(seen: State) -> None:
            for one in seen.pods_of(seen.require("Deployment", "guestbook")):
                one.containers[0]["env"] = [v for v in one.containers[0]["env"] if v["name"] != name]
                one.containers[0]["env"] += [{"name": name, "value": value}] if value else []

        return put

    def memory(limit: str) -> Callable[[State], None]:
        def put(seen: State) -> None:
            for one in seen.pods_of(seen.require("Deployment", "guestbook")):
                one.containers[0]["resources"] = {"limits": {"memory": limit}} if limit else {}

        return put

    def of_the_pod(seen: State) -> None:
        memory("")(seen)
        for one in seen.pods_of(seen.require("Deployment", "guestbook")):
            one.spec["resources"] = {"limits": {"memory": "12Mi"}}

    assert changed("1", memory("12Mi")) == changed("1", of_the_pod) == {"every-replica": "limit-too-small"}
    assert changed("1", memory("1Gi")) == changed("1", memory("")) == {}
    assert changed("1", probe(None)) == {"every-replica": "no-readiness-probe"}
    assert changed("1", probe("/")) == {"every-replica": "probe-weakened"}
    assert changed("1", variable("REDIS_HOST", "")) == {"entries": "redis-not-configured"}
    assert changed("1", variable("REDIS_HOST", "10.244.1.9")) == {"entries": "redis-by-address"}
    assert changed("1", variable("GREETING", capstone.plan("1").greeting)) == {"says": "greeting-hard-coded"}


def test_the_greeting_comes_from_the_handbooks_key() -> None:
    right = capstone.plan("1")

    def words(change: Callable[[dict[str, str]], Any]) -> Callable[[State], None]:
        return lambda seen: change(seen.require("ConfigMap", right.config).raw["data"])

    def another_key(seen: State) -> None:
        seen.require("ConfigMap", right.config).raw["data"]["OTHER"] = right.greeting
        for one in seen.pods_of(seen.require("Deployment", "guestbook")):
            variable = next(v for v in one.containers[0]["env"] if v["name"] == "GREETING")
            variable["valueFrom"]["configMapKeyRef"]["key"] = "OTHER"

    def by_another_variable(seen: State) -> None:
        for one in seen.pods_of(seen.require("Deployment", "guestbook")):
            env = [v for v in one.containers[0]["env"] if v["name"] != "GREETING"]
            one.containers[0]["env"] = [*env, {"name": "GREETING", "value": f"$({right.key})"}]
            one.containers[0]["envFrom"] = [{"configMapRef": {"name": right.config}}]

    assert changed("1", by_another_variable) == {}
    assert changed("1", another_key) == {"says": "greeting-hard-coded"}
    assert changed("1", words(lambda data: data.pop(right.key))) == {"says": "key-missing"}
    assert changed("1", words(lambda data: data.update({right.key: "old", "OTHER": right.greeting}))) == {
        "says": "greeting-hard-coded"
    }
    assert (
        changed("1", words(lambda data: data.update({right.key: right.greeting + "\n\nmore\n"}))) == {}
    )  # as from a file


def test_redis_is_asked_for_by_the_handbooks_name_and_port() -> None:
    right = capstone.plan("1")

    def host(name: str) -> Callable[[State], None]:
        def put(seen: State) -> None:
            for one in seen.pods_of(seen.require("Deployment", "guestbook")):
                next(v for v in one.containers[0]["env"] if v["name"] == "REDIS_HOST")["value"] = name
            names = seen.observations["RedisEntries(deployment='guestbook')"][""]["names"]
            names[name.partition(":")[0]] = names[right.store]

        return put

    def port(seen: State) -> None:
        seen.require("Service", right.store).spec["ports"][0]["port"] = 6379

    assert changed("1", host(f"other:{right.store_port}")) == {"entries": "service-is-externalname"}
    assert changed("1", port) == {"entries": "service-port-missing"}
    assert changed("1", host(f"{right.store}.learn.svc.cluster.local.:{right.store_port}")) == {}
    assert changed("1", host(f"{right.store}:6379")) == changed("1", host(right.store)) == {"entries": "value-wrong"}


def test_what_stands_beside_the_guestbook_says_nothing_of_it() -> None:
    """A sidecar with the right variables and the right probe, and a guestbook without."""

    def sidecar(name: str) -> Callable[[State], None]:
        def put(seen: State) -> None:
            app = seen.require("Deployment", "guestbook")
            for one in (app, *seen.pods_of(app)):
                container = one.containers[0]
                one.containers.insert(0, {**copy.deepcopy(container), "name": "beside", "image": "redis:8"})
                if name == "readinessProbe":
                    container["readinessProbe"] = {"tcpSocket": {"port": 1}}
                else:
                    container["env"] = [v for v in container["env"] if v["name"] != name]

        return put

    assert changed("1", sidecar("readinessProbe"))["every-replica"] == "probe-weakened"
    assert changed("1", sidecar("REDIS_HOST"))["entries"] == "redis-not-configured"
    assert changed("1", sidecar("GREETING"))["says"] == "greeting-hard-coded"


LISTENS = capstone.plan("1").listens
READYZ = f"http://127.0.0.1:{LISTENS}/readyz"
URLOPEN = f"from urllib.request import urlopen; urlopen('{READYZ}', timeout=1)"


def by_command(*command: str) -> dict[str, Any]:
    return {"exec": {"command": list(command)}}


@pytest.mark.parametrize(
    "probe, cause",
    [
        ({"httpGet": {"path": "/readyz", "port": LISTENS}, "failureThreshold": 10, "periodSeconds": 5}, ""),
        ({"httpGet": {"path": "/readyz?from=kubelet", "port": LISTENS}}, ""),
        ({"httpGet": {"path": "readyz", "port": LISTENS}}, ""),
        ({"httpGet": {"path": "/healthz?not=/readyz", "port": LISTENS}}, "probe-weakened"),
        ({"httpGet": {"path": "/readyz", "port": 1, "host": "10.244.1.9"}}, "probe-weakened"),
        ({"httpGet": {"path": "/readyz", "port": LISTENS + 1}}, "probe-weakened"),
        ({"httpGet": {"path": "/readyz", "port": LISTENS}, "failureThreshold": 100000}, "probe-weakened"),
        ({"tcpSocket": {"port": LISTENS}}, "probe-weakened"),
        (by_command("python3", "ask.py", READYZ), ""),
        (by_command("/usr/local/bin/python3", "/app/ask.py", READYZ), ""),
        (by_command("sh", "-c", f"python3 ask.py {READYZ}"), ""),
        (by_command("/bin/sh", "-c", f"cd /app && python3 ask.py {READYZ} || exit 1"), ""),
        (by_command("python3", "-c", URLOPEN), ""),
        (by_command("timeout", "4", "python3", "ask.py", READYZ), ""),
        (by_command("sh", "-c", f"exec python3 ask.py {READYZ}"), ""),
        (by_command("python3", "ask.py", "http://guestbook:8271/readyz"), "probe-weakened"),
        (by_command("python3", "-c", f"import sys; {URLOPEN}; sys.exit(0)"), ""),  # urlopen raises before that
        (by_command("sh", "-c", f'python3 -c "{URLOPEN}"'), ""),
        (by_command("sh", "-c", f"python3 ask.py {READYZ} || true"), "probe-weakened"),
        (by_command("sh", "-c", f"python3 ask.py {READYZ}; exit 0"), "probe-weakened"),
        (by_command("sh", "-c", f"python3 ask.py {READYZ}\nexit 0\n"), "probe-weakened"),
        (by_command("sh", "-c", f"python3 ask.py {READYZ} &"), "probe-weakened"),
        (by_command("sh", "-c", "python3 ask.py http://127.0.0.1:9417/version"), "probe-weakened"),
        (by_command("sh", "-c", "true # /readyz"), "probe-weakened"),
        (by_command("echo", "/readyz"), "not-observed"),
        (by_command("sh", "-c", f"python3 ask.py {READYZ} | grep ready"), "not-observed"),
        (by_command("sh", "-c", f"python3 ask.py '{READYZ}"), "not-observed"),
        (by_command("python3", "-c", f"try: {URLOPEN}\nexcept OSError: pass"), "not-observed"),
        (by_command("python3", "-c", "print('/readyz')"), "not-observed"),
    ],
)
def test_a_probe_that_asks_and_one_that_pretends_to(probe: dict[str, Any], cause: str) -> None:
    def put(seen: State) -> None:
        seen.require("Deployment", "guestbook").containers[0]["readinessProbe"] = probe

    assert changed("1", put) == ({"every-replica": cause} if cause else {})


def test_ready_or_not_is_of_no_account_where_the_service_does_not_mind() -> None:
    def put(seen: State) -> None:
        seen.require("Service", "guestbook").spec["publishNotReadyAddresses"] = True

    assert changed("1", put) == {"every-replica": "probe-weakened"}


@pytest.mark.parametrize(
    "ref, change",
    [
        ("NetworkPolicy/cache", lambda spec: spec["podSelector"]["matchLabels"].update(x="y")),
        ("NetworkPolicy/cache", lambda spec: spec["ingress"][0]["from"][0].update(namespaceSelector={})),
        ("NetworkPolicy/cache", lambda spec: spec["ingress"][0]["ports"][0].update(endPort=65535)),
        ("Service/cache", lambda spec: spec["selector"].update(x="y")),
        ("Service/cache", lambda spec: spec.update(type="NodePort")),
        ("ResourceQuota/house", lambda spec: spec.update(scopes=["Terminating"])),
        ("ResourceQuota/house", lambda spec: spec["hard"].update(pods="6")),
    ],
)
def test_what_was_added_to_a_neighbour_changes_it(ref: str, change: Callable[[dict[str, Any]], Any]) -> None:
    assert changed("1", lambda seen: change(seen.require(*ref.split("/")).spec)) == {
        "nothing-else": "other-workload-changed"
    }


def test_one_redis_keeps_all_entries() -> None:
    def put(seen: State) -> None:
        store = seen.require("Deployment", capstone.plan("1").store)
        (one,) = seen.pods_of(store)
        raw = copy.deepcopy(one.raw)
        raw["metadata"] |= {"name": f"{one.name}-2", "uid": "2"}
        seen.objects["Pod"].append(Object("Pod", raw))
        store.spec["replicas"] = store.status["replicas"] = store.status["readyReplicas"] = 2

    assert changed("1", put).get("entries") == "entries-scattered"


def test_what_people_read_is_the_handbooks() -> None:
    def greets(other: str, seen: State) -> None:
        for name, answers in seen.observations.items():
            if name.startswith("CapstoneAnswers"):
                for answer in answers:
                    answer["text"] = f"{capstone.plan('1').greeting}\n{other} on x."

    right = capstone.plan("1").version
    assert changed("1", partial(greets, f"This is {right}")) == {}
    assert changed("1", partial(greets, f"Closed for repair.\nThis is {right}")) == {"says": "greeting-wrong"}
    assert changed("1", partial(greets, "This is v9")) == {"says": "wrong-image"}


def test_an_address_behind_the_name_is_an_address() -> None:
    def put(seen: State) -> None:
        for one in seen.pods_of(seen.require("Deployment", "guestbook")):
            one.spec["hostAliases"] = [{"ip": "10.96.0.9", "hostnames": [capstone.plan("1").store]}]

    assert changed("1", put) == {"entries": "redis-by-address"}


def test_a_helper_of_the_same_image_is_not_the_app() -> None:
    def put(seen: State) -> None:
        helper = {"name": "helper", "image": capstone.plan("1").image, "resources": {"limits": {"memory": "24Mi"}}}
        for one in seen.pods_of(seen.require("Deployment", "guestbook")):
            one.containers.insert(0, helper)
            one.status["containerStatuses"].insert(0, {**one.status["containerStatuses"][0], "name": "helper"})

    assert changed("1", put) == {}


def moved(pod_port: int, variable: dict[str, Any], target: int) -> Callable[[State], None]:
    """The app is told another port, and the Service sends to this one."""

    def put(seen: State) -> None:
        seen.require("Service", "guestbook").spec["ports"][0]["targetPort"] = target
        for one in seen.pods_of(seen.require("Deployment", "guestbook")):
            seen.observations["reach"][f"{one.status['podIP']}:{target}"] = "open"
            env = [v for v in one.containers[0]["env"] if v["name"] != "PORT"]
            one.containers[0]["env"] = [*env, {"name": "PORT", **variable}]
            one.containers[0]["ports"][0]["containerPort"] = pod_port

    return put


def test_the_app_stays_at_the_port_of_the_handbook() -> None:
    right = capstone.plan("1").listens
    secret = {"valueFrom": {"secretKeyRef": {"name": "where", "key": "port"}}}
    assert changed("1", moved(9999, {"value": "9999"}, 9999)) == {"answers": "app-port-moved"}
    assert changed("1", moved(right, {"value": str(right)}, right)) == {}
    assert changed("1", moved(right, {"value": str(right)}, 9999)) == {}  # something stands in front of it
    assert changed("1", moved(right, secret, right)) == {}


def test_what_a_secret_tells_of_redis_is_not_held_against_anybody() -> None:
    def put(seen: State) -> None:
        seen.objects["Secret"] = [obj("Secret", "where", data={"at": ""})]
        for one in seen.pods_of(seen.require("Deployment", "guestbook")):
            variable = next(v for v in one.containers[0]["env"] if v["name"] == "REDIS_HOST")
            variable.pop("value", "")  # one that all Pods share here
            variable["valueFrom"] = {"secretKeyRef": {"name": "where", "key": "at"}}

    assert changed("1", put) == {"entries": "not-observed"}


def test_the_guestbook_is_asked_in_its_own_container() -> None:
    seen = world("1", "1")
    for one in seen.pods_of(seen.require("Deployment", "guestbook")):
        one.containers.insert(0, {"name": "beside", "image": "redis:8"})
        one.status["containerStatuses"].insert(0, {"name": "beside", "state": {"running": {}}})
    ask, *others = LAB.code["entries"].observe[0].question(seen)["asks"].values()
    assert {one["container"] for one in others} == {ask["container"]}
    assert ask["container"] == "guestbook"
    assert ask["questions"]["names"] == [capstone.plan("1").store, "kubernetes.default"]


@pytest.mark.parametrize(
    "source, right",
    [
        (lambda config: {"configMap": {"name": config}}, True),
        (lambda config: {"projected": {"sources": [{"configMap": {"name": config}}]}}, True),
        (lambda config: {"configMap": {"name": "another"}}, False),
        (lambda config: {"emptyDir": {}}, False),
    ],
)
def test_a_greeting_from_a_file(source: Callable[[str], dict[str, Any]], right: bool) -> None:
    def put(seen: State) -> None:
        for one in seen.pods_of(seen.require("Deployment", "guestbook")):
            container = one.containers[0]
            container["env"] = [v for v in container["env"] if v["name"] != "GREETING"]
            container["env"].append({"name": "GREETING_FILE", "value": "/words/it"})
            container["volumeMounts"] = [{"name": "words", "mountPath": "/words"}]
            one.spec["volumes"] = [{"name": "words", **source(capstone.plan("1").config)}]

    assert changed("1", put) == ({} if right else {"says": "greeting-hard-coded"})


@pytest.mark.parametrize(
    "path, cause",
    [
        ("/words/other", "greeting-hard-coded"),
        ("/words/missing", None),
        ("/scratch/it", "not-observed"),
        ("/elsewhere/it", None),
    ],
)
def test_a_file_wins_over_a_right_variable(path: str, cause: str | None) -> None:
    """A file of another key; one that is missing; one that could not be read; one that no volume can have put there."""

    def put(seen: State) -> None:
        right = capstone.plan("1")
        seen.require("ConfigMap", right.config).raw["data"]["other"] = right.greeting
        for one in seen.pods_of(seen.require("Deployment", "guestbook")):
            container = one.containers[0]
            container["env"] = [*container["env"], {"name": "GREETING_FILE", "value": path}]
            container["volumeMounts"] = [{"name": name, "mountPath": f"/{name}"} for name in ("words", "scratch")]
            one.spec["volumes"] = [
                {"name": "words", "configMap": {"name": right.config}},
                {"name": "scratch", "emptyDir": {}},
            ]

    assert changed("1", put) == ({"says": cause} if cause else {})


def test_the_greeting_may_come_with_all_that_the_config_map_has() -> None:
    def put(key: str, value: str | None, seen: State) -> None:
        right = capstone.plan("1")
        seen.require("ConfigMap", right.config).raw["data"][key] = right.greeting
        for one in seen.pods_of(seen.require("Deployment", "guestbook")):
            container = one.containers[0]
            container["env"] = [v for v in container["env"] if v["name"] != "GREETING"]
            container["env"] += [{"name": "GREETING", "value": value}] if value else []
            container["envFrom"] = [{"configMapRef": {"name": right.config}}]

    key = capstone.plan("1").key
    assert changed("1", partial(put, key, f"$({key})")) == {}
    assert changed("1", partial(put, key, None)) == {}  # by a command of its own
    assert changed("1", partial(put, "GREETING", None)) == {"says": "greeting-hard-coded"}


def test_a_change_of_the_seed_is_named_and_nothing_else() -> None:
    seen = world("1", "1")
    seen.objects["Namespace"][0] = namespace("2.0123456789")
    assert set(capstone_causes(seen).values()) == {"seed-lost"}
    assert set(capstone_causes(seen)) == set(CAPSTONE)


# -- seeds -----------------------------------------------------------------------------------------------------------


def namespace(annotation: str | None, uid: str = "uid-7") -> Any:
    annotations = {STARTED: ago(60), **({SEED: annotation} if annotation else {})}
    return obj("Namespace", "learn", namespace="", metadata={"annotations": annotations, "uid": uid})


def with_namespace(one: Any) -> State:
    return State("learn", NOW, {"Namespace": [one]})


def test_a_seed_is_bound_to_its_namespace() -> None:
    good = bound("abc", "uid-7")
    assert seed_of(with_namespace(namespace(good))) == "abc"
    for other in (None, "abc", bound("abc", "uid-8"), good.replace("abc", "abd")):
        with pytest.raises(Failed) as caught:
            seed_of(with_namespace(namespace(other)))
        assert caught.value.cause == "seed-lost"


def test_a_recording_keeps_the_seed_although_the_uid_becomes_another() -> None:
    uid = "12345678-1234-1234-1234-123456789abc"
    one = namespace(bound("abc", uid), uid)
    again = State.from_json(normalised(with_namespace(one)))
    assert again.find("Namespace", "learn").uid != uid  # type: ignore[union-attr]
    assert seed_of(again) == "abc"
    forged = State.from_json(normalised(with_namespace(namespace("abc.0123456789", uid))))
    assert seed_in(forged.find("Namespace", "learn").metadata) == ""  # type: ignore[union-attr]


def test_a_learners_own_seed_is_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    assert default_seed("learn") == default_seed("learn") != default_seed("other")
    mine = default_seed("learn")
    monkeypatch.setenv("LOGNAME", "bob")
    assert default_seed("learn") != mine
    assert checked(mine) == mine


@pytest.mark.parametrize("seed", ["", "-x", "a b", "a.b", "x" * 41, "ä"])
def test_what_is_no_seed(seed: str) -> None:
    with pytest.raises(Problem):
        checked(seed)


# -- failover, from timelines ----------------------------------------------------------------------------------------

BEGIN = NOW.timestamp() - 400
KEY = "LiveTraffic(path='/hostname', service='guestbook')"


def failover(
    nodes: dict[str, list[list[Any]]],
    pods: list[dict[str, Any]],
    lost: list[list[Any]] | None = None,
    cordoned: bool = False,
    since: float = 0,
    hosts: dict[str, Any] | None = None,
    ready: str = "True",
    tainted: bool = False,
) -> dict[str, str]:
    """The causes of the two failover tasks ("" where passed); times in seconds after the lab's start."""

    def at(changes: list[list[Any]]) -> list[list[Any]]:
        return [[BEGIN + first, *rest] for first, *rest in changes]

    live = "learn-live"
    app = deployment(metadata={"namespace": live})
    made = replica_set(app)
    made.raw["metadata"]["namespace"] = made.namespace = live
    one = pod(owner=made, namespace=live)
    front, behind = service(), slice_of()
    for thing in (front, behind):
        thing.raw["metadata"]["namespace"] = thing.namespace = live
    worker = node("worker")
    worker.spec["unschedulable"] = cordoned
    if tainted:
        worker.spec["taints"] = [{"key": "repair", "effect": "NoSchedule"}]
    worker.status["conditions"] = [{"type": "Ready", "status": ready, "lastTransitionTime": ago(60)}]
    begun = namespace(bound("abc", "uid-7"))
    begun.annotations[STARTED] = ago(400)
    timeline = {
        "since": BEGIN + since,
        "until": NOW.timestamp(),
        "sent": 1,
        "hosts": hosts or {},
        "said": {},
        "texts": [],
        "lost": [[BEGIN + first, error, count, BEGIN + first + 0.9] for first, error, count in lost or []],
        "nodes": {name: at(changes) for name, changes in nodes.items()},
        "pods": {
            p["name"]: {
                **p,
                "owner": "rs",
                "added": BEGIN + p["added"],
                "ready": BEGIN + p["added"] + 5,
                "deleted": BEGIN + p["deleted"] if p["deleted"] else 0,
                "gone": BEGIN + p["deleted"] + 2 if p["deleted"] else 0,
            }
            for p in pods
        },
        "replicas": {"rs": {"kind": "ReplicaSet", "name": "guestbook-abc", "images": [], "changes": [[BEGIN, 2]]}},
    }
    whole = state(
        obj("Namespace", live, namespace=""),
        app,
        made,
        one,
        front,
        behind,
        worker,
        node("worker2"),
        observations={KEY: timeline, "reach": {"10.244.1.1:8080": "open"}},
    )
    whole.objects["Namespace"][0] = begun
    assert not isinstance(seen_of(whole, LAB.code["drained"].observe[0]), str)
    verdicts = {task.id: task for task in judge(LAB, whole).tasks}
    return {id: verdicts[id].cause for id in ("drained", "node-back")}


def p(name: str, where: str, added: float = 1, deleted: float = 0) -> dict[str, Any]:
    return {"name": name, "node": where, "added": added, "deleted": deleted}


OPEN = [0, True, True]
DRAINED = [OPEN, [100, True, False], [170, False, False], [190, True, False], [195, True, True]]
MOVED = [
    p("a", "worker", deleted=101),
    p("b", "worker", deleted=110),
    p("c", "worker2", added=101),
    p("d", "worker2", added=110),
]


def test_drained_stopped_and_back() -> None:
    assert failover({"worker": DRAINED, "worker2": [OPEN]}, MOVED) == {"drained": "", "node-back": ""}


def test_nothing_happened_to_any_node() -> None:
    expected = {"drained": "node-never-drained", "node-back": "node-never-lost"}
    assert failover({"worker": [OPEN], "worker2": [OPEN]}, [p("a", "worker")]) == expected


def test_what_an_observer_has_not_watched_is_not_held_against_anybody() -> None:
    assert failover({"worker": [OPEN]}, [p("a", "worker")], since=200) == {
        "drained": "not-observed",
        "node-back": "not-observed",
    }


def test_a_node_that_is_still_away() -> None:
    causes = failover({"worker2": [OPEN], "worker": DRAINED[:3]}, MOVED, cordoned=True, ready="Unknown")
    assert causes == {"drained": "", "node-back": "node-not-ready"}


def test_requests_lost_by_another_node_and_before_do_not_count() -> None:
    assert failover({"worker": DRAINED}, MOVED, lost=[[20, "refused", 9], [300, "timeout", 3]]) == {
        "drained": "",
        "node-back": "",
    }


def test_all_replicas_at_once() -> None:
    together = [p("a", "worker", deleted=101), p("b", "worker", deleted=101), p("c", "worker2", added=101)]
    causes = failover({"worker": DRAINED}, together, lost=[[103, "refused", 20]])
    assert causes == {"drained": "drained-all-at-once", "node-back": ""}


def test_a_second_try_counts() -> None:
    first = [OPEN, [50, True, False], [60, True, True]]
    pods = [
        p("x", "worker2", deleted=51),
        p("y", "worker2", deleted=51),
        p("a", "worker", added=51, deleted=101),
        p("b", "worker", added=51, deleted=110),
        p("c", "worker2", added=101),
    ]
    assert failover({"worker2": first, "worker": DRAINED}, pods, lost=[[53, "refused", 20]]) == {
        "drained": "",
        "node-back": "",
    }


def test_a_lost_node_with_pods() -> None:
    causes = failover(
        {"worker": [OPEN, [170, False, True], [190, True, True]]}, [p("a", "worker")], lost=[[130, "timeout", 12]]
    )
    assert causes == {"drained": "node-never-drained", "node-back": "lost-with-pods"}


def test_a_closed_node_that_kept_its_pods() -> None:
    causes = failover({"worker": [OPEN, [100, True, False]]}, [p("a", "worker")], cordoned=True)
    assert causes == {"drained": "node-not-emptied", "node-back": "node-never-lost"}


def test_a_forgotten_uncordon() -> None:
    assert failover({"worker": DRAINED[:4]}, MOVED, cordoned=True) == {"drained": "", "node-back": "node-left-cordoned"}


def test_a_forgotten_taint() -> None:
    assert failover({"worker": DRAINED}, MOVED, tainted=True) == {"drained": "", "node-back": "node-left-cordoned"}


def test_a_lost_node_that_never_had_a_pod() -> None:
    nodes = {"worker": [OPEN], "worker2": [OPEN, [170, False, True], [190, True, True]]}
    here = [p("a", "worker"), p("b", "worker")]
    assert failover(nodes, here) == {"drained": "node-never-drained", "node-back": "node-never-drained"}
    assert failover(nodes, here, since=200)["node-back"] == "not-observed"


def test_one_of_two_drains_with_strangers() -> None:
    """Either one is enough, whichever came first."""
    nodes = {"worker": DRAINED, "worker2": [OPEN, [250, True, False], [270, True, True]]}
    pods = [
        *MOVED[:2],
        *(one | {"deleted": 251 + 9 * i} for i, one in enumerate(MOVED[2:])),
        p("e", "worker", added=251),
    ]
    for begin in (90, 245):
        stranger = {"fake": [[BEGIN + begin, BEGIN + begin + 10, 100, "v1"]]}
        assert failover(nodes, pods, hosts=stranger)["drained"] == ""


def test_strangers_that_answer_while_a_node_is_drained() -> None:
    stranger = {"fake": [[BEGIN + 90, BEGIN + 200, 500, "v1"]]}
    assert failover({"worker": DRAINED}, MOVED, hosts=stranger)["drained"] == "service-answers-wrong"


@pytest.mark.parametrize("terminating", [True, False])
def test_a_pod_of_the_deployment_that_was_told_to_go_may_answer_for_a_moment(terminating: bool) -> None:
    """Each node's kube-proxy learns in its own time that a Pod is terminating; for another Pod that is no excuse."""
    seen = world("7", "7")
    answers = seen.observations["CapstoneAnswers(path='/', per_pod=True, service='guestbook', times=20)"]
    answers.append(answers[0] | {"host": "guestbook-abc-old"})
    if terminating:
        owner = next(one for one in seen.all("ReplicaSet") if one.name == "guestbook-abc")
        old = pod("guestbook-abc-old", owner=owner, ip="10.244.1.99")
        old.raw["metadata"]["deletionTimestamp"] = ago(-29)
        seen.objects["Pod"].append(old)
    strange = next(task for task in judge(LAB, seen).tasks if task.id == "answers")
    assert strange.cause == "service-answers-wrong"
    assert strange.in_progress is terminating


@pytest.mark.parametrize(
    "more, causes",
    [
        ({"redis": {"asked": True}, "app": True}, {}),
        ({"redis": {"asked": False}, "app": True}, {"entries": "redis-not-configured"}),
        ({"redis": {"error": "TimeoutError: timed out"}, "app": True}, {"entries": "not-observed"}),
        ({"redis": {"asked": True}, "app": False}, {"every-replica": "probe-weakened"}),
    ],
)
def test_what_a_replica_does_counts_and_not_what_its_pod_is_given(more: dict[str, Any], causes: dict[str, str]) -> None:
    seen = world("1", "1")
    inside = seen.observations["RedisEntries(deployment='guestbook')"]
    inside["another"] = {**copy.deepcopy(inside[""]), **more}
    assert capstone_causes(seen) == causes


ASKING = as_sent(LAB, "ask_guestbook")


def test_the_program_that_asks_goes_by_the_guestbooks_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ASKING, "PROCESSES", tmp_path)
    monkeypatch.setenv("REDIS_HOST", "127.0.0.1:1")
    seen = ASKING.answers({"names": ["localhost"]})
    assert (seen["app"], seen["names"]["localhost"]["addresses"]) == (False, ["127.0.0.1"])
    assert "refused" in seen["redis"]["error"].lower()
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cmdline").write_text("python3\0-u\0app.py\0")
    (tmp_path / "7" / "environ").write_text("PORT=1\0")
    seen = ASKING.answers({"names": []})
    assert (seen["app"], seen["redis"], seen["entries"][0]["error"]) == (True, {"asked": False}, "refused")


def test_processes_of_the_pods_other_containers_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With shareProcessNamespace, /proc shows the processes of all containers of the Pod."""
    for number, namespace in {"self": "mnt:[1]", "7": "mnt:[2]", "8": "mnt:[1]"}.items():
        (tmp_path / number / "ns").mkdir(parents=True)
        (tmp_path / number / "ns" / "mnt").symlink_to(namespace)
        (tmp_path / number / "cmdline").write_text("python3\0app.py\0" if number == "7" else "sh\0")
        (tmp_path / number / "environ").write_text("PORT=1\0")
    monkeypatch.setattr(ASKING, "PROCESSES", tmp_path)
    assert ASKING.app_variables() is None, "the app runs in another container"
    (tmp_path / "8" / "cmdline").write_text("python3\0app.py\0")
    assert ASKING.app_variables() == {"PORT": "1"}


class FakeRedis(threading.Thread):
    """A Redis that knows MONITOR, and repeats one command of a client at an address."""

    def __init__(self, client: str) -> None:
        super().__init__(daemon=True)
        self.server, self.client = socket.create_server(("127.0.0.1", 0)), client

    def run(self) -> None:
        connection, _ = self.server.accept()
        connection.recv(64)
        connection.sendall(f'+OK\r\n+1.5 [0 {self.client}:4] "LRANGE" "entries" "0" "-1"\r\n'.encode())
        connection.recv(1)


@pytest.mark.parametrize("client, uses_redis", [("127.0.0.1", True), ("10.9.9.9", False)])
def test_whether_this_pod_read_the_list_is_seen_in_redis(client: str, uses_redis: bool) -> None:
    redis = FakeRedis(client)
    redis.start()
    answer, seen = ASKING.entries_watched("1", redis.server.getsockname())
    assert (answer["error"], seen) == ("refused", {"asked": uses_redis})
