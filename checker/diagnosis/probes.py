"""Why a container fails its probes: told apart by the result of the probe, and by where the process listens.

The kubelet of the Pod's node runs the probes. Its events on the Pod hold the results (`Unhealthy`), and say that it
ended a container because of a probe (`Killing`). Events are kept for an hour, and a Pod with many events loses some.
So the container's status is read first, and the log of its previous run beside it.

Sources: https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/ and
https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from checker.diagnosis.containers import last_line, statuses_with_specs
from checker.diagnosis.dns import follow_dependency
from checker.diagnosis.loopback import explain_bound_to_loopback
from checker.diagnosis.resources import LOW_CPU, limit_of
from checker.model.durations import TIME_FOR_KUBELET_EVENTS, TIME_TO_SETTLE
from checker.model.fault import Failed, Fault, fail
from checker.model.quantity import quantity
from checker.model.state import REACH, Object, State, parse_time

# The observation (checker/collect/collect.py) of what answers where a failing probe asks, as {"pod/container": answer}.
PROBED = "probed"
ENDING_PROBES = ("liveness", "startup")  # the probes that end a container
# Exit codes of a process that the kubelet ended: by itself, by SIGKILL after its grace period, or by SIGTERM.
ENDED_ON_REQUEST = (0, 137, 143)
_FAILED = re.compile(r"container (\S+) failed (liveness|startup) probe", re.I)
_NO_COMMAND = re.compile(r"executable file not found|no such file or directory|command not found", re.I)
_SHELLS = ("sh", "bash", "dash", "ash", "zsh", "busybox")
_TIMED_OUT = re.compile(r"deadline exceeded|timed out|timeout", re.I)
_NO_ANSWER_THERE = re.compile(r"refused", re.I)
_CLOSED = re.compile(r": (?:unexpected )?EOF$")
_LOOPBACK = re.compile(r"\b127(?:\.\d+){3}:|\blocalhost:|\[::1\]:")
# How logs say where a program listens: `listens on 0.0.0.0:8080`, `Listening on port 3000`, `Running … port=6379`.
_LISTENS = re.compile(r"(?:listen|serving|running|started|ready)[^\n]*?(?:port[ =:]+|:)(\d{2,5})\b", re.I)


def describe_probe(probe: dict[str, Any]) -> str:
    """What a probe asks, as `kubectl describe pod` writes it: `http-get http://:8080/readyz`, `exec [redis-cli ping]`.

    Source: https://github.com/kubernetes/kubectl/blob/master/pkg/describe/describe.go (DescribeProbe)
    """
    if "httpGet" in probe:
        get = probe["httpGet"]
        scheme, host = get.get("scheme", "HTTP").lower(), get.get("host", "")
        return f"http-get {scheme}://{host}:{get.get('port')}{get.get('path', '/')}"
    if "tcpSocket" in probe:
        return f"tcp-socket {probe['tcpSocket'].get('host', '')}:{probe['tcpSocket'].get('port')}"
    if "grpc" in probe:
        return f"grpc <pod>:{probe['grpc'].get('port')} {probe['grpc'].get('service') or ''}".rstrip()
    return f"exec [{' '.join((probe.get('exec') or {}).get('command') or [])}]"


def handler(probe: dict[str, Any]) -> dict[str, Any]:
    """The handler of a probe, without its times: two probes with the same handler check the same."""
    return {kind: probe[kind] for kind in ("httpGet", "tcpSocket", "exec", "grpc") if kind in probe}


def patience(probe: dict[str, Any]) -> float:
    """The most seconds from a container's start until this probe has failed failureThreshold times.

    Source: https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/#configure-probes
    """
    return float(probe.get("initialDelaySeconds", 0)) + notice(probe)


def notice(probe: dict[str, Any]) -> float:
    """The most seconds until this probe has failed failureThreshold times, once the container runs."""
    return float(probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3))


def soonest(probe: dict[str, Any]) -> float:
    """The fewest seconds until this probe has failed failureThreshold times.

    The first failure may come at once. Each of the others takes a period.
    """
    return notice(probe) - float(probe.get("periodSeconds", 10))


def timing(probe: dict[str, Any]) -> dict[str, int | None]:
    """The patience of a probe, and the fields of the probe that it is computed from, as facts for a sentence.

    seconds: the patience, rounded. delay: initialDelaySeconds, None for 0. period, threshold: periodSeconds and
    failureThreshold.
    """
    return {
        "seconds": round(patience(probe)),
        "delay": probe.get("initialDelaySeconds") or None,
        "period": probe.get("periodSeconds", 10),
        "threshold": probe.get("failureThreshold", 3),
    }


def port_of(spec: dict[str, Any], probe: dict[str, Any]) -> int | None:
    """The number of a probe's port; None where it has none, or a name that no port of the container has."""
    port = next((probe[kind].get("port") for kind in ("httpGet", "tcpSocket", "grpc") if kind in probe), None)
    if isinstance(port, str) and not port.isdigit():
        return next((p["containerPort"] for p in spec.get("ports") or [] if p.get("name") == port), None)
    return int(port) if port is not None else None


