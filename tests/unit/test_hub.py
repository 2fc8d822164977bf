"""JupyterHub for a class: what the class holds for it, how the hub starts a server, and how the server joins."""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import certifi
import pytest
import yaml

from checker.classroom import hub, mounted, names, offers, rights, tokens
from checker.classroom.access import ClassAccess, read
from checker.classroom.build import build, further_suffixes, labs_of_a_class
from checker.classroom.joined import current_class, folder, take_in
from checker.classroom.plan import Class, Cluster, objects
from checker.classroom.quota import Quota
from checker.classroom.record import Record, of_manifest
from checker.classroom.roster import Learner, id_of
from checker.collect.kubeconfig import access_of
from checker.model.quantity import quantity
from checker.model.state import CLASS
from checker.ui import study
from cluster import Problem, paths
from hub import kubeclass_hub

LABS = labs_of_a_class()
SUFFIXES = further_suffixes(LABS)
API_SERVERS = (("10.96.0.1", 443), ("172.18.0.4", 6443))
AUTHORITY = Path(certifi.where())  # certificates that can be loaded; httpx brings them


def plan_of(*ids: str, has_hub: bool = True) -> Class:
    cluster = Cluster(("172.18.0.2",), api_servers=API_SERVERS)
    return build("t", [Learner(one) for one in ids], Quota(), cluster, LABS, has_hub)


def of(plan: Class, kind: str, namespace: str = "") -> list[dict[str, Any]]:
    return [one for one in objects(plan) if one["kind"] == kind and one["metadata"].get("namespace", "") == namespace]


# -- what the class holds ---------------------------------------------------------------------------------------------


def test_without_a_hub_a_class_is_as_before() -> None:
    assert not [one for one in objects(plan_of("ada", has_hub=False)) if "hub" in json.dumps(one)]


def test_each_learner_gets_one_namespace_more_in_which_the_learner_has_no_rights() -> None:
    plan = plan_of("ada", "bob")
    namespaces = {one["metadata"]["name"]: one["metadata"]["labels"] for one in of(plan, "Namespace")}
    assert namespaces["t-ada-hub"][names.ROLE] == "hub" and namespaces["t-ada-hub"][names.LEARNER] == "t-ada"
    assert namespaces["t-ada-hub"]["pod-security.kubernetes.io/enforce"] == "restricted"
    subjects = [subject for one in of(plan, "RoleBinding", "t-ada-hub") for subject in one["subjects"]]
    assert subjects == [{"kind": "ServiceAccount", "name": "hub", "namespace": "kubeclass-hub"}]
    held = {(one["kind"], one["metadata"]["name"]) for one in objects(plan) if _is_in(one, "t-ada-hub")}
    assert held == set(hub.EXPECTED)


def _is_in(one: dict[str, Any], namespace: str) -> bool:
    return bool(one["metadata"].get("namespace") == namespace)


def test_the_servers_account_has_the_learners_rights_in_the_learners_namespaces() -> None:
    plan = plan_of("ada", "bob")
    accounts = [{"kind": "ServiceAccount", "name": "learner", "namespace": place} for place in ("t-ada", "t-ada-hub")]
    for namespace in ("t-ada", "t-ada-data", "t-ada-policies"):
        assert [one["subjects"] for one in of(plan, "RoleBinding", namespace)] == [accounts]
    for one in of(plan, "ClusterRoleBinding"):
        assert all(account in one["subjects"] for account in accounts)
    # The admission policies hold for both accounts, too.
    named = [
        condition["expression"]
        for one in of(plan, "ValidatingAdmissionPolicy")
        for condition in one["spec"].get("matchConditions", [])
        if condition["name"] == "by-a-learner"
    ]
    assert named and all('"system:serviceaccount:t-ada-hub:learner"' in expression for expression in named)


def test_a_pod_runs_as_a_learners_account_in_a_servers_namespace_only() -> None:
    def expression(plan: Class) -> str:
        name = "kubeclass-class-t-pods"
        (guard,) = [one for one in of(plan, "ValidatingAdmissionPolicy") if one["metadata"]["name"] == name]
        return next(
            one["expression"] for one in guard["spec"]["validations"] if "serviceAccountName" in one["expression"]
        )

    assert "namespaceObject.metadata.labels['kubeclass.dev/role'] == 'hub'" in expression(plan_of("ada"))
    assert "namespaceObject" not in expression(plan_of("ada", has_hub=False))


