"""Judging lab 04: which Pod answers, which containers keep running, and who writes the greeting of the app."""

import posixpath
from dataclasses import dataclass
from typing import Any

from checker.sdk import (
    Answers,
    Http,
    ImageName,
    Object,
    PlainState,
    PodsInside,
    State,
    Timeline,
    Traffic,
    ask_in_pod,
    fail,
    is_late,
    read_answers,
    task,
    unknown,
)


@dataclass(frozen=True)
class OnLocalhost(PodsInside[dict[str, dict[str, Any]]]):
    """What answers at 127.0.0.1, asked in each running container of a Pod.

    Read as {container: {"app": answers}, or {"error": why}}.

    The containers of a Pod share one network, so where one has no python3, another one's answer is as good.
    Source: https://kubernetes.io/docs/concepts/workloads/pods/#pod-networking
    """

    pod: str
    url = "http://127.0.0.1:8080/hostname"

    def question(self, state: PlainState) -> dict[str, Any] | None:
        pod = state.find("Pod", self.pod)
        running = [s["name"] for s in pod.container_statuses if "running" in (s.get("state") or {})] if pod else []
        questions = {"app": {"do": "http", "url": self.url}}
        return self.ask({name: ask_in_pod(pod, questions) | {"container": name} for name in running}) if pod else None

    def read(self, seen: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return seen


GREETINGS = Traffic("guestbook", "/")
LOCALHOST = OnLocalhost("guestbook")
VARIABLE = "GREETING_FILE"
ACCOUNT = "/var/run/secrets/kubernetes.io"  # where every container has the Pod's service account mounted
WORKDIR = "/app"  # of the image: what a relative path begins at where the container says nothing else
RECENT = 10.0  # seconds in which the greeting must have changed: it is written every second
TEXTS = 3  # at least; two may be one written text, and what the app says while the file is being emptied


@task("answers", observe=Http("guestbook", "/hostname", times=3))
def pod_answers(state: State, answers: Answers) -> None:
    pod = state.require("Pod", "guestbook")
    state.require_working(pod)
    state.require_image(pod, "guestbook:v1")
    service = state.require("Service", "guestbook")
    state.require_answers(service, answers)
    require_alone(state, service, pod)


def require_alone(state: State, service: Object, pod: Object) -> None:
    """This Pod is the only endpoint of the Service, whatever name it says in its answers. Raises Failed otherwise."""
    names = {other.status.get("podIP", ""): other.name for other in state.all("Pod") if not other.is_terminating}
    behind, own = state.endpoints(service), pod.status.get("podIP", "")
    if behind <= {own}:
        return
    others = sorted(names.get(address, address) for address in behind - {own})
    fail(
        "service-answers-wrong",
        service,
        form="also" if own in behind else "instead",
        others=others,
        pod=pod.name,
        in_progress=not behind <= set(names) or state.changed_within(5, pod),
    )


def pod_with_two(state: State) -> Object:
    pod = state.require("Pod", "guestbook")
    names = [container["name"] for container in pod.lasting_containers]
    if len(names) < 2:
        fail("one-container", pod, containers=names)
    state.require_lasting(pod)
    return pod


@task("two-containers", observe=LOCALHOST)
def two_containers_run(state: State, seen: dict[str, dict[str, Any]]) -> None:
    pod = pod_with_two(state)
    answers = {name: read_answers(one["app"])[0] for name, one in seen.items() if "app" in one}
    if not answers:
        why = next(one["error"] for one in seen.values())
        unknown("pod-not-askable", pod, why=why, in_progress=is_late(why))
    for name, answer in answers.items():
        if not answer.ok:
            state.require_working(state.require("Service", "guestbook"))
            facts = {"container": name, "url": LOCALHOST.url, "answer": answer.words}
            fail("not-on-localhost", pod, in_progress=state.changed_within(RECENT, pod), **facts)


def command_of(container: dict[str, Any]) -> str:
    """What a container runs, as one text; empty where that is the image's own command."""
    return " ".join([*(container.get("command") or []), *(container.get("args") or [])])


def runs_app(container: dict[str, Any]) -> bool:
    """Whether a container made from the guestbook's image runs the guestbook, and no other command."""
    return not command_of(container) or "app.py" in command_of(container)


def volume_of(pod: Object, container: dict[str, Any], file: str) -> str:
    """The volume that holds a file of a container. Raises Failed where no volume does."""
    mounts = container.get("volumeMounts") or []
    around = [m for m in mounts if f"{file}/".startswith(m["mountPath"].rstrip("/") + "/")]
    if not around:
        fail("volume-not-mounted", pod, form="file", file=file, mounts=[m["mountPath"] for m in mounts])
    return max(around, key=lambda m: len(m["mountPath"]))["name"]


def writer_of(pod: Object, app: dict[str, Any], file: str) -> tuple[str, str]:
    """Another container that can write the app's file, and the folder of the file. Raises Failed where there is none.

    file: empty where its path is not known; then it may be on any volume that the app has.
    """
    own = {m["name"] for m in app.get("volumeMounts") or [] if not m["mountPath"].startswith(ACCOUNT)}
    volumes = {volume_of(pod, app, file)} if file else own
    mounts = [
        (c["name"], m)
        for c in pod.lasting_containers
        if c is not app
        for m in c.get("volumeMounts") or []
        if m["name"] in volumes
    ]
    facts = {"container": app["name"], "file": file, "volumes": sorted(volumes)}
    if not mounts:
        fail("volume-not-shared", pod, form="" if file else "no-file", **facts)
    writable = [(name, m["mountPath"]) for name, m in mounts if not m.get("readOnly")]
    if not writable:
        others = sorted({name for name, _ in mounts})
        fail("volume-read-only", pod, form="file" if file else "no-file", others=others, **facts)
    return writable[0]


@task("shared-volume", observe=GREETINGS)
def greeting_is_the_others_writing(state: State, timeline: Timeline) -> None:
    pod = pod_with_two(state)
    state.require_image(pod, "guestbook:v1")
    # What was said before this Pod was made is an earlier Pod's. That moment is given in whole seconds, rounded down.
    begin = max(timeline.until - RECENT, pod.created.timestamp() + 1)
    greetings = {text for at, text in timeline.texts() if at > begin}
    guestbooks = [c for c in pod.lasting_containers if ImageName.parse(c["image"]).without_path == "guestbook:v1"]
    apps = [c for c in guestbooks if VARIABLE in state.env(pod, c) or VARIABLE in command_of(c)]
    if not apps and len(greetings) < TEXTS:  # a script, too, may set the variable: then the greeting shows it
        new = any(map(command_of, guestbooks)) and state.changed_within(RECENT, pod)
        fail("variable-missing", pod, variable=VARIABLE, in_progress=new)
    file = container = folder = ""
    if apps:
        app = max(apps, key=runs_app)  # the other one may have the variable too
        # A Secret's value, one that the kubelet puts in, or one of the command's own is not known here.
        file = state.env(pod, app).get(VARIABLE, "")
        if file:
            file = posixpath.normpath(posixpath.join(app.get("workingDir", WORKDIR), file))
        container, folder = writer_of(pod, app, file)
    service = state.require("Service", "guestbook")
    state.require_working(service)
    require_alone(state, service, pod)
    if len(greetings) < TEXTS:
        fail(
            "file-not-written",
            pod,
            form="" if len(greetings) < 2 else "few-texts",
            texts=len(greetings),
            seconds=int(RECENT),
            said=timeline.texts()[-1][1] if timeline.texts() else "",
            file=file,
            container=container,
            folder=folder,
            in_progress=state.changed_within(2 * RECENT, pod),
        )
