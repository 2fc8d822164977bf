"""Faults: what is wrong with an object, as data. The words are the catalogue's (checker/model/catalogue)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn, Protocol

from checker.model.catalogue import Catalogue, catalogue, say
from cluster import Problem
from cluster.language import conjunctions
from cluster.language.templates import fill

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
class Phrase:
    """A fact that is written as a part of a sentence, such as `a new Pod of Deployment web`: for what has no name.

    A State keeps as a Phrase why something could not be seen.

    id: the words, in ui.yaml. facts: what these words use.
    """

    id: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """The words, in the chosen language."""
        return say(self.id, **self.facts)


Reason = str | Phrase  # why something could not be seen; a text where it is a message of Kubernetes itself

# Reasons that are given in one room and known in another one.
POD_SILENT, POD_NOT_ASKED = "why-pod-silent", "why-pod-not-asked"  # see checker/collect/exec.py
OBSERVER_SILENT = "why-observer-not-asked"  # see checker/collect/observer.py: it is busy, or took too long
CONTAINER_GONE = "container not found"  # what the kubelet says of a container that ended after it was listed


def is_late(why: Reason) -> bool:
    """Whether another look may get the answer that is missing. why: the `error` that is in the place of answers."""
    if not isinstance(why, Phrase):
        return False
    return why.id in (POD_SILENT, OBSERVER_SILENT) or CONTAINER_GONE in str(why.facts.get("message", ""))


def reason_of(problem: Problem) -> Reason:
    """A Problem as the reason why something could not be seen."""
    return Phrase(problem.id, problem.facts) if problem.id else problem.what


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

    def __str__(self) -> str:
        """The message."""
        return self.words().message

    def but(self, **changes: Any) -> Fault:
        """The same fault with some fields changed."""
        return replace(self, **changes)

    def within(self, context: str, **facts: Any) -> Fault:
        """The same fault, with a sentence of ui.yaml around its message.

        In that sentence, `{message}` is the message so far.
        """
        return replace(self, contexts=(*self.contexts, (context, facts)))

    def words(self, causes: Catalogue | None = None) -> Words:
        """The fault in words, by a lab's catalogue or the course's own.

        Raises KeyError for a form that the cause does not have, and TemplateError for a slot without a fact. Both are
        mistakes in the code.
        """
        causes = causes or catalogue()
        form = causes[self.cause].form(self.form)
        facts = _in_words(self._facts(), causes)
        templates = (form.message, form.expected, form.observed, form.look)
        words = Words(*(fill(text, facts, conjunctions()) for text in templates))
        for context, around in self.contexts:
            words = replace(words, message=say(context, message=words.message, **_in_words(around, causes)))
        if self.led_elsewhere:
            message = say("elsewhere", namespace=self.object.namespace, message=words.message)
            look = words.look + (f" -n {self.object.namespace}" if words.look and " -n " not in words.look else "")
            words = replace(words, message=message, look=look)
        return words

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
        return tuple(str(self.facts.get(name, "")) for name in names)


def _in_words(facts: Mapping[str, Any], causes: Catalogue) -> dict[str, Any]:
    """The facts, with the message of each fact that is a fault itself."""

    def in_words(fact: Any) -> Any:
        return fact.words(causes).message if isinstance(fact, Fault) else fact

    return {name: in_words(fact) for name, fact in facts.items()}


class NotPassed(Exception):
    """Ends the examination of an object, or a task, with a fault."""

    outcome: Outcome

    def __init__(
        self,
        cause: str | Fault,
        about: Named | str = "",
        /,
        *,
        form: Any = "",  # a text; mypy takes every `**facts` for it, too
        in_progress: Any = False,  # true or false
        **facts: Any,
    ) -> None:
        """cause: the id of the cause, or a whole fault.

        about: the object in which the cause sits (an Object, a Ref, `Kind/name`).
        """
        if not isinstance(cause, Fault):
            cause = Fault(cause, Ref.of(about), facts, form, in_progress, self.outcome)
        self.fault: Fault = cause
        super().__init__(cause)

    def __str__(self) -> str:
        return self.message or self.cause

    @property
    def cause(self) -> str:
        return self.fault.cause

    @property
    def object(self) -> str:
        """`Kind/name` of the object in which the cause sits."""
        return str(self.fault.object)

    @property
    def facts(self) -> Mapping[str, Any]:
        return self.fault.facts

    @property
    def in_progress(self) -> bool:
        return self.fault.in_progress

    @property
    def message(self) -> str:
        return self.words.message

    @property
    def words(self) -> Words:
        """The fault in the words of the course's catalogue."""
        return self.fault.words()


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