def test_the_hub_alone_reaches_a_server_and_the_server_reaches_no_other_learner() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in of(plan_of("ada", "bob"), "NetworkPolicy", "t-ada-hub")}
    hubs = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kubeclass-hub"}}}
    assert policies["class-wall"]["ingress"] == [{"from": [hubs], "ports": [{"port": 8888, "protocol": "TCP"}]}]
    ways = policies["class-way-out"]["egress"]
    assert all(rule["to"] for rule in ways)  # an empty one would open everything
    learners = [
        peer["namespaceSelector"]["matchLabels"][names.LEARNER]
        for rule in ways
        for peer in rule["to"]
        if names.LEARNER in peer.get("namespaceSelector", {}).get("matchLabels", {})
    ]
    assert learners == ["t-ada"]
    blocks = {
        (peer["ipBlock"]["cidr"], port["port"])
        for rule in ways
        for peer in rule["to"]
        if "ipBlock" in peer and not peer["ipBlock"]["cidr"].startswith("169.254.")
        for port in rule["ports"]
    }
    assert blocks == {("10.96.0.1/32", 443), ("172.18.0.4/32", 6443)}
    (to_the_hub,) = [rule for rule in ways if any("podSelector" in peer for peer in rule["to"])]
    assert to_the_hub["to"] == [hubs | {"podSelector": {"matchLabels": {"component": "hub"}}}]
    assert to_the_hub["ports"] == [{"port": 8081, "protocol": "TCP"}]
    # The other walls stay as they are: no Pod of a lab reaches a server, or the hub.
    with_hub, without = plan_of("ada"), plan_of("ada", has_hub=False)
    for place in ("t-ada", "t-ada-data"):
        assert of(with_hub, "NetworkPolicy", place) == of(without, "NetworkPolicy", place)


def test_a_learners_own_policy_lets_no_pod_out_to_a_server() -> None:
    def own(plan: Class) -> list[str]:
        return [
            variable["expression"]
            for one in of(plan, "ValidatingAdmissionPolicy")
            for variable in one["spec"].get("variables", [])
        ]

    assert own(plan_of("ada")) == own(plan_of("ada", has_hub=False))


def test_the_hub_may_start_servers_and_read_the_record_and_no_more() -> None:
    plan = plan_of("ada")
    (role,) = of(plan, "Role", "t-ada-hub")
    may = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    assert {resource for resource, _ in may} == {"pods", "persistentvolumeclaims", "events", "namespaces"}
    assert ("namespaces", "list") not in may and ("persistentvolumeclaims", "delete") not in may
    (reading,) = [one for one in of(plan, "Role", "kubeclass") if one["metadata"]["name"] == "kubeclass-class-t-hub"]
    assert reading["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "resourceNames": ["kubeclass-class-t"]}
    ]
    in_the_cluster = [
        subject for one in of(plan, "ClusterRoleBinding") for subject in one["subjects"] if subject["name"] == "hub"
    ]
    assert in_the_cluster == []


def test_a_servers_namespace_is_none_of_the_namespaces_of_labs() -> None:
    made = of(plan_of("ada"), "Namespace")
    assert tokens.homes_in(made) == {"t-ada": {suffix: f"t-ada-{suffix}" for suffix in SUFFIXES}}
    assert names.HUB not in SUFFIXES  # a lab that needs a namespace of this name would meet the server


def test_the_record_says_that_there_is_a_hub() -> None:
    ends = datetime(2026, 12, 1, 18, tzinfo=UTC)
    one = Record("t", ends, ("policies",), further=SUFFIXES)
    assert of_manifest("t", one.manifest()) == one
    assert of_manifest("t", Record("t", ends).manifest()).further is None


def test_the_addresses_of_the_api_server_are_those_of_its_service_and_behind_it() -> None:
    class Asked:
        def get(self, path: str) -> Any:
            if path.endswith("/services/kubernetes"):
                return {"spec": {"clusterIPs": ["10.96.0.1", "fd00::1"], "ports": [{"port": 443}]}}
            assert "kubernetes.io%2Fservice-name%3Dkubernetes" in path
            return {"items": [{"endpoints": [{"addresses": ["172.18.0.4"]}], "ports": [{"port": 6443}]}]}

    found = offers.api_servers(Asked())  # type: ignore[arg-type]
    assert set(found) == {("10.96.0.1", 443), ("fd00::1", 443), ("172.18.0.4", 6443)}


