"""A notebook with lab 07's panel and the picture, in JupyterLab as `kubeclass study` starts it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from cluster import current, paths
from cluster.kubectl import kubectl
from tests.browser.jupyterlab import PATIENCE, ask, keep_screenshot, kubeclass, run_all
from tests.conftest import chromium, ctrl_c_counts

CELLS = ("from checker import lab, picture", 'lab("07")', "picture()")


class Study:
    """`kubeclass study`, begun when the first test needs it, and shared by all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def address(self) -> str:
        """Where it serves, with its token."""
        log = self._folder / "study.log"
        if not self._process:
            own = {
                "JUPYTERLAB_SETTINGS_DIR": str(self._folder / "settings"),
                "JUPYTERLAB_WORKSPACES_DIR": str(self._folder / "workspaces"),
            }
            with log.open("w") as output:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "checker.ui.cli", "study", "05", "--no-browser", "--port", "8930"],
                    env={**os.environ, **own},
                    stdout=output,
                    stderr=output,
                    stdin=subprocess.DEVNULL,
                    preexec_fn=ctrl_c_counts,
                )
        while not (found := re.search(r"JupyterLab is at (http\S+)", log.read_text())):
            assert self._process.poll() is None, log.read_text()
            time.sleep(0.2)
        return found.group(1)

    def stop(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)


@pytest.fixture(scope="package")  # not longer: even idle it takes its share of the machine
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    shared = Study(tmp_path_factory.mktemp("jupyter"))
    yield shared
    shared.stop()


@pytest.fixture
def jupyter(study: Study) -> Iterator[str]:
    """The address, with its token, of the JupyterLab that `kubeclass study` started."""
    address = study.address()
    yield address
    for kernel in ask(address, "/api/kernels"):  # it would watch the cluster for some minutes more
        ask(address, f"/api/kernels/{kernel['id']}", "DELETE")


@pytest.fixture
def notebook() -> Iterator[str]:
    """The notebook's path, as JupyterLab knows it."""
    folder = paths.folder() / "work" / f"browser-{os.getpid()}"
    folder.mkdir(parents=True)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "lab07.ipynb")
    yield f"work/{folder.name}/lab07.ipynb"
    shutil.rmtree(folder)


@pytest.fixture
def browser_page() -> Iterator[Page]:
    """An empty page of a browser."""
    with sync_playwright() as playwright:
        # Without a graphics card terminals would be drawn by WebGL on the processor, which the cluster needs.
        flags = ["--no-sandbox", "--disable-gpu", "--disable-software-rasterizer"]
        browser = playwright.chromium.launch(executable_path=chromium(), args=flags)
        opened = browser.new_page(viewport={"width": 1300, "height": 1400}, reduced_motion="reduce")
        opened.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        yield opened
        keep_screenshot(opened, "last")
        browser.close()


@pytest.fixture
def page(jupyter: str, notebook: str, browser_page: Page) -> Page:
    """The notebook, open, its cells run, lab 07 begun."""
    kubeclass("clear", "--yes")
    kubeclass("start", "07", "--yes")
    kubectl(current(), "rollout", "status", "deployment", "guestbook", "-n", "learn", "--timeout=90s", timeout=100)
    browser_page.goto(re.sub("/lab/[^?]*", f"/lab/tree/{notebook}", jupyter))
    run_all(browser_page)
    return browser_page
