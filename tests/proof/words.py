"""`make words`: after a message was reworded, put the new words into the recordings, for which no cluster is needed.

make words                 the words of today, where they were those of HEAD
make words SINCE=a6a4dc1   where they were those of this commit: after a merge, the one that the lesson was proven at

The lesson that lists the labs gets their new goals. It is stale where a title, the minutes or the points changed.
A verdict or a cause that is another one is no question of words: it is printed, and its recording stays as it is.
A lesson whose code is another one stays as it is, too: its digest tells.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from html import escape
from pathlib import Path
from typing import Any

import msgspec
import yaml

from checker import recording
from checker.grading.grade import judge
from checker.grading.labs import Lab, LabSpec, all_labs, load_lab
from checker.model.catalogue import say
from checker.ui import causes_page
from checker.ui.cli import started
from checker.ui.report import TO_DO, text_report, word_with_symbol
from cluster import paths
from tests.explain.case import all_cases, explain_anew
from tests.proof import digests
from tests.proof.subjects import LESSON, lessons


def judge_anew(lab: Lab, path: Path) -> bool:
    """Write the words of today into a recording. False where more than words has changed."""
    state, recorded = recording.load(path)
    judged = [task.to_json() for task in judge(lab, state).tasks]
    same = [(t["id"], t["verdict"], t.get("cause")) for t in recorded] == [
        (t["id"], t["verdict"], t.get("cause")) for t in judged
    ]
    if same and judged != recorded:
        recording.write(path, json.loads(path.read_text()) | {"tasks": judged})
    return same


# What varies in a report: random names, counts of restarts, and what a recording leaves out of every namespace.
VARIES = re.compile(r"-(?:[0-9a-f]{5,10}-[a-z0-9]{5}|hash\d+-\w+)\b|\d+ restarts?|ConfigMap objects: [^ \n]+")


def lessons_with_lab() -> list[Path]:
    """The lessons that start a lab: all but 00."""
    return [path for path in lessons() if path.name[:2] in all_labs(drafts=True)]


def lessons_with_report() -> list[Path]:
    """The lessons that end in a report which a recording can give.

    Not 01: its lab asks the engine.
    """
    return [path for path in lessons_with_lab() if path.name[:2] >= "02"]


def last_report(path: Path) -> tuple[dict[str, Any], str]:
    """The notebook of a lesson, and what its last cell says of the lab that has only begun, in the words of today."""
    lab = load_lab(path.name[:2])
    begun, _ = recording.load(lab.folder / "recorded" / "setup.json")
    return json.loads(path.read_text()), text_report(judge(lab, begun))


def report_anew(path: Path) -> None:
    """Write the words of today into the last output of a lesson. Random names stay as they are there."""
    notebook, report = last_report(path)
    data = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"][-1]["outputs"][0]["data"]
    kept = VARIES.findall("".join(data["text/plain"]))
    waited = re.search(r"\n  Waited .*", "".join(data["text/plain"]))
    if len(kept) == len(VARIES.findall(report)):
        names = iter(kept)
        report = VARIES.sub(lambda found: next(names), report)
    advice = report.find("\n  For a hint:")
    at = advice if advice >= 0 else len(report)
    data["text/plain"] = (report[:at] + (waited[0] if waited else "") + report[at:]).splitlines(keepends=True)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def spec_of_then(commit: str, number: str) -> LabSpec | None:
    """The words of a lab at a commit; None where they cannot be read."""
    file = f"labs/{load_lab(number).folder.name}/lab.yaml"
    shown = subprocess.run(["git", "show", f"{commit}:{file}"], cwd=paths.COURSE, capture_output=True, check=False)
    try:
        return msgspec.convert(yaml.safe_load(shown.stdout), LabSpec) if shown.returncode == 0 else None
    except (yaml.YAMLError, msgspec.ValidationError):
        return None


def to_do(lab: Lab) -> str:
    """What the panel says before the first check, where there is no front end."""
    word = word_with_symbol(TO_DO, "to-do")
    title = say("report-title", lab=lab.number, title=lab.spec.title)
    return "\n".join([title, *(f"  {word}  {task.title}  0/{task.points}" for task in lab.spec.tasks)])


def with_words_of(notebook: dict[str, Any], then: Lab, now: Lab) -> bool:
    """Put a lab's words of today into a lesson: into what `start` and the panel say, and into the digest.

    notebook: its JSON; it is changed. Returns False, and changes nothing, where the lesson was not made from its code
    and the words of then, or where it does not hold these words.
    """
    about = notebook["metadata"].get(LESSON, {})
    if about.get("made_from") != digests.of_lesson(notebook, lambda number: then.spec):
        return False
    changes = {started(then, "learn"): started(now, "learn"), to_do(then): to_do(now)}
    found: list[tuple[dict[str, Any], str, str]] = []
    seen = set()
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            holder, key = (output["data"], "text/plain") if "text/plain" in output.get("data", {}) else (output, "text")
            text = "".join(holder.get(key, []))
            end = "\r\n" if "\r\n" in text else "\n"
            for old, new in changes.items():
                if old.replace("\n", end) in text:
                    seen.add(old)
                    found.append((holder, key, text.replace(old.replace("\n", end), new.replace("\n", end))))
    if seen != set(changes):
        return False
    for holder, key, text in found:
        holder[key] = text.splitlines(keepends=True)
    about["made_from"] = digests.of_lesson(notebook)
    return True


def lab_words_anew(path: Path, commit: str) -> bool:
    """Put a lab's words of today into its lesson. commit: where the words of then are. False where that cannot be."""
    notebook, now = json.loads(path.read_text()), load_lab(path.name[:2])
    if notebook["metadata"].get(LESSON, {}).get("made_from") == digests.of_lesson(notebook):
        return True
    then = spec_of_then(commit, now.number)
    if then is None or not with_words_of(notebook, Lab(now.number, now.folder, then), now):
        return False
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    return True


