"""Questions asked from inside a learner's own Pods, by exec: what their DNS says, which paths are open to them.

The program that asks goes along with the question, so a container needs python3 and nothing else. It is
cluster/observer/asking.py, unless an ask brings another. Nothing is left in the container.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from checker.model.fault import POD_NOT_ASKED, POD_SILENT, Phrase
from cluster import Cluster, Problem, observer
from cluster.kubectl import kubectl

TIMEOUT = 8.0  # seconds for everything that one Pod is asked; a single request inside it has 2
# Where DNS does not answer at all, a resolver asks twice and waits 5 seconds each time (resolv.conf(5)), which is
# longer.
_PATIENCE = 'import os; os.environ["RES_OPTIONS"] = "timeout:1 attempts:2"\n'
_PROGRAM = observer.HERE / "asking.py"


def ask_inside(cluster: Cluster, question: dict[str, Any]) -> dict[str, Any]:
    """`question["asks"]`: {key: {"namespace", "pod", "container", "questions"}}, and "program", the text of the
    program that asks, if it is not asking.py. Returns {key: answers, or {"error": why}}."""
    asks = question["asks"]
    with ThreadPoolExecutor(max_workers=8) as pool:
        return dict(zip(asks, pool.map(partial(_ask, cluster), asks.values()), strict=True))


def _ask(cluster: Cluster, ask: dict[str, Any]) -> dict[str, Any]:
    program = _PATIENCE + (ask.get("program") or _PROGRAM.read_text())
    try:
        place = ("-n", ask["namespace"], ask["pod"], "-c", ask["container"])
        python = ("python3", "-c", program, json.dumps(ask["questions"]))
        output = kubectl(cluster, "exec", *place, "--", *python, timeout=TIMEOUT)
        answers = json.loads(output)
    except Problem as problem:
        if problem.id == "kubectl-late":
            return {"error": Phrase(POD_SILENT, {"pod": ask["pod"], "seconds": round(TIMEOUT)})}
        message = problem.facts.get("output") or problem.what
        return {"error": Phrase(POD_NOT_ASKED, {"pod": ask["pod"], "message": message})}
    except (ValueError, RecursionError):
        answers = None
    if not isinstance(answers, dict):
        return {"error": Phrase("why-pod-unreadable", {"pod": ask["pod"]})}
    return answers
