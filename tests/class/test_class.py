"""A class of three on a real cluster: made twice, looked at, handed out, attacked, and removed (see conftest.py)."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from checker.classroom.apply import listed
from checker.classroom.kinds import KINDS, collection
from checker.collect.api import Api, ApiError
from checker.model.state import CLASS
from cluster import paths
from cluster.kubectl import kubectl
from cluster.waiting import wait_until
from tests.conftest import ctrl_c_counts
from tests.unit.test_class_docs import written

from .attacks import ATTACKS, Attacker, by_what
from .conftest import LEARNERS, NAME, Classroom, command

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("class")]
DOCUMENT = paths.COURSE / "docs" / "class-security.md"
SYSTEM = ("kubeclass", "kube-system", "default")
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
PLACES = ("", "-data", "-policies", "-policies-visitors")  # suffixes of the namespaces whose Pods send packets
ASK = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def works(what):
    host, _, port = what.rpartition(":")
    try:
        if not host:
            socket.gethostbyname(port)
        else:
            socket.create_connection((host, int(port)), 1.5).close()
        return True
    except OSError:
        return False
print(json.dumps(list(ThreadPoolExecutor(16).map(works, sys.argv[1:]))))
"""


def test_the_same_command_twice_changes_nothing(classroom: Classroom) -> None:
    created = classroom.created["created"]
    assert created and classroom.created["learners"] == 3
    again = classroom.run("create", NAME, "--roster", str(classroom.roster), "--yes", "--json")
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    assert (told["created"], told["changed"], told["same"]) == (0, 0, created)


def test_status_and_list_know_the_class(classroom: Classroom) -> None:
    status = classroom.run("status", NAME, "--json")
    assert status.returncode == 0, status.stderr
    told = json.loads(status.stdout)
    assert [one["id"] for one in told["learners"]] == list(LEARNERS)
    assert told["not_well"] == [] and "policies" in told["offers"]
    assert [one["class"] for one in json.loads(classroom.run("list", "--json").stdout)["classes"]] == [NAME]


def test_a_file_is_handed_out_for_its_learner_only(classroom: Classroom, tmp_path: Path) -> None:
    handed = classroom.run("hand-out", NAME, "--out", str(tmp_path / "out"), "--json")
    assert handed.returncode == 0, handed.stderr
    files = [Path(file) for file in json.loads(handed.stdout)["files"]]
    assert [file.name for file in files] == ["ada.yaml", "bob.yaml", "carl.yaml"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    user = json.loads(
        classroom.api("ada").request(
            "POST",
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
        )
    )["status"]["userInfo"]["username"]
    assert user == f"system:serviceaccount:{NAME}-ada:learner"


def test_a_namespace_of_somebody_elses_stops_the_command_and_stays(classroom: Classroom, tmp_path: Path) -> None:
    kubectl(classroom.admin.cluster, "create", "namespace", f"{NAME}-dora")
    try:
        roster = tmp_path / "roster.csv"
        roster.write_text(classroom.roster.read_text() + "dora,Dora,b\n")
        made = classroom.run("create", NAME, "--roster", str(roster), "--yes")
        assert made.returncode == 3 and f"{NAME}-dora exists and does not belong" in made.stderr
        assert CLASS not in (classroom.admin.get(f"/api/v1/namespaces/{NAME}-dora")["metadata"].get("labels") or {})
        assert not [key for key in listed(classroom.admin, NAME) if "dora" in key[1] + key[2]]
    finally:
        kubectl(classroom.admin.cluster, "delete", "namespace", f"{NAME}-dora", "--wait=false")


READ_BY_ALL = {
    "nodes",
    "storageclasses",
    "clustertrustbundles",
    "selfsubjectreviews",
    "selfsubjectaccessreviews",
    "selfsubjectrulesreviews",
}


def resources(api: Api) -> list[tuple[str, str, tuple[str, ...]]]:
    """All resources of the cluster with their verbs: (group, resource or resource/subresource, verbs)."""
    found = [("", one["name"], tuple(one["verbs"])) for one in api.get("/api/v1")["resources"]]
    for group in api.get("/apis")["groups"]:
        version = group["preferredVersion"]["groupVersion"]
        found += [(group["name"], one["name"], tuple(one["verbs"])) for one in api.get(f"/apis/{version}")["resources"]]
    return found


def allowed(api: Api, namespace: str, asked: list[tuple[str, str, tuple[str, ...]]]) -> set[str]:
    """What a user may do there, of every verb of every resource: `verb resource`. namespace: empty for the cluster."""

    def may(one: tuple[str, str, str]) -> str:
        group, resource, verb = one
        resource, _, sub = resource.partition("/")
        wanted = {"verb": verb, "group": group, "resource": resource, "subresource": sub, "namespace": namespace}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": wanted},
        }
        answer = api.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body, 30)
        return f"{verb} {one[1]}" + (f".{group}" if group else "") if json.loads(answer)["status"]["allowed"] else ""

    every = [(group, resource, verb) for group, resource, verbs in asked for verb in verbs]
    with ThreadPoolExecutor(8) as pool:
        return set(filter(None, pool.map(may, every)))


