"""The catalogue: every cause that a verdict can name, and every sentence that is said of it. The sentences are data.

`en/` holds one file for each subject. Its file `ui.yaml` holds what the command line, the panel and the picture say.
An entry of a cause:

    service-selects-nothing:          # the id: stable, and what somebody would search for
      title: The Service selects no Pod
      meaning: …                      # what it means, in a sentence or two
      look: kubectl get pods          # a command that shows the evidence; {name} is the object's name
      lesson: "07"                    # the lesson that covers it; sections.yaml names the section
      message: Service {service} selects no Pod. …       # the evidence, with the fault's facts in it; never the fix
      expected: …
      observed: …
      forms:                          # other sentences for the same cause: fail("…", form="elsewhere")
        elsewhere: {message: …, expected: …, observed: …, look: …}
      same_root_by: [quota]           # faults with equal facts of these names have the same root, on any object
      in_progress: true               # it only takes its time
      intended: true                  # it is as somebody asked for: a fault only where something needs it
      normal: true                    # it is never a fault of its own
      remark: true                    # no fault: told below the faults, and the exit status does not change
      weaker: true                    # it is told only where nothing else is found at the same object
      yields_to: PersistentVolumeClaim   # it follows from a fault of such an object that the Pod uses
      suspects: [resources]           # what a learner may name as wrong (checker/grading/suspects.py), instead of
                                      # what the file's subject says
      changed_at: object              # somebody would change the object itself, not the workload that made it

How a template is written: cluster/language/templates.py. Another language: cluster/language/__init__.py.
A lab adds entries, and forms of entries, in its own causes.yaml.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from cluster import Problem
from cluster.language import HERE as LANGUAGES
from cluster.language import MACHINE, Sentences, language, load, translation
from cluster.language.templates import TemplateError, fill, parse, slots

ENGLISH = Path(__file__).parent / "en"
UI = "ui.yaml"
SECTIONS = Path(__file__).parent / "sections.yaml"  # which section of its lesson covers a cause
WORDS = ("message", "expected", "observed", "look")


@dataclass(frozen=True)
class Form:
    """The sentences of one form of a cause, as templates. An empty one is taken from the cause's own."""

    message: str = ""
    expected: str = ""
    observed: str = ""
    look: str = ""


@dataclass(frozen=True)
class Cause:
    """One entry of the catalogue: see the module's text. subject: the name of its file."""

    id: str
    title: str = ""
    meaning: str = ""
    look: str = ""
    lesson: str = ""
    message: str = ""
    expected: str = ""
    observed: str = ""
    forms: Mapping[str, Form] = field(default_factory=dict)
    same_root_by: tuple[str, ...] = ()
    in_progress: bool = False
    intended: bool = False
    normal: bool = False
    remark: bool = False
    weaker: bool = False
    yields_to: str = ""
    changed_at: str = ""
    suspects: tuple[str, ...] = ()
    subject: str = ""

    def form(self, name: str) -> Form:
        """The sentences of a form; those of the cause itself for an empty name.

        Raises KeyError for a form that the cause does not have.
        """
        own = Form(self.message, self.expected, self.observed, self.look)
        if not name:
            return own
        found = self.forms[name]
        return Form(*(getattr(found, word) or getattr(own, word) for word in WORDS))

    @property
    def section(self) -> str:
        """The heading of the lesson's section that covers the cause; empty where only the lesson is known."""
        return _sections().get((self.lesson, self.id), "")

    @property
    def where_to_look(self) -> str:
        """The command that shows the evidence, for no object in particular."""
        return fill(self.look, dict.fromkeys(slots(self.look), ""))


_ALLOWED = {f.name for f in fields(Cause)} - {"id", "subject"}
_LISTS = {"same_root_by": "entry-no-facts", "suspects": "entry-no-suspects"}  # key: what is said of a malformed one
_FLAGS = {f.name for f in fields(Cause) if f.type == "bool"}


class Catalogue(Mapping[str, Cause]):
    """The causes by id. An entry is read when it is asked for, as most are not in one run."""

    def __init__(self, entries: Mapping[str, tuple[str, str, int]], base: Mapping[str, Cause] | None = None) -> None:
        """entries: id to (YAML of the entry, file, line). base: a catalogue whose entries these extend."""
        self._entries, self._base = entries, base or {}
        self._known: dict[str, Cause] = {}

    def __getitem__(self, id: str) -> Cause:
        if id not in self._known:
            if id not in self._entries:
                return self._base[id]
            text, file, line = self._entries[id]
            self._known[id] = _cause(id, text, f"{file}:{line}", self._base.get(id))
        return self._known[id]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._base, *self._entries]))

    def __len__(self) -> int:
        return len({*self._base, *self._entries})

    def extended(self, file: Path) -> Catalogue:
        """This catalogue, with the entries of one more file. A file that is not there adds nothing."""
        return Catalogue(_entries(file), self) if file.exists() else self

    def translated(self, entries: Mapping[str, Any]) -> Catalogue:
        """This catalogue, with the sentences of another language's file in place of its own."""
        where = str(LANGUAGES / f"{language()}.yaml")
        again = {id: (json.dumps({id: entry}), where, 1) for id, entry in entries.items()}  # JSON is YAML
        return Catalogue(again, self) if again else self


