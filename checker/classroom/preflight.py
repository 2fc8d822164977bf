"""Trying a cluster before a class: one made-up learner does one lab from its set-up to full marks. Then all is removed.

What the learner does, the learner's own commands do (`join`, `start`, `solve`, `check`), with the learner's token and
with a folder of their own. So nothing of the teacher's own is read or changed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

from checker.classroom import apply, offers, record, tokens
from checker.classroom.build import build, labs_of_a_class
from checker.classroom.needs import left_out
from checker.classroom.plan import Class
from checker.classroom.quota import Quota
from checker.classroom.remove import leftovers
from checker.classroom.remove import remove as remove_class
from checker.classroom.roster import Learner
from checker.collect.api import Api
from checker.model.catalogue import problem
from cluster import observer, paths, tools
from cluster.problem import Problem
from cluster.process import finish, tidying_up

LABS = ("07", "04")  # the first of these that the cluster can give; lab 07 asks the observer, and uses two workers
HOURS = 1.0  # that the token lasts
WAIT = 120  # seconds that a check gives a change in progress
COMMAND_SECONDS = 300.0  # for one command of the learner's


@dataclass(frozen=True)
class Tried:
    """One step: its id, the seconds that it took, and why it failed; empty where it did not."""

    step: str
    seconds: float
    why: str = ""


@dataclass
class Preflight:
    """What was tried. is_removed: whether nothing of the class is left. left: what is left, as far as that is known.

    enforced: whether the network plugin enforces network policies; None until that is known.
    """

    name: str = field(default_factory=lambda: f"preflight-{token_hex(2)}")
    lab: str = ""
    enforced: bool | None = None
    tried: list[Tried] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    is_removed: bool = False

    @property
    def passed(self) -> bool:
        return self.is_removed and not any(one.why for one in self.tried)


Telling = Callable[[Tried], None]


def preflight(api: Api, registry: str, done: Preflight, telling: Telling, stopping: Callable[[], None]) -> None:
    """Try a cluster, and remove what that made; also after Ctrl-C, which is raised again then.

    registry: the prefix of the course's images; empty where the nodes have them. done: is filled, also where the
    removal is stopped by another Ctrl-C. telling: called after each step. stopping: called after Ctrl-C, before the
    removal. A step that fails ends the trial.
    """
    try:
        _try_all(api, registry, done, telling)
    except _Ended:
        pass
    except KeyboardInterrupt:
        stopping()
        raise
    finally:
        with tidying_up(), _step("removed", done, telling, ends=False):
            remove_class(api, done.name, lambda _done, _of: None)
            done.left = leftovers(api, done.name)
            done.is_removed = not done.left
            if done.left:
                raise problem("class-preflight-left", left=done.left)


class _Ended(Exception):
    """A step failed."""


@contextmanager
def _step(name: str, done: Preflight, telling: Telling, ends: bool = True) -> Iterator[None]:
    """A step of the trial. A Problem in it is told as the step's failure, and ends the trial where `ends` is true."""
    begin, why = time.monotonic(), ""
    try:
        yield
    except Problem as error:
        why = error.what
    done.tried.append(Tried(name, time.monotonic() - begin, why))
    telling(done.tried[-1])
    if why and ends:
        raise _Ended


def _try_all(api: Api, registry: str, done: Preflight, telling: Telling) -> None:
    labs = labs_of_a_class()
    with _step("cluster", done, telling):
        seen = offers.look(api)
        offers.may(api, done.name)
        plan = build(done.name, [Learner("learner")], Quota(), seen.known, labs)
    with _step("observer", done, telling):
        if not observer.is_current(api.cluster):
            observer.install(api.cluster, registry=registry)
    with _step("walls", done, telling):
        done.enforced = offers.enforced(api)
        if done.enforced is None:
            raise problem("class-preflight-walls")
    gives = (*seen.offers, *(["policies"] if done.enforced else []))
    done.lab = next((lab for lab in LABS if lab not in left_out(labs, gives)), LABS[-1])
    ends = datetime.now(UTC) + timedelta(hours=HOURS)
    with _step("created", done, telling):
        record.write(api, record.Record(done.name, ends, gives, registry))
        apply.create(api, plan, lambda _step, _done, _of: None)
    with TemporaryDirectory() as folder:
        _as_the_learner(api, plan, record.Record(done.name, ends, gives, registry), Path(folder), done, telling)


def _as_the_learner(
    api: Api, plan: Class, kept: record.Record, folder: Path, done: Preflight, telling: Telling
) -> None:
    home = folder / "home"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "kubectl").symlink_to(tools.kubectl_path())
    env = {"KUBECLASS_HOME": str(home), "KUBECLASS_WORK": str(folder / "work"), "PYTHONPATH": str(paths.COURSE)}

    def command(*words: str, statuses: tuple[int, ...] = (0,)) -> str:
        done = finish(
            *(sys.executable, "-m", "checker.ui.cli", *words),
            timeout=COMMAND_SECONDS,
            env=os.environ | env,
            cwd=str(paths.COURSE),
        )
        if done.returncode not in statuses:
            raise problem("class-preflight-command", command=" ".join(words), output=done.err.strip() or done.out)
        return done.out

    with _step("joined", done, telling):
        learner = plan.learners[0]
        homes = {plan.home(learner): plan.namespaces(learner)}
        (file, _end), *_rest = tokens.hand_out(
            api, plan.name, homes, folder / "out", kept.ends, list(kept.offers), kept.registry, lambda _done, _of: None
        )
        command("join", str(file))
    with _step("started", done, telling):
        command("start", done.lab)
    with _step("solved", done, telling):
        command("solve", done.lab)
    with _step("graded", done, telling):
        result = json.loads(command("check", done.lab, "--json", "--wait", str(WAIT), statuses=(0, 1, 2)))
        wrong = [task["message"] for task in result["tasks"] if task["verdict"] != "passed"]
        if wrong:
            raise problem("class-preflight-marks", score=result["score"], max=result["max_score"], messages=wrong[0])
