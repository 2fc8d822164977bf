"""A lab's script that fails: the line is named where bash tells it, and else it is said that it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from checker.environments.base import run_script
from cluster import Problem


@pytest.mark.parametrize(
    "script, told",
    [
        ("echo before\nno-such-program get pods\n", "in this line: no-such-program get pods (output: bash: line 2:"),
        ("ls /nowhere | cat", "in this line: ls /nowhere | cat (output: ls:"),
        ("(\n  false\n  true\n)\n", "in this line: false (output: none)"),
        ("check() {\n  test 1 = 2\n}\ncheck\n", "in this line: test 1 = 2 (output: none)"),
        ("if false; then :; fi\nexit 3", "Its output does not tell in which command: no output"),
        ("echo $NO_SUCH", "Its output does not tell in which command: bash: line 1: NO_SUCH: unbound variable"),
    ],
)
def test_the_line_that_failed_is_named_where_bash_tells_it(script: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(Problem) as caught:
        run_script(script, tmp_path, "learn", {}, 10)
    assert told in caught.value.what and "kubeclass-failed" not in caught.value.what


def test_what_a_script_prints_is_returned(tmp_path: Path) -> None:
    assert run_script('false || echo "$NAMESPACE"', tmp_path, "learn", {}, 10) == "learn\n"
