"""The capstone: the objects of a guestbook, made from a seed, and the same objects with four faults.

This module uses only Python's standard library, and it does no I/O except its command line. The right values depend on
the seed, so the repairs of two learners are different. `python3 setup.py SEED` prints the objects without a fault.
`--leave FAULT` keeps one fault.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

BROKEN = 4  # faults in one guestbook
AT_MOST = 2  # of one group
TOWNS = (
    "Bergen",
    "Cadiz",
    "Delft",
    "Essen",
    "Faro",
    "Genoa",
    "Hilo",
    "Kyoto",
    "Lund",
    "Nice",
    "Oslo",
    "Porto",
    "Quito",
    "Riga",
    "Tartu",
    "York",
)
COLOURS = ("amber", "azure", "coral", "ivory", "khaki", "lilac", "mauve", "olive", "rusty", "sepia", "umber", "white")
STORES = ("attic", "cellar", "drawer", "ledger", "locker", "pantry", "shelf", "vault")
WORDS = ("MOTTO", "SLOGAN", "WELCOME", "HEADLINE", "SALUTATION", "OPENING")
PORT_NAMES = ("http", "web", "pages", "front", "visits")

Objects = dict[str, dict[str, Any]]  # by Kind/name


def pick(seed: str, what: str, number: int) -> int:
    """A number from 0 to number - 1 for this seed and this purpose. Each purpose has a number of its own."""
    return int(hashlib.sha256(f"{seed}/{what}".encode()).hexdigest()[:12], 16) % number


def slip(word: str, seed: str, what: str) -> str:
    """The word with a typing error: one letter is missing, or two letters are exchanged. The first letter stays."""
    places = [
        i for i in range(1, len(word) - 1) if word[i].isalnum() and word[i + 1].isalnum() and word[i] != word[i + 1]
    ]
    i = places[pick(seed, f"{what}/place", len(places))]
    return (
        word[:i] + word[i + 1 :] if pick(seed, f"{what}/kind", 2) else word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    )


@dataclass(frozen=True)
class Plan:
    """The right values for one seed."""

    greeting: str
    config: str  # the ConfigMap that holds the greeting
    key: str
    port: int  # of the Service
    listens: int  # the port of the app
    port_name: str
    version: str
    replicas: int
    colour: str  # in the Pods' label
    store: str  # the name of Redis' Deployment and Service
    store_port: int
    memory: str  # limit of one guestbook
    quota: str  # of memory, for the namespace

    @property
    def labels(self) -> dict[str, str]:
        return {"app": f"guestbook-{self.colour}"}

    @property
    def image(self) -> str:
        return f"guestbook:{self.version}"

    @property
    def redis_host(self) -> str:
        return f"{self.store}:{self.store_port}"


def plan(seed: str) -> Plan:
    """The right values for this seed."""
    of = partial(pick, seed)
    street = COLOURS[of("street", len(COLOURS))].capitalize()
    return Plan(
        greeting=f"Welcome to {TOWNS[of('town', len(TOWNS))]}, {1000 + of('house', 9000)} {street} Street, "
        f"floor {10 + of('floor', 90)}!",
        config=f"words-{COLOURS[of('config', len(COLOURS))]}",
        key=WORDS[of("key", len(WORDS))],
        port=8000 + of("port", 900),
        listens=9000 + of("listens", 900),
        port_name=PORT_NAMES[of("port name", len(PORT_NAMES))],
        version=("v1", "v2")[of("version", 2)],
        replicas=2 + of("replicas", 2),
        colour=COLOURS[of("colour", len(COLOURS))],
        store=STORES[of("store", len(STORES))],
        store_port=7000 + of("store port", 900),
        memory=f"{96 + 4 * of('memory', 5)}Mi",
        quota=f"{800 + 10 * of('quota', 20)}Mi",
    )


# -- as it should be -------------------------------------------------------------------------------------------------

CACHE = {"app": "cache"}


def whole(seed: str) -> Objects:
    """All objects of the lab without a fault: the guestbook, its Redis, and the objects of the other team."""
    right = plan(seed)
    guestbook = {
        "name": "guestbook",
        "image": right.image,
        "ports": [{"name": right.port_name, "containerPort": right.listens}],
        "env": [
            {"name": "PORT", "value": str(right.listens)},
            {"name": "REDIS_HOST", "value": right.redis_host},
            {"name": "DRAIN_SECONDS", "value": "1"},
            {"name": "GREETING", "valueFrom": {"configMapKeyRef": {"name": right.config, "key": right.key}}},
        ],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": right.port_name}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "5m", "memory": "24Mi"}, "limits": {"memory": right.memory}},
    }
    objects = [
        _object("v1", "ConfigMap", right.config, data={right.key: right.greeting}),
        _deployment("guestbook", right.labels, right.replicas, guestbook),
        _service("guestbook", right.labels, right.port, right.port_name),
        _deployment(right.store, {"app": right.store}, 1, _redis("40Mi")),
        _service(right.store, {"app": right.store}, right.store_port, 6379),
        _deployment("cache", CACHE, 1, _redis("24Mi")),
        _service("cache", CACHE, 6379, 6379),
        _object(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            "cache",
            spec={
                "podSelector": {"matchLabels": CACHE},
                "policyTypes": ["Ingress"],
                "ingress": [
                    {
                        "from": [{"podSelector": {"matchLabels": {"team": "cellar"}}}],
                        "ports": [{"protocol": "TCP", "port": 6379}],
                    }
                ],
            },
        ),
        _object("v1", "ResourceQuota", "house", spec={"hard": {"limits.memory": right.quota}}),
        _object("v1", "ConfigMap", "handbook", data={"handbook.txt": handbook(right)}),
    ]
    return {f"{o['kind']}/{o['metadata']['name']}": o for o in objects}


def _object(api_version: str, kind: str, name: str, **rest: Any) -> dict[str, Any]:
    labels = {"kubeclass.dev/lab": "16"}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "labels": labels}, **rest}


def _service(name: str, selector: dict[str, str], port: int, target: int | str) -> dict[str, Any]:
    return _object(
        "v1", "Service", name, spec={"selector": dict(selector), "ports": [{"port": port, "targetPort": target}]}
    )


def _deployment(name: str, labels: dict[str, str], replicas: int, container: dict[str, Any]) -> dict[str, Any]:
    pod = {
        "metadata": {"labels": dict(labels)},
        "spec": {"containers": [container]},
    }
    return _object(
        "apps/v1",
        "Deployment",
        name,
        spec={
            "replicas": replicas,
            "selector": {"matchLabels": {"app": labels["app"]}},
            "template": pod,
        },
    )


def _redis(memory: str) -> dict[str, Any]:
    return {
        "name": "redis",
        "image": "redis:8",
        "args": ["redis-server", "--save", "", "--maxmemory", "8mb"],
        "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "5m", "memory": "12Mi"}, "limits": {"memory": memory}},
    }


def handbook(right: Plan) -> str:
    """The text of ConfigMap handbook: how the guestbook must work, for one seed."""
    return f"""The guestbook
  Service guestbook takes requests on port {right.port}.
  It says: {right.greeting}
  That stands in ConfigMap {right.config}, key {right.key}, and nowhere else.
  Version: {right.version} (image {right.image}), {right.replicas} replicas. It listens on port {right.listens}.
  /readyz tells whether it can take requests. A guestbook needs up to {right.memory} of memory.

