"""`make mutants`: every mutant of a lab's solution on the real cluster, and which of them its grader kills.

make mutants                   the labs whose outcomes in docs/proof.json are missing, or of another solution or grader
make mutants LABS="07 08"      these labs
make mutants ALL=1             all labs
make mutants FAILED=1          again what was not killed when it was last tried, and what nothing explains

A mutant is killed when a task fails. A task that is unknown or still in progress does not count: then the mutant is
tried again at the end, with a longer wait. Ctrl-C stops a run, and the next run goes on from there.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import date
from pathlib import Path

from checker.authoring.cases import put_away, put_nodes_back
from checker.environments import Environment
from checker.environments.namespace import NamespaceEnvironment
from checker.grading.labs import Lab, all_labs, load_lab
from checker.model.verdict import Result
from checker.session import Session
from cluster import Problem, current
from cluster.kubectl import kubectl
from cluster.up import up
from tests.conftest import SOLO, TESTS, cluster_missing, ctrl_c_counts
from tests.labs.test_cases import ONE_AT_A_TIME
from tests.mutants.mutate import Mutant, mutants, solution_script
from tests.mutants.outcome import (
    Outcome,
    Progress,
    is_level,
    kept,
    numbers_of,
    today,
    unexplained,
)
from tests.proof import table

WAIT, LONGER = 60.0, 180.0  # seconds that a change in progress is given: at first, and when a mutant is tried again
STEADY = 10.0  # seconds for which a task must have failed, while another one is still in progress
PAUSE = 2.0  # seconds between two looks
SCRIPT = 240.0  # seconds that a mutant's steps may take
PATIENCE = 20  # seconds that a step waits for what a mutant may never bring about; then the next step follows
SIDE_BY_SIDE = 4
MOST_ERRORS = 5  # mutants that could not be tried: then the run ends
SOLUTION = "the solution itself"  # not a mutant: where it does not get full marks, the mutants' outcomes mean nothing

_WAITS = re.compile(r"^(\s*kubectl (?:wait|rollout status)\b.*--timeout=)\d+s[ \t]*$", re.M)
_REFUSED = re.compile(
    r"is invalid|error: error (parsing|validating)|BadRequest|unable to decode|forbidden|is not valid|"
    r"denied the request|"
    r'the path "\$WORK/[^"]*" does not exist'  # a file that the step which was left out would have written
)
# A script that could not even begin says nothing of a grader: the fault is in these tests.
_BROKEN = re.compile(r"^bash: |can't open file|error: the path ", re.M)
_stopping = threading.Event()


def hurried(lab: Lab, script: str, seconds: int = PATIENCE) -> str:
    """A mutant's steps, which do not wait long for what may never come, and go on without it.

    A lab that takes nodes away stays as it is: what a node takes to go and to come back cannot be hurried.
    """
    return script if lab.spec.needs.nodes else _WAITS.sub(rf"\g<1>{seconds}s || true", script)


def try_out(mutant: Mutant, namespace: str, wait: float = WAIT) -> Outcome:
    """Start the lab in a namespace of its own, run the mutant's steps, and grade it.

    wait: seconds that a change in progress is given. Raises Problem where the lab cannot be started.
    """
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "solution"
        folder.mkdir()
        own = Path(work) / "work"
        session = Session(mutant.lab, environment=_place(mutant.lab, namespace, own))
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
            output = _make(session, hurried(mutant.lab, mutant.script), folder).replace(str(own), "$WORK")
            result = settled(session, wait)
        finally:
            if mutant.lab.spec.needs.nodes:
                put_nodes_back()
            put_away(session, elsewhere)
    word, detail = word_of(result, output)
    return Outcome(mutant.lab.number, mutant.id, word, detail, round(time.monotonic() - begin, 1), wait)


def _place(lab: Lab, namespace: str, work: Path) -> Environment:
    if lab.spec.needs.engine:
        from checker.environments.container_engine import ContainerEngineEnvironment

        return ContainerEngineEnvironment(namespace, work)
    return NamespaceEnvironment(namespace, work=work)


def _make(session: Session, script: str, folder: Path) -> str:
    """Run a mutant's script. A step that fails ends it, as it would for a learner; returns what was said then."""
    try:
        session.environment.run(session.lab, script, folder, timeout=SCRIPT)
    except Problem as problem:
        return problem.what
    return ""


