"""Judging lab 04: which Pod answers, which containers keep running, and who writes the greeting of the app."""

import posixpath
from itertools import pairwise
from statistics import median
from typing import Any

from checker.sdk import (
    Answers,
    Http,
    ImageName,
    Object,
    State,
    fail,
    is_late,
    read_answers,
    task,
    unknown,
)

from .watching import OnLocalhost

LOCALHOST = OnLocalhost("guestbook")
VARIABLE = "GREETING_FILE"
ACCOUNT = "/var/run/secrets/kubernetes.io"  # where every container has the Pod's service account mounted
WORKDIR = "/app"  # of the image: what a relative path begins at where the container says nothing else
RECENT = 10.0  # seconds in which a new Pod may still come to do what it is to do
EVERY = 1.75  # seconds, at most, between two changes of a file that is written every second


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


@task("shared-volume", observe=LOCALHOST)
def greeting_is_the_others_writing(state: State, answers: dict[str, dict[str, Any]]) -> None:
    pod = pod_with_two(state)
    state.require_image(pod, "guestbook:v1")
    guestbooks = [c for c in pod.lasting_containers if ImageName.parse(c["image"]).without_path == "guestbook:v1"]
    apps = [c for c in guestbooks if VARIABLE in state.env(pod, c) or VARIABLE in command_of(c)]
    new = state.changed_within(RECENT, pod)
    scripts = [c for c in guestbooks if command_of(c)]
    if not apps and not scripts:
        fail("variable-missing", pod, variable=VARIABLE)
    if apps:
        app = max(apps, key=runs_app)  # the other one may have the variable too
        file, container, folder = file_of(state, pod, app)
    service = state.require("Service", "guestbook")
    state.require_working(service)
    require_alone(state, service, pod)
    watched = {name: answer.get("watched", answer) for name, answer in answers.items()}
    if not apps:  # a script, too, may set the variable
        apps = [c for c in scripts if watched.get(c["name"], {}).get("file")]
        if not apps:
            fail("variable-missing", pod, variable=VARIABLE, in_progress=new)
        app = max(apps, key=runs_app)
        file, container, folder = file_of(state, pod, app)
    seen = watched.get(app["name"], {})
    if "app" not in seen:
        if "error" in seen:
            unknown("pod-not-askable", pod, why=seen["error"], in_progress=is_late(seen["error"]))
        unknown("not-observed", pod, form="observation", observation=LOCALHOST.key, in_progress=True)
    if not seen["app"]:
        fail("greeting-not-from-file", pod, form="no-app", container=app["name"], in_progress=new)
    file = seen["file"] or file
    require_written(state, pod, seen, file=file, container=container, folder=folder)
    if not seen["same"]:
        facts = {"file": file, "container": app["name"], "last": seen["last"], "quote": seen["said"]}
        fail("greeting-not-from-file", pod, in_progress=new, **facts)
    if not seen["time"]:
        fail("file-without-time", pod, file=file, container=app["name"], last=seen["last"])
    require_other_writer(pod, app, file, watched)


def file_of(state: State, pod: Object, app: dict[str, Any]) -> tuple[str, str, str]:
    """The app's file, another container that can write it, and the folder of the file there.

    The file is empty where its path is not known here: it comes from a Secret, from the kubelet, or from the command.
    """
    file = state.env(pod, app).get(VARIABLE, "")
    if file:
        file = posixpath.normpath(posixpath.join(app.get("workingDir", WORKDIR), file))
    return file, *writer_of(pod, app, file)


def require_written(state: State, pod: Object, seen: dict[str, Any], **facts: str) -> None:
    """Raise Failed where the app's file is not changed every second. seen: what programs/watch_file.py saw."""
    changed = seen["changed"]
    gaps = [after - before for before, after in pairwise(changed)]
    every = median(gaps) if gaps else seen["now"] - changed[-1] if changed else 0.0
    if gaps and every <= EVERY:
        return
    form = "" if gaps else "unchanged" if changed else "no-file"
    pending = state.changed_within(2 * RECENT, pod)
    fail("file-not-written", pod, form=form, seconds=round(every), quote=seen["said"], in_progress=pending, **facts)


def require_other_writer(pod: Object, app: dict[str, Any], file: str, watched: dict[str, dict[str, Any]]) -> None:
    """Raise Failed where the app's own container wrote when its file changed, or where surely no other one did."""
    often = max(1, len(watched[app["name"]]["changed"]) - 2)  # a look may come between a change and its writer's end
    others = [c["name"] for c in pod.lasting_containers if c is not app]
    wrote = {name: watched.get(name, {}).get("wrote") for name in others}
    own = watched[app["name"]]["wrote"]
    if own is not None and own >= often:
        fail("written-by-app", pod, container=app["name"], file=file, others=others)
    if all(count is not None and count < often for count in wrote.values()):
        # On a busy machine one look may cover several writes: then another check may see more.
        pending = any(wrote.values())
        facts = {"container": app["name"], "file": file, "others": others}
        fail("written-by-app", pod, form="by-no-other", in_progress=pending, **facts)
