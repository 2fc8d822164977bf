"""Why a probe ends a container, or says nothing: told apart by what the probe got, and by what the process does instead.

A probe is asked by the kubelet of the Pod's node. What it got stands in the kubelet's events on the Pod (`Unhealthy`), and that a
container was ended for it, too (`Killing`); events are kept for an hour, and a Pod that causes many loses some, so the container's
own status is looked at first, and the last words of its previous run beside it.

Sources: https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/ and
https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from checker.diagnosis.containers import last_line, statuses_with_specs
from checker.diagnosis.dns import follow_dependency
from checker.model.spelling import counted
from checker.model.state import REACH, Object, State
from checker.model.verdict import Failed, NotPassed, fail

# The observation (checker/collect/collect.py) of what answers where a failing probe asks, as {"pod/container": answer}.
PROBED = "probed"
ASKED = ("liveness", "startup")  # the probes that end a container
# How a process ends that the kubelet asked to go: in good order, killed after its time to end, or by the signal itself.
ENDED_ON_REQUEST = (0, 137, 143)
# The kubelet sends its events when it comes to it, one after the other: how long (in seconds) a busy one may take.
EVENTS_FOLLOW = 300
_FAILED = re.compile(r"container (\S+) failed (liveness|startup) probe", re.I)
_NO_COMMAND = re.compile(r"executable file not found|no such file or directory|command not found", re.I)
_TIMED_OUT = re.compile(r"deadline exceeded|timed out|timeout", re.I)
_NO_ANSWER_THERE = re.compile(r"refused", re.I)
# How programs say where they listen: `listens on 0.0.0.0:8080`, `Listening on port 3000`, `Running mode=standalone, port=6379`.
_LISTENS = re.compile(r"(?:listen|serving|running|started|ready)[^\n]*?(?:port[ =:]+|:)(\d{2,5})\b", re.I)


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


def handler(probe: dict[str, Any]) -> dict[str, Any]:
    """What a probe asks, without how often and how patiently: two probes with the same handler ask the same."""
    return {kind: probe[kind] for kind in ("httpGet", "tcpSocket", "exec", "grpc") if kind in probe}


def patience(probe: dict[str, Any]) -> float:
    """Seconds from a container's start until this probe has failed as often as it may, at the latest.

    Source: https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/#configure-probes
    """
    return float(probe.get("initialDelaySeconds", 0)) + notice(probe)


def notice(probe: dict[str, Any]) -> float:
    """Seconds in which this probe notices that a container which has started is not well any more, at most."""
    return float(probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3))


def soonest(probe: dict[str, Any]) -> float:
    """Seconds in which this probe cannot fail as often as it may: its first failure may come at once, the others take a period each."""
    return notice(probe) - float(probe.get("periodSeconds", 10))


def reckoned(probe: dict[str, Any]) -> str:
    """How the patience of a probe comes about, in the words of its fields."""
    delay = probe.get("initialDelaySeconds", 0)
    fields = f"periodSeconds {probe.get('periodSeconds', 10)} × failureThreshold {probe.get('failureThreshold', 3)}"
    return f"initialDelaySeconds {delay} + {fields}" if delay else fields


def port_of(spec: dict[str, Any], probe: dict[str, Any]) -> int | None:
    """The number of the port that a probe asks; None where it asks none, or a name that none of the container's ports has."""
    port = next((probe[kind].get("port") for kind in ("httpGet", "tcpSocket", "grpc") if kind in probe), None)
    if isinstance(port, str) and not port.isdigit():
        return next((p["containerPort"] for p in spec.get("ports") or [] if p.get("name") == port), None)
    return int(port) if port is not None else None


def got(message: str) -> str:
    """What a probe got, out of the kubelet's event: the part behind `… probe failed: ` (or `… probe errored …: `)."""
    found = re.split(r"probe (?:failed|errored[^:]*): ", message, maxsplit=1)[-1]
    found = found.rsplit("unable to start container process: ", 1)[-1]  # what is behind the runtime's chain of errors
    return re.sub(r"\s+", " ", found).strip()[:200] or "no words"


