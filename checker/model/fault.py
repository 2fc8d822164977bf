"""Faults: what is wrong with an object, as data. The words are the catalogue's (checker/model/catalogue)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn, Protocol

from checker.model.catalogue import Catalogue, catalogue, conjunctions, say
from checker.model.words import fill

Outcome = Literal["passed", "failed", "unknown"]


class Named(Protocol):
    """What a fault can be about: an Object of a State, or a Ref."""

    @property
    def kind(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def namespace(self) -> str: ...


@dataclass(frozen=True)
class Ref:
    """An object by its kind, name and namespace (empty for an object of the whole cluster)."""

    kind: str = ""
    name: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        """`Kind/name`, as reports write it."""
        return f"{self.kind}/{self.name}" if self.name else self.kind

    @classmethod
    def of(cls, named: Named | str) -> Ref:
        """A Ref of an object, or of `Kind/name`."""
        if isinstance(named, str):
            kind, _, name = named.partition("/")
            return cls(kind, name)
        return cls(named.kind, named.name, named.namespace)


@dataclass(frozen=True)
class Words:
    """What a person reads of a fault: the evidence, and what was expected and observed.

    look: a command that shows the same evidence.
    """

    message: str = ""
    expected: str = ""
    observed: str = ""
    look: str = ""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, or that could not be seen.

    cause: an id of the catalogue. object: where the cause sits. facts: by name, what was found, as plain data.
    form: which of the cause's forms tells the fault; empty for the cause's own sentences.
    in_progress: a look a moment later may find no fault.
    outcome: `failed`, or `unknown` where it could not be seen whether something is wrong.
    led_elsewhere: the fault was found on the way from an object of another namespace.
    contexts: sentences around the message; they name the object from which the way led to the fault. Ids of ui.yaml,
    and their facts.
    """

    cause: str
    object: Ref = Ref()
    facts: Mapping[str, Any] = field(default_factory=dict)
    form: str = ""
    in_progress: bool = False
    outcome: Outcome = "failed"
    led_elsewhere: bool = False
    contexts: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    literal: Words | None = None  # words that are not in the catalogue yet

    def __str__(self) -> str:
        """The message."""
        return self.words().message

    def but(self, **changes: Any) -> Fault:
        """The same fault with some fields changed."""
        return replace(self, **changes)

    def within(self, context: str, **facts: Any) -> Fault:
        """The same fault, told with a sentence of ui.yaml around its message.

        In that sentence, `{message}` is the message so far.
        """
        return replace(self, contexts=(*self.contexts, (context, facts)))

    def words(self, causes: Catalogue | None = None) -> Words:
        """The fault in words, by a lab's catalogue or the course's own.

        Raises KeyError for a form that the cause does not have, and TemplateError for a slot without a fact. Both are
        mistakes in the code.
        """
        causes = causes or catalogue()
        if self.literal:
            told = self.literal
            if not told.look and self.cause in causes:
                told = replace(told, look=fill(causes[self.cause].look, self._facts()))
        else:
            form = causes[self.cause].form(self.form)
            facts = _told(self._facts(), causes)
            told = Words(
                *(fill(text, facts, conjunctions()) for text in (form.message, form.expected, form.observed, form.look))
            )
        for context, around in self.contexts:
            told = replace(told, message=say(context, message=told.message, **_told(around, causes)))
        if self.led_elsewhere:
            message = say("elsewhere", namespace=self.object.namespace, message=told.message)
            look = told.look + (f" -n {self.object.namespace}" if told.look and " -n " not in told.look else "")
            told = replace(told, message=message, look=look)
        return told

    def _facts(self) -> dict[str, Any]:
        """The facts, and the facts that every fault has.

        These are the kind, name and namespace of its object, and `object`, such as `Service guestbook`.
        """
        kind, name, namespace = self.object.kind, self.object.name, self.object.namespace
        own = {"kind": kind, "name": name, "namespace": namespace, "object": f"{kind} {name}".strip(), "lab": ""}
        return {**own, **self.facts}

    def root(self, causes: Mapping[str, Any]) -> tuple[str, ...]:
        """What faults with the same root have in common, besides the cause (see `same_root_by`).

        It is empty where only the object tells.
        """
        names = causes[self.cause].same_root_by if self.cause in causes else ()
        if names == ("expected",) and "expected" not in self.facts:
            return (self.words().expected,)
        return tuple(str(self.facts.get(name, "")) for name in names)


