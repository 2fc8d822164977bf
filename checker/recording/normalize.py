"""Normalising: States met on a real cluster, made the same from run to run, for tests that need no cluster.

What varies without meaning anything is replaced: the namespace and the cluster's name, random suffixes of names, uids,
addresses and times (the moment of the look becomes NOW). What no judgement reads is left out. So a recording is small,
and a person can read the difference between two recordings.
"""

from __future__ import annotations

import copy
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from checker.diagnosis.storage import DEFAULT_CLASS
from checker.grading.seeds import SEED, bound, seed_in
from checker.model.kinds import KINDS
from checker.model.state import State, parse_time
from checker.recording.unread import leave_out

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
_TIME = re.compile(r'"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00))"')
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# A block is left as it is, but for one of a single address.
_POD_IP = re.compile(r"\b10([.-])244\1\d+\1\d+\b(?!/(?!32\b))")  # with dashes: as a DNS name
_OTHER_IP = re.compile(r"\b(?:10\.96|172\.\d+)\.\d+\.\d+\b(?!/(?!32\b))")
_ID, _SHORT_ID = re.compile(r"\b[0-9a-f]{64}\b"), re.compile(r"\b[0-9a-f]{12}\b")  # of containers and images
# Annotation of a run of a CronJob: the name of that Job ends in this time.
SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
# Read only where they say something else than what is filled in when nothing is said.
_USUAL_POD_SPEC = {
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "serviceAccountName": "default",
    "securityContext": {},
}

# Seconds for which a Pod stays on a node that is away: the API server gives every Pod two tolerations with this number.
# Source: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
_DEFAULT_TOLERATION = 300


