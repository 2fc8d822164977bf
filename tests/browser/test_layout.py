"""A lesson as `kubeclass study` opens it for the first time: the notebook, its picture beside it, a terminal below.

The notebook is the learner's copy, without outputs.
"""

from __future__ import annotations

import re
import time

from playwright.sync_api import Page, expect

from cluster import paths
from tests.browser.jupyterlab import IN_A_BROWSER, keep_screenshot, type_in_the_terminal

pytestmark = IN_A_BROWSER


def test_lesson_picture_and_terminal_are_side_by_side(jupyter: str, notebook: str, browser_page: Page) -> None:
    browser_page.goto(jupyter)
    expect(browser_page.get_by_role("heading", name=re.compile("05 · Deployments"))).to_be_visible()
    expect(browser_page.locator(".jp-NotebookPanel .jp-OutputArea-output")).to_have_count(0)  # it is the learner's copy
    shown = [browser_page.locator(name) for name in (".jp-NotebookPanel", ".jp-LinkedOutputView", ".jp-Terminal")]
    for one in shown:
        expect(one).to_be_visible()
    boxes = [one.bounding_box() for one in shown]
    lesson, picture, terminal = (box for box in boxes if box)
    assert picture["x"] >= lesson["x"] + lesson["width"]
    assert terminal["y"] >= lesson["y"] + lesson["height"]
    typed = f"{notebook}.typed"  # a file name as the lessons' cells have them
    type_in_the_terminal(browser_page, f"kubectl config current-context > {typed}")
    end = time.monotonic() + 60
    while not (paths.folder() / typed).exists():
        assert time.monotonic() < end, "what was typed did nothing"
        time.sleep(0.2)
    keep_screenshot(browser_page, "layout")
