"""Predictions: what a front end is told and may ask for, what is kept, and the line where there is no front end."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import checker
from checker.authoring.notebooks import code_cells
from checker.ui import predict as predicting
from checker.ui import progress
from checker.ui.overview import course
from checker.ui.predict import Prediction, predict, when_the_next_cell_ran
from checker.ui.predict.questions import CALL, lesson_of, questions
from checker.ui.predict.widget import PredictionWidget
from tests.proof.subjects import lessons

QUESTION = "Which Pods answer while one is not ready?"
CHOICES = ["all", "only the ready ones", "none"]
BECAUSE = "A Service sends requests to ready Pods."


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBECLASS_HOME", str(tmp_path))
    monkeypatch.delenv("KUBECLASS_PROGRESS", raising=False)
    return tmp_path


def ask() -> Prediction:
    return predict(QUESTION, CHOICES, answer="only the ready ones", because=BECAUSE)


def test_it_is_imported_from_the_checker() -> None:
    assert checker.predict is predict


def test_without_a_front_end_it_is_one_line_that_is_always_the_same() -> None:
    line = f"Your prediction? {QUESTION} (all / only the ready ones / none)"
    prediction = ask()
    assert repr(prediction) == line
    prediction.choose("none")
    prediction.next_cell_ran = True
    prediction.reveal()
    assert repr(prediction) == repr(ask()) == line
    assert repr(predict("How many requests are lost?", answer=0)) == "Your prediction? How many requests are lost?"


def test_a_front_end_gets_the_widget_and_the_line() -> None:
    prediction = ask()
    bundle = prediction._repr_mimebundle_()
    assert bundle["text/plain"] == repr(prediction)
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert prediction._repr_mimebundle_() == bundle  # one widget for all the places where it is shown


def test_the_answer_is_not_told_before_it_is_asked_for() -> None:
    shown = PredictionWidget(ask())
    assert not shown.view["predicted"] and not shown.view["may_reveal"]
    shown.on_request({"do": "reveal"})
    shown.on_request({"do": "predict", "predicted": "all"})
    assert shown.view["you_predicted"] == "You predicted “all”."
    assert shown.view["what_next"] == "Now run the next cell."
    shown.on_request({"do": "reveal"})  # the next cell has not run
    assert not shown.view["revealed"] and BECAUSE not in json.dumps(shown.view)
    shown.next_cell_ran()
    assert shown.view["may_reveal"] and not shown.view["what_next"]
    shown.on_request({"do": "reveal"})
    assert shown.view["revealed"] and not shown.view["may_reveal"]
    assert shown.view["you_predicted"] == "You predicted “all”."
    assert shown.view["came"] == "What came: only the ready ones."
    assert shown.view["verdict"] == "Your prediction was not right."
    assert shown.view["because"] == BECAUSE


def test_the_next_cell_shows_nothing_to_a_learner_who_predicted_nothing() -> None:
    shown = PredictionWidget(ask())
    shown.next_cell_ran()
    shown.on_request({"do": "reveal"})
    assert not shown.view["may_reveal"] and not shown.view["revealed"] and "came" not in shown.view


def test_a_prediction_can_be_changed_until_the_answer_is_shown() -> None:
    shown = PredictionWidget(ask())
    assert shown.view["choose"] == "Predict"
    shown.on_request({"do": "predict", "predicted": "all"})
    assert shown.view["choose"] == "Change the prediction"
    shown.on_request({"do": "predict", "predicted": "only the ready ones"})
    shown.on_request({"do": "predict", "predicted": "something else"})
    assert shown.view["predicted"] == "only the ready ones"
    shown.next_cell_ran()
    shown.on_request({"do": "reveal"})
    assert shown.view["verdict"] == "Your prediction was right."
    shown.on_request({"do": "predict", "predicted": "all"})
    assert shown.view["predicted"] == "only the ready ones"


@pytest.mark.parametrize(
    ("said", "kept"),
    [("0", "0"), ("0.0", "0"), (" 3 ", "3"), ("2.5", "2.5"), ("1234567", "1234567"), ("", ""), ("x", ""), ("nan", "")],
)
def test_a_number_is_predicted(said: str, kept: str) -> None:
    prediction = predict("How many requests are lost?", answer=0)
    prediction.choose(said)
    assert prediction.predicted == kept
    prediction.next_cell_ran = True
    prediction.reveal()
    assert (prediction.view().get("verdict") == "Your prediction was right.") == (kept == "0")


def test_an_answer_that_cannot_be_predicted_is_a_mistake_of_the_author() -> None:
    with pytest.raises(ValueError, match="none of the choices"):
        predict(QUESTION, CHOICES, answer="some")
    with pytest.raises(ValueError, match="is a number"):
        predict(QUESTION, answer="all")


def test_a_prediction_outlives_the_kernel(home: Path) -> None:
    ask().choose("all")
    again = ask()
    assert again.predicted == "all" and not again.revealed
    assert again.view()["you_predicted"] == "You predicted “all”."
    again.next_cell_ran = True
    again.reveal()
    assert ask().view()["came"] == "What came: only the ready ones."
    kept = json.loads((home / "progress.json").read_text())
    assert kept["predictions"] == {"": {QUESTION: {"predicted": "all", "revealed": True}}}


def test_predictions_and_labs_are_kept_beside_each_other(home: Path) -> None:
    progress.seen("07")
    ask().choose("all")
    progress.seen("05")
    data = progress.read()
    assert set(data["labs"]) == {"05", "07"} and data["predictions"]
    assert data["labs"]["07"]["best"] == 0


@pytest.mark.parametrize("kept", [None, [], {"": 3}, {"": {QUESTION: "all"}}, {"": {QUESTION: {}}}])
def test_what_cannot_be_read_is_no_prediction(home: Path, kept: Any) -> None:
    (home / "progress.json").write_text(json.dumps({"labs": {}, "predictions": kept}))
    assert ask().predicted == ""
    ask().choose("none")
    assert ask().predicted == "none"


def test_a_full_disk_is_told_and_the_prediction_stays_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(data: dict[str, Any]) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(progress, "_write", full)
    shown = PredictionWidget(ask())
    shown.on_request({"do": "predict", "predicted": "all"})
    assert shown.view["you_predicted"] == "You predicted “all”."
    assert shown.view["problem"] == "Your progress could not be kept: No space left on device."


def test_the_next_cell_is_noticed_once() -> None:
    """In an IPython shell, whose number of a cell changes before the cell runs."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    told: list[bool] = []
    try:
        shell.push({"begin": lambda: when_the_next_cell_ran(lambda: told.append(True))})
        counts = []
        for source, numbered in (("begin()", True), ("1", False), ("1", True), ("1", True)):
            shell.run_cell(source, store_history=numbered)
            counts.append(len(told))
        assert counts == [0, 0, 1, 1]
    finally:
        InteractiveShell.clear_instance()