def failures(state: State, pod: Object, spec: dict[str, Any], which: str) -> list[dict[str, Any]]:
    """The kubelet's events on failures of one of a container's probes, newest first."""
    return [
        event
        for event in state.events(pod, "Unhealthy")
        if f"{which.capitalize()} probe " in event.get("message", "") and _is_about(event, spec)
    ]


def telling(state: State, pod: Object, spec: dict[str, Any], which: str) -> str:
    """What one of a container's probes got lately, where it got several things: an answer rather than none, and else what it got most.

    A container that is started or ended refuses connections for a moment, whatever else is wrong with it. Empty where no event tells.
    """
    found = [(state.age(e["lastTimestamp"]), e) for e in failures(state, pod, spec, which) if e.get("lastTimestamp")]
    if not found:
        return ""
    lately = min(age for age, _ in found) + max(30, 2 * patience(spec[f"{which}Probe"]))
    answers = [(got(event.get("message", "")), event.get("count") or 1) for age, event in found if age <= lately]

    def weight(answer: str) -> tuple[bool, int]:
        kind = _kind(answer)
        return kind == "answer", sum(count for other, count in answers if _kind(other) == kind)

    return max((answer for answer, _ in answers), key=weight)


def _kind(answer: str) -> str:
    if _NO_ANSWER_THERE.search(answer):
        return "refused"
    return "late" if _TIMED_OUT.search(answer) else "answer"


def _is_about(event: dict[str, Any], spec: dict[str, Any]) -> bool:
    """Whether an event is about this container; where it does not say, it counts for every one."""
    field = (event.get("involvedObject") or {}).get("fieldPath") or ""
    return not field or field.endswith(f"{{{spec.get('name')}}}")


def ended_by_probe(state: State, pod: Object, spec: dict[str, Any], ended: dict[str, Any]) -> str:
    """Which probe ended the container's previous run: `liveness`, `startup`, or nothing where it was none."""
    for event in state.events(pod, "Killing"):
        found = _FAILED.search(event.get("message", ""))
        if found and found.group(1) == spec.get("name") and f"{found.group(2).lower()}Probe" in spec:
            return found.group(2).lower()
    if ended.get("exitCode") not in ENDED_ON_REQUEST:
        return ""
    seen = [(which, failures(state, pod, spec, which)) for which in ASKED if spec.get(f"{which}Probe")]
    latest = [
        (found[0].get("lastTimestamp") or "", which)
        for which, found in seen
        if found and _had_time(state, spec[f"{which}Probe"], ended)
    ]
    return max(latest)[1] if latest else ""


def _had_time(state: State, probe: dict[str, Any], ended: dict[str, Any]) -> bool:
    """Whether a run lasted long enough for this probe to fail as often as it may."""
    if not ended.get("startedAt") or not ended.get("finishedAt"):
        return True
    lasted = state.age(ended["startedAt"]) - state.age(ended["finishedAt"])
    return bool(lasted + 2 >= notice(probe) - probe.get("periodSeconds", 10))


def may_be_a_probe(state: State, spec: dict[str, Any], ended: dict[str, Any]) -> bool:
    """Whether a probe may have ended a container's previous run, of which no event tells yet."""
    asked = any(spec.get(f"{which}Probe") for which in ASKED)
    at = ended.get("finishedAt")
    return bool(asked and at and ended.get("exitCode") in ENDED_ON_REQUEST and state.age(at) < EVENTS_FOLLOW)


def failing_now(state: State, pod: Object, spec: dict[str, Any], running: dict[str, Any]) -> bool:
    """Whether the liveness probe of a running container has failed so lately that nothing says yet that it goes well again."""
    probe = spec.get("livenessProbe")
    found = failures(state, pod, spec, "liveness") if probe else []
    if not probe or not found or not found[0].get("lastTimestamp"):
        return False
    recent = 2 * probe.get("periodSeconds", 10) + probe.get("timeoutSeconds", 1) + 1
    return bool(state.age(found[0]["lastTimestamp"]) < min(recent, state.age(running["startedAt"])))


