"""Two notebooks in JupyterLab, open in Chromium: the kernel of one lives as long as the soak, the other's restarts."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from jupyter_client.blocking.client import BlockingKernelClient
from playwright.sync_api import Page, expect, sync_playwright

from cluster import paths
from cluster.waiting import wait_until
from tests.browser.conftest import Study
from tests.browser.jupyterlab import ask, panel_of, run_all
from tests.conftest import chromium
from tests.soak.leftovers import command_line, number_in

PATIENCE = 180_000  # milliseconds, for what a page must show: lessons run beside it
SILENCE = 40  # seconds after which a widget knows that nobody looks; a learner's has SILENCE of base_widget.py
CELLS = (
    f"import checker.ui.base_widget as base\nbase.SILENCE = {SILENCE}",
    "from checker import lab, picture",
    'lab("07")',
    "picture()",
    'lab("05")',
)
KEPT, RESTARTED = "kept.ipynb", "restarted.ipynb"
THREADS = "import threading; print('\\n'.join(sorted(one.name for one in threading.enumerate())))"
NUMBERED = re.compile(r"[-_ ]?\d+.*$")


class Notebooks:
    """address: of JupyterLab, with its token. pages: the open ones, by the notebook's name."""

    def __init__(self, address: str, pages: dict[str, Page]) -> None:
        self.address, self.pages = address, pages
        self.before = {name: self.threads(name) for name in pages}  # no cell has run yet
        for page in pages.values():
            run_all(page)

    def kernel(self, name: str) -> str:
        """The id of a notebook's kernel."""
        sessions = ask(self.address, "/api/sessions")
        return str(next(one["kernel"]["id"] for one in sessions if one["path"].endswith(name)))

    def process(self, name: str) -> Path:
        """The folder in /proc of a notebook's kernel. Raises StopIteration where it does not run."""
        wanted = f"kernel-{self.kernel(name)}"
        return next(path for path in Path("/proc").glob("[0-9]*") if wanted in command_line(path))

    def memory(self, process: Path) -> tuple[str, float]:
        """The kernel's process and its memory in MB."""
        return process.name, number_in((process / "status").read_text(), "VmRSS") / 1024

    def threads(self, name: str) -> list[str]:
        """The names of the threads in a notebook's kernel, without their numbers, and without those of subshells.

        JupyterLab asks for a subshell, which handles the messages of widgets. It ends with the kernel.
        """
        said: list[str] = []
        file = re.search(r"\S*kernel-[\w-]+\.json", command_line(self.process(name)))
        assert file
        client = BlockingKernelClient(connection_file=file.group())
        client.load_connection_file()
        client.start_channels()
        try:
            client.execute_interactive(
                THREADS,
                store_history=False,
                timeout=120,
                output_hook=lambda message: said.append(message["content"].get("text", "")),
            )
        finally:
            client.stop_channels()
        names = [one for one in "".join(said).split("\n") if one and not one.startswith("subshell")]
        return sorted(NUMBERED.sub("", one) for one in names)

    def restart(self) -> None:
        """Restart the kernel of the second notebook, and run its cells again."""
        page = self.pages[RESTARTED]
        ask(self.address, f"/api/kernels/{self.kernel(RESTARTED)}/restart", "POST", {})
        expect(panel_of(page).get_by_role("button")).to_have_count(0)
        run_all(page)

    def close(self) -> list[str]:
        """Close the pages. Returns the threads that the kept kernel still has, and had not before its cells ran."""
        for page in self.pages.values():
            page.close()
        more: list[str] = []

        def has_rested() -> bool:
            more[:] = self.threads(KEPT)
            for name in self.before[KEPT]:
                if name in more:
                    more.remove(name)
            return not more

        wait_until(has_rested, 4 * SILENCE, pause=5)
        return more


@contextmanager
def open_notebooks() -> Iterator[Notebooks]:
    """JupyterLab as `kubeclass study` starts it, and the two notebooks, their cells run."""
    own = paths.home() / "jupyterlab"
    folder = paths.folder() / "work" / "soak"
    own.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    for name in (KEPT, RESTARTED):
        cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / name)
    study = Study(own)
    try:
        address = study.address()
        with sync_playwright() as playwright:
            flags = ["--no-sandbox", "--disable-gpu", "--disable-software-rasterizer"]
            browser = playwright.chromium.launch(executable_path=chromium(), args=flags)
            pages = {}
            for name in (KEPT, RESTARTED):
                page = browser.new_context(reduced_motion="reduce").new_page()
                page.set_default_timeout(PATIENCE)
                expect.set_options(timeout=PATIENCE)
                page.goto(re.sub("/lab/[^?]*", f"/lab/workspaces/{name[:4]}/tree/work/soak/{name}", address))
                expect(page.get_by_role("button", name="Python 3 (ipykernel) | Idle")).to_be_visible()
                pages[name] = page
            yield Notebooks(address, pages)
            browser.close()
    finally:
        study.stop()
        shutil.rmtree(folder)
