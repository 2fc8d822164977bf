"""Labs as they are written, judging, the catalogue, the report and the progress that is kept."""

from __future__ import annotations

import inspect
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import checker
from checker import course
from checker.grading.grade import judge
from checker.grading.labs import Lab, LabSpec, all_labs, hint, load_lab
from checker.model.catalogue import catalogue
from checker.model.fault import Fault, Ref
from checker.model.quantity import quantity
from checker.model.spelling import nearest, nearest_labels
from checker.model.verdict import Result, Verdict
from checker.ui import progress
from checker.ui.report import text_report
from cluster import Problem, paths

from .objects import state

LAB = """
title: A lab
goal: To see.
minutes: 30
tasks:
- {id: one, points: 1, title: One, text: Do one., hints: [gentle, firm, last]}
"""
TASKS = """
from checker.sdk import fail, task
@task("one")
def one(state):
    BODY
"""


@pytest.fixture
def lab_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "42-one"
    folder.mkdir()
    (folder / "lab.yaml").write_text(LAB)
    (folder / "tasks.py").write_text(TASKS.replace("BODY", "pass"))
    monkeypatch.setenv("KUBECLASS_LABS", str(tmp_path))
    return folder


@pytest.mark.parametrize("name", ["42", "42-one", "one"])
def test_a_lab_is_found_by_number_and_name(lab_folder: Path, name: str) -> None:
    assert load_lab(name).folder == lab_folder


def test_an_unknown_lab_names_those_that_there_are(lab_folder: Path) -> None:
    with pytest.raises(Problem, match="There is no lab '43'") as end:
        load_lab("43")
    assert "42-one" in end.value.next_step


@pytest.mark.parametrize(
    "text, words",
    [
        ("title: [", "not valid YAML"),
        (LAB.replace("goal:", "gaol:"), "gaol"),
        (LAB.replace("points: 1", "points: 0"), "points"),
        (LAB.replace("points: 1", "points: many"), "points"),
        (LAB.replace("[gentle, firm, last]", "[one]"), "hints"),
        ("title: A lab\ngoal: g\nminutes: 30\ntasks: []", "tasks"),
        ("just words", "the whole file"),
    ],
)
def test_a_malformed_lab_is_named_with_file_and_field(lab_folder: Path, text: str, words: str) -> None:
    (lab_folder / "lab.yaml").write_text(text)
    with pytest.raises(Problem) as end:
        load_lab("42")
    assert words in end.value.what
    assert "lab.yaml" in end.value.what


def test_a_task_that_only_one_of_the_two_files_names(lab_folder: Path) -> None:
    (lab_folder / "tasks.py").write_text(TASKS.replace('"one"', '"two"').replace("BODY", "pass"))
    with pytest.raises(Problem, match="one, two is only in one of them"):
        _ = load_lab("42").code


@pytest.mark.parametrize("body", ["1 / 0", "{}['x']", "raise SystemError('x')", "assert False"])
def test_a_grader_that_raises_is_unknown_and_never_a_zero(lab_folder: Path, body: str) -> None:
    (lab_folder / "tasks.py").write_text(TASKS.replace("BODY", body))
    (verdict,) = judge(load_lab("42"), state()).tasks
    assert (verdict.verdict, verdict.cause) == ("unknown", "checker-crashed")
    assert "not a mistake in your work" in verdict.message
    assert "tasks.py" in verdict.message


def test_a_fault_whose_sentence_lacks_a_fact_is_unknown(lab_folder: Path) -> None:
    (lab_folder / "tasks.py").write_text(TASKS.replace("BODY", "fail('namespace-missing', 'Namespace/x')"))
    (verdict,) = judge(load_lab("42"), state()).tasks
    assert (verdict.verdict, verdict.cause) == ("unknown", "checker-crashed")
    assert "no fact 'near'" in verdict.message


def result(*words: str, cause: str = "object-missing", object: str = "Service/a") -> Result:
    tasks = tuple(
        Verdict(
            f"t{i}",
            f"Task {i}",
            2,
            word,
            *(("", "") if word == "passed" else (cause, "Why.")),
            object="" if word == "passed" else object,
        )
        for i, word in enumerate(words)
    )
    return Result("42", "A lab", "learn", tasks)


