"""`make mutants`: every mutant of every lab's solution on the real cluster; how many each grader kills, and which not.

    python -m tests.mutants.run            all labs          python -m tests.mutants.run 07 08     some of them

A mutant is killed when it does not get full marks. What the API server refuses reaches no grader, and is not counted.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from checker.authoring.cases import put_away, put_nodes_back
from checker.environments import Environment
from checker.environments.namespace import NamespaceEnvironment
from checker.grading.labs import Lab, all_labs, load_lab
from checker.session import Session
from cluster import Problem, current
from cluster.kubectl import kubectl
from tests.mutants.mutate import Mutant, mutants

WAIT = 30  # seconds that a change in progress is given
SIDE_BY_SIDE = 6
_REFUSED = re.compile(
    r"is invalid|error: error (parsing|validating)|BadRequest|unable to decode|forbidden|is not valid|"
    r"denied the request"
)


# A script that could not even begin says nothing of a grader: the fault is in these tests.
_BROKEN = re.compile(r"^bash: |can't open file|error: the path ", re.M)


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant.

    Killed: a task did not pass, and for which causes. Refused: by the API server. Survived: full marks. Broken: its
    script cannot run, whatever the grader says.
    """

    mutant: Mutant
    word: str
    detail: str
    seconds: float


@cache
def equivalent() -> dict[str, dict[str, str]]:
    """Mutants that are as right as the solution: lab number, mutant's id (or a pattern with `*`), and why."""
    found: dict[str, dict[str, str]] = yaml.safe_load((Path(__file__).parent / "equivalent.yaml").read_text())
    return found


def why_equivalent(mutant: Mutant) -> str:
    """The reason why a mutant is as right as the solution; empty where none is known."""
    for where in (mutant.lab.number, "all"):
        for pattern, why in (equivalent().get(where) or {}).items():
            if re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), mutant.id, re.S):
                return why
    return ""


def try_out(mutant: Mutant, namespace: str) -> Outcome:
    """Start the lab in a namespace of its own, run the mutant's steps, and grade it."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "solution"
        folder.mkdir()
        session = Session(mutant.lab, environment=_place(mutant.lab, namespace, Path(work) / "work"))
        elsewhere = f"{namespace}-elsewhere"
        mutant.write(folder)
        for program in mutant.lab.folder.glob("*.py"):  # where a solution's script finds them
            shutil.copy(program, work)
        for path in folder.iterdir():
            if "ELSEWHERE" in (text := path.read_text()):
                path.write_text(text.replace("ELSEWHERE", elsewhere))
        try:
            session.start()
            if "ELSEWHERE" in "".join(mutant.files.values()):
                kubectl(current(), "create", "namespace", elsewhere)
            output = _make(session, mutant.script, folder)
            result = session.check(WAIT)
        finally:
            if mutant.lab.spec.needs.nodes:
                put_nodes_back()
            put_away(session, elsewhere)
    causes = ", ".join(sorted({task.cause for task in result.tasks if task.cause}))
    word = "survived" if result.passed else "killed"
    for pattern, other in ((_REFUSED, "refused"), (_BROKEN, "broken")):
        if word == "killed" and pattern.search(output):
            word, causes = other, output[:200]
    return Outcome(mutant, word, causes, time.monotonic() - begin)


def _place(lab: Lab, namespace: str, work: Path) -> Environment:
    if lab.spec.needs.engine:
        from checker.environments.container_engine import ContainerEngineEnvironment

        return ContainerEngineEnvironment(namespace, work)
    return NamespaceEnvironment(namespace, work=work)


def _make(session: Session, script: str, folder: Path) -> str:
    """Run a mutant's script. A step that fails ends it, as it would for a learner; returns what was said then."""
    try:
        session.environment.run(session.lab, script, folder, timeout=180)
    except Problem as problem:
        return problem.what
    return ""


def run(chosen: Iterable[Mutant], side_by_side: int = SIDE_BY_SIDE) -> list[Outcome]:
    """Try mutants out side by side (those that take nodes away one by one, at the end), saying what came of each."""
    named = [(mutant, f"m{mutant.lab.number}-{number}-{os.getpid()}") for number, mutant in enumerate(chosen)]
    outcomes = []
    with ThreadPoolExecutor(side_by_side) as pool, ThreadPoolExecutor(1) as alone:
        futures = [pool.submit(try_out, *one) for one in named if not one[0].lab.spec.needs.nodes]
        alone.submit(wait, futures)
        futures += [alone.submit(try_out, *one) for one in named if one[0].lab.spec.needs.nodes]
        for future in futures:
            outcome = future.result()
            outcomes.append(outcome)
            print(
                f"{outcome.word:8} {outcome.seconds:4.0f} s  {outcome.mutant.lab.number} {outcome.mutant.id}  "
                f"[{outcome.detail}]",
                flush=True,
            )
    return outcomes


def report(outcomes: list[Outcome]) -> tuple[str, list[Outcome]]:
    """The kill rate per lab and in all, and the survivors; then the outcomes that need work.

    Those are the survivors that equivalent.yaml does not explain, and the broken ones.
    """
    lines, unexplained = [], []
    counted: dict[str, list[int]] = {}
    for outcome in outcomes:
        why = why_equivalent(outcome.mutant) if outcome.word == "survived" else ""
        if outcome.word == "survived":
            lines.append(
                f"  {outcome.mutant.lab.number} {outcome.mutant.id}: {'equivalent: ' + why if why else 'SURVIVED'}"
            )
            unexplained += [] if why else [outcome]
        unexplained += [outcome] if outcome.word == "broken" else []
        if outcome.word in ("killed", "survived") and not why:
            row = counted.setdefault(outcome.mutant.lab.number, [0, 0])
            row[0] += outcome.word == "killed"
            row[1] += 1
    rates = [
        f"  lab {number}: {killed} of {of} killed ({100 * killed / of:.0f} %)"
        for number, (killed, of) in sorted(counted.items())
    ]
    killed, of = (sum(row[n] for row in counted.values()) for n in (0, 1))
    refused = sum(o.word == "refused" for o in outcomes)
    total = f"{killed} of {of} killed ({100 * killed / max(1, of):.1f} %), {refused} refused by the API server"
    broken = [f"  {o.mutant.lab.number} {o.mutant.id}: {o.detail}" for o in outcomes if o.word == "broken"]
    return "\n".join(["Survivors:", *lines, "Broken:", *broken, "Kill rate:", *rates, total]), unexplained


def main(numbers: list[str]) -> Any:
    chosen = [mutant for number in numbers or all_labs() for mutant in mutants(load_lab(number))]
    print(f"{len(chosen)} mutants")
    text, unexplained = report(run(chosen))
    print(text)
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