def normalised(state: State) -> dict[str, Any]:
    """A State's JSON with everything replaced that means nothing (see the module's text)."""
    data = copy.deepcopy(state.to_json())
    objects = data["objects"]
    # Of namespaces that were not looked at (others'), only those of this lab count.
    data["unlisted"] = {
        name: why for name, why in data["unlisted"].items() if name in KINDS or name.startswith(state.namespace)
    }
    # What every namespace has.
    for kind, name in (("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")):
        objects[kind] = [o for o in objects.get(kind, []) if o["metadata"]["name"] != name]
    storage = _storage(objects, state.namespace)
    # Of other namespaces only those count that were made for the same lab (`learn-other`).
    for kind, items in objects.items():
        where = "name" if kind == "Namespace" else "namespace"
        objects[kind] = [o for o in items if kind == "Node" or o["metadata"].get(where, "").startswith(state.namespace)]
    has_hooks = "postStart" in json.dumps(objects.get("Pod", []))
    telling = [
        e
        for e in objects.get("Event", [])
        if e.get("type") == "Warning"
        or re.search(r"probe|replica set \S+ from \d+ to 0$", e.get("message", ""))
        or (e.get("reason") == "Started" and has_hooks)
    ]
    objects["Event"] = telling
    for kind, items in storage.items():
        objects[kind] = items
    for kind, items in objects.items():
        for item in items:
            _prune(kind, item)
    seeds = {n["metadata"]["name"]: seed_in(n["metadata"]) for n in objects.get("Namespace", [])}
    names = _stable_names(data)
    _shift(data, state.now)
    text = json.dumps(data, ensure_ascii=False)
    for name in sorted(names, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", names[name], text)
    stable = ((_UID, "uid-"), (_ID, "id-"), (_SHORT_ID, "host-"), (_POD_IP, "10.244.1."), (_OTHER_IP, "10.96.0."))
    for pattern, prefix in stable:
        text = _numbered(pattern, prefix, text)
    text = re.sub(r'"((?:container|image)ID)": "[^"]*"', r'"\1": ""', text)
    known: dict[str, Any] = json.loads(text)
    for item in known["objects"].get("Namespace", []):
        if seed := seeds.get(state.namespace) if item["metadata"]["name"] == known["namespace"] else None:
            item["metadata"]["annotations"][SEED] = bound(seed, item["metadata"]["uid"])  # the uid is another one now
    known["objects"] = {
        kind: sorted(items, key=lambda o: (o["metadata"].get("namespace", ""), o["metadata"]["name"]))
        for kind, items in sorted(known["objects"].items())
        if items
    }
    return known


def _storage(objects: dict[str, list[dict[str, Any]]], namespace: str) -> dict[str, list[dict[str, Any]]]:
    """The storage of the cluster that matters to the claims of the lab's namespaces; empty where there is no claim.

    These are the classes that the claims ask for, the default class, the volumes that are bound to the claims, the
    free volumes of a class that a claim asks for, and the free volumes of no StorageClass.
    """
    claims = [c for c in objects.get("PersistentVolumeClaim", []) if c["metadata"]["namespace"].startswith(namespace)]
    claimed = {claim["spec"].get("storageClassName") or "" for claim in claims}

    known = {one["metadata"]["name"] for one in objects.get("StorageClass", [])}

    def matters(item: dict[str, Any]) -> bool:
        if item["kind"] == "StorageClass":
            default = (item["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true"
            return default or item["metadata"]["name"] in claimed
        owner, of = item["spec"].get("claimRef"), item["spec"].get("storageClassName", "")
        return owner["namespace"].startswith(namespace) if owner else of in claimed or of not in known

    kinds = ("StorageClass", "PersistentVolume")
    return {kind: [o for o in objects.get(kind, []) if claims and matters({"kind": kind, **o})] for kind in kinds}


def _prune(kind: str, item: dict[str, Any]) -> None:
    """Take out of an object what no judgement reads.

    These are the fields that checker/recording/unread.py declares, and items of lists.
    """
    if kind == "Deployment":
        item["metadata"]["managedFields"] = [
            entry
            for entry in item["metadata"].get("managedFields") or []
            if entry.get("subresource") != "status" and entry.get("manager") != "kube-controller-manager"
        ]
    leave_out(kind, item)
    if kind == "Node":
        item["status"]["conditions"] = [c for c in item["status"]["conditions"] if c["type"] == "Ready"]
        tagged = [[n for n in i.get("names") or [] if "@" not in n] for i in item["status"].get("images", [])]
        item["status"]["images"] = [{"names": names} for names in tagged if names and "registry.k8s.io" not in names[0]]
    for spec in (item.get("spec") or {}, ((item.get("spec") or {}).get("template") or {}).get("spec") or {}):
        if "containers" in spec:
            _prune_pod_spec(spec)
    if kind == "Event":
        item["involvedObject"] = {k: item["involvedObject"].get(k, "") for k in ("kind", "name", "uid", "fieldPath")}


def _prune_pod_spec(spec: dict[str, Any]) -> None:
    tolerations = [t for t in spec.pop("tolerations", None) or [] if t.get("tolerationSeconds") != _DEFAULT_TOLERATION]
    if tolerations:
        spec["tolerations"] = tolerations
    for name, usual in _USUAL_POD_SPEC.items():
        if spec.get(name) == usual:
            del spec[name]
    spec["volumes"] = [v for v in spec.get("volumes") or [] if not v["name"].startswith("kube-api-access")]
    for container in [*spec["containers"], *(spec.get("initContainers") or [])]:
        mounts = container.get("volumeMounts") or []
        container["volumeMounts"] = [m for m in mounts if not m["name"].startswith("kube-api-access")]


def _stable_names(data: dict[str, Any]) -> dict[str, str]:
    """Random and local names to stable ones: the namespace, the cluster, template hashes, Pods, node ports, Events."""
    objects = data["objects"]
    names = {data["namespace"]: "learn"}
    cluster = next(
        (n["metadata"]["name"] for n in objects.get("Node", []) if "control-plane" in n["metadata"]["name"]), ""
    )
    if cluster:
        names[cluster.removesuffix("-control-plane")] = "kubeclass"
    by_age = lambda o: (o["metadata"].get("creationTimestamp", ""), o["metadata"]["name"])  # noqa: E731
    for number, owner in enumerate(sorted(objects.get("ReplicaSet", []), key=by_age), 1):
        template_hash = (owner["metadata"].get("labels") or {}).get("pod-template-hash")
        if template_hash:
            names[template_hash] = f"hash{number}"
    timelines = [seen for seen in data["observations"].values() if isinstance(seen, dict) and "hosts" in seen]
    pods = [p["metadata"] for p in sorted(objects.get("Pod", []), key=by_age) if _has_random_name(p["metadata"])]
    for seen in timelines:
        pods += sorted((p for p in seen["pods"].values() if p["owner"]), key=lambda p: (p["added"], p["name"]))
    for number, suffix in enumerate(
        dict.fromkeys(suffix for pod in pods if not _is_ordinal(suffix := pod["name"].rpartition("-")[2])), 1
    ):
        names[suffix] = f"pod{number}"
    runs = [
        j["metadata"]
        for j in sorted(objects.get("Job", []), key=by_age)
        if SCHEDULED in (j["metadata"].get("annotations") or {})
    ]
    for number, run in enumerate(runs, 1):
        names[run["name"].rpartition("-")[2]] = f"run{number}"
    for number, event in enumerate(sorted(objects.get("Event", []), key=by_age), 1):
        names[event["metadata"]["name"]] = f"event{number}"
    for number, piece in enumerate(sorted(objects.get("EndpointSlice", []), key=by_age), 1):
        names[piece["metadata"]["name"]] = f"slice{number}"
    ports = {
        p["nodePort"] for s in objects.get("Service", []) for p in s["spec"].get("ports") or [] if p.get("nodePort")
    }
    return names | {str(port): str(30000 + number) for number, port in enumerate(sorted(ports), 1)}


def _has_random_name(pod: dict[str, Any]) -> bool:
    """Whether a Pod's name ends in a random suffix.

    Every controller adds one, except a StatefulSet, which numbers its Pods.
    """
    return bool(pod.get("ownerReferences")) and not _is_ordinal(pod["name"].rpartition("-")[2])


def _is_ordinal(suffix: str) -> bool:
    """Whether a suffix is the number of a StatefulSet's Pod.

    A random suffix has five characters, which may all be digits.
    """
    return suffix.isdigit() and len(suffix) < 5


def _shift(data: dict[str, Any], now: datetime) -> None:
    """Move every time so that the look happened at NOW."""

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: moved(item) for key, item in value.items()}
        if isinstance(value, list):
            return [moved(item) for item in value]
        if isinstance(value, str) and _TIME.fullmatch(f'"{value}"') and not value.startswith("0001-"):
            return (
                (NOW + (parse_time(value) - now)).astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            )
        if isinstance(value, float) and abs(value - now.timestamp()) < timedelta(days=1).total_seconds():
            return round(NOW.timestamp() + value - now.timestamp(), 1)
        return value

    for key in list(data):
        data[key] = moved(data[key])


def _numbered(pattern: re.Pattern[str], prefix: str, text: str) -> str:
    """Replace what a pattern finds by the prefix and a number, in the order of first sight."""
    numbers: dict[str, str] = {}

    def number(found: re.Match[str]) -> str:
        written = found.group()
        stable = numbers.setdefault(written.replace("-", "."), f"{prefix}{len(numbers) + 1}")
        return stable.replace(".", "-") if "-" in written else stable

    return pattern.sub(number, text)