Its Redis
  Deployment {right.store}, behind Service {right.store}, port {right.store_port}, in the guestbook's own namespace.
  Entries are kept there, and nowhere else.

Beside it
  ResourceQuota house: {right.quota} of memory (limits.memory) for everything here. That was agreed on.
  Deployment, Service and NetworkPolicy cache belong to another team. They work.
"""


# -- broken ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """One way to break the guestbook. group: its subject; cause: the id of its cause, if no other fault is left."""

    id: str
    group: str
    cause: str
    put: Callable[[Objects, Plan, str], None]


def _container(objects: Objects, name: str = "guestbook") -> dict[str, Any]:
    container: dict[str, Any] = objects[f"Deployment/{name}"]["spec"]["template"]["spec"]["containers"][0]
    return container


def _variable(objects: Objects, name: str) -> dict[str, Any]:
    return next(v for v in _container(objects)["env"] if v["name"] == name)


def _selector(objects: Objects, right: Plan, seed: str) -> None:
    objects["Service/guestbook"]["spec"]["selector"]["app"] = "guestbook-" + slip(right.colour, seed, "selector")


def _target_port(objects: Objects, right: Plan, seed: str) -> None:
    objects["Service/guestbook"]["spec"]["ports"][0]["targetPort"] = right.listens + 1 + pick(seed, "target", 90)


def _service_port(objects: Objects, right: Plan, seed: str) -> None:
    objects["Service/guestbook"]["spec"]["ports"][0]["port"] = right.port + 1 + pick(seed, "service port", 90)


def _image(objects: Objects, right: Plan, seed: str) -> None:
    container = _container(objects)
    container["image"] = f"{slip('guestbook', seed, 'image')}:{container['image'].partition(':')[2]}"


def _version(objects: Objects, right: Plan, seed: str) -> None:
    container = _container(objects)
    container["image"] = f"{container['image'].partition(':')[0]}:{'v1' if right.version == 'v2' else 'v2'}"


def _config_key(objects: Objects, right: Plan, seed: str) -> None:
    _variable(objects, "GREETING")["valueFrom"]["configMapKeyRef"]["key"] = slip(right.key, seed, "key")


def _memory(objects: Objects, right: Plan, seed: str) -> None:
    resources = _container(objects)["resources"]
    resources["limits"]["memory"] = f"{9000 + pick(seed, 'too small', 500)}Ki"
    resources["requests"]["memory"] = "4Mi"


def _node_selector(objects: Objects, right: Plan, seed: str) -> None:
    pod = objects["Deployment/guestbook"]["spec"]["template"]["spec"]
    pod["nodeSelector"] = {"kubernetes.io/os": slip("linux", seed, "os")}


def _readiness_path(objects: Objects, right: Plan, seed: str) -> None:
    _container(objects)["readinessProbe"]["httpGet"]["path"] = "/" + slip("readyz", seed, "path")


def _replicas(objects: Objects, right: Plan, seed: str) -> None:
    objects["Deployment/guestbook"]["spec"]["replicas"] = 0


def _paused(objects: Objects, right: Plan, seed: str) -> None:
    objects["Deployment/guestbook"]["spec"]["paused"] = True


def _quota(objects: Objects, right: Plan, seed: str) -> None:
    # Enough for the two Redis servers (64Mi), but not for one guestbook, so the order of creation does not matter.
    objects["ResourceQuota/house"]["spec"]["hard"]["limits.memory"] = f"{68 + pick(seed, 'hard', 24)}Mi"


def _redis_name(objects: Objects, right: Plan, seed: str) -> None:
    _variable(objects, "REDIS_HOST")["value"] = f"{slip(right.store, seed, 'store')}:{right.store_port}"


def _redis_port(objects: Objects, right: Plan, seed: str) -> None:
    objects[f"Service/{right.store}"]["spec"]["ports"][0]["targetPort"] = 6380 + pick(seed, "redis port", 90)


def _redis_options(objects: Objects, right: Plan, seed: str) -> None:
    container = _container(objects, right.store)
    container["args"] = ["--" + slip(a[2:], seed, "option") if a == "--maxmemory" else a for a in container["args"]]


def _redis_elsewhere(objects: Objects, right: Plan, seed: str) -> None:
    objects[f"Service/{right.store}"]["metadata"]["namespace"] = ELSEWHERE


def _greeting(objects: Objects, right: Plan, seed: str) -> None:
    wrong = right.greeting.replace("Welcome", slip("Welcome", seed, "greeting"))
    objects[f"ConfigMap/{right.config}"]["data"][right.key] = wrong


ELSEWHERE = "live"  # the suffix of the lab's further namespace
FAULTS = {
    fault.id: fault
    for fault in (
        Fault("selector", "way in", "service-selects-nothing", _selector),
        Fault("target-port", "way in", "target-port-refused", _target_port),
        Fault("service-port", "way in", "service-port-missing", _service_port),
        Fault("image", "Pods", "image-name-typo", _image),
        Fault("config-key", "Pods", "config-key-missing", _config_key),
        Fault("memory", "Pods", "container-oom-killed", _memory),
        Fault("node-selector", "Pods", "pod-unschedulable-selector", _node_selector),
        Fault("readiness-path", "Pods", "readiness-probe-fails", _readiness_path),
        Fault("replicas", "Pods", "zero-replicas", _replicas),
        Fault("paused", "Pods", "rollout-paused", _paused),
        Fault("quota", "Pods", "quota-exceeded", _quota),
        Fault("redis-name", "Redis", "name-unknown", _redis_name),
        Fault("redis-port", "Redis", "target-port-refused", _redis_port),
        Fault("redis-options", "Redis", "container-crashes", _redis_options),
        Fault("redis-elsewhere", "Redis", "name-unknown", _redis_elsewhere),
        Fault("greeting", "words", "greeting-wrong", _greeting),
        Fault("version", "words", "wrong-image", _version),
    )
}


def faults(seed: str) -> list[Fault]:
    """The faults of a seed: BROKEN of them, and at most AT_MOST of each group.

    At least one of them prevents the Pods from becoming ready, so nothing works at the beginning.
    """
    chosen: list[Fault] = []
    ranked = sorted(FAULTS.values(), key=lambda fault: (pick(seed, f"rank/{fault.id}", 2**40), fault.id))
    stops = next(fault for fault in ranked if fault.group in ("Pods", "Redis"))
    for fault in [stops, *(other for other in ranked if other is not stops)]:
        if len(chosen) < BROKEN and sum(other.group == fault.group for other in chosen) < AT_MOST:
            chosen.append(fault)
    return sorted(chosen, key=lambda fault: list(FAULTS).index(fault.id))


def with_faults(seed: str, left: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """The objects with these faults, by the suffix of their namespace ("" is the namespace of the lab)."""
    objects = copy.deepcopy(whole(seed))
    for id in left:
        FAULTS[id].put(objects, plan(seed), seed)
    # Objects that affect Pods come first, so that they have an effect from the beginning.
    ordered = sorted(objects.values(), key=lambda o: (o["kind"] not in ("ResourceQuota", "ConfigMap", "Service"),))
    found: dict[str, list[dict[str, Any]]] = {}
    for one in ordered:
        found.setdefault(one["metadata"].pop("namespace", ""), []).append(one)
    return found


def broken(seed: str) -> dict[str, list[dict[str, Any]]]:
    """The objects at the beginning of the capstone, for one seed."""
    return with_faults(seed, [fault.id for fault in faults(seed)])


def main() -> None:
    parser = argparse.ArgumentParser(description="Print the capstone's objects for kubectl apply.")
    parser.add_argument("seed")
    parser.add_argument("--leave", nargs="*", default=[], choices=FAULTS, help="faults that stay in place")
    parser.add_argument("--only", nargs="*", default=[], help="only these objects, as Kind/name")
    wanted = parser.parse_args()
    objects = with_faults(wanted.seed, wanted.leave)[""]
    kept = [o for o in objects if not wanted.only or f"{o['kind']}/{o['metadata']['name']}" in wanted.only]
    print(json.dumps({"apiVersion": "v1", "kind": "List", "items": kept}, indent=1))


if __name__ == "__main__":
    main()
