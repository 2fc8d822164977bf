"""The chain of a Pod: scheduled → image there → configuration there → started → keeps running → ready.

Sources: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ and
https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

from checker.chains.scheduling import explain_unscheduled
from checker.names import nearest
from checker.verdict import Failed, fail

if TYPE_CHECKING:
    from checker.state import Object, State

# A container that has only just started may still fall over: how long (in seconds) its running is not yet believed.
SETTLE = 3
SETTLE_AFTER_RESTART = 10
# A process that does not listen yet may still be starting: how long (in seconds) that is not held against it.
TIME_TO_LISTEN = 20

IMAGE_REASONS = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError"}


def walk_pod(state: State, pod: Object) -> None:
    """Return when the Pod runs and is ready (or has done its work). Raises Failed with the first broken link."""
    if pod.is_terminating:
        fail("object-being-deleted", f"Pod {pod.name} is being deleted.", object=pod.ref, pending=True)
    if not pod.spec.get("nodeName"):
        explain_unscheduled(state, pod)
    if pod.status.get("phase") == "Succeeded":
        return
    if pod.status.get("phase") == "Failed" and pod.status.get("reason"):
        fail(
            "pod-evicted",
            f"Pod {pod.name} was ended by the cluster: {pod.status['reason']}. {pod.status.get('message', '')}".strip(),
            expected="Pod is Running", observed=pod.status["reason"], object=pod.ref,
        )  # fmt: skip
    for status in pod.status.get("initContainerStatuses") or []:
        if not status.get("ready") and not status.get("started"):
            _walk_container(state, pod, status)
    statuses = pod.status.get("containerStatuses") or []
    if not statuses:
        _explain_mounts(state, pod)
        fail(
            "pod-starting",
            f"Pod {pod.name} is on node {pod.spec['nodeName']} and starting.",
            object=pod.ref,
            pending=True,
        )
    for status in statuses:
        _walk_container(state, pod, status)
    for status in statuses:
        _walk_readiness(state, pod, status)
    if pod.condition("Ready").get("status") != "True":
        reason = pod.condition("Ready").get("reason", "no reason given")
        fail(
            "pod-not-ready", f"Pod {pod.name} is not ready: {reason}.",
            expected="condition Ready is True", observed=reason, object=pod.ref, pending=True,
        )  # fmt: skip


def container_spec(pod: Object, name: str) -> dict[str, Any]:
    """The specification of one container of a Pod, init containers included."""
    everyone = [*pod.containers, *(pod.spec.get("initContainers") or [])]
    return next((c for c in everyone if c["name"] == name), {})


def last_line(text: str) -> str:
    """The last line of a log that says something, cut to a readable length."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def _walk_container(state: State, pod: Object, status: dict[str, Any]) -> None:
    current = status.get("state") or {}
    if "waiting" in current:
        _explain_waiting(state, pod, status, current["waiting"])
    if "terminated" in current:
        ended = current["terminated"]
        if ended.get("exitCode") == 0 and pod.spec.get("restartPolicy", "Always") != "Always":
            return
        _explain_exit(state, pod, status, ended)
    previous = (status.get("lastState") or {}).get("terminated")
    if previous and "running" in current and state.age(current["running"]["startedAt"]) < SETTLE_AFTER_RESTART:
        _explain_exit(state, pod, status, previous, pending=True)


def _explain_waiting(state: State, pod: Object, status: dict[str, Any], waiting: dict[str, Any]) -> NoReturn:
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in IMAGE_REASONS:
        _explain_image(state, pod, status, waiting)
    if reason == "CreateContainerConfigError":
        _explain_config(state, pod, container_spec(pod, status["name"]), message)
    if reason == "CrashLoopBackOff":
        _explain_exit(state, pod, status, (status.get("lastState") or {}).get("terminated") or {})
    if reason in ("RunContainerError", "CreateContainerError"):
        _explain_start_error(pod, status, message)
    _explain_mounts(state, pod)
    fail(
        "pod-starting", f"Container {status['name']} of Pod {pod.name} is not running yet: {reason or 'waiting'}.",
        expected="container is running", observed=reason or "waiting", object=pod.ref, pending=True,
    )  # fmt: skip


# -- images ----------------------------------------------------------------------------------------------------------