def result_of(message: str) -> str:
    """The result of a probe, from the kubelet's event: the part after `… probe failed: ` (or `… probe errored …: `).

    Empty for a command that failed without an output.
    """
    found = re.split(r"probe (?:failed|errored[^:]*): ", message, maxsplit=1)[-1]
    found = found.rsplit("unable to start container process: ", 1)[-1]  # what is behind the runtime's chain of errors
    return re.sub(r"\s+", " ", found).strip()[:200]


def failures(state: State, pod: Object, spec: dict[str, Any], which: str) -> list[dict[str, Any]]:
    """The kubelet's events about failures of one probe of a container, newest first."""
    return [
        event
        for event in state.events(pod, "Unhealthy")
        if f"{which.capitalize()} probe " in event.get("message", "") and _is_about(event, spec)
    ]


def is_only_about_the_start(
    state: State, pod: Object, spec: dict[str, Any], which: str, running: dict[str, Any]
) -> bool:
    """Whether a probe's newest failure is of the container's first moments, though later results must have come since.

    The kubelet of a busy node sends its events late. A container refuses connections until its process listens, so this
    failure does not tell what the probe finds now.
    """
    probe, found = spec[f"{which}Probe"], failures(state, pod, spec, which)
    if not found or not found[0].get("lastTimestamp"):
        return False
    age, runs = state.age(found[0]["lastTimestamp"]), state.age(running["startedAt"])
    several = 3 * (probe.get("periodSeconds", 10) + probe.get("timeoutSeconds", 1))
    return bool(runs - age < TIME_TO_SETTLE and age > several)


def telling(state: State, pod: Object, spec: dict[str, Any], which: str) -> str | None:
    """The most telling of the recent results of a container's probe; None where no event holds a result.

    That is an answer, where there is one, and else the most frequent result. A container that starts or ends refuses
    connections for a moment, whatever else is wrong with it.
    """
    found = [(state.age(e["lastTimestamp"]), e) for e in failures(state, pod, spec, which) if e.get("lastTimestamp")]
    if not found:
        return None
    lately = min(age for age, _ in found) + max(30, 2 * patience(spec[f"{which}Probe"]))
    answers = [(result_of(event.get("message", "")), event.get("count") or 1) for age, event in found if age <= lately]

    def weight(answer: str) -> tuple[bool, int]:
        kind = _kind(answer)
        return kind == "answer", sum(count for other, count in answers if _kind(other) == kind)

    return max((answer for answer, _ in answers), key=weight)


def _kind(answer: str) -> str:
    if _NO_ANSWER_THERE.search(answer):
        return "refused"
    return "late" if _TIMED_OUT.search(answer) else "answer"


def _is_about(event: dict[str, Any], spec: dict[str, Any]) -> bool:
    """Whether an event is about this container. An event that names no container counts for all of the Pod's."""
    field = (event.get("involvedObject") or {}).get("fieldPath") or ""
    return not field or field.endswith(f"{{{spec.get('name')}}}")


def ended_by_probe(state: State, pod: Object, spec: dict[str, Any], ended: dict[str, Any]) -> str:
    """Which probe ended the container's previous run: `liveness`, `startup`, or empty where no probe did."""
    for event in state.events(pod, "Killing"):
        found = _FAILED.search(event.get("message", ""))
        if found and found.group(1) == spec.get("name") and f"{found.group(2).lower()}Probe" in spec:
            return found.group(2).lower()
    if ended.get("exitCode") not in ENDED_ON_REQUEST:
        return ""
    seen = [(which, failures(state, pod, spec, which)) for which in ENDING_PROBES if spec.get(f"{which}Probe")]
    latest = [
        (found[0].get("lastTimestamp") or "", which)
        for which, found in seen
        if found and _had_time(state, spec[f"{which}Probe"], ended)
    ]
    return max(latest)[1] if latest else ""


