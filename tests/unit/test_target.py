"""Which cluster a command means: one's own, a class that was joined, a context that was named; and never another."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from checker.classroom import joined
from checker.classroom.access import write
from checker.classroom.target import further_namespaces, target
from checker.collect import collect as collecting
from checker.collect import marks
from checker.collect.api import Api
from checker.collect.collect import collect
from checker.collect.rights import Rights
from checker.collect.watch import Watch
from checker.environments import namespace as environment_module
from checker.environments.namespace import NamespaceEnvironment
from checker.grading.labs import load_lab
from checker.grading.seeds import bound, seed_of
from checker.model.kinds import KINDS
from checker.model.state import LAB, STARTED, State
from checker.session import at_cluster
from checker.ui import study
from checker.ui.cli import app
from cluster import Cluster, Problem, current, tools

from .fake_api_server import Answering, Listening, until
from .test_access import ACCESS

HERE = "autumn-ada"  # the learner's namespace
BESIDE = "autumn-ada-data"


class Handler(Answering):
    """An API server of a class: who asks has the rights of ClusterRole `admin` in two namespaces, and no others."""

    server: ClassServer

    def do_GET(self) -> None:
        self.server.asked.append((self.command, self.path))
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        if self.server.refuses_token:
            return self.answer(401, {"message": "Unauthorized"})
        if path == "/version":
            return self.answer(200, {"gitVersion": "v1.37.2"})
        where = re.match(r"/apis?/(?:v1|[^/]+/v\w+)/namespaces/([^/]+)(?:/(\w+))?(?:/(.+))?$", path)
        if not where or where[1] not in self.server.namespaces:
            plural = path.rpartition("/")[2]
            return self.answer(403, {"message": f"{plural} is forbidden"})
        namespace, plural, name = where.groups()
        if not plural:
            raw = {"metadata": {"name": namespace, "uid": f"uid-{namespace}"} | self.server.marks.get(namespace, {})}
            if self.command == "PATCH" and not self.server.takes_marks:
                return self.answer(403, {"message": "forbidden"})
            if self.command == "PATCH":
                self.server.mark(namespace, json.loads(sent)["metadata"])
            return self.answer(200, raw)
        known = self.server.objects.setdefault((namespace, plural), {})
        if self.command == "PATCH" and name:
            known[name] = json.loads(sent)
            known[name]["metadata"].setdefault("uid", name)
            return self.answer(200, known[name])
        if name:
            return self.answer(200, known[name]) if name in known else self.answer(404, {"message": "not found"})
        if "watch=1" in self.path:  # which ends at once
            return self.answer(200, None)
        return self.answer(200, {"metadata": {"resourceVersion": "1"}, "items": list(known.values())})

    def do_PATCH(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path))
        if self.path.endswith("selfsubjectrulesreviews"):
            rules = [
                {"verbs": ["*"], "apiGroups": ["", "apps"], "resources": ["pods", "configmaps", "deployments"]},
                {"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["resourcequotas"]},
            ]
            return self.answer(201, {"status": {"resourceRules": rules}})
        self.answer(403, {"message": "forbidden"})


class ClassServer(Listening):
    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.namespaces = {HERE, BESIDE}
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.refuses_token = self.takes_marks = False
        self.marks: dict[str, dict[str, dict[str, str]]] = {}  # namespace: its labels and annotations
        super().__init__(Handler)

    def mark(self, namespace: str, metadata: dict[str, Any]) -> None:
        """Merge labels and annotations into a Namespace; None deletes one."""
        known = self.marks.setdefault(namespace, {"labels": {}, "annotations": {}})
        for part, values in known.items():
            values |= metadata.get(part) or {}
            known[part] = {key: value for key, value in values.items() if value is not None}

    def put(self, namespace: str, plural: str, name: str, **content: Any) -> None:
        raw = {"metadata": {"name": name, "namespace": namespace, "uid": f"{namespace}/{name}"}, **content}
        self.objects.setdefault((namespace, plural), {})[name] = raw


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBECLASS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KUBECLASS_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    for name in ("KUBECONFIG", "KUBECLASS_CLUSTER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tools, "kubectl_path", lambda: pytest.fail("no kubectl is needed here"))
    monkeypatch.setattr("cluster.kubectl.kubectl_path", lambda: pytest.fail("no kubectl is needed here"))
    return tmp_path / "home"


@pytest.fixture
def server() -> Iterator[ClassServer]:
    with ClassServer() as found:
        yield found
        found.shutdown()


@pytest.fixture
def hand_out(tmp_path: Path) -> Path:
    write(tmp_path / "ada.yaml", ACCESS)
    return tmp_path / "ada.yaml"


@pytest.fixture
def in_class(hand_out: Path, server: ClassServer) -> Cluster:
    """A class that was joined, whose API server is ours (by http, which no handed-out file may name)."""
    cluster = joined.join(hand_out).cluster
    config = cluster.kubeconfig.read_text().replace(ACCESS.server, server.url)
    cluster.kubeconfig.write_text(config)
    return cluster


def kubeconfig(path: Path, url: str, *contexts: str, namespace: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    context = {"cluster": "c", "user": "u", **({"namespace": namespace} if namespace else {})}
    config = {
        "current-context": contexts[0],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "mine"}}],
        "contexts": [{"name": name, "context": context} for name in contexts],
    }
    path.write_text(yaml.safe_dump(config))
    return path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


# -- which cluster ----------------------------------------------------------------------------------------------------


def test_without_anything_it_is_ones_own_cluster() -> None:
    assert target() == current()
    assert (target().kind, target().context, target().namespace) == ("own", "kind-kubeclass", "learn")
    assert further_namespaces(target()) == {}


def test_a_class_that_was_joined_is_meant_until_it_is_left(hand_out: Path, home: Path) -> None:
    joined.join(hand_out)
    folder = home / "classes" / "autumn"
    assert target() == Cluster("autumn", folder / "kubeconfig", "autumn", HERE, "class")
    assert further_namespaces(target()) == {"data": BESIDE}
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "secret" not in (folder / "class.json").read_text()  # the token is in the kubeconfig alone
    config = yaml.safe_load((folder / "kubeconfig").read_text())
    assert config["contexts"][0] == {
        "name": "autumn",
        "context": {"cluster": "autumn", "user": "autumn", "namespace": HERE},
    }
    assert joined.leave() == "autumn"
    assert target() == current() and not folder.exists()


def test_a_class_that_is_joined_again_gets_the_new_token(hand_out: Path, tmp_path: Path) -> None:
    import msgspec

    joined.join(hand_out)
    write(tmp_path / "new.yaml", msgspec.structs.replace(ACCESS, token="renewed"))
    joined.join(tmp_path / "new.yaml")
    assert joined.names() == ["autumn"]
    assert "renewed" in target().kubeconfig.read_text()


def test_of_two_classes_the_one_joined_last_is_meant_and_the_other_can_be_left(hand_out: Path, tmp_path: Path) -> None:
    import msgspec

    joined.join(hand_out)
    write(tmp_path / "b.yaml", msgspec.structs.replace(ACCESS, name="spring"))
    joined.join(tmp_path / "b.yaml")
    assert joined.leave("autumn") == "autumn" and target().name == "spring"
    with pytest.raises(Problem, match="not joined the class autumn") as end:
        joined.leave("autumn")
    assert "spring" in end.value.what
    joined.leave()
    with pytest.raises(Problem, match="not joined a class"):
        joined.leave()


@pytest.mark.parametrize("damage", ["{", "{}", None])
def test_a_damaged_class_is_told_and_can_be_left(hand_out: Path, home: Path, damage: str | None) -> None:
    joined.join(hand_out)
    file = home / "classes" / "autumn" / "class.json"
    file.write_text(damage) if damage else file.unlink()
    with pytest.raises(Problem, match="autumn") as end:
        target()
    assert "kubeclass leave" in end.value.next_step
    assert joined.leave() == "autumn" and target() == current()


def test_a_named_context_goes_before_a_class_and_has_its_own_namespace(hand_out: Path, tmp_path: Path) -> None:
    joined.join(hand_out)
    file = kubeconfig(tmp_path / "config", "https://x", "a", "b", namespace="shop")
    assert target("b", str(file)) == Cluster("b", file, "b", "shop", "named")
    assert target("b", str(kubeconfig(tmp_path / "config", "https://x", "b"))).namespace == "default"
    assert target().kind == "class"


def test_without_a_file_the_context_is_looked_for_where_kubectl_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = kubeconfig(tmp_path / "user" / ".kube" / "config", "https://x", "mine")
    assert target("mine").kubeconfig == ours
    first, second = (kubeconfig(tmp_path / name, "https://x", name) for name in ("one", "two"))
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'none'}:{second}")
    assert target("two").kubeconfig == second
    with pytest.raises(Problem, match="no context mine") as end:
        target("mine")
    assert "one, two" in end.value.what


def test_what_is_wrong_with_a_named_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="names a file"):
        target("", "config")
    with pytest.raises(Problem, match="cannot be read"):
        target("a", str(tmp_path / "none"))
    for content in ("[", "- a", "contexts: [{}]", "contexts: 3"):
        (tmp_path / "config").write_text(content)
        with pytest.raises(Problem, match="not a kubeconfig"):
            target("a", str(tmp_path / "config"))
    with pytest.raises(Problem, match="no context a"):
        target("a")  # there is no ~/.kube/config


def test_the_users_own_kubeconfig_is_neither_read_nor_written_unless_a_context_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_class: Cluster, server: ClassServer
) -> None:
    with ClassServer() as decoy:
        file = kubeconfig(tmp_path / "user" / ".kube" / "config", decoy.url, "work", "autumn", "kind-kubeclass")
        before = file.read_bytes(), file.stat().st_mtime_ns
        monkeypatch.setenv("KUBECONFIG", str(file))
        read = Path.read_bytes

        def read_bytes(self: Path) -> bytes:
            assert self != file
            return read(self)

        with monkeypatch.context() as watched:
            watched.setattr(Path, "read_bytes", read_bytes)
            assert run("explain", "--wait", "0").exit_code in (0, 2)
            assert run("status").exit_code == 0
            assert run("check", "07", "--wait", "0").exit_code in (1, 2)
        assert decoy.asked == [] and server.asked
        del server.asked[:]
        assert run("explain", "--context", "work", "-n", HERE, "--wait", "0").exit_code in (0, 2)
        assert decoy.asked and server.asked == []
        assert (file.read_bytes(), file.stat().st_mtime_ns) == before
        decoy.shutdown()


# -- a class: the command line ----------------------------------------------------------------------------------------


def test_join_says_where_one_is_and_leave_goes_back(hand_out: Path) -> None:
    output = run("join", str(hand_out)).output
    assert "class autumn as ada" in output and HERE in output and BESIDE in output
    assert "own cluster again" in run("leave").output


@pytest.mark.parametrize("words", [["up"], ["down"]])
def test_up_and_down_say_how_to_leave(words: list[str], hand_out: Path) -> None:
    joined.join(hand_out)
    end = run(*words).exception
    assert isinstance(end, Problem) and "kubeclass leave" in end.next_step


def test_status_says_what_is_true_of_a_class(in_class: Cluster) -> None:
    done = run("status", "--json")
    facts = json.loads(done.output)
    assert done.exit_code == 0 and facts["ready"]
    assert (facts["kind"], facts["context"], facts["namespace"]) == ("class", "autumn", HERE)
    assert facts["nodes"] is None and facts["versions"] == {"kubernetes": "v1.37.2"}
    assert facts["rights"]["read"] == ["pods", "deployments", "configmaps", "resourcequotas"]
    assert facts["rights"]["change"] == ["pods", "deployments", "configmaps"]
    output = run("status").output
    assert "kubeclass leave" in output and "kubeclass up" not in output and "do not let you list nodes" in output


def test_up_says_in_a_terminal_how_to_go_on_and_not_in_a_lesson(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = current()
    monkeypatch.setattr("cluster.up.up", lambda metrics: cluster)
    monkeypatch.setattr("cluster.up.stop_as_by_ctrl_c", lambda: None)
    in_terminal = run("up").output
    assert "kubeclass study" in in_terminal and f"export KUBECONFIG={cluster.kubeconfig}" in in_terminal
    for name, value in study.environment(cluster).items():
        monkeypatch.setenv(name, value)
    in_lesson = run("up").output
    assert cluster.name in in_lesson and "study" not in in_lesson and "export" not in in_lesson


def test_a_token_that_has_ended_and_a_class_that_is_gone_are_told(in_class: Cluster, server: ClassServer) -> None:
    server.refuses_token = True
    for words in (["explain"], ["check", "07"], ["start", "07"]):
        end = run(*words).exception
        assert isinstance(end, Problem) and "no longer accepts your token" in end.what, words
        assert "kubeclass join FILE" in end.next_step
    assert run("status").exit_code == 1
    server.refuses_token, server.namespaces = False, set()
    for words in (["explain"], ["check", "07"], ["start", "07"], ["clear", "-y"]):
        end = run(*words).exception
        assert isinstance(end, Problem) and "The class autumn refuses this" in end.what, words
        assert "kubeclass leave" in end.next_step
    server.shutdown()
    server.server_close()
    end = run("start", "07").exception
    assert isinstance(end, Problem) and "does not answer" in end.what


def test_study_sets_kubectl_to_the_class_and_brings_nothing_up(in_class: Cluster) -> None:
    env = study.environment(in_class)
    assert env["KUBECONFIG"] == str(in_class.kubeconfig)
    assert env.get("KUBECLASS_CLUSTER") != "autumn"
    assert "127.0.0.1" in env["NO_PROXY"].split(",")


# -- a class: looking -------------------------------------------------------------------------------------------------


def seen(cluster: Cluster, *further: str) -> State:
    return collect(Api(cluster), HERE, kinds=KINDS, further=further)


def test_what_may_not_be_listed_everywhere_is_listed_in_all_the_learners_namespaces(
    in_class: Cluster, server: ClassServer
) -> None:
    server.put(HERE, "pods", "here")
    server.put(BESIDE, "pods", "beside")
    state = seen(in_class, BESIDE)
    assert [pod.name for pod in state.everywhere("Pod")] == ["here", "beside"]
    assert state.can_see("Pod", BESIDE) and not state.can_see("Pod", "other")
    assert state.find("Pod", "none", BESIDE) is None
    assert state.namespace_exists(BESIDE) is True and state.namespace_exists("other") is None
    found = state.find("Namespace", BESIDE)
    assert found and found.name == BESIDE
    assert State.from_json(state.to_json()).request == state.request


def test_a_further_namespace_that_is_hidden_is_not_called_empty(in_class: Cluster, server: ClassServer) -> None:
    server.namespaces.discard(BESIDE)
    state = seen(in_class, BESIDE)
    assert not state.can_see("Pod", BESIDE) and BESIDE in state.unlisted and state.can_see("Pod")


def test_a_watch_sees_the_same(in_class: Cluster, server: ClassServer) -> None:
    server.put(HERE, "pods", "here")
    server.put(BESIDE, "pods", "beside")
    server.put(BESIDE, "secrets", "s", data={"password": "c2VzYW1l"})
    watch = Watch(Api(in_class), HERE, lambda: None, ["Namespace", "Pod", "Secret", "Event"], [BESIDE])
    watch.start()
    try:
        state = until(watch.state)
        assert [pod.name for pod in state.everywhere("Pod")] == ["here", "beside"]
        assert state.can_see("Pod", BESIDE)
        assert sorted(o.name for o in state.objects["Namespace"]) == [HERE, BESIDE]
        assert "c2VzYW1l" not in str(watch._beside) + str(state.to_json())
    finally:
        watch.stop()


def test_a_watch_without_further_namespaces_reads_its_own(in_class: Cluster) -> None:
    watch = Watch(Api(in_class), HERE, lambda: None, ["Namespace", "Pod"])
    watch.start()
    try:
        state = until(watch.state)
        assert [o.name for o in state.objects["Namespace"]] == [HERE] and not state.unlisted
    finally:
        watch.stop()


def test_for_a_named_context_no_kubectl_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting.tools, "found", lambda name: None)
    named = target("a", str(kubeconfig(tmp_path / "config", "https://x", "a")))
    assert not collecting.can_use_kubectl(named)
    assert collecting.can_use_kubectl(current())


def test_a_command_to_look_names_the_context_that_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = kubeconfig(tmp_path / "config", "https://x", "work")
    elsewhere = target("work", str(file))
    command = at_cluster("kubectl get pods", elsewhere, "shop")
    assert command == f"kubectl --context work --kubeconfig {file} -n shop get pods"
    monkeypatch.setenv("KUBECONFIG", str(file))
    named = target("work")
    assert at_cluster("kubectl get pods", named, "shop") == "kubectl --context work -n shop get pods"
    assert at_cluster("kubectl get nodes", named, "shop") == "kubectl --context work get nodes"
    assert at_cluster("kubeclass status", named, "shop") == "kubeclass status --context work"
    for look in ("kubectl get pods", "kubeclass status"):
        assert at_cluster(look, current(), "shop") == look


# -- a class: labs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What kubectl is told, without a kubectl."""
    command: list[tuple[str, ...]] = []

    def kubectl(cluster: Cluster, *words: str, **_: Any) -> str:
        assert cluster.kind == "class"
        command.append(words)
        return ""

    monkeypatch.setattr(environment_module, "kubectl", kubectl)
    return command


