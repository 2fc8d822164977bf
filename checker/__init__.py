"""The checker: grades labs from the state of the cluster, and says what the first broken link is.

For notebooks: `from checker import lab, explain, picture, predict, course`. A lab imports from checker.sdk.
"""

from __future__ import annotations

import builtins
import importlib
from typing import Any

# Imported on first use: `kubeclass --help` should not pay for the panel or the API client.
_WHERE = {
    "course": "ui.overview",
    "explain": "ui.explanation",
    "lab": "ui.panel",
    "picture": "ui.picture",
    "predict": "ui.predict",
}
__all__ = ["course", "explain", "lab", "picture", "predict"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'checker' has no attribute {name!r}")
    return getattr(importlib.import_module(f"checker.{_WHERE[name]}"), name)


_shell = getattr(builtins, "get_ipython", lambda: None)()
if _shell is not None:
    importlib.import_module("checker.ui.ipython").prepare(_shell)