def _had_time(state: State, probe: dict[str, Any], ended: dict[str, Any]) -> bool:
    """Whether a run lasted long enough for this probe to fail failureThreshold times."""
    if not ended.get("startedAt") or not ended.get("finishedAt"):
        return True
    lasted = state.age(ended["startedAt"]) - state.age(ended["finishedAt"])
    return bool(lasted + 2 >= notice(probe) - probe.get("periodSeconds", 10))


def may_be_a_probe(state: State, spec: dict[str, Any], ended: dict[str, Any]) -> bool:
    """Whether a probe may have ended a container's previous run, and the kubelet's event may still come."""
    may_end = any(spec.get(f"{which}Probe") for which in ENDING_PROBES)
    at = ended.get("finishedAt")
    return bool(
        may_end and at and ended.get("exitCode") in ENDED_ON_REQUEST and state.age(at) < TIME_FOR_KUBELET_EVENTS
    )


def failing_now(state: State, pod: Object, spec: dict[str, Any], running: dict[str, Any]) -> bool:
    """Whether the liveness probe of a running container failed so recently that no later result is known."""
    probe = spec.get("livenessProbe")
    found = failures(state, pod, spec, "liveness") if probe else []
    if not probe or not found or not found[0].get("lastTimestamp"):
        return False
    recent = 2 * probe.get("periodSeconds", 10) + probe.get("timeoutSeconds", 1) + 1
    return bool(state.age(found[0]["lastTimestamp"]) < min(recent, state.age(running["startedAt"])))


def time_to_settle(spec: dict[str, Any], least: float) -> float:
    """Seconds after which a restarted container has been probed again. Before that, its state `running` says little."""
    probe = spec.get("livenessProbe") or {}
    first_answer = probe.get("initialDelaySeconds", 0) + probe.get("periodSeconds", 10) + probe.get("timeoutSeconds", 1)
    return max(least, float(first_answer))


def explain_restarts(
    state: State, pod: Object, status: dict[str, Any], spec: dict[str, Any], which: str, pending: bool = False
) -> NoReturn:
    """Raise Failed with the reason why a container fails its liveness or startup probe (`which`) and is restarted."""
    probe = spec[f"{which}Probe"]
    reported = telling(state, pod, spec, which)
    pending = pending or reported is None  # the kubelet's events have not come yet, and only they hold the reason
    answer, restarts = reported or "", status.get("restartCount") or None
    fail_if_command_missing(pod, spec, which, answer, restarts=restarts, pending=pending)
    facts: dict[str, Any] = {
        "container": spec.get("name"),
        "which": which,
        "probe": describe_probe(probe),
        "answer": answer,
        "app_says": in_own_words(state, pod, str(spec.get("name")), answer),
        "restarts": restarts,
    }
    fail_if_other_host(pod, spec, which, answer, restarts=restarts, pending=pending)
    if "statuscode: 404" in answer:
        path = (probe.get("httpGet") or {}).get("path", "/")
        fail("probe-path-not-found", pod, in_progress=pending, path=path, **facts)
    if _NO_ANSWER_THERE.search(answer):
        _explain_refused(state, pod, spec, which, facts, pending)
    if _TIMED_OUT.search(answer):
        fail("probe-times-out", pod, in_progress=pending, timeout=probe.get("timeoutSeconds", 1), **facts)
    if which == "liveness":
        try:
            follow_dependency(state, pod, spec, answer)
        except Failed as end:
            root = end.fault
            pending = pending or root.in_progress
            raise Failed("dependency-in-liveness", pod, in_progress=pending, root=root, **facts) from end
        _explain_ended_start(pod, status, spec, facts, pending)
        fail("liveness-probe-fails", pod, in_progress=pending, **facts)
    fail("startup-probe-fails", pod, form="restarts", in_progress=pending, **facts)


def _explain_ended_start(
    pod: Object, status: dict[str, Any], spec: dict[str, Any], facts: dict[str, Any], pending: bool
) -> None:
    """Raises Failed where the last run was ended as soon as the liveness probe could end it: it never succeeded once.

    The container starts slowly, or the probe asks for what never comes. Nothing tells which of the two it is.
    """
    probe, ended = spec["livenessProbe"], (status.get("lastState") or {}).get("terminated") or {}
    if not ended.get("startedAt") or not ended.get("finishedAt") or spec.get("startupProbe"):
        return
    lasted = (parse_time(ended["finishedAt"]) - parse_time(ended["startedAt"])).total_seconds()
    grace = min(pod.spec.get("terminationGracePeriodSeconds", 30), 30) if ended.get("exitCode") == 137 else 0
    if lasted <= patience(probe) + probe.get("periodSeconds", 10) + grace + 2:
        limit = limit_of(spec, "cpu")
        low = limit if limit and quantity(limit) <= LOW_CPU else ""
        own = {**timing(probe), "lasted": round(lasted), "cpu_limit": low}
        fail("liveness-probe-never-succeeds", pod, in_progress=pending, **{**facts, **own})