def test_start_writes_at_a_config_map_what_it_may_not_write_at_the_namespace(
    in_class: Cluster, server: ClassServer, typed: list[tuple[str, ...]]
) -> None:
    place, lab = NamespaceEnvironment(), load_lab("07")
    assert place.namespace == HERE and place.folder(lab).name == "07"
    place.prepare(lab)
    mark = server.objects[HERE, "configmaps"]["kubeclass"]
    assert mark["metadata"]["labels"] == {LAB: "07"} and STARTED in mark["metadata"]["annotations"]
    state = place.look(lab)
    namespace = state.find("Namespace", HERE)
    assert namespace and namespace.labels[LAB] == "07" and STARTED in namespace.annotations
    assert state.find("ConfigMap", "kubeclass") is None
    assert place.leftovers(load_lab("08")) == "07" and place.leftovers(lab) == ""
    begun = mark["metadata"]["annotations"][STARTED]
    place.prepare(lab)  # twice changes nothing
    assert server.objects[HERE, "configmaps"]["kubeclass"]["metadata"]["annotations"][STARTED] == begun


def test_start_gives_the_learner_the_manifests_and_never_overwrites_a_file(
    in_class: Cluster, server: ClassServer, typed: list[tuple[str, ...]], tmp_path: Path
) -> None:
    place, lab = NamespaceEnvironment(work=tmp_path), load_lab("08")
    folder = place.folder(lab)
    folder.mkdir()
    (folder / "guestbook.yaml").write_text("mine")
    place.prepare(lab)
    assert (folder / "guestbook.yaml").read_text() == "mine"
    given = folder / "data" / "redis.yaml"
    manifest = (lab.folder / "setup" / "data" / "redis.yaml").read_text()
    assert given.read_text() == manifest.replace("redis:8", "registry.example/course/redis:8")
    given.write_text("changed")
    place.prepare(lab)
    assert given.read_text() == "changed"


