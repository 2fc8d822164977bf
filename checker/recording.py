"""Recordings: States met on a real cluster, made the same from run to run, for tests that need no cluster.

What varies without meaning anything is replaced: the namespace and the cluster's name, random suffixes of names, uids, addresses,
and times (the moment of the look becomes NOW). What no judgement reads is left out. So a recording is small, and a
difference between two of them can be read.
"""

from __future__ import annotations

import copy
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from checker.state import State, parse_time
from checker.verdict import Result

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
_TIME = re.compile(r'"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00))"')
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_POD_IP = re.compile(r"\b10\.244\.\d+\.\d+\b(?!/)")
_OTHER_IP = re.compile(r"\b(?:10\.96|172\.\d+)\.\d+\.\d+\b(?!/)")
_UNREAD_METADATA = ("managedFields", "resourceVersion", "generateName", "selfLink")
_UNREAD_POD_SPEC = ("tolerations", "dnsPolicy", "enableServiceLinks", "preemptionPolicy", "priority", "schedulerName",
                    "securityContext", "serviceAccount", "serviceAccountName", "terminationGracePeriodSeconds")  # fmt: skip
_UNREAD_POD_STATUS = ("hostIP", "hostIPs", "podIPs", "qosClass", "observedGeneration")
_READ_OF_NODE = ("allocatable", "addresses", "conditions", "images")
_READ_OF_EVENT = ("metadata", "involvedObject", "reason", "message", "lastTimestamp", "eventTime", "type")


def save(state: State, result: Result, path: Path) -> None:
    """Write a State and the verdicts on it as a recording."""
    data = normalised(state)
    replayed = [task.to_json() for task in result.tasks]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"state": data, "tasks": replayed}, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def load(path: Path) -> tuple[State, list[dict[str, Any]]]:
    """A recorded State, and the verdicts that it must be given."""
    data = json.loads(path.read_text())
    return State.from_json(data["state"]), data["tasks"]


def normalised(state: State) -> dict[str, Any]:
    """A State's JSON with everything replaced that means nothing (see the module's text)."""
    data = copy.deepcopy(state.to_json())
    objects = data["objects"]
    objects["ConfigMap"] = [o for o in objects.get("ConfigMap", []) if o["metadata"]["name"] != "kube-root-ca.crt"]
    # Of other namespaces only those count that were made for the same lab (`learn-other`).
    for kind, items in objects.items():
        where = "name" if kind == "Namespace" else "namespace"
        objects[kind] = [o for o in items if kind == "Node" or o["metadata"].get(where, "").startswith(state.namespace)]
    warnings = [e for e in objects.get("Event", []) if e.get("type") == "Warning"]
    objects["Event"] = [{k: e[k] for k in _READ_OF_EVENT if k in e} for e in warnings]
    objects.pop("StorageClass", None)
    for kind, items in objects.items():
        for item in items:
            _prune(kind, item)
    names = _stable_names(data)
    _shift(data, state.now)
    text = json.dumps(data, ensure_ascii=False)
    for name in sorted(names, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", names[name], text)
    for pattern, prefix in ((_UID, "uid-"), (_POD_IP, "10.244.1."), (_OTHER_IP, "10.96.0.")):
        text = _numbered(pattern, prefix, text)
    text = re.sub(r'"((?:container|image)ID)": "[^"]*"', r'"\1": ""', text)
    known: dict[str, Any] = json.loads(text)
    known["objects"] = {
        kind: sorted(items, key=lambda o: (o["metadata"].get("namespace", ""), o["metadata"]["name"]))
        for kind, items in sorted(known["objects"].items())
        if items
    }
    return known


def _prune(kind: str, item: dict[str, Any]) -> None:
    metadata = item["metadata"]
    for name in _UNREAD_METADATA:
        metadata.pop(name, None)
    (metadata.get("annotations") or {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)
    if kind == "Node":
        item["status"] = {name: item["status"][name] for name in _READ_OF_NODE if name in item["status"]}
        metadata.pop("annotations", None)
        item["status"]["conditions"] = [c for c in item["status"]["conditions"] if c["type"] == "Ready"]
        tagged = [[n for n in i["names"] if "@" not in n] for i in item["status"].get("images", [])]
        item["status"]["images"] = [{"names": names} for names in tagged if names and "registry.k8s.io" not in names[0]]
    for spec in (item.get("spec") or {}, ((item.get("spec") or {}).get("template") or {}).get("spec") or {}):
        if "containers" in spec:
            _prune_pod_spec(spec)
    if kind == "Pod":
        for name in _UNREAD_POD_STATUS:
            item["status"].pop(name, None)
        for status in [*item["status"].get("containerStatuses", []), *item["status"].get("initContainerStatuses", [])]:
            for name in ("volumeMounts", "user", "resources", "allocatedResources"):
                status.pop(name, None)
    if kind == "Event":
        metadata.pop("creationTimestamp", None)
        item["involvedObject"] = {k: item["involvedObject"].get(k, "") for k in ("kind", "name", "uid")}


def _prune_pod_spec(spec: dict[str, Any]) -> None:
    for name in _UNREAD_POD_SPEC:
        spec.pop(name, None)
    spec["volumes"] = [v for v in spec.get("volumes") or [] if not v["name"].startswith("kube-api-access")]
    for container in [*spec["containers"], *(spec.get("initContainers") or [])]:
        for name in ("terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy"):
            container.pop(name, None)
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
    pods = [p["metadata"] for p in sorted(objects.get("Pod", []), key=by_age) if p["metadata"].get("ownerReferences")]
    for seen in timelines:
        pods += sorted((p for p in seen["pods"].values() if p["owner"]), key=lambda p: (p["added"], p["name"]))
    for number, suffix in enumerate(dict.fromkeys(pod["name"].rpartition("-")[2] for pod in pods), 1):
        names[suffix] = f"pod{number}"
    for number, event in enumerate(sorted(objects.get("Event", []), key=by_age), 1):
        names[event["metadata"]["name"]] = f"event{number}"
    for number, piece in enumerate(sorted(objects.get("EndpointSlice", []), key=by_age), 1):
        names[piece["metadata"]["name"]] = f"slice{number}"
    ports = {
        p["nodePort"] for s in objects.get("Service", []) for p in s["spec"].get("ports") or [] if p.get("nodePort")
    }
    return names | {str(port): str(30000 + number) for number, port in enumerate(sorted(ports), 1)}


def _shift(data: dict[str, Any], now: datetime) -> None:
    """Move every time so that the look happened at NOW."""

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: moved(item) for key, item in value.items()}
        if isinstance(value, list):
            return [moved(item) for item in value]
        if isinstance(value, str) and _TIME.fullmatch(f'"{value}"'):
            return (
                (NOW + (parse_time(value) - now)).astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            )
        if isinstance(value, float) and abs(value - now.timestamp()) < timedelta(days=1).total_seconds():
            return round(NOW.timestamp() + value - now.timestamp(), 1)
        return value

    for key in list(data):
        data[key] = moved(data[key])
    for seen in data["observations"].values():
        if isinstance(seen, dict) and "lost" in seen:
            seen["lost"] = [[moved(float(second)), error, count] for second, error, count in seen["lost"]]


def _numbered(pattern: re.Pattern[str], prefix: str, text: str) -> str:
    """Replace what a pattern finds by the prefix and a number, in the order of first sight."""
    numbers: dict[str, str] = {}
    return pattern.sub(lambda found: numbers.setdefault(found.group(), f"{prefix}{len(numbers) + 1}"), text)
