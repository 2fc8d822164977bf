"""Explaining: what is broken at the root in a namespace, lab or not; what follows from it is folded under it.

`explained(state)` is pure. It examines every object of the namespace by the chain of its kind (checker/diagnosis), and
refines each fault. It assigns the fault to the object that a person would change (of a Pod, the workload from which it
was made). Faults with the same root become one finding. A change in progress is no fault, and an object that works is
not mentioned.

`explain("deploy/web")` (checker/session.py) looks at the cluster first; it is what notebooks and the command line call.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from checker.diagnosis import CHAINS, pods_of, walk, walk_further
from checker.diagnosis.component_words import words_of
from checker.diagnosis.deletion import walk_deletion
from checker.diagnosis.job import FAILED_TRIES
from checker.diagnosis.missing import require
from checker.diagnosis.owners import replica_sets
from checker.diagnosis.refine import refined
from checker.diagnosis.remarks import is_replaced, remarks_about
from checker.diagnosis.restarts import OFTEN
from checker.diagnosis.service import pods_behind
from checker.diagnosis.stateful_set import is_partitioned_rollout
from checker.diagnosis.walking import remembering
from checker.diagnosis.workload import is_of_old_revision
from checker.model.catalogue import catalogue, problem, say
from checker.model.durations import (
    TIME_FOR_CONTAINER_START,
    TIME_FOR_FIRST_LOG_LINE,
    TIME_FOR_INIT_CONTAINER_IN_EXPLAIN,
    TIME_FOR_LAST_LOG_LINES,
)
from checker.model.explanation import Consequence, Explanation, Finding
from checker.model.fault import Fault, NotPassed, Ref
from checker.model.kinds import ALWAYS, KINDS
from checker.model.spelling import nearest
from checker.model.state import LOGS, WORKLOADS, Object, State

# Which of several roots with equally many consequences is told first.
ORDER = (
    "Namespace",
    "Node",
    "PersistentVolume",
    "StorageClass",
    "ResourceQuota",
    "PersistentVolumeClaim",
    "RoleBinding",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "Job",
    "CronJob",
    "Pod",
    "Service",
    "Ingress",
    "HorizontalPodAutoscaler",
)
SHORT = {
    "po": "Pod",
    "deploy": "Deployment",
    "rs": "ReplicaSet",
    "sts": "StatefulSet",
    "ds": "DaemonSet",
    "svc": "Service",
    "cj": "CronJob",
    "cm": "ConfigMap",
    "pv": "PersistentVolume",
    "pvc": "PersistentVolumeClaim",
    "sc": "StorageClass",
    "no": "Node",
    "ns": "Namespace",
    "sa": "ServiceAccount",
    "ing": "Ingress",
    "hpa": "HorizontalPodAutoscaler",
    "netpol": "NetworkPolicy",
    "quota": "ResourceQuota",
    "limits": "LimitRange",
    "pdb": "PodDisruptionBudget",
}


@dataclass
class _Root:
    """A root while it is being gathered: the fault as it was seen first, where it sits, and which objects led to it."""

    fault: Fault
    object: str
    namespace: str
    members: list[Object] = field(default_factory=list)

    def concerns(self, obj: Object) -> bool:
        return obj.ref in (self.object, str(self.fault.object)) or any(m.uid == obj.uid for m in self.members)


# -- from a State to an explanation ----------------------------------------------------------------------------------


def explained(state: State, kind: str = "", name: str = "") -> Explanation:
    """What is wrong in the State's namespace; with a kind and a name, with that object only."""
    with remembering():
        return _explained(state, kind, name)