def test_without_a_shell_no_next_cell_is_noticed() -> None:
    when_the_next_cell_ran(lambda: pytest.fail("there is no cell"))


def test_in_a_kernel_the_widget_notices_the_next_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    noticed: list[Callable[[], None]] = []
    monkeypatch.setattr(predicting, "when_the_next_cell_ran", noticed.append)
    prediction = ask()
    prediction._repr_mimebundle_()
    prediction._repr_mimebundle_()
    (told,) = noticed
    told()
    assert prediction.next_cell_ran


# -- the start page --------------------------------------------------------------------------------------------------


def test_the_start_page_counts_what_was_predicted_and_gives_no_points(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["What happens?", "How many Pods?", "Which node?"]
    monkeypatch.setattr("checker.ui.overview.questions", lambda: {"05": asked})
    before, page = repr(course()), course()._repr_html_()
    assert "prediction" not in before and "prediction" not in page
    progress.keep_prediction("05", asked[0], "x", revealed=False)
    progress.keep_prediction("05", "A question of an older version", "x", revealed=False)
    row = next(row for row in course().rows if row.lab == "05")
    assert (row.predicted, row.predictions, row.best, row.checks) == (1, 3, 0, 0)
    words = "  1 of 3 predictions"
    (line,) = [line for line in repr(course()).splitlines() if words in line]
    assert "  05  " in line and repr(course()).replace(words, "").split() == before.split()
    assert course()._repr_html_().count(words.strip()) == 1


def test_a_question_is_found_in_its_lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["predict(what?)"]},
        {"cell_type": "code", "source": ["!kubectl get pods"]},
        {"cell_type": "code", "source": ["predict(\n", '    "How many Pods?",\n', "    answer=3,\n", ")"]},
    ]
    (tmp_path / "05-x.ipynb").write_text(json.dumps({"cells": cells}))
    (tmp_path / "06-x.ipynb").write_text(json.dumps({"cells": cells[:2]}))
    monkeypatch.setattr("checker.ui.predict.questions._lessons", lambda: tmp_path)
    questions.cache_clear()
    assert questions() == {"05": ["How many Pods?"]}
    assert lesson_of("How many Pods?") == "05" and lesson_of("How many?") == ""
    questions.cache_clear()


# -- the lessons -----------------------------------------------------------------------------------------------------


def test_a_lesson_asks_for_three_to_five_predictions_and_hides_what_comes() -> None:
    asking = {path.name[:2]: path for path in lessons() if path.name[:2] in questions()}
    assert asking
    for lesson, path in asking.items():
        cells = [cell for cell in code_cells(path) if "".join(cell["source"]).startswith(CALL)]
        assert 3 <= len(cells) <= 5 and len(set(questions()[lesson])) == len(cells)
        for cell in cells:
            source = "".join(cell["source"])
            call = ast.parse(source, mode="eval").body
            assert isinstance(call, ast.Call)
            words = [ast.literal_eval(word) for word in call.args]
            more = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
            prediction = predict(*words, **more)
            assert prediction.lesson == lesson and more["because"].endswith(".")
            # JupyterLab shows the first line of a source that is hidden
            assert cell["metadata"]["jupyter"]["source_hidden"] and source.splitlines()[0] == CALL
            (output,) = cell["outputs"]
            assert "".join(output["data"]["text/plain"]) == repr(prediction)
