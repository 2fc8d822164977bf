"""What a program's log complains of, and the object that explains it."""

from __future__ import annotations

import pytest

from checker.diagnosis.addresses import addresses_in
from checker.diagnosis.complaints import complaint_of, complaints, complaints_that_last
from checker.diagnosis.explain import explained
from checker.model.state import REACH, Object, State

from .objects import ago, container, obj, pod, slice_of, state

REFUSED = "shop: dial tcp 10.96.0.9:80: connect: connection refused"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("dial tcp: lookup orders on 10.96.0.10:53: no such host", "name"),
        ("getaddrinfo ENOTFOUND orders", "name"),
        ('psql: error: could not translate host name "db" to address: Name or service not known', "name"),
        ("curl: (7) Failed to connect to orders port 80: Connection refused", "refused"),
        ("context deadline exceeded", "timeout"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "credentials"),
        ('FATAL: password authentication failed for user "app"', "credentials"),
        ("ssl.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number", "protocol"),
        ("http: server gave HTTP response to HTTPS client", "protocol"),
        ("open /data/x: permission denied", "denied"),
        ("http.client.InvalidURL: URL can't contain control characters. 'shop ' (found at least ' ')", "name"),
        ('parse "http://shop shop": invalid character " " in host name', "name"),
        ("10 orders have been served", ""),
    ],
)
def test_a_line_complains_of_one_thing(line: str, kind: str) -> None:
    found = complaint_of(line)
    assert (found.kind if found else "") == kind


def test_what_is_over_is_no_complaint() -> None:
    assert complaints_that_last("\n".join([REFUSED, *["served"] * 9])) == []
    assert [one.kind for one in complaints_that_last("\n".join([*["served"] * 9, REFUSED]))] == ["refused"]


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("curl -s http://orders/list", "orders", 80),
        ("curl https://orders.shop.svc:8443/", "orders.shop.svc", 8443),
        ('socket.create_connection(("orders", 81))', "orders", 81),
        ("redis-cli -h cache -p 6380 ping", "cache", 6380),
        ("nc -z -w 2 db 5432", "db", 5432),
        ("upstream orders:8080;", "orders", 8080),
    ],
)
def test_addresses_in_a_script(text: str, host: str, port: int) -> None:
    assert (host, port) in [(one.host, one.port) for one in addresses_in(text)]


def test_a_word_in_code_that_is_a_variable_is_no_host() -> None:
    assert addresses_in("socket.getaddrinfo(host, 80)") == []
    assert [one.host for one in addresses_in("curl -s http://orders/list")] == ["orders"]


def _asking(host: str, line: str, *others: Object, containers: int = 1) -> State:
    specs = [container("asks", env=[{"name": "SHOP_HOST", "value": host}], ports=[])]
    client = pod("client", containers=[*specs, *[container(f"c{n}") for n in range(1, containers)]])
    return state(client, *others, logs={"client/asks": f"{line}\n" * 4})


def _roots(world: State) -> list[str]:
    return [finding.root for finding in explained(world).findings]


def test_a_name_that_no_service_has_is_told_of_the_pod_that_runs() -> None:
    shop = obj(
        "Service", "shop-web", spec={"clusterIP": "10.96.0.9", "selector": {"app": "shop"}, "ports": [{"port": 80}]}
    )
    world = _asking("shop", "shop: Name or service not known", shop)
    assert "name-unknown@Pod/client" in _roots(world)


def test_a_name_outside_the_cluster_is_not_taken_for_a_namespace() -> None:
    assert _roots(_asking("api.example.com", "api.example.com: Name or service not known")) == []


def test_a_slip_in_the_subdomain_of_a_pods_name_is_no_name_outside_the_cluster() -> None:
    shelf = pod("shelf-0", labels={"app": "shelf"})
    shelf.raw["spec"] |= {"hostname": "shelf-0", "subdomain": "shelf"}
    headless = obj("Service", "shelf", spec={"clusterIP": "None", "selector": {"app": "shelf"}})
    world = _asking("shelf-0.shlef", "shelf-0.shlef: Name or service not known", shelf, headless)
    found = next(one for one in explained(world).findings if one.cause == "name-unknown")
    assert found.object == "Pod/client"
    assert "means Pod shelf-0 behind a Service shlef. " in found.message
    assert _roots(_asking("shelf-0.example", "shelf-0.example: Name or service not known", shelf, headless)) == []


