"""The memory of the kernel and of the observer while the soak goes on: samples, whether they are flat, and a plot."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cluster import Problem
from tests.bench.scale_page import STYLE

EVERY = 15.0  # seconds
FLAT = 0.10  # the share by which memory may have grown, and still be flat
LEAST = 8  # samples from which growth is told


@dataclass(frozen=True)
class Sample:
    minute: float  # since the soak began
    life: str  # a process or Pod: another one begins anew
    mb: float


Look = Callable[[], tuple[str, float]]  # life and MB. Raises Problem or OSError where there is nothing to see now.


class Sampler:
    """Takes a sample of each EVERY seconds, beside what else goes on."""

    def __init__(self, looks: dict[str, Look]) -> None:
        """looks: by the name of what is looked at."""
        self.samples: dict[str, list[Sample]] = {name: [] for name in looks}
        self._looks, self._begin, self._ended = looks, time.monotonic(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(EVERY):
            for name, look in self._looks.items():
                with suppress(Problem, OSError, StopIteration):
                    life, mb = look()
                    self.samples[name].append(Sample((time.monotonic() - self._begin) / 60, life, mb))

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()


def longest_life(samples: Sequence[Sample]) -> list[Sample]:
    """The samples of the process that has the most."""
    lives = [[one for one in samples if one.life == life] for life in dict.fromkeys(one.life for one in samples)]
    return max(lives, key=len, default=[])


def growth(samples: Sequence[Sample]) -> float | None:
    """By which share the longest life grew, from the second quarter of its time to the last one; None if it was short.

    The first quarter is left out: modules are loaded and caches fill.
    """
    life = longest_life(samples)
    if len(life) < LEAST:
        return None
    quarter = len(life) // 4
    early, late = (statistics.median(one.mb for one in part) for part in (life[quarter : 2 * quarter], life[-quarter:]))
    return late / early - 1


def in_words(name: str, samples: Sequence[Sample]) -> str:
    """One line: from, to, growth."""
    life, grown = longest_life(samples), growth(samples)
    if grown is None:
        return f"{name}: too few samples ({len(life)})"
    told = "flat" if grown <= FLAT else "NOT FLAT"
    minutes = life[-1].minute - life[0].minute
    most = max(one.mb for one in life)
    return f"{name}: {told}, {grown:+.1%} in {minutes:.0f} minutes; at most {most:.0f} MB ({len(life)} samples)"


WIDTH, HEIGHT, LEFT, TOP = 640, 260, 52, 24
PLOT_WIDTH, PLOT_HEIGHT = 470, 190
DASHES = ("none", "8 4", "2 4")


def plot(found: Mapping[str, Sequence[Sample]]) -> str:
    """An SVG: MB over minutes, a line for each life."""
    every = [one for samples in found.values() for one in samples]
    last, top = max((one.minute for one in every), default=1), max((one.mb for one in every), default=1) * 1.1

    def x(minute: float) -> float:
        return LEFT + PLOT_WIDTH * minute / last

    def y(mb: float) -> float:
        return TOP + PLOT_HEIGHT * (1 - mb / top)

    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="var(--paper)"/>']
    for share in (0.0, 0.5, 1.0):
        mb, minute = share * top / 1.1, share * last
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y(mb):.1f}" x2="{LEFT + PLOT_WIDTH}" y2="{y(mb):.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(mb) + 4:.1f}" text-anchor="end">{mb:.0f} MB</text>')
        parts.append(f'<text x="{x(minute):.1f}" y="{TOP + PLOT_HEIGHT + 16}" text-anchor="middle">{minute:.0f}</text>')
    for (name, samples), dashes in zip(found.items(), DASHES, strict=False):
        for life in dict.fromkeys(one.life for one in samples):
            points = " ".join(f"{x(one.minute):.1f},{y(one.mb):.1f}" for one in samples if one.life == life)
            parts.append(f'<polyline class="line" points="{points}" stroke-dasharray="{dashes}"/>')
        if samples:
            parts.append(f'<text x="{LEFT + PLOT_WIDTH + 8}" y="{y(samples[-1].mb) + 4:.1f}">{name}</text>')
    parts.append(f'<text x="{LEFT + PLOT_WIDTH / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">minutes</text>')
    body, words = "\n".join(parts), "; ".join(in_words(name, samples) for name, samples in found.items())
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t d">
<title id="t">Memory during a soak</title>
<desc id="d">{words}</desc>
<style>{STYLE}</style>
{body}
</svg>
"""
