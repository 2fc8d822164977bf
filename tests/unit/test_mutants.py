"""The mutants: what is changed, that ids are unique, that every exception names a mutant; what kills; what is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from checker.grading.labs import Lab, all_labs, load_lab
from checker.model.verdict import Result, Verdict
from cluster import Problem
from tests.mutants.mutate import Mutant, mutants
from tests.mutants.outcome import (
    OPEN,
    SETTLED,
    Outcome,
    Progress,
    Today,
    all_today,
    equivalent,
    is_level,
    kept,
    lines,
    today,
    unexplained,
    why_equivalent,
)
from tests.mutants.run import (
    LONGER,
    PATIENCE,
    SOLUTION,
    WAIT,
    chosen,
    hurried,
    is_to_try_again,
    main,
    run,
    run_lab,
    settled,
    word_of,
)
from tests.proof import table

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports:
  - {port: 80, targetPort: http}
"""


def lab_with(folder: Path, **files: str) -> Lab:
    (folder / "solution").mkdir()
    for name, text in files.items():
        (folder / "solution" / name.replace("_", ".")).write_text(text)
    return Lab("99", folder, load_lab("07").spec)


def test_every_part_that_matters_is_changed_once(tmp_path: Path) -> None:
    found = {m.id.removeprefix("web.yaml Service/web: "): m for m in mutants(lab_with(tmp_path, web_yaml=SERVICE))}
    assert set(found) == {
        "in another namespace",
        "metadata.name is 'webx'",
        "spec.selector dropped",
        "spec.selector.app is 'webx'",
        "spec.selector.app dropped",
        "spec.ports dropped",
        "spec.ports.0 dropped",
        "spec.ports.0.port is 0",
        "spec.ports.0.port is 81",
        "spec.ports.0.targetPort is 'httpx'",
    }
    changed = yaml.safe_load(found["spec.selector.app is 'webx'"].files["web.yaml"])
    assert changed["spec"] == {"selector": {"app": "webx"}, "ports": [{"port": 80, "targetPort": "http"}]}


def test_steps_are_left_out_and_changed_but_waiting_is_kept(tmp_path: Path) -> None:
    script = (
        "kubectl set env deployment a HOST=redis\n"
        "kubectl rollout status deployment a --timeout=60s\n"
        "kubectl scale deployment a \\\n  --replicas=3\n"
    )
    found = {m.id: m.script for m in mutants(lab_with(tmp_path, make_sh=script))}
    assert list(found) == [
        "make.sh without: kubectl set env deployment a HOST=redis",
        "make.sh with: kubectl set env deployment a HOST=redisx",
        "make.sh without: kubectl scale deployment a \\ --replicas=3",
        "make.sh with: kubectl scale deployment a \\ --replicas=1",
    ]
    assert found["make.sh without: kubectl scale deployment a \\ --replicas=3"].endswith("--timeout=60s\n")


@pytest.mark.parametrize("number", all_labs())
def test_a_lab_has_mutants_with_ids_of_their_own(number: str) -> None:
    ids = [mutant.id for mutant in mutants(load_lab(number))]
    assert len(ids) >= 4
    assert len(set(ids)) == len(ids)


def test_every_exception_names_a_mutant_that_exists() -> None:
    for number, exceptions in equivalent().items():
        for pattern, why in (exceptions or {}).items():
            numbers = all_labs() if number == "all" else [number]
            found = [m for n in numbers for m in mutants(load_lab(n)) if why_equivalent(n, m.id) == why]
            assert found, f"{number}: {pattern}"


def test_steps_do_not_wait_long_and_go_on() -> None:
    script = (
        "kubectl apply -f .\n"
        "  kubectl rollout status deployment a --timeout=60s\n"
        "kubectl wait pod b --for=condition=Ready --timeout=90s || true\n"
    )
    assert hurried(load_lab("07"), script).splitlines() == [
        "kubectl apply -f .",
        f"  kubectl rollout status deployment a --timeout={PATIENCE}s || true",
        "kubectl wait pod b --for=condition=Ready --timeout=90s || true",
    ]
    assert hurried(load_lab("16"), script) == script  # a node's time cannot be hurried


def verdict(outcome: str, cause: str = "", in_progress: bool = False) -> Verdict:
    return Verdict(cause or outcome, "", 1, outcome, cause, in_progress=in_progress)  # type: ignore[arg-type]


PASSED, FAILED = verdict("passed"), verdict("failed", "wrong-image")
UNKNOWN, NOT_YET = verdict("unknown", "observer-refused"), verdict("failed", "pod-starting", in_progress=True)


