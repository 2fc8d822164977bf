"""`make soak HOURS=2`: the course is used for hours in random order. What is left behind, and what grows?

A cluster of its own, `kubeclass-soak`, and a home of its own. JupyterLab runs, with two notebooks open in Chromium:
in each, the panels of two labs and a picture. Meanwhile lessons and labs are done, in namespaces that come and go; one
notebook's kernel restarts; every twenty minutes the cluster is deleted and made again. SEED=N repeats an order.

At the end, no thread, namespace, Pod, container, volume, network, process (so: no port-forward and no watch) and file
of the course may be there that was not there before, and the memory of the kernel and of the observer must be flat.
Exit status: 0 so it is, 1 not. build/soak/ has what was seen: memory.svg and report.txt.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("KUBECLASS_TEST_CLUSTER", "kubeclass-soak")
os.environ.setdefault("KUBECLASS_TEST_HOME", str(Path.home() / ".kubeclass-soak"))

from playwright.sync_api import Error as BrowserError

from cluster import Problem, current, engine, paths
from cluster.nodes import nodes_of
from cluster.waiting import wait_until
from tests.soak.leftovers import MARK, left, number_in, status_of_observer, things, threads_of_observer
from tests.soak.memory import FLAT, Sampler, growth, in_words, plot
from tests.soak.notebooks import KEPT, Notebooks, open_notebooks
from tests.soak.uses import NotAsExpected, Uses, kubeclass

OUT = paths.COURSE / "build" / "soak"
GOES_AWAY = 120.0  # seconds in which what is being deleted may still be there


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--hours", type=float, default=2.0)
    arguments.add_argument("--seed", type=int, default=random.randrange(10000))
    asked = arguments.parse_args()
    soak = Soak(asked.hours, asked.seed)
    return soak.run()


class Soak:
    """One soak, and what it tells, on the screen and in report.txt."""

    def __init__(self, hours: float, seed: int) -> None:
        self.hours, self.seed = hours, seed
        self.done: Counter[str] = Counter()
        self.faults: list[str] = []
        OUT.mkdir(parents=True, exist_ok=True)
        self.report = (OUT / "report.txt").open("w")

    def say(self, words: str) -> None:
        print(words, flush=True)
        self.report.write(f"{words}\n")
        self.report.flush()

    def run(self) -> int:
        self.say(f"{time.strftime('%Y-%m-%d %H:%M')}: {self.hours:g} hours, SEED={self.seed}")
        was_there = bool(nodes_of(engine.ensure(), current()))
        with tempfile.TemporaryDirectory(prefix="kubeclass-soak-") as folder:
            os.environ |= {
                MARK: str(self.seed),
                "TMPDIR": f"{folder}/tmp",
                "JUPYTER_RUNTIME_DIR": f"{folder}/jupyter",
                "KUBECLASS_WAIT": "30",
            }
            for name in ("tmp", "jupyter"):
                (Path(folder) / name).mkdir()
            tempfile.tempdir = None
            try:
                kubeclass("up", "--metrics", timeout=1800)
                kubeclass("clear", "--yes")
                self.soak((Path(folder), paths.home()))
            finally:
                tempfile.tempdir = None
                if not was_there:
                    kubeclass("down", timeout=300)
        if not was_there and (nodes := nodes_of(engine.command(), current())):
            self.fault(f"container {' '.join(node.name for node in nodes)}")
        self.say(f"{sum(self.done.values())} uses; {len(self.faults)} faults.")
        return 1 if self.faults else 0

    def fault(self, what: str) -> None:
        self.faults.append(what)
        self.say(f"FAULT: {what}")

    def soak(self, folders: tuple[Path, ...]) -> None:
        before, threads = things(folders), threads_of_observer()
        kubeclass("start", "07", "--yes")
        with open_notebooks() as notebooks:
            process = notebooks.process(KEPT)
            sampler = Sampler({"kernel": lambda: notebooks.memory(process), "observer": memory_of_observer})
            try:
                self.use(notebooks, time.monotonic() + self.hours * 3600)
            finally:
                sampler.stop()
            if more := notebooks.close():
                self.fault(f"threads in the kernel: {', '.join(more)}")
        kubeclass("clear", "--yes")
        self.compare(before, threads, folders)
        (OUT / "memory.svg").write_text(plot(sampler.samples))
        for name, samples in sampler.samples.items():
            self.say(in_words(name, samples))
            grown = growth(samples)
            if grown is None or grown > FLAT:
                self.fault(f"the memory of the {name} is not flat")

    def use(self, notebooks: Notebooks, ends: float) -> None:
        uses = Uses(random.Random(self.seed), notebooks)
        while time.monotonic() < ends:
            begin = time.monotonic()
            try:
                what = uses.next()
            except (NotAsExpected, Problem, BrowserError, AssertionError) as wrong:
                self.fault(str(wrong))
                continue
            self.done[what] += 1
            self.say(f"{time.strftime('%H:%M:%S')} {what}: {time.monotonic() - begin:.0f} s")

    def compare(self, before: dict[str, set[str]], threads: int, folders: tuple[Path, ...]) -> None:
        more: list[str] = []

        def is_as_before() -> bool:
            more[:] = left(before, things(folders))
            if (now := threads_of_observer()) > threads:
                more.append(f"threads in the observer: {now}, {threads} before")
            return not more

        wait_until(is_as_before, GOES_AWAY, pause=5)
        for one in more:
            self.fault(f"left: {one}")


def memory_of_observer() -> tuple[str, float]:
    """The observer's Pod, and its memory in MB."""
    status = status_of_observer()
    return status.splitlines()[-1], number_in(status, "VmRSS") / 1024


if __name__ == "__main__":
    sys.exit(main())
