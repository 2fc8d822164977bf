"""State: what was seen of one lab, as plain data. Grading reads a State and nothing else.

A State holds the objects of the lab's namespace, and those of namespaces that belong to no other lab (to tell that an
object is there instead). It also holds the observations: answers, logs, the API server's replies to manifests.
It is saved as JSON and loaded again. So fast tests replay what a real cluster did.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from checker.model.fault import Phrase, Reason, Ref, unknown
from checker.model.image_name import ImageName
from checker.model.index import Index
from checker.model.kinds import KINDS, SYSTEM_NAMESPACES
from checker.model.quantity import quantity

FORMAT = 1  # of a State's JSON; raised when an older recording no longer says what a new one would
STARTED = "kubeclass.dev/started"  # annotation of a lab's namespace: when `start` set it up, RFC 3339
LOGS = "pods/log"  # stands among the forbidden kinds where this user has no right to read logs
START_OF_LOG = 2048  # bytes of the start of a log that are read, each line with its time
TIME_STAMP = 36  # bytes at most
REACH = "reach"  # observation that the collector makes for every Service: "IP:port" to "open", "refused" or "timeout"
LAB = "kubeclass.dev/lab"  # label of a lab's namespace and of what `start` put there: the lab's number
# annotation of a Secret, in a State only: the keys whose values begin or end with white space
WHITE_SPACE = "kubeclass.dev/white-space"
CLASS = "kubeclass.dev/class"  # label of what a class put into a learner's namespace: the class's name


def parse_time(text: str) -> datetime:
    """An RFC 3339 time as the API server writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


