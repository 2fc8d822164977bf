"""A cluster that is not ours, for real: by a service account with ClusterRole `view`, and by one with `admin`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from checker.classroom import joined
from checker.classroom.access import ClassAccess, write
from checker.classroom.target import target
from checker.collect.api import Api
from checker.session import Session
from checker.ui.cli import app
from cluster import Cluster, current, tools
from cluster.kubectl import kubectl
from cluster.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("target")]  # they share two namespaces

NAMESPACE = "target-ada"
OTHERS = "target-eve"  # a namespace in which the accounts have no rights
PENDING = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "greedy"},
    "spec": {
        "containers": [
            {
                "name": "app",
                "image": "guestbook:v1",
                "imagePullPolicy": "Never",
                "resources": {"requests": {"cpu": "900"}},
            }
        ]
    },
}


@dataclass
class Account:
    """A service account of the namespace: its token, and a kubeconfig with a context of its name."""

    name: str
    token: str
    kubeconfig: Path


@pytest.fixture(scope="module")
def own() -> Cluster:
    """The tests' cluster, by its admin. A kubectl is at hand before any test changes the course's home."""
    tools.kubectl_path()
    return current()


@pytest.fixture(scope="module")
def namespaces(own: Cluster) -> Iterator[None]:
    for name in (NAMESPACE, OTHERS):
        kubectl(own, "create", "namespace", name)
    yield
    kubectl(own, "delete", "namespace", NAMESPACE, OTHERS, "--wait=false")


@pytest.fixture
def account(request: pytest.FixtureRequest, own: Cluster, namespaces: None, tmp_path: Path) -> Iterator[Account]:
    """A service account that has the ClusterRole of this parameter in the namespace, and nowhere else."""
    role = str(request.param)
    for name in (NAMESPACE, OTHERS):
        kubectl(own, "apply", "-n", name, "-f", "-", input=json.dumps(PENDING))
    kubectl(own, "create", "serviceaccount", role, "-n", NAMESPACE)
    bound = (f"--clusterrole={role}", f"--serviceaccount={NAMESPACE}:{role}")
    kubectl(own, "create", "rolebinding", role, "-n", NAMESPACE, *bound)
    token = kubectl(own, "create", "token", role, "-n", NAMESPACE, "--duration=1h").strip()
    config = yaml.safe_load(own.kubeconfig.read_text())
    config["users"] = [{"name": "sa", "user": {"token": token}}]
    context = {"cluster": config["clusters"][0]["name"], "user": "sa", "namespace": NAMESPACE}
    config["contexts"] = [{"name": role, "context": context}]
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    yield Account(role, token, file)
    kubectl(own, "delete", "serviceaccount,rolebinding", role, "-n", NAMESPACE, "--ignore-not-found")


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


@pytest.mark.parametrize("account", ["view"], indirect=True)
def test_with_the_rights_to_view_one_namespace_explain_finds_its_pending_pod_and_says_what_it_did_not_see(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "found", lambda name: None)  # there is no kubectl, and none is fetched
    monkeypatch.setattr(tools, "fetch_tool", lambda name: pytest.fail(f"{name} was fetched"))
    named = ("--context", account.name, "--kubeconfig", str(account.kubeconfig))
    status, output = run("explain", *named, "--json", "--wait", "0")
    found = json.loads(output)
    assert status == 1
    assert [finding["object"] for finding in found["findings"]] == ["Pod/greedy"]
    assert {finding["namespace"] for finding in found["findings"]} == {NAMESPACE}
    assert found["findings"][0]["look"].startswith("kubectl --context view --kubeconfig ")
    assert "Secret objects could not be listed" in json.dumps(found["unseen"])
    status, output = run("picture", *named)
    assert status == 2 and "greedy" in output and "Node" in output
    status, output = run("status", *named)
    assert status == 0 and "kubeclass up" not in output and "do not let you list nodes" in output
    assert f"Namespace {NAMESPACE}" in output and "You may change: nothing" in output
    status, output = run("explain", *named, "-n", OTHERS, "--wait", "0")
    assert status == 2 and "greedy" not in output
    status, output = run("check", "07", *named, "--wait", "0")
    assert status in (1, 2)


@pytest.fixture
def rights_of_a_class(own: Cluster, account: Account) -> Iterator[None]:
    """What a class gives beside the rights in one's namespace: to see nodes, and to ask the observer."""
    who = f"--serviceaccount={NAMESPACE}:{account.name}"
    kubectl(own, "create", "clusterrole", "target-nodes", "--verb=get,list,watch", "--resource=nodes")
    kubectl(own, "create", "clusterrolebinding", "target-nodes", "--clusterrole=target-nodes", who)
    asking = ("--verb=create", "--resource=services/proxy", "--resource-name=http:observer:8080")
    kubectl(own, "create", "role", "target-asks", "-n", "kubeclass", *asking)
    kubectl(own, "create", "rolebinding", "target-asks", "-n", "kubeclass", "--role=target-asks", who)
    yield
    kubectl(own, "delete", "clusterrolebinding,clusterrole", "target-nodes")
    kubectl(own, "delete", "rolebinding,role", "target-asks", "-n", "kubeclass")