def test_a_seed_is_kept_there_too_and_bound_to_the_namespace(
    in_class: Cluster, server: ClassServer, typed: list[tuple[str, ...]]
) -> None:
    lab = load_lab("16")
    server.namespaces |= {f"{HERE}-{suffix}" for suffix in lab.spec.namespaces}
    place = NamespaceEnvironment(seed="blue-whale")
    place._generate(lab, "2026-11-30T10:00:00Z", "", begun=False)
    assert seed_of(place.look(lab)) == "blue-whale"
    copied = server.objects[HERE, "configmaps"]["kubeclass"]
    copied["metadata"]["annotations"]["kubeclass.dev/seed"] = "red-fox.0123456789"
    assert NamespaceEnvironment()._namespace()["metadata"]["annotations"]["kubeclass.dev/seed"].startswith("red-fox")
    with pytest.raises(Exception, match="seed"):
        seed_of(place.look(lab))


def test_a_further_namespace_that_is_not_there_is_told(
    in_class: Cluster, server: ClassServer, typed: list[tuple[str, ...]]
) -> None:
    NamespaceEnvironment().prepare(load_lab("08"))  # needs -data, which the class has
    with pytest.raises(Problem, match=f"Lab 09 needs the namespace {HERE}-blue") as end:
        NamespaceEnvironment().prepare(load_lab("09"))
    assert "teacher" in end.value.next_step


