"""docs/scale.md: its tables of figures, and docs/scale.svg, a plot of what grows with the number of learners.

Everything between the two marks is written by `make bench-scale`; the words around it are written by people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from cluster import paths

PAGE, PLOT = paths.COURSE / "docs" / "scale.md", paths.COURSE / "docs" / "scale.svg"
BEGIN, END = "<!-- figures -->\n", "<!-- end of the figures -->\n"
Figures = dict[str, Any]

# What is aimed at with five hundred learners: what it is, its figure, the most that it may be, its unit.
AIMS: tuple[tuple[str, str, float, str], ...] = (
    ("`class create`", "create", 90, "s"),
    ("`class report`", "report", 5, "s"),
    ("memory of `class report`", "report_memory", 500, "MB"),
    ("live page: from a change to its verdict, 95 of 100", "lag_95", 1, "s"),
    ("live page: cores used while everybody works", "live_cores", 1, "cores"),
)
# The rows of the table: what it is, and its figure in words.
ROWS: tuple[tuple[str, Callable[[Figures], str]], ...] = (
    ("`class create`", lambda one: f"{one['create']:.0f} s"),
    ("CPU time of the command", lambda one: f"{one['create_cpu']:.0f} s"),
    ("API server meanwhile", lambda one: _load(one["create_load"])),
    ("its CPU time", lambda one: f"{one['create_load']['cores'] * one['create']:.0f} s"),
    ("`class report`", lambda one: f"{one['report']:.1f} s"),
    ("CPU time of the command", lambda one: f"{one['report_cpu']:.1f} s"),
    ("its memory, at most", lambda one: f"{one['report_memory']:.0f} MB"),
    ("API server meanwhile", lambda one: _load(one["report_load"])),
    ("its CPU time", lambda one: f"{one['report_load']['cores'] * one['report']:.1f} s"),
    ("live page: until everybody is judged", lambda one: f"{one['first_view']:.1f} s"),
    ("changes a second", lambda one: f"{one['changes']:.0f}"),
    ("from a change to its verdict on the page", lambda one: f"{one['lag_median']:.2f} s"),
    ("the same, 95 of 100 within", lambda one: f"{one['lag_95']:.2f} s"),
    ("the same, all within", lambda one: "never" if one["unseen"] else f"{one['lag_most']:.2f} s"),
    ("cores used by the command", lambda one: f"{one['live_cores']:.2f}"),
    ("the same while nothing changes", lambda one: f"{one['quiet_cores']:.2f}"),
    ("its memory, at most", lambda one: f"{one['live_memory']:.0f} MB"),
    ("API server meanwhile", lambda one: _load(one["live_load"])),
    ("the same while nothing changes", lambda one: _load(one["quiet_load"])),
    ("watches at the API server, its own included", lambda one: f"{one['live_load']['watches']}"),
    ("memory of the API server", lambda one: f"{one['api_memory']:.0f} MB"),
    ("load of the machine before", lambda one: f"{one['machine_load']:.1f}"),
)


def _load(load: Figures) -> str:
    return f"{load['requests']:.0f} requests/s, {load['cores']:.2f} cores"


def against_aims(last: Figures) -> list[tuple[str, str, str, bool]]:
    """For each aim: what it is, what was measured, what is aimed at, and whether it was reached."""
    return [
        (what, f"{_number(last[name])} {unit}", f"≤ {most:g} {unit}", last[name] <= most)
        for what, name, most, unit in AIMS
    ]


def write_page(found: Sequence[Figures]) -> None:
    """Put figures into the page, and draw the plot. found: of one class each, the smallest first."""
    PAGE.write_text(with_figures(PAGE.read_text(), found))
    PLOT.write_text(plot(found))


def with_figures(page: str, found: Sequence[Figures]) -> str:
    """The page's text with these figures between its marks."""
    aims = [
        f"| {what} | {figure} | {aim if reached else f'{aim}; missed'} |"
        for what, figure, aim, reached in against_aims(found[-1])
    ]
    head = [f"| with {found[-1]['learners']} learners | measured | aim |", "|---|---|---|"]
    sizes = [f"| learners | {' | '.join(str(one['learners']) for one in found)} |", "|---" * (len(found) + 1) + "|"]
    rows = [f"| {what} | {' | '.join(words(one) for one in found)} |" for what, words in ROWS]
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return "\n".join([before + BEGIN, *head, *aims, "", *sizes, *rows, "", END + after])


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2f}"


