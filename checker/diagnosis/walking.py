"""Walking: from an object along its chain. A link may lead to another object, and so from one kind's chain into another's."""

from __future__ import annotations

from collections.abc import Callable

from checker.model.state import Object, State
from checker.model.verdict import NotPassed

CHAINS: dict[str, Callable[[State, Object], None]] = {}  # by kind; checker/diagnosis/__init__.py names them


def walk(state: State, obj: Object) -> None:
    """Walk the chain of an object. Raises TypeError for a kind that has none.

    A fault outside the lab's own namespace says where it is.
    """
    if obj.kind not in CHAINS:
        raise TypeError(f"no chain for {obj.kind}")
    try:
        CHAINS[obj.kind](state, obj)
    except NotPassed as fault:
        if not fault.namespace:
            fault.namespace = obj.namespace
            if obj.namespace not in ("", state.namespace):
                fault.message = f"In namespace {obj.namespace}: {fault.message}"
                fault.look += f" -n {obj.namespace}" if fault.look and " -n " not in fault.look else ""
        raise
