"""Receipts, regrading and the report of a class, on recorded States."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from checker.classroom.needs import fitted_to_class
from checker.classroom.roster import Learner as Enrolled
from checker.collect.api import ApiError
from checker.grading.grade import judge
from checker.grading.labs import all_labs, load_lab
from checker.marking import keys, receipt
from checker.marking.exports import COLUMNS, csv_of, json_of
from checker.marking.hand_in import collected
from checker.marking.receipt import canonical, receipt_of
from checker.marking.regrade import differences, exit_code, regrade
from checker.marking.report import ClassReport, report_of
from checker.marking.versions import versions_of
from checker.marking.whole_class import Seen, see
from checker.model.state import State
from checker.model.verdict import Result
from checker.recording.unread import NotRecorded
from checker.ui.cli import app
from checker.ui.marks_page import html_of
from cluster import Problem, paths
from tests.unit.fake_class import NAME, NOW, RECORD, FakeClass, recorded

SCHEMAS = {name: paths.COURSE / "docs" / f"class-{name}.schema.json" for name in ("receipt", "report")}
LEARNERS: dict[str, tuple[str, str] | None] = {
    "ada": ("07", "solution"),
    "bob": ("07", "selector-typo"),
    "carl": ("07", "selector-typo"),
    "dora": None,
    "eve": ("05", "config-missing"),
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, and requests from outside that are answered from the recording of lab 07's solution."""
    monkeypatch.setenv("KUBECLASS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked from outside the cluster is away."""
    monkeypatch.setattr("checker.collect.collect.ask_nodes", lambda question: {"error": "away"})


def seen_class(labs: tuple[str, ...] = (), api: FakeClass | None = None) -> Seen:
    return see(api or FakeClass(LEARNERS), RECORD, labs)


def one_state(lab: str, case: str) -> tuple[State, Result]:
    state = State.from_json(recorded(lab, case, "t-ada"))
    return state, judge(load_lab(lab), state)


def one_receipt(lab: str = "07", case: str = "selector-typo", **changed: Any) -> receipt.Receipt:
    state, result = one_state(lab, case)
    made = receipt_of(
        load_lab(lab),
        state,
        result,
        changed.pop("by", "teacher"),
        versions_of(load_lab(lab), "v1.37.2"),
        class_name=changed.pop("class_name", NAME),
        learner=changed.pop("learner", "ada"),
    )
    assert not changed
    return made


def typo_score() -> int:
    """The points of lab 07 with a typo in the selector, as it was recorded."""
    return one_state("07", "selector-typo")[1].score


def schema(name: str) -> Any:
    return json.loads(SCHEMAS[name].read_text())


# -- receipts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", all_labs())
def test_a_receipt_is_judged_again_word_by_word(number: str, tmp_path: Path) -> None:
    lab = load_lab(number)
    cases = sorted(path.stem for path in (lab.folder / "recorded").glob("*.json"))
    for case in ("solution", *(case for case in cases if case in lab.cases("mistakes")))[:2]:
        made = one_receipt(number, case, class_name="")
        receipt.write(tmp_path / f"{case}.json", made, keys.key_of(NAME))
        read, content = receipt.read(tmp_path / f"{case}.json")
        receipt.check(read, content, keys.key_of(NAME))
        assert read == made and read.normalized and read.state
        again = [task.to_json() for task in read.judged(lab).tasks]
        assert again == _tasks(content)
        assert len(canonical(content)) < 150_000
        jsonschema.validate(content, schema("receipt"))


def _tasks(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The tasks of a receipt as `check --json` has them: a passed one has no cause."""
    few = ("id", "title", "points", "verdict")
    return [task if task["verdict"] != "passed" else {key: task[key] for key in few} for task in content["tasks"]]


def test_a_receipt_names_neither_the_namespace_nor_a_secret(tmp_path: Path) -> None:
    state, _ = one_state("11", "solution")
    assert state.objects["Secret"]
    for secret in state.objects["Secret"]:
        secret.raw["data"] = {"password": "aHVudGVyMg=="}
        secret.raw["stringData"] = {"password": "hunter2"}
        secret.raw["metadata"]["annotations"] = {receipt.LAST_APPLIED: "hunter2"}
    lab = load_lab("11")
    made = receipt_of(lab, state, judge(lab, state), "learner", versions_of(lab), class_name="", learner="")
    receipt.write(tmp_path / "r.json", made, None)
    text = (tmp_path / "r.json").read_text()
    assert made.state and "hunter2" not in text and "aHVudGVyMg" not in text and "t-ada" not in text


def test_only_its_owner_may_read_a_receipt(tmp_path: Path) -> None:
    receipt.write(tmp_path / "new" / "r.json", one_receipt(), None)
    assert (tmp_path / "new" / "r.json").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["r.json"]
    (tmp_path / "file").write_text("")
    with pytest.raises(Problem, match="cannot be written"):
        receipt.write(tmp_path / "file" / "r.json", one_receipt(), None)


def test_a_state_that_normalising_would_change_is_kept_as_it_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipt, "normalised", lambda state: {**state.to_json(), "objects": {}})
    made = one_receipt()
    assert not made.normalized and made.state and made.state["namespace"] == "t-ada"
    assert [task.cause for task in made.tasks] == [task.cause for task in one_state("07", "selector-typo")[1].tasks]

    def unread(state: State) -> None:
        raise NotRecorded

    monkeypatch.setattr(receipt, "normalised", unread)
    assert not one_receipt().normalized


def test_a_state_that_is_too_large_is_left_out_and_the_verdicts_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipt, "LARGEST_STATE", 1000)
    made = one_receipt()
    assert made.state is None and made.left_out == receipt.TOO_LARGE and made.score == typo_score() and made.tasks
    receipt.write(tmp_path / "r" / "07-ada.json", made, keys.key_of(NAME))
    (found,) = regrade(tmp_path / "r")
    assert found.trouble and found.trouble.id == "receipt-no-state" and found.exit_code == 2


# -- the key ----------------------------------------------------------------------------------------------------------


def test_the_key_is_made_once_and_only_its_owner_may_read_it(home: Path) -> None:
    first = keys.key_of("autumn")
    file = home / "class-keys" / "autumn.json"
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
    assert keys.key_of("autumn") == first != keys.key_of("spring")
    assert [path.name for path in sorted(file.parent.iterdir())] == ["autumn.json", "spring.json"]
    assert first.secret.hex() in file.read_text() and first.id not in first.secret.hex()


def test_a_key_that_others_may_read_is_refused(home: Path) -> None:
    keys.key_of("autumn")
    (home / "class-keys" / "autumn.json").chmod(0o644)
    with pytest.raises(Problem, match="Others may read"):
        keys.key_of("autumn")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"kind": "kubeclass.dev/class-key", "secret": "ab"}', "\xff"])
def test_a_file_that_is_no_key_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "k").write_bytes(text.encode("latin-1"))
    (tmp_path / "k").chmod(0o600)
    with pytest.raises(Problem, match="cannot be read"):
        keys.read(tmp_path / "k")


def test_two_commands_at_once_make_one_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one has not seen the file of the first, and tries to make it again."""
    first = keys.key_of("autumn")
    keys._make(keys.file_of("autumn"), "autumn")
    assert keys.key_of("autumn") == first and len(list((home / "class-keys").iterdir())) == 1


@pytest.mark.parametrize("name", ["../x", "", "A"])
def test_the_key_of_no_class_is_told(name: str) -> None:
    with pytest.raises(Problem, match="cannot be the name of a class"):
        keys.key_of(name)


# -- judging again ----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one signed receipt."""
    receipt.write(tmp_path / "r" / "07-ada.json", one_receipt(), keys.key_of(NAME))
    return tmp_path / "r"


def change(folder: Path, changed: Callable[[dict[str, Any]], Any], again: str = "") -> None:
    """Change the receipt in a folder. again: what is made anew after it: `digest`, `signature` or nothing."""
    file = folder / "07-ada.json"
    content = json.loads(file.read_text())
    changed(content)
    if again:
        signed = canonical({key: value for key, value in content.items() if key not in ("digest", "signature")})
        content["digest"] = receipt._digest(signed)
        if again == "signature":
            key = keys.key_of(NAME)
            content["signature"] = {"key": key.id, "hmac": key.sign(signed)}
    file.write_text(json.dumps(content))


def test_nothing_differs_where_nothing_was_changed(folder: Path) -> None:
    (found,) = regrade(folder)
    assert found.exit_code == 0 and found.score == typo_score() and not found.differences and not found.changed


def give_points(content: dict[str, Any]) -> None:
    content["score"] = 7


def no_signature(content: dict[str, Any]) -> None:
    del content["signature"]


@pytest.mark.parametrize(
    ("changed", "again", "told", "status"),
    [
        (give_points, "", "receipt-tampered", 1),
        (give_points, "digest", "receipt-tampered", 1),
        (lambda content: content["state"]["objects"].clear(), "", "receipt-tampered", 1),
        (lambda content: content.update(more=1), "", "receipt-tampered", 1),
        (no_signature, "", "receipt-unsigned", 1),
        (lambda content: content.update(signature=[]), "", "receipt-unsigned", 1),
        (lambda content: content["signature"].update(key="0" * 16), "", "receipt-other-key", 1),
        (lambda content: content.update({"class": "spring"}), "digest", "receipt-no-key", 2),
        (lambda content: content.update(format=2), "", "receipt-newer", 2),
        (lambda content: content.update(format="1"), "", "receipt-malformed", 2),
        (lambda content: content.update(format=0), "", "receipt-malformed", 2),
        (lambda content: content.update(kind="Pod"), "", "receipt-other-file", 2),
        (lambda content: content.update(tasks=[{"id": "x"}]), "", "receipt-malformed", 2),
        (lambda content: content.update({"class": "../x"}), "", "receipt-malformed", 2),
        (lambda content: content.update(lab="99"), "signature", "receipt-no-lab", 2),
        (lambda content: content.update(lab="08"), "signature", "receipt-state-of-other-lab", 2),
        (lambda content: content.update(state=None), "signature", "receipt-no-state", 2),
        (lambda content: content.update(state={}), "signature", "receipt-state-malformed", 2),
        (lambda content: content["state"].update(objects=[]), "signature", "receipt-state-malformed", 2),
    ],
)
def test_a_receipt_that_proves_nothing_is_told(
    changed: Callable[[dict[str, Any]], Any], again: str, told: str, status: int, folder: Path
) -> None:
    change(folder, changed, again)
    (found,) = regrade(folder)
    assert found.trouble and (found.trouble.id, found.exit_code) == (told, status)
    assert found.trouble.next_step and found.score is None and exit_code([found]) == status


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"kind": NaN}', b"9" * 5000, b"null"])
def test_a_file_that_is_no_receipt_is_told(text: bytes, folder: Path) -> None:
    (folder / "07-ada.json").write_bytes(text)
    (found,) = regrade(folder)
    assert found.trouble and found.trouble.id in ("receipt-broken", "receipt-other-file") and found.exit_code == 2


def test_a_file_that_is_too_large_is_not_read_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipt, "LARGEST_FILE", 100)
    (found,) = regrade(folder)
    assert found.trouble and found.trouble.id == "receipt-too-large"


