"""The panel in a real browser, with a real cluster behind it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from cluster import current
from cluster.kubectl import kubectl
from tests.browser.jupyterlab import (
    IN_A_BROWSER,
    back_to_the_notebook,
    in_a_terminal,
    keep_screenshot,
    panel_of,
    serious_faults,
    use_theme,
)

pytestmark = IN_A_BROWSER


def word(page: Page, task: int) -> Locator:
    return panel_of(page).locator(".kc-word").nth(task)


def test_a_task_turns_green_without_a_click(page: Page) -> None:
    expect(word(page, 0)).to_have_text("✘ failed")
    why = panel_of(page).get_by_text("There is no Service guestbook in namespace learn.")
    expect(why).to_be_hidden()
    expect(panel_of(page).get_by_text("Observed: Service objects: news.").first).to_be_visible()
    fold = panel_of(page).locator(".kc-why summary").first
    fold.focus()
    page.keyboard.press("Enter")
    expect(why).to_be_visible()
    in_a_terminal(page, "kubectl expose deployment guestbook --port=80 --target-port=8080")
    back_to_the_notebook(page)
    expect(word(page, 0)).to_have_text("✔ passed")
    expect(panel_of(page).get_by_role("progressbar")).to_have_attribute("aria-valuenow", "2")
    expect(why).to_be_hidden()
    kubectl(current(), "delete", "service", "guestbook", "-n", "learn")
    expect(word(page, 0)).to_have_text("✘ failed")


def test_check_hint_and_reset_by_keyboard_alone(page: Page) -> None:
    status = panel_of(page).get_by_role("status").first
    expect(status).to_have_text("0 of 7 points.")
    hint = panel_of(page).get_by_role("button", name="Hint for: A Service leads to the guestbook")
    hint.focus()
    page.keyboard.press("Enter")
    expect(panel_of(page).get_by_text("How does a Service find its Pods?")).to_be_visible()
    another = panel_of(page).get_by_role("button", name="Another hint for: A Service leads to the guestbook")
    expect(another).to_be_focused()  # it is the same button
    for number in (2, 3):
        page.keyboard.press("Enter")
        expect(panel_of(page).locator(".kc-task").first.locator(".kc-hints li")).to_have_count(number)
    expect(another).to_be_hidden()

    kubectl(current(), "expose", "deployment", "guestbook", "--port=80", "--target-port=8080", "-n", "learn")
    check = panel_of(page).get_by_role("button", name="Check now")
    check.focus()
    page.keyboard.press("Enter")
    expect(word(page, 0)).to_have_text("✔ passed")
    expect(status).to_have_text(re.compile(r"2 of 7 points\."))

    page.keyboard.press("Tab")
    expect(panel_of(page).get_by_role("button", name="Reset …")).to_be_focused()
    page.keyboard.press("Enter")
    keep = panel_of(page).get_by_role("button", name="Keep it")
    expect(keep).to_be_focused()  # not the one that deletes
    page.keyboard.press("Escape")
    expect(panel_of(page).get_by_role("button", name="Reset …")).to_be_focused()
    assert "guestbook" in kubectl(current(), "get", "services", "-n", "learn", "-o", "name")
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+Tab")
    expect(panel_of(page).get_by_role("button", name="Delete and start again")).to_be_focused()
    page.keyboard.press("Enter")
    expect(status).to_have_text(re.compile("The lab is in its initial state|0 of 7 points"))
    expect(word(page, 0)).to_have_text("✘ failed")
    assert "guestbook" not in kubectl(current(), "get", "services", "-n", "learn", "-o", "name")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_nothing_is_hard_to_perceive_in_either_theme(page: Page, jupyter: str, theme: str) -> None:
    use_theme(page, jupyter, theme)
    expect(word(page, 0)).to_have_text("✘ failed")
    panel_of(page).get_by_role("button", name="Hint for: A Service leads to the guestbook").click()
    panel_of(page).get_by_role("button", name="Reset …").click()
    expect(panel_of(page).get_by_role("button", name="Keep it")).to_be_focused()
    keep_screenshot(panel_of(page), f"panel-{theme.split()[-1].lower()}")
    assert serious_faults(page, ".kc-panel") == []
