"""The README's pictures, taken from the running course: `make screenshots` puts them into docs/."""

from __future__ import annotations

import json
import shutil

import pytest
from playwright.sync_api import Page, expect

from cluster import current, paths
from cluster.kubectl import kubectl
from tests.browser.jupyterlab import IN_A_BROWSER, SCREENSHOTS, keep_screenshot, panel_of, picture_of, use_theme

pytestmark = IN_A_BROWSER
REPAIRED_NEWS = {"selector": {"tier": "backend"}, "ports": [{"port": 80, "targetPort": 8080}]}


def in_learn(*words: str) -> None:
    kubectl(current(), *words, "-n", "learn")


def test_a_lab_that_is_half_done(page: Page, jupyter: str, pytestconfig: pytest.Config) -> None:
    """Three tasks are right, and the fourth fails by a Service whose selector is one letter off."""
    in_learn("scale", "deployment", "guestbook", "--replicas=3")
    in_learn("expose", "deployment", "guestbook", "--port=80", "--target-port=8080")
    in_learn(
        "expose", "deployment", "guestbook", "--name=outside", "--type=NodePort", "--port=80", "--target-port=8080"
    )
    in_learn("patch", "service", "outside", "--patch", json.dumps({"spec": {"selector": {"app": "guestbok"}}}))
    in_learn("patch", "service", "news", "--patch", json.dumps({"spec": REPAIRED_NEWS}))
    use_theme(page, jupyter, "JupyterLab Light")
    panel, picture = panel_of(page), picture_of(page)
    expect(panel.locator(".kc-word")).to_have_text(["✔ passed", "✔ passed", "✔ passed", "✘ failed"])
    panel.locator(".kc-why summary").last.click()  # why it fails stays folded until somebody asks
    expect(panel.get_by_text("Service outside selects no Pod. Its selector is app=guestbok.").first).to_be_visible()
    expect(picture.locator(".kc-line:not(.kc-nowhere)")).to_have_count(4)
    expect(picture.locator(".kc-nowhere")).to_have_count(1)
    for shown, name in ((panel, "lab"), (picture, "picture")):
        keep_screenshot(shown, name)
        if pytestconfig.getoption("record"):
            shutil.copy(SCREENSHOTS / f"{name}.png", paths.COURSE / "docs" / f"{name}.png")
