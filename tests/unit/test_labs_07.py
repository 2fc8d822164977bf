"""Lab 07 on recordings that were altered: what no case of the lab produces."""

from __future__ import annotations

import pytest

from checker import recording
from checker.grading.grade import judge
from checker.grading.labs import load_lab
from checker.grading.observations import NodePorts
from checker.model.state import State

from .objects import node, obj, service, state

LAB = load_lab("07")


def recorded(name: str) -> State:
    return recording.load(LAB.folder / "recorded" / f"{name}.json")[0]


def causes(seen: State) -> dict[str, str]:
    return {task.id: task.cause for task in judge(LAB, seen).tasks if task.verdict != "passed"}


def test_a_replica_that_lost_the_label_that_the_service_goes_by_is_silent() -> None:
    seen = recorded("other-spelling")
    ready = [pod for pod in seen.all("Pod") if pod.is_ready and pod.labels.get("tier") == "web"]
    del ready[0].labels["tier"]
    (through,) = (key for key in seen.observations if key.startswith("Http(") and "'guestbook'" in key)
    answers = seen.observations[through]
    seen.observations[through] = [answer for answer in answers if answer["host"] != ready[0].name]
    assert causes(seen)["every-replica-answers"] == "replica-gets-no-traffic"
    assert "reaches-pods" not in causes(seen)


@pytest.mark.parametrize("selector", [{"app": "guestbook"}, {}])
def test_another_name_for_a_service_is_none_for_pods(selector: dict[str, str]) -> None:
    seen = recorded("solution")
    found = seen.find("Service", "guestbook")
    assert found
    found.spec |= {"type": "ExternalName", "externalName": "guestbook-outside", "selector": selector}
    found.spec.pop("clusterIP")
    slices = seen.objects["EndpointSlice"]
    seen.objects["EndpointSlice"] = [s for s in slices if s.labels["kubernetes.io/service-name"] != "guestbook"]
    assert causes(seen) == dict.fromkeys(("reaches-pods", "every-replica-answers"), "service-is-externalname")


def test_a_service_from_outside_that_knows_only_the_pods_of_today_is_not_enough() -> None:
    seen = recorded("solution")
    outside = seen.find("Service", "guestbook-outside")
    assert outside
    outside.spec["selector"] = dict(
        next(pod.labels for pod in seen.all("Pod") if pod.is_ready)
    )  # pod-template-hash too
    assert causes(seen) == {"from-outside": "selector-not-of-template"}


def test_every_tcp_port_that_a_service_opens_on_the_nodes_is_asked() -> None:
    ports = [
        {"port": 53, "protocol": "UDP", "nodePort": 30001},
        {"port": 9090, "nodePort": 30002},
        {"port": 80, "nodePort": 30003},
    ]
    worker = node()
    worker.status["addresses"] = [{"type": "InternalIP", "address": "172.18.0.3"}]
    seen = state(
        worker,
        service("many", ports=ports),
        service("outer", externalIPs=["172.18.0.3"]),
        service("far", externalIPs=["192.0.2.1"]),
    )
    question = NodePorts().question(seen)
    assert question and question["ports"] == {"many": 30002, "many:1": 30003, "outer": 80}


def test_a_good_answer_at_any_port_of_a_service_is_one() -> None:
    seen = recorded("solution")
    (outside,) = (key for key in seen.observations if key.startswith("NodePorts("))
    by_node = seen.observations[outside].pop("guestbook-outside")
    refused = {"status": 0, "text": "", "host": "", "version": "", "error": "refused"}
    seen.observations[outside] = {"guestbook-outside": dict.fromkeys(by_node, refused), "guestbook-outside:1": by_node}
    assert causes(seen) == {}


LOST = {"status": 0, "text": "", "host": "", "version": "", "error": "timeout"}


def kept_out(**spec: object) -> State:
    """The solution with a policy for its Pods, and nobody who asked had an answer."""
    seen = recorded("solution")
    seen.objects["NetworkPolicy"] = [obj("NetworkPolicy", "deny-all", spec={"podSelector": {}, **spec})]
    for key, answers in seen.observations.items():
        if key.startswith("Http("):
            seen.observations[key] = [{**LOST, "count": 60}]
        elif key.startswith("NodePorts("):
            seen.observations[key] = {name: dict.fromkeys(nodes, LOST) for name, nodes in answers.items()}
        else:
            seen.observations[key] = dict.fromkeys(answers, "timeout")
    return seen


def test_where_nobody_had_an_answer_the_policy_that_keeps_them_out_is_named() -> None:
    failed = [task for task in judge(LAB, kept_out(policyTypes=["Ingress"])).tasks if task.verdict != "passed"]
    assert [(task.cause, task.object) for task in failed] == [("path-not-allowed", "NetworkPolicy/deny-all")] * 4
    assert all(task.fault and task.fault.facts["policies"] == ["deny-all"] for task in failed)
    assert all("timeout" in task.message and "deny-all" in task.message for task in failed)
    assert "from outside the cluster to port 8080 of Deployment guestbook" in failed[3].message


@pytest.mark.parametrize(
    "spec",
    [
        {"policyTypes": ["Egress"]},
        {"ingress": [{}]},
        {"ingress": [{"from": [{"ipBlock": {"cidr": "172.18.0.0/16"}}]}]},
    ],
)
def test_a_policy_that_may_let_them_in_is_not_blamed(spec: dict[str, object]) -> None:
    assert "path-not-allowed" not in causes(kept_out(**spec)).values()


def test_a_policy_that_lets_in_only_the_cluster_keeps_out_who_asks_from_outside() -> None:
    lost = kept_out(ingress=[{"from": [{"namespaceSelector": {}}]}])
    seen = recorded("solution")
    seen.objects["NetworkPolicy"] = lost.objects["NetworkPolicy"]
    seen.observations |= {key: answers for key, answers in lost.observations.items() if key.startswith("NodePorts(")}
    assert causes(seen) == {"from-outside": "path-not-allowed"}
