"""What a lab's code is given as `state`: a State, and the questions of tasks, which end a task where the answer is no.

`from checker import State` is this one.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, NoReturn

from checker import diagnosis
from checker.diagnosis.dns import explain_name
from checker.diagnosis.missing import require
from checker.diagnosis.network_policy import End, observer
from checker.diagnosis.network_policy_reasons import explain_kept_out
from checker.diagnosis.owners import pods_owned
from checker.diagnosis.refine import refined
from checker.diagnosis.restarts import walk_restarts
from checker.diagnosis.service import target_ports
from checker.diagnosis.taints import untolerated
from checker.model.kinds import KINDS
from checker.model.spelling import are_no, nearest
from checker.model.state import Object, State
from checker.model.verdict import Failed, NotPassed, Unknown, fail


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

    def require_some(self, kind: str, words: str, found: list[Object], namespace: str | None = None) -> None:
        """At least one object of a kind, of whatever name. Raises Failed where there is none. words: which ones are meant."""
        if not found:
            others = ", ".join(sorted(o.name for o in self.all(kind, namespace))) or "none"
            fail(
                "object-missing", f"There is no {kind} {words} in namespace {namespace or self.namespace}.".replace("  ", " "),
                expected=f"a {kind} {words}".rstrip(), observed=f"{kind} objects there: {others}", object=kind,
                look=f"kubectl get {KINDS[kind].plural}" + (f" -n {namespace}" if namespace else ""),
            )  # fmt: skip

    def require_key(self, source: Object, key: str) -> None:
        """A ConfigMap or Secret has a key. Raises Failed otherwise."""
        keys = [*(source.raw.get("data") or {}), *(source.raw.get("binaryData") or {})]
        if key in keys:
            return
        similar = nearest(key, keys, cutoff=0.6)
        fail(
            "key-missing",
            f"{source.kind} {source.name} has no key {key}." + (f" It has {similar}: is it meant?" if similar else ""),
            expected=f"a key {key}", observed=f"its keys: {', '.join(sorted(keys)) or 'none'}", object=source.ref,
            look=f"kubectl describe {source.kind.lower()} {source.name}",
        )  # fmt: skip

    def require_image(self, obj: Object, image: str) -> None:
        """A Pod or workload is made from this image, whether its containers run yet or not. Raises Failed otherwise."""
        if not obj.runs(image):
            seen = ", ".join(obj.images)
            fail(
                "wrong-image",
                f"The {'image' if len(obj.images) == 1 else 'images'} of {obj.kind} {obj.name} {'is' if len(obj.images) == 1 else 'are'} {seen}.",
                expected=image, observed=seen, object=obj.ref, look=f"kubectl describe {obj.kind.lower()} {obj.name}",
            )  # fmt: skip

    def require_working(self, obj: Object) -> None:
        """Walk the chain that makes this object work.

        Raises Failed (or Unknown) with the exact cause of the first broken link. `kubeclass explain` names the same one.
        """
        try:
            diagnosis.walk(self, obj)
        except NotPassed as end:
            fault = refined(self, end.fault)
            raise Failed(fault) if fault.outcome == "failed" else Unknown(fault) from end

    def require_lasting(self, pod: Object) -> None:
        """A Pod works, has not ended, and does not end again and again. Raises Failed (or Unknown) otherwise."""
        self.require_working(pod)
        if pod.status.get("phase") == "Succeeded":
            fail(
                "container-ends", f"Pod {pod.name} has ended by itself (exit code 0): it holds nothing of its node any more.",
                expected="a process that keeps running", observed="phase Succeeded", object=pod.ref, look=f"kubectl describe pod {pod.name}",
            )  # fmt: skip
        walk_restarts(self, pod)

    def pods_of(self, obj: Object) -> list[Object]:
        """The Pods behind a Service, a workload or a Pod, without those on their way out."""
        return diagnosis.pods_of(self, obj)

    def ready_pods(self, obj: Object) -> list[Object]:
        """The ready Pods behind a Service or a workload. Raises Failed with the first broken link where there are none."""
        ready = [pod for pod in self.pods_of(obj) if pod.is_ready]
        if not ready:
            self.require_working(obj)
        return ready

    def pods_leaving(self, workload: Object) -> list[Object]:
        """The Pods of a workload, of all its revisions, that were told to go and are still there."""
        return [pod for pod in pods_owned(self, workload) if pod.is_terminating]

    def workers(self) -> list[Object]:
        """The nodes that are there for ordinary Pods, whether they take any at the moment or not."""
        return [
            node
            for node in self.everywhere("Node")
            if not [t for t in untolerated(node, []) if not t["key"].startswith("node.kubernetes.io/")]
        ]

    def explain_name(self, host: str, lookups: dict[str, Any], asked_in: Object) -> NoReturn:
        """Raise Failed (or Unknown) with the reason why a DNS name leads nowhere (see checker/diagnosis/dns.py)."""
        explain_name(self, host, asked_in, lookups)

    def require_answers(self, service: Object, answers: Any) -> None:
        """A Service works, and every one of these answers from it (see observe.Answers) is a good one. Raises Failed otherwise.

        Requests that never arrived although the Service works are given time: each node's proxy learns of a Service and
        its endpoints in its own time (https://kubernetes.io/docs/reference/networking/virtual-ips/). So are other bad answers
        where something is new: until the proxy knows the address, a request to it leaves the cluster, and whoever is there may answer.
        """
        self.require_working(service)
        self.require_tcp_port(service)
        bad = answers.bad
        if bad and service.spec.get("internalTrafficPolicy") == "Local" and all(answer.never_arrived for answer in bad):
            fail(
                "service-local-only",
                f"Service {service.name} has internalTrafficPolicy Local: it sends requests only to Pods on the node of whoever asks, "
                f"and from a node without such a Pod {len(bad)} of {len(answers)} requests went nowhere.",
                expected="an answer from every node", observed=bad[0].words, object=service.ref,
                look=f"kubectl describe service {service.name}",
            )  # fmt: skip
        if bad:
            story = (
                f"Of {len(answers)} requests to Service {service.name}, {len(bad)} got no good answer: {bad[0].words}."
            )
            lost = all(answer.never_arrived for answer in bad)
            if lost:
                self.explain_kept_out(service, self.pods_of(service), story)
            slices = self.selected("EndpointSlice", {"kubernetes.io/service-name": service.name}, service.namespace)
            fail(
                "service-does-not-answer", story,
                expected="status 200", observed=bad[0].words, object=service.ref, look=f"kubectl describe service {service.name}",
                pending=lost or self.changed_within(10, service, *self.pods_of(service), *slices),
            )  # fmt: skip

    def explain_kept_out(self, service: Object, pods: list[Object], story: str, source: End | None = None) -> None:
        """Raise Failed where policies keep whoever had no answer (by default the observer) away from one of a Service's Pods.

        story: what came of asking, in a sentence.
        """
        for pod in pods:
            for port in target_ports(service, pod).values():
                explain_kept_out(self, source or observer(self), pod, port, story)

    @staticmethod
    def require_tcp_port(service: Object) -> None:
        """Raise Failed if a Service has no port at which it can be sent requests over TCP."""
        ports = [(port["port"], port.get("protocol", "TCP")) for port in service.spec.get("ports") or []]
        if not any(protocol == "TCP" for _, protocol in ports):
            words = ", ".join(f"{number}/{protocol}" for number, protocol in ports) or "none"
            fail(
                "service-port-missing", f"Service {service.name} takes no requests over TCP. Its ports: {words}.",
                expected="a port for TCP", observed=words, object=service.ref, look=f"kubectl describe service {service.name}",
            )  # fmt: skip

    def strangers(self, service: Object, deployment: Object, hosts: set[str]) -> set[str]:
        """Who is behind a Service, or says so in an answer (hosts), and is no Pod of this Deployment that stays: names, or addresses of nobody known."""
        names = {pod.status.get("podIP", ""): pod.name for pod in self.all("Pod")}
        behind = {names.get(address, address) for address in self.endpoints(service)}
        return (behind | hosts) - {pod.name for pod in self.pods_of(deployment)}

    def fail_for_strangers(self, service: Object, deployment: Object, hosts: set[str]) -> None:
        """Raise Failed if there are strangers behind a Service, or answered for it.

        Time is given while the cluster's proxies may not know yet of what is new, or of a Pod of this Deployment that was told to go.
        """
        strangers = self.strangers(service, deployment, hosts)
        if not strangers:
            return
        leaving = {pod.name for pod in self.pods_leaving(deployment)}
        fail(
            "service-answers-wrong",
            f"Service {service.name} is answered by {', '.join(sorted(strangers))}, which {are_no(len(strangers), 'Pod')} of Deployment {deployment.name}"
            + (" that stays." if strangers <= leaving else "."),
            expected=f"answers from Pods of Deployment {deployment.name}", observed=", ".join(sorted(strangers)), object=service.ref,
            look=f"kubectl get endpointslices -l kubernetes.io/service-name={service.name} -o yaml",
            pending=strangers <= leaving or self.changed_within(5, *self.pods_of(service), *self.pods_of(deployment)),
        )  # fmt: skip
