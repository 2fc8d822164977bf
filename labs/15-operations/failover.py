"""What both failover tasks look at: the Deployment live, the workers, and the observer's timeline."""

from dataclasses import dataclass
from typing import Any

from checker.sdk import Drain, Object, PlainState, State, Timeline, Traffic, counted, fail

SETTLE = 3.0  # seconds in which a Pod that was told to go may still be sent requests


@dataclass(frozen=True)
class LiveTraffic(Traffic):
    """The stream of requests to the guestbook that people use, in the lab's further namespace."""

    def question(self, state: PlainState) -> dict[str, Any] | None:
        namespace = f"{state.namespace}-live"
        service = state.find("Service", self.service, namespace)
        if not service:
            return None
        port = (service.spec.get("ports") or [{}])[0].get("port", 80)
        url = f"http://{self.service}.{namespace}.svc.cluster.local.:{port}{self.path}"
        return {"do": "timeline", "url": url, "namespace": namespace}


LIVE = LiveTraffic("guestbook", "/hostname")


def live_deployment(state: State) -> Object:
    """The Deployment that people use, working, and its Service too."""
    namespace = f"{state.namespace}-live"
    for kind in ("Deployment", "Service"):
        if not state.find(kind, "guestbook", namespace):
            fail(
                "object-missing", f"{kind} guestbook of namespace {namespace}, which people use, is gone.",
                expected=f"{kind} guestbook in namespace {namespace}", observed="none", object=f"{kind}/guestbook",
                look=f"kubectl get deployments,services -n {namespace}",
            )  # fmt: skip
    return state.require("Deployment", "guestbook", namespace)


def workers(state: State) -> dict[str, Object]:
    """The workers by name, also one that somebody's own taint keeps Pods away from."""
    return {n.name: n for n in state.everywhere("Node") if "node-role.kubernetes.io/control-plane" not in n.labels}


def since_start(state: State, moment: float) -> bool:
    """Whether something happened after the lab was started: the observer may have been looking before."""
    return not state.started or moment >= state.started.timestamp()


def words(lost: dict[str, int]) -> str:
    return ", ".join(f"{count} {error}" for error, count in sorted(lost.items()))


def were_lost(lost: dict[str, int]) -> str:
    return f"{counted(sum(lost.values()), 'request')} {'was' if sum(lost.values()) == 1 else 'were'} lost"


def lost_in(timeline: Timeline, drain: Drain) -> dict[str, int]:
    return timeline.lost_between(drain.begin, drain.end + SETTLE)
