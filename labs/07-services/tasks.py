"""Judging lab 07: what matters is who answers, not how the Services are written."""

from typing import Any

from checker.sdk import (
    Answer,
    Answers,
    Http,
    NodePorts,
    Object,
    PodHttp,
    State,
    fail,
    outside_cluster,
    ports_on_nodes,
    require_selects_by_template,
    selects_by_template,
    task,
)

THROUGH_THE_SERVICE = Http("guestbook", "/hostname", times=20, per_pod=True)
AT_THEIR_OWN_IP = PodHttp("guestbook", "/hostname")
FROM_OUTSIDE = NodePorts("/hostname")


def guestbook_pods(state: State) -> list[Object]:
    """The Pods of the Deployment that the lab begins with, whatever was changed about it since."""
    return state.pods_of(state.require("Deployment", "guestbook"))


def fail_if_other_backends_answer(state: State, service: Object, hosts: set[str]) -> None:
    state.fail_for_other_backends(service, state.require("Deployment", "guestbook"), hosts)


def guestbook_service(state: State) -> Object:
    """The Service guestbook, where it leads to Pods of the Deployment and to nobody else, and will when they are made anew."""
    service, deployment = state.require("Service", "guestbook"), state.require("Deployment", "guestbook")
    fail_if_other_backends_answer(state, service, {pod.name for pod in state.ready_pods(service)})
    require_selects_by_template(service, deployment)
    return service


@task("reaches-pods", observe=THROUGH_THE_SERVICE)
def service_reaches_the_guestbook(state: State, answers: Answers) -> None:
    service = guestbook_service(state)
    state.require_answers(service, answers)
    fail_if_other_backends_answer(state, service, answers.hosts)


@task("every-replica-answers", observe=THROUGH_THE_SERVICE)
def every_replica_gets_its_share(state: State, answers: Answers) -> None:
    service = guestbook_service(state)
    ready = [pod for pod in guestbook_pods(state) if pod.is_ready]
    require_on_two_nodes(state, ready, at_least=3)
    state.require_answers(service, answers)
    fail_if_other_backends_answer(state, service, answers.hosts)
    silent = {pod.name for pod in ready} - answers.hosts
    if silent and service.spec.get("sessionAffinity") == "ClientIP":
        fail(
            "service-sticks-to-clients",
            f"All {len(answers)} requests from one client were answered by {', '.join(sorted(answers.hosts))}: "
            f"Service {service.name} has sessionAffinity ClientIP.",
            expected=f"answers from {len(answers.hosts | silent)} Pods",
            observed=f"answers from {len(answers.hosts)}",
            object=service.ref,
        )
    if silent:
        fail(
            "replica-gets-no-traffic",
            f"Of {len(answers)} requests to Service {service.name}, none was answered by {', '.join(sorted(silent))}.",
            expected=f"answers from {len(answers.hosts | silent)} Pods",
            observed=f"none from {', '.join(sorted(silent))}",
            object=service.ref,
            look="kubectl get endpointslices",
            pending=True,
        )


def require_on_two_nodes(state: State, ready: list[Object], at_least: int) -> None:
    deployment = state.require("Deployment", "guestbook")
    state.require_working(deployment)
    if len(ready) < at_least:
        fail(
            "too-few-replicas",
            f"Deployment guestbook has {len(ready)} ready Pod{'' if len(ready) == 1 else 's'}.",
            expected=f"at least {at_least}",
            observed=str(len(ready)),
            object=deployment.ref,
            look="kubectl get pods -o wide",
        )
    nodes = {pod.spec["nodeName"] for pod in ready}
    if len(nodes) < 2:
        fail(
            "pods-on-one-node",
            f"All {len(ready)} Pods of the guestbook are on node {', '.join(nodes)}.",
            expected="Pods on at least 2 nodes",
            observed=f"all on {', '.join(nodes)}",
            object=deployment.ref,
        )


