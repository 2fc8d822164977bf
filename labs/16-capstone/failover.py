"""What both failover tasks judge: the Deployment in namespace live, the workers, and the observer's timeline."""

from dataclasses import dataclass
from typing import Any

from checker.sdk import Drain, Object, PlainState, Ref, State, Timeline, Traffic, fail

SETTLE = 3.0  # seconds in which a terminating Pod may still get requests


@dataclass(frozen=True)
class LiveTraffic(Traffic):
    """The observer's stream of requests to the guestbook in the lab's namespace live."""

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
    """The Deployment in namespace live. Raises Failed where it or its Service does not exist, or it does not work."""
    namespace = f"{state.namespace}-live"
    for kind in ("Deployment", "Service"):
        if not state.find(kind, "guestbook", namespace):
            others = sorted(one.name for one in state.all(kind, namespace))
            fail("object-missing", Ref(kind, "guestbook", namespace), form="begun-with", others=others)
    return state.require("Deployment", "guestbook", namespace)


def workers(state: State) -> dict[str, Object]:
    """The workers by name, also those with a taint of the learner's own."""
    return {n.name: n for n in state.everywhere("Node") if "node-role.kubernetes.io/control-plane" not in n.labels}


def since_start(state: State, moment: float) -> bool:
    """Whether a moment (seconds since 1970) is after the lab's start. The observer's record may begin before it."""
    return not state.started or moment >= state.started.timestamp()


def lost_in(timeline: Timeline, drain: Drain) -> dict[str, int]:
    """How many requests were lost during a drain, by error."""
    return timeline.lost_between(drain.begin, drain.end + SETTLE)
