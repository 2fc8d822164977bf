"""JupyterLab in the system's Chromium, as a learner uses it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from checker.ui.study import environment
from cluster import current, paths
from tests.nodes import ON_THE_SECOND_CLUSTER

# Network interfaces come and go on this machine while nodes come and go, and while other tests have containers made.
# Chromium then gives up the requests that are on their way (ERR_NETWORK_CHANGED). So these tests take turns with those
# of nodes, and run while no test has the engine.
IN_A_BROWSER = [*ON_THE_SECOND_CLUSTER, pytest.mark.browser, pytest.mark.alone("engine")]
SCREENSHOTS = paths.home() / "screenshots"  # to be looked at; `last` is what the newest test saw at its end
PATIENCE = 60_000  # milliseconds: other tests keep the machine busy
THEMES = "@jupyterlab/apputils-extension:themes"


def ask(address: str, path: str, method: str = "GET", body: object = None) -> Any:
    """Ask the Jupyter server behind an address with a token, and return what it answers (JSON)."""
    where = urlsplit(address)
    request = Request(
        f"{where.scheme}://{where.netloc}{path}?{where.query}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or "null")


def run_all(page: Page) -> None:
    # (The notebook's own sign of a kernel says idle before there is one, and then cells are passed over.)
    expect(page.get_by_role("button", name="Python 3 (ipykernel) | Idle")).to_be_visible()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    expect(panel_of(page)).to_be_visible()
    expect(picture_of(page)).to_be_visible()


def panel_of(page: Page) -> Locator:
    return page.get_by_role("region", name="Lab 07: Services and load balancing")


def picture_of(page: Page) -> Locator:
    return page.get_by_role("region", name="Namespace learn")


def in_a_terminal(page: Page, command: str) -> None:
    """Open a terminal in this JupyterLab and give a command there, as a learner does."""
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.locator(".lm-Menu-itemLabel").get_by_text("New", exact=True).hover()
    page.locator(".lm-Menu-itemLabel").get_by_text("Terminal", exact=True).click()
    type_in_the_terminal(page, f"{command}; exit")


def type_in_the_terminal(page: Page, command: str) -> None:
    """What is typed before the shell has its prompt waits for it."""
    page.locator(".jp-Terminal .xterm-screen").click()
    page.keyboard.type(f"{command}\n")


def back_to_the_notebook(page: Page) -> None:
    page.get_by_role("tab", name=re.compile(r"lab07\.ipynb")).first.click()


def use_theme(page: Page, address: str, theme: str) -> None:
    """JupyterLab Light or JupyterLab Dark; the notebook is open again, its cells run."""
    ask(address, f"/lab/api/settings/{THEMES}", "PUT", {"raw": json.dumps({"theme": theme})})
    page.reload()
    run_all(page)
    expect(page.locator("body")).to_have_attribute("data-jp-theme-name", theme)


def serious_faults(page: Page, selector: str) -> list[tuple[str, str, str]]:
    """What axe-core finds that keeps somebody from perceiving or using this: its id, its words, the element."""
    found = Axe().run(page, context=selector).response["violations"]
    return [
        (fault["id"], fault["help"], fault["nodes"][0]["html"])
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]


def keep_screenshot(shown: Locator | Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    shown.screenshot(path=SCREENSHOTS / f"{name}.png")


def kubeclass(*words: str, timeout: float = 120) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "checker.ui.cli", *words],
        env=environment(current()),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