def _explained(state: State, kind: str, name: str) -> Explanation:
    try:
        target = _target(state, kind, name) if kind else None
    except NotPassed as absent:
        finding = _finding(state, _Root(absent.fault, absent.object, state.namespace), set())
        answer = Explanation(state.namespace, f"{kind}/{name}", lab=state.lab)
        is_absent = absent.outcome == "failed"
        return replace(answer, findings=(finding,)) if is_absent else replace(answer, unseen=(finding,))
    roots: dict[tuple[str, ...], _Root] = {}
    for obj in _subjects(state, target):
        fault = examined(state, obj)
        if fault is None or is_partitioned_rollout(state, fault) or _is_as_configured(obj, fault, obj is target):
            continue
        root = _root(state, fault)
        root = roots.setdefault((fault.outcome, str(fault.in_progress), *_key(root)), root)
        root.members.append(obj)
    if target:
        concerned = {target.uid, *(pod.uid for pod in _its_pods(state, target))}
        roots = {
            key: root
            for key, root in roots.items()
            if root.concerns(target) or any(m.uid in concerned for m in root.members)
        }
    settled = [root for root in roots.values() if root.fault.outcome == "failed" and not root.fault.in_progress]
    settled = _folded_by_port(_folded_by_use(state, settled))
    told = {o for root in settled for o in (root.object, *_changed_for(state, root))}
    pending = [
        r
        for r in roots.values()
        if r.fault.in_progress and r.object not in told and not set(_changed_for(state, r)) <= told
    ]
    unseen = [r for r in roots.values() if r.fault.outcome == "unknown" and not r.fault.in_progress]
    findings = sorted((_finding(state, root, set()) for root in settled), key=_importance)
    busy = {root.object for root in [*settled, *pending]} | told
    remarks = [root for root in _remarks(state, target) if root.object not in busy and _seen_at(root) not in busy]
    return Explanation(
        state.namespace,
        target.ref if target else "",
        tuple(findings),
        tuple(_finding(state, root, set()) for root in [*_unlisted(state), *_unread_logs(state, settled), *unseen]),
        tuple(sorted((_finding(state, root, told) for root in _one_each(pending)), key=_importance)),
        tuple(sorted((_finding(state, root, set()) for root in remarks), key=_importance)),
        lab=state.lab,
    )


def _seen_at(root: _Root) -> str:
    return str(root.fault.object)


def _remarks(state: State, target: Object | None) -> list[_Root]:
    """The remarks about the objects of a State, or about one object and its Pods. Those with the same root are one."""
    concerned = {target.uid, *(pod.uid for pod in _its_pods(state, target))} if target else set()
    roots: dict[tuple[str, ...], _Root] = {}
    subjects = [*_subjects(state, target), *(pod for pod in state.objects.get("Pod", []) if is_replaced(state, pod))]
    for obj in subjects:
        if obj.is_terminating or obj.namespace not in ("", state.namespace) or (target and obj.uid not in concerned):
            continue
        for fault in remarks_about(state, obj):
            root = _root(state, fault)
            roots.setdefault(_key(root), root)
    return list(roots.values())


def _target(state: State, kind: str, name: str) -> Object:
    if not KINDS[kind].namespaced:
        return require(state, kind, name)
    found = state.find(kind, name)
    return found if found else require(state, kind, name)


def _subjects(state: State, target: Object | None) -> Iterator[Object]:
    """Every object that may have a fault of its own: not those that a newer one has taken the place of."""
    if not state.objects:
        return
    here = next((n for n in state.objects.get("Namespace", []) if n.name == state.namespace), None)
    if here or state.namespace_exists(state.namespace) is False:
        yield here or Object("Namespace", {"metadata": {"name": state.namespace}})
    seen_target = False
    for kind in sorted(state.objects):
        if (
            kind not in KINDS
            or not KINDS[kind].namespaced
            or kind in state.unlisted
            or kind in ("Event", "EndpointSlice")
        ):
            continue
        for obj in sorted(state.all(kind), key=lambda o: o.name):
            if obj is target or not _superseded(state, obj):
                seen_target = seen_target or obj is target
                yield obj
    if target and not seen_target and target.kind != "Namespace":
        yield target


