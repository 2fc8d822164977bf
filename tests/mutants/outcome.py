"""What became of a lab's mutants, what docs/proof.json keeps of them, and the table of it.

- killed: a task failed, and was not still in progress.
- refused: the API server refused it, so it reached no grader.
- survived: it got full marks. equivalent.yaml says why, where a mutant is as right as the solution.
- unsettled: no task failed, and some task was unknown, or still in progress.
- broken: its script cannot run. The fault is in these tests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from checker.grading.labs import all_labs, load_lab
from cluster import paths
from tests.mutants.mutate import mutants
from tests.proof import digests

SETTLED = ("killed", "refused")  # docs/proof.json keeps how many
OPEN = ("survived", "unsettled", "broken")  # docs/proof.json keeps each, by its id
PROGRESS = paths.COURSE / "build" / "mutants"


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant.

    lab: its number. detail: the causes of the tasks that did not pass, or why the mutant could not run.
    wait: the seconds that a change in progress was given.
    """

    lab: str
    id: str
    word: str
    detail: str = ""
    seconds: float = 0.0
    wait: float = 0.0


@dataclass(frozen=True)
class Today:
    """A lab as it is now: the number of its mutants, the digest of what they are made from, and that of its grader."""

    mutants: int
    made_from: str
    graded_by: str


@cache
def today(number: str) -> Today:
    lab = load_lab(number)
    found = mutants(lab)
    made_from = digests.of_mutants(lab, [(one.id, one.files, one.script) for one in found])
    return Today(len(found), made_from, digests.of_grader(lab))


def all_today() -> dict[str, Today]:
    """By number, every lab that is not a draft."""
    return {number: today(number) for number in all_labs()}


def is_level(known: Mapping[str, Any], now: Today) -> bool:
    """Whether what is kept of a lab is of its mutants, and of its grader, as they are now."""
    return (known.get("made_from"), known.get("graded_by")) == (now.made_from, now.graded_by)


@cache
def equivalent() -> dict[str, dict[str, str]]:
    """Mutants that are as right as the solution: lab number, mutant's id (or a pattern with `*`), and why."""
    found: dict[str, dict[str, str]] = yaml.safe_load((Path(__file__).parent / "equivalent.yaml").read_text())
    return found


def why_equivalent(lab: str, id: str) -> str:
    """The reason why a mutant is as right as the solution; empty where none is known. lab: its number."""
    for where in (lab, "all"):
        for pattern, why in (equivalent().get(where) or {}).items():
            if re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), id, re.S):
                return why
    return ""


class Progress:
    """The outcomes of a lab's run that has begun, in a file: a run that was stopped goes on from there."""

    def __init__(self, number: str, now: Today, folder: Path = PROGRESS) -> None:
        """Read what there is. Outcomes of other mutants, or of another grader, are forgotten."""
        self.path, self.now = folder / f"{number}.json", now
        self.outcomes: dict[str, Outcome] = {}
        if self.path.exists() and is_level(data := json.loads(self.path.read_text()), now):
            self.outcomes = {one["id"]: Outcome(**one) for one in data["outcomes"]}

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome, in place of an earlier one of the same mutant."""
        self.outcomes[outcome.id] = outcome
        self.path.parent.mkdir(parents=True, exist_ok=True)
        data = {**asdict(self.now), "outcomes": [asdict(one) for one in self.outcomes.values()]}
        self.path.write_text(json.dumps(data, indent=1) + "\n")

    def forget(self) -> None:
        self.outcomes = {}
        self.path.unlink(missing_ok=True)


def kept(
    outcomes: Collection[Outcome], now: Today, date: str, known: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A lab's outcomes as docs/proof.json keeps them.

    known: what is kept of a run of the same mutants, of which these were tried again. The others stay as they are.
    """
    known, tried = known or {}, {one.id for one in outcomes}
    data: dict[str, Any] = {"date": date, **asdict(now)}
    for word in SETTLED:
        data[word] = known.get(word, 0) + sum(one.word == word for one in outcomes)
    for word in OPEN:
        rest = {id: detail for id, detail in known.get(word, {}).items() if id not in tried}
        data[word] = rest | {one.id: one.detail for one in outcomes if one.word == word}
    if known:
        data["again"] = sorted({*known.get("again", []), *tried})
    return data


