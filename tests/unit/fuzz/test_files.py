"""Files that learners, teachers and authors write or are handed: each is read, or a Problem says why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from checker.classroom import access
from checker.classroom.roster import parse_roster
from checker.classroom.target import target
from checker.collect import dry_run
from checker.collect.api import Api, ApiError
from checker.collect.kubeconfig import access_of
from checker.grading import labs
from checker.marking import receipt
from checker.marking.regrade import Regraded, _Keys, _regraded
from checker.model.state import State
from cluster import Cluster, Problem, paths
from tests.unit.fuzz.junk import TEXTS, anything, changed, texts

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1", "certificate-authority-data": ""}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "n"}}],
    "current-context": "x",
}
ACCESS = {
    "apiVersion": "kubeclass.dev/v1",
    "kind": "ClassAccess",
    "metadata": {"name": "autumn"},
    "learner": "ada",
    "namespace": "autumn-ada",
    "namespaces": {"data": "autumn-ada-data"},
    "offers": ["policies"],
    "registry": "registry.example/course",
    "expires": "2026-12-01T18:00:00Z",
    "kubeconfig": KUBECONFIG,
}
MANIFEST = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "guestbook", "namespace": "learn"},
    "spec": {"ports": [{"port": 80}]},
}
SERVICES = paths.COURSE / "labs" / "07-services"
# What PyYAML answers with errors of Python's, and not with its own.
ODD = [
    "a: 2026-13-45",
    "!!int x",
    "a: !!bool x",
    "!!timestamp x",
    "a: !!float x",
    "[" * 400,
    "\ud800",
    "&a [*a]",
    "\tx",
]


@st.composite
def written(draw: Callable[[Any], Any], data: Any) -> bytes:
    """A file with this data, wrong in a place: in its values, or in its text."""
    text = json.dumps(data) if draw(st.booleans()) else yaml.safe_dump(data)
    if draw(st.booleans()):
        made = draw(changed(data))
        text = json.dumps(made)
    else:
        at = draw(st.integers(0, len(text)))
        text = (
            text[:at]
            + draw(st.sampled_from([*TEXTS, *ODD, ": ", "- ", "{", '"']))
            + text[at + draw(st.integers(0, 3)) :]
        )
    return text.encode("utf-8", "surrogatepass")


def says_why(do: Callable[[], Any]) -> None:
    """Do it. A Problem is an answer, if it has words that can be printed."""
    try:
        do()
    except Problem as problem:
        assert str(problem).strip()
        str(problem).encode()


def odd(test: Callable[..., None]) -> Callable[..., None]:
    """The texts of ODD as examples of a test's `content`."""
    for text in ODD:
        test = example(content=text.encode("utf-8", "surrogatepass"))(test)
    return test