# What every user who is logged in may do, and what a class adds for all of its learners.
OF_EVERYBODY = {
    "create selfsubjectreviews.authentication.k8s.io",
    "create selfsubjectaccessreviews.authorization.k8s.io",
    "create selfsubjectrulesreviews.authorization.k8s.io",
    *(f"{verb} clustertrustbundles.certificates.k8s.io" for verb in ("get", "list", "watch")),
}
OF_THE_CLASS = {
    *(f"{verb} nodes" for verb in ("get", "list", "watch")),
    *(f"{verb} storageclasses.storage.k8s.io" for verb in ("get", "list", "watch")),
    *(f"{verb} nodes.metrics.k8s.io" for verb in ("get", "list")),
}


@pytest.mark.parametrize(("me", "other"), [("ada", "bob"), ("bob", "carl"), ("carl", "ada")])
def test_no_verb_of_any_resource_is_allowed_in_another_learners_namespaces(
    classroom: Classroom, me: str, other: str
) -> None:
    """Each verb of each resource is asked about in another's first namespace, in the system's, and cluster-wide."""
    api, asked = classroom.api(me), resources(classroom.admin)
    assert len(asked) > 100
    for namespace in (f"{NAME}-{other}", *SYSTEM, ""):
        assert allowed(api, namespace, asked) - OF_EVERYBODY - OF_THE_CLASS == set(), namespace


@pytest.mark.parametrize("me", LEARNERS)
def test_the_rules_in_all_namespaces_of_all_others_are_those_of_everybody(classroom: Classroom, me: str) -> None:
    api = classroom.api(me)
    namespaces = [one["metadata"]["name"] for one in classroom.admin.get("/api/v1/namespaces")["items"]]
    own = f"{NAME}-{me}"
    mine = {own, *classroom.access[me].namespaces.values()}
    assert mine <= set(namespaces)
    for namespace in namespaces:
        rules = rules_in(api, namespace)
        if namespace in mine:
            assert any("pods" in rule["resources"] and "create" in rule["verbs"] for rule in rules)
        elif namespace == "kubeclass":
            extra = [rule for rule in rules if rule.get("resourceNames")]
            assert extra == [
                {
                    "verbs": ["get", "create"],
                    "apiGroups": [""],
                    "resources": ["services/proxy"],
                    "resourceNames": ["http:observer:8080"],
                }
            ]
        else:
            named = {resource for rule in rules for resource in rule["resources"]}
            assert named <= READ_BY_ALL, namespace


def rules_in(api: Api, namespace: str) -> list[dict[str, Any]]:
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    answer = json.loads(api.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body, 30))
    assert not answer["status"]["incomplete"]
    rules: list[dict[str, Any]] = answer["status"]["resourceRules"]
    return rules


def test_every_attack_is_refused(classroom: Classroom, pytestconfig: pytest.Config) -> None:
    """The table in docs/class-security.md is written here (`--record`), and compared otherwise."""
    start_server(classroom, "bob", f"{NAME}-bob")
    try:
        attack_all(classroom, pytestconfig)
    finally:
        kubectl(classroom.clusters["bob"], "delete", "pod", "server", "-n", f"{NAME}-bob", "--timeout=60s")


def attack_all(classroom: Classroom, pytestconfig: pytest.Config) -> None:
    who = Attacker(classroom.api("ada"), NAME, f"{NAME}-ada", f"{NAME}-bob", address(classroom, f"{NAME}-bob"))
    # So that a refusal is the observer's own. The network plugin may need some seconds until it knows a new Pod.
    assert wait_until(lambda: observer_reaches(classroom.admin, who.address), 30, pause=1)
    rows = []
    for title, attack in ATTACKS.items():
        try:
            attack(who)
            refused = "nothing"
        except ApiError as error:
            refused = by_what(error)
        rows.append((title, refused))
    known = {"RBAC", "admission policy", "Pod Security baseline", "quota", "observer"}
    assert [row for row in rows if row[1] not in known] == []
    check_table("attacks", ("Attack", "Refused by"), rows, pytestconfig)