def test_a_receipt_of_another_lab_than_expected_is_told(folder: Path) -> None:
    assert not regrade(folder, "07")[0].trouble
    (found,) = regrade(folder, "08")
    assert found.trouble and found.trouble.id == "receipt-other-lab" and found.exit_code == 2
    with pytest.raises(Problem, match="no lab"):
        regrade(folder, "99")


def test_a_copy_under_another_name_is_told(folder: Path) -> None:
    shutil.copy(folder / "07-ada.json", folder / "07-bob.json")
    first, second = regrade(folder)
    assert not first.trouble and second.trouble and second.trouble.id == "receipt-twice" and second.exit_code == 1


def test_a_colleagues_key_can_be_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = keys.file_of(NAME)
    monkeypatch.setenv("KUBECLASS_HOME", str(tmp_path / "other"))
    assert (trouble := regrade(folder)[0].trouble) and trouble.id == "receipt-no-key"
    keys.key_of(NAME)  # this machine's own
    assert (trouble := regrade(folder)[0].trouble) and trouble.id == "receipt-other-key"
    assert regrade(folder, key_file=file)[0].exit_code == 0


def test_a_learners_own_receipt_is_judged_and_proves_nothing(folder: Path) -> None:
    receipt.write(folder / "07-ada.json", one_receipt(by="learner"), None)
    (found,) = regrade(folder)
    assert found.exit_code == 0 and found.receipt and found.receipt.by == "learner"
    change(folder, give_points, "digest")  # who can write the file can write any points
    (found,) = regrade(folder)
    assert found.exit_code == 0 and found.receipt and (found.receipt.score, found.score) == (7, typo_score())
    done = CliRunner().invoke(app, ["class", "regrade", str(folder)])
    assert done.exit_code == 0 and "it proves nothing" in done.output and f"7 → {typo_score()} points" in done.output