@pytest.mark.parametrize("address", ["None", "10.96.0.7"])
def test_a_pods_name_behind_a_service_is_not_taken_for_a_service_of_a_namespace(address: str) -> None:
    """CoreDNS gives the name also where the StatefulSet's Service has a cluster IP."""
    shelf = pod("shelf-0", labels={"app": "shelf"})
    shelf.raw["spec"] |= {"hostname": "shelf-0", "subdomain": "shelf"}
    service = obj("Service", "shelf", spec={"clusterIP": address, "selector": {"app": "shelf"}})
    early = "cannot read http://shelf-0.shelf: Name or service not known"
    assert _roots(_asking("shelf-0.shelf", early, shelf, service)) == []
    late = early.replace("shelf-0", "shelf-1")
    assert _roots(_asking("shelf-1.shelf", late, shelf, service)) == ["pod-name-unknown@Pod/client"]


def _store(port: int, **spec: object) -> list[Object]:
    redis = pod(
        "redis", labels={"app": "redis"}, ip="10.244.1.9", containers=[container(ports=[{"containerPort": 6379}])]
    )
    ports = [{"port": port, "targetPort": 6379}]
    fields = {"clusterIP": "10.96.0.9", "selector": {"app": "redis"}, "ports": ports, **spec}
    return [redis, obj("Service", "redis", spec=fields), slice_of("redis")]


@pytest.mark.parametrize(
    ("variable", "value", "port", "line", "found"),
    [
        ("REDIS_HOST", "redis", 6380, "Redis at redis does not answer: timed out", ["service-port-unknown@Pod/client"]),
        ("REDIS_HOST", "redis", 6379, "Redis at redis does not answer: timed out", []),
        ("REDIS_HOST", "redis", 6380, "connect to redis:6380: timed out", []),
        ("STORE_HOST", "redis", 6380, "redis does not answer: timed out", []),
        ("REDIS_HOST", "redis", 6380, "redis: 3 entries", []),
    ],
)
def test_a_variable_without_a_port_means_the_usual_one(
    variable: str, value: str, port: int, line: str, found: list[str]
) -> None:
    client = pod("client", containers=[container("asks", env=[{"name": variable, "value": value}], ports=[])])
    reach = {REACH: {"10.244.1.9:6379": "open"}}
    world = state(client, *_store(port), logs={"client/asks": f"{line}\n" * 4}, observations=reach)
    assert _roots(world) == found


def test_an_external_name_that_is_an_address_is_told_before_anybody_asks() -> None:
    alias = obj("Service", "outside", spec={"type": "ExternalName", "externalName": "192.0.2.7"})
    assert _roots(state(alias)) == ["external-name-is-address@Service/outside"]
    named = obj("Service", "outside", spec={"type": "ExternalName", "externalName": "192-0-2-7.example.com"})
    assert _roots(state(named)) == []


def test_localhost_is_no_service() -> None:
    assert _roots(_asking("localhost:6379", "localhost:6379: Connection refused")) == [
        "localhost-is-the-pod@Pod/client"
    ]
    assert _roots(_asking("localhost:6379", "localhost:6379: Connection refused", containers=2)) == []


def test_a_remark_does_not_change_the_exit_status() -> None:
    asleep = obj("Deployment", "asleep", spec={"replicas": 0}, status={"observedGeneration": 1})
    found = explained(state(asleep))
    assert (found.exit_code, [remark.root for remark in found.remarks]) == (0, ["scaled-to-nothing@Deployment/asleep"])


def test_a_container_that_is_older_than_its_config_map_keeps_the_old_value() -> None:
    source = obj("ConfigMap", "places", data={"SHOP_HOST": "shop"}, metadata={"managedFields": [{"time": ago(60)}]})
    shop = obj("Service", "shop", spec={"type": "ExternalName", "externalName": "example.com"})
    spec = container("asks", envFrom=[{"configMapRef": {"name": "places"}}])
    client = pod("client", containers=[spec])
    world = state(source, shop, client, logs={"client/asks": "no answer from shopp: timed out\n" * 4})
    assert _roots(world) == ["environment-not-refreshed@Pod/client"]
    quiet = explained(state(source, shop, client))
    assert [remark.root for remark in quiet.remarks] == ["container-older-than-source@Pod/client"]


