"""The shell of a notebook: a command that fails is seen to fail, and all that a command writes is shown."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pexpect
import pytest
from IPython.utils.process import system

from checker.ui import ipython


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pexpect.spawn, "read_nonblocking", pexpect.spawn.read_nonblocking)


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
    notebook = SimpleNamespace()
    ipython.prepare(notebook)
    late(monkeypatch)
    system("sleep 0.2; echo done")
    assert capsys.readouterr().out == "done\r\n"
    assert notebook.system_raise_on_error


def test_a_command_that_leaves_something_running_is_not_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    ipython.prepare(SimpleNamespace())
    begin = time.monotonic()
    assert system("nohup sleep 20 > /dev/null 2>&1 & echo done") == 0
    assert time.monotonic() - begin < 10
    assert capsys.readouterr().out == "done\r\n"