def test_a_time_ahead_of_this_machines_clock_is_told_and_does_no_harm(folder: Path) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    change(folder, lambda content: content.update(time=later.isoformat()), "signature")
    (found,) = regrade(folder)
    assert found.exit_code == 0 and found.from_the_future
    assert "ahead of this machine's clock" in CliRunner().invoke(app, ["class", "regrade", str(folder)]).output


def test_every_verdict_that_differs_is_listed_with_its_reason(folder: Path) -> None:
    def older(content: dict[str, Any]) -> None:
        first, second, third, *_ = content["tasks"]
        first |= {"verdict": "passed", "cause": ""}
        second |= {"cause": "service-missing"}
        third |= {"message": "Other words."}
        content["tasks"].append({**first, "id": "gone"})
        content["versions"] |= {"course": "0.0.1", "lab": "0"}

    change(folder, older, "signature")
    (found,) = regrade(folder)
    before = {task.id: task for task in one_receipt().tasks}
    first, second, third, *_ = before
    assert {each.task: each.what for each in found.differences} == {
        first: "verdict",
        second: "cause",
        third: "words",
        "gone": "task-gone",
    }
    assert (found.differences[0].before, found.differences[0].after) == (
        "passed",
        f"failed ({before[first].cause})",
    )
    assert [name for name, *_ in found.changed] == ["course", "lab"] and found.exit_code == 1
    done = CliRunner().invoke(app, ["class", "regrade", str(folder)])
    assert done.exit_code == 1
    assert re.search(r"why: another version of the course \(0\.0\.1 → \S+\) and the lab's files were", done.output)
    assert f"{first}: passed → failed ({before[first].cause})" in done.output
    as_json = json.loads(CliRunner().invoke(app, ["class", "regrade", str(folder), "--json"]).output)
    assert as_json["receipts"][0]["differences"][0]["task"] == first and as_json["receipts"][0]["proven"]


