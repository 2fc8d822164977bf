"""Whether one process keeps up with a class of five hundred: `class create`, `class report` and the live page.

Classes of four sizes on a control plane without nodes (control_plane.py), every learner at work in lab 07
(made_up_class.py). API server, etcd, controllers, the made-up observer and the commands share this machine. The figures
go into docs/scale.md, with a plot of what grows with the number of learners.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx

from checker.collect.api import Api
from cluster import paths, tools
from tests.bench import made_up_class
from tests.bench.control_plane import ControlPlane, control_plane, cpu_of, programs
from tests.bench.scale_page import against_aims, write_page

NAME = "big"
SIZES = (50, 100, 200, 500)
CHANGE_EACH = 10.0  # seconds between two changes of one learner: with 500 learners, 50 changes a second
CHANGING, QUIET = 20.0, 10.0  # seconds for which changes are made, and for which nothing changes
REPORTS = 3  # the middle one counts
WITHIN = 120.0  # seconds for the page to have judged everybody
WORKERS = 8  # that make changes


@dataclass
class Load:
    """What the API server did meanwhile: requests a second, cores used, watches that are open."""

    requests: float = 0.0
    cores: float = 0.0
    watches: int = 0


@dataclass
class Figures:
    """What was measured of one class. Times in seconds, memory in MB, CPU in cores, `lag` from the API server's answer
    to a change until the page's event with the new verdict.
    """

    learners: int
    machine_load: float  # of this machine in the last minute, before it began
    objects: int = 0
    create: float = 0.0
    create_cpu: float = 0.0
    create_load: Load = field(default_factory=Load)
    report: float = 0.0
    report_cpu: float = 0.0
    report_memory: float = 0.0
    report_load: Load = field(default_factory=Load)
    first_view: float = 0.0
    quiet_cores: float = 0.0
    quiet_load: Load = field(default_factory=Load)
    changes: float = 0.0  # a second
    lag_median: float = 0.0
    lag_95: float = 0.0
    lag_most: float = 0.0
    unseen: int = 0  # changes that were not on the page ten seconds after the last one
    live_cores: float = 0.0
    live_memory: float = 0.0
    live_load: Load = field(default_factory=Load)
    api_memory: float = 0.0


# -- the API server's own figures -------------------------------------------------------------------------------------


def requests_in(metrics: str) -> float:
    """How many requests an API server has answered. metrics: the text of its /metrics."""
    return sum(float(value) for value in re.findall(r"^apiserver_request_total\{.*\} (\S+)$", metrics, re.MULTILINE))


def watches_in(metrics: str) -> int:
    """How many watches are open at an API server, its own included."""
    found = re.findall(r'^apiserver_longrunning_requests\{.*verb="WATCH".*\} (\S+)$', metrics, re.MULTILINE)
    return round(sum(float(value) for value in found))


class Meter:
    """What the API server does from now on."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._requests = requests_in(plane.get("/metrics"))
        self._cpu, self._begin = plane.cpu("kube-apiserver"), time.monotonic()

    def read(self) -> Load:
        seconds = time.monotonic() - self._begin
        cores = (self._plane.cpu("kube-apiserver") - self._cpu) / seconds
        metrics = self._plane.get("/metrics")
        return Load((requests_in(metrics) - self._requests) / seconds, cores, watches_in(metrics))


# -- the commands -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """A command that ended: seconds, seconds of CPU, the most memory it had (MB)."""

    seconds: float
    cpu: float
    memory: float
    out: str


class Commands:
    """`kubeclass class …` as a teacher runs it. course: the folder with its code. home: what it remembers."""

    def __init__(self, course: Path, home: Path) -> None:
        self.course, self.home = course, home
        # A home of its own, with the kubectl that there is already.
        home.mkdir()
        (home / "bin").symlink_to(tools.kubectl_path().parent)

    def begin(self, *words: str, log: Path) -> subprocess.Popen[bytes]:
        env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        env |= {"KUBECLASS_HOME": str(self.home), "PYTHONPATH": str(self.course)}
        with log.open("w") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "checker.ui.cli", "class", *words],
                cwd=self.course,
                env=env,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def run(self, *words: str, accepted: tuple[int, ...] = (0,)) -> Done:
        """Raises RuntimeError with the command's words for an exit status that is not accepted."""
        log, begin = self.home / "command.log", time.monotonic()
        process = self.begin(*words, log=log)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in accepted:
            raise RuntimeError(f"class {' '.join(words)}: {log.read_text()[-2000:]}")
        return Done(time.monotonic() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, log.read_text())