def test_no_packet_of_a_learner_reaches_another(classroom: Classroom, pytestconfig: pytest.Config) -> None:
    """Pods of ada's connect to Pods of bob's, to their Service, and to a port that it opens on the nodes."""
    try:
        for learner in ("ada", "bob"):
            for place in PLACES:
                start_server(classroom, learner, f"{NAME}-{learner}{place}")
        kubectl(
            classroom.clusters["bob"], "expose", "pod", "server", "--type=NodePort", "--port=8080", "-n", f"{NAME}-bob"
        )
        at = {(one, place): address(classroom, f"{NAME}-{one}{place}") for one in ("ada", "bob") for place in PLACES}
        service = classroom.admin.get(f"/api/v1/namespaces/{NAME}-bob/services/server")["spec"]
        node = classroom.admin.get("/api/v1/nodes")["items"][0]["status"]["addresses"][0]["address"]
        targets = {
            **{f"bob{place}": at["bob", place] for place in PLACES},
            "bob's Service": f"{service['clusterIP']}:8080",
            "bob's node port": f"{node}:{service['ports'][0]['nodePort']}",
            "the cluster's DNS Pods, at another port": dns_pod(classroom.admin) + ":8080",
            "the API server": "kubernetes.default:443",
            "ada": at["ada", ""],
            "ada-data": at["ada", "-data"],
            "DNS": ":kubernetes.default.svc.cluster.local",
        }
        own = {"ada", "ada-data", "DNS"}
        deadline = time.monotonic() + 60
        while True:
            seen = {place: reach(classroom, "ada", f"{NAME}-ada{place}", targets) for place in PLACES}
            walled = {place: {one for one, works in seen[place].items() if works} for place in PLACES}
            as_meant = all(walled[place] == own for place in PLACES if place != "-policies")
            as_meant = as_meant and not walled["-policies"] & {
                "bob",
                "bob-data",
                "bob-policies-visitors",
                "bob's Service",
            }
            if as_meant or time.monotonic() > deadline:
                break
            time.sleep(2)
        assert as_meant, walled
        again = {
            place: {o for o, works in reach(classroom, "ada", f"{NAME}-ada{place}", targets).items() if works}
            for place in PLACES
        }
        assert again == walled
        assert observer_reaches(classroom.admin, at["bob", ""])
        rows = [
            (f"ada{place}", target, "reached" if seen[place][target] else "blocked")
            for place in PLACES
            for target in targets
        ]
        check_table("packets", ("From a Pod in", "To", "Result"), rows, pytestconfig)
    finally:
        for learner in ("ada", "bob"):
            for place in PLACES:
                kubectl(
                    classroom.clusters[learner],
                    "delete",
                    "pod,service",
                    "server",
                    "-n",
                    f"{NAME}-{learner}{place}",
                    "--ignore-not-found",
                    "--wait=false",
                )


def test_an_ephemeral_container_may_not_be_privileged(classroom: Classroom) -> None:
    start_server(classroom, "carl", f"{NAME}-carl")
    path = f"/api/v1/namespaces/{NAME}-carl/pods/server/ephemeralcontainers"
    extra = {"name": "debug", "image": "guestbook:v1", "securityContext": {"privileged": True}}
    with pytest.raises(ApiError, match="violates PodSecurity"):
        classroom.api("carl").request(
            "PATCH",
            path,
            {"spec": {"ephemeralContainers": [extra]}},
            content="application/strategic-merge-patch+json",
        )
    # The next test compares what this namespace holds: the Pod must be gone.
    kubectl(classroom.clusters["carl"], "delete", "pod", "server", "-n", f"{NAME}-carl", "--timeout=60s")


@pytest.mark.parametrize("number", ["07", "08", "14"])
def test_after_clear_the_namespaces_are_as_they_were_handed_out(classroom: Classroom, number: str) -> None:
    """By the command `clear`, and by the library, which `reset` and the start of another lab use."""
    before = marks(classroom, "carl")
    home = classroom.learner_home("carl")
    for words in (["clear", "--yes"], ["-c", CLEARING, number]):
        started = command("start", number, home=home, group=())
        assert started.returncode == 0, started.stderr
        assert marks(classroom, "carl") != before
        module = [] if words[0] == "-c" else ["-m", "checker.ui.cli"]
        env = os.environ | {"KUBECLASS_HOME": str(home), "PYTHONPATH": str(paths.COURSE)}
        cleared = subprocess.run(
            [sys.executable, *module, *words], env=env, capture_output=True, text=True, timeout=300, check=False
        )
        assert cleared.returncode == 0, cleared.stderr
        assert marks(classroom, "carl") == before