def test_a_difference_without_a_reason_is_told_as_such(folder: Path) -> None:
    change(folder, lambda content: content["tasks"][0].update(points=9), "signature")
    done = CliRunner().invoke(app, ["class", "regrade", str(folder)])
    assert done.exit_code == 1 and "other points: 9 → " in done.output and "why: unknown" in done.output


def test_a_task_that_is_new_differs() -> None:
    tasks = one_receipt().tasks
    assert [(each.task, each.what) for each in differences(tasks[1:], tasks)] == [(tasks[0].id, "task-new")]


def test_graders_that_read_what_a_receipt_lacks_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def reads_more(self: Any, lab: Any) -> Result:
        raise NotRecorded("Pod status.hostIP is not in recordings: …")

    monkeypatch.setattr(receipt.Receipt, "judged", reads_more)
    (found,) = regrade(folder)
    assert found.trouble and found.trouble.id == "receipt-lacks-field" and "hostIP" in found.trouble.what


def test_regrading_needs_receipts(tmp_path: Path) -> None:
    for where, told in ((tmp_path / "none", "no folder"), (tmp_path, "no receipt")):
        done = CliRunner().invoke(app, ["class", "regrade", str(where)], catch_exceptions=True)
        assert isinstance(done.exception, Problem) and told in done.exception.what and done.exception.exit_code == 3


def test_one_receipt_that_is_broken_does_not_stop_the_others(folder: Path) -> None:
    (folder / "07-bob.json").write_text("{")
    (folder / "deeper").mkdir()
    receipt.write(folder / "deeper" / "x.json", one_receipt(learner="carl"), keys.key_of(NAME))
    assert [found.exit_code for found in regrade(folder)] == [0, 2, 0]
    assert exit_code(regrade(folder)) == 2


# -- the class --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("outside")
def test_learners_are_judged_as_at_their_own() -> None:
    seen = seen_class(("07",))
    words = {look.learner.id: look.result for look in seen.looks}
    assert words["dora"] is None and words["eve"] is None and seen.now_in["eve"] == ("05",)
    for learner, case in (("ada", "solution"), ("bob", "selector-typo")):
        wanted = judge(load_lab("07"), State.from_json(recorded("07", case, f"t-{learner}")))
        found = words[learner]
        assert found
        by_cluster = {"nodes-answer"} | {task.id for task in found.tasks if task.verdict == "unknown"}
        assert {task.id: task.cause for task in found.tasks if task.id not in by_cluster} == {
            task.id: task.cause for task in wanted.tasks if task.id not in by_cluster
        }


