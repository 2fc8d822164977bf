"""The table of what was proven, when and how reliably: docs/proof.json holds it, docs/proof.md shows it.

A case that passes nine times of ten is a race in the course, so the last outcomes of each are kept for as long as what
it was made from stays the same.
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

from cluster import paths
from cluster.versions import versions
from tests.breakages import outcome
from tests.mutants import outcome as of_mutants
from tests.proof.subjects import Subject

DATA = paths.COURSE / "docs" / "proof.json"
PAGE = DATA.with_suffix(".md")
KEPT = 10  # outcomes of one case
PASSED, FAILED = "+", "-"
BLANK_LOOK = "blank-look"  # a test's property in the report: a Look that failed or printed nothing


def read() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(DATA.read_text()) if DATA.exists() else {"groups": {}}
    return data


def machine() -> str:
    """The size of this machine, in words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.machine()}"


def note(
    data: dict[str, Any],
    subjects: list[Subject],
    outcomes: dict[str, tuple[bool, float]],
    date: str,
    workers: int,
    blank_looks: dict[str, list[str]] | None = None,
) -> None:
    """Add what a run has shown. outcomes: by pytest's name of the test, whether it passed, and its seconds.

    blank_looks: by the same names, the commands in verdicts that failed or printed nothing.
    """
    modules = versions()["modules"]
    data |= {
        "machine": machine(),
        "kubernetes": modules["kubernetes"],
        "kind": versions()["kind"]["version"],
        "workers": workers,
    }
    for subject in subjects:
        if subject.test not in outcomes:
            continue
        passed, seconds = outcomes[subject.test]
        group = data["groups"].setdefault(subject.group, {})
        known = group.get(subject.name, {})
        earlier = known.get("outcomes", "") if known.get("made_from") == subject.made_from else ""
        group[subject.name] = {
            "made_from": subject.made_from,
            "date": date,
            "seconds": round(seconds, 1),
            "outcomes": (earlier + (PASSED if passed else FAILED))[-KEPT:],
        }
        if looks := (blank_looks or {}).get(subject.test):
            group[subject.name]["blank_looks"] = looks


def without_strangers(data: dict[str, Any], subjects: list[Subject]) -> None:
    """Forget what is no longer there."""
    known = {(subject.group, subject.name) for subject in subjects}
    data["groups"] = {
        group: kept
        for group, cases in sorted(data["groups"].items())
        if (kept := {name: case for name, case in sorted(cases.items()) if (group, name) in known})
    }


def failed_last(data: dict[str, Any]) -> set[tuple[str, str]]:
    """Group and name of whatever failed when it was last tried."""
    return {
        (group, name)
        for group, cases in data["groups"].items()
        for name, case in cases.items()
        if case["outcomes"].endswith(FAILED)
    }


def page(data: dict[str, Any]) -> str:
    """The table as Markdown."""
    lines = [
        "# What is proven",
        "",
        "Written by `make prove`, not by hand. "
        "Each case was produced on a real three-node kind cluster and judged there; `make test`",
        "judges what was recorded again. *Seconds* are those of all cases together, though several ran side by side.",
        "",
        f"Last run with Kubernetes {data.get('kubernetes')}, kind {data.get('kind')}, "
        f"on {data.get('machine')}, {data.get('workers')} cases at a time.",
        "",
        "| | cases | passed | not always | seconds | last |",
        "|---|---:|---:|---|---:|---|",
    ]
    for group, cases in data["groups"].items():
        passed = sum(case["outcomes"].endswith(PASSED) for case in cases.values())
        unsteady = [
            f"{name} ({case['outcomes'].count(PASSED)} of {len(case['outcomes'])})"
            for name, case in cases.items()
            if FAILED in case["outcomes"]
        ]
        seconds = sum(case["seconds"] for case in cases.values())
        last = max(case["date"] for case in cases.values())
        lines.append(f"| {group} | {len(cases)} | {passed} | {', '.join(unsteady)} | {seconds:.0f} | {last} |")
    blank = [
        f"- {group}, {name}: `{look}`"
        for group, cases in data["groups"].items()
        for name, case in cases.items()
        for look in case.get("blank_looks", [])
    ]
    if blank:
        lines += [
            "",
            "Commands in verdicts that failed, or printed nothing, right after their case was judged:",
            "",
            *blank,
        ]
    if "random" in data:
        lines += outcome.lines(data["random"])
    lines += of_mutants.lines(data.get("mutants", {}), of_mutants.all_today())
    return "\n".join([*lines, ""])


def write(data: dict[str, Any], folder: Path = DATA.parent) -> None:
    (folder / DATA.name).write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")
    (folder / PAGE.name).write_text(page(data))


if __name__ == "__main__":
    write(read())