@pytest.mark.parametrize(
    "words, score, passed, code",
    [
        (("passed", "passed"), 4, True, 0),
        (("passed", "failed"), 2, False, 1),
        (("failed", "unknown"), 0, False, 1),
        (("passed", "unknown"), 2, False, 2),
    ],
)
def test_the_json_that_scripts_rely_on(words: tuple[str, ...], score: int, passed: bool, code: int) -> None:
    data = json.loads(json.dumps(result(*words).to_json()))
    assert {"lab", "namespace", "score", "max_score", "passed", "tasks"} <= set(data)
    assert (data["score"], data["max_score"], data["passed"], result(*words).exit_code) == (score, 4, passed, code)
    for task in data["tasks"]:
        fields = {"id", "title", "points", "verdict"}
        if task["verdict"] != "passed":
            fields |= {"cause", "message", "expected", "observed", "object", "look"}
        assert set(task) == fields


def test_the_report_shows_the_same_root_once() -> None:
    text = text_report(result("failed", "failed"), why=True)
    assert text.count("Why.") == 1
    assert "The same root as “Task 0”." in text
    assert "✘ failed" in text
    assert "\033" not in text
    assert "\033" in text_report(result("failed"), colour=True)


def test_what_is_missing_in_two_places_is_two_roots() -> None:
    tasks = result("failed", "failed", cause="pod-not-isolated", object="Deployment/a").tasks

    def judged(*directions: str) -> str:
        about = Ref("Deployment", "a", "learn")
        faults = [Fault("pod-not-isolated", about, {"direction": direction}) for direction in directions]
        verdicts = tuple(replace(task, fault=fault) for task, fault in zip(tasks, faults, strict=True))
        return text_report(Result("42", "A lab", "learn", verdicts), why=True)

    assert "The same root" not in judged("ingress", "egress")
    assert "The same root" in judged("ingress", "ingress")


def test_other_roots_are_shown_too() -> None:
    one, other = result("failed").tasks[0], result("failed", object="Service/b").tasks[0]
    assert text_report(Result("42", "A lab", "learn", (one, other)), why=True).count("Why.") == 2


def test_a_cause_is_told_only_where_somebody_asks_for_it() -> None:
    failed = result("failed").tasks[0]
    text = text_report(Result("42", "A lab", "learn", (replace(failed, observed="nothing"),)))
    assert "Observed: nothing." in text and "Why." not in text
    assert "kubeclass check 42 --why`" in text and f"kubeclass hint 42 {failed.id}`" in text
    elsewhere = text_report(Result("42", "A lab", "class-a", (failed,)))
    assert "kubeclass check 42 --why --namespace class-a" in elsewhere
    passed = text_report(Result("42", "A lab", "learn", result("passed").tasks))
    assert "--why" not in passed


def test_why_a_task_could_not_be_checked_is_always_told() -> None:
    unknown = replace(result("unknown").tasks[0], message="Why.")
    waiting = replace(result("failed").tasks[0], message="Why.", in_progress=True)
    for verdict in (unknown, waiting):
        text = text_report(Result("42", "A lab", "learn", (verdict,)))
        assert "Why." in text and "--why" not in text


def test_hints_go_from_gentle_to_firm_and_no_further(lab_folder: Path) -> None:
    lab = load_lab("42")
    found = [hint(lab, "one", level) for level in (1, 2, 3, 4)]
    assert found == [("gentle", True), ("firm", True), ("last", False), ("last", False)]
    with pytest.raises(Problem, match="has no task 'two'"):
        hint(lab, "two")


NAMED = re.compile(
    r'(?:fail|unknown|Failed|Unknown)\(\s*(?:f?"([a-z]+(?:-[a-z]+)+)"|"([a-z-]+)" if .+? else "([a-z-]+)")'
)


