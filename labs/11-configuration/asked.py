"""What is asked inside the Pods of lab 11, and which Pods are asked."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from checker.sdk import (
    Object,
    PlainState,
    PodsInside,
    State,
    Unknown,
    answers_from_pod,
    ask_in_pod,
    program,
    running_pods,
    source_of_file,
    unknown,
)

CONFIG_MAP, SECRET, VARIABLE, FILE = "greeting", "login", "ADMIN_PASSWORD", "/etc/login/password"
PASSWORD = "open-sesame"
ASKED = 5  # Pods of a Deployment that are asked, at most: those that have been running longest know least of a change


def app_container(pod: Object) -> dict[str, Any]:
    """The container in which the app runs: the first of the guestbook's image, else the first."""
    return next((c for c in pod.containers if "guestbook:" in c.get("image", "")), pod.containers[0])


def greeting_file(state: PlainState, pod: Object) -> str:
    """The file that the app was told to read its greeting from, as a whole path; empty where it was told none."""
    container = app_container(pod)
    path = state.env(pod, container).get("GREETING_FILE", "")
    return path if path.startswith("/") or not path else f"{container.get('workingDir') or '/app'}/{path}"


def pods_asked(state: PlainState, deployment: Object) -> list[Object]:
    """The Pods of a Deployment that are asked: of those that run, the ones whose app was started first."""

    def started(pod: Object) -> str:
        name = app_container(pod)["name"]
        return next(
            str(s["state"]["running"]["startedAt"]) for s in pod.status["containerStatuses"] if s["name"] == name
        )

    return sorted(running_pods(state, deployment), key=started)[:ASKED]


@dataclass(frozen=True)
class InsidePods(PodsInside[dict[str, Any]]):
    """Base of what is asked in the running Pods of a Deployment. Read as {Pod name: answers}."""

    deployment: str

    def question(self, state: PlainState) -> dict[str, Any] | None:
        deployment = state.find("Deployment", self.deployment)
        pods = pods_asked(state, deployment) if deployment else []
        return self.ask(
            {
                pod.name: {
                    **ask_in_pod(pod, self.questions(state, pod)),
                    "container": app_container(pod)["name"],
                    **self.asked_by_program(),
                }
                for pod in pods
            }
        )

    def asked_by_program(self) -> dict[str, str]:
        """{"program": its text}, if another program than the course's own asks."""
        return {}

    @abstractmethod
    def questions(self, state: PlainState, pod: Object) -> dict[str, Any]:
        """What is asked in one Pod."""

    def read(self, seen: dict[str, Any]) -> dict[str, Any]:
        return seen  # a Pod that could not be asked matters only to who wants to know about it: see `answers_of`


@dataclass(frozen=True)
class Inside(InsidePods):
    """What the app in each Pod says, and what is in its greeting file: {"page": [answer], "file": {path: text}}."""

    def questions(self, state: PlainState, pod: Object) -> dict[str, Any]:
        path, page = greeting_file(state, pod), {"do": "http", "url": "http://127.0.0.1:8080/"}
        source = source_of_file(state, pod, app_container(pod), path) if path else None
        if source is None or source.kind == "Secret":  # what is in a Secret stays where it is
            return {"page": page}
        return {"page": page, "file": {"do": "read", "files": [path]}}


@dataclass(frozen=True)
class Compared(InsidePods):
    """How what each Pod was given as the password is like the password: {"variable": …, "file": …}, see programs/compare_secrets.py."""

    def asked_by_program(self) -> dict[str, str]:
        return {"program": program(__file__, "compare_secrets")}

    def questions(self, state: PlainState, pod: Object) -> dict[str, Any]:
        return {"variable": {"variable": VARIABLE, "expected": PASSWORD}, "file": {"file": FILE, "expected": PASSWORD}}


GUESTBOOK, KIOSK, COMPARED = Inside("guestbook"), Inside("kiosk"), Compared("guestbook")


def working_pods(state: State, deployment: Object) -> list[Object]:
    """The Pods that are asked, of a Deployment that works. Raises Failed with the first broken link otherwise."""
    state.require_working(deployment)
    return pods_asked(state, deployment)


def answers_of(asked: dict[str, Any], pod: Object) -> dict[str, Any]:
    """What was asked in one Pod. Raises Unknown where it could not be asked, or is newer than the look."""
    if pod.name not in set(asked):
        unknown(
            "not-observed",
            f"Pod {pod.name} is so new that it was not asked yet.",
            object=pod.ref,
            look="kubectl get pods",
            pending=True,
        )
    try:
        return answers_from_pod(asked[pod.name])
    except Unknown as end:
        end.pending = True  # a busy machine may take too long once
        raise