def _superseded(state: State, obj: Object) -> bool:
    """Whether something else speaks for an object: its owner's chain, or a newer revision."""
    owner = _owner(state, obj)
    if owner is None:
        return False
    if obj.kind == "ReplicaSet":
        return True  # the Deployment's chain looks at it
    if obj.kind == "Job":  # of a CronJob: only how it went last
        last = max(state.owned("Job", owner), key=lambda job: (job.metadata.get("creationTimestamp", ""), job.name))
        return last is not obj
    if is_replaced(state, obj):
        return True
    if obj.kind == "Pod" and owner.kind == "StatefulSet" and is_of_old_revision(owner, obj):
        return True  # the StatefulSet's chain says so
    if obj.kind == "Pod" and owner.kind == "Job":
        return True  # the Job's chain knows how many may fail
    if obj.kind == "Pod" and owner.kind == "ReplicaSet":
        deployment = _owner(state, owner)
        return bool(deployment and (sets := replica_sets(state, deployment)) and sets[0].uid != owner.uid)
    return False


def _owner(state: State, obj: Object) -> Object | None:
    """The workload that made an object, as far as the State has it."""
    return state.controller_of(obj, ("ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"))


def _made_from(state: State, obj: Object) -> Object:
    """What somebody would change to change this object: the workload at the top, or the object itself."""
    owner = _owner(state, obj)
    return _made_from(state, owner) if owner else obj


def _its_pods(state: State, target: Object) -> list[Object]:
    if target.kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"):
        return pods_of(state, target)
    return [target]


def examined(state: State, obj: Object) -> Fault | None:
    """The exact cause of the first broken link of an object.

    None where the object works, and where its kind has no chain.
    """
    if obj.kind == "Namespace" and not obj.uid:
        near = nearest(obj.name, [n.name for n in state.objects.get("Namespace", [])], 0.8)
        return Fault("namespace-missing", Ref.of(obj), {"near": near})
    try:
        walk_deletion(state, obj)
        if obj.is_terminating and obj.kind != "Namespace":
            return None
        if obj.kind in CHAINS:
            walk(state, obj)
        walk_further(state, obj)
    except NotPassed as end:
        return _as_shown(state, obj, end.fault)
    except Exception as error:
        return _crashed(obj, error)
    return None


def _as_shown(state: State, obj: Object, fault: Fault) -> Fault:
    """A fault as it is shown: refined, with words. A fault without words is a bug of the course, and shown as one."""
    if not fault.object.namespace:
        fault = fault.but(object=replace(fault.object, namespace=obj.namespace))
    try:
        fault = _settled(state, refined(state, fault))
        fault.words()
    except Exception as error:
        return _crashed(obj, error)
    return fault