def causes_in_code() -> set[str]:
    found: set[str] = set()
    for path in [*paths.COURSE.glob("checker/**/*.py"), *paths.COURSE.glob("labs/*/*.py")]:
        text = path.read_text()
        found |= {cause for cause in catalogue() if f'"{cause}"' in text}
        for match in NAMED.finditer(text):
            found |= {name for name in match.groups() if name}
    return found


def test_every_cause_that_the_code_names_is_in_the_catalogue_and_the_other_way_round() -> None:
    by_probe = {f"{which}-probe-fails" for which in ("readiness", "startup")}  # named by the probe's kind
    of_labs = {cause for number in all_labs(drafts=True) for cause in load_lab(number).causes}
    assert causes_in_code() | by_probe == set(catalogue()) | of_labs


def test_the_catalogue_is_complete() -> None:
    for cause in catalogue().values():
        assert cause.title and cause.meaning.endswith(".") and re.fullmatch(r"\d\d", cause.lesson), cause.id
        assert cause.look.startswith(("kubectl ", "kubeclass ", "docker ")), cause.id


def test_every_lab_has_tasks_that_observe_what_can_be_recorded() -> None:
    for number in all_labs():
        lab = load_lab(number)
        assert len({observation.key for observation in lab.observations}) == len(lab.observations)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBECLASS_HOME", str(tmp_path))
    return tmp_path


def test_progress_keeps_the_best_and_survives_what_is_unknown(home: Path) -> None:
    progress.note(result("passed", "failed"))
    progress.note(result("failed", "failed"))
    progress.note(result("unknown", "unknown"))
    kept = progress.read()["labs"]["42"]
    assert (kept["best"], kept["score"], kept["checks"], kept["passed_at"]) == (2, 0, 2, None)
    progress.note(result("passed", "passed"))
    assert progress.read()["labs"]["42"]["passed_at"]


def test_what_was_kept_of_the_capstone_under_its_old_number_is_the_capstones(home: Path) -> None:
    before = {"best": 12, "max_score": 12, "checks": 3, "passed_at": "2026-11-01T10:00:00+00:00"}
    paths.progress().write_text(json.dumps({"labs": {"15": before}}))
    assert progress.read()["labs"] == {"16": before}
    of_today = {"best": 6, "max_score": 6, "checks": 1, "passed_at": None}
    paths.progress().write_text(json.dumps({"labs": {"15": of_today, "16": before}}))
    assert progress.read()["labs"] == {"15": of_today, "16": before}


def test_time_spent_is_counted_without_pauses_until_the_lab_is_passed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(progress.time, "time", lambda: now)
    for pause in (0, 60, 30, progress.PAUSE + 1, 20):
        now += pause
        progress.seen("42")
    now += 10
    progress.note(result("passed", "passed"))
    now += 40
    progress.seen("42")
    assert progress.read()["labs"]["42"]["seconds"] == 60 + 30 + 20 + 10


def test_what_an_older_version_kept_is_shown_and_goes_on(home: Path) -> None:
    kept = {"labs": {"07": {"best": 3, "checks": 2, "passed_at": None, "score": 1, "max_score": 7}}}
    (home / "progress.json").write_text(json.dumps(kept))
    progress.seen("07")
    row = next(row for row in course().rows if row.lab == "07")
    assert (row.best, row.checks, row.seconds, row.status) == (3, 2, 0, ("…", "started"))


def test_the_course_says_what_is_next_and_leads_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checker.ui.overview.page_of", "{}-lesson.ipynb".format)
    done = {"best": 9, "checks": 1, "seconds": 3720, "passed_at": "2026-11-25T12:00:00+00:00"}
    (home / "progress.json").write_text(json.dumps({"labs": {"01": done}}))
    words, page = repr(course()), course()._repr_html_()
    following, after = (f"{number}-lesson.ipynb" for number in all_labs()[1:3])
    points = sum(task.points for number in all_labs() for task in load_lab(number).spec.tasks)
    assert "✔ passed  01" in words and "62 min" in words
    assert f"1 of {len(all_labs())} labs passed, 9 of {points} points, 1 h 2 min." in words
    number = following[:2]
    assert words.splitlines()[-1] == f"Next: lesson {number} ({following}), and its lab: kubeclass start {number}"
    assert page.count("<a href=") == 1 + len(all_labs()) and page.count("(next)") == 1
    assert page.index(following) < page.index("(next)") < page.index(after)
    monkeypatch.setattr("checker.ui.overview.page_of", lambda number: "")  # drafts
    assert repr(course()).splitlines()[-1] == f"Next: the lab: kubeclass start {number}"
    assert "<a href=" not in course()._repr_html_()


