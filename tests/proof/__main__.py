"""`make prove`: produce cases, lessons and explanations on the real cluster, record them, and say how it went.

make prove                          all that is stale
make prove LAB=07 [CASE=typo]       a lab, or one case of it, also a draft's
make prove LESSON=07                a lesson, also a draft
make prove EXPLAIN=1 [CASE=quota]   what `kubeclass explain` finds
make prove FAILED=1                 what failed when it was last tried
make prove ALL=1                    everything but drafts
… TIMES=5                           that often: what passes now and then is a race in the course
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

from checker.grading.labs import load_lab
from checker.ui import causes_page
from tests.proof import table
from tests.proof.subjects import Subject, all_subjects


def chosen(options: argparse.Namespace, subjects: list[Subject]) -> list[Subject]:
    """What is to be proven. Ends the program where something is asked for that is not there."""
    groups = {f"lab {n.zfill(2)}" for n in options.lab} | {f"lesson {n.zfill(2)}" for n in options.lesson}
    groups |= {"explain"} if options.explain else set()
    if unknown := groups - {subject.group for subject in subjects}:
        sys.exit(f"There is no {' and no '.join(sorted(unknown))}.")
    if groups:
        found = [s for s in subjects if s.group in groups and (not options.case or s.name in options.case)]
        if missing := set(options.case) - {s.name for s in found}:
            names = ", ".join(s.name for s in subjects if s.group in groups)
            sys.exit(f"There is no case {' and none '.join(sorted(missing))} there. The cases are: {names}")
        return found
    if options.failed:
        failed = table.failed_last(table.read())
        return [s for s in subjects if (s.group, s.name) in failed]
    return [s for s in subjects if not s.draft and (options.all or s.is_stale)]


def run(subjects: list[Subject], workers: int) -> tuple[dict[str, tuple[bool, float]], dict[str, list[str]]]:
    """Let pytest produce these.

    Returns, by pytest's name of each test, whether it passed and the seconds; and the commands in verdicts that showed
    nothing.
    """
    with tempfile.TemporaryDirectory() as work:
        names, report = Path(work) / "names", Path(work) / "report.xml"
        names.write_text("\n".join(subject.test for subject in subjects) + "\n")
        words = [
            "-q",
            "--no-header",
            "--record",
            "-n",
            str(min(workers, len(subjects))),
            "--dist",
            "loadgroup",
            "--no-loadscope-reorder",
        ]
        subprocess.run([sys.executable, "-m", "pytest", f"--junitxml={report}", *words, f"@{names}"], check=False)
        return (outcomes(report), blank_looks(report)) if report.exists() else ({}, {})


def outcomes(report: Path) -> dict[str, tuple[bool, float]]:
    """What a JUnit report of pytest's says, by the names that pytest itself takes."""
    found: dict[str, tuple[bool, float]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        test = _test_of(case)
        passed, seconds = found.get(test, (True, 0.0))
        broken = case.find("failure") is not None or case.find("error") is not None
        found[test] = (passed and not broken, seconds + float(case.get("time", 0)))
    return found


def blank_looks(report: Path) -> dict[str, list[str]]:
    """The commands in verdicts that failed or printed nothing, by pytest's name of each test."""
    found: dict[str, list[str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        looks = [str(p.get("value")) for p in case.iter("property") if p.get("name") == table.BLANK_LOOK]
        if looks:
            found[_test_of(case)] = looks
    return found


def _test_of(case: ElementTree.Element) -> str:
    return f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name', '').partition('@')[0]}"


def needs_metrics(subject: Subject) -> bool:
    """Whether a case is one of a lab that needs metrics-server."""
    what, _, number = subject.group.partition(" ")
    return what == "lab" and load_lab(number).spec.needs.metrics


def parser() -> argparse.ArgumentParser:
    """The options. One that takes names may stand several times, and each time with several names."""
    made = argparse.ArgumentParser(
        prog="python -m tests.proof",
        description="Produce cases, lessons and explanations on the real cluster, and record them. Without an option: "
        "all that is stale.",
        epilog="Several cases: --case typo port, or --case typo --case port.",
    )
    helps = {
        "lab": "the number of a lab, also of a draft",
        "lesson": "the number of a lesson, also of a draft",
        "case": "only these cases of the labs that are named, or of --explain",
    }
    for name, words in helps.items():
        made.add_argument(f"--{name}", nargs="+", action="extend", default=[], metavar=name.upper(), help=words)
    made.add_argument("--explain", action="store_true", help="what `kubeclass explain` finds")
    made.add_argument("--failed", action="store_true", help="what failed when it was last tried")
    made.add_argument("--all", action="store_true", help="everything but drafts")
    made.add_argument("--times", type=int, default=1, help="how often; what fails now and then is a race in the course")
    made.add_argument("--workers", type=int, default=3, help="how many cases run side by side (default: %(default)s)")
    return made


def main() -> int:
    options = parser().parse_args()

    subjects = chosen(options, all_subjects())
    if not subjects:
        print("Nothing to prove: every recording is of what is there. (Everything anew: make prove ALL=1)")
        return 0
    print(f"To prove on the real cluster: {len(subjects)}. A case takes about 20 s, a lesson some minutes.", flush=True)
    home, begin, failed = Path.home() / ".kubeclass-test", time.monotonic(), False
    # Those of tests/conftest.py. The second one is made now, and not when its first test comes: tests cannot run while
    # a cluster is being made.
    metrics = ["--metrics"] if any(needs_metrics(subject) for subject in subjects) else []
    for cluster in ("kubeclass-test", *(["kubeclass-solo"] if any(subject.alone for subject in subjects) else [])):
        own = {"KUBECLASS_HOME": str(home), "KUBECLASS_CLUSTER": cluster}
        command = [sys.executable, "-m", "checker.ui.cli", "up", *metrics]
        up = subprocess.run(command, env={**os.environ, **own}, check=False)
        if up.returncode:
            return up.returncode
    for _ in range(options.times):
        seen, blank = run(subjects, options.workers)
        data = table.read()
        table.note(data, subjects, seen, date.today().isoformat(), options.workers, blank)
        table.without_strangers(data, all_subjects())
        table.write(data)
        failed = failed or any(not seen.get(s.test, (False, 0.0))[0] for s in subjects)
    causes_page.PAGE.write_text(causes_page.page())  # its examples are taken from recordings
    print(f"\n{table.page(table.read())}")
    print(f"{len(subjects)} in {(time.monotonic() - begin) / 60:.0f} min. Recordings and docs/ are to be committed.")
    if failed:
        print(f"Some failed; what was seen is in {home / 'failed'}. Those again: make prove FAILED=1")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
