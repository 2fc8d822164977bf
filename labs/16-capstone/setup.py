"""The capstone: a guestbook as it should be, made from a seed, and the same one broken in four places.

Pure, and nothing but Python's standard library: a seed in, objects out. What is right depends on the seed, so one
learner's repair is not another's. `python3 setup.py SEED` prints it as it should be, `--leave FAULT` with a fault left
in place.
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
    """A number from 0 to below `number` that the seed gives to this purpose. Others' purposes do not change it."""
    return int(hashlib.sha256(f"{seed}/{what}".encode()).hexdigest()[:12], 16) % number


def slip(word: str, seed: str, what: str) -> str:
    """A word with a slip of the finger in it: a letter left out, or two that changed places. The first letter stays."""
    places = [
        i for i in range(1, len(word) - 1) if word[i].isalnum() and word[i + 1].isalnum() and word[i] != word[i + 1]
    ]
    i = places[pick(seed, f"{what}/place", len(places))]
    return (
        word[:i] + word[i + 1 :] if pick(seed, f"{what}/kind", 2) else word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    )


@dataclass(frozen=True)
class Plan:
    """What is right for one seed."""

    greeting: str
    config: str  # the ConfigMap that holds the greeting
    key: str
    port: int  # where the Service takes requests
    listens: int  # where the app does
    port_name: str
    version: str
    replicas: int
    colour: str  # in the Pods' label
    store: str  # the name of Redis' Deployment and Service
    store_port: int
    memory: str  # that one guestbook may use
    quota: str  # of memory, for all

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
    """What is right for this seed."""
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
    """The guestbook as it should be, with what lives beside it."""
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
    """What whoever looks after this guestbook has to know."""
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
    """One way to break it. group: what it is about; cause: what names it once it is all that is left."""

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
    # Enough for the two Redises (64Mi), and never for one guestbook: the order of the Pods makes no difference.
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
    """Which faults a seed chooses: BROKEN of them, no more than AT_MOST of a group.

    One of them keeps the Pods from being ready, so that nothing works at the beginning.
    """
    chosen: list[Fault] = []
    ranked = sorted(FAULTS.values(), key=lambda fault: (pick(seed, f"rank/{fault.id}", 2**40), fault.id))
    stops = next(fault for fault in ranked if fault.group in ("Pods", "Redis"))
    for fault in [stops, *(other for other in ranked if other is not stops)]:
        if len(chosen) < BROKEN and sum(other.group == fault.group for other in chosen) < AT_MOST:
            chosen.append(fault)
    return sorted(chosen, key=lambda fault: list(FAULTS).index(fault.id))


def with_faults(seed: str, left: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """The guestbook with these faults, by suffix of the namespace that an object belongs into ("" is the lab's own)."""
    objects = copy.deepcopy(whole(seed))
    for id in left:
        FAULTS[id].put(objects, plan(seed), seed)
    # What holds others back comes first, so that it does so from the beginning.
    ordered = sorted(objects.values(), key=lambda o: (o["kind"] not in ("ResourceQuota", "ConfigMap", "Service"),))
    found: dict[str, list[dict[str, Any]]] = {}
    for one in ordered:
        found.setdefault(one["metadata"].pop("namespace", ""), []).append(one)
    return found


def broken(seed: str) -> dict[str, list[dict[str, Any]]]:
    """What the capstone begins with for a seed."""
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
