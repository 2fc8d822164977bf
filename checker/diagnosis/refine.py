"""A closer look: from the general cause that a chain ends with to the exact one, where the objects tell it.

The chains stop at the first broken link. Often the conditions, messages and last words at that link say more: which of the
scheduler's filters it was, who refused the Pod, why a registry gave no image. Each function below takes a State, the object
that the fault sits in, and the fault; it returns a better fault, or None where it knows none.

Sources are named at each function; https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ is behind most.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from checker.diagnosis.dns import CONTROL, explain_name, outside_dns, service_named
from checker.diagnosis.owners import workload_of
from checker.diagnosis.pod import container_spec, last_line, look_at_log
from checker.diagnosis.rbac import explain_forbidden, explain_no_token
from checker.diagnosis.service import pods_behind, target_ports
from checker.diagnosis.walking import walk
from checker.model.spelling import counted, nearest, pairs
from checker.model.state import REACH, Object, State
from checker.model.verdict import Failed, NotPassed

Look = Callable[["State", "Object", NotPassed], NotPassed | None]

# Observations of a whole look (checker/collect/collect.py): whether the cluster's DNS knows a name that every cluster has; and what
# answers where a probe asks that does not succeed, as {"pod/container": answer}.
DNS_CONTROL, PROBED = "dns-control", "probed"
# Seconds after which something that normally takes a moment is not taken for a matter of moments any more.
A_MOMENT, A_WHILE = 5, 20


def closer(state: State, fault: NotPassed) -> NotPassed:
    """The exact cause of a fault, or the fault itself."""
    kind, _, name = fault.object.partition("/")
    obj = next(
        (o for o in state.objects.get(kind, []) if o.name == name and o.namespace in ("", fault.namespace)), None
    )
    if obj is None:
        return fault
    for look in CLOSER.get(fault.cause, ()):
        found = look(state, obj, fault)
        if found is not None:
            found.namespace = found.namespace or fault.namespace
            return found
    return fault


def _describe(obj: Object) -> str:
    return f"kubectl describe {obj.kind.lower()} {obj.name}"


# -- scheduling ------------------------------------------------------------------------------------------------------


def _held_back(state: State, pod: Object, fault: NotPassed) -> NotPassed | None:
    """Source: https://kubernetes.io/docs/concepts/scheduling-eviction/pod-scheduling-readiness/"""
    gates = [gate["name"] for gate in pod.spec.get("schedulingGates") or []]
    if gates and state.age(pod.created) > A_MOMENT:
        return Failed(
            "pod-scheduling-gated",
            f"Pod {pod.name} is held back by a scheduling gate that nobody has taken away: {', '.join(gates)}.",
            expected="no scheduling gates", observed=", ".join(gates), object=pod.ref, look=_describe(pod),
        )  # fmt: skip
    scheduler = pod.spec.get("schedulerName", "default-scheduler")
    if scheduler != "default-scheduler" and not pod.condition("PodScheduled") and state.age(pod.created) > A_MOMENT:
        return Failed(
            "scheduler-missing",
            f"Pod {pod.name} waits for a scheduler called {scheduler}, and none of that name has looked at it.",
            expected=f"a scheduler {scheduler}", observed="no scheduler has looked at the Pod", object=pod.ref,
            look=f"kubectl get pod {pod.name} -o jsonpath={{.spec.schedulerName}}",
        )  # fmt: skip
    return None


_OPERATORS = {
    "In": "is",
    "NotIn": "is not",
    "Exists": "is there",
    "DoesNotExist": "is not there",
    "Gt": "is over",
    "Lt": "is under",
}


def _expressions(terms: list[dict[str, Any]]) -> str:
    """Node selector terms in words: any term, every expression of it."""

    def words(expression: dict[str, Any]) -> str:
        operator = _OPERATORS.get(expression["operator"], expression["operator"])
        return f"{expression['key']} {operator} {' or '.join(expression.get('values') or [])}".strip()

    return " or ".join(
        " and ".join(map(words, [*(term.get("matchExpressions") or []), *(term.get("matchFields") or [])]))
        for term in terms
    )


