"""State: what was seen of one lab, as plain data. Judging reads a State and nothing else.

A State holds the objects of the lab's namespace (and, to say "found elsewhere", those of namespaces that nobody else
uses), and the observations: what answered, what was logged, what the API server said to the learner's manifests.
It saves to JSON and loads again, which is how fast tests replay what a real cluster once did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NoReturn

from checker.kinds import KINDS, SYSTEM_NAMESPACES
from checker.names import nearest
from checker.verdict import Failed, Unknown, fail, unknown

STARTED = "kubeclass.dev/started"  # annotation of a lab's namespace: when `start` set it up, RFC 3339
LAB = "kubeclass.dev/lab"  # label of a lab's namespace and of what `start` put there: the lab's number


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
        """Whether the status speaks of an older spec: no controller has looked at the newest one yet."""
        generation, observed = self.metadata.get("generation"), self.status.get("observedGeneration")
        return generation is not None and observed is not None and observed < generation

    @property
    def owner_uids(self) -> set[str]:
        return {owner["uid"] for owner in self.metadata.get("ownerReferences") or []}

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
    def containers(self) -> list[dict[str, Any]]:
        """The containers of a Pod, or of the Pod template of a workload."""
        template = self.spec.get("template") or {}
        pod_spec = self.spec if self.kind == "Pod" else template.get("spec") or {}
        containers: list[dict[str, Any]] = pod_spec.get("containers") or []
        return containers

    @property
    def is_ready(self) -> bool:
        """Of a Pod: it passes its readiness probes and is not on its way out."""
        return self.condition("Ready").get("status") == "True" and not self.is_terminating


WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod")


@dataclass
class State:
    """See the module's text. All times are those of the API server's clock."""

    namespace: str
    now: datetime
    objects: dict[str, list[Object]] = field(default_factory=dict)
    unlisted: dict[str, str] = field(default_factory=dict)  # kind: why it could not be listed
    observations: dict[str, Any] = field(default_factory=dict)  # key of an observation: what was seen
    logs: dict[str, str] = field(default_factory=dict)  # "pod/container": last lines of a container in trouble
    refusals: list[dict[str, str]] = field(default_factory=list)  # what the API server says to the learner's files

    # -- looking at objects ------------------------------------------------------------------------------------------

    def everywhere(self, kind: str) -> list[Object]:
        """All objects of a kind that this lab may look at. Raises Unknown where they could not be listed."""
        if kind in self.unlisted and not self.objects:
            unknown("api-unreachable", f"The cluster does not answer: {self.unlisted[kind]}.", look="kubeclass status")
        if kind in self.unlisted:
            unknown("cannot-list", f"{kind} objects could not be listed: {self.unlisted[kind]}", object=kind)
        return self.objects.get(kind, [])

    def all(self, kind: str, namespace: str | None = None) -> list[Object]:
        """The objects of a kind in the lab's namespace, or in another one. Raises Unknown as `everywhere`."""
        wanted = namespace or self.namespace
        return [o for o in self.everywhere(kind) if o.namespace == wanted or not KINDS[kind].namespaced]

    def find(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """One object by name, or None where there is none."""
        return next((o for o in self.all(kind, namespace) if o.name == name), None)

    def require(self, kind: str, name: str) -> Object:
        """One object of the lab's namespace.

        Raises Failed with the nearest explanation of its absence: the namespace itself is gone, the manifest was
        refused, it is in another namespace, it has another name, another kind was made, or nothing like it exists.
        """
        found = self.find(kind, name)
        if found and not found.is_terminating:
            return found
        if found:
            fail("object-being-deleted", f"{kind} {name} is being deleted.", object=found.ref, pending=True)
        self._explain_absence(kind, name)

    def _explain_absence(self, kind: str, name: str) -> NoReturn:
        ref, expected = f"{kind}/{name}", f"{kind} {name} in namespace {self.namespace}"
        look = f"kubectl get {kind.lower()}s --all-namespaces"
        if "Namespace" not in self.unlisted and not self.find("Namespace", self.namespace):
            raise Failed(
                "namespace-missing", f"Namespace {self.namespace} does not exist.", expected=expected, object=ref
            )
        elsewhere = [o for o in self.everywhere(kind) if o.name == name and o.namespace != self.namespace]
        if elsewhere and KINDS[kind].namespaced:
            where = ", ".join(sorted({o.namespace for o in elsewhere}))
            raise Failed(
                "wrong-namespace",
                f"{kind} {name} exists, but in namespace {where}; the lab is in {self.namespace}.",
                expected=expected, observed=f"in namespace {where}", object=ref, look=look,
            )  # fmt: skip
        for refusal in self.refusals:
            if refusal["kind"] in (kind, "") and refusal["name"] in (name, ""):
                cause = "manifest-malformed" if not refusal["kind"] else "manifest-refused"
                raise Failed(
                    cause,
                    f"{kind} {name} does not exist. Your file {refusal['file']} is refused: {refusal['message']}",
                    expected=expected, observed=refusal["message"], object=ref,
                    look=f"kubectl apply --dry-run=server -f {refusal['file']}",
                )  # fmt: skip
        same_name = [o for other in WORKLOADS if other != kind and kind in WORKLOADS
                     for o in self.objects.get(other, []) if o.namespace == self.namespace and o.name == name]  # fmt: skip
        bare = [o for o in same_name if o.kind == "Pod" and not o.controller]
        if bare:
            raise Failed(
                "bare-pod",
                f"There is a Pod {name}, but no {kind}: nothing would replace that Pod if it went away.",
                expected=expected, observed=f"Pod/{name}", object=ref, look="kubectl get pods,deployments",
            )  # fmt: skip
        if same_name:
            other_kind = same_name[0].kind
            raise Failed(
                "wrong-kind",
                f"There is a {other_kind} {name}, but no {kind} of that name.",
                expected=expected, observed=same_name[0].ref, object=ref, look="kubectl get all",
            )  # fmt: skip
        made_by_hand = [o.name for o in self.all(kind) if not o.controller and not o.is_terminating]
        similar = nearest(name, made_by_hand, cutoff=0.6)
        if similar:
            raise Failed(
                "wrong-name",
                f"There is no {kind} {name}. There is one called {similar}: did you mean {name}?",
                expected=expected, observed=f"{kind}/{similar}", object=ref, look=f"kubectl get {kind.lower()}s",
            )  # fmt: skip
        others = ", ".join(sorted(made_by_hand)) or "none"
        raise Failed(
            "object-missing",
            f"There is no {kind} {name} in namespace {self.namespace}.",
            expected=expected, observed=f"{kind} objects there: {others}", object=ref,
            look=f"kubectl get {kind.lower()}s",
        )  # fmt: skip

    def selected(self, kind: str, labels: dict[str, str], namespace: str | None = None) -> list[Object]:
        """The objects of a kind that carry all these labels. An empty selector selects nothing here."""
        return [o for o in self.all(kind, namespace) if labels and labels.items() <= o.labels.items()]

    def owned(self, kind: str, owner: Object) -> list[Object]:
        """The objects of a kind whose owner reference names this owner."""
        return [o for o in self.all(kind, owner.namespace) if owner.uid in o.owner_uids]

    def events(self, obj: Object, reason: str | None = None) -> list[dict[str, Any]]:
        """Events about an object, newest first. They are kept for an hour only: evidence, never the ground of a verdict.

        Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
        """
        events = [
            e.raw
            for e in self.objects.get("Event", [])
            if (e.raw.get("involvedObject") or {}).get("uid") == obj.uid and reason in (None, e.raw.get("reason"))
        ]
        return sorted(events, key=lambda e: e.get("lastTimestamp") or e.get("eventTime") or "", reverse=True)

    # -- looking at chains (checker/chains) --------------------------------------------------------------------------

    def pods_of(self, obj: Object) -> list[Object]:
        """The Pods behind a Service, a workload or a Pod, without those on their way out."""
        from checker.chains import pods_of

        return pods_of(self, obj)

    def ready_pods(self, obj: Object) -> list[Object]:
        """The ready Pods behind a Service or a workload. Raises Failed with the first broken link where there are none."""
        ready = [pod for pod in self.pods_of(obj) if pod.is_ready]
        if not ready:
            self.require_working(obj)
        return ready

    def require_working(self, obj: Object) -> None:
        """Walk the chain that makes this object work. Raises Failed (or Unknown) with the first broken link."""
        from checker.chains import walk

        walk(self, obj)

    def require_answers(self, service: Object, answers: Any) -> None:
        """A Service works, and every one of these answers from it (see observe.Answers) is a good one. Raises Failed otherwise."""
        self.require_working(service)
        bad = answers.bad
        if bad:
            fail(
                "service-does-not-answer",
                f"Of {len(answers)} requests to Service {service.name}, {len(bad)} got no good answer: {bad[0].words}.",
                expected="status 200", observed=bad[0].words, object=service.ref, look=f"kubectl describe service {service.name}",
                pending=self.changed_within(5, service, *self.pods_of(service)),
            )  # fmt: skip

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

    # -- JSON --------------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Plain data. Secrets' values are not in a State to begin with (see `visible_objects`)."""
        return {
            "namespace": self.namespace,
            "now": self.now.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "objects": {kind: [o.raw for o in objects] for kind, objects in self.objects.items() if objects},
            "unlisted": self.unlisted,
            "observations": self.observations,
            "logs": self.logs,
            "refusals": self.refusals,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> State:
        """The inverse of `to_json`."""
        return cls(
            namespace=data["namespace"],
            now=parse_time(data["now"]),
            objects={kind: [Object(kind, raw) for raw in raws] for kind, raws in data["objects"].items()},
            **{name: data[name] for name in ("unlisted", "observations", "logs", "refusals")},
        )


def visible_objects(kind: str, items: Iterable[dict[str, Any]], namespace: str, foreign: set[str]) -> Iterator[Object]:
    """What of a LIST may go into a State: nothing of others' namespaces, no Secret's value, no managedFields."""
    for raw in items:
        metadata = raw["metadata"]
        where = metadata.get("namespace")
        if where and where != namespace and (where in SYSTEM_NAMESPACES or where in foreign):
            continue
        metadata.pop("managedFields", None)
        if kind == "Secret":
            raw["data"] = dict.fromkeys(raw.get("data") or {}, "")
            # `kubectl apply` keeps a copy of the whole manifest, values and all, in this annotation.
            (metadata.get("annotations") or {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)
        yield Object(kind, raw)


def foreign_namespaces(namespaces: Iterable[Object], mine: str) -> set[str]:
    """Namespaces that belong to somebody else's lab: those that `start` marked, and those named after them (`x-…`)."""
    names = {o.name for o in namespaces}
    marked = {o.name for o in namespaces if LAB in o.labels and o.name != mine}
    named_after = {name for name in names for owner in marked if name.startswith(f"{owner}-")}
    return {name for name in marked | named_after if name != mine and not name.startswith(f"{mine}-")}


__all__ = [
    "LAB",
    "STARTED",
    "Failed",
    "Object",
    "State",
    "Unknown",
    "foreign_namespaces",
    "parse_time",
    "visible_objects",
]
