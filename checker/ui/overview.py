"""The course as a whole, for its start page and `kubeclass progress`.

It lists every lab, how far the learner is with it, and what is next.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape

from checker.classroom.needs import fitted, left_out_here
from checker.classroom.target import target
from checker.grading.labs import all_labs, load_lab
from checker.model.catalogue import say
from checker.ui import copies, progress
from checker.ui.predict.questions import questions
from checker.ui.study import page_of
from cluster import paths, up_progress


@dataclass(frozen=True)
class Row:
    """A lesson with its lab. page: the lesson's file, "" where it is a draft.

    goal: what the lesson and the lab teach. minutes: the time that both take. best: points, of max_score.
    seconds: the time spent at the lab without pauses. passed_at: ISO 8601, UTC.
    predicted: how many predictions the learner has made, of the `predictions` that the lesson asks for.
    """

    lab: str
    title: str
    page: str
    goal: str
    minutes: int
    max_score: int
    best: int = 0
    checks: int = 0
    seconds: int = 0
    passed_at: str | None = None
    not_here: str = ""
    predicted: int = 0
    predictions: int = 0

    @property
    def predicted_of(self) -> str:
        """How many predictions were made of how many; "" where none was made."""
        return say("progress-predictions", made=self.predicted, asked=self.predictions) if self.predicted else ""

    @property
    def status(self) -> tuple[str, str]:
        """A symbol and the word for it, in the chosen language."""
        if self.not_here:
            return "–", say("word-not-in-class", reason=self.not_here)
        if self.passed_at:
            return "✔", say("word-passed")
        if self.checks or self.best or self.seconds:
            return "…", say("word-started")
        return "·", say("word-to-do")

    @property
    def takes(self) -> str:
        return say("progress-minutes", minutes=self.minutes)

    @property
    def time(self) -> str:
        return say("progress-minutes", minutes=max(1, round(self.seconds / 60))) if self.seconds else ""


START = "00"  # the one lesson without a lab; another author's course may not have it
START_MINUTES = 25


class Course:
    """What `course()` returns: a table with links in a notebook, text in a terminal."""

    def __init__(self) -> None:
        cluster = target()
        self.underway = up_progress.describe(cluster) if cluster.kind == "own" else ""
        self.newer = copies.newer_files(paths.folder())
        kept = progress.read()["labs"]
        labs = [fitted(load_lab(number), cluster) for number in all_labs()]
        missing = left_out_here(labs, cluster)
        self.rows = [
            Row(
                number,
                text.title,
                page_of(number),
                text.goal,
                text.minutes,
                0 if number in missing else sum(task.points for task in text.tasks),
                not_here=say(missing[number]) if number in missing else "",
                predicted=len(progress.predictions(number).keys() & set(questions().get(number, []))),
                predictions=len(questions().get(number, [])),
                **{
                    name: kept[number][name]
                    for name in ("best", "checks", "seconds", "passed_at")
                    if name in kept.get(number, {})
                },
            )
            for number, text in ((lab.number, lab.spec) for lab in labs)
        ]

    @property
    def following(self) -> Row | None:
        """The first lab that is not passed."""
        return next((row for row in self.rows if not row.passed_at and not row.not_here), None)

    def to_json(self) -> dict[str, list[dict[str, object]]]:
        return {"labs": [asdict(row) for row in self.rows]}

    def _total(self) -> str:
        passed = sum(bool(row.passed_at) for row in self.rows)
        points, of = sum(min(row.best, row.max_score) for row in self.rows), sum(row.max_score for row in self.rows)
        spent = round(sum(row.seconds for row in self.rows) / 60)
        hours = say("progress-hours", hours=spent // 60, minutes=spent % 60)
        time = hours if spent >= 60 else say("progress-minutes", minutes=spent) if spent else ""
        return say("progress-total", passed=passed, labs=len(self.rows), points=points, max_points=of, spent=time)

    def _next(self) -> str:
        """What to do next, in a sentence; "" for a course without labs."""
        following = self.following
        if not following:
            return say("progress-all-passed") if self.rows else ""
        if following.page:
            return say("progress-next-lesson", lab=following.lab, page=following.page)
        return say("progress-next-lab", lab=following.lab)

    def _of_newer_files(self) -> dict[str, str]:
        """What to tell about each of the course's files that lies beside one of the learner's."""
        told = {}
        for file, newer in sorted(self.newer.items()):
            told[newer] = say("progress-newer", file=file, newer=newer)
            if page_of(file):
                told[newer] += " " + say("progress-newer-reset", lesson=file[:2])
        return told

    def __repr__(self) -> str:
        title, minutes = say("progress-start-title"), say("progress-minutes", minutes=START_MINUTES)
        wide = max([6, *(len(row.status[1]) for row in self.rows)])
        width = max([len(title), *(len(row.title) for row in self.rows)])
        lab, lesson, takes, points, spent = (
            say(f"progress-{name}") for name in ("lab", "lesson", "takes", "points", "spent")
        )
        lines = [
            f"{lab:{2 + wide}}  {lesson:{4 + width}}  {takes:6}  {points:5} {spent:>7}",
            *([f"{'':{2 + wide}}  {START}  {title:{width}}  {minutes}"] if page_of(START) else []),
        ]
        for row in self.rows:
            symbol, word = row.status
            reached = f"{row.best}/{row.max_score}"
            line = f"{symbol} {word:{wide}}  {row.lab}  {row.title:{width}}  {row.takes}  {reached:>5}  {row.time:>7}"
            lines.append(f"{line}  {row.predicted_of}".rstrip())
        newer = self._of_newer_files().values()
        return "\n".join([*lines, self._total(), *filter(None, [self._next()]), *newer, *filter(None, [self.underway])])

    def _repr_html_(self) -> str:
        following = self.following
        bold = ' style="font-weight: bold"'
        title, goal = say("progress-start-title"), say("progress-start-goal")
        takes = escape(say("progress-minutes", minutes=START_MINUTES))
        about = _about(page_of(START), title, goal)
        rows = f"<tr><td>{START}</td>{about}<td>{takes}</td><td></td><td></td><td></td></tr>" if page_of(START) else ""
        marked = f" {escape(say('progress-next'))}"
        rows += "".join(
            f"<tr{bold if row is following else ''}><td>{row.lab}</td>"
            f"{_about(row.page, row.title, row.goal, row.predicted_of)}"
            f"<td>{escape(row.takes)}</td>"
            f'<td style="text-align: left">{escape(" ".join(row.status))}{marked if row is following else ""}</td>'
            f"<td>{row.best}/{row.max_score}</td><td>{escape(row.time)}</td></tr>"
            for row in self.rows
        )
        heads = "".join(
            f'<th scope="col" style="text-align: left">{escape(say(f"progress-{name}"))}</th>'
            for name in ("lesson", "about", "takes", "its-lab", "points", "spent")
        )
        underway = f"<p><b>{escape(self.underway)}</b></p>" if self.underway else ""
        table = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        newer = "".join(
            f"<p>{escape(sentence).replace(escape(file), _link(file))}</p>"
            for file, sentence in self._of_newer_files().items()
        )
        return f"{underway}{newer}{table}<p>{escape(self._total())}</p>"


def _about(page: str, title: str, goal: str, predicted: str = "") -> str:
    name = f'<a href="{page}">{escape(title)}</a>' if page else escape(title)
    more = f"<br>{escape(predicted)}" if predicted else ""
    return f'<td style="text-align: left">{name}<br>{escape(goal)}{more}</td>'


def _link(file: str) -> str:
    return f'<a href="{escape(file)}">{escape(file)}</a>'


def course() -> Course:
    """Where you are in the course."""
    return Course()
