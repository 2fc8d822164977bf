"""The guestbook answers, and says what the handbook wants it to say."""

from dataclasses import dataclass
from typing import Any

from checker.sdk import (
    Answers,
    Http,
    Object,
    PlainState,
    Ref,
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
class CapstoneAnswers(Http):
    """Requests to the capstone's Service at the port that its seed says."""

    def question(self, state: PlainState) -> dict[str, Any] | None:
        question = super().question(state)
        port = capstone.plan(seed_of(state)).port
        if not question or port not in ports(state.find("Service", self.service)):
            return None
        return {**question, "url": f"http://{self.service}.{state.namespace}.svc.cluster.local.:{port}{self.path}"}


ANSWERS = CapstoneAnswers("guestbook", "/", times=20, per_pod=True)


def answering(state: State, answers: Answers) -> Object:
    """The capstone's Service. Raises Failed unless only Pods of Deployment guestbook answer well at the right port."""
    right = capstone.plan(seed_of(state))
    deployment = state.require("Deployment", "guestbook")
    service = state.require("Service", "guestbook")
    state.require_working(service)
    require_port(service, right.port)
    state.require_answers(service, answers)
    state.fail_for_other_backends(service, deployment, answers.hosts)
    return service


@task("answers", observe=ANSWERS)
def guestbook_answers(state: State, answers: Answers) -> None:
    service = answering(state, answers)
    silent = sorted({pod.name for pod in state.ready_pods(service)} - answers.hosts)
    if silent:
        requests = len(answers)
        fail("replica-gets-no-traffic", service, form="requests", pods=silent, requests=requests, in_progress=True)
    require_app_port(state, service)


def require_app_port(state: State, service: Object) -> None:
    """The guestbook listens on the handbook's port. Raises Failed if it listens on the Service's wrong port now."""
    right = capstone.plan(seed_of(state))
    for pod in state.ready_pods(service):
        target = target_ports(service, pod).get(right.port)
        if target != right.listens and variable(state, pod, "PORT") != str(right.listens):
            about = Ref("Deployment", "guestbook", state.namespace)
            fail("app-port-moved", about, pod=pod.name, port=target, wanted=right.listens)


@task("says", observe=ANSWERS)
def greeting_is_right(state: State, answers: Answers) -> None:
    right = capstone.plan(seed_of(state))
    answering(state, answers)
    deployment = state.require("Deployment", "guestbook")
    state.require_working(deployment)
    state.require_image(deployment, right.image)
    greetings = sorted({answer.text.rpartition("\n")[0].strip() for answer in answers})  # the last line names the Pod
    if greetings != [right.greeting]:
        other = next(line for line in greetings if line != right.greeting)
        fail("greeting-wrong", deployment, greeting=other, config=right.config)
    other_version = next(
        (a.text for a in answers if not a.text.rpartition("\n")[2].startswith(f"This is {right.version} ")), ""
    )
    if other_version:
        line = other_version.rpartition("\n")[2]
        fail("wrong-image", deployment, form="answered-version", image=right.image, version=right.version, line=line)
    for pod in state.pods_of(deployment):
        key = taken_from(state, pod, right.config)
        if key is None:
            fail("greeting-hard-coded", deployment, pod=pod.name, config=right.config)
        if key and key != right.key:
            fail("greeting-hard-coded", deployment, form="another-key", pod=pod.name, config=right.config, key=key)
    source = state.require("ConfigMap", right.config)
    state.require_key(source, right.key)
    held = (source.raw.get("data") or {}).get(right.key, "").strip().partition("\n")[0]
    if held != right.greeting:
        fail("greeting-hard-coded", source, form="another-value", key=right.key, value=held)


def taken_from(state: State, pod: Object, config: str) -> str | None:
    """The key of this ConfigMap that the greeting of a Pod comes from.

    Empty where no variable holds the greeting, but the container gets the ConfigMap: its command may read the greeting
    from there. None where the greeting comes from another source.
    """
    container = app(pod)
    path = state.env(pod, container).get("GREETING_FILE")
    file = source_of_file(state, pod, container, path) if path else None
    source = source_of_variable(state, pod, container, "GREETING")
    from_config_map = source is not None and (source.kind, source.name) == ("ConfigMap", config)
    if file and not file.kind and from_config_map:
        about, volume = Ref("Deployment", "guestbook", state.namespace), (file.mount or {}).get("name")
        unknown("not-observed", about, form="greeting-file", pod=pod.name, path=path, volume=volume, config=config)
    if file and (file.key or not file.kind):  # where the file exists, the guestbook prefers it to the variable
        source, from_config_map = file, (file.kind, file.name) == ("ConfigMap", config)
    if source:
        return source.key or "" if from_config_map else None
    mounted = {mount["name"] for mount in container.get("volumeMounts") or []}
    references = [r for v in pod.spec.get("volumes") or [] if v["name"] in mounted for r in volume_references(v)]
    given = {(r.kind, r.name) for r in (*environment_references(container), *references)}
    return "" if ("ConfigMap", config) in given else None
