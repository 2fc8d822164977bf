"""Which section of its lesson covers a cause, and the page that shows such a section to all."""

from __future__ import annotations

import json

import httpx
import pytest
import yaml

from checker.grading.labs import Lab, all_labs, load_lab
from checker.model.catalogue import SECTIONS, Cause, catalogue
from checker.ui.study import page_of
from checker.ui.watch import lesson_part
from cluster import paths
from cluster.language import load
from tests.unit.live_class import TOKEN, MadeUpLive, served

TABLE: dict[str, dict[str, list[str]]] = load(SECTIONS.read_text())
LABS = [load_lab(number) for number in all_labs()]
WITHOUT = {"00"}  # lessons whose causes are about the checker and the machine


def causes() -> dict[str, Cause]:
    """All causes, those that only one lab names, too."""
    return {id: lab.causes[id] for lab in LABS for id in lab.causes} | dict(catalogue())


@pytest.mark.parametrize("lesson", TABLE)
def test_each_section_is_a_heading_of_its_lesson_and_each_cause_is_one_of_that_lesson(lesson: str) -> None:
    known, headings = causes(), lesson_part.lesson_sections(lesson)
    for heading, ids in TABLE[lesson].items():
        assert heading in headings, f"lesson {lesson} has no section {heading!r}: mend {SECTIONS.name}"
        assert headings[heading]
        for id in ids:
            assert known[id].lesson == lesson, id
            assert known[id].section == heading, f"{id} is in two sections"


def mistakes(lab: Lab) -> set[str]:
    """The causes that the lab's mistakes produce: what many learners will have."""
    found = set()
    for file in (lab.folder / "mistakes").glob("*.yaml"):
        for named in (yaml.safe_load(file.read_text()).get("fails") or {}).values():
            found |= set(named if isinstance(named, list) else [named])
    return found


def test_what_the_mistakes_of_the_labs_produce_has_a_section() -> None:
    missing = {
        id: lab.causes[id].lesson
        for lab in LABS
        for id in mistakes(lab)
        if id in lab.causes and not lab.causes[id].section and lab.causes[id].lesson not in WITHOUT
    }
    assert missing == {}, f"add them to {SECTIONS.name}"


def test_a_notebook_is_cut_at_its_headings_and_not_in_code() -> None:
    def cell(kind: str, text: str) -> dict[str, object]:
        return {"cell_type": kind, "source": text.splitlines(keepends=True), "metadata": {}}

    notebook = {
        "cells": [
            cell("markdown", "# Title\n"),
            cell("markdown", "before\n\n## One\ntext\n```\n## no heading\n```\n\n## Two\nmore"),
            cell("code", "## no heading"),
            cell("markdown", "### smaller\n"),
            cell("markdown", "## Three\n"),
        ]
    }
    found = {
        heading: ["".join(one["source"]) for one in cells] for heading, cells in lesson_part.sections(notebook).items()
    }
    assert found == {
        "One": ["## One\ntext\n```\n## no heading\n```\n\n"],
        "Two": ["## Two\nmore", "## no heading", "### smaller\n"],
        "Three": ["## Three\n"],
    }


def test_the_page_of_a_section_has_its_outputs_and_no_answer_of_a_prediction() -> None:
    heading = "A Service: one name for many Pods"
    page = lesson_part.html_of("07", heading)
    assert f">{heading}" in page and "A Service has two ports" in page and "service/demo created" in page
    assert "How a Service finds its Pods" not in page
    cells = json.loads((paths.lessons() / page_of("07")).read_text())["cells"]
    hidden = ["".join(one["source"]) for one in cells if one["source"] and one["source"][0].startswith("predict(")]
    because = [source.partition("because=")[2].strip()[1:40] for source in hidden]
    assert len(because) > 1 and all(because) and not [words for words in because if words in page]
    assert "<script" not in page and "glossary.md" not in page
    assert lesson_part.html_of("07", "No such section") == lesson_part.html_of("99", heading) == ""


def test_the_page_of_a_section_shows_that_a_hidden_cell_waits_and_not_for_what() -> None:
    page = lesson_part.html_of("04", "Change a running Pod")
    assert (
        "# Wait for the next step. (The other lines of this cell tell the answer.)" in page
        and "restartCount" not in page
    )
    assert "<blockquote>\n<p>Your prediction? You change the image" in page


def test_the_teachers_page_serves_the_section_and_its_pictures_and_nothing_else() -> None:
    with served(MadeUpLive(2), []) as page, httpx.Client(base_url=page.url, trust_env=False, timeout=60) as client:
        asked = {"lesson": "07", "section": "A Service: one name for many Pods"}
        assert client.get("/lesson", params=asked).status_code == 403
        client.get("/", params={"token": TOKEN})
        answer = client.get("/lesson", params=asked)
        assert answer.status_code == 200 and "script-src" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert client.get("/lesson", params={**asked, "section": "x"}).status_code == 404
        drawn = client.get("/figures/07-way-of-a-request.svg")
        assert drawn.status_code == 200 and drawn.headers["Content-Type"] == "image/svg+xml"
        for path in ("/figures/none.svg", "/figures/..%2Fglossary.svg", "/figures/07-services.ipynb"):
            assert client.get(path).status_code == 404