# -- the hub's hook ---------------------------------------------------------------------------------------------------


class Forbidden(Exception):
    status = 403


class FakeApi:
    """The API server as the hub's account sees it. namespaces: those that the hub may read."""

    def __init__(self, record: Record, namespaces: list[dict[str, Any]]) -> None:
        self.record = record.manifest()
        self.namespaces = {one["metadata"]["name"]: one["metadata"] for one in namespaces}

    async def read_namespaced_config_map(self, name: str, namespace: str) -> Any:
        assert (name, namespace) == (self.record["metadata"]["name"], self.record["metadata"]["namespace"])
        return SimpleNamespace(data=self.record["data"])

    async def read_namespace(self, name: str) -> Any:
        if name not in self.namespaces:
            raise Forbidden
        found = self.namespaces[name]
        return SimpleNamespace(
            metadata=SimpleNamespace(labels=found.get("labels"), annotations=found.get("annotations"))
        )


def spawner(user: str, hours: float = 1, name: str = "t") -> Any:
    ends = datetime.now(UTC) + timedelta(hours=hours)
    record = Record(name, ends, ("policies", "workers=2"), "registry.example/k", further=SUFFIXES)
    other = build("t-b", [Learner("x")], Quota(), Cluster(), LABS, True)
    namespaces = [*of(plan_of("ada", "bob"), "Namespace"), *of(other, "Namespace")]
    return SimpleNamespace(
        api=FakeApi(record, namespaces),
        user=SimpleNamespace(name=user),
        namespace="kubeclass-hub",
        pod_name=f"jupyter-{user}",
        dns_name="",
        dns_name_template="{name}.{namespace}.svc.cluster.local",
        environment={"LANG": "C.UTF-8"},
        extra_pod_config={"priority": 0},
    )


def start(one: Any) -> dict[str, Any]:
    """Run the hook. Returns what it says to the server."""
    asyncio.run(kubeclass_hub.Start("t")(one))
    # KubeSpawner formats each value of the environment.
    said: dict[str, Any] = json.loads(one.environment["KUBECLASS_ACCESS"].format(username="x"))
    return said


def test_a_server_starts_in_its_learners_namespace_and_ends_with_the_class() -> None:
    one = spawner("ada")
    said = start(one)
    assert one.namespace == "t-ada-hub" and one.dns_name == "jupyter-ada.t-ada-hub.svc.cluster.local"
    assert 3500 < one.extra_pod_config["activeDeadlineSeconds"] <= 3600 and one.extra_pod_config["priority"] == 0
    assert (said["name"], said["learner"], said["namespace"]) == ("t", "ada", "t-ada")
    assert said["namespaces"] == {suffix: f"t-ada-{suffix}" for suffix in SUFFIXES}
    assert (said["offers"], said["registry"]) == (["policies", "workers=2"], "registry.example/k")
    assert one.environment["LANG"] == "C.UTF-8"
    assert start(one) == said  # once more, as after a stop


# Beside users who are nobody in the class: names that would lead into another namespace of a class.
@pytest.mark.parametrize("user", ["eve", "ada-hub", "b-x", "Ada", "ada/../bob", "", "ada ", "ada@example.org"])
def test_nobody_else_gets_a_server(user: str) -> None:
    one = spawner(user)
    with pytest.raises(kubeclass_hub.Refused, match="no learner with your user name") as caught:
        start(one)
    assert caught.value.status_code == 403 and caught.value.jupyterhub_message in str(caught.value)
    assert one.namespace == "kubeclass-hub" and "KUBECLASS_ACCESS" not in one.environment


def test_no_server_starts_after_the_end_of_the_class() -> None:
    with pytest.raises(kubeclass_hub.Refused, match="The class has ended"):
        start(spawner("ada", hours=-1))


def test_a_hub_that_cannot_ask_says_so() -> None:
    class Away(Exception):
        status = 500

    async def read_namespace(name: str) -> Any:
        raise Away

    one = spawner("ada")
    one.api.read_namespace = read_namespace
    with pytest.raises(Away):
        start(one)


