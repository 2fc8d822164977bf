"""The rooms tied together: collect, judge, and while a change is in progress, wait and collect again.

Session does this for a lab in its environment, explain for what is broken in a namespace.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from checker.collect.collect import look
from checker.diagnosis.explain import explained, parsed
from checker.environments import Environment, environment_of
from checker.grading.grade import judge
from checker.grading.labs import Case, Lab, load_lab
from checker.model.catalogue import problem
from checker.model.explanation import Explanation
from checker.model.state import State
from checker.model.verdict import Result
from cluster.context import DEFAULT_NAMESPACE

# Seconds that a check gives a change in progress. A slow machine may be given more.
WAIT = float(os.environ.get("KUBECLASS_WAIT") or 10)
PAUSE, LONGEST_PAUSE = 0.5, 3.0  # seconds between the first two looks while it waits, and between later ones


class Session:
    """One lab in one environment."""

    def __init__(
        self, lab: Lab | str, namespace: str = DEFAULT_NAMESPACE, environment: Environment | None = None, seed: str = ""
    ) -> None:
        """seed: see NamespaceEnvironment.

        Raises Problem for an unknown lab, and where there is no cluster (for the Docker lab: no engine).
        """
        self.lab = load_lab(lab) if isinstance(lab, str) else lab
        self.environment = environment or environment_of(self.lab, namespace, seed)

    def start(self, clear_other: Callable[[str], bool] = lambda other: False) -> None:
        """Set the lab up. The same call twice is safe.

        clear_other: called with the number of another lab that was started here before. If it returns True, what that
        lab left is deleted; otherwise Problem is raised.
        """
        other = self.environment.leftovers(self.lab)
        if other:
            if not clear_other(other):
                namespace = self.environment.namespace
                elsewhere = "" if namespace == DEFAULT_NAMESPACE else namespace
                raise problem("other-lab", other=other, namespace=namespace, lab=self.lab.number, elsewhere=elsewhere)
            self.environment.clear(load_lab(other))
        self.environment.prepare(self.lab)

    def require_started(self) -> None:
        """Return if `start` has set the lab up in this namespace. Raises Problem otherwise."""
        if not self.environment.is_started(self.lab):
            namespace = self.environment.namespace
            elsewhere = "" if namespace == DEFAULT_NAMESPACE else namespace
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
                return Result(result.lab, result.title, result.namespace, result.tasks, waited), state
            time.sleep(pause)
            pause, again = min(pause * 1.5, LONGEST_PAUSE), True

    def reset(self) -> None:
        """Delete what was made for this lab and set it up again."""
        self.environment.clear(self.lab)
        self.environment.prepare(self.lab)

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


def explain(target: str = "", name: str = "", *, namespace: str = DEFAULT_NAMESPACE, wait: float = WAIT) -> Explanation:
    """What is broken at the root in a namespace, or about one object.

    wait: seconds that a change in progress is given. Raises Problem where there is no cluster, and for an unknown kind.
    """
    kind, name = parsed(target, name) if target else ("", "")
    begin, pause = time.monotonic(), PAUSE
    while True:
        found = explained(look(namespace), kind, name)
        if not found.in_progress or time.monotonic() - begin + pause > wait:
            return found
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
