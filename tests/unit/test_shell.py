"""The shell of a notebook: a command that fails is seen to fail, and all that a command writes is shown."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from subprocess import CalledProcessError
from traceback import format_exception
from typing import Any

import nbformat
import pexpect
import pytest
from IPython.utils.process import system
from nbclient import NotebookClient

from checker.ui import ipython


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pexpect.spawn, "read_nonblocking", pexpect.spawn.read_nonblocking)


class Notebook:
    """What `prepare` needs of a shell. shown: what `showtraceback` would put out."""

    system_raise_on_error = False

    def __init__(self) -> None:
        self.handlers: dict[type[BaseException], Callable[..., list[str]]] = {}
        self.shown: list[str] = []

    def set_custom_exc(self, kinds: tuple[type[BaseException], ...], handler: Callable[..., list[str]]) -> None:
        self.handlers |= dict.fromkeys(kinds, handler)

    def showtraceback(self, exc_tuple: tuple[Any, Any, Any], tb_offset: int | None = None) -> None:
        kind, error, trace = exc_tuple
        own = getattr(error, "_render_traceback_", None)
        self.shown = own() if own else format_exception(kind, error, trace)

    def run(self, code: Callable[[], None]) -> None:
        """Run code as a cell is run."""
        try:
            code()
        except CalledProcessError as error:
            self.handlers[CalledProcessError](self, type(error), error, error.__traceback__)


def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine: a command writes and ends after pexpect last read its output, before pexpect asks for its end."""
    is_alive = pexpect.spawn.isalive
    calls = []

    def isalive(self: pexpect.spawn) -> bool:
        calls.append(True)
        if len(calls) == 2:
            time.sleep(0.5)
        return bool(is_alive(self))

    monkeypatch.setattr(pexpect.spawn, "isalive", isalive)


def test_what_a_command_writes_as_it_ends_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    late(monkeypatch)
    system("sleep 0.2; echo done")
    assert capsys.readouterr().out == "", "pexpect reads to the end by itself now: checker/ui/ipython.py need not"
    notebook = Notebook()
    ipython.prepare(notebook)
    late(monkeypatch)
    system("sleep 0.2; echo done")
    assert capsys.readouterr().out == "done\r\n"
    assert notebook.system_raise_on_error


def test_a_command_that_leaves_something_running_is_not_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    ipython.prepare(Notebook())
    begin = time.monotonic()
    assert system("nohup sleep 20 > /dev/null 2>&1 & echo done") == 0
    assert time.monotonic() - begin < 10
    assert capsys.readouterr().out == "done\r\n"


def test_a_command_that_fails_is_told_in_one_sentence_and_own_code_with_its_traceback() -> None:
    notebook = Notebook()
    ipython.prepare(notebook)

    def system_piped() -> None:  # so is the method called that runs a `!command`
        raise CalledProcessError(3, "kubectl logs hello")

    notebook.run(system_piped)
    assert notebook.shown == ["Exit code 3: the command failed, and the cell ends here."]
    notebook.run(lambda: subprocess.run([sys.executable, "-c", "exit(4)"], check=True) and None)
    assert notebook.shown[0].startswith("Traceback") and "exit status 4" in notebook.shown[-1]


def test_in_a_kernel_a_cell_ends_at_a_command_that_fails() -> None:
    cells = [
        nbformat.v4.new_code_cell(code) for code in ("import checker", "!echo one; exit 3\n!echo two", "!echo three")
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    cells[1].metadata["tags"] = ["raises-exception"]
    NotebookClient(notebook, kernel_name="python3").execute()
    outputs = [[output.get("text", output.get("traceback")) for output in cell.outputs] for cell in notebook.cells]
    sentence = ["Exit code 3: the command failed, and the cell ends here."]
    assert outputs == [[], ["one\r\n", sentence], ["three\r\n"]]
