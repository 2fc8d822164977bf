"""What is asked inside the Pods of lab 11, and which Pods are asked."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from checker.sdk import (
    Count,
    Counted,
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
MOST_PODS = 5  # at most so many Pods of a Deployment are asked: the oldest, as they are the last to have a new value


def app_container(pod: Object) -> dict[str, Any]:
    """The container in which the app runs: the first with an image of the guestbook, else the first of the Pod."""
    return next((c for c in pod.containers if "guestbook:" in c.get("image", "")), pod.containers[0])


def greeting_file(state: PlainState, pod: Object) -> str:
    """The absolute path of the file from which the app reads its greeting (GREETING_FILE); empty if not set."""
    container = app_container(pod)
    path = state.env(pod, container).get("GREETING_FILE", "")
    return path if path.startswith("/") or not path else f"{container.get('workingDir') or '/app'}/{path}"


def pods_to_ask(state: PlainState, deployment: Object) -> list[Object]:
    """The Pods of a Deployment that are asked: the running ones whose app was started first, MOST_PODS at most."""

    def started(pod: Object) -> str:
        name = app_container(pod)["name"]
        return next(
            str(s["state"]["running"]["startedAt"]) for s in pod.status["containerStatuses"] if s["name"] == name
        )

    return sorted(running_pods(state, deployment), key=started)[:MOST_PODS]


@dataclass(frozen=True)
class InsidePods(PodsInside[dict[str, Any]]):
    """Base of the observations inside the running Pods of a Deployment. Read as {Pod name: answers}."""

    deployment: str

    def question(self, state: PlainState) -> dict[str, Any] | None:
        deployment = state.find("Deployment", self.deployment)
        pods = pods_to_ask(state, deployment) if deployment else []
        return self.ask({pod.name: self.question_of(state, pod) for pod in pods})

    def question_of(self, state: PlainState, pod: Object) -> dict[str, Any]:
        """What is asked in one Pod, with the container and the program that ask."""
        question = ask_in_pod(pod, self.questions(state, pod))
        return {**question, "container": app_container(pod)["name"], **self.own_program()}

    def own_program(self) -> dict[str, str]:
        """{"program": its text} where the lab's own program asks; empty where the course's does."""
        return {}

    @abstractmethod
    def questions(self, state: PlainState, pod: Object) -> dict[str, Any]:
        """The questions for one Pod, by name."""

    def read(self, seen: dict[str, Any]) -> dict[str, Any]:
        return seen  # `answers_of` tells which Pod could not be asked


class InsideShape(TypedDict):
    """The answers of one Pod to Inside."""

    page: Counted
    file: NotRequired[dict[str, str | None]]


# What programs/compare_secrets.py says of a variable or a file.
ComparisonShape = TypedDict("ComparisonShape", {"there": bool, "length": NotRequired[Count], "is": NotRequired[str]})


class ComparedShape(TypedDict):
    """The answers of one Pod to Compared."""

    variable: ComparisonShape
    file: ComparisonShape


@dataclass(frozen=True)
class Inside(InsidePods):
    """The app's front page in each Pod, and the text of its greeting file: {"page": [answer], "file": {path: text}}."""

    shapes = (InsideShape,)

    def questions(self, state: PlainState, pod: Object) -> dict[str, Any]:
        path, page = greeting_file(state, pod), {"do": "http", "url": "http://127.0.0.1:8080/"}
        source = source_of_file(state, pod, app_container(pod), path) if path else None
        if source is None or source.kind == "Secret":  # the checker reads no value of a Secret
            return {"page": page}
        return {"page": page, "file": {"do": "read", "files": [path]}}


@dataclass(frozen=True)
class Compared(InsidePods):
    """How the variable and the file of each Pod compare with the password: {"variable": …, "file": …}.

    The answers: see programs/compare_secrets.py.
    """

    shapes = (ComparedShape,)

    def own_program(self) -> dict[str, str]:
        return {"program": program(__file__, "compare_secrets")}

    def is_whole(self, answers: dict[str, Any]) -> bool:
        return all(not one["there"] or {"length", "is"} <= set(one) for one in answers.values())

    def questions(self, state: PlainState, pod: Object) -> dict[str, Any]:
        return {"variable": {"variable": VARIABLE, "expected": PASSWORD}, "file": {"file": FILE, "expected": PASSWORD}}


GUESTBOOK, KIOSK, COMPARED = Inside("guestbook"), Inside("kiosk"), Compared("guestbook")


def working_pods(state: State, deployment: Object) -> list[Object]:
    """The Pods of a working Deployment that are asked. Raises Failed where the Deployment does not work."""
    state.require_working(deployment)
    return pods_to_ask(state, deployment)


def answers_of(observed: dict[str, Any], pod: Object) -> dict[str, Any]:
    """The answers from one Pod. Raises Unknown where it could not be asked, or was created after the observation."""
    if pod.name not in set(observed):
        unknown("not-observed", pod, form="pod-is-new", in_progress=True)
    try:
        return answers_from_pod(observed[pod.name])
    except Unknown as end:
        raise Unknown(end.fault.but(in_progress=True)) from None  # a busy machine may take too long once
