"""Notebooks as JupyterLab saves and opens them: a widget while its kernel runs, and its last text after that."""

from __future__ import annotations

import asyncio
import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from traitlets.config import Configurable

from checker.ui.base_widget import KERNEL, VIEW, kernel_name
from checker.ui.contents import STATES, CourseContents, texts_for_widgets, widgets_back
from checker.ui.predict import predict

ENDED = "Run this cell again."
RUNS = kernel_name("k1", 7)


def output(model: str = "m1", kernel: str = RUNS, text: str = "as it was run") -> dict[str, Any]:
    data = {VIEW: {"model_id": model, KERNEL: kernel}, "text/plain": text}
    return {"output_type": "execute_result", "execution_count": 1, "data": data, "metadata": {}}


def notebook(*outputs: dict[str, Any], states: dict[str, Any] | None = None) -> dict[str, Any]:
    cell = {"cell_type": "code", "source": "", "metadata": {}, "execution_count": 1, "outputs": list(outputs)}
    metadata = {"widgets": {STATES: {"version_major": 2, "version_minor": 0, "state": states}}} if states else {}
    return {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}


def state(text: str, of: str = "checker.ui.panel.widget.LabPanel") -> dict[str, Any]:
    return {"model_name": "AnyModel", "state": {"_anywidget_id": of, "view": {"text": text}}}


def data(page: dict[str, Any], number: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = page["cells"][0]["outputs"][number]["data"]
    return found


def test_what_is_saved_holds_the_last_text_and_neither_widget_nor_state() -> None:
    page = notebook(output(), states={"m1": state("2 of 7 <points>")})
    texts_for_widgets(page, {})
    assert VIEW not in data(page) and "widgets" not in page["metadata"]
    assert "2 of 7 &lt;points&gt;" in data(page)["text/html"] and ENDED in data(page)["text/html"]
    assert data(page)["text/plain"] == "as it was run"


def test_a_widget_comes_back_as_long_as_its_kernel_runs() -> None:
    page = notebook(output(), states={"m1": state("now")})
    texts_for_widgets(page, {})
    without = copy.deepcopy(page)
    widgets_back(page, {RUNS})
    assert data(page)[VIEW]["model_id"] == "m1"
    widgets_back(without, {kernel_name("k1", 8)})  # it was restarted: the same kernel, another process
    assert VIEW not in data(without)


def test_a_widget_that_has_ended_keeps_the_text_that_was_saved_last() -> None:
    before = notebook(output(), states={"m1": state("the last text")})
    texts_for_widgets(before, {})
    page = notebook(output())  # JupyterLab sends no states of widgets without a kernel
    texts_for_widgets(page, before)
    assert "the last text" in data(page)["text/html"] and VIEW not in data(page)


def test_a_widget_whose_state_was_never_sent_has_the_text_of_its_run() -> None:
    page = notebook(output())
    texts_for_widgets(page, {})
    assert "as it was run" in data(page)["text/html"] and VIEW not in data(page)


def test_a_learners_own_widget_stays_as_it_is() -> None:
    own = {"output_type": "display_data", "data": {VIEW: {"model_id": "own"}}, "metadata": {}}
    stream = {"output_type": "stream", "name": "stdout", "text": "hello"}
    page = notebook(output(), copy.deepcopy(own), stream, states={"m1": state("ours"), "own": state("theirs", "x")})
    texts_for_widgets(page, {})
    assert page["cells"][0]["outputs"][1] == own
    assert list(page["metadata"]["widgets"][STATES]["state"]) == ["own"]


class Kernel:
    """A kernel as the server knows it. pid: of its process."""

    def __init__(self, pid: int) -> None:
        self.provisioner = SimpleNamespace(pid=pid)


class Server(Configurable):
    """A server with one kernel."""

    kernel_manager = SimpleNamespace(list_kernel_ids=lambda: ["k1"], get_kernel=lambda id: Kernel(7))


@pytest.fixture
def contents(tmp_path: Path) -> CourseContents:
    return CourseContents(parent=Server(), root_dir=str(tmp_path))


def test_a_file_is_complete_for_any_reader_and_live_for_jupyterlab(contents: CourseContents, tmp_path: Path) -> None:
    gone = output("m2", kernel_name("k0", 3))
    page = notebook(output(), gone, states={"m1": state("first"), "m2": state("second")})

    async def saved_and_opened() -> dict[str, Any]:
        await contents.save({"type": "notebook", "format": "json", "content": page}, "lesson.ipynb")
        opened: dict[str, Any] = await contents.get("lesson.ipynb")
        return opened

    opened = asyncio.run(saved_and_opened())["content"]
    assert VIEW not in (tmp_path / "lesson.ipynb").read_text()
    assert data(opened)[VIEW]["model_id"] == "m1"
    assert VIEW not in data(opened, 1) and "second" in data(opened, 1)["text/html"]


def test_until_its_cell_has_run_a_sentence_is_in_the_place_of_the_picture(
    contents: CourseContents, tmp_path: Path
) -> None:
    """JupyterLab shows this output beside the lesson, too. The file never holds the sentence."""
    page = notebook()
    page["cells"] += [{**page["cells"][0], "source": "picture()", "outputs": []} for _ in range(2)]

    async def opened(content: dict[str, Any]) -> list[list[Any]]:
        await contents.save({"type": "notebook", "format": "json", "content": content}, "lesson.ipynb")
        assert "is drawn here" not in (tmp_path / "lesson.ipynb").read_text()
        found = await contents.get("lesson.ipynb")
        page.update(found["content"])
        return [cell["outputs"] for cell in page["cells"]]

    first = asyncio.run(opened(page))
    assert [len(outputs) for outputs in first] == [0, 1, 0]
    assert "as soon as you run the cell" in first[1][0]["data"]["text/plain"]
    again = asyncio.run(opened(page))  # saved with the sentence, and opened again
    assert again == first
    page["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "drawn"}]
    (drawn,) = asyncio.run(opened(page))[1]
    assert drawn["text"] == "drawn"


def test_what_a_widget_shows_last_is_in_its_view_as_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECLASS_PROGRESS", str(tmp_path / "progress.json"))
    asked = predict("How many?", ["one", "two"], answer="two", because="There are two.")
    assert asked.view()["text"] == repr(asked)
    asked.choose("one")
    asked.next_cell_ran = True
    asked.reveal()
    assert asked.view()["text"].splitlines()[1:] == [
        "You predicted “one”.",
        "What came: two.",
        "Your prediction was not right.",
        "There are two.",
    ]
    assert asked._repr_mimebundle_()[VIEW][KERNEL] == ""  # no kernel here