def test_clear_deletes_what_the_learner_may_delete_but_not_what_the_class_put_there(
    in_class: Cluster, typed: list[tuple[str, ...]]
) -> None:
    NamespaceEnvironment().empty()
    deletions = [words for words in typed if words[0] == "delete"]
    deleted = [(words[words.index("-n") + 1], words[1]) for words in deletions]
    # No quota, which may only be read.
    assert sorted(deleted) == sorted(
        (place, what) for place in (HERE, BESIDE) for what in ("deployments,pods", "configmaps")
    )
    for words in deletions:
        assert words[words.index("-l") + 1] == "!kubeclass.dev/class"
    assert not any("namespace" in words[1] for words in typed)


@pytest.mark.parametrize("how", ["clear", "empty"])
def test_clear_takes_the_marks_of_a_lab_from_the_namespaces_and_nothing_else(
    in_class: Cluster, server: ClassServer, typed: list[tuple[str, ...]], how: str
) -> None:
    given = {"labels": {"kubeclass.dev/class": "autumn"}, "annotations": {"kubeclass.dev/group": "a"}}
    server.takes_marks = True
    for namespace in (HERE, BESIDE):
        server.mark(namespace, given)
        server.put(namespace, "serviceaccounts", "default")
    lab = load_lab("08")
    NamespaceEnvironment().prepare(lab)
    assert server.marks[HERE]["labels"][LAB] == server.marks[BESIDE]["labels"][LAB] == "08"
    for _ in range(2):
        NamespaceEnvironment().clear(lab) if how == "clear" else NamespaceEnvironment().empty()
        assert server.marks == {HERE: given, BESIDE: given}
    assert [command for command, path in server.asked if path.endswith((HERE, BESIDE))].count("PATCH") == 2


