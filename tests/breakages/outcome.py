"""What became of a breakage, and the table of it.

- first: `explain` tells the root first, and nothing that is not true.
- half: it tells the root, but not first, or beside something else.
- missed: it does not tell the root.
- broken: the breakage could not be made. It says nothing of `explain`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.breakages.breakage import Broken

WORDS = ("first", "half", "missed")
# The columns of the table: what `summary` counts.
COLUMNS = {
    "first": "root first",
    "half": "half",
    "missed": "missed",
    "untrue": "untrue findings",
    "early": "too early",
    "healthy": "healthy namespaces",
    "said_of_healthy": "findings in them",
}


@dataclass(frozen=True)
class Outcome:
    """One breakage on the cluster.

    roots: each is right. told: what `explain` told in the end, `cause@Kind/name`, in its order.
    untrue: those of them that are not the root. early: what was told before the end only, and is not the root.
    healthy: what was told of the same namespace before it was broken; None where it was broken from the start.
    problem: why the breakage could not be made.
    """

    name: str
    title: str
    shape: str
    roots: tuple[str, ...]
    word: str
    told: tuple[str, ...] = ()
    untrue: tuple[str, ...] = ()
    early: tuple[str, ...] = ()
    healthy: tuple[str, ...] | None = None
    seconds: float = 0.0
    problem: str = ""

    @property
    def is_well(self) -> bool:
        """Whether the root was told first, and nothing else: not before, and not of the healthy namespace."""
        return self.word == "first" and not self.early and not self.healthy


def judged(
    broken: Broken,
    findings: Sequence[str],
    remarks: Sequence[str],
    before: Sequence[str] = (),
    healthy: Sequence[str] | None = None,
    seconds: float = 0.0,
) -> Outcome:
    """The outcome of what `explain` told.

    findings, remarks: of the end, as `cause@Kind/name`, in their order. before: findings of earlier looks.
    """
    told = [*findings, *remarks] if broken.breakage.remark else list(findings)
    right = [broken.is_root(one) for one in told]
    untrue = tuple(one for one, is_right in zip(told, right, strict=True) if not is_right)
    word = "missed" if not any(right) else "first" if right[0] and not untrue else "half"
    early = tuple(dict.fromkeys(one for one in before if one not in told and not broken.is_root(one)))
    kind = broken.breakage
    said = None if healthy is None else tuple(healthy)
    return Outcome(
        kind.name, kind.title, broken.shape, broken.roots, word, tuple(told), untrue, early, said, round(seconds, 1)
    )


def summary(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """The numbers of a run."""
    counted = Counter(outcome.word for outcome in outcomes)
    looked = [outcome.healthy for outcome in outcomes if outcome.healthy is not None]
    return {
        "tried": sum(counted[word] for word in WORDS),
        **{word: counted[word] for word in WORDS},
        "untrue": sum(len(outcome.untrue) for outcome in outcomes),
        "early": sum(len(outcome.early) for outcome in outcomes),
        "healthy": len(looked),
        "said_of_healthy": sum(map(bool, looked)),
        "broken": counted["broken"],
    }


def kept(
    outcomes: Sequence[Outcome], date: str, number: int, known: dict[str, Any] | None = None, new_only: bool = False
) -> dict[str, Any]:
    """A run as docs/proof.json keeps it, under its seed.

    number: how many breakages the whole run has. known: an earlier run of the same seed, as it is kept. What has been
    tried again takes the place of what is known, and the numbers of the first try stay. new_only: whether the run has
    only the breakages that its seed is the first to draw.
    """
    new = {one.name for one in outcomes}
    rest = [one for one in outcomes_of(known or {}) if one.name not in new]
    ordered = sorted([*rest, *outcomes], key=lambda one: (one.name, one.shape))
    data = {"date": date, "number": number, "outcomes": [asdict(one) for one in ordered]}
    if new_only:
        data["new_only"] = True
    before = {one["name"] for one in (known or {}).get("outcomes", [])}
    again = sorted({*(known or {}).get("again", []), *(new & before)})
    if known and again:
        data["again"] = again
        first = known.get("first_try") or summary(outcomes_of(known))
        added = summary([one for one in outcomes if one.name not in before])
        data["first_try"] = {name: first.get(name, 0) + number for name, number in added.items()}
    return data


def outcomes_of(data: dict[str, Any]) -> list[Outcome]:
    """The outcomes of a run that docs/proof.json keeps."""
    lists = ("roots", "told", "untrue", "early", "healthy")
    found = []
    for one in data.get("outcomes", []):
        fields: dict[str, Any] = {
            name: tuple(value) if name in lists and value is not None else value for name, value in one.items()
        }
        found.append(Outcome(**fields))
    return found


def lines(runs: dict[str, dict[str, Any]]) -> list[str]:
    """The kept runs as lines of docs/proof.md. runs: by seed."""
    found = [
        "",
        "## Healthy namespaces, broken at random",
        "",
        "`tests/breakages` holds each breakage with its root. Each seed makes other changes.",
        "*Half*: the root was told, but not first, or beside something untrue. *Too early*: untrue, and taken back.",
    ]
    for seed, data in sorted(runs.items(), reverse=True):
        found += _lines_of_run(seed, data)
    return found


def _lines_of_run(seed: str, data: dict[str, Any]) -> list[str]:
    outcomes = outcomes_of(data)
    numbers = summary(outcomes)
    which = "NEW=1" if data.get("new_only") else f"N={data['number']}"
    command = f"make prove EXPLAIN=random {which} SEED={seed}"
    columns = [
        "breakages",
        "root-first",
        "half",
        "missed",
        "untrue-findings",
        "too-early",
        "healthy-namespaces",
        "findings-in-them",
    ]
    values = [numbers[name] for name in ("tried", *COLUMNS)]
    found = [
        "",
        f"### Seed {seed}",
        "",
        f"`{command}`, on {data['date']}.",
        *([f"{len(outcomes)} of them have been tried."] if len(outcomes) < data["number"] else []),
        "",
        f"| {' | '.join(columns)} |",
        "|---:" * len(columns) + "|",
        f"| {' | '.join(map(str, values))} |",
    ]
    if first_try := data.get("first_try"):
        told = ", ".join(f"{first_try[name]} {COLUMNS[name]}" for name in COLUMNS if name != "healthy")
        found += [
            "",
            f"At the first try, {first_try['tried']} breakages gave: {told}.",
            "Then `explain`, or a breakage's list of right roots, was mended,",
            f"and these were tried again: {', '.join(data['again'])}.",
        ]
    rest = [one for one in outcomes if not one.is_well]
    if rest:
        found += ["", "| not root first, or not only that | of | root | told |", "|---|---|---|---|"]
    for one in rest:
        told = one.problem or _codes(one.told) or "nothing"
        told += f"; too early: {_codes(one.early)}" if one.early else ""
        told += f"; when healthy: {_codes(one.healthy)}" if one.healthy else ""
        found.append(f"| {one.word}: {one.name} | {one.shape} | {_codes(one.roots)} | {told} |")
    return found


def _codes(roots: Sequence[str]) -> str:
    return ", ".join(f"`{root}`" for root in roots).replace("|", "/")