@pytest.mark.usefixtures("rights_of_a_class")
@pytest.mark.parametrize("account", ["admin"], indirect=True)
def test_a_lab_is_started_solved_graded_and_cleared_with_the_rights_of_an_admin_of_one_namespace(
    own: Cluster, account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = yaml.safe_load(own.kubeconfig.read_text())["clusters"][0]["cluster"]
    access = ClassAccess(
        name="target",
        learner="ada",
        namespace=NAMESPACE,
        expires=datetime.now(UTC) + timedelta(hours=1),
        server=server["server"],
        authority=server["certificate-authority-data"],
        token=account.token,
    )
    write(tmp_path / "ada.yaml", access)
    monkeypatch.setenv("KUBECLASS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KUBECLASS_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("KUBECLASS_PROGRESS", str(tmp_path / "progress.json"))
    joined.join(tmp_path / "ada.yaml")
    of_class = {"metadata": {"name": "of-the-class", "labels": {"kubeclass.dev/class": "target"}}}
    kept = {"apiVersion": "v1", "kind": "ConfigMap", **of_class}
    kubectl(own, "apply", "-n", NAMESPACE, "-f", "-", input=json.dumps(kept))
    labels = json.loads(kubectl(own, "get", "namespace", NAMESPACE, "-o", "json"))["metadata"]["labels"]

    status, output = run("start", "07")
    assert status == 0 and NAMESPACE in output
    assert run("solve", "07")[0] == 0
    result = Session("07").check(wait=240)
    assert [(t.id, t.cause, t.message) for t in result.tasks if t.verdict != "passed"] == []
    assert result.score == result.max_score
    assert json.loads(kubectl(own, "get", "namespace", NAMESPACE, "-o", "json"))["metadata"]["labels"] == labels

    assert run("clear", "--yes")[0] == 0
    left = kubectl(own, "get", "deployments,pods,services,configmaps", "-n", NAMESPACE, "-o", "name").split()
    assert sorted(left) == ["configmap/kube-root-ca.crt", "configmap/of-the-class"]
    assert kubectl(own, "get", "pod", "greedy", "-n", OTHERS, "-o", "name").strip() == "pod/greedy"
    missing = CliRunner().invoke(app, ["start", "08"]).exception
    assert f"Lab 08 needs the namespace {NAMESPACE}-data" in str(missing)


@pytest.mark.parametrize("account", ["admin"], indirect=True)
def test_a_token_that_was_taken_back_is_told(own: Cluster, account: Account) -> None:
    api = Api(target(account.name, str(account.kubeconfig)))
    assert api.get(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]
    kubectl(own, "delete", "serviceaccount", account.name, "-n", NAMESPACE)
    command = ["explain", "--context", account.name, "--kubeconfig", str(account.kubeconfig), "--wait", "0"]
    errors: list[str] = []

    def is_refused() -> bool:  # the API server goes on accepting a token for some seconds
        errors.append(str(CliRunner().invoke(app, command).exception))
        return "does not accept the credentials" in errors[-1]

    assert wait_until(is_refused, 60, pause=1), errors