# -- the page ---------------------------------------------------------------------------------------------------------


class Page:
    """The page of `kubeclass class watch`: each row's first word, and when it came."""

    def __init__(self, commands: Commands, log: Path) -> None:
        self.begin = time.monotonic()
        self.process = commands.begin("watch", NAME, "--no-browser", "--port", "8970", log=log)
        while not (found := re.search(r"(http://\S+)", log.read_text())):
            if self.process.poll() is not None or time.monotonic() > self.begin + 60:
                raise RuntimeError(log.read_text()[-2000:])
            time.sleep(0.05)
        self.words: dict[str, str] = {}
        self.came: dict[tuple[str, str], float] = {}  # when a row last became this word
        self.events, self.bytes = 0, 0
        self.changed = threading.Condition()
        self._client = httpx.Client(trust_env=False, timeout=60, follow_redirects=True)
        self._client.get(found.group(1)).raise_for_status()
        self._url = found.group(1).partition("/?")[0]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(httpx.HTTPError), self._client.stream("GET", f"{self._url}/events") as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    self._take(json.loads(line.removeprefix("data: ")), time.perf_counter())
                    self.events, self.bytes = self.events + 1, self.bytes + len(line)

    def _take(self, news: dict[str, Any], now: float) -> None:
        with self.changed:
            for key, row in news.get("rows", {}).items():
                word = row["cells"][0]["word"]
                if self.words.get(key) != word:
                    self.words[key] = word
                    self.came[key, word] = now
            self.changed.notify_all()

    def until_judged(self, learners: int) -> float:
        """Wait until everybody is judged. Returns the seconds from the command's start until then."""
        with self.changed:
            judged = self.changed.wait_for(
                lambda: sum(word not in ("waiting", "not-begun") for word in self.words.values()) == learners, WITHIN
            )
        if not judged:
            raise RuntimeError(f"the page has judged too few within {WITHIN:.0f} s: {len(self.words)} rows")
        return time.monotonic() - self.begin

    def cpu(self) -> float:
        return cpu_of(self.process.pid)

    def memory(self) -> float:
        """The most that it had, in MB."""
        return int(Path(f"/proc/{self.process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


@contextmanager
def watched(commands: Commands, log: Path) -> Iterator[Page]:
    page = Page(commands, log)
    try:
        yield page
    finally:
        page.process.send_signal(signal.SIGINT)
        try:
            page.process.wait(20)
        except subprocess.TimeoutExpired:
            page.process.kill()
            page.process.wait()


def lags(page: Page, api: Api, homes: list[str], seconds: float) -> tuple[float, list[float], int]:
    """Change one Service after the other, each learner's in turn. Returns how many changes a second were made, for
    each how long it took to be on the page, and how many never were.
    """
    step = CHANGE_EACH / len(homes)
    done: list[tuple[str, str, float]] = []  # row, word, when the API server had answered
    before = dict(page.words)
    begin = time.perf_counter()

    def change(number: int) -> None:
        home = homes[number % len(homes)]
        time.sleep(max(0.0, begin + number * step - time.perf_counter()))
        row = f"{made_up_class.LAB_NUMBER}/{home.removeprefix(f'{NAME}-')}"
        is_whole = (before[row] == "passed") == (number // len(homes) % 2 == 1)
        patch = {"spec": {"selector": {"app": "guestbook" if is_whole else "guestbok"}}}
        path = f"/api/v1/namespaces/{home}/services/guestbook"
        api.request("PATCH", path, patch, 30, content="application/merge-patch+json")
        done.append((row, "passed" if is_whole else "failed", time.perf_counter()))

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(change, range(int(seconds / step))))
    rate = len(done) / (time.perf_counter() - begin)
    last = {row: word for row, word, _ in sorted(done, key=lambda one: one[2])}
    with page.changed:
        page.changed.wait_for(lambda: all(page.words[row] == word for row, word in last.items()), CHANGE_EACH)
        found = [
            page.came[row, word] - at for row, word, at in done if page.came.get((row, word), 0) > at - CHANGE_EACH / 2
        ]
    return rate, sorted(max(0.0, one) for one in found), len(done) - len(found)


# -- measuring --------------------------------------------------------------------------------------------------------


def measure(plane: ControlPlane, learners: int, course: Path) -> Figures:
    """All figures of one class on a control plane that holds nothing yet."""
    found = Figures(learners, os.getloadavg()[0])
    folder = plane.folder
    api = Api(plane.cluster)
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": "kubeclass"}})
    made_up_class.make_nodes(api)
    roster = folder / "roster.csv"
    ids = [f"learner{number:03}" for number in range(learners)]
    roster.write_text("id,name,group\n" + "".join(f"{id},Learner {id},a\n" for id in ids))
    homes = [f"{NAME}-{id}" for id in ids]
    commands = Commands(course, folder / "home")
    where = ("--context", plane.cluster.context, "--kubeconfig", str(plane.cluster.kubeconfig))
    with made_up_class.observing(api, homes):
        meter = Meter(plane)
        made = commands.run("create", NAME, "--roster", str(roster), *where, "--yes")
        found.create, found.create_cpu, found.create_load = made.seconds, made.cpu, meter.read()
        plane.stop("kube-controller-manager")
        found.objects = made_up_class.seed(api, homes)
        reports(found, plane, commands)
        live(found, plane, commands, api, homes)
    found.api_memory = plane.memory("kube-apiserver")
    return found


def reports(found: Figures, plane: ControlPlane, commands: Commands) -> None:
    file = plane.folder / "report.json"
    runs = []
    for _ in range(REPORTS):
        meter = Meter(plane)
        done = commands.run("report", NAME, "--json", "--out", str(file), accepted=(0, 2))
        runs.append((done.seconds, done, meter.read()))
    _, done, found.report_load = sorted(runs, key=lambda run: run[0])[REPORTS // 2]
    found.report, found.report_cpu = done.seconds, done.cpu
    found.report_memory = max(run[1].memory for run in runs)


def live(found: Figures, plane: ControlPlane, commands: Commands, api: Api, homes: list[str]) -> None:
    with watched(commands, plane.folder / "watch.log") as page:
        found.first_view = page.until_judged(len(homes))
        time.sleep(2)
        meter, cpu, begin = Meter(plane), page.cpu(), time.monotonic()
        time.sleep(QUIET)
        found.quiet_cores = (page.cpu() - cpu) / (time.monotonic() - begin)
        found.quiet_load = meter.read()
        meter, cpu, begin = Meter(plane), page.cpu(), time.monotonic()
        found.changes, taken, found.unseen = lags(page, api, homes, CHANGING)
        found.live_cores = (page.cpu() - cpu) / (time.monotonic() - begin)
        found.live_load = meter.read()
        found.lag_median, found.lag_95 = taken[len(taken) // 2], taken[int(len(taken) * 0.95)]
        found.lag_most = taken[-1]
        found.live_memory = page.memory()


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="of the classes, in learners")
    given.add_argument("--course", type=Path, default=paths.COURSE, help="the clone whose commands are measured")
    given.add_argument("--programs", type=Path, default=Path.home() / ".cache" / "kubeclass" / "control-plane")
    given.add_argument("--page", action="store_true", help="write the figures into docs/scale.md")
    options = given.parse_args()
    known = programs(options.programs)
    found = []
    for size in options.sizes:
        folder = Path(tempfile.mkdtemp(prefix="kubeclass-scale-"))
        try:
            with control_plane(folder, known) as plane:
                found.append(asdict(measure(plane, size, options.course)))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(json.dumps(found[-1], indent=1), flush=True)
    for what, figure, aim, reached in against_aims(found[-1]):
        print(f"{what}: {figure} (aim: {aim}{'' if reached else '; missed'})")
    if options.page:
        write_page(found)


if __name__ == "__main__":
    main()