def known_images(state: State) -> dict[str, set[str]]:
    """Every image name that some node has, short as learners write it, and the nodes that have it."""
    known: dict[str, set[str]] = {}
    for node in state.objects.get("Node", []):
        for image in node.status.get("images") or []:
            for name in image.get("names") or []:
                if "@" not in name:
                    known.setdefault(short_image(name), set()).add(node.name)
    return known


def short_image(name: str) -> str:
    """An image's name without the parts that are added when they are left out: `docker.io/library/x` is `x:latest`."""
    name = re.sub(r"^(index\.)?docker\.io/(library/)?", "", name)
    return name if ":" in name.rsplit("/", 1)[-1] or "@" in name else f"{name}:latest"


def _explain_image(state: State, pod: Object, status: dict[str, Any], waiting: dict[str, Any]) -> NoReturn:
    image = container_spec(pod, status["name"]).get("image") or status.get("image", "")
    node, reason = pod.spec.get("nodeName", ""), waiting.get("reason", "")
    where = f"container {status['name']} of Pod {pod.name}"
    look = f"kubectl describe pod {pod.name}"
    if reason == "InvalidImageName":
        fail(
            "image-name-invalid", f"{image!r} is not an image name ({where}).",
            expected="name[:tag]", observed=image, object=pod.ref, look=look,
        )  # fmt: skip
    known = known_images(state)
    holders = known.get(short_image(image), set())
    if holders and node not in holders:
        fail(
            "image-not-loaded",
            f"Image {image} is on node {', '.join(sorted(holders))}, but not on node {node}, where Pod {pod.name} runs.",
            expected=f"{image} on node {node}", observed=f"{reason} on {node}", object=pod.ref, look=look,
        )  # fmt: skip
    own = [name for name in known if "/" not in name]
    repository = short_image(image).rsplit(":", 1)[0]
    similar = nearest(short_image(image), own, cutoff=0.75)
    if similar:
        tags = sorted(name for name in own if name.rsplit(":", 1)[0] == repository)
        hint = f"The nodes have {', '.join(tags)}." if tags else f"Did you mean {similar}?"
        fail(
            "image-name-typo", f"No node can get image {image} ({where}). {hint}",
            expected="an image that exists", observed=f"{image}: {reason}", object=pod.ref, look=look,
        )  # fmt: skip
    fail(
        "image-not-found",
        f"No node has image {image} ({where}), and it cannot be pulled: {reason}. "
        "An image built on this machine must be loaded into the cluster's nodes.",
        expected=f"{image} on node {node}", observed=_reason_of_pull(waiting.get("message", "")) or reason,
        object=pod.ref, look=look,
    )  # fmt: skip


def _reason_of_pull(message: str) -> str:
    """The last, telling part of the container runtime's chain of errors."""
    return message.rsplit(": ", 1)[-1].strip('" ')[:200]


# -- configuration ---------------------------------------------------------------------------------------------------


