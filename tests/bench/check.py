"""How long a check takes, beside a shell script that asks kubectl the same questions one call at a time; five labs.

The command line is measured too. All on the tests' cluster, in one run; what counts is the ratios.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

from checker.collect.api import Api
from checker.collect.collect import collect
from checker.grading.grade import judge
from checker.model.kinds import KINDS
from checker.model.verdict import Result
from checker.session import Session
from cluster import current
from cluster.tools import kubectl_path
from tests.bench.measure import measured, seconds, solved

# What a grader written as a shell script asks, one call at a time: each kind that verdicts rest on, then each request.
OBJECTS = "for kind in $KINDS; do $K get $kind -o json; done\n"
ASK = "$K exec deploy/guestbook -- python3 ask.py"
RESOLVE = "$K exec deploy/guestbook -- getent hosts"
REQUESTS = {
    "03": "",
    "04": "POD=$($K get pods -o jsonpath='{.items[0].status.podIP}'); "
    f"for n in 1 2 3; do {ASK.replace('deploy/guestbook', 'guestbook')} http://$POD:8080/hostname; done",
    "07": f"for n in $(seq 60); do {ASK} http://guestbook/hostname; done\n"
    "for ip in $($K get pods -l app=guestbook -o jsonpath='{.items[*].status.podIP}'); "
    f"do {ASK} http://$ip:8080/hostname; done",
    "08": f"for name in redis guestbook-pods redis.$NAMESPACE-data; do {RESOLVE} $name; done; "
    f"{ASK} http://127.0.0.1:8080/entries",
    "12": f"$K exec deploy/redis -- redis-cli LRANGE entries 0 -1; {ASK} http://127.0.0.1:8080/entries",
}


def by_script(number: str, script: str) -> float:
    """Seconds that the script takes in the namespace of a lab."""
    cluster, namespace = current(), f"bench-{number}"
    words = f"{kubectl_path()} --kubeconfig={cluster.kubeconfig} --context={cluster.context} -n {namespace}"
    kinds = " ".join(kind.plural for kind in KINDS.values())
    env = {**os.environ, "K": words, "KINDS": kinds, "NAMESPACE": namespace}
    return seconds(
        lambda: subprocess.run(["bash", "-ec", script], env=env, check=True, stdout=subprocess.DEVNULL, timeout=300), 1
    )


def by_objects(session: Session) -> Result:
    return judge(session.lab, collect(Api(current()), session.environment.namespace))


def main() -> None:
    ratios = []
    for number, requests in REQUESTS.items():
        with solved(number) as session:
            kernel = seconds(partial(session.check, 0), 15)
            ratios.append((number, kernel, by_script(number, OBJECTS + requests) / kernel))
            if number != "07":
                continue
            objects = seconds(partial(by_objects, session), 15)
            measured(
                "the same for lab 07, without observations",
                f"{objects * 1000:.0f} ms, {by_script(number, OBJECTS) / objects:.0f} × faster",
                "100 ms",
                objects <= 0.1,
            )
            command_line(session.environment.namespace)
    measured(
        "a check in a running kernel, with all its requests, against a script that asks kubectl the same one by one",
        "; ".join(f"lab {number} {kernel * 1000:.0f} ms, {ratio:.0f} × faster" for number, kernel, ratio in ratios),
        "10 ×",
        all(ratio >= 10 for *_, ratio in ratios),
    )


def command_line(namespace: str) -> None:
    kubeclass = (sys.executable, "-m", "checker.ui.cli")
    # As for a learner: Python keeps compiled modules. The first of the seven runs may have to compile some.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    run = partial(subprocess.run, env=env, stdout=subprocess.DEVNULL, check=True)
    bare = seconds(lambda: run([sys.executable, "-c", "pass"]), 7)
    for what, words, aim in (
        ("`kubeclass check 07` from the command line", (*kubeclass, "check", "07", "-n", namespace), 0.6),
        ("`kubeclass --help`", (*kubeclass, "--help"), 0.2),
        ("`import checker` and `lab`, in a new Python", (sys.executable, "-c", "from checker import lab"), 0.5),
    ):
        taken = seconds(partial(run, words), 7)
        measured(what, f"{taken:.2f} s, {taken / bare:.1f} × Python's own start", f"{aim} s", taken <= aim)


if __name__ == "__main__":
    main()