def time_to_settle(spec: dict[str, Any], least: float) -> float:
    """Seconds after which a container that a probe has restarted has been asked anew: until then its running says little."""
    probe = spec.get("livenessProbe") or {}
    first_answer = probe.get("initialDelaySeconds", 0) + probe.get("periodSeconds", 10) + probe.get("timeoutSeconds", 1)
    return max(least, float(first_answer))


def explain_restarts(
    state: State,
    pod: Object,
    status: dict[str, Any],
    spec: dict[str, Any],
    which: str,
    **evidence: Any,
) -> None:
    """Raise Failed with the reason why the liveness or startup probe (`which`) ends this container over and over."""
    probe = spec[f"{which}Probe"]
    words, name = describe_probe(probe), spec.get("name")
    answer = telling(state, pod, spec, which)
    if not answer:  # its events have not come yet, and without them nothing is sure but this
        answer, evidence["pending"] = "no answer that the events tell of", True
    restarts = status.get("restartCount", 0)
    story = f"Container {name} of Pod {pod.name} is restarted by its {which} probe ({words})"
    if not restarts and evidence.get("pending"):
        story = f"Container {name} of Pod {pod.name} is about to be restarted by its {which} probe ({words})"
    evidence = {
        "object": pod.ref,
        "look": f"kubectl describe pod {pod.name}",
        "observed": f"{answer}; {counted(restarts, 'restart')}",
        **evidence,
    }
    good: dict[str, Any] = {"expected": f"{words} succeeds"}
    fail_if_command_missing(pod, spec, which, answer, **evidence)
    if "statuscode: 404" in answer:
        fail(
            "probe-path-not-found", f"{story}: something answers on that port, but it has no page "
            f"{(probe.get('httpGet') or {}).get('path', '/')} (status 404).", **good, **evidence,
        )  # fmt: skip
    if _NO_ANSWER_THERE.search(answer):
        _explain_refused(state, pod, spec, which, story, evidence)
    if _TIMED_OUT.search(answer):
        fail(
            "probe-times-out", f"{story}, which gets no answer in time. It waits {counted_seconds(probe.get('timeoutSeconds', 1))} "
            f"(timeoutSeconds) for one: {answer}", expected=f"an answer within {counted_seconds(probe.get('timeoutSeconds', 1))}",
            **evidence,
        )  # fmt: skip
    if which == "liveness":
        try:
            follow_dependency(state, pod, spec, answer)
        except Failed as root:
            fail(
                "dependency-in-liveness", f"{story}, which fails because of somebody else: {root.message} "
                f"Restarting {name} does not change that.", **{**good, **evidence, "pending": bool(evidence.get("pending") or root.pending)},
            )  # fmt: skip
    cause = "liveness-probe-fails" if which == "liveness" else "startup-probe-fails"
    raise Failed(cause, f"{story}, which fails: {answer}", **good, **evidence)


def _explain_refused(
    state: State,
    pod: Object,
    spec: dict[str, Any],
    which: str,
    story: str,
    evidence: dict[str, Any],
) -> None:
    """A connection that is refused: nothing listens there at all, or nothing does yet. Returns where the process did listen."""
    probe = spec[f"{which}Probe"]
    port = port_of(spec, probe)
    open_ports, said = listening(state, pod, spec)
    declared = sorted(p["containerPort"] for p in spec.get("ports") or [] if p.get("protocol", "TCP") == "TCP")
    where = ""
    if port not in open_ports | said:
        if open_ports:
            where = f"it listens on {_listed(open_ports)}"
        elif said:
            where = f"it says that it listens on {_listed(said)}"
        elif declared and port not in declared:
            where = f"the container's ports are {_listed(set(declared))}"
    if where:
        fail(
            "probe-port-refused", f"{story}, and on port {port} nothing listens (connection refused); {where}.",
            expected=f"something listens on port {port}", **{**evidence, "observed": f"connection refused; {where}"},
        )  # fmt: skip
    if port in said:
        return
    cause = "no-startup-budget" if which == "liveness" else "startup-budget-too-short"
    raise Failed(
        cause, f"{story} before it has started: on port {port} nothing listened yet (connection refused). From its start until then it has "
        f"{counted_seconds(patience(probe))} ({reckoned(probe)}).",
        expected="a container that has started before it is judged",
        **{**evidence, "observed": f"connection refused after {counted_seconds(patience(probe))}"},
    )  # fmt: skip


