"""A notebook whose kernel has ended, and the same notebook opened again: nothing looks live that is not."""

from __future__ import annotations

import subprocess
import sys

from playwright.sync_api import Locator, Page, expect

from cluster import paths
from cluster.waiting import wait_until
from tests.browser.jupyterlab import IN_A_BROWSER, PATIENCE, ask, keep_screenshot, panel_of, picture_of, run_all

pytestmark = IN_A_BROWSER

ENDED = "This was shown last. It is no longer live, because its kernel has ended. Run this cell again."


def texts_of(page: Page) -> Locator:
    """What takes the place of widgets without a kernel."""
    return page.locator(".jp-RenderedHTML").filter(has_text=ENDED)


def save(page: Page, notebook: str) -> None:
    file = paths.folder() / notebook
    before = file.stat().st_mtime_ns
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.locator(".lm-Menu-itemLabel").get_by_text("Save Notebook", exact=True).click()
    assert wait_until(lambda: file.stat().st_mtime_ns != before, PATIENCE / 1000, pause=0.2), "it was not saved"


def end_all_kernels(address: str) -> None:
    for kernel in ask(address, "/api/kernels"):
        ask(address, f"/api/kernels/{kernel['id']}", "DELETE")


def test_a_notebook_opened_again_shows_the_last_texts(page: Page, jupyter: str, notebook: str) -> None:
    expect(panel_of(page).locator(".kc-word").first).to_have_text("✘ failed")
    save(page, notebook)

    page.reload()  # the kernel goes on: the widgets are live
    expect(panel_of(page).get_by_role("button", name="Check now")).to_be_enabled()
    panel_of(page).get_by_role("button", name="Check now").click()
    expect(panel_of(page).get_by_role("status").first).to_have_text("0 of 7 points.")
    save(page, notebook)

    end_all_kernels(jupyter)
    for widget in (panel_of(page), picture_of(page)):
        expect(widget.get_by_text(ENDED)).to_be_visible()
    expect(panel_of(page).get_by_role("button")).to_have_count(0)
    keep_screenshot(panel_of(page), "panel-ended")

    page.reload()
    expect(texts_of(page)).to_have_count(2)
    expect(texts_of(page).first).to_contain_text("✘ failed")
    expect(texts_of(page).last).to_contain_text("Pod guestbook-")
    expect(page.get_by_text("model not found")).to_have_count(0)
    keep_screenshot(page.locator(".jp-NotebookPanel"), "reopened")
    shown_elsewhere(notebook)

    run_all(page)
    expect(panel_of(page).locator(".kc-word").first).to_have_text("✘ failed")
    expect(texts_of(page)).to_have_count(0)


def shown_elsewhere(notebook: str) -> None:
    """As HTML by nbconvert, which loads no widgets from the internet for it."""
    words = ["nbconvert", "--to", "html", "--stdout", str(paths.folder() / notebook)]
    made = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=True, timeout=120)
    assert made.stdout.count(ENDED) == 2 and "✘ failed" in made.stdout
    assert "widget-view" not in made.stdout


def test_after_a_restart_nothing_looks_live(page: Page, jupyter: str) -> None:
    """Its watches are gone with it; running the cell again brings a panel that follows the cluster."""
    expect(panel_of(page).locator(".kc-word").first).to_have_text("✘ failed")
    for kernel in ask(jupyter, "/api/kernels"):
        ask(jupyter, f"/api/kernels/{kernel['id']}/restart", "POST", {})
    for widget in (panel_of(page), picture_of(page)):
        expect(widget.get_by_text(ENDED)).to_be_visible(timeout=PATIENCE)
    expect(panel_of(page).get_by_role("button")).to_have_count(0)
    run_all(page)
    expect(panel_of(page).locator(".kc-word").first).to_have_text("✘ failed")
    expect(panel_of(page).get_by_role("button", name="Check now")).to_be_enabled()
