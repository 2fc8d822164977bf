"""`make words`: after a message was reworded, put the new words into the recordings, for which no cluster is needed.

A verdict or a cause that is another one is no question of words: it is printed, and its recording stays as it is.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from checker import recording
from checker.grading.grade import judge
from checker.grading.labs import Lab, all_labs, load_lab
from checker.ui import causes_page
from checker.ui.report import text_report
from tests.explain.case import all_cases, explain_anew
from tests.proof.subjects import lessons


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


def lessons_with_report() -> list[Path]:
    """The lessons that end in a report which a recording can give.

    Not 01: its lab asks the engine.
    """
    return [path for path in lessons() if path.name[:2] >= "02"]


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


def main() -> int:
    labs = map(load_lab, all_labs(drafts=True))
    others = [
        path for lab in labs for path in sorted((lab.folder / "recorded").glob("*.json")) if not judge_anew(lab, path)
    ]
    unlike = [case.name for case in all_cases() if not explain_anew(case)]
    causes_page.PAGE.write_text(causes_page.page())
    for lesson in lessons_with_report():
        report_anew(lesson)
    for path in others:
        print(f"{path} is judged otherwise than it was: make prove LAB={path.parent.parent.name[:2]} CASE={path.stem}")
    for name in unlike:
        print(f"The case {name} is explained otherwise than it says: make prove EXPLAIN=1 CASE={name}")
    print("Read the difference: git diff")
    return int(bool(others or unlike))


if __name__ == "__main__":
    sys.exit(main())