def test_the_course_says_how_far_a_cluster_is_that_is_on_its_way(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "The cluster is being built: step 4 of 6 (the nodes), about 1 minute left."
    monkeypatch.setattr("cluster.up_progress.describe", lambda cluster: words)
    assert repr(course()).splitlines()[-1] == words
    assert words in course()._repr_html_()


def test_two_that_write_progress_at_once_lose_nothing(home: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: progress.note(result("failed", "failed")), range(80)))
    assert progress.read()["labs"]["42"]["checks"] == 80


def test_a_verdict_is_told_where_progress_cannot_be_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    progress.seen("42")
    assert progress.note(result("passed", "passed")) == "Your progress could not be kept: No space left on device."


@pytest.mark.parametrize("kept", ['{"labs": {"42": 7}}', '{"labs": {"42": {"best": 1}}}', '{"labs": 3}', "[]"])
def test_a_file_of_another_form_is_no_obstacle(home: Path, kept: str) -> None:
    (home / "progress.json").write_text(kept)
    assert progress.note(result("passed", "passed")) == ""
    assert progress.read()["labs"]["42"]["checks"] == 1


def test_a_name_for_notebooks_is_no_module_however_often_it_is_imported() -> None:
    for name in checker.__all__ * 2:
        assert not inspect.ismodule(getattr(checker, name)), name


def test_a_damaged_progress_file_is_put_aside_not_lost(home: Path) -> None:
    (home / "progress.json").write_text('{"labs": ')
    assert progress.read() == {"labs": {}}
    assert (home / "progress.damaged.json").read_text() == '{"labs": '


@pytest.mark.parametrize(
    "text, number",
    [("100m", 0.1), ("2", 2), ("1.5", 1.5), ("64Mi", 64 * 2**20), ("1G", 10**9), ("1e3", 1000), ("5k", 5000)],
)
def test_quantities(text: str, number: float) -> None:
    assert float(quantity(text)) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "many", "1.2.3", "Mi"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError):
        quantity(text)


def test_the_nearest_name_is_near() -> None:
    assert nearest("guestbok", ["redis", "guestbook"]) == "guestbook"
    assert nearest("guestbook", ["guestbook", "redis"]) is None
    assert nearest_labels({"app": "web"}, [{"tier": "x"}, {"app": "wep"}]) == {"app": "wep"}
    assert nearest_labels({"app": "web"}, [{"tier": "x"}]) is None


def test_a_broken_lab_yaml_is_told_with_its_line_and_what_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECLASS_LABS", str(tmp_path))
    (folder := tmp_path / "42-answer").mkdir()
    (folder / "lab.yaml").write_text(
        "title: A\ngoal: B\nminutes: 1\n"
        "tasks:\n  - id: one\n    title: One\n    text: T\n    pionts: 1\n    hints: [a, b, c]\n"
    )
    with pytest.raises(Problem) as caught:
        load_lab("42")
    assert f"{folder / 'lab.yaml'}:8: tasks.0.pionts: unknown key; allowed are id, title, text, points, hints" in str(
        caught.value
    )
    caught = (folder / "lab.yaml").read_text()
    (folder / "lab.yaml").write_text(caught.replace("    pionts: 1\n", ""))
    with pytest.raises(Problem, match=r"lab\.yaml:5: tasks\.0: Object missing required field `points`"):
        load_lab("42")
    (folder / "mistakes").mkdir()
    (folder / "mistakes" / "one.yaml").write_text("title: A\nmake: 'true'\nfailz: {}\n")
    with pytest.raises(Problem, match=r"one\.yaml:3: failz: unknown key; allowed are title, make, fails"):
        Lab("42", folder, LabSpec("", "", 1, [])).cases("mistakes")