def _scheduling_filter(state: State, pod: Object, fault: NotPassed) -> NotPassed | None:
    """Source: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/ and the scheduler's own messages."""
    message = fault.observed
    evidence: dict[str, Any] = {"observed": message, "object": pod.ref, "look": _describe(pod)}
    device = re.search(r"Insufficient ([\w.-]+/[\w.-]+)", message)
    if device:
        return Failed(
            "pod-unschedulable-device", f"Pod {pod.name} asks for {device[1]}, and no node has any left to offer.",
            expected=f"a node that offers {device[1]}", **evidence,
        )  # fmt: skip
    if "free ports" in message:
        ports = [str(p["hostPort"]) for c in pod.containers for p in c.get("ports") or [] if p.get("hostPort")]
        return Failed(
            "host-port-taken",
            f"Pod {pod.name} wants port {', '.join(ports)} of a node for itself, and another Pod has it on every node that it could go to.",
            expected=f"a node whose port {', '.join(ports)} is free", **evidence,
        )  # fmt: skip
    if "topology spread" in message:
        rules = pod.spec.get("topologySpreadConstraints") or []
        keys = ", ".join(rule["topologyKey"] for rule in rules if rule.get("whenUnsatisfiable") != "ScheduleAnyway")
        return Failed(
            "pod-unschedulable-spread", f"No node would keep Pod {pod.name} spread as it asks (over {keys}).",
            expected=f"a node on which the spread over {keys} is kept", **evidence,
        )  # fmt: skip
    if "anti-affinity" in message or "pod affinity" in message:
        which = "wants to be away from" if "anti-affinity" in message else "wants to be beside"
        return Failed(
            "pod-unschedulable-pod-affinity", f"Pod {pod.name} {which} certain other Pods, and no node is left on which it would be.",
            expected="a node on which its rules about other Pods hold", **evidence,
        )  # fmt: skip
    node_affinity = (pod.spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = (node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms")
    if required and "affinity/selector" in message:
        return Failed(
            "pod-unschedulable-affinity",
            f"Pod {pod.name} may go only to a node where {_expressions(required)}, and none that would take it is such a node.",
            expected=f"a node where {_expressions(required)}", **{**evidence, "look": "kubectl get nodes --show-labels"},
        )  # fmt: skip
    return None


_REJECTIONS = ("NodeAffinity", "NodePorts", "NodeName", "NodeUnschedulable", "UnexpectedAdmissionError", "Taint",
               "TopologyAffinityError", "PodOSNotSupported", "PodOSSelectorNodeLabelDoesNotMatch", "AppArmor")  # fmt: skip


def _ended_how(state: State, pod: Object, fault: NotPassed) -> NotPassed | None:
    """Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ (phase Failed, and its reasons)"""
    reason, message = pod.status.get("reason", ""), pod.status.get("message", "")
    evidence: dict[str, Any] = {
        "observed": f"{reason}: {message}".rstrip(": "),
        "object": pod.ref,
        "look": _describe(pod),
    }
    if reason == "DeadlineExceeded":
        seconds = pod.spec.get("activeDeadlineSeconds")
        return Failed(
            "pod-deadline-exceeded", f"Pod {pod.name} was ended because it was given {seconds} s and was not done by then.",
            expected=f"done within {seconds} s", **evidence,
        )  # fmt: skip
    if reason in _REJECTIONS or reason.startswith("OutOf"):
        return Failed(
            "pod-rejected-by-node",
            f"Node {pod.spec.get('nodeName')} refuses Pod {pod.name}, which was put there without the scheduler: {message or reason}",
            expected="a node that takes the Pod", **evidence,
        )  # fmt: skip
    return None


# -- starting --------------------------------------------------------------------------------------------------------

_CANNOT_START = ("FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox", "FailedCreatePodContainer",
                 "FailedPodSandBoxStatus", "NetworkNotReady", "FailedPrepareDynamicResources")  # fmt: skip


def _never_starts(state: State, pod: Object, fault: NotPassed) -> NotPassed | None:
    """A Pod that has a node and does not get on: a hook fails; or its events say what fails over and over."""
    hook = _post_start(state, pod, fault)
    if hook:
        return hook
    troubles = [e for e in state.events(pod) if e.get("reason") in _CANNOT_START]
    if troubles and state.age(pod.created) > A_WHILE:
        told = re.sub(r"\s+", " ", troubles[0].get("message", ""))[:300]
        return Failed(
            "pod-stuck-starting", f"Pod {pod.name} does not get on with starting: {troubles[0]['reason']}. {told}",
            expected="containers are started", observed=told, object=pod.ref, look=_describe(pod),
        )  # fmt: skip
    return None


def _post_start(state: State, pod: Object, fault: NotPassed) -> NotPassed | None:
    """Source: https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/"""
    failed = state.events(pod, "FailedPostStartHook")
    hooks = [c for c in pod.containers if (c.get("lifecycle") or {}).get("postStart")]
    # The event may come late, or be gone: but who else kills a container that has no liveness probe, and room enough?
    killed = [c for c in hooks if not c.get("livenessProbe") and _killed(pod, c["name"])]
    if not hooks or not (failed or killed):
        return None
    command = " ".join(((hooks[0]["lifecycle"]["postStart"].get("exec")) or {}).get("command") or []) or "its request"
    told = re.sub(r"\s+", " ", failed[0].get("message", ""))[:250] if failed else "the container was killed"
    return Failed(
        "post-start-hook-fails",
        f"Container {hooks[0]['name']} of Pod {pod.name} is ended again each time because its postStart hook ({command}) fails: {told}",
        expected="a postStart hook that succeeds", observed=told, object=pod.ref, look=_describe(pod),
    )  # fmt: skip


def _killed(pod: Object, name: str) -> bool:
    """Whether a container's last run was ended by a signal."""
    status: dict[str, Any] = next((s for s in pod.status.get("containerStatuses") or [] if s["name"] == name), {})
    ends = [((status.get(when) or {}).get("terminated") or {}).get("exitCode") for when in ("state", "lastState")]
    return 137 in ends or 143 in ends


def _runs_as_root(state: State, pod: Object, fault: NotPassed) -> NotPassed | None:
    """Source: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/"""
    if "runAsNonRoot" not in fault.observed:
        return None
    return Failed(
        "image-runs-as-root",
        f"Pod {pod.name} must not run as root (runAsNonRoot), and its image would: {fault.observed}",
        expected="a user other than root", observed=fault.observed, object=pod.ref, look=_describe(pod),
    )  # fmt: skip


# -- images ----------------------------------------------------------------------------------------------------------

_DENIED = re.compile(r"401 Unauthorized|403 Forbidden|authorization failed|unauthorized|access denied", re.I)
_UNREACHABLE = re.compile(
    r"no such host|connection refused|i/o timeout|no route to host|network is unreachable|deadline exceeded|x509|tls:|"
    r"server gave HTTP response|EOF|lookup .* on ", re.I
)  # fmt: skip


def _registry(state: State, pod: Object, fault: NotPassed) -> NotPassed | None:
    """What a registry said to a pull: nothing at all, or no.

    Source: https://kubernetes.io/docs/concepts/containers/images/
    """
    for status, spec in _statuses(pod):
        waiting = (status.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in ("ErrImagePull", "ImagePullBackOff"):
            continue
        image = spec.get("image", "")
        first = image.split("/")[0]
        registry = first if "/" in image and (set(".:") & set(first) or first == "localhost") else ""
        said = [waiting.get("message", ""), *(e["message"] for e in state.events(pod, "Failed"))]
        told = next((m for m in said if image in m and ": " in m.split(image, 1)[1] and "failed" in m), "")
        reason = told.rsplit(": ", 1)[-1].strip('" ')[:200]
        secrets = [ref.get("name", "") for ref in pod.spec.get("imagePullSecrets") or []]
        missing = [s for s in secrets if not state.find("Secret", s, pod.namespace)] if secrets else []
        if missing and (registry or not told):
            similar = nearest(missing[0], [s.name for s in state.all("Secret", pod.namespace)])
            return Failed(
                "pull-secret-missing",
                f"Image {image} of Pod {pod.name} is pulled with the credentials in Secret {missing[0]}, which does not exist in "
                f"namespace {pod.namespace}." + (f" There is one called {similar}." if similar else ""),
                expected=f"Secret {missing[0]}", observed=reason or "no such Secret", object=pod.ref, look="kubectl get secrets",
            )  # fmt: skip
        if not registry:
            continue
        if _DENIED.search(told):
            return Failed(
                "image-pull-denied", f"Registry {registry} does not give image {image} to the node of Pod {pod.name}: {reason}",
                expected=f"{registry} gives {image}", observed=reason, object=pod.ref, look=_describe(pod),
            )  # fmt: skip
        if _UNREACHABLE.search(told) and not re.search(r": not found", told):
            return Failed(
                "registry-unreachable",
                f"Registry {registry}, from which Pod {pod.name} wants image {image}, cannot be reached from its node: {reason}",
                expected=f"{registry} answers", observed=reason, object=pod.ref, look=_describe(pod),
            )  # fmt: skip
    return None


def _statuses(pod: Object) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each container's status with its specification."""
    for status in pod.container_statuses:
        yield status, container_spec(pod, status["name"])


# -- last words ------------------------------------------------------------------------------------------------------

_NO_NAME = re.compile(r"name resolution|not known|no such host|resol|getaddrinfo|lookup|NXDOMAIN|find address", re.I)
_NO_ANSWER = re.compile(r"refused|timed out|timeout|unreachable|cannot connect|could not connect|not answer", re.I)


def _words(state: State, pod: Object, fault: NotPassed) -> Iterator[tuple[dict[str, Any], str]]:
    """The containers of a Pod that are not well, each with its last words (its log, and what a probe got)."""
    for status, spec in _statuses(pod):
        log = state.logs.get(f"{pod.name}/{status['name']}", "")
        if not status.get("ready") or status.get("restartCount"):
            got = [fault.observed, _answered(state, pod, status["name"])]
            # That a probe is refused says nothing of others; a program that lets it wait may itself wait for somebody.
            own = [
                words for words in got if "probe" not in fault.cause or re.search("statuscode|timeout|deadline", words)
            ]
            yield spec, "\n".join([log, *own])


def _answered(state: State, pod: Object, container: str) -> str:
    """What somebody who asks as a container's probe does gets at the moment; empty where nobody did."""
    answer = (state.observations.get(PROBED) or {}).get(f"{pod.name}/{container}")
    if not isinstance(answer, dict) or "status" not in answer:
        return ""
    if answer["error"]:
        return str(answer["error"])
    return f"statuscode: {answer['status']}" + (f", {last_line(answer['text'])}" if answer["text"] else "")


def _last_words(state: State, pod: Object, fault: NotPassed) -> NotPassed | None:
    """What the words of a container that is not well say about the place that it was put in, rather than about itself."""
    if fault.object.split("/")[0] != "Pod":
        return None
    hook = _post_start(state, pod, fault)
    if hook:
        return hook
    for spec, said in _words(state, pod, fault):
        found = (
            explain_forbidden(state, pod, said)
            or explain_no_token(state, pod, said)
            or _may_not(pod, spec, said)
            or _no_dns(state, said)
            or _needs(state, pod, spec, said)
            or _wrong_door(state, pod, spec, said)
        )
        if found:
            found.pending = found.pending or fault.pending
            return found
    return None


def _not_seen_by_event(state: State, pod: Object, fault: NotPassed) -> NotPassed | None:
    """A probe of whose failing no event tells: what answers there at the moment."""
    for status, _spec in _statuses(pod):
        answer = _answered(state, pod, status["name"])
        if (
            "no answer seen yet" in fault.observed
            and answer
            and not status.get("ready")
            and not answer.startswith("statuscode: 2")
        ):
            return Failed(
                fault.cause, fault.message.replace("no answer seen yet", answer), expected=fault.expected, observed=answer,
                object=fault.object, look=fault.look, pending=fault.pending,
            )  # fmt: skip
    return None


def _may_not(pod: Object, spec: dict[str, Any], said: str) -> NotPassed | None:
    """Source: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/"""
    context = {**(pod.spec.get("securityContext") or {}), **(spec.get("securityContext") or {})}
    told = next((line for line in said.splitlines() if re.search(r"read-only file system|permission denied|operation not permitted|EACCES|EROFS", line, re.I)), "")  # fmt: skip
    told = last_line(told)
    evidence: dict[str, Any] = {
        "observed": told, "object": pod.ref, "look": look_at_log(pod, spec["name"]),
    }  # fmt: skip
    if re.search(r"read-only file system|EROFS", told, re.I):
        return Failed(
            "file-system-read-only", f"Container {spec['name']} of Pod {pod.name} wants to write where it may only read: {told}",
            expected="a place that can be written to", **evidence,
        )  # fmt: skip
    restricting = {"runAsUser", "runAsGroup", "runAsNonRoot", "capabilities"} & set(context)
    if told and restricting:
        words = ", ".join(f"{name}: {context[name]}" for name in sorted(restricting))
        return Failed(
            "container-not-permitted",
            f"Container {spec['name']} of Pod {pod.name} is not allowed what it tries, with its security context ({words}): {told}",
            expected="a program that gets along with its user's rights", **evidence,
        )  # fmt: skip
    if pod.spec.get("hostNetwork") and "address already in use" in said.lower():
        return Failed(
            "host-port-taken",
            f"Pod {pod.name} uses its node's network (hostNetwork), and its port is in use on node {pod.spec.get('nodeName')}: {last_line(said)}",
            expected="a port that is free on the node", observed=last_line(said), object=pod.ref, look="kubectl get pods -o wide --all-namespaces",
        )  # fmt: skip
    return None


def _no_dns(state: State, said: str) -> NotPassed | None:
    """Names that nobody can look up: the observer cannot look up a name either that every cluster has."""
    control = (state.observations.get(DNS_CONTROL) or {}).get(CONTROL) or {}
    if not _NO_NAME.search(said) or not control.get("error"):
        return None
    found = Failed(
        "dns-down", f"The cluster's DNS does not answer: not even {CONTROL} leads anywhere.", expected=f"{CONTROL} leads to an address",
        observed=control["error"], object="Deployment/coredns", look="kubectl get pods -n kube-system -l k8s-app=kube-dns",
    )  # fmt: skip
    found.namespace = "kube-system"
    return found


_ADDRESS = re.compile(r"^(?:[a-z+]+://)?(?:[^@/]*@)?([a-z](?:[a-z0-9.-]*[a-z0-9])?):(\d{1,5})(?:/.*)?$")


def _wrong_door(state: State, pod: Object, spec: dict[str, Any], said: str) -> NotPassed | None:
    """A Service that is well, and is not found by the container's DNS settings, or is asked on a port that it does not have.

    Source: https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-s-dns-policy
    """
    for variable, value in state.env(pod, spec).items():
        found = _ADDRESS.match(value) or re.fullmatch(r"([a-z](?:[a-z0-9.-]*[a-z0-9])?)()", value)
        if not found:
            continue
        host, port = found[1], found[2] or _sibling_port(state, pod, spec, variable)
        name, namespace = service_named(host, pod.namespace)
        if host not in said or namespace in state.unlisted or "Service" in state.unlisted:
            continue
        service = state.find("Service", name, namespace)
        if not service:
            continue
        ports = [p["port"] for p in service.spec.get("ports") or []]
        outside = outside_dns(pod.spec)
        if outside and _NO_NAME.search(said):
            return Failed(
                "dns-policy-outside",
                f"Container {spec['name']} of Pod {pod.name} does not find {host}, though Service {service.name} is there: with "
                f"{outside} the Pod does not ask the cluster's DNS.",
                expected="names asked of the cluster's DNS", observed=f"dnsPolicy {pod.spec.get('dnsPolicy', 'ClusterFirst')}; {last_line(said)}", object=pod.ref,
                look=f"kubectl exec {pod.name} -c {spec['name']} -- cat /etc/resolv.conf",
            )  # fmt: skip
        if port and ports and int(port) not in ports and _NO_ANSWER.search(said):
            return Failed(
                "service-port-unknown",
                f"Container {spec['name']} of Pod {pod.name} asks Service {service.name} on port {port} ({variable}), and that Service takes "
                f"requests on port {', '.join(map(str, ports))}.",
                expected=f"a port of Service {service.name}", observed=f"{variable} leads to port {port}", object=pod.ref,
                look=f"kubectl get service {service.name} -n {namespace}",
            )  # fmt: skip
    return None


def _sibling_port(state: State, pod: Object, spec: dict[str, Any], variable: str) -> str:
    """The port that goes with a variable such as DB_HOST: DB_PORT, where there is one."""
    sibling = re.sub(r"HOST(NAME)?$|ADDR(ESS)?$", "PORT", variable)
    value = state.env(pod, spec).get(sibling, "") if sibling != variable else ""
    return value if value.isdigit() else ""


# Words by which a program asks for a host, and the host behind them: `nslookup db`, `nc -z db 5432`, `getaddrinfo('db'`.
_ASKS = re.compile(
    r"(?:nslookup|getent\s+(?:hosts|ahosts)|dig|host|ping|nc|ncat|curl|wget|telnet|pg_isready|redis-cli|mysqladmin|mysql|psql|"
    r"getaddrinfo|gethostbyname|create_connection|urlopen)"
    r"""(?:\s+-{1,2}[\w-]+(?:[ =]\d+)?)*[\s(='"]+(?:[a-z]+://)?([a-z](?:[a-z0-9.-]*[a-z0-9])?)"""
)
_TOKEN = re.compile(r"[a-z](?:[a-z0-9.-]*[a-z0-9])?")
_NAMES_A_HOST = re.compile(r"HOST|URL|URI|ADDR|SERVER|SERVICE|ENDPOINT", re.I)


def _needs(state: State, pod: Object, spec: dict[str, Any], said: str) -> NotPassed | None:
    """Whom a container needs and cannot reach: a Service that it names, in its variables or its command, and that does not work.

    Its own words must say that somebody was not reached; only of an init container that waits without a word is it taken for granted.
    """
    command = " ".join([*(spec.get("command") or []), *(spec.get("args") or [])])
    waits = spec in (pod.spec.get("initContainers") or []) and spec.get("restartPolicy") != "Always"
    complains = bool(_NO_NAME.search(said) or _NO_ANSWER.search(said) or "statuscode: 5" in said)
    if not complains and not (waits and _ASKS.search(command)):
        return None
    env = state.env(pod, spec)
    asked = [found for found in _ASKS.findall(command) if found != "localhost"]
    hosts = [m.group(1) for v, value in env.items() if (m := _ADDRESS.match(value) or re.fullmatch(r"([a-z][a-z0-9.-]*)", value))
             and (_NAMES_A_HOST.search(v) or m.group(1) in said)]  # fmt: skip
    services = {s.name: s for s in state.all("Service", pod.namespace)}
    # A Service's own address, as Go programs tell it: dial tcp 10.96.3.4:5432: connect: connection refused.
    by_address = [s.name for s in services.values() if s.spec.get("clusterIP") not in (None, "", "None")
                  and re.search(rf"\b{re.escape(s.spec['clusterIP'])}\b", said)]  # fmt: skip
    named = [token for token in _TOKEN.findall(command) if token in services]
    for host in dict.fromkeys([*by_address, *hosts, *asked, *named]):
        name, namespace = service_named(host, pod.namespace)
        if namespace in state.unlisted:
            continue
        service = state.find("Service", name, namespace)
        try:
            if service:
                walk(state, service)
            elif host in said or (waits and host in asked):
                explain_name(state, host, pod)
        except NotPassed as root:
            if root.word == "failed":  # also where that one is only on its way: then so is this one
                return root
    return None


# -- ready -----------------------------------------------------------------------------------------------------------


def _readiness_gate(state: State, pod: Object, fault: NotPassed) -> NotPassed | None:
    """Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-readiness-gate"""
    ready = pod.condition("ContainersReady")
    if ready.get("status") != "True":
        return None
    gates = [gate["conditionType"] for gate in pod.spec.get("readinessGates") or []]
    closed = [gate for gate in gates if pod.condition(gate).get("status") != "True"]
    since = ready.get("lastTransitionTime")
    if not closed or (since and state.age(since) < A_MOMENT):
        return None
    return Failed(
        "readiness-gate-waits",
        f"The containers of Pod {pod.name} are ready, but the Pod waits for a readiness gate that nobody has opened: {', '.join(closed)}.",
        expected=f"condition {', '.join(closed)} is True", observed="not set", object=pod.ref, look=_describe(pod),
    )  # fmt: skip


# -- workloads -------------------------------------------------------------------------------------------------------

_REFUSED_BY: tuple[tuple[str, str, str], ...] = (
    # cause, pattern (the groups are put into the words), words
    ("service-account-missing", r'serviceaccount "([^"]+)" not found', "their ServiceAccount {0} does not exist"),
    ("priority-class-unknown", r"no PriorityClass with name (\S+) was found", "there is no PriorityClass {0}"),
    ("runtime-class-unknown", r'RuntimeClass "([^"]+)" not found', "there is no RuntimeClass {0}"),
    ("webhook-unreachable", r'failed calling webhook "([^"]+)"', "the admission webhook {0}, which must be asked first, could not be asked"),
    ("admission-policy-refused", r'admission webhook "([^"]+)" denied the request', "the admission webhook {0} says no"),
    ("admission-policy-refused", r"ValidatingAdmissionPolicy '([^']+)'.* denied request", "the admission policy {0} says no"),
    ("namespace-being-deleted", r"namespace (\S+) because it is being terminated", "namespace {0} is being deleted"),
)  # fmt: skip


def _who_refused(state: State, maker: Object, fault: NotPassed) -> NotPassed | None:
    """Source: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/ and the API server's messages."""
    message = fault.observed
    for cause, pattern, words in _REFUSED_BY:
        found = re.search(pattern, message)
        if not found:
            continue
        name = found[1].rstrip(".,")
        hint = ""
        if cause == "service-account-missing":
            similar = nearest(name, [a.name for a in state.all("ServiceAccount", maker.namespace)])
            hint = f" There is one called {similar}." if similar else ""
        for_whom = (maker.controller or maker.ref).replace("/", " ")
        reason = (
            message[found.end() :].strip(": ") if cause in ("admission-policy-refused", "webhook-unreachable") else ""
        )
        return Failed(
            cause,
            f"No Pods are made for {for_whom}: {words.format(name)}{': ' + reason.rstrip('.') if reason else ''}.{hint}",
            expected=_EXPECTED_OF[cause].format(name), observed=message, object=fault.object, look=fault.look,
        )  # fmt: skip
    return None


_EXPECTED_OF = {
    "service-account-missing": "a ServiceAccount {0}",
    "priority-class-unknown": "a PriorityClass {0}",
    "runtime-class-unknown": "a RuntimeClass {0}",
    "webhook-unreachable": "an answer from webhook {0}",
    "admission-policy-refused": "Pods that {0} admits",
    "namespace-being-deleted": "a namespace {0} that stays",
}


def _no_node_wanted(state: State, daemon_set: Object, fault: NotPassed) -> NotPassed | None:
    """Source: https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#how-daemon-pods-are-scheduled"""
    if daemon_set.kind != "DaemonSet":
        return None
    template = (daemon_set.spec.get("template") or {}).get("spec") or {}
    selector = template.get("nodeSelector") or {}
    wants = f"nodes with {pairs(selector)}" if selector else "nodes that its affinity and tolerations allow"
    return Failed(
        "daemonset-has-no-node", f"DaemonSet {daemon_set.name} has a Pod on no node: it wants {wants}, and there is none.",
        expected=wants, observed="0 nodes", object=daemon_set.ref, look="kubectl get nodes --show-labels",
    )  # fmt: skip


def _waits_for_deletion(state: State, workload: Object, fault: NotPassed) -> NotPassed | None:
    """Sources: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#update-strategies,
    https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/"""
    strategy = workload.spec.get("updateStrategy") or {}
    if strategy.get("type") != "OnDelete":
        return None
    wanted = workload.spec.get("replicas", workload.status.get("desiredNumberScheduled", 0))
    updated = workload.status.get("updatedReplicas", workload.status.get("updatedNumberScheduled", 0))
    return Failed(
        "rollout-on-delete",
        f"{updated} of {counted(wanted, 'Pod')} of {workload.kind} {workload.name} have the newest template: its update strategy "
        "OnDelete replaces a Pod only when somebody deletes it.",
        expected="Pods of the newest template", observed=f"{updated} of {wanted}", object=workload.ref, look=_describe(workload),
    )  # fmt: skip


def is_meant(state: State, fault: NotPassed) -> bool:
    """Whether what a chain stopped at is as somebody asked for: a StatefulSet's update that stops at its partition.

    Source: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#partitions
    """
    kind, _, name = fault.object.partition("/")
    if fault.cause != "rollout-in-progress" or kind != "StatefulSet":
        return False
    found = state.find(kind, name, fault.namespace)
    strategy = (found.spec.get("updateStrategy") or {}).get("rollingUpdate") or {} if found else {}
    if not found or not strategy.get("partition"):
        return False
    wanted = found.spec.get("replicas", 1)
    done = found.status.get("updatedReplicas", 0) >= max(0, wanted - strategy["partition"])
    return bool(done and found.status.get("availableReplicas", 0) >= wanted)


# -- Services --------------------------------------------------------------------------------------------------------


def _strangers(state: State, service: Object, fault: NotPassed) -> NotPassed | None:
    """A Service whose selector also matches the Pods of another workload, which listen elsewhere."""
    reach = state.observations.get(REACH) or {}
    ready = [pod for pod in pods_behind(state, service) if pod.is_ready]
    groups: dict[str, list[bool]] = {}
    for pod in ready:
        maker = workload_of(state, pod) or pod
        words = [reach.get(f"{pod.status.get('podIP')}:{number}") for number in target_ports(service, pod).values()]
        groups.setdefault(maker.ref, []).append(bool(words) and all(word == "open" for word in words))
    silent = sorted(ref for ref, answers in groups.items() if not any(answers))
    if not silent or len(silent) == len(groups):
        return None
    at_home = sorted(set(groups) - set(silent))
    return Failed(
        "service-selects-other-pods",
        f"Service {service.name} sends requests to the Pods of {', '.join(at_home)}, which answer, and also to those of {', '.join(silent)}, "
        f"which do not: its selector {pairs(service.spec.get('selector') or {})} matches both.",
        expected="only Pods that listen on the target port", observed=f"Pods of {', '.join(silent)} as well", object=service.ref,
        look="kubectl get pods --show-labels",
    )  # fmt: skip


def _far_away(state: State, service: Object, fault: NotPassed) -> NotPassed | None:
    """A Service whose selector is like nothing here, and exactly what Pods of another namespace have."""
    selector = service.spec.get("selector") or {}
    here = [pod for pod in state.all("Pod", service.namespace) if not pod.is_terminating]
    alike = [
        pod for pod in here if any(nearest(value, [pod.labels.get(key, "")], 0.5) for key, value in selector.items())
    ]
    elsewhere = sorted(
        {p.namespace for p in state.everywhere("Pod") if selector.items() <= p.labels.items()} - {service.namespace}
    )
    if alike or not elsewhere or not selector:
        return None
    return Failed(
        "pods-in-other-namespace",
        f"Service {service.name} selects no Pod: the Pods with {pairs(selector)} are in namespace {', '.join(elsewhere)}, and a Service "
        f"selects only in its own, {service.namespace}.",
        expected=f"Pods with {pairs(selector)} in namespace {service.namespace}", observed=f"in namespace {', '.join(elsewhere)}",
        object=service.ref, look="kubectl get pods --all-namespaces --show-labels",
    )  # fmt: skip


def _finished_pods(state: State, service: Object, fault: NotPassed) -> NotPassed | None:
    pods = pods_behind(state, service)
    if not pods or any(pod.status.get("phase") not in ("Succeeded", "Failed") for pod in pods):
        return None
    return Failed(
        "service-selects-finished-pods", f"Service {service.name} selects only Pods that have ended ({counted(len(pods), 'Pod')}).",
        expected="Pods that run", observed=", ".join(sorted({pod.status.get("phase", "") for pod in pods})), object=service.ref,
        look="kubectl get pods --show-labels",
    )  # fmt: skip


CLOSER: dict[str, tuple[Look, ...]] = {
    "pod-not-scheduled-yet": (_held_back,),
    "pod-unschedulable": (_scheduling_filter,),
    "pod-evicted": (_ended_how,),
    "pod-starting": (_never_starts,),
    "container-config-error": (_runs_as_root,),
    **dict.fromkeys(("image-not-found", "image-name-typo", "image-not-loaded"), (_registry,)),
    **dict.fromkeys(
        ("container-crashes", "container-ends", "container-restarts-often", "port-clash-in-pod", "liveness-probe-fails"),
        (_last_words,),
    ),
    **dict.fromkeys(("readiness-probe-fails", "startup-probe-fails", "probe-times-out"), (_last_words, _not_seen_by_event)),
    "init-container-runs": (_last_words,),
    "pod-not-ready": (_readiness_gate,),
    "admission-refused": (_who_refused,),
    "zero-replicas": (_no_node_wanted,),
    "rollout-in-progress": (_waits_for_deletion,),
    "target-port-refused": (_strangers,),
    "target-port-silent": (_strangers,),
    "service-selects-nothing": (_far_away,),
    "service-has-no-ready-pod": (_finished_pods,),
}  # fmt: skip