def unexplained(lab: str, known: Mapping[str, Any]) -> dict[str, str]:
    """What is kept of a lab's mutants that need work, by id: its word. lab: its number."""
    return {id: word for word in OPEN for id in known[word] if word != "survived" or not why_equivalent(lab, id)}


def numbers_of(lab: str, known: Mapping[str, Any]) -> dict[str, int]:
    """A row of the table. `of`: all that reached a grader and are not as right as the solution. lab: its number."""
    right = sum(bool(why_equivalent(lab, id)) for id in known["survived"])
    return {
        "mutants": known["mutants"],
        "refused": known["refused"],
        "as right": right,
        "of": known["mutants"] - known["refused"] - right,
        "killed": known["killed"],
        "survived": len(known["survived"]) - right,
        "unsettled": len(known["unsettled"]) + len(known["broken"]),
    }


def lines(data: Mapping[str, Mapping[str, Any]], now: Mapping[str, Today]) -> list[str]:
    """The kept labs as lines of docs/proof.md. data: by lab. now: by lab, each lab as it is now."""
    rows = {lab: numbers_of(lab, data[lab]) for lab in sorted(data) if lab in now}
    names = ("mutants", "refused", "as right", "of", "killed", "survived", "unsettled")
    found = [
        "",
        "## Mutants of the solutions",
        "",
        "`make mutants` changes each lab's solution by rules, one change at a time, and grades each mutant on the real",
        "cluster. *Refused*: the API server refused the mutant, so it reached no grader. *As right*: the mutant got",
        "full marks, and is as right as the solution. *Of*: all others. *Killed*: a task failed. *Survived*: the",
        "mutant got full marks. *Unsettled*: no task failed, but a task was unknown or still in progress, also at a",
        "second try with a longer wait.",
    ]
    if rows:
        found += ["", f"| lab | {' | '.join(names)} | % killed | last |", "|---" + "|---:" * (len(names) + 1) + "|---|"]
    for lab, row in rows.items():
        again = "" if is_level(data[lab], now[lab]) else ", to be run again"
        found.append(f"| {lab} | {_cells(row, names)} | {data[lab]['date']}{again} |")
    if rows:
        total = {name: sum(row[name] for row in rows.values()) for name in names}
        found.append(f"| all | {_cells(total, names)} | |")
    if missing := [f"{lab} ({one.mutants} mutants)" for lab, one in now.items() if lab not in data]:
        found += ["", f"Not run yet: lab {', '.join(missing)}."]
    if stale := [lab for lab in rows if not is_level(data[lab], now[lab])]:
        found += [
            "",
            f"To be run again, because the solution, the set-up or the grader has changed: lab {', '.join(stale)}.",
        ]
    for lab in rows:
        if tried := data[lab].get("again"):
            found += ["", f"Lab {lab}: after the grader or these rules were mended, {len(tried)} were tried again."]
    found += _list("Mutants that are as right as the solution:", _as_right(data, rows))
    need = [(lab, id, data[lab][word][id], word) for lab in rows for id, word in unexplained(lab, data[lab]).items()]
    found += _list("Mutants that were not killed:", [f"{lab}, `{id}`: {word} ({why})" for lab, id, why, word in need])
    return found


def _cells(row: Mapping[str, int], names: Collection[str]) -> str:
    rate = f"{100 * row['killed'] / row['of']:.1f}" if row["of"] else ""
    return " | ".join([*(str(row[name]) for name in names), rate])


def _as_right(data: Mapping[str, Mapping[str, Any]], labs: Collection[str]) -> list[str]:
    """The survivors that equivalent.yaml explains: by reason, as many share one."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for lab in labs:
        for id in data[lab]["survived"]:
            if why := why_equivalent(lab, id):
                by_reason.setdefault((lab, why), []).append(f"`{id}`")
    return [f"lab {lab}, {', '.join(ids)}: {why}" for (lab, why), ids in by_reason.items()]


def _list(title: str, items: Collection[str]) -> list[str]:
    return ["", title, "", *(f"- {' '.join(item.split())}" for item in items)] if items else []
