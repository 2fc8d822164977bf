"""The course as a whole, for its start page and `kubeclass progress`: every lab, how far the learner is with it, and what is next."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape

from checker.grading.labs import all_labs, load_lab
from checker.ui import progress
from checker.ui.study import page_of
from cluster import current, up_progress


@dataclass(frozen=True)
class Row:
    """A lesson with its lab. page: the lesson's file, "" where it is a draft. goal, minutes: what both give and take. best: points, of
    max_score. seconds: spent at it, pauses not counted. passed_at: ISO 8601, UTC."""

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

    @property
    def status(self) -> tuple[str, str]:
        """A symbol and the word for it."""
        if self.passed_at:
            return "✔", "passed"
        return ("…", "begun") if self.checks or self.best or self.seconds else ("·", "to do")

    @property
    def time(self) -> str:
        return f"{max(1, round(self.seconds / 60))} min" if self.seconds else ""


START = "00"  # the one lesson without a lab
ABOUT_START = ("Start here", "Your machine, your cluster, and how to talk to it.", 15)


class Course:
    """What `course()` returns: a table with links in a notebook, text in a terminal."""

    def __init__(self) -> None:
        self.underway = up_progress.describe(current())
        kept = progress.read()["labs"]
        self.rows = [
            Row(
                number, text.title, page_of(number), text.goal, text.minutes, sum(task.points for task in text.tasks),
                **{name: kept[number][name] for name in ("best", "checks", "seconds", "passed_at") if name in kept.get(number, {})},
            )
            for number in all_labs() for text in [load_lab(number).text]
        ]  # fmt: skip

    @property
    def following(self) -> Row | None:
        """The first lab that is not passed."""
        return next((row for row in self.rows if not row.passed_at), None)

    def to_json(self) -> dict[str, list[dict[str, object]]]:
        return {"labs": [asdict(row) for row in self.rows]}

    def _total(self) -> str:
        passed = sum(bool(row.passed_at) for row in self.rows)
        points, of = sum(row.best for row in self.rows), sum(row.max_score for row in self.rows)
        spent = round(sum(row.seconds for row in self.rows) / 60)
        hours = f", {spent // 60} h {spent % 60} min" if spent >= 60 else f", {spent} min" if spent else ""
        return f"{passed} of {len(self.rows)} labs passed, {points} of {of} points{hours}."

    def __repr__(self) -> str:
        width = max(len(row.title) for row in self.rows)
        title, _, minutes = ABOUT_START
        lines = [
            f"{'Lab':8}  {'Lesson':{4 + width}}  {'Takes':6}  {'Points':5} {'Spent':>7}",
            f"{'':8}  {START}  {title:{width}}  {minutes} min",
        ]
        lines += [
            f"{row.status[0]} {row.status[1]:6}  {row.lab}  {row.title:{width}}  {row.minutes} min  {f'{row.best}/{row.max_score}':>5}  {row.time:>7}".rstrip()
            for row in self.rows
        ]
        following = self.following
        end = (
            f"Next: {f'lesson {following.lab} ({following.page}), and its lab' if following.page else 'the lab'}: kubeclass start {following.lab}"
            if following
            else "Every lab is passed."
        )
        return "\n".join([*lines, self._total(), end, *filter(None, [self.underway])])

    def _repr_html_(self) -> str:
        following = self.following
        bold = ' style="font-weight: bold"'
        title, goal, minutes = ABOUT_START
        rows = f"<tr><td>{START}</td>{_about(page_of(START), title, goal)}<td>{minutes} min</td><td></td><td></td><td></td></tr>"
        rows += "".join(
            f"<tr{bold if row is following else ''}><td>{row.lab}</td>{_about(row.page, row.title, row.goal)}<td>{row.minutes} min</td>"
            f'<td style="text-align: left">{row.status[0]} {row.status[1]}{" (next)" if row is following else ""}</td>'
            f"<td>{row.best}/{row.max_score}</td><td>{row.time}</td></tr>"
            for row in self.rows
        )
        heads = "".join(
            f'<th scope="col" style="text-align: left">{name}</th>'
            for name in ("Lesson", "What it is about", "Takes", "Its lab", "Points", "Spent")
        )
        underway = f"<p><b>{escape(self.underway)}</b></p>" if self.underway else ""
        return f"{underway}<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table><p>{self._total()}</p>"


def _about(page: str, title: str, goal: str) -> str:
    name = f'<a href="{page}">{escape(title)}</a>' if page else escape(title)
    return f'<td style="text-align: left">{name}<br>{escape(goal)}</td>'


def course() -> Course:
    """Where you are in the course."""
    return Course()
