"""The lessons as they are committed: outputs that are compared, a lab for each, and a page that reads well outside."""

from __future__ import annotations

import re
from base64 import b64decode
from pathlib import Path

import pytest
from nbconvert import HTMLExporter

from checker.authoring.notebooks import code_cells, has_lab
from checker.grading.labs import all_labs
from cluster import paths
from tests.proof.subjects import lessons
from tests.proof.words import VARIES, last_report, lessons_with_report


def test_every_lab_has_its_lesson() -> None:
    with_lab = [path.name[:2] for path in lessons() if has_lab(path)]
    assert set(all_labs()) <= set(with_lab) <= set(all_labs(drafts=True))  # a draft's lesson may be still to come


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in lessons()])
def test_few_outputs_are_not_compared_and_each_says_why(path: Path) -> None:
    cells = code_cells(path)
    ignored = [cell for cell in cells if "nbval-ignore-output" in cell["metadata"].get("tags", [])]
    assert len(ignored) <= len(cells) / 10
    for cell in ignored:
        reason = cell["metadata"].get("kubeclass", {}).get("reason", "")
        remark = "# Output not compared by the tests: " in "".join(cell["source"])
        assert remark or reason.startswith("Output not compared by the tests: ")
    assert not [cell for cell in cells if "nbval-skip" in cell["metadata"].get("tags", [])]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in lessons()])
def test_a_cell_fails_only_where_it_is_meant_to(path: Path) -> None:
    """Then it has the tag `raises-exception`, and its last command is what failed."""
    for cell in code_cells(path):
        failed = [output for output in cell["outputs"] if output["output_type"] == "error"]
        assert bool(failed) == ("raises-exception" in cell["metadata"].get("tags", []))
        if failed:
            assert failed == cell["outputs"][-1:] and failed[0]["ename"] == "CalledProcessError"
            assert "".join(cell["source"]).splitlines()[-1].removeprefix("!") in failed[0]["evalue"]


def test_exported_as_a_page_a_lesson_has_its_picture() -> None:
    page, _ = HTMLExporter().from_filename(str(paths.COURSE / "lessons" / "05-deployments.ipynb"))
    (picture,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', page)
    assert b64decode(picture).decode().count("Running 1/1") >= 3


@pytest.mark.parametrize("path", [pytest.param(p, id=p.name) for p in lessons_with_report()])
def test_a_lesson_ends_in_the_verdicts_of_a_lab_that_has_only_begun(path: Path) -> None:
    """In the words that the graders have now: a changed message makes no lesson stale (`make words` writes it)."""

    def even(text: str) -> str:
        return VARIES.sub("…", re.sub(r" Waited \d+ s for a change in progress\.", "", " ".join(text.split())))

    (output,) = code_cells(path)[-1]["outputs"]
    assert even("".join(output["data"]["text/plain"])) == even(last_report(path)[1])