def listening(state: State, pod: Object, spec: dict[str, Any]) -> tuple[set[int], set[int]]:
    """The ports of a Pod that were seen open, and those on which a container's last words say that it listens."""
    reach = state.observations.get(REACH) or {}
    address = pod.status.get("podIP")
    open_ports = {
        int(at.rsplit(":", 1)[1]) for at, seen in reach.items() if seen == "open" and at.rsplit(":", 1)[0] == address
    }
    text = state.logs.get(f"{pod.name}/{spec.get('name')}", "")
    return open_ports, {int(port) for port in _LISTENS.findall(text)}


def fail_if_command_missing(pod: Object, spec: dict[str, Any], which: str, answer: str, **evidence: Any) -> None:
    """Raises Failed where a probe's command could not be started at all. That a probe has a command is looked up first: the same
    words may come from a command that was found."""
    probe = spec.get(f"{which}Probe") or {}
    command = (probe.get("exec") or {}).get("command") or []
    # What the runtime says of a command that it cannot start names it: `exec: "redis-clii": executable file not found in $PATH`.
    if command and _NO_COMMAND.search(answer) and ("exec" in answer or command[0] in answer):
        fail(
            "probe-command-missing", f"The {which} probe of container {spec.get('name')} (Pod {pod.name}) runs `{' '.join(command)}` in the "
            f"container, which cannot be started there: {answer}",
            expected="a command that the image has", **{"observed": answer, "object": pod.ref, "look": f"kubectl describe pod {pod.name}", **evidence},
        )  # fmt: skip


def fail_if_void(state: State, pod: Object, spec: dict[str, Any], which: str) -> None:
    """Raises Failed where a probe cannot be asked at all: it names a port that there is not, or a command that the image does not have.

    The kubelet takes no notice of such a probe: a container with nothing but this liveness probe looks well, and is never restarted.
    """
    probe = spec.get(f"{which}Probe") or {}
    port = (probe.get("httpGet") or probe.get("tcpSocket") or {}).get("port")
    names = [p["name"] for p in spec.get("ports") or [] if p.get("name")]
    if isinstance(port, str) and not port.isdigit() and port not in names:
        fail_port_unknown(pod, spec, which, port, names)
    for event in failures(state, pod, spec, which)[:1]:
        fail_if_command_missing(pod, spec, which, got(event["message"]))


def fail_port_unknown(pod: Object, spec: dict[str, Any], which: str, port: str, names: list[str]) -> NoReturn:
    fail(
        "probe-port-unknown",
        f"The {which} probe of Pod {pod.name} asks port {port!r}, and no port of container {spec['name']} has that name.",
        expected=f"a port named {port}", observed=f"port names: {', '.join(names) or 'none'}", object=pod.ref,
        look=f"kubectl describe pod {pod.name}",
    )  # fmt: skip


def counted_seconds(seconds: float) -> str:
    """`1 second`, `30 seconds`."""
    return f"{seconds:g} second{'' if seconds == 1 else 's'}"


def _listed(ports: set[int]) -> str:
    return ", ".join(map(str, sorted(ports)))


def answered_now(state: State, pod: Object, container: str) -> str:
    """What somebody who asks as a container's probe does gets at the moment; empty where nobody did."""
    answer = (state.observations.get(PROBED) or {}).get(f"{pod.name}/{container}")
    if not isinstance(answer, dict) or "status" not in answer:
        return ""
    if answer["error"]:
        return str(answer["error"])
    return f"statuscode: {answer['status']}" + (f", {last_line(answer['text'])}" if answer["text"] else "")


def refine_probe_failure(state: State, pod: Object, fault: NotPassed) -> NotPassed | None:
    """A probe of whose failing no event tells: what answers there at the moment."""
    for status, _spec in statuses_with_specs(pod):
        answer = answered_now(state, pod, status["name"])
        unanswered = "answer" in fault.facts and not fault.facts["answer"]
        if unanswered and answer and not status.get("ready") and not answer.startswith("statuscode: 2"):
            return Failed(fault.fault.but(facts={**fault.facts, "answer": answer}))
    return None
