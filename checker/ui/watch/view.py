"""What is on the teacher's page, as plain data: the facts of `class report`, and what only a live page can tell.

All sentences are made here, times too. So the page needs no clock, and one that differs changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from checker.classroom.hand import Hand
from checker.classroom.roster import Learner as Enrolled
from checker.collect.collect import look
from checker.diagnosis.explain import explained
from checker.marking.live_class import Course, LiveClass
from checker.marking.report import OfLab, Row, is_kept_back, numbered, report_of, time_text
from checker.model.catalogue import say, texts
from checker.model.verdict import Verdict
from checker.ui.marks_page import SYMBOLS
from checker.ui.panel import lab_view
from checker.ui.picture.drawing import Places, laid_out
from checker.ui.picture.scene import scene
from checker.ui.study import page_of

View = dict[str, Any]
MOVES = 120.0  # seconds since a learner changed something, as long as the page says that the learner moves
LONGEST = 300  # characters of a learner's own words in one sentence
MERGED = ("labs", "rows")  # parts of a view of which a change holds only the entries that differ


def view_of(live: LiveClass, roster: Iterable[Enrolled] = ()) -> View:
    """The whole page. `labs` by their number; `rows` by lab and learner. roster: names and groups, where one is named.

    A row has an `alias` to be shown where names are hidden; then nothing is shown that a learner is to find out.
    """
    name, seen, courses, hands = live.record.name, live.seen(), live.courses(), live.hands()
    roster = list(roster)
    open_report, hidden = (report_of(name, seen, roster, hide) for hide in (False, True))
    aliases = numbered(name, sorted({*(one.id for one in roster), *(one.id for one in seen.learners)}))
    causes_hidden = {of_lab.lab.number: _causes(of_lab) for of_lab in hidden.labs}
    homes = {learner.home: learner.id for learner in seen.learners}
    up = {homes[hand.home]: hand for hand in hands if hand.home in homes}
    rows = {}
    for of_lab in open_report.labs:
        for row in of_lab.rows:
            course = courses.get((row.id, of_lab.lab.number))
            rows[f"{of_lab.lab.number}/{row.id}"] = {
                **_row(of_lab, row, course, seen.time),
                "alias": aliases[row.id],
                "hand": row.id in up,
                "cells": _cells(of_lab, row, is_pending=not row.begun and of_lab.lab.number in seen.now_in[row.id]),
            }
    away, waiting = live.away, live.waiting()
    status = say("watch-away", why=away) if away else ""
    if not away and not live.is_complete:
        status = say("watch-listing")
    elif not away and waiting:
        status = say("watch-judging", waiting=waiting)
    return {
        "away": bool(away),
        "status": status,
        "summary": say("watch-summary", learners=len(seen.learners), hands=len(up)),
        "notes": [note[:LONGEST] for note in open_report.notes],
        "labs": {of_lab.lab.number: _lab(of_lab, causes_hidden[of_lab.lab.number]) for of_lab in open_report.labs},
        "rows": rows,
        "hands": [_hand(number, id, aliases[id], hand, seen.time) for number, (id, hand) in enumerate(up.items(), 1)],
        "nobody": "" if open_report.labs else say("watch-nobody-begun" if seen.learners else "watch-no-learner"),
    }


def whole(view: View, name: str) -> View:
    """A view with what never changes: for a page that has just been opened, or was away."""
    return {**view, "class": name, "title": say("watch-title", name=name), "texts": texts("watch-", "marking-page-")}


def change(before: View, after: View) -> View:
    """What a page that shows `before` needs to show `after`: empty where they are the same. gone: keys of `rows`."""
    found: View = {name: part for name, part in after.items() if name not in MERGED and part != before.get(name)}
    for name in MERGED:
        if differ := {key: one for key, one in after[name].items() if one != before[name].get(key)}:
            found[name] = differ
        if gone := sorted(before[name].keys() - after[name].keys()):
            found[f"{name}_gone"] = gone
    return found


def _lab(of_lab: OfLab, causes_hidden: list[View]) -> View:
    spec = of_lab.lab.spec
    return {
        "number": of_lab.lab.number,
        "title": say("marking-page-lab", lab=of_lab.lab.number, title=spec.title),
        "begun": say("marking-page-begun", begun=of_lab.begun, learners=len(of_lab.rows)),
        "number_begun": of_lab.begun,
        "max_score": of_lab.max_score,
        "points": say("marking-page-points", points=of_lab.max_score),
        "caption": say("marking-page-learners", lab=of_lab.lab.number),
        "causes_caption": say("marking-page-causes", lab=of_lab.lab.number),
        "tasks": [
            {"id": task.id, "title": say("marking-page-task", title=task.title, points=task.points)}
            for task in spec.tasks
        ],
        "causes": _causes(of_lab),
        "causes_hidden": causes_hidden,
    }


def _causes(of_lab: OfLab) -> list[View]:
    known = of_lab.lab.causes
    return [
        {
            "cause": one.cause,
            "words": say("marking-page-of", learners=one.learners, of=of_lab.begun, title=one.title),
            "share": round(100 * one.learners / of_lab.begun) if of_lab.begun else 0,
            "counts": [one.by_task.get(task.id, 0) for task in of_lab.lab.spec.tasks],
            "meaning": known[one.cause].meaning if one.cause in known else "",
            "lesson": say("watch-lesson", lesson=one.lesson, section=one.section) if page_of(one.lesson) else "",
            "address": f"lesson?{urlencode({'lesson': one.lesson, 'section': one.section})}" if one.section else "",
        }
        for one in of_lab.causes
    ]


def _row(of_lab: OfLab, row: Row, course: Course | None, now: datetime) -> View:
    stuck = _stuck(row) if row.begun and row.score < of_lab.max_score else None
    minutes = _minutes(course.since, now) if course else 0
    at_least = "" if course and course.watched else say("watch-at-least")
    since = say("watch-since", at_least=at_least, minutes=minutes) if course else ""
    moved = course.moved if course else None
    moves = moved is not None and (now - moved).total_seconds() < MOVES
    quiet = say("watch-quiet", minutes=_minutes(moved, now)) if moved else ""
    return {
        "id": row.id,
        "name": row.name,
        "group": row.group,
        "lab": of_lab.lab.number,
        "begun": row.begun,
        "score": row.score,
        "now": ", ".join([*([of_lab.lab.number] if row.begun else []), *row.now_in]),
        "why": row.why[:LONGEST],
        "moves": moves,
        "activity": say("watch-moves") if moves else quiet,
        "stuck": say("watch-stuck", since=since, title=_title(of_lab, stuck)) if stuck else "",
        "stuck_hidden": say("watch-stuck", since=since, title=_hidden_title(of_lab, stuck)) if stuck else "",
        "stuck_minutes": minutes if stuck else -1,
    }


def _minutes(since: datetime, now: datetime) -> int:
    return max(0, int((now - since).total_seconds() // 60))


def _stuck(row: Row) -> Verdict | None:
    """The first task that failed, and where none failed, the first that could not be checked."""
    verdicts = [cell.verdict for cell in row.cells if cell.verdict]
    ordered = [one for word in ("failed", "unknown") for one in verdicts if one.verdict == word]
    return next(iter(ordered), None)


def _title(of_lab: OfLab, verdict: Verdict) -> str:
    known = of_lab.lab.causes.get(verdict.cause)
    return known.title if known else verdict.cause


def _hidden_title(of_lab: OfLab, verdict: Verdict) -> str:
    return say("report-find-out") if is_kept_back(verdict, hides_names=True) else _title(of_lab, verdict)


def _cells(of_lab: OfLab, row: Row, is_pending: bool) -> list[View]:
    """is_pending: the lab is begun, and was not judged yet."""
    worth = {task.id: task.points for task in of_lab.lab.spec.tasks}
    words = [(cell, "waiting" if is_pending else cell.word) for cell in row.cells]
    return [
        {
            "word": word,
            "symbol": SYMBOLS[word],
            "shown": say(f"word-{word}"),
            "points": f"{cell.points}/{worth[cell.task]}",
        }
        for cell, word in words
    ]


def _hand(number: int, id: str, alias: str, hand: Hand, now: datetime) -> View:
    minutes = _minutes(hand.since, now)
    return {
        "learner": id,
        "alias": alias,
        "uid": hand.uid,
        "since": time_text(hand.since),
        "words": say("watch-hand", number=number, learner=id, minutes=minutes),
        "words_hidden": say("watch-hand", number=number, learner=alias, minutes=minutes),
    }


# -- one learner ------------------------------------------------------------------------------------------------------


def panel_view(live: LiveClass, id: str, number: str) -> View | None:
    """A learner's panel as the learner sees it; None where the learner is not in that lab.

    The teacher reads also what the learner is to find out. Hints are not shown: they are on the learner's machine.
    """
    found = live.look(id, number)
    if not found:
        return None
    place = found.learner.place_of(found.lab)
    tasks = found.lab.tasks(place, found.learner.home)
    known = {verdict.root for verdict in found.result.tasks} if found.result else set()
    view = lab_view(found.lab, tasks, found.result, place, known, {}, {})
    for task in view["tasks"]:
        task["more_hints"] = False
        task["text"] = str(task["text"])
        for part in ("message", "expected", "observed", "look", "seen"):
            if part in task:
                task[part] = str(task[part])[: 4 * LONGEST]
    return view


def picture_view(live: LiveClass, id: str, number: str, places: Places) -> View | None:
    """The picture of a learner's namespace; None where the learner is not in that lab.

    places: of the picture that was drawn before. It asks the cluster. Raises Problem where it does not answer.
    """
    found = live.look(id, number)
    if not found or live.away:
        return None
    state = look(
        found.learner.place_of(found.lab),
        live.state(found.learner, found.lab),
        live.api,
        found.lab.namespaces(found.learner.place_of(found.lab)).values(),
    )
    drawn = laid_out(scene(state, explained(state)), places)
    return {**drawn, "away": "", "texts": texts("picture-", "widget-")}