def _explain_refused(
    state: State, pod: Object, spec: dict[str, Any], which: str, facts: dict[str, Any], pending: bool
) -> None:
    """Raises Failed for a refused connection: nothing listens on the port, or nothing does yet.

    Returns where the log says that the process listened there before.
    """
    probe = spec[f"{which}Probe"]
    port = port_of(spec, probe)
    _explain_listens_elsewhere(state, pod, spec, which, facts, pending)
    if port in listening(state, pod, spec)[1]:
        return
    cause = "no-startup-budget" if which == "liveness" else "startup-budget-too-short"
    raise Failed(cause, pod, form="refused", in_progress=pending, **timing(probe), **facts, port=port)


def _explain_listens_elsewhere(
    state: State, pod: Object, spec: dict[str, Any], which: str, facts: dict[str, Any], pending: bool
) -> None:
    """Raises Failed where a probe is refused, as the process listens on another port, or on 127.0.0.1 only."""
    port = port_of(spec, spec[f"{which}Probe"])
    open_ports, logged = listening(state, pod, spec)
    line = on_loopback(state.log_if_read(pod.name, spec["name"]) or "")
    if line and port not in open_ports:
        fail("listens-on-loopback", pod, form="pod", in_progress=pending, port=port, quote=line, **facts)
    if port and not open_ports and not pending:
        explain_bound_to_loopback(state, pod, port, which=which)
    declared = {p["containerPort"] for p in spec.get("ports") or [] if p.get("protocol", "TCP") == "TCP"}
    facts = {**facts, "port": port}
    if port not in open_ports | logged:
        if open_ports:
            fail("probe-port-refused", pod, form="open", in_progress=pending, ports=sorted(open_ports), **facts)
        if logged:
            fail("probe-port-refused", pod, form="logged", in_progress=pending, ports=sorted(logged), **facts)
        if declared and port not in declared:
            fail("probe-port-refused", pod, form="declared", in_progress=pending, ports=sorted(declared), **facts)


def on_loopback(log: str) -> str:
    """The last line of a log that says that the process listens on a loopback address; empty where none does."""
    lines = [line.strip() for line in log.splitlines() if _LISTENS.search(line)]
    return lines[-1][:300] if lines and _LOOPBACK.search(lines[-1]) else ""


def refine_probe_refused(state: State, pod: Object, fault: Fault) -> Fault | None:
    """A readiness or startup probe that is refused: the process listens on another port, or on 127.0.0.1 only."""
    which = fault.cause.partition("-")[0]
    for _status, spec in statuses_with_specs(pod):
        is_it = spec.get("name") == fault.facts.get("container") and f"{which}Probe" in spec
        if not is_it or not _NO_ANSWER_THERE.search(str(fault.facts.get("answer") or "")):
            continue
        facts = {name: fault.facts.get(name) for name in ("container", "probe", "answer")}
        try:
            own = {**facts, "which": which, "restarts": None}
            _explain_listens_elsewhere(state, pod, spec, which, own, fault.in_progress)
        except Failed as end:
            return end.fault
    return None


def refine_probe_of_https(state: State, pod: Object, fault: Fault) -> Fault | None:
    """A readiness or startup probe with scheme HTTPS, whose connection the server closes without an answer.

    The kubelet reports EOF then. A server without TLS does this with the client's first TLS record.
    """
    if fault.form != "running" or not _CLOSED.search(str(fault.facts.get("answer") or "")):
        return None
    which = fault.cause.partition("-")[0]
    for _status, spec in statuses_with_specs(pod):
        get = (spec.get(f"{which}Probe") or {}).get("httpGet") or {}
        if spec.get("name") == fault.facts.get("container") and get.get("scheme") == "HTTPS":
            return fault.but(form="https")
    return None


def listening(state: State, pod: Object, spec: dict[str, Any]) -> tuple[set[int], set[int]]:
    """The open ports of a Pod, as far as they were observed, and the ports that a container's log names."""
    reach = state.observations.get(REACH) or {}
    address = pod.status.get("podIP")
    open_ports = {
        int(at.rsplit(":", 1)[1]) for at, seen in reach.items() if seen == "open" and at.rsplit(":", 1)[0] == address
    }
    text = state.log_if_read(pod.name, spec["name"]) or ""
    return open_ports, {int(port) for port in _LISTENS.findall(text)}


