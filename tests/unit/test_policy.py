"""What policies allow, against a table; and the reasons for open and closed paths, each from a small world."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from checker.diagnosis import walk
from checker.diagnosis.network_policy import Direction, PolicyPath, cluster_dns, directions, end_of
from checker.diagnosis.network_policy_reasons import explain_closed, explain_open
from checker.diagnosis.selectors import label_sets, selects
from checker.grading.labs import load_lab, load_module
from checker.model.state import REACH, Object, State
from checker.model.verdict import Failed, NotPassed, Unknown
from tests.unit.objects import container, deployment, obj, pod, replica_set, service, slice_of, state

matrix = load_module(load_lab("14").folder, "matrix")
connections = load_module(load_lab("14").folder, "connections")
Attempts, Connection, Enforcement = connections.Attempts, connections.Connection, connections.Enforcement
ExtraQuestions, Matrix = connections.ExtraQuestions, connections.Matrix
WEB, REDIS, GUEST, CRAWLER = {"app": "web"}, {"app": "redis"}, {"role": "guest"}, {"role": "crawler"}
PODS = {
    "web": pod(
        "web", labels=WEB, ip="10.244.1.1", containers=[container(ports=[{"name": "http", "containerPort": 8080}])]
    ),
    "redis": pod("redis", labels=REDIS, ip="10.244.1.2"),
    "guest": pod("guest", labels=GUEST, ip="10.244.2.1", namespace="learn-out"),
    "crawler": pod("crawler", labels=CRAWLER, ip="10.244.2.2", namespace="learn-out"),
    "host": pod("host", labels=WEB, ip="172.18.0.2"),
}
PODS["host"].spec["hostNetwork"] = True


def policy(name: str = "p", namespace: str = "learn", **spec: Any) -> Object:
    """A policy with `podSelector: {}` unless something else is said."""
    return obj("NetworkPolicy", name, namespace=namespace, spec={"podSelector": {}, **spec})


def world(*policies: Object) -> State:
    labels = {"kubernetes.io/metadata.name": "learn-out", "team": "guests"}
    return state(*PODS.values(), *policies, obj("Namespace", "learn-out", namespace="", metadata={"labels": labels}))


def path(policies: list[Object], source: str, target: str, port: int = 8080, protocol: str = "TCP") -> PolicyPath:
    seen = world(*policies)
    ends = [cluster_dns(seen) if name == "dns" else end_of(seen, PODS[name]) for name in (source, target)]
    return PolicyPath(seen, ends[0], ends[1], port, protocol)


# Each row: spec of one policy in namespace learn, then the paths that must be open and those that must be closed.
TABLE = [
    ("nothing", "", "guest>web web>redis redis>web web>guest web>dns", ""),
    ("deny in", "podSelector: {}", "web>guest web>dns", "guest>web web>redis redis>web crawler>redis"),
    (
        "deny out",
        "{podSelector: {}, policyTypes: [Egress]}",
        "guest>web crawler>redis web>web",
        "web>redis web>guest web>dns",
    ),
    (
        "deny both",
        "{podSelector: {}, policyTypes: [Ingress, Egress]}",
        "web>web guest>crawler",
        "guest>web web>redis web>guest",
    ),
    ("other Pods only", "{podSelector: {matchLabels: {app: redis}}}", "guest>web redis>web", "web>redis guest>redis"),
    ("own Pods", "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}", "web>redis", "guest>redis"),
    ("everybody", "{podSelector: {}, ingress: [{}]}", "web>redis guest>web", ""),
    ("an empty list allows nobody", "{podSelector: {}, ingress: []}", "", "web>redis guest>web"),
    (
        "and",
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: guests}}, "
        "podSelector: {matchLabels: {role: guest}}}]}]}",
        "guest>web",
        "crawler>web redis>web",
    ),
    (
        "or",
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: guests}}}, "
        "{podSelector: {matchLabels: {app: redis}}}]}]}",
        "guest>web crawler>web redis>web",
        "web>redis",
    ),
    (
        "namespace only",
        "{podSelector: {}, ingress: [{from: "
        "[{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: learn-out}}}]}]}",
        "guest>web crawler>web",
        "redis>web",
    ),
    (
        "all namespaces",
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}",
        "guest>web redis>web",
        "host>redis",
    ),
    (
        "a Pod's label does not reach into another namespace",
        "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {role: guest}}}]}]}",
        "",
        "guest>web",
    ),
    (
        "block",
        "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.244.2.0/24, except: [10.244.2.2/32]}}]}]}",
        "guest>web",
        "crawler>web redis>web",
    ),
    (
        "block of a node",
        "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 172.18.0.0/16}}]}]}",
        "host>redis",
        "web>redis",
    ),
    (
        "port",
        "{podSelector: {}, ingress: [{ports: [{port: 8080}]}]}",
        "guest>web web>redis",
        "guest>web:9090 guest>web:8080/UDP",
    ),
    (
        "range",
        "{podSelector: {}, ingress: [{ports: [{port: 8000, endPort: 8080}]}]}",
        "guest>web guest>web:8000",
        "guest>web:8081",
    ),
    ("name of a port", "{podSelector: {}, ingress: [{ports: [{port: http}]}]}", "guest>web", "guest>web:9090"),
    ("name of a port that nobody has", "{podSelector: {}, ingress: [{ports: [{port: htp}]}]}", "", "guest>web"),
    ("protocol only", "{podSelector: {}, ingress: [{ports: [{protocol: UDP}]}]}", "guest>web:53/UDP", "guest>web"),
    (
        "peer and port must both match",
        "{podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: 8080}]}]}",
        "redis>web",
        "redis>web:80 guest>web",
    ),
    (
        "two rules",
        "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}, {ports: [{port: 80}]}]}",
        "redis>web guest>web:80",
        "guest>web",
    ),
    (
        "out to one",
        "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: redis}}}]}]}",
        "web>redis",
        "redis>web web>guest",
    ),
    (
        "out to names",
        "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}]}]}",
        "web>dns:53/UDP",
        "web>dns:53 web>redis",
    ),
    (
        "out to the DNS",
        "{podSelector: {}, policyTypes: [Egress], egress: "
        "[{to: [{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}]}]}",
        "web>dns:53/UDP web>dns:53",
        "web>redis",
    ),
    (
        "rules of a type that is not named",
        "{podSelector: {}, policyTypes: [Ingress], egress: [{}]}",
        "web>guest",
        "guest>web",
    ),
    ("types go by the rules", "{podSelector: {}, egress: []}", "web>guest", "guest>web"),
    (
        "expressions",
        "{podSelector: {matchExpressions: [{key: app, operator: In, values: [web, www]}]}}",
        "guest>redis",
        "guest>web",
    ),
    (
        "not in",
        "{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [web]}]}}",
        "guest>web",
        "guest>redis",
    ),
    ("exists", "{podSelector: {matchExpressions: [{key: role, operator: Exists}]}}", "guest>web", ""),
    (
        "a Pod on its node's network is not selected",
        "{podSelector: {matchLabels: {app: web}}}",
        "redis>host",
        "redis>web",
    ),
]


def ways(text: str) -> list[tuple[str, str, int, str]]:
    found = []
    for word in text.split():
        source, _, rest = word.partition(">")
        target, _, request = rest.partition(":")
        port, _, protocol = request.partition("/")
        found.append((source, target, int(port or 8080), protocol or "TCP"))
    return found


@pytest.mark.parametrize("name, spec, open, closed", TABLE, ids=[row[0] for row in TABLE])
def test_the_evaluation(name: str, spec: str, open: str, closed: str) -> None:
    policies = [policy(**yaml.safe_load(spec))] if spec and spec != "podSelector: {}" else [policy()] if spec else []
    for way in ways(open):
        assert path(policies, *way).is_open, f"{name}: {way} should be open"
    for way in ways(closed):
        assert not path(policies, *way).is_open, f"{name}: {way} should be closed"


def test_policies_add_up() -> None:
    deny, allow = policy("deny"), policy("allow", ingress=[{"from": [{"podSelector": {"matchLabels": REDIS}}]}])
    assert path([deny, allow], "redis", "web").is_open
    assert not path([deny, allow], "guest", "web").is_open


def test_a_policy_of_another_namespace_is_not_about_these_pods() -> None:
    assert path([policy(namespace="learn-out")], "guest", "web").is_open
    assert not path([policy(namespace="learn-out")], "web", "guest").is_open


def test_directions_without_types() -> None:
    assert directions(policy()) == {"ingress"}
    assert directions(policy(egress=[{}])) == {"ingress", "egress"}
    assert directions(policy(policyTypes=["Egress"])) == {"egress"}


def test_selectors() -> None:
    assert selects({}, {}) and selects(None, WEB)
    assert not selects({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, GUEST)
    assert selects({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, GUEST)


GUESTS = {"namespaceSelector": {"matchLabels": {"team": "guests"}}}
ONE_GUEST = {**GUESTS, "podSelector": {"matchLabels": GUEST}}
TO_REDIS = {"to": [{"podSelector": {"matchLabels": REDIS}}]}
BOTH = ["Ingress", "Egress"]

OPEN = [
    ("pod-not-isolated", [], "guest>web", "ingress"),
    ("pod-not-isolated", [policy(podSelector={"matchLabels": REDIS})], "guest>web", "ingress"),
    ("policy-one-direction", [policy()], "web>guest", "egress"),
    ("policy-selects-nothing", [policy(podSelector={"matchLabels": {"app": "wep"}})], "guest>web", "ingress"),
    ("policy-in-other-namespace", [policy(namespace="learn-out")], "guest>web", "ingress"),
    ("policy-type-missing", [policy(policyTypes=["Ingress"], egress=[TO_REDIS])], "web>guest", "egress"),
    ("policy-allows-all", [policy(), policy("all", ingress=[{}])], "guest>web", "ingress"),
    ("policy-allows-too-much", [policy(ingress=[{"ports": [{"port": 8080}]}])], "guest>web", "ingress"),
    ("policy-allows-too-much", [policy(ingress=[{"from": [GUESTS]}])], "crawler>web", "ingress"),
    (
        "policy-peers-or",
        [policy(ingress=[{"from": [GUESTS, {"podSelector": {"matchLabels": GUEST}}]}])],
        "crawler>web",
        "ingress",
    ),
]


@pytest.mark.parametrize("cause, policies, way, direction", OPEN)
def test_why_a_path_is_open(cause: str, policies: list[Object], way: str, direction: Direction) -> None:
    with pytest.raises(Failed) as fault:
        explain_open(path(policies, *ways(way)[0]), direction)
    assert fault.value.cause == cause
    assert (
        fault.value.message
        and fault.value.words.expected
        and fault.value.words.observed
        and fault.value.object
        and fault.value.words.look
    )


CLOSED = [
    ("path-not-allowed", [policy()], "guest>web"),
    (
        "policy-one-direction",
        [
            policy(podSelector={"matchLabels": WEB}, policyTypes=["Egress"]),
            policy("in", podSelector={"matchLabels": REDIS}, ingress=[{"from": [{"podSelector": {}}]}]),
        ],
        "web>redis",
    ),
    ("policy-one-direction", [policy(policyTypes=BOTH, egress=[TO_REDIS])], "web>redis"),
    ("policy-wrong-port", [policy(ingress=[{"from": [ONE_GUEST], "ports": [{"port": 9090}]}])], "guest>web"),
    ("policy-service-port", [policy(ingress=[{"from": [ONE_GUEST], "ports": [{"port": 80}]}])], "guest>web"),
    (
        "policy-service-address",
        [policy(policyTypes=["Egress"], egress=[{"to": [{"ipBlock": {"cidr": "10.96.0.9/32"}}]}])],
        "web>redis",
    ),
    ("policy-own-namespace", [policy(ingress=[{"from": [{"podSelector": {"matchLabels": GUEST}}]}])], "guest>web"),
    (
        "namespace-label-missing",
        [policy(ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"name": "learn-out"}}}]}])],
        "guest>web",
    ),
    (
        "policy-peer-matches-nothing",
        [policy(ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "wep"}}}]}])],
        "web>redis",
    ),
    (
        "policy-peer-matches-nothing",
        [policy(ingress=[{"from": [{**GUESTS, "podSelector": {"matchLabels": {"role": "gest"}}}]}])],
        "guest>web",
    ),
    (
        "policy-selects-nothing",
        [policy(), policy("in", podSelector={"matchLabels": {"app": "wep"}}, ingress=[{"from": [ONE_GUEST]}])],
        "guest>web",
    ),
    (
        "policy-in-other-namespace",
        [policy(), policy("in", "learn-out", podSelector={"matchLabels": WEB}, ingress=[{"from": [ONE_GUEST]}])],
        "guest>web",
    ),
    (
        "policy-type-missing",
        [policy(policyTypes=["Egress"]), policy("out", policyTypes=["Ingress"], ingress=[{}], egress=[TO_REDIS])],
        "web>redis",
    ),
    ("dns-egress-missing", [policy(policyTypes=["Egress"], egress=[TO_REDIS])], "web>dns:53/UDP"),
    (
        "dns-egress-missing",
        [policy(policyTypes=["Egress"], egress=[{"to": [{"namespaceSelector": {}}], "ports": [{"port": 53}]}])],
        "web>dns:53/UDP",
    ),
    (
        "policy-peer-matches-nothing",
        [
            policy(
                policyTypes=["Egress"],
                egress=[{"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube_dns"}}}]}],
            )
        ],
        "web>dns:53/UDP",
    ),
]


@pytest.mark.parametrize("cause, policies, way", CLOSED)
def test_why_a_path_is_closed(cause: str, policies: list[Object], way: str) -> None:
    one = path(policies, *ways(way)[0])
    one.state.objects["Service"] = [service("web", WEB), service("redis", REDIS, clusterIP="10.96.0.9")]
    assert not one.is_open
    with pytest.raises(Failed) as fault:
        explain_closed(one)
    assert fault.value.cause == cause
    assert (
        fault.value.message
        and fault.value.words.expected
        and fault.value.words.observed
        and fault.value.object
        and fault.value.words.look
    )


def test_a_rule_is_told_with_the_fields_own_names_and_ports_as_kubectl_writes_them() -> None:
    ports = [{"port": 8080}, {"port": 53, "protocol": "UDP"}, {"port": 8000, "endPort": 8090}, {"protocol": "TCP"}]
    rules = [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}, {"from": [{**GUESTS, "podSelector": {}}], "ports": ports}]
    with pytest.raises(Failed) as end:
        explain_open(path([policy(ingress=rules[1:])], "guest", "web"), "ingress")
    facts = end.value.facts
    assert facts["item"] == "{namespaceSelector: team=guests, podSelector: {}}"
    assert facts["ports"] == ["8080/TCP", "53/UDP", "8000-8090/TCP", "1-65535/TCP"]
    assert (facts["source"], facts["source_namespace"], facts["port"]) == ("Pod guest", "learn-out", 8080)
    assert facts["rule"] is None and "rule 2" not in end.value.message
    with pytest.raises(Failed) as end:
        explain_open(path([policy(ingress=rules)], "guest", "web"), "ingress")
    assert (
        "NetworkPolicy p (ingress rule 1)" in end.value.message
    )  # the block of all Pods' addresses is the first that matches


# -- the matrix ------------------------------------------------------------------------------------------------------

OUT, IN = deployment("web"), deployment("redis")
SETS = [replica_set(OUT, "web-1"), replica_set(IN, "redis-1")]
ENDS = [
    pod("web-1-a", owner=SETS[0], labels=WEB, ip="10.244.1.1"),
    pod("redis-1-a", owner=SETS[1], labels=REDIS, ip="10.244.1.2"),
]
CONNECTION = Connection("web", "redis", 6379)
DENY, ALLOW = policy("deny"), policy("allow", ingress=[{"from": [{"podSelector": {"matchLabels": WEB}}]}])


def judged(
    policies: list[Object], word: str, own: str | None = "open", wall: str = "timeout", must_be: str = "closed"
) -> NotPassed | None:
    attempts = {
        "web": {"tcp": {"10.244.1.2:6379": word}},
        **({"redis": {"tcp": {"10.244.1.2:6379": own}}} if own else {}),
    }
    seen = state(OUT, IN, *SETS, *ENDS, *policies)
    closed, open = (((CONNECTION, "ingress"),), ()) if must_be == "closed" else ((), (CONNECTION,))
    try:
        matrix.require_matrix(seen, Attempts(attempts), wall, closed, open)
    except NotPassed as end:
        return end
    return None


def cause(end: NotPassed | None) -> str:
    return end.cause if end else "passed"


def test_a_closed_path_counts_only_where_a_policy_closes_it() -> None:
    assert cause(judged([DENY], "timeout")) == "passed"
    assert cause(judged([DENY], "timeout", own=None)) == "passed"
    assert cause(judged([], "timeout")) == "pod-not-isolated"
    assert cause(judged([], "refused")) == "pod-not-isolated"
    assert cause(judged([DENY], "timeout", own="refused")) == "nothing-listens"
    assert cause(judged([DENY, ALLOW], "timeout")) == "policy-allows-too-much"


def test_what_is_still_open_against_its_policies_is_unknown_and_pending() -> None:
    end = judged([DENY], "open")
    assert isinstance(end, Unknown) and end.cause == "policy-not-yet-enforced" and end.in_progress


def test_an_open_path_is_open() -> None:
    assert cause(judged([DENY, ALLOW], "open", must_be="open")) == "passed"
    assert cause(judged([DENY], "timeout", must_be="open")) == "path-not-allowed"
    lost = judged([DENY, ALLOW], "timeout", must_be="open")
    assert lost and lost.cause == "path-not-answering" and lost.in_progress
    assert cause(judged([DENY, ALLOW], "refused", own="refused", must_be="open")) == "nothing-listens"


def test_where_nobody_enforces_the_verdict_is_unknown_with_what_is_written_beside_it() -> None:
    for policies, fact in (([DENY], "closed"), ([], "wrongly_open")):
        end = judged(policies, "open", wall="open")
        assert isinstance(end, Unknown) and end.cause == "policies-not-enforced" and not end.in_progress
        assert end.facts[fact] == ["web → redis:6379"]
    end = judged([DENY], "open", wall="open", must_be="open")
    assert end and end.facts["wrongly_closed"] == ["web → redis:6379"]


def test_a_wall_of_which_nothing_is_known_proves_nothing() -> None:
    assert cause(judged([DENY], "timeout", wall="no-such-host")) == "passed"


def test_a_connection_that_was_not_tried_is_unknown() -> None:
    with pytest.raises(Unknown) as end:
        matrix.require_matrix(
            state(OUT, IN, *SETS, *ENDS, DENY),
            Attempts({"web": {"error": "no python3"}}),
            "",
            ((CONNECTION, "ingress"),),
            (),
        )
    assert end.value.cause == "pod-not-askable"
    with pytest.raises(Unknown) as end:
        matrix.require_matrix(state(OUT, IN, *SETS, *ENDS, DENY), Attempts({}), "", ((CONNECTION, "ingress"),), ())
    assert end.value.cause == "not-observed"


def test_the_questions_of_a_matrix() -> None:
    question = Matrix((CONNECTION, Connection("redis", "web", 8080))).question(state(OUT, IN, *SETS, *ENDS))
    assert question
    request = {name: ask["questions"]["tcp"]["to"] for name, ask in question["asks"].items()}
    assert request == {name: ["10.244.1.1:8080", "10.244.1.2:6379"] for name in ("web", "redis")}
    matrix_with_page = Matrix((CONNECTION,), (ExtraQuestions("web", ("redis",), "http://web.{namespace}/"),))
    request = matrix_with_page.question(state(OUT, IN, *SETS, *ENDS))["asks"]["web"]["questions"]
    assert request["names"]["names"] == ["redis"] and request["page"]["url"] == "http://web.learn/"
    answer = {"status": 200, "text": "hello", "host": "", "version": "", "error": "", "count": 1}
    attempts = Attempts({"web": {"names": {"redis": {"addresses": [], "error": ""}}, "page": [answer]}})
    assert attempts.page("web").ok and not attempts.lookups("web")["redis"]["error"]
    assert Enforcement().question(state()) == {"do": "tcp", "to": ["wall.kubeclass.svc.cluster.local.:8080"]}


@pytest.mark.parametrize("word, cause", [("timeout", "target-port-silent"), ("refused", "target-port-refused")])
def test_a_service_is_not_broken_because_its_policies_keep_the_observer_out(word: str, cause: str) -> None:
    web, objects = service("web", WEB), [PODS["web"], slice_of("web")]
    closed = {REACH: {"10.244.1.1:8080": word}}
    walk(state(web, *objects, policy(), observations=closed), web)
    with pytest.raises(Failed) as fault:
        walk(state(web, *objects, observations=closed), web)
    assert fault.value.cause == cause


def test_label_sets_are_all_that_selectors_can_tell_apart() -> None:
    door = {"matchExpressions": [{"key": "open", "operator": "DoesNotExist"}]}
    assert list(label_sets([{}, None])) == [{}]
    assert list(label_sets([door])) == [{}, {"open": "another"}]
    two = list(
        label_sets(
            [
                {"matchLabels": {"app": "web"}},
                {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["data"]}]},
            ]
        )
    )
    assert len(two) == 9
    assert {"app": "web", "tier": "data"} in two and {} in two
