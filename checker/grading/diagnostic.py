"""The observations that a diagnosis uses, besides the objects.

They say which ports accept connections, what probes get, and whether the cluster's DNS answers.
Every check makes the first one; `kubeclass explain` and the picture make all three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from checker.diagnosis.containers import container_spec
from checker.diagnosis.dns import CONTROL, DNS_CONTROL
from checker.diagnosis.probes import PROBED
from checker.diagnosis.service import declared_ports, pods_behind, pods_by_hand, target_ports
from checker.grading.observations import Observation
from checker.model.state import REACH, State


@dataclass(frozen=True)
class Reached(Observation[dict[str, str]]):
    """A TCP connection to every address to which a Service of the lab's namespaces sends requests.

    For comparison, there is one to each other port of those Pods. Read as {"IP:port": "open", "refused" or "timeout"}.
    """

    observed_by = "observer"

    @property
    def key(self) -> str:
        return REACH

    def question(self, state: State) -> dict[str, Any] | None:
        if not state.can_see("Service") or not state.can_see("Pod"):
            return None
        targets: set[str] = set()
        for service in state.in_lab("Service"):
            for pod in pods_behind(state, service):
                address = pod.status.get("podIP")
                if address and pod.is_ready:
                    ports = {*target_ports(service, pod), *target_ports(service, pod).values(), *declared_ports(pod)}
                    targets |= {f"{address}:{port}" for port in ports}
            if not service.spec.get("selector"):
                for pod, port in pods_by_hand(state, service):
                    targets |= {f"{pod.status['podIP']}:{one}" for one in (port, *declared_ports(pod)) if pod.is_ready}
        return {"do": "tcp", "to": sorted(targets)} if targets else None

    def read(self, seen: Any) -> dict[str, str]:
        return dict(seen)


@dataclass(frozen=True)
class Probed(Observation[dict[str, Any]]):
    """The request of each HTTP probe that fails, of containers that run. Read as {"pod/container": answer}.

    The kubelet keeps only a status of what its probe gets, and in an event, which may come late or never.
    """

    observed_by = "observer"

    @property
    def key(self) -> str:
        return PROBED

    def question(self, state: State) -> dict[str, Any] | None:
        urls: dict[str, str] = {}
        for pod in state.all("Pod") if state.can_see("Pod") else []:
            for status in pod.status.get("containerStatuses") or []:
                spec = container_spec(pod, status["name"])
                probe = spec.get("startupProbe") if status.get("started") is False else None
                probe = probe or spec.get("readinessProbe")
                restarted = status.get("restartCount") and spec.get("livenessProbe")
                failing = not status.get("ready") or (restarted and not probe)
                get = ((spec.get("livenessProbe") if restarted and not probe else probe) or {}).get("httpGet")
                running = "running" in (status.get("state") or {})
                if not get or not failing or not running or not pod.status.get("podIP"):
                    continue
                named = {port.get("name"): port["containerPort"] for port in spec.get("ports") or []}
                port = named.get(get.get("port"), get.get("port"))
                if get.get("scheme", "HTTP") == "HTTP" and str(port).isdigit() and not get.get("host"):
                    path = get.get("path", "/").lstrip("/")
                    urls[f"{pod.name}/{status['name']}"] = f"http://{pod.status['podIP']}:{port}/{path}"
        return {"do": "each", "urls": urls} if urls else None

    def read(self, seen: Any) -> dict[str, Any]:
        return dict(seen)


@dataclass(frozen=True)
class DnsControl(Observation[dict[str, Any]]):
    """A DNS query for a name that every cluster has. Read as {name: lookup}."""

    observed_by = "observer"

    @property
    def key(self) -> str:
        return DNS_CONTROL

    def question(self, state: State) -> dict[str, Any]:
        return {"do": "dns", "names": [CONTROL]}

    def read(self, seen: Any) -> dict[str, Any]:
        return dict(seen)


EVERY_CHECK: tuple[Observation[Any], ...] = (Reached(),)
EXPLAIN: tuple[Observation[Any], ...] = (Reached(), Probed(), DnsControl())