def _told(facts: Mapping[str, Any], causes: Catalogue) -> dict[str, Any]:
    """The facts, with the message of each fact that is a fault itself."""
    return {name: one.words(causes).message if isinstance(one, Fault) else one for name, one in facts.items()}


class NotPassed(Exception):
    """Ends the examination of an object, or a task, with a fault."""

    outcome: Outcome

    def __init__(
        self,
        cause: str | Fault,
        about: Named | str = "",
        /,
        *,
        form: str = "",
        in_progress: bool = False,
        **facts: Any,
    ) -> None:
        """cause: its id; or a fault that is known already.

        about: the object in which the cause sits (an Object, a Ref, `Kind/name`).
        """
        if isinstance(cause, Fault):
            self.fault = cause
        elif isinstance(about, str) and (" " in about or facts.keys() & _WORDS):
            self.fault = _literal(cause, about, self.outcome, in_progress, facts)
        else:
            self.fault = Fault(cause, Ref.of(about), facts, form, in_progress, self.outcome)
        super().__init__(self.fault)

    def __str__(self) -> str:
        return self.fault.words().message or self.fault.cause

    @property
    def facts(self) -> Mapping[str, Any]:
        return self.fault.facts

    # Some callers do not hand on faults as values yet. For them, these properties change which fault the exception
    # carries. The fault itself never changes.
    @property
    def cause(self) -> Any:
        return self.fault.cause

    @cause.setter
    def cause(self, value: Any) -> None:
        self.fault = self.fault.but(cause=value)

    @property
    def in_progress(self) -> Any:
        return self.fault.in_progress

    @in_progress.setter
    def in_progress(self, value: Any) -> None:
        self.fault = self.fault.but(in_progress=value)

    @property
    def pending(self) -> Any:
        return self.fault.in_progress

    @pending.setter
    def pending(self, value: Any) -> None:
        self.fault = self.fault.but(in_progress=value)

    @property
    def namespace(self) -> Any:
        return self.fault.object.namespace

    @namespace.setter
    def namespace(self, value: Any) -> None:
        self.fault = self.fault.but(object=replace(self.fault.object, namespace=value))

    @property
    def object(self) -> Any:
        return str(self.fault.object)

    @object.setter
    def object(self, value: Any) -> None:
        self.fault = self.fault.but(object=replace(Ref.of(value), namespace=self.namespace))

    @property
    def message(self) -> Any:
        return self.fault.words().message

    @message.setter
    def message(self, value: Any) -> None:
        self.fault = self.fault.but(literal=replace(self.fault.words(), message=value))

    @property
    def expected(self) -> Any:
        return self.fault.words().expected

    @expected.setter
    def expected(self, value: Any) -> None:
        self.fault = self.fault.but(literal=replace(self.fault.words(), expected=value))

    @property
    def observed(self) -> Any:
        return self.fault.words().observed

    @observed.setter
    def observed(self, value: Any) -> None:
        self.fault = self.fault.but(literal=replace(self.fault.words(), observed=value))

    @property
    def look(self) -> Any:
        return self.fault.words().look

    @look.setter
    def look(self, value: Any) -> None:
        self.fault = self.fault.but(literal=replace(self.fault.words(), look=value))

    @property
    def word(self) -> Outcome:
        return self.outcome


_WORDS = {"expected", "observed", "object", "look", "pending"}


def _literal(cause: str, message: str, outcome: Outcome, in_progress: bool, evidence: dict[str, Any]) -> Fault:
    """A fault whose words stand in the code, and not yet in the catalogue."""
    words = Words(message, *(evidence.pop(name, "") for name in ("expected", "observed", "look")))
    about, pending = evidence.pop("object", ""), evidence.pop("pending", False)
    return Fault(cause, Ref.of(about), evidence, "", in_progress or pending, outcome, literal=words)


class Failed(NotPassed):
    """Something is not right yet."""

    outcome = "failed"


class Unknown(NotPassed):
    """It could not be seen whether something is right."""

    outcome = "unknown"


def fail(cause: str, about: Named | str = "", /, *, form: Any = "", in_progress: Any = False, **facts: Any) -> NoReturn:
    """End as failed: `fail("service-selects-nothing", service, selector=…)`. See Fault and the catalogue."""
    raise Failed(cause, about, form=form, in_progress=in_progress, **facts)


def unknown(
    cause: str, about: Named | str = "", /, *, form: Any = "", in_progress: Any = False, **facts: Any
) -> NoReturn:
    """End as unknown: it could not be seen, for this cause."""
    raise Unknown(cause, about, form=form, in_progress=in_progress, **facts)