def in_class(number: str) -> bool:
    return not load_lab(number).spec.needs.engine


@pytest.mark.parametrize("number", filter(in_class, all_labs()))
def test_every_lab_is_judged_in_a_class_as_it_was_recorded(number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the objects of a learner's own namespaces. What was observed is taken from the recording."""
    from checker.marking import whole_class

    lab = fitted_to_class(load_lab(number))
    for case in ("solution", *list(lab.cases("mistakes"))[:2]):
        api = FakeClass({"ada": (number, case)})
        ((place, data),) = api.states.items()
        assert data
        wanted = State.from_json(data)

        def collect(api: Any, found: str, *_: Any, listed: State, wanted: State = wanted, **__: Any) -> State:
            observed = {"observations": wanted.observations, "logs": wanted.logs, "unread_logs": wanted.unread_logs}
            more = {"refusals": wanted.refusals, "forbidden": wanted.forbidden, "now": wanted.now}
            request = replace(listed.request, logs=wanted.request.logs, observations=wanted.request.observations)
            return replace(listed, **observed, **more, request=request)

        monkeypatch.setattr(whole_class, "collect", collect)
        (look,) = see(api, RECORD).looks
        assert look.result and look.state and look.state.namespace == place
        outcomes = [(task.id, task.verdict, task.cause) for task in look.result.tasks]
        assert outcomes == [(task.id, task.verdict, task.cause) for task in judge(lab, wanted).tasks], case


@pytest.mark.usefixtures("outside")
def test_each_kind_is_listed_once_for_all_learners() -> None:
    api = FakeClass(LEARNERS)
    seen_class(("07",), api)
    begins = [path for path in api.asked if "limit=" in path and "continue=" not in path]
    assert len(begins) == len(set(begins))


@pytest.mark.usefixtures("outside")
def test_a_state_holds_nothing_of_another_learner() -> None:
    api = FakeClass({"ada": ("07", "solution"), "adam": ("07", "selector-typo")})
    for look in seen_class(("07",), api).looks:
        assert look.state
        other = "t-adam" if look.learner.id == "ada" else "t-ada"
        namespaces = {
            one.namespace or one.name for kind in ("Pod", "Service", "Namespace") for one in look.state.objects[kind]
        }
        assert namespaces == {look.learner.home} and other not in namespaces


def test_labs_that_a_class_does_not_have_are_told() -> None:
    with pytest.raises(Problem, match="own machine"):
        seen_class(("01",))
    with pytest.raises(Problem, match="not in this class"):
        see(FakeClass(LEARNERS), replace(RECORD, offers=()), ["14"])


def test_an_api_server_that_is_away_is_told() -> None:
    api = FakeClass(LEARNERS)
    api.refused["ConfigMap"] = ApiError(0, "silent")
    with pytest.raises(Problem, match="does not answer"):
        seen_class((), api)


@pytest.mark.usefixtures("outside")
def test_a_kind_that_is_refused_makes_tasks_unknown() -> None:
    api = FakeClass({"ada": ("07", "solution")})
    api.refused["Service"] = ApiError(403, "no")
    (look,) = seen_class(("07",), api).looks
    assert look.result and {task.verdict for task in look.result.tasks} <= {"unknown", "failed"}
    assert any(task.verdict == "unknown" for task in look.result.tasks)


@pytest.mark.usefixtures("outside")
def test_a_learner_who_is_removed_meanwhile_is_told(tmp_path: Path) -> None:
    api = FakeClass(LEARNERS)
    api.gone = {"t-bob"}
    seen = seen_class(("07",), api)
    assert [look.learner.id for look in seen.looks if look.removed] == ["bob"]
    assert "Removed from the class while the report was made: bob." in report_of(NAME, seen).notes
    found = {one.look.learner.id: one.status for one in collected(api, NAME, seen, tmp_path / "r", keys.key_of(NAME))}
    assert found == {
        "ada": "written",
        "bob": "removed",
        "carl": "written",
        "dora": "not-begun",
        "eve": "not-begun",
    }


def test_what_goes_wrong_with_one_learner_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    from checker.marking import whole_class

    looked = whole_class.collect

    def breaks(api: Any, place: str, *rest: Any, **more: Any) -> State:
        if place == "t-bob":
            raise RuntimeError("boom")
        return looked(api, place, *rest, **more)

    monkeypatch.setattr(whole_class, "collect", breaks)
    monkeypatch.setattr("checker.collect.collect.ask_nodes", lambda question: {"error": "away"})
    seen = seen_class(("07",))
    assert {look.learner.id: look.why for look in seen.looks if look.why} == {"bob": "boom"}
    made = report_of(NAME, seen)
    (of_lab,) = made.labs
    row = next(row for row in of_lab.rows if row.id == "bob")
    assert (
        {cell.word for cell in row.cells} == {"unknown"}
        and row.score == 0
        and "bob could not be looked at: boom." in made.notes
    )


@pytest.mark.usefixtures("outside")
def test_clocks_that_differ_are_told() -> None:
    seen = seen_class(("07",))
    assert seen.time == NOW and seen.skew > 60  # the recording's clock stands still
    assert any("ahead of the API server's" in note for note in report_of(NAME, seen).notes)
    behind = report_of(NAME, replace(seen, skew=-90.0)).notes
    assert any("90 s behind" in note for note in behind)
    assert not report_of(NAME, replace(seen, skew=2.0)).notes


@pytest.mark.usefixtures("outside")
def test_an_id_that_changed_in_the_roster_is_told() -> None:
    notes = report_of(NAME, seen_class(("07",)), [Enrolled("ada"), Enrolled("bobby")]).notes
    assert any("not in the class: bobby." in note for note in notes)
    assert any("not in the roster: bob, carl, dora and eve." in note for note in notes)


@pytest.mark.usefixtures("outside")
def test_changes_in_progress_are_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from checker.marking import whole_class

    looks: list[int] = []
    monkeypatch.setattr(whole_class, "PAUSE", 0.01)
    of_class = whole_class._judged

    def counted(api: Any, cluster: Any, begun: Any, report: Any) -> Any:
        looks.append(len(begun))
        return of_class(api, cluster, begun, report)

    monkeypatch.setattr(whole_class, "_judged", counted)
    waiting = iter([[("x", "y")], []])
    first = see(FakeClass({"ada": ("07", "solution")}), RECORD, ["07"])
    (look,) = first.looks
    monkeypatch.setattr(whole_class, "_in_progress", lambda found: [(look.learner, look.lab)] if next(waiting) else [])
    looks.clear()
    see(FakeClass({"ada": ("07", "solution")}), RECORD, ["07"], wait=5)
    assert looks == [1, 1]


# -- the report -------------------------------------------------------------------------------------------------------


@pytest.fixture
def report(outside: None) -> ClassReport:
    roster = [Enrolled(id, f"{id.title()} <b>", "a") for id in LEARNERS]
    return report_of(NAME, seen_class(), roster)


def score_of(report: ClassReport, learner: str) -> int:
    """The points of a learner in lab 07."""
    return next(row.score for one in report.labs if one.lab.number == "07" for row in one.rows if row.id == learner)


def test_by_default_a_report_has_the_labs_in_which_learners_are(report: ClassReport) -> None:
    assert [(one.lab.number, one.begun, len(one.rows)) for one in report.labs] == [("05", 1, 5), ("07", 3, 5)]
    dora = next(row for row in report.labs[1].rows if row.id == "dora")
    assert {cell.word for cell in dora.cells} == {"not-begun"} and dora.score == 0


def test_causes_are_counted_by_learners(report: ClassReport) -> None:
    count = next(one for one in report.labs[1].causes if one.cause == "service-selects-nothing")
    assert count.learners == 2 and set(count.by_task.values()) == {2} and count.lesson == "07"


def test_the_csv_has_nbgraders_columns(report: ClassReport) -> None:
    """Source: https://github.com/jupyter/nbgrader/blob/main/nbgrader/plugins/export.py"""
    lines = list(csv.DictReader(io.StringIO(csv_of(report))))
    assert tuple(lines[0]) == COLUMNS and len(lines) == 10
    bob = next(line for line in lines if line["student_id"] == "bob" and line["assignment"] == "07-services")
    points = str(float(score_of(report, "bob")))
    assert (bob["timestamp"], bob["max_score"]) == ("2026-01-01 12:00:00", "7.0")
    assert bob["raw_score"] == bob["score"] == points != "7.0"
    dora = next(line for line in lines if line["student_id"] == "dora")
    assert (dora["timestamp"], dora["score"]) == ("", "0.0")


def test_a_name_is_no_formula() -> None:
    from checker.marking.exports import _no_formula

    assert _no_formula("=1+1") == "'=1+1" and _no_formula("Ada") == "Ada"


def test_the_json_is_as_its_schema_says(report: ClassReport) -> None:
    found = json.loads(json.dumps(json_of(report)))
    jsonschema.validate(found, schema("report"))
    results = next(one for one in found["learners"] if one["id"] == "bob")["labs"]["07"]
    assert results["score"] == sum(test["score"] for test in results["tests"]) == score_of(report, "bob")
    for test in results["tests"]:
        verdict = test["extra_data"]["verdict"]
        assert test.get("status") == (verdict if verdict in ("passed", "failed") else None)
    gradescope = {"score", "output", "output_format", "tests", "extra_data"}
    assert set(results) <= gradescope


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_and_allows_nothing_that_it_does_not_name(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))
    assert schema(name)["additionalProperties"] is False
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"kind": "x"}, schema(name))


