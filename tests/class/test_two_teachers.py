"""Two commands that make or remove the same class at the same time, on a real cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from checker.classroom.lock import DOING, SECONDS
from checker.classroom.names import shared
from checker.collect.api import Api, ApiError
from cluster import current, paths

from .conftest import NAME, command

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("class")]
TWO = f"{NAME}2"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/kubeclass/leases/{shared(TWO)}"


class Teachers:
    """Commands of `kubeclass class` that run side by side. api: the administrator's connection."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.running = folder, []  # type: ignore[var-annotated]
        cluster = current()
        self.api = Api(cluster)
        self.where = ("--context", cluster.context, "--kubeconfig", str(cluster.kubeconfig))
        for name, ids in (("one", ["ada"]), ("both", ["ada", "bob"])):
            (folder / f"{name}.csv").write_text("\n".join(["id", *ids]) + "\n")
            (folder / name).mkdir()

    def words(self, do: str, roster: str) -> list[str]:
        more = ["--roster", str(self.folder / f"{roster}.csv")] if do == "create" else []
        return [do, TWO, *more, *self.where, "--yes", "--json"]

    def begin(self, do: str, roster: str) -> subprocess.Popen[str]:
        """Start a command, and do not wait for it."""
        env = os.environ | {"KUBECLASS_HOME": str(self.folder / roster), "PYTHONPATH": str(paths.COURSE)}
        words = [sys.executable, "-m", "checker.ui.cli", "class", *self.words(do, roster)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        found: subprocess.Popen[str] = subprocess.Popen(words, env=env, cwd=paths.COURSE, **pipes)  # type: ignore[call-overload]
        self.running.append(found)
        return found

    def run(self, do: str, roster: str) -> subprocess.CompletedProcess[str]:
        return command(*self.words(do, roster), home=self.folder / roster)

    def doing(self) -> str:
        """What the Lease says; empty where there is none."""
        try:
            found = self.api.get(LEASE)
        except ApiError as error:
            assert error.status == 404, error.why
            return ""
        return str(found["metadata"]["annotations"][DOING])

    def until(self, doing: str) -> None:
        end = time.monotonic() + 120
        while self.doing() != doing:
            assert time.monotonic() < end
            time.sleep(0.1)


@pytest.fixture
def teachers(tmp_path: Path) -> Iterator[Teachers]:
    found = Teachers(tmp_path)
    try:
        yield found
    finally:
        for process in found.running:
            process.kill()
            process.wait(60)
        end = time.monotonic() + 3 * SECONDS
        while (left := found.run("remove", "both")).returncode not in (0, 1) and time.monotonic() < end:
            time.sleep(5)  # the Lease of a command that was killed
        assert left.returncode in (0, 1), left.stderr
        assert found.doing() == ""


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def test_two_who_make_a_class_at_once_both_end_well(teachers: Teachers) -> None:
    first, second = teachers.begin("create", "both"), teachers.begin("create", "both")
    results = [ended(one) for one in (first, second)]
    assert [code for code, _, _ in results] == [0, 0], results
    made = [json.loads(out) for _, out, _ in results]
    assert sorted(one["created"] > 0 for one in made) == [False, True]  # the second one found all of it
    assert [one["changed"] for one in made if not one["created"]] == [0]
    assert sum("This command waits until that one has ended" in err for _, _, err in results) <= 1
    status = command("status", TWO, "--json", home=teachers.folder / "both")
    assert status.returncode == 0, status.stdout
    assert {one["id"] for one in json.loads(status.stdout)["learners"]} == {"ada", "bob"}
    assert teachers.doing() == ""


def test_while_a_class_is_removed_nobody_makes_it_and_afterwards_it_is_made_well(teachers: Teachers) -> None:
    assert teachers.run("create", "both").returncode == 0
    removing = teachers.begin("remove", "both")
    teachers.until("remove")
    for do in ("create", "remove"):
        refused = teachers.run(do, "one")
        assert refused.returncode == 3, refused.stdout + refused.stderr
        assert f"The class {TWO} is being removed by" in refused.stderr
        assert f"Then run this command again: kubeclass class {do} {TWO}" in refused.stderr
    code, out, err = ended(removing)
    assert code == 0 and json.loads(out)["left"] == [], err
    made = teachers.run("create", "one")
    assert made.returncode == 0, made.stderr
    assert command("status", TWO, home=teachers.folder / "one").returncode == 0


def test_after_a_remove_that_was_killed_the_class_is_made_well(teachers: Teachers) -> None:
    assert teachers.run("create", "both").returncode == 0
    removing = teachers.begin("remove", "both")
    teachers.until("remove")
    time.sleep(3)  # some namespaces are terminating
    removing.send_signal(signal.SIGKILL)
    removing.wait(60)
    assert teachers.run("create", "both").returncode == 3  # its Lease is there for a minute
    end = time.monotonic() + 3 * SECONDS
    while (made := teachers.run("create", "both")).returncode == 3 and time.monotonic() < end:
        assert "is being removed by" in made.stderr
        time.sleep(5)
    assert made.returncode == 0, made.stderr
    assert command("status", TWO, home=teachers.folder / "both").returncode == 0
