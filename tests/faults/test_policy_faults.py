"""Policies that nothing enforces, on the real cluster: an open path proves nothing, and what is written is judged."""

from __future__ import annotations

import time
from pathlib import Path

from checker.environments.namespace import NamespaceEnvironment
from checker.model.verdict import Result
from checker.session import Session
from cluster import current
from cluster.kubectl import kubectl
from tests.nodes import ON_THE_SECOND_CLUSTER

pytestmark = ON_THE_SECOND_CLUSTER

# What enforces policies cannot be taken away without a trace; so the wall gets a door.
DOOR = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: door, namespace: kubeclass}
spec: {podSelector: {matchLabels: {app: wall}}, ingress: [{}]}
"""


def checked(session: Session, enforced: bool) -> Result:
    """The result once it is seen that policies are in force, or are not: whatever enforces them takes a moment."""
    deadline = time.monotonic() + 120  # a check alone may wait for a minute
    while True:
        result = session.check(60)
        seen = "policies-not-enforced" not in {task.cause for task in result.tasks}
        if seen is enforced or time.monotonic() > deadline:
            return result
        time.sleep(1)


def test_policies_that_nobody_enforces_are_unknown_and_evaluated(tmp_path: Path) -> None:
    cluster = current()
    session = Session("14", environment=NamespaceEnvironment("tf-policies", work=tmp_path))
    try:
        session.start()
        assert [task.verdict for task in session.check(60).tasks] == ["failed"] * 4
        kubectl(cluster, "apply", "-f", "-", input=DOOR)
        nothing_done = checked(session, enforced=False)
        session.solve()
        solved = session.check(60)
    finally:
        kubectl(cluster, "delete", "networkpolicy", "door", "-n", "kubeclass", "--ignore-not-found")
    try:
        for result in (nothing_done, solved):
            assert {(task.verdict, task.cause) for task in result.tasks} == {("unknown", "policies-not-enforced")}
            assert (result.exit_code, result.score) == (2, 0)
        # What is written tells the two apart all the same.
        assert all("and should be" not in task.message for task in solved.tasks)
        assert all("and should be" in task.message for task in nothing_done.tasks)
        result = checked(session, enforced=True)
        assert result.passed, [(task.id, task.cause, task.message) for task in result.tasks]
    finally:
        namespaces = ("tf-policies", "tf-policies-visitors")
        kubectl(cluster, "delete", "namespace", *namespaces, "--ignore-not-found", "--wait=false")