class Page(HTMLParser):
    """What a page holds: its tags with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_is_whole_and_asks_no_network(report: ClassReport) -> None:
    text = html_of(report)
    page = Page(text)
    assert not page.open and "<b>" not in text and "Ada &lt;b&gt;" in text
    assert (
        not {"script", "link", "img", "iframe"} & {tag for tag, _ in page.tags}
        and "://" not in text
        and "url(" not in text
    )
    assert any("default-src 'none'" in (one.get("content") or "") for one in page.all("meta"))


def test_the_page_can_be_read_by_screen_reader_and_keyboard(report: ClassReport) -> None:
    page = Page(html_of(report))
    assert all(one.get("scope") in ("row", "col") for one in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) == 4
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    captions = re.findall("<caption[^>]*>([^<]*)", html_of(report))
    assert len(set(captions)) == 4  # each names a landmark
    regions = [one for one in page.all("div") if one.get("role") == "region"]
    assert len(regions) == 4 and all(one.get("tabindex") == "0" and one["aria-labelledby"] in ids for one in regions)
    assert all((one["href"] or "").removeprefix("#") in ids for one in page.all("a"))
    assert page.all("html")[0]["lang"] == "en"
    assert "2 of 3: The Service selects no Pod" in page.words
    for word in ("✔ passed", "✘ failed", "· not begun"):
        assert word in page.words


def test_the_page_is_readable_in_light_and_dark() -> None:
    """At least 4.5:1. Source: https://www.w3.org/TR/WCAG22/#contrast-minimum"""
    style = (paths.COURSE / "checker" / "ui" / "marks_base.css").read_text()
    light, dark = (
        dict(re.findall(r"--(\w+): #(\w{6})", part)) for part in style.split("@media (prefers-color-scheme")[:2]
    )
    for colours in (light, dark):
        for name in ("text", "passed", "failed", "unknown", "accent"):
            assert contrast(colours[name], colours["page"]) >= 4.5, name
        assert contrast(colours["text"], colours["heat"]) >= 4.5 and contrast(colours["text"], colours["head"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """Source: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.usefixtures("outside")
def test_hidden_names_are_in_no_form_of_the_report() -> None:
    roster = [Enrolled(id, f"{id.title()} Byte", "a") for id in (*LEARNERS, "zoe")]
    api = FakeClass(LEARNERS)
    api.gone = {"t-carl"}
    made = report_of(NAME, seen_class((), api), roster, hide_names=True)
    for text in (html_of(made), csv_of(made), json.dumps(json_of(made))):
        for id in (*LEARNERS, "zoe"):
            assert not re.search(rf"\b{id}\b|t-{id}", text, re.I), id
        assert "Byte" not in text and "learner-01" in text
    jsonschema.validate(json.loads(json.dumps(json_of(made))), schema("report"))
    assert {one.id for one in made.learners} < {f"learner-0{number}" for number in range(1, 7)}


@pytest.mark.usefixtures("outside")
def test_what_learners_are_to_find_out_is_kept_back_from_a_page_for_all() -> None:
    finding = [number for number in all_labs() if any(task.find_out for task in load_lab(number).spec.tasks)]
    assert finding
    seen = seen_class((), FakeClass({"ada": (finding[0], "setup")}))
    shown, hidden = report_of(NAME, seen), report_of(NAME, seen, hide_names=True)
    roots = {cell.verdict.cause for cell in shown.labs[0].rows[0].cells if cell.verdict and cell.verdict.root}
    assert roots and roots <= {one.cause for one in shown.labs[0].causes}
    assert not roots & {one.cause for one in hidden.labs[0].causes}
    assert not [cause for cause in roots if cause in json.dumps(json_of(hidden))]
    assert "This task is to find out what is wrong." in html_of(hidden)


# -- the commands -----------------------------------------------------------------------------------------------------


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, outside: None) -> Callable[..., Any]:
    """Runs a command of `kubeclass class` on a class that is none."""
    api = FakeClass(LEARNERS)
    monkeypatch.setattr("checker.ui.marks_cli.class_at", lambda *where: (api, RECORD))
    return lambda *words: CliRunner().invoke(app, ["class", *map(str, words)], catch_exceptions=False)


def test_collect_writes_receipts_that_regrade_takes(command: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = command("collect", NAME, "07", "--out", out, "--wait", "0")
    assert sorted(file.name for file in out.iterdir()) == ["07-ada.json", "07-bob.json", "07-carl.json"]
    assert "ada  5/7  (1 could not be checked)" in done.output and done.exit_code == 2
    assert re.search(r"bob  \d/7", done.output) and "dora  not begun" in done.output and "3 receipts" in done.output
    again = command("regrade", out, "--lab", "07")
    assert again.exit_code == 0 and "3 files: 0 with another verdict, 0 not judged again." in again.output
    for file in out.iterdir():
        jsonschema.validate(json.loads(file.read_text()), schema("receipt"))
        assert file.stat().st_mode & 0o777 == 0o600
    as_json = json.loads(command("collect", NAME, "07", "--out", out, "--wait", "0", "--json").stdout)
    statuses = {one["learner"]: one["status"] for one in as_json["learners"]}
    assert statuses["bob"] == "written" and statuses["dora"] == "not-begun"
    assert as_json["key"] == keys.key_of(NAME).id


def test_report_writes_each_form(command: Callable[..., Any], tmp_path: Path) -> None:
    assert command("report", NAME, "07", "--csv").stdout.startswith("assignment,duedate,")
    assert json.loads(command("report", NAME, "--json").stdout)["class"] == NAME
    done = command("report", NAME, "07", "--html", "--out", tmp_path / "t.html")
    assert (tmp_path / "t.html").read_text().startswith("<!doctype html>") and not done.stdout
    with pytest.raises(Problem, match="needs a form"):
        command("report", NAME)
    with pytest.raises(Problem, match="cannot be written"):
        command("report", NAME, "--csv", "--out", tmp_path / "none" / "x")


def test_hand_in_writes_the_learners_own_receipt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, result = one_state("07", "selector-typo")

    class Alone:
        """One's own cluster, in which lab 07 was begun."""

        lab = load_lab("07")
        cluster = FakeClass({}).cluster

        def __init__(self, *what: str) -> None:
            pass

        def require_started(self) -> None:
            pass

        def checked(self, wait: float) -> tuple[Result, State]:
            return result, state

    monkeypatch.setattr("checker.session.Session", Alone)
    monkeypatch.setattr("checker.collect.api.Api", lambda cluster: FakeClass({}))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["hand-in", "07"], catch_exceptions=False)
    assert done.exit_code == 1 and f"kubeclass-07.json: lab 07, {result.score} of 7 points." in done.output
    (found,) = regrade(tmp_path)
    assert found.exit_code == 0 and found.receipt and found.receipt.versions["kubernetes"] == "v1.37.2"
    as_json = CliRunner().invoke(app, ["hand-in", "07", "--out", "x.json", "--json"], catch_exceptions=False)
    assert json.loads(as_json.output)["score"] == result.score and (tmp_path / "x.json").exists()
    monkeypatch.setattr(receipt, "LARGEST_STATE", 1000)
    with pytest.raises(Problem, match="too large"):
        CliRunner().invoke(app, ["hand-in", "07"], catch_exceptions=False)