def _speaks_itself(program: str, answer: str) -> bool:
    """Whether an answer to a probe is the program's own: `cat: /tmp/ready: No such file or directory`. So it has begun.

    A shell says the same of a command that it does not find.
    """
    name = program.rpartition("/")[2]
    return name not in _SHELLS and bool(re.search(rf"(?:^|: ){re.escape(name)}: ", answer))


def fail_if_command_missing(
    pod: Object, spec: dict[str, Any], which: str, answer: str, *, restarts: int | None = None, pending: bool = False
) -> None:
    """Raises Failed where the command of an exec probe could not start.

    Another probe may get the same words as an answer, so the probe must have a command.
    """
    probe = spec.get(f"{which}Probe") or {}
    command = (probe.get("exec") or {}).get("command") or []
    if command and _speaks_itself(command[0], answer):
        return
    # The runtime names a command that it cannot start: `exec: "redis-clii": executable file not found in $PATH`.
    if command and _NO_COMMAND.search(answer) and ("exec" in answer or command[0] in answer):
        fail(
            "probe-command-missing",
            pod,
            in_progress=pending,
            container=spec.get("name"),
            which=which,
            probe=describe_probe(probe),
            answer=answer,
            restarts=restarts,
        )


_NOBODY_THERE = re.compile(r"refused|no such host|deadline exceeded|timed out|timeout|no route", re.I)


def fail_if_other_host(
    pod: Object, spec: dict[str, Any], which: str, answer: str, *, restarts: int | None = None, pending: bool = False
) -> None:
    """Raises Failed where a probe names a host, and nobody answers there: the kubelet does not ask the Pod itself.

    localhost is then the node. A Pod on its node's network may name it.

    Source: https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/#http-probes
    """
    probe = spec.get(f"{which}Probe") or {}
    host = (probe.get("httpGet") or probe.get("tcpSocket") or {}).get("host")
    if host and not pod.spec.get("hostNetwork") and _NOBODY_THERE.search(answer):
        facts = {"container": spec.get("name"), "which": which, "probe": describe_probe(probe), "answer": answer}
        fail("probe-asks-other-host", pod, in_progress=pending, host=host, restarts=restarts, **facts)


def fail_if_void(state: State, pod: Object, spec: dict[str, Any], which: str) -> None:
    """Raises Failed where a probe cannot run: its named port does not exist, or its image does not have the command.

    The kubelet does not count such a probe as failed. A container with such a liveness probe is never restarted by it.
    """
    probe = spec.get(f"{which}Probe") or {}
    port = (probe.get("httpGet") or probe.get("tcpSocket") or {}).get("port")
    names = [p["name"] for p in spec.get("ports") or [] if p.get("name")]
    if isinstance(port, str) and not port.isdigit() and port not in names:
        fail("probe-port-unknown", pod, container=spec["name"], which=which, port=port, ports=names)
    for event in failures(state, pod, spec, which)[:1]:
        fail_if_command_missing(pod, spec, which, result_of(event["message"]))


def answered_now(state: State, pod: Object, container: str) -> str:
    """What a request such as a container's probe makes gets at the moment; empty where none was made."""
    answer = (state.observations.get(PROBED) or {}).get(f"{pod.name}/{container}")
    if not isinstance(answer, dict) or "status" not in answer:
        return ""
    if answer["error"]:
        return str(answer["error"])
    return f"statuscode: {answer['status']}" + (f", {last_line(answer['text'])}" if answer["text"] else "")


def in_own_words(state: State, pod: Object, container: str, answer: str) -> str:
    """The body of what the app answers to a container's failing probe; empty where no such answer is known.

    answer: the kubelet's, which holds the status only. The body counts where it came with the same status.
    """
    seen = (state.observations.get(PROBED) or {}).get(f"{pod.name}/{container}")
    if not isinstance(seen, dict) or seen.get("error") or not seen.get("text"):
        return ""
    status = re.search(r"statuscode: (\d+)", answer)
    if status and str(seen.get("status")) != status[1]:
        return ""
    return last_line(seen["text"])


def refine_probe_failure(state: State, pod: Object, fault: Fault) -> Fault | None:
    """A probe of whose failing no event tells: what answers there at the moment."""
    if fault.facts.get("answer", "known"):
        return None
    for status, _spec in statuses_with_specs(pod):
        answer = answered_now(state, pod, status["name"])
        if answer and not status.get("ready") and not answer.startswith("statuscode: 2"):
            return fault.but(facts={**fault.facts, "answer": answer})
    return None