def result(*verdicts: Verdict) -> Result:
    return Result("07", "", "learn", verdicts)


@pytest.mark.parametrize(
    "verdicts, output, word, detail",
    [
        ((PASSED, PASSED), "", "survived", ""),
        ((PASSED, FAILED, UNKNOWN), "", "killed", "wrong-image"),
        ((PASSED, UNKNOWN), "", "unsettled", "observer-refused"),
        ((NOT_YET, PASSED), "", "unsettled", "pod-starting"),
        ((FAILED,), "The Service is invalid: spec.ports", "refused", "The Service is invalid: spec.ports"),
        (
            (FAILED,),
            'error: the path "$WORK/a.yaml" does not exist',
            "refused",
            'error: the path "$WORK/a.yaml" does not exist',
        ),
        (
            (FAILED,),
            'error: the path "/w/work/a.yaml" does not exist',
            "broken",
            'error: the path "/w/work/a.yaml" does not exist',
        ),
        ((FAILED,), "bash: line 1: no-such-program", "broken", "bash: line 1: no-such-program"),
    ],
)
def test_only_a_task_that_failed_kills(verdicts: tuple[Verdict, ...], output: str, word: str, detail: str) -> None:
    assert word_of(result(*verdicts), output) == (word, detail)


class Graded:
    """A Session that gives these results one after the other, and the last one from then on."""

    def __init__(self, *results: Result) -> None:
        self.results, self.looks = list(results), 0

    def check(self, wait: float) -> Result:
        self.looks += 1
        return self.results[min(self.looks, len(self.results)) - 1]


