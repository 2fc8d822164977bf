"""`make words`: after a message was reworded, put the new words into the recordings, for which no cluster is needed.

A verdict or a cause that is another one is no question of words: it is told, and its recording stays as it is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from checker import recording
from checker.grading.grade import judge
from checker.grading.labs import Lab, all_labs, load_lab
from checker.ui import causes_page
from tests.explain.case import all_cases, explain_anew


def judge_anew(lab: Lab, path: Path) -> bool:
    """Write the words of today into a recording. False where more than words has changed."""
    state, told = recording.load(path)
    judged = [task.to_json() for task in judge(lab, state).tasks]
    same = [(t["id"], t["verdict"], t.get("cause")) for t in told] == [(t["id"], t["verdict"], t.get("cause")) for t in judged]  # fmt: skip
    if same and judged != told:
        recording.write(path, json.loads(path.read_text()) | {"tasks": judged})
    return same


def main() -> int:
    labs = map(load_lab, all_labs(drafts=True))
    others = [path for lab in labs for path in sorted((lab.folder / "recorded").glob("*.json")) if not judge_anew(lab, path)]  # fmt: skip
    unlike = [case.name for case in all_cases() if not explain_anew(case)]
    causes_page.PAGE.write_text(causes_page.page())
    for path in others:
        print(f"{path} is judged otherwise than it was: make prove LAB={path.parent.parent.name[:2]} CASE={path.stem}")
    for name in unlike:
        print(f"The case {name} is explained otherwise than it says: make prove EXPLAIN=1 CASE={name}")
    print("Read the difference: git diff")
    return int(bool(others or unlike))


if __name__ == "__main__":
    sys.exit(main())