def _crashed(obj: Object, error: Exception) -> Fault:
    """The fault that stands for an exception of the checker's own."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    facts = {"error": f"{type(error).__name__}: {error}", "where": f"{where.filename}:{where.lineno}"}
    return Fault("checker-crashed", Ref.of(obj), facts, form="object", outcome="unknown")


def _settled(state: State, fault: Fault) -> Fault:
    """The same fault, with whether it counts as in progress.

    A container that restarts again and again gets no new time at each restart. An init container gets more time.
    """
    pod = None
    if fault.object.kind == "Pod" and "Pod" not in state.unlisted:
        pod = state.find("Pod", fault.object.name, fault.object.namespace)
    if fault.cause == "init-container-runs":
        fault = fault.but(in_progress=fault.facts["seconds"] < TIME_FOR_INIT_CONTAINER_IN_EXPLAIN)
    if fault.cause == "job-retrying" and fault.facts["failed"] >= FAILED_TRIES:
        return fault.but(in_progress=False)
    if not pod:
        return fault
    if fault.cause == "container-crashes" and _without_a_word(state, pod):
        return fault.but(in_progress=True)
    if fault.cause in ("readiness-probe-fails", "startup-probe-fails") and _has_not_spoken(state, pod, fault):
        return fault.but(in_progress=True)
    if fault.cause == "container-start-error" and state.age(pod.created) < TIME_FOR_CONTAINER_START:
        return fault.but(in_progress=True)  # a busy node fails now and then, and tries again
    restarted = any(status.get("restartCount", 0) >= OFTEN for status in pod.container_statuses)
    if fault.in_progress and restarted and not catalogue()[fault.cause].in_progress:
        return fault.but(in_progress=False)
    return fault


def _has_not_spoken(state: State, pod: Object, fault: Fault) -> bool:
    """Whether a probe gets no answer from a program that has logged nothing so far.

    On a busy machine the program may not have begun yet.
    """
    if "statuscode" in words_of(fault):
        return False
    for status in pod.status.get("containerStatuses") or []:
        since = ((status.get("state") or {}).get("running") or {}).get("startedAt")
        if since and not status.get("ready") and state.age(since) < TIME_FOR_FIRST_LOG_LINE:
            return not state.log_if_read(pod.name, status["name"])
    return False


def _without_a_word(state: State, pod: Object) -> bool:
    """Whether a container ended a moment ago, and its log could not be read yet: the log may show more."""
    for status in pod.container_statuses:
        ends = [(status.get(when) or {}).get("terminated") or {} for when in ("state", "lastState")]
        last = max((end["finishedAt"] for end in ends if end.get("finishedAt")), default=None)
        if last and state.age(last) < TIME_FOR_LAST_LOG_LINES and not state.log_if_read(pod.name, status["name"]):
            return True
    return False


def _is_as_configured(obj: Object, fault: Fault, is_target: bool) -> bool:
    """Whether a fault only says what a person asked for.

    A workload without replicas is a fault only where an object needs its Pods, or where `explain` is asked about it.
    """
    cause = catalogue()[fault.cause]
    return str(fault.object) == obj.ref and (cause.normal or (cause.intended and not is_target))


def _root(state: State, fault: Fault) -> _Root:
    where, namespace = fault.object, fault.object.namespace or state.namespace
    named = state.index(where.kind).by_name.get(where.name, [])
    found = next((o for o in named if o.namespace in ("", namespace)), None)
    itself = found is None or catalogue()[fault.cause].changed_at == "object"
    return _Root(fault, str(where) if found is None or itself else _made_from(state, found).ref, namespace)


def root_of(state: State, fault: Fault) -> str:
    """A fault as `cause@Kind/name`, with the object that a person would change."""
    return f"{fault.cause}@{_root(state, fault).object}"


def changed_instead(state: State, kind: str, name: str) -> str:
    """`Kind/name` of what a person would change to change this object: of a Pod, the workload that it was made from."""
    found = next(iter(state.index(kind).by_name.get(name, [])), None)
    return _made_from(state, found).ref if found else f"{kind}/{name}"


def _key(root: _Root) -> tuple[str, ...]:
    """What two faults with the same root have in common."""
    fault = root.fault
    if fault.outcome == "unknown" and fault.cause != "checker-crashed":
        return fault.cause, root.namespace  # what hides one object hides others
    shared = fault.root(catalogue())
    return (fault.cause, root.namespace, *shared) if any(shared) else (fault.cause, root.namespace, root.object)


def _folded_by_use(state: State, roots: list[_Root]) -> list[_Root]:
    """Fold each root that follows from another root into the other root.

    A Pod that waits for a claim with a fault has no fault of its own. Nor has a rollout that another fault holds up.
    """
    claims = {root.object.partition("/")[2]: root for root in roots if root.object.startswith("PersistentVolumeClaim/")}
    strong = [root for root in roots if not catalogue()[root.fault.cause].weaker]
    kept = []
    for root in roots:
        if catalogue()[root.fault.cause].weaker:
            led_here = (other for other in strong if root.object in (other.object, *_changed_for(state, other)))
            if stronger := next(led_here, None):
                stronger.members += root.members
                continue
        yields = catalogue()[root.fault.cause].yields_to and claims
        used = [claims[n] for m in root.members for n in _claims(state, m) if n in claims] if yields else []
        if used:
            used[0].members += root.members
        else:
            kept.append(root)
    return kept


# Causes that say that a Service has no such port.
_NO_SUCH_PORT = ("service-port-unknown", "ingress-backend-missing")


def _folded_by_port(roots: list[_Root]) -> list[_Root]:
    """Fold the roots of all that ask one port of a Service, which it does not have, into one: that of a client."""
    first: dict[tuple[object, ...], _Root] = {}
    for root in sorted(roots, key=lambda one: one.fault.cause != _NO_SUCH_PORT[0]):
        if key := _port_asked(root):
            first.setdefault(key, root)
    kept = []
    for root in roots:
        leader = first.get(_port_asked(root), root)
        if leader is root:
            kept.append(root)
        else:
            leader.members += root.members
    return kept


def _port_asked(root: _Root) -> tuple[object, ...]:
    """The namespace, the Service and the port that a root is about; empty where it is about another fault."""
    service, port = root.fault.facts.get("service"), root.fault.facts.get("port")
    return (root.namespace, service, port) if root.fault.cause in _NO_SUCH_PORT and service and port else ()


def _changed_for(state: State, root: _Root) -> Iterator[str]:
    """`Kind/name` of what a person would change to change the objects that led to a root."""
    return (_made_from(state, member).ref for member in root.members)


def _claims(state: State, obj: Object) -> Iterator[str]:
    for pod in pods_of(state, obj) if obj.kind in ("Pod", "Service", *WORKLOADS[:4]) else []:
        for volume in pod.spec.get("volumes") or []:
            if volume.get("persistentVolumeClaim"):
                yield volume["persistentVolumeClaim"]["claimName"]


def _unlisted(state: State) -> list[_Root]:
    """The kinds of the namespace that could not be listed, as one."""
    kinds = [k for k in state.unlisted if k in ALWAYS and KINDS[k].namespaced and k != "Event"]
    if not kinds:
        return []
    why, namespace = state.unlisted[kinds[0]], Ref("Namespace", state.namespace)
    if not state.objects and kinds[0] not in state.forbidden:
        fault = Fault("api-unreachable", namespace, {"why": why}, outcome="unknown")
    else:
        facts = {"kinds": kinds, "why": why, "plural": KINDS[kinds[0]].plural}
        fault = Fault("cannot-list", namespace, facts, outcome="unknown")
    return [_Root(fault, f"Namespace/{state.namespace}", state.namespace)]


def _unread_logs(state: State, roots: list[_Root]) -> list[_Root]:
    """The logs of Pods with a fault that this user may not read, as one: they may show a more exact cause."""
    pods = {member.name for root in roots for member in root.members if member.kind == "Pod"}
    unread = {key: why for key, why in sorted(state.unread_logs.items()) if key.partition("/")[0] in pods}
    if LOGS not in state.forbidden or not unread:
        return []
    facts = {"pods": sorted({key.partition("/")[0] for key in unread}), "why": next(iter(unread.values()))}
    fault = Fault("log-not-read", Ref("Namespace", state.namespace), facts, form="forbidden", outcome="unknown")
    return [_Root(fault, f"Namespace/{state.namespace}", state.namespace)]


def _one_each(roots: list[_Root]) -> list[_Root]:
    """Of the changes in progress, one for each object: the first."""
    found: dict[str, _Root] = {}
    for root in roots:
        found.setdefault(root.object, root)
    return list(found.values())


def _finding(state: State, root: _Root, told: set[str]) -> Finding:
    fault = root.fault
    followers = {o.ref: o for o in (_made_from(state, member) for member in root.members)}
    consequences = [
        Consequence(obj.ref, say("symptom-complains") if _is_well(obj) else _symptom(state, obj), obj.namespace)
        for ref, obj in sorted(followers.items(), key=lambda one: (_rank(one[0]), one[0]))
        if (ref, obj.namespace or root.namespace) != (root.object, root.namespace) and ref not in told
    ]
    words = fault.words()
    return Finding(
        fault.cause,
        words.message,
        root.object,
        root.namespace,
        words.expected,
        words.observed,
        words.look,
        str(fault.object),
        tuple(consequences),
    )


def _rank(ref: str) -> int:
    kind = ref.partition("/")[0]
    return ORDER.index(kind) if kind in ORDER else len(ORDER)


def _importance(finding: Finding) -> tuple[int, int, str, str]:
    return -len(finding.consequences), _rank(finding.object), finding.object, finding.cause


def _is_well(obj: Object) -> bool:
    """Whether an object looks well although a fault leads to it: only its log complains."""
    if obj.kind == "Pod":
        return obj.is_ready
    wanted = obj.spec.get("replicas", 1)
    if obj.status.get("unavailableReplicas"):
        return False  # Pods of a rollout are not available yet, although there are as many others as wanted
    return obj.kind in ("Deployment", "StatefulSet") and 0 < wanted <= obj.status.get("availableReplicas", 0)


def _symptom(state: State, obj: Object) -> str:
    """How the fault shows in an object that depends on it, in the words of `kubectl get`."""
    status = obj.status
    if obj.kind == "DaemonSet":
        available, wanted = status.get("numberAvailable", 0), status.get("desiredNumberScheduled", 0)
        return say("symptom-pods-available", available=available, wanted=wanted)
    if obj.kind == "Deployment" and status.get("unavailableReplicas") and status.get("availableReplicas"):
        pods = status["availableReplicas"] + status["unavailableReplicas"]
        return say("symptom-pods-available", available=status["availableReplicas"], wanted=pods)
    if obj.kind in ("Deployment", "ReplicaSet", "StatefulSet"):
        available, wanted = status.get("availableReplicas", 0), obj.spec.get("replicas", 1)
        return say("symptom-pods-available", available=available, wanted=wanted)
    if obj.kind == "Job":
        return say("symptom-completed", succeeded=status.get("succeeded", 0), wanted=obj.spec.get("completions", 1))
    if obj.kind == "Service":
        if obj.spec.get("type") == "ExternalName":
            return say("symptom-alias", target=obj.spec.get("externalName"))
        if "Pod" in state.unlisted:
            return say("symptom-pods-not-listed")
        ended = ("Failed", "Succeeded")
        pods = [p for p in pods_behind(state, obj) if not p.is_terminating and p.status.get("phase") not in ended]
        if not pods:
            return say("symptom-no-pods")
        return say("symptom-pods-ready", ready=sum(pod.is_ready for pod in pods), pods=len(pods))
    if obj.kind == "Pod":
        waiting = [(s.get("state") or {}).get("waiting") or {} for s in status.get("containerStatuses") or []]
        return next((w["reason"] for w in waiting if w.get("reason")), str(status.get("phase", "")))
    return str(status.get("phase", ""))


# -- what is asked about ---------------------------------------------------------------------------------------------


def parsed(target: str, name: str = "") -> tuple[str, str]:
    """`deploy/web`, or `deploy` and `web`, as a kind and a name. Raises Problem for a kind that is not known."""
    kind, slash, rest = target.strip().partition("/")
    name = name or rest
    plain = kind.lower().split(".")[0]
    known = {**{k.lower(): k for k in KINDS}, **{kind.plural: k for k, kind in KINDS.items()}, **SHORT}
    if plain not in known:
        near = nearest(plain, known)
        raise problem("no-such-kind", kind=kind, near=near)
    if not name or (slash and target.count("/") > 1):
        raise problem("which-object", kind=known[plain], typed=kind)
    return known[plain], name
