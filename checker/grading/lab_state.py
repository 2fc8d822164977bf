"""What a lab's code is given as `state`: a State, and the questions of tasks, which end a task where the answer is no.

`from checker.sdk import State` is this one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, NoReturn

from checker import diagnosis
from checker.diagnosis.dns import explain_name
from checker.diagnosis.missing import require
from checker.diagnosis.network_policy import PathEnd, observer
from checker.diagnosis.network_policy_reasons import explain_blocked
from checker.diagnosis.owners import pods_owned
from checker.diagnosis.refine import refined
from checker.diagnosis.restarts import walk_restarts
from checker.diagnosis.service import target_ports
from checker.diagnosis.taints import is_worker
from checker.model.durations import TIME_FOR_KUBE_PROXY, TIME_FOR_KUBE_PROXY_AFTER_POD_CHANGE
from checker.model.fault import Failed, Fault, NotPassed, Ref, Unknown, fail
from checker.model.kinds import KINDS
from checker.model.spelling import nearest
from checker.model.state import Object, State

# Why an image is not there.
IMAGE_CAUSES = ("image-name-typo", "image-not-found", "image-not-loaded", "image-name-invalid")


class LabState(State):
    """See the module's text."""

    @classmethod
    def of(cls, state: State) -> LabState:
        """The same State, for a lab's code."""
        return cls(**{field.name: getattr(state, field.name) for field in fields(State)})

    def require(self, kind: str, name: str, namespace: str | None = None) -> Object:
        """One object of the lab's namespace, or of another one.

        Raises Failed with the nearest explanation of its absence: the namespace itself is gone, the manifest was
        refused, it is in another namespace, it has another name, another kind was made, or nothing like it exists.
        """
        return require(self, kind, name, namespace)

    def require_some(self, kind: str, image: str, found: list[Object], namespace: str | None = None) -> None:
        """At least one object of a kind, of whatever name. Raises Failed where there is none.

        found: the objects that count. image: the image from which they must be made; empty where any object counts.
        """
        if not found:
            about = Ref(kind, "", (namespace or self.namespace) if KINDS[kind].namespaced else "")
            others = sorted(o.name for o in self.all(kind, namespace))
            plural, elsewhere = KINDS[kind].plural, namespace or ""
            fail("object-missing", about, form="any", image=image, others=others, plural=plural, elsewhere=elsewhere)

    def require_key(self, source: Object, key: str) -> None:
        """A ConfigMap or Secret has a key. Raises Failed otherwise."""
        keys = [*(source.raw.get("data") or {}), *(source.raw.get("binaryData") or {})]
        if key in keys:
            return
        fail("key-missing", source, key=key, near=nearest(key, keys, cutoff=0.6), keys=sorted(keys))

    def require_image(self, obj: Object, image: str) -> None:
        """A Pod or workload is made from this image, whether its containers run yet or not. Raises Failed otherwise.

        Where its own image exists nowhere, that is the cause.
        """
        if obj.runs(image):
            return
        try:
            self.require_working(obj)
        except NotPassed as end:
            if end.fault.cause in IMAGE_CAUSES:
                raise
        fail("wrong-image", obj, image=image, images=obj.images)

    def require_working(self, obj: Object) -> None:
        """Walk the chain that makes this object work.

        Raises Failed (or Unknown) with the exact cause of the first broken link.
        `kubeclass explain` names the same one.
        Of a kind that has no chain, such as an Ingress, it makes the checks that `explain` makes.
        """
        look = diagnosis.walk if obj.kind in diagnosis.CHAINS else diagnosis.walk_further
        with self._exact_cause():
            look(self, obj)

    @contextmanager
    def _exact_cause(self) -> Iterator[None]:
        """Within this block a fault is refined before it is raised, so that it is the one that `explain` names."""
        try:
            yield
        except NotPassed as end:
            fault = refined(self, end.fault)
            raise Failed(fault) if fault.outcome == "failed" else Unknown(fault) from end

    def require_lasting(self, pod: Object) -> None:
        """A Pod works, has not ended, and does not end again and again. Raises Failed (or Unknown) otherwise.

        The cause is the exact one, as of `require_working`.
        """
        self.require_working(pod)
        if pod.status.get("phase") == "Succeeded":
            fail("container-ends", pod, form="pod-succeeded")
        with self._exact_cause():
            walk_restarts(self, pod)

    def pods_of(self, obj: Object) -> list[Object]:
        """The Pods behind a Service, a workload or a Pod, without those on their way out."""
        return diagnosis.pods_of(self, obj)

    def ready_pods(self, obj: Object) -> list[Object]:
        """The ready Pods of a Service or a workload.

        Raises Failed with the first broken link where there are none.
        """
        ready = [pod for pod in self.pods_of(obj) if pod.is_ready]
        if not ready:
            self.require_working(obj)
        return ready

    def pods_leaving(self, workload: Object) -> list[Object]:
        """The Pods of a workload, of all its revisions, that were told to go and are still there."""
        return [pod for pod in pods_owned(self, workload) if pod.is_terminating]

    def workers(self) -> list[Object]:
        """The nodes that are there for ordinary Pods, whether they take any at the moment or not."""
        return [node for node in self.everywhere("Node") if is_worker(node)]

    def explain_name(self, host: str, lookups: dict[str, Any], client: Object) -> NoReturn:
        """Raise Failed (or Unknown) with the reason why a DNS name leads nowhere (see checker/diagnosis/dns.py)."""
        explain_name(self, host, client, lookups)

    def require_answers(self, service: Object, answers: Any) -> None:
        """A Service works, and each of these answers from it is a good one. Raises Failed otherwise.

        answers: see checker/model/answers.py.
        Requests that never arrived although the Service works are given time: each node's kube-proxy learns of a
        Service and its endpoints in its own time (https://kubernetes.io/docs/reference/networking/virtual-ips/).
        Other bad answers are given time where something is new. Until kube-proxy knows the address, a request to it
        leaves the cluster, and another server may answer.
        """
        self.require_working(service)
        self.require_tcp_port(service)
        bad = answers.bad
        if not bad:
            return
        requests, failed, first = len(answers), len(bad), bad[0].words
        lost = all(answer.never_arrived for answer in bad)
        if lost and service.spec.get("internalTrafficPolicy") == "Local":
            fail("service-local-only", service, requests=requests, failed=failed, answer=first)
        facts = {"requests": requests, "failed": failed, "answer": first}
        fault = Fault("service-does-not-answer", Ref.of(service), facts)
        if lost:
            self.explain_blocked(service, self.pods_of(service), fault)
        slices = self.selected("EndpointSlice", {"kubernetes.io/service-name": service.name}, service.namespace)
        new = self.changed_within(TIME_FOR_KUBE_PROXY, service, *self.pods_of(service), *slices)
        raise Failed(fault.but(in_progress=lost or new))

    def explain_blocked(self, service: Object, pods: list[Object], story: Fault, source: PathEnd | None = None) -> None:
        """Raise Failed where policies block the source of the requests from one of a Service's Pods.

        story: the fault that tells what came of the requests; it is told first. source: by default the observer.
        """
        for pod in pods:
            for port in target_ports(service, pod).values():
                explain_blocked(self, source or observer(self), pod, port, story)

    @staticmethod
    def require_tcp_port(service: Object) -> None:
        """Raise Failed if a Service has no port at which it can be sent requests over TCP."""
        ports = [(port["port"], port.get("protocol", "TCP")) for port in service.spec.get("ports") or []]
        if not any(protocol == "TCP" for _, protocol in ports):
            fail(
                "service-port-missing",
                service,
                form="no-tcp",
                ports=[f"{number}/{protocol}" for number, protocol in ports],
            )

    def other_backends(self, service: Object, deployment: Object, hosts: set[str]) -> set[str]:
        """What is behind a Service, or answered for it (hosts), and is no Pod of this Deployment that stays.

        Returns names of Pods, and addresses that belong to no Pod of the State.
        """
        names = {pod.status.get("podIP", ""): pod.name for pod in self.all("Pod")}
        behind = {names.get(address, address) for address in self.endpoints(service)}
        return (behind | hosts) - {pod.name for pod in self.pods_of(deployment)}

    def fail_for_other_backends(self, service: Object, deployment: Object, hosts: set[str]) -> None:
        """Raise Failed if other backends than this Deployment's Pods are behind a Service, or answered for it.

        Time is given while kube-proxy on some node may not know yet of a new object, or of a terminating Pod of this
        Deployment.
        """
        other_backends = self.other_backends(service, deployment, hosts)
        if not other_backends:
            return
        leaving = {pod.name for pod in self.pods_leaving(deployment)}
        names, of = sorted(other_backends), deployment.name
        if other_backends <= leaving:
            fail("service-answers-wrong", service, form="terminating", backends=names, deployment=of, in_progress=True)
        pods = [*self.pods_of(service), *self.pods_of(deployment)]
        new = self.changed_within(TIME_FOR_KUBE_PROXY_AFTER_POD_CHANGE, *pods)
        fail("service-answers-wrong", service, backends=names, deployment=of, in_progress=new)