@odd
@given(content=written(KUBECONFIG))
def test_kubeconfigs(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config"
    file.write_bytes(content)
    says_why(lambda: target("x", str(file)))
    says_why(lambda: access_of(Cluster("x", file, "x", "n", "named")).authorization())


@pytest.mark.parametrize(("field", "value"), [("token", "ключ"), ("token", "a\nb"), ("token", "\ud800"), ("token", 7)])
@pytest.mark.parametrize(
    "server", ["http://127.0.0.1:1", "http://[::1", "http://a b", "ключ", "7", "http://127.0.0.1:x"]
)
def test_a_server_or_a_token_that_is_none(tmp_path: Path, field: str, value: object, server: str) -> None:
    file = tmp_path / "config"
    users = [{"name": "u", "user": {field: value}}]
    file.write_text(
        json.dumps({**KUBECONFIG, "users": users, "clusters": [{"name": "c", "cluster": {"server": server}}]})
    )
    with pytest.raises((ApiError, Problem)) as told:
        Api(Cluster("x", file, "x", "n", "named")).request("GET", "/api")
    assert str(told.value)


@odd
@given(content=written(ACCESS))
def test_files_of_a_class(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "ada.yaml"
    file.write_bytes(content)
    says_why(lambda: access.read(file))


@pytest.mark.parametrize(
    ("spec", "file"), [(labs.LabSpec, "lab.yaml"), (labs.Case, "mistakes/selector-typo.yaml")], ids=["lab", "case"]
)
def test_labs(tmp_path: Path, spec: type[Any], file: str) -> None:
    path = tmp_path / "lab.yaml"

    @odd
    @given(content=written(yaml.safe_load((SERVICES / file).read_text())))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        says_why(lambda: labs._load(path, spec))

    check()


@cache
def solved() -> State:
    return State.from_json(json.loads((SERVICES / "recorded" / "solution.json").read_text())["state"])


@odd
@given(content=written(MANIFEST))
def test_manifests_in_a_learners_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """A document is asked of the API server, or it is said what is wrong with it."""
    asked: list[object] = []
    monkeypatch.setattr(dry_run, "_refusal", lambda cluster, namespace, file, document: asked.append(document) or "no")
    file = tmp_path / "a.yaml"
    file.write_bytes(content)
    for refused in dry_run.refusals(None, solved(), [file]):  # type: ignore[arg-type]  # nobody is asked
        assert refused["file"] == "a.yaml" and refused["message"]


@given(st.lists(st.sampled_from(["id", "name", "group", ",", "\n", '"', "ada", "Ada Löve", " ", *TEXTS]), max_size=25))
def test_rosters(parts: list[str]) -> None:
    for head in ("", "id\n", "id,name,group\n"):
        says_why(lambda head=head: parse_roster(head + "".join(parts), "roster.csv", ("data",)))


# -- receipts ----------------------------------------------------------------------------------------------------------


@cache
def honest() -> dict[str, Any]:
    """A learner's receipt of the untouched lab: it has no point."""
    recorded = json.loads((SERVICES / "recorded" / "setup.json").read_text())
    tasks = [{k: v for k, v in t.items() if k in receipt.TaskOfReceipt.__struct_fields__} for t in recorded["tasks"]]
    return {
        **{"kind": receipt.KIND, "format": receipt.FORMAT, "by": "learner", "class": "", "learner": "", "lab": "07"},
        **{"time": "2026-12-01T18:00:00Z", "versions": {"course": "0.1.0"}, "score": 0, "max_score": 7},
        **{"tasks": tasks, "state": recorded["state"], "normalized": True, "left_out": ""},
    }


def regraded(file: Path, content: dict[str, Any] | str) -> Regraded:
    """A receipt judged again. Its digest is right, where it can have one."""
    if isinstance(content, dict):
        signed = receipt.canonical(content)
        content = json.dumps({**content, "digest": receipt._digest(signed)})
    file.write_text(content)
    found = _regraded(file, "", _Keys(None))
    if found.trouble:
        assert str(found.trouble).strip()
        str(found.trouble).encode()
    return found


def test_the_honest_receipt_is_as_it_was(tmp_path: Path) -> None:
    found = regraded(tmp_path / "r.json", honest())
    assert not found.trouble and found.score == 0


@given(changed({name: value for name, value in honest().items() if name != "state"}))
@example({"time": "\ud800"})
@example({"score": 10**400})
@example({"lab": "\ud800"})
def test_receipts(tmp_path: Path, changed: Any) -> None:
    data = {**honest(), **changed} if isinstance(changed, dict) else {"kind": receipt.KIND, "x": changed}
    assert not regraded(tmp_path / "r.json", data).score


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00", "[" * 100_000, '{"kind": 1e999}', "NaN", '"\\ud800"'])
def test_files_that_are_no_receipt(tmp_path: Path, text: str) -> None:
    assert regraded(tmp_path / "r.json", text).trouble


def test_a_number_without_end_is_no_receipt(tmp_path: Path) -> None:
    """Python reads 1e999 as infinity, for which there is no canonical JSON."""
    assert regraded(tmp_path / "r.json", json.dumps({**honest(), "more": 7}).replace(": 7}", ": 1e999}")).trouble


@given(data=changed(honest()["state"]) | st.dictionaries(texts, anything, max_size=3))
def test_states_in_receipts_give_no_point(tmp_path: Path, data: Any) -> None:
    assert not regraded(tmp_path / "r.json", {**honest(), "state": data}).score
