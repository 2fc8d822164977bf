"""The checker: grades labs from the state of the cluster, and says what the first broken link is.

For notebooks: `from checker import lab, explain`. For a lab's tasks.py: task, State, Object, fail, unknown and the observations.
"""

from __future__ import annotations

import builtins
import importlib
from typing import Any

# Imported on first use: `kubeclass --help` and a task's import should not pay for the panel or the API client.
_WHERE = {
    "DnsInside": "grading.observations", "Http": "grading.observations", "Lookup": "grading.observations", "NodePorts": "grading.observations",
    "PodHttp": "grading.observations", "PodsInside": "grading.observations", "Rollout": "grading.timeline", "Timeline": "grading.timeline",
    "Traffic": "grading.observations", "Answers": "model.answers", "Object": "model.state", "State": "grading.lab_state:LabState",
    "fail": "model.verdict", "unknown": "model.verdict", "task": "grading.labs",
    "course": "ui.overview", "explain": "ui.explanation", "lab": "ui.panel", "picture": "ui.picture",
}  # fmt: skip
__all__ = [
    "Answers",
    "DnsInside",
    "Http",
    "Lookup",
    "NodePorts",
    "Object",
    "PodHttp",
    "PodsInside",
    "Rollout",
    "State",
    "Timeline",
    "Traffic",
    "course",
    "explain",
    "fail",
    "lab",
    "picture",
    "task",
    "unknown",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'checker' has no attribute {name!r}")
    module, _, called = _WHERE[name].partition(":")
    return getattr(importlib.import_module(f"checker.{module}"), called or name)


_shell = getattr(builtins, "get_ipython", lambda: None)()
if _shell is not None:
    importlib.import_module("checker.ui.ipython").prepare(_shell)