def looks_at(monkeypatch: pytest.MonkeyPatch, wait: float, *results: Result) -> tuple[Result, int]:
    """What is settled of these results, when each look comes ten seconds after the one before; and how many looks."""
    graded, clock = Graded(*results), iter(range(0, 10_000, 10))
    monkeypatch.setattr("tests.mutants.run.time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None))
    return settled(graded, wait), graded.looks  # type: ignore[arg-type]


def test_grading_waits_for_what_is_in_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    begins, failing, done = result(NOT_YET, PASSED), result(NOT_YET, FAILED), result(PASSED, PASSED)
    assert looks_at(monkeypatch, 60, done) == (done, 1)
    assert looks_at(monkeypatch, 60, begins, begins, done) == (done, 3)
    assert looks_at(monkeypatch, 60, begins, failing) == (failing, 3)  # failed twice: no need to wait for the other
    assert looks_at(monkeypatch, 60, failing, begins, done) == (done, 3)  # failed once only
    assert looks_at(monkeypatch, 60, begins) == (begins, 7)
    unseen = result(UNKNOWN, PASSED)
    assert looks_at(monkeypatch, 60, unseen, unseen, done) == (done, 3)
    assert looks_at(monkeypatch, 60, result(UNKNOWN, FAILED)) == (result(UNKNOWN, FAILED), 1)


def outcomes_of(*words: str) -> list[Outcome]:
    return [Outcome("07", f"{word} {n}", word, "why") for n, word in enumerate(words)]


NOW = Today(6, "made", "graded")


def test_the_table_counts_what_a_grader_could_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = outcomes_of("killed", "killed", "refused", "survived", "unsettled", "survived")
    known = kept(outcomes, NOW, "2026-01-01")
    text = "\n".join(lines({"07": known}, {"07": NOW, "08": NOW}))
    assert "| 07 | 6 | 1 | 0 | 5 | 2 | 2 | 1 | 40.0 | 2026-01-01 |" in text
    assert "- 07, `unsettled 4`: unsettled (why)" in text and "- 07, `survived 3`: survived" in text
    assert "Not run yet: lab 08 (6 mutants)." in text and "To be run again" not in text
    reasons = {"07": {"survived 3": "It is the same."}}
    monkeypatch.setattr("tests.mutants.outcome.equivalent", lambda: reasons)
    text = "\n".join(lines({"07": known}, {"07": NOW}))
    assert "| 07 | 6 | 1 | 1 | 4 | 2 | 1 | 1 | 50.0 | 2026-01-01 |" in text
    assert "- lab 07, `survived 3`: It is the same." in text
    assert set(unexplained("07", known)) == {"survived 5", "unsettled 4"}


@pytest.mark.parametrize("now", [Today(6, "made otherwise", "graded"), Today(6, "made", "graded otherwise")])
def test_the_table_tells_which_labs_have_changed(now: Today) -> None:
    data = {"07": kept(outcomes_of("killed"), NOW, "2026-01-01")}
    text = "\n".join(lines(data, {"07": now}))
    assert "2026-01-01, to be run again |" in text and "has changed: lab 07." in text


def test_what_is_tried_again_takes_the_place_of_what_is_kept() -> None:
    first, second, third = outcomes_of("killed", "survived", "unsettled")
    known = kept([first, second, third], NOW, "2026-01-01")
    now = Today(6, "made", "graded otherwise")
    again = kept([replace(second, word="killed")], now, "2026-01-02", known)
    assert (again["killed"], again["survived"], list(again["unsettled"])) == (2, {}, [third.id])
    assert again["again"] == [second.id] and again["graded_by"] == now.graded_by
    text = "\n".join(lines({"07": again}, {"07": now}))
    assert "Lab 07: after the grader or these rules were mended, 1 were tried again." in text


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    killed, open_ = outcomes_of("killed", "unsettled")
    progress = Progress("07", NOW, tmp_path)
    for outcome in (killed, open_, replace(open_, word="killed")):
        progress.add(outcome)
    assert Progress("07", NOW, tmp_path).outcomes == {killed.id: killed, open_.id: replace(open_, word="killed")}
    assert not Progress("07", replace(NOW, graded_by="otherwise"), tmp_path).outcomes
    progress.forget()
    assert not list(tmp_path.iterdir())
    assert is_to_try_again(None) and is_to_try_again(replace(open_, wait=WAIT))
    assert not is_to_try_again(replace(open_, wait=LONGER)) and not is_to_try_again(killed)


def test_a_mutant_that_cannot_be_tried_has_no_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [Mutant(load_lab("07"), str(n), {}, "") for n in range(20)]
    tried: list[Outcome] = []

    def try_one(mutant: Mutant, namespace: str, wait: float) -> Outcome:
        if int(mutant.id) % 10 == 9:
            raise Problem("the cluster does not answer", "look")
        return Outcome("07", mutant.id, "killed")

    monkeypatch.setattr("tests.mutants.run.try_out", try_one)
    run(made, tried.append, 2)
    assert {outcome.id for outcome in tried} == {str(n) for n in range(20)} - {"9", "19"}
    with pytest.raises(SystemExit, match="goes on from here"):
        run([replace(one, id=f"{one.id}9") for one in made], tried.append, 2)


def test_the_first_lab_ever_tried_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written: list[dict[str, Any]] = []

    def try_all(todo: list[Mutant], note: Callable[[Outcome], None], *rest: object) -> None:
        for one in todo:
            note(Outcome("03", one.id, "survived" if one.id == SOLUTION else "killed"))

    monkeypatch.setattr("tests.mutants.run.run", try_all)
    monkeypatch.setattr("tests.mutants.run.Progress", partial(Progress, folder=tmp_path))
    monkeypatch.setattr("tests.proof.table.read", dict)
    monkeypatch.setattr("tests.proof.table.write", written.append)
    assert run_lab("03", 1)
    assert written[0]["mutants"]["03"]["killed"] == today("03").mutants


def test_the_words_of_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit) as end:
        main(["-h"])
    assert end.value.code == 0 and "make mutants FAILED=1" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["7", "99"])
    assert "there is no lab 99" in capsys.readouterr().err
    level = {lab: {**asdict(now), "survived": {}, "unsettled": {}, "broken": {}} for lab, now in all_today().items()}
    level["08"]["graded_by"] = "another grader"
    level["09"]["unsettled"] = {"one": "why"}
    monkeypatch.setattr("tests.proof.table.read", lambda: {"mutants": level})
    assert chosen([], all_=False, failed=False) == {"08": ()}
    assert chosen([], all_=False, failed=True) == {"09": {"one"}}
    assert chosen(["07"], all_=False, failed=False) == {"07": ()}
    assert list(chosen([], all_=True, failed=False)) == all_labs()


def test_each_kept_mutant_exists() -> None:
    """The table says which labs are to be run again; of the others, each mutant that it names is one of today's."""
    data = table.read().get("mutants", {})
    for lab, known in data.items():
        if not is_level(known, today(lab)):
            continue
        ids = {one.id for one in mutants(load_lab(lab))}
        assert {id for word in OPEN for id in known[word]} <= ids
        assert known["mutants"] == len(ids) == sum(known[w] for w in SETTLED) + sum(len(known[w]) for w in OPEN), lab
