"""Judging lab 04: who answers, which containers keep running, and whether what the app says is what the other one writes."""

from checker import Answers, Http, Object, State, Timeline, Traffic, fail, task

GREETINGS = Traffic("guestbook", "/")
RECENT = 10.0  # seconds in which the greeting must have changed: it is written every second


@task("answers", observe=Http("guestbook", "/hostname", times=3))
def pod_answers(state: State, answers: Answers) -> None:
    pod = state.require("Pod", "guestbook")
    state.require_working(pod)
    state.require_image(pod, "guestbook:v1")
    service = state.require("Service", "guestbook")
    state.require_answers(service, answers)
    if "guestbook" not in answers.hosts:
        fail(
            "service-answers-wrong", f"Service guestbook is answered by {', '.join(sorted(answers.hosts))}, not by Pod guestbook.",
            expected="answers from Pod guestbook", observed=", ".join(sorted(answers.hosts)), object=service.ref,
            look="kubectl get pods --show-labels",
        )  # fmt: skip


def lasting_containers(pod: Object) -> list[dict]:
    """The containers that live as long as the Pod, sidecars among them.

    Source: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
    """
    sidecars = [c for c in pod.spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"]
    return [*pod.containers, *sidecars]


def pod_with_two(state: State) -> Object:
    pod = state.require("Pod", "guestbook")
    names = [container["name"] for container in lasting_containers(pod)]
    if len(names) < 2:
        fail(
            "one-container", f"Pod guestbook has one container that lasts, {names[0]}.",
            expected="two containers that keep running", observed=", ".join(names), object=pod.ref, look="kubectl describe pod guestbook",
        )  # fmt: skip
    state.require_working(pod)
    return pod


@task("two-containers")
def two_containers_run(state: State) -> None:
    pod_with_two(state)


@task("shared-volume", observe=GREETINGS)
def greeting_is_the_others_writing(state: State, timeline: Timeline) -> None:
    pod = pod_with_two(state)
    app = next(
        (
            c
            for c in lasting_containers(pod)
            if c["image"].endswith("guestbook:v1") and state.env(pod, c).get("GREETING_FILE")
        ),
        None,
    )
    if not app:
        fail(
            "variable-missing", "No container of Pod guestbook has a variable GREETING_FILE, so the app says its usual greeting.",
            expected="GREETING_FILE in the app's container", observed="no such variable", object=pod.ref,
            look="kubectl describe pod guestbook",
        )  # fmt: skip
    file = state.env(pod, app)["GREETING_FILE"]
    mount = max(
        (m for m in app.get("volumeMounts") or [] if file.startswith(m["mountPath"].rstrip("/") + "/")),
        key=lambda m: len(m["mountPath"]), default=None,
    )  # fmt: skip
    if not mount:
        fail(
            "volume-not-mounted",
            f"The app reads {file}, which is in its container's own file system: no volume is mounted above it.",
            expected=f"a volume that holds {file}", object=pod.ref, look="kubectl describe pod guestbook",
            observed="mounted: " + (", ".join(m["mountPath"] for m in app.get("volumeMounts") or []) or "nothing"),
        )  # fmt: skip
    others = [c for c in lasting_containers(pod) if c is not app and mount["name"] in
              [m["name"] for m in c.get("volumeMounts") or []]]  # fmt: skip
    if not others:
        fail(
            "volume-not-shared", f"Volume {mount['name']}, from which the app reads {file}, is mounted in no other container.",
            expected=f"volume {mount['name']} in both containers", observed=f"only in {app['name']}", object=pod.ref,
            look="kubectl describe pod guestbook",
        )  # fmt: skip
    state.require_working(state.require("Service", "guestbook"))
    changes = [text for at, text in timeline.texts() if at > timeline.until - RECENT]
    if len(changes) < 2:
        said = timeline.texts()[-1][1] if timeline.texts() else "nothing yet"
        fail(
            "file-not-written", f"The greeting has not changed for {RECENT:.0f} s. The app says: {said}",
            expected=f"{file} written anew every second", observed=said, object=pod.ref,
            look=f"kubectl exec guestbook -c {others[0]['name']} -- ls -l {next(m['mountPath'] for m in others[0]['volumeMounts'] if m['name'] == mount['name'])}",
            pending=state.changed_within(2 * RECENT, pod),
        )  # fmt: skip