def test_the_hook_knows_the_names_of_the_class() -> None:
    assert (kubeclass_hub.CLASS, kubeclass_hub.ROLE) == (CLASS, names.ROLE)
    assert (kubeclass_hub.HUB, kubeclass_hub.ACCOUNT) == (names.HUB, names.ACCOUNT)
    assert (kubeclass_hub.OBSERVER, kubeclass_hub.API_PORT) == (names.OBSERVER, hub.API_PORT)
    assert kubeclass_hub.SAID_BY_THE_HUB == mounted.SAID_BY_THE_HUB
    text = Path(kubeclass_hub.__file__).read_text()
    assert not re.search(r"^(from|import) (checker|cluster|yaml|msgspec)", text, re.MULTILINE)


class Section(dict[str, Any]):
    """A part of a configuration of traitlets."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


def test_the_configuration_asks_for_what_pod_security_restricted_demands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAMESPACE", "kubeclass-hub")
    c = SimpleNamespace(JupyterHub=Section(), Spawner=Section(), KubeSpawner=Section())
    kubeclass_hub.configure(c, "t")
    assert c.JupyterHub.hub_connect_url == "http://hub.kubeclass-hub:8081"
    assert c.KubeSpawner.service_account == "learner" and not c.KubeSpawner.enable_user_namespaces
    assert c.KubeSpawner.container_security_context["runAsNonRoot"] and not c.KubeSpawner.allow_privilege_escalation
    assert [mount["mountPath"] for mount in c.KubeSpawner.volume_mounts] == ["/home/learner"]
    own = SimpleNamespace(JupyterHub=Section(), Spawner=Section(), KubeSpawner=Section(volumes={}, volume_mounts={}))
    kubeclass_hub.configure(own, "t")
    assert own.KubeSpawner.volumes == {}


def test_the_values_of_the_chart_say_what_the_class_has_room_for() -> None:
    values = yaml.safe_load((paths.COURSE / "hub" / "values.yaml").read_text())
    server, home = values["singleuser"], values["singleuser"]["storage"]
    # KubeSpawner counts M and G as powers of two.
    asked = {name: quantity(f"{amount}i") for name, amount in server["memory"].items()}
    assert asked == {"guarantee": quantity(hub.MEMORY), "limit": quantity(hub.MEMORY_LIMIT)}
    assert quantity(str(server["cpu"]["guarantee"])) == quantity(hub.CPU)
    # The quota has room for a server that is terminating, and for the next one.
    one = {"pods": "1", "requests.cpu": hub.CPU, "requests.memory": hub.MEMORY, "limits.memory": hub.MEMORY_LIMIT}
    assert {name: quantity(room) for name, room in hub.ROOM.items()} == {k: 2 * quantity(v) for k, v in one.items()}
    assert quantity(home["capacity"]) == quantity(hub.STORAGE)
    assert (home["homeMountPath"], home["dynamic"]["pvcNameTemplate"]) == (kubeclass_hub.HOME, "home")
    assert (server["serviceAccountName"], server["cmd"]) == ("learner", ["kubeclass", "hub-server"])
    (way_in,) = values["hub"]["networkPolicy"]["ingress"]
    assert way_in["from"] == [{"namespaceSelector": {"matchLabels": {names.ROLE: names.HUB}}}]
    compile(values["hub"]["extraConfig"]["kubeclass"], "values.yaml", "exec")


def test_the_example_of_a_login_fits_the_values_and_holds_no_secret() -> None:
    text = (paths.COURSE / "hub" / "login.yaml").read_text()
    login, values = yaml.safe_load(text), yaml.safe_load((paths.COURSE / "hub" / "values.yaml").read_text())
    assert set(login) <= set(values)
    config, (host,) = login["hub"]["config"], login["proxy"]["https"]["hosts"]
    assert config["JupyterHub"] == values["hub"]["config"]["JupyterHub"] == {"authenticator_class": "generic-oauth"}
    own = config["GenericOAuthenticator"]
    assert own["oauth_callback_url"] == f"https://{host}/hub/oauth_callback" and "client_secret" not in own
    assert all(own[name].startswith("https://") for name in ("authorize_url", "token_url", "userdata_url"))
    assert {id_of(id) for id in own["username_map"].values()} == set(own["username_map"].values())
    assert "--values hub/login.yaml" in (paths.COURSE / "docs" / "hub.md").read_text()


# -- the server -------------------------------------------------------------------------------------------------------


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ServiceAccount's folder in a server's Pod, and the environment there."""
    place = tmp_path / "serviceaccount"
    place.mkdir()
    (place / "token").write_text("first")
    (place / "ca.crt").write_text("authority")
    one = spawner("ada")
    start(one)
    monkeypatch.setenv("KUBECLASS_ACCESS", one.environment["KUBECLASS_ACCESS"].format())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setenv("KUBECLASS_HOME", str(tmp_path / "home"))
    return place


