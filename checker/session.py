"""The rooms tied together: collect, judge, and while a change is in progress, wait and collect again.

Session does this for a lab in its environment, explain for what is broken in a namespace.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

from checker.classroom.needs import fitted
from checker.classroom.target import further_namespaces, options
from checker.classroom.target import target as meant
from checker.collect.api import Api
from checker.collect.collect import look
from checker.diagnosis.explain import explained, parsed
from checker.environments import Environment, environment_of
from checker.grading.grade import judge
from checker.grading.labs import Case, Lab, load_lab
from checker.model.catalogue import problem
from checker.model.explanation import Explanation, Finding, lacks_namespace
from checker.model.state import State
from checker.model.verdict import Result
from cluster import Cluster

# Seconds that a check gives a change in progress. A slow machine may be given more.
WAIT = float(os.environ.get("KUBECLASS_WAIT") or 10)
PAUSE, LONGEST_PAUSE = 0.5, 3.0  # seconds between the first two looks while it waits, and between later ones


class Session:
    """One lab in one environment."""

    def __init__(
        self,
        lab: Lab | str,
        namespace: str = "",
        environment: Environment | None = None,
        seed: str = "",
        cluster: Cluster | None = None,
    ) -> None:
        """namespace, seed, cluster: see NamespaceEnvironment.

        Raises Problem for an unknown lab, and where there is no cluster (for the Docker lab: no engine).
        """
        self.cluster = cluster or meant()
        self.lab = fitted(load_lab(lab) if isinstance(lab, str) else lab, self.cluster)
        self.environment = environment or environment_of(self.lab, namespace, seed, self.cluster)

    def start(self, clear_other: Callable[[str], bool] = lambda other: False) -> None:
        """Set the lab up. The same call twice is safe.

        clear_other: called with the number of another lab that was started here before. If it returns True, what that
        lab left is deleted; otherwise Problem is raised.
        """
        other = self.environment.leftovers(self.lab)
        if other:
            if not clear_other(other):
                namespace = self.environment.namespace
                elsewhere = "" if namespace == self.cluster.namespace else namespace
                raise problem("other-lab", other=other, namespace=namespace, lab=self.lab.number, elsewhere=elsewhere)
            self.environment.clear(load_lab(other))
        self.environment.prepare(self.lab)

    def require_started(self) -> None:
        """Return if `start` has set the lab up in this namespace. Raises Problem otherwise."""
        if not self.environment.is_started(self.lab):
            namespace = self.environment.namespace
            elsewhere = "" if namespace == self.cluster.namespace else namespace
            raise problem("lab-not-started", lab=self.lab.number, namespace=namespace, elsewhere=elsewhere)

    def check(self, wait: float = WAIT) -> Result:
        """Grade.

        wait: seconds that a change in progress (a rollout, a Pod that starts) is given before it counts as failed.
        """
        return self.checked(wait)[0]

    def checked(self, wait: float = WAIT) -> tuple[Result, State]:
        """As `check`, with the State that was judged."""
        begin = time.monotonic()
        pause, again = PAUSE, False
        while True:
            looked = time.monotonic()
            state = self.environment.look(self.lab)
            result = judge(self.lab, state)
            now = time.monotonic()
            # A machine that takes long to answer is busy: it gets as much time to itself as it is asked for.
            pause = max(pause, now - looked)
            if not any(task.in_progress for task in result.tasks) or now - begin + pause > wait:
                waited = now - begin if again else 0.0
                tasks = tuple(replace(t, look=at_cluster(t.look, self.cluster, result.namespace)) for t in result.tasks)
                return Result(result.lab, result.title, result.namespace, tasks, waited), state
            time.sleep(pause)
            pause, again = min(pause * 1.5, LONGEST_PAUSE), True

    def reset(self) -> None:
        """Delete what was made for this lab and set it up again."""
        self.environment.reset(self.lab)

    def solve(self) -> None:
        """Bring about the lab's own solution."""
        solution = self.lab.folder / "solution"
        if (solution / "make.sh").exists():
            self.environment.run(self.lab, (solution / "make.sh").read_text(), solution, timeout=300)
        else:
            self.environment.apply(self.lab, "solution")

    def make(self, kind: str, case: Case) -> None:
        """Bring about one case of accepted/ or mistakes/."""
        self.environment.run(self.lab, case.make, self.lab.folder / kind, timeout=300)


def explain(
    target: str = "", name: str = "", *, namespace: str = "", wait: float = WAIT, cluster: Cluster | None = None
) -> Explanation:
    """What is broken at the root in a namespace, or about one object.

    namespace: by default, the cluster's. cluster: by default, the one that is meant (classroom/target.py).
    wait: seconds that a change in progress is given. Raises Problem where there is no cluster, and for an unknown kind.
    """
    kind, name = parsed(target, name) if target else ("", "")
    cluster = cluster or meant()
    api, further = Api(cluster), further_namespaces(cluster).values()
    begin, pause = time.monotonic(), PAUSE
    while True:
        found = explained(look(namespace or cluster.namespace, api=api, further=further), kind, name)
        if not found.in_progress or time.monotonic() - begin + pause > wait:
            return _at_cluster(found, cluster)
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _at_cluster(found: Explanation, cluster: Cluster) -> Explanation:
    def located(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        return tuple(replace(one, look=at_cluster(one.look, cluster, one.namespace)) for one in findings)

    return replace(
        found,
        findings=located(found.findings),
        unseen=located(found.unseen),
        in_progress=located(found.in_progress),
    )


def at_cluster(look: str, cluster: Cluster, namespace: str) -> str:
    """A command to look, as it must be typed to ask a cluster: a context that was named is named in it."""
    where = options(cluster)
    if look.startswith("kubeclass status"):
        return look.replace("kubeclass status", f"kubeclass status{where}", 1)
    if not where or not look.startswith("kubectl "):
        return look
    if namespace and lacks_namespace(look):
        where += f" -n {namespace}"
    return look.replace("kubectl", f"kubectl{where}", 1)