@pytest.mark.parametrize(
    ("address", "line", "wanted"),
    [
        ("10.244.3.9:6379", "10.244.3.9:6379: No route to host", ["address-of-nobody@Pod/client"]),
        ("10.244.3.9:6379", "served", []),  # it does not complain
        ("192.0.2.9:6379", "192.0.2.9:6379: timed out", []),  # outside the cluster
        ("10.244.1.1:6379", "10.244.1.1:6379: Connection refused", []),  # the Pod's own
        ("10.244.1.7:6379", "10.244.1.7:6379: Connection refused", []),  # of a Pod that is well: nothing is known
        ("10.96.0.9:81", "10.96.0.9:81: timed out", ["service-port-unknown@Pod/client"]),
    ],
)
def test_a_literal_address_is_joined_to_the_object_that_has_it(address: str, line: str, wanted: list[str]) -> None:
    shop = obj("Service", "shop", spec={"clusterIP": "10.96.0.9", "selector": {"app": "shop"}, "ports": [{"port": 80}]})
    alive = pod("shop", labels={"app": "shop"}, ip="10.244.1.7")
    found = _roots(_asking(address, line, shop, alive))
    assert [root for root in found if not root.endswith("Service/shop")] == wanted


def test_an_endpoint_by_hand_must_be_an_address_that_somebody_has() -> None:
    by_hand = obj("Service", "by-hand", spec={"ports": [{"port": 80}]})

    def slice_with(*addresses: str) -> Object:
        return obj(
            "EndpointSlice",
            "by-hand-1",
            metadata={"labels": {"kubernetes.io/service-name": "by-hand"}},
            ports=[{"port": 80}],
            endpoints=[{"addresses": [address]} for address in addresses],
        )

    alive = pod("shop", ip="10.244.1.7")
    gone = pod("job", ip="10.244.1.8", phase="Succeeded")
    assert _roots(state(by_hand, alive, slice_with("10.244.1.7", "192.0.2.1"))) == []
    for address in ("10.244.9.9", "10.244.1.8"):
        found = explained(state(by_hand, alive, gone, slice_with("10.244.1.7", address)))
        assert [finding.root for finding in found.findings] == ["endpoint-address-of-nobody@Service/by-hand"]
        assert f"made by hand, holds {address}. No Pod" in found.findings[0].message


# -- what is over ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "over"),
    [
        (f"{REFUSED}\n" * 3 + "connected to shop", True),
        (f"{REFUSED}\n" * 3 + "shop: connection established", True),
        (f"{REFUSED}\n" * 3 + "connected", True),
        (f"{REFUSED}\n" * 3 + "GET http://shop/list: 200", True),
        ("db: password authentication failed\n" * 3 + "db: 3 rows read\ndb: 3 rows read", True),
        ("I main db: Connection refused\n" * 3 + "I main db: connected\nI main page served", True),
        # not of the same thing, not yet, or not at all
        (f"{REFUSED}\n" * 3 + "connected to cache", False),
        (f"{REFUSED}\n" * 3 + "connecting to shop", False),
        (f"{REFUSED}\n" * 3 + "not connected to shop", False),
        (f"{REFUSED}\n" * 3 + '10.244.1.1 "GET /healthz HTTP/1.1" 200', False),
        (f"{REFUSED}\n" * 3 + "retrying shop, waiting until it is ready", False),
        ("I main db: Connection refused\n" * 3 + "I main cache: connected\nI main page served", False),
        (f"connected to shop\n{REFUSED}", False),
        # it comes and goes
        (f"{REFUSED}\nconnected to shop\n" * 3, False),
    ],
)
def test_a_complaint_is_over_where_a_later_line_says_the_contrary_of_the_same_thing(text: str, over: bool) -> None:
    assert bool(complaints_that_last(text)) is not over
    assert bool(complaints(text)) is not over


@pytest.mark.parametrize(
    ("ages_of_complaints", "ages_of_others", "lasts"),
    [
        ([50, 48, 46], [44, 30, 10], False),
        ([50, 48, 46], [], False),  # nothing follows for a long time
        ([18, 16, 14], [], True),  # nothing follows yet: the program may wait
        ([8, 6, 4], [3, 2, 1], True),  # too early to tell
        # every ten seconds, with six lines of other kinds between
        ([54, 44, 34, 24, 14, 4], [52, 50, 48, 46, 42, 40, 38, 36, 32, 30, 28, 26, 22, 20, 18, 16, 12, 10, 8, 6], True),
        ([50, 48, 44, 36, 20], [42, 40, 30, 25, 12, 10, 8, 6, 4, 2, 1], True),  # twice as long each time
        ([50, 49.9], [40, 30, 20, 10, 5, 3], False),  # one try, which was told in two lines
    ],
)
def test_the_times_of_lines_show_whether_a_complaint_comes_back(
    ages_of_complaints: list[float], ages_of_others: list[float], lasts: bool
) -> None:
    lines = [(age, REFUSED) for age in ages_of_complaints] + [(age, "page served") for age in ages_of_others]
    ordered = sorted(lines, reverse=True)
    text = "\n".join(line for _, line in ordered)
    assert bool(complaints_that_last(text, [age for age, _ in ordered])) is lasts