def _entries(file: Path) -> dict[str, tuple[str, str, int]]:
    """The entries of a file, unread: id to (YAML, file, line)."""
    found: dict[str, tuple[str, str, int]] = {}
    text = file.read_text()
    starts = [*re.finditer(r"^([^\s#][^:\n]*):", text, re.M)]
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        line = text.count("\n", 0, start.start()) + 1
        if start[1] in found:
            raise problem("entry-twice", where=f"{file}:{line}", cause=start[1])
        found[start[1]] = (text[start.start() : following.start() if following else None], str(file), line)
    return found


def _cause(id: str, text: str, where: str, base: Cause | None) -> Cause:
    """One entry. Raises Problem, with the file and the line and what is allowed, for one that breaks the schema."""

    def broken(what: str, **facts: Any) -> Problem:
        return problem("entry-broken", where=where, cause=id, what=say(what, **facts))

    from yaml import YAMLError

    try:
        data = load(text)[id]
    except YAMLError as error:
        raise broken("entry-no-yaml", error=error) from None
    if not isinstance(data, dict):
        raise broken("entry-no-mapping")
    if unknown := sorted(set(data) - _ALLOWED):
        raise broken("entry-unknown-key", key=unknown[0], allowed=_ALLOWED)
    known: dict[str, Any] = {}
    for key, value in data.items():
        if key == "forms":
            known[key] = _forms(value, broken)
        elif key in _LISTS:
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise broken(_LISTS[key], key=key)
            known[key] = tuple(value)
        elif not isinstance(value, bool if key in _FLAGS else str):
            raise broken("entry-no-flag" if key in _FLAGS else "entry-no-text", key=key, value=repr(value))
        else:
            known[key] = value
    for word in WORDS:
        _readable(known.get(word, ""), word, broken)
    if base:
        own = {name: _completed(form, base.forms.get(name)) for name, form in known.get("forms", {}).items()}
        return replace(base, **{**known, "forms": {**base.forms, **own}})
    if missing := [key for key in ("title", "meaning", "lesson") if not known.get(key)]:
        raise broken("entry-lacks-key", key=missing[0])
    return Cause(id, **known, subject=Path(where.rpartition(":")[0]).stem)


def _completed(form: Form, base: Form | None) -> Form:
    """A form, with the sentences that it lacks from the base's form of the same name, such as the command to look."""
    return Form(*(getattr(form, word) or getattr(base, word) for word in WORDS)) if base else form


def _forms(value: Any, broken: Any) -> dict[str, Form]:
    if not isinstance(value, dict):
        raise broken("entry-forms")
    found = {}
    for name, words in value.items():
        if (
            not isinstance(words, dict)
            or set(words) - set(WORDS)
            or not all(isinstance(w, str) for w in words.values())
        ):
            raise broken("entry-form", form=name, allowed=WORDS)
        for word, template in words.items():
            _readable(template, word, broken, str(name))
        found[str(name)] = Form(**words)
    return found


def _readable(template: str, word: str, broken: Any, form: str = "") -> None:
    try:
        parse(template)
    except TemplateError as error:
        raise broken("entry-unreadable", word=word, form=form, error=error) from None


# -- what is said in the learner's language -----------------------------------------------------------------------

# The sentences of the user interface, by their ids in ui.yaml. Those of the machine's side are known here, too.
_UI = Sentences("ui", ENGLISH / UI, MACHINE)
say, problem = _UI.say, _UI.problem


@cache
def _catalogue(chosen: str) -> Catalogue:
    files = [file for file in sorted(ENGLISH.glob("*.yaml")) if file.name != UI]
    entries: dict[str, tuple[str, str, int]] = {}
    for file in files:
        for id, entry in _entries(file).items():
            if id in entries:
                raise problem("entry-in-two-files", where=f"{entry[1]}:{entry[2]}", cause=id, other=entries[id][1])
            entries[id] = entry
    english = Catalogue(entries)
    return english.translated(translation(chosen).get("causes") or {})


@cache
def _sections() -> dict[tuple[str, str], str]:
    """SECTIONS: (lesson, cause) to heading."""
    lessons = load(SECTIONS.read_text())
    return {(lesson, id): heading for lesson, parts in lessons.items() for heading, ids in parts.items() for id in ids}


def catalogue() -> Catalogue:
    """The catalogue in the chosen language."""
    return _catalogue(language())


def forget() -> None:
    """Read the causes again when they are needed. For tests that put another file in place."""
    _catalogue.cache_clear()


def sentences() -> Mapping[str, str]:
    """All templates of sentences by id, in the chosen language, without those of the causes."""
    return _UI.all()


def texts(*beginnings: str) -> dict[str, str]:
    """The sentences without slots whose ids begin so, by id, for a front end that has no catalogue of its own."""
    return {id: say(id) for id, text in sentences().items() if id.startswith(beginnings) and not slots(text)}


def of_lab(number: str) -> dict[str, Any]:
    """What the chosen language says of a lab instead of its lab.yaml and causes.yaml; empty for English."""
    found: dict[str, Any] = (translation(language()).get("labs") or {}).get(number) or {}
    return found
