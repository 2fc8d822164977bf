"""Classes: the roster, the plan, the quota, and what is removed."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from checker.classroom import apply, offers, record, rights, tokens, where
from checker.classroom.access import ClassAccess
from checker.classroom.access import write as write_access
from checker.classroom.build import build, further_suffixes, labs_of_a_class, manifests, short_of
from checker.classroom.joined import join
from checker.classroom.kinds import KINDS, TIERS, key_of, path_of
from checker.classroom.names import LEARNER
from checker.classroom.needs import fitted, left_out, namespace_of
from checker.classroom.plan import Class, Cluster, objects, steps
from checker.classroom.quota import LARGEST_ANNOTATIONS, LARGEST_DATA, Quota, parse_quota, use_of
from checker.classroom.remove import to_delete
from checker.classroom.roster import LONGEST_CLASS, LONGEST_ID, Learner, checked_name, id_of, parse_roster, read_roster
from checker.collect.api import ApiError
from checker.collect.class_watch import LARGEST
from checker.grading.labs import Lab, load_lab
from checker.model.fault import Unknown
from checker.model.kinds import KINDS as OBJECTS
from checker.model.state import CLASS, Object, Request, State
from checker.ui.command import Group
from checker.ui.overview import course
from cluster import Cluster as RealCluster
from cluster import Problem

LABS = labs_of_a_class()
SUFFIXES = further_suffixes(LABS)


def plan_of(*ids: str, quota: Quota | None = None, cluster: Cluster | None = None) -> Class:
    learners = [Learner(one) for one in ids]
    return build("t", learners, quota or Quota(), cluster or Cluster(("172.18.0.2", "fd00::2")), LABS)


# -- the roster -------------------------------------------------------------------------------------------------------


def test_a_roster_is_read_in_its_order() -> None:
    text = 'id,name,group\nada,Ada Lovelace,a\n\nBob.K, Bob , b\ncarl,"Carl, the third",\n'
    assert parse_roster(text, "r.csv") == [
        Learner("ada", "Ada Lovelace", "a"),
        Learner("bob-k", "Bob", "b"),
        Learner("carl", "Carl, the third", ""),
    ]


def test_a_roster_may_have_ids_only_and_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "r.csv"
    file.write_bytes(b"\xef\xbb\xbfid\nada\nbob\n")
    assert [one.id for one in read_roster(file)] == ["ada", "bob"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "names no learner"),
        ("id,name,group\n", "names no learner"),
        ("ada,Ada,a\n", "line 1: the first line names the columns"),
        ("id,group,name\nada,a,Ada\n", "line 1: the first line"),
        ("id,name,group\nada,Ada\n", "line 2: 2 columns, and the first line has 3"),
        ("id,name,group\nada,Love, Ada,a\n", "line 2: 4 columns"),
        ("id,name,group\nada,Ada,a\n!!,Bob,a\n", "line 3: the id !!"),
        (f"id,name,group\n{'a' * (LONGEST_ID + 1)},Ada,a\n", "line 2: the id"),
        ("id,name,group\nada,Ada,a\n\nADA,Ada B,a\n", "line 4: the ids ada (line 2) and ADA"),
        ("id,name,group\nada,Ada,a\nada.data,B,a\n", "line 3: the ids ada (line 2) and ada.data"),
        ("id,name,group\nada.data,B,a\nada,Ada,a\n", "line 3: the ids ada.data (line 2) and ada"),
        ('id,name,group\nada,"Ada,a\n', "this is not CSV"),
    ],
)
def test_a_malformed_roster_is_told_by_line(text: str, told: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_roster(text, "r.csv", SUFFIXES)
    assert told in caught.value.what and caught.value.next_step and caught.value.exit_code == 3


def test_a_roster_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="cannot be read"):
        read_roster(tmp_path / "none.csv")
    (tmp_path / "r.csv").write_bytes(b"id,name\n\xff\xfe,x\n")
    with pytest.raises(Problem, match="not text in UTF-8"):
        read_roster(tmp_path / "r.csv")


@pytest.mark.parametrize(
    ("text", "id"), [("Ada.Löve", "ada-love"), ("s1234567", "s1234567"), (" Ñuñez_B ", "nunez-b"), ("日本", "")]
)
def test_an_id_becomes_a_part_of_a_namespaces_name(text: str, id: str) -> None:
    assert id_of(text) == id


@pytest.mark.parametrize("name", ["", "Autumn", "1a", "a-", "a_b", "a" * (LONGEST_CLASS + 1), "../x"])
def test_a_name_that_is_none_is_told(name: str) -> None:
    with pytest.raises(Problem, match="cannot be the name of a class"):
        checked_name(name)


def test_the_longest_names_fit() -> None:
    longest = max(len(suffix) for suffix in SUFFIXES)
    assert LONGEST_CLASS + LONGEST_ID + longest + len("--") <= 63


# -- the plan ---------------------------------------------------------------------------------------------------------


def test_each_learner_has_the_namespaces_that_the_labs_need() -> None:
    plan = plan_of("ada", "bob")
    made = [one["metadata"]["name"] for one in objects(plan) if one["kind"] == "Namespace"]
    further = {"data", "blue", "green", "live", "policies", "policies-visitors"}
    assert set(made) == {f"t-{who}" for who in ("ada", "bob")} | {f"t-{w}-{s}" for w in ("ada", "bob") for s in further}
    assert len(made) == len(set(made)) == 14
    for lab in LABS:
        if not lab.spec.needs.engine:
            home = "t-ada-policies" if lab.spec.needs.policies else "t-ada"
            assert {home, *lab.namespaces(home).values()} <= set(made), lab.number


def test_everything_carries_the_label_and_is_named_once() -> None:
    made = objects(plan_of("ada", "bob"))
    assert {one["metadata"]["labels"][CLASS] for one in made} == {"t"}
    keys = [key_of(one["kind"], one["metadata"]) for one in made]
    assert len(keys) == len(set(keys))
    assert {one["kind"] for one in made} <= set(KINDS)
    assert all(path_of(one) for one in made)


def test_rights_come_last_and_guards_first() -> None:
    order = [step for step, _ in steps(plan_of("ada"))]
    assert order == ["guards", "namespaces", "contents", "rights"]
    assert {one["kind"] for one in dict(steps(plan_of("ada")))["rights"]} >= {"RoleBinding", "ClusterRoleBinding"}


def test_every_namespace_enforces_pod_security_and_has_a_quota() -> None:
    made = objects(plan_of("ada"))
    namespaces = {one["metadata"]["name"]: one["metadata"]["labels"] for one in made if one["kind"] == "Namespace"}
    assert {labels["pod-security.kubernetes.io/enforce"] for labels in namespaces.values()} == {"baseline"}
    assert {labels[LEARNER] for labels in namespaces.values()} == {"t-ada"}
    assert {one["metadata"]["namespace"] for one in made if one["kind"] == "ResourceQuota"} == set(namespaces)


def test_the_walls_are_everywhere_but_where_the_lab_about_policies_is() -> None:
    made = objects(plan_of("ada"))
    namespaces = {one["metadata"]["name"] for one in made if one["kind"] == "Namespace"}
    walled = {one["metadata"]["namespace"] for one in made if one["kind"] == "NetworkPolicy"}
    assert namespaces - walled == {"t-ada-policies"}


def test_a_wall_lets_in_the_learner_the_observer_and_the_nodes_and_leaves_out_what_a_lab_closes() -> None:
    wall = next(
        one
        for one in objects(plan_of("ada"))
        if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] == "class-wall"
    )
    sources = wall["spec"]["ingress"][0]["from"]
    assert [one["ipBlock"]["cidr"] for one in sources if "ipBlock" in one] == ["172.18.0.2/32", "fd00::2/128"]
    assert {"namespaceSelector": {"matchLabels": {LEARNER: "t-ada"}}} in sources
    # The capstone's neighbour, which a policy of the set-up closes.
    assert wall["spec"]["podSelector"]["matchExpressions"] == [{"key": "app", "operator": "NotIn", "values": ["cache"]}]


def test_admission_policies_name_each_learner_and_nobody_else() -> None:
    guards = [one for one in objects(plan_of("ada", "bob")) if one["kind"] == "ValidatingAdmissionPolicy"]
    by_learner = [
        c["expression"] for g in guards for c in g["spec"].get("matchConditions", []) if c["name"] == "by-a-learner"
    ]
    wanted = (
        'request.userInfo.username in ["system:serviceaccount:t-ada:learner", "system:serviceaccount:t-bob:learner"]'
    )
    assert by_learner and set(by_learner) == {wanted}
    assert {one["spec"]["failurePolicy"] for one in guards} == {"Fail"}
    bindings = [one for one in objects(plan_of("ada")) if one["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert {one["spec"]["policyName"] for one in bindings} == {one["metadata"]["name"] for one in guards}
    # A namespace's change is never exempt by the labels that it is about to have.
    assert not [
        b
        for b in bindings
        if b["spec"]["policyName"].endswith(("-kept", "-namespaces")) and "matchResources" in b["spec"]
    ]


@pytest.mark.parametrize("kind", TIERS)
def test_a_cluster_with_policies_of_its_own_gets_one_for_each_learner(kind: str) -> None:
    assert not [one for one in objects(plan_of("ada")) if one["kind"] in TIERS]
    made = objects(plan_of("ada", "bob", cluster=Cluster(tiers=kind)))
    tiers = [one for one in made if one["kind"] in TIERS]
    assert {one["kind"] for one in tiers} == {kind}
    assert [one["spec"]["subject"]["namespaces"]["matchLabels"] for one in tiers] == [
        {LEARNER: "t-ada"},
        {LEARNER: "t-bob"},
    ]
    assert {rule["action"] for one in tiers for rule in one["spec"]["ingress"]} == {"Deny"}
    assert {one["spec"].get("tier") for one in tiers} == {"Admin" if kind == "ClusterNetworkPolicy" else None}


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        ({}, ""),
        ({"v1alpha1": ["baselineadminnetworkpolicies"]}, ""),
        ({"v1alpha1": ["adminnetworkpolicies"]}, "AdminNetworkPolicy"),
        ({"v1alpha1": ["adminnetworkpolicies"], "v1alpha2": ["clusternetworkpolicies"]}, "ClusterNetworkPolicy"),
    ],
)
def test_which_policies_of_the_cluster_are_served_is_seen(served: dict[str, list[str]], expected: str) -> None:
    class Discovery:
        def get(self, path: str) -> Any:
            version = path.rpartition("/")[2]
            if path.startswith("/apis/policy.networking.k8s.io/") and version in served:
                return {"resources": [{"name": name} for name in served[version]]}
            if path == "/version":
                return {"major": "1", "minor": "37", "gitVersion": "v1.37.2"}
            if path.endswith(("nodes", "priorityclasses", "storageclasses")):
                return {"items": []}
            raise ApiError(404, "the server could not find the requested resource")

    seen = offers.look(Discovery())  # type: ignore[arg-type]
    assert seen.known.tiers == expected and ("tiers" in seen.offers) is bool(expected)


def test_no_role_gives_more_than_it_says() -> None:
    made = [*rights.in_namespace("t", "t-ada", ["t-ada"]), *rights.cluster_wide("t", ["t-ada"])]
    rules = [rule for one in made for rule in one.get("rules", [])]
    assert not [rule for rule in rules if "*" in rule["verbs"] + rule["resources"] + rule["apiGroups"]]
    writing = {r for rule in rules for r in rule["resources"] if set(rule["verbs"]) - {"get", "list", "watch"}}
    assert not writing & {
        "endpoints",
        "endpointslices",
        "roles",
        "rolebindings",
        "serviceaccounts",
        "nodes",
        "ingresses",
    }
    assert not {"impersonate", "bind", "escalate"} & {verb for rule in rules for verb in rule["verbs"]}
    assert not [rule for rule in rules if "proxy" in str(rule["resources"])]


# -- the quota --------------------------------------------------------------------------------------------------------


def test_the_default_quota_is_enough_for_every_lab() -> None:
    assert short_of(LABS, Quota(), workers=2) == []


def test_the_number_of_objects_leaves_every_lab_room_for_four_times_as_many() -> None:
    """Of each kind that a learner may create, but for those that the quota counts by what they use."""
    plurals = {name: plural for name, (plural, _) in KINDS.items()} | {one.name: one.plural for one in OBJECTS.values()}
    hard = next(one for one in Quota().objects("t", "t-ada", home=False, budget=True) if one["kind"] == "ResourceQuota")
    numbers = {key: int(most) for key, most in hard["spec"]["hard"].items() if str(most).isdigit()}
    counted = {key.removeprefix("count/").partition(".")[0]: numbers[key] for key in sorted(numbers, reverse=True)}
    rules = [rule for rule in rights._in_namespace("t-ada") if "create" in rule["verbs"]]
    assert {one for rule in rules for one in rule["resources"] if "/" not in one} <= {*counted}
    for lab in LABS:
        for made in manifests(lab, "setup", "solution", *accepted(lab)).values():
            for kind, number in Counter(one["kind"] for one in made).items():
                if kind not in ("Pod", "PersistentVolumeClaim", "Namespace"):
                    assert 4 * number <= counted[plurals[kind]], (lab.number, kind, number)


def accepted(lab: Lab) -> list[str]:
    return [f"accepted/{path.name}" for path in sorted((lab.folder / "accepted").glob("*")) if path.is_dir()]


def test_no_manifest_of_a_lab_is_near_the_largest_that_a_class_takes() -> None:
    for lab in LABS:
        for made in manifests(lab, "setup", "solution", *accepted(lab)).values():
            for one in made:
                assert 4 * len(json.dumps(one)) <= LARGEST_DATA, (lab.number, one["kind"], one["metadata"]["name"])


def test_the_teachers_page_keeps_every_config_map_that_a_class_takes() -> None:
    assert LARGEST_DATA + LARGEST_ANNOTATIONS < LARGEST


def test_a_lab_that_needs_more_than_the_quota_is_told() -> None:
    small = replace(Quota(), cpu="100m", pods=6)
    told = short_of(LABS, small, workers=2)
    assert ("02", "cpu", "500m", "100m") in told
    assert ("05", "pods", "8", "6") in told


def test_a_daemon_set_needs_a_pod_on_each_worker() -> None:
    template = {"spec": {"containers": [{"name": "agent", "image": "guestbook:v1"}]}}
    made = [
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": {"template": template}}
    ]
    assert use_of(made, workers=40).pods == use_of(made, workers=2).pods + 38


def test_the_part_of_a_quota_is_changed() -> None:
    assert parse_quota("pods=30, cpu=4", Quota()) == replace(Quota(), pods=30, cpu="4")
    assert parse_quota("", Quota(pods=7)) == Quota(pods=7)


@pytest.mark.parametrize("text", ["pods", "pods=many", "pods=1.5", "gpus=1", "cpu=0", "cpu=-1", "memory=1Q"])
def test_what_is_no_quota_is_told(text: str) -> None:
    with pytest.raises(Problem, match="is no part of a quota"):
        parse_quota(text, Quota())


def test_a_quota_for_cpu_goes_with_a_default_request() -> None:
    kinds = {(o["kind"], o["metadata"].get("namespace")) for o in objects(plan_of("ada"))}
    for made in objects(plan_of("ada")):
        if made["kind"] == "ResourceQuota":
            counted = "requests.cpu" in made["spec"]["hard"]
            assert counted == (("LimitRange", made["metadata"]["namespace"]) in kinds)


# -- what a class cannot do -------------------------------------------------------------------------------------------


def test_labs_that_a_cluster_cannot_do_are_named_with_the_reason() -> None:
    assert left_out(LABS, ["policies", "metrics", "workers=2"]) == {}
    assert left_out(LABS, ["workers=1"]) == {
        "02": "class-without-workers",
        "05": "class-without-workers",
        "07": "class-without-workers",
        "14": "class-without-policies",
        "15": "class-without-metrics",
        "16": "class-without-workers",
    }


def test_in_a_class_the_tasks_about_nodes_are_the_teachers() -> None:
    lab = load_lab("16")
    in_class = fitted(lab, RealCluster("t", Path("none"), "t", "t-ada", "class"))
    assert in_class.left_out == {"drained", "node-back"}
    assert {task.id for task in in_class.spec.tasks} == set(in_class.code)
    assert sum(task.points for task in in_class.spec.tasks) == 8
    assert fitted(lab, RealCluster("t", Path("none"))) is lab
    assert set(lab.code) == set(in_class.code) | in_class.left_out


# -- making, removing and remembering ---------------------------------------------------------------------------------


def live(kind: str, name: str, namespace: str = "", **labels: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "uid": f"uid-{name}", "labels": labels}
    return {"kind": kind, "metadata": metadata | ({"namespace": namespace} if namespace else {})}


def found(*ones: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {key_of(one["kind"], one["metadata"]): one for one in ones}


OURS = {CLASS: "t"}


def test_only_what_carries_the_label_is_removed() -> None:
    ours = [
        live("Namespace", "t-ada", **OURS, **{LEARNER: "t-ada"}),
        live("NetworkPolicy", "class-wall", "t-ada", **OURS),
        live("RoleBinding", "learner", "t-ada", **OURS),
        live("ConfigMap", "kubeclass-class-t", "kubeclass", **OURS),
        live("ValidatingAdmissionPolicy", "kubeclass-class-t-kept", **OURS),
        live("ClusterRoleBinding", "kubeclass-class-t", **OURS),
    ]
    others = [
        live("Namespace", "t-zoe"),  # has the name of a learner's, and is somebody else's
        live("Namespace", "t-eve", **{CLASS: "t2"}),
        live("ConfigMap", "kubeclass-class-t2", "kubeclass", **{CLASS: "t2"}),
        live("ClusterRole", "view"),
    ]
    doomed = [(one["kind"], one["metadata"]["name"]) for one in to_delete("t", found(*ours, *others))]
    assert doomed == [
        ("RoleBinding", "learner"),
        ("ClusterRoleBinding", "kubeclass-class-t"),
        ("ConfigMap", "kubeclass-class-t"),
        ("Namespace", "t-ada"),
        ("ValidatingAdmissionPolicy", "kubeclass-class-t-kept"),
    ]


def test_learners_who_leave_take_their_namespaces_with_them_and_nothing_else() -> None:
    there = [
        live("Namespace", "t-ada", **OURS, **{LEARNER: "t-ada"}),
        live("Namespace", "t-bob", **OURS, **{LEARNER: "t-bob"}),
        live("Namespace", "t-bob-data", **OURS, **{LEARNER: "t-bob"}),
        live("Namespace", "t-bob-mine", **{LEARNER: "t-bob"}),
        live("ClusterRole", "kubeclass-class-t", **OURS),
    ]
    assert [one["metadata"]["name"] for one in to_delete("t", found(*there), ["t-bob"])] == ["t-bob", "t-bob-data"]


class FakeApi:
    """An API server that holds objects by path, as far as server-side apply is concerned."""

    def __init__(self, *there: dict[str, Any], fails_after: int = 10**6) -> None:
        self.objects = {path_of(one): one for one in there}
        self.fails_after = fails_after
        self.writes = 0
        self.without_account: set[str] = set()  # namespaces that the controller of accounts has not come to
        self.accounts_made: list[str] = []
        self.controller_is_faster = False

    def get(self, path: str) -> Any:
        import json

        return json.loads(self.request("GET", path))

    def request(self, method: str, path: str, body: Any = None, read_timeout: float = 0, content: str = "") -> bytes:
        import json

        path, _, query = path.partition("?")
        if method == "PATCH":
            self.writes += 1
            if self.writes > self.fails_after:
                raise ApiError(0, "no answer")
            self.objects[path] = body
            return json.dumps(body).encode()
        if path == "/api/v1/serviceaccounts" and "fieldSelector" in query:
            namespaces = [one for one in self.objects.values() if one["kind"] == "Namespace"]
            return json.dumps(
                {
                    "items": [
                        {"metadata": {"namespace": n["metadata"]["name"]}}
                        for n in namespaces
                        if n["metadata"]["name"] not in self.without_account
                    ]
                }
            ).encode()
        if method == "POST":
            assert body == {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
            self.accounts_made.append(path)
            if self.controller_is_faster:
                raise ApiError(409, "there already")
            return json.dumps(body).encode()
        plural = path.rpartition("/")[2]
        items = [one for one in self.objects.values() if KINDS[one["kind"]][0] == plural]
        if "labelSelector" in query:
            items = [one for one in items if (one["metadata"].get("labels") or {}).get(CLASS) == "t"]
        return json.dumps({"items": items}).encode()


def create(api: FakeApi, plan: Class) -> apply.Done:
    return apply.create(api, plan, lambda step, done, of: None)  # type: ignore[arg-type]


def test_the_same_class_twice_changes_nothing() -> None:
    api, plan = FakeApi(), plan_of("ada", "bob")
    assert create(api, plan) == apply.Done(created=len(objects(plan)))
    assert create(api, plan) == apply.Done(same=len(objects(plan)))
    more = create(api, plan_of("ada", "bob", "carl"))
    assert more.created == len(objects(plan_of("ada", "bob", "carl"))) - len(objects(plan))


@pytest.mark.parametrize("controller_is_faster", [False, True])
def test_an_account_that_the_cluster_has_not_made_yet_is_made(controller_is_faster: bool) -> None:
    api, plan = FakeApi(), plan_of("ada", "bob")
    api.without_account, api.controller_is_faster = {"t-bob"}, controller_is_faster
    assert create(api, plan) == apply.Done(created=len(objects(plan)))
    assert api.accounts_made == ["/api/v1/namespaces/t-bob/serviceaccounts"]


def test_a_class_that_was_stopped_goes_on() -> None:
    plan = plan_of("ada", "bob")
    api = FakeApi(fails_after=30)
    with pytest.raises(Problem, match="does not answer"):
        create(api, plan)
    begun = len(api.objects)
    assert 0 < begun < len(objects(plan))
    api.fails_after = 10**6
    done = create(api, plan)
    assert done.created + done.same == len(objects(plan)) and done.same == begun


def test_a_namespace_of_somebody_elses_is_told_and_nothing_is_made() -> None:
    api = FakeApi(live("Namespace", "t-bob-data"), live("Namespace", "t-zoe"))
    with pytest.raises(Problem, match="Namespace t-bob-data exists") as caught:
        create(api, plan_of("ada", "bob"))
    assert api.writes == 0 and caught.value.kept


def test_what_a_class_keeps_of_itself_is_read_again() -> None:
    one = record.Record("t", datetime(2026, 12, 1, 18, tzinfo=UTC), ("policies",), "registry.example/k", Quota(pods=9))
    assert record.of_manifest("t", one.manifest()) == one


def test_learners_are_known_by_their_namespaces_labels() -> None:
    made = [one for one in objects(plan_of("ada")) if one["kind"] == "Namespace"]
    assert tokens.homes_in(made) == {"t-ada": {suffix: f"t-ada-{suffix}" for suffix in SUFFIXES}}


def test_where_a_class_is_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECLASS_HOME", str(tmp_path))
    (tmp_path / "config").write_text("contexts: [{name: lab, context: {cluster: c, user: u}}]\n")
    with pytest.raises(Problem, match="not known on which cluster"):
        where.cluster_of_class("t", "", None)
    cluster = where.cluster_of_class("t", "lab", tmp_path / "config")
    where.remember("t", cluster)
    again = where.cluster_of_class("t", "", None)
    assert (again.context, again.kubeconfig) == ("lab", tmp_path / "config")
    where.remember("t", None)
    assert where.remembered() == {}


def test_the_address_is_that_of_the_context(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("CA")
    (tmp_path / "config").write_text(
        "contexts: [{name: lab, context: {cluster: c, user: u}}]\n"
        "clusters:\n"
        "- {name: other, cluster: {server: https://no}}\n"
        "- {name: c, cluster: {server: https://yes/, certificate-authority: ca.pem}}\n"
    )
    assert tokens.reached_at(RealCluster("lab", tmp_path / "config", "lab")) == ("https://yes", "Q0E=")


def test_every_command_for_teachers_has_its_help() -> None:
    import click

    from checker.ui.class_cli import class_commands

    assert isinstance(class_commands, Group)
    assert set(class_commands.commands) >= {"create", "list", "status", "extend", "hand-out", "remove", "preflight"}
    for command in class_commands.commands.values():
        assert command.get_help(click.Context(command)).startswith("Usage:")


# -- at the learner's -------------------------------------------------------------------------------------------------


@pytest.fixture
def joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RealCluster:
    """The cluster of a class that was joined, whose network plugin does not enforce policies."""
    monkeypatch.setenv("KUBECLASS_HOME", str(tmp_path))
    access = ClassAccess(
        name="t",
        learner="ada",
        namespace="t-ada",
        namespaces={suffix: f"t-ada-{suffix}" for suffix in SUFFIXES},
        offers=["storage", "workers=2"],
        expires=datetime(2100, 1, 1, tzinfo=UTC),
        server="https://10.0.0.1:6443",
        token="x",
    )
    write_access(tmp_path / "ada.yaml", access)
    return join(tmp_path / "ada.yaml").cluster


def test_a_lab_about_policies_is_in_a_namespace_without_walls(joined: RealCluster) -> None:
    assert namespace_of(load_lab("14"), joined) == "t-ada-policies"
    assert namespace_of(load_lab("14"), joined, "t-ada") == "t-ada-policies"
    assert namespace_of(load_lab("14"), joined, "elsewhere") == "elsewhere"
    assert namespace_of(load_lab("07"), joined) == "t-ada"
    assert namespace_of(load_lab("14"), RealCluster("own", Path("none"))) == "learn"


def test_the_course_shows_what_is_not_in_this_class_and_does_not_count_it(joined: RealCluster) -> None:
    rows = {row.lab: row for row in course().rows}
    assert rows["14"].max_score == 0 and "not in this class" in rows["14"].status[1]
    assert rows["16"].max_score == 8 and not rows["16"].not_here
    assert rows["07"].max_score == 7


def test_namespaces_that_may_be_seen_are_enough_where_rights_end() -> None:
    one = {"kind": "Namespace", "metadata": {"name": "t-ada-policies", "labels": {}}}
    request = Request(frozenset(), frozenset({"Namespace"}), logs=False)
    state = State("t-ada-policies", datetime.now(UTC), {"Namespace": [Object("Namespace", one)]}, request=request)
    assert [o.name for o in state.seen("Namespace")] == ["t-ada-policies"] and state.rights_end("Namespace")
    with pytest.raises(Unknown):
        state.everywhere("Namespace")