def settled(session: Session, wait: float) -> Result:
    """Grade until nothing is in progress, or a task has failed for a while, or the time is over.

    A slow API server makes a task unknown, so where no task failed, an unknown one counts as in progress.
    wait: in seconds.
    """
    begin = time.monotonic()
    since: dict[str, float] = {}
    while True:
        result = session.check(0)
        now = time.monotonic()
        since = {id: since.get(id, now) for id in _failed(result)}
        is_steady = any(now - first >= STEADY for first in since.values())
        in_progress = any(t.in_progress or (t.verdict == "unknown" and not since) for t in result.tasks)
        is_done = is_steady or not in_progress
        if is_done or now - begin > wait or _stopping.is_set():
            return result
        time.sleep(PAUSE)


def _failed(result: Result) -> list[str]:
    """The tasks that failed, and do not pass by themselves a moment later."""
    return [task.id for task in result.tasks if task.verdict == "failed" and not task.in_progress]


def word_of(result: Result, output: str) -> tuple[str, str]:
    """What became of a mutant, and why. output: what its script said where it failed."""
    if result.passed:
        return "survived", ""
    for pattern, word in ((_REFUSED, "refused"), (_BROKEN, "broken")):
        if pattern.search(output):
            return word, output[:200]
    failed = _failed(result)
    causes = sorted({task.cause for task in result.tasks if task.cause and (not failed or task.id in failed)})
    return "killed" if failed else "unsettled", ", ".join(causes)


def run(
    chosen: Collection[Mutant], note: Callable[[Outcome], None], side_by_side: int, wait: float = WAIT, word: str = "m"
) -> None:
    """Try mutants of one lab out side by side; those that take nodes away, or much CPU, one by one.

    note: called with each outcome. wait: see `try_out`. word: the namespaces' names begin with it. Ctrl-C ends it: what
    is running then is put away, and its outcomes are not kept. Ends the program where many could not be tried.
    """
    names = {one.id: f"{word}{one.lab.number}-{number}-{os.getpid()}" for number, one in enumerate(chosen)}
    errors = 0
    alone = any(one.lab.spec.needs.nodes or one.lab.number in ONE_AT_A_TIME for one in chosen)
    with ThreadPoolExecutor(1 if alone else side_by_side) as pool:
        futures = {pool.submit(try_out, one, names[one.id], wait): one for one in chosen}
        try:
            for future in as_completed(futures):
                mutant, problem = futures[future], future.exception()
                if problem is None:
                    note(future.result())
                    print(_told(future.result()), flush=True)
                    continue
                print(f"not tried: {mutant.lab.number} {mutant.id}: {' '.join(str(problem).split())[:300]}", flush=True)
                errors += 1
                if errors >= MOST_ERRORS:
                    sys.exit(
                        f"Stopped, because {errors} mutants could not be tried. The same command goes on from here."
                    )
        except BaseException:
            _stopping.set()
            pool.shutdown(cancel_futures=True)
            raise


def _told(outcome: Outcome) -> str:
    return f"{outcome.word:9} {outcome.seconds:4.0f} s  {outcome.lab} {outcome.id}  [{outcome.detail}]"