def with_goals_of(notebook: dict[str, Any], then: dict[str, LabSpec], now: dict[str, LabSpec]) -> bool:
    """Put the labs' goals of today into the lesson that lists the labs, and into its digest.

    notebook: its JSON; it is changed. then, now: the words of each lab, by its number. Returns False, and changes
    nothing, where the lesson was not made from its code and the words of then, or where more has changed than goals.
    """
    about = notebook["metadata"].get(LESSON, {})
    if about.get("made_from") != digests.of_lesson(notebook, then.__getitem__):
        return False
    goals = {number: (f"<br>{escape(then[number].goal)}", f"<br>{escape(now[number].goal)}") for number in then}
    pages = [output["data"] for cell in notebook["cells"] for output in cell.get("outputs", []) if "data" in output]
    lists = [(data, html) for data in pages if "<table>" in (html := "".join(data.get("text/html", [])))]
    with_goals_of_now = {number: msgspec.structs.replace(spec, goal=now[number].goal) for number, spec in then.items()}
    is_listed = bool(lists) and all(old in html for _, html in lists for old, _ in goals.values())
    if not is_listed or digests.of_lesson(notebook, with_goals_of_now.__getitem__) != digests.of_lesson(notebook):
        return False
    for data, html in lists:
        for old, new in goals.values():
            html = html.replace(old, new)
        data["text/html"] = html.splitlines(keepends=True)
    about["made_from"] = digests.of_lesson(notebook)
    return True


def goals_anew(path: Path, commit: str) -> bool:
    """Put the labs' goals of today into a lesson without a lab. commit: where the words of then are.

    Returns False where that cannot be.
    """
    notebook = json.loads(path.read_text())
    if notebook["metadata"].get(LESSON, {}).get("made_from") == digests.of_lesson(notebook):
        return True
    known = {number: spec_of_then(commit, number) for number in all_labs()}
    then = {number: spec for number, spec in known.items() if spec}
    if len(then) < len(known) or not with_goals_of(notebook, then, {n: load_lab(n).spec for n in then}):
        return False
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="make words")
    parser.add_argument("--since", default="HEAD")
    since = parser.parse_args().since
    labs = map(load_lab, all_labs(drafts=True))
    others = [
        path for lab in labs for path in sorted((lab.folder / "recorded").glob("*.json")) if not judge_anew(lab, path)
    ]
    unlike = [case.name for case in all_cases() if not explain_anew(case)]
    causes_page.PAGE.write_text(causes_page.page())
    stale = [path for path in lessons_with_lab() if not lab_words_anew(path, since)]
    stale += [path for path in lessons() if path not in lessons_with_lab() and not goals_anew(path, since)]
    for lesson in lessons_with_report():
        report_anew(lesson)
    for path in others:
        print(f"{path} is judged otherwise than it was: make prove LAB={path.parent.parent.name[:2]} CASE={path.stem}")
    for name in unlike:
        print(f"The case {name} is explained otherwise than it says: make prove EXPLAIN=1 CASE={name}")
    for path in stale:
        print(f"{path} has other code, or had other words than at {since}: make prove LESSON={path.name[:2]}")
    print("Read the difference: git diff")
    return int(bool(others or unlike))


if __name__ == "__main__":
    sys.exit(main())
