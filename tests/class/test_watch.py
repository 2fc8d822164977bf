"""`kubeclass class watch` on a real cluster: a learner breaks and mends lab 07, raises a hand, and the page follows."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from checker.collect.marks import HAND
from cluster import paths
from cluster.kubectl import kubectl
from tests.conftest import ctrl_c_counts

from .conftest import NAME, Classroom, command

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("class")]
WITHIN = 60.0  # seconds for the page to follow where other tests keep the machine busy; alone it takes one or two
ROW = "07/ada"


class Page:
    """What the page of `kubeclass class watch` knows, as its script keeps it."""

    def __init__(self, classroom: Classroom, log: Path) -> None:
        self.view: dict[str, Any] = {}
        self._seen = threading.Condition()
        env = os.environ | {"KUBECLASS_HOME": str(classroom.home), "PYTHONPATH": str(paths.COURSE)}
        words = [sys.executable, "-m", "checker.ui.cli", "class", "watch", NAME, "--no-browser", "--port", "8990"]
        with log.open("w") as output:
            self.process = subprocess.Popen(
                words, env=env, cwd=paths.COURSE, stdout=output, stderr=output, preexec_fn=ctrl_c_counts
            )
        end = time.monotonic() + WITHIN
        while not (found := re.search(r"The page is at (http\S+)", log.read_text())):
            assert self.process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        self.address = found.group(1)
        self.client = httpx.Client(trust_env=False, timeout=30, follow_redirects=True)
        assert self.client.get(self.address).status_code == 200
        self.url = self.address.partition("/?")[0]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        """Until the command ends."""
        with suppress(httpx.HTTPError), self.client.stream("GET", f"{self.url}/events") as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    with self._seen:
                        self._take(json.loads(line.removeprefix("data: ")))
                        self._seen.notify_all()

    def _take(self, news: dict[str, Any]) -> None:
        for name, part in news.items():
            if name in ("rows", "labs") and "class" not in news:
                self.view[name] |= part
            elif name.endswith("_gone"):
                for key in part:
                    self.view[name.removesuffix("_gone")].pop(key)
            else:
                self.view[name] = part

    def until(self, what: Callable[[dict[str, Any]], Any]) -> float:
        """Wait until the page shows something. Returns the seconds that it took."""
        begin = time.monotonic()
        with self._seen:
            shown = self._seen.wait_for(lambda: self.view and what(self.view), WITHIN)
            assert shown, json.dumps(self.view)[:3000]
        return time.monotonic() - begin

    def words(self) -> list[str]:
        return [cell["word"] for cell in self.view["rows"][ROW]["cells"]]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@pytest.fixture
def page(classroom: Classroom, tmp_path: Path) -> Iterator[Page]:
    found = Page(classroom, tmp_path / "watch.log")
    yield found
    if found.process.poll() is None:
        found.process.kill()


def test_the_page_follows_a_learner(classroom: Classroom, page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    home = classroom.learner_home("ada")

    def learner(*words: str) -> None:
        done = command(*words, home=home, group=())
        assert done.returncode in (0, 1), done.stdout + done.stderr

    took: dict[str, float] = {}

    def followed(name: str, what: Callable[[dict[str, Any]], Any]) -> None:
        took[name] = round(page.until(what), 1)

    page.until(lambda view: view["nobody"])
    try:
        learner("start", "07", "--yes")
        followed("a lab that is begun", lambda view: "failed" in page.words() if ROW in view["rows"] else False)
        learner("solve", "07")
        followed("a lab that is solved", lambda view: set(page.words()) == {"passed"})
        cluster = classroom.clusters["ada"]
        namespace = cluster.namespace
        wrong = '{"spec": {"selector": {"app": "guestbok"}}}'
        right = '{"spec": {"selector": {"app": "guestbook"}}}'
        kubectl(cluster, "patch", "service", "guestbook", "-n", namespace, "--patch", wrong)
        followed("a selector with a typo", lambda view: "The Service selects no Pod" in view["rows"][ROW]["stuck"])
        assert page.view["labs"]["07"]["causes"][0]["words"].startswith("1 of ")
        assert page.view["rows"][ROW]["moves"]
        asked = {"learner": "ada", "lab": "07"}
        panel = page.client.get(f"{page.url}/panel", params=asked).json()
        assert [task["message"] for task in panel["tasks"] if "guestbok" in task.get("message", "")]
        picture = page.client.get(f"{page.url}/picture", params=asked).json()
        assert "The Service selects no Pod" in json.dumps(picture["broken"])

        learner("hand")
        followed("a hand that is raised", lambda view: view["hands"])
        assert page.view["hands"][0]["learner"] == "ada" and page.view["rows"][ROW]["hand"]
        learner("hand", "--down")
        followed("a hand that is taken down", lambda view: not view["hands"])
        learner("hand")
        page.until(lambda view: view["hands"])
        down = page.client.post(
            f"{page.url}/hand-down", json={"uid": page.view["hands"][0]["uid"]}, headers={"Origin": page.url}
        )
        assert down.json() == {"why": ""}
        page.until(lambda view: not view["hands"])
        found = kubectl(cluster, "get", "configmaps", "-n", namespace, "-o", "name")
        assert HAND not in found

        learner("hand")
        kubectl(cluster, "patch", "service", "guestbook", "-n", namespace, "--patch", right)
        followed("a selector that is mended", lambda view: set(page.words()) == {"passed"})
        learner("clear", "--yes")
        followed("a lab that is left", lambda view: ROW not in view["rows"])
        assert page.view["hands"]  # `clear` leaves a hand up
    finally:
        learner("hand", "--down")
        learner("clear", "--yes")
    assert page.stop() == 0
    with capsys.disabled():
        print(took)