@task("pods-reach-pods", observe=AT_THEIR_OWN_IP)
def every_pod_answers_at_its_own_address(state: State, answers: dict[str, Answer]) -> None:
    service = guestbook_service(state)
    ready = state.ready_pods(service)
    require_on_two_nodes(state, ready, at_least=2)
    state.require_working(service)
    state.require_tcp_port(service)
    for pod in ready:
        answer = answers.get(pod.name)
        if answer is None or not answer.ok or answer.text != pod.name:
            story = (
                f"Pod {pod.name} on node {pod.spec['nodeName']} does not answer at its own IP {pod.status['podIP']}: "
                f"{answer.words if answer else 'not asked yet'}."
            )
            if answer and answer.never_arrived:
                state.explain_blocked(service, [pod], story)
            fail(
                "pod-unreachable",
                story,
                expected=f"{pod.name} answers with its name",
                observed=answer.words if answer else "not asked yet",
                object=pod.ref,
                pending=answer is None or answer.never_arrived,
            )


@task("from-outside", observe=FROM_OUTSIDE)
def guestbook_answers_from_outside(state: State, answers: dict[str, dict[str, Answer]]) -> None:
    deployment = state.require("Deployment", "guestbook")  # nothing to reach without it
    services = [service for service in state.all("Service") if ports_on_nodes(state, service)]
    if not services:
        types = ", ".join(f"{s.name} is {type_of(s)}" for s in state.all("Service"))
        fail(
            "not-a-node-port",
            f"No Service of namespace {state.namespace} opens a TCP port on the nodes. {types or 'There is no Service'}.",
            expected="a Service that is reachable from outside",
            observed=types or "no Service",
            object="Service/guestbook",
        )
    answering = [s for s in services if answers_well(state, s, asked_of(s, answers))]
    if any(selects_by_template(service, deployment) for service in answering):
        return
    for service in answering:
        require_selects_by_template(service, deployment)
    for service in services:
        state.require_working(service)
    service = services[0]
    asked = [(node, answer) for by_node in asked_of(service, answers) for node, answer in sorted(by_node.items())]
    fail_if_other_backends_answer(state, service, {answer.text for _, answer in asked if answer.ok})
    heard = "; ".join(f"{node}: {answer.words}" for node, answer in asked)
    story = f"Service {service.name} has a port on the nodes, but no node answers there: {heard or 'not asked yet'}."
    lost = all(answer.never_arrived for _, answer in asked)
    if asked and lost:
        state.explain_blocked(service, state.pods_of(service), story, outside_cluster())
    fail(
        "node-port-unreachable",
        story,
        expected="an answer from outside the cluster",
        observed="; ".join(sorted({answer.words for _, answer in asked})) or "not asked yet",
        object=service.ref,
        pending=lost,
    )


def type_of(service: Object) -> str:
    """A Service's type, and where that type promises a port on the nodes, why no request gets in there."""
    kind = service.spec.get("type")
    if kind not in ("NodePort", "LoadBalancer"):
        return str(kind)
    protocols = ", ".join(sorted({port["protocol"] for port in service.spec["ports"] if port.get("nodePort")}))
    return f"{kind}, and its node ports are {protocols} ports" if protocols else f"{kind} without node ports"


def asked_of(service: Object, answers: dict[str, dict[str, Answer]]) -> list[dict[str, Answer]]:
    """What the nodes answered, by name, at each port that a Service opens there."""
    return [by_node for key, by_node in answers.items() if key.partition(":")[0] == service.name]


def answers_well(state: State, service: Object, asked: list[dict[str, Any]]) -> bool:
    """Whether some port of the Service was answered on some node, and by nobody but Pods of the guestbook."""
    hosts = [{answer.text for answer in by_node.values() if answer.ok} for by_node in asked]
    return any(
        names and not state.other_backends(service, state.require("Deployment", "guestbook"), names) for names in hosts
    )
