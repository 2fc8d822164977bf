"""A class's report as one HTML file, which asks no network: learners × tasks, and the causes by how many have them.

It has no script. Tables have captions, and headers with a scope. What is wider than the window scrolls, by keyboard
too.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from checker.marking.exports import evidence_of
from checker.marking.report import NOT_BEGUN, CauseCount, Cell, ClassReport, OfLab, Row, time_text
from checker.model.catalogue import say
from checker.ui.report import SYMBOL, TO_DO, WAITING
from cluster.language import language

HERE = Path(__file__).parent
SYMBOLS = {**SYMBOL, "waiting": WAITING, NOT_BEGUN: TO_DO}
# The file may load and run nothing but its own style. Source: https://www.w3.org/TR/CSP3/
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def style(path: Path) -> str:
    """The style sheet of a page with marks: what all share (marks_base.css), and its own."""
    return (HERE / "marks_base.css").read_text() + path.read_text()


def html_of(report: ClassReport) -> str:
    """The whole file."""
    shown_as = style(HERE / "marks_page.css")
    title = escape(say("marking-page-title", name=report.name))
    labs = "".join(_lab(report, one) for one in report.labs) or _paragraph(say("marking-page-nothing"))
    return (
        f'<!doctype html>\n<html lang="{escape(language())}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{shown_as}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
        f"{_paragraph(say('marking-page-time', time=time_text(report.time), learners=len(report.learners)))}"
        f"{_notes(report.notes)}{_contents(report)}{labs}</main>\n</body>\n</html>\n"
    )


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>\n"


def _notes(notes: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    head = escape(say("marking-page-notes"))
    return f'<section class="notes" aria-label="{head}"><h2>{head}</h2><ul>{items}</ul></section>\n' if items else ""


def _contents(report: ClassReport) -> str:
    if len(report.labs) < 2:
        return ""
    links = "".join(f'<li><a href="#lab-{one.lab.number}">{escape(_title(one))}</a></li>' for one in report.labs)
    return f'<nav aria-label="{escape(say("marking-page-labs"))}"><ul>{links}</ul></nav>\n'


def _title(of_lab: OfLab) -> str:
    return say("marking-page-lab", lab=of_lab.lab.number, title=of_lab.lab.spec.title)


def _lab(report: ClassReport, of_lab: OfLab) -> str:
    number = of_lab.lab.number
    begun = say("marking-page-begun", begun=of_lab.begun, learners=len(of_lab.rows))
    return (
        f'<section id="lab-{number}" aria-labelledby="title-{number}">\n'
        f'<h2 id="title-{number}">{escape(_title(of_lab))}</h2>\n{_paragraph(begun)}'
        f"{_causes(of_lab)}{_learners(report, of_lab)}</section>\n"
    )


def _table(id: str, caption: str, kind: str, head: Iterable[str], rows: Iterable[str]) -> str:
    """A table in a part of the page that scrolls. head: HTML of the header's cells. rows: HTML of each row's."""
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'<div class="wide" role="region" tabindex="0" aria-labelledby="{id}">\n<table class="{kind}">\n'
        f'<caption id="{id}">{escape(caption)}</caption>\n<thead><tr>{"".join(head)}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table>\n</div>\n"
    )


def _column(text: str) -> str:
    return f'<th scope="col">{escape(text)}</th>'


def _causes(of_lab: OfLab) -> str:
    if not of_lab.causes:
        return ""
    tasks = of_lab.lab.spec.tasks
    head = [
        _column(say("marking-page-cause")),
        *(_column(task.title) for task in tasks),
        _column(say("marking-page-lesson")),
    ]
    rows = []
    for one in of_lab.causes:
        words = say("marking-page-of", learners=one.learners, of=of_lab.begun, title=one.title)
        counts = "".join(_heat(one.by_task.get(task.id, 0), of_lab.begun) for task in tasks)
        rows.append(f'<th scope="row">{escape(words)}</th>{counts}<td>{escape(_lesson(one))}</td>')
    return _table(
        f"causes-{of_lab.lab.number}", say("marking-page-causes", lab=of_lab.lab.number), "causes", head, rows
    )


def _lesson(one: CauseCount) -> str:
    return say("watch-lesson", lesson=one.lesson, section=one.section) if one.lesson else ""


def _heat(count: int, of: int) -> str:
    share = round(100 * count / of) if of else 0
    return f'<td class="count hot" style="--share: {share}%">{count}</td>' if count else '<td class="count">0</td>'


def _learners(report: ClassReport, of_lab: OfLab) -> str:
    named = any(row.name for row in of_lab.rows)
    grouped = any(row.group for row in of_lab.rows)
    head = [
        _column(say("marking-page-learner")),
        *([_column(say("marking-page-name"))] if named else []),
        *([_column(say("marking-page-group"))] if grouped else []),
        *(_column(say("marking-page-task", title=task.title, points=task.points)) for task in of_lab.lab.spec.tasks),
        _column(say("marking-page-points", points=of_lab.max_score)),
        _column(say("marking-page-now")),
    ]
    rows = [
        f'<th scope="row">{escape(row.id)}</th>'
        + (f"<td>{escape(row.name)}</td>" if named else "")
        + (f"<td>{escape(row.group)}</td>" if grouped else "")
        + "".join(_cell(report, of_lab, row, cell) for cell in row.cells)
        + f'<td class="count">{row.score}</td><td>{escape(_now(of_lab, row))}</td>'
        for row in of_lab.rows
    ]
    return _table(
        f"learners-{of_lab.lab.number}", say("marking-page-learners", lab=of_lab.lab.number), "learners", head, rows
    )


def _now(of_lab: OfLab, row: Row) -> str:
    return ", ".join([*([of_lab.lab.number] if row.begun else []), *row.now_in])


def _cell(report: ClassReport, of_lab: OfLab, row: Row, cell: Cell) -> str:
    points = next(task.points for task in of_lab.lab.spec.tasks if task.id == cell.task)
    word = (
        f'<span class="word"><span aria-hidden="true">{SYMBOLS[cell.word]}</span> {escape(say(f"word-{cell.word}"))}'
        f"</span> {cell.points}/{points}"
    )
    why = evidence_of(cell, of_lab.lab, report.hides_names) or ("" if report.hides_names else row.why)
    shown = f"<details><summary>{word}</summary><p>{escape(why)}</p></details>" if why else word
    return f'<td class="{cell.word}">{shown}</td>'
