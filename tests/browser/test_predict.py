"""A prediction in a real browser. It needs no cluster, only the JupyterLab that the other tests use."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect

from cluster import paths
from tests.browser.jupyterlab import IN_A_BROWSER, THEMES, ask, keep_screenshot, serious_faults

pytestmark = IN_A_BROWSER

WHICH = "Which Pods answer while one is not ready?"
HOW_MANY = "How many requests are lost?"
CELLS = (
    f'predict(\n "{WHICH}",\n ["all", "only the ready ones", "none"],\n answer="only the ready ones",\n'
    ' because="A Service sends requests to ready Pods.")',
    "1 + 1",
    f'predict("{HOW_MANY}", answer=0)',
)


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[str]:
    """The notebook's path, as JupyterLab knows it. It keeps predictions in a progress file of its own."""
    folder = paths.folder() / "work" / f"predict-{os.getpid()}"
    folder.mkdir(parents=True)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    prepare = f"%env KUBECLASS_PROGRESS={tmp_path / 'progress.json'}\nfrom checker import predict"
    cells = [nbformat.v4.new_code_cell(source) for source in (prepare, *CELLS)]
    cells[1].metadata["jupyter"] = {"source_hidden": True}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "predict.ipynb")
    yield f"work/{folder.name}/predict.ipynb"
    shutil.rmtree(folder)


@pytest.fixture
def page(jupyter: str, notebook: str, browser_page: Page) -> Page:
    """The notebook, open; no cell has run."""
    browser_page.goto(re.sub("/lab/[^?]*", f"/lab/tree/{notebook}", jupyter))
    is_idle(browser_page)
    return browser_page


def is_idle(page: Page) -> None:
    expect(page.get_by_role("button", name="Python 3 (ipykernel) | Idle")).to_be_visible()


def run_to(page: Page, number: int) -> None:
    """Run the cells up to this one, counted from 0, as a learner does: Shift+Enter."""
    page.locator(".jp-Notebook .jp-InputPrompt").first.click()
    for _ in range(number + 1):
        page.keyboard.press("Shift+Enter")


def which(page: Page) -> Locator:
    return page.get_by_role("region", name=f"Prediction: {WHICH}")


def how_many(page: Page) -> Locator:
    return page.get_by_role("region", name=f"Prediction: {HOW_MANY}")


def restart_the_kernel(page: Page) -> None:
    """And clear the outputs: what is shown after that comes from the new kernel."""
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name="Restart Kernel and Clear Outputs of All Cells…", exact=True).click()
    page.locator(".jp-Dialog .jp-mod-accept").click()
    expect(which(page)).to_have_count(0)
    is_idle(page)


def test_a_prediction_is_made_by_keyboard_and_kept_over_a_restart(page: Page) -> None:
    run_to(page, 1)
    group = which(page).get_by_role("group", name=WHICH)
    expect(group.get_by_role("radio")).to_have_count(3)
    assert "A Service sends requests" not in page.locator(".jp-Notebook").inner_text()  # the source is hidden
    show = which(page).get_by_role("button", name="Show what came")
    expect(show).to_be_hidden()

    group.get_by_role("radio", name="all").focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    expect(group.get_by_role("radio", name="only the ready ones")).to_be_checked()
    page.keyboard.press("Enter")
    status = which(page).get_by_role("status").first
    expect(status).to_contain_text("You predicted “only the ready ones”.")
    expect(status).to_contain_text("Now run the next cell.")
    expect(show).to_be_hidden()

    restart_the_kernel(page)
    run_to(page, 1)
    expect(status).to_contain_text("You predicted “only the ready ones”.")
    expect(group.get_by_role("radio", name="only the ready ones")).to_be_checked()
    group.get_by_role("radio", name="none").check()
    group.get_by_role("button", name="Change the prediction").click()
    expect(status).to_contain_text("You predicted “none”.")

    run_to(page, 2)  # the next cell has run
    expect(show).to_be_visible()
    show.focus()
    page.keyboard.press("Enter")
    expect(which(page).get_by_text("What came: only the ready ones.")).to_be_visible()
    expect(which(page).get_by_text("Your prediction was not right.")).to_be_visible()
    expect(which(page).get_by_text("A Service sends requests to ready Pods.")).to_be_visible()
    expect(which(page).locator(".kc-came")).to_be_focused()
    expect(status).to_contain_text("You predicted “none”.")
    expect(group.get_by_role("radio", name="none")).to_be_disabled()

    restart_the_kernel(page)
    run_to(page, 1)
    expect(which(page).get_by_text("What came: only the ready ones.")).to_be_visible()


def test_a_number_is_predicted(page: Page) -> None:
    run_to(page, 3)
    field = how_many(page).get_by_role("spinbutton", name="Number")
    field.focus()
    page.keyboard.type("12")
    page.keyboard.press("Enter")
    expect(how_many(page).get_by_role("status").first).to_contain_text("You predicted “12”.")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_nothing_is_hard_to_perceive_in_either_theme(page: Page, jupyter: str, theme: str) -> None:
    ask(jupyter, f"/lab/api/settings/{THEMES}", "PUT", {"raw": f'{{"theme": "{theme}"}}'})
    page.reload()
    is_idle(page)
    expect(page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    run_to(page, 1)
    which(page).get_by_role("radio", name="all").check()
    which(page).get_by_role("button", name="Predict").click()
    expect(which(page).get_by_role("status").first).to_contain_text("You predicted")
    run_to(page, 2)
    which(page).get_by_role("button", name="Show what came").click()
    expect(which(page).get_by_text("What came: only the ready ones.")).to_be_visible()
    keep_screenshot(which(page), f"predict-{theme.split()[-1].lower()}")
    assert serious_faults(page, ".kc-predict") == []