def test_the_words_of_a_run_before_are_over_when_the_container_has_run_for_longer() -> None:
    shop = obj("Service", "shop-web", spec={"clusterIP": "10.96.0.9", "selector": {"app": "shop"}})
    spec = container("asks", env=[{"name": "SHOP_HOST", "value": "shop"}], ports=[])

    def world(since: float, ended: float) -> State:
        last = {"startedAt": ago(ended + 5), "finishedAt": ago(ended), "exitCode": 1}
        client = pod("client", containers=[spec], last=last, restarts=1, since=since)
        log = {"client/asks": "shop: Name or service not known"}
        return state(client, shop, logs=log, log_ages={"client/asks": [ended]})

    assert "name-unknown@Pod/client" not in _roots(world(since=60, ended=70))
    assert "name-unknown@Pod/client" in _roots(world(since=5, ended=70))


# -- names that a policy keeps a Pod from resolving --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "egress", "wanted"),
    [
        ("shop does not answer: timed out", [], "dns-egress-missing"),
        ("context deadline exceeded", [], "dns-egress-missing"),
        ("shop: Temporary failure in name resolution", [], "dns-egress-missing"),
        # the name has led to an address
        ("dial tcp 10.96.0.9:80: i/o timeout", [], "path-not-allowed"),
        ("shop: [Errno 110] Connection timed out", [], "path-not-allowed"),
        # DNS is allowed
        ("shop does not answer: timed out", [{"ports": [{"port": 53, "protocol": "UDP"}]}], "path-not-allowed"),
        # the addresses may be those of the DNS
        (
            "shop does not answer: timed out",
            [{"to": [{"ipBlock": {"cidr": "10.99.0.0/16"}}], "ports": [{"port": 53, "protocol": "UDP"}]}],
            "path-not-allowed",
        ),
    ],
)
def test_a_policy_that_closes_all_egress_closes_dns_first(line: str, egress: list[object], wanted: str) -> None:
    server = pod("shop-1", labels={"app": "shop"}, ip="10.244.1.9")
    ports = [{"port": 80, "targetPort": 8080}]
    shop = obj("Service", "shop", spec={"clusterIP": "10.96.0.9", "selector": {"app": "shop"}, "ports": ports})
    spec = {"podSelector": {"matchLabels": {"app": "guestbook"}}, "policyTypes": ["Egress"], "egress": egress}
    policy = obj("NetworkPolicy", "quiet", spec=spec)
    world = _asking("shop", line, server, shop, slice_of("shop"), policy)
    world.observations = {REACH: {"10.244.1.9:8080": "open"}}
    found = explained(world).findings
    assert [one.cause for one in found] == [wanted]
    assert ("the name shop is not resolved" in found[0].message) is (wanted == "dns-egress-missing")


def test_a_host_outside_that_a_ready_program_does_not_name_is_not_told() -> None:
    spec = {"podSelector": {}, "policyTypes": ["Egress"]}
    policy = obj("NetworkPolicy", "quiet", spec=spec)
    assert _roots(_asking("docs.example.com", "row 7: deadline exceeded, skipped", policy)) == []
    named = _asking("docs.example.com", "docs.example.com: deadline exceeded", policy)
    assert _roots(named) == ["dns-egress-missing@NetworkPolicy/quiet"]


def test_a_name_of_the_pods_own_hosts_file_needs_no_dns() -> None:
    client = pod(
        "client", containers=[container("asks", env=[{"name": "SHOP_HOST", "value": "store.example.com"}], ports=[])]
    )
    client.raw["spec"]["hostAliases"] = [{"ip": "203.0.113.5", "hostnames": ["store.example.com"]}]
    spec = {"podSelector": {}, "policyTypes": ["Egress"]}
    log = {"client/asks": "store.example.com does not answer: timed out\n" * 4}
    world = state(client, obj("NetworkPolicy", "quiet", spec=spec), logs=log)
    assert "dns-egress-missing" not in [one.cause for one in explained(world).findings]