def _references(spec: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    """What a container's environment takes from: (kind, name, key or None), without the optional ones."""
    found: list[tuple[str, str, str | None]] = []
    for kind, whole, single in (
        ("ConfigMap", "configMapRef", "configMapKeyRef"),
        ("Secret", "secretRef", "secretKeyRef"),
    ):
        for source in spec.get("envFrom") or []:
            ref = source.get(whole)
            if ref and not ref.get("optional"):
                found.append((kind, ref["name"], None))
        for variable in spec.get("env") or []:
            ref = (variable.get("valueFrom") or {}).get(single)
            if ref and not ref.get("optional"):
                found.append((kind, ref["name"], ref["key"]))
    return found


def _volume_references(pod: Object) -> list[tuple[str, str, str | None]]:
    found: list[tuple[str, str, str | None]] = []
    for volume in pod.spec.get("volumes") or []:
        for kind, source, name in (("ConfigMap", "configMap", "name"), ("Secret", "secret", "secretName")):
            ref = volume.get(source)
            if ref and not ref.get("optional"):
                keys: list[str | None] = [item["key"] for item in ref.get("items") or []]
                found += [(kind, ref[name], key) for key in keys or [None]]
        claim = volume.get("persistentVolumeClaim")
        if claim:
            found.append(("PersistentVolumeClaim", claim["claimName"], None))
    return found


def _fail_if_missing(state: State, pod: Object, references: list[tuple[str, str, str | None]], wanted_by: str) -> None:
    for kind, name, key in references:
        source = state.find(kind, name)
        if not source:
            others = [o.name for o in state.all(kind)]
            similar = nearest(name, others, cutoff=0.6)
            fail(
                "config-object-missing",
                f"{wanted_by} needs {kind} {name}, which does not exist in namespace {state.namespace}."
                + (f" There is one called {similar}: is it meant?" if similar else ""),
                expected=f"{kind} {name}", observed=f"{kind} objects there: {', '.join(sorted(others)) or 'none'}",
                object=pod.ref, look=f"kubectl get {kind.lower()}s",
            )  # fmt: skip
        keys = [*(source.raw.get("data") or {}), *(source.raw.get("binaryData") or {})]
        if key is not None and key not in keys:
            similar = nearest(key, keys, cutoff=0.6)
            fail(
                "config-key-missing",
                f"{wanted_by} needs key {key} of {kind} {name}, which has no such key."
                + (f" It has {similar}: is it meant?" if similar else ""),
                expected=f"key {key} in {kind} {name}", observed=f"its keys: {', '.join(sorted(keys)) or 'none'}",
                object=pod.ref, look=f"kubectl describe {kind.lower()} {name}",
            )  # fmt: skip


def _explain_config(state: State, pod: Object, spec: dict[str, Any], message: str) -> NoReturn:
    _fail_if_missing(state, pod, _references(spec), f"Container {spec.get('name')} of Pod {pod.name}")
    fail(
        "container-config-error", f"Container {spec.get('name')} of Pod {pod.name} cannot be created: {message}",
        observed=message, object=pod.ref, look=f"kubectl describe pod {pod.name}",
    )  # fmt: skip


def _explain_mounts(state: State, pod: Object) -> None:
    """A volume's source that does not exist keeps a Pod in ContainerCreating."""
    _fail_if_missing(state, pod, _volume_references(pod), f"A volume of Pod {pod.name}")


# -- ends ------------------------------------------------------------------------------------------------------------


def _explain_start_error(pod: Object, status: dict[str, Any], message: str, pending: bool = False) -> NoReturn:
    spec = container_spec(pod, status["name"])
    evidence: dict[str, Any] = {"object": pod.ref, "look": f"kubectl describe pod {pod.name}", "pending": pending}
    if "exec: " not in message and "executable file not found" not in message:
        telling = message.rsplit("runc create failed: ", 1)[-1][-300:]
        fail(
            "container-start-error", f"The node could not start container {status['name']} of Pod {pod.name}: {telling}",
            expected="container is running", observed=telling, **evidence,
        )  # fmt: skip
    command = " ".join([*(spec.get("command") or []), *(spec.get("args") or [])]) or "the image's own command"
    telling = message.rsplit("exec: ", 1)[-1].strip()[:200]
    fail(
        "command-not-runnable",
        f"Container {status['name']} of Pod {pod.name} could not start its command ({command}): {telling}",
        expected="a command that the image has", observed=telling, **evidence,
    )  # fmt: skip


def _explain_exit(
    state: State, pod: Object, status: dict[str, Any], ended: dict[str, Any], pending: bool = False
) -> NoReturn:
    name, code, reason = status["name"], ended.get("exitCode"), ended.get("reason", "")
    spec = container_spec(pod, name)
    restarts = status.get("restartCount", 0)
    evidence: dict[str, Any] = {
        "object": pod.ref,
        "look": f"kubectl logs {pod.name} -c {name} --previous",
        "pending": pending,
    }
    said = last_line(state.logs.get(f"{pod.name}/{name}", ""))
    if reason in ("StartError", "ContainerCannotRun"):
        _explain_start_error(pod, status, ended.get("message", ""), pending)
    if reason == "OOMKilled":
        limit = ((spec.get("resources") or {}).get("limits") or {}).get("memory", "the node's memory")
        fail(
            "container-oom-killed",
            f"Container {name} of Pod {pod.name} was killed because it used more memory than its limit of {limit}.",
            expected=f"at most {limit} of memory", observed=f"OOMKilled, exit code {code}, {restarts} restarts",
            **{**evidence, "look": f"kubectl describe pod {pod.name}"},
        )  # fmt: skip
    unhealthy = [e["message"] for e in state.events(pod, "Unhealthy") if "Liveness" in e.get("message", "")]
    if spec.get("livenessProbe") and unhealthy and code in (0, 137, 143):
        fail(
            "liveness-probe-fails",
            f"Container {name} of Pod {pod.name} is restarted by its liveness probe ({describe_probe(spec['livenessProbe'])}), "
            f"which fails: {_got(unhealthy[0])}",
            expected=f"{describe_probe(spec['livenessProbe'])} succeeds", observed=_got(unhealthy[0]),
            **{**evidence, "look": f"kubectl describe pod {pod.name}"},
        )  # fmt: skip
    spoke = f" Its last words: {said}" if said else ""
    if code == 0:
        fail(
            "container-ends",
            f"Container {name} of Pod {pod.name} ends by itself (exit code 0), and is started again each time.{spoke}",
            expected="a process that keeps running", observed=f"exit code 0, {restarts} restarts", **evidence,
        )  # fmt: skip
    meaning = {126: " (the command cannot be executed)", 127: " (the shell did not find the command)",
               137: " (killed)", 143: " (ended by SIGTERM)"}.get(code or -1, "")  # fmt: skip
    fail(
        "container-crashes",
        f"Container {name} of Pod {pod.name} exits with code {code}{meaning}.{spoke}",
        expected="a process that keeps running",
        observed=f"exit code {code}, {restarts} restarts" + (f"; last log line: {said}" if said else ""),
        **evidence,
    )


# -- readiness -------------------------------------------------------------------------------------------------------


def describe_probe(probe: dict[str, Any]) -> str:
    """A probe in a few words: `HTTP GET /readyz on port 8080`."""
    if "httpGet" in probe:
        get = probe["httpGet"]
        return f"HTTP GET {get.get('path', '/')} on port {get.get('port')}"
    if "tcpSocket" in probe:
        return f"TCP connection to port {probe['tcpSocket'].get('port')}"
    if "grpc" in probe:
        return f"gRPC health check on port {probe['grpc'].get('port')}"
    return "command " + " ".join((probe.get("exec") or {}).get("command") or [])


def _got(event_message: str) -> str:
    """What a probe got, out of the kubelet's event: the part behind `… probe failed: `."""
    return event_message.split("probe failed: ", 1)[-1].strip()[:200]


def _walk_readiness(state: State, pod: Object, status: dict[str, Any]) -> None:
    running = (status.get("state") or {}).get("running")
    if not running:
        return  # a container that has done its work
    spec = container_spec(pod, status["name"])
    running_for = state.age(running["startedAt"])
    if status.get("ready"):
        if not spec.get("readinessProbe") and running_for < SETTLE:
            fail(
                "pod-starting", f"Container {status['name']} of Pod {pod.name} started less than {SETTLE} s ago.",
                expected="a process that keeps running", observed=f"running for {running_for:.0f} s",
                object=pod.ref, pending=True,
            )  # fmt: skip
        return
    which = "startup" if status.get("started") is False and spec.get("startupProbe") else "readiness"
    probe = spec.get(f"{which}Probe")
    if not probe:
        fail(
            "pod-starting", f"Container {status['name']} of Pod {pod.name} has only just started.",
            observed="not ready", object=pod.ref, pending=True,
        )  # fmt: skip
    _explain_probe(state, pod, spec, which, probe, running_for)


def _explain_probe(
    state: State, pod: Object, spec: dict[str, Any], which: str, probe: dict[str, Any], running_for: float
) -> NoReturn:
    words = describe_probe(probe)
    patience = (
        probe.get("initialDelaySeconds", 0) + probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3) + 2
    )
    port = (probe.get("httpGet") or probe.get("tcpSocket") or {}).get("port")
    names = [p["name"] for p in spec.get("ports") or [] if p.get("name")]
    look = f"kubectl describe pod {pod.name}"
    if isinstance(port, str) and not port.isdigit() and port not in names:
        raise Failed(
            "probe-port-unknown",
            f"The {which} probe of Pod {pod.name} asks port {port!r}, and no port of container {spec['name']} has that name.",
            expected=f"a port named {port}", observed=f"port names: {', '.join(names) or 'none'}", object=pod.ref, look=look,
        )  # fmt: skip
    failures = [e["message"] for e in state.events(pod, "Unhealthy") if which.capitalize() in e.get("message", "")]
    got = _got(failures[0]) if failures else "no answer seen yet"
    if not failures or "refused" in got:
        patience = max(patience, TIME_TO_LISTEN)
    raise Failed(
        f"{which}-probe-fails",
        f"Container {spec['name']} of Pod {pod.name} runs, but its {which} probe ({words}) does not succeed: {got}",
        expected=f"{words} succeeds", observed=got, object=pod.ref, look=look, pending=running_for < patience,
    )  # fmt: skip