def test_a_preflight_that_is_stopped_leaves_nothing(classroom: Classroom, tmp_path: Path) -> None:
    """Ctrl-C right after the made-up learner's class was created."""
    cluster = classroom.admin.cluster
    where = ("--context", cluster.context, "--kubeconfig", str(cluster.kubeconfig))
    process = subprocess.Popen(
        [sys.executable, "-m", "checker.ui.cli", "class", "preflight", *where],
        env=os.environ | {"KUBECLASS_HOME": str(tmp_path / "home"), "PYTHONPATH": str(paths.COURSE)},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=ctrl_c_counts,
    )
    said = []
    try:
        for line in process.stderr or ():
            said.append(line)
            if line.startswith("✔ A class of one learner is made"):
                process.send_signal(signal.SIGINT)
        assert process.wait(300) == 130, said
    finally:
        process.kill()
    text = "".join(said)
    assert "Stopped. What was made is being removed." in text and "✔ All of it is removed" in text
    assert "kubeclass class remove" not in text
    for kind in KINDS:
        try:
            items = classroom.admin.get(f"{collection(kind)}?labelSelector={CLASS}")["items"]
        except ApiError as error:
            assert error.status == 404  # the cluster does not know the kind
            continue
        assert [one for one in items if one["metadata"]["labels"][CLASS].startswith("preflight-")] == []


CLEARING = """
import sys
from checker.session import Session
session = Session(sys.argv[1])
session.environment.clear(session.lab)
session.environment.clear(session.lab)  # the same again is no error
"""


def marks(classroom: Classroom, learner: str) -> dict[str, tuple[object, ...]]:
    """What the Namespaces of a learner say of themselves: labels, annotations and what is in them, by name."""
    found: dict[str, tuple[object, ...]] = {}
    for name in (f"{NAME}-{learner}", *classroom.access[learner].namespaces.values()):
        metadata = classroom.admin.get(f"/api/v1/namespaces/{name}")["metadata"]
        kinds = ("pods", "services", "configmaps", "secrets", "resourcequotas", "limitranges", "serviceaccounts")
        items = {
            f"{kind}/{one['metadata']['name']}"
            for kind in kinds
            for one in classroom.admin.get(f"/api/v1/namespaces/{name}/{kind}")["items"]
        }
        found[name] = (metadata["labels"], metadata["annotations"], items)
    return found


def start_server(classroom: Classroom, learner: str, namespace: str) -> None:
    cluster = classroom.clusters[learner]
    kubectl(cluster, "run", "server", "--image=guestbook:v1", "--port=8080", "-n", namespace)
    kubectl(cluster, "wait", "pod/server", "--for=condition=Ready", "--timeout=90s", "-n", namespace, timeout=100)


def address(classroom: Classroom, namespace: str) -> str:
    return str(classroom.admin.get(f"/api/v1/namespaces/{namespace}/pods/server")["status"]["podIP"]) + ":8080"


def dns_pod(admin: Api) -> str:
    pods = admin.get("/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%3Dkube-dns")["items"]
    return str(pods[0]["status"]["podIP"])


def reach(classroom: Classroom, learner: str, namespace: str, targets: dict[str, str]) -> dict[str, bool]:
    """Which targets a Pod of the learner's reaches, tried by the learner's own rights."""
    asked = ("exec", "server", "-n", namespace, "--", "python3", "-c", ASK, *targets.values())
    said = kubectl(classroom.clusters[learner], *asked, timeout=40)
    return dict(zip(targets, json.loads(said), strict=True))


def observer_reaches(admin: Api, where: str) -> bool:
    from checker.collect.observer import ask

    return bool(ask(admin, {"tcp": {"do": "tcp", "to": [where]}})["tcp"].get(where) == "open")


def check_table(
    name: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], pytestconfig: pytest.Config
) -> None:
    """The table of this name in docs/class-security.md says just this; with --record, it is written."""
    new = written(DOCUMENT.read_text(), name, heads, rows)
    if pytestconfig.getoption("--record"):
        DOCUMENT.write_text(new)
    assert DOCUMENT.read_text() == new, "take the table anew: pytest tests/class --record"
