"""The roster of a class: a CSV file with the columns id, name and group."""

from __future__ import annotations

import csv
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from checker.model.catalogue import problem

COLUMNS = ("id", "name", "group")
# A namespace's name has at most 63 characters: the class's name, the learner's, and a lab's longest suffix.
LONGEST_CLASS, LONGEST_ID = 20, 24
_CLASS_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True)
class Learner:
    """One line of the roster. id: as it is part of namespaces' names. name, group: for people; may be empty."""

    id: str
    name: str = ""
    group: str = ""


def checked_name(name: str) -> str:
    """The name of a class, as it is. Raises Problem where it cannot be the beginning of a namespace's name."""
    if not _CLASS_NAME.fullmatch(name) or len(name) > LONGEST_CLASS:
        raise problem("class-name", name=name, longest=LONGEST_CLASS)
    return name


def id_of(text: str) -> str:
    """An id as it can be in a namespace's name: small letters without accents, digits and hyphens.

    Everything else becomes a hyphen: `Ada.Löve` is `ada-love`. Empty where nothing is left.
    Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def read_roster(file: Path, suffixes: tuple[str, ...] = ()) -> list[Learner]:
    """The learners of a roster, in its order.

    suffixes: of the further namespaces of each learner. No learner's namespace may have the name of another's.
    Raises Problem with the line where the file is malformed, and for two learners whose ids become one name.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise problem("roster-unreadable", file=file, why=error.strerror) from None
    except UnicodeDecodeError:
        raise problem("roster-not-text", file=file) from None
    return parse_roster(text, str(file), suffixes)


def parse_roster(text: str, file: str, suffixes: tuple[str, ...] = ()) -> list[Learner]:
    """As read_roster. file: the file's name, for messages."""
    rows = csv.reader(text.splitlines(), strict=True)
    learners: list[Learner] = []
    taken: dict[str, tuple[int, str]] = {}  # a namespace's name without the class's: the line, and the id there
    begun = False
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not begun:
                begun = True
                if tuple(cell.lower() for cell in cells) != COLUMNS[: len(cells)]:
                    raise problem("roster-header", file=file, line=rows.line_num, found=cells)
                width = len(cells)
                continue
            if len(cells) != width:
                raise problem("roster-columns", file=file, line=rows.line_num, wanted=width, found=len(cells))
            learner = Learner(id_of(cells[0]), *cells[1:])
            if not learner.id or len(learner.id) > LONGEST_ID:
                raise problem("roster-id", file=file, line=rows.line_num, id=cells[0], longest=LONGEST_ID)
            for name in (learner.id, *(f"{learner.id}-{suffix}" for suffix in suffixes)):
                if name in taken:
                    line, other = taken[name]
                    raise problem(
                        "roster-clash",
                        file=file,
                        line=rows.line_num,
                        id=cells[0],
                        other=other,
                        other_line=line,
                        name=name,
                    )
                taken[name] = rows.line_num, cells[0]
            learners.append(learner)
    except csv.Error as error:
        raise problem("roster-csv", file=file, line=rows.line_num, why=str(error)) from None
    if not learners:
        raise problem("roster-empty", file=file)
    return learners
