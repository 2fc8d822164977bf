"""The checker: grades labs from the state of the cluster, and says what the first broken link is.

For notebooks: `from checker import lab`. For a lab's tasks.py: task, State, Object, fail, unknown and the observations.
"""

from __future__ import annotations

import builtins
import importlib
from typing import Any

# Imported on first use: `kubeclass --help` and a task's import should not pay for the panel or the API client.
_WHERE = {
    "Http": "observe", "NodePorts": "observe", "PodHttp": "observe", "Timeline": "observe", "Traffic": "observe",
    "Answers": "observe", "Object": "state", "State": "state", "fail": "verdict", "unknown": "verdict",
    "lab": "panel", "task": "labs",
}  # fmt: skip
__all__ = [
    "Answers",
    "Http",
    "NodePorts",
    "Object",
    "PodHttp",
    "State",
    "Timeline",
    "Traffic",
    "fail",
    "lab",
    "task",
    "unknown",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'checker' has no attribute {name!r}")
    return getattr(importlib.import_module(f"checker.{_WHERE[name]}"), name)


_shell = getattr(builtins, "get_ipython", lambda: None)()
if _shell is not None:
    # In a notebook a `!command` that fails must be seen to fail: IPython passes over it in silence by default.
    _shell.system_raise_on_error = True