def test_a_reset_makes_the_lab_from_the_same_seed(
    in_class: Cluster, server: ClassServer, typed: list[tuple[str, ...]]
) -> None:
    lab = load_lab("15")
    server.takes_marks = True
    server.namespaces |= {f"{HERE}-{suffix}" for suffix in lab.spec.namespaces}
    for namespace in server.namespaces:
        server.put(namespace, "serviceaccounts", "default")
    server.mark(HERE, {"labels": {LAB: "15"}, "annotations": {"kubeclass.dev/seed": bound("red-fox", f"uid-{HERE}")}})
    place = NamespaceEnvironment()
    place._generate = lambda *_: None  # type: ignore[method-assign]
    place.reset(lab)
    assert place.seed == "red-fox" and server.marks[HERE]["labels"] == {LAB: "15"}


def test_rights_are_read_as_the_api_server_writes_them() -> None:
    pods, deployments = KINDS["Pod"], KINDS["Deployment"]
    assert Rights(({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},)).may("delete", deployments)
    assert not Rights(({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]},)).may("delete", pods)
    one = {"verbs": ["delete"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]}
    assert not Rights((one,)).may("delete", pods)


def test_marks_are_those_of_the_namespace_where_it_has_its_own() -> None:
    own = {"metadata": {"name": "a", "annotations": {STARTED: "then"}}}
    config_map = {"metadata": {"name": "kubeclass", "labels": {LAB: "07"}, "annotations": {STARTED: "now", "x": "y"}}}
    assert marks.with_marks(own, config_map) == own
    assert marks.with_marks({}, config_map) == {}
    merged = marks.with_marks({"metadata": {"name": "a"}}, config_map)["metadata"]
    assert merged == {"name": "a", "labels": {LAB: "07"}, "annotations": {STARTED: "now"}}
    assert marks.with_marks({"metadata": {"name": "a"}}, {"metadata": {"name": "kubeclass"}}) == {
        "metadata": {"name": "a"}
    }