class Object:
    """A Kubernetes object as the API server returned it, with the fields that every chain asks for within reach."""

    def __init__(self, kind: str, raw: dict[str, Any]) -> None:
        self.kind, self.raw = kind, raw
        metadata = raw.get("metadata") or {}
        self.name: str = metadata.get("name", "")
        self.namespace: str = metadata.get("namespace", "")
        self.uid: str = metadata.get("uid", "")
        self.labels: dict[str, str] = metadata.get("labels") or {}
        self.annotations: dict[str, str] = metadata.get("annotations") or {}
        self.spec: dict[str, Any] = raw.get("spec") or {}
        self.status: dict[str, Any] = raw.get("status") or {}

    def __repr__(self) -> str:
        return f"<{self.kind}/{self.name}>"

    @property
    def ref(self) -> str:
        """`Kind/name`, as reports write it."""
        return f"{self.kind}/{self.name}"

    @property
    def metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = self.raw.get("metadata") or {}
        return metadata

    @property
    def created(self) -> datetime:
        return parse_time(self.metadata["creationTimestamp"])

    @property
    def is_terminating(self) -> bool:
        return "deletionTimestamp" in self.metadata

    @property
    def is_stale(self) -> bool:
        """Whether the status belongs to an older spec: the controller has not seen the newest spec yet, or any spec.

        Only for kinds whose status has an observedGeneration.
        """
        generation, observed = self.metadata.get("generation"), self.status.get("observedGeneration", 0)
        return generation is not None and observed < generation

    @property
    def owner_uids(self) -> set[str]:
        """The controller that this object belongs to, by uid: one or none.

        An owner reference without `controller: true` only says with which owner the object is deleted. A Job is the
        exception: an older `kubectl create job --from` writes no other reference.
        Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/
        """
        owners = self.metadata.get("ownerReferences") or []
        return {owner["uid"] for owner in owners if owner.get("controller") or self.kind == "Job"}

    @property
    def controller(self) -> str | None:
        """`Kind/name` of the controller that made this object, or None for one made by hand."""
        for owner in self.metadata.get("ownerReferences") or []:
            if owner.get("controller"):
                return f"{owner['kind']}/{owner['name']}"
        return None

    def condition(self, kind: str) -> dict[str, Any]:
        """The status condition of this type, or an empty dict."""
        return next((c for c in self.status.get("conditions") or [] if c.get("type") == kind), {})

    @property
    def pod_spec(self) -> dict[str, Any]:
        """The spec of a Pod, or of the Pod template of a workload."""
        return self.spec if self.kind == "Pod" else (self.spec.get("template") or {}).get("spec") or {}

    @property
    def containers(self) -> list[dict[str, Any]]:
        """The containers of a Pod, or of the Pod template of a workload."""
        containers: list[dict[str, Any]] = self.pod_spec.get("containers") or []
        return containers

    @property
    def container_statuses(self) -> list[dict[str, Any]]:
        """What the kubelet says of a Pod's containers, of its init containers first."""
        return [*(self.status.get("initContainerStatuses") or []), *(self.status.get("containerStatuses") or [])]

    @property
    def lasting_containers(self) -> list[dict[str, Any]]:
        """The containers of a Pod, or of a Pod template, that live as long as the Pod. Native sidecars come last.

        Source: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
        """
        sidecars = [c for c in self.pod_spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"]
        return [*self.containers, *sidecars]

    @property
    def images(self) -> list[str]:
        """The images of its containers that last, as they are written."""
        return [container.get("image", "") for container in self.lasting_containers]

    def runs(self, image: str) -> bool:
        """Whether a container is made from this image, with or without a registry before its name."""
        return any(ImageName.parse(written).without_path == image for written in self.images)

    def requested(self, resource: str) -> Decimal:
        """What the scheduler sets aside for a Pod (in cores, or bytes).

        That is the sum of its containers' requests, sidecars included, or the need of a single init container before
        they
        run: the larger of both. The request of the Pod itself comes before both.

        Sources:
        https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers and
        https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#pod-level-resource-specification
        """
        of_the_pod = (self.spec.get("resources") or {}).get("requests") or {}
        if resource in of_the_pod:
            return quantity(of_the_pod[resource])

        def requested(container: dict[str, Any]) -> Decimal:
            return quantity(((container.get("resources") or {}).get("requests") or {}).get(resource, 0))

        sidecars, largest = Decimal(0), Decimal(0)
        for container in self.spec.get("initContainers") or []:
            if container.get("restartPolicy") == "Always":
                sidecars += requested(container)
            largest = max(
                largest, sidecars + (0 if container.get("restartPolicy") == "Always" else requested(container))
            )
        return max(sum(map(requested, self.containers), sidecars), largest)

    @property
    def is_ready(self) -> bool:
        """Of a Pod: it passes its readiness probes and is not on its way out."""
        return self.condition("Ready").get("status") == "True" and not self.is_terminating


WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod")


_REFERENCE = re.compile(r"\$\$|\$\(([^()]*)\)")


class Redacted(str):
    """A variable's value that a State does not hold: a Secret's, or one that the kubelet puts in. It reads as empty."""

    __slots__ = ()


def expanded(value: str, known: dict[str, str]) -> str:
    """A variable's value, in which the value of an earlier variable replaces its $(NAME).

    The $(NAME) of an unknown variable stays, and $$ means $.
    """
    if any(isinstance(known.get(found[1]), Redacted) for found in _REFERENCE.finditer(value)):
        return Redacted()
    return _REFERENCE.sub(lambda found: "$" if found[0] == "$$" else known.get(found[1], found[0]), value)


def field_of(pod: Object, path: str) -> str:
    """A field of a Pod, as a variable gets it; empty where it is not known.

    path: such as metadata.namespace or metadata.labels['app'].
    Source: https://kubernetes.io/docs/concepts/workloads/pods/downward-api/#available-fields
    """
    found = re.fullmatch(r"(metadata|spec|status)\.(\w+)(?:\['(.+)'\])?", path)
    if pod.kind != "Pod" or not found:
        return ""  # of a workload: what its Pods will have
    part, name, key = found.groups()
    value = (pod.raw.get(part) or {}).get(name)
    if key:
        value = (value or {}).get(key)
    return value if isinstance(value, str) else ""


@dataclass(frozen=True)
class Request:
    """What a State was asked for. Nothing can be concluded about what it was not asked for.

    everywhere: the kinds that were listed in all namespaces but the system's.
    in_namespace: the kinds that were listed in the State's namespace only, as the rights of this user end there.
    namespaces: further namespaces in which the same kinds were listed. (The user has rights in these, too.)
    logs: whether containers' logs were read. observations: the keys.
    """

    everywhere: frozenset[str] = frozenset(KINDS)
    in_namespace: frozenset[str] = frozenset()
    logs: bool = True
    observations: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()

    @property
    def kinds(self) -> frozenset[str]:
        return self.everywhere | self.in_namespace

    def to_json(self) -> dict[str, Any]:
        return {
            "everywhere": " ".join(sorted(self.everywhere)),
            "in_namespace": " ".join(sorted(self.in_namespace)),
            "logs": self.logs,
            "observations": sorted(self.observations),
            **({"namespaces": sorted(self.namespaces)} if self.namespaces else {}),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Request:
        """The inverse of `to_json`."""
        everywhere, in_namespace = (frozenset(data[name].split()) for name in ("everywhere", "in_namespace"))
        further = frozenset(data.get("namespaces", ()))
        return cls(everywhere, in_namespace, data["logs"], frozenset(data["observations"]), further)


@dataclass
class State:
    """See the module's text. All times are those of the API server's clock."""

    namespace: str
    now: datetime
    objects: dict[str, list[Object]] = field(default_factory=dict)
    unlisted: dict[str, Reason] = field(default_factory=dict)  # kind: why it could not be listed
    observations: dict[str, Any] = field(default_factory=dict)  # key of an observation: what was seen
    logs: dict[str, str] = field(default_factory=dict)  # "pod/container": last lines of a log that was read; may be ""
    refusals: list[dict[str, Any]] = field(default_factory=list)  # what the API server says to the learner's files
    request: Request = field(default_factory=Request)
    # Those of the unlisted kinds that this user has no right to list; LOGS where logs may not be read.
    forbidden: frozenset[str] = frozenset()
    unread_logs: dict[str, Reason] = field(default_factory=dict)  # "pod/container": why its log could not be read
    # "pod/container": how many seconds old each line of its log is; none where the times are not known
    log_ages: dict[str, list[float | None]] = field(default_factory=dict)
    # "pod/container": the first lines of the log, of a container that works while a Service's port of it is closed
    log_starts: dict[str, str] = field(default_factory=dict)

    # -- questions about objects ---------------------------------------------------------------------------------------

    @cached_property
    def _indexes(self) -> dict[str, Index[Object]]:
        return {}

    def index(self, kind: str) -> Index[Object]:
        """The index of all objects of a kind that the State holds; it does not ask whether they could be listed."""
        objects, made = self.objects.get(kind), self._indexes.get(kind)
        if made is None or not made.is_of(made.objects if objects is None else objects):
            made = self._indexes[kind] = Index([] if objects is None else objects)
        return made

    def can_see(self, kind: str, namespace: str | None = None) -> bool:
        """Whether the objects of a kind were listed in the lab's namespace, or in another namespace.

        Only then can an object be called absent.
        """
        here = (None, "", self.namespace, *self.request.namespaces)
        elsewhere = namespace not in here and kind in KINDS and KINDS[kind].namespaced
        known = self.request.everywhere if elsewhere else self.request.kinds
        return kind in known and kind not in self.unlisted and namespace not in self.unlisted

    def everywhere(self, kind: str) -> list[Object]:
        """All objects of a kind that this lab may look at.

        Raises Unknown where they were not asked for, or could not be listed.
        """
        if kind not in self.request.kinds:
            unknown("kind-not-asked", kind, asked=sorted(self.request.kinds))
        if kind in self.unlisted and not self.objects and kind not in self.forbidden:
            unknown("api-unreachable", why=self.unlisted[kind])
        if kind in self.unlisted:
            unknown("cannot-list", kind, kinds=[kind], why=self.unlisted[kind], plural=KINDS[kind].plural)
        if kind in self.request.in_namespace and not KINDS[kind].namespaced:
            why = Phrase("why-one-readable", {"kind": kind, "name": self.namespace})
            unknown("cannot-list", kind, kinds=[kind], why=why, plural=KINDS[kind].plural)
        return self.objects.get(kind, [])

    def rights_end(self, kind: str) -> bool:
        """Whether the user's rights do not reach to all objects of a kind, so that only some of them were read."""
        return kind in self.request.in_namespace or kind in self.forbidden

    def seen(self, kind: str) -> list[Object]:
        """As `everywhere`; where the user's rights end earlier, the objects that could be read."""
        return self.objects.get(kind, []) if self.rights_end(kind) else self.everywhere(kind)

    def all(self, kind: str, namespace: str | None = None) -> list[Object]:
        """The objects of a kind in the lab's namespace, or in another one. Raises Unknown as `everywhere`."""
        wanted, everywhere = namespace or self.namespace, self.everywhere(kind)
        listed = list(self.index(kind).by_namespace.get(wanted, []) if KINDS[kind].namespaced else everywhere)
        if not listed and not self.can_see(kind, wanted):
            unknown("cannot-list", kind, form="namespace", elsewhere=wanted, plural=KINDS[kind].plural)
        return listed

    def find(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """One object by name, or None where there is none. Raises Unknown as `all`."""
        if kind == "Namespace" and name in (self.namespace, *self.request.namespaces) and kind not in self.unlisted:
            return next(iter(self.index(kind).by_name.get(name, ())), None)
        self.everywhere(kind)  # raises Unknown
        named = self._in(kind, namespace, self.index(kind).by_name.get(name, []))
        if not named:
            self.all(kind, namespace)  # raises Unknown where it may be there, unseen
        return named[0] if named else None

    def namespace_exists(self, name: str) -> bool | None:
        """Whether there is a namespace of this name; None where this user's rights do not tell."""
        if any(o.name == name for o in self.objects.get("Namespace", [])):
            return True
        if name == self.namespace and any(o.namespace == name for kind in self.objects.values() for o in kind):
            return True
        whole = "Namespace" in self.request.everywhere and "Namespace" not in self.unlisted
        here = name in (self.namespace, *self.request.namespaces)
        return False if whole or (here and "Namespace" in self.request.in_namespace) else None

    def selected(self, kind: str, labels: dict[str, str], namespace: str | None = None) -> list[Object]:
        """The objects of a kind that carry all these labels. An empty selector selects nothing here."""
        self.all(kind, namespace)  # raises Unknown
        with_first = self.index(kind).by_label.get(next(iter(labels.items())), []) if labels else []
        return [o for o in self._in(kind, namespace, with_first) if labels.items() <= o.labels.items()]

    def owned(self, kind: str, owner: Object) -> list[Object]:
        """The objects of a kind that this owner controls."""
        self.all(kind, owner.namespace)  # raises Unknown
        return self._in(kind, owner.namespace, self.index(kind).by_owner.get(owner.uid, []))

    def _in(self, kind: str, namespace: str | None, objects: list[Object]) -> list[Object]:
        """Those of some objects of a kind that are in a namespace, by default the lab's."""
        wanted = namespace or self.namespace
        return [o for o in objects if o.namespace == wanted or not KINDS[kind].namespaced]

    def controller_of(self, obj: Object, kinds: Iterable[str]) -> Object | None:
        """The controller of an object among the objects of these kinds, as far as the State has it."""
        for kind in kinds:
            for uid in obj.owner_uids:
                for owner in self.index(kind).by_uid.get(uid, []) if uid else []:
                    if owner.namespace == obj.namespace:
                        return owner
        return None

    def events(self, obj: Object, reason: str | None = None) -> list[dict[str, Any]]:
        """Events about an object, newest first.

        The API server keeps an event for an hour only. So events are evidence, never the ground of a verdict.

        Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
        """
        about = self.index("Event").events_about.get(obj.uid, [])
        return [event for event in about if reason in (None, event.get("reason"))]

    def further(self) -> set[str]:
        """The lab's further namespaces, as far as they exist."""
        return {n.name for n in self.seen("Namespace") if n.name.startswith(f"{self.namespace}-")}

    def in_lab(self, kind: str) -> list[Object]:
        """The objects of a kind in the lab's namespace and in those named after it (`learn-data`)."""
        return [o for o in self.everywhere(kind) if (o.namespace + "-").startswith(self.namespace + "-")]

    def workloads(self) -> list[Object]:
        """What runs Pods in the lab's namespace and has no owner above it: workloads, and bare Pods."""
        return [o for kind in WORKLOADS for o in self.all(kind) if not o.controller and not o.is_terminating]

    def env(self, pod: Object, container: dict[str, Any]) -> dict[str, str]:
        """The variables that a container is given, ConfigMaps resolved.

        A value that is not known here is Redacted, above all a value of a Secret.

        Sources: https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/ and
        https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
        """
        found: dict[str, str] = {}

        def values(kind: str, name: str) -> dict[str, str]:
            source = self.find(kind, name, pod.namespace)
            data: dict[str, str] = (source.raw.get("data") or {}) if source else {}
            return data if kind == "ConfigMap" else dict.fromkeys(data, Redacted())

        for whole in container.get("envFrom") or []:
            for kind, ref in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
                if ref in whole:
                    prefix = whole.get("prefix", "")
                    found |= {prefix + key: value for key, value in values(kind, whole[ref]["name"]).items()}
        for variable in container.get("env") or []:
            name, value_from = variable["name"], variable.get("valueFrom")
            found[name] = Redacted() if value_from else expanded(variable.get("value", ""), found)
            if value_from and "fieldRef" in value_from:
                found[name] = field_of(pod, value_from["fieldRef"]["fieldPath"]) or Redacted()
            for kind, ref in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
                if value_from and ref in value_from and (kind == "ConfigMap" or value_from[ref].get("optional")):
                    found[name] = values(kind, value_from[ref]["name"]).get(value_from[ref]["key"], "")
        return found

    def endpoints(self, service: Object) -> set[str]:
        """The addresses to which a Service sends requests: the ready addresses of its EndpointSlices.

        An EndpointSlice may also be written by hand.
        Source: https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/
        """
        slices = self.selected("EndpointSlice", {"kubernetes.io/service-name": service.name}, service.namespace)
        return {
            address
            for piece in slices
            for endpoint in piece.raw.get("endpoints") or []
            if (endpoint.get("conditions") or {}).get("ready") is not False  # left out, it counts as ready
            for address in endpoint.get("addresses") or []
        }

    # -- logs --------------------------------------------------------------------------------------------------------

    def log(self, pod: str, container: str) -> str:
        """The last lines of a container's log; empty where it logged nothing. Raises Unknown where it was not read.

        Read are the logs of containers in trouble, up to a number (checker/collect/collect.py).
        """
        text = self.log_if_read(pod, container)
        if text is None:
            why = self.unread_logs.get(f"{pod}/{container}", "")
            unknown("log-not-read", Ref("Pod", pod, self.namespace), container=container, why=why)
        return text

    def log_if_read(self, pod: str, container: str) -> str | None:
        """The same, but None where the log was not read: for what a log can only make more exact."""
        return self.logs.get(f"{pod}/{container}")

    def ages_of_lines(self, pod: str, container: str) -> list[float | None]:
        """How many seconds old each line of a container's log is; empty where that is not known."""
        return self.log_ages.get(f"{pod}/{container}", [])

    def log_of_server(self, pod: str, container: str) -> str:
        """The first and the last lines of a container's log, as far as they were read: they tell where it listens."""
        key = f"{pod}/{container}"
        return "\n".join(filter(None, (self.log_starts.get(key), self.logs.get(key))))

    def whole_log(self, pod: str, container: str) -> str:
        """A short log as a whole, where its first lines were read; otherwise empty."""
        text = self.log_starts.get(f"{pod}/{container}", "")
        return text if len(text.encode()) + TIME_STAMP * text.count("\n") < START_OF_LOG else ""

    # -- time --------------------------------------------------------------------------------------------------------

    def age(self, time: str | datetime) -> float:
        """Seconds since a time."""
        return (self.now - (parse_time(time) if isinstance(time, str) else time)).total_seconds()

    def changed_within(self, seconds: float, *objects: Object) -> bool:
        """Whether one of these was made, or became ready, so lately that the cluster's proxies may not know it yet."""
        times = [o.metadata.get("creationTimestamp") for o in objects]
        times += [o.condition("Ready").get("lastTransitionTime") for o in objects]
        return any(self.age(time) < seconds for time in times if time)

    @cached_property
    def started(self) -> datetime | None:
        """When the lab was started in this namespace, or None where it was not."""
        namespace = next((o for o in self.objects.get("Namespace", []) if o.name == self.namespace), None)
        text = namespace.annotations.get(STARTED) if namespace else None
        return parse_time(text) if text else None

    @cached_property
    def lab(self) -> str:
        """The number of the lab that was started in this namespace; empty where none was."""
        namespace = next((o for o in self.objects.get("Namespace", []) if o.name == self.namespace), None)
        return str(namespace.labels.get(LAB, "")) if namespace and STARTED in namespace.annotations else ""

    # -- JSON --------------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Plain data. Secrets' values are not in a State to begin with (see `visible_objects`)."""
        return {
            "namespace": self.namespace,
            "now": self.now.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "objects": {kind: [o.raw for o in objects] for kind, objects in self.objects.items() if objects},
            "unlisted": _plain(self.unlisted),
            "observations": _plain(self.observations),
            "logs": self.logs,
            "refusals": _plain(self.refusals),
            "request": self.request.to_json(),
            "forbidden": sorted(self.forbidden),
            "unread_logs": _plain(self.unread_logs),
            **({"log_ages": self.log_ages} if self.log_ages else {}),
            **({"log_starts": self.log_starts} if self.log_starts else {}),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> State:
        """The inverse of `to_json`."""
        state = cls(
            namespace=data["namespace"],
            now=parse_time(data["now"]),
            objects={kind: [Object(kind, raw) for raw in raws] for kind, raws in data["objects"].items()},
            **{name: _with_phrases(data[name]) for name in ("unlisted", "observations", "refusals")},
            logs=data["logs"],
            request=Request.from_json(data["request"]),
            forbidden=frozenset(data["forbidden"]),
            unread_logs=_with_phrases(data.get("unread_logs", {})),
            log_ages=data.get("log_ages", {}),
            log_starts=data.get("log_starts", {}),
        )
        if "unread_logs" not in data and state.request.logs:  # an earlier recording, which kept no log without text
            pods = state.objects.get("Pod", [])
            keys = [f"{pod.name}/{status['name']}" for pod in pods for status in pod.container_statuses]
            state.logs = dict.fromkeys(keys, "") | state.logs
        return state


def _plain(value: Any) -> Any:
    """A part of a State as JSON has it: a Phrase as its id and its facts."""
    if isinstance(value, Phrase):
        return {"id": value.id, "facts": _plain(value.facts)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _with_phrases(value: Any) -> Any:
    """The inverse of `_plain`."""
    if isinstance(value, dict):
        found = {key: _with_phrases(item) for key, item in value.items()}
        return Phrase(**found) if found.keys() == {"id", "facts"} else found
    return [_with_phrases(item) for item in value] if isinstance(value, list) else value


def visible_objects(kind: str, items: Iterable[dict[str, Any]], namespace: str, foreign: set[str]) -> Iterator[Object]:
    """What of a LIST may go into a State.

    Left out are other people's namespaces, the values of Secrets, and large parts that no task reads. Of a Secret's
    value, it is kept whether there is white space around it (WHITE_SPACE).
    """
    for raw in items:
        metadata = raw["metadata"]
        where = metadata.get("namespace")
        if where and where != namespace and (where in SYSTEM_NAMESPACES or where in foreign):
            continue
        if kind in ("ConfigMap", "Secret"):  # only when it was written last
            fields = metadata.pop("managedFields", None) or []
            # An entry that has only a time was kept by an earlier call: a Watch keeps what it has from here.
            ours = [
                e for e in fields if {"f:data", "f:binaryData"} & set(e.get("fieldsV1") or {}) or set(e) == {"time"}
            ]
            written = [e.get("time", "") for e in ours]
            metadata |= {"managedFields": [{"time": max(written)}]} if any(written) else {}
        elif kind != "Deployment":  # there they tell who wrote what (checker/grading/applied.py)
            metadata.pop("managedFields", None)
        if kind == "Secret":
            blank = sorted(key for key, value in (raw.get("data") or {}).items() if _has_white_space(value))
            if blank:
                metadata["annotations"] = {**(metadata.get("annotations") or {}), WHITE_SPACE: " ".join(blank)}
            raw["data"] = dict.fromkeys(raw.get("data") or {}, "")
            # `kubectl apply` keeps a copy of the whole manifest, values and all, in this annotation.
            (metadata.get("annotations") or {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)
        yield Object(kind, raw)


def _has_white_space(encoded: str) -> bool:
    """Whether a value of a Secret, in base64, begins or ends with white space."""
    value = base64.b64decode(encoded)
    return value != value.strip()


def foreign_namespaces(namespaces: Iterable[Object], mine: str) -> set[str]:
    """The namespaces of other learners' labs: those that `start` labelled, and those named after them (`x-…`).

    Terminating namespaces are among them: an object there is no help to a learner.
    """
    names = {o.name for o in namespaces}
    leaving = {o.name for o in namespaces if o.is_terminating}
    marked = {o.name for o in namespaces if LAB in o.labels and o.name != mine}
    named_after = {name for name in names for owner in marked if name.startswith(f"{owner}-")}
    others = {name for name in marked | named_after if not name.startswith(f"{mine}-")}
    return (others | leaving) - {mine}
