"""The guestbook answers, and says what the handbook wants it to say."""

from dataclasses import dataclass
from typing import Any

from checker.sdk import (
    Answers,
    Http,
    Object,
    PlainState,
    State,
    environment_references,
    fail,
    seed_of,
    source_of_file,
    source_of_variable,
    target_ports,
    task,
    unknown,
    volume_references,
)

from . import setup as capstone
from .capstone_app import app, ports, require_port, variable


@dataclass(frozen=True)
class CapstoneAsked(Http):
    """Requests to the capstone's Service at the port that its seed says."""

    def question(self, state: PlainState) -> dict[str, Any] | None:
        asked = super().question(state)
        port = capstone.plan(seed_of(state)).port
        if not asked or port not in ports(state.find("Service", self.service)):
            return None
        return {**asked, "url": f"http://{self.service}.{state.namespace}.svc.cluster.local.:{port}{self.path}"}


ASKED = CapstoneAsked("guestbook", "/", times=20, per_pod=True)


def answering(state: State, answers: Answers) -> Object:
    """The capstone's Service, at the right port, answered well by the Pods of the Deployment guestbook and nobody else."""
    right = capstone.plan(seed_of(state))
    deployment = state.require("Deployment", "guestbook")
    service = state.require("Service", "guestbook")
    state.require_working(service)
    require_port(service, right.port)
    state.require_answers(service, answers)
    state.fail_for_other_backends(service, deployment, answers.hosts)
    return service


@task("answers", observe=ASKED)
def guestbook_answers(state: State, answers: Answers) -> None:
    service = answering(state, answers)
    silent = {pod.name for pod in state.ready_pods(service)} - answers.hosts
    if silent:
        fail(
            "replica-gets-no-traffic", f"Of {len(answers)} requests to Service guestbook, none was answered by {', '.join(sorted(silent))}.",
            expected="answers from every ready Pod", observed=f"none from {', '.join(sorted(silent))}", object=service.ref,
            look="kubectl get endpointslices", pending=True,
        )  # fmt: skip
    require_app_port(state, service)


def require_app_port(state: State, service: Object) -> None:
    """The guestbook listens where the handbook says: it was not moved to where a Service's wrong port led."""
    right = capstone.plan(seed_of(state))
    for pod in state.ready_pods(service):
        target = target_ports(service, pod).get(right.port)
        if target != right.listens and variable(state, pod, "PORT") != str(right.listens):
            fail(
                "app-port-moved", f"The guestbook in Pod {pod.name} answers, but it listens on port {target} now, and the handbook says another.",
                expected=f"port {right.listens}", observed=f"port {target}", object="Deployment/guestbook",
                look="kubectl set env deployment guestbook --list",
            )  # fmt: skip


@task("says", observe=ASKED)
def guestbook_says_what_it_should(state: State, answers: Answers) -> None:
    right = capstone.plan(seed_of(state))
    answering(state, answers)
    deployment = state.require("Deployment", "guestbook")
    state.require_working(deployment)
    state.require_image(deployment, right.image)
    said = sorted({answer.text.rpartition("\n")[0].strip() for answer in answers})  # its last line is who says it
    if said != [right.greeting]:
        other = next(line for line in said if line != right.greeting)
        fail(
            "greeting-wrong", f"The guestbook says {other!r}, and that is not what the handbook says.",
            expected="the handbook's words, to the letter", observed=other, object=deployment.ref, look=f"kubectl describe configmap {right.config}",
        )  # fmt: skip
    other_version = next(
        (a.text for a in answers if not a.text.rpartition("\n")[2].startswith(f"This is {right.version} ")), ""
    )
    if other_version:
        fail(
            "wrong-image", f"The guestbook is made from {right.image}, and tells people something else: {other_version.rpartition(chr(10))[2]!r}.",
            expected=f"This is {right.version} on …", observed=other_version.rpartition("\n")[2], object=deployment.ref,
            look="kubectl set env deployment guestbook --list",
        )  # fmt: skip
    for pod in state.pods_of(deployment):
        key = taken_from(state, pod, right.config)
        if key is None:
            fail(
                "greeting-hard-coded", f"Pod {pod.name} says the right words, but not from ConfigMap {right.config}: when they change there, it will not follow.",
                expected=f"GREETING from ConfigMap {right.config}", observed="written down elsewhere", object=deployment.ref,
                look="kubectl set env deployment guestbook --list",
            )  # fmt: skip
        if key and key != right.key:
            fail(
                "greeting-hard-coded",
                f"Pod {pod.name} says the right words, but from a second place, key {key} of ConfigMap {right.config}: when they change where the "
                "handbook keeps them, it will not follow.",
                expected=f"GREETING from where the handbook keeps it in ConfigMap {right.config}", observed=f"from key {key}", object=deployment.ref,
                look="kubectl set env deployment guestbook --list",
            )  # fmt: skip
    source = state.require("ConfigMap", right.config)
    state.require_key(source, right.key)
    held = (source.raw.get("data") or {}).get(right.key, "").strip().partition("\n")[0]
    if held != right.greeting:
        fail(
            "greeting-hard-coded", f"The guestbook says the right words, but ConfigMap {right.config} does not hold them under key {right.key}.",
            expected="the words in the ConfigMap", observed=held or "none", object=source.ref, look=f"kubectl describe configmap {right.config}",
        )  # fmt: skip


def taken_from(state: State, pod: Object, config: str) -> str | None:
    """The key of this ConfigMap that the greeting of a Pod comes from; empty where the app is given no variable for it, but the
    ConfigMap (a command may make one of the other), and None where the greeting comes from elsewhere."""
    container = app(pod)
    path = state.env(pod, container).get("GREETING_FILE")
    file = source_of_file(state, pod, container, path) if path else None
    source = source_of_variable(state, pod, container, "GREETING")
    is_told = source is not None and (source.kind, source.name) == ("ConfigMap", config)
    if file and not file.kind and is_told:
        unknown(
            "not-observed", f"The guestbook in Pod {pod.name} says what file {path} says, if there is one, and that would be in {file.words}: whether its words "
            "come from there or from GREETING, the checker cannot tell. Without GREETING_FILE it can.",
            expected=f"GREETING from ConfigMap {config}", observed=f"GREETING_FILE={path}", object="Deployment/guestbook",
            look="kubectl set env deployment guestbook --list",
        )  # fmt: skip
    if file and (file.key or not file.kind):  # the file wins over the variable, where it is there
        source, is_told = file, (file.kind, file.name) == ("ConfigMap", config)
    if source:
        return source.key or "" if is_told else None
    mounted = {mount["name"] for mount in container.get("volumeMounts") or []}
    references = [r for v in pod.spec.get("volumes") or [] if v["name"] in mounted for r in volume_references(v)]
    given = {(r.kind, r.name) for r in (*environment_references(container), *references)}
    return "" if ("ConfigMap", config) in given else None
