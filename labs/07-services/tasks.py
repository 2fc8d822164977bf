"""Judging lab 07: what matters is who answers, not how the Services are written."""

from typing import NoReturn

from checker.sdk import (
    Answer,
    Answers,
    Failed,
    Fault,
    Http,
    NodePorts,
    Object,
    Ref,
    State,
    fail,
    outside_cluster,
    ports_on_nodes,
    require_selects_by_template,
    selects_by_template,
    task,
)

THROUGH_THE_SERVICE = Http("guestbook", "/hostname", times=20, per_pod=True)
NEWS = Http("news", "/hostname", times=5)
FROM_OUTSIDE = NodePorts("/hostname")
REPLICAS = 3  # as many as must be ready


def fail_if_other_backends_answer(
    state: State, service: Object, hosts: set[str], deployment: str = "guestbook"
) -> None:
    state.fail_for_other_backends(service, state.require("Deployment", deployment), hosts)


def service_of(state: State, name: str) -> Object:
    """The Service of a Deployment, both with this name.

    It sends requests only to Pods of the Deployment, and will do so to Pods that are created later.
    """
    service, deployment = state.require("Service", name), state.require("Deployment", name)
    fail_if_other_backends_answer(state, service, {pod.name for pod in state.ready_pods(service)}, name)
    require_selects_by_template(service, deployment)
    return service


@task("reaches-pods", observe=THROUGH_THE_SERVICE)
def service_reaches_the_guestbook(state: State, answers: Answers) -> None:
    service = service_of(state, "guestbook")
    state.require_answers(service, answers)
    fail_if_other_backends_answer(state, service, answers.hosts)


@task("every-replica-answers", observe=THROUGH_THE_SERVICE)
def every_replica_gets_its_share(state: State, answers: Answers) -> None:
    service = service_of(state, "guestbook")
    deployment = state.require("Deployment", "guestbook")
    ready = [pod for pod in state.pods_of(deployment) if pod.is_ready]
    state.require_working(deployment)
    require_on_two_nodes(state, deployment, ready)
    state.require_answers(service, answers)
    fail_if_other_backends_answer(state, service, answers.hosts)
    silent = {pod.name for pod in ready} - answers.hosts
    if silent and service.spec.get("sessionAffinity") == "ClientIP":
        hosts = sorted(answers.hosts)
        fail("service-sticks-to-clients", service, requests=len(answers), hosts=hosts, pods=len(answers.hosts | silent))
    if silent:
        pods = len(answers.hosts | silent)
        facts = {"requests": len(answers), "silent": sorted(silent), "pods": pods}
        fail("replica-gets-no-traffic", service, in_progress=True, **facts)


def require_on_two_nodes(state: State, deployment: Object, ready: list[Object]) -> None:
    """Raise Failed if these ready Pods of a Deployment are too few, or all on one node."""
    nodes = {pod.spec["nodeName"] for pod in ready}
    if len(ready) < REPLICAS:
        fail("too-few-replicas", deployment, ready=len(ready), wanted=REPLICAS)
    if len(nodes) < 2:
        fail("pods-on-one-node", deployment, pods=len(ready), nodes=sorted(nodes))


@task("news-answers", observe=NEWS)
def news_service_is_repaired(state: State, answers: Answers) -> None:
    service = service_of(state, "news")
    state.require_answers(service, answers)
    fail_if_other_backends_answer(state, service, answers.hosts, "news")


@task("from-outside", observe=FROM_OUTSIDE)
def guestbook_answers_from_outside(state: State, answers: dict[str, dict[str, Answer]]) -> None:
    deployment = state.require("Deployment", "guestbook")  # nothing to reach without it
    services = [service for service in state.all("Service") if ports_on_nodes(state, service)]
    if not services:
        _fail_without_node_port(state)
    answering = [s for s in services if answers_well(state, s, answers_at_ports(s, answers))]
    if any(selects_by_template(service, deployment) for service in answering):
        return
    for service in answering:
        require_selects_by_template(service, deployment)
    for service in services:
        state.require_working(service)
    service = services[0]
    ports = ports_on_nodes(state, service)
    by_address = {
        f"{node}:{ports[number]}": answer
        for number, by_node in answers_at_ports(service, answers).items()
        for node, answer in by_node.items()
    }
    fail_if_other_backends_answer(state, service, {answer.text for answer in by_address.values() if answer.ok})
    if not by_address:
        fail("node-port-unreachable", service, form="not-asked", in_progress=True)
    words = {at: answer.words for at, answer in by_address.items()}
    fault = Fault("node-port-unreachable", Ref.of(service), {"by_node": words, "answers": sorted(set(words.values()))})
    lost = all(answer.never_arrived for answer in by_address.values())
    if lost:
        state.explain_blocked(service, state.pods_of(service), fault, outside_cluster())
    raise Failed(fault.but(in_progress=lost))


def _fail_without_node_port(state: State) -> NoReturn:
    """Raise Failed: no Service opens a TCP port on the nodes."""
    types, without, protocols = {}, [], {}
    for service in state.all("Service"):
        types[service.name] = service.spec.get("type", "ClusterIP")
        if types[service.name] in ("NodePort", "LoadBalancer"):
            of_node_ports = {port["protocol"] for port in service.spec["ports"] if port.get("nodePort")}
            if of_node_ports:
                protocols[service.name] = "/".join(sorted(of_node_ports))
            else:
                without.append(service.name)
    wanted = Ref("Service", "guestbook", state.namespace)
    fail("not-a-node-port", wanted, types=types, without=without, protocols=protocols)


def answers_at_ports(service: Object, answers: dict[str, dict[str, Answer]]) -> dict[int, dict[str, Answer]]:
    """What the nodes answered, by name, at each port that a Service opens there (see NodePorts)."""
    found = {}
    for key, by_node in answers.items():
        name, _, number = key.partition(":")
        if name == service.name:
            found[int(number or 0)] = by_node
    return found


def answers_well(state: State, service: Object, answers: dict[int, dict[str, Answer]]) -> bool:
    """Whether some port of the Service was answered on some node, and only by Pods of the guestbook."""
    hosts = [{answer.text for answer in by_node.values() if answer.ok} for by_node in answers.values()]
    return any(
        names and not state.other_backends(service, state.require("Deployment", "guestbook"), names) for names in hosts
    )
