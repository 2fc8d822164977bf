"""Walking: from an object along its chain. A link may lead to another object, and so into the chain of another kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from checker.model.fault import NotPassed
from checker.model.state import Object, State

P = ParamSpec("P")
R = TypeVar("R")
_Answers = dict[tuple[Any, ...], tuple[Object, Any]]  # the object beside its answer: so no other object gets its id
_answers: ContextVar[_Answers | None] = ContextVar("answers", default=None)


@contextmanager
def remembering() -> Iterator[None]:
    """Within this block, what is `remembered` is found out once for each State and object. The State must not change.

    Many objects lead to the same ones: a hundred Services to one Deployment.
    """
    before = _answers.set({} if (known := _answers.get()) is None else known)
    try:
        yield
    finally:
        _answers.reset(before)


def remembered(question: Callable[Concatenate[State, Object, P], R]) -> Callable[Concatenate[State, Object, P], R]:
    """A question about an object whose answer is kept (see `remembering`): what it returns, or the fault it raises."""

    @wraps(question)
    def answer(state: State, obj: Object, /, *args: P.args, **kwargs: P.kwargs) -> R:
        known = _answers.get()
        if known is None:
            return question(state, obj, *args, **kwargs)
        key = (question, id(state), id(obj), args, tuple(kwargs.items()))
        if key not in known:
            try:
                known[key] = obj, question(state, obj, *args, **kwargs)
            except NotPassed as end:
                known[key] = obj, end
        found: Any = known[key][1]
        if isinstance(found, NotPassed):
            raise type(found)(found.fault)
        result: R = found
        return result

    return answer


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
