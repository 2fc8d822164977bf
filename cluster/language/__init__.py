"""The language in which the course speaks to a learner: which one was chosen, and the sentences in it.

KUBECLASS_LANGUAGE chooses the language; English is the default. Each part of the course keeps its English sentences in
a file of its own:

    cluster/language/en.yaml            (`cluster`)  what `cluster/` says: steps, problems, status, doctor
    checker/model/catalogue/en/ui.yaml  (`ui`)       what the checker's command line, panel and picture say
    checker/model/catalogue/en/*.yaml   (`causes`)   what is said of each cause
    labs/*/lab.yaml, causes.yaml        (`labs`)     each lab's own words

A second language is one file beside en.yaml, such as `de.yaml`. It has the keys that stand in parentheses above.
What the file lacks is said in English. tests/unit/test_language.py holds that a language needs nothing else.
How a sentence is written: templates.py. click's own words (`Usage:`) stay in English.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cluster.language.templates import fill
from cluster.problem import Problem

HERE = Path(__file__).parent
ENGLISH = HERE / "en.yaml"


def language() -> str:
    """The chosen language: `en`, or the name of another file in this folder."""
    return os.environ.get("KUBECLASS_LANGUAGE") or "en"


@cache
def translation(chosen: str) -> dict[str, Any]:
    """The whole file of a language other than English; empty for `en`. Raises Problem where there is no such file."""
    if chosen == "en":
        return {}
    file = HERE / f"{chosen}.yaml"
    if not re.fullmatch(r"[a-z]+(-[a-zA-Z]+)?", chosen) or not file.exists():
        known = sorted({"en", *(path.stem for path in HERE.glob("*.yaml"))})
        raise _problem(_english(ENGLISH), "no-such-language", {"language": chosen, "known": known}, Problem, 3)
    return load(file.read_text()) or {}


def load(text: str) -> Any:
    """YAML as plain data, by libyaml where PyYAML was built with it (ten times as fast)."""
    import yaml

    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def forget() -> None:
    """Read all files again when they are needed. For tests that put another file in place."""
    for cached in (translation, _english, _sentences):
        cached.cache_clear()


def load_sentences(text: str) -> dict[str, str]:
    """A file of sentences: one `id: sentence` a line. A sentence that has a mark of YAML in it is in double quotes.

    It is read without PyYAML, whose import would be a third of the time that `kubeclass --help` takes.
    A test holds that PyYAML reads the same in it.
    """
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            id, _, sentence = line.partition(": ")
            found[id] = sentence[1:-1].replace('\\"', '"') if sentence.startswith('"') else sentence
    return found


@cache
def _english(file: Path) -> dict[str, str]:
    return load_sentences(file.read_text())


@cache
def _sentences(parts: tuple[tuple[str, Path], ...], chosen: str) -> dict[str, str]:
    """The sentences of some parts in a language. parts: each a key of the language's file, and the English file."""
    found: dict[str, str] = {}
    for part, english in parts:
        found |= {**_english(english), **(translation(chosen).get(part) or {})}
    return found


class Sentences:
    """The sentences of one part of the course, by id, in the chosen language."""

    def __init__(self, part: str, english: Path, base: Sentences | None = None) -> None:
        """part: the key in the file of another language. base: another part, whose sentences are known here, too."""
        self._parts: tuple[tuple[str, Path], ...] = (*(base._parts if base else ()), (part, english))

    def all(self) -> Mapping[str, str]:
        """All templates by id. Raises Problem where there is no such language."""
        return _sentences(self._parts, language())

    def say(self, id: str, /, **facts: Any) -> str:
        """One sentence with these facts in it. Raises KeyError for an id that is not there."""
        return _filled(self.all(), id, facts)

    def problem(self, id: str, /, *, raises: type[Problem] = Problem, exit_code: int = 3, **facts: Any) -> Problem:
        """A Problem: its sentence (`ID`), the next step (`ID-next`), and, where it is there, what was kept (`ID-kept`).

        raises: the class of the Problem.
        """
        return _problem(self.all(), id, facts, raises, exit_code)


def _filled(sentences: Mapping[str, str], id: str, facts: Mapping[str, Any]) -> str:
    return fill(sentences[id], facts, (sentences["and"], sentences["or"]))


def _problem(
    sentences: Mapping[str, str], id: str, facts: Mapping[str, Any], raises: type[Problem], exit_code: int
) -> Problem:
    what, next_step = _filled(sentences, id, facts), _filled(sentences, f"{id}-next", facts)
    kept = _filled(sentences, f"{id}-kept", facts) if f"{id}-kept" in sentences else ""
    lines = [what, _filled(sentences, "problem-kept", {"kept": kept}) if kept else ""]
    lines.append(_filled(sentences, "problem-next", {"next_step": next_step}))
    return raises(what, next_step, kept, exit_code, "\n  ".join(filter(None, lines)), id, facts)


MACHINE = Sentences("cluster", ENGLISH)
say, problem = MACHINE.say, MACHINE.problem


def conjunctions() -> tuple[str, str]:
    """The words between the last two items of a list: and, or."""
    return say("and"), say("or")