# -- the plot ---------------------------------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, TOP = 640, 300, 52, 24
PLOT_WIDTH, PLOT_HEIGHT = 400, 220
# What is drawn: its name, its figure, what it is divided by (the aim: 1 is the aim), and the line's dashes.
LINES: tuple[tuple[str, str, float, str], ...] = (
    ("class create", "create", 90, "none"),
    ("class report", "report", 5, "8 4"),
    ("memory of class report", "report_memory", 500, "2 4"),
    ("live page, delay", "lag_95", 1, "12 3 2 3"),
    ("live page, cores", "live_cores", 1, "4 2"),
)
STYLE = """
  svg { --ink: #1f2328; --faint: #d0d7de; --paper: #ffffff; --aim: #b3261e; }
  @media (prefers-color-scheme: dark) { svg { --ink: #e6edf3; --faint: #3d444d; --paper: #0d1117; --aim: #ff8a80; } }
  text { font: 12px sans-serif; fill: var(--ink); }
  .line { fill: none; stroke: var(--ink); stroke-width: 2; }
  .grid { stroke: var(--faint); } .aim { stroke: var(--aim); stroke-width: 2; }
"""


def plot(found: Sequence[Figures]) -> str:
    """An SVG: each figure as a share of its aim, over the number of learners."""
    most_learners: float = max(one["learners"] for one in found)
    top: float = max(1.2, *(one[name] / aim for one in found for _, name, aim, _ in LINES)) * 1.05

    def x(learners: float) -> float:
        return LEFT + PLOT_WIDTH * learners / most_learners

    def y(share: float) -> float:
        return TOP + PLOT_HEIGHT * (1 - share / top)

    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="var(--paper)"/>']
    for one in found:
        at = x(one["learners"])
        parts.append(f'<line class="grid" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{TOP + PLOT_HEIGHT}"/>')
        parts.append(f'<text x="{at:.1f}" y="{TOP + PLOT_HEIGHT + 16}" text-anchor="middle">{one["learners"]}</text>')
    for share in (0.0, 0.5, 1.0):
        name = "aim" if share == 1 else "grid"
        parts.append(
            f'<line class="{name}" x1="{LEFT}" y1="{y(share):.1f}" x2="{LEFT + PLOT_WIDTH}" y2="{y(share):.1f}"/>'
        )
        words = "aim" if share == 1 else f"{share:.0%}"
        parts.append(f'<text x="{LEFT - 6}" y="{y(share) + 4:.1f}" text-anchor="end">{words}</text>')
    labels = _apart([y(found[-1][name] / aim) for _, name, aim, _ in LINES])
    for (title, name, aim, dashes), label in zip(LINES, labels, strict=True):
        points = " ".join(f"{x(one['learners']):.1f},{y(one[name] / aim):.1f}" for one in found)
        parts.append(f'<polyline class="line" points="{points}" stroke-dasharray="{dashes}"/>')
        at = LEFT + PLOT_WIDTH + 8
        end = y(found[-1][name] / aim)
        parts.append(f'<line class="grid" x1="{at - 6}" y1="{end:.1f}" x2="{at + 4}" y2="{label:.1f}"/>')
        parts.append(
            f'<line class="line" x1="{at + 6}" y1="{label:.1f}" x2="{at + 34}" y2="{label:.1f}" '
            f'stroke-dasharray="{dashes}"/>'
        )
        parts.append(f'<text x="{at + 40}" y="{label + 4:.1f}">{title}</text>')
    parts.append(f'<text x="{LEFT + PLOT_WIDTH / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">learners</text>')
    body = "\n".join(parts)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t d">
<title id="t">What grows with the number of learners</title>
<desc id="d">{description(found)}</desc>
<style>{STYLE}</style>
{body}
</svg>
"""


def description(found: Sequence[Figures]) -> str:
    """The plot in words, for who cannot see it."""
    first, last = found[0], found[-1]
    shares = [
        f"{title}: {first[name] / aim:.0%} of the aim with {first['learners']} learners, "
        f"{last[name] / aim:.0%} with {last['learners']}"
        for title, name, aim, _ in LINES
    ]
    return f"{'; '.join(shares)}."


def _apart(wanted: list[float], least: float = 18) -> list[float]:
    """Heights near the wanted ones, in the same order, that are at least so far apart and inside the plot."""
    order = sorted(range(len(wanted)), key=lambda one: wanted[one])
    found = list(wanted)
    for above, one in pairwise(order):
        found[one] = max(found[one], found[above] + least)
    over = max(0.0, found[order[-1]] - (TOP + PLOT_HEIGHT))
    for number, one in enumerate(reversed(order)):
        found[one] = min(found[one] - (over if number == 0 else 0), TOP + PLOT_HEIGHT - number * least)
    return found
