"""Walking: from an object along its chain. A link may lead to another object, and so into the chain of another kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from checker.model.fault import NotPassed
from checker.model.state import Object, State

CHAINS: dict[str, Callable[[State, Object], None]] = {}  # by kind; checker/diagnosis/__init__.py names them


def walk(state: State, obj: Object) -> None:
    """Walk the chain of an object. Raises TypeError for a kind that has none.

    A fault outside the lab's own namespace says where it is.
    """
    if obj.kind not in CHAINS:
        raise TypeError(f"no chain for {obj.kind}")
    try:
        CHAINS[obj.kind](state, obj)
    except NotPassed as end:
        fault, elsewhere = end.fault, obj.namespace not in ("", state.namespace)
        if not fault.object.namespace:  # an object of the whole cluster: it was found from this namespace
            fault = fault.but(object=replace(fault.object, namespace=obj.namespace), led_elsewhere=elsewhere)
        elif elsewhere and fault.object.namespace != state.namespace:
            fault = fault.but(led_elsewhere=True)
        raise type(end)(fault) from end