def test_a_server_joins_the_class_with_the_mounted_token(mount: Path) -> None:
    joined = take_in(mounted.mounted(mount))
    assert (joined.name, joined.learner, joined.namespace) == ("t", "ada", "t-ada")
    assert joined.namespaces["data"] == "t-ada-data" and current_class() == joined
    config = yaml.safe_load((folder() / "t" / "kubeconfig").read_text())
    assert config["users"] == [{"name": "t", "user": {"tokenFile": str(mount / "token")}}]
    assert config["clusters"][0]["cluster"] == {
        "server": "https://10.96.0.1:443",
        "certificate-authority-data": b64encode(b"authority").decode(),
    }
    assert config["contexts"][0]["context"]["namespace"] == "t-ada"


def test_a_token_that_the_kubelet_renews_is_read_anew(mount: Path) -> None:
    (mount / "ca.crt").write_text(AUTHORITY.read_text())
    access = access_of(take_in(mounted.mounted(mount)).cluster)
    assert access.authorization() == "Bearer first" and access.is_renewed
    (mount / "token").write_text("second\n")
    assert access.authorization() == "Bearer second"


def test_an_address_of_version_6_is_in_brackets(mount: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    assert mounted.mounted(mount).server == "https://[fd00::1]:443"


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("KUBECLASS_ACCESS", None, r"\$KUBECLASS_ACCESS"),
        ("KUBECLASS_ACCESS", "{", "KUBECLASS_ACCESS"),
        ("KUBECLASS_ACCESS", '{"name": "t"}', "missing required field"),
        ("KUBERNETES_SERVICE_HOST", None, r"\$KUBERNETES_SERVICE_HOST"),
    ],
)
def test_elsewhere_than_in_a_server_it_is_told_what_is_missing(
    mount: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, why: str
) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(Problem, match=f"no server of a class in JupyterHub: .*{why}"):
        mounted.mounted(mount)


def test_a_mount_without_a_certificate_is_told(mount: Path) -> None:
    (mount / "ca.crt").unlink()
    with pytest.raises(Problem, match=r"ca\.crt: No such file"):
        mounted.mounted(mount)


def test_a_handed_out_file_never_names_a_file_for_the_token(tmp_path: Path, mount: Path) -> None:
    file = tmp_path / "ada.yaml"
    access: ClassAccess = mounted.mounted(mount)
    document = {
        "apiVersion": "kubeclass.dev/v1",
        "kind": "ClassAccess",
        "metadata": {"name": "t"},
        "learner": "ada",
        "namespace": "t-ada",
        "expires": "2100-01-01T00:00:00Z",
        "kubeconfig": access.kubeconfig(),
    }
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(Problem, match="is damaged"):
        read(file)


def test_the_server_serves_what_study_serves(mount: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[Any] = []
    monkeypatch.setattr("os.execve", lambda *words: became.append(words))
    monkeypatch.chdir(tmp_path)
    lessons = tmp_path / "lessons"
    lessons.mkdir()
    (lessons / "00-start.ipynb").write_text('{"cells": []}')
    (mount / "ca.crt").write_text(AUTHORITY.read_text())
    study.serve_in_hub(take_in(mounted.mounted(mount)).cluster, "00-start.ipynb", lessons)
    ((program, words, environment),) = became
    assert Path(program).name == "jupyterhub-singleuser" == Path(words[0]).name
    assert "--ServerApp.default_url=/lab/workspaces/00-start" in words and f"--ServerApp.root_dir={lessons}" in words
    assert "--ServerApp.contents_manager_class=checker.ui.contents.CourseContents" in words
    assert environment["KUBECONFIG"].endswith("/classes/t/kubeconfig")
    assert environment["KUBECLASS_FOLDER"] == str(lessons) and "JUPYTER_TOKEN" not in environment


def test_no_right_of_a_learner_changed() -> None:
    (role, _binding) = rights.in_namespace("t", "t-ada", ["t-ada", "t-ada-hub"])
    assert role["rules"] == next(iter(rights.in_namespace("t", "t-ada", ["t-ada"])))["rules"]