def run_lab(number: str, side_by_side: int, only: Collection[str] = ()) -> bool:
    """Try a lab's mutants out, and write the table when each has an outcome. Goes on where a run was stopped.

    only: ids of the mutants to be tried again; the outcomes of the others stay. Returns whether nothing needs work.
    """
    lab, now = load_lab(number), today(number)
    begin = time.monotonic()
    chosen = [one for one in mutants(lab) if not only or one.id in only]
    control = Mutant(lab, SOLUTION, {}, solution_script(lab))
    progress = Progress(number, now)
    todo = [one for one in (control, *chosen) if one.id not in progress.outcomes]
    print(f"Lab {number}: {len(chosen)} mutants, of which {len(todo)} are to be tried.", flush=True)
    run(todo, progress.add, side_by_side)
    again = [one for one in (control, *chosen) if is_to_try_again(progress.outcomes.get(one.id))]
    run(again, progress.add, side_by_side, LONGER, "l")
    if len(progress.outcomes) < len(chosen) + 1:
        print(f"Lab {number}: not each mutant could be tried. The same command goes on from here.")
        return False
    of_control = progress.outcomes.pop(SOLUTION)
    if of_control.word != "survived":
        progress.forget()
        print(f"Lab {number}: the solution itself is {of_control.word}: {of_control.detail}. So nothing is kept.")
        return False
    data = table.read()
    tables = data.setdefault("mutants", {})
    known = tables.get(number) if only else None
    outcomes = [progress.outcomes[one.id] for one in chosen]
    tables[number] = kept(outcomes, now, date.today().isoformat(), known)
    table.write(data)
    progress.forget()
    open_ = unexplained(number, tables[number])
    row = numbers_of(number, tables[number])
    print(f"Lab {number}: {row['killed']} of {row['of']} killed, in {(time.monotonic() - begin) / 60:.0f} min")
    for id, word in open_.items():
        print(f"  {word}: {id}  [{tables[number][word][id]}]")
    return not open_


def is_to_try_again(outcome: Outcome | None) -> bool:
    """Whether a mutant could not be tried, or is unsettled after the shorter wait."""
    return outcome is None or (outcome.word == "unsettled" and outcome.wait < LONGER)


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="make mutants", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    numbers = all_labs(drafts=True)
    parser.add_argument("labs", nargs="*", metavar="LAB", help=f"numbers of labs: {', '.join(numbers)}")
    parser.add_argument("--all", action="store_true", help="all labs")
    parser.add_argument("--failed", action="store_true", help="again what was not killed, and what nothing explains")
    parser.add_argument("--side-by-side", type=int, default=SIDE_BY_SIDE, help="mutants at once (default: %(default)s)")
    options = parser.parse_args(words)
    labs = [lab.zfill(2) for lab in options.labs]
    if unknown := [lab for lab in labs if lab not in numbers]:
        parser.error(f"there is no lab {', '.join(unknown)}; the labs are {', '.join(numbers)}")
    todo = chosen(labs, options.all, options.failed)
    if not todo:
        print("Nothing to do: docs/proof.json has the outcomes of all mutants. (Everything anew: make mutants ALL=1)")
        return 0
    well = True
    # Labs that take nodes away come last, on the cluster that the tests have for that.
    for number in sorted(todo, key=lambda lab: (load_lab(lab).spec.needs.nodes, list(todo).index(lab))):
        if load_lab(number).spec.needs.nodes and os.environ["KUBECLASS_CLUSTER"] == TESTS:
            os.environ["KUBECLASS_CLUSTER"] = SOLO
        if why := cluster_missing():
            sys.exit(why)
        if load_lab(number).spec.needs.metrics:
            up(metrics=True)
        well = run_lab(number, options.side_by_side, todo[number]) and well
    return 0 if well else 1


def chosen(labs: list[str], all_: bool, failed: bool) -> dict[str, Collection[str]]:
    """The labs to be run, by number: the ids of the mutants to be tried again, or none for all mutants."""
    data = table.read().get("mutants", {})
    if failed:
        found = {lab: set(unexplained(lab, data[lab])) for lab in labs or sorted(data)}
        # What is kept of other mutants says nothing of these.
        return {lab: ids for lab, ids in found.items() if ids and data[lab]["made_from"] == today(lab).made_from}
    if labs:
        return dict.fromkeys(labs, ())
    return {lab: () for lab in all_labs() if all_ or not is_level(data.get(lab, {}), today(lab))}


if __name__ == "__main__":
    ctrl_c_counts()
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped. The same command goes on from here.")
