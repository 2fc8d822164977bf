"""One case of a lab, brought about and judged by a learner of a class: `python -m tests.class.one_case LAB KIND NAME`.

A process of its own, because the class that was joined is in KUBECLASS_HOME. The learner's own token does everything.
KIND: setup, solution, accepted or mistakes. Prints one JSON object: what did not pass with its cause, the sentences,
and the seconds. The lab's namespaces are empty afterwards.
"""

from __future__ import annotations

import json
import sys
import time

from checker.classroom.target import further_namespaces, target
from checker.grading.labs import Case, load_lab
from checker.session import Session

WAIT = 90  # seconds that a change in progress is given
AGAIN = 2  # more checks where the observer did not answer in time, as the message advises; a starved machine is slow
# Solutions that are not as on a cluster of one's own, by lab. They are made of the lab's own solution.
IN_A_CLASS = {
    # Without the drain and the stop of a node, which are the teacher's.
    "16": """
"$PYTHON" ../setup.py "$SEED" | kubectl apply -f -
kubectl rollout restart deployment guestbook
kubectl rollout status deployment guestbook --timeout=120s
""",
}


def run(number: str, kind: str, name: str) -> dict[str, object]:
    begin, lab = time.monotonic(), load_lab(number)
    case = lab.cases(kind)[name] if kind in ("accepted", "mistakes") else Case(title="", make="true")
    session = Session(lab, seed=case.seed if lab.is_generated else "")
    assert target().kind == "class"
    try:
        session.start(lambda other: True)
        if kind == "solution" and number in IN_A_CLASS:
            session.make("solution", Case(title="", make=IN_A_CLASS[number]))
        elif kind == "solution":
            session.solve()
        elif kind != "setup":
            session.make(kind, case)
        result = session.check(WAIT)
        for _ in range(AGAIN):
            if not any(task.cause == "observer-unreachable" for task in result.tasks):
                break
            result = session.check(WAIT)
        here = {task.id for task in result.tasks}
        return {
            "not_passed": {task.id: task.cause for task in result.tasks if task.verdict != "passed"},
            "expected": {task: cause for task, cause in {**case.fails, **case.unknown}.items() if task in here},
            "said": [f"{task.id}: {task.verdict} {task.cause}: {task.message}" for task in result.tasks],
            "score": result.score,
            "max_score": result.max_score,
            "namespaces": [session.environment.namespace, *further_namespaces(target()).values()],
            "seconds": round(time.monotonic() - begin),
        }
    finally:
        session.environment.clear(session.lab)


if __name__ == "__main__":
    print(json.dumps(run(*sys.argv[1:])))
