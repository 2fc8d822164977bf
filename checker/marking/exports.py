"""A class's report as files for other programs: nbgrader's CSV, and JSON in which each result is Gradescope's.

Sources: https://github.com/jupyter/nbgrader/blob/main/nbgrader/plugins/export.py (CsvExportPlugin) and
https://gradescope-autograders.readthedocs.io/en/latest/specs/ (Output format)
"""

from __future__ import annotations

import csv
import io
from typing import Any

from checker.grading.labs import Lab
from checker.marking.report import NOT_BEGUN, Cell, ClassReport, OfLab, Row, is_kept_back, time_text
from checker.model.catalogue import say
from cluster.versions import course_version

KIND = "kubeclass.dev/report"
FORMAT = 1
COLUMNS = (
    "assignment",
    "duedate",
    "timestamp",
    "student_id",
    "last_name",
    "first_name",
    "email",
    "raw_score",
    "late_submission_penalty",
    "score",
    "max_score",
)


def csv_of(report: ClassReport) -> str:
    """One line for each learner and lab, with nbgrader's columns.

    A learner who has not begun has score 0 and no timestamp, as nbgrader has it. The roster's whole name is in
    last_name: which part of a name is which cannot be told.
    """
    made = io.StringIO()
    lines = csv.DictWriter(made, COLUMNS, restval="", lineterminator="\n")
    lines.writeheader()
    for of_lab in report.labs:
        for row in of_lab.rows:
            lines.writerow(
                {
                    "assignment": of_lab.lab.folder.name,
                    "timestamp": report.time.strftime("%Y-%m-%d %H:%M:%S") if row.begun else "",
                    "student_id": row.id,
                    "last_name": _no_formula(row.name),
                    "raw_score": float(row.score),
                    "late_submission_penalty": 0.0,
                    "score": float(row.score),
                    "max_score": float(of_lab.max_score),
                }
            )
    return made.getvalue()


def _no_formula(text: str) -> str:
    """A name that a spreadsheet does not take for a formula.

    Source: https://owasp.org/www-community/attacks/CSV_Injection
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def json_of(report: ClassReport) -> dict[str, Any]:
    """The report by our schema (docs/class-report.schema.json)."""
    return {
        "kind": KIND,
        "format": FORMAT,
        "class": report.name,
        "time": time_text(report.time),
        "course": course_version(),
        "hides_names": report.hides_names,
        "labs": [_lab(of_lab) for of_lab in report.labs],
        "learners": [
            {
                "id": learner.id,
                "name": learner.name,
                "group": learner.group,
                "labs": {
                    of_lab.lab.number: results(report, of_lab, row)
                    for of_lab in report.labs
                    for row in of_lab.rows
                    if row.id == learner.id
                },
            }
            for learner in report.learners
        ],
        "notes": list(report.notes),
    }


def _lab(of_lab: OfLab) -> dict[str, Any]:
    spec = of_lab.lab.spec
    return {
        "lab": of_lab.lab.number,
        "title": spec.title,
        "max_score": of_lab.max_score,
        "learners": len(of_lab.rows),
        "begun": of_lab.begun,
        "tasks": [{"id": task.id, "title": task.title, "points": task.points} for task in spec.tasks],
        "causes": [
            {
                "cause": one.cause,
                "title": one.title,
                "lesson": one.lesson,
                "section": one.section,
                "learners": one.learners,
                "tasks": one.by_task,
            }
            for one in of_lab.causes
        ],
    }


def results(report: ClassReport, of_lab: OfLab, row: Row) -> dict[str, Any]:
    """What one learner has reached in one lab, in the shape of Gradescope's results.json."""
    return {
        "score": row.score,
        "output": say("marking-gradescope", lab=of_lab.lab.number, title=of_lab.lab.spec.title, name=report.name),
        "output_format": "text",
        "tests": [_test(cell, of_lab.lab, number, report.hides_names) for number, cell in enumerate(row.cells, 1)],
        "extra_data": {
            "class": report.name,
            "learner": row.id,
            "lab": of_lab.lab.number,
            "time": time_text(report.time),
            "begun": row.begun,
            "now_in": list(row.now_in),
        },
    }


def _test(cell: Cell, lab: Lab, number: int, hides_names: bool) -> dict[str, Any]:
    """Of a task that was not checked, `status` is left out: Gradescope knows only passed and failed."""
    task = next(task for task in lab.spec.tasks if task.id == cell.task)
    known = cell.verdict.verdict if cell.verdict else ""
    status = {"status": known} if known in ("passed", "failed") else {}
    told = cell.verdict if cell.verdict and not is_kept_back(cell.verdict, hides_names) else None
    return {
        "score": cell.points,
        "max_score": task.points,
        **status,
        "name": task.title,
        "number": str(number),
        "output": output_of(cell, lab, hides_names),
        "output_format": "text",
        "tags": [told.cause] if told and told.cause else [],
        "extra_data": {
            "task": cell.task,
            "verdict": known or ("unknown" if cell.word == "unknown" else NOT_BEGUN),
            "in_progress": bool(cell.verdict and cell.verdict.in_progress),
        },
    }


def output_of(cell: Cell, lab: Lab, hides_names: bool) -> str:
    """The verdict's word, and its evidence."""
    evidence = evidence_of(cell, lab, hides_names)
    return f"{say(f'word-{cell.word}')}{f': {evidence}' if evidence else ''}"


def evidence_of(cell: Cell, lab: Lab, hides_names: bool) -> str:
    """Why a task did not pass; empty for one that passed, and for one that is not begun.

    Where names are hidden it is only the cause's title, because evidence may hold names.
    """
    if not cell.verdict or not cell.verdict.cause:
        return ""
    if is_kept_back(cell.verdict, hides_names):
        return say("report-find-out")
    title = lab.causes[cell.verdict.cause].title if cell.verdict.cause in lab.causes else cell.verdict.cause
    return title if hides_names else cell.verdict.message or title
