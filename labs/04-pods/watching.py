"""What is seen in the containers of the Pod while the app's file changes (programs/watch_file.py)."""

from dataclasses import dataclass
from typing import Any, ClassVar, TypedDict

from checker.sdk import (
    Count,
    Counted,
    Number,
    PlainState,
    PodsInside,
    ask_in_pod,
    conforms,
    program,
)

WATCHING = program(__file__, "watch_file")


class NoApp(TypedDict):
    """What programs/watch_file.py saw in a container where the app does not run."""

    app: bool
    wrote: Count | None


class Watched(TypedDict):
    """What programs/watch_file.py saw of the app's file."""

    app: bool
    wrote: Count | None
    changed: list[Number]
    file: str
    last: str
    now: Number
    said: str
    same: bool
    time: bool


class WithoutApp(TypedDict):
    """What is asked in one container, where the app does not run."""

    app: Counted
    watched: NoApp


class WithApp(TypedDict):
    """What is asked in one container, where the app runs."""

    app: Counted
    watched: Watched


@dataclass(frozen=True)
class OnLocalhost(PodsInside[dict[str, dict[str, Any]]]):
    """What answers at 127.0.0.1, and who writes while the app's file changes, asked in each running container of a Pod.

    Read as {container: what programs/watch_file.py answers, or {"error": why}}.

    The containers of a Pod share one network, so where one has no python3, another one's answer is as good.
    Source: https://kubernetes.io/docs/concepts/workloads/pods/#pod-networking
    """

    pod: str
    shapes = (WithApp, WithoutApp)
    get: ClassVar[dict[str, Any]] = {"port": 8080, "path": "/hostname"}
    url = f"http://127.0.0.1:{get['port']}{get['path']}"

    def question(self, state: PlainState) -> dict[str, Any] | None:
        pod = state.find("Pod", self.pod)
        running = [s["name"] for s in pod.container_statuses if "running" in (s.get("state") or {})] if pod else []
        question = ask_in_pod(pod, self.get) | {"program": WATCHING} if pod else {}
        return self.ask({name: question | {"container": name} for name in running})

    def is_whole(self, answers: dict[str, Any]) -> bool:
        return conforms(answers, (WithApp,)) or not answers["watched"]["app"]

    def read(self, seen: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return seen
